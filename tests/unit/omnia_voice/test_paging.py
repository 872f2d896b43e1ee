"""Lists read whole from servers of every habit."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_voice_agents.omnia_voice import api
from airflow_voice_agents.omnia_voice.paging import read_all
from airflow_voice_agents.transport.api_request import ApiRequest
from airflow_voice_agents.transport.errors import InputError

Answer = Callable[[int, int], Any]
"""Body of a page, by number and limit."""


class Server:
    """Answers the list by a rule, and keeps what it was asked."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.asked: list[dict[str, str]] = []

    async def __call__(self, call: ApiRequest[Any]) -> Any:
        self.asked.append(dict(call.query))
        query = self.asked[-1]
        return call.read(json.loads(json.dumps(self.answer(int(query["page"]), int(query["limit"])))))


def records(count: int, start: int = 0) -> list[dict[str, str]]:
    return [{"id": f"n{index}"} for index in range(start, start + count)]


def cut(count: int, page: int, limit: int) -> list[dict[str, str]]:
    return records(count)[(page - 1) * limit : page * limit]


def paged(count: int, hints: Callable[[int, int], dict[str, Any]], most: int = 100) -> Answer:
    def answer(page: int, limit: int) -> Any:
        limit = min(limit, most)
        return {"data": cut(count, page, limit), "pagination": hints(page, limit)}

    return answer


async def ids(server: Server, limit: int = 10, **options: Any) -> tuple[int, bool | None]:
    """How many numbers were read, all of them different, and whether there are more."""
    whole = await read_all(server, api.list_numbers(limit=limit), **options)
    assert len({number.id for number in whole.numbers}) == len(whole.numbers)
    return len(whole.numbers), whole.has_more


HABITS: dict[str, Callable[[int], Answer]] = {
    "has_more": lambda n: paged(n, lambda page, limit: {"hasMore": page * limit < n}),
    "total_pages": lambda n: paged(n, lambda page, limit: {"page": page, "totalPages": -(-n // limit)}),
    "total": lambda n: paged(n, lambda page, limit: {"page": page, "limit": limit, "total": n}),
}


@pytest.mark.parametrize("habit", HABITS)
@pytest.mark.parametrize(("count", "requests"), [(0, 1), (1, 1), (10, 1), (11, 2), (20, 2), (25, 3)])
async def test_a_list_ends_where_the_server_says_so(habit: str, count: int, requests: int) -> None:
    server = Server(HABITS[habit](count))
    assert await ids(server) == (count, False)
    assert [query["page"] for query in server.asked] == [str(page) for page in range(1, requests + 1)]


@pytest.mark.parametrize(("count", "requests"), [(0, 1), (9, 1), (10, 2), (25, 3)])
@pytest.mark.parametrize("bare", [True, False])
async def test_without_hints_a_page_that_is_not_full_is_the_last(
    bare: bool, count: int, requests: int
) -> None:
    def answer(page: int, limit: int) -> Any:
        data = cut(count, page, limit)
        return data if bare else {"data": data}

    server = Server(answer)
    assert await ids(server) == (count, False)
    assert len(server.asked) == requests


async def test_has_more_goes_before_total_pages_and_that_before_total() -> None:
    first = Server(paged(25, lambda page, _: {"hasMore": page < 2, "totalPages": 3, "total": 25}))
    second = Server(paged(25, lambda page, _: {"totalPages": 2, "total": 25}))
    assert await ids(first) == (20, False)
    assert await ids(second) == (20, False)


async def test_an_echoed_smaller_limit_is_the_one_that_counts() -> None:
    server = Server(paged(25, lambda _, limit: {"limit": limit}, most=5))
    assert await ids(server) == (25, False)
    assert [query["limit"] for query in server.asked] == ["10", "5", "5", "5", "5", "5"]


async def test_an_echoed_limit_that_is_larger_or_nought_changes_nothing() -> None:
    for echoed in (0, 1000):
        server = Server(paged(15, lambda *_, echoed=echoed: {"limit": echoed}))
        assert await ids(server) == (15, False)
        assert [query["limit"] for query in server.asked] == ["10", "10"]


async def test_a_limit_lowered_silently_loses_nothing_where_a_total_is_told() -> None:
    server = Server(paged(25, lambda *_: {"total": 25}, most=5))
    assert await ids(server) == (25, False)
    assert len(server.asked) == 5


@pytest.mark.parametrize("hints", [{}, {"hasMore": True}, {"totalPages": 9}, {"total": 99}])
async def test_an_empty_page_ends_a_list_whatever_it_says(hints: dict[str, Any]) -> None:
    server = Server(paged(10, lambda *_: hints))
    assert await ids(server) == (10, False)
    assert len(server.asked) == 2


@pytest.mark.parametrize(("hints", "more"), [({}, False), ({"hasMore": True}, True), ({"total": 99}, True)])
async def test_a_server_that_repeats_itself_is_left_and_held_to_what_it_said(
    hints: dict[str, Any], more: bool
) -> None:
    server = Server(lambda *_: {"data": records(10), "pagination": hints})
    assert await ids(server) == (10, more)
    assert len(server.asked) == 2


async def test_repeated_ids_on_a_page_with_something_new_are_left_out() -> None:
    pages = {1: records(10), 2: records(10, start=7), 3: records(3, start=17)}
    server = Server(lambda page, _: {"data": pages[page], "pagination": {"hasMore": page < 3}})
    assert await ids(server) == (20, False)


async def test_pages_are_bounded_and_what_is_left_out_is_told() -> None:
    server = Server(lambda page, limit: {"data": records(limit, start=page * limit)})
    assert await ids(server, max_pages=3) == (30, True)
    assert len(server.asked) == 3


async def test_the_status_is_asked_for_on_every_page_and_the_first_page_is_the_first() -> None:
    server = Server(HABITS["has_more"](15))
    await read_all(server, api.list_numbers(page=7, limit=10, status="assigned"))
    assert server.asked == [{"page": page, "limit": "10", "status": "assigned"} for page in ("1", "2")]


async def test_only_a_list_can_be_read_whole() -> None:
    with pytest.raises(InputError, match="get number is not a list"):
        await read_all(Server(lambda *_: []), api.get_number("n1"))  # type: ignore[arg-type]
    with pytest.raises(InputError, match="max_pages must be a whole number"):
        await read_all(Server(lambda *_: []), api.list_numbers(), max_pages=0)


@given(
    count=st.integers(0, 60),
    limit=st.integers(1, 20),
    most=st.integers(1, 20),
    told=st.sets(st.sampled_from(["limit", "total", "totalPages", "hasMore"]), min_size=1),
)
async def test_everything_is_read_once_from_any_server_that_tells_the_truth(
    count: int, limit: int, most: int, told: set[str]
) -> None:
    def hints(page: int, limit: int) -> dict[str, Any]:
        truth = {
            "limit": limit,
            "total": count,
            "totalPages": -(-count // limit),
            "hasMore": page * limit < count,
        }
        return {name: truth[name] for name in told}

    server = Server(paged(count, hints, most))
    assert await ids(server, limit) == (count, False)
    assert len(server.asked) <= -(-count // min(limit, most)) + 1
