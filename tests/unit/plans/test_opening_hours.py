"""Opening hours as people type them: read, or refused by site and day; never a closed day by mistake."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_voice_agents.plans.opening_hours import parse_hours, parse_week
from airflow_voice_agents.transport.errors import InputError
from support.json_values import bounded

DAY = ("09:00", "18:00")


@pytest.mark.parametrize(
    ("text", "spans"),
    [
        ("09:00-18:00", [DAY]),
        ("09:00–18:00", [DAY]),
        ("09:00 — 18:00", [DAY]),
        (" 9:00 \u2212 18:00 ", [DAY]),
        ("09.00-18.00", [DAY]),
        ("09:00 to 18:00", [DAY]),
        ("9am-6pm", [DAY]),
        ("9:00 AM – 6:00 p.m.", [DAY]),
        ("12am-12pm", [("00:00", "12:00")]),
        ("noon-midnight", [("12:00", "24:00")]),
        ("9am to midnight", [("09:00", "24:00")]),
        ("09:00-12:00, 13:00-17:00", [("09:00", "12:00"), ("13:00", "17:00")]),
        ("09:00-12:00 and 13:00-17:00", [("09:00", "12:00"), ("13:00", "17:00")]),
        ("09:00-12:00; 12:00-17:00", [("09:00", "12:00"), ("12:00", "17:00")]),
        ("22:00-02:00", [("22:00", "02:00")]),
        ("12:00-15:00, 18:00-01:00", [("12:00", "15:00"), ("18:00", "01:00")]),
        ("09:00-24:00", [("09:00", "24:00")]),
        ("09:00-00:00", [("09:00", "24:00")]),
        ("00:00-24:00", [("00:00", "24:00")]),
        ("24 hours", [("00:00", "24:00")]),
        ("Open 24 Hours", [("00:00", "24:00")]),
        ("24/7", [("00:00", "24:00")]),
        ("closed", []),
        ("  Closed ", []),
    ],
)
def test_hours_are_read_as_meant(text: str, spans: list[tuple[str, str]]) -> None:
    assert parse_hours(text) == spans


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "is blank; write closed"),
        (" \t", "is blank"),
        (None, "is blank"),
        (9, "is blank"),
        ("9-5", "neither am nor pm"),
        ("9-17", "neither am nor pm"),
        ("9-5pm", "one time only"),
        ("9am-17:00", "one time only"),
        ("09:00", "not an opening and a closing time"),
        ("09:00-", "not an opening and a closing time"),
        ("09:00-12:00-17:00", "not an opening and a closing time"),
        ("09:00-12:00,", "not an opening and a closing time"),
        ("by appointment", "not an opening and a closing time"),
        ("09:00-18:00 (bar only)", "not an opening and a closing time"),
        ("n/a", "not an opening and a closing time"),
        ("#REF!", "not an opening and a closing time"),
        ("None", "not an opening and a closing time"),
        ("closed until 12:00", "not an opening and a closing time"),
        ("25:00-26:00", "does not exist"),
        ("09:60-18:00", "does not exist"),
        ("13pm-14pm", "does not exist"),
        ("0am-5pm", "does not exist"),
        ("09:00-24:30", "does not exist"),
        ("09:00-09:00", "opens when it closes"),
        ("24:00-09:00", "opens when it closes"),
        ("09:00-13:00, 12:00-17:00", "overlap"),
        ("13:00-17:00, 09:00-12:00", "overlap"),
        ("22:00-02:00, 23:00-23:30", "past midnight"),
        ("01:00-03:00, 22:00-02:00", "into its own first hours"),
        ("09:00:00-18:00:00", "not an opening"),
        ("\u0669:00-18:00", "not an opening"),
    ],
)
def test_what_is_not_clear_is_refused_by_site_and_day(text: object, reason: str) -> None:
    with pytest.raises(InputError, match=f"^site-1, monday: .*{reason}"):
        parse_hours(text, where="site-1, monday")


@bounded(500)
@given(st.text(alphabet="0123456789:.-–, apmclosed24hourst", max_size=20))
def test_only_the_word_means_closed(text: str) -> None:
    try:
        spans = parse_hours(text)
    except InputError:
        return
    assert spans or text.strip() in ("closed", "shut")


CLOCK = st.integers(0, 1439).map(lambda minutes: f"{minutes // 60:02}:{minutes % 60:02}")


@bounded(300)
@given(CLOCK, CLOCK, st.sampled_from(["-", "–", "—", " - ", " to "]))
def test_two_times_are_what_comes_out(start: str, end: str, dash: str) -> None:
    if start == end:
        with pytest.raises(InputError):
            parse_hours(f"{start}{dash}{end}")
        return
    assert parse_hours(f"{start}{dash}{end}") == [(start, "24:00" if end == "00:00" else end)]


def test_every_day_that_cannot_be_read_is_named() -> None:
    days = {"monday": "Mo", "tuesday": "Tu", "sunday": "Su"}
    assert parse_week({"Mo": "closed", "Tu": "9am-6pm", "Su": "24h"}, site="a", days=days) == {
        "monday": [],
        "tuesday": [DAY],
        "sunday": [("00:00", "24:00")],
    }
    with pytest.raises(InputError) as caught:
        parse_week({"Mo": "?", "Tu": "9am-6pm"}, site="site-7", days=days)
    assert [line.partition(":")[0] for line in str(caught.value).splitlines()] == [
        "site-7, monday",
        "site-7, sunday",
    ]
