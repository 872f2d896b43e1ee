"""Bounded concurrency: never more than asked for, nothing collected, the first error stops all."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

import pytest

from airflow_voice_agents.engine.concurrency import for_each_limited, free_loop, planning
from airflow_voice_agents.plans.kind import Kind, WouldWaitError, must_not_wait

current: ContextVar[str] = ContextVar("current")


@pytest.mark.parametrize("limit", [1, 3, 50])
async def test_no_more_than_the_limit_is_in_flight_and_all_is_done(limit: int) -> None:
    now, most, done = 0, 0, []

    async def work(item: int) -> None:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        now -= 1
        done.append(item)

    await for_each_limited(range(20), work, limit=limit)
    assert sorted(done) == list(range(20))
    assert most == min(limit, 20)


async def test_items_are_taken_one_by_one() -> None:
    taken, finished = 0, 0

    def items() -> Iterator[int]:
        nonlocal taken
        for number in range(100):
            taken += 1
            assert taken <= finished + 4
            yield number

    async def work(_: int) -> None:
        nonlocal finished
        await asyncio.sleep(0)
        finished += 1

    await for_each_limited(items(), work, limit=3)
    assert finished == 100


@pytest.mark.parametrize(("items", "tasks"), [(1, 0), (2, 2), (5, 5), (40, 16)])
async def test_no_more_tasks_are_made_than_there_are_items(items: int, tasks: int) -> None:
    found = []

    async def work(_: int) -> None:
        await asyncio.sleep(0)
        found.append(len(asyncio.all_tasks()) - 1)

    await for_each_limited(iter(range(items)), work, limit=16)
    assert (len(found), max(found)) == (items, tasks)


async def test_without_items_nothing_happens() -> None:
    async def work(_: int) -> None:
        raise AssertionError

    await for_each_limited((), work, limit=4)


async def test_the_first_error_cancels_what_is_in_flight_and_comes_out_bare() -> None:
    cancelled, started = [], []

    async def work(item: int) -> None:
        started.append(item)
        if item == 2:
            raise LookupError("item 2")
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(item)
            raise

    with pytest.raises(LookupError, match="item 2") as caught:
        await for_each_limited(range(100), work, limit=3)
    assert caught.value.__cause__ is None
    assert started == [0, 1, 2]
    assert sorted(cancelled) == [0, 1]


async def test_an_error_while_taking_items_comes_out_as_well() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise LookupError("no more")

    async def work(_: int) -> None:
        await asyncio.sleep(0)

    with pytest.raises(LookupError, match="no more"):
        await for_each_limited(items(), work, limit=2)


async def test_cancelling_from_outside_cancels_the_work() -> None:
    cancelled = asyncio.Event()

    async def work(_: int) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise

    task = asyncio.create_task(for_each_limited([1], work, limit=1))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert cancelled.is_set()


def waiting_for(event: threading.Event) -> bool:
    """Wait as a plan does that needs another process."""
    if must_not_wait.get():
        raise WouldWaitError
    return event.wait(60)


async def test_what_has_to_wait_leaves_the_event_loop_free() -> None:
    released = threading.Event()

    def work() -> str:
        assert waiting_for(released), "the event loop is blocked"
        return threading.current_thread().name

    waiting = asyncio.create_task(free_loop(work))
    await asyncio.sleep(0)
    released.set()

    assert (await waiting).startswith("voice-agents-plans")


async def test_what_need_not_wait_is_done_at_once_and_may_wait_again_afterwards() -> None:
    assert await free_loop(threading.current_thread) is threading.current_thread()
    with pytest.raises(ZeroDivisionError):
        await free_loop(lambda: 1 / 0)
    assert not must_not_wait.get()


async def test_what_blocks_takes_no_thread_that_the_event_loop_needs_and_waits_in_line() -> None:
    """Host names are looked up in the event loop's own threads."""
    released = threading.Event()
    plans = [asyncio.create_task(free_loop(lambda: waiting_for(released))) for _ in range(100)]

    assert await asyncio.to_thread(lambda: "looked up") == "looked up"
    assert not any(each.done() for each in plans)
    released.set()
    assert all(await asyncio.gather(*plans))


async def test_errors_and_context_go_along_into_the_thread() -> None:
    current.set("run 1")
    ready = threading.Event()
    ready.set()
    assert await free_loop(lambda: waiting_for(ready) and current.get()) == "run 1"
    with pytest.raises(ZeroDivisionError):
        await free_loop(lambda: waiting_for(ready) and 1 / 0)


class Blocking(Kind[Any]):
    """Counts how often what it started is ended."""

    name = "blocking"
    blocking = True

    def __init__(self) -> None:
        self.released: list[str] = []

    def release(self) -> None:
        self.released.append(threading.current_thread().name)


def plan_threads() -> list[str]:
    return [each.name for each in threading.enumerate() if each.name.startswith("voice-agents-plans")]


async def test_after_the_last_of_those_who_plan_nothing_is_left() -> None:
    kind: Any = Blocking()
    released = threading.Event()
    released.set()
    async with planning([kind]):
        async with planning([kind]):
            await free_loop(lambda: waiting_for(released))
        assert (plan_threads() != [], kind.released) == (True, [])
    assert plan_threads() == []
    assert len(kind.released) == 1
    async with planning([kind]):
        pass
    assert len(kind.released) == 1, "nothing was started"
