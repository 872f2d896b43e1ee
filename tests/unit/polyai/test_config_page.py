"""Config pages as a resource kind: one read per agent, whole values, and a valid order of writes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given

from airflow_voice_agents.plans.canonical import digest, same
from airflow_voice_agents.plans.kind import Transition, WriteResult
from airflow_voice_agents.polyai.models import ConfigPage
from airflow_voice_agents.polyai.resources.config_page import (
    BRIDGE,
    SCHEMA,
    UNSET,
    ConfigPageKind,
    Order,
    PageState,
    changed_values,
    page,
    state_of,
)
from airflow_voice_agents.transport.api_request import Replay
from support.json_values import JSON, bounded, objects

KIND = ConfigPageKind()
LIVE, SANDBOX = page("harbour-hotels", "live"), page("harbour-hotels", "sandbox")


def typed(**types: str | list[str]) -> dict[str, Any]:
    """A schema that requires these keys with these types."""
    return {
        "type": "object",
        "required": list(types),
        "properties": {name: {"type": each} for name, each in types.items()},
    }


def transition(before: PageState | None, after: PageState) -> Transition[PageState]:
    return Transition(LIVE, before, after)


# ----------------------------------------------------------------------------------------- observe


def test_one_read_tells_all_environments_of_an_agent() -> None:
    other = page("rosa", "live")
    first, second = KIND.observe([LIVE, other, SANDBOX])
    assert (first.request.method, first.request.path) == (
        "GET",
        "/v1/agents/harbour-hotels/real-time-configs",
    )
    assert first.resources == (LIVE, SANDBOX)
    assert second.resources == (other,)


def test_pages_with_the_same_schema_share_one_object() -> None:
    first, second = (
        state_of(
            ConfigPage(clientEnv="live", schema=typed(greeting="string"), variables={}, lastUpdated=None)
        )
        for _ in range(2)
    )
    assert first.schema is second.schema


@bounded(100)
@given(objects(), objects())
def test_the_digest_of_a_page_is_that_of_schema_and_variables(
    schema: dict[str, Any], variables: dict[str, Any]
) -> None:
    assert PageState(schema, variables).digest == digest([schema, variables])
    assert PageState(None, None, flaw="odd").digest == digest([None, {}, "odd"])


def test_a_read_returns_the_pages_asked_for_and_leaves_out_the_others() -> None:
    (observation,) = KIND.observe([LIVE, SANDBOX])
    answer = observation.request.read(
        {
            "configPages": [
                {"clientEnv": "live", "schema": None, "variables": {"a": 1}, "lastUpdated": "x"},
                {"clientEnv": "pre-release", "schema": {}, "variables": {}},
            ]
        }
    )
    assert observation.states(answer) == {LIVE: PageState(None, {"a": 1}, "x")}


def test_a_stamp_is_no_part_of_equality() -> None:
    assert PageState(None, {"a": 1}, "yesterday") == PageState(None, {"a": 1}, "today")


# ---------------------------------------------------------------------------------- digest and diff


def test_missing_unset_and_empty_pages_are_the_same() -> None:
    digests = {KIND.digest(state) for state in (None, UNSET, PageState(None, {}), PageState(None, None, "x"))}
    assert len(digests) == 1


@pytest.mark.parametrize(
    ("one", "two"),
    [
        (PageState(None, {"a": 1}), PageState(None, {"a": 1.0})),
        (PageState(None, {"a": 1}), PageState(None, {"a": True})),
        (PageState(None, {"a": None}), PageState(None, {})),
        (PageState({}, {}), PageState(None, {})),
        (PageState({"a": 1}, {}), PageState(None, {"a": 1})),
    ],
)
def test_pages_that_differ_have_different_digests(one: PageState, two: PageState) -> None:
    assert KIND.digest(one) != KIND.digest(two)


def test_changes_of_the_schema_come_under_a_name_of_their_own() -> None:
    changes = list(KIND.diff(PageState({"type": "object"}, {"a": 1}), PageState({"type": "array"}, {"a": 2})))
    assert [change.path for change in changes] == [(SCHEMA, "type"), ("a",)]


def test_values_that_are_sent_are_those_that_differ_and_each_is_whole() -> None:
    before = PageState(None, {"settings": {"a": 1, "b": 2}, "n": 1, "same": [1]})
    after = PageState(None, {"settings": {"a": 9, "b": 2}, "n": 1.0, "same": [1], "new": None})
    assert repr(changed_values(before, after)) == repr({"settings": {"a": 9, "b": 2}, "n": 1.0, "new": None})


@bounded(200)
@given(objects(), objects())
def test_sending_the_changed_values_makes_the_page_as_wanted(before: Any, after: Any) -> None:
    wanted = {**before, **after}
    patch = changed_values(PageState(None, before), PageState(None, wanted))
    assert same({**before, **patch}, wanted)
    assert all(key not in before or not same(before[key], value) for key, value in patch.items())


# ------------------------------------------------------------------------------------------- order

OLD, NEW = (
    PageState(typed(hours="string"), {"hours": "9-17"}),
    PageState(typed(hours="array"), {"hours": ["9-17"]}),
)
WIDER = PageState(typed(hours=["string", "array"]), {"hours": ["9-17"]})


@pytest.mark.parametrize(
    ("before", "after", "order"),
    [
        (OLD, PageState(OLD.schema, {"hours": "8-18"}), Order.SCHEMA_FIRST),
        (OLD, PageState(typed(hours=["string", "null"]), OLD.variables), Order.SCHEMA_FIRST),
        (OLD, WIDER, Order.SCHEMA_FIRST),
        (WIDER, NEW, Order.SCHEMA_FIRST),
        (PageState(WIDER.schema, {"hours": "9-17"}), NEW, Order.VALUES_FIRST),
        (
            PageState(typed(a="string"), {"a": "x"}),
            PageState(typed(a="string", b="string"), {"a": "x", "b": "y"}),
            Order.VALUES_FIRST,
        ),
        (UNSET, NEW, Order.SCHEMA_FIRST),
        (None, NEW, Order.SCHEMA_FIRST),
        (OLD, NEW, None),
    ],
)
def test_the_order_of_writes(before: PageState | None, after: PageState, order: Order | None) -> None:
    assert KIND.order(before, after) is order
    bridged = ConfigPageKind(bridge_schema=True).order(before, after)
    assert bridged is (order or Order.BRIDGED)


def writes(kind: ConfigPageKind, before: PageState | None, after: PageState) -> list[tuple[str, str]]:
    (lane,) = kind.write_sequences([transition(before, after)])
    return [(step.request.method, step.request.route.rpartition("/")[2]) for step in lane]


def test_the_writes_of_each_order() -> None:
    put, patch = ("PUT", "schema"), ("PATCH", "variables")
    assert writes(KIND, OLD, WIDER) == [put, patch]
    assert writes(KIND, PageState(WIDER.schema, {"hours": "9-17"}), NEW) == [patch, put]
    assert writes(KIND, OLD, PageState(OLD.schema, {"hours": "x"})) == [patch]
    assert writes(KIND, OLD, PageState(WIDER.schema, OLD.variables)) == [put]
    assert writes(ConfigPageKind(bridge_schema=True), OLD, NEW) == [put, patch, put]


def test_a_bridge_is_a_schema_that_lets_any_object_through_and_stands_first() -> None:
    (lane,) = ConfigPageKind(bridge_schema=True).write_sequences([transition(OLD, NEW)])
    bodies = [step.request.body for step in lane]
    assert bodies == [{"schema": BRIDGE}, {"variables": {"hours": ["9-17"]}}, {"schema": NEW.schema}]
    assert BRIDGE == {"type": "object"}


def test_each_write_is_vital_never_repeated_blind_and_says_what_it_leads_to() -> None:
    (lane,) = KIND.write_sequences([transition(OLD, WIDER)])
    assert [step.waypoint for step in lane] == [
        KIND.digest(PageState(WIDER.schema, OLD.variables)),
        None,
    ]
    assert all(step.vital and step.request.replay is Replay.RECONCILE for step in lane)
    assert all(step.resources == (LIVE,) and step.split is None for step in lane)
    assert lane[0].request.path == "/v1/agents/harbour-hotels/real-time-configs/live/schema"


def test_pages_are_written_in_lanes_of_their_own() -> None:
    transitions = [Transition(each, UNSET, NEW) for each in (LIVE, SANDBOX)]
    assert [lane[0].resources for lane in KIND.write_sequences(transitions)] == [(LIVE,), (SANDBOX,)]


# ------------------------------------------------------------------------------- judge, unsettled


def test_an_answer_about_another_environment_says_nothing() -> None:
    (lane,) = KIND.write_sequences([transition(OLD, WIDER)])
    mine = ConfigPage.model_validate({"clientEnv": "live", "variables": {"a": 1}, "schema": {}})
    other = ConfigPage.model_validate({"clientEnv": "sandbox", "variables": {"a": 1}, "schema": {}})
    assert lane[0].judge(mine) == {LIVE: WriteResult(state_of(mine))}
    assert lane[0].judge(other) == {}


@pytest.mark.parametrize(
    ("observed", "missing"),
    [
        (NEW, []),
        (PageState(NEW.schema, {**NEW.values, "others_key": 1}), []),
        (OLD, [SCHEMA, "hours"]),
        (PageState(NEW.schema, OLD.variables), ["hours"]),
        (PageState(OLD.schema, NEW.variables), [SCHEMA]),
        (None, [SCHEMA, "hours"]),
    ],
)
def test_what_a_page_does_not_show_is_listed(observed: PageState | None, missing: list[str]) -> None:
    assert KIND.mismatches(transition(OLD, NEW), observed) == missing


def test_keys_and_schema_of_others_do_not_count() -> None:
    wanted = transition(PageState({}, {"a": 1, "b": 1}), PageState({}, {"a": 2, "b": 1}))
    assert KIND.mismatches(wanted, PageState({"changed": True}, {"a": 2, "b": 9})) == []


@pytest.mark.parametrize(("observed", "settled"), [({}, True), ({"old": None}, True), ({"old": 0}, False)])
def test_a_key_set_to_null_may_be_stored_or_deleted(observed: dict[str, Any], settled: bool) -> None:
    wanted = transition(PageState(None, {"old": 1}), PageState(None, {"old": None}))
    assert (not KIND.mismatches(wanted, PageState(None, observed))) is settled


@bounded(150)
@given(JSON, JSON)
def test_a_value_holds_only_as_exactly_itself(wanted: Any, shown: Any) -> None:
    asked = transition(UNSET, PageState(None, {"k": wanted}))
    settled = not KIND.mismatches(asked, PageState(None, {"k": shown}))
    assert settled == same(wanted, shown)
