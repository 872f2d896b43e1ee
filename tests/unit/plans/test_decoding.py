"""JSON and YAML from people's hands: read as meant, refused without showing what they hold."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from hypothesis import given

from airflow_voice_agents.plans.canonical import same
from airflow_voice_agents.plans.decoding import decode_json, decode_yaml
from airflow_voice_agents.transport.errors import InputError
from support.json_values import JSON, bounded

SECRET = "hunter2"


@bounded(200)
@given(JSON)
def test_json_is_read_with_its_types(value: Any) -> None:
    assert same(decode_json(json.dumps(value), where="it"), value)


@bounded(200)
@given(JSON)
def test_what_a_yaml_library_writes_means_the_same(value: Any) -> None:
    assert same(decode_yaml(yaml.safe_dump(value, allow_unicode=True), where="it"), value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f'{{"a": "{SECRET}"', "is not JSON \\(line 1, column"),
        (f'{{"b": {{"a": "{SECRET}", "a": 1}}}}', "has the key 'a' twice"),
        ('{"a": NaN}', "NaN and infinities"),
        ('{"a": -Infinity}', "NaN and infinities"),
        ("", "is not JSON"),
        ("1" * 5000, "cannot be read|can be read"),
        ("[" * 100_000, "can be read"),
    ],
)
def test_bad_json_is_refused_without_showing_it(text: str, message: str) -> None:
    with pytest.raises(InputError, match=f"^a/config.json.*({message})") as caught:
        decode_json(text, where="a/config.json")
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("open: 17:30", {"open": "17:30"}),
        ("country: no", {"country": "no"}),
        ("day: 2026-12-24", {"day": "2026-12-24"}),
        ("code: 0123", {"code": "0123"}),
        ("size: 1_000", {"size": "1_000"}),
        ("+441632000001: Front desk", {"+441632000001": "Front desk"}),
        ("a: 1\nb: 1.0\nc: 1e3\nd: -2\ne: true\nf: null\ng: ~\nh:", None),
        ("'a': '1'", {"a": "1"}),
        ("text: Grüß Gott", {"text": "Grüß Gott"}),
    ],
)
def test_plain_scalars_of_yaml_mean_what_they_mean_in_json(text: str, value: Any) -> None:
    named = {"a": 1, "b": 1.0, "c": 1000.0, "d": -2, "e": True, "f": None, "g": None, "h": None}

    assert same(decode_yaml(text, where="it"), named if value is None else value)


def test_anchors_and_merges_of_yaml_work_and_own_keys_win() -> None:
    text = "a: &a {x: 1, y: 1}\nb: {deep: {deeper: &b {<<: *a, y: 2}}}\nc: {<<: *b, y: 3}"

    found = decode_yaml(text, where="it")

    assert (found["b"]["deep"]["deeper"], found["c"]) == ({"x": 1, "y": 2}, {"x": 1, "y": 3})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"a: {SECRET}\nb: 1\na: 2", "has a key twice \\(line 3, column 1\\)"),
        (f"a: [{SECRET}", "is not YAML that can be read \\(line"),
        (f"a: !!python/object/apply:os.system [{SECRET}]", "is not YAML that can be read"),
        (f"a: !{SECRET} 1", "is not YAML that can be read"),
        (f"a: *{SECRET}", "is not YAML that can be read"),
        ("a: 1\n---\nb: 2", "is not YAML that can be read"),
        ("a: \x01", "is not YAML that can be read"),
        ("? [a]\n: 1", "is not YAML that can be read"),
        ("[" * 5000, "is not YAML that can be read"),
        ("a: " + "1" * 5000, "is not YAML that can be read"),
    ],
)
def test_bad_yaml_is_refused_without_showing_it(text: str, message: str) -> None:
    with pytest.raises(InputError, match=f"^a/config.yaml.*{message}") as caught:
        decode_yaml(text, where="a/config.yaml")
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None
