"""Arguments that several conditions take."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from airflow_voice_agents.transport.errors import InputError
from airflow_voice_agents.transport.validation import decode_list, parse_choice, parse_identifier

FAIL_ON = ("failed", "never")
"""Fail the task on a bad outcome, or only report it."""


def parse_fail_on(value: object) -> str:
    """Check whether a bad end is to fail the wait.

    :param value: one of ``FAIL_ON``.
    :raises InputError: for anything else.
    """
    return parse_choice(value, name="fail_on", choices=FAIL_ON)


def parse_ids(value: object, *, name: str) -> tuple[str, ...]:
    """Check ids, and leave out repeats; there may be none.

    :param value: a list; ``None``; or a text: a JSON list, or ids separated by commas.
    :param name: what to call the argument in the error.
    :raises InputError: for anything else, and for an id that cannot be one.
    """
    given = [] if value is None else decode_list(value, name=name) if isinstance(value, str) else value
    if not isinstance(given, Sequence):
        raise InputError(f"{name} must be a list of ids, not {type(value).__name__}")
    ids = [parse_identifier(each, name=f"{name}[{index}]") for index, each in enumerate(given)]
    return tuple(dict.fromkeys(ids))


def parse_whole(value: object, *, name: str) -> int:
    """Check a number of things that may be 0.

    :param value: the number.
    :param name: what to call the argument in the error.
    :raises InputError: for anything but a whole number from 0.
    """
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    raise InputError(f"{name} must be a whole number from 0")


def parse_flag(value: object, *, name: str) -> bool:
    """Check a flag.

    :param value: ``True`` or ``False``.
    :param name: what to call the argument in the error.
    :raises InputError: for anything else.
    """
    if isinstance(value, bool):
        return value
    raise InputError(f"{name} must be true or false, not {type(value).__name__}")


def parse_moment(value: object, *, name: str) -> datetime:
    """Check a moment, and return it in UTC.

    :param value: an aware time, or ISO 8601 with a zone.
    :param name: what to call the argument in the error.
    :raises InputError: for anything else.
    """
    found = _read_moment(value) if isinstance(value, str) else value
    if not isinstance(found, datetime) or found.tzinfo is None:
        raise InputError(f"{name} must be a time with a zone, as ISO 8601 writes it")
    return found.astimezone(UTC)


def _read_moment(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None
