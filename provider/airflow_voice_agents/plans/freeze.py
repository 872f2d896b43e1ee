"""Freeze windows: times without writes, in the local time of a zone, once or by a rule.

A window is computed as a calendar on the wall would: Friday 22:00 to Saturday 06:00 stays at those hours
whatever daylight saving does in between. Where the clocks are turned, a freeze is never cut short: an hour
that comes twice is begun with the first and ended with the second.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import msgspec
from dateutil.rrule import rrule, rrulestr

from airflow_voice_agents.plans.plan import Finding, error, warning
from airflow_voice_agents.transport.errors import InputError
from airflow_voice_agents.transport.suggestions import hints

MEMBERS = ("start", "end", "duration", "timezone", "rrule", "reason")
FREQUENCIES = ("DAILY", "WEEKLY", "MONTHLY", "YEARLY")
RULE_PARTS = (
    "FREQ", "INTERVAL", "COUNT", "UNTIL", "WKST",
    "BYMONTH", "BYMONTHDAY", "BYYEARDAY", "BYWEEKNO", "BYDAY", "BYSETPOS",
)  # fmt: skip
"""Parts of a rule that are taken: with them a window begins at most once a day."""

YEARS = range(1970, 3000)
LONGEST = timedelta(days=3660)
_SHIFT = timedelta(days=2)
"""More than any zone has ever moved its clocks at once."""

_DURATION = re.compile(
    r"P(?!$)(?:([0-9]{1,6})W)?(?:([0-9]{1,6})D)?"
    r"(?:T(?!$)(?:([0-9]{1,6})H)?(?:([0-9]{1,6})M)?(?:([0-9]{1,6})S)?)?"
)
_PART = re.compile(r"([A-Z]+)=([A-Z0-9,+-]+)")
_UNTIL = re.compile(r"[0-9]{8}(?:T[0-9]{6}Z?)?")


class FreezeWindow(msgspec.Struct, frozen=True):
    """A time at which nothing is written.

    :param start: wall time at which it begins; with a rule, the earliest and the time of day of all.
    :param length: how long it lasts on the wall clock.
    :param timezone: IANA name of the zone whose wall time is meant.
    :param rule: RFC 5545 recurrence rule without the word RRULE, or ``None`` for once.
    :param reason: why, for people.
    """

    start: datetime
    length: timedelta
    timezone: str
    rule: str | None = None
    reason: str = ""

    @classmethod
    def parse(cls, value: object, name: str) -> FreezeWindow:
        """Read a window.

        :param value: ``start``; ``end`` or ``duration``; ``timezone``; if wanted ``rrule`` and ``reason``.
            Times are wall times without an offset (``"2026-12-20T18:00"``), a date alone means its first
            moment. A duration has weeks, days, hours, minutes and seconds (``"PT8H"``, ``"P3D"``).
            With a rule only what the rule yields is frozen, even if that leaves out ``start`` itself.
        :param name: what the window is called in messages.
        :raises InputError: when it is not like that, or the rule never comes true.
        """
        if not isinstance(value, Mapping):
            raise InputError(f"{name} must hold start, end or duration, and timezone. Nothing was sent.")
        if unknown := sorted(str(key) for key in value if key not in MEMBERS):
            raise InputError(
                f"{name} holds {', '.join(unknown)}; known are {', '.join(MEMBERS)}{hints(unknown, MEMBERS)}"
            )
        zone = _zone(value.get("timezone"), f"{name}.timezone")
        start = _wall(value.get("start"), f"{name}.start")
        rule = None if value.get("rrule") is None else _rule(value["rrule"], start, zone, f"{name}.rrule")
        reason = value.get("reason", "")
        if not isinstance(reason, str):
            raise InputError(f"{name}.reason must be text, not {reason!r}. Nothing was sent.")
        return cls(start, _length(value, start, name), zone.key, rule, reason.strip())

    def occurrences(self, at: datetime) -> Iterator[Frozen]:
        """Yield the times of this window that hold a moment.

        :param at: the moment, with its zone.
        """
        zone = ZoneInfo(self.timezone)
        wall = at.astimezone(zone).replace(tzinfo=None)
        starts = self._starts(wall - self.length - _SHIFT, wall + _SHIFT)
        for found in (Frozen(self, *_placed(start, self.length, zone)) for start in starts):
            if found.since <= at < found.until:
                yield found

    def following(self, at: datetime) -> Frozen | None:
        """Return the first time of this window that begins after a moment, or ``None``.

        :param at: the moment, with its zone.
        """
        zone = ZoneInfo(self.timezone)
        wall = at.astimezone(zone).replace(tzinfo=None)
        if self.rule is None:
            start = self.start if self.start > wall else None
        else:
            start = _recurrence(self.rule, self.start).after(wall)
        return None if start is None else Frozen(self, *_placed(start, self.length, zone))

    def _starts(self, earliest: datetime, latest: datetime) -> list[datetime]:
        if self.rule is None:
            return [self.start]
        return _recurrence(self.rule, self.start).between(earliest, latest, inc=True)


class Frozen(msgspec.Struct, frozen=True):
    """One time of a window.

    :param window: the window.
    :param since: when it began, in UTC, so that it can be compared with any other moment.
    :param until: when it ends, in UTC; that moment is no longer frozen.
    """

    window: FreezeWindow
    since: datetime
    until: datetime


def windows(values: object, name: str = "freeze") -> tuple[FreezeWindow, ...]:
    """Read a list of windows; ``None`` means no windows.

    :param values: a list of what :meth:`FreezeWindow.parse` reads.
    :param name: what the list is called in messages.
    :raises InputError: when it is no list, or an entry is no window.
    """
    if values is None:
        return ()
    if not isinstance(values, list | tuple):
        raise InputError(f"{name} must be a list of freeze windows. Nothing was sent.")
    return tuple(FreezeWindow.parse(value, f"{name}[{place}]") for place, value in enumerate(values))


def active(windows: Iterable[FreezeWindow], at: datetime) -> Frozen | None:
    """Return the freeze that holds at a moment, the one that ends last if there are several, or ``None``.

    :param windows: all windows.
    :param at: the moment, with its zone.
    :raises InputError: when the moment has no zone.
    """
    if at.utcoffset() is None:
        raise InputError("Freeze windows are compared with a moment that has a time zone.")
    found = (each for window in windows for each in window.occurrences(at.astimezone(UTC)))
    return max(found, key=lambda each: each.until, default=None)


def check_freeze(windows: Iterable[FreezeWindow], at: datetime, override: str | None) -> Iterator[Finding]:
    """Guard against writing during a freeze.

    :param windows: all windows.
    :param at: the moment of the run, with its zone.
    :param override: why it is written all the same, or nothing.
    :raises InputError: when the moment has no zone.
    """
    frozen = active(windows, at)
    if frozen is None:
        return
    told = f"A freeze is on{_because(frozen.window)}, since {_shown(frozen, frozen.since)}"
    if override and override.strip():
        yield warning(
            "freeze_overridden",
            f"{told} until {_shown(frozen, frozen.until)}. It is overridden: {override.strip()}",
        )
    else:
        yield error(
            "freeze",
            f"{told}. Wait until {_shown(frozen, frozen.until)}, or pass override_freeze='reason' if this "
            "cannot wait.",
        )


def _because(window: FreezeWindow) -> str:
    return f" ({window.reason})" if window.reason else ""


def _shown(frozen: Frozen, moment: datetime) -> str:
    there = moment.astimezone(ZoneInfo(frozen.window.timezone))
    return f"{_minutes(there)} {frozen.window.timezone} ({_minutes(moment)} UTC)"


def _minutes(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S}".removesuffix(":00")


def _placed(start: datetime, length: timedelta, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """Put a stretch of wall time into its zone, and return it in UTC.

    ``fold`` tells the two readings of a wall time apart that exists twice; of one that does not exist, the
    first reading is the one moved forward by the gap. Where only the start falls into a gap, it may be moved
    past the end; then the freeze keeps its length.
    """
    since, _ = _readings(start, zone)
    until = max(_readings(start + length, zone))
    return since, until if until > since else since + length


def _readings(wall: datetime, zone: ZoneInfo) -> tuple[datetime, datetime]:
    local = wall.replace(tzinfo=zone)
    return local.replace(fold=0).astimezone(UTC), local.replace(fold=1).astimezone(UTC)


def _zone(value: object, name: str) -> ZoneInfo:
    try:
        if isinstance(value, str):
            return ZoneInfo(value)
    except (KeyError, ValueError, OSError):
        pass
    raise InputError(f"{name} must be an IANA zone like Europe/Berlin, not {value!r}. Nothing was sent.")


def _wall(value: object, name: str) -> datetime:
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    except ValueError:
        moment = None
    if isinstance(moment, date) and not isinstance(moment, datetime):
        moment = datetime.combine(moment, time.min)
    if not isinstance(moment, datetime) or moment.year not in YEARS or moment.microsecond:
        raise InputError(
            f"{name} must be a time like 2026-12-20T18:00 or a date, in whole seconds and the years "
            f"{YEARS[0]} to {YEARS[-1]}, not {value!r}. Nothing was sent."
        )
    if moment.tzinfo is not None:
        raise InputError(f"{name} is wall time in the window's timezone: leave out the offset of {value!r}.")
    return moment


def _length(value: Mapping[str, object], start: datetime, name: str) -> timedelta:
    end, duration = value.get("end"), value.get("duration")
    if (end is None) == (duration is None):
        raise InputError(f"{name} must hold either end or duration. Nothing was sent.")
    length = _duration(duration, f"{name}.duration") if end is None else _wall(end, f"{name}.end") - start
    if not timedelta(0) < length <= LONGEST:
        raise InputError(f"{name} must end after it begins, within {LONGEST.days} days. Nothing was sent.")
    return length


def _duration(value: object, name: str) -> timedelta:
    found = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise InputError(f"{name} must be a duration like PT8H or P3D, not {value!r}. Nothing was sent.")
    weeks, days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
    return timedelta(weeks=weeks, days=days, hours=hours, minutes=minutes, seconds=seconds)


def _rule(value: object, start: datetime, zone: ZoneInfo, name: str) -> str:
    """Return the rule as dateutil takes it for wall time: UNTIL as wall time, the week's first day named."""
    parts = _parts(value, name)
    if "UNTIL" in parts:
        parts["UNTIL"] = _until(parts["UNTIL"], zone, name)
    rule = ";".join(f"{part}={said}" for part, said in {"WKST": "MO", **parts}.items())
    try:
        comes = next(iter(_recurrence(rule, start)), None)
    except (ValueError, IndexError, TypeError) as wrong:
        raise InputError(f"{name} is no recurrence rule: {wrong}. Nothing was sent.") from wrong
    if comes is None:
        raise InputError(f"{name} never comes true after start. Nothing was sent.")
    return rule


def _parts(value: object, name: str) -> dict[str, str]:
    found = [_PART.fullmatch(part) for part in value.upper().split(";")] if isinstance(value, str) else [None]
    pairs = [(match[1], match[2]) for match in found if match]
    parts = dict(pairs)
    if len(pairs) < len(found) or len(parts) < len(pairs) or any(part not in RULE_PARTS for part in parts):
        raise InputError(
            f"{name} must be one RFC 5545 rule like FREQ=WEEKLY;BYDAY=FR, each part once and of "
            f"{', '.join(RULE_PARTS)}; start is its DTSTART, and its exceptions are not known here. "
            "Nothing was sent."
        )
    _check_parts(parts, name)
    return parts


def _check_parts(parts: Mapping[str, str], name: str) -> None:
    frequency = parts.get("FREQ")
    if frequency not in FREQUENCIES:
        raise InputError(f"{name} needs FREQ, one of {', '.join(FREQUENCIES)}. Nothing was sent.")
    if "COUNT" in parts and "UNTIL" in parts:
        raise InputError(f"{name} may hold COUNT or UNTIL, not both. Nothing was sent.")
    for part in ("INTERVAL", "COUNT"):
        if not re.fullmatch(r"0*[1-9][0-9]{0,5}", parts.get(part, "1")):
            raise InputError(f"{name}: {part} must be a whole number from 1. Nothing was sent.")
    if frequency in {"DAILY", "WEEKLY"} and re.search("[0-9]", parts.get("BYDAY", "")):
        raise InputError(f"{name}: numbered days in BYDAY need FREQ=MONTHLY or YEARLY. Nothing was sent.")


def _until(said: str, zone: ZoneInfo, name: str) -> str:
    """Return UNTIL as wall time: given in UTC it is converted, given as a date it includes the whole day."""
    try:
        until = datetime.fromisoformat(said) if _UNTIL.fullmatch(said) else None
    except ValueError:
        until = None
    if until is None or until.year not in YEARS:
        raise InputError(f"{name}: UNTIL must be like 20271231, 20271231T235959 or 20271231T235959Z.")
    if "T" not in said:
        until = datetime.combine(until, time(23, 59, 59))
    return f"{until.astimezone(zone) if until.tzinfo else until:%Y%m%dT%H%M%S}"


def _recurrence(rule: str, start: datetime) -> rrule:
    found = rrulestr(rule, dtstart=start)
    assert isinstance(found, rrule)  # noqa: S101  # a rule of one line is never a set
    return found
