"""Triggers for PolyAI; they only poll."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import AsyncGenerator, Mapping
from typing import Any

from airflow_voice_agents.edge.trigger import Answer, PollingTrigger
from airflow_voice_agents.http.errors import VoiceAgentsError
from airflow_voice_agents.polyai.conditions import Condition, ConfigCondition, NumbersCondition
from airflow_voice_agents.polyai.hooks import PolyAIHook


class PolyAITrigger(PollingTrigger):
    """Base of the PolyAI triggers.

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

    @abstractmethod
    def wanted(self) -> Condition:
        """Return what is waited for."""

    def arguments(self) -> dict[str, Any]:
        """Return the connection's id and the condition."""
        return {"polyai_conn_id": self.polyai_conn_id, "condition": self.condition}

    async def answers(self) -> AsyncGenerator[Answer]:
        """Yield one answer per question, over one pooled client."""
        condition = self.wanted()
        async with PolyAIHook(self.polyai_conn_id) as hook:
            while True:
                try:
                    yield condition.holds([await hook.asend(call) for call in condition.reads()])
                except VoiceAgentsError as error:
                    yield error


class PolyAIConfigTrigger(PolyAITrigger):
    """Wait for a config page.

    Vendor operation: list real-time configs.
    """

    def wanted(self) -> ConfigCondition:
        """Return what is waited for."""
        return ConfigCondition.deserialize(self.condition)


class PolyAIPhoneNumbersTrigger(PolyAITrigger):
    """Wait for phone numbers.

    Vendor operation: list phone numbers.
    """

    def wanted(self) -> NumbersCondition:
        """Return what is waited for."""
        return NumbersCondition.deserialize(self.condition)
