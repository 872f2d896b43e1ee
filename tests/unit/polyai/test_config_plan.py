"""Config plans, checked against a model of the platform: every intermediate state is valid.

The model merges values at the top level and checks the merged result, and checks a schema and what is
stored under it: the strictest that the platform could be.
"""

from __future__ import annotations

import copy
import socket
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import event, example, given
from hypothesis import strategies as st
from jsonschema import Draft7Validator
from msgspec.structs import replace

from airflow_voice_agents.plans.canonical import digest, same
from airflow_voice_agents.plans.diff import ABSENT
from airflow_voice_agents.plans.plan import PlannedItem, Severity
from airflow_voice_agents.plans.selection import Selection, Unmatched, deep_merge
from airflow_voice_agents.polyai.operators.configs import NEVER_PROMOTE
from airflow_voice_agents.polyai.resources.config_page import ConfigPageKind, PageState, page
from airflow_voice_agents.polyai.resources.config_plan import (
    Merge,
    Rules,
    StaleKeys,
    plan_promotion,
    plan_values,
)
from support.json_values import bounded, json_values, objects

LIVE = page("harbour-hotels", "live")


class Refused(Exception):
    """The platform answers 400."""


class Platform:
    """One page as the platform holds it.

    :param state: what it holds.
    :param deletes_null: whether a key set to null is deleted rather than stored.
    """

    def __init__(self, state: PageState, *, deletes_null: bool = False) -> None:
        self.schema = copy.deepcopy(state.schema)
        self.variables = copy.deepcopy(state.variables)
        self.deletes_null = deletes_null

    @property
    def state(self) -> PageState:
        return PageState(copy.deepcopy(self.schema), copy.deepcopy(self.variables))

    def receive(self, method: str, body: Mapping[str, Any]) -> None:
        """Take a write, or refuse it."""
        if method == "PUT":
            self._check(body["schema"], self.variables)
            self.schema = copy.deepcopy(body["schema"])
        else:
            merged = {**(self.variables or {}), **copy.deepcopy(body["variables"])}
            if self.deletes_null:
                gone = {key for key, value in body["variables"].items() if value is None}
                merged = {key: value for key, value in merged.items() if key not in gone}
            self._check(self.schema, merged)
            self.variables = merged

    def _check(self, schema: Any, variables: Any) -> None:
        if schema is None or variables is None:  # an unset page holds nothing that a schema could refuse
            return
        Draft7Validator.check_schema(schema)
        for error in Draft7Validator(schema).iter_errors(variables or {}):
            raise Refused(error.message)


def carried_out(
    kind: ConfigPageKind, item: PlannedItem, now: PageState, *, deletes_null: bool = False
) -> PageState:
    """Write what an item asks for; every write must be taken, and carry whole values only."""
    platform = Platform(now, deletes_null=deletes_null)
    if item.transition is None:
        return platform.state
    (lane,) = kind.write_sequences([item.transition])
    assert len(lane) == item.writes > 0
    assert item.waypoints == tuple(step.waypoint for step in lane[:-1])
    assert lane[-1].waypoint is None
    for step in lane:
        assert step.request.body is not None
        for key, value in step.request.body.get("variables", {}).items():
            assert same(value, item.transition.after.values[key])
            assert key not in now.values or not same(value, now.values[key])
        platform.receive(step.request.method, step.request.body)
        if not deletes_null:
            assert kind.digest(platform.state) == (step.waypoint or item.after)
    assert kind.mismatches(item.transition, platform.state) == []
    return platform.state


def codes(item: PlannedItem) -> list[str]:
    return [finding.code for finding in item.findings]


def promote(
    source: PageState | None,
    now: PageState | None,
    *,
    kind: ConfigPageKind | None = None,
    **rules: Any,
) -> PlannedItem:
    return plan_promotion(kind or ConfigPageKind(), LIVE, source, now, Rules(**rules))


def values(**keys: Any) -> PageState:
    return PageState(None, keys)


def after(item: PlannedItem) -> dict[str, Any]:
    assert item.transition is not None
    return dict(item.transition.after.values)


# ------------------------------------------------------------------------------------ random pages

NAMES = st.sampled_from(["a", "b", "mock_x", "old"])
VALUES = json_values(st.sampled_from(["c", "mock_y"]))
TYPES = st.sampled_from(["string", "integer", "number", "boolean", "null", "object", "array"])
PROPERTY = st.one_of(
    st.builds(lambda kind: {"type": kind}, TYPES),
    st.builds(lambda kinds: {"type": kinds}, st.lists(TYPES, min_size=2, max_size=4, unique=True)),
    st.just({}),
    st.just({"type": "object", "required": ["c"], "properties": {"c": {"type": ["integer", "string"]}}}),
    st.just({"enum": [1, "1", None, {}]}),
)
SCHEMAS = st.none() | st.builds(
    lambda properties, required, more: {
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": more,
    },
    st.dictionaries(NAMES, PROPERTY, max_size=3),
    st.lists(NAMES, max_size=2, unique=True),
    st.sampled_from([True, True, {"type": ["string", "integer", "null", "object"]}]),
)
PAGES = st.builds(PageState, SCHEMAS, st.none() | objects(NAMES, VALUES))
SELECTORS = st.lists(
    st.sampled_from(["a", "b", "a.c", "*.c", "old", "**.mock_*", "mock_x"]), max_size=2, unique=True
).map(tuple)
RULES = st.builds(
    Rules,
    selection=st.builds(Selection, st.none() | SELECTORS, SELECTORS | st.just(NEVER_PROMOTE)),
    overrides=objects(NAMES, VALUES) | st.just({}),
    stale_keys=st.sampled_from(StaleKeys),
    promote_schema=st.booleans(),
    allow_empty_source=st.booleans(),
)


@bounded(500)
@given(PAGES, PAGES, RULES, st.booleans())
@example(PageState(None, {"a": 1}), PageState(None, None), Rules(Selection(exclude=("**",))), False)
@example(
    PageState(None, {"a": 1}),
    values(old={"mock_y": 1, "c": 2}),
    Rules(Selection(None, NEVER_PROMOTE), {}, StaleKeys.NULL),
    False,
)
@example(PageState(None, None), PageState(None, None), Rules(allow_empty_source=True), False)
@example(values(a={}), PageState(), Rules(Selection(None, ("a",)), {"a": []}), False)
@example(
    values(a=[], mock_x=[None]),
    PageState(),
    Rules(Selection(None, NEVER_PROMOTE), {"a": None, "mock_x": [None]}),
    False,
)
def test_every_state_between_is_valid_and_planning_again_finds_nothing_to_do(
    source: PageState, now: PageState, rules: Rules, bridge: bool
) -> None:
    kind = ConfigPageKind(bridge_schema=bridge)
    item = plan_promotion(kind, LIVE, source, now, rules)
    assert item.changed == (item.transition is not None)
    assert item.source == kind.digest(source)
    if item.errors:
        event("refused")
        assert len(item.waypoints) == max(0, item.writes - 1)
        assert item.writes == 0 or not set(codes(item)) & {
            "invalid_schema",
            "invalid_values",
            "no_valid_order",
        }
        return
    event(f"{item.writes} writes")
    final = carried_out(kind, item, now)
    assert kind.digest(final) == item.after
    again = plan_promotion(kind, LIVE, source, final, rules)
    assert not again.changed
    assert again.errors == ()
    assert again.stale_keys == (() if rules.stale_keys is StaleKeys.NULL else item.stale_keys)
    assert again.kept_keys == item.kept_keys


@bounded(200)
@given(PAGES, PAGES, RULES)
def test_where_null_deletes_a_key_planning_again_finds_nothing_to_do_either(
    source: PageState, now: PageState, rules: Rules
) -> None:
    # A platform that deletes holds no null, and an override with null would never be seen.
    source, now = _without_nulls(source), _without_nulls(now)
    rules = replace(
        rules, overrides=_without_nulls(values(**rules.overrides)).values, stale_keys=StaleKeys.NULL
    )
    kind = ConfigPageKind()
    item = plan_promotion(kind, LIVE, source, now, rules)
    if item.errors:
        return
    try:
        final = carried_out(kind, item, now, deletes_null=True)
    except Refused:
        return  # the key is required and may be null: only a platform that stores null takes it
    again = plan_promotion(kind, LIVE, source, final, rules)
    assert not again.changed
    assert again.stale_keys == ()


@bounded(400)
@given(PAGES, PAGES, RULES)
def test_nothing_changes_but_what_is_selected_overridden_or_stale(
    source: PageState, now: PageState, rules: Rules
) -> None:
    item = promote_with(source, now, rules)
    result = {**now.values} if item.transition is None else after(item)
    taken = rules.selection.merge(source.values, now.values)
    stale = set(item.stale_keys) if rules.stale_keys is StaleKeys.NULL else set()
    assert set(result) == {*now.values, *taken, *rules.overrides}
    for key, value in result.items():
        if key in rules.overrides:
            expected = deep_merge(taken.get(key, now.values.get(key, ABSENT)), rules.overrides[key])
        elif key in taken:
            expected = taken[key]
        elif key in stale:
            left = rules.selection.remainder(key, now.values[key])
            expected = None if left is ABSENT else left
        else:
            expected = now.values[key]
        assert same(value, expected), key


@bounded(400)
@given(PAGES, PAGES, RULES)
def test_stale_keys_are_exactly_those_that_only_the_target_has_and_that_are_not_its_own(
    source: PageState, now: PageState, rules: Rules
) -> None:
    selection = rules.selection
    expected = [
        key
        for key, value in now.values.items()
        if value is not None
        and key not in source.values
        and key not in rules.overrides
        and (
            selection.include is None
            or key in selection.include
            or (key.startswith("mock_") and "**.mock_*" in selection.include)
        )
        and key not in selection.exclude
        and not (key.startswith("mock_") and "**.mock_*" in selection.exclude)
        and not _all_excluded(key, value, selection.exclude)
    ]
    item = promote_with(source, now, rules)
    assert list(item.stale_keys) == expected
    assert ("stale_keys" in codes(item)) == bool(expected)
    if rules.stale_keys is StaleKeys.FAIL:
        assert ("stale_keys" in [finding.code for finding in item.errors]) == bool(expected)


@bounded(200)
@given(PAGES, PAGES, RULES)
def test_planning_changes_none_of_its_arguments_and_is_always_the_same(
    source: PageState, now: PageState, rules: Rules
) -> None:
    kept = copy.deepcopy((source.schema, source.variables, now.schema, now.variables, rules.overrides))
    assert promote_with(source, now, rules) == promote_with(source, now, rules)
    assert same(
        list(kept), [source.schema, source.variables, now.schema, now.variables, dict(rules.overrides)]
    )


@bounded(300)
@given(PAGES, objects(NAMES, VALUES), st.sampled_from(Merge), st.booleans())
def test_given_values_end_up_on_the_page_and_the_rest_stays(
    now: PageState, given_values: dict[str, Any], merge: Merge, bridge: bool
) -> None:
    kind = ConfigPageKind(bridge_schema=bridge)
    item = plan_values(kind, LIVE, given_values, now, merge)
    if item.errors:
        return
    final = carried_out(kind, item, now)
    assert not plan_values(kind, LIVE, given_values, final, merge).changed
    assert same(final.schema, now.schema)
    for key in {*now.values, *given_values}:
        if key not in given_values:
            expected = now.values[key]
        elif merge is Merge.REPLACE:
            expected = given_values[key]
        else:
            expected = deep_merge(now.values.get(key, ABSENT), given_values[key])
        assert same(final.values[key], expected)


@bounded(200)
@given(PAGES, PAGES, RULES, st.integers(0, 2))
def test_an_interrupted_item_planned_again_ends_in_the_same_state(
    source: PageState, now: PageState, rules: Rules, done: int
) -> None:
    kind = ConfigPageKind(bridge_schema=True)
    item = plan_promotion(kind, LIVE, source, now, rules)
    if item.errors or item.transition is None or rules.stale_keys is StaleKeys.FAIL:
        return
    (lane,) = kind.write_sequences([item.transition])
    platform = Platform(now)
    for step in lane[:done]:
        assert step.request.body is not None
        platform.receive(step.request.method, step.request.body)
    again = plan_promotion(kind, LIVE, source, platform.state, rules)
    assert again.after == item.after
    assert kind.digest(carried_out(kind, again, platform.state)) == item.after


def promote_with(source: PageState, now: PageState, rules: Rules) -> PlannedItem:
    return plan_promotion(ConfigPageKind(), LIVE, source, now, rules)


def _without_nulls(state: PageState) -> PageState:
    return replace(state, variables={key: value for key, value in state.values.items() if value is not None})


def _all_excluded(key: str, value: Any, exclude: tuple[str, ...]) -> bool:
    """Whether all members of an object are the target's own, all the way down."""
    if not isinstance(value, dict) or not value:
        return False
    return all(_member_excluded(key, (name,), below, exclude) for name, below in value.items())


def _member_excluded(key: str, path: tuple[str, ...], value: Any, exclude: tuple[str, ...]) -> bool:
    named = (path[-1].startswith("mock_") and "**.mock_*" in exclude) or (
        len(path) == 1 and path[0] == "c" and ("*.c" in exclude or f"{key}.c" in exclude)
    )
    if named:
        return True
    return (
        isinstance(value, dict)
        and bool(value)
        and all(_member_excluded(key, (*path, name), below, exclude) for name, below in value.items())
    )


# ----------------------------------------------------------------------------------------- examples

HOURS_OLD = {"type": "object", "properties": {"hours": {"type": "string"}}, "required": ["hours"]}
HOURS_NEW = {"type": "object", "properties": {"hours": {"type": "array"}}, "required": ["hours"]}


def test_schema_and_values_go_together() -> None:
    item = promote(PageState(HOURS_OLD, {"hours": "9-17"}), None)
    assert item.writes == 2
    assert carried_out(ConfigPageKind(), item, PageState()) == PageState(HOURS_OLD, {"hours": "9-17"})


def test_a_page_that_no_order_keeps_valid_is_refused_unless_a_bridge_is_allowed() -> None:
    source, now = PageState(HOURS_NEW, {"hours": ["9-17"]}), PageState(HOURS_OLD, {"hours": "9-17"})
    refused = promote(source, now)
    assert codes(refused) == ["no_valid_order"]
    assert "bridge_schema=True" in refused.errors[0].message
    assert refused.writes == 0
    bridged = promote(source, now, kind=ConfigPageKind(bridge_schema=True))
    assert bridged.findings == ()
    assert bridged.writes == 3
    assert carried_out(ConfigPageKind(bridge_schema=True), bridged, now) == source


def test_only_the_schema_goes_where_no_key_is_included() -> None:
    source = PageState({"type": "object", "title": "new"}, {"hours": "9-17"})
    now = PageState({"type": "object"}, {"hours": "10-16"})
    item = promote(source, now, selection=Selection(include=()))
    assert item.findings == ()
    final = carried_out(ConfigPageKind(), item, now)
    assert final == PageState(source.schema, now.variables)
    assert item.writes == 1


def test_only_values_go_where_the_schema_is_not_promoted() -> None:
    source, now = PageState(HOURS_OLD, {"hours": "9-17"}), PageState({"type": "object"}, {"hours": "10-16"})
    final = carried_out(ConfigPageKind(), promote(source, now, promote_schema=False), now)
    assert final == PageState({"type": "object"}, {"hours": "9-17"})


@pytest.mark.parametrize("schema", [None, {}])
def test_a_source_without_schema_leaves_the_targets_schema_and_says_so(schema: dict[str, Any] | None) -> None:
    item = promote(PageState(schema, {"hours": "9-17"}), PageState(HOURS_OLD, {"hours": "x"}))
    assert codes(item) == ["source_without_schema"]
    assert item.errors == ()
    assert item.transition is not None
    assert item.transition.after.schema == HOURS_OLD


@pytest.mark.parametrize("source", [None, PageState(), PageState(HOURS_OLD, {}), PageState(HOURS_OLD, None)])
def test_an_empty_source_is_refused_unless_it_is_meant(source: PageState | None) -> None:
    assert "empty_source" in codes(promote(source, values(a=1), stale_keys=StaleKeys.KEEP))
    meant = promote(source, values(hours="x"), stale_keys=StaleKeys.KEEP, allow_empty_source=True)
    assert meant.errors == ()


def test_a_result_that_breaks_the_schema_is_refused_without_showing_the_value() -> None:
    item = promote(PageState(HOURS_OLD, {"hours": ["hunter2"]}), PageState())
    assert codes(item) == ["invalid_values"]
    assert "hours: must be string, is array" in item.errors[0].message
    assert "hunter2" not in item.errors[0].message
    assert item.writes == 0


def test_an_invalid_schema_is_refused() -> None:
    item = promote(PageState({"type": "nothing"}, {"a": 1}), PageState())
    assert codes(item) == ["invalid_schema"]


def test_a_page_whose_own_schema_is_malformed_is_refused_and_no_crash() -> None:
    item = plan_values(
        ConfigPageKind(),
        LIVE,
        {"a": 2},
        PageState({"properties": {"a": {"type": "nothing"}}}, {"a": 1}),
        Merge.DEEP,
    )
    assert codes(item) == ["invalid_values"]


def test_a_schema_that_refers_to_another_document_is_refused_and_nothing_is_fetched(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fetched: list[object] = []

    def refuse(*what: object, **_: object) -> None:
        fetched.append(what)
        raise OSError

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    schema = {"properties": {"a": {"$ref": "http://127.0.0.1:9/schema.json"}}}
    item = promote(PageState(schema, {"a": 1}), values())
    assert codes(item) == ["invalid_values"]
    assert "never fetched" in item.errors[0].message
    assert fetched == []


@pytest.mark.parametrize(
    ("old", "new"), [(1, 1.0), (1.0, True), (True, 1), (0, False), (None, ""), ("", None)]
)
def test_a_change_of_type_is_a_change_and_is_sent(old: Any, new: Any) -> None:
    item = promote(values(k=new), values(k=old))
    assert item.changed
    assert item.writes == 1
    final = carried_out(ConfigPageKind(), item, values(k=old))
    assert same(final.values, {"k": new})


@pytest.mark.parametrize(
    ("policy", "severity", "result"),
    [
        (StaleKeys.FAIL, Severity.ERROR, {"a": 1, "old": "x"}),
        (StaleKeys.KEEP, Severity.WARNING, {"a": 1, "old": "x"}),
        (StaleKeys.NULL, Severity.WARNING, {"a": 1, "old": None}),
    ],
)
def test_what_becomes_of_a_stale_key(policy: StaleKeys, severity: Severity, result: dict[str, Any]) -> None:
    item = promote(values(a=1), values(a=0, old="x"), stale_keys=policy)
    assert item.stale_keys == ("old",)
    (finding,) = item.findings
    assert (finding.code, finding.severity) == ("stale_keys", severity)
    assert after(item) == result


@pytest.mark.parametrize("deletes_null", [False, True])
def test_a_stale_key_set_to_null_is_gone_for_good(deletes_null: bool) -> None:
    source, now = values(a=1), values(a=1, old="x")
    item = promote(source, now, stale_keys=StaleKeys.NULL)
    final = carried_out(ConfigPageKind(), item, now, deletes_null=deletes_null)
    assert final.values.get("old") is None
    again = promote(source, final, stale_keys=StaleKeys.NULL)
    assert not again.changed
    assert again.stale_keys == ()


def test_null_is_refused_where_the_schema_forbids_it() -> None:
    schema = {"properties": {"old": {"type": "string"}}}
    item = promote(PageState(schema, {"a": 1}), PageState(schema, {"old": "x"}), stale_keys=StaleKeys.NULL)
    assert "invalid_values" in [finding.code for finding in item.errors]


def test_members_that_are_the_targets_own_survive_when_their_object_is_stale() -> None:
    now = values(a=1, settings={"mock_dnis": "+1", "limit": 5})
    selection = Selection(exclude=NEVER_PROMOTE)
    item = promote(values(a=1), now, selection=selection, stale_keys=StaleKeys.NULL)
    assert item.stale_keys == ("settings",)
    assert after(item) == {"a": 1, "settings": {"mock_dnis": "+1"}}
    own = promote(values(a=1), values(a=1, settings={"mock_dnis": "+1"}), selection=selection)
    assert own.stale_keys == ()
    assert not own.changed
    assert own.findings == ()


def test_a_stale_key_that_an_override_gives_is_not_stale() -> None:
    item = promote(values(a=1), values(old="x"), overrides={"old": "y"})
    assert item.stale_keys == ()
    assert after(item) == {"a": 1, "old": "y"}


def test_a_stale_key_outside_the_selection_is_the_targets_own() -> None:
    for selection in (
        Selection(include=("a",)),
        Selection(exclude=("old",)),
        Selection(include=("old.x", "a")),
    ):
        item = promote(values(a=1, old2=1), values(old="x"), selection=selection)
        assert item.stale_keys == ()


def test_an_override_meets_what_is_taken_or_what_is_there() -> None:
    source, now = values(s={"a": 1, "b": 2}), values(s={"a": 0}, own={"x": 1, "y": 2}, n=1)
    overrides = {"s": {"b": 9}, "own": {"y": 3}, "n": None, "new": {"deep": {"z": 1}}}
    item = promote(source, now, overrides=overrides)
    assert after(item) == {
        "s": {"a": 1, "b": 9},
        "own": {"x": 1, "y": 3},
        "n": None,
        "new": {"deep": {"z": 1}},
    }


def test_an_included_selector_that_the_source_does_not_have_is_an_error() -> None:
    item = promote(values(a={"x": 1}), values(), selection=Selection(include=("a.x", "a.y", "b")))
    assert codes(item) == ["include_keys"]
    said = item.errors[0].message
    assert said.startswith("include_keys names what the source does not have: a.y, b. Did you mean 'a.x'?")


def test_test_switches_stay_as_each_target_has_them() -> None:
    source = values(settings={"mock_dnis": "+1", "limit": 5}, use_mock_api=True, use_dev_api=True)
    now = values(settings={"mock_dnis": "+2", "limit": 1}, use_mock_api=False)
    item = promote(source, now, selection=Selection(exclude=NEVER_PROMOTE))
    assert after(item) == {"settings": {"mock_dnis": "+2", "limit": 5}, "use_mock_api": False}
    assert item.kept_keys == ("settings.mock_dnis", "use_mock_api", "use_dev_api")


def test_a_test_switch_that_an_override_sets_is_not_told_as_kept() -> None:
    rules = {"selection": Selection(exclude=NEVER_PROMOTE), "overrides": {"use_mock_api": None}}
    item = promote(values(use_mock_api=True, mock_x=1), values(use_mock_api=False), **rules)
    assert after(item) == {"use_mock_api": None}
    assert item.kept_keys == ("mock_x",)


def test_secrets_of_either_schema_are_listed() -> None:
    def schema(name: str) -> dict[str, Any]:
        return {"properties": {name: {"writeOnly": True}}}

    item = promote(PageState(schema("new"), {"a": 1}), PageState(schema("old"), {"a": 0}))
    assert item.sensitive == (("new",), ("old",))


def test_an_unchanged_page_holds_no_states_and_no_writes() -> None:
    item = promote(values(a=1), values(a=1))
    assert (item.changed, item.transition, item.writes, item.changes, item.findings) == (
        False,
        None,
        0,
        (),
        (),
    )


@pytest.mark.parametrize(
    ("merge", "result"),
    [
        (Merge.DEEP, {"settings": {"a": 1, "b": 9}, "n": 1}),
        (Merge.REPLACE, {"settings": {"b": 9}, "n": 1}),
    ],
)
def test_given_objects_are_merged_or_replaced(merge: Merge, result: dict[str, Any]) -> None:
    now = values(settings={"a": 1, "b": 2}, n=1)
    item = plan_values(ConfigPageKind(), LIVE, {"settings": {"b": 9}}, now, merge)
    assert after(item) == result
    (lane,) = ConfigPageKind().write_sequences([item.transition])  # type: ignore[list-item]
    assert lane[0].request.body == {"variables": {"settings": result["settings"]}}


def test_the_source_is_pinned_by_its_digest_and_an_update_has_none() -> None:
    kind = ConfigPageKind()
    assert promote(values(a=1), values()).source == kind.digest(values(a=1)) == digest([None, {"a": 1}])
    assert plan_values(kind, LIVE, {"a": 1}, None, Merge.DEEP).source is None


@pytest.mark.xfail(
    strict=True, reason="a platform that deletes nulls never shows the null that was asked for"
)
def test_a_null_that_the_platform_deletes_is_not_written_again_and_again() -> None:
    item = plan_values(ConfigPageKind(), LIVE, {"k": None}, values(k=1), Merge.DEEP)
    final = carried_out(ConfigPageKind(), item, values(k=1), deletes_null=True)
    assert not plan_values(ConfigPageKind(), LIVE, {"k": None}, final, Merge.DEEP).changed


# --------------------------------------------------------------------- selectors that reach nothing

SANDBOX = page("harbour-hotels", "sandbox")


@pytest.mark.parametrize("argument", ["exclude_keys", "never_promote"])
@pytest.mark.parametrize(
    ("selector", "suggested"),
    [
        ("fallback_nummer", "Did you mean 'fallback_number'?"),
        ("Fallback_number", "Did you mean 'fallback_number'?"),
        ("mode", "Did you mean 'ivr.mode'?"),
        ("**.nothing_*", ""),
        ("fallback_number ", "only in white space or invisible characters"),
        ("$schema.properties", "promote_schema=False"),
    ],
)
def test_an_exclusion_that_reaches_nothing_stops_live_and_is_told_elsewhere(
    argument: str, selector: str, suggested: str
) -> None:
    source = values(fallback_number="+1", ivr={"mode": "x"})
    own = (selector,) if argument == "never_promote" else ()
    given = Rules(selection=Selection(exclude=(selector,)), never_promote=own)
    for where, severity in ((LIVE, Severity.ERROR), (SANDBOX, Severity.WARNING)):
        item = plan_promotion(ConfigPageKind(), where, source, values(), given)
        (finding,) = item.findings
        assert (finding.code, finding.severity) == (argument, severity)
        assert selector in finding.message
        assert suggested in finding.message
    for policy, severity in ((Unmatched.FAIL, Severity.ERROR), (Unmatched.WARN, Severity.WARNING)):
        (finding,) = plan_promotion(
            ConfigPageKind(), SANDBOX, source, values(), replace(given, unmatched=policy)
        ).findings
        assert finding.severity is severity
    ignored = replace(given, unmatched=Unmatched.IGNORE)
    assert not plan_promotion(ConfigPageKind(), LIVE, source, values(), ignored).findings


def test_a_selector_that_reaches_either_page_is_no_finding_and_neither_is_a_default() -> None:
    for source, now in ((values(a=1, own=1), values()), (values(a=1), values(own=1))):
        item = promote(source, now, selection=Selection(exclude=("own", *NEVER_PROMOTE)))
        assert item.findings == ()


def test_an_include_that_names_a_place_in_an_array_is_refused_with_the_array() -> None:
    item = promote(values(days=[1, 2]), values(), selection=Selection(include=("days[0]",)))
    assert "Did you mean 'days'? An array is one value." in item.errors[0].message
    ignored = promote(
        values(days=[1]), values(), selection=Selection(include=("day",)), unmatched=Unmatched.IGNORE
    )
    assert ignored.findings == ()


def test_a_flat_test_switch_stays_with_the_target() -> None:
    source, now = values(**{"ivr.mock_mode": "on", "a": 1}), values(**{"ivr.mock_mode": "off", "a": 0})
    for exclude in (NEVER_PROMOTE, ("ivr.mock_mode",), ('"ivr.mock_mode"',)):
        item = promote(source, now, selection=Selection(exclude=exclude))
        assert after(item) == {"ivr.mock_mode": "off", "a": 1}
        assert item.kept_keys == ('"ivr.mock_mode"',)
