"""Saved plans: read back as they were made or not at all, and held to what each resource may be by now."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_voice_agents.plans.canonical import digest
from airflow_voice_agents.plans.diff import Change, Op
from airflow_voice_agents.plans.document import CHECKSUM, ExpectedDigest, PlanDocument, save
from airflow_voice_agents.plans.kind import Resource, Transition
from airflow_voice_agents.plans.plan import Plan, PlannedItem, error, warning
from airflow_voice_agents.transport.errors import InputError
from support.json_values import JSON, bounded

A, B = Resource("config page", "hotel-1", "live"), Resource("connector", "hotel-1", "c1")


def item(resource: Resource = A, before: str = "b", after: str = "a", **facts: Any) -> PlannedItem:
    return PlannedItem(resource, before, after, **facts)


def saved(*items: PlannedItem, request: Any = None) -> dict[str, Any]:
    return json.loads(json.dumps(save(Plan("promote", items), request)))  # type: ignore[no-any-return]


ITEMS = st.lists(
    st.builds(
        item,
        st.builds(Resource, st.sampled_from(["page", "line"]), st.text(max_size=3), st.text(max_size=3)),
        st.sampled_from("123"),
        st.sampled_from("123"),
        source=st.sampled_from([None, "1"]),
        waypoints=st.lists(st.sampled_from("45"), max_size=2).map(tuple),
        writes=st.integers(0, 2),
    ),
    unique_by=lambda each: each.resource,
    max_size=5,
)


@bounded(150)
@given(ITEMS, JSON)
def test_what_was_saved_is_what_is_read(items: list[PlannedItem], request: Any) -> None:
    plan = Plan("promote", tuple(items))
    read = PlanDocument.read(saved(*items, request=request))
    assert (read.operation, read.digest, read.counts) == ("promote", plan.digest, plan.counts())
    assert digest(read.request) == digest(request)
    assert read.pins == {
        each.resource: ExpectedDigest(each.before, each.after, each.source, each.waypoints) for each in items
    }
    assert read.empty is plan.empty
    assert read.moved(items) == []


def test_no_value_is_saved() -> None:
    secret = "correct horse"
    kept = saved(
        item(
            changes=(Change(Op.CHANGE, ("pin",), secret, f"new {secret}"),),
            transition=Transition(A, {"pin": secret}, {"pin": f"new {secret}"}),
        )
    )
    assert secret not in json.dumps(kept)


# ---------------------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    "value",
    [None, "plan", 5, [], {}, {"version": 1}, {"version": 2, CHECKSUM: ""}, {"version": "1", CHECKSUM: ""}],
)
def test_what_is_no_saved_plan_is_refused(value: object) -> None:
    with pytest.raises(InputError, match=r"^plan is not a saved plan of version 1"):
        PlanDocument.read(value)


def test_a_plan_of_another_version_is_refused_even_if_it_is_whole() -> None:
    body = {**saved(item()), "version": 2}
    with pytest.raises(InputError, match="not a saved plan of version 1"):
        PlanDocument.read(signed(body))


def signed(body: dict[str, Any]) -> dict[str, Any]:
    """Give a document the checksum that it should have."""
    plain = {key: value for key, value in body.items() if key != CHECKSUM}
    return {**plain, CHECKSUM: digest(plain)}


CHANGES: dict[str, Callable[[dict[str, Any]], Any]] = {
    "operation": lambda plan: plan.update(operation="roll back"),
    "after": lambda plan: plan["items"][0].update(after="x"),
    "before": lambda plan: plan["items"][0].update(before="x"),
    "source": lambda plan: plan["items"][0].update(source="x"),
    "target": lambda plan: plan["items"][0].update(owner="hotel-2"),
    "an item less": lambda plan: plan["items"].pop(),
    "an item twice": lambda plan: plan["items"].append(plan["items"][0]),
    "digest": lambda plan: plan.update(digest="0" * 64),
    "items": lambda plan: plan.pop("items"),
    "no items": lambda plan: plan.update(items=None),
    "an item that is none": lambda plan: plan["items"].append("x"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
@pytest.mark.parametrize("again", [False, True], ids=["as it is", "signed again"])
def test_a_plan_that_was_changed_is_refused_and_so_is_a_digest_that_is_not_of_its_items(
    change: Callable[[dict[str, Any]], Any], *, again: bool
) -> None:
    plan = saved(item(), item(B))
    change(plan)
    with pytest.raises(InputError, match="plan was changed after it was made"):
        PlanDocument.read(signed(plan) if again else plan)


@pytest.mark.parametrize("part", ["request", "counts"])
def test_a_change_of_anything_else_is_refused_as_well(part: str) -> None:
    plan = saved(item(), request={"a": 1})
    plan[part] = {"a": 2}
    with pytest.raises(InputError, match="plan was changed after it was made"):
        PlanDocument.read(plan)


@pytest.mark.parametrize("value", [float("nan"), {1, 2}, object()])
def test_what_is_no_json_is_no_plan(value: object) -> None:
    with pytest.raises(InputError, match="plan was changed after it was made"):
        PlanDocument.read({**saved(item()), "request": value})


def test_a_plan_with_errors_is_never_carried_out() -> None:
    with pytest.raises(InputError, match="plan has errors"):
        PlanDocument.read(saved(item(findings=(error("bad", "It is bad."),))))
    assert PlanDocument.read(saved(item(findings=(warning("w", "."),)))).counts["errors"] == 0


# --------------------------------------------------------------------------------------------- moved


@pytest.mark.parametrize(
    ("now", "admitted"),
    [
        *(({"before": before}, True) for before in "bmna"),
        ({"before": "x"}, False),
        ({"after": "x"}, False),
        ({"before": "a", "after": "x"}, False),
        ({"source": "t"}, False),
        ({"before": "a", "source": None}, False),
    ],
)
def test_a_resource_may_be_before_after_and_between_its_writes(
    now: dict[str, Any], *, admitted: bool
) -> None:
    planned = PlanDocument.read(saved(item(source="s", waypoints=("m", "n"))))
    assert planned.moved([item(**{"source": "s", **now})]) == ([] if admitted else [A])


def test_a_resource_that_nobody_planned_or_that_is_missing_has_moved() -> None:
    planned = PlanDocument.read(saved(item(), item(B)))
    assert planned.moved([item()]) == [B]
    assert planned.moved([item(), item(B), item(Resource("page", "x", "y"))]) == [Resource("page", "x", "y")]
    assert PlanDocument.read(saved(item())).moved([]) == [A]


def test_what_an_earlier_try_has_ended_is_not_asked_for() -> None:
    planned = PlanDocument.read(saved(item(), item(B)))
    assert planned.moved([item()], done={B}) == []
    assert planned.moved([item(before="x")], done={B}) == [A]
