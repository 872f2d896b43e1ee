"""Reports never lose an item, and their counts add up."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_voice_agents.plans.kind import Resource
from airflow_voice_agents.plans.report import ITEMS_SHOWN, ItemReport, Report, Status, in_order
from support.json_values import bounded


def resource(name: str) -> Resource:
    return Resource("connector", "hotel-1", name)


def item(name: str = "c", status: Status = Status.CHANGED, **facts: Any) -> ItemReport:
    return ItemReport(resource(name), status, **facts)


def report(*items: ItemReport, **facts: Any) -> Report:
    return Report("update connectors", items, **facts)


STATUSES = st.lists(st.sampled_from(Status), max_size=30)


@bounded(100)
@given(STATUSES)
def test_counts_add_up_to_what_was_asked(statuses: list[Status]) -> None:
    counts = report(*(item(str(place), status) for place, status in enumerate(statuses))).counts()
    assert sum(counts[status.value] for status in Status) == counts["total"] == len(statuses)
    assert set(counts) == {"total", "changed", "unchanged", "failed", "skipped", "unknown"}


@bounded(100)
@given(STATUSES)
def test_a_report_is_complete_exactly_when_everything_is_as_asked(statuses: list[Status]) -> None:
    whole = report(*(item(str(place), status) for place, status in enumerate(statuses)))
    assert whole.complete == all(status in (Status.CHANGED, Status.UNCHANGED) for status in statuses)
    assert not (whole.complete and whole.permanent_failure)


@pytest.mark.parametrize(
    ("items", "hopeless"),
    [
        ([], False),
        ([item()], False),
        ([item(status=Status.SKIPPED, permanent=True)], False),
        ([item(status=Status.FAILED)], False),
        ([item(status=Status.FAILED, permanent=True)], True),
        ([item(status=Status.UNKNOWN, permanent=True)], True),
        ([item(status=Status.FAILED, permanent=True), item(status=Status.FAILED)], False),
        ([item(status=Status.FAILED, permanent=True), item(status=Status.UNKNOWN)], False),
        ([item(status=Status.FAILED, permanent=True), item(status=Status.SKIPPED), item()], True),
    ],
)
def test_a_report_is_hopeless_when_no_retry_could_mend_anything(
    items: list[ItemReport], hopeless: bool
) -> None:
    assert report(*items).permanent_failure is hopeless


@pytest.mark.parametrize("status", [Status.FAILED, Status.UNKNOWN, Status.SKIPPED])
def test_what_a_person_stopped_is_not_mended_by_trying_again(status: Status) -> None:
    assert report(item(status=status), stopped="enough").permanent_failure
    assert not report(item(status=status)).permanent_failure


def test_having_lists_items_by_status() -> None:
    whole = report(item("a"), item("b", Status.FAILED), item("c", Status.UNKNOWN))
    assert [each.resource.name for each in whole.having(Status.FAILED, Status.UNKNOWN)] == ["b", "c"]
    assert whole.having() == []


def test_a_summary_is_what_a_task_returns() -> None:
    assert report(item(), dry_run=True, plan_digest="d").summary() == {
        "operation": "update connectors",
        "dry_run": True,
        "changed": True,
        "counts": {"total": 1, "changed": 1, "unchanged": 0, "failed": 0, "skipped": 0, "unknown": 0},
        "plan_digest": "d",
    }
    assert report(item(status=Status.UNCHANGED)).summary()["changed"] is False


def test_a_document_lists_trouble_first_and_is_json() -> None:
    order = (Status.UNCHANGED, Status.CHANGED, Status.SKIPPED, Status.UNKNOWN, Status.FAILED)
    document = report(*(item(status.value, status) for status in order)).document()
    assert [each["status"] for each in document["items"]] == [
        "failed",
        "unknown",
        "skipped",
        "changed",
        "unchanged",
    ]
    assert document["items_omitted"] == 0
    assert json.loads(json.dumps(document)) == document


def test_an_item_shows_its_reason_and_details_only_where_there_are_some() -> None:
    plain = {"kind": "connector", "owner": "hotel-1", "name": "c", "status": "failed"}
    assert item(status=Status.FAILED).document() == plain
    full = item(status=Status.FAILED, reason="refused", details={"before": "12ab"})
    assert full.document() == {**plain, "reason": "refused", "before": "12ab"}


def test_a_document_lists_only_so_many_items_but_counts_all_and_never_drops_trouble_first() -> None:
    many = [item(str(number)) for number in range(ITEMS_SHOWN + 5)]
    document = report(*many, item("bad", Status.FAILED)).document()
    assert len(document["items"]) == ITEMS_SHOWN
    assert document["items_omitted"] == 6
    assert document["items"][0]["name"] == "bad"
    assert document["counts"]["total"] == ITEMS_SHOWN + 6


@bounded(100)
@given(st.permutations(list("abcdef")))
def test_items_are_put_into_the_order_asked_for(order: list[str]) -> None:
    asked = [resource(name) for name in "abcdef"]
    assert [each.resource for each in in_order(asked, [item(name) for name in order])] == asked


def test_a_lost_item_is_an_error_that_names_it() -> None:
    asked = [resource(f"c{number}") for number in range(8)]
    with pytest.raises(RuntimeError, match=r"7 item\(s\) have no outcome: hotel-1/c0, .*hotel-1/c4$"):
        in_order(asked, [item("c7")])


def test_owners_with_trouble_are_counted_first() -> None:
    items = [
        ItemReport(Resource("number", owner, name), status)
        for owner, name, status in (
            ("good", "1", Status.CHANGED),
            ("bad", "1", Status.CHANGED),
            ("bad", "2", Status.FAILED),
            ("good", "2", Status.UNCHANGED),
        )
    ]
    made = report(*items, by_owner=True)

    counted = {
        "bad": {"total": 2, "changed": 1, "failed": 1},
        "good": {"total": 2, "changed": 1, "unchanged": 1},
    }
    assert made.owner_counts() == counted
    assert [*made.owner_counts()] == ["bad", "good"]
    assert made.document()["by_owner"] == counted
    assert made.document()["owners_omitted"] == 0
    assert made.owner_lines()[1:] == ["  bad: 1 changed, 1 failed", "  good: 1 changed, 1 unchanged"]
    assert "by_owner" not in report(*items).document()


def test_of_many_owners_some_are_listed_and_the_others_counted() -> None:
    owners = [
        ItemReport(Resource("number", str(place), "1"), Status.CHANGED) for place in range(ITEMS_SHOWN + 2)
    ]
    made = report(*owners, by_owner=True)

    assert len(made.document()["by_owner"]) == ITEMS_SHOWN
    assert made.document()["owners_omitted"] == 2
    assert made.owner_lines()[-1] == "  … and 2 more"


def test_a_report_in_an_error_or_a_debugger_is_short() -> None:
    assert "hotel" not in repr(report(item("hotel")))  # asyncio.run writes out what its main task returns
