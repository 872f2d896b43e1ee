"""Promotions in a whole Airflow, their approvals answered over its REST API."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from support.airflow_home import AirflowServices
from support.answers import WAITING
from support.emulated import (
    BANK,
    HOTELS,
    KEY,
    LIVE,
    PAGES,
    PRE_RELEASE,
    ROSA,
    SANDBOX,
    SCHEMA,
    VALUES,
)
from support.whole_airflow import WholeAirflow, wait_until

GATED, FLEET, EACH, UNDO = (
    "promote_with_approval",
    "promote_fleet_in_waves",
    "promote_each_with_its_own_approval",
    "roll_back_a_promotion",
)
IMPATIENT, LENIENT = "promote_impatiently", "promote_leniently"
PLAN, APPROVAL, APPLY, VERIFY = (f"promotion.{each}" for each in ("plan", "approval", "apply", "verify"))
NEWS = "planted-news-4711"
SECRETS = (*(f"fake-{each}-pms-key" for each in ("sandbox", "prerelease", "live")), KEY)
SHOWN_IN = {
    ("xcom", "plan_markdown"),
    ("rendered_task_instance_fields", APPROVAL),
    ("hitl_detail", "body"),
    ("hitl_detail_history", "body"),
}
"""Where Airflow's database may hold config values: the plan for people, and the question with it."""
ACTIVE, DEPLOYED, PROMOTE = "get active deployments", "list deployments", "promote deployment"


class Stage(WholeAirflow):
    """A running Airflow with the example DAGs, and the local server that their connection leads to."""

    def reset(self) -> None:
        """The shipped seed, with news in sandbox and pre-release; no request so far."""
        super().reset()
        for environment in (SANDBOX, PRE_RELEASE):
            self.polyai.put(HOTELS, environment, holiday_message=NEWS)
        self.polyai.server.journal.clear()

    def start(self, dag_id: str, **conf: Any) -> Run:
        """Trigger a DAG; the requests of earlier runs are forgotten."""
        self.polyai.server.journal.clear()
        wait_until(lambda: self.airflow.request("GET", f"/api/v2/dags/{dag_id}")["dag_id"] == dag_id)
        body = {"logical_date": None, "conf": conf}
        run_id = self.airflow.request("POST", f"/api/v2/dags/{dag_id}/dagRuns", body)["dag_run_id"]
        return Run(self.airflow, dag_id, run_id)

    def live_version(self) -> str:
        """Version that live of the hotels runs."""
        deployments = self.polyai.server.polyai.agents[HOTELS]["deployments"]
        return str([each["version"] for each in deployments if each["environment"] == LIVE][-1])


@dataclass(frozen=True)
class Run:
    """A DAG run."""

    airflow: AirflowServices
    dag_id: str
    run_id: str

    @property
    def path(self) -> str:
        return f"/api/v2/dags/{self.dag_id}/dagRuns/{self.run_id}"

    def question(self, task_id: str = APPROVAL, map_index: int = -1) -> Mapping[str, Any]:
        """Wait until a task waits for a person, and return what it asks."""
        wait_until(lambda: self.states().get(named(task_id, map_index)) in (WAITING, "failed"))
        wait_until(lambda: self._parked(task_id, map_index))
        asked = self.airflow.request("GET", self._details(task_id, map_index))
        assert asked["task_instance"]["state"] == WAITING, self.logs(task_id, map_index)
        return dict(asked)

    def answer(self, option: str, task_id: str = APPROVAL, map_index: int = -1) -> None:
        """Answer as a person does in the web interface."""
        body = {"chosen_options": [option], "params_input": {}}
        self.airflow.request("PATCH", self._details(task_id, map_index), body)

    def end(self) -> str:
        """Wait for the run's end and return its state."""
        wait_until(lambda: self.airflow.request("GET", self.path)["state"] in ("success", "failed"))
        return str(self.airflow.request("GET", self.path)["state"])

    def states(self) -> dict[str, str]:
        """State per task instance."""
        found = self.airflow.request("GET", f"{self.path}/taskInstances")["task_instances"]
        return {named(each["task_id"], each["map_index"]): each["state"] for each in found}

    def xcom(self, task_id: str, key: str = "return_value") -> Any:
        """An XCom of an unmapped task."""
        entry = self.airflow.request("GET", f"{self.path}/taskInstances/{task_id}/xcomEntries/{key}")
        return entry["value"]

    def logs(self, task_id: str, map_index: int = -1) -> str:
        """What a task logged in its first try."""
        path = f"{self.path}/taskInstances/{task_id}/logs/1?map_index={map_index}"
        return str(self.airflow.request("GET", path)["content"])

    def _parked(self, task_id: str, map_index: int) -> bool:
        """Tell whether the scheduler knows that the task has left its worker.

        Airflow takes an answer that comes before that for a crash, and asks again; people are never so quick.
        """
        key = f"task_id='{task_id}', run_id='{self.run_id}', try_number=1, map_index={map_index})"
        log = (self.airflow.home.path / "scheduler.log").read_text()
        return any("executor event with state success" in line and key in line for line in log.splitlines())

    def _details(self, task_id: str, map_index: int) -> str:
        return f"{self.path}/taskInstances/{task_id}/{map_index}/hitlDetails"


@pytest.fixture
def stage(running_airflow: WholeAirflow) -> Iterator[Stage]:
    stage = Stage(running_airflow.airflow, running_airflow.polyai)
    stage.reset()
    yield stage
    home = stage.airflow.home.path
    assert leaks(home, SECRETS) == []
    assert leaks(home, ["holiday_message"]), "keys may be told; where they are not found, nothing is searched"
    logs = ("logs/", "scheduler.log")  # the workers of this Airflow log to the scheduler's output too
    assert [path for path, _ in leaks(home, [NEWS]) if not path.startswith(("airflow.db", *logs))] == []
    found = rows_with(home / "airflow.db", NEWS)
    assert found, "values are shown to people"
    assert [
        row for row in found if not any(table == row[0] and mark in row[1] for table, mark in SHOWN_IN)
    ] == []


def test_approved_applied_undone_held_and_released(stage: Stage) -> None:
    polyai = stage.polyai
    before, deployed = polyai.values(HOTELS, LIVE), stage.live_version()

    run = stage.start(GATED)
    asked = run.question()
    assert polyai.writes() == 0
    digest = run.xcom(PLAN)["digest"]
    assert asked["subject"] == f"{HOTELS} pre-release → live: 7 keys, deployment"
    assert asked["body"].endswith(run.xcom(PLAN, "plan_markdown"))
    run.answer("Approve")

    assert run.end() == "success", run.states()
    assert run.states() == dict.fromkeys((PLAN, APPROVAL, APPLY, VERIFY), "success")
    assert run.xcom(APPROVAL) == run.xcom(APPLY)["plan_digest"] == digest
    assert polyai.values(HOTELS, LIVE)["holiday_message"] == NEWS
    assert polyai.values(HOTELS, LIVE)["pms_api_key"] == before["pms_api_key"]
    assert stage.live_version() != deployed
    written = polyai.requests()
    assert {each: written[each] for each in (SCHEMA, VALUES, PROMOTE)} == {SCHEMA: 1, VALUES: 1, PROMOTE: 1}
    assert polyai.writes() == 3

    again = stage.start(GATED)
    assert again.end() == "success", again.states()
    assert set(again.states().values()) == {"success"}
    assert "Nothing to approve" in again.logs(APPROVAL)
    assert polyai.writes() == 0

    undone = stage.start(UNDO, run_id=run.run_id, reason="for the test")
    assert undone.end() == "success", undone.logs("roll_back")
    assert undone.states()["release_hold"] == "skipped"
    assert {**polyai.values(HOTELS, LIVE), "holiday_message": None} == {**before, "holiday_message": None}
    assert stage.live_version() == deployed

    held = stage.start(GATED)
    assert held.end() == "failed"
    assert held.states() == {PLAN: "failed", **dict.fromkeys((APPROVAL, APPLY, VERIFY), "upstream_failed")}
    assert "hold" in held.logs(PLAN)
    assert polyai.writes() == 0

    released = stage.start(UNDO, action="release hold")
    assert released.end() == "success", released.states()
    assert released.xcom("release_hold") == [f"{HOTELS}/{LIVE}"]
    anew = stage.start(GATED)
    assert anew.question()["task_instance"]["state"] == WAITING
    anew.answer("Reject")
    assert anew.end() == "failed"


def test_rejected_or_unanswered_nothing_is_written(stage: Stage) -> None:
    before = stage.polyai.state()

    rejected, lenient, ignored = (stage.start(each) for each in (GATED, LENIENT, IMPATIENT))
    for run in (rejected, lenient):
        run.question()
        run.answer("Reject")

    assert (rejected.end(), ignored.end(), lenient.end()) == ("failed", "failed", "success")
    for run in (rejected, ignored):
        assert run.states() == {
            PLAN: "success",
            APPROVAL: "failed",
            **dict.fromkeys((APPLY, VERIFY), "upstream_failed"),
        }
    assert lenient.states() == {
        PLAN: "success",
        APPROVAL: "success",
        **dict.fromkeys((APPLY, VERIFY), "skipped"),
    }
    assert "rejected by" in rejected.logs(APPROVAL)
    assert stage.polyai.writes() == 0
    assert stage.polyai.state() == before


def test_a_fleet_is_approved_once_and_reached_in_waves(stage: Stage) -> None:
    polyai = stage.polyai
    projects = (ROSA, BANK, HOTELS)

    run = stage.start(FLEET, override_freeze="tests do not look at the calendar")
    assert run.question()["subject"] == "3 projects → pre-release: 2 keys each, from several sources"
    run.answer("Approve")

    assert run.end() == "success", run.states()
    messages = {each: polyai.values(each, PRE_RELEASE)["holiday_message"] for each in projects[:2]}
    assert messages == dict.fromkeys(projects[:2], NEWS)
    assert polyai.requests() == {PAGES: 3 + 3 + 2 + 3, VALUES: 2}
    assert "wave" in run.logs(APPLY).lower()
    (baseline,) = (stage.airflow.home.path / "voice-agents" / "baselines").glob("*notices*")
    assert ROSA in baseline.read_text()


def test_each_project_is_decided_on_its_own(stage: Stage) -> None:
    polyai = stage.polyai
    before = polyai.values(BANK, PRE_RELEASE)
    approval = f"one_project.{APPROVAL}"

    run = stage.start(EACH)
    subjects = [run.question(approval, index)["subject"] for index in (0, 1)]
    assert [each.split(" ")[0] for each in subjects] == [ROSA, BANK]
    run.answer("Approve", approval, 0)
    run.answer("Reject", approval, 1)

    assert run.end() == "failed"
    states = run.states()
    assert {states[f"one_project.{each}[0]"] for each in (PLAN, APPROVAL, APPLY, VERIFY)} == {"success"}
    assert states[f"one_project.{APPROVAL}[1]"] == "failed"
    assert {states[f"one_project.{each}[1]"] for each in (APPLY, VERIFY)} == {"upstream_failed"}
    assert polyai.values(ROSA, PRE_RELEASE)["holiday_message"] == NEWS
    assert polyai.values(BANK, PRE_RELEASE) == before
    assert polyai.requests()[VALUES] == polyai.writes() == 1


def leaks(folder: Path, words: Iterable[str]) -> list[tuple[str, str]]:
    """Files of an Airflow home, its database and logs among them, that hold one of the words."""
    return [
        (str(path.relative_to(folder)), secret)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
        for secret in words
        if secret.encode() in path.read_bytes()
    ]


def rows_with(database: Path, word: str) -> list[tuple[str, str]]:
    """Rows of a database that hold a word: the table, and the row as text with the names of its columns."""
    with closing(sqlite3.connect(database)) as connection:
        connection.row_factory = sqlite3.Row
        tables = [
            row["name"] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        ]
        rows = (
            (table, str(dict(row)))
            for table in tables
            for row in connection.execute(f'SELECT * FROM "{table}"')  # noqa: S608  a table's own name
        )
        return [(table, row) for table, row in rows if word in row]


def named(task_id: str, map_index: int) -> str:
    """A task instance as the tests name it."""
    return task_id if map_index < 0 else f"{task_id}[{map_index}]"
