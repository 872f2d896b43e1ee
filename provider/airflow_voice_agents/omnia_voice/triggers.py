"""Triggers for Omnia Voice; they only poll."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from typing import Any

from airflow_voice_agents.bases.trigger import Answer, PollingTrigger
from airflow_voice_agents.omnia_voice.conditions import NumberCondition
from airflow_voice_agents.omnia_voice.hooks import OmniaVoiceHook
from airflow_voice_agents.omnia_voice.sending import whole_lists
from airflow_voice_agents.transport.errors import VoiceAgentsError


class OmniaVoiceNumberTrigger(PollingTrigger):
    """Wait for numbers.

    Vendor operations: list numbers, list numbers of agent.

    :param omniavoice_conn_id: id of a connection of type ``omniavoice``.
    :param condition: what :meth:`.NumberCondition.serialize` returned.
    :param poll_interval: seconds between two questions.
    :param deadline: seconds since the epoch at which the wait is given up.
    """

    def __init__(
        self, *, omniavoice_conn_id: str, condition: Mapping[str, Any], poll_interval: float, deadline: float
    ) -> None:
        super().__init__(poll_interval=poll_interval, deadline=deadline)
        self.omniavoice_conn_id = omniavoice_conn_id
        self.condition = condition

    def arguments(self) -> dict[str, Any]:
        """Return the connection's id and the condition."""
        return {"omniavoice_conn_id": self.omniavoice_conn_id, "condition": self.condition}

    async def answers(self) -> AsyncGenerator[Answer]:
        """Yield one answer per question, over one pooled client."""
        condition = NumberCondition.deserialize(self.condition)
        async with OmniaVoiceHook(self.omniavoice_conn_id) as hook:
            while True:
                try:
                    yield await ask(hook, condition)
                except VoiceAgentsError as error:
                    yield error


async def ask(hook: OmniaVoiceHook, condition: NumberCondition) -> tuple[bool, dict[str, Any]]:
    """Ask once whether a condition holds.

    :param hook: sends the question.
    :param condition: what is waited for.
    :raises VoiceAgentsError: when that could not be told.
    """
    call: Any = condition.read()
    return condition.holds(await whole_lists(hook.asend)(call))
