"""The releases of both models in a whole Airflow: to their end, to a failed gate, and back by themselves."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from support.airflow_home import AirflowServices
from support.answers import WAITING
from support.emulated import LIVE, ROSA
from support.whole_airflow import WholeAirflow, wait_until

EXAMPLE = Path(__file__).parents[2] / "example_dags" / "release_pipeline.py"
DAG_ID = EXAMPLE.stem
BY_MERGE = EXAMPLE.with_name("release_by_merge.py")
RULE = "ar_0EverySlowTurn"
RULES, PROMOTE, BACK = "list alert rules", "promote deployment", "roll back deployment"
MERGE = "merge branch"
APPROVAL = "live.approval"
BEFORE_THE_WATCH = (
    *("merge", "publish", "tests", "to_pre_release", "smoke", "moment"),
    *("live.plan", APPROVAL, "live.apply", "live.verify"),
)
BUSY = ("running", "queued", "restarting")
PAUSED = re.compile(r'"timestamp":\s*"([^"]+)"[^\n]*"event":\s*"Pausing task as')
"""What a task logs when it leaves its worker; the scheduler's log has it only since Airflow 3.2."""


class Stage(WholeAirflow):
    """A running Airflow with the release pipeline, and the local server that its connection leads to."""

    def reset(self) -> None:
        """The shipped seed on the clock of this machine; deployments start a test run each."""
        super().reset()
        server = self.polyai.server
        server.state.switches.wall_clock = True
        server.state.switches.tested = [ROSA]
        server.polyai.set_alert(RULE, "ok", lastEvaluatedAt=0)
        server.journal.clear()

    def start(self, minutes: float, dag_id: str = DAG_ID) -> Run:
        """Start a release whose watch lasts so long."""
        wait_until(lambda: self.airflow.request("GET", f"/api/v2/dags/{dag_id}")["dag_id"] == dag_id)
        body = {"logical_date": None, "conf": {"watch_minutes": minutes, "poll_seconds": 1}}
        run_id = self.airflow.request("POST", f"/api/v2/dags/{dag_id}/dagRuns", body)["dag_run_id"]
        return Run(self.airflow, run_id, dag_id)

    def versions(self, environment: str = LIVE) -> list[str]:
        """Versions that an environment has run, one after the other."""
        deployments = self.polyai.server.polyai.agents[ROSA]["deployments"]
        return [str(each["version"]) for each in deployments if each["environment"] == environment]

    def looks(self) -> int:
        """How often the rules were asked for."""
        return self.polyai.requests().get(RULES, 0)

    def holds(self) -> list[str]:
        """Names of the files that hold targets."""
        return [path.name for path in (self.airflow.home.path / "voice-agents" / "holds").glob("*")]


@dataclass(frozen=True)
class Run:
    """A run of one of the pipelines."""

    airflow: AirflowServices
    run_id: str
    dag_id: str = DAG_ID

    @property
    def path(self) -> str:
        return f"/api/v2/dags/{self.dag_id}/dagRuns/{self.run_id}"

    def states(self) -> dict[str, str]:
        """State per task."""
        found = self.airflow.request("GET", f"{self.path}/taskInstances")["task_instances"]
        return {each["task_id"]: each["state"] for each in found}

    def reach(self, task_id: str, state: str) -> None:
        """Wait until a task has a state and no worker any more; it holds no slot then, nor does any other."""
        wait_until(lambda: self.states().get(task_id) in (state, "failed", "up_for_retry"))
        states = self.states()
        assert states[task_id] == state, f"{states}\n{self.logs(task_id)}"
        assert [each for each in states.values() if each in BUSY] == []
        pool = self.airflow.request("GET", "/api/v2/pools/default_pool")
        assert (pool["running_slots"], pool["queued_slots"]) == (0, 0)

    def leave(self, task_id: str, turns: int = 1) -> None:
        """Wait until the scheduler knows that a task has left its worker so often; nothing wakes it before that.

        What wakes it earlier meets the executor's late "success", which Airflow takes for a task that was killed
        from outside.
        """
        wait_until(lambda: self._has_left(task_id, turns))

    def answer(self, task_id: str, option: str, *, turns: int = 1) -> None:
        """Wait for a question, and answer it as a person does.

        :param turns: how often the task has left a worker by then.
        """
        self.leave(task_id, turns)
        self.reach(task_id, WAITING)
        details = f"{self.path}/taskInstances/{task_id}/-1/hitlDetails"
        self.airflow.request("PATCH", details, {"chosen_options": [option], "params_input": {}})

    def end(self) -> str:
        """Wait for the run's end and return its state."""
        wait_until(
            lambda: self.airflow.request("GET", self.path)["state"] in ("success", "failed"), said=self.trail
        )
        return str(self.airflow.request("GET", self.path)["state"])

    def xcom(self, task_id: str, key: str = "return_value") -> Any:
        """An XCom of a task."""
        return self.airflow.request("GET", f"{self.path}/taskInstances/{task_id}/xcomEntries/{key}")["value"]

    def logs(self, task_id: str) -> str:
        """What a task logged in its latest try."""
        path = f"{self.path}/taskInstances/{task_id}"
        tried = self.airflow.request("GET", path)["try_number"]
        return str(self.airflow.request("GET", f"{path}/logs/{tried}")["content"])

    def trail(self) -> str:
        """Return what a test that waited in vain shows: states, what the watch logged, and the scheduler on it."""
        log = (self.airflow.home.path / "scheduler.log").read_text().splitlines()
        mine = [line for line in log if self.run_id in line and "watch" in line]
        return "\n".join([str(self.states()), self.logs("watch"), *mine])

    def _has_left(self, task_id: str, turns: int) -> bool:
        """Whether the scheduler has taken in the last exit of the task.

        Of two turns in quick succession a busy scheduler logs one event, or the first after
        the second turn; so where fewer events than turns are logged, two more heartbeats have to pass.
        """
        home = self.airflow.home.path
        own = home.glob(f"logs/dag_id={self.dag_id}/run_id={self.run_id}/task_id={task_id}/attempt=*.log")
        left = sorted(when for path in own for when in PAUSED.findall(path.read_text()))
        heard = [
            line.split()[0]
            for line in (home / "scheduler.log").read_text().splitlines()
            if "executor event with state success" in line
            and f"task_id='{task_id}', run_id='{self.run_id}'" in line
        ]
        if len(left) < turns or not heard or heard[-1] < left[-1]:
            return False
        if len(heard) < len(left):
            for _ in range(2):
                beat = self._heartbeat()
                wait_until(lambda beat=beat: self._heartbeat() != beat)  # type: ignore[misc]
        return True

    def _heartbeat(self) -> str:
        """When the scheduler last said, once in a loop, that it lives."""
        health = self.airflow.request("GET", "/api/v2/monitor/health")
        return str(health["scheduler"]["latest_scheduler_heartbeat"])


@pytest.fixture
def stage(running_airflow: WholeAirflow) -> Stage:
    stage = Stage(running_airflow.airflow, running_airflow.polyai)
    stage.reset()
    return stage


def test_a_release_that_holds_ends_well(stage: Stage) -> None:
    before = stage.versions()

    run = stage.start(minutes=0.1)
    run.answer(APPROVAL, "Approve")

    assert run.end() == "success", run.states()
    assert set(run.states().values()) == {"success"}
    found = run.xcom("watch")
    assert (found["verdict"], [each["verdict"] for each in found["checks"]]) == ("passed", ["passed"])
    assert found["looks"] >= 2
    assert stage.versions()[:-1] == before
    assert stage.versions()[-1] == stage.versions("pre-release")[-1] == stage.versions("sandbox")[-1]
    assert stage.polyai.requests()[PROMOTE] == 2
    assert BACK not in stage.polyai.requests()
    assert stage.holds() == []


@pytest.mark.parametrize("triggerer_dies", [False, True], ids=["undisturbed", "triggerer-killed"])
def test_a_release_that_does_not_hold_goes_back_by_itself(stage: Stage, triggerer_dies: bool) -> None:
    before = stage.versions()

    run = stage.start(minutes=30)
    run.answer(APPROVAL, "Approve")
    run_reaches_its_watch(stage, run)
    if triggerer_dies:
        stage.airflow.kill("triggerer")
    stage.polyai.server.polyai.set_alert(RULE, "alert")
    if triggerer_dies:
        time_passes_without_a_look(stage)
        assert run.states()["watch"] == "deferred"
        stage.airflow.start("triggerer")

    assert run.end() == "failed"
    states = run.states()
    assert {states.pop(each) for each in BEFORE_THE_WATCH} == {"success"}
    assert states == {"watch": "failed", "finish": "upstream_failed"}
    assert f"Rolled back: {ROSA}/{LIVE}" in run.logs("watch")
    assert run.xcom("watch", "verdict")["verdict"] == "failed"
    assert run.xcom("watch", "report")["counts"]["changed"] == 1
    assert stage.versions() == [*before, stage.versions("pre-release")[-1], before[-1]]
    assert {each: stage.polyai.requests()[each] for each in (PROMOTE, BACK)} == {PROMOTE: 2, BACK: 1}
    assert len(stage.holds()) == 1


def test_a_person_decides_where_the_watch_came_to_no_verdict(stage: Stage) -> None:
    before = stage.versions()
    stage.polyai.server.polyai.set_alert(RULE, "no_data")

    run = stage.start(minutes=0.05)
    run.answer(APPROVAL, "Approve")
    run.answer("watch", "Watch again", turns=2)
    run.answer("watch", "Roll back", turns=4)

    assert run.end() == "failed"
    assert run.states()["watch"] == "failed"
    assert run.xcom("watch", "verdict")["answer"]["option"] == "Roll back"
    assert stage.versions() == [*before, stage.versions("pre-release")[-1], before[-1]]
    assert stage.polyai.requests()[BACK] == 1
    assert len(stage.holds()) == 1


def on_branches(stage: Stage, **switches: Any) -> None:
    """Put the agent on the branches model; test runs end at their first look."""
    stage.polyai.server.switches.update({"simplified": [ROSA], "test_run_reads": 0, **switches})


def test_a_release_by_merge_that_holds_ends_well(stage: Stage) -> None:
    on_branches(stage)
    before = stage.versions()

    run = stage.start(0.05, BY_MERGE.stem)
    run.answer("release.approval", "Approve")

    assert run.end() == "success", run.states()
    assert set(run.states().values()) == {"success"}
    assert stage.versions()[:-1] == before
    assert run.xcom("release.apply", "version") == stage.versions()[-1]
    assert run.xcom("release.apply", "previous_version") == before[-1]
    assert run.xcom("release.watch")["verdict"] == "passed"
    assert {each: stage.polyai.requests().get(each, 0) for each in (MERGE, PROMOTE, BACK)} == {
        MERGE: 1,
        PROMOTE: 0,
        BACK: 0,
    }
    assert stage.holds() == []


def test_a_release_by_merge_whose_tests_fail_is_not_merged(stage: Stage) -> None:
    on_branches(stage, test_run_outcome="failed")
    before = stage.versions()

    run = stage.start(0.05, BY_MERGE.stem)

    assert run.end() == "failed"
    states = run.states()
    assert (states["release.tests"], states["release.tested"]) == ("success", "failed")
    assert {states[f"release.{each}"] for each in ("plan", "approval", "apply", "verify", "watch")} == {
        "upstream_failed"
    }
    assert stage.versions() == before
    assert MERGE not in stage.polyai.requests()


def test_a_release_by_merge_that_does_not_hold_goes_back_by_itself(stage: Stage) -> None:
    on_branches(stage)
    before = stage.versions()

    run = stage.start(30, BY_MERGE.stem)
    run.answer("release.approval", "Approve")
    run_reaches_its_watch(stage, run, "release.watch")
    stage.polyai.server.polyai.set_alert(RULE, "alert")

    assert run.end() == "failed"
    assert run.states()["release.watch"] == "failed"
    assert f"Rolled back: {ROSA}/{LIVE}" in run.logs("release.watch")
    assert stage.versions() == [*before, run.xcom("release.apply", "version"), before[-1]]
    assert {each: stage.polyai.requests()[each] for each in (MERGE, BACK)} == {MERGE: 1, BACK: 1}
    assert len(stage.holds()) == 1


def run_reaches_its_watch(stage: Stage, run: Run, watch: str = "watch") -> None:
    """Wait until the triggerer has looked a few times; nobody holds a slot meanwhile."""
    run.reach(watch, "deferred")
    run.leave(watch)
    asked = stage.looks()
    wait_until(lambda: stage.looks() >= asked + 2)
    run.reach(watch, "deferred")


def time_passes_without_a_look(stage: Stage) -> None:
    """Nobody asks for the rules any more, once what was under way has ended."""
    wait_until(lambda: (stage.looks(), time.sleep(2), stage.looks())[0] == stage.looks())
