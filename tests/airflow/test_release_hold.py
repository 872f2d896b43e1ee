"""A target that is not on hold is told, with what was likely meant; of every system's release operator."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from airflow_voice_agents.bases.release_hold import ReleaseHoldOperator
from airflow_voice_agents.plans.rollback_blocks import RollbackBlock
from airflow_voice_agents.state import rollback_blocks
from support.airflow_runner import AirflowRunner
from support.operators import public_operators

OPERATORS: list[Any] = [each for each in public_operators() if issubclass(each, ReleaseHoldOperator)]
HELD = "harbour-hotels/live"


@pytest.fixture
def folder(tmp_path: Path) -> str:
    """A state folder in which one target is on hold."""
    block = RollbackBlock(HELD, {"a": "b"}, "tests", {"dag_id": "d"}, "2026-01-01T00:00:00+00:00")
    rollback_blocks.place(str(tmp_path), block)
    return str(tmp_path)


def test_each_system_has_one() -> None:
    assert len(OPERATORS) == 3


@pytest.mark.parametrize("operator", OPERATORS, ids=lambda each: each.__name__)
@pytest.mark.parametrize(
    ("target", "meant"),
    [
        ("harbor-hotels/live", True),
        ("Harbour-Hotels/Live", True),
        ("harbour-hotels/live\u00a0", True),
        ("zz", False),
    ],
)
def test_a_target_that_is_not_on_hold_is_told(operator: Any, target: str, meant: bool, folder: str) -> None:
    task = operator(task_id="release", targets=[target], state_folder=folder)

    outcome = AirflowRunner().run(task)

    assert outcome.result == []
    assert "nothing was released: " in outcome.log
    assert (f"Did you mean '{HELD}'" in outcome.log) is meant
    assert rollback_blocks.held(folder) == [HELD]


@pytest.mark.parametrize("operator", OPERATORS, ids=lambda each: each.__name__)
def test_a_target_on_hold_is_released_without_a_warning(operator: Any, folder: str) -> None:
    outcome = AirflowRunner().run(operator(task_id="release", targets=HELD, state_folder=folder))

    assert outcome.result == [HELD]
    assert "nothing was released" not in outcome.log
    assert rollback_blocks.held(folder) == []
