"""Schemas that are right elsewhere pass, and schemas that are hostile end after a bounded number of steps."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from airflow_voice_agents.plans.canonical import canonical
from airflow_voice_agents.polyai.resources import schema_evaluation, schema_keywords
from airflow_voice_agents.polyai.resources.page_schema import (
    EVERYTHING,
    schema_problems,
    sensitive_patterns,
    value_problems,
)
from airflow_voice_agents.polyai.resources.schema_keywords import unchecked_patterns


def of(rule: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": {"site": rule}}


@pytest.mark.parametrize(
    ("rule", "right", "wrong"),
    [
        ({"multipleOf": 0.01}, [4.02, 0.07, 1e20, 3], [4.025, 0.001]),
        ({"multipleOf": 3}, [9, 9.0, -3], [10]),
        ({"pattern": r"^\p{L}+$"}, ["Zürich"], ["Zürich 1", ""]),
        ({"pattern": r"^(?<year>\d{4})$"}, ["2026"], ["٢٠٢٦", "2026\n"]),
        ({"pattern": r"^\u00e9\/$"}, ["é/"], ["e/"]),
        (
            {"uniqueItems": True},
            [[1, True, "1", None], [{"a": [1]}, {"a": [2]}]],
            [[1, 1.0], [{"a": [1]}, {"a": [1]}]],
        ),
        ({"patternProperties": {"^x_": {"type": "number"}}}, [{"x_a": 1, "y": "z"}], [{"x_a": "1"}]),
    ],
    ids=str,
)
def test_keywords_mean_what_the_standard_says(
    rule: dict[str, Any], right: list[Any], wrong: list[Any]
) -> None:
    assert [value_problems(of(rule), {"site": each}) for each in right] == [[]] * len(right)
    assert all(value_problems(of(rule), {"site": each}) for each in wrong)


@pytest.mark.parametrize("pattern", [r"(?=a)b", r"(a)\1", "("])
def test_a_pattern_that_cannot_be_checked_is_named_and_blocks_nothing(pattern: str) -> None:
    schema = {"properties": {"deep": of({"pattern": pattern}), "other": {"type": "string"}}}

    assert value_problems(schema, {"deep": {"site": "x"}, "other": "y"}) == []
    assert value_problems(schema, {"deep": {"site": "x"}, "other": 1}) != []
    assert unchecked_patterns(schema) == ["pattern of `deep.site`"]


def test_without_the_library_patterns_are_named_as_unchecked(monkeypatch: pytest.MonkeyPatch) -> None:
    schema_keywords.compiled.cache_clear()
    monkeypatch.setitem(__import__("sys").modules, "re2", None)

    assert unchecked_patterns(of({"pattern": "a"})) == ["pattern of `site`"]
    schema_keywords.compiled.cache_clear()


def test_surplus_keys_are_named_and_their_values_are_not() -> None:
    schema = {"properties": {"a": {}}, "patternProperties": {"^x_": {}}, "additionalProperties": False}

    assert value_problems(schema, {"a": 1, "x_b": 1, "c": "secret", "d": "secret"}) == [
        "(top level): has keys that the schema does not know: 'c', 'd'"
    ]


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The keywords that were applied, one entry per evaluation."""
    counted: list[int] = []
    original = schema_evaluation.bounded_steps

    def bounded(most: int) -> Any:
        counted.append(0)
        return original(most)

    def count(*arguments: Any) -> Any:
        counted[-1] += 1
        return apply(*arguments)

    apply = schema_keywords._counted
    monkeypatch.setattr(schema_keywords, "_counted", count)
    monkeypatch.setattr(schema_evaluation, "bounded_steps", bounded)
    schema_evaluation._validator.cache_clear()
    return counted


def test_a_schema_that_doubles_with_every_reference_ends(
    steps: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"d{number}" for number in range(40)]
    twice = {
        name: {"allOf": [{"$ref": f"#/definitions/{after}"}, {"$ref": f"#/definitions/{after}"}]}
        for name, after in itertools.pairwise(names)
    }
    schema = {
        "allOf": [{"$ref": "#/definitions/d0"}],
        "definitions": {**twice, names[-1]: {"type": "object"}},
    }

    monkeypatch.setattr(schema_evaluation, "STEPS", 1000)
    question = {"ask": "values", "schema": canonical(schema), "values": '{"doubles": 1}'}

    assert schema_evaluation.answer(question) == {"over": "1,000 steps"}
    assert steps == [1001]


@pytest.mark.parametrize(
    ("rule", "value"),
    [
        ({"pattern": "^(a+)+$"}, "a" * 50_000 + "b"),
        ({"patternProperties": {"^(a|aa)+$": {}}, "additionalProperties": False}, {"a" * 50_000 + "b": 1}),
        ({"uniqueItems": True}, [{"number": number} for number in range(20_000)]),
    ],
    ids=["pattern", "names", "unique"],
)
def test_hostile_keywords_cost_a_handful_of_steps(rule: dict[str, Any], value: Any, steps: list[int]) -> None:
    schema_evaluation.value_problems(canonical(of(rule)), {"site": value})

    assert sum(steps) < 10


def test_a_schema_with_too_many_places_hides_everything() -> None:
    names = [f"d{number}" for number in range(40)]
    twice = {
        name: {"properties": {side: {"$ref": f"#/definitions/{after}"} for side in "ab"}}
        for name, after in itertools.pairwise(names)
    }
    schema = {"$ref": "#/definitions/d0", "definitions": {**twice, names[-1]: {"writeOnly": True}}}

    assert sensitive_patterns(schema) == list(EVERYTHING)


def test_a_schema_that_is_nested_too_deeply_is_a_problem_and_no_crash() -> None:
    schema: dict[str, Any] = {}
    for _ in range(300):
        schema = {"properties": {"a": schema}}

    assert all("nested" in each or "evaluated" in each for each in schema_problems(schema))
