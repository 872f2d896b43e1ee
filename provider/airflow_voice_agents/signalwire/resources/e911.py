"""The emergency address of a number, as a resource kind. Registration and removal take minutes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

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
from airflow_voice_agents.plans.plan import PlannedItem, error, warning
from airflow_voice_agents.signalwire import api
from airflow_voice_agents.signalwire.models import PhoneNumber

KIND = "emergency address"

ACTIVE, FAILED, UNDER_REMOVAL = "active", "failed", "pending_removal"
GONE = (UNDER_REMOVAL, "unregistered")
"""Statuses of a number whose address is removed, or about to be."""


@dataclass(frozen=True, slots=True)
class E911State:
    """The emergency address of a number.

    :param id: UUID of the number's record; no part of equality.
    :param address_id: UUID of the address, or ``None``.
    :param status: how its registration stands; ``None`` where the record does not say.
    """

    id: str = field(compare=False)
    address_id: str | None
    status: str | None = None

    @property
    def holds(self) -> str | None:
        """The address that is registered, or about to be."""
        return None if self.status in GONE else self.address_id

    @property
    def failed(self) -> bool:
        """Whether the registration of the address failed."""
        return self.status == FAILED


class E911Kind:
    """How emergency addresses are observed, compared and written.

    :param ids: number -> UUID of its record.
    """

    name = KIND

    def __init__(self, ids: Mapping[str, str]) -> None:
        self._ids = ids

    def observe(self, resources: Sequence[Resource]) -> Iterator[Observation[E911State]]:
        """One read per number."""
        for resource in resources:
            yield Observation(api.get_phone_number(self._ids[resource.name]), (resource,), _reader(resource))

    def digest(self, state: E911State | None) -> str:
        """Digest of the address, and of whether its registration failed."""
        return digest(_compared(state))

    def diff(self, before: E911State | None, after: E911State | None) -> Iterator[Change]:
        """Changes of the address, and of a failed registration that is asked for again."""
        return diff(_compared(before), _compared(after))

    def write_sequences(
        self, transitions: Sequence[Transition[E911State]]
    ) -> Iterator[WriteSequence[E911State]]:
        """One request per number."""
        return ((_step(transition),) for transition in transitions)

    def mismatches(self, transition: Transition[E911State], observed: E911State | None) -> list[str]:
        """List what was asked for and is not shown; a registration may still be under way."""
        if observed is None:
            return ["presence"]
        wrong = ["e911_address_id"] if observed.holds != transition.after.holds else []
        return [*wrong, "e911_status"] if observed.failed and not wrong else wrong


def emergency_address(space: str, number: str) -> Resource:
    """Return the address of a number's emergency address.

    :param space: label of the space.
    :param number: E.164 number.
    """
    return Resource(KIND, space, number)


def e911_of(answer: PhoneNumber) -> E911State:
    """Return the emergency address that a record shows."""
    address = answer.e911_address_id
    return E911State(answer.id, address.lower() if address else None, answer.e911_status or None)


def plan_e911(
    kind: E911Kind, resource: Resource, now: E911State | None, address_id: str | None
) -> PlannedItem:
    """Plan a number that shall have an emergency address, or none.

    :param kind: the kind.
    :param resource: the number.
    :param now: its address now; ``None`` where the project does not have the number.
    :param address_id: the address that it shall have, or ``None``.
    """
    if now is None:
        blank = kind.digest(None)
        finding = error("absent", f"The project in space {resource.owner} does not have {resource.name}.")
        return PlannedItem(resource, blank, blank, findings=(finding,))
    after = replace(now, address_id=address_id, status=None)
    digests = kind.digest(now), kind.digest(after)
    if digests[0] == digests[1]:
        return PlannedItem(resource, *digests)
    again = now.failed and now.holds == address_id
    told = (warning("failed_before", "The registration of this very address failed; it is asked for again."),)
    return PlannedItem(
        resource,
        *digests,
        changes=tuple(kind.diff(now, after)),
        findings=told if again else (),
        writes=1,
        transition=Transition(resource, now, after),
    )


def _compared(state: E911State | None) -> dict[str, str | bool | None]:
    holds = state.holds if state else None
    return {"e911_address_id": holds, "failed": bool(state and state.failed and holds)}


def _step(transition: Transition[E911State]) -> Write[E911State]:
    number_id = transition.after.id
    if transition.after.address_id is None:
        call = api.remove_e911_address(number_id)
    else:
        call = api.assign_e911_address(number_id, e911_address_id=transition.after.address_id)
    return Write(call=call, resources=(transition.resource,), judge=_judge(transition))


def _judge(
    transition: Transition[E911State],
) -> Callable[[PhoneNumber], Mapping[Resource, WriteResult[E911State]]]:
    def judge(answer: PhoneNumber) -> Mapping[Resource, WriteResult[E911State]]:
        if answer.number != transition.resource.name:
            return {}
        state = e911_of(answer)
        if transition.after.address_id is None and state.status is None:
            # The field is young: a record without it keeps the address until the removal is done.
            state = replace(state, status=UNDER_REMOVAL)
        return {transition.resource: WriteResult(state)}

    return judge


def _reader(resource: Resource) -> Callable[[PhoneNumber], Mapping[Resource, E911State]]:
    return lambda answer: {resource: e911_of(answer)} if answer.number == resource.name else {}
