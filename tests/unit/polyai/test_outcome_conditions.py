"""Conditions of the sensors after a promotion: when they hold, when they never can, and their requests."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from airflow_voice_agents.polyai.conditions import (
    AlertsClearCondition,
    Condition,
    ConnectorCondition,
    DeploymentCondition,
    OutboundCallCondition,
    QuietCondition,
    TestRunsCondition,
    WaitFailed,
)
from airflow_voice_agents.polyai.conditions import quiet as quiet_module
from airflow_voice_agents.polyai.models import Connector, Deployment, OutboundCallStatus
from airflow_voice_agents.polyai.observations import AlertRule, ConcurrencyInterval, TestRun

AFTER = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)


def holds(condition: Condition, answers: list[Any]) -> bool:
    """Whether it holds, which must not change on its way through JSON."""
    again = type(condition).deserialize(json.loads(json.dumps(condition.serialize())))  # type: ignore[attr-defined]
    assert again == condition
    held, found = condition.holds(answers)
    assert again.holds(answers) == (held, found)
    assert json.loads(json.dumps(found)) == found
    return held


# ------------------------------------------------------------------------------------ deployments


def deployed(**fields: Any) -> Deployment:
    return Deployment.model_validate({"id": "d1", "version": "v1", "createdAt": None, **fields})


@pytest.mark.parametrize(
    ("made", "newer"),
    [
        ("2026-11-01T12:00:01Z", True),
        ("2026-11-01T12:00:00Z", False),
        ("2026-11-01T13:30:00+02:00", False),
        ("2026-11-01T12:00:01", True),
        ("not a time", False),
        (None, False),
    ],
)
def test_newer_is_what_was_certainly_made_later(made: str | None, newer: bool) -> None:
    condition = DeploymentCondition.parse("a", "live", None, None, AFTER)

    assert holds(condition, [{"live": deployed(createdAt=made)}]) is newer


def test_an_environment_without_a_deployment_is_waited_for() -> None:
    condition = DeploymentCondition.parse("a", "live", "v1", None, None)

    assert not holds(condition, [{}])
    assert not holds(condition, [{"live": None, "sandbox": deployed()}])
    assert holds(condition, [{"live": deployed()}])


def test_sensors_of_one_agent_ask_the_same() -> None:
    deployments = [
        DeploymentCondition.parse("a", "live", "v1", None, None),
        DeploymentCondition.parse("a", "sandbox", None, None, AFTER),
    ]
    connectors = [
        ConnectorCondition.parse("a", "c1", None, "live"),
        ConnectorCondition.parse("a", "c2", {"voice_name": "x"}, None),
    ]
    alerts = [
        AlertsClearCondition.parse(AFTER, "a", None, False, False),
        AlertsClearCondition.parse(AFTER, "b", None, True, True),
    ]

    for pair in (deployments, connectors, alerts):
        assert len({call.key for each in pair for call in each.reads()}) == 1


# -------------------------------------------------------------------------------------- test runs


def run(status: str, **counts: Any) -> TestRun:
    return TestRun.model_validate({"id": "r", "status": status, **counts})


def runs(*ids: str, allowed: int = 0, fail_on: str = "failed") -> TestRunsCondition:
    return TestRunsCondition.parse("a", ids, allowed, fail_on)


def test_one_run_under_way_is_waited_for_whatever_became_of_the_others() -> None:
    assert not holds(runs("a", "b"), [run("failed", failedCount=1), run("running")])


@pytest.mark.parametrize("status", ["pending", "in_progress", "queued", "cancelled", "", "completed"])
def test_what_may_still_be_running_is_waited_for(status: str) -> None:
    assert not holds(runs("a"), [run(status)])


@pytest.mark.parametrize(
    ("ends", "allowed"),
    [
        ([run("failed", failedCount=2)], 1),
        ([run("failed", failedCount=1), run("failed", failedCount=1)], 1),
        ([run("failed")], 5),
        ([run("timed_out", failedCount=0)], 5),
        ([run("failed", failedCount=1, errorCount=1)], 5),
        ([run("passed", failedCount=1)], 0),
    ],
)
def test_more_than_is_allowed_and_what_came_to_no_result_fails(ends: list[TestRun], allowed: int) -> None:
    condition = runs(*"abc"[: len(ends)], allowed=allowed)

    with pytest.raises(WaitFailed, match="did not pass"):
        condition.holds(ends)
    assert WaitFailed.permanent


def test_failed_tests_are_counted_over_all_runs() -> None:
    ends = [run("failed", failedCount=1), run("passed"), run("failed", failedCount=2)]

    assert holds(runs("a", "b", "c", allowed=3), ends)


def test_without_runs_nothing_is_asked() -> None:
    assert (runs().reads(), holds(runs(), [])) == ([], True)


def test_a_run_that_is_named_twice_is_asked_for_once() -> None:
    assert len(runs("a", "b", "a").reads()) == 2


# -------------------------------------------------------------------------- connectors and calls


@pytest.mark.parametrize(("shown", "held"), [("", True), (None, True), ("VARIANT-1", False)])
def test_a_variant_of_none_is_an_unassigned_one(shown: str | None, held: bool) -> None:
    condition = ConnectorCondition.parse("a", "c", {"variant_id": None}, None)
    connector = Connector.model_validate({"connectorId": "c", "variantId": shown})

    assert holds(condition, [[connector]]) is held


@pytest.mark.parametrize(
    ("status", "held"),
    [
        ("SUCCESS", True),
        ("success", True),
        ("QUEUED", False),
        ("CALLING", False),
        ("odd", False),
        (None, False),
    ],
)
def test_only_an_end_that_is_known_is_one(status: str | None, held: bool) -> None:
    condition = OutboundCallCondition.parse("a", "OUT-1", "live", "failed")

    assert holds(condition, [OutboundCallStatus.model_validate({"status": status})]) is held


@pytest.mark.parametrize("reason", [None, "", "no answer from 0 77 00 90 01 23", "+447700900123"])
def test_the_reason_of_a_failure_names_nobody(reason: str | None) -> None:
    condition = OutboundCallCondition.parse("a", "OUT-1", "live", "failed")
    answer = OutboundCallStatus.model_validate({"status": "FAILURE", "reason": reason})

    with pytest.raises(WaitFailed) as raised:
        condition.holds([answer])

    assert "77" not in str(raised.value)


# ------------------------------------------------------------------------------------ quiet lines


def told(*most: int | None) -> list[ConcurrencyInterval]:
    """Intervals of five minutes; ``None`` is one that is not told."""
    return [
        ConcurrencyInterval(time=AFTER + index * timedelta(minutes=5), max_concurrent_conversations=value)
        for index, value in enumerate(most)
        if value is not None
    ]


@pytest.mark.parametrize(
    ("most", "held"),
    [
        ((9, 1, 0, 1, 7), True),
        ((0, 0, 2, 1, 0), False),
        ((0, 0, 1, 1, 2, 0), False),
        ((1, 1, 1), False),
        ((1, 1, None, 1, 0), False),
        ((), False),
    ],
)
def test_quiet_is_a_time_without_a_gap_before_the_newest_interval(most: tuple[Any, ...], held: bool) -> None:
    condition = QuietCondition.parse("acc", "a", "live", 1, 15)

    assert holds(condition, [told(*most)]) is held
    assert holds(condition, [list(reversed(told(*most)))]) is held


@pytest.mark.parametrize(("minutes", "asked"), [(5, 20), (6, 25), (15, 30), (60, 75)])
def test_all_who_ask_within_five_minutes_ask_the_same(
    monkeypatch: pytest.MonkeyPatch, minutes: int, asked: int
) -> None:
    passed = [timedelta(0)]

    class Clock(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:
            return AFTER + passed[0]

    monkeypatch.setattr(quiet_module, "datetime", Clock)
    condition = QuietCondition.parse("acc", "a", "live", 1, minutes)
    keys = set()
    for seconds in (0, 1, 299):
        passed[0] = timedelta(seconds=seconds)
        (call,) = condition.reads()
        keys.add(call.key)
        query = dict(call.query)
        span = datetime.fromisoformat(query["end_time"]) - datetime.fromisoformat(query["start_time"])
        assert span == timedelta(minutes=asked)

    assert len(keys) == 1


# ----------------------------------------------------------------------------------------- alerts


def rule(rule_id: str = "ar_1", **fields: Any) -> AlertRule:
    usual = {
        "id": rule_id,
        "project_id": "a",
        "metric": "api_errors",
        "enabled": True,
        "window_duration": "5m",
        "current_state": "ok",
        "since": "2026-10-01T00:00:00Z",
        "last_evaluated_at": "2026-11-01T12:05:00Z",
    }
    return AlertRule.model_validate({**usual, **fields})


def clear(*, project: str | None = "a", rules: Any = None, older: bool = False, fail: bool = False) -> Any:
    return AlertsClearCondition.parse(AFTER.isoformat(), project, rules, older, fail)


@pytest.mark.parametrize(
    ("fields", "held"),
    [
        ({}, True),
        ({"last_evaluated_at": "2026-11-01T12:04:59Z"}, False),
        ({"last_evaluated_at": None}, False),
        ({"window_duration": "60m"}, False),
        ({"current_state": "no_data"}, False),
        ({"current_state": "unknown"}, False),
        ({"current_state": None}, False),
        ({"current_state": "alert"}, False),
    ],
)
def test_a_rule_is_clear_when_a_whole_window_since_then_was_evaluated_as_ok(
    fields: dict[str, Any], held: bool
) -> None:
    assert holds(clear(), [[rule(**fields)]]) is held


def test_an_alert_from_before_is_told_apart() -> None:
    old = rule(current_state="alert")
    new = rule("ar_2", current_state="alert", since="2026-11-01T12:00:00Z")

    assert clear().holds([[old]]) == (
        False,
        {"after": AFTER.isoformat(), "rules": 1, "firing_before": ["ar_1"], "not_clear": ["ar_1"]},
    )
    assert holds(clear(older=True, fail=True), [[old]])
    with pytest.raises(WaitFailed, match="1 alert rule"):
        clear(older=True, fail=True).holds([[old, new]])


@pytest.mark.parametrize(
    ("condition", "rules"),
    [
        (clear(), []),
        (clear(), [rule(enabled=False)]),
        (clear(), [rule(project_id="PROJECT-A")]),
        (clear(), [rule(project_id=None)]),
        (clear(rules=["ar_1", "ar_2"]), [rule()]),
        (clear(rules=["ar_1"]), [rule(enabled=False)]),
        (clear(rules=["ar_1"]), [rule(project_id="b")]),
    ],
)
def test_what_nobody_watches_is_never_clear(condition: Any, rules: list[AlertRule]) -> None:
    with pytest.raises(WaitFailed, match="Nothing watches"):
        condition.holds([rules])


def test_other_rules_do_not_matter() -> None:
    others = [rule("ar_2", project_id="b", current_state="alert"), rule("ar_3", current_state="alert")]

    assert holds(clear(rules="ar_1"), [[rule(), *others]])
    assert not holds(clear(project=None), [[rule(), *others]])
