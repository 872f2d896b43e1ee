"""Moments as conditions compare and keep them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow_voice_agents.transport.errors import InputError

BUCKET = timedelta(minutes=5)
"""How long one interval of the platform's concurrency is."""


def parse_moment(value: object, *, name: str) -> datetime:
    """Read a moment.

    :param value: an aware time, or ISO 8601 with a zone.
    :param name: what to call the argument in the error.
    :raises InputError: for anything else.
    """
    found = read_moment(value) if isinstance(value, str) else value
    if not isinstance(found, datetime) or found.tzinfo is None:
        raise InputError(f"{name} must be a time with a zone, as ISO 8601 writes it")
    return found.astimezone(UTC)


def read_moment(text: str) -> datetime | None:
    """Read a moment as it was kept or answered; ``None`` for what is none.

    :param text: ISO 8601.
    """
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def bucket_of(moment: datetime) -> datetime:
    """Return the beginning of the five minutes that a moment is in.

    :param moment: aware.
    """
    step = BUCKET.total_seconds()
    return datetime.fromtimestamp(moment.timestamp() // step * step, UTC)
