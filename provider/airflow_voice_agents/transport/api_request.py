"""An endpoint is a value: what to send, how to read the answer, and whether it may be sent twice."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Generic, TypeVar
from urllib.parse import quote

from airflow_voice_agents.transport.errors import InputError

T = TypeVar("T")

RequestKey = tuple[str, str, tuple[tuple[str, str], ...]]


class Replay(StrEnum):
    """What may be done when the outcome of a call is unknown (time-out, reset, 5xx after sending)."""

    SAFE = "safe"
    """Resend within the retry budget: reads, and writes of absolute values."""
    RECONCILE = "reconcile"
    """Never resend blind: raise ``OutcomeUnknown``; the caller reads state back and decides."""
    NEVER = "never"
    """Never resend, whatever happened."""


@dataclass(frozen=True, slots=True)
class ApiRequest(Generic[T]):
    """One request that somebody may send; building it sends nothing.

    :param operation: the vendor's operation in words, for errors and logs (``"update variables"``).
    :param method: HTTP verb in upper case.
    :param route: the path template, safe to log (``/v1/agents/{agentId}/deployments``).
    :param path: the percent-encoded path that is sent.
    :param read: turns the decoded JSON body (``None`` for an empty one) into ``T``.
    :param replay: what may be done when the outcome is unknown.
    :param query: query parameters in order.
    :param body: JSON body, or ``None`` for no body; never shown by ``repr``.
    :param deadline: total seconds for the call including retries; ``None`` takes the client's.
    :param shown: names of query and body fields whose values are identifiers (``connectorId``,
        ``phoneNumbers``), so that an error may quote them; any other value that was sent is masked.
    """

    operation: str
    method: str
    route: str
    path: str
    read: Callable[[Any], T] = field(repr=False, compare=False)
    replay: Replay
    query: tuple[tuple[str, str], ...] = ()
    body: Mapping[str, Any] | None = field(default=None, repr=False)
    deadline: float | None = None
    shown: frozenset[str] = frozenset()

    @property
    def key(self) -> RequestKey:
        """Identity of what the call addresses; two reads with one key are one request."""
        return (self.method, self.path, self.query)


def fill(route: str, **values: str) -> str:
    """Fill a path template, percent-encoding every value with nothing left safe.

    :param route: template such as ``/v1/agents/{agentId}``.
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
    if any(character in "/\\" or ord(character) < 32 or ord(character) == 127 for character in value):
        raise InputError(f"{name} must not hold a slash, a backslash or a control character")
    try:
        return quote(value, safe="")
    except UnicodeEncodeError:
        raise InputError(f"{name} must not hold half of a surrogate pair") from None
