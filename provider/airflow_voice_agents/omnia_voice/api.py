"""The numbers of the Omnia Voice API as values: each function builds one request, and sends nothing.

Ids are opaque and go into the path percent-encoded; phone numbers are E.164 with ``+``; statuses are
open words, because the platform's own pages name different ones. ``None`` for an optional argument
leaves it out. Every function raises ``InputError``, naming the argument, for what could not be right.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any, Final, TypeVar

from msgspec.structs import replace
from pydantic.alias_generators import to_camel

from airflow_voice_agents.omnia_voice.models import (
    Number,
    NumberPage,
    nothing,
    read_number_or_nothing,
    read_numbers,
    read_page,
)
from airflow_voice_agents.transport.api_request import ApiRequest, Replay, fill
from airflow_voice_agents.transport.errors import InputError
from airflow_voice_agents.transport.validation import parse_count, parse_e164, parse_identifier, parse_text

__all__ = [
    "DELETE",
    "PAGE_LIMIT",
    "UpdateVerb",
    "assign_number",
    "delete_number",
    "fallback_verb",
    "get_number",
    "is_list",
    "is_update",
    "list_agent_numbers",
    "list_numbers",
    "update_number",
]

T = TypeVar("T")

DELETE: Final = "delete number"
"""Operation that takes a number out of the workspace."""

PAGE_LIMIT: Final = 100
"""Records per page to ask for: the most that the platform's collections are said to give."""

_NUMBERS: Final = "/numbers"
_NUMBER: Final = "/numbers/{id}"
_AGENT_NUMBERS: Final = "/agents/{id}/numbers"
_SHOWN: Final = frozenset({"phoneNumber", "agentId", "status", "page", "limit"})


class UpdateVerb(StrEnum):
    """HTTP verb of an update; the platform's pages disagree about it."""

    PUT = "PUT"
    PATCH = "PATCH"

    @property
    def other(self) -> UpdateVerb:
        """The one that this is not."""
        return UpdateVerb.PUT if self is UpdateVerb.PATCH else UpdateVerb.PATCH


def list_numbers(
    *, page: int = 1, limit: int = PAGE_LIMIT, status: str | None = None
) -> ApiRequest[NumberPage]:
    """Read one page of the workspace's numbers (``GET /numbers``); their order is not specified.

    :param page: number of the page, from 1.
    :param limit: maximum number of records per page; the response says if there are fewer.
    :param status: only numbers of this status.
    """
    counts = {"page": parse_count(page, name="page"), "limit": parse_count(limit, name="limit")}
    query = tuple((name, str(value)) for name, value in counts.items())
    if status is not None:
        query += (("status", parse_text(status, name="status")),)
    return _call("list numbers", "GET", _NUMBERS, read_page, query=query)


def assign_number(
    *, phone_number: str, agent_id: str, friendly_name: str | None = None
) -> ApiRequest[Number | None]:
    """Assign a number that the workspace does not list yet (``POST /numbers``).

    The vendor does not document whether the platform accepts a number that was not imported in its dashboard.
    The response can be empty.

    :param phone_number: the number.
    :param agent_id: the agent that will answer it.
    :param friendly_name: name to show for it.
    """
    body = {
        "phoneNumber": parse_e164(phone_number),
        "agentId": parse_identifier(agent_id, name="agent_id"),
    }
    if friendly_name is not None:
        body["friendlyName"] = parse_text(friendly_name, name="friendly_name")
    return _call("assign number", "POST", _NUMBERS, read_number_or_nothing, body=body)


def get_number(number_id: str) -> ApiRequest[Number]:
    """Read one number (``GET /numbers/{id}``).

    :param number_id: its id, not the phone number.
    """
    return _call("get number", "GET", _NUMBER, Number.model_validate, of=("number_id", number_id))


def update_number(
    number_id: str, *, changes: Mapping[str, str | None], verb: UpdateVerb | str = UpdateVerb.PATCH
) -> ApiRequest[Number | None]:
    """Set some fields of a number (``PATCH`` or ``PUT /numbers/{id}``); the response can be empty.

    :param number_id: its id, not the phone number.
    :param changes: ``friendly_name``, ``agent_id`` and ``status``, at least one; a field that is absent
        is left as it is, and ``None``, which only ``agent_id`` takes, unassigns the number.
    :param verb: the verb that this deployment of the platform takes.
    """
    return _call(
        "update number",
        _verb(verb).value,
        _NUMBER,
        read_number_or_nothing,
        body=_changes(changes),
        of=("number_id", number_id),
    )


def delete_number(number_id: str) -> ApiRequest[None]:
    """Remove a number from the workspace (``DELETE /numbers/{id}``); no body is expected.

    :param number_id: its id, not the phone number.
    """
    return _call(DELETE, "DELETE", _NUMBER, nothing, of=("number_id", number_id))


def list_agent_numbers(agent_id: str) -> ApiRequest[tuple[Number, ...]]:
    """Read the numbers of an agent (``GET /agents/{id}/numbers``); they come in one answer.

    :param agent_id: the agent.
    """
    return _call("list numbers of agent", "GET", _AGENT_NUMBERS, read_numbers, of=("agent_id", agent_id))


def fallback_verb(call: ApiRequest[T]) -> ApiRequest[T]:
    """Return the same update with the other verb, to be tried once when the first is answered 405.

    :param call: a call that :func:`update_number` returned.
    :raises InputError: for any other call.
    """
    if not is_update(call):
        raise InputError(f"{call.operation} has no other verb; only an update has")
    return replace(call, method=UpdateVerb(call.method).other.value)


def is_update(call: ApiRequest[Any]) -> bool:
    """Return whether a request comes from :func:`update_number`."""
    return call.route == _NUMBER and call.method in tuple(UpdateVerb)


def is_list(call: ApiRequest[Any]) -> bool:
    """Return whether a request comes from :func:`list_numbers`."""
    return call.route == _NUMBERS and call.method == "GET"


def _call(
    operation: str,
    method: str,
    route: str,
    read: Callable[[Any], T],
    *,
    query: tuple[tuple[str, str], ...] = (),
    body: Mapping[str, Any] | None = None,
    of: tuple[str, str] | None = None,
) -> ApiRequest[T]:
    """Build a request; ``of`` is the id that the route has, behind the argument's name."""
    replay = Replay.SAFE if method == "GET" else Replay.RECONCILE
    path = route if of is None else fill(route, id=parse_identifier(of[1], name=of[0]))
    return ApiRequest(operation, method, route, path, read, replay, query=query, body=body, shown=_SHOWN)


_PARSERS: Final[Mapping[str, Callable[..., str]]] = {
    "friendlyName": parse_text,
    "agentId": parse_identifier,
    "status": parse_text,
}


def _changes(changes: object) -> dict[str, str | None]:
    if not isinstance(changes, Mapping) or not all(isinstance(name, str) for name in changes):
        raise InputError(f"changes must be a mapping of field names, not {type(changes).__name__}")
    body: dict[str, str | None] = {}
    for given, value in changes.items():
        name = to_camel(given)
        if name not in _PARSERS or name in body:
            raise InputError(
                f"changes: unknown or repeated field {given!r}, allowed are friendly_name, agent_id, status"
            )
        unassigns = name == "agentId" and value is None
        body[name] = None if unassigns else _PARSERS[name](value, name=f"changes.{given}")
    if not body:
        raise InputError("changes must not be empty")
    return body


def _verb(value: str) -> UpdateVerb:
    try:
        return UpdateVerb(value)
    except ValueError:
        raise InputError("verb must be 'PUT' or 'PATCH'") from None
