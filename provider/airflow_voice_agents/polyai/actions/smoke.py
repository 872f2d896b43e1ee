"""Checks with effects, which run once: a scripted chat, and a call to an own number."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from airflow_voice_agents.engine.apply import send_once
from airflow_voice_agents.engine.run_context import RunContext, TaskState
from airflow_voice_agents.plans.checks import CheckResult, CheckVerdict
from airflow_voice_agents.polyai import api
from airflow_voice_agents.polyai.actions.check_rules import judge_smoke, judge_turn
from airflow_voice_agents.polyai.actions.verification import could_not
from airflow_voice_agents.polyai.checks_spec import OutboundCheck, PlacedCallCheck, SmokeCheck, TurnSpec
from airflow_voice_agents.polyai.observations import ChatReply
from airflow_voice_agents.transport.errors import OutcomeUnknown, VoiceAgentsError

ATTEMPTS = 3
"""Attempts to start a chat."""


class OneShotResults(msgspec.Struct, frozen=True):
    """What the checks that are made once came to.

    :param results: of those that are over.
    :param watched: calls that were placed, to be looked at from now on.
    """

    results: tuple[CheckResult, ...]
    watched: tuple[PlacedCallCheck, ...] = ()

    def document(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "results": [result.document() for result in self.results],
            "watched": [check.model_dump(mode="json") for check in self.watched],
        }

    @classmethod
    def from_document(cls, plain: Any) -> OneShotResults:
        """Read what :meth:`document` returned."""
        return cls(
            tuple(CheckResult.from_document(each) for each in plain["results"]),
            tuple(PlacedCallCheck.model_validate(each) for each in plain["watched"]),
        )

    @property
    def failed(self) -> bool:
        """Whether one has failed."""
        return any(result.verdict is CheckVerdict.FAILED for result in self.results)


class OneShotChecks(msgspec.Struct, frozen=True):
    """Checks that are made once, ready to be made.

    :param checks: any checks; those that only read are left alone.
    :param notes: state kept between tries, so that no call is placed twice; ``None`` without such a store.
    :param mark: tells the notes of this watch from those of another.
    :param confirmations: how many chats must fail before the check has failed.
    """

    checks: Sequence[Any]
    notes: TaskState | None = None
    mark: str = ""
    confirmations: int = 2

    async def run(self, run: RunContext) -> OneShotResults:
        """Make the chats, and place the calls unless a chat has failed.

        Vendor operations: create debug chat, send debug chat message, create outbound call.

        :param run: what the run works with.
        """
        results = [await self._smoke(run, check) for check in self.checks if isinstance(check, SmokeCheck)]
        placed: list[PlacedCallCheck] = []
        if not OneShotResults(tuple(results)).failed:
            for check in self.checks:
                if isinstance(check, OutboundCheck):
                    outcome = await self._place(run, check)
                    if isinstance(outcome, PlacedCallCheck):
                        placed.append(outcome)
                    else:
                        results.append(outcome)
        return OneShotResults(tuple(results), tuple(placed))

    async def _smoke(self, run: RunContext, check: SmokeCheck) -> CheckResult:
        failures, result = 0, CheckResult(check.title, CheckVerdict.ERROR)
        for _ in range(ATTEMPTS + self.confirmations - 1):
            result = await chat(run, check)
            failures += result.verdict is CheckVerdict.FAILED
            if failures >= self.confirmations or result.verdict is CheckVerdict.PASSED or result.permanent:
                return result
        if result.verdict is not CheckVerdict.FAILED:
            return result
        text = f"not confirmed by a second chat: {result.reason}"
        return CheckResult(result.name, CheckVerdict.INCONCLUSIVE, text, result.facts)

    async def _place(self, run: RunContext, check: OutboundCheck) -> PlacedCallCheck | CheckResult:
        key = f"call-{self.mark}-{check.title}"
        noted = self.notes.get(key) if self.notes is not None else None
        if noted is None:
            if self.notes is not None:
                self.notes.set(key, {"placing": True})  # before the call: it is never placed twice
            noted = await _call(run, check)
            if self.notes is not None:
                self.notes.set(key, noted)
        if "call_sid" in noted:
            return PlacedCallCheck(
                name=check.title,
                agent_id=check.agent_id,
                environment=check.environment,
                call_sid=noted["call_sid"],
                failure_counts=check.failure_counts,
            )
        if "result" in noted:
            return CheckResult.from_document(noted["result"])
        text = "an earlier try may have placed the call, and did not learn its id; it is not placed again"
        return CheckResult(check.title, CheckVerdict.INCONCLUSIVE, text)


async def chat(run: RunContext, check: SmokeCheck) -> CheckResult:
    """Hold one chat as the script has it.

    Vendor operations: create debug chat, send debug chat message.

    :param run: what the run works with.
    :param check: the script, and what is expected.
    """
    try:
        return await _chat(run, check)
    except VoiceAgentsError as failure:
        return could_not(check.title, failure, run.redact)


async def _chat(run: RunContext, check: SmokeCheck) -> CheckResult:
    agent_id, environment = check.agent_id, check.environment.value
    begin = api.create_debug_chat(agent_id, client_env=environment, variant_id=check.variant_id)
    greeting = reply = await send_once(run, begin)
    problems: list[str] = []
    failed = len(reply.failed_functions or ())
    for number, turn in enumerate(check.turns, start=1):
        if turn.say is not None:
            if reply.conversation_ended:
                problems.append(f"turn {number}: the agent had ended the chat")
                break
            say = api.send_debug_chat_message(
                agent_id,
                conversation_id=greeting.conversation_id,
                client_env=environment,
                message=turn.say,
            )
            reply = await send_once(run, say)
            failed += len(reply.failed_functions or ())
        problems += _problems(number, turn, reply)
    return judge_smoke(check, problems, failed, len(check.turns))


def _problems(number: int, turn: TurnSpec, reply: ChatReply) -> list[str]:
    return [f"turn {number}: {problem}" for problem in judge_turn(turn, reply)]


async def _call(run: RunContext, check: OutboundCheck) -> dict[str, Any]:
    call = api.create_outbound_call(
        check.agent_id,
        to_number=check.to_number,
        environment=check.environment.value,
        variant_id=check.variant_id,
    )
    try:
        answer = await send_once(run, call)
    except OutcomeUnknown as doubt:
        text = f"{run.redact(str(doubt))} The phone may have rung."
        return {"result": CheckResult(check.title, CheckVerdict.INCONCLUSIVE, text).document()}
    except VoiceAgentsError as failure:
        return {"result": could_not(check.title, failure, run.redact).document()}
    if answer.call_sid:
        return {"call_sid": answer.call_sid}
    text = "the platform took the call and gave no id for it"
    return {"result": CheckResult(check.title, CheckVerdict.INCONCLUSIVE, text).document()}
