"""Ownership of a number, as a resource kind: purchase and release."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import msgspec

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
from airflow_voice_agents.signalwire.models import PhoneNumber
from airflow_voice_agents.signalwire.resources.inventory import NOTHING, observe_numbers

KIND = "owned number"


class Ownership(msgspec.Struct, frozen=True):
    """Whether the project has a number.

    :param owned: whether it has.
    :param id: UUID of its record; no part of equality.
    :param call_handler: the handler of its calls; no part of equality.
    """

    owned: bool
    id: str = ""
    call_handler: str | None = None


OWNED = Ownership(owned=True)
RELEASED = Ownership(owned=False)


@dataclass(frozen=True)
class OwnershipKind(Kind[Ownership]):
    """Ownership of numbers: observed, bought and released.

    Nothing of it can be restored: a released number may belong to somebody else minutes later.

    :param base_url: the URL that requests go to.
    """

    name: ClassVar[str] = KIND
    restorable: ClassVar[bool] = False

    base_url: str | None = None

    def observe(
        self, resources: Sequence[Resource], known: Known = NOTHING
    ) -> Iterator[Observation[Ownership]]:
        """Return one list for all numbers; a single number is filtered, because a 404 by id proves less."""
        return observe_numbers(resources, {}, ownership_of, self.base_url)

    def digest(self, state: Ownership | None) -> str:
        """Return the digest of whether the number is owned."""
        return digest(bool(state and state.owned))

    def diff(self, before: Ownership | None, after: Ownership | None) -> Iterator[Change]:
        """Return the change of ownership."""
        return diff({"owned": bool(before and before.owned)}, {"owned": bool(after and after.owned)})

    def write_sequences(
        self, transitions: Sequence[Transition[Ownership]]
    ) -> Iterator[WriteSequence[Ownership]]:
        """Return one purchase or release per number."""
        for transition in transitions:
            yield ((_purchase if transition.after.owned else _release)(transition),)

    def mismatches(self, transition: Transition[Ownership], observed: Ownership | None) -> list[str]:
        """Return ``presence`` where the number is there and must not be, or the other way round."""
        there = observed is not None and observed.owned
        return [] if there == transition.after.owned else ["presence"]

    def plan(self, resource: Resource, desired: Ownership, now: Ownership | None) -> PlannedItem:
        """Plan a purchase or a release.

        :param resource: the number.
        :param desired: ``OWNED`` or ``RELEASED``.
        :param now: its present ownership; ``None`` where the project does not have the number.
        """
        if self.digest(now) == self.digest(desired):
            return no_change(self, resource, now)
        handler = None if now is None else now.call_handler
        routed = (warning("routed", f"Its calls go to {handler} until it is released."),) if handler else ()
        return change(self, resource, now, desired, findings=routed, identifiers=True)


@dataclass(frozen=True)
class PurchaseKind(OwnershipKind):
    """Ownership that is bought: a purchase is billed, so it is never sent again after an unknown outcome."""

    repeatable: ClassVar[bool] = False


def owned_number(space: str, number: str) -> Resource:
    """Return the resource of a number's ownership.

    :param space: label of the space.
    :param number: E.164 number.
    """
    return Resource(KIND, space, number)


def ownership_of(answer: PhoneNumber) -> Ownership:
    """Return the ownership that a record shows."""
    return Ownership(owned=True, id=answer.id, call_handler=answer.call_handler or None)


def _purchase(transition: Transition[Ownership]) -> Write[Ownership]:
    resource = transition.resource
    return Write(api.purchase_phone_number(resource.name), (resource,), _judge_purchase(resource))


def _judge_purchase(resource: Resource) -> Callable[[Any], Mapping[Resource, WriteResult[Ownership]]]:
    """An answer about another number says nothing of this one, which is then looked up."""

    def judge(answer: PhoneNumber) -> Mapping[Resource, WriteResult[Ownership]]:
        return {resource: WriteResult(ownership_of(answer))} if answer.number == resource.name else {}

    return judge


def _release(transition: Transition[Ownership]) -> Write[Ownership]:
    """An empty answer proves nothing, so a release is always read back."""
    resource, number_id = transition.resource, transition.before.id if transition.before else ""
    request = api.release_phone_number(number_id)
    return Write(request, (resource,), lambda _: {resource: WriteResult(None)}, deletes=True)
