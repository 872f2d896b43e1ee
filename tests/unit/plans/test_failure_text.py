"""The lines that a failure leaves in the log before its traceback."""

from __future__ import annotations

import pytest

from airflow_voice_agents.plans.failure_text import failure_lines
from airflow_voice_agents.plans.kind import Resource
from airflow_voice_agents.plans.report import ItemReport, Report, Status, failure_of
from airflow_voice_agents.transport.errors import Forbidden, GuardRefused, InputError


def item(name: str, status: Status, reason: str = "", *, permanent: bool = False) -> ItemReport:
    return ItemReport(Resource("config page", name, "live"), status, reason, permanent=permanent)


def test_what_is_in_effect_comes_first_then_the_cause_and_what_to_do() -> None:
    report = Report(
        "promote",
        (
            *(item(f"hotel-{each}", Status.CHANGED) for each in range(5)),
            item("rosa", Status.FAILED, "409 CONFLICT"),
            item("bank", Status.UNKNOWN, "no response"),
            item("spa", Status.SKIPPED, "stopped"),
        ),
    )
    assert failure_lines(failure_of(report), report) == [
        "Now:  hotel-0/live, hotel-1/live, hotel-2/live and 2 more changed and in effect",
        "Now:  bank/live: not known whether changed",
        "Now:  rosa/live, spa/live not changed as asked for",
        "What: rosa/live: 409 CONFLICT",
        "Next: retry or clear the task; what is done is not done again",
    ]


def test_a_cause_that_no_retry_mends_is_to_be_corrected() -> None:
    report = Report("promote", (item("rosa", Status.FAILED, "403", permanent=True),))
    assert failure_lines(failure_of(report), report)[-1].startswith("Next: correct the cause")


def test_a_refused_request_says_what_where_and_what_to_do() -> None:
    error = Forbidden(
        "the key may not do this",
        operation="update variables",
        method="PATCH",
        path="/v1/agents/rosa",
        status=403,
        error_code="FORBIDDEN",
        advice="Request access.",
    )
    assert failure_lines(error) == [
        "What: the key may not do this",
        "Where: update variables: PATCH /v1/agents/rosa → 403 FORBIDDEN",
        "Next: Request access.",
    ]


def test_a_guard_is_what_happened_and_what_to_do() -> None:
    error = GuardRefused("rosa/live is on hold. Nothing was written. Release it with the release operator.")
    assert failure_lines(error) == [
        "What: rosa/live is on hold.",
        "Next: Nothing was written. Release it with the release operator.",
    ]


def test_a_refused_plan_has_changed_nothing() -> None:
    report = Report("promote", (item("rosa", Status.FAILED, "invalid_values"),), refused=True)
    lines = failure_lines(failure_of(report), report)
    assert not [line for line in lines if line.startswith("Now")]
    assert "nothing was written" in lines[0]


@pytest.mark.parametrize("text", ["one\nTask succeeded", "one\x1b[2Jtwo"])
def test_a_line_stays_one_line(text: str) -> None:
    assert all(line.isprintable() for line in failure_lines(InputError(text)))
