"""Looks one after the other over a platform that errs: what they come to, and that errors never fail."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_voice_agents.engine.run_context import RunContext
from airflow_voice_agents.plans.checks import CheckResult, CheckVerdict, Watch
from airflow_voice_agents.polyai.actions.smoke import OneShotChecks, OneShotResults
from airflow_voice_agents.polyai.actions.verification import CheckRunner
from airflow_voice_agents.polyai.actions.watching import PromotionWatch
from airflow_voice_agents.polyai.checks_spec import parse_checks
from airflow_voice_agents.polyai.observations import AlertRule, ChatReply, Conversation, ConversationPage
from airflow_voice_agents.transport.api_request import ApiRequest
from airflow_voice_agents.transport.errors import (
    CallError,
    ConnectionSettingsError,
    DeadlineExceeded,
    Forbidden,
    OutcomeUnknown,
    RateLimited,
    ResponseError,
    ServerError,
    TransportError,
    Unauthorized,
    VoiceAgentsError,
)

SINCE = datetime(2026, 9, 1, 12, tzinfo=UTC)
TRANSIENT = (TransportError, DeadlineExceeded, RateLimited, ServerError, ResponseError)
LASTING = (Forbidden, Unauthorized, ConnectionSettingsError)
OK, FIRING = "ok", "firing"
ALERTS = parse_checks([{"check": "alerts", "project_ids": ["rosa"]}])
SMOKE = {
    "check": "smoke",
    "agent_id": "rosa",
    "environment": "live",
    "turns": [{"say": "hi", "expect": ["hello"]}],
}
CALL = {
    "check": "outbound",
    "agent_id": "rosa",
    "environment": "live",
    "to_number": "+442079460123",
    "confirm_call": True,
}


def failure(kind: type[VoiceAgentsError]) -> VoiceAgentsError:
    return kind("it went wrong")


def rules(state: str) -> list[AlertRule]:
    since = SINCE + timedelta(minutes=1) if state == FIRING else SINCE - timedelta(days=1)
    return [
        AlertRule(
            id="ar_1",
            project_id="rosa",
            current_state="alert" if state == FIRING else "ok",
            since=since,
            last_evaluated_at=SINCE + timedelta(minutes=2),
        )
    ]


class Platform:
    """Answers one call after the other, the last answer for ever, and keeps what was asked."""

    def __init__(self, answers: Iterable[Any]) -> None:
        self.answers = list(answers)
        self.asked: list[ApiRequest[Any]] = []

    async def __call__(self, call: ApiRequest[Any]) -> Any:
        self.asked.append(call)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


def run_on(platform: Platform, task_state: Any = None) -> RunContext:
    return RunContext(platform, lambda _: None, task_state=task_state)


def watched(
    answers: list[Any], *, confirmations: int = 2, over_from: int = 1000
) -> list[CheckVerdict | None]:
    """What each look comes to, until there is a verdict."""
    platform = Platform([rules(each) if isinstance(each, str) else failure(each) for each in answers])
    watching = PromotionWatch(ALERTS, (), SINCE, Watch(confirmations=confirmations))

    async def steps() -> list[CheckVerdict | None]:
        found: list[CheckVerdict | None] = []
        for number in range(len(answers)):
            found.append(await watching.step(run_on(platform), SINCE, over=number >= over_from))
            if found[-1]:
                break
        return found

    return asyncio.run(steps())


@given(st.lists(st.sampled_from([*TRANSIENT, *LASTING]), min_size=1), st.integers(0, 9), st.integers(1, 4))
def test_errors_of_any_kind_and_number_never_fail(errors: list[Any], over: int, confirmations: int) -> None:
    assert CheckVerdict.FAILED not in watched(errors, over_from=over, confirmations=confirmations)


@given(st.lists(st.sampled_from([*TRANSIENT, OK, FIRING]), min_size=1), st.integers(2, 4))
def test_failed_takes_failed_looks_with_nothing_but_errors_between(answers: list[Any], needed: int) -> None:
    streak, longest = 0, 0
    for each in answers:
        streak = streak + 1 if each == FIRING else streak if each != OK else 0
        longest = max(longest, streak)

    assert (CheckVerdict.FAILED in watched(answers, confirmations=needed)) == (longest >= needed)


@pytest.mark.parametrize("kind", LASTING)
def test_an_error_that_lasts_ends_the_watch_at_once(kind: Any) -> None:
    assert watched([kind, OK]) == [CheckVerdict.ERROR]


def test_one_check_that_errs_leaves_the_others_alone() -> None:
    checks = parse_checks(
        [
            {"check": "test_runs", "agent_id": "rosa", "test_run_ids": ["r1"]},
            ALERTS[0].model_dump(mode="json"),
        ]
    )
    platform = Platform([failure(ServerError), rules(OK)])

    found = asyncio.run(CheckRunner(checks, SINCE).look(run_on(platform), SINCE))

    assert [each.verdict for each in found] == [CheckVerdict.ERROR, CheckVerdict.PASSED]


def test_a_watch_survives_its_way_to_the_trigger() -> None:
    once = OneShotResults((CheckResult("smoke", CheckVerdict.PASSED, "fine"),))
    watching = PromotionWatch.of(ALERTS, once, SINCE, Watch(confirmations=3, whole_period=False))

    again = PromotionWatch.from_plain(watching.plain())

    assert again.plain() == watching.plain()
    assert (again.checks, list(again.given), again.since) == (ALERTS, list(once.results), SINCE)


# ----------------------------------------------------------------------------- conversations


def held(*ids: int, start: datetime = SINCE, **fields: Any) -> list[Conversation]:
    usual = {"environment": "live", "handoff": False, "functionEvents": {}, **fields}
    return [
        Conversation.model_validate({"id": str(n), "startedAt": start + timedelta(seconds=n), **usual})
        for n in ids
    ]


def page(conversations: list[Conversation], count: int | None = None, cursor: str | None = None) -> Any:
    return ConversationPage(conversations=tuple(conversations), count=count, cursor=cursor)


TALKS = {"check": "conversations", "agent_id": "rosa", "environment": "live", "min_conversations": 2}


def look(platform: Platform, times: int = 1, **fields: Any) -> CheckResult:
    eye = CheckRunner(parse_checks([{**TALKS, **fields}]), SINCE)

    async def looks() -> CheckResult:
        found = [await eye.look(run_on(platform), SINCE + timedelta(hours=1)) for _ in range(times)]
        return found[-1][0]

    return asyncio.run(looks())


def test_pages_are_read_until_one_holds_only_older_ones() -> None:
    recent, older = held(*range(60)), held(*range(100, 150), start=SINCE - timedelta(days=3))
    pages = [page(recent[:50], 999), page([*recent[50:], *older[:40]], 999), page(older, 999)]
    platform = Platform([*pages, *pages])

    found = look(platform, max_error_rate=None)

    assert (found.verdict, found.facts["conversations"]) == (CheckVerdict.PASSED, 60)
    assert [dict(call.query).get("offset") for call in platform.asked] == [None, "50", "100"] * 2


def test_a_conversation_that_two_pages_show_counts_once() -> None:
    recent = held(*range(60))
    pages = [page(recent[:50], 60), page(recent[48:], 60)]
    platform = Platform([*pages, *pages])

    assert look(platform, max_error_rate=None).facts["conversations"] == 60


def test_the_runtime_host_is_read_by_cursor_and_never_in_a_circle() -> None:
    recent = held(*range(4))
    pages = [page(recent[:2], cursor="a"), page(recent[2:], cursor="a")]
    platform = Platform([*pages, *pages])

    found = look(platform, host="runtime", account_id="demo", max_error_rate=None)

    assert found.facts["conversations"] == 4
    assert [dict(call.query).get("cursor") for call in platform.asked] == [None, "a"] * 2


def test_the_baseline_is_read_once() -> None:
    platform = Platform([page(held(1, 2, 3), 3)])

    look(platform, times=4, max_error_rate=None)

    assert len(platform.asked) == 1 + 4


def test_a_deployment_may_be_told_apart() -> None:
    mine = held(1, 2, 3, deploymentId="new")
    everything = page([*mine, *held(4, 5, deploymentId="old")], 5)

    assert look(Platform([everything]), deployment_id="new").facts["conversations"] == 3
    untold = page(held(1, 2, 3), 3)
    assert look(Platform([untold]), deployment_id="new").facts["conversations"] == 3


def test_other_environments_do_not_count() -> None:
    everything = page([*held(1, 2), *held(3, environment="sandbox")], 3)

    assert look(Platform([everything])).facts["conversations"] == 2


# ------------------------------------------------------------------------------ chats and calls


class Store(dict[str, Any]):
    """What outlives a try."""

    def set(self, key: str, value: Any) -> None:
        self[key] = value


def chat(text: str) -> ChatReply:
    return ChatReply.model_validate({"conversationId": "c", "response": text})


def once(platform: Platform, *checks: Any, store: Store | None = None) -> OneShotResults:
    job = OneShotChecks(parse_checks(list(checks)), store, "mark")
    return asyncio.run(job.run(run_on(platform)))


GOOD, BAD = [chat("hello")] * 2, [chat("bye")] * 2


@pytest.mark.parametrize(
    ("answers", "verdict"),
    [
        ([*GOOD], CheckVerdict.PASSED),
        ([*BAD, *BAD], CheckVerdict.FAILED),
        ([*BAD, *GOOD], CheckVerdict.PASSED),
        ([*BAD, failure(ServerError), *BAD], CheckVerdict.FAILED),
        ([failure(ServerError), *GOOD], CheckVerdict.PASSED),
        ([failure(ServerError)], CheckVerdict.ERROR),
        ([failure(OutcomeUnknown)], CheckVerdict.ERROR),
        ([failure(Forbidden)], CheckVerdict.ERROR),
        ([*[failure(ServerError)] * 3, *BAD], CheckVerdict.INCONCLUSIVE),
    ],
    ids=lambda value: value if isinstance(value, CheckVerdict) else None,
)
def test_chats(answers: list[Any], verdict: CheckVerdict) -> None:
    (result,) = once(Platform(answers), SMOKE).results

    assert result.verdict is verdict


def test_an_agent_that_ends_the_chat_early_fails_it() -> None:
    ended = ChatReply.model_validate({"conversationId": "c", "response": "hello", "conversationEnded": True})
    script = {**SMOKE, "turns": [{"say": "hi"}, {"say": "there"}]}
    platform = Platform([chat("hello"), ended] * 2)

    (result,) = once(platform, script).results

    assert (result.verdict, len(platform.asked)) == (CheckVerdict.FAILED, 4)


@given(st.lists(st.sampled_from([*TRANSIENT, *LASTING, OutcomeUnknown]), min_size=1))
def test_chats_that_do_not_come_about_never_fail(errors: list[Any]) -> None:
    (result,) = once(Platform([failure(each) for each in errors]), SMOKE).results

    assert result.verdict is CheckVerdict.ERROR


@pytest.mark.parametrize("kind", [OutcomeUnknown, *TRANSIENT, Forbidden])
def test_a_call_is_asked_for_once_whatever_the_answer(kind: type[CallError]) -> None:
    store, platform = Store(), Platform([failure(kind)])

    first, second = once(platform, CALL, store=store), once(platform, CALL, store=store)

    assert len(platform.asked) == 1
    assert first.document() == second.document()
    assert not first.failed
    assert "442079460123" not in str(store)


def test_a_try_that_ended_while_it_called_is_not_repeated() -> None:
    store, platform = Store({"call-mark-outbound": {"placing": True}}), Platform([failure(ServerError)])

    (result,) = once(platform, CALL, store=store).results

    assert (result.verdict, platform.asked) == (CheckVerdict.INCONCLUSIVE, [])


def test_nobody_is_called_after_a_chat_that_failed() -> None:
    platform = Platform([*BAD, *BAD])

    found = once(platform, CALL, SMOKE)

    assert found.failed
    assert "create outbound call" not in [call.operation for call in platform.asked]


def test_what_was_made_once_survives_its_document() -> None:
    found = OneShotResults(
        (CheckResult("smoke", CheckVerdict.PASSED),),
        parse_checks([{"check": "placed_call", "agent_id": "rosa", "environment": "live", "call_sid": "c"}]),  # type: ignore[arg-type]
    )

    assert OneShotResults.from_document(found.document()) == found
