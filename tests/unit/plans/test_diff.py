"""Changes lead from one value to the other, name nothing else, and never show a value by accident."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import example, given

from airflow_voice_agents.plans import diff as diff_module
from airflow_voice_agents.plans.canonical import same
from airflow_voice_agents.plans.diff import ABSENT, Change, Op, diff
from support.json_values import JSON, bounded


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({"a": 1}, {"a": 2}, [Change(Op.CHANGE, ("a",), 1, 2)]),
        ({"a": 1}, {}, [Change(Op.REMOVE, ("a",), 1, ABSENT)]),
        ({}, {"a": None}, [Change(Op.ADD, ("a",), ABSENT, None)]),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 3}}, [Change(Op.CHANGE, ("a", "c"), 2, 3)]),
        ([1, 2], [1], [Change(Op.REMOVE, (1,), 2, ABSENT)]),
        ([1], [1, [2]], [Change(Op.ADD, (1,), ABSENT, [2])]),
        ({"a": []}, {"a": {}}, [Change(Op.CHANGE, ("a",), [], {})]),
        (ABSENT, {"a": 1}, [Change(Op.ADD, (), ABSENT, {"a": 1})]),
        (ABSENT, ABSENT, []),
    ],
)
def test_differences_by_path(before: Any, after: Any, expected: list[Change]) -> None:
    assert list(diff(before, after)) == expected


@pytest.mark.parametrize(("before", "after"), [(1, 1.0), (1.0, True), (0, False), (None, ""), ("", 0)])
def test_a_change_of_type_is_a_change(before: Any, after: Any) -> None:
    (change,) = diff({"key": before}, {"key": after})
    assert (change.op, change.path) == (Op.CHANGE, ("key",))


def test_members_that_are_the_same_are_not_looked_into(monkeypatch: pytest.MonkeyPatch) -> None:
    looks, members = [], diff_module._members
    monkeypatch.setattr(diff_module, "_members", lambda *pair: looks.append(pair) or members(*pair))
    before, after = ({"same": [{"a": {"b": [1, 2]}}] * 20, "other": {"c": number}} for number in (1, 2))
    assert [change.path for change in diff(before, after)] == [("other", "c")]
    assert len(looks) == 3  # the whole, what differs, and the value that differs


def test_paths_start_where_both_values_stand() -> None:
    assert [change.path for change in diff({"a": 1}, {"a": 2}, ("$schema",))] == [("$schema", "a")]


def test_changes_come_in_the_order_of_the_old_keys_then_the_new_ones() -> None:
    changes = diff({"z": 1, "a": 1}, {"n": 1, "a": 2, "z": 2})
    assert [change.path[0] for change in changes] == ["z", "a", "n"]


def test_a_repr_names_the_path_and_hides_the_values() -> None:
    change = Change(Op.CHANGE, ("settings", 0, "pin"), "old secret", "new secret")
    assert repr(change) == "Change(~ settings.0.pin)"


@bounded(300)
@given(JSON, JSON)
@example({"a": [1, 2, 3]}, {"a": [1]})
@example({"a": None}, {})
def test_the_changes_lead_from_before_to_after(before: Any, after: Any) -> None:
    assert same(applied(before, list(diff(before, after))), after)


@bounded(300)
@given(JSON, JSON)
@example({"a": 1}, {"a": 1.0})
def test_there_are_no_changes_exactly_between_same_values(before: Any, after: Any) -> None:
    assert (not list(diff(before, after))) == same(before, after)


@bounded(200)
@given(JSON, JSON)
def test_changes_do_not_overlap_and_their_signs_tell_what_is_missing(before: Any, after: Any) -> None:
    changes = list(diff(before, after))
    paths = [change.path for change in changes]
    assert len(set(map(repr, paths))) == len(paths)
    assert not any(one != other and other[: len(one)] == one for one in paths for other in paths)
    for change in changes:
        assert (change.op is Op.ADD) == (change.before is ABSENT)
        assert (change.op is Op.REMOVE) == (change.after is ABSENT)


def applied(value: Any, changes: Sequence[Change]) -> Any:
    """Apply changes, later array positions first so that removals do not shift what follows."""
    value = copy.deepcopy(value)
    removals = [change for change in changes if change.op is Op.REMOVE]
    for change in [*(change for change in changes if change.op is not Op.REMOVE), *reversed(removals)]:
        if not change.path:
            value = change.after
            continue
        place = value
        for part in change.path[:-1]:
            place = place[part]
        last = change.path[-1]
        if change.op is Op.REMOVE:
            del place[last]
        elif change.op is Op.ADD and isinstance(place, list):
            place.append(copy.deepcopy(change.after))
        else:
            place[last] = copy.deepcopy(change.after)
    return value
