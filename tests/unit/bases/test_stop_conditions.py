"""A switch that anybody may throw, and freeze windows: asked each time, and overridden by a reason only."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from airflow.sdk import Variable

from airflow_voice_agents.bases.protections import OFF, freeze_findings, now, stop_check, stop_switch
from airflow_voice_agents.plans.freeze import windows
from airflow_voice_agents.plans.plan import Severity

FROZEN = windows(
    [
        {"start": "2026-12-20T18:00", "duration": "P3D", "timezone": "Europe/London", "reason": "holidays"},
        {
            "start": "2026-12-21T00:00",
            "duration": "P9D",
            "timezone": "Europe/London",
            "reason": "stock-taking",
        },
    ]
)
BEFORE, WITHIN, AFTER = (datetime(2026, 12, day, 12, tzinfo=UTC) for day in (20, 22, 31))


@pytest.fixture
def variables(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Airflow's Variables."""
    kept: dict[str, Any] = {}
    monkeypatch.setattr(Variable, "get", lambda name, default=None, **_: kept.get(name, default))
    return kept


@pytest.mark.parametrize("value", [*sorted(OFF), "OFF", " False ", "None", False, 0, None])
def test_a_switch_that_is_off_stops_nothing(variables: dict[str, Any], value: Any) -> None:
    variables["stop"] = value
    assert stop_switch("stop") is None


@pytest.mark.parametrize("value", ["1", "on", "true", "because of the fair", True, " x ", {"a": 1}])
def test_anything_else_stops_and_says_how_to_go_on(variables: dict[str, Any], value: Any) -> None:
    variables["stop"] = value
    said = stop_switch("stop")
    assert said is not None
    assert said.startswith("The Airflow Variable stop is set")
    assert "then clear this task" in said
    assert "fair" not in said


def test_a_switch_that_is_not_there_is_off_and_no_switch_asks_nobody(
    variables: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert stop_switch("stop") is None
    monkeypatch.delattr(Variable, "get")
    assert stop_switch(None) is None


def test_the_switch_is_looked_up_where_airflow_keeps_its_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_VAR_VOICE_AGENTS_STOP", "on")
    assert stop_switch("voice_agents_stop") is not None
    monkeypatch.setenv("AIRFLOW_VAR_VOICE_AGENTS_STOP", "off")
    assert stop_switch("voice_agents_stop") is None


def test_a_freeze_is_an_error_until_somebody_gives_a_reason() -> None:
    (found,) = freeze_findings(FROZEN, None, lambda: WITHIN)
    assert found.severity is Severity.ERROR
    (found,) = freeze_findings(FROZEN, "outage", lambda: WITHIN)
    assert found.severity is Severity.WARNING
    assert found.message.endswith("overridden: outage")
    (found,) = freeze_findings(FROZEN, " ", lambda: WITHIN)
    assert found.severity is Severity.ERROR
    assert freeze_findings(FROZEN, None, lambda: AFTER) == ()


def test_the_brake_is_asked_anew_before_each_wave(variables: dict[str, Any]) -> None:
    moments = iter([BEFORE, WITHIN, WITHIN, AFTER, AFTER])
    ask = stop_check("stop", iter(FROZEN), None, lambda: next(moments))
    assert ask() is None
    for _ in range(2):
        said = ask()
        assert said is not None
        assert said.startswith("A freeze is on")
    assert ask() is None
    variables["stop"] = "on"
    assert "The Airflow Variable stop is set" in (ask() or "")


@pytest.mark.parametrize(("override", "stopped"), [(None, True), ("", True), ("  ", True), ("outage", False)])
def test_only_a_reason_lifts_a_freeze_between_waves(
    variables: dict[str, Any], override: str | None, *, stopped: bool
) -> None:
    assert bool(stop_check("stop", FROZEN, override, lambda: WITHIN)()) is stopped


def test_no_reason_lifts_the_switch_and_it_is_told_first(variables: dict[str, Any]) -> None:
    variables["stop"] = "on"
    for override in (None, "outage"):
        said = stop_check("stop", FROZEN, override, lambda: WITHIN)()
        assert said is not None
        assert said.startswith("The Airflow Variable stop")


def test_a_brake_without_switch_and_windows_never_stops() -> None:
    assert stop_check(None, (), None)() is None


def test_the_present_moment_has_a_zone() -> None:
    assert now().tzinfo is UTC
