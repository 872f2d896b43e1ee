"""Triggers for SignalWire; they only poll."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from typing import Any

from airflow_voice_agents.bases.trigger import Answer, PollingTrigger
from airflow_voice_agents.signalwire.conditions import deserialize
from airflow_voice_agents.signalwire.hooks import SignalWireHook
from airflow_voice_agents.transport.errors import VoiceAgentsError


class SignalWirePhoneNumbersTrigger(PollingTrigger):
    """Wait until numbers are as wanted.

    Vendor operation: list phone numbers.

    :param signalwire_conn_id: id of a connection of type ``signalwire``.
    :param condition: what a condition's ``serialize`` returned; digests, never URLs.
    :param poll_interval: seconds between two questions.
    :param deadline: seconds since the epoch at which the wait is given up.
    """

    def __init__(
        self,
        *,
        signalwire_conn_id: str,
        condition: Mapping[str, Any],
        poll_interval: float,
        deadline: float,
    ) -> None:
        super().__init__(poll_interval=poll_interval, deadline=deadline)
        self.signalwire_conn_id = signalwire_conn_id
        self.condition = condition

    def arguments(self) -> dict[str, Any]:
        """Return the connection's id and the condition."""
        return {"signalwire_conn_id": self.signalwire_conn_id, "condition": self.condition}

    async def answers(self) -> AsyncGenerator[Answer]:
        """Yield one answer per question, over one pooled client."""
        async with SignalWireHook(self.signalwire_conn_id) as hook:
            while True:
                try:
                    condition = deserialize(self.condition)
                    client = await hook.aclient()
                    yield await condition.ask(client.asend, client.settings.base_url)
                except VoiceAgentsError as error:
                    yield error
