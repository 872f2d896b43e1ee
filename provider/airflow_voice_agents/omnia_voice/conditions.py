"""What a number sensor waits for: one predicate for poking and for its trigger."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from airflow_voice_agents.omnia_voice import api
from airflow_voice_agents.omnia_voice.models import Number, NumberPage
from airflow_voice_agents.omnia_voice.resources.phone_number import by_e164, not_whole
from airflow_voice_agents.transport.api_request import ApiRequest
from airflow_voice_agents.transport.errors import InputError
from airflow_voice_agents.transport.validation import parse_identifier, parse_numbers, parse_text


@dataclass(frozen=True, slots=True)
class NumberCondition:
    """What numbers shall be: listed, and answered by an agent or in a status where one is given.

    :param numbers: E.164 numbers.
    :param agent_id: the agent that shall answer them, or ``None`` for any or none.
    :param statuses: statuses of which each shall have one, in any case; empty for any.
    """

    numbers: tuple[str, ...]
    agent_id: str | None = None
    statuses: tuple[str, ...] = ()

    @classmethod
    def parse(cls, phone_numbers: object, agent_id: object, statuses: object) -> NumberCondition:
        """Check a sensor's arguments.

        :raises InputError: naming the argument that is wrong.
        """
        numbers = parse_numbers(phone_numbers)
        agent = None if agent_id is None else parse_identifier(agent_id, name="agent_id")
        if statuses is None:
            return cls(numbers, agent)
        words = [statuses] if isinstance(statuses, str) else statuses
        if not isinstance(words, Sequence) or not words:
            raise InputError("statuses must be a status, or a list of at least one")
        return cls(numbers, agent, tuple(parse_text(word, name="statuses") for word in words))

    def serialize(self) -> dict[str, Any]:
        """Return plain JSON, for the trigger."""
        return {
            "numbers": list(self.numbers),
            "agent_id": self.agent_id,
            "statuses": list(self.statuses),
        }

    @classmethod
    def deserialize(cls, plain: Mapping[str, Any]) -> NumberCondition:
        """Return the condition that :meth:`serialize` returned as plain JSON."""
        return cls(tuple(plain["numbers"]), plain.get("agent_id"), tuple(plain.get("statuses") or ()))

    def read(self) -> ApiRequest[NumberPage] | ApiRequest[tuple[Number, ...]]:
        """Return the read-only call that tells: the agent's own list, which comes whole, or that of all."""
        if self.agent_id is not None:
            return api.list_agent_numbers(self.agent_id)
        return api.list_numbers()

    def holds(self, answer: NumberPage | Iterable[Number]) -> tuple[bool, dict[str, Any]]:
        """Tell whether the condition holds, and what was found.

        :param answer: what :meth:`read` returned, with all its pages.
        :raises ResponseError: when the list ended early, and a number is not on it.
        """
        records = answer.numbers if isinstance(answer, NumberPage) else answer
        found = by_e164(records)
        missing = [number for number in self.numbers if number not in found]
        if missing and isinstance(answer, NumberPage) and answer.has_more:
            raise not_whole(missing)
        ready = {number: found[number].id for number in self.numbers if self._fits(found.get(number))}
        waiting = len(self.numbers) - len(ready)
        return not waiting, {"ready": len(ready), "waiting": waiting, "ids": ready}

    def _fits(self, record: Number | None) -> bool:
        if record is None:
            return False
        if self.agent_id is not None and record.tells_agent and record.assigned_to != self.agent_id:
            return False
        return not self.statuses or record.has_status(*self.statuses)
