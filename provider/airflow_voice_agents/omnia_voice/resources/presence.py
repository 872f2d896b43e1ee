"""Whether the workspace lists a number, as a resource kind that knows one direction: taking it out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from airflow_voice_agents.omnia_voice import api
from airflow_voice_agents.omnia_voice.models import Number, NumberPage
from airflow_voice_agents.omnia_voice.resources.phone_number import by_e164, not_whole
from airflow_voice_agents.plans.canonical import digest
from airflow_voice_agents.plans.diff import Change, diff
from airflow_voice_agents.plans.kind import (
    Observation,
    Resource,
    Transition,
    Write,
    WriteResult,
    WriteSequence,
)
from airflow_voice_agents.plans.plan import PlannedItem, warning

KIND = "listed number"


@dataclass(frozen=True, slots=True)
class Presence:
    """Whether the workspace lists a number.

    :param listed: whether it does.
    :param id: the platform's id of it; no part of equality.
    :param agent_id: the agent that answers it; no part of equality.
    """

    listed: bool
    id: str = field(default="", compare=False)
    agent_id: str | None = field(default=None, compare=False)


REMOVED = Presence(listed=False)


class PresenceKind:
    """How presence is observed and ended.

    The call of a list must be answered with all its pages (:func:`.sending.whole_lists`).
    """

    name = KIND

    def observe(self, resources: Sequence[Resource]) -> Iterator[Observation[Presence]]:
        """One list for all: an id that is gone would be answered 404, which says less."""
        mine = tuple(resources)

        def read(answer: NumberPage) -> Mapping[Resource, Presence]:
            found = by_e164(answer.numbers)
            missing = [resource.name for resource in mine if resource.name not in found]
            if missing and answer.has_more:
                raise not_whole(missing)
            return {each: presence_of(found[each.name]) for each in mine if each.name in found}

        if mine:
            yield Observation(api.list_numbers(), mine, read)

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
        """A number that is still there is not deleted."""
        return ["presence"] if observed is not None and observed.listed else []


def presence_of(answer: Number) -> Presence:
    """Return the presence that a record shows."""
    return Presence(listed=True, id=answer.id, agent_id=answer.assigned_to)


def listed_number(platform: str, number: str) -> Resource:
    """Return the address of a number's presence.

    :param platform: what :attr:`.ConnectionFields.platform` says.
    :param number: E.164 number.
    """
    return Resource(KIND, platform, number)


def plan_deletion(kind: PresenceKind, target: Resource, now: Presence | None) -> PlannedItem:
    """Plan a number that shall be taken out of the workspace; one that is not there needs nothing.

    :param kind: the kind of the number.
    :param target: the number.
    :param now: whether the workspace lists it.
    """
    before, after = kind.digest(now), kind.digest(REMOVED)
    if now is None:
        return PlannedItem(target, before, after)
    answered = warning("assigned", f"Agent {now.agent_id} answers {target.name} until it is deleted.")
    return PlannedItem(
        target,
        before,
        after,
        changes=tuple(kind.diff(now, REMOVED)),
        findings=(answered,) if now.agent_id else (),
        writes=1,
        transition=Transition(target, now, REMOVED),
    )


def _delete(transition: Transition[Presence]) -> Write[Presence]:
    resource = transition.resource
    return Write(
        call=api.delete_number(transition.before.id if transition.before else ""),
        resources=(resource,),
        judge=lambda _: {resource: WriteResult(REMOVED)},
    )
