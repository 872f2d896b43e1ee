"""Schemas of one spelling are one object, and nothing else changes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_voice_agents.plans.canonical import canonical, comparable
from airflow_voice_agents.polyai.resources import shared_schemas
from airflow_voice_agents.polyai.resources.plain_schema import SCHEMAS_KEPT
from airflow_voice_agents.polyai.resources.shared_schemas import facts_of, share
from support.json_values import bounded, objects

HOTEL = {"type": "object", "required": ["open_hour"], "properties": {"open_hour": {"type": "integer"}}}


def test_schemas_of_one_spelling_are_one_object() -> None:
    first, second = json.loads(json.dumps(HOTEL)), json.loads(json.dumps(HOTEL))
    assert share(first) is share(second)
    assert share(None) is None


@bounded(200)
@given(st.lists(objects(), max_size=20))
def test_a_shared_schema_and_its_facts_are_those_of_the_given_one(schemas: list[dict[str, Any]]) -> None:
    for schema in schemas:
        found = share(schema)
        assert json.dumps(found) == json.dumps(schema)
        for each in (found, schema):
            facts = facts_of(each)
            assert (facts.canonical, facts.comparable) == (canonical(schema), comparable(schema))


@pytest.mark.parametrize("other", [{"minimum": 1.0}, {"minimum": True}, {"maximum": 1}])
def test_schemas_that_only_compare_as_equal_stay_apart(other: dict[str, Any]) -> None:
    assert share({"minimum": 1}) is not share(other)
    assert json.dumps(share(other)) == json.dumps(other)


def test_a_schema_in_another_order_stays_as_it_is() -> None:
    share({"minimum": 1, "maximum": 2})
    assert list(share({"maximum": 2, "minimum": 1}) or ()) == ["maximum", "minimum"]


def nested(levels: int) -> dict[str, Any]:
    schema: dict[str, Any] = {}
    for _ in range(levels):
        schema = {"not": schema}
    return schema


@pytest.mark.parametrize("odd", [{"title": "\ud800"}, {"minimum": 2**80}, nested(5_000)])
def test_a_schema_that_has_no_quick_spelling_is_taken_as_it_is(odd: dict[str, Any]) -> None:
    assert share(odd) is odd


def test_a_shared_schema_is_looked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = []
    monkeypatch.setattr(shared_schemas, "canonical", lambda schema: looks.append(schema) or canonical(schema))
    pages = [share({"title": "looked at once", "maxProperties": 3}) for _ in range(5)]
    assert len({facts_of(schema).canonical for schema in pages}) == 1
    assert len(looks) == 1


@pytest.mark.parametrize(("levels", "too_deep"), [(98, False), (99, True), (5_000, True)])
def test_a_schema_of_too_many_levels_is_found(levels: int, too_deep: bool) -> None:
    assert facts_of(share(nested(levels))).too_deep is too_deep


def test_a_bounded_number_of_schemas_is_kept() -> None:
    for number in range(SCHEMAS_KEPT * 3):
        share({"minimum": number})
    assert len(shared_schemas._shared) <= SCHEMAS_KEPT
    assert len(shared_schemas._facts) <= SCHEMAS_KEPT
