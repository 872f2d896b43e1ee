"""Draft 7 checks that fetch nothing, show no value, and stand whatever a page may hold as its schema."""

from __future__ import annotations

import json
import socket
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_voice_agents.plans.canonical import canonical
from airflow_voice_agents.plans.diff import diff
from airflow_voice_agents.plans.kind import Resource
from airflow_voice_agents.plans.plan import Plan, PlannedItem
from airflow_voice_agents.plans.render import render_plan
from airflow_voice_agents.polyai.resources import page_schema, schema_evaluation, schema_process
from airflow_voice_agents.polyai.resources.page_schema import (
    schema_problems,
    sensitive_patterns,
    value_problems,
)
from airflow_voice_agents.polyai.resources.schema_evaluation import PROBLEMS_SHOWN
from support.json_values import JSON, bounded, objects

HOTEL: dict[str, Any] = {
    "$schema": "http://json-schema.org/draft-07/schema#",
    "type": "object",
    "required": ["open_hour", "fallback_number"],
    "properties": {
        "open_hour": {"type": "integer", "minimum": 0, "maximum": 23},
        "fallback_number": {"type": "string", "pattern": r"^\+44\d{10}$"},
        "csat_enabled": {"type": "boolean"},
        "site_hours": {"type": "array", "items": {"$ref": "#/definitions/site"}},
    },
    "definitions": {"site": {"type": "object", "required": ["site_name"]}},
}
GOOD = {"open_hour": 9, "fallback_number": "+441632960001", "site_hours": [{"site_name": "Harbour"}]}


def test_valid_values_have_no_problems() -> None:
    assert value_problems(HOTEL, GOOD) == []


@pytest.mark.parametrize("schema", [None, {}])
def test_without_a_schema_everything_is_valid(schema: dict[str, Any] | None) -> None:
    assert value_problems(schema, {"anything": [1, None]}) == []


def test_no_variables_are_checked_as_an_empty_page() -> None:
    assert value_problems({"required": ["a"]}, None) == ["(top level): lacks required 'a'"]


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"open_hour": "9"}, "open_hour: must be integer, is string"),
        ({"open_hour": True}, "open_hour: must be integer, is boolean"),
        ({"open_hour": 9.5}, "open_hour: must be integer, is number"),
        ({"open_hour": None}, "open_hour: must be integer, is null"),
        ({"open_hour": 24}, "open_hour: breaks rule 'maximum'"),
        ({"fallback_number": "secret-value"}, "fallback_number: breaks rule 'pattern'"),
        ({"site_hours": [{}]}, "site_hours.0: lacks required 'site_name'"),
    ],
)
def test_a_problem_names_place_and_rule(changes: dict[str, Any], problem: str) -> None:
    assert value_problems(HOTEL, {**GOOD, **changes}) == [problem]


def test_several_missing_keys_are_told_once() -> None:
    assert value_problems(HOTEL, {}) == ["(top level): lacks required 'open_hour', 'fallback_number'"]


def test_only_the_first_problems_are_told() -> None:
    schema = {"additionalProperties": {"type": "string"}}
    problems = value_problems(schema, {f"key_{number}": number for number in range(50)})
    assert len(problems) == PROBLEMS_SHOWN


@bounded(100)
@given(JSON, st.sampled_from(["string", "integer", "object", "array", "null"]))
def test_a_problem_never_shows_a_value(value: Any, kind: str) -> None:
    secret = "correct horse battery"
    schema = {
        "properties": {"k": {"type": kind, "enum": ["other"], "not": {"type": ["string", "array"]}}},
        "dependencies": {"k": ["absent"]},
        "additionalProperties": False,
    }
    for values in ({"k": secret}, {"k": [secret]}, {"k": {"deep": secret}}, {"k": value, "l": secret}):
        assert secret not in " ".join(value_problems(schema, values))


@pytest.mark.parametrize(
    "reference",
    ["http://127.0.0.1:9/schema.json", "https://example.invalid/s#/a", "other.json", "file:///etc/hostname"],
)
def test_a_reference_to_another_document_is_never_fetched(
    reference: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetched: list[object] = []

    def refuse(*what: object, **_: object) -> None:
        fetched.append(what)
        raise OSError

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr("urllib.request.urlopen", refuse)
    schema = canonical({"properties": {"a": {"$ref": reference}}})
    (problem,) = schema_evaluation.value_problems(schema, {"a": 1})
    assert problem.startswith("the schema refers to")
    assert problem.endswith("never fetched")
    assert fetched == []
    assert sensitive_patterns({"properties": {"a": {"$ref": reference}, "b": {"writeOnly": True}}}) == [
        ("b",)
    ]


def test_a_reference_to_nowhere_is_a_problem() -> None:
    (problem,) = value_problems({"properties": {"a": {"$ref": "#/definitions/none"}}}, {"a": 1})
    assert "/definitions/none" in problem


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "no-such-type"},
        {"properties": {"a": {"pattern": 5}}},
        {"properties": []},
        {"properties": {"b": {"multipleOf": 0}}},
        {"required": 5},
        {"allOf": [{"$ref": "#"}]},
        {"additionalProperties": {"$ref": "#/properties"}, "properties": {"a": 3}},
        {"allOf": 5, "anyOf": 5, "dependencies": 5, "items": 5, "definitions": 5},
    ],
)
def test_a_malformed_schema_is_a_problem_and_no_crash(schema: dict[str, Any]) -> None:
    problems = value_problems(schema, {"a": "x", "b": 1})
    assert problems
    assert not any("'x'" in problem for problem in problems)
    assert isinstance(sensitive_patterns(schema), list)


@bounded(150)
@given(
    objects(st.sampled_from(["type", "properties", "items", "allOf", "$ref", "required", "a"]), JSON), JSON
)
def test_no_document_whatever_makes_the_checks_crash(schema: dict[str, Any], value: Any) -> None:
    assert isinstance(value_problems(schema, {"a": value}), list)
    assert isinstance(schema_problems(schema), list)
    assert isinstance(sensitive_patterns(schema), list)


@pytest.mark.parametrize("schema", [{}, HOTEL, True, {"type": ["string", "null"]}])
def test_a_valid_schema_has_no_problems(schema: Any) -> None:
    assert schema_problems(schema) == []


@pytest.mark.parametrize(
    ("schema", "place"),
    [
        ({"type": "nothing"}, "type"),
        ({"properties": {"a": {"minimum": "low"}}}, "properties.a.minimum"),
        ({"required": "a"}, "required"),
    ],
)
def test_an_invalid_schema_names_the_place(schema: Any, place: str) -> None:
    (problem,) = schema_problems(schema)
    assert problem.startswith(f"{place}: breaks ")


# ------------------------------------------------------------------------------------- sensitive

SECRET = {"type": "string", "writeOnly": True}


@pytest.mark.parametrize(
    ("schema", "patterns"),
    [
        (None, []),
        ({}, []),
        ({"writeOnly": True}, []),
        ({"properties": {"pin": SECRET, "open": {"writeOnly": False}}}, [("pin",)]),
        ({"properties": {"pin": {"format": "password"}}}, [("pin",)]),
        ({"properties": {"api": {"properties": {"pin": SECRET}}}}, [("api", "pin")]),
        ({"properties": {"list": {"items": SECRET}}}, [("list", "*")]),
        ({"properties": {"list": {"items": [{}, SECRET]}}}, [("list", "*")]),
        ({"additionalProperties": SECRET}, [("*",)]),
        ({"patternProperties": {"^x": SECRET}}, [("*",)]),
        ({"allOf": [{"properties": {"pin": SECRET}}]}, [("pin",)]),
        ({"if": {}, "then": {"properties": {"pin": SECRET}}}, [("pin",)]),
        ({"dependencies": {"a": {"properties": {"pin": SECRET}}, "b": ["a"]}}, [("pin",)]),
        (
            {"properties": {"pin": {"$ref": "#/definitions/a~1b%20c"}}, "definitions": {"a/b c": SECRET}},
            [("pin",)],
        ),
        ({"properties": {"pin": {"$ref": "#/allOf/0"}}, "allOf": [SECRET]}, [("pin",)]),
    ],
)
def test_secrets_are_found_wherever_a_schema_marks_them(schema: Any, patterns: Any) -> None:
    assert sensitive_patterns(schema) == patterns


@pytest.mark.parametrize(
    ("schema", "places"),
    [
        ({"properties": {"pin": {**SECRET, "default": "1"}}}, ["properties.pin.default"]),
        ({"properties": {"pin": {**SECRET, "items": {"enum": ["1"]}}}}, ["properties.pin.items.enum"]),
        ({"allOf": [{"properties": {"pin": {**SECRET, "const": 1}}}]}, ["allOf.0.properties.pin.const"]),
        ({"definitions": {"pin": {**SECRET, "examples": ["1"]}}}, ["definitions.pin.examples"]),
        ({"properties": {"pin": SECRET, "open": {"default": "1"}}}, []),
    ],
)
def test_values_that_the_schema_itself_gives_of_secrets_are_secret(schema: Any, places: list[str]) -> None:
    found = [pattern for pattern in sensitive_patterns(schema) if pattern[0] == "$schema"]
    assert found == [("$schema", *place.split(".")) for place in places]


def test_a_name_with_signs_of_patterns_stands_for_itself() -> None:
    (pattern,) = sensitive_patterns({"properties": {"pin[0]*": SECRET}})
    item = PlannedItem(
        Resource("config page", "a", "live"),
        "b",
        "a",
        changes=tuple(diff({}, {"pin[0]*": "hunter2", "pin0": "shown"})),
        sensitive=(pattern,),
    )
    text = render_plan(Plan("p", (item,)))
    assert "hunter2" not in text
    assert '"shown"' in text


def test_below_a_schema_that_contains_itself_everything_deeper_is_secret() -> None:
    schema = {"properties": {"pin": SECRET, "child": {"$ref": "#"}}}
    assert sensitive_patterns(schema) == [
        ("child", "child"),
        ("child", "pin"),
        ("pin",),
    ]


def test_a_schema_that_contains_itself_many_times_takes_no_time() -> None:
    members = {name: {"$ref": "#/definitions/node"} for name in "abcdefgh"}
    node = {"properties": {**members, "pin": SECRET}}
    patterns = sensitive_patterns({"properties": members, "definitions": {"node": node}})
    assert ("a", "pin") in patterns
    assert ("a", "b") in patterns
    assert len(patterns) == 8 + 8 * 8


def test_a_schema_that_contains_itself_without_secrets_hides_nothing() -> None:
    assert sensitive_patterns({"properties": {"child": {"$ref": "#"}}}) == []


# ------------------------------------------------------------------------ what is not worked out twice

NOT_PLAIN = {"allOf": [True]}
"""Makes a schema one that is evaluated in the process."""


@pytest.fixture
def evaluations(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Values that were evaluated, with nothing known before."""
    asked: list[Any] = []

    class Here:
        def ask(self, question: dict[str, Any]) -> list[str]:
            asked.append(json.loads(question["values"]))
            return list(schema_evaluation.answer(question)["found"])

    monkeypatch.setattr(schema_process, "PROCESS", Here())
    monkeypatch.setattr(page_schema._verdicts, "kept", {})
    return asked


def test_pages_alike_are_evaluated_once_and_types_tell_pages_apart(evaluations: list[Any]) -> None:
    schema = {"properties": {"a": {"type": "integer"}}, **NOT_PLAIN}
    problems = [value_problems(dict(schema), {"a": value}) for value in (1, 1, 1.5, True, 1)]
    assert problems == [[], [], ["a: must be integer, is number"], ["a: must be integer, is boolean"], []]
    assert evaluations == [{"a": 1}, {"a": 1.5}, {"a": True}]
    assert value_problems({"properties": {"a": {"type": "string"}}}, {"a": 1}) != []


def test_what_was_not_asked_about_for_long_is_forgotten(
    evaluations: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page_schema, "VERDICTS_KEPT", 2)
    for value in (1, 2, 1, 3, 1, 2):
        value_problems({"type": "object", **NOT_PLAIN}, {"a": value})
    assert [each["a"] for each in evaluations] == [1, 2, 3, 2]
    assert len(page_schema._verdicts.kept) == 2


def test_a_member_known_to_be_valid_is_not_evaluated_anew_and_a_wrong_one_is_named_each_time() -> None:
    schema = {
        "properties": {
            "a": {"type": "integer"},
            "b": {"type": "string"},
            "c": {"properties": {"d": {"enum": [1]}}},
        },
        "required": ["a"],
    }
    schema_evaluation._validator.cache_clear()
    descended: list[Any] = []
    text = canonical(schema)
    validator = schema_evaluation._validator(text)
    descend = type(validator).descend

    def noting(self: Any, instance: Any, *more: Any, **named: Any) -> Any:
        descended.append(instance)
        return descend(self, instance, *more, **named)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(validator), "descend", noting)
        problems = schema_evaluation.value_problems
        first = problems(text, {"a": 1, "b": 5, "c": {"d": 1}, "here": 1})
        second = problems(text, {"a": 1, "b": 5, "c": {"d": 1}, "here": 2})
        third = problems(text, {"a": 1.0, "b": "x", "c": {"d": True}, "here": 3})

    assert first == second == ["b: must be string, is integer"]
    assert third == ["c.d: breaks rule 'enum'"]
    assert descended == [1, 5, {"d": 1}, 1, 5, 1.0, "x", {"d": True}, True]
