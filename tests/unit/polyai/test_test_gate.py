"""The gate of tests: passed on this version or branch state, after this moment, and skipped is not passed."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_voice_agents.plans.plan import Severity
from airflow_voice_agents.polyai.observations import TestRun
from airflow_voice_agents.polyai.resources.test_gate import TestGate
from airflow_voice_agents.transport.errors import InputError


def run(status: str = "passed", **facts: Any) -> TestRun:
    usual = {"id": "r1", "status": status, "testCaseCount": 3, "passedCount": 3, "failedCount": 0}
    return TestRun.model_validate({**usual, "startedAt": "2026-11-02T08:00:00Z", **facts})


def gate(**facts: Any) -> TestGate:
    found = TestGate.parse({"test_run_ids": ["r1"], "state": "s", **facts})
    assert found is not None
    return found


def codes(found: TestGate, *runs: TestRun, version: str | None = None, state: str | None = "s") -> list[str]:
    return [each.code for each in found.findings(runs, version=version, state=state)]


@pytest.mark.parametrize(
    ("facts", "subject", "expected"),
    [
        ({}, {}, ["tests_passed"]),
        ({}, {"state": "t"}, ["tests_of_other_state"]),
        ({"state": None, "version": "v"}, {"version": "v"}, ["tests_passed"]),
        ({"state": None, "version": "v"}, {"version": "w"}, ["tests_of_other_version"]),
        ({"state": None, "version": "v"}, {}, ["tests_of_other_version"]),
        ({"state": None}, {}, ["tests_of_unknown"]),
        ({"after": "2026-11-02T07:59:00+00:00"}, {}, ["tests_passed"]),
        ({"after": "2026-11-02T08:00:00+00:00"}, {}, ["tests_too_old"]),
        ({"after": "2026-11-02T09:30:00+01:00"}, {}, ["tests_too_old"]),
        ({"branch_id": "b"}, {}, ["tests_passed"]),
    ],
)
def test_passed_runs_count_for_what_they_ran_on(
    facts: dict[str, Any], subject: dict[str, Any], expected: list[str]
) -> None:
    assert codes(gate(**facts), run(), **subject) == expected


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({"status": "failed", "failedCount": 1}, ["tests_failed"]),
        ({"status": "errored"}, ["tests_failed"]),
        ({"status": "timed_out"}, ["tests_failed"]),
        ({"status": "running"}, ["tests_pending"]),
        ({"status": "cancelled"}, ["tests_pending"]),
        ({"status": "passed", "failedCount": 1}, ["tests_failed"]),
        ({"testCaseCount": 0, "passedCount": 0}, ["tests_skipped"]),
    ],
)
def test_other_runs_stand_in_the_way(facts: dict[str, Any], expected: list[str]) -> None:
    assert codes(gate(), run(**facts)) == expected


def test_a_run_of_another_branch_stands_in_the_way() -> None:
    assert codes(gate(branch_id="b"), run(branchId="c")) == ["tests_of_other_branch"]


def test_every_run_must_have_passed() -> None:
    assert codes(gate(), run(), run("failed", id="r2")) == ["tests_failed"]


def test_a_run_whose_start_is_not_shown_counts_by_when_it_was_asked_for() -> None:
    after, since = "2026-11-02T08:00:00+00:00", "2026-11-02T08:00:01+00:00"
    silent = run(startedAt=None)

    assert codes(gate(after=after, since=since), silent) == ["tests_passed"]
    assert codes(gate(after=after), silent) == ["tests_too_old"]


@pytest.mark.parametrize(("required", "severity"), [(True, Severity.ERROR), (False, Severity.WARNING)])
def test_no_run_is_skipped_and_not_passed(required: bool, severity: Severity) -> None:
    (finding,) = gate(test_run_ids=[], required=required).findings([], state="s")

    assert (finding.code, finding.severity) == ("tests_skipped", severity)
    assert "not passed" in finding.message


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([], "must be a mapping"),
        ({"runs": []}, "tests is wrong"),
        ({"test_run_ids": ["a/b"]}, "slash"),
        ({"after": "yesterday"}, "tests is wrong"),
        ({"after": "2026-11-02T08:00:00"}, "with a zone"),
        ({"state": ""}, "tests is wrong"),
    ],
)
def test_a_wrong_gate_is_refused(value: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        TestGate.parse(value)


def test_a_gate_can_be_kept_as_json() -> None:
    found = gate(after="2026-11-02T08:00:00+00:00", since="2026-11-02T09:00:00+00:00")

    assert TestGate.parse(found.plain()) == found
    assert TestGate.parse(None) is None
