"""Resolve the selected numbers of a project from one list request."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from reprlib import repr as shorten
from typing import TypeVar

import msgspec

from airflow_voice_agents.engine.concurrency import Sender
from airflow_voice_agents.plans.kind import Known, Observation, Resource
from airflow_voice_agents.plans.plan import Finding, error, refused
from airflow_voice_agents.signalwire import api
from airflow_voice_agents.signalwire.models import Page, PhoneNumber
from airflow_voice_agents.transport.api_request import ApiRequest
from airflow_voice_agents.transport.errors import InputError, ResponseError
from airflow_voice_agents.transport.suggestions import did_you_mean
from airflow_voice_agents.transport.validation import parse_count, parse_e164, parse_numbers

MAX_PAGES = 1000


async def pages(
    send: Sender,
    *,
    filter_name: str | None = None,
    filter_number: str | None = None,
    page_size: int = api.MAX_PAGE_SIZE,
    max_pages: int = MAX_PAGES,
    base_url: str | None = None,
) -> AsyncIterator[Page]:
    """Yield the pages of the project's numbers as they come, newest first, until none follows.

    :param send: sends a call.
    :param filter_name: part of the name.
    :param filter_number: part of the number.
    :param page_size: maximum number of records per page, 1 to 1000.
    :param max_pages: pages after which it gives up rather than go on for ever.
    :param base_url: where calls are sent; needed only where SignalWire answers with absolute links.
    :raises InputError: for a malformed argument.
    :raises ResponseError: for a link that leads elsewhere or comes twice, and beyond ``max_pages``.
    """
    most = parse_count(max_pages, name="max_pages", most=1_000_000)
    call = api.list_phone_numbers(filter_name=filter_name, filter_number=filter_number, page_size=page_size)
    followed: set[str] = set()
    for _ in range(most):
        page = await send(call)
        yield page
        if page.next_link is None:
            return
        if page.next_link in followed:
            raise _broken(call, "the link to the next page leads to one that was read before")
        followed.add(page.next_link)
        call = _next(call, page.next_link, base_url)
    raise _broken(call, f"there are more than {most} pages; raise max_pages or page_size, or filter")


async def all_phone_numbers(
    send: Sender,
    *,
    filter_name: str | None = None,
    filter_number: str | None = None,
    page_size: int = api.MAX_PAGE_SIZE,
    max_pages: int = MAX_PAGES,
    base_url: str | None = None,
) -> AsyncIterator[PhoneNumber]:
    """Yield the project's numbers, newest first and each once; see :func:`pages`.

    A number that is bought meanwhile pushes others to a later page, where they come again; they are left out.

    :param send: sends a call.
    :param filter_name: part of the name.
    :param filter_number: part of the number.
    :param page_size: maximum number of records per page, 1 to 1000.
    :param max_pages: pages after which it gives up.
    :param base_url: where calls are sent.
    :raises InputError: for a malformed argument.
    :raises ResponseError: as :func:`pages` does.
    """
    seen: set[str] = set()
    async for page in pages(
        send,
        filter_name=filter_name,
        filter_number=filter_number,
        page_size=page_size,
        max_pages=max_pages,
        base_url=base_url,
    ):
        for number in page.numbers:
            if number.id not in seen:
                seen.add(number.id)
                yield number


async def find_phone_number(send: Sender, number: str, *, base_url: str | None = None) -> PhoneNumber | None:
    """Return the project's record of exactly this number, or ``None``.

    The platform's filter finds parts of numbers as well; what it finds is compared.

    :param send: sends a call.
    :param number: E.164 number.
    :param base_url: where calls are sent.
    :raises InputError: for a malformed number.
    :raises ResponseError: as :func:`pages` does.
    """
    wanted = parse_e164(number, name="number")
    found = all_phone_numbers(send, filter_number=wanted, base_url=base_url)
    same = [each async for each in found if each.number == wanted]
    return same[0] if same else None


def _next(call: ApiRequest[Page], link: str, base_url: str | None) -> ApiRequest[Page]:
    try:
        return api.follow_link(link, base_url=base_url)
    except InputError as refusal:
        raise _broken(call, str(refusal)) from None


def _broken(call: ApiRequest[Page], reason: str) -> ResponseError:
    return ResponseError(
        reason, operation=call.operation, method=call.method, route=call.route, path=call.route
    )


T = TypeVar("T")

NOTHING: Known = {}

READ_BY_ID = 10
"""Maximum number of numbers that are read one by one; more are read with one list."""


class Space(msgspec.Struct, frozen=True):
    """The space that the numbers live in.

    :param label: its name in plans, reports and locks.
    :param base_url: the URL that requests go to.
    """

    label: str
    base_url: str

    def lock_names(self, numbers: Iterable[str]) -> tuple[str, ...]:
        """Return the names under which numbers are locked; without numbers, the one that covers the space.

        :param numbers: E.164 numbers.
        """
        return tuple(f"{self.label}/{number}" for number in numbers) or (f"{self.label}/*",)


class NumberSelection(msgspec.Struct, frozen=True):
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

    async def read(
        self, send: Sender, base_url: str | None, keep: Callable[[PhoneNumber], T]
    ) -> dict[str, T]:
        """List the project's numbers once and keep what is needed of those that are meant.

        Vendor operation: list phone numbers.

        :param send: sends a call.
        :param base_url: where calls are sent.
        :param keep: what to keep of a record.
        :returns: by number; named numbers in their order, others sorted.
        """
        found: dict[str, T] = {}
        named = frozenset(self.numbers)
        async for record in all_phone_numbers(
            send, filter_name=self.filter_name, filter_number=self._only, base_url=base_url
        ):
            if record.number in named if named else self._fits(record):
                found[record.number] = keep(record)
        if named:
            return {number: found[number] for number in self.numbers if number in found}
        if self.filter_number in found:
            return {self.filter_number: found[self.filter_number]}
        return dict(sorted(found.items()))

    async def why_none(self, send: Sender, base_url: str | None) -> str:
        """Return what the criteria leave out, and what was likely meant; for a choice that reached no number.

        Vendor operation: list phone numbers.

        :param send: sends a call.
        :param base_url: where calls are sent.
        """
        names, numbers, countries = [], [], set()
        async for record in all_phone_numbers(send, base_url=base_url):
            names.append(record.name or "")
            numbers.append(record.number)
            countries.add((record.country_code or "").upper())
        if not numbers:
            return "The project has no numbers."
        given = {
            name: value
            for name in ("filter_name", "filter_number", "country_code")
            if (value := getattr(self, name)) is not None
        }
        said = ", ".join(f"{name} {value!r}" for name, value in given.items()) or "the ability to take calls"
        hint = did_you_mean(self.filter_name, names) if self.filter_name is not None else ""
        if self.filter_number is not None:
            hint += did_you_mean(self.filter_number, numbers)
        if self.country_code not in (None, *countries):
            hint += (
                f" Its numbers are of {' and '.join(sorted(filter(None, countries))) or 'no known country'}."
            )
        return f"None of the project's {len(numbers)} number(s) has {said}.{hint}"

    @property
    def first_page(self) -> ApiRequest[Page]:
        """The request for the first page of the list."""
        return api.list_phone_numbers(filter_name=self.filter_name, filter_number=self._only)

    @property
    def _only(self) -> str | None:
        return self.numbers[0] if len(self.numbers) == 1 else self.filter_number

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
    :raises InputError: for an invalid argument; the message names it.
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


def observe_numbers(
    resources: Sequence[Resource],
    ids: Mapping[Resource, str],
    state_of: Callable[[PhoneNumber], T],
    base_url: str | None,
) -> Iterator[Observation[T]]:
    """Return the reads of some numbers: by id where few are read and their ids are known, else one list.

    The list is read to its end, or filtered by the exact number, so a number that it lacks is absent.

    :param resources: the numbers.
    :param ids: UUIDs of their records, as far as they are known.
    :param state_of: turns a record into a state.
    :param base_url: the URL that requests go to.
    """
    if len(resources) <= READ_BY_ID and all(ids.get(each) for each in resources):
        for resource in resources:
            yield _read_by_id(resource, ids[resource], state_of)
    elif resources:
        yield _read_list(tuple(resources), state_of, base_url)


def _read_by_id(resource: Resource, number_id: str, state_of: Callable[[PhoneNumber], T]) -> Observation[T]:
    def states(record: PhoneNumber) -> Mapping[Resource, T | None]:
        return {resource: state_of(record)} if is_record_of(record, resource, number_id) else {}

    return Observation(api.get_phone_number(number_id), (resource,), states)


def _read_list(
    resources: tuple[Resource, ...], state_of: Callable[[PhoneNumber], T], base_url: str | None
) -> Observation[T]:
    selection = NumberSelection(tuple(resource.name for resource in resources))

    async def fetch(send: Sender) -> Mapping[str, T]:
        return await selection.read(send, base_url, state_of)

    def states(found: Mapping[str, T]) -> Mapping[Resource, T | None]:
        return {resource: found.get(resource.name) for resource in resources}

    return Observation(selection.first_page, resources, states, fetch)


def is_record_of(record: PhoneNumber, resource: Resource, number_id: str) -> bool:
    """Return whether a record is that of a number, by number and id.

    :param record: the record in an answer.
    :param resource: the number.
    :param number_id: UUID of the number's record.
    """
    return record.number == resource.name and record.id.lower() == number_id.lower()


def absent(resource: Resource) -> Finding:
    """Return the error for a number that the project does not have."""
    return error("absent", f"The project in space {resource.owner} does not have {resource.name}.")


def released(resource: Resource) -> Finding:
    """Return the refusal to restore a number that was released; others go on."""
    return refused("absent", f"The project in space {resource.owner} does not have the number any more.")


def not_kept(resource: Resource) -> Finding:
    """Return the error for a number that was not there when the snapshot was taken."""
    return error("not_kept", f"The project did not have {resource.name} when the snapshot was taken.")


def _country(value: object) -> str | None:
    if value is None or value == "":
        return None
    if isinstance(value, str) and len(value) == 2 and value.isascii() and value.isalpha():
        return value.upper()
    raise InputError(f"country_code must be two letters, such as US, not {shorten(value)}")
