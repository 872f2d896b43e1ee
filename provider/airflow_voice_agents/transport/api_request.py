"""Requests as values: what to send, how to read the response, and whether it can be sent twice."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any, Generic, TypeVar
from urllib.parse import quote

from airflow_voice_agents.transport.errors import InputError
from airflow_voice_agents.transport.records import Record

T = TypeVar("T")

_SPLITTING = re.compile(r"[/\\\x00-\x1f\x7f]")

RequestKey = tuple[str, str, tuple[tuple[str, str], ...]]


class Replay(StrEnum):
    """Rule for a request whose outcome is unknown (time-out, reset, 5xx, a response that is no answer)."""

    SAFE = "safe"
    """Resend within the retry budget: GET, and POST that only reads."""
    RECONCILE = "reconcile"
    """Every write: raise ``OutcomeUnknown``; the caller reads the state back and decides."""
    NEVER = "never"
    """Never resend, not even after a refused connection: what reaches a person or an agent."""


class ApiRequest(Record, Generic[T], frozen=True):
    """A request of one vendor operation; building it sends nothing.

    :param operation: the vendor's operation in words, for errors and logs (``"get phone number"``).
    :param method: HTTP verb in upper case.
    :param route: the path template, safe to log (``/phone_numbers/{id}``).
    :param path: the percent-encoded path that is sent.
    :param read: turns the decoded JSON body (``None`` for an empty one) into ``T``.
    :param replay: rule for an unknown outcome.
    :param query: query parameters in order; never shown by ``repr``.
    :param body: JSON body, or ``None`` for no body; never shown by ``repr``.
    :param deadline: total seconds for the request, resends included; ``None`` takes the client's.
    :param shown: names of query and body fields whose values are identifiers (``phone_number``), so that an
        error can quote them; any other value that was sent is masked.
    :param people: whether the answer is about calls to or from people, so that an error shows no number.
    """

    not_shown = ("read", "query", "body")
    not_compared = ("read",)

    operation: str
    method: str
    route: str
    path: str
    read: Callable[[Any], T]
    replay: Replay
    query: tuple[tuple[str, str], ...] = ()
    body: Mapping[str, Any] | None = None
    deadline: float | None = None
    shown: frozenset[str] = frozenset()
    people: bool = False

    @property
    def key(self) -> RequestKey:
        """Identity of what the request addresses; two reads with one key are the same read."""
        return (self.method, self.path, self.query)


def fill(route: str, **values: str) -> str:
    """Fill a path template, percent-encoding every reserved character.

    :param route: template such as ``/phone_numbers/{id}``.
    :param values: one value per placeholder.
    :raises InputError: for a value that is not a string, is empty or only dots, has surrounding
        white space, or holds a slash, a backslash, a control character or half of a surrogate pair.
    """
    return route.format(**{name: path_segment(name, value) for name, value in values.items()})


def path_segment(name: str, value: object) -> str:
    """Check one value as ``fill`` does, and percent-encode it.

    :param name: what to call the value in the error.
    :param value: the value.
    :raises InputError: as ``fill`` does.
    """
    if not isinstance(value, str):
        raise InputError(f"{name} must be a string, not {type(value).__name__}")
    if not value or value != value.strip() or value.strip(".") == "":
        raise InputError(f"{name} must not be empty, only dots, or have surrounding white space")
    if _SPLITTING.search(value):
        raise InputError(f"{name} must not hold a slash, a backslash or a control character")
    try:
        return quote(value, safe="")
    except UnicodeEncodeError:
        raise InputError(f"{name} must not hold half of a surrogate pair") from None
