"""Checks of a promotion that only read; a read that fails is an error, never a failed check."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from airflow_voice_agents.engine.concurrency import for_each_limited
from airflow_voice_agents.engine.reads import observe
from airflow_voice_agents.engine.run_context import RunContext
from airflow_voice_agents.plans.checks import CheckResult, CheckVerdict
from airflow_voice_agents.plans.kind import Resource
from airflow_voice_agents.polyai import api
from airflow_voice_agents.polyai.actions.check_rules import (
    Failures,
    Traffic,
    judge_alerts,
    judge_call,
    judge_conversations,
    judge_read_back,
    judge_test_runs,
)
from airflow_voice_agents.polyai.checks_spec import (
    AlertsCheck,
    ConversationsCheck,
    PlacedCallCheck,
    ReadBackCheck,
    TestRunsCheck,
)
from airflow_voice_agents.polyai.observations import Conversation, TestRun
from airflow_voice_agents.polyai.resources.registry import kinds
from airflow_voice_agents.transport.errors import CallError, NotFound, VoiceAgentsError

PAGE = 50
"""Page size of conversations at the host of the Agents API."""


GOOD = (CheckVerdict.PASSED, CheckVerdict.SKIPPED)
"""Verdicts on test runs that another look cannot change."""


@dataclass
class CheckRunner:
    """Looks again and again at the same checks; what cannot change any more is read once.

    :param checks: checks that only read.
    :param since: moment of the promotion.
    """

    checks: Sequence[Any]
    since: datetime
    _baselines: dict[str, Traffic] = field(default_factory=dict, init=False)
    _details: dict[str, Conversation] = field(default_factory=dict, init=False)
    _settled: dict[str, CheckResult] = field(default_factory=dict, init=False)

    async def look(self, run: RunContext, now: datetime) -> list[CheckResult]:
        """Make every check once.

        Vendor operations: those of the checks: list real-time configs, get active deployments, batch get
        connectors, batch get numbers, get test run, list alert rules, list conversations, list agent
        conversations, get conversation, get outbound call status.

        :param run: what the run works with.
        :param now: the present moment.
        :returns: one result per check, in order.
        """
        return [await self._one(run, check, now) for check in self.checks]

    async def _one(self, run: RunContext, check: Any, now: datetime) -> CheckResult:
        if check.title in self._settled:
            return self._settled[check.title]
        try:
            result = await self._ways[type(check)](run, check, now)
        except VoiceAgentsError as failure:
            return could_not(check.title, failure, run.redact)
        if _is_final(check, result):
            self._settled[check.title] = result
        return result

    @property
    def _ways(self) -> Mapping[type, Callable[[RunContext, Any, datetime], Awaitable[CheckResult]]]:
        return {
            ReadBackCheck: self._read_back,
            TestRunsCheck: self._test_runs,
            AlertsCheck: self._alerts,
            ConversationsCheck: self._conversations,
            PlacedCallCheck: self._call,
        }

    async def _read_back(self, run: RunContext, check: ReadBackCheck, _: datetime) -> CheckResult:
        ways, found, unread = kinds(), dict[Resource, str](), dict[Resource, str]()

        def seen(resource: Resource, state: Any) -> None:
            found[resource] = ways[resource.kind].digest(state)

        def unreadable(resource: Resource, failure: CallError) -> None:
            unread[resource] = run.redact(str(failure))

        await observe(run, ways, [pin.key for pin in check.pins], seen=seen, unreadable=unreadable)
        return judge_read_back(check, found, unread)

    async def _test_runs(self, run: RunContext, check: TestRunsCheck, _: datetime) -> CheckResult:
        found: dict[str, TestRun] = {}

        async def read(run_id: str) -> None:
            found[run_id] = await run.send(api.get_test_run(check.agent_id, test_run_id=run_id))

        await for_each_limited(check.test_run_ids, read, limit=run.concurrency)
        return judge_test_runs(check, [found[run_id] for run_id in check.test_run_ids])

    async def _alerts(self, run: RunContext, check: AlertsCheck, _: datetime) -> CheckResult:
        rules = await run.send(api.list_alert_rules())
        return judge_alerts(check, rules, self.since)

    async def _call(self, run: RunContext, check: PlacedCallCheck, _: datetime) -> CheckResult:
        call = api.get_outbound_call_status(
            check.agent_id, call_sid=check.call_sid, environment=check.environment
        )
        return judge_call(check, (await run.send(call)).status)

    async def _conversations(self, run: RunContext, check: ConversationsCheck, now: datetime) -> CheckResult:
        if check.title not in self._baselines:
            start = self.since - timedelta(hours=check.baseline_hours)
            older = [one for one in await _held(run, check, start) if _began_before(one, self.since)]
            self._baselines[check.title] = Traffic.of(older, check.baseline_hours)
        recent = [one for one in await _held(run, check, self.since) if not _began_before(one, self.since)]
        mine = _of_deployment(recent, check.deployment_id)
        hours = max((now - self.since).total_seconds() / 3600, 0.0)
        failures = Failures.of(await self._sample(run, check, mine), check.critical_functions)
        return judge_conversations(check, Traffic.of(mine, hours), self._baselines[check.title], failures)

    async def _sample(
        self, run: RunContext, check: ConversationsCheck, recent: Sequence[Conversation]
    ) -> list[Conversation]:
        """Read the latest conversations with their functions; each that is over is read once."""
        if check.max_error_rate is None and not check.critical_functions:
            return []
        over = [one for one in recent if not one.in_progress][: check.sample]
        known = {one.id: one for one in over if one.failed_functions is not None} | self._details

        async def read(one: Conversation) -> None:
            try:
                call = api.get_conversation(check.agent_id, conversation_id=one.id)
                self._details[one.id] = await run.send(call)
            except NotFound:  # removed since it was listed: one fewer in the sample
                self._details[one.id] = one

        await for_each_limited([one for one in over if one.id not in known], read, limit=run.concurrency)
        known |= self._details
        return [known[one.id] for one in over]


def could_not(
    title: str, failure: VoiceAgentsError, redact: Callable[[str], str] = str, **facts: Any
) -> CheckResult:
    """Return the result of a check that could not be made; whatever it was, it is no failure.

    :param title: the check.
    :param failure: why.
    :param redact: masks secrets.
    :param facts: what else is to be known.
    """
    status = failure.status if isinstance(failure, CallError) else None
    told = {"error": type(failure).__name__, **({"status": status} if status else {}), **facts}
    return CheckResult(title, CheckVerdict.ERROR, redact(str(failure)), told, permanent=failure.permanent)


def _is_final(check: Any, result: CheckResult) -> bool:
    """Whether no later look can say anything else: a run or a call that has ended."""
    if isinstance(check, PlacedCallCheck):
        return result.facts.get("status") in ("SUCCESS", "FAILURE")
    return isinstance(check, TestRunsCheck) and (result.verdict in GOOD or result.permanent)


def _of_deployment(recent: Sequence[Conversation], deployment_id: str | None) -> list[Conversation]:
    """Keep one deployment's, where conversations tell theirs at all."""
    if deployment_id is None or all(one.deployment_id is None for one in recent):
        return list(recent)
    return [one for one in recent if one.deployment_id == deployment_id]


def _began_before(conversation: Conversation, moment: datetime) -> bool:
    return conversation.started_at is not None and conversation.started_at < moment


async def _held(run: RunContext, check: ConversationsCheck, start: datetime) -> list[Conversation]:
    """Read the conversations of an environment that began at a moment or later, the latest first."""
    found = await (_of_runtime if check.host == "runtime" else _of_agent)(run, check, start)
    return [
        one
        for one in found[: check.max_conversations]
        if one.environment in (None, check.environment.value) and one.started_at is not None
        if not _began_before(one, start)
    ]


async def _of_agent(run: RunContext, check: ConversationsCheck, start: datetime) -> list[Conversation]:
    """Read page by page, until a page holds only what began earlier: the platform lists the latest first."""
    found: list[Conversation] = []
    while len(found) < check.max_conversations:
        call = api.list_agent_conversations(check.agent_id, limit=PAGE, offset=len(found))
        answer = await run.send(call)
        found += answer.conversations
        at_end = answer.count is not None and len(found) >= answer.count
        if at_end or all(_began_before(one, start) for one in answer.conversations):
            break
    return list({one.id: one for one in found}.values())  # what begins meanwhile moves the pages


async def _of_runtime(run: RunContext, check: ConversationsCheck, start: datetime) -> list[Conversation]:
    call = api.list_conversations(
        check.account_id or "",
        project_id=check.agent_id,
        client_env=check.environment,
        start_time=start,
    )
    found: list[Conversation] = []
    cursors: set[str] = set()
    while True:
        answer = await run.send(call)
        found += answer.conversations
        cursor = answer.cursor
        if cursor is None or cursor in cursors or len(found) >= check.max_conversations:
            return found
        cursors.add(cursor)
        call = api.list_conversations(
            check.account_id or "",
            project_id=check.agent_id,
            client_env=check.environment,
            start_time=start,
            cursor=cursor,
        )
