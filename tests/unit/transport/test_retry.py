"""Decisions about sending again."""

from __future__ import annotations

from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_voice_agents.transport.api_request import Replay
from airflow_voice_agents.transport.retry import (
    ErrorResponse,
    GiveUp,
    NoResponse,
    NotSent,
    Resend,
    RetryBudget,
    UnclearResponse,
    Unknown,
    back_off,
    decide,
    leaves_doubt,
    parse_rate_limit_reset,
    parse_retry_after,
)

NOW = 1_800_000_000.0
OUTCOMES = [
    NotSent(),
    NoResponse(),
    UnclearResponse(),
    UnclearResponse(resendable=False),
    *(ErrorResponse(status) for status in (400, 401, 404, 408, 409, 429, 500, 501, 502, 503, 504)),
]
RESENT = {
    Replay.SAFE: {
        NotSent(),
        NoResponse(),
        UnclearResponse(),
        *(ErrorResponse(status) for status in (408, 429, 500, 502, 503, 504)),
    },
    Replay.RECONCILE: {NotSent(), ErrorResponse(429)},
    Replay.NEVER: set(),
}
UNKNOWN = {
    NoResponse(),
    UnclearResponse(),
    UnclearResponse(resendable=False),
    *(ErrorResponse(status) for status in (408, 500, 501, 502, 503, 504)),
}


def decision(replay, outcome, *, attempt=1, max_attempts=5, remaining=60.0, random=lambda: 1.0):
    return decide(
        replay, outcome, attempt=attempt, max_attempts=max_attempts, remaining=remaining, random=random
    )


@pytest.mark.parametrize("replay", list(Replay))
@pytest.mark.parametrize("outcome", OUTCOMES, ids=repr)
def test_what_each_replay_class_permits(replay, outcome):
    expected = GiveUp
    if outcome in RESENT[replay]:
        expected = Resend
    elif replay is not Replay.SAFE and outcome in UNKNOWN:
        expected = Unknown
    assert isinstance(decision(replay, outcome), expected)


@pytest.mark.parametrize("outcome", OUTCOMES, ids=repr)
def test_doubt_is_left_by_all_but_a_refusal_and_what_was_not_sent(outcome):
    assert leaves_doubt(outcome) is (outcome in UNKNOWN)


@pytest.mark.parametrize("attempt", [5, 6])
def test_attempts_are_limited(attempt):
    assert decision(Replay.SAFE, NoResponse(), attempt=attempt) == GiveUp(f"gave up after {attempt} attempts")


@pytest.mark.parametrize("replay", [Replay.SAFE, Replay.RECONCILE])
def test_refusals_of_a_rate_limit_have_a_bound_of_their_own(replay):
    assert isinstance(decision(replay, ErrorResponse(429), attempt=99), Resend)
    assert decision(replay, ErrorResponse(429), attempt=100) == GiveUp("gave up after 100 attempts")
    assert isinstance(decision(replay, ErrorResponse(429), attempt=1, max_attempts=1), GiveUp)


def test_no_resend_that_the_deadline_leaves_no_time_for():
    assert isinstance(decision(Replay.SAFE, NoResponse(), remaining=0.5), GiveUp)
    assert isinstance(decision(Replay.SAFE, NoResponse(), remaining=0.51), Resend)
    assert isinstance(decision(Replay.SAFE, ErrorResponse(429, 20.0), remaining=20.0), GiveUp)


def test_named_wait_is_waited_with_jitter_on_top():
    assert decision(Replay.SAFE, ErrorResponse(503, 3.0)) == Resend(3.5)
    assert decision(Replay.SAFE, UnclearResponse(3.0)) == Resend(3.5)
    assert decision(Replay.SAFE, ErrorResponse(503, 3.0), random=lambda: 0.0) == Resend(3.0)


def test_named_wait_beyond_the_cap_gives_up():
    assert isinstance(decision(Replay.SAFE, ErrorResponse(429, 60.0), remaining=900), Resend)
    assert decision(Replay.SAFE, ErrorResponse(429, 61.0), remaining=900) == GiveUp(
        "the server asks to wait 61 s"
    )


def test_back_off_doubles_up_to_its_cap_with_full_jitter():
    assert [back_off(attempt, lambda: 1.0) for attempt in range(1, 8)] == [0.5, 1, 2, 4, 8, 8, 8]
    assert back_off(10_000, lambda: 0.5) == 4.0
    assert back_off(3, lambda: 0.0) == 0.0


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("0", 0.0),
        ("7", 7.0),
        (" 7 ", 7.0),
        ("1.5", 1.5),
        ("60", 60.0),
        ("3601", 3600.0),
        ("9" * 30, 3600.0),
        ("9" * 100_000, 3600.0),
        (formatdate(NOW + 90, usegmt=True), 90.0),
        (formatdate(NOW - 90, usegmt=True), 0.0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 3600.0),
        ("Mon, 01 Jan 0001 00:00:00 GMT", 0.0),
        ("Fri, 15 Jan 2027 08:01:30 -0000", 90.0),
        (None, None),
        ("", None),
        ("-1", None),
        ("-0", None),
        ("+5", None),
        ("1e5", None),
        ("1_000", None),
        ("nan", None),
        ("inf", None),
        ("Infinity", None),
        ("٣", None),
        ("5, 10", None),
        ("soon", None),
        ("Fri, 99 Foo 2027 99:99:99 GMT", None),
        ("\x00", None),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_retry_after_in_both_forms_and_hostile_ones(value, expected):
    assert parse_retry_after(value, NOW) == expected


@given(
    st.text()
    | st.from_regex(r"[A-Z][a-z]{2}, \d{1,3} [A-Z][a-z]{2} \d{1,6} \d\d:\d\d:\d\d( [+-]\d{4}| GMT)?")
)
def test_retry_after_is_always_none_or_within_an_hour(value):
    seconds = parse_retry_after(value, NOW)
    assert seconds is None or 0 <= seconds <= 3600


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (f"{NOW + 90:.0f}", 90.0),
        (f" {NOW + 90:.0f} ", 90.0),
        (f"{NOW:.0f}.5", 0.5),
        (f"{NOW:.0f}", 0.0),
        ("0", 0.0),
        ("30", 0.0),
        (f"{NOW + 3601:.0f}", 3600.0),
        (f"{NOW * 1000:.0f}", 3600.0),
        ("9" * 100, 3600.0),
        ("9" * 100_000, 3600.0),
        (None, None),
        ("", None),
        ("-1", None),
        ("1e99", None),
        ("1_900_000_000", None),
        ("nan", None),
        ("inf", None),
        ("٣", None),
        ("1900000000, 1900000001", None),
        (formatdate(NOW + 90, usegmt=True), None),
        ("\x00", None),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_rate_limit_reset_is_a_moment_in_unix_seconds(value, expected):
    assert parse_rate_limit_reset(value, NOW) == expected


@given(st.text() | st.from_regex(r"\A\d{1,400}(\.\d{1,10})?\Z"))
def test_rate_limit_reset_is_always_none_or_within_an_hour(value):
    seconds = parse_rate_limit_reset(value, NOW)
    assert seconds is None or 0 <= seconds <= 3600


def test_budget_pays_for_its_tokens_and_earns_a_tenth_per_success():
    budget = RetryBudget(tokens=2)
    assert [budget.spend() for _ in range(3)] == [True, True, False]
    for _ in range(9):
        budget.earn()
    assert not budget.spend()
    for _ in range(2):
        budget.earn()
    assert budget.spend()
    assert not budget.spend()


def test_budget_never_holds_more_than_its_tokens():
    budget = RetryBudget(tokens=1)
    for _ in range(100):
        budget.earn()
    assert [budget.spend() for _ in range(2)] == [True, False]
