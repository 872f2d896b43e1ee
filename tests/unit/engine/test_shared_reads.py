"""Shared reads: each is sent once, everybody gets its answer or its error, and nothing is kept for nobody."""

from __future__ import annotations

import asyncio
import contextlib
import gc
from collections.abc import Coroutine
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_voice_agents.engine.reads import SharedReads
from airflow_voice_agents.transport.api_request import ApiRequest, Replay
from airflow_voice_agents.transport.errors import CallError, InputError, NotFound
from support.json_values import bounded


def call(path: str = "/pages", **query: str) -> ApiRequest[Any]:
    return ApiRequest("read", "GET", path, path, lambda body: body, Replay.SAFE, query=tuple(query.items()))


class Server:
    """Answers each call with its number, when it is let."""

    def __init__(self, *failures: BaseException | None) -> None:
        self.calls: list[ApiRequest[Any]] = []
        self.failures = list(failures)
        self.open = asyncio.Event()
        self.open.set()

    async def send(self, call: ApiRequest[Any]) -> Any:
        self.calls.append(call)
        number = len(self.calls)
        await self.open.wait()
        if number <= len(self.failures) and (failure := self.failures[number - 1]):
            raise failure
        return [number]


def run(work: Coroutine[Any, Any, Any]) -> Any:
    async def bounded_in_time() -> Any:
        async with asyncio.timeout(30):  # only ever reached by a test that hangs
            return await work

    return asyncio.run(bounded_in_time())


def test_those_who_ask_at_once_and_those_who_ask_later_get_one_answer() -> None:
    async def work() -> None:
        server = Server()
        reading = SharedReads(server.send, "aaa")
        first, second = await asyncio.gather(reading.read("a", call()), reading.read("a", call()))
        third = await reading.read("a", call())
        assert first is second is third
        assert len(server.calls) == 1

    run(work())


def test_what_differs_in_path_query_or_owner_is_read_by_itself() -> None:
    async def work() -> None:
        server = Server()
        reading = SharedReads(server.send, "ab")
        asked = [("a", call()), ("a", call("/lines")), ("a", call(page="2")), ("b", call())]
        answers = [await reading.read(owner, each) for owner, each in asked]
        assert answers == [[1], [2], [3], [4]]

    run(work())


@pytest.mark.parametrize("failure", [NotFound("no such agent", status=404), InputError("not a page")])
def test_everybody_meets_the_error_of_the_first_and_it_is_asked_once(failure: Exception) -> None:
    async def work() -> None:
        server = Server(failure)
        reading = SharedReads(server.send, "aaa")
        server.open.clear()
        waiting = [asyncio.create_task(reading.read("a", call())) for _ in range(2)]
        await asyncio.sleep(0)
        server.open.set()
        for task in waiting:
            with pytest.raises(type(failure)) as caught:
                await task
            assert caught.value is failure
        with pytest.raises(type(failure)):
            await reading.read("a", call())
        assert len(server.calls) == 1

    run(work())


def test_an_error_that_nobody_else_asked_for_is_not_complained_about() -> None:
    complaints: list[dict[str, Any]] = []

    async def work() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
        reading = SharedReads(Server(CallError("down")).send, "a")
        with contextlib.suppress(CallError):
            await reading.read("a", call())
        reading.over("a")
        del reading
        gc.collect()  # a future complains when it goes

    run(work())
    assert complaints == []


def test_one_that_gives_up_waiting_takes_nobody_along() -> None:
    async def work() -> None:
        server = Server()
        reading = SharedReads(server.send, "aaa")
        server.open.clear()
        first, impatient, patient = (asyncio.create_task(reading.read("a", call())) for _ in range(3))
        await asyncio.sleep(0)
        impatient.cancel()
        await asyncio.sleep(0)
        server.open.set()
        assert await first is await patient
        assert impatient.cancelled()
        assert len(server.calls) == 1

    run(work())


def test_a_read_that_was_cut_off_is_sent_again_for_whoever_asks_next() -> None:
    async def work() -> None:
        server = Server()
        reading = SharedReads(server.send, "aa")
        server.open.clear()
        first = asyncio.create_task(reading.read("a", call()))
        await asyncio.sleep(0)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        server.open.set()
        assert await reading.read("a", call()) == [2]

    run(work())


@bounded(100)
@given(st.lists(st.frozensets(st.sampled_from("abc"), min_size=1), min_size=1, max_size=8), st.booleans())
def test_an_answer_is_kept_until_the_last_target_that_names_its_owner_is_done(
    targets: list[frozenset[str]], backwards: bool
) -> None:
    async def work() -> None:
        server = Server()
        reading = SharedReads(server.send, (owner for target in targets for owner in target))
        for place, target in enumerate(targets):
            for owner in target:
                await reading.read(owner, call())
            reading.over(sorted(target, reverse=backwards))
            needed = set().union(*targets[place + 1 :])
            read = set().union(*targets[: place + 1])
            assert set(reading._answers) == read & needed
        assert len(server.calls) == len(set().union(*targets))

    run(work())
