"""Nothing that must stay inside gets out through a text."""

from __future__ import annotations

import json
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_voice_agents.transport.redaction import (
    Redactor,
    mask_person_number,
    mask_values,
    redact_url,
    sent_values,
)

KEY = 'ab/9+secret==é"'


@pytest.mark.parametrize("form", [KEY, quote(KEY, safe=""), quote(KEY), json.dumps(KEY)[1:-1]])
def test_secret_is_masked_in_every_form(form):
    assert Redactor([KEY])(f"bad key {form}!") == "bad key ***!"


def test_longer_secret_is_masked_before_a_shorter_one_inside_it():
    assert Redactor(["abc", "abcdef"])("abcdef abc") == "*** ***"


def test_empty_secret_masks_nothing():
    assert Redactor(["", KEY])("text") == "text"


def test_userinfo_of_urls_is_masked():
    assert Redactor([])("proxy http://me:pw@proxy:1/ failed") == "proxy http://***@proxy:1/ failed"


def test_repr_shows_no_secret():
    assert "secret" not in repr(Redactor([KEY]))


def test_url_keeps_query_names_only():
    assert redact_url("https://a:b@h/p?to=%2B44&x=1#f") == "https://***@h/p?to=***&x=***#f"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("+447911123456", "+4479…56"),
        ("call to +447911123456 failed", "call to +4479…56 failed"),
        ("+1 (415) 555-0100", "+1 (4…00"),
        ("02079460", "…60"),
        ("room 12, 3 of 4", "room 12, 3 of 4"),
    ],
)
def test_numbers_of_people_are_masked(text, expected):
    assert mask_person_number(text) == expected


@pytest.mark.parametrize(
    ("value", "text", "expected"),
    [
        ("open till 9", "'open till 9' is not an integer", "'***' is not an integer"),
        ("live", "live, delivered", "***, delivered"),
        (5, "5 is not a string; 15 items", "*** is not a string; 15 items"),
        (True, "True is not a string", "*** is not a string"),
        (1.5, "1.5 is too much", "*** is too much"),
        ("two\nlines of it", r"'two\nlines of it' refused", "'***' refused"),
        ("grüße", r"\"gr\u00fc\u00dfe\" refused", r"\"***\" refused"),
        ("a value that the server cuts short", "'a value that the s...' is too long", "'***...' is too long"),
        ("a value that the server cuts short", "a value of another kind", "a value of another kind"),
        ("", "nothing", "nothing"),
        (None, "None of it", "None of it"),
    ],
)
def test_sent_values_are_masked_where_they_are_quoted(value, text, expected):
    assert mask_values(text, sent_values({"variables": [{"k": value}]})) == expected


def test_fields_that_may_be_shown_are_not_masked_at_any_depth():
    body = {"updates": [{"connectorId": "conn_1", "secret": "hidden"}]}
    assert set(sent_values(body, {"connectorId"})) == {"hidden"}


@given(st.text(min_size=3).filter(lambda text: text.strip(" *") and not set(text) <= set("* ")))
def test_a_quoted_value_never_survives(value):
    assert value not in mask_values(f"<{value}>", [value]) or value in "<***>"
