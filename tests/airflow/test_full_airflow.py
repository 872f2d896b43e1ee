"""A whole Airflow: scheduler, triggerer, API server and DAG processor run a promotion that has to wait."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from airflow_voice_agents.emulator.server import EmulatorServer
from support.airflow_home import AirflowHome, AirflowServices
from support.emulated import HOTELS, LIVE, PAGES, PRE_RELEASE, SANDBOX, Emulated

EXAMPLE = Path(__file__).parents[2] / "example_dags" / "promote_config_in_one_project.py"
DAG_ID = EXAMPLE.stem


@pytest.fixture
def impatient_example(tmp_path: Path) -> Path:
    """The example DAG, with a sensor that asks every second instead of every minute."""
    text = EXAMPLE.read_text()
    assert text.count("poke_interval=60,") == 1
    path = tmp_path / EXAMPLE.name
    path.write_text(text.replace("poke_interval=60,", "poke_interval=1,"))
    return path


def test_a_promotion_waits_in_the_triggerer_until_it_is_accepted(
    airflow_home: AirflowHome, impatient_example: Path
) -> None:
    with EmulatorServer() as server:
        polyai = Emulated(server)
        set_mocks(polyai, on=True)
        live_before = polyai.values(HOTELS, LIVE)
        airflow_home.connect("polyai_default", conn_type="polyai", host=server.url, password=polyai.key)
        airflow_home.add_dag(impatient_example)

        with AirflowServices(airflow_home) as airflow, ThreadPoolExecutor(1) as people:
            running = people.submit(airflow.run_dag, DAG_ID)
            try:
                wait_until(lambda: state_of(airflow, "wait_for_acceptance") == "deferred")
                asked = polyai.requests()[PAGES]
                wait_until(lambda: polyai.requests()[PAGES] >= asked + 3)
                assert state_of(airflow, "wait_for_acceptance") == "deferred"
                assert polyai.values(HOTELS, LIVE) == live_before
                assert polyai.values(HOTELS, PRE_RELEASE)["late_arrival_cutoff"] == "22:30"
            finally:
                set_mocks(polyai, on=False)
            run_id = running.result(timeout=180)

            tasks = task_instances(airflow, run_id)
            assert {name: each["state"] for name, each in tasks.items()} == {
                "promote_to_pre_release": "success",
                "wait_for_acceptance": "success",
                "promote_to_live": "success",
            }
            report = xcom(airflow, run_id, "promote_to_live", "report")
            events = airflow.request("GET", f"/api/v2/assets/events?source_dag_id={DAG_ID}")["asset_events"]

        assert report["counts"]["changed"] == report["counts"]["total"] == 1
        assert [(item["owner"], item["name"], item["status"]) for item in report["items"]] == [
            (HOTELS, LIVE, "changed")
        ]
        assert "Joyeux" not in str(report)
        assert {event["uri"] for event in events} == {
            f"polyai://agents/{HOTELS}/environments/{stage}/config" for stage in (PRE_RELEASE, LIVE)
        }
        assert (
            polyai.values(HOTELS, LIVE)["holiday_message"]
            == polyai.values(HOTELS, SANDBOX)["holiday_message"]
        )
        assert polyai.values(HOTELS, LIVE)["fallback_number"] == live_before["fallback_number"]
    assert airflow_home.processes() == []


def set_mocks(polyai: Emulated, *, on: bool) -> None:
    """Switch pre-release to the mock or the real booking system, as testers do in Agent Studio."""
    settings = polyai.values(HOTELS, PRE_RELEASE)["settings"]
    polyai.put(HOTELS, PRE_RELEASE, settings={**settings, "use_mock_api": on})


def state_of(airflow: AirflowServices, task_id: str) -> str | None:
    """State of a task of the only run, or ``None`` before there is one."""
    runs = airflow.request("GET", f"/api/v2/dags/{DAG_ID}/dagRuns")["dag_runs"]
    return task_instances(airflow, runs[0]["dag_run_id"])[task_id]["state"] if runs else None


def task_instances(airflow: AirflowServices, run_id: str) -> dict[str, dict[str, Any]]:
    """Task instances of a run by task id."""
    found = airflow.request("GET", f"/api/v2/dags/{DAG_ID}/dagRuns/{run_id}/taskInstances")
    return {each["task_id"]: each for each in found["task_instances"]}


def xcom(airflow: AirflowServices, run_id: str, task_id: str, key: str) -> Any:
    """An XCom as the REST API gives it out."""
    path = f"/api/v2/dags/{DAG_ID}/dagRuns/{run_id}/taskInstances/{task_id}/xcomEntries/{key}"
    return airflow.request("GET", path)["value"]


def wait_until(condition: Callable[[], bool], seconds: float = 180) -> None:
    """Wait for a condition, which must come true in time."""
    deadline = time.monotonic() + seconds
    while not quietly(condition):
        assert time.monotonic() < deadline, "the condition did not come true"
        time.sleep(0.25)


def quietly(condition: Callable[[], bool]) -> bool:
    """Ask; an Airflow that does not know the DAG or the run yet is no answer."""
    try:
        return condition()
    except (OSError, KeyError):
        return False
