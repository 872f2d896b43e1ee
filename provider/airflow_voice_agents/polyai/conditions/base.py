"""What every condition is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from airflow_voice_agents.http.call import Call
from airflow_voice_agents.http.errors import VoiceAgentsError

Found = tuple[bool, dict[str, Any]]
"""Whether a condition holds, and what to leave as XCom."""


class Kept(Protocol):
    """A condition that a trigger can be given."""

    def serialize(self) -> dict[str, Any]:
        """Return plain JSON, for the trigger."""


class Condition(Kept, Protocol):
    """What a sensor and its trigger ask for."""

    def reads(self) -> Sequence[Call[Any]]:
        """Return the read-only calls that tell."""

    def holds(self, answers: Sequence[Any]) -> Found:
        """Tell whether it holds.

        :param answers: what the reads returned, in order.
        """


class EndedOtherwise(VoiceAgentsError):
    """What was waited for cannot come any more."""

    permanent = True
