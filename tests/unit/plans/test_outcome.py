"""A report says of each item what its plan was, in digests and keys."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_voice_agents.plans.diff import Change, Op
from airflow_voice_agents.plans.kind import Resource
from airflow_voice_agents.plans.plan import PlannedItem
from airflow_voice_agents.plans.report import ItemReport, Status, explain

PAGE = Resource("config page", "a", "live")


def explained(status: Status, reason: str = "", *, applied: Any = None, **facts: Any) -> ItemReport:
    planned = PlannedItem(PAGE, "b" * 64, "a" * 64, **facts)
    return explain(planned, ItemReport(PAGE, status, reason, True, {"applied": applied} if applied else {}))


def test_digests_are_shortened_and_what_was_reported_stays() -> None:
    item = explained(Status.FAILED, "no", applied=["write"])
    assert item == ItemReport(
        PAGE, Status.FAILED, "no", True, {"applied": ["write"], "before": "b" * 12, "after": "a" * 12}
    )


def test_keys_are_named_and_values_are_not() -> None:
    changes = (Change(Op.CHANGE, ("pin", "x"), "hunter2", "hunter3"), Change(Op.ADD, ("hours",), None, "9-5"))
    item = explained(Status.CHANGED, changes=changes, kept_keys=("settings.mock_x",))
    assert item.details["changed_keys"] == ["hours", "pin"]
    assert item.details["kept_keys"] == ["settings.mock_x"]
    assert "hunter" not in repr(item)
    assert not {"changed_keys", "kept_keys", "stale_keys"} & set(explained(Status.CHANGED).details)


@pytest.mark.parametrize(
    ("status", "reason", "told"),
    [
        (Status.CHANGED, "", "no request can remove old, older"),
        (Status.UNCHANGED, "as it was", "as it was; no request can remove old, older"),
        (Status.FAILED, "no", "no"),
        (Status.SKIPPED, "not attempted", "not attempted"),
        (Status.UNKNOWN, "timed out", "timed out"),
    ],
)
def test_stale_keys_are_told_even_where_nothing_went_wrong(status: Status, reason: str, told: str) -> None:
    item = explained(status, reason, stale_keys=("old", "older"))
    assert item.reason == told
    assert item.details["stale_keys"] == ["old", "older"]
