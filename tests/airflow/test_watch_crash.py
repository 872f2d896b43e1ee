"""A watch whose worker dies at any moment of its rollback: the next try ends where it would have ended."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import pytest

from airflow_voice_agents.emulator.core import default_seed
from airflow_voice_agents.emulator.faults import Fault
from airflow_voice_agents.polyai.operators.promotion import (
    PolyAIApplyPromotionOperator,
    PolyAIPlanPromotionOperator,
)
from airflow_voice_agents.polyai.operators.verification import PolyAIWatchPromotionOperator
from airflow_voice_agents.state import rollback_blocks
from airflow_voice_agents.transport.errors import ChecksFailed
from support.airflow_runner import AirflowRunner, Outcome
from support.emulated import HOTELS, PRE_RELEASE, SANDBOX, VALUES, Emulated, place
from support.kill_switch import Fuse, Killed

pytestmark = pytest.mark.usefixtures("fernet_key")

TARGET = f"{HOTELS}/{PRE_RELEASE}"
FOUND = {
    "verdict": "failed",
    "checks": [{"name": "alerts", "verdict": "failed", "reason": "it fires"}],
    "since": "2026-09-01T00:00:00+00:00",
    "looks": 2,
    "errors": 0,
}


class Mortal(AirflowRunner):
    """An Airflow whose worker dies before or after it has told the supervisor something."""

    fuse: Fuse = Fuse()

    def send(self, msg: Any) -> Any:
        self.fuse.burn()
        answer = super().send(msg)
        self.fuse.burn()
        return answer


def promoted(polyai: Emulated, folder: Path) -> PolyAIWatchPromotionOperator:
    """Promote on a server that starts over, and return what watches that."""
    polyai.server.reset(default_seed())
    polyai.runner = Mortal(connections=polyai.runner.connections)
    for stage in (SANDBOX, PRE_RELEASE):
        polyai.put_page(HOTELS, stage, {"greeting": stage}, {"type": "object"})
    spec = {"source": place(HOTELS, SANDBOX), "targets": [place(HOTELS, PRE_RELEASE)], "config": {}}
    own: dict[str, Any] = {"state_folder": str(folder)}
    plan = polyai.run(PolyAIPlanPromotionOperator(task_id="plan", spec=spec, **own)).result
    applied = polyai.run(PolyAIApplyPromotionOperator(task_id="apply", plan=plan, **own))
    polyai.server.journal.clear()
    return PolyAIWatchPromotionOperator(
        task_id="watch",
        checks=[{"check": "alerts", "project_ids": [HOTELS]}],
        snapshot=applied.xcoms["snapshot"],
        retries=5,
        **own,
    )


def conclude(polyai: Emulated, task: Any, try_number: int = 1) -> Outcome:
    """Run a try up to its verdict, which is always the same, and on from there."""
    outcome = polyai.run(task, try_number=try_number)
    event = {"status": "success", "found": FOUND}
    if outcome.deferred is None:
        return outcome
    return polyai.runner.resume_with(task, outcome, event, try_number=try_number)


def end_state(polyai: Emulated, folder: Path, last: Outcome) -> tuple[Any, ...]:
    """What is left: the page, the hold, how often was written, and how the task ended."""
    return (
        polyai.values(HOTELS, PRE_RELEASE)["greeting"],
        list(rollback_blocks.read(str(folder), [TARGET])),
        polyai.requests()[VALUES],
        type(last.error),
        last.xcoms["verdict"]["verdict"],
    )


WANTED = (PRE_RELEASE, [TARGET], 1, ChecksFailed, "failed")


def test_a_worker_that_dies_at_any_moment_leaves_nothing_undone_and_nothing_done_twice(
    polyai: Emulated, tmp_path: Path
) -> None:
    moment, died = 0, True
    while died:
        moment += 1
        folder = tmp_path / str(moment)
        task = promoted(polyai, folder)
        fuse = polyai.runner.fuse = Fuse(moment)  # type: ignore[attr-defined]
        with contextlib.suppress(Killed):
            conclude(polyai, task)
        died = fuse.burnt >= moment
        fuse.renew()

        last = conclude(polyai, task, try_number=2)

        assert end_state(polyai, folder, last) == WANTED, f"moment {moment}"
    assert moment > 40


@pytest.mark.parametrize("applied", [False, True], ids=["lost on the way", "answer lost"])
def test_a_write_without_an_answer_ends_well(polyai: Emulated, tmp_path: Path, applied: bool) -> None:
    task = promoted(polyai, tmp_path)
    polyai.server.emulator.faults.add(Fault("reset", apply=applied, operation=VALUES, times=3))

    outcomes = [conclude(polyai, task, try_number=each) for each in (1, 2, 3)]

    assert isinstance(outcomes[-1].error, ChecksFailed)
    assert polyai.values(HOTELS, PRE_RELEASE)["greeting"] == PRE_RELEASE
    assert list(rollback_blocks.read(str(tmp_path), [TARGET])) == [TARGET]
