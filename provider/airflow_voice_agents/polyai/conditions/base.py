"""What every condition is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from airflow_voice_agents.transport.api_request import ApiRequest
from airflow_voice_agents.transport.errors import VoiceAgentsError

Found = tuple[bool, dict[str, Any]]
"""Whether a condition holds, and what to leave as XCom."""


class SerializableCondition(Protocol):
    """A condition that a trigger can be given."""

    def serialize(self) -> dict[str, Any]:
        """Return plain JSON, for the trigger."""


class Condition(SerializableCondition, Protocol):
    """What a sensor and its trigger ask for."""

    def reads(self) -> Sequence[ApiRequest[Any]]:
        """Return the read-only calls that tell."""

    def holds(self, answers: Sequence[Any]) -> Found:
        """Tell whether it holds.

        :param answers: what the reads returned, in order.
        """


class WaitFailed(VoiceAgentsError):
    """What was waited for cannot come any more."""

    permanent = True
