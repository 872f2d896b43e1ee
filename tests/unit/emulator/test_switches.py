from __future__ import annotations

from typing import Any

import pytest

from airflow_voice_agents.emulator.behaviors import Behaviors, SwitchError, describe, parse_assignment


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("null_variable", "remove"),
        ("schema_checks_data", 1),
        ("latency", -1),
        ("latency", "0.1"),
        ("latency", True),
        ("latency", float("nan")),
        ("simplified", "a"),
        ("simplified", [1]),
        ("unheard_of", 1),
        ("null_variable", []),
    ],
)
def test_wrong_switch_fails_at_once_and_names_itself(name: str, value: Any) -> None:
    switches = Behaviors()
    before = switches.as_dict()

    with pytest.raises(SwitchError, match=name):
        switches.update({"record_bodies": True, name: value})

    assert switches.as_dict() == before


def test_assignment_is_checked_like_an_update() -> None:
    switches = Behaviors()

    with pytest.raises(SwitchError, match="takes store"):
        switches.null_variable = "remove"  # type: ignore[assignment]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("null_variable=delete", ("null_variable", "delete")),
        ("latency=0.25", ("latency", 0.25)),
        ("record_bodies=true", ("record_bodies", True)),
        ("simplified=a, b", ("simplified", ["a", "b"])),
        ("simplified=", ("simplified", [])),
    ],
)
def test_command_line_assignment_is_read(text: str, expected: tuple[str, Any]) -> None:
    assert parse_assignment(text) == expected


@pytest.mark.parametrize("text", ["latency", "latency=soon", "nope=1", "null_variable=x", "record_bodies=1"])
def test_bad_command_line_assignment_is_refused(text: str) -> None:
    with pytest.raises(SwitchError):
        parse_assignment(text)


def test_every_switch_is_described_with_its_default_first() -> None:
    switches, lines = Behaviors().as_dict(), describe()

    assert len(lines) == len(switches)
    assert "null_variable=store|delete: what PATCH makes of a null value" in lines
    assert "omnia_rate_limit=1000: requests per key and window before 429; 0 sets no limit" in lines
    for line in lines:
        name, _, choices = line.partition(":")[0].partition("=")
        if "|" in choices and isinstance(switches[name], str):
            assert choices.split("|")[0] == switches[name]
