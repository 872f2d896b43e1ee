"""Objects that were there before are left out of collections, for as long as a task works."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_voice_agents.bases.collector import only_new_objects
from airflow_voice_agents.polyai.operators.configs import PolyAIUpdateConfigOperator


@pytest.fixture(autouse=True)
def _nothing_stays_frozen() -> Iterator[None]:
    yield
    gc.unfreeze()


def test_known_objects_are_left_out_inside_and_collected_afterwards() -> None:
    with only_new_objects():
        assert gc.get_freeze_count() > 1_000
        assert len(gc.get_objects()) < 1_000
    assert gc.get_freeze_count() == 0


def test_a_failure_leaves_nothing_frozen() -> None:
    with pytest.raises(LookupError), only_new_objects():
        raise LookupError
    assert gc.get_freeze_count() == 0


def test_what_the_process_has_frozen_stays_so() -> None:
    gc.freeze()
    with only_new_objects():
        pass
    assert gc.get_freeze_count() > 1_000  # fewer than before, if some were let go


class _Hook:
    """An open hook that notes what a collection would look at."""

    client = SimpleNamespace(redact=str)

    def __init__(self) -> None:
        self.frozen = 0

    def __enter__(self) -> _Hook:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    async def asend(self, _: Any) -> None:
        raise AssertionError("nothing is sent here")

    def run(self, work: Any) -> None:
        self.frozen = gc.get_freeze_count()


def test_an_operator_works_with_its_own_objects_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("airflow_voice_agents.state.task_state.task_state", lambda _: None)
    hook, context = _Hook(), {"dag_run": SimpleNamespace(run_type="manual")}
    place = {"agent_id": "rosa", "environment": "sandbox"}
    operator = PolyAIUpdateConfigOperator(task_id="update", values={"a": 1}, targets=place)
    operator.work(context, lambda run: run, hook)  # type: ignore[arg-type]
    assert hook.frozen > 1_000
    assert gc.get_freeze_count() == 0
