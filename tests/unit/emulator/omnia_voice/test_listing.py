from __future__ import annotations

from typing import Any

import httpx
import pytest

from airflow_voice_agents.emulator.server import EmulatorServer

SEEDED = 5


def page(omnia: httpx.Client, **query: Any) -> Any:
    response = omnia.get("/numbers", params=query)
    assert response.status_code == 200, response.text
    return response.json()


def fill(server: EmulatorServer, count: int) -> None:
    for index in range(count):
        server.omnia_voice.add_number("harbour", f"+4416329{index:05}")


def test_the_default_page_holds_fifty(server: EmulatorServer, omnia: httpx.Client) -> None:
    fill(server, 100)

    first, third = page(omnia), page(omnia, page=3)

    assert first["pagination"] == {"page": 1, "limit": 50, "total": 105, "totalPages": 3}
    assert (len(first["data"]), len(third["data"])) == (50, 5)


def test_pages_hold_every_number_once_and_the_next_one_is_empty(omnia: httpx.Client) -> None:
    pages = [page(omnia, page=number, limit=2)["data"] for number in (1, 2, 3, 4)]

    assert [len(records) for records in pages] == [2, 2, 1, 0]
    assert len({record["id"] for records in pages for record in records}) == SEEDED


@pytest.mark.parametrize("limit", [101, 1000])
def test_a_large_limit_is_lowered_and_told(server: EmulatorServer, omnia: httpx.Client, limit: int) -> None:
    fill(server, 100)

    answer = page(omnia, limit=limit)

    assert answer["pagination"] == {"page": 1, "limit": 100, "total": 105, "totalPages": 2}
    assert len(answer["data"]) == 100


def test_the_largest_limit_is_a_switch(server: EmulatorServer, omnia: httpx.Client) -> None:
    server.switches.omnia_page_limit = 2

    assert page(omnia, limit=50)["pagination"]["limit"] == 2


def test_pagination_comes_in_every_style(server: EmulatorServer, omnia: httpx.Client) -> None:
    def told(number: int) -> Any:
        answer = page(omnia, page=number, limit=3)
        return answer.get("pagination") if isinstance(answer, dict) else len(answer)

    common = {"limit": 3, "total": 5}
    assert told(2) == common | {"page": 2, "totalPages": 2}
    server.switches.omnia_pagination = "has_more"
    assert [told(1), told(2)] == [
        common | {"page": 1, "hasMore": True},
        common | {"page": 2, "hasMore": False},
    ]
    assert page(omnia, limit=5)["pagination"]["hasMore"] is False
    server.switches.omnia_pagination = "absent"
    assert told(1) is None
    server.switches.omnia_pagination = "bare"
    assert [told(1), told(2), told(3)] == [3, 2, 0]


@pytest.mark.parametrize("query", ["page=0", "page=x", "page=-1", "limit=0", "limit=", "limit=1.5"])
def test_counts_below_one_are_refused(omnia: httpx.Client, query: str) -> None:
    response = omnia.get(f"/numbers?{query}")

    assert (response.status_code, response.json()["error"]["code"]) == (400, "BAD_REQUEST")


@pytest.mark.parametrize(
    ("words", "counts"),
    [
        ("activity", {"ACTIVE": 4, "INACTIVE": 1, "active": 0, "assigned": 0}),
        ("assignment", {"assigned": 3, "unassigned": 2, "ACTIVE": 0}),
    ],
)
def test_statuses_are_shown_and_filtered_in_the_same_words(
    server: EmulatorServer, omnia: httpx.Client, words: Any, counts: dict[str, int]
) -> None:
    server.switches.omnia_statuses = words

    for status, count in counts.items():
        found = page(omnia, status=status)
        assert len(found["data"]) == found["pagination"]["total"] == count
        assert all(record["status"] == status for record in found["data"])


def test_the_agents_filter_is_ignored_unless_asked_for(server: EmulatorServer, omnia: httpx.Client) -> None:
    assert len(page(omnia, agentId="agent_events")["data"]) == SEEDED
    server.switches.omnia_agent_filter = True
    assert [record["id"] for record in page(omnia, agentId="agent_events")["data"]] == ["num_7Qx:04"]
