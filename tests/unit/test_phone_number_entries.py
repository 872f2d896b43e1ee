"""Everywhere a person can write a phone number, it is read by the same function."""

from __future__ import annotations

import ast
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import airflow_voice_agents
from airflow_voice_agents.omnia_voice.actions.assignments import parse_agents, parse_assignments
from airflow_voice_agents.omnia_voice.conditions import NumberCondition
from airflow_voice_agents.polyai.actions.phone_numbers import parse_import
from airflow_voice_agents.polyai.checks_spec import parse_checks
from airflow_voice_agents.polyai.conditions.telephony import NumbersCondition
from airflow_voice_agents.polyai.files import from_documents
from airflow_voice_agents.polyai.spec import PromotionSpec
from airflow_voice_agents.signalwire import conditions
from airflow_voice_agents.signalwire.resources.inventory import select_numbers
from airflow_voice_agents.signalwire.resources.route_fingerprint import Routes
from airflow_voice_agents.transport.errors import InputError
from airflow_voice_agents.transport.validation import parse_numbers, parse_phone_number

WRITTEN, NUMBER = "+44 (20) 7946-0018", "+442079460018"
SWML = {"to": "swml", "url": "https://swml.example.com/x"}
PACKAGE = Path(airflow_voice_agents.__file__).parent


def routing(numbers: dict[Any, str]) -> Any:
    target = {"agent_id": "a", "environment": "sandbox"}
    spec = PromotionSpec.parse(
        {
            "source": {"agent_id": "b", "environment": "sandbox"},
            "targets": [target],
            "routing": {"numbers": numbers},
        }
    )
    assert spec.routing is not None
    return spec.routing.numbers


def called(number: Any) -> Any:
    call = {"check": "outbound", "agent_id": "a", "environment": "sandbox", "confirm_call": True}
    return parse_checks([{**call, "to_number": number}])[0].to_number


ENTRIES: dict[str, Callable[[Any], Any]] = {
    "import": lambda number: parse_import("a", "sandbox", [number], None).numbers,
    "PolyAI sensor": lambda number: NumbersCondition.parse("a", [number], None, None).numbers,
    "promotion spec": lambda number: routing({number: "main"}),
    "test call": called,
    "exported files": lambda number: from_documents({"routing.yaml": f"'{number}': Bar"}, "x").numbers,
    "SignalWire selection": lambda number: select_numbers([number]).numbers,
    "SignalWire routes": lambda number: Routes.parse(None, {number: SWML}).each,  # type: ignore[union-attr]
    "SignalWire sensor": lambda number: conditions.owned([number]).numbers,
    "SignalWire emergency address": lambda number: conditions.registered([number], None).numbers,
    "Omnia Voice agents": lambda number: parse_agents([number], "agent", None),
    "Omnia Voice assignments": lambda number: parse_assignments({number: "agent"}, name="assignments"),
    "Omnia Voice sensor": lambda number: NumberCondition.parse([number], None, None).numbers,
    "list": lambda number: parse_numbers([{"number": number}]),
    "one": parse_phone_number,
}
BY_KEY: dict[str, Callable[[dict[str, Any]], Any]] = {
    "promotion spec": routing,
    "SignalWire routes": lambda value: Routes.parse(None, dict.fromkeys(value, SWML)),
    "Omnia Voice assignments": lambda value: parse_assignments(value, name="assignments"),
    "exported files": lambda value: from_documents(
        {"routing.yaml": "".join(f"'{number}': Bar\n" for number in value)}, "x"
    ),
}


@pytest.mark.parametrize("entry", ENTRIES)
def test_a_number_with_separators_is_read_at_every_entry(entry: str) -> None:
    found = ENTRIES[entry](WRITTEN)

    assert found == NUMBER or list(found) == [NUMBER]


@pytest.mark.parametrize("entry", ENTRIES)
@pytest.mark.parametrize(
    "text",
    ["442079460018.0", "+44 20 7946 0018 x204", "020 7946 0018", "2026-11-26", "SW1A 2AA", "+442079460018 2"],
)
def test_what_only_resembles_a_number_is_refused_at_every_entry(entry: str, text: str) -> None:
    with pytest.raises(InputError):
        ENTRIES[entry](text)


@pytest.mark.parametrize("entry", BY_KEY)
def test_two_spellings_of_a_number_are_refused_at_every_mapping(entry: str) -> None:
    with pytest.raises(InputError):
        BY_KEY[entry]({NUMBER: "main", WRITTEN: "other"})


def test_numbering_plans_are_asked_in_one_module() -> None:
    users = [
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Import) and any(name.name == "phonenumbers" for name in node.names)
    ]

    assert users == ["transport/phone_numbers.py"]
