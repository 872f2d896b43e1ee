"""Plain schemas are answered at once, and never against what the evaluation of schemas would say."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from airflow_voice_agents.emulator.fleet_seed import fleet_seed
from airflow_voice_agents.plans.canonical import canonical
from airflow_voice_agents.polyai.resources import plain_schema as module
from airflow_voice_agents.polyai.resources import schema_evaluation, schema_process
from airflow_voice_agents.polyai.resources.page_schema import (
    schema_problems,
    unchecked_patterns,
    value_problems,
)
from airflow_voice_agents.polyai.resources.plain_schema import plain_schema

SCALARS = (
    st.none() | st.booleans() | st.integers(-3, 3) | st.floats(-2, 2) | st.sampled_from(["", "a", "ab", "é"])
)
VALUES = st.recursive(
    SCALARS,
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.sampled_from("abc"), below, max_size=3),
    max_leaves=8,
)
TYPES = st.sampled_from(["array", "boolean", "integer", "null", "number", "object", "string"])
COUNTS = st.integers(-1, 2)
BOUNDS = st.integers(-2, 2) | st.floats(-2, 2) | st.booleans()


def schemas(below: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Schemas, right and wrong, of what is plain and some of what is not."""
    rules: dict[str, st.SearchStrategy[Any]] = {
        "type": TYPES | st.lists(TYPES, max_size=2) | SCALARS,
        "properties": st.dictionaries(st.sampled_from("abc"), below, max_size=3),
        "additionalProperties": below,
        "items": below | st.lists(below, max_size=2),
        "required": st.lists(st.sampled_from("abc"), max_size=2) | SCALARS,
        "enum": st.lists(VALUES, max_size=3),
        "const": VALUES,
        "pattern": st.sampled_from(["^a", "b$", "[", "(?=a)", "a{2000}", "é|ab"]) | SCALARS,
        "minLength": COUNTS,
        "maxLength": COUNTS,
        "minItems": COUNTS,
        "maxItems": COUNTS,
        "minProperties": COUNTS,
        "maxProperties": COUNTS,
        "minimum": BOUNDS,
        "maximum": BOUNDS,
        "exclusiveMinimum": BOUNDS,
        "exclusiveMaximum": BOUNDS,
        "title": SCALARS,
        "default": VALUES,
        "writeOnly": SCALARS,
        "format": st.sampled_from(["date", "password"]),
        "allOf": st.lists(below, max_size=2),
        "uniqueItems": st.booleans(),
        "$ref": st.just("#"),
        "x-unknown": SCALARS,
    }
    return st.fixed_dictionaries({}, optional=rules)


SCHEMAS = st.recursive(st.booleans() | st.just({}), schemas, max_leaves=6)


@settings(max_examples=600, deadline=None)
@given(SCHEMAS, st.dictionaries(st.sampled_from("abc"), VALUES, max_size=3))
@example({"properties": {"a": {"enum": [1]}}}, {"a": True})
@example({"properties": {"a": {"const": 1}}}, {"a": 1.0})
@example({"properties": {"a": {"type": "integer"}}}, {"a": True})
@example({"properties": {"a": {"minimum": 1}}}, {"a": False})
@example({"properties": {"a": {"pattern": "^a"}}}, {"a": "b"})
@example({"additionalProperties": False}, {"a": 1})
@example({"properties": {"a": {"required": ["b"]}}}, {"a": {}})
def test_what_is_sure_is_what_the_evaluation_says(schema: Any, values: dict[str, Any]) -> None:
    text = canonical(schema)
    plain = plain_schema(text)
    if plain is None:
        return
    assert schema_evaluation.schema_problems(text) == []
    assert schema_evaluation.unchecked_patterns(text) == []
    if plain.surely_matches(values):
        assert schema_evaluation.value_problems(text, values) == []


def test_no_process_is_asked_about_the_pages_of_a_fleet() -> None:
    before = schema_process.PROCESS.started
    pages = [
        page for agent in fleet_seed(3)["polyai"]["agents"].values() for page in agent["configs"].values()
    ]
    assert len(pages) >= 9
    for page in pages:
        assert schema_problems(page["schema"]) == unchecked_patterns(page["schema"]) == []
        assert value_problems(page["schema"], page["variables"]) == []
    assert schema_process.PROCESS.started == before


@pytest.mark.parametrize(
    "schema",
    [
        {"pattern": "(a|b)" * 30},
        {"pattern": "[^x]{1,999}"},
        {"properties": {f"k{place}": {"pattern": f"^{place}"} for place in range(module.PATTERNS + 1)}},
        {"enum": list(range(module.CHOICES + 1))},
        {"$ref": "#"},
        {"anyOf": [True]},
        {"patternProperties": {"a": True}},
        {"uniqueItems": True},
        {"type": []},
        {"required": ["a", "a"]},
        {"minLength": -1},
        {"multipleOf": 1},
        {"properties": {f"k{place}": {} for place in range(module.PLACES)}},
    ],
)
def test_what_could_cost_much_is_not_plain(schema: Any) -> None:
    assert plain_schema(canonical(schema)) is None


def test_a_schema_of_many_levels_is_not_plain() -> None:
    schema: Any = {}
    for _ in range(module.LEVELS):
        schema = {"items": schema}
    assert plain_schema(canonical(schema)) is None
    assert plain_schema(canonical(schema["items"])) is not None


def test_values_are_looked_at_up_to_a_number_of_places_and_characters() -> None:
    plain = plain_schema(canonical({"properties": {"a": {"items": {"type": "integer", "pattern": "^a"}}}}))
    assert plain is not None
    assert plain.surely_matches({"a": [1] * 100})
    assert not plain.surely_matches({"a": [1] * module.PLACES})
    text = plain_schema(canonical({"properties": {"a": {"pattern": "^a"}}}))
    assert text is not None
    assert text.surely_matches({"a": "a" * 100})
    assert not text.surely_matches({"a": "a" * module.PLACES * module.TEXT_OF_A_PLACE})


def test_members_that_match_are_kept_up_to_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MEMBERS_KEPT", 2)
    plain = plain_schema(canonical({"properties": {"a": {"items": {"type": "integer"}}}, "title": "kept"}))
    assert plain is not None
    for number in range(5):
        assert plain.surely_matches({"a": [number]})
        assert not plain.surely_matches({"a": [number, "x"]})
    assert not plain.surely_matches({"a": [[0]]})
    assert len(plain._known) <= 2
