"""The way back to a kept state: as far as calls can lead, and a word on what they cannot undo."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import event, example, given
from hypothesis import strategies as st
from msgspec.structs import replace

from airflow_voice_agents.plans.canonical import same
from airflow_voice_agents.plans.kind import Resource, ResourceKind
from airflow_voice_agents.plans.plan import PlannedItem, Severity
from airflow_voice_agents.polyai.resources.config_page import ConfigPageKind, PageState, page
from airflow_voice_agents.polyai.resources.config_plan import Rules, StaleKeys, plan_promotion
from airflow_voice_agents.polyai.resources.connector import SETTINGS, ConnectorKind, ConnectorState, connector
from airflow_voice_agents.polyai.resources.page_schema import value_problems
from airflow_voice_agents.polyai.resources.phone_number import NumberState, PhoneNumberKind, phone_number
from airflow_voice_agents.transport.errors import InputError
from support.json_values import bounded, json_values, objects

LIVE = page("harbour-hotels", "live")
PAGES, CONNECTORS, ROUTING = ConfigPageKind(), ConnectorKind(batch_size=3), PhoneNumberKind(batch_size=3)
LINE = connector("rosa", "conn-1")
NUMBER = phone_number("rosa", "+441632960001")

KINDS: list[ResourceKind[Any]] = [PAGES, CONNECTORS, ROUTING]
"""A type checker sees here that they are what a restore needs."""


def codes(item: PlannedItem) -> list[str]:
    return [finding.code for finding in item.findings]


def through_json(kind: Any, state: Any) -> Any:
    return kind.from_json(json.loads(json.dumps(kind.to_json(state))))


# ------------------------------------------------------------------------------------- config pages

NAMES = st.sampled_from(["a", "b", "old"])
SCHEMAS = st.sampled_from(
    [
        None,
        {},
        {"type": "object"},
        {"type": "object", "properties": {"a": {"type": ["integer", "null"]}}},
        {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]},
        {"type": "object", "additionalProperties": {"type": ["integer", "string", "boolean"]}},
        {"type": "object", "properties": {"a": {}}, "additionalProperties": False},
    ]
)
STATES = st.builds(PageState, SCHEMAS, st.none() | objects(NAMES, json_values(st.just("c"))))


def written(kind: ConfigPageKind, item: PlannedItem, now: PageState) -> PageState:
    """Write an item as a platform that takes it at its word; every state between has to be valid."""
    if item.transition is None:
        return now
    schema, values, between = now.schema, now.variables, []
    (lane,) = kind.write_sequences([item.transition])
    for step in lane:
        body = copy.deepcopy(step.request.body)
        assert body is not None
        schema = body["schema"] if step.request.method == "PUT" else schema
        values = {**(values or {}), **body["variables"]} if step.request.method == "PATCH" else values
        assert value_problems(schema, values) == []
        between.append(kind.digest(PageState(schema, values)))
    assert [*item.waypoints, item.after] == between
    assert item.writes == len(lane)
    return PageState(schema, values)


@bounded(500)
@given(st.none() | STATES, st.none() | STATES, st.booleans())
@example(PageState({}, None), PageState({"type": "object"}, {"old": 1}), False)
@example(PageState(None, {"a": 1}), PageState(None, {"a": 2, "b": None}), False)
def test_a_restored_page_has_all_that_was_kept_and_says_what_more_it_has(
    wanted: PageState | None, now: PageState | None, bridge: bool
) -> None:
    kind = ConfigPageKind(bridge_schema=bridge)
    item = kind.restore(LIVE, wanted, now)
    kept, before = wanted or PageState(), now or PageState()
    added = [key for key, value in before.values.items() if key not in kept.values and value is not None]
    lost_schema = bool(before.schema and not kept.schema)
    warnings = [each.code for each in item.findings if each.severity is Severity.WARNING]
    assert list(item.stale_keys) == added
    schema_stays = (
        any("the present schema stays." in each.message for each in item.findings) and not lost_schema
    )
    assert warnings == ["cannot_undo"] * (bool(added) + lost_schema + schema_stays)
    assert item.before == kind.digest(before)
    if item.errors:
        event("refused")
        assert item.writes == 0
        assert item.waypoints == ()
        return
    final = written(kind, item, before)
    event(f"{item.writes} writes")
    assert kind.digest(final) == item.after
    assert same(final.schema, before.schema if schema_stays else kept.schema or before.schema)
    if schema_stays:
        event("schema stays")
        assert (
            value_problems(kept.schema, final.values)
            or kind.order(before, PageState(kept.schema, final.values)) is None
        )
    for key in {*before.values, *kept.values}:
        assert same(final.values[key], kept.values.get(key, before.values.get(key)))
    again = kind.restore(LIVE, wanted, final)
    assert not again.changed
    assert again.stale_keys == item.stale_keys


@bounded(200)
@given(STATES, STATES)
def test_what_a_promotion_did_is_undone_but_for_what_it_added(source: PageState, now: PageState) -> None:
    rules = Rules(stale_keys=StaleKeys.KEEP, allow_empty_source=True)
    there = plan_promotion(PAGES, LIVE, source, now, rules)
    if there.errors or value_problems(now.schema, now.values):
        return
    promoted = written(PAGES, there, now)
    back = PAGES.restore(LIVE, now, promoted)
    if not back.errors and not codes(back) and {*promoted.values} == {*now.values}:
        event("all of it")
        assert PAGES.digest(written(PAGES, back, promoted)) == PAGES.digest(
            replace(now, schema=now.schema or promoted.schema)
        )


@bounded(200)
@given(STATES)
def test_a_page_outlives_json(state: PageState) -> None:
    kept = through_json(PAGES, replace(state, last_updated="2026-01-01T00:00:00Z"))
    assert PAGES.digest(kept) == PAGES.digest(state)
    assert same(kept.schema, state.schema)
    assert same(kept.variables, state.variables)
    assert kept.last_updated == "2026-01-01T00:00:00Z"


def test_a_page_that_was_unset_keeps_what_it_has_now() -> None:
    now = PageState({"type": "object"}, {"hours": "9-17"})
    for wanted in (None, PageState()):
        item = PAGES.restore(LIVE, wanted, now)
        assert not item.changed
        assert item.stale_keys == ("hours",)
        assert codes(item) == ["cannot_undo", "cannot_undo"]
        assert "'9-17'" not in repr(item.findings)
    assert PAGES.restore(LIVE, None, None) == PlannedItem(LIVE, PAGES.digest(None), PAGES.digest(None))


def test_a_page_that_is_gone_is_written_again() -> None:
    kept = PageState({"type": "object"}, {"hours": "9-17"})
    item = PAGES.restore(LIVE, kept, None)
    assert item.findings == ()
    assert written(PAGES, item, PageState()) == kept


def test_a_way_back_that_no_order_keeps_valid_is_refused_unless_bridged() -> None:
    kept = PageState({"properties": {"hours": {"type": "string"}}}, {"hours": "9-17"})
    now = PageState({"properties": {"hours": {"type": "array"}}}, {"hours": ["9-17"]})
    refused = PAGES.restore(LIVE, kept, now)
    assert [each.code for each in refused.errors] == ["no_valid_order"]
    bridging = ConfigPageKind(bridge_schema=True)
    assert written(bridging, bridging.restore(LIVE, kept, now), now) == kept


@pytest.mark.parametrize(
    "plain",
    [
        None,
        {"schema": None, "variables": None},
        {"schema": [], "variables": None, "last_updated": None},
        {"schema": None, "variables": "x", "last_updated": None},
        {"schema": None, "variables": None, "last_updated": 5},
        {"schema": None, "variables": None, "last_updated": None, "more": 1},
    ],
)
def test_a_kept_page_that_is_malformed_is_refused(plain: Any) -> None:
    with pytest.raises(InputError, match="kept state of a config page"):
        PAGES.from_json(plain)


# --------------------------------------------------------------------------------------- connectors

TEXT = st.none() | st.sampled_from(["x", "y", "z"])
LINES = st.builds(ConnectorState, TEXT, TEXT, TEXT, TEXT, TEXT, TEXT)


@bounded(300)
@given(LINES, LINES)
def test_a_connector_gets_back_every_setting_that_can_be_written(
    wanted: ConnectorState, now: ConnectorState
) -> None:
    item = CONNECTORS.restore(LINE, wanted, now)
    stuck = [
        name
        for name in ("asr_lang_code", "voice_name")
        if getattr(wanted, name) is None and getattr(now, name) is not None
    ]
    reached = replace(now, **{name: getattr(wanted, name) for name in SETTINGS if name not in stuck})
    assert item.after == CONNECTORS.digest(reached)
    assert codes(item) == (["cannot_undo"] if stuck else [])
    assert all(name in item.findings[0].message for name in stuck)
    assert item.errors == ()
    assert item.writes == int(item.changed)
    if item.transition is not None:
        ((step,),) = CONNECTORS.write_sequences([item.transition])
        (update,) = step.request.body["updates"]  # type: ignore[index]
        assert len(update) == 1 + len(item.changes)
    assert not CONNECTORS.restore(LINE, wanted, reached).changed


def test_an_assigned_variant_is_taken_away_again() -> None:
    now = ConnectorState("v2", "en-GB", "voice")
    item = CONNECTORS.restore(LINE, replace(now, variant_id=None), now)
    ((step,),) = CONNECTORS.write_sequences([item.transition])  # type: ignore[list-item]
    assert step.request.body == {"updates": [{"connectorId": "conn-1", "variantId": None}]}


def test_no_connector_is_created_or_deleted() -> None:
    state = ConnectorState("v1", "en-GB", "voice")
    for wanted, now, expected in (
        (None, state, ["cannot_undo"]),
        (state, None, ["cannot_undo"]),
        (None, None, []),
    ):
        item = CONNECTORS.restore(LINE, wanted, now)
        assert not item.changed
        assert item.before == CONNECTORS.digest(now)
        assert codes(item) == expected
        assert item.errors == ()


@bounded(100)
@given(LINES)
def test_a_connector_outlives_json_with_what_does_not_count(state: ConnectorState) -> None:
    assert repr(through_json(CONNECTORS, state)) == repr(state)


@pytest.mark.parametrize(
    "plain", [[], {}, {**CONNECTORS.to_json(ConnectorState(None, None, None)), "name": 5}]
)
def test_a_kept_connector_that_is_malformed_is_refused(plain: Any) -> None:
    with pytest.raises(InputError, match="kept state of a connector"):
        CONNECTORS.from_json(plain)


# ------------------------------------------------------------------------------------------ routing

PLACES = st.builds(
    NumberState, st.sampled_from([None, "live", "sandbox"]), st.sampled_from([None, "c1", "c2"])
)


@bounded(200)
@given(st.none() | PLACES, st.none() | PLACES)
def test_a_number_goes_back_only_to_a_connector_of_the_environment_that_it_is_in(
    wanted: NumberState | None, now: NumberState | None
) -> None:
    item = ROUTING.restore(NUMBER, wanted, now)
    reachable = (
        wanted is not None
        and now is not None
        and wanted.client_env == now.client_env
        and not (wanted.connector_id is None and now.connector_id is not None)
    )
    assert codes(item) == ([] if reachable or wanted == now is None else ["cannot_undo"])
    assert item.errors == ()
    assert item.changed == (reachable and wanted != now)
    assert item.after == ROUTING.digest(wanted if reachable else now)
    if item.transition is not None:
        ((step,),) = ROUTING.write_sequences([item.transition])
        assert step.request.operation == "assign phone number"
        assert step.request.body == {"connectorId": wanted.connector_id}  # type: ignore[union-attr]
        assert item.writes == 1


@pytest.mark.parametrize(
    ("wanted", "now", "said"),
    [
        (None, NumberState("live", "c1"), "It is not deleted"),
        (NumberState("live", "c1"), None, "PolyAIImportPhoneNumbersOperator"),
        (NumberState("live", "c1"), NumberState("sandbox", "c1"), "It was in live and is in sandbox"),
        (NumberState("live"), NumberState("live", "c1"), "It stays on c1"),
    ],
)
def test_a_number_that_cannot_go_back_says_why(wanted: Any, now: Any, said: str) -> None:
    (finding,) = ROUTING.restore(NUMBER, wanted, now).findings
    assert said in finding.message


@bounded(50)
@given(PLACES)
def test_a_number_outlives_json(state: NumberState) -> None:
    assert through_json(ROUTING, state) == state


@pytest.mark.parametrize("plain", [None, {"client_env": "live"}, {"client_env": 1, "connector_id": None}])
def test_a_kept_number_that_is_malformed_is_refused(plain: Any) -> None:
    with pytest.raises(InputError, match="kept state of a phone number"):
        ROUTING.from_json(plain)


def test_unchanged_items_have_neither_writes_nor_waypoints() -> None:
    resources: list[tuple[Any, Resource, Any]] = [
        (PAGES, LIVE, PageState(None, {"a": 1})),
        (CONNECTORS, LINE, ConnectorState("v", "a", "b")),
        (ROUTING, NUMBER, NumberState("live", "c1")),
    ]
    for kind, resource, state in resources:
        digest = kind.digest(state)
        assert kind.restore(resource, state, state) == PlannedItem(resource, digest, digest)


def test_a_schema_that_a_key_that_stays_would_break_is_not_brought_back() -> None:
    closed = {"type": "object", "properties": {"greeting": {"type": "string"}}, "additionalProperties": False}
    opened = {"type": "object"}
    kept = PageState(closed, {"greeting": "old"})
    now = PageState(opened, {"greeting": "new", "hours": 1})
    item = ConfigPageKind().restore(page("a", "live"), kept, now)
    assert not item.errors
    assert item.transition is not None
    assert item.transition.after == PageState(opened, {"greeting": "old", "hours": 1})
    assert "the present schema stays" in " ".join(finding.message for finding in item.findings)
    assert item.stale_keys == ("hours",)
