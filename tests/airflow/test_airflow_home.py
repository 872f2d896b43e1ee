"""Canaries for full runs: a DAG in a process of its own, and a whole Airflow that leaves nothing behind."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from support.airflow_home import AirflowHome, AirflowServices
from support.dag_forks import DagForks

DAG_FILE = """
from airflow.sdk import Asset, BaseHook, dag, task


@dag(dag_id="canary", schedule=None)
def canary():
    @task(outlets=[Asset(name="canary", uri="x-canary://one")])
    def say(outlet_events=None, dag_run=None):
        outlet_events[Asset(name="canary", uri="x-canary://one")].extra = {"digest": "abc"}
        return [BaseHook.get_connection("canary").login, dag_run.conf["word"]]

    @task
    def shout(word):
        return word.upper()

    shout.expand(word=say())


canary()
"""


PARENT = """
import subprocess, sys
subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, start_new_session=True)
print("started", flush=True)
input()
"""


@pytest.fixture
def dag_file(tmp_path: Path) -> Path:
    path = tmp_path / "canary.py"
    path.write_text(DAG_FILE)
    return path


def test_a_dag_runs_from_start_to_end_in_its_own_home(airflow_home: AirflowHome, dag_file: Path) -> None:
    airflow_home.connect("canary", conn_type="http", login="me")

    run = airflow_home.run_dag_file(dag_file, conf={"word": "hello"})

    assert run.state == "success", run.output
    assert run.tasks == {"say": "success", "shout[0]": "success", "shout[1]": "success"}
    assert run.xcoms["say"]["return_value"] == ["me", "hello"]
    assert run.xcoms["shout[1]"]["return_value"] == "HELLO"
    assert run.asset_events == [{"uri": "x-canary://one", "extra": {"digest": "abc"}}]


def test_a_failed_task_is_a_result_and_not_an_error_of_the_tests(
    airflow_home: AirflowHome, dag_file: Path
) -> None:
    run = airflow_home.run_dag_file(dag_file, conf={"word": "hello"})

    assert run.state == "failed"
    assert run.tasks["say"] == "failed"
    assert "canary" in run.output


def test_runs_of_two_homes_come_from_one_process_and_share_nothing(
    airflow_home: AirflowHome, airflow_template: Path, dag_forks: DagForks, dag_file: Path, tmp_path: Path
) -> None:
    other = AirflowHome.create(tmp_path / "other-home", airflow_template, dag_forks)
    airflow_home.connect("canary", conn_type="http", login="me")
    other.connect("canary", conn_type="http", login="you")

    runs = [home.run_dag_file(dag_file, conf={"word": "hello"}) for home in (airflow_home, other)]

    assert [run.xcoms["say"]["return_value"][0] for run in runs] == ["me", "you"]
    assert [len(run.asset_events) for run in runs] == [1, 1]
    assert {path.name for path in other.path.iterdir()} >= {"airflow.db", "dags", "run.json"}
    assert airflow_home.processes() == other.processes() == []


@pytest.mark.parametrize("settings", [{}, {"AIRFLOW__CORE__PARALLELISM": "3"}], ids=["forked", "anew"])
def test_a_setting_that_airflow_reads_at_its_start_starts_it_anew(
    airflow_home: AirflowHome, dag_file: Path, settings: dict[str, str]
) -> None:
    who = "str(__import__('os').getppid())"
    dag_file.write_text(DAG_FILE.replace('BaseHook.get_connection("canary").login', who))
    airflow_home.settings |= settings

    run = airflow_home.run_dag_file(dag_file, conf={"word": "hello"})

    assert run.state == "success", run.output
    parent, _ = run.xcoms["say"]["return_value"]
    assert (parent == str(os.getpid())) == bool(settings)


def test_a_whole_airflow_runs_a_dag_and_leaves_nothing_behind(
    airflow_home: AirflowHome, dag_file: Path
) -> None:
    airflow_home.connect("canary", conn_type="http", login="me")
    airflow_home.add_dag(dag_file)

    with AirflowServices(airflow_home) as airflow:
        assert len(airflow_home.processes()) >= 4
        run_id = airflow.run_dag("canary", conf={"word": "hello"})
        path = f"/api/v2/dags/canary/dagRuns/{run_id}/taskInstances/say/xcomEntries/return_value"
        value = airflow.request("GET", path)["value"]

    assert value == ["me", "hello"]
    assert airflow_home.processes() == []
    with pytest.raises(OSError, match="refused"):
        airflow.request("GET", "/api/v2/monitor/health")


def test_services_that_cannot_start_are_reported_and_cleaned_up(airflow_home: AirflowHome) -> None:
    airflow_home.settings["AIRFLOW__CORE__EXECUTOR"] = "no.such.Executor"

    with pytest.raises(AssertionError, match="ended by itself"), AirflowServices(airflow_home):
        pass

    assert airflow_home.processes() == []


def test_a_process_that_left_its_group_is_found_and_ended(airflow_home: AirflowHome) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT],
        env=airflow_home.environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert parent.stdout is not None
    assert parent.stdout.readline() == b"started\n"
    family = [psutil.Process(parent.pid), *psutil.Process(parent.pid).children()]

    airflow_home.end_processes()

    assert len(family) == 2
    parent.wait(timeout=10)
    assert airflow_home.processes() == []
    assert not any(process.is_running() and process.status() != psutil.STATUS_ZOMBIE for process in family)
