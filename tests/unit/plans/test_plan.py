"""A plan's digest pins what was decided, and its document holds no value."""

from __future__ import annotations

import json
import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import fields, replace

from airflow_voice_agents.plans.canonical import digest
from airflow_voice_agents.plans.diff import Change, Op, diff
from airflow_voice_agents.plans.kind import Resource, Transition, batches, by_owner
from airflow_voice_agents.plans.plan import (
    Plan,
    PlannedItem,
    Severity,
    error,
    for_another,
    warning,
)
from support.json_values import bounded, objects

A, B = Resource("config page", "hotel-1", "live"), Resource("config page", "hotel-2", "live")


def item(resource: Resource = A, before: str = "b", after: str = "a", **facts: Any) -> PlannedItem:
    return PlannedItem(resource, before, after, **facts)


def plan(*items: PlannedItem, operation: str = "promote config") -> Plan:
    return Plan(operation, items)


ITEMS = st.lists(
    st.builds(
        item,
        st.builds(Resource, st.just("config page"), st.sampled_from("abcdefgh"), st.just("live")),
        st.sampled_from(["1", "2", "3"]),
        st.sampled_from(["1", "2", "3"]),
        source=st.sampled_from([None, "1", "2"]),
    ),
    unique_by=lambda each: each.resource,
    max_size=6,
)


@bounded(150)
@given(ITEMS, st.randoms(use_true_random=False))
def test_the_order_of_the_targets_does_not_change_the_digest(items: list[PlannedItem], random: Any) -> None:
    shuffled = list(items)
    random.shuffle(shuffled)
    assert plan(*shuffled).digest == plan(*items).digest


@pytest.mark.parametrize(
    "other",
    [
        plan(item(source="other"), item(B)),
        plan(item(before="other"), item(B)),
        plan(item(after="other"), item(B)),
        plan(item(Resource("config page", "hotel-1", "sandbox")), item(B)),
        plan(item(Resource("connector", "hotel-1", "live")), item(B)),
        plan(item()),
        plan(),
        plan(item(), item(B), operation="update config"),
        plan(item(before="a", after="b"), item(B)),
    ],
)
def test_source_before_after_targets_and_operation_change_the_digest(other: Plan) -> None:
    assert plan(item(), item(B)).digest != other.digest


def test_what_is_only_shown_does_not_change_the_digest() -> None:
    shown = item(changes=(Change(Op.CHANGE, ("k",), 1, 2),), kept_keys=("m",), findings=(warning("w", "."),))
    assert plan(shown).digest == plan(item()).digest


@bounded(150)
@given(objects(), objects())
def test_a_document_holds_no_value(before: dict[str, Any], after: dict[str, Any]) -> None:
    secret = "correct horse battery staple"
    new = {**after, "added": {"pin": secret}, "listed": [secret, {"deep": secret}]}
    changes = tuple(diff({**before, "gone": secret}, new))
    planned = plan(
        replace(
            item(before=digest(before), after=digest(new), changes=changes, stale_keys=("gone",)),
            transition=Transition(A, before, new),
        )
    )
    text = json.dumps(planned.document())
    assert secret not in text
    assert secret not in repr(planned)
    (document,) = planned.document()["items"]
    assert {"added", "listed", "gone"} <= set(document["changed_keys"])
    assert set(document["changed_keys"]) <= {*before, *new, "gone"}


def test_a_document_says_what_a_plan_does() -> None:
    planned = plan(
        item(
            source="s",
            changes=(
                Change(Op.ADD, ("x", "y"), None, 1),
                Change(Op.CHANGE, ("x", "z"), 1, 2),
                Change(Op.REMOVE, ("w",), 1, None),
            ),
            stale_keys=("old",),
            kept_keys=("settings.mock_x",),
            findings=(warning("stale_keys", "One stays."), error("bad", "It is bad.")),
            writes=2,
            waypoints=("w1", "a"),
        ),
        item(B, "same", "same"),
    )
    assert planned.document() == {
        "version": 1,
        "operation": "promote config",
        "digest": planned.digest,
        "counts": {
            "targets": 2,
            "to_change": 1,
            "unchanged": 1,
            "writes": 2,
            "add": 1,
            "change": 1,
            "remove": 1,
            "stale_keys": 1,
            "errors": 1,
        },
        "items": [
            {
                "kind": "config page",
                "owner": "hotel-1",
                "name": "live",
                "before": "b",
                "after": "a",
                "source": "s",
                "changed_keys": ["w", "x"],
                "stale_keys": ["old"],
                "kept_keys": ["settings.mock_x"],
                "findings": [
                    {"severity": "warning", "code": "stale_keys", "message": "One stays."},
                    {"severity": "error", "code": "bad", "message": "It is bad."},
                ],
                "writes": 2,
                "waypoints": ["w1", "a"],
            },
            {
                "kind": "config page",
                "owner": "hotel-2",
                "name": "live",
                "before": "same",
                "after": "same",
                "source": None,
                "changed_keys": [],
                "stale_keys": [],
                "kept_keys": [],
                "findings": [],
                "writes": 0,
                "waypoints": [],
            },
        ],
    }
    assert json.loads(json.dumps(planned.document())) == planned.document()


def test_errors_are_listed_with_their_targets_and_warnings_are_not() -> None:
    bad = error("bad", "It is bad.")
    planned = plan(item(findings=(warning("w", "."),)), item(B, findings=(bad,)))
    assert planned.errors() == [(B, bad)]
    assert bad.severity is Severity.ERROR
    assert planned.items[0].errors == ()


@bounded(100)
@given(ITEMS)
def test_counts_add_up(items: list[PlannedItem]) -> None:
    planned = plan(*items)
    counts = planned.counts()
    assert counts["to_change"] + counts["unchanged"] == counts["targets"] == len(items)
    assert planned.empty == (counts["to_change"] == 0)


# --------------------------------------------------------------------------------- small helpers


@bounded(100)
@given(st.lists(st.integers(), max_size=20), st.integers(1, 7))
def test_batches_lose_nothing_and_none_is_too_large(items: list[int], size: int) -> None:
    cut = list(batches(items, size))
    assert [each for batch in cut for each in batch] == items
    assert all(len(batch) == size for batch in cut[:-1])
    assert all(0 < len(batch) <= size for batch in cut)


def test_resources_are_grouped_by_owner_in_order_of_first_mention() -> None:
    one, two, three = Resource("k", "b", "1"), Resource("k", "a", "1"), Resource("k", "b", "2")
    groups = by_owner([one, two, three])
    assert groups == {"b": [one, three], "a": [two]}
    assert list(groups) == ["b", "a"]
    assert str(one) == "b/1"


def test_an_item_for_another_resource_differs_in_nothing_but_the_resource() -> None:
    odd = {each.name: (each.name,) for each in fields(PlannedItem)}
    first = PlannedItem(**{**odd, "resource": A, "transition": Transition(A, 1, 2, 3.0)})
    other = Resource("config page", "hotel-9", "live")

    assert for_another(first, other) == replace(first, resource=other)
    assert for_another(first, other).facts == first.facts
    assert for_another(first, other).transition == Transition(other, 1, 2)
    assert for_another(first, other).transition.read_at == 3.0
    assert for_another(first, other, (8, 9)).transition == Transition(other, 8, 9)
    assert for_another(replace(first, transition=None), other).transition is None


def test_an_address_is_a_tuple_which_python_hashes_by_itself() -> None:
    assert str(A) == f"{A.owner}/{A.name}"
    assert A.key == f"{A.kind}:{A}"
    assert pickle.loads(pickle.dumps(A)) == A  # noqa: S301
    assert Resource.__hash__ is tuple.__hash__


def test_a_plan_in_an_error_or_a_debugger_is_short() -> None:
    assert A.owner not in repr(plan(item(A)))
