"""Lists of which a request takes a part, by number and offset."""

from __future__ import annotations

from typing import TypeVar

from airflow_voice_agents.emulator.request import EmulatorRequest, Problem

T = TypeVar("T")


def page_of(exchange: EmulatorRequest, items: list[T], *, most: int) -> tuple[list[T], int, int]:
    """The part of a list that a request asks for, and its ``limit`` and ``offset``.

    :param most: how many there are without a ``limit``.
    :raises Problem: 400 for anything but whole numbers.
    """
    limit, offset = number(exchange, "limit", most), number(exchange, "offset", 0)
    return items[offset : offset + limit], limit, offset


def number(exchange: EmulatorRequest, name: str, default: int) -> int:
    """A whole number of the query.

    :raises Problem: 400 for anything else.
    """
    text = exchange.query.get(name, str(default))
    if not (text.isascii() and text.isdigit()):
        raise Problem(400, f"{name} must be a whole number", "VALIDATION_FAILED")
    return int(text)
