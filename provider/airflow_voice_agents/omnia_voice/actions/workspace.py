"""The workspace: its numbers, read with one list, and the guard of all writes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from airflow_voice_agents.engine.concurrency import Sender
from airflow_voice_agents.engine.run_context import RunContext
from airflow_voice_agents.omnia_voice import api
from airflow_voice_agents.omnia_voice.api import UpdateVerb
from airflow_voice_agents.omnia_voice.models import Number
from airflow_voice_agents.omnia_voice.resources.phone_number import (
    LANE_SIZE,
    AssignmentState,
    agent_number,
    by_e164,
    not_whole,
    state_of,
)
from airflow_voice_agents.omnia_voice.sending import whole_lists
from airflow_voice_agents.plans.kind import Resource


@dataclass(frozen=True, slots=True)
class Workspace:
    """Where the numbers are.

    :param platform: what plans and reports call the platform.
    :param verb: verb that updates are sent with.
    """

    platform: str
    verb: UpdateVerb = UpdateVerb.PATCH

    def states(
        self, numbers: Iterable[str], found: Mapping[str, Number]
    ) -> dict[Resource, AssignmentState | None]:
        """Return what each number is; ``None`` for one that is not listed.

        :param numbers: which numbers, in the order of the plan.
        :param found: what :func:`read_listed` returned.
        """
        return {
            agent_number(self.platform, number): state_of(found[number]) if number in found else None
            for number in numbers
        }


async def read_listed(send: Sender, numbers: Sequence[str] = ()) -> dict[str, Number]:
    """List all numbers of the workspace once.

    Vendor operation: list numbers.

    :param send: sends a call.
    :param numbers: the numbers that are looked for.
    :returns: records by number.
    :raises ResponseError: when the list ended early, and a number that is looked for is not on it.
    """
    answer = await whole_lists(send)(api.list_numbers())
    found = by_e164(answer.numbers)
    missing = [number for number in numbers if number not in found]
    if answer.has_more and (missing or not numbers):
        raise not_whole(missing)
    return found


def lane_size(count: int, run: RunContext) -> int:
    """Return how many numbers are written one after the other: as many as keep every lane busy.

    Where answers show no state, a lane is read back with one list, so that few and long ones are cheap.

    :param count: numbers in all.
    :param run: what the run works with.
    """
    return max(LANE_SIZE, -(-count // run.concurrency))
