"""An agent is one target, whether it is written as slug or as project id."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from airflow_voice_agents.plans.rollback_blocks import RollbackBlock
from airflow_voice_agents.polyai.operators.rollback import PolyAIReleaseHoldOperator
from airflow_voice_agents.state import rollback_blocks
from support.emulated import HOTELS, LIVE, Emulated

PROJECT = "PROJECT-5A1E9C07"


def hold(folder: Path, agent: str) -> str:
    """Put an agent's live environment on hold."""
    target = f"{agent}/{LIVE}"
    rollback_blocks.place(str(folder), RollbackBlock(target, {}, "tests", {}, "2026-01-01T00:00:00+00:00"))
    return target


def release(folder: Path, agent: str, **arguments: Any) -> PolyAIReleaseHoldOperator:
    return PolyAIReleaseHoldOperator(
        task_id="release", targets=f"{agent}/{LIVE}", state_folder=str(folder), **arguments
    )


@pytest.mark.parametrize(("held", "named"), [(HOTELS, PROJECT), (PROJECT, HOTELS)])
def test_a_hold_is_released_under_the_other_spelling(
    polyai: Emulated, tmp_path: Path, held: str, named: str
) -> None:
    target = hold(tmp_path, held)

    outcome = polyai.run(release(tmp_path, named))

    assert outcome.result == [f"{named}/{LIVE}"]
    assert rollback_blocks.read(str(tmp_path), [target]) == {}


def test_a_hold_under_the_same_spelling_costs_no_request(polyai: Emulated, tmp_path: Path) -> None:
    target = hold(tmp_path, HOTELS)

    assert polyai.run(release(tmp_path, HOTELS)).result == [target]
    assert polyai.order() == []


def test_the_hold_of_another_agent_stays(polyai: Emulated, tmp_path: Path) -> None:
    other = hold(tmp_path, "PROJECT-" + "C0FFEE00")

    outcome = polyai.run(release(tmp_path, HOTELS))

    assert outcome.state == "failed" or outcome.result == []
    assert list(rollback_blocks.read(str(tmp_path), [other])) == [other]
