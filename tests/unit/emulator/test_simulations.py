"""Test runs: who starts them, how they go on, and how they end."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from airflow_voice_agents.emulator.server import EmulatorServer

HOTELS, ROSA = "/v1/agents/harbour-hotels", "/v1/agents/rosa-restaurants"
RUNS = f"{HOTELS}/testing/test-runs"
CASES = ["CASE-OPENING", "CASE-BOOKING", "CASE-PERSON"]


def promote(api: httpx.Client, agent: str) -> list[str]:
    (newest, *_) = api.get(f"{agent}/deployments", params={"environment": "sandbox"}).json()["deployments"]
    body = {"targetEnvironment": "pre-release"}
    reply = api.post(f"{agent}/deployments/{newest['id']}/promote", json=body).json()
    return list(reply["testRunIds"])


def looks(api: httpx.Client, run_id: str, times: int) -> list[dict[str, Any]]:
    return [api.get(f"{RUNS}/{run_id}").json() for _ in range(times)]


def test_a_deployment_starts_runs_that_end_after_some_looks(api: httpx.Client) -> None:
    (run_id,) = promote(api, HOTELS)

    seen = looks(api, run_id, 4)

    assert [run["status"] for run in seen] == ["pending", "running", "passed", "passed"]
    assert {run["id"] for run in seen} == {run_id}
    assert (seen[0]["testCaseCount"], seen[0]["passedCount"], seen[3]["passedCount"]) == (3, 0, 3)
    assert [each["testCaseId"] for each in seen[3]["testHistory"]] == CASES


def test_a_merge_starts_runs_too(server: EmulatorServer, api: httpx.Client) -> None:
    server.switches.tested = ["rosa-restaurants"]
    merged = api.post(f"{ROSA}/branches/BRANCH-1F0C77D2/merge", json={}).json()

    (run_id,) = merged["testRunIds"]
    assert api.get(f"{ROSA}/testing/test-runs/{run_id}").json()["testCaseCount"] == 2


def test_projects_without_suites_start_none_unless_the_switch_names_them(
    server: EmulatorServer, api: httpx.Client
) -> None:
    assert promote(api, ROSA) == []

    server.switches.tested = ["rosa-restaurants", "harbour-hotels"]

    assert len(promote(api, ROSA)) == 1
    assert len(promote(api, HOTELS)) == 1


@pytest.mark.parametrize(
    ("outcome", "status", "counts"),
    [
        ("passed", "passed", (3, 0, 0)),
        ("failed", "failed", (2, 1, 0)),
        ("error", "error", (2, 0, 1)),
        ("errored", "errored", (2, 0, 1)),
        ("timed_out", "timed_out", (2, 0, 1)),
        ("completed", "completed", (3, 0, 0)),
        ("completed_failed", "completed", (2, 1, 0)),
        ("cancelled", "cancelled", (2, 0, 0)),
        ("never", "running", (0, 0, 0)),
    ],
)
def test_a_run_ends_as_the_switch_says(
    server: EmulatorServer, api: httpx.Client, outcome: Any, status: str, counts: tuple[int, int, int]
) -> None:
    server.switches.test_run_outcome = outcome
    (run_id,) = promote(api, HOTELS)

    run = looks(api, run_id, 5)[-1]

    assert run["status"] == status
    assert (run["passedCount"], run["failedCount"], run["errorCount"]) == counts


def test_an_agent_may_have_an_outcome_of_its_own(server: EmulatorServer, api: httpx.Client) -> None:
    def fail(data: dict[str, Any]) -> None:
        data["polyai"]["agents"]["harbour-hotels"]["testOutcome"] = "failed"

    server.state.edit(fail)
    server.switches.test_run_reads = 0
    (run_id,) = promote(api, HOTELS)

    assert looks(api, run_id, 1)[0]["status"] == "failed"


def test_status_reads_may_fail_while_a_run_is_going(server: EmulatorServer, api: httpx.Client) -> None:
    server.switches.test_run_errors = 2
    (run_id,) = promote(api, HOTELS)

    statuses = [api.get(f"{RUNS}/{run_id}").status_code for _ in range(4)]

    assert statuses == [500, 500, 200, 200]
    assert looks(api, run_id, 1)[0]["status"] == "passed"


def test_a_run_of_some_cases_is_triggered(server: EmulatorServer, api: httpx.Client) -> None:
    reply = api.post(f"{RUNS}/trigger", json={"branchId": "main", "testCaseIds": CASES[:1]})

    assert (reply.status_code, reply.json()["status"], reply.json()["testCaseCount"]) == (201, "pending", 1)
    assert looks(api, reply.json()["id"], 3)[-1]["status"] == "passed"
    assert [entry.operation for entry in server.journal.changes()] == ["trigger test run"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"branchId": "main", "testCaseIds": []}, 400),
        ({"branchId": "main"}, 400),
        ({"branchId": "BRANCH-X", "testCaseIds": CASES}, 404),
        ({"branchId": "main", "testCaseIds": ["CASE-X"]}, 404),
    ],
)
def test_bad_triggers_are_refused(api: httpx.Client, body: dict[str, Any], status: int) -> None:
    assert api.post(f"{RUNS}/trigger", json=body).status_code == status


def test_runs_are_listed_newest_first_and_in_parts(api: httpx.Client) -> None:
    first, second = promote(api, HOTELS)[0], promote(api, HOTELS)[0]

    def ids(**query: Any) -> list[str]:
        return [run["id"] for run in api.get(RUNS, params=query).json()["testRuns"]]

    assert ids() == [second, first]
    assert ids(limit=1) == [second]
    assert ids(limit=1, offset=1) == [first]
    assert ids(branchId="BRANCH-X") == []
    assert api.get(RUNS, params={"limit": "all"}).status_code == 400
    assert looks(api, first, 1)[0]["status"] == "pending", "listing is no look"


def test_unknown_runs_are_not_found(api: httpx.Client) -> None:
    assert api.get(f"{RUNS}/nope").status_code == 404


def test_runs_survive_in_the_state(server: EmulatorServer, api: httpx.Client) -> None:
    (run_id,) = promote(api, HOTELS)
    looks(api, run_id, 2)

    server.state.edit(lambda _: None)

    assert looks(api, run_id, 1)[0]["status"] == "passed"
