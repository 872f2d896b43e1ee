"""Triggers for PolyAI; they only poll.

The triggerer imports this module in its event loop, so what it needs is imported by the triggers themselves,
in a thread.
"""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import AsyncGenerator, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

from airflow_voice_agents.bases.trigger import Answer, PollingTrigger
from airflow_voice_agents.transport.errors import VoiceAgentsError

if TYPE_CHECKING:
    from airflow_voice_agents.bases.shared_polls import PollResult
    from airflow_voice_agents.polyai.conditions import (
        AlertsClearCondition,
        Condition,
        ConfigCondition,
        ConnectorCondition,
        DeploymentCondition,
        Found,
        NumbersCondition,
        OutboundCallCondition,
        QuietCondition,
        TestRunsCondition,
    )
    from airflow_voice_agents.polyai.hooks import PolyAIHook

_READING = (
    "airflow_voice_agents.bases.shared_polls",
    "airflow_voice_agents.polyai.conditions",
    "airflow_voice_agents.polyai.hooks",
)
_DRIFTING = (
    "airflow_voice_agents.engine.run_context",
    "airflow_voice_agents.polyai.drift_request",
    *_READING,
)
_imported: set[str] = set()


async def imported(names: tuple[str, ...]) -> None:
    """Import modules without blocking the event loop.

    :param names: the modules, in the order in which they are imported.
    """
    if _imported.issuperset(names):
        return
    await asyncio.to_thread(lambda: [import_module(name) for name in names])
    _imported.update(names)


class PolyAIWaitingTrigger(PollingTrigger):
    """Base of all PolyAI triggers.

    :param polyai_conn_id: id of a connection of type ``polyai``.
    :param condition: what a condition's ``serialize`` returned; digests, never values.
    :param poll_interval: seconds between two questions.
    :param deadline: seconds since the epoch at which the wait is given up.
    """

    def __init__(
        self, *, polyai_conn_id: str, condition: Mapping[str, Any], poll_interval: float, deadline: float
    ) -> None:
        super().__init__(poll_interval=poll_interval, deadline=deadline)
        self.polyai_conn_id = polyai_conn_id
        self.condition = condition

    def arguments(self) -> dict[str, Any]:
        """Return the connection's id and the condition."""
        return {"polyai_conn_id": self.polyai_conn_id, "condition": self.condition}


class PolyAITrigger(PolyAIWaitingTrigger):
    """Base of the PolyAI triggers whose condition names the reads that tell.

    All of them in one triggerer that read the same over the same connection share what they read.
    """

    @abstractmethod
    def wanted(self) -> Condition:
        """Return what is waited for."""

    async def answers(self) -> AsyncGenerator[Answer]:
        """Yield one answer per question, whoever has asked it."""
        await imported(_READING)
        from airflow_voice_agents.bases.shared_polls import subscribe
        from airflow_voice_agents.polyai.hooks import PolyAIHook

        condition = self.wanted()
        async with subscribe(PolyAIHook, self.polyai_conn_id, self.poll_interval) as listener:
            heard_before = await listener.heard_by_others(condition.reads())
            if heard_before is not None:
                self.age = heard_before
                await self.pause()
            while True:
                heard = await listener.hear(condition.reads(), last=self.seconds_left <= 0)
                self.age = heard.age
                yield _judged(condition, heard)


class PolyAIConfigTrigger(PolyAITrigger):
    """Wait for a config page.

    Vendor operation: list real-time configs.
    """

    def wanted(self) -> ConfigCondition:
        """Return what is waited for."""
        from airflow_voice_agents.polyai.conditions import ConfigCondition

        return ConfigCondition.deserialize(self.condition)


class PolyAIPhoneNumbersTrigger(PolyAITrigger):
    """Wait for phone numbers.

    Vendor operation: list phone numbers.
    """

    def wanted(self) -> NumbersCondition:
        """Return what is waited for."""
        from airflow_voice_agents.polyai.conditions import NumbersCondition

        return NumbersCondition.deserialize(self.condition)


class PolyAIDeploymentTrigger(PolyAITrigger):
    """Wait for an environment's active deployment.

    Vendor operation: get active deployments.
    """

    def wanted(self) -> DeploymentCondition:
        """Return what is waited for."""
        from airflow_voice_agents.polyai.conditions import DeploymentCondition

        return DeploymentCondition.deserialize(self.condition)


class PolyAITestRunsTrigger(PolyAITrigger):
    """Wait for the end of test runs.

    Vendor operation: get test run.
    """

    def wanted(self) -> TestRunsCondition:
        """Return what is waited for."""
        from airflow_voice_agents.polyai.conditions import TestRunsCondition

        return TestRunsCondition.deserialize(self.condition)


class PolyAIConnectorTrigger(PolyAITrigger):
    """Wait for a connector.

    Vendor operation: list connectors.
    """

    def wanted(self) -> ConnectorCondition:
        """Return what is waited for."""
        from airflow_voice_agents.polyai.conditions import ConnectorCondition

        return ConnectorCondition.deserialize(self.condition)


class PolyAIOutboundCallTrigger(PolyAITrigger):
    """Wait for the end of an outbound call.

    Vendor operation: get outbound call status.
    """

    def wanted(self) -> OutboundCallCondition:
        """Return what is waited for."""
        from airflow_voice_agents.polyai.conditions import OutboundCallCondition

        return OutboundCallCondition.deserialize(self.condition)


class PolyAIQuietWindowTrigger(PolyAITrigger):
    """Wait for a time of few conversations.

    Vendor operation: get concurrency.
    """

    def wanted(self) -> QuietCondition:
        """Return what is waited for."""
        from airflow_voice_agents.polyai.conditions import QuietCondition

        return QuietCondition.deserialize(self.condition)


class PolyAIAlertsClearTrigger(PolyAITrigger):
    """Wait for alert rules that do not fire.

    Vendor operation: list alert rules.
    """

    def wanted(self) -> AlertsClearCondition:
        """Return what is waited for."""
        from airflow_voice_agents.polyai.conditions import AlertsClearCondition

        return AlertsClearCondition.deserialize(self.condition)


class PolyAIDriftTrigger(PolyAIWaitingTrigger):
    """Wait for drift, or for its end.

    Vendor operations: list real-time configs, get active deployments, list deployments, list connectors,
    list variants, batch get connectors, batch get numbers.
    """

    async def answers(self) -> AsyncGenerator[Answer]:
        """Yield one answer per question, over one pooled client."""
        await imported(_DRIFTING)
        from airflow_voice_agents.polyai.hooks import PolyAIHook

        async with PolyAIHook(self.polyai_conn_id) as hook:
            while True:
                try:
                    yield await self.ask(hook)
                except VoiceAgentsError as error:
                    yield error

    async def ask(self, hook: PolyAIHook) -> Found:
        """Read the files that are named, then the platform, and compare.

        :param hook: the hook of the connection.
        """
        from airflow_voice_agents.engine.run_context import RunContext
        from airflow_voice_agents.polyai.conditions import DriftCondition
        from airflow_voice_agents.polyai.drift_request import drift_job

        condition = DriftCondition.deserialize(self.condition)
        job = await asyncio.to_thread(drift_job, **condition.request())
        run = RunContext(send=hook.asend, say=self.log.info, redact=(await hook.aclient()).redact)
        return condition.holds(await job.run(run))


def _judged(condition: Condition, heard: PollResult) -> Answer:
    if isinstance(heard.answers, VoiceAgentsError):
        return heard.answers
    try:
        return condition.holds(heard.answers)
    except VoiceAgentsError as error:
        return error
