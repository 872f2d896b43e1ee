"""Whether the project has a number, as a resource kind that knows one direction: giving it back."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

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
from airflow_voice_agents.signalwire import api
from airflow_voice_agents.signalwire.models import Page, PhoneNumber
from airflow_voice_agents.transport.errors import ResponseError

KIND = "owned number"


@dataclass(frozen=True, slots=True)
class Ownership:
    """Whether the project has a number.

    :param owned: whether it has.
    :param id: UUID of its record; no part of equality.
    :param call_handler: what takes its calls; no part of equality.
    """

    owned: bool
    id: str = ""
    call_handler: str | None = None


RELEASED = Ownership(owned=False)


class OwnershipKind:
    """How ownership is observed and given up."""

    name = KIND

    def observe(self, resources: Sequence[Resource]) -> Iterator[Observation[Ownership]]:
        """One list per number, filtered: an id that is gone would be answered 404, which says less."""
        for resource in resources:
            call = api.list_phone_numbers(filter_number=resource.name)
            yield Observation(call, (resource,), _reader(resource))

    def digest(self, state: Ownership | None) -> str:
        """Digest of whether it is owned."""
        return digest(bool(state and state.owned))

    def diff(self, before: Ownership | None, after: Ownership | None) -> Iterator[Change]:
        """The one thing that can differ."""
        return diff({"owned": bool(before and before.owned)}, {"owned": bool(after and after.owned)})

    def write_sequences(
        self, transitions: Sequence[Transition[Ownership]]
    ) -> Iterator[WriteSequence[Ownership]]:
        """One release per number."""
        return ((_release(transition),) for transition in transitions)

    def mismatches(self, transition: Transition[Ownership], observed: Ownership | None) -> list[str]:
        """A number that is still there is not released."""
        return ["presence"] if observed is not None and observed.owned else []


def owned_number(space: str, number: str) -> Resource:
    """Return the address of a number's ownership.

    :param space: label of the space.
    :param number: E.164 number.
    """
    return Resource(KIND, space, number)


def ownership_of(answer: PhoneNumber) -> Ownership:
    """Return the ownership that a record shows."""
    return Ownership(owned=True, id=answer.id, call_handler=answer.call_handler or None)


def plan_release(kind: OwnershipKind, resource: Resource, now: Ownership | None) -> PlannedItem:
    """Plan a number that shall be given back; one that is not there needs nothing.

    :param kind: the kind.
    :param resource: the number.
    :param now: whether the project has it.
    """
    before, after = kind.digest(now), kind.digest(RELEASED)
    if now is None or before == after:
        return PlannedItem(resource, before, after)
    findings = (
        (warning("routed", f"Its calls go to {now.call_handler} until it is released."),)
        if now.call_handler
        else ()
    )
    return PlannedItem(
        resource,
        before,
        after,
        changes=tuple(kind.diff(now, RELEASED)),
        findings=findings,
        writes=1,
        transition=Transition(resource, now, RELEASED),
    )


def _release(transition: Transition[Ownership]) -> Write[Ownership]:
    number_id = transition.before.id if transition.before else ""
    return Write(
        call=api.release_phone_number(number_id),
        resources=(transition.resource,),
        judge=lambda _: {transition.resource: WriteResult(RELEASED)},
    )


def _reader(resource: Resource) -> Callable[[Page], Mapping[Resource, Ownership]]:
    def read(page: Page) -> Mapping[Resource, Ownership]:
        for record in page.numbers:
            if record.number == resource.name:
                return {resource: ownership_of(record)}
        if page.next_link is not None:
            raise ResponseError(f"the list of numbers like {resource} has more than one page")
        return {}

    return read
