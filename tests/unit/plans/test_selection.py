"""Selected keys go to a target; every other key stays as the target has it."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from airflow_voice_agents.plans.canonical import same
from airflow_voice_agents.plans.diff import ABSENT, diff
from airflow_voice_agents.plans.display import MASKED, Display, show_path
from airflow_voice_agents.plans.kind import Resource
from airflow_voice_agents.plans.plan import PlannedItem
from airflow_voice_agents.plans.selection import (
    Selection,
    deep_merge,
    matches,
    meant,
    page_paths,
    parse_selector,
    value_at,
)
from airflow_voice_agents.transport.errors import InputError
from support.json_values import JSON, bounded, json_values, objects

Path = tuple[str, ...]

SOURCE = {
    "settings": {"mock_dnis": "+1", "routing": True, "limits": {"max": 5, "mock_limit": 1}},
    "flags": {"a": 1, "b": 2},
    "opening_hours": ["9-17"],
}
TARGET = {
    "settings": {"mock_dnis": "+2", "routing": False, "limits": {"max": 9, "mock_limit": 7}, "own": 1},
    "flags": {"a": 9, "c": 3},
    "opening_hours": ["10-16"],
    "only_target": 1,
}


@pytest.mark.parametrize(
    ("selector", "path", "fits"),
    [
        ("a", ("a",), True),
        ("a", ("a", "b"), False),
        ("a.b", ("a", "b"), True),
        ("a.b", ("a.b",), False),
        ("a?b", ("a.b",), True),
        ("a.*", ("a", "anything"), True),
        ("a.*", ("a",), False),
        ("a.*", ("a", "b", "c"), False),
        ("**.mock_*", ("mock_x",), True),
        ("**.mock_*", ("s", "t", "mock_x"), True),
        ("**.mock_*", ("mock_x", "below"), False),
        ("**.s.mock_*", ("a", "s", "mock_x"), True),
        ("**.s.mock_*", ("mock_x",), False),
        ("**", ("anything", "at", "all"), True),
        ("A", ("a",), False),
        ("[ab]", ("b",), True),
    ],
)
def test_a_selector_names_paths(selector: str, path: Path, fits: bool) -> None:
    assert matches(selector, path) is fits


def test_without_selectors_every_key_of_the_source_is_taken_whole() -> None:
    assert Selection().merge(SOURCE, TARGET) == SOURCE


def test_a_key_that_is_not_included_is_left_out() -> None:
    assert Selection(include=("flags",)).merge(SOURCE, TARGET) == {"flags": {"a": 1, "b": 2}}


def test_nothing_selected_takes_nothing() -> None:
    assert Selection(include=()).merge(SOURCE, TARGET) == {}
    assert Selection(include=("nowhere",)).merge(SOURCE, TARGET) == {}
    assert Selection(exclude=("**",)).merge(SOURCE, TARGET) == {}


def test_excluded_members_keep_the_targets_value_and_the_rest_is_the_sources() -> None:
    merged = Selection(exclude=("**.mock_*",)).merge(SOURCE, TARGET)
    assert merged["settings"] == {"mock_dnis": "+2", "routing": True, "limits": {"max": 5, "mock_limit": 7}}


def test_an_excluded_member_that_the_target_lacks_stays_absent() -> None:
    assert Selection(exclude=("**.mock_*",)).merge({"s": {"mock_x": 1, "y": 2}}, {}) == {"s": {"y": 2}}


def test_an_excluded_member_that_only_the_target_has_stays() -> None:
    selection = Selection(exclude=("**.mock_*",))
    target = {"s": {"deep": {"mock_x": 1, "gone": 2}, "gone": 3}}
    assert selection.merge({"s": {}}, target) == {"s": {"deep": {"mock_x": 1}}}


def test_an_included_member_comes_alone_and_its_neighbours_stay() -> None:
    merged = Selection(include=("settings.routing",)).merge(SOURCE, TARGET)
    assert merged == {"settings": {**TARGET["settings"], "routing": True}}  # type: ignore[dict-item]


def test_an_included_member_meets_a_target_without_its_object() -> None:
    assert Selection(include=("settings.routing",)).merge(SOURCE, {}) == {"settings": {"routing": True}}


@pytest.mark.parametrize("own", [{}, "text", None, [], {"deep": {}}])
def test_a_neighbour_of_an_included_member_stays_whatever_it_is(own: Any) -> None:
    merged = Selection(include=("**.x",)).merge({"s": {"x": 2}}, {"s": {"x": 1, "own": own}})
    assert merged == {"s": {"x": 2, "own": own}}


@pytest.mark.parametrize("neighbours", [{}, {"own": 1}])
def test_an_included_member_that_the_source_lacks_goes_with_or_without_neighbours(
    neighbours: dict[str, Any],
) -> None:
    merged = Selection(include=("s.x",)).merge({"s": {"other": 1}}, {"s": {"x": 1, **neighbours}})
    assert merged == {"s": neighbours}


def test_exclude_wins_over_include() -> None:
    assert Selection(include=("flags",), exclude=("flags.a",)).merge(SOURCE, TARGET) == {
        "flags": {"a": 9, "b": 2}
    }
    assert Selection(include=("flags",), exclude=("flags",)).merge(SOURCE, TARGET) == {}


@pytest.mark.parametrize("key", ["a.b", "", "**", "*", "a[0]", "ключ", "\x1b[31m", "a\nb"])
def test_hostile_key_names_are_taken_like_any_other(key: str) -> None:
    source, target = {key: {"x": 1}}, {key: {"x": 2, "mock_y": 3}}
    assert Selection().merge(source, target) == {key: {"x": 1}}
    assert Selection(exclude=("**.mock_*",)).merge(source, target) == {key: {"x": 1, "mock_y": 3}}
    assert Selection(exclude=("*",)).merge(source, target) == {}


def test_a_dotted_selector_does_not_name_a_key_with_a_dot() -> None:
    source = {"a.b": 1, "a": {"b": 2, "c": 3}}
    assert Selection(exclude=("a.b",)).merge(source, {}) == {"a.b": 1, "a": {"c": 3}}


@pytest.mark.parametrize(
    ("selection", "takes"),
    [
        (Selection(), True),
        (Selection(include=("settings",)), True),
        (Selection(include=("settings.routing",)), False),
        (Selection(exclude=("settings.routing",)), True),
        (Selection(exclude=("settings",)), False),
        (Selection(include=("**.x",)), False),
    ],
)
def test_a_key_belongs_to_the_source_only_as_a_whole(selection: Selection, takes: bool) -> None:
    assert selection.takes("settings") is takes


def test_kept_lists_what_was_held_back_and_differs() -> None:
    selection = Selection(exclude=("**.mock_*", "flags.b", "flags.a"))
    assert selection.kept(SOURCE, TARGET) == [
        ("settings", "mock_dnis"),
        ("settings", "limits", "mock_limit"),
        ("flags", "a"),
        ("flags", "b"),
    ]
    assert selection.kept(SOURCE, SOURCE) == []


def test_kept_tells_types_apart_and_says_nothing_of_what_only_the_target_has() -> None:
    selection = Selection(exclude=("x", "y", "z"))
    assert selection.kept({"x": 1, "y": 1}, {"x": 1.0, "y": 1, "z": 1}) == [("x",)]


def test_kept_says_nothing_of_what_was_not_included_in_the_first_place() -> None:
    selection = Selection(include=("flags", "deep.in.x"), exclude=("**.mock_*", "**.x"))
    source = {"settings": {"mock_a": 1}, "flags": {"mock_b": 1}, "deep": {"in": {"x": 1, "mock_c": 2}}}
    assert selection.kept(source, {}) == [("flags", "mock_b"), ("deep", "in", "x")]


# ------------------------------------------------------------------------------------- properties

SELECTORS = st.lists(
    st.sampled_from(["a", "b", "a.b", "a.*", "*.c", "**.mock_*", "**.c", "**.b.c", "*.*.a", "c", "mock_x"]),
    max_size=3,
).map(tuple)
SELECTIONS = st.builds(Selection, st.none() | SELECTORS, SELECTORS)
NAMES = st.sampled_from(["a", "b", "c", "mock_x", "a.b"])
VALUES = objects(NAMES, json_values(NAMES))


@bounded(400)
@given(SELECTIONS, VALUES, VALUES)
@example(Selection(("**.c",)), {"a": {"c": 1}}, {"a": {"c": 2, "b": {}}})
@example(Selection(("a.b",)), {"a": {"c": 0}}, {"a": {"b": 0}})
def test_every_leaf_comes_from_whom_the_selection_says(
    selection: Selection, source: dict[str, Any], target: dict[str, Any]
) -> None:
    merged = selection.merge(source, target)
    assert set(merged) <= set(source)
    result = {**target, **merged}
    for path, value in _leaves(result):
        mine, theirs = value_at(source, path), value_at(target, path)
        if _selected(selection, path):
            from_target = path[0] not in merged or _blocked(path, source)
            assert _same(value, mine) or (from_target and _same(value, theirs)), path
        else:
            assert _same(value, theirs), path
    for path, value in _leaves(source):
        if _selected(selection, path):
            assert _same(value_at(result, path), value), path
    for path, value in _leaves(target):
        if not _selected(selection, path) and not _overwritten(selection, path, source):
            assert _same(value_at(result, path), value), path


@bounded(300)
@given(SELECTIONS, VALUES, VALUES)
def test_a_second_merge_changes_nothing(
    selection: Selection, source: dict[str, Any], target: dict[str, Any]
) -> None:
    once = {**target, **selection.merge(source, target)}
    assert same({**once, **selection.merge(source, once)}, once)
    assert selection.kept(source, once) == selection.kept(source, target)


@bounded(200)
@given(SELECTIONS, VALUES, VALUES)
def test_merging_never_changes_its_arguments(
    selection: Selection, source: dict[str, Any], target: dict[str, Any]
) -> None:
    before = copy.deepcopy((source, target))
    selection.merge(source, target)
    selection.kept(source, target)
    assert same(list(before), [source, target])


@bounded(200)
@given(st.none() | SELECTORS, VALUES, VALUES)
def test_all_excluded_leaves_the_target_as_it_is(
    include: tuple[str, ...] | None, source: dict[str, Any], target: dict[str, Any]
) -> None:
    assert Selection(include, ("**",)).merge(source, target) == {}


@bounded(300)
@given(st.none() | SELECTORS, SELECTORS, VALUES, VALUES)
def test_kept_is_empty_exactly_where_the_exclusion_held_nothing_back(
    include: tuple[str, ...] | None, exclude: tuple[str, ...], source: dict[str, Any], target: dict[str, Any]
) -> None:
    selection = Selection(include, exclude)
    all_taken = {**target, **Selection(include).merge(source, target)}
    kept = selection.kept(source, target)
    for path in kept:
        assert _names(exclude, path)
        assert not _same(value_at(all_taken, path), value_at(target, path))
    for path, value in _leaves(source):
        held = [path[:end] for end in range(1, len(path) + 1) if _names(exclude, path[:end])][:1]
        if held and _selected(Selection(include), path) and not _same(value, value_at(target, path)):
            assert held[0] in kept


@bounded(200)
@given(SELECTIONS, JSON)
def test_what_stays_of_a_stale_value_is_exactly_what_was_not_selected(
    selection: Selection, value: Any
) -> None:
    left = selection.remainder("a", value)
    for path, leaf in _leaves({"a": value}):
        assert _same(value_at({"a": left}, path) if left is not ABSENT else ABSENT, ABSENT) == _selected(
            selection, path
        ), leaf


@bounded(300)
@given(JSON, JSON)
@example({"a": {"b": 1}}, {"a": {"b": None}})
def test_deep_merge_lays_every_leaf_of_the_overlay_over_the_base(base: Any, overlay: Any) -> None:
    merged = deep_merge(base, overlay)
    assert same(deep_merge(merged, overlay), merged)
    assert same(deep_merge(ABSENT, overlay), overlay)
    if not isinstance(overlay, dict):
        assert same(merged, overlay)
        return
    for path, value in _leaves(overlay):
        assert same(value_at(merged, path), value)
    if isinstance(base, dict):
        for path, value in _leaves(base):
            if not _blocked(path, overlay) and value_at(overlay, path) is ABSENT:
                assert same(value_at(merged, path), value)


def test_what_stands_at_a_path() -> None:
    value = {"a": {"b": None}, "a.b": 1, "l": [1]}
    assert value_at(value, ("a", "b")) is None
    assert value_at(value, ("a.b",)) == 1
    assert value_at(value, ()) is value
    for path in (("b",), ("a", "b", "c"), ("l", "0"), ("a", "c")):
        assert value_at(value, path) is ABSENT


@bounded(100)
@given(JSON)
def test_deep_merge_with_itself_or_nothing_changes_nothing(value: Any) -> None:
    assert same(deep_merge(value, value), value)
    assert not isinstance(value, dict) or same(deep_merge(value, {}), value)


@bounded(200)
@given(objects(), objects(), objects())
def test_deep_merge_of_objects_is_associative(one: Any, two: Any, three: Any) -> None:
    # Only where no object meets a plain value on the way, which ends what was below it.
    if any(
        _blocked(path, other)
        for each in (one, two, three)
        for path, _ in _leaves(each, whole=True)
        for other in (one, two, three)
    ):
        return
    assert same(deep_merge(deep_merge(one, two), three), deep_merge(one, deep_merge(two, three)))


def _same(left: Any, right: Any) -> bool:
    return left is right if ABSENT in (left, right) else same(left, right)


def _selected(selection: Selection, path: Path) -> bool:
    """The definition, independent of how merging walks: some prefix is included and none is excluded."""
    included = selection.include is None or any(
        _names(selection.include, path[:end]) for end in range(1, len(path) + 1)
    )
    return included and not any(_names(selection.exclude, path[:end]) for end in range(1, len(path) + 1))


def _names(selectors: tuple[str, ...], path: Path) -> bool:
    return any(matches(selector, path) for selector in selectors)


def _leaves(value: Any, path: Path = (), *, whole: bool = False) -> Iterator[tuple[Path, Any]]:
    """Values that are no objects; with ``whole`` empty objects as well."""
    if isinstance(value, Mapping):
        for key, below in value.items():
            yield from _leaves(below, (*path, key), whole=whole)
        if whole and not value and path:
            yield path, value
    elif path:
        yield path, value


def _blocked(path: Path, other: Mapping[str, Any]) -> bool:
    """Whether another value has something that is no object on the way, or an object at the end."""
    ways = [value_at(other, path[:end]) for end in range(1, len(path))]
    return any(way is not ABSENT and not isinstance(way, Mapping) for way in ways) or isinstance(
        value_at(other, path), Mapping
    )


def _overwritten(selection: Selection, path: Path, source: Mapping[str, Any]) -> bool:
    """Whether the source ends a path with a selected plain value, or puts selected members below it."""
    for end in range(1, len(path)):
        way = value_at(source, path[:end])
        if way is not ABSENT and not isinstance(way, Mapping) and _selected(selection, path[:end]):
            return True
    below = value_at(source, path)
    return isinstance(below, Mapping)


# ------------------------------------------------------------- spelling, quoting, reaching nothing


@pytest.mark.parametrize(
    ("selector", "path", "fits"),
    [
        ('"a.b"', ("a.b",), True),
        ('"a.b"', ("a", "b"), False),
        ('menu."room[1]"', ("menu", "room[1]"), True),
        ('menu."room[1]"', ("menu", "room1"), False),
        ('"*"', ("*",), True),
        ('"*"', ("a",), False),
        ('"caf\\u00e9"', ("café",), True),
        ('"say \\"hi\\"".x', ('say "hi"', "x"), True),
        ("**.mock_*", ("ivr.mock_mode",), True),
        ("**.mock_*", ("flags", "ivr.mock_mode"), True),
        ("**.mock_*", ("ivr.mock_mode.late",), True),
        ("**.mock_*", ("ivr.demock_mode",), False),
    ],
)
def test_a_quoted_part_is_a_key_and_any_depth_reaches_into_dotted_keys(
    selector: str, path: Path, fits: bool
) -> None:
    assert matches(selector, path) is fits


@pytest.mark.parametrize("text", ["", ".", "a.", ".a", "a..b", '"a', '"a"b', '"a".', 7, None, '"\\x"', 'a."'])
def test_what_is_no_selector_is_refused_by_name(text: object) -> None:
    with pytest.raises(InputError, match=r"^keys\[0\] must be a dotted path"):
        parse_selector(text, name="keys[0]")


@pytest.mark.parametrize(
    ("selector", "page", "left"),
    [
        ("ivr.mock_mode", {"ivr.mock_mode": 1, "x": 1}, {"x": 1}),
        ("ivr.mock_mode", {"ivr.mock_mode": 1, "ivr": {"mock_mode": 1, "x": 1}}, None),
        ("ivr.*", {"ivr.mode": 1, "x": 1}, {"x": 1}),
        ("room[1]", {"room[1]": 1, "room1": 1}, {"room1": 1}),
        ("room[1]", {"room1": 1, "x": 1}, {"x": 1}),
        ("a*", {"a*": 1, "ab": 1}, {"ab": 1}),
        ("days[0].open", {"days": [{"open": 1}], "x": 1}, {"x": 1}),
        ('"a.b"[1]', {"a.b": [1, 2], "x": 1}, {"x": 1}),
        ("**.x.y", {"x.y": 1, "a": {"x.y": 1, "z": 1}}, {"a": {"z": 1}}),
    ],
)
def test_a_literal_wins_over_a_pattern_and_a_nested_key_over_a_dotted_one(
    selector: str, page: dict[str, Any], left: dict[str, Any] | None
) -> None:
    taken = Selection(exclude=(selector,)).on(page_paths(page)).merge(page, {})
    assert taken == (left if left is not None else {"ivr.mock_mode": 1, "ivr": {"x": 1}})


@pytest.mark.parametrize("selector", ["nope", "a.c", "a.b.c", "b[0]", '"a.b"', "A", "**.no_*", "a[0]"])
def test_a_selector_that_reaches_nothing_means_nothing(selector: str) -> None:
    assert meant(selector, page_paths({"a": {"b": 1}}, {"b": {"c": 2}}), indexed=True) == ()


ODD_NAMES = st.text(st.sampled_from('ab.[]*?"\\ \u200bé0'), min_size=1, max_size=6)


@bounded(300)
@given(objects(ODD_NAMES, json_values(ODD_NAMES)))
@example({"a.b": {"c[0]": 1, '"': [1]}})
def test_what_a_plan_prints_of_a_page_can_be_pasted_back(page: dict[str, Any]) -> None:
    paths = page_paths(page)
    for change in diff({}, page):
        printed = show_path(change.path)
        excluded = Selection(exclude=(printed,)).on(paths)
        assert meant(printed, paths, indexed=True), printed
        keys = tuple(part for part in change.path if isinstance(part, str))
        assert value_at(excluded.merge(page, {}), keys) is ABSENT
        assert Display(sensitive_keys=(printed,)).rows(_item(change))[0].shown == MASKED


def _item(change: Any) -> Any:
    digest = "0" * 64
    return PlannedItem(Resource("page", "a", "b"), digest, digest, changes=(change,))
