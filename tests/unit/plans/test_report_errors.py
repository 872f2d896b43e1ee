"""A report that is not complete becomes one error: with counts, examples, and whether a retry can help."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from airflow_voice_agents.plans.kind import Resource
from airflow_voice_agents.plans.report import EXAMPLES, ItemReport, Report, Status, failure_of
from airflow_voice_agents.transport.errors import GuardRefused, ItemsFailed, ItemsFailedPermanently


def item(name: str, status: Status, reason: str = "", **facts: Any) -> ItemReport:
    return ItemReport(Resource("connector", "rosa", name), status, reason, **facts)


def report(*items: ItemReport, **facts: Any) -> Report:
    return Report("update connectors", items, **facts)


def test_the_error_counts_what_happened_and_gives_examples() -> None:
    error = failure_of(
        report(
            item("a", Status.CHANGED),
            item("b", Status.FAILED, "no such variant."),
            item("c", Status.SKIPPED, "not attempted"),
            item("d", Status.UNCHANGED),
        )
    )
    assert type(error) is ItemsFailed
    assert str(error) == (
        "update connectors: 2 of 4 item(s) are not as asked for (1 changed, 1 unchanged, 1 failed, 1 skipped). "
        "rosa/b: no such variant; rosa/c: not attempted. What is listed as changed stays changed; a retry does "
        "only what is still open. The XCom 'report' lists every item."
    )


def test_only_some_examples_are_given() -> None:
    error = failure_of(report(*(item(f"c{place}", Status.FAILED, "no") for place in range(EXAMPLES + 4))))
    assert str(error).count("rosa/c") == EXAMPLES
    assert "; and 4 more." in str(error)


@pytest.mark.parametrize(
    ("items", "kind"),
    [
        ([item("a", Status.FAILED, "no", permanent=True)], ItemsFailedPermanently),
        ([item("a", Status.FAILED, "no", permanent=True), item("b", Status.UNKNOWN)], ItemsFailed),
        ([item("a", Status.UNKNOWN)], ItemsFailed),
        ([item("a", Status.SKIPPED)], ItemsFailed),
    ],
)
def test_only_a_hopeless_report_is_a_permanent_error(
    items: list[ItemReport], kind: type[ItemsFailed]
) -> None:
    error = failure_of(report(*items))
    assert type(error) is kind
    assert error.permanent is (kind is ItemsFailedPermanently)


def test_the_wait_that_the_server_named_goes_along() -> None:
    error = failure_of(report(item("a", Status.FAILED, "slow down"), retry_after=30.0))
    assert error.retry_after == 30.0
    assert pickle.loads(pickle.dumps(error)).retry_after == 30.0  # noqa: S301  made here
    assert failure_of(report(item("a", Status.FAILED))).retry_after is None


def test_a_plan_with_errors_is_refused_as_a_whole() -> None:
    error = failure_of(
        report(
            item("a", Status.SKIPPED, "not attempted, because the plan has errors"),
            item("b", Status.FAILED, "Only the target has x.", permanent=True),
            refused=True,
        )
    )
    assert type(error) is GuardRefused
    assert error.permanent
    assert str(error) == (
        "update connectors: the plan has errors for 1 of 2 target(s), and nothing was written. "
        "rosa/b: Only the target has x. The XCom 'report' lists every target."
    )


def test_a_run_that_a_person_stopped_says_so_and_is_not_tried_again() -> None:
    whole = report(
        item("a", Status.CHANGED),
        item("b", Status.SKIPPED, "not attempted. The switch is on."),
        stopped="The switch\n is on.",
    )
    error = failure_of(whole)
    assert type(error) is ItemsFailedPermanently
    assert str(error).startswith(
        "update connectors: It was stopped: The switch\\u000a is on. 1 of 2 item(s) are not as asked for "
        "(1 changed, 1 skipped). rosa/b: not attempted. The switch is on."
    )


def test_what_could_fool_a_reader_of_the_log_is_escaped() -> None:
    error = failure_of(report(item("a\u202e", Status.FAILED, "bad\n\x1b[2Jkey")))
    assert "\\u202e" in str(error)
    assert "bad\\u000a\\u001b[2Jkey" in str(error)
    assert "\n" not in str(error)
