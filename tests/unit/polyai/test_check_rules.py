"""Observations after a promotion are judged by the thresholds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_voice_agents.plans.checks import CheckVerdict
from airflow_voice_agents.plans.kind import Resource
from airflow_voice_agents.polyai.actions.check_rules import (
    Failures,
    Traffic,
    judge_alerts,
    judge_call,
    judge_conversations,
    judge_read_back,
    judge_smoke,
    judge_test_runs,
    judge_turn,
)
from airflow_voice_agents.polyai.checks_spec import TurnSpec, parse_checks, plain
from airflow_voice_agents.polyai.observations import AlertRule, ChatReply, Conversation, TestRun
from airflow_voice_agents.transport.errors import InputError

PASSED, FAILED, INCONCLUSIVE, ERROR, SKIPPED = CheckVerdict
SINCE = datetime(2026, 9, 1, 12, tzinfo=UTC)
PLACE = {"agent_id": "rosa", "environment": "live"}


def check(kind: str, **fields: Any) -> Any:
    return parse_checks([{"check": kind, **fields}])[0]


# ----------------------------------------------------------------------------------------- alerts


def rule(state: str | None = "ok", **fields: Any) -> AlertRule:
    usual = {
        "id": "ar_1",
        "name": "Errors",
        "project_id": "rosa",
        "metric": "api_errors",
        "window_duration": "10m",
        "enabled": True,
        "current_state": state,
        "since": SINCE - timedelta(days=7),
        "last_evaluated_at": SINCE + timedelta(minutes=1),
    }
    return AlertRule.model_validate({**usual, **fields})


def alerts(*rules: AlertRule, **fields: Any) -> Any:
    return judge_alerts(check("alerts", **{"project_ids": ["rosa"], **fields}), rules, SINCE)


FIRING = rule("alert", since=SINCE + timedelta(minutes=2))
OLD = rule("alert", since=SINCE - timedelta(minutes=2))


@pytest.mark.parametrize(
    ("rules", "verdict"),
    [
        ([rule()], PASSED),
        ([FIRING], FAILED),
        ([rule("alert", since=SINCE)], FAILED),
        ([rule(id="ar_2"), FIRING], FAILED),
        ([OLD], PASSED),
        ([rule("alert", since=None)], INCONCLUSIVE),
        ([rule("no_data")], INCONCLUSIVE),
        ([rule("unknown")], INCONCLUSIVE),
        ([rule(None)], INCONCLUSIVE),
        ([rule(last_evaluated_at=None)], INCONCLUSIVE),
        ([rule(last_evaluated_at=SINCE)], INCONCLUSIVE),
        ([rule(last_evaluated_at=SINCE - timedelta(seconds=1))], INCONCLUSIVE),
        ([], INCONCLUSIVE),
        ([rule("alert", project_id="bank")], INCONCLUSIVE),
        ([rule("alert", project_id=None)], INCONCLUSIVE),
        ([rule("alert", enabled=False)], INCONCLUSIVE),
    ],
)
def test_alert_rules(rules: list[AlertRule], verdict: CheckVerdict) -> None:
    assert alerts(*rules).verdict is verdict


def test_what_fired_before_may_be_made_to_count() -> None:
    found = alerts(OLD, allow_preexisting=False)

    assert (found.verdict, found.facts["fired_before"]) == (INCONCLUSIVE, ["ar_1"])


def test_a_whole_window_may_be_asked_for() -> None:
    assert alerts(rule(), whole_window=True).verdict is INCONCLUSIVE
    later = rule(last_evaluated_at=SINCE + timedelta(minutes=10, seconds=1))
    assert alerts(later, whole_window=True).verdict is PASSED
    assert alerts(rule(window_duration="a day"), whole_window=True).verdict is INCONCLUSIVE


def test_rules_may_be_named_and_missing_ones_are_an_error_that_lasts() -> None:
    named = alerts(rule("alert", project_id=None, since=SINCE), rule_ids=["ar_1"])
    missing = alerts(rule(), rule_ids=["ar_9"])

    assert named.verdict is FAILED
    assert (missing.verdict, missing.permanent) == (ERROR, True)


def test_only_some_metrics_may_count() -> None:
    assert alerts(FIRING, rule(id="ar_2", metric="call_crashes"), metrics=["call_crashes"]).verdict is PASSED


@given(
    st.lists(
        st.tuples(st.sampled_from(["ok", "alert", "no_data", None]), st.timedeltas(timedelta(seconds=1)))
    )
)
def test_what_began_before_never_fails(states: list[tuple[str | None, timedelta]]) -> None:
    began = [rule(state, since=SINCE - min(before, timedelta(days=999))) for state, before in states]

    assert alerts(*began).verdict is not FAILED


# ------------------------------------------------------------------------------------- test runs


def runs(*statuses: str, **fields: Any) -> Any:
    found = [TestRun(id=f"r{n}", status=status) for n, status in enumerate(statuses)]
    return judge_test_runs(check("test_runs", agent_id="rosa", **fields), found)


@pytest.mark.parametrize(
    ("statuses", "verdict", "permanent"),
    [
        (["passed", "passed"], PASSED, False),
        (["passed", "failed"], FAILED, False),
        (["failed", "errored"], FAILED, False),
        (["passed", "running"], INCONCLUSIVE, False),
        (["cancelled"], INCONCLUSIVE, False),
        (["completed"], INCONCLUSIVE, False),
        (["timed_out"], ERROR, True),
        (["errored", "pending"], ERROR, True),
        ([], INCONCLUSIVE, False),
    ],
    ids=str,
)
def test_runs_that_have_ended_have_not_passed_for_that(
    statuses: list[str], verdict: CheckVerdict, permanent: bool
) -> None:
    found = runs(*statuses)

    assert (found.verdict, found.permanent) == (verdict, permanent)


def test_no_run_may_be_let_pass() -> None:
    assert runs(required=False).verdict is SKIPPED


# --------------------------------------------------------------------------------- conversations


def talks(**fields: Any) -> Any:
    return check("conversations", **PLACE, **fields)


def judged(now: Traffic, before: Traffic, failures: Failures | None = None, **fields: Any) -> Any:
    given = Failures(min(now.conversations, 50), 0, 0) if failures is None else failures
    return judge_conversations(talks(**fields), now, before, given)


BEFORE = Traffic(100, 10, 100, 24.0)


@pytest.mark.parametrize(
    ("now", "before", "verdict"),
    [
        (Traffic(50, 5, 50, 0.5), BEFORE, PASSED),
        (Traffic(50, 9, 50, 0.5), BEFORE, PASSED),
        (Traffic(50, 10, 50, 0.5), BEFORE, FAILED),
        (Traffic(19, 19, 19, 0.5), BEFORE, INCONCLUSIVE),
        (Traffic(50, 10, 50, 0.5), Traffic(5, 0, 5, 24.0), INCONCLUSIVE),
        (Traffic(50, 0, 50, 0.5), Traffic(0, 0, 0, 24.0), PASSED),
        (Traffic(50, 2, 50, 0.5), Traffic(100, 1, 100, 24.0), PASSED),
        (Traffic(50, 3, 50, 0.5), Traffic(100, 0, 100, 24.0), FAILED),
        (Traffic(50, 0, 0, 0.5), BEFORE, INCONCLUSIVE),
    ],
    ids=str,
)
def test_handoffs_twice_as_often_fail(now: Traffic, before: Traffic, verdict: CheckVerdict) -> None:
    assert judged(now, before).verdict is verdict


@pytest.mark.parametrize(
    ("failures", "verdict"),
    [
        (Failures(50, 5, 0), PASSED),
        (Failures(50, 6, 0), FAILED),
        (Failures(19, 19, 0), INCONCLUSIVE),
        (Failures(50, 1, 1), FAILED),
    ],
    ids=str,
)
def test_failing_functions(failures: Failures, verdict: CheckVerdict) -> None:
    assert judged(Traffic(50, 0, 50, 0.5), BEFORE, failures).verdict is verdict


def test_a_critical_function_needs_no_number_of_conversations() -> None:
    assert judged(Traffic(1, 0, 1, 0.1), BEFORE, Failures(1, 1, 1)).verdict is FAILED
    allowed = judged(Traffic(1, 0, 1, 0.1), BEFORE, Failures(1, 1, 1), max_critical_failures=1)
    assert allowed.verdict is INCONCLUSIVE


@pytest.mark.parametrize(
    ("now", "verdict"),
    [
        (Traffic(20, 0, 20, 10.0), FAILED),
        (Traffic(21, 0, 21, 10.0), PASSED),
        (Traffic(0, 0, 0, 2.0), FAILED),
        (Traffic(0, 0, 0, 0.5), INCONCLUSIVE),
    ],
    ids=str,
)
def test_the_number_of_conversations_per_hour(now: Traffic, verdict: CheckVerdict) -> None:
    assert judged(now, Traffic(100, 0, 100, 24.0), min_volume_ratio=0.5).verdict is verdict


def test_what_is_not_looked_at_does_not_count() -> None:
    found = judged(
        Traffic(50, 50, 50, 1.0),
        Traffic(0, 0, 0, 24.0),
        Failures(0, 0, 0),
        max_handoff_rate_increase=None,
        max_error_rate=None,
    )
    assert found.verdict is PASSED


@given(
    st.integers(0, 200).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n))),
    st.integers(0, 200).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n))),
)
def test_no_more_handoffs_than_before_never_fail(now: tuple[int, int], before: tuple[int, int]) -> None:
    ours, theirs = Traffic(now[0], now[1], now[0], 0.5), Traffic(before[0], before[1], before[0], 24.0)
    if ours.handoff_rate <= theirs.handoff_rate or ours.conversations < 20:
        assert judged(ours, theirs).verdict is not FAILED


def test_conversations_under_way_do_not_count() -> None:
    held = [
        Conversation.model_validate({"id": str(n), "inProgress": n == 0, "handoff": n == 0}) for n in range(3)
    ]

    assert Traffic.of(held, 1.0) == Traffic(2, 0, 2, 1.0)


def test_functions_that_nothing_is_told_of_do_not_count() -> None:
    held = [
        Conversation.model_validate({"id": "1"}),
        Conversation.model_validate({"id": "2", "functionEvents": {"0": []}}),
        Conversation.model_validate(
            {"id": "3", "functionEvents": [{"name": "pay", "error": "e"}, {"name": "pay", "error": "e"}]}
        ),
    ]

    assert Failures.of(held, ["pay"]) == Failures(2, 1, 2)


# ------------------------------------------------------------------------ chats, calls, read-back


def reply(text: str = "We open at nine", **fields: Any) -> ChatReply:
    return ChatReply.model_validate({"conversationId": "c", "response": text, **fields})


@pytest.mark.parametrize(
    ("turn", "answer", "problems"),
    [
        ({"expect": ["OPEN AT \\w+"]}, reply(), 0),
        ({"expect": ["closed"]}, reply(), 1),
        ({"topics": ["hours"]}, reply(metadata={"retrievedTopics": ["hours"]}), 0),
        ({"topics": ["hours"]}, reply(), 1),
        ({"ends": True}, reply(conversationEnded=True), 0),
        ({"ends": True}, reply(), 1),
        ({"ends": False}, reply(conversationEnded=True), 1),
        ({}, reply(""), 0),
    ],
    ids=str,
)
def test_turns(turn: dict[str, Any], answer: ChatReply, problems: int) -> None:
    found = judge_turn(TurnSpec(say="hello", **turn), answer)

    assert len(found) == problems
    assert "nine" not in str(found)


def test_failed_functions_fail_a_chat() -> None:
    smoke = check("smoke", **PLACE, turns=[{"say": "hi"}])

    assert judge_smoke(smoke, [], 0, 1).verdict is PASSED
    assert judge_smoke(smoke, [], 1, 1).verdict is FAILED
    assert judge_smoke(smoke, ["turn 1: no"], 0, 1).verdict is FAILED


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        ("SUCCESS", PASSED),
        ("FAILURE", INCONCLUSIVE),
        ("QUEUED", INCONCLUSIVE),
        (None, INCONCLUSIVE),
        ("X", INCONCLUSIVE),
    ],
)
def test_a_call_that_has_ended_has_not_passed_for_that(status: str | None, verdict: CheckVerdict) -> None:
    assert judge_call(check("placed_call", **PLACE, call_sid="c1"), status).verdict is verdict


def test_a_read_back_tells_what_differs_from_what_cannot_be_read() -> None:
    pins = [
        {"kind": "page", "owner": "rosa", "resource": each, "after": each} for each in ("live", "sandbox")
    ]
    wanted = check("read_back", pins=pins)
    live, sandbox = Resource("page", "rosa", "live"), Resource("page", "rosa", "sandbox")

    assert judge_read_back(wanted, {live: "live", sandbox: "sandbox"}, {}).verdict is PASSED
    assert judge_read_back(wanted, {live: "other"}, {sandbox: "no right"}).verdict is FAILED
    unread = judge_read_back(wanted, {live: "live"}, {sandbox: "no right"})
    assert (unread.verdict, unread.permanent) == (ERROR, True)


# -------------------------------------------------------------------------------------- the spec

SMOKE = {"check": "smoke", **PLACE}
NUMBER = "+442079460123"


@pytest.mark.parametrize(
    "wrong",
    [
        None,
        {},
        [],
        "alerts",
        [1],
        [{"check": "alerts"}],
        [{"check": "alerts", "project_ids": ["rosa"], "metrics": ["weather"]}],
        [{"check": "alerts", "project_ids": "[rosa"}],
        [{"check": "conversations", **PLACE, "host": "runtime"}],
        [{"check": "conversations", **PLACE, "max_error_rate": 10}],
        [{"check": "conversations", **PLACE, "environment": "production"}],
        [{"check": "conversations", **PLACE, "unknown": 1}],
        [{**SMOKE, "turns": []}],
        [{**SMOKE, "turns": [{"say": "x" * 501}]}],
        [{**SMOKE, "turns": [{"say": "x", "expect": ["("]}]}],
        [{**SMOKE, "turns": [{"say": "x"}, {"expect": ["y"]}]}],
        [{"check": "read_back", "plan": {"version": 1}}],
        [{"check": "outbound", **PLACE, "to_number": NUMBER}],
        [{"check": "outbound", **PLACE, "to_number": "0207", "confirm_call": True}],
    ],
    ids=str,
)
def test_checks_that_are_wrong_are_refused_without_saying_values(wrong: object) -> None:
    with pytest.raises(InputError) as refused:
        parse_checks(wrong)

    assert NUMBER[1:] not in str(refused.value)
    assert "0207" not in str(refused.value)


def test_the_same_kind_twice_needs_names() -> None:
    alert = {"check": "alerts", "project_ids": ["rosa"]}

    with pytest.raises(InputError, match="name"):
        parse_checks([alert, alert])
    assert [each.title for each in parse_checks([alert, {**alert, "name": "more"}])] == ["alerts", "more"]


def test_only_checks_that_read_are_handed_to_a_trigger() -> None:
    checks = parse_checks(
        [
            {"check": "test_runs", "agent_id": "rosa", "test_run_ids": '["r1"]'},
            {"check": "conversations", **PLACE, "deployment_id": "None"},
            {**SMOKE, "turns": [{"say": "hi"}]},
            {"check": "outbound", **PLACE, "to_number": NUMBER, "confirm_call": True},
        ]
    )

    handed = plain(checks)

    assert [each["check"] for each in handed] == ["test_runs", "conversations"]
    assert parse_checks(handed) == checks[:2]
    assert NUMBER not in repr(checks)
