"""One spelling per JSON value: types are told apart, the order of keys is not."""

from __future__ import annotations

import copy
import itertools
import json
import math
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from airflow_voice_agents.plans.canonical import canonical, comparable, digest, salted_digest, same
from airflow_voice_agents.plans.diff import ABSENT
from support.json_values import JSON, bounded

DISTINCT: list[Any] = [
    1,
    1.0,
    True,
    None,
    "",
    "1",
    0,
    0.0,
    False,
    [],
    {},
    "null",
    [None],
    {"": None},
    [1],
    [1.0],
]


@pytest.mark.parametrize(("left", "right"), list(itertools.combinations(DISTINCT, 2)))
def test_values_that_python_may_take_for_equal_are_distinct(left: Any, right: Any) -> None:
    assert not same(left, right)
    assert digest(left) != digest(right)


def test_absent_is_no_value() -> None:
    assert {"key": None} != {}
    assert not same({"key": None}, {})
    with pytest.raises(ValueError, match="not a JSON value"):
        canonical(ABSENT)


def test_the_spelling_is_compact_sorted_and_keeps_non_ascii() -> None:
    assert canonical({"b": [1, 1.0, True, None], "a": "Zürich"}) == '{"a":"Zürich","b":[1,1.0,true,null]}'


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, {"deep": [math.nan]}])
def test_what_json_cannot_hold_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match="JSON"):
        canonical(value)


@pytest.mark.parametrize("value", [{1, 2}, b"bytes", object()])
def test_other_types_are_refused(value: Any) -> None:
    with pytest.raises(ValueError, match="not a JSON value"):
        canonical(value)


def test_half_a_surrogate_pair_has_a_digest() -> None:
    assert digest("\ud800") != digest("\udfff")


@bounded(200)
@given(JSON)
def test_digest_and_spelling_do_not_depend_on_the_order_of_keys(value: Any) -> None:
    assert canonical(_reversed(value)) == canonical(value)
    assert digest(_reversed(value)) == digest(value)


@bounded(200)
@given(JSON)
def test_the_spelling_reads_back_as_the_same_value(value: Any) -> None:
    assert same(json.loads(canonical(value)), value)


@bounded(300)
@given(JSON, JSON)
@example({"a": 1}, {"a": True})
@example([0], [False])
def test_same_agrees_with_the_spelling_and_the_digest(left: Any, right: Any) -> None:
    assert same(left, left)
    assert same(left, right) == (canonical(left) == canonical(right)) == (digest(left) == digest(right))
    assert same(left, right) == _strictly_equal(left, right)


@bounded(100)
@given(JSON, st.sampled_from([1.0, True, None, "", 2]))
def test_a_change_of_one_member_changes_the_digest(value: Any, other: Any) -> None:
    assert digest({"here": value, "one": 1}) != digest({"here": value, "one": other})


def _reversed(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _reversed(value[key]) for key in reversed(value)}
    return [_reversed(each) for each in value] if isinstance(value, list) else value


def _strictly_equal(left: Any, right: Any) -> bool:
    if type(left) is not type(right):
        return False
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(_strictly_equal(left[key], right[key]) for key in left)
    if isinstance(left, list):
        return len(left) == len(right) and all(map(_strictly_equal, left, right))
    return repr(left) == repr(right)


def test_a_salted_digest_differs_by_salt_and_value() -> None:
    assert salted_digest("4711", "") == digest("4711")
    marks = {salted_digest(value, salt) for value in ("4711", 4711) for salt in ("a", "b")}
    assert len(marks | {digest("4711"), digest(4711)}) == 6
    assert salted_digest({"a": 1, "b": 2}, "s") == salted_digest({"b": 2, "a": 1}, "s")


@bounded(300)
@given(JSON, JSON)
@example({"a": 1}, {"a": 1.0})
@example({"a": 1, "b": [True]}, {"b": [True], "a": 1})
def test_comparable_spellings_are_equal_where_the_canonical_ones_are(left: Any, right: Any) -> None:
    assert (comparable(left) == comparable(right)) is (canonical(left) == canonical(right))
    assert comparable(left) == comparable(copy.deepcopy(left))
    assert canonical(json.loads(comparable(left))) == canonical(left)


@pytest.mark.parametrize(
    "value", ["\ud800", {"a": ["\udfff"]}, 2**70, {"n": -(2**200)}, 1e22, -0.0, {"a": 1.0}]
)
def test_what_fits_no_machine_word_or_no_utf_8_has_a_comparable_spelling(value: Any) -> None:
    assert canonical(json.loads(comparable(value))) == canonical(value)
    assert same([value], [copy.deepcopy(value)])


def test_a_value_that_is_not_json_has_no_comparable_spelling() -> None:
    with pytest.raises(ValueError, match="not a JSON value"):
        comparable({1: {1, 2}})
