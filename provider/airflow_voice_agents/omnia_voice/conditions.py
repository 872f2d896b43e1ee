"""The condition of the Omnia Voice sensor and its trigger."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from airflow_voice_agents.omnia_voice import api
from airflow_voice_agents.omnia_voice.models import Number
from airflow_voice_agents.omnia_voice.paging import read_all
from airflow_voice_agents.omnia_voice.resources.phone_number import by_e164, not_whole
from airflow_voice_agents.plans.condition import Found, Read, Reader
from airflow_voice_agents.transport.errors import InputError
from airflow_voice_agents.transport.validation import parse_identifier, parse_numbers, parse_text


@dataclass(frozen=True, slots=True)
class NumberList:
    """A list of numbers.

    :param numbers: records by E.164 number.
    :param complete: whether the list did not end early.
    """

    numbers: Mapping[str, Number]
    complete: bool = True


@dataclass(frozen=True, slots=True)
class NumberCondition:
    """Numbers are listed, and have an agent or a status if one is given.

    :param numbers: E.164 numbers.
    :param agent_id: the agent that must answer them, or ``None`` for any or none.
    :param statuses: statuses of which each must have one, in any case; empty for any.
    """

    numbers: tuple[str, ...]
    agent_id: str | None = None
    statuses: tuple[str, ...] = ()

    @classmethod
    def parse(cls, phone_numbers: object, agent_id: object, statuses: object) -> NumberCondition:
        """Check a sensor's arguments.

        :raises InputError: for an invalid argument; the message names it.
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

    def reads(self) -> list[Read[NumberList]]:
        """Return one read: the agent's list, which comes whole, or all pages of the workspace's."""
        return [_all_numbers() if self.agent_id is None else _agent_numbers(self.agent_id)]

    def holds(self, answers: Sequence[NumberList]) -> Found:
        """Evaluate the condition for every number.

        :param answers: responses to the requests of :meth:`reads`, in order.
        :raises ResponseError: when the list ended early, and a number is not on it.
        """
        found = answers[0].numbers
        missing = [number for number in self.numbers if number not in found]
        if missing and not answers[0].complete:
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


def _all_numbers() -> Read[NumberList]:
    first = api.list_numbers()

    async def fetch(reader: Reader) -> NumberList:
        answer = await read_all(reader.asend, first)
        return NumberList(by_e164(answer.numbers), complete=not answer.has_more)

    return Read((first.operation, "all pages"), fetch)


def _agent_numbers(agent_id: str) -> Read[NumberList]:
    request = api.list_agent_numbers(agent_id)

    async def fetch(reader: Reader) -> NumberList:
        numbers = await reader.asend(request)
        return NumberList(by_e164(numbers))

    return Read((request.operation, request.key), fetch)
