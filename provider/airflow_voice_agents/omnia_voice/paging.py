"""Reads paged lists completely, for every documented form of paging.

A list is not a snapshot: the platform neither sorts its pages nor holds them still, so what is created
or removed while they are read may be missed or seen twice.
"""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from airflow_voice_agents.engine.concurrency import Sender
from airflow_voice_agents.omnia_voice.api import is_list
from airflow_voice_agents.omnia_voice.models import Number, NumberPage
from airflow_voice_agents.transport.api_request import ApiRequest
from airflow_voice_agents.transport.errors import InputError
from airflow_voice_agents.transport.validation import parse_count

MAX_PAGES: Final = 1000
"""Pages that a list may have; a server that never ends is left here."""


async def read_all(send: Sender, call: ApiRequest[NumberPage], *, max_pages: int = MAX_PAGES) -> NumberPage:
    """Read a list from its first page to its end, one page after the other.

    It ends with an empty page, with one that shows nothing new, and where :func:`goes_on` says so. A
    limit that the server lowers is the one that the following pages are asked with.

    :param send: sends a call.
    :param call: what :func:`.api.list_numbers` returned; its page does not matter.
    :param max_pages: most pages to read.
    :returns: all numbers, each id once, as one page. ``has_more`` is true when they are not all:
        ``max_pages`` was reached, or the server repeats itself and says that there is more.
    :raises InputError: for another call than that of a list.
    """
    if not is_list(call):
        raise InputError(f"{call.operation} is not a list that comes in pages")
    parse_count(max_pages, name="max_pages")
    numbers: dict[str, Number] = {}
    limit = int(dict(call.query)["limit"])
    for page in range(1, max_pages + 1):
        answer = await send(_at(call, page, limit))
        before = len(numbers)
        for number in answer.numbers:
            numbers.setdefault(number.id, number)
        limit = min(limit, answer.limit or limit)
        more = goes_on(answer, page=page, limit=limit, seen=len(numbers))
        if not more or len(numbers) == before:
            return _whole(numbers, has_more=more and _says_how_many(answer))
    return _whole(numbers, has_more=True)


def goes_on(answer: NumberPage, *, page: int, limit: int, seen: int) -> bool:
    """Tell whether a list goes on after a page: by ``hasMore``, else ``totalPages``, else ``total``.

    Where the server tells nothing, a full page has a successor. ``total`` is held against what was seen
    rather than against ``page * limit``, so that a limit which was lowered silently loses nothing.

    :param answer: the page.
    :param page: its number, from 1.
    :param limit: records that a full page has.
    :param seen: records seen so far, this page included.
    """
    if not answer.numbers:
        return False
    if answer.has_more is not None:
        return answer.has_more
    if answer.total_pages is not None:
        return page < answer.total_pages
    if answer.total is not None:
        return seen < answer.total
    return len(answer.numbers) >= limit


def _at(call: ApiRequest[NumberPage], page: int, limit: int) -> ApiRequest[NumberPage]:
    place = {"page": str(page), "limit": str(limit)}
    return replace(call, query=tuple((name, place.get(name, value)) for name, value in call.query))


def _says_how_many(answer: NumberPage) -> bool:
    return any(hint is not None for hint in (answer.has_more, answer.total_pages, answer.total))


def _whole(numbers: dict[str, Number], *, has_more: bool) -> NumberPage:
    return NumberPage(numbers=tuple(numbers.values()), has_more=has_more)
