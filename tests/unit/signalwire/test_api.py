"""SignalWire requests: exact contents, invalid arguments and followed links."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_voice_agents.signalwire import api
from airflow_voice_agents.transport.api_request import ApiRequest, Replay
from airflow_voice_agents.transport.errors import InputError
from support.transport import make_client

ID = "5c3f2b1a-0d4e-4f6a-8b7c-9d8e7f6a5b4c"
ROUTE = "/api/relay/rest/phone_numbers"
BASE = "https://acme.signalwire.com"
TOKEN = "page_number=1&page_size=50&page_token=PA%2Bab%3D%3D&filter_number=%2B1202+5"
EMPTY_PAGE = httpx.Response(200, json={"links": {"self": "s", "first": "f"}, "data": []})


def sent_url(call: ApiRequest[Any]) -> str:
    client, script, _ = make_client(EMPTY_PAGE, base_url=BASE)
    with client:
        client.send(call)
    return script.requests[0].url.raw_path.decode()


# ------------------------------------------------------------------------------------------ what is sent


def test_list_asks_for_the_largest_page() -> None:
    assert api.list_phone_numbers().query == (("page_size", "1000"),)


def test_plus_of_a_filter_is_encoded() -> None:
    call = api.list_phone_numbers(filter_name="a+b c", filter_number="+12025550123")
    assert sent_url(call) == f"{ROUTE}?filter_name=a%2Bb%20c&filter_number=%2B12025550123&page_size=1000"


def test_search_spells_areacode_as_one_word_and_leaves_out_what_is_not_given() -> None:
    call = api.search_available(areacode="202", max_results=5)
    assert call.query == (("areacode", "202"), ("max_results", "5"))
    assert call.path == f"{ROUTE}/search"


def test_id_goes_into_the_path_in_lower_case() -> None:
    assert api.get_phone_number(ID.upper()).path == f"{ROUTE}/{ID}"
    assert api.remove_e911_address(ID).path == f"{ROUTE}/{ID}/e911_address"


def test_update_sends_what_it_was_given_and_is_never_repeated_blind() -> None:
    changes = {"call_handler": "relay_script", "call_relay_script_url": "https://h/x"}
    call = api.update_phone_number(ID, changes)
    assert (call.body, call.replay) == (changes, Replay.RECONCILE)


def test_update_keeps_a_copy_of_what_it_checked() -> None:
    changes = {"name": "a"}
    call = api.update_phone_number(ID, changes)
    changes["name"] = "b"
    assert call.body == {"name": "a"}


def test_handler_of_the_dashboard_passes_through_for_the_platform_to_judge() -> None:
    assert api.update_phone_number(ID, {"call_handler": "sip_gateway"}).body == {
        "call_handler": "sip_gateway"
    }


@pytest.mark.parametrize(
    "call",
    [
        api.purchase_phone_number("+12025550123"),
        api.release_phone_number(ID),
        api.assign_e911_address(ID, e911_address_id=ID),
        api.remove_e911_address(ID),
    ],
    ids=lambda call: call.operation,
)
def test_what_bills_ends_or_registers_is_never_resent_blind(call: ApiRequest[Any]) -> None:
    assert call.replay is Replay.RECONCILE


# ---------------------------------------------------------------------------------------- what is refused

REFUSED: list[tuple[Callable[[], Any], str]] = [
    (lambda: api.list_phone_numbers(page_size=0), "page_size must be a whole number from 1 to 1000"),
    (lambda: api.list_phone_numbers(page_size=1001), "page_size must be a whole number from 1 to 1000"),
    (lambda: api.list_phone_numbers(page_size=True), "page_size must be a whole number"),
    (lambda: api.list_phone_numbers(filter_name=""), "filter_name must not be empty"),
    (lambda: api.list_phone_numbers(filter_number="+1 202"), "filter_number must be a number or a part"),
    (lambda: api.list_phone_numbers(filter_number="٣"), "filter_number must be a number or a part"),
    (
        lambda: api.search_available(starts_with="12", ends_with=None),
        "starts_with must be a text of 3 to 7",
    ),
    (lambda: api.search_available(contains="12345678"), "contains must be a text of 3 to 7 digits"),
    (lambda: api.search_available(ends_with="12a4"), "ends_with must be a text of 3 to 7 digits"),
    (lambda: api.search_available(starts_with="123", contains="456"), "at most one of starts_with"),
    (lambda: api.search_available(starts_with="123", ends_with="456"), "at most one of starts_with"),
    (lambda: api.search_available(contains="123", ends_with="456"), "at most one of starts_with"),
    (lambda: api.search_available(city="Austin"), "city needs region"),
    (lambda: api.search_available(region="Texas"), "region must be two letters"),
    (lambda: api.search_available(region="TX", number_type="toll-free"), "for local numbers only"),
    (lambda: api.search_available(max_results=101), "max_results must be a whole number from 1 to 100"),
    (lambda: api.search_available(areacode="area"), "areacode must be a text of 1 to 7 digits"),
    (lambda: api.purchase_phone_number("12025550123"), "number must be an E.164 number"),
    (lambda: api.assign_e911_address(ID, e911_address_id="x"), "e911_address_id must be a UUID"),
    (lambda: api.get_phone_number("search"), "phone_number_id must be a UUID"),
    (lambda: api.update_phone_number(ID, {}), "changes must not be empty"),
    (lambda: api.update_phone_number(ID, ["name"]), "changes must be a mapping"),  # type: ignore[arg-type]
    (lambda: api.update_phone_number(ID, {"number": "+1"}), "an update does not take: number"),
    (lambda: api.update_phone_number(ID, {"calling_handler_resource_id": ID}), "does not take: calling_h"),
    (lambda: api.update_phone_number(ID, {"name": None}), "changes.name must be a string, not NoneType"),  # type: ignore[dict-item]
    (lambda: api.update_phone_number(ID, {"name": "a\nb"}), "changes.name must not hold control"),
    (lambda: api.update_phone_number(ID, {"call_handler": "relay_script"}), "needs call_relay_script_url"),
    (
        lambda: api.update_phone_number(ID, {"call_handler": "call_flow", "call_flow_id": ID}),
        "call_handler call_flow needs call_flow_version beside it",
    ),
]


@pytest.mark.parametrize(("make", "message"), REFUSED, ids=[message for _, message in REFUSED])
def test_what_could_not_be_right_is_refused_before_it_is_sent(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(InputError) as caught:
        make()
    assert message in str(caught.value)


# --------------------------------------------------------------------------------------------------- links


def test_query_of_a_link_is_sent_as_it_is() -> None:
    call = api.follow_link(f"{ROUTE}?{TOKEN}")
    assert sent_url(call) == f"{ROUTE}?{TOKEN}"
    assert (call.route, call.replay) == (ROUTE, Replay.SAFE)


@pytest.mark.parametrize("base", [BASE, f"{BASE}:443", "https://ACME.signalwire.com"])
def test_absolute_link_of_the_same_origin_is_followed(base: str) -> None:
    call = api.follow_link(f"{base}{ROUTE}?{TOKEN}", base_url=BASE)
    assert call.path == f"{ROUTE}?{TOKEN}"


@pytest.mark.parametrize(
    "link",
    [
        f"https://evil.example{ROUTE}?a=1",
        f"//evil.example{ROUTE}?a=1",
        f"http://acme.signalwire.com{ROUTE}?a=1",
        f"https://acme.signalwire.com:8443{ROUTE}?a=1",
        f"https://acme.signalwire.com@evil.example{ROUTE}?a=1",
        f"https://me@acme.signalwire.com{ROUTE}?a=1",
        f"https://acme.signalwire.com.evil.example{ROUTE}?a=1",
        f"https:{ROUTE}?a=1",
        ROUTE,
        f"{ROUTE}?",
        f"{ROUTE}/?a=1",
        f"{ROUTE}/search?a=1",
        f"{ROUTE}/../phone_numbers?a=1",
        "/api/relay/rest/phone%5Fnumbers?a=1",
        "phone_numbers?a=1",
        "?a=1",
        f"{ROUTE}?a=1#b",
        f"{ROUTE}?a=\n1",
        f"{ROUTE}?a= 1",
        f"{ROUTE}?a=ä",
        f"\\\\evil.example{ROUTE}?a=1",
        "https://[::1?a=1",
        "https://acme.signalwire.com:x/?a=1",
        "",
        None,
    ],
)
def test_link_that_leads_elsewhere_is_refused(link: Any) -> None:
    with pytest.raises(InputError, match="not followed"):
        api.follow_link(link, base_url=BASE)


def test_absolute_link_is_refused_where_the_own_host_is_not_known() -> None:
    with pytest.raises(InputError, match="another host"):
        api.follow_link(f"{BASE}{ROUTE}?a=1")


@given(st.text())
def test_no_link_leads_to_another_path(link: str) -> None:
    try:
        call = api.follow_link(link, base_url=BASE)
    except InputError:
        return
    assert call.path.startswith(f"{ROUTE}?")


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ({"number_type": "Toll-Free"}, ("number_type", "toll-free")),
        ({"region": "ca"}, ("region", "CA")),
        ({"region": "tx", "number_type": "LOCAL"}, ("region", "TX")),
    ],
)
def test_the_vendors_spelling_is_sent_where_only_the_case_differs(
    given: dict[str, str], sent: tuple[str, str]
) -> None:
    assert sent in api.search_available(**given).query  # type: ignore[arg-type]


@pytest.mark.parametrize("word", ["tollfree", "toll free", "toll_free", "mobile", ""])
def test_a_type_of_numbers_that_there_is_not_is_refused(word: str) -> None:
    with pytest.raises(InputError, match=r"number_type must be one of local, toll-free, not") as caught:
        api.search_available(number_type=word)
    assert ("Did you mean 'toll-free'?" in str(caught.value)) is word.startswith("toll")
