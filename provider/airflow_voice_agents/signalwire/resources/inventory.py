"""Resolve the selected numbers of a project from one list request."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from reprlib import repr as shorten
from typing import TypeVar

from airflow_voice_agents.engine.concurrency import Sender
from airflow_voice_agents.signalwire import api
from airflow_voice_agents.signalwire.models import PhoneNumber
from airflow_voice_agents.signalwire.paging import all_phone_numbers
from airflow_voice_agents.transport.errors import InputError
from airflow_voice_agents.transport.validation import parse_numbers

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Space:
    """Where the numbers live.

    :param label: what plans and reports call the space.
    :param base_url: where calls are sent.
    """

    label: str
    base_url: str


@dataclass(frozen=True, slots=True)
class NumberSelection:
    """Which numbers of a project are meant: those named, or those that fit every criterion given.

    :param numbers: E.164 numbers without repeats, in order; empty for a choice by criteria.
    :param filter_name: part of the name.
    :param filter_number: part of the number; where a number is exactly that, it alone is meant.
    :param country_code: ISO 3166-1 alpha-2 code that the record must show.
    :param voice_only: whether the number must be able to take calls.
    """

    numbers: tuple[str, ...] = ()
    filter_name: str | None = None
    filter_number: str | None = None
    country_code: str | None = None
    voice_only: bool = False

    @property
    def any_filter(self) -> bool:
        """Whether a criterion narrows the choice."""
        return any(given is not None for given in (self.filter_name, self.filter_number, self.country_code))

    async def read(self, send: Sender, base_url: str, keep: Callable[[PhoneNumber], T]) -> dict[str, T]:
        """List the project's numbers once and keep what is needed of those that are meant.

        Vendor operation: list phone numbers.

        :param send: sends a call.
        :param base_url: where calls are sent.
        :param keep: what to keep of a record.
        :returns: by number; named numbers in their order, others sorted.
        """
        found: dict[str, T] = {}
        named = frozenset(self.numbers)
        only = self.numbers[0] if len(self.numbers) == 1 else self.filter_number
        async for record in all_phone_numbers(
            send, filter_name=self.filter_name, filter_number=only, base_url=base_url
        ):
            if record.number in named if named else self._fits(record):
                found[record.number] = keep(record)
        if named:
            return {number: found[number] for number in self.numbers if number in found}
        if self.filter_number in found:
            return {self.filter_number: found[self.filter_number]}
        return dict(sorted(found.items()))

    def _fits(self, record: PhoneNumber) -> bool:
        return (
            (record.takes_calls or not self.voice_only)
            and self.country_code in (None, (record.country_code or "").upper())
            and (self.filter_number or "") in record.number
        )


def select_numbers(
    phone_numbers: object = None,
    *,
    filter_name: str | None = None,
    filter_number: str | None = None,
    country_code: str | None = None,
    voice_only: bool = False,
    need_filter: bool = False,
) -> NumberSelection:
    """Check which numbers are meant.

    :param phone_numbers: the numbers, as :func:`parse_numbers` takes them, or ``None`` for a choice by criteria.
    :param filter_name: part of the name.
    :param filter_number: part of the number.
    :param country_code: two letters.
    :param voice_only: whether a number chosen by criteria must be able to take calls.
    :param need_filter: whether a choice of all numbers of the project is refused.
    :raises InputError: naming the argument that is wrong.
    """
    by_criteria = NumberSelection(
        filter_name=filter_name or None,
        filter_number=filter_number or None,
        country_code=_country(country_code),
        voice_only=voice_only,
    )
    api.list_phone_numbers(filter_name=by_criteria.filter_name, filter_number=by_criteria.filter_number)
    if phone_numbers is None:
        if need_filter and not by_criteria.any_filter:
            raise InputError(
                "give phone_numbers or a filter; without them every number of the project is meant"
            )
        return by_criteria
    if by_criteria.any_filter:
        raise InputError("give either phone_numbers or filters")
    return NumberSelection(parse_numbers(phone_numbers))


def _country(value: object) -> str | None:
    if value is None or value == "":
        return None
    if isinstance(value, str) and len(value) == 2 and value.isascii() and value.isalpha():
        return value.upper()
    raise InputError(f"country_code must be two letters, such as US, not {shorten(value)}")
