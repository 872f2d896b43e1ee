"""Answers are read leniently, and nothing confidential shows in a text."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_voice_agents.signalwire import readers
from airflow_voice_agents.signalwire.checks import holds_credentials, masked_url, parse_url
from airflow_voice_agents.signalwire.models import AvailableNumber, PhoneNumber
from airflow_voice_agents.transport.errors import InputError

NUMBER = {"id": "i", "number": "+12025550123"}
LINKS = {"self": "s", "first": "f"}


def test_unknown_handler_status_and_field_pass() -> None:
    found = PhoneNumber.model_validate(NUMBER | {"call_handler": "hologram", "e911_status": "?", "new": 1})
    assert (found.call_handler, found.e911_status) == ("hologram", "?")


def test_status_of_the_emergency_address_may_be_missing() -> None:
    assert PhoneNumber.model_validate(NUMBER).e911_status is None


@pytest.mark.parametrize(
    ("capabilities", "takes_calls"), [(["sms", "voice"], True), (["sms"], False), ([], False), (None, False)]
)
def test_owned_number_takes_calls_by_the_list_of_its_capabilities(
    capabilities: Any, takes_calls: bool
) -> None:
    assert PhoneNumber.model_validate(NUMBER | {"capabilities": capabilities}).takes_calls is takes_calls


@pytest.mark.parametrize(
    ("capabilities", "names"),
    [
        ({"voice": True, "sms": False, "fax": None}, ("voice",)),
        (["voice", "fax"], ("voice", "fax")),
        ({}, ()),
        (None, ()),
    ],
)
def test_available_number_flags_its_capabilities(capabilities: Any, names: tuple[str, ...]) -> None:
    found = AvailableNumber.model_validate({"number": "+1", "capabilities": capabilities})
    assert (found.capabilities, found.takes_calls) == (names, "voice" in names)


def test_repr_of_a_number_shows_no_url() -> None:
    urls = {name: "https://me:secret@h/x" for name in PhoneNumber.model_fields if name.endswith("_url")}
    found = PhoneNumber.model_validate(NUMBER | urls | {"name": "desk", "call_handler": "relay_script"})
    assert len(urls) == 8
    assert repr(found) == (
        "PhoneNumber(id='i', number='+12025550123', name='desk', call_handler='relay_script')"
    )
    assert "secret" not in str(found)


# --------------------------------------------------------------------------------------------------- pages


def test_page_may_be_empty_and_have_a_next_one() -> None:
    page = readers.page({"data": [], "links": LINKS | {"next": "/n?t=secret"}})
    assert (page.numbers, page.next_link) == ((), "/n?t=secret")
    assert "secret" not in repr(page)


@pytest.mark.parametrize("links", [LINKS, LINKS | {"next": None}, LINKS | {"next": ""}])
def test_page_without_a_next_link_is_the_last(links: dict[str, Any]) -> None:
    assert readers.page({"data": [NUMBER], "links": links}).next_link is None


@pytest.mark.parametrize(
    "body",
    [
        {"data": [NUMBER]},
        {"data": [NUMBER], "links": None},
        {"data": [NUMBER], "links": []},
        {"links": LINKS},
        {"data": None, "links": LINKS},
        {"data": [], "links": {"next": 7}},
        {"data": ["+1"], "links": LINKS},
    ],
)
def test_page_that_does_not_tell_whether_it_is_the_last_is_not_read_as_the_last(body: Any) -> None:
    with pytest.raises(ValueError, match=r"data|links|PhoneNumber"):
        readers.page(body)


@pytest.mark.parametrize("body", [{}, {"data": None}, {"data": []}, {"links": LINKS}])
def test_search_without_a_result_may_leave_the_list_out(body: Any) -> None:
    assert readers.available(body) == []


# ---------------------------------------------------------------------------------------------------- URLs


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://agents.example/swml", "https://agents.example/swml"),
        ("https://me:secret@agents.example:8443/swml", "https://***@agents.example:8443/swml"),
        ("https://me:se@cret@agents.example/swml", "https://***@agents.example/swml"),
        ("https://secret@agents.example/swml", "https://***@agents.example/swml"),
        ("https://agents.example/swml?key=secret&b=2#secret", "https://agents.example/swml?key=***&b=***"),
        ("https://me:secret/@agents.example/swml", "***"),
        ("https://[secret/swml", "***"),
    ],
)
def test_masked_url_shows_neither_credentials_nor_values_of_the_query(url: str, shown: str) -> None:
    assert masked_url(url) == shown


@pytest.mark.parametrize(
    ("url", "verdict"),
    [
        ("https://h/x", False),
        ("https://h/@x", False),
        ("https://me:pw@h/x", True),
        ("https://me@h/x", True),
        ("https://[me:pw@h", True),
    ],
)
def test_url_with_credentials_is_recognised(url: str, verdict: bool) -> None:
    assert holds_credentials(url) is verdict


@pytest.mark.parametrize(
    "url",
    [
        "https://agents.example/swml?x=%C3%A4",
        "https://me:p%40w@agents.example:8443",
        "http://127.0.0.1:8000/x",
        "http://localhost/x",
        "http://[::1]/x",
    ],
)
def test_url_that_the_platform_may_call_is_accepted(url: str) -> None:
    assert parse_url(url, name="url") == url


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("http://agents.example/x", "must use https: agents.example is not this machine"),
        ("http://localhost.example/x", "must use https"),
        ("sip:secret@agents.example", "must have the form https://host/path"),
        ("agents.example/x", "must have the form https://host/path"),
        ("https:///x", "must have the form https://host/path"),
        ("https://h:port/x", "must have the form https://host/path"),
        ("https://me:secr@t@h/x", "encoded as %40"),
        ("https://h/secret\n", "surrounding white space"),
        ("https://h/sec\tret", "control characters"),
        ("https://h/sec ret", "in ASCII"),
        ("https://h/secrät", "in ASCII"),
        ("https://h\\@secret/x", "in ASCII"),
        ("", "must not be empty"),
        (None, "must be a string, not NoneType"),
    ],
)
def test_url_that_the_platform_may_not_call_is_refused_without_showing_it(url: Any, message: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_url(url, name="url")
    assert str(caught.value).startswith("url must ")
    assert message in str(caught.value)
    assert "secr" not in str(caught.value)
