"""The published JSON Schema of a promotion spec is the one that the code has, and says the same."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from airflow_voice_agents.polyai.spec import PromotionSpec
from airflow_voice_agents.polyai.spec_schema import SCHEMA_FILE, json_schema, text
from airflow_voice_agents.transport.errors import InputError

SOURCE = {"agent_id": "harbour-hotels", "environment": "pre-release"}
TARGET = {"agent_id": "harbour-hotels", "environment": "live"}
RIGHT: Mapping[str, Any] = {"source": SOURCE, "targets": [TARGET], "config": {}}


def test_the_file_is_what_the_code_says() -> None:
    assert SCHEMA_FILE.read_text(encoding="utf-8") == text(), "run make schema"


def test_every_field_is_described() -> None:
    schema = json_schema()
    parts = [schema, *(each for each in schema["$defs"].values() if "properties" in each)]

    assert [
        (part["title"], name)
        for part in parts
        for name, field in part["properties"].items()
        if not field.get("description")
    ] == []


def test_a_right_spec_passes_both() -> None:
    Draft202012Validator(json_schema()).validate(RIGHT)
    PromotionSpec.parse(RIGHT)


@pytest.mark.parametrize(
    "change",
    [
        {"targets": [{**TARGET, "environment": "production"}]},
        {"targets": [{"agent": "harbour-hotels", "environment": "live"}]},
        {"configs": {}},
        {"config": {"stale_keys": "drop"}},
        {"config": {"promote_schema": "yes"}},
        {"connectors": {"settings": ["voice"]}},
        {"targets": [{**TARGET, "moves": [{"connector_id": "cn_1"}]}]},
        {"deployment": {"deployment_model": "none"}},
    ],
    ids=lambda change: json.dumps(change)[:60],
)
def test_a_wrong_spec_fails_both(change: Mapping[str, Any]) -> None:
    spec = {**RIGHT, **change}

    assert not Draft202012Validator(json_schema()).is_valid(spec)
    with pytest.raises(InputError):
        PromotionSpec.parse(spec)
