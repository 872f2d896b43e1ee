"""Freeze windows: wall times, zones, changes of the clocks, rules, and how they are overridden."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_voice_agents.plans.freeze import (
    FreezeWindow,
    Frozen,
    active,
    check_freeze,
    windows,
)
from airflow_voice_agents.plans.plan import Severity
from airflow_voice_agents.transport.errors import InputError
from support.json_values import bounded

BERLIN = "Europe/Berlin"
NIGHTS = {"start": "2026-01-01T22:00", "end": "2026-01-02T06:00", "timezone": BERLIN, "rrule": "FREQ=DAILY"}


def window(**members: Any) -> FreezeWindow:
    return FreezeWindow.parse(
        {"start": "2026-12-20T18:00", "duration": "PT8H", "timezone": BERLIN, **members}, "freeze"
    )


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def stretch(found: FreezeWindow, at: str) -> tuple[str, str] | None:
    """The freeze that holds at a moment in UTC, as moments in UTC."""
    frozen = active([found], utc(at))
    return frozen and (f"{frozen.since:%m-%d %H:%M}", f"{frozen.until:%m-%d %H:%M}")


# ---------------------------------------------------------------------------------------- reading


@pytest.mark.parametrize(
    ("members", "since", "until"),
    [
        ({"end": "2026-12-27T06:00"}, "12-20 17:00", "12-27 05:00"),
        ({"start": "2026-12-20", "end": "2026-12-27"}, "12-19 23:00", "12-26 23:00"),
        ({"start": date(2026, 12, 20), "end": datetime(2026, 12, 21)}, "12-19 23:00", "12-20 23:00"),  # noqa: DTZ001
        ({"duration": "P3D"}, "12-20 17:00", "12-23 17:00"),
        ({"duration": "P1W2DT3H4M5S"}, "12-20 17:00", "12-29 20:04"),
        ({"duration": "PT90M"}, "12-20 17:00", "12-20 18:30"),
        ({"duration": "PT8H", "timezone": "Asia/Kolkata"}, "12-20 12:30", "12-20 20:30"),
        ({"duration": "PT8H", "timezone": "UTC"}, "12-20 18:00", "12-21 02:00"),
    ],
)
def test_a_window_once(members: dict[str, Any], since: str, until: str) -> None:
    value = {"start": "2026-12-20T18:00", "timezone": BERLIN, **members}
    assert stretch(FreezeWindow.parse(value, "freeze"), "2026-12-20T17:59") == (
        (since, until) if since < "12-20 17:59" else None
    )
    found = FreezeWindow.parse(value, "freeze")
    assert stretch(found, "2026-12-20T18:00") == (since, until)


def test_the_end_is_no_longer_frozen_and_the_start_is() -> None:
    found = window()
    assert stretch(found, "2026-12-20T16:59:59") is None
    assert stretch(found, "2026-12-20T17:00") == ("12-20 17:00", "12-21 01:00")
    assert stretch(found, "2026-12-21T00:59:59") == ("12-20 17:00", "12-21 01:00")
    assert stretch(found, "2026-12-21T01:00") is None


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"start": None}, r"freeze\.start must be a time"),
        ({"start": "tomorrow"}, r"freeze\.start must be a time"),
        ({"start": 20261220}, r"freeze\.start must be a time"),
        ({"start": "2026-12-20T18:00:00.5"}, r"freeze\.start must be a time"),
        ({"start": "1969-12-31"}, r"freeze\.start must be a time"),
        ({"start": "3000-01-01"}, r"freeze\.start must be a time"),
        ({"start": "2026-12-20T18:00+01:00"}, r"freeze\.start is wall time"),
        ({"start": "2026-12-20T18:00Z"}, r"freeze\.start is wall time"),
        ({"duration": None}, "freeze must hold either end or duration"),
        ({"end": "2026-12-21"}, "freeze must hold either end or duration"),
        ({"duration": None, "end": "2026-12-20T18:00"}, "freeze must end after it begins"),
        ({"duration": None, "end": "2026-12-20"}, "freeze must end after it begins"),
        ({"duration": None, "end": "2026-12-21T00:00Z"}, r"freeze\.end is wall time"),
        ({"duration": "PT0S"}, "freeze must end after it begins"),
        ({"duration": "P999999W"}, "freeze must end after it begins"),
        *(
            ({"duration": wrong}, r"freeze\.duration must be a duration")
            for wrong in (
                "",
                "P",
                "PT",
                "P1DT",
                "P1Y",
                "P1M",
                "8H",
                "PT1.5H",
                "-PT1H",
                "PT1H ",
                "P1D2W",
                8,
                "PT٣H",
            )
        ),
        *(
            ({"timezone": wrong}, r"freeze\.timezone must be an IANA zone")
            for wrong in (
                None,
                "",
                "Berlin",
                "+01:00",
                "../../etc/passwd",
                "/etc/passwd",
                "Europe",
                "a\0b",
                1,
            )
        ),
        ({"reason": 5}, r"freeze\.reason must be text"),
        ({"until": "2027"}, "freeze holds until; known are start, end, duration"),
    ],
)
def test_what_is_no_window_is_refused_with_its_name(members: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=f"^{message}"):
        window(**members)


@pytest.mark.parametrize("value", [None, "2026-12-20", ["2026-12-20"], 1])
def test_a_window_is_a_mapping(value: Any) -> None:
    with pytest.raises(InputError, match=r"^freeze must hold start"):
        FreezeWindow.parse(value, "freeze")


def test_a_list_of_windows_names_the_wrong_one() -> None:
    assert windows(None) == windows([]) == ()
    assert windows([NIGHTS, NIGHTS]) == (FreezeWindow.parse(NIGHTS, "x"),) * 2
    with pytest.raises(InputError, match=r"^freeze\[1\]\.timezone"):
        windows([NIGHTS, {**NIGHTS, "timezone": "x"}])
    with pytest.raises(InputError, match=r"^holidays must be a list"):
        windows(NIGHTS, "holidays")


# ----------------------------------------------------------------------------------------- clocks


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        ("2026-03-28T23:00", ("03-28 21:00", "03-29 04:00")),  # one hour less, the same wall times
        ("2026-03-29T03:59", ("03-28 21:00", "03-29 04:00")),
        ("2026-03-29T04:00", None),
        ("2026-03-29T20:00", ("03-29 20:00", "03-30 04:00")),
        ("2026-10-24T20:00", ("10-24 20:00", "10-25 05:00")),  # one hour more
        ("2026-10-25T04:59", ("10-24 20:00", "10-25 05:00")),
        ("2026-10-25T05:00", None),
    ],
)
def test_a_night_in_which_the_clocks_change_keeps_its_wall_times(
    at: str, expected: tuple[str, str] | None
) -> None:
    assert stretch(FreezeWindow.parse(NIGHTS, "freeze"), at) == expected


@pytest.mark.parametrize(
    ("start", "duration", "since", "until"),
    [
        # 2026-03-29 in Berlin: 02:00 to 03:00 does not exist; 01:00 UTC is 03:00 there.
        ("2026-03-29T02:30", "PT4H", "03-29 01:30", "03-29 04:30"),
        ("2026-03-28T22:30", "PT4H", "03-28 21:30", "03-29 01:30"),
        ("2026-03-29T02:10", "PT30M", "03-29 01:10", "03-29 01:40"),
        ("2026-03-29T02:30", "PT40M", "03-29 01:30", "03-29 02:10"),
        # 2026-10-25: 02:00 to 03:00 comes twice, first at 00:00 UTC, then at 01:00 UTC.
        ("2026-10-25T02:30", "PT4H", "10-25 00:30", "10-25 05:30"),
        ("2026-10-24T22:30", "PT4H", "10-24 20:30", "10-25 01:30"),
        ("2026-10-25T02:15", "PT30M", "10-25 00:15", "10-25 01:45"),
        ("2026-10-24T12:00", "P1D", "10-24 10:00", "10-25 11:00"),
    ],
)
def test_wall_times_that_do_not_exist_or_come_twice(
    start: str, duration: str, since: str, until: str
) -> None:
    for rule in (None, "FREQ=YEARLY", "FREQ=DAILY;INTERVAL=2"):
        found = window(start=start, duration=duration, rrule=rule)
        moment, end = utc(f"2026-{since.replace(' ', 'T')}"), utc(f"2026-{until.replace(' ', 'T')}")
        while moment < end:
            assert stretch(found, f"{moment:%Y-%m-%dT%H:%M}") == (since, until)
            moment += timedelta(minutes=5)
        assert stretch(found, f"{end:%Y-%m-%dT%H:%M}") is None


def test_a_zone_that_left_out_a_whole_day() -> None:
    """Samoa went from 29 to 31 December 2011."""
    found = window(start="2011-12-30T12:00", duration="PT1H", timezone="Pacific/Apia")
    assert stretch(found, "2011-12-30T22:00") == ("12-30 22:00", "12-30 23:00")


ZONES = st.sampled_from(
    [BERLIN, "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "America/Santiago"]
)
FIRST = datetime(2026, 1, 1)  # noqa: DTZ001


@bounded(400)
@given(
    zone=ZONES,
    minute=st.integers(0, 24 * 12 - 1),
    length=st.integers(1, 60 * 12),
    step=st.sampled_from([1, 2, 7]),
    at=st.integers(0, 400 * 24 * 12),
)
def test_a_moment_is_frozen_exactly_when_some_night_holds_it(
    zone: str, minute: int, length: int, step: int, at: int
) -> None:
    """Compared with every occurrence of the year, each placed by trying the offsets around it."""
    start, lasting = FIRST + timedelta(minutes=5 * minute), timedelta(minutes=5 * length)
    found = FreezeWindow(start, lasting, zone, f"FREQ=DAILY;INTERVAL={step}")
    moment = FIRST.replace(tzinfo=UTC) + timedelta(minutes=5 * at)

    nights = ((start + timedelta(days=day), lasting) for day in range(0, 410, step))
    held = [each for each in (placed(*night, zone) for night in nights) if each[0] <= moment < each[1]]
    frozen = active([found], moment)

    assert (frozen and (frozen.since, frozen.until)) == max(held, key=lambda each: each[1], default=None)


def placed(wall: datetime, lasting: timedelta, zone: str) -> tuple[datetime, datetime]:
    since, until = min(moments(wall, zone)), max(moments(wall + lasting, zone))
    return since, until if until > since else since + lasting


def moments(wall: datetime, zone: str) -> list[datetime]:
    """The moments at which a clock on the wall shows a time; in a gap, what it would be without the gap."""
    around = (wall.replace(tzinfo=UTC) + timedelta(days=days) for days in (-2, 2))
    before, after = (each.astimezone(ZoneInfo(zone)).utcoffset() or timedelta(0) for each in around)
    possible = {wall.replace(tzinfo=UTC) - offset for offset in (before, after)}
    real = [each for each in possible if each.astimezone(ZoneInfo(zone)).replace(tzinfo=None) == wall]
    return real or [wall.replace(tzinfo=UTC) - before]


@bounded(300)
@given(
    zone=ZONES,
    start=st.datetimes(datetime(2025, 1, 1), datetime(2030, 1, 1)),  # noqa: DTZ001
    minutes=st.integers(1, 3 * 24 * 60),
)
def test_a_freeze_never_loses_more_than_the_clocks_leave_out(
    zone: str, start: datetime, minutes: int
) -> None:
    lasting = timedelta(minutes=minutes)
    since, until = placed(start, lasting, zone)
    (found,) = FreezeWindow(start, lasting, zone).occurrences(since)
    here = ZoneInfo(zone)
    turned = (until.astimezone(here).utcoffset() or lasting) - (since.astimezone(here).utcoffset() or lasting)
    assert found == Frozen(found.window, since, until)
    assert until - since >= lasting - max(turned, timedelta(0))


# ------------------------------------------------------------------------------------------ rules


def days(found: FreezeWindow, year: int) -> Iterator[str]:
    """The days of a year on which an occurrence of a window begins."""
    moment = datetime(year, 1, 1, tzinfo=UTC)
    seen: set[datetime] = set()
    while moment.year == year:
        for frozen in found.occurrences(moment):
            if frozen.since not in seen:
                seen.add(frozen.since)
                yield f"{frozen.since.astimezone(ZoneInfo(found.timezone)):%m-%d}"
        moment += timedelta(hours=3)


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("FREQ=WEEKLY;BYDAY=FR;COUNT=3", ["12-25"]),
        ("freq=weekly;byday=fr;count=1", ["12-25"]),
        ("FREQ=DAILY;COUNT=3", ["12-20", "12-21", "12-22"]),
        ("FREQ=DAILY;INTERVAL=5", ["12-20", "12-25", "12-30"]),
        ("FREQ=MONTHLY;BYMONTHDAY=-1", ["12-31"]),
        ("FREQ=MONTHLY;BYDAY=-1WE", ["12-30"]),
        ("FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1", ["12-31"]),
        ("FREQ=YEARLY;BYMONTH=12;BYMONTHDAY=24,25", ["12-24", "12-25"]),
        ("FREQ=DAILY;UNTIL=20261222", ["12-20", "12-21", "12-22"]),
        ("FREQ=DAILY;UNTIL=20261222T180000", ["12-20", "12-21", "12-22"]),
        ("FREQ=DAILY;UNTIL=20261222T175959", ["12-20", "12-21"]),
        ("FREQ=DAILY;UNTIL=20261222T170000Z", ["12-20", "12-21", "12-22"]),
        ("FREQ=DAILY;UNTIL=20261222T165959Z", ["12-20", "12-21"]),
    ],
)
def test_rules_say_on_which_days_a_window_begins(rule: str, expected: list[str]) -> None:
    assert list(days(window(rrule=rule), 2026)) == expected


@pytest.mark.parametrize("first", [0, 6])
def test_a_week_begins_on_monday_whatever_the_process_prefers(
    first: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("calendar.firstweekday", lambda: first)
    rule = "FREQ=WEEKLY;INTERVAL=2;BYDAY=SU,MO;COUNT=4"
    found = window(start="2026-11-01T18:00", rrule=rule)
    assert list(days(found, 2026)) == ["11-01", "11-09", "11-15", "11-23"]


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        *(
            (wrong, "must be one RFC 5545 rule")
            for wrong in (
                "",
                5,
                ["FREQ=DAILY"],
                "RRULE:FREQ=DAILY",
                "DTSTART:20260101T000000\nRRULE:FREQ=DAILY",
                "FREQ=DAILY\nEXDATE:20260101T000000",
                "DTSTART=20260101;FREQ=DAILY",
                "FREQ=DAILY;EXDATE=20260101",
                "FREQ=DAILY;FREQ=WEEKLY",
                "FREQ=DAILY;",
                "FREQ=DAILY;BYHOUR=1,2,3",
                "FREQ=DAILY;BYMINUTE=1",
                "FREQ=DAILY;BYSECOND=1",
                "FREQ=DAILY;BYEASTER=1",
                "FREQ=DAILY;COUNT=²",
                "FREQ=WEEKLY;BYDAY=FR(1)",
                "FREQ=DAILY;BYDAY=",
            )
        ),
        *(
            (wrong, "needs FREQ, one of DAILY, WEEKLY")
            for wrong in ("BYDAY=FR", "FREQ=HOURLY", "FREQ=MINUTELY", "FREQ=SECONDLY", "FREQ=X")
        ),
        ("FREQ=DAILY;COUNT=3;UNTIL=20270101", "may hold COUNT or UNTIL"),
        ("FREQ=DAILY;INTERVAL=0", "INTERVAL must be a whole number from 1"),
        ("FREQ=DAILY;INTERVAL=-1", "INTERVAL must be a whole number from 1"),
        ("FREQ=DAILY;INTERVAL=1,2", "INTERVAL must be a whole number from 1"),
        ("FREQ=DAILY;COUNT=0", "COUNT must be a whole number from 1"),
        ("FREQ=DAILY;COUNT=00", "COUNT must be a whole number from 1"),
        ("FREQ=WEEKLY;BYDAY=1FR", "numbered days in BYDAY"),
        ("FREQ=DAILY;BYDAY=-1FR", "numbered days in BYDAY"),
        *(
            (f"FREQ=DAILY;UNTIL={wrong}", "UNTIL must be like")
            for wrong in (
                "2027",
                "20271",
                "20271331",
                "20270101T250000",
                "20270101T000000+0100",
                "2027-01-01",
                "DEC",
            )
        ),
        ("FREQ=DAILY;UNTIL=99991231T235959Z", "UNTIL must be like"),
        ("FREQ=DAILY;UNTIL=20261219", "never comes true"),
        ("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30", "never comes true"),
        ("FREQ=MONTHLY;BYDAY=XX", "is no recurrence rule: invalid 'BYDAY'"),
        ("FREQ=MONTHLY;BYDAY=0FR", "is no recurrence rule"),
        ("FREQ=MONTHLY;BYMONTHDAY=+-1", "is no recurrence rule"),
        ("FREQ=YEARLY;BYMONTH=1;BYSETPOS=0", "is no recurrence rule"),
        ("FREQ=DAILY;WKST=ZZ", "is no recurrence rule"),
    ],
)
def test_what_is_no_rule_is_refused(rule: Any, message: str) -> None:
    with pytest.raises(InputError, match=rf"^freeze\.rrule:? {message}"):
        window(rrule=rule)


NUMBER = st.integers(-400, 400).map(str)
PARTS = st.fixed_dictionaries(
    {"FREQ": st.sampled_from(["YEARLY", "MONTHLY"])},
    optional={
        "BYMONTH": NUMBER,
        "BYMONTHDAY": NUMBER,
        "BYYEARDAY": NUMBER,
        "BYWEEKNO": NUMBER,
        "BYSETPOS": NUMBER,
        "BYDAY": st.sampled_from(["MO", "1FR", "-5SU", "60TU", "FR,FR", "+", "9"]),
        "WKST": st.sampled_from(["MO", "SU", "1"]),
        "COUNT": NUMBER,
    },
)


@bounded(30)
@given(PARTS)
def test_a_strange_rule_is_read_or_refused_and_nothing_else(parts: dict[str, str]) -> None:
    try:
        found = window(rrule=";".join(f"{part}={said}" for part, said in parts.items()))
    except InputError:
        return
    active([found], utc("2027-06-01T00:00"))


def test_a_daily_rule_of_ten_years_still_tells_tonight() -> None:
    found = FreezeWindow.parse(NIGHTS, "freeze")
    assert stretch(found, "2036-07-01T21:00") == ("07-01 20:00", "07-02 04:00")
    assert stretch(found, "2036-07-01T12:00") is None


def test_only_what_the_rule_yields_is_frozen_not_the_start_itself() -> None:
    found = window(rrule="FREQ=WEEKLY;BYDAY=FR")
    assert stretch(found, "2026-12-20T18:00") is None
    assert stretch(found, "2026-12-25T18:00") == ("12-25 17:00", "12-26 01:00")


# --------------------------------------------------------------------------------------- overlaps


def test_of_several_freezes_the_one_that_ends_last_is_told() -> None:
    short, long_ = window(duration="PT2H"), window(duration="P9D")
    elsewhere = window(start="2026-12-20T12:00", duration="PT8H", timezone="America/New_York")
    at = utc("2026-12-20T18:00")
    for listed in ([short, long_, elsewhere], [elsewhere, long_, short]):
        frozen = active(listed, at)
        assert frozen is not None
        assert frozen.window is long_
    ends_by_wall_first = active([window(duration="PT6H"), elsewhere], at)
    assert ends_by_wall_first is not None
    assert ends_by_wall_first.window is elsewhere
    assert active([], at) is None


def test_occurrences_that_overlap_each_other_end_with_the_last() -> None:
    found = window(duration="P3D", rrule="FREQ=DAILY;COUNT=5")
    assert stretch(found, "2026-12-22T18:00") == ("12-22 17:00", "12-25 17:00")
    assert len(list(found.occurrences(utc("2026-12-22T18:00")))) == 3


def test_a_moment_may_come_in_any_zone_but_must_have_one() -> None:
    found = window()
    local = datetime(2026, 12, 20, 18, 30, tzinfo=ZoneInfo(BERLIN))
    assert active([found], local) == active([found], local.astimezone(UTC))
    assert active([found], local) is not None
    with pytest.raises(InputError, match="has a time zone"):
        active([found], local.replace(tzinfo=None))


# ---------------------------------------------------------------------------------------- finding


def test_a_freeze_is_an_error_that_says_why_how_long_and_what_to_do() -> None:
    found = window(reason=" Christmas ")
    (finding,) = check_freeze([found], utc("2026-12-20T18:00"), None)
    assert (finding.severity, finding.code) == (Severity.ERROR, "freeze")
    assert finding.message == (
        "A freeze is on (Christmas), since 2026-12-20 18:00 Europe/Berlin (2026-12-20 17:00 UTC). Wait until "
        "2026-12-21 02:00 Europe/Berlin (2026-12-21 01:00 UTC), or pass override_freeze='reason' if this "
        "cannot wait."
    )


def test_a_freeze_without_a_reason_still_reads_and_seconds_are_told() -> None:
    (finding,) = check_freeze([window(duration="PT8H30S")], utc("2026-12-20T18:00"), "  ")
    assert finding.code == "freeze"
    assert finding.message.startswith("A freeze is on, since 2026-12-20 18:00 Europe/Berlin")
    assert "Wait until 2026-12-21 02:00:30 Europe/Berlin (2026-12-21 01:00:30 UTC)" in finding.message


def test_an_override_turns_it_into_a_warning_that_records_the_reason() -> None:
    (finding,) = check_freeze([window(reason="Christmas")], utc("2026-12-20T18:00"), " line is down ")
    assert (finding.severity, finding.code) == (Severity.WARNING, "freeze_overridden")
    assert finding.message == (
        "A freeze is on (Christmas), since 2026-12-20 18:00 Europe/Berlin (2026-12-20 17:00 UTC) until "
        "2026-12-21 02:00 Europe/Berlin (2026-12-21 01:00 UTC). It is overridden: line is down"
    )


@pytest.mark.parametrize("override", [None, "", "line is down"])
def test_outside_of_a_freeze_there_is_nothing_to_say(override: str | None) -> None:
    assert list(check_freeze([window()], utc("2026-12-22T00:00"), override)) == []
