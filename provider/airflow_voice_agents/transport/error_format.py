"""The error vocabulary of a platform: its codes, and how it marks and shapes its errors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from msgspec.structs import force_setattr

from airflow_voice_agents.transport.redaction import Redactor


class ErrorBody(msgspec.Struct, frozen=True):
    """The content of an error body, fit to be shown.

    :param error_code: the platform's code, as it came.
    :param message: one line of at most 300 characters; empty when the body says nothing.
    :param field_errors: ``path: message`` per field.
    :param correlation_id: the id in the body under which the platform finds the request.
    :param status: HTTP status that the body itself stands for, where its shape says so.
    :param recognized: the body has one of the error shapes that platforms declare.
    """

    error_code: str | None = None
    message: str = ""
    field_errors: tuple[str, ...] = ()
    correlation_id: str | None = None
    status: int | None = None
    recognized: bool = False


ErrorReader = Callable[[Mapping[str, Any], Redactor], ErrorBody | None]
"""Reads an error body of one shape; ``None`` for a body of another shape."""


class ErrorFormat(msgspec.Struct, frozen=True):
    """The documented errors of one platform, as data for the transport.

    :param codes: HTTP status that each error code stands for; codes are symbolic or numeric texts, compared
        without regard to case and underscores. A code that is not listed stands for nothing.
    :param flags: members of a JSON object that make it an error when they have exactly this value, whatever
        the HTTP status of the response.
    :param members: members of a JSON object that make it an error when they hold anything: neither null nor
        empty, ``0`` or a boolean.
    :param readers: readers of error shapes that only this platform has, tried before the common ones.
    """

    codes: Mapping[str, int] = msgspec.field(default_factory=dict)
    flags: Mapping[str, bool] = msgspec.field(default_factory=dict)
    members: frozenset[str] = frozenset()
    readers: tuple[ErrorReader, ...] = ()

    def __post_init__(self) -> None:
        codes = {normalize_code(code): status for code, status in self.codes.items()}
        force_setattr(self, "codes", codes)

    def marks(self, payload: object) -> bool:
        """Tell whether decoded JSON is an error although its HTTP status is one of success.

        :param payload: decoded body.
        """
        if not isinstance(payload, Mapping):
            return False
        flagged = any(payload.get(name) is value for name, value in self.flags.items())
        return flagged or any(_holds_something(payload.get(name)) for name in self.members)

    def status_of(self, body: ErrorBody) -> int | None:
        """Return the HTTP status that an error body stands for by itself, or ``None`` for an unknown one.

        :param body: the error body.
        """
        known = self.codes.get(normalize_code(body.error_code)) if body.error_code else None
        return body.status if known is None else known


def normalize_code(code: str) -> str:
    """Return the form in which codes are compared: lower case without underscores.

    :param code: a platform's error code.
    """
    return code.replace("_", "").lower()


def _holds_something(value: object) -> bool:
    return bool(value.strip()) if isinstance(value, str) else bool(value) and value is not True
