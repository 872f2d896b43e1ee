"""Test runs: nothing is tested; each look at a run brings it one step further."""

from __future__ import annotations

from airflow_voice_agents.emulator.polyai.bodies import NAME, TEXT, closed_object, list_of, open_body
from airflow_voice_agents.emulator.polyai.operation import python_operation
from airflow_voice_agents.emulator.polyai.paging import page_of
from airflow_voice_agents.emulator.polyai.store import PolyAIStore
from airflow_voice_agents.emulator.request import EmulatorRequest, Problem, Record, Reply

_RUNS = "/v1/agents/{agentId}/testing/test-runs"
_RUNS_AT_ONCE = 100
_ENDS = {
    # outcome: status of the run, status of its first test
    "passed": ("passed", "passed"),
    "failed": ("failed", "failed"),
    "error": ("error", "error"),
    "errored": ("errored", "errored"),
    "timed_out": ("timed_out", "timed_out"),
    "completed": ("completed", "passed"),
    "completed_failed": ("completed", "failed"),
    "cancelled": ("cancelled", "cancelled"),
}


def list_runs(store: PolyAIStore, exchange: EmulatorRequest) -> Reply:
    """The runs of an agent, newest first; looking at the list brings none further."""
    branch = exchange.query.get("branchId")
    runs = [
        _show(store, exchange, run_id, run)
        for run_id, run in reversed(store.agent(exchange)["testRuns"].items())
        if branch in (None, run["branchId"])
    ]
    shown, limit, offset = page_of(exchange, runs, most=_RUNS_AT_ONCE)
    return Reply(200, {"testRuns": shown, "count": len(runs), "limit": limit, "offset": offset})


def get_run(store: PolyAIStore, exchange: EmulatorRequest) -> Reply:
    """One run, a step further than at the last look; 500 at first, where the switch says so."""
    runs, run_id = store.agent(exchange)["testRuns"], exchange.params["testRunId"]
    if run_id not in runs:
        raise Problem(404, f"Test run {run_id} not found", "TEST_RUN_NOT_FOUND")
    run = runs[run_id]
    if run["errors"] < store.switches.test_run_errors:
        runs[run_id] = run | {"errors": run["errors"] + 1}
        raise Problem(500, "Internal server error", "INTERNAL_SERVER_ERROR")
    reply = Reply(200, _show(store, exchange, run_id, run))
    runs[run_id] = run | {"looks": run["looks"] + 1}
    return reply


def trigger_run(store: PolyAIStore, exchange: EmulatorRequest) -> Reply:
    """Start a run of some tests."""
    agent, body = store.agent(exchange), exchange.content
    if body["branchId"] not in agent["branches"]:
        raise Problem(404, f"Branch {body['branchId']} not found")
    if not agent["testCases"]:
        raise Problem(422, "The agent has no test cases", "MissingTestCasesHttp")
    cases = _selected(store, body)
    unknown = [case for case in cases if case not in agent["testCases"]]
    if unknown:
        raise Problem(404, f"Test case {unknown[0]} not found", "TEST_CASE_NOT_FOUND")
    store.state.touch()
    run_id = store.start_run(exchange.agent or "", body["branchId"], cases)
    return Reply(201, _show(store, exchange, run_id, agent["testRuns"][run_id]))


def _selected(store: PolyAIStore, body: Record) -> list[str]:
    """The tests that a body selects, in the current form or, by the switch, in the deprecated one."""
    form = "testCaseIds" if store.switches.test_trigger == "flat" else "select"
    if form == "select" and "testCaseIds" in body and store.switches.test_trigger == "both":
        form = "testCaseIds"
    if form not in body:
        raise Problem(400, f"{form} is required", "VALIDATION_FAILED", [(form, "is required")])
    return list(body["testCaseIds"] if form == "testCaseIds" else body["select"]["testIds"])


def _show(store: PolyAIStore, exchange: EmulatorRequest, run_id: str, run: Record) -> Record:
    statuses = _statuses(store, exchange, run)
    tests = statuses[1:]
    return {
        "id": run_id,
        "status": statuses[0],
        "branchId": run["branchId"],
        "startedAt": run["startedAt"],
        "testCaseCount": len(tests),
        "passedCount": tests.count("passed"),
        "failedCount": tests.count("failed"),
        "errorCount": sum(status in ("error", "errored", "timed_out") for status in tests),
        "testHistory": [
            {"testCaseId": case, "status": status} for case, status in zip(run["cases"], tests, strict=True)
        ],
    }


def _statuses(store: PolyAIStore, exchange: EmulatorRequest, run: Record) -> list[str]:
    """The status of the run, then that of each of its tests."""
    cases = len(run["cases"])
    outcome = store.agent(exchange)["testOutcome"] or store.switches.test_run_outcome
    if run["looks"] < store.switches.test_run_reads or outcome == "never":
        status = "pending" if run["looks"] == 0 else "running"
        return [status] + ["pending"] * cases
    status, first = _ENDS[outcome]
    return [status, first] + ["passed"] * (cases - 1)


OPERATIONS = (
    python_operation("list test runs", "GET", _RUNS, list_runs, writes=False),
    python_operation("get test run", "GET", f"{_RUNS}/{{testRunId}}", get_run, writes=False),
    python_operation(
        "trigger test run",
        "POST",
        f"{_RUNS}/trigger",
        trigger_run,
        writes=True,
        body=open_body(
            "branchId",
            properties={
                "branchId": NAME,
                "testCaseIds": list_of(NAME),
                "name": TEXT,
                "select": closed_object(
                    "mode", "testIds", properties={"mode": {"const": "testIds"}, "testIds": list_of(NAME)}
                ),
            },
        ),
    ),
)
