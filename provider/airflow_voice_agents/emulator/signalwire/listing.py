"""The list of phone numbers, page by page; nobody gets to a page without the link that leads there."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import Self
from urllib.parse import urlencode

from airflow_voice_agents.emulator.request import EmulatorRequest, Operation, Record, Reply
from airflow_voice_agents.emulator.signalwire.bodies import whole_number
from airflow_voice_agents.emulator.signalwire.e911 import observed
from airflow_voice_agents.emulator.signalwire.errors import plain, refused
from airflow_voice_agents.emulator.signalwire.store import SignalWireStore

NUMBERS = "/api/relay/rest/phone_numbers"
MAX_PAGE_SIZE = 1000

_DEFAULT_PAGE_SIZE = 50
_FOREIGN = "https://elsewhere.example"


@dataclass(frozen=True, slots=True)
class Page:
    """What a request for a page asks for."""

    project: str
    number: int
    size: int
    filters: tuple[tuple[str, str], ...]

    @classmethod
    def read(cls, exchange: EmulatorRequest) -> Self:
        """Read the query.

        :raises Problem: 400 for a number or a size out of range.
        """
        query = exchange.query
        number = whole_number(query.get("page_number", "0"))
        size = whole_number(query.get("page_size", str(_DEFAULT_PAGE_SIZE)))
        if number is None or size is None or not 1 <= size <= MAX_PAGE_SIZE:
            raise plain(400)
        filters = tuple((name, query[name]) for name in ("filter_name", "filter_number") if query.get(name))
        return cls(exchange.agent or "", number, size, filters)

    @property
    def token(self) -> str:
        """What a request for this page must hold, the first page aside."""
        text = f"{self.project}/{self.number}/{self.size}/{self.filters}"
        return f"PA{hashlib.sha256(text.encode()).hexdigest()[:32]}"

    @property
    def link(self) -> str:
        """The link that leads to this page."""
        query = [*self.filters, ("page_number", str(self.number)), ("page_size", str(self.size))]
        if self.number:
            query.append(("page_token", self.token))
        return f"{NUMBERS}?{urlencode(query)}"

    def at(self, number: int) -> Self:
        """Another page of the same list."""
        return replace(self, number=number)


def list_phone_numbers(store: SignalWireStore, exchange: EmulatorRequest) -> Reply:
    """One page of the project's numbers, newest first."""
    page = Page.read(exchange)
    _check_token(store, exchange, page)
    found = [record for record in store.newest_first(exchange) if _fits(record, page)]
    records, goes_on = _cut(found, page, gap=store.switches.signalwire_paging == "gap")
    data = [store.show(observed(store, exchange, record)) for record in records]
    links = {"self": page.link, "first": page.at(0).link}
    if goes_on:
        links["next"] = page.at(page.number + 1).link
    elif store.switches.signalwire_paging == "repeat" and page.number:
        links["next"] = page.link
    if page.number:
        links["prev"] = page.at(page.number - 1).link
    origin = _origin(store, exchange)
    return Reply(200, {"links": {name: origin + link for name, link in links.items()}, "data": data})


def _check_token(store: SignalWireStore, exchange: EmulatorRequest, page: Page) -> None:
    token = exchange.query.get("page_token")
    if not page.number or token == page.token:
        return
    if store.switches.signalwire_page_errors == "400":
        raise plain(400)
    if token is None:
        raise refused(("page_token_required", "page_token is required when page_number is greater than 0"))
    if not token:
        raise refused(("page_token_required_for_next_page", "page_token is required for the next page"))
    raise refused(("page_token_is_invalid", "page_token is invalid"))


def _fits(record: Record, page: Page) -> bool:
    shown = {"filter_name": record["name"] or "", "filter_number": record["number"]}
    return all(part in shown[name] for name, part in page.filters)


def _cut(found: list[Record], page: Page, *, gap: bool) -> tuple[list[Record], bool]:
    """The records of a page, and whether a page follows; with ``gap`` the second page is an empty one."""
    if gap and page.number == 1:
        return [], len(found) > page.size
    start = (page.number - (gap and page.number > 1)) * page.size
    return found[start : start + page.size], len(found) > start + page.size


def _origin(store: SignalWireStore, exchange: EmulatorRequest) -> str:
    match store.switches.signalwire_links:
        case "absolute":
            return f"http://{exchange.headers.get('host', '')}"
        case "foreign":
            return _FOREIGN
    return ""


OPERATIONS = (Operation("list phone numbers", "GET", NUMBERS, list_phone_numbers, writes=False),)
