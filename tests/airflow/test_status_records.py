"""Operators leave status records: what the page shows is what their runs have seen and done."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_voice_agents.polyai.operators.configs import PolyAIUpdateConfigOperator
from airflow_voice_agents.polyai.operators.drift import PolyAIDriftOperator
from airflow_voice_agents.polyai.operators.releases import PolyAIPlanReleaseOperator
from airflow_voice_agents.polyai.operators.verification import PolyAICheckPromotionOperator
from airflow_voice_agents.polyai.task_groups import promotion
from airflow_voice_agents.state.files import StateFiles
from airflow_voice_agents.ui.board import Board, State, build
from airflow_voice_agents.ui.records import StateReader
from support.airflow_runner import make
from support.answers import answer
from support.emulated import BANK, HOTELS, LIVE, PRE_RELEASE, ROSA, SANDBOX, Emulated, place

pytestmark = pytest.mark.usefixtures("fernet_key")

SPEC: dict[str, Any] = {
    "source": place(HOTELS, SANDBOX),
    "targets": [place(HOTELS, PRE_RELEASE)],
    "config": {"include_keys": ["holiday_message"], "promote_schema": False},
    "deployment": {},
}
FREEZE = [{"start": "2030-01-01", "duration": "P1D", "timezone": "UTC"}]


@pytest.fixture
def folder(tmp_path: Path) -> str:
    return f"file://{tmp_path}/state"


@pytest.fixture
def board(folder: str) -> Callable[[], Board]:
    return lambda: build(StateReader(folder).read(), None, datetime.now(UTC))


def target(board: Board, agent: str = HOTELS, environment: str = PRE_RELEASE) -> Any:
    (project,) = [each for each in board.projects if each.name == agent]
    return project.targets[environment]


def look(polyai: Emulated, folder: str) -> None:
    task = make(PolyAIDriftOperator, task_id="look", spec=SPEC, state_folder=folder)
    assert polyai.run(task).state == "success"


def test_a_search_for_drift_leaves_states_keys_versions_and_their_source(
    polyai: Emulated, folder: str, board: Callable[[], Board]
) -> None:
    look(polyai, folder)

    found = target(board())
    assert found.state is State.READY
    assert found.compared["source"] == f"{HOTELS}/{SANDBOX}"
    assert ["~", "holiday_message"] in [key for item in found.compared["items"] for key in item["keys"]]
    live = target(board(), environment=LIVE)
    assert live.version["version"].startswith("1d6710c6")
    assert live.version["author"] == "Mara Lindqvist"
    assert "Joyeux" not in next(iter((Path(folder[7:]) / "status").iterdir())).read_text()


def test_a_promotion_goes_from_ready_over_waiting_to_in_sync(
    polyai: Emulated, folder: str, board: Callable[[], Board]
) -> None:
    with DAG("gated", schedule=None):
        group: Any = promotion(spec=SPEC, approval=True, state_folder=folder, freeze=FREEZE)
    plan, approval, apply = (group[name] for name in ("plan", "approval", "apply"))

    assert polyai.run(plan).state == "success"
    assert target(board()).state is State.READY
    asked = polyai.run(approval)
    assert target(board()).state is State.WAITING
    answered = answer(polyai.runner, approval, asked, "Approve")
    assert answered.state == "success"
    assert target(board()).state is State.READY
    assert polyai.run(apply).state == "success"
    done = target(board())
    assert done.state is State.IN_SYNC
    assert done.applied["outcome"] == "changed"
    assert done.applied["run"]["dag_id"] == "gated"
    assert board().freeze == (FREEZE[0],)
    assert board().stop_variables == ("voice_agents_stop",)


def test_a_rejected_plan_waits_no_more(polyai: Emulated, folder: str, board: Callable[[], Board]) -> None:
    with DAG("gated", schedule=None):
        group: Any = promotion(spec=SPEC, approval=True, state_folder=folder)
    polyai.run(group["plan"])
    answer(polyai.runner, group["approval"], polyai.run(group["approval"]), "Reject")

    assert target(board()).state is State.READY


@pytest.mark.parametrize(("dry_run", "state"), [(True, State.READY), (False, State.IN_SYNC)])
def test_every_writing_operator_leaves_records_a_dry_run_too(
    polyai: Emulated, folder: str, board: Callable[[], Board], dry_run: bool, state: State
) -> None:
    task = make(
        PolyAIUpdateConfigOperator,
        task_id="update",
        targets=place(ROSA, PRE_RELEASE),
        values={"holiday_message": "Closed."},
        dry_run=dry_run,
        state_folder=folder,
    )
    assert polyai.run(task).state == "success"

    assert target(board(), ROSA).state is state
    assert bool(target(board(), ROSA).applied) is not dry_run


def test_the_plan_of_a_release_leaves_a_record_too(
    polyai: Emulated, folder: str, board: Callable[[], Board]
) -> None:
    polyai.server.switches.update({"simplified": [ROSA], "branch_divergence": "shown"})
    plan = PolyAIPlanReleaseOperator(
        task_id="plan", agent_id=ROSA, branch="christmas-menu", state_folder=folder
    )
    assert polyai.run(plan).state == "success"

    found = target(board(), ROSA, LIVE)
    assert found.state is State.READY
    assert found.compared["operation"] == "release branch"
    assert not found.applied


def test_each_wave_of_a_rollout_is_told(
    polyai: Emulated, folder: str, board: Callable[[], Board], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[list[Any]] = []
    write = StateFiles.write

    def watching(self: StateFiles, name: str, content: bytes) -> None:
        write(self, name, content)
        if "/status" in self.url(name):
            applied = [project.targets[PRE_RELEASE].applied for project in board().projects]
            seen.append([each.get("wave") or each.get("outcome") for each in applied])

    monkeypatch.setattr(StateFiles, "write", watching)
    task = make(
        PolyAIUpdateConfigOperator,
        task_id="update",
        targets=[place(agent, PRE_RELEASE) for agent in (HOTELS, ROSA, BANK)],
        values={"holiday_message": "Closed."},
        waves=[1, "100%"],
        state_folder=folder,
    )
    assert polyai.run(task).state == "success"

    assert seen == [["running"] * 3, [[1, 2]] * 3, [[2, 2]] * 3, ["changed"] * 3]


def test_checks_are_told_of_the_environments_that_they_look_at(
    polyai: Emulated, folder: str, board: Callable[[], Board], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__VOICE_AGENTS__STATE_FOLDER", folder)
    alerts = {"check": "alerts", "project_ids": [HOTELS]}
    chat = {"check": "conversations", "agent_id": HOTELS, "environment": PRE_RELEASE}
    task = make(PolyAICheckPromotionOperator, task_id="check", checks=[alerts, chat], on_unclear="pass")
    polyai.run(task)

    checks = target(board()).sections["checks"]
    assert [set(each) for each in checks["checks"]] == [{"name", "verdict"}] * 2


def test_a_state_folder_that_cannot_be_written_fails_no_search(
    polyai: Emulated, folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise PermissionError

    monkeypatch.setattr(StateFiles, "write", fail)
    look(polyai, folder)

    assert "The status page was not told about this run (PermissionError)" in polyai.runner.log
