"""Texts are found in any spelling, and others are left alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_voice_agents.transport.api_request import Replay
from airflow_voice_agents.transport.redaction import LONGEST, MASK, Redactor, mask_numbers
from airflow_voice_agents.transport.spellings import Needle, Readings, replace_spans
from support.transport import make_call

KEY = "sk_Live-0123456789abcdef"
PERSON = "+447700900123"


def masked(needle: str, text: str) -> str:
    return replace_spans(text, Needle(needle).spans(Readings(text)), MASK)


@pytest.mark.parametrize(
    ("needle", "text", "expected"),
    [
        ("open till nine o'clock", "'open till nine o&#39;clock' is too long", "'***' is too long"),
        ("open till nine o'clock", "it is eight o'clock", "it is eight o'clock"),
        ("the quick brown fox jumps over the lazy dog", "…brown fox jumps over the la…", "…***…"),
        ("Straße", "STRASSE 1", "*** 1"),
        ("live", "alive, LIVE", "alive, ***"),
        ("abc", "ABC abc", "ABC ***"),
        ("", "text", "text"),
        ("   ", "a   b", "a   b"),
    ],
)
def test_what_is_found_and_what_is_not(needle: str, text: str, expected: str) -> None:
    assert masked(needle, text) == expected


@given(st.text(min_size=1).filter(lambda text: text.strip(" ")))
def test_a_text_is_found_as_it_is(text: str) -> None:
    assert text not in masked(text, f"<{text}>").replace(MASK, "")


@given(st.text(max_size=300), st.text(max_size=40))
def test_any_text_can_be_searched(text: str, needle: str) -> None:
    assert isinstance(masked(needle, text), str)


def test_escapes_of_every_kind_can_stand_beside_each_other() -> None:
    mixed = "s%6b_&#76;ive\\u002d0123\\x3456%2537" + KEY[-8:]
    assert Redactor([KEY])(f"key {mixed}.") == "key ***."


def test_a_redactor_cleans_everything_once() -> None:
    call = make_call(Replay.RECONCILE, body={"to": PERSON, "prompt": "Hello, dear caller of ours"})
    clean = Redactor([KEY]).about(call)
    text = f"\x1b[1m{KEY}\r\nhttps://ann:pw@h.example/?q=1 for 07700 900123: HELLO, DEAR CALLER\u202e"
    assert clean(text) == "[1m*** https://***@h.example/?q=*** for ***: ***"
    assert clean(clean(text)) == clean(text)


def test_a_name_that_was_sent_stays_in_labels_only() -> None:
    clean = Redactor([KEY]).about(make_call(body={"greeting": "greeting", "to": PERSON}))
    assert clean.label("greeting.0") == "greeting.0"
    assert clean("greeting.0") == "***.0"
    assert clean.label(f"{KEY}.{PERSON}") == "***.***"


def test_a_text_that_is_too_long_is_left_out() -> None:
    assert Redactor([KEY])("x" * (LONGEST + 1)) == f"a text of {LONGEST + 1} characters, left out"


def test_numbers_of_others_and_ids_stay_where_the_called_number_is_known() -> None:
    clean = Redactor([]).about(make_call(Replay.NEVER, body={"to": PERSON}))
    text = "from +442079460100 at 2026-11-27 10:30, id 5b1c2d3e-0000-4000-8000-000000000000"
    assert clean(text) == text


def test_answers_about_people_show_no_number_at_all() -> None:
    clean = Redactor([]).about(make_call(people=True))
    assert clean("no answer from (07700) 900 123 after 30 s") == "no answer from *** after 30 s"
    assert mask_numbers("07700-900-123: busy\n", "(number)") == "(number): busy"
