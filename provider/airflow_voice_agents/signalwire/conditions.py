"""Conditions of SignalWire sensors and their trigger; they contain only salted digests of URLs."""

from __future__ import annotations

import secrets
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from airflow_voice_agents.plans.condition import Found, Read, Reader, WaitFailed
from airflow_voice_agents.signalwire.checks import parse_uuid
from airflow_voice_agents.signalwire.models import PhoneNumber
from airflow_voice_agents.signalwire.resources.e911 import ACTIVE, e911_of
from airflow_voice_agents.signalwire.resources.inventory import NumberSelection
from airflow_voice_agents.signalwire.resources.phone_number import state_of
from airflow_voice_agents.signalwire.resources.route_fingerprint import RouteFingerprint, Routes
from airflow_voice_agents.transport.errors import InputError
from airflow_voice_agents.transport.validation import parse_numbers, summarize_list

PhoneNumbers = Mapping[str, PhoneNumber]
"""Records by number."""


@dataclass(frozen=True, slots=True)
class NumbersCondition(ABC):
    """Base of conditions about several numbers.

    :param numbers: E.164 numbers.
    """

    kind: ClassVar[str]

    numbers: tuple[str, ...]

    @abstractmethod
    def met(self, records: PhoneNumbers) -> Iterable[str]:
        """Return the numbers that meet the condition.

        :param records: the records of those numbers that the project has.
        :raises WaitFailed: when waiting cannot help.
        """

    @abstractmethod
    def arguments(self) -> dict[str, Any]:
        """Return what is compared, as plain JSON."""

    def reads(self) -> list[Read[PhoneNumbers]]:
        """Return one read: the list of the space, so that waits for different numbers share it.

        Alone, a condition asks for its number where it has only one, and keeps no other records.
        """
        return [_listed(narrow=_listed(self.numbers))]

    def holds(self, answers: Sequence[PhoneNumbers]) -> Found:
        """Evaluate the condition for every number.

        :param answers: responses to the requests of :meth:`reads`, in order.
        :raises WaitFailed: when waiting cannot help.
        """
        listed = answers[0]
        records = {number: listed[number] for number in self.numbers if number in listed}
        open_numbers = set(self.numbers).difference(self.met(records))
        return not open_numbers, {"phone_numbers": sorted(self.numbers)}

    def serialize(self) -> dict[str, Any]:
        """Return plain JSON, for the trigger."""
        return {"kind": self.kind, "numbers": list(self.numbers), **self.arguments()}


@dataclass(frozen=True, slots=True)
class Owned(NumbersCondition):
    """The project has every number."""

    kind = "owned"

    def met(self, records: PhoneNumbers) -> Iterable[str]:
        """Return the numbers that are there."""
        return records

    def arguments(self) -> dict[str, Any]:
        """Return nothing: only the numbers are compared."""
        return {}


@dataclass(frozen=True, slots=True)
class Routed(NumbersCondition):
    """Every number has its route.

    :param marks: number -> what its route leaves on the record, as salted digests.
    """

    kind = "routed"

    marks: Mapping[str, RouteFingerprint]

    def met(self, records: PhoneNumbers) -> Iterable[str]:
        """Return the numbers whose record shows handler, companions and receive mode of their route."""
        return [number for number, record in records.items() if self.marks[number].is_on(state_of(record))]

    def arguments(self) -> dict[str, Any]:
        """Return each distinct mark once, and which number must have which."""
        distinct = list(dict.fromkeys(self.marks.values()))
        places = {mark: place for place, mark in enumerate(distinct)}
        return {
            "marks": [mark.plain() for mark in distinct],
            "mark_of": [places[self.marks[number]] for number in self.numbers],
        }


@dataclass(frozen=True, slots=True)
class Registered(NumbersCondition):
    """Every number's emergency address is active.

    :param address_id: UUID of the address that must be active, or ``None`` for any.
    """

    kind = "registered"

    address_id: str | None = None

    def met(self, records: PhoneNumbers) -> Iterable[str]:
        """Return the numbers whose address is active."""
        if absent := [number for number in self.numbers if number not in records]:
            raise WaitFailed(
                f"The project does not have {summarize_list(absent)}, so there is nothing to wait for."
            )
        states = {number: e911_of(record) for number, record in records.items()}
        if failed := [
            number for number, state in states.items() if state.failed and self._is_it(state.address_id)
        ]:
            raise WaitFailed(
                f"The E911 registration failed for {summarize_list(failed)}: correct the address, then assign it again."
            )
        return [
            number
            for number, state in states.items()
            if state.status == ACTIVE and self._is_it(state.address_id)
        ]

    def arguments(self) -> dict[str, Any]:
        """Return the address."""
        return {"address_id": self.address_id}

    def _is_it(self, address_id: str | None) -> bool:
        return self.address_id in (None, address_id)


def owned(phone_numbers: object) -> Owned:
    """Check a sensor's arguments.

    :param phone_numbers: the numbers.
    :raises InputError: for an invalid argument; the message names it.
    """
    return Owned(parse_numbers(phone_numbers))


def routed(phone_numbers: object, route: object, routes: object) -> Routed:
    """Check a sensor's arguments; of routes only digests are kept.

    :param phone_numbers: the numbers that must have ``route``.
    :param route: the route of all of them, or
    :param routes: mapping of numbers to routes.
    :raises InputError: for an invalid argument; the message names it.
    """
    parsed = Routes.parse(route, routes)
    if parsed is None or (parsed.all is None) == (phone_numbers is not None):
        raise InputError("give phone_numbers and route, or routes alone, which names the numbers itself")
    numbers = parse_numbers(list(parsed.each) if parsed.all is None else phone_numbers)
    return Routed(numbers, parsed.marks(numbers, secrets.token_hex(16)))


def registered(phone_numbers: object, e911_address_id: object) -> Registered:
    """Check a sensor's arguments.

    :param phone_numbers: the numbers.
    :param e911_address_id: UUID of the address, or ``None`` for any.
    :raises InputError: for an invalid argument; the message names it.
    """
    given = e911_address_id is not None
    address = parse_uuid(e911_address_id, name="e911_address_id") if given else None
    return Registered(parse_numbers(phone_numbers), address)


def deserialize(plain: Mapping[str, Any]) -> NumbersCondition:
    """Return the condition that :meth:`NumbersCondition.serialize` returned as plain JSON.

    :param plain: decoded JSON.
    :raises InputError: for a kind that is not known here.
    """
    numbers = tuple(plain["numbers"])
    match plain["kind"]:
        case Owned.kind:
            return Owned(numbers)
        case Routed.kind:
            marks = [RouteFingerprint.from_plain(each) for each in plain["marks"]]
            return Routed(
                numbers, {n: marks[place] for n, place in zip(numbers, plain["mark_of"], strict=True)}
            )
        case Registered.kind:
            return Registered(numbers, plain["address_id"])
    raise InputError(f"a condition of kind {plain['kind']!r} is not known; was the provider downgraded?")


def _listed(numbers: tuple[str, ...] = (), narrow: Read[PhoneNumbers] | None = None) -> Read[PhoneNumbers]:
    """Return the requests for the space's numbers, all pages; only for some numbers if they are given."""

    async def fetch(reader: Reader) -> PhoneNumbers:
        base_url = (await reader.aclient()).settings.base_url
        return await NumberSelection(numbers).read(reader.asend, base_url, lambda record: record)

    return Read(("list phone numbers", numbers), fetch, narrow)
