from __future__ import annotations

from typing import Any

import httpx
import pytest

from airflow_voice_agents.emulator.server import EmulatorServer

NUMBERS = "/api/relay/rest/phone_numbers"
SEARCH = f"{NUMBERS}/search"
PROJECT = "2f6c1f0e-8a6b-4d0e-9c34-5b1d7e9a0c21"
BANK = ("9b0d3c44-1e5a-4a7f-8b62-0c9f2d4e6a83", "demo-token-bank")
SEATTLE = "+12065550100"


def found(carrier: httpx.Client, **query: Any) -> list[str]:
    response = carrier.get(SEARCH, params=query)
    assert response.status_code == 200, response.text
    return [item["number"] for item in response.json()["data"]]


def refusal(response: httpx.Response) -> tuple[int, str]:
    return response.status_code, response.json()["errors"][0]["code"]


def buy(carrier: httpx.Client, number: Any) -> httpx.Response:
    return carrier.post(NUMBERS, json={"number": number})


def billed(server: EmulatorServer) -> Any:
    return server.state.read("signalwire", "projects", PROJECT, "billed")


def test_search_shows_local_numbers_with_flags(carrier: httpx.Client) -> None:
    items = carrier.get(SEARCH).json()["data"]

    assert items[0] == {
        "number": SEATTLE,
        "region": "WA",
        "city": "Seattle",
        "rate_center": "SEATTLE",
        "lata": "674",
        "capabilities": {"voice": True, "sms": True, "mms": True, "fax": False},
    }
    assert {"number", "capabilities"} in [set(item) for item in items]
    assert not any(item["number"].startswith("+1800") for item in items)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"areacode": "206"}, 12),
        ({"areacode": "1632"}, 4),
        ({"areacode": "207"}, 0),
        ({"starts_with": "2065"}, 12),
        ({"contains": "0126"}, 1),
        ({"ends_with": "555"}, 0),
        ({"ends_with": "0111"}, 1),
        ({"region": "tx"}, 9),
        ({"region": "TX", "city": "austin"}, 9),
        ({"region": "WA", "city": "Austin"}, 0),
        ({"number_type": "toll-free"}, 3),
        ({"number_type": "local", "max_results": "5"}, 5),
        ({"areacode": "206", "region": "TX"}, 0),
    ],
)
def test_search_narrows(carrier: httpx.Client, query: dict[str, str], expected: int) -> None:
    assert len(found(carrier, **query)) == expected


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({"starts_with": "206", "contains": "555"}, "incompatible_parameters"),
        ({"contains": "555", "ends_with": "555"}, "incompatible_parameters"),
        ({"starts_with": "20"}, "invalid_parameter"),
        ({"contains": "12345678"}, "invalid_parameter"),
        ({"ends_with": "abc"}, "invalid_parameter"),
        ({"max_results": "101"}, "invalid_parameter"),
        ({"max_results": "0"}, "invalid_parameter"),
        ({"max_results": "many"}, "invalid_parameter"),
        ({"number_type": "tollfree"}, "invalid_parameter"),
        ({"region": "TEX"}, "invalid_parameter"),
        ({"city": "Austin"}, "must_specify_related_parameter"),
        ({"region": "TX", "number_type": "toll-free"}, "incompatible_parameters"),
    ],
)
def test_search_refuses_what_does_not_fit_together(
    carrier: httpx.Client, query: dict[str, str], code: str
) -> None:
    assert refusal(carrier.get(SEARCH, params=query)) == (422, code)


def test_an_empty_search_may_lack_its_data(server: EmulatorServer, carrier: httpx.Client) -> None:
    assert carrier.get(SEARCH, params={"areacode": "999"}).json()["data"] == []
    server.switches.signalwire_empty_search = "absent"
    assert "data" not in carrier.get(SEARCH, params={"areacode": "999"}).json()
    assert found(carrier, areacode="206")


def test_a_purchase_is_billed_and_gives_a_number_without_routing(
    server: EmulatorServer, carrier: httpx.Client
) -> None:
    response = buy(carrier, SEATTLE)
    record = response.json()

    assert response.status_code == 200
    assert (record["number"], record["number_type"], record["country_code"]) == (SEATTLE, "longcode", "US")
    assert record["capabilities"] == ["voice", "sms", "mms"]
    assert (record["call_handler"], record["call_receive_mode"], record["e911_status"]) == (
        None,
        "voice",
        None,
    )
    assert record["next_billed_at"] > record["created_at"]
    assert carrier.get(f"{NUMBERS}/{record['id']}").json() == record
    assert carrier.get(NUMBERS, params={"page_size": 1}).json()["data"] == [record]
    assert billed(server) == 1
    assert SEATTLE not in found(carrier)


def test_toll_free_numbers_say_so_in_another_spelling(carrier: httpx.Client) -> None:
    assert buy(carrier, "+18005550150").json()["number_type"] == "toll-free"


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (None, "missing_required_parameter"),
        ("2065550100", "invalid_number_format"),
        ("+1 206 555 0100", "invalid_number_format"),
        (12065550100, "invalid_number_format"),
        ("+12065559999", "could_not_purchase"),
        ("+441632960005", "could_not_purchase"),
        ("+441632960035", "could_not_purchase"),
    ],
)
def test_what_cannot_be_bought_is_refused_and_not_billed(
    server: EmulatorServer, carrier: httpx.Client, number: Any, code: str
) -> None:
    before = server.state.read("signalwire")

    assert refusal(buy(carrier, number)) == (422, code)
    assert server.state.read("signalwire") == before


def test_a_number_is_sold_once(server: EmulatorServer, carrier: httpx.Client) -> None:
    buy(carrier, SEATTLE)
    server.signalwire.withdraw("+12065550101")

    assert refusal(buy(carrier, SEATTLE)) == (422, "could_not_purchase")
    assert refusal(buy(carrier, "+12065550101")) == (422, "could_not_purchase")
    assert billed(server) == 1


@pytest.mark.parametrize("code", ["could_not_purchase", "insufficient_balance", "account_limit_exceeded"])
def test_purchases_fail_on_demand(server: EmulatorServer, carrier: httpx.Client, code: Any) -> None:
    server.switches.signalwire_purchase = code

    assert refusal(buy(carrier, SEATTLE)) == (422, code)
    assert billed(server) == 0


def test_a_full_project_buys_nothing(server: EmulatorServer, anonymous: httpx.Client) -> None:
    answers = [anonymous.post(NUMBERS, auth=BANK, json={"number": f"+1206555010{n}"}) for n in (0, 1)]

    assert answers[0].status_code == 200
    assert refusal(answers[1]) == (422, "account_limit_exceeded")


def test_a_lost_answer_leaves_the_purchase_billed(server: EmulatorServer, carrier: httpx.Client) -> None:
    server.fault("reset", apply=True, operation="purchase phone number")

    with pytest.raises(httpx.TransportError):
        buy(carrier, SEATTLE)

    assert billed(server) == 1
    owned = carrier.get(NUMBERS, params={"filter_number": SEATTLE}).json()["data"]
    assert [record["number"] for record in owned] == [SEATTLE]
