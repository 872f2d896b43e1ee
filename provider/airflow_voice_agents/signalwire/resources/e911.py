"""The emergency address of a number, as a resource kind. Registration and removal take minutes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from msgspec.structs import replace

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
from airflow_voice_agents.signalwire import api
from airflow_voice_agents.signalwire.checks import parse_uuid
from airflow_voice_agents.signalwire.models import PhoneNumber
from airflow_voice_agents.signalwire.resources.inventory import (
    NOTHING,
    absent,
    is_record_of,
    not_kept,
    observe_numbers,
    released,
)
from airflow_voice_agents.transport.errors import InputError
from airflow_voice_agents.transport.records import Record
from airflow_voice_agents.transport.validation import parse_text

KIND = "emergency address"

ACTIVE, FAILED, UNDER_REMOVAL = "active", "failed", "pending_removal"
GONE = (UNDER_REMOVAL, "unregistered")
"""Statuses of a number whose address is removed, or about to be."""


class E911State(Record, frozen=True):
    """The emergency address of a number.

    :param id: UUID of the number's record; no part of equality.
    :param address_id: UUID of the address, or ``None``.
    :param status: how its registration stands; ``None`` where the record does not say.
    """

    not_compared = ("id",)

    id: str
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


@dataclass(frozen=True)
class E911Kind(Kind[E911State]):
    """Emergency addresses: observed, compared, planned, written and restored.

    :param base_url: the URL that requests go to.
    """

    name: ClassVar[str] = KIND

    base_url: str | None = None

    def observe(
        self, resources: Sequence[Resource], known: Known = NOTHING
    ) -> Iterator[Observation[E911State]]:
        """Return the reads of the numbers' records."""
        ids = {resource: state.id for resource, state in known.items() if state is not None}
        return observe_numbers(resources, ids, e911_of, self.base_url)

    def digest(self, state: E911State | None) -> str:
        """Return the digest of the address and of a failed registration."""
        return digest(_compared(state))

    def diff(self, before: E911State | None, after: E911State | None) -> Iterator[Change]:
        """Return the changes of the address, and of a failed registration that is requested again."""
        return diff(_compared(before), _compared(after))

    def write_sequences(
        self, transitions: Sequence[Transition[E911State]]
    ) -> Iterator[WriteSequence[E911State]]:
        """Return one request per number."""
        return ((_write(transition),) for transition in transitions)

    def mismatches(self, transition: Transition[E911State], observed: E911State | None) -> list[str]:
        """List the differences; a registration in progress is not a difference."""
        if observed is None:
            return ["presence"]
        wrong = ["e911_address_id"] if observed.holds != transition.after.holds else []
        return [*wrong, "e911_status"] if observed.failed and not wrong else wrong

    def plan(self, resource: Resource, desired: str | None, now: E911State | None) -> PlannedItem:
        """Plan a number's emergency address.

        :param resource: the number.
        :param desired: UUID of the address, or ``None`` to remove it.
        :param now: its present address; ``None`` where the project does not have the number.
        """
        if now is None:
            return no_change(self, resource, None, absent(resource))
        after = replace(now, address_id=desired, status=None)
        again = now.failed and now.holds == desired
        said = warning(
            "failed_before", "The registration of this very address failed; it is asked for again."
        )
        return change(self, resource, now, after, findings=(said,) if again else (), identifiers=True)

    def restore(self, resource: Resource, wanted: E911State | None, now: E911State | None) -> PlannedItem:
        """Plan the way back to the former address, or to none."""
        if now is None:
            return no_change(self, resource, None, released(resource))
        if wanted is None:
            return no_change(self, resource, now, not_kept(resource))
        if self.digest(wanted) == self.digest(now):
            return no_change(self, resource, now)
        return self.plan(resource, wanted.holds, now)

    def to_json(self, state: E911State) -> Any:
        """Return a state as JSON."""
        return {"id": state.id, "address_id": state.address_id, "status": state.status}

    def from_json(self, value: Any) -> E911State:
        """Return the state that :meth:`to_json` made JSON of.

        :raises InputError: naming the field that is missing, unknown or wrong.
        """
        if not isinstance(value, Mapping) or set(value) != {"id", "address_id", "status"}:
            raise InputError("an emergency address must have exactly the fields id, address_id, status")
        address, status = value["address_id"], value["status"]
        return E911State(
            parse_uuid(value["id"], name="id"),
            None if address is None else parse_uuid(address, name="address_id"),
            None if status is None else parse_text(status, name="status"),
        )


def emergency_address(space: str, number: str) -> Resource:
    """Return the resource of a number's emergency address.

    :param space: label of the space.
    :param number: E.164 number.
    """
    return Resource(KIND, space, number)


def e911_of(answer: PhoneNumber) -> E911State:
    """Return the emergency address that a record shows."""
    address = answer.e911_address_id
    return E911State(answer.id, address.lower() if address else None, answer.e911_status or None)


def _compared(state: E911State | None) -> dict[str, str | bool | None]:
    holds = state.holds if state else None
    return {"e911_address_id": holds, "failed": bool(state and state.failed and holds)}


def _write(transition: Transition[E911State]) -> Write[E911State]:
    number_id, address = transition.after.id, transition.after.address_id
    if address is None:
        request = api.remove_e911_address(number_id)
    else:
        request = api.assign_e911_address(number_id, e911_address_id=address)
    return Write(request, (transition.resource,), _judge(transition), deletes=address is None)


def _judge(
    transition: Transition[E911State],
) -> Callable[[PhoneNumber], Mapping[Resource, WriteResult[E911State]]]:
    def judge(answer: PhoneNumber) -> Mapping[Resource, WriteResult[E911State]]:
        if not is_record_of(answer, transition.resource, transition.after.id):
            return {}
        state = e911_of(answer)
        if transition.after.address_id is None and state.status is None:
            # The field is young: a record without it keeps the address until the removal is done.
            state = replace(state, status=UNDER_REMOVAL)
        return {transition.resource: WriteResult(state)}

    return judge
