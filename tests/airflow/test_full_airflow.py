"""A whole Airflow: scheduler, triggerer, API server and DAG processor run a promotion that has to wait."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from support.airflow_home import AirflowServices
from support.emulated import HOTELS, LIVE, PAGES, PRE_RELEASE, SANDBOX, Emulated
from support.whole_airflow import WholeAirflow, wait_until

DAG_ID = "promote_soon"


def test_a_promotion_waits_in_the_triggerer_until_it_is_accepted(running_airflow: WholeAirflow) -> None:
    running_airflow.reset()
    airflow, polyai = running_airflow.airflow, running_airflow.polyai
    set_mocks(polyai, on=True)
    live_before = polyai.values(HOTELS, LIVE)

    with ThreadPoolExecutor(1) as people:
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
    assert polyai.values(HOTELS, LIVE)["holiday_message"] == polyai.values(HOTELS, SANDBOX)["holiday_message"]
    assert polyai.values(HOTELS, LIVE)["fallback_number"] == live_before["fallback_number"]


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
