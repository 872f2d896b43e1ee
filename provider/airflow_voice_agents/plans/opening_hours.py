"""Parses opening hours; unreadable hours are an error and never a closed day."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import pairwise

from airflow_voice_agents.transport.errors import InputError

CLOSED, ALL_DAY = (
    frozenset({"closed", "shut"}),
    frozenset({"24 hours", "24h", "24/7", "open 24 hours", "all day"}),
)
"""Words for a day without and with nothing but opening hours."""
MINUTES = 24 * 60

_SPAN = re.compile(r"\s*(.+?)\s*(?:[-\u2010-\u2015\u2212]|\bto\b|\buntil\b)\s*(.+?)\s*", re.IGNORECASE)
_TIME = re.compile(
    r"([0-9]{1,2})(?:[:.]([0-9]{2}))?\s*(a\.?m\.?|p\.?m\.?)?|(noon|midnight)", re.IGNORECASE | re.ASCII
)

Span = tuple[str, str]
"""Opening and closing time, ``HH:MM``. Closing is ``24:00`` at the day's end, and not after opening past midnight."""


def parse_hours(text: object, *, where: str = "opening hours") -> list[Span]:
    """Return the spans of a day, in order; none for a closed one.

    ``09:00-18:00`` with any dash, ``9.30am to 5pm``, ``09:00-12:00, 13:00-17:00``, ``22:00-02:00`` past midnight,
    ``24 hours`` and ``closed`` are read. Nothing at all is refused: write ``closed``.

    :param text: the hours of one day.
    :param where: the site and the day, for the error.
    :raises InputError: for everything else, with the reason.
    """
    if not isinstance(text, str) or not (words := " ".join(text.split()).casefold()):
        raise _unreadable(where, text, "is blank; write closed for a day without hours")
    if words in CLOSED:
        return []
    if words in ALL_DAY:
        return [("00:00", "24:00")]
    spans = [_span(part, where, text) for part in re.split(r"[,;&]|\band\b|\n", words)]
    for (_, before), (after, _) in pairwise(spans):
        if after < before:
            raise _unreadable(where, text, "has hours that overlap or are not in order")
    if any(end <= start for start, end in spans[:-1]):
        raise _unreadable(where, text, "goes past midnight before other hours of the same day")
    if len(spans) > 1 and spans[-1][1] <= spans[-1][0] and spans[-1][1] > spans[0][0]:
        raise _unreadable(where, text, "goes past midnight into its own first hours")
    return [(_clock(start), _clock(end)) for start, end in spans]


def parse_week(cells: Mapping[str, object], *, site: str, days: Mapping[str, str]) -> dict[str, list[Span]]:
    """Return the spans of several days, naming every day that cannot be read.

    :param cells: column -> hours of a day.
    :param site: the site, for the error.
    :param days: day -> its column.
    :raises InputError: naming the site and each day.
    """
    found: dict[str, list[Span]] = {}
    problems = []
    for day, column in days.items():
        try:
            found[day] = parse_hours(cells.get(column), where=f"{site}, {day}")
        except InputError as error:
            problems.append(str(error))
    if problems:
        raise InputError("\n".join(problems))
    return found


def _span(part: str, where: str, text: object) -> tuple[int, int]:
    match = _SPAN.fullmatch(part)
    first, last = (match and _TIME.fullmatch(match.group(side)) for side in (1, 2))
    if not first or not last:
        raise _unreadable(where, text, "is not an opening and a closing time")
    halves = [_half(each) for each in (first, last)]
    if halves.count("") == 1:
        raise _unreadable(where, text, "has am or pm at one time only; write both, or neither")
    if "" in halves and not (first.group(2) and last.group(2)):
        raise _unreadable(where, text, "has no minutes and neither am nor pm; write 09:00-17:00")
    start, end = _minutes(first, where, text), _minutes(last, where, text)
    if start in (MINUTES, end):
        raise _unreadable(where, text, "opens when it closes; write 24 hours or closed")
    return start, end or (MINUTES if halves[1] != "" or start else 0)


def _half(match: re.Match[str]) -> str:
    return match.group(4) or (match.group(3) or "").replace(".", "")


def _minutes(match: re.Match[str], where: str, text: object) -> int:
    if named := match.group(4):
        return 12 * 60 if named == "noon" else 0
    hour, minute, half = int(match.group(1)), int(match.group(2) or 0), _half(match)
    top = 12 if half else 24
    if minute > 59 or hour > top or (half and hour == 0) or (hour == 24 and minute):
        raise _unreadable(where, text, "has a time that does not exist")
    if half:
        hour = hour % 12 + (12 if half == "pm" else 0)
    return hour * 60 + minute


def _clock(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"


def _unreadable(where: str, text: object, reason: str) -> InputError:
    shown = repr(text if isinstance(text, str) else type(text).__name__)[:60]
    return InputError(f"{where}: {shown} {reason}. Nothing was sent.")
