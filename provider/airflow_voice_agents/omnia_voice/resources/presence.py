"""The presence of a number in the workspace, as a resource kind that only deletes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

from airflow_voice_agents.omnia_voice import api
from airflow_voice_agents.omnia_voice.models import Number
from airflow_voice_agents.omnia_voice.resources.phone_number import NOTHING, list_observation
from airflow_voice_agents.plans.canonical import digest
from airflow_voice_agents.plans.diff import Change, diff
from airflow_voice_agents.plans.kind import (
    Kind,
    Known,
    Observation,
    Resource,
    Transition,
    Write,
    WriteResult,
    WriteSequence,
)
from airflow_voice_agents.plans.plan import PlannedItem, change, no_change, warning
from airflow_voice_agents.transport.records import Record

KIND = "listed number"


class Presence(Record, frozen=True):
    """A number in the workspace's list, or missing from it.

    :param listed: whether the list holds it.
    :param id: the platform's id of it; no part of equality.
    :param agent_id: the agent that answers it; no part of equality.
    """

    not_compared = ("id", "agent_id")

    listed: bool
    id: str = ""
    agent_id: str | None = None


REMOVED = Presence(listed=False)


@dataclass(frozen=True, slots=True)
class PresenceKind(Kind[Presence]):
    """Reads presence and ends it; a deletion cannot be taken back."""

    name: ClassVar[str] = KIND
    restorable: ClassVar[bool] = False

    def observe(
        self, resources: Sequence[Resource], known: Known = NOTHING
    ) -> Iterator[Observation[Presence]]:
        """One list for all: an id that is gone would be answered 404, which says less."""
        if resources:
            yield list_observation(tuple(resources), presence_of)

    def digest(self, state: Presence | None) -> str:
        """Digest of whether it is listed."""
        return digest(bool(state and state.listed))

    def diff(self, before: Presence | None, after: Presence | None) -> Iterator[Change]:
        """The one thing that can differ."""
        return diff({"listed": bool(before and before.listed)}, {"listed": bool(after and after.listed)})

    def write_sequences(
        self, transitions: Sequence[Transition[Presence]]
    ) -> Iterator[WriteSequence[Presence]]:
        """One deletion per number."""
        return ((_delete(transition),) for transition in transitions)

    def mismatches(self, transition: Transition[Presence], observed: Presence | None) -> list[str]:
        """List presence where the number is still there."""
        return ["presence"] if observed is not None and observed.listed else []

    def plan(self, resource: Resource, desired: Presence, now: Presence | None) -> PlannedItem:
        """Plan the deletion of a number; an absent one needs nothing.

        :param resource: the number.
        :param desired: :data:`REMOVED`.
        :param now: its presence; ``None`` where the workspace does not list it.
        """
        if now is None:
            return no_change(self, resource, None)
        answered = warning("assigned", f"Agent {now.agent_id} answers {resource.name} until it is deleted.")
        return change(self, resource, now, desired, findings=(answered,) if now.agent_id else ())


def presence_of(answer: Number, list_pages: int = 1) -> Presence:
    """Return the presence that a record shows.

    :param answer: a record.
    :param list_pages: pages of the list that it was on; they do not matter here.
    """
    return Presence(listed=True, id=answer.id, agent_id=answer.assigned_to)


def listed_number(platform: str, number: str) -> Resource:
    """Return the address of a number's presence.

    :param platform: :attr:`.ConnectionFields.platform` of the connection.
    :param number: E.164 number.
    """
    return Resource(KIND, platform, number)


def _delete(transition: Transition[Presence]) -> Write[Presence]:
    """Return a deletion; neither a 404 nor an empty answer proves that the number is gone, so it is read back."""
    resource = transition.resource
    return Write(
        request=api.delete_number(transition.before.id if transition.before else ""),
        resources=(resource,),
        judge=lambda _: {resource: WriteResult()},
        deletes=True,
    )
