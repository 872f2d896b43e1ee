"""The Phone Numbers API as values: each function builds one request, and sends nothing.

``phone_number_id`` is the number's UUID, never the number itself: the API looks numbers up by id, and any
other text could match another route. ``None`` for an optional argument leaves it out. Every function raises
``InputError`` for an invalid argument and names it. Every operation needs a token with the scope ``Numbers``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar
from urllib.parse import SplitResult, urlsplit

from airflow_voice_agents.signalwire import readers
from airflow_voice_agents.signalwire.checks import parse_digits, parse_uuid
from airflow_voice_agents.signalwire.models import (
    COMPANIONS,
    SDK_ONLY,
    WRITABLE,
    AvailableNumber,
    Page,
    PhoneNumber,
)
from airflow_voice_agents.transport.api_request import ApiRequest, Replay, fill
from airflow_voice_agents.transport.errors import InputError
from airflow_voice_agents.transport.suggestions import hints
from airflow_voice_agents.transport.validation import parse_choice, parse_count, parse_e164, parse_text

__all__ = [
    "MAX_PAGE_SIZE",
    "MAX_RESULTS",
    "assign_e911_address",
    "follow_link",
    "get_phone_number",
    "list_phone_numbers",
    "purchase_phone_number",
    "release_phone_number",
    "remove_e911_address",
    "search_available",
    "update_phone_number",
]

T = TypeVar("T")

MAX_PAGE_SIZE: Final = 1000
MAX_RESULTS: Final = 100
NUMBER_TYPES: Final = ("local", "toll-free")
"""Types of numbers that a search knows; records call them otherwise."""

_NUMBERS: Final = "/api/relay/rest/phone_numbers"
_SEARCH: Final = f"{_NUMBERS}/search"
_NUMBER: Final = f"{_NUMBERS}/{{id}}"
_E911: Final = f"{_NUMBER}/e911_address"

_LIST: Final = "list phone numbers"
UPDATE: Final = "update phone number"
RELEASE: Final = "release phone number"
"""Operation names of the writes."""
_SHOWN: Final = frozenset(
    {
        *("filter_number", "page_size", "number", "e911_address_id"),
        *("areacode", "number_type", "starts_with", "contains", "ends_with", "max_results", "region", "city"),
        *("call_handler", "call_receive_mode", "call_request_method", "call_fallback_method"),
    }
)
"""Fields that an error may quote; URLs are not among them, because they may hold passwords."""


def list_phone_numbers(
    *, filter_name: str | None = None, filter_number: str | None = None, page_size: int = MAX_PAGE_SIZE
) -> ApiRequest[Page]:
    """Read the first page of the project's numbers, newest first (``GET /phone_numbers``).

    :param filter_name: part of the name.
    :param filter_number: part of the number; compare the results, because other numbers can contain the same
        digits.
    :param page_size: maximum number of records per page, 1 to 1000.
    """
    query = _optional(filter_name=(filter_name, _text), filter_number=(filter_number, _number_part))
    query += (("page_size", str(parse_count(page_size, name="page_size", most=MAX_PAGE_SIZE))),)
    return ApiRequest(_LIST, "GET", _NUMBERS, _NUMBERS, readers.page, Replay.SAFE, query=query, shown=_SHOWN)


def follow_link(link: str, *, base_url: str | None = None) -> ApiRequest[Page]:
    """Read the page that another page's ``next_link`` leads to (``GET /phone_numbers``).

    The link's query is sent as it is. Credentials go nowhere else than to the list of numbers.

    :param link: relative link, or an absolute one of ``base_url``'s own scheme, host and port.
    :param base_url: base URL of the requests; without it, absolute links are refused.
    """
    parts = _link(link)
    if (parts.scheme or parts.netloc) and not _same_origin(parts, base_url):
        raise InputError("the link leads to another host than the connection's; it is not followed")
    if parts.path != _NUMBERS or not parts.query or parts.fragment:
        raise InputError(f"the link does not lead to a page of {_NUMBERS}; it is not followed")
    path = f"{_NUMBERS}?{parts.query}"
    return ApiRequest(_LIST, "GET", _NUMBERS, path, readers.page, Replay.SAFE, shown=_SHOWN)


def search_available(
    *,
    areacode: str | None = None,
    number_type: str | None = None,
    starts_with: str | None = None,
    contains: str | None = None,
    ends_with: str | None = None,
    max_results: int | None = None,
    region: str | None = None,
    city: str | None = None,
) -> ApiRequest[list[AvailableNumber]]:
    """Search numbers that can be bought; nothing is reserved (``GET /phone_numbers/search``).

    :param areacode: digits of the area code.
    :param number_type: ``local``, which the platform takes by default, or ``toll-free``.
    :param starts_with: 3 to 7 digits; at most one of ``starts_with``, ``contains``, ``ends_with``.
    :param contains: 3 to 7 digits.
    :param ends_with: 3 to 7 digits.
    :param max_results: maximum number of results, 1 to 100; the platform's default is 50.
    :param region: two letters, such as ``TX``; local numbers only.
    :param city: name of a city in ``region``; local numbers only.
    """
    pieces = {"starts_with": starts_with, "contains": contains, "ends_with": ends_with}
    if sum(piece is not None for piece in pieces.values()) > 1:
        raise InputError("give at most one of starts_with, contains and ends_with")
    if city is not None and region is None:
        raise InputError("city needs region: the platform looks for the city inside a region")
    if region is not None and number_type is not None and _number_type(number_type, "number_type") != "local":
        raise InputError("region and city are for local numbers only")
    query = _optional(
        areacode=(areacode, _area_code),
        number_type=(number_type, _number_type),
        **{name: (piece, _piece) for name, piece in pieces.items()},
        max_results=(max_results, _max_results),
        region=(region, _region),
        city=(city, _text),
    )
    operation = "search available phone numbers"
    return ApiRequest(
        operation, "GET", _SEARCH, _SEARCH, readers.available, Replay.SAFE, query=query, shown=_SHOWN
    )


def purchase_phone_number(number: str) -> ApiRequest[PhoneNumber]:
    """Buy a number, which is billed (``POST /phone_numbers``).

    There is no idempotency key: if the outcome is unknown, look the number up before you buy again.

    :param number: an available number.
    """
    body = {"number": parse_e164(number, name="number")}
    return _write("purchase phone number", "POST", _NUMBERS, _NUMBERS, PhoneNumber.model_validate, body=body)


def get_phone_number(phone_number_id: str) -> ApiRequest[PhoneNumber]:
    """Read one number (``GET /phone_numbers/{id}``)."""
    path = _path(_NUMBER, phone_number_id)
    return ApiRequest("get phone number", "GET", _NUMBER, path, PhoneNumber.model_validate, Replay.SAFE)


def update_phone_number(phone_number_id: str, changes: Mapping[str, str]) -> ApiRequest[PhoneNumber]:
    """Set some fields of a number, the others stay (``PUT /phone_numbers/{id}``).

    :param changes: at least one field by the API's names; a ``call_handler`` only together with the fields
        that it needs. There are no nulls: the platform documents no way to clear a field.
    """
    path = _path(_NUMBER, phone_number_id)
    read = PhoneNumber.model_validate
    body = _changes(changes)
    return _write(UPDATE, "PUT", _NUMBER, path, read, body=body)


def release_phone_number(phone_number_id: str) -> ApiRequest[None]:
    """Give a number back, for good (``DELETE /phone_numbers/{id}``).

    SignalWire refuses it until 14 days after the purchase, 30 for a trial project.
    """
    path = _path(_NUMBER, phone_number_id)
    return _write(RELEASE, "DELETE", _NUMBER, path, readers.nothing)


def assign_e911_address(phone_number_id: str, *, e911_address_id: str) -> ApiRequest[PhoneNumber]:
    """Request an emergency address (``POST /phone_numbers/{id}/e911_address``).

    The answer comes before the registration is done: ``e911_status`` becomes ``active`` or ``failed`` later.

    :param e911_address_id: UUID of an address of the project.
    """
    path = _path(_E911, phone_number_id)
    body = {"e911_address_id": parse_uuid(e911_address_id, name="e911_address_id")}
    return _write("assign E911 address", "POST", _E911, path, PhoneNumber.model_validate, body=body)


def remove_e911_address(phone_number_id: str) -> ApiRequest[PhoneNumber]:
    """Request the removal of the emergency address (``DELETE /phone_numbers/{id}/e911_address``)."""
    path = _path(_E911, phone_number_id)
    return _write("remove E911 address", "DELETE", _E911, path, PhoneNumber.model_validate)


# ---------------------------------------------------------------------------------------- how they are built


def _write(
    operation: str,
    method: str,
    route: str,
    path: str,
    read: Callable[[Any], T],
    *,
    body: Mapping[str, str] | None = None,
) -> ApiRequest[T]:
    return ApiRequest(operation, method, route, path, read, Replay.RECONCILE, body=body, shown=_SHOWN)


def _path(route: str, phone_number_id: str) -> str:
    return fill(route, id=parse_uuid(phone_number_id, name="phone_number_id"))


def _changes(changes: object) -> dict[str, str]:
    if not isinstance(changes, Mapping):
        raise InputError(f"changes must be a mapping of field names, not {type(changes).__name__}")
    if not changes:
        raise InputError("changes must not be empty")
    known = WRITABLE | SDK_ONLY
    if unknown := sorted(str(name) for name in changes if name not in known):
        raise InputError(
            f"changes has fields that an update does not take: {', '.join(unknown)}{hints(unknown, known)}"
        )
    body = {name: parse_text(value, name=f"changes.{name}") for name, value in changes.items()}
    needed = COMPANIONS.get(body.get("call_handler", ""), ())
    if missing := [name for name in needed if name not in body]:
        raise InputError(f"call_handler {body['call_handler']} needs {', '.join(missing)} beside it")
    return body


def _optional(**arguments: tuple[Any, Callable[[Any, str], str]]) -> tuple[tuple[str, str], ...]:
    return tuple(
        (name, parse(value, name)) for name, (value, parse) in arguments.items() if value is not None
    )


def _text(value: object, name: str) -> str:
    return parse_text(value, name=name)


def _number_part(value: object, name: str) -> str:
    if isinstance(value, str) and re.fullmatch(r"\+?[0-9]{1,15}", value):
        return value
    raise InputError(f"{name} must be a number or a part of one: digits, with or without a '+' before them")


def _area_code(value: object, name: str) -> str:
    return parse_digits(value, name=name, least=1, most=7)


def _piece(value: object, name: str) -> str:
    return parse_digits(value, name=name, least=3, most=7)


def _max_results(value: object, name: str) -> str:
    return str(parse_count(value, name=name, most=MAX_RESULTS))


def _region(value: object, name: str) -> str:
    if isinstance(value, str) and re.fullmatch(r"[A-Za-z]{2}", value):
        return value.upper()
    raise InputError(f"{name} must be two letters, such as TX")


def _number_type(value: object, name: str) -> str:
    word = value.lower() if isinstance(value, str) else value
    return parse_choice(word, name=name, choices=NUMBER_TYPES)


def _link(link: object) -> SplitResult:
    """Split a link as the client will read it: nothing that two readers of URLs could take differently."""
    if (
        isinstance(link, str)
        and link.isascii()
        and link.isprintable()
        and not any(c in ' \\"<>' for c in link)
    ):
        try:
            parts = urlsplit(link)
            _ = parts.port
        except ValueError:
            pass
        else:
            return parts
    raise InputError("the link cannot be read as a URL; it is not followed")


def _same_origin(parts: SplitResult, base_url: str | None) -> bool:
    if base_url is None or "@" in parts.netloc:
        return False
    base = urlsplit(base_url)
    return _origin(parts) == _origin(base)


def _origin(parts: SplitResult) -> tuple[str, str | None, int | None]:
    default = {"https": 443, "http": 80}.get(parts.scheme)
    return parts.scheme, parts.hostname, parts.port or default
