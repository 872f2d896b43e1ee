"""What a rollback that is not complete says first: what still runs in live, what is back, what to do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from airflow_voice_agents.plans.failure_text import failure_lines
from airflow_voice_agents.plans.kind import Resource
from airflow_voice_agents.plans.plan import Finding, Plan, PlannedItem, error, refused, warning
from airflow_voice_agents.plans.render import render_report
from airflow_voice_agents.plans.report import ItemReport, Report, Status, failure_of
from airflow_voice_agents.plans.report_text import report_markdown, report_text
from airflow_voice_agents.plans.rollback_text import RollbackTargets

EDITED = refused("newer_work", "somebody changed it since")
Ends = Mapping[str, tuple[Status, Finding | None]]


def account(ends: Ends, *, kinds: str = "config page", **options: Any) -> Report:
    """The report of a rollback by target and how its one resource ended."""
    found = {name: Resource(kinds, *name.split("/")) for name in ends}
    plan = Plan(
        "roll back",
        tuple(
            PlannedItem(found[name], "1", "2", findings=(said,) if said else ())
            for name, (_, said) in ends.items()
        ),
    )
    items = tuple(
        ItemReport(found[name], status, said.message if said else "", permanent=bool(said))
        for name, (status, said) in ends.items()
    )
    holds = options.pop("holds", False)
    targets = RollbackTargets(
        {name: [each] for name, each in found.items()},
        lambda name: name.endswith("/live"),
        holds,
        "or leave it",
    )
    return targets.account(plan, Report("roll back", items, **options))


def test_a_complete_rollback_has_nothing_to_account_for() -> None:
    assert account({"a/live": (Status.CHANGED, None)}).now == ""


def test_the_error_begins_with_what_still_runs_in_live_then_what_is_back_then_what_to_do() -> None:
    report = account(
        {
            "a/pre-release": (Status.FAILED, EDITED),
            "b/live": (Status.CHANGED, None),
            "c/live": (Status.FAILED, EDITED),
            "d/live": (Status.UNCHANGED, None),
        },
        holds=True,
    )
    text = str(failure_of(report))
    assert text.startswith(
        "Still promoted: c/live, a/pre-release (config page edited since). "
        "Rolled back and on hold: b/live, d/live. "
        "Look at c/live, a/pre-release. To overwrite the edits there, roll back again with force=True; what is rolled "
        "back already stays as it is. roll back: 2 of 4 item(s) are not as asked for"
    )
    assert failure_of(report).permanent


def test_what_failed_what_was_not_begun_and_what_is_unknown_are_told_apart() -> None:
    report = account(
        {
            "a/live": (Status.FAILED, None),
            "b/live": (Status.SKIPPED, None),
            "c/live": (Status.UNKNOWN, None),
            "d/live": (Status.FAILED, refused("unreadable", "gone")),
        }
    )
    assert report.now == (
        "Still promoted: a/live (config page failed); b/live (not begun); d/live (config page could not be read). "
        "Not known whether rolled back: c/live. Nothing was rolled back."
    )
    assert report.advice == ""


def test_a_refused_rollback_names_what_it_would_have_left() -> None:
    report = account(
        {
            "a/live": (Status.FAILED, error("newer_work", "edited")),
            "b/live": (Status.SKIPPED, None),
            "c/live": (Status.SKIPPED, None),
        },
        refused=True,
    )
    assert str(failure_of(report)).startswith(
        "Still promoted: a/live (config page edited since); b/live, c/live (not begun). Nothing was rolled back. "
        "Look at a/live. To overwrite the edits there, roll back again with force=True; or leave it. roll back: the "
    )


def test_a_dry_run_says_what_would_be() -> None:
    report = account(
        {"a/live": (Status.FAILED, EDITED), "b/live": (Status.CHANGED, None)}, dry_run=True, holds=True
    )
    assert (
        report.now == "Would stay promoted: a/live (config page edited since). Would be rolled back: b/live."
    )


def test_items_that_are_no_target_are_named_and_a_warning_is_no_cause() -> None:
    ends: Ends = {
        "a/+441632960001": (Status.FAILED, EDITED),
        "a/+441632960002": (Status.FAILED, warning("w", "w")),
    }
    found = {name: Resource("phone number", *name.split("/")) for name in ends}
    plan = Plan(
        "roll back",
        tuple(PlannedItem(found[n], "1", "2", findings=(f,) if f else ()) for n, (_, f) in ends.items()),
    )
    report = Report("roll back", tuple(ItemReport(found[n], status) for n, (status, _) in ends.items()))
    targets = RollbackTargets({"a/live": list(found.values())}, lambda _: True)
    assert targets.account(plan, report).now.startswith(
        "Still promoted: a/live (phone number +441632960001 edited since, phone number +441632960002 failed)."
    )


@pytest.mark.parametrize("retried", [False, True])
def test_log_report_and_messages_say_it_first(retried: bool) -> None:
    others = (Status.FAILED, None) if retried else (Status.CHANGED, None)
    report = account({"a/live": (Status.FAILED, EDITED), "b/live": others})
    lines = failure_lines(failure_of(report), report)
    assert lines[0].startswith("Now:  Still promoted: a/live")
    assert next(line for line in lines if line.startswith("Next:")).startswith("Next: Look at a/live.")
    assert any("retry or clear" in line for line in lines) is retried
    assert sum(line.startswith("Now:") for line in lines) == 1
    assert "Still promoted: a/live" in render_report(report).splitlines()[1]
    assert "Still promoted: a/live" in report_text(report.document()).splitlines()[1]
    assert "Still promoted: `a/live`" in report_markdown(report.document()).split("**")[0]
