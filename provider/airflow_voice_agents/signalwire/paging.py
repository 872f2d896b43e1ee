"""Follows pages of numbers to the end, without ever guessing one."""

from __future__ import annotations

from collections.abc import AsyncIterator

from airflow_voice_agents.engine.concurrency import Sender
from airflow_voice_agents.signalwire import api
from airflow_voice_agents.signalwire.models import Page, PhoneNumber
from airflow_voice_agents.transport.api_request import ApiRequest
from airflow_voice_agents.transport.errors import InputError, ResponseError
from airflow_voice_agents.transport.validation import parse_count, parse_e164

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
    :param page_size: most numbers per page, 1 to 1000.
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
    :param page_size: most numbers per page, 1 to 1000.
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
