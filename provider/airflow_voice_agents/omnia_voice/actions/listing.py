"""List numbers with their identifying fields only."""

from __future__ import annotations

from typing import Any

import msgspec

from airflow_voice_agents.engine.run_context import RunContext
from airflow_voice_agents.omnia_voice import api
from airflow_voice_agents.omnia_voice.models import Number
from airflow_voice_agents.omnia_voice.paging import read_all
from airflow_voice_agents.transport.errors import ResponseError
from airflow_voice_agents.transport.validation import parse_identifier, parse_text


class ListNumbers(msgspec.Struct, frozen=True):
    """A list, checked and ready to be read.

    :param status: only numbers of this status, in any case; ``None`` for all.
    :param agent_id: only numbers of this agent; ``None`` for all.
    """

    status: str | None = None
    agent_id: str | None = None

    async def run(self, run: RunContext) -> list[dict[str, Any]]:
        """Read the numbers, those of an agent with one call, and cut each to a few facts.

        Vendor operations: list numbers, list numbers of agent.

        :param run: what the run works with.
        :returns: ``id``, ``phone_number``, ``agent_id``, ``status`` and ``friendly_name`` of each, sorted by
            number; ``phone_number`` is E.164 where the platform shows one.
        :raises ResponseError: when the list ended early.
        """
        records = await self._read(run)
        fitting = [each for each in records if self.status is None or each.has_status(self.status)]
        return sorted((_facts(each) for each in fitting), key=lambda facts: str(facts["phone_number"]))

    async def _read(self, run: RunContext) -> tuple[Number, ...]:
        if self.agent_id is not None:
            records = await run.send(api.list_agent_numbers(self.agent_id))
            return tuple(each for each in records if each.assigned_to in (None, self.agent_id))
        call = api.list_numbers(status=self.status)
        answer = await read_all(run.send, call)
        if answer.has_more:
            raise ResponseError(
                f"the list ended after {len(answer.numbers)} number(s), although there are more",
                operation=call.operation,
                method=call.method,
                route=call.route,
            )
        return answer.numbers


def parse(status: object, agent_id: object) -> ListNumbers:
    """Check the arguments of a list.

    :param status: only numbers of this status, or ``None``.
    :param agent_id: only numbers of this agent, or ``None``.
    :raises InputError: for an invalid argument; the message names it.
    """
    return ListNumbers(
        None if status is None else parse_text(status, name="status"),
        None if agent_id is None else parse_identifier(agent_id, name="agent_id"),
    )


def _facts(number: Number) -> dict[str, Any]:
    return {
        "id": number.id,
        "phone_number": number.e164 or number.phone_number,
        "agent_id": number.assigned_to,
        "status": number.status,
        "friendly_name": number.friendly_name,
    }
