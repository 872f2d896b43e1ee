from __future__ import annotations

from typing import Any

import httpx
import pytest

from airflow_voice_agents.emulator.fleet_seed import (
    FLEET_CARRIER_PROJECT,
    FLEET_CARRIER_TOKEN,
    carrier_number,
    fleet_seed,
)
from airflow_voice_agents.emulator.server import EmulatorServer

NUMBERS = "/api/relay/rest/phone_numbers"
PROJECT = "2f6c1f0e-8a6b-4d0e-9c34-5b1d7e9a0c21"
SEEDED = 29


def pages(carrier: httpx.Client, limit: int = 50, **query: Any) -> list[dict[str, Any]]:
    """Pages in order, by following the links."""
    found = [carrier.get(NUMBERS, params=query).json()]
    while "next" in found[-1]["links"] and len(found) < limit:
        found.append(carrier.get(found[-1]["links"]["next"]).json())
    return found


def numbers(page: dict[str, Any]) -> list[str]:
    return [record["number"] for record in page["data"]]


def codes(response: httpx.Response) -> list[str]:
    return [item["code"] for item in response.json()["errors"]]


def test_the_default_page_holds_fifty(server: EmulatorServer, carrier: httpx.Client) -> None:
    for index in range(40):
        server.signalwire.add_number(PROJECT, f"+4416329608{index:02}")

    assert [len(page["data"]) for page in pages(carrier)] == [50, SEEDED + 40 - 50]


def test_newest_come_first_and_of_equal_age_the_last(server: EmulatorServer, carrier: httpx.Client) -> None:
    server.signalwire.add_number(PROJECT, "+441632960801")
    server.signalwire.add_number(PROJECT, "+441632960802")

    found = numbers(pages(carrier)[0])

    assert found[:3] == ["+441632960802", "+441632960801", "+441632960107"]
    assert found[-2:] == ["+441632960006", "+441632960005"]


@pytest.mark.parametrize("size", [1, 7, SEEDED - 1, SEEDED, SEEDED + 1, 1000])
def test_links_lead_through_all_numbers_once(carrier: httpx.Client, size: int) -> None:
    found = pages(carrier, page_size=size)

    assert len(found) == -(-SEEDED // size)
    assert len({number for page in found for number in numbers(page)}) == SEEDED
    assert all(0 < len(page["data"]) <= size for page in found)


def test_links_are_relative_and_know_their_neighbours(carrier: httpx.Client) -> None:
    first, second, third = pages(carrier, page_size=10)

    assert set(first["links"]) == {"self", "first", "next"}
    assert set(second["links"]) == {"self", "first", "next", "prev"}
    assert set(third["links"]) == {"self", "first", "prev"}
    assert first["links"]["self"] == first["links"]["first"] == f"{NUMBERS}?page_number=0&page_size=10"
    assert second["links"]["self"] == first["links"]["next"]
    assert carrier.get(third["links"]["prev"]).json()["data"] == second["data"]


def test_filters_find_parts_and_are_kept_by_links(carrier: httpx.Client) -> None:
    by_number = pages(carrier, filter_number="41632960", page_size=20)
    by_name = pages(carrier, filter_name="Rosa")
    both = pages(carrier, filter_name="reservations", filter_number="23")

    assert [len(page["data"]) for page in by_number] == [20, 6]
    assert "filter_number=41632960" in by_number[1]["links"]["self"]
    assert {record["name"] for record in by_name[0]["data"]} >= {"Rosa events"}
    assert numbers(both[0]) == ["+441632960023"]


def test_a_plus_that_is_not_encoded_finds_nothing(carrier: httpx.Client) -> None:
    assert carrier.get(f"{NUMBERS}?filter_number=+441632960005").json()["data"] == []
    assert len(carrier.get(f"{NUMBERS}?filter_number=%2B441632960005").json()["data"]) == 1


@pytest.mark.parametrize(
    "query",
    ["page_size=0", "page_size=1001", "page_size=-1", "page_size=x", "page_number=-1", "page_number="],
)
def test_sizes_and_numbers_out_of_range_are_bad_requests(carrier: httpx.Client, query: str) -> None:
    response = carrier.get(f"{NUMBERS}?{query}")

    assert (response.status_code, response.json()) == (400, {"error": "Bad Request"})


def test_no_page_is_reached_by_its_number(carrier: httpx.Client) -> None:
    link = pages(carrier, page_size=10)[0]["links"]["next"]

    assert codes(carrier.get(f"{NUMBERS}?page_number=1&page_size=10")) == ["page_token_required"]
    empty = carrier.get(f"{NUMBERS}?page_number=1&page_size=10&page_token=")
    assert codes(empty) == ["page_token_required_for_next_page"]
    for changed in (
        link.replace("page_token=", "page_token=x"),
        link.replace("page_number=1", "page_number=2"),
        link.replace("page_size=10", "page_size=11"),
        f"{link}&filter_name=Rosa",
    ):
        assert codes(carrier.get(changed)) == ["page_token_is_invalid"]


def test_page_errors_may_be_plain(server: EmulatorServer, carrier: httpx.Client) -> None:
    server.switches.signalwire_page_errors = "400"

    response = carrier.get(f"{NUMBERS}?page_number=1&page_token=x")

    assert (response.status_code, response.json()) == (400, {"error": "Bad Request"})


def test_a_number_bought_between_pages_shows_another_one_twice(
    server: EmulatorServer, carrier: httpx.Client
) -> None:
    first = carrier.get(NUMBERS, params={"page_size": 10}).json()
    server.signalwire.add_number(PROJECT, "+441632960801")

    second = carrier.get(first["links"]["next"]).json()

    assert numbers(second)[0] == numbers(first)[-1]


@pytest.mark.parametrize("kind", ["absolute", "foreign"])
def test_links_may_name_a_host(server: EmulatorServer, carrier: httpx.Client, kind: Any) -> None:
    server.switches.signalwire_links = kind
    origin = server.url if kind == "absolute" else "https://elsewhere.example"

    links = carrier.get(NUMBERS, params={"page_size": 10}).json()["links"]

    assert all(link.startswith(f"{origin}{NUMBERS}?") for link in links.values())


def test_an_empty_page_may_have_a_successor(server: EmulatorServer, carrier: httpx.Client) -> None:
    server.switches.signalwire_paging = "gap"

    found = pages(carrier, page_size=10)

    assert [len(page["data"]) for page in found] == [10, 0, 10, 9]
    assert len({number for page in found for number in numbers(page)}) == SEEDED
    assert len(pages(carrier, page_size=100)) == 1


def test_the_last_page_may_link_to_itself(server: EmulatorServer, carrier: httpx.Client) -> None:
    server.switches.signalwire_paging = "repeat"

    found = pages(carrier, limit=5, page_size=10)

    assert found[2]["links"]["next"] == found[2]["links"]["self"]
    assert found[2] == found[3] == found[4]


def test_two_thousand_numbers_come_in_two_pages() -> None:
    with EmulatorServer(fleet_seed(1, carrier_numbers=2000)) as server:
        auth = (FLEET_CARRIER_PROJECT, FLEET_CARRIER_TOKEN)
        with httpx.Client(base_url=server.url, auth=auth) as client:
            found = pages(client, page_size=1000)

    assert [len(page["data"]) for page in found] == [1000, 1000]
    assert numbers(found[1])[-1] == carrier_number(1)
