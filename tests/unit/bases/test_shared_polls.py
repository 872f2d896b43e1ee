"""Waits that share what they ask: how often it is asked, who hears what, and when everything is let go."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from airflow_voice_agents.bases import shared_polls
from airflow_voice_agents.bases.shared_polls import KEPT_SECONDS, Subscriber, subscribe
from airflow_voice_agents.plans.condition import Read, Reader
from airflow_voice_agents.transport.api_request import ApiRequest, Replay
from airflow_voice_agents.transport.errors import TransportError, VoiceAgentsError


def call(path: str, **changes: Any) -> ApiRequest[Any]:
    given = {"operation": "read", "method": "GET", "route": path, "path": path, "read": str, **changes}
    return ApiRequest(**given, replay=Replay.SAFE)


class Hook:
    """Stands in for a hook: counts, and answers with what the test sets."""

    made: list[Hook]
    asked: Counter[str]
    answer: Callable[[str], Awaitable[Any]]

    def __init__(self, conn_id: str) -> None:
        self.conn_id = conn_id
        self.resolved = 0
        self.closed = False
        self.made.append(self)

    async def aclient(self) -> None:
        await asyncio.sleep(0)
        self.resolved += 1

    async def asend(self, asked: ApiRequest[Any]) -> Any:
        assert not self.closed
        self.asked[asked.path] += 1
        return await type(self).answer(asked.path)

    async def __aexit__(self, *_: object) -> None:
        assert not self.closed
        self.closed = True


async def at_once(path: str) -> Any:
    await asyncio.sleep(0)
    return path.upper()


@pytest.fixture
def hook() -> type[Hook]:
    members = {"made": [], "asked": Counter(), "answer": staticmethod(at_once)}
    return type("OneHook", (Hook,), members)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock that stands at its only member; every look at it takes a millisecond."""
    now = [1000.0]

    class Time:
        @staticmethod
        def monotonic() -> float:
            now[0] += 0.001
            return now[0]

    monkeypatch.setattr(shared_polls, "time", Time)
    return now


def on(hook: type[Hook], conn_id: str = "one", interval: float = 60.0) -> Any:
    return subscribe(hook, conn_id, interval)  # type: ignore[arg-type]


READS = [call("/a")]


async def test_what_is_asked_at_the_same_time_is_asked_once(hook: type[Hook], clock: list[float]) -> None:
    async def wait() -> Any:
        async with on(hook) as subscriber:
            await started.wait()
            return (await subscriber.poll(READS)).answers

    started = asyncio.Event()
    waits = [asyncio.create_task(wait()) for _ in range(50)]
    await asyncio.sleep(0)
    started.set()

    assert await asyncio.gather(*waits) == [["/A"]] * 50
    assert hook.asked == {"/a": 1}
    assert [each.closed for each in hook.made] == [True]
    assert hook.made[0].resolved == 1


async def test_an_answer_is_taken_while_it_is_fresh_and_only_then(
    hook: type[Hook], clock: list[float]
) -> None:
    async with on(hook) as first, on(hook) as second:
        result = await first.poll(READS)
        clock[0] += 29
        same = await second.poll(READS)
        clock[0] += 2
        newer = await second.poll(READS)

    assert same is result
    assert newer is not result
    assert hook.asked == {"/a": 2}


async def test_when_the_time_is_up_the_answer_must_be_all_but_new(
    hook: type[Hook], clock: list[float]
) -> None:
    async with on(hook) as first, on(hook) as second:
        await first.poll(READS)
        clock[0] += 2
        await second.poll(READS, last=True)
        await first.poll(READS, last=True)

    assert hook.asked == {"/a": 2}


async def test_a_wait_that_ends_leaves_a_new_question_to_those_who_come_to_it_later(
    hook: type[Hook], clock: list[float]
) -> None:
    moved_on = [call("/b")]
    async with on(hook) as staying:
        async with on(hook) as ending:
            await staying.poll(READS)
            clock[0] += 60
            result = await ending.poll(moved_on)
        del ending
        gc.collect()
        clock[0] += 1
        same = await staying.poll(moved_on)

    assert same is result
    assert hook.asked == {"/a": 1, "/b": 1}


async def test_what_a_wait_has_left_is_forgotten_when_it_is_no_longer_fresh(
    hook: type[Hook], clock: list[float]
) -> None:
    async with on(hook):
        async with on(hook) as ending:
            await ending.poll(READS)
            left = weakref.ref(ending._poll)
        del ending
        gc.collect()
        assert left() is not None
        clock[0] += 31
        async with on(hook) as other:
            await other.poll([call("/b")])
        gc.collect()

        assert left() is None


async def test_a_late_wait_takes_no_answer_to_a_question_from_before_it_began(
    hook: type[Hook], clock: list[float]
) -> None:
    async with on(hook) as early:
        before = await early.poll(READS)
        clock[0] += 5
        async with on(hook) as late:
            ago = await late.shared_age(READS)
            after = await late.poll(READS)

    assert ago == pytest.approx(5, abs=0.1)
    assert after is not before
    assert hook.asked == {"/a": 2}


async def test_a_late_wait_does_not_take_the_answer_that_is_under_way(
    hook: type[Hook], clock: list[float]
) -> None:
    gate = asyncio.Event()

    async def slow(path: str) -> Any:
        state = said[0]
        await gate.wait()
        return state

    said = ["old"]
    hook.answer = staticmethod(slow)
    async with on(hook) as early, on(hook) as _:
        flight = asyncio.create_task(early.poll(READS))
        await asyncio.sleep(0.01)
        said[0] = "new"
        async with on(hook) as late:
            hearing = asyncio.create_task(late.poll(READS))
            await asyncio.sleep(0.01)
            gate.set()
            old, new = await flight, await hearing

    assert (old.answers, new.answers) == (["old"], ["new"])


async def test_nobody_has_asked_lately_for_a_first_wait_or_after_a_long_time(
    hook: type[Hook], clock: list[float]
) -> None:
    async with on(hook) as first:
        assert await first.shared_age(READS) is None
        await first.poll(READS)
        clock[0] += 31
        async with on(hook) as late:
            assert await late.shared_age(READS) is None


async def test_an_error_is_shared_and_asked_again_after_the_interval(
    hook: type[Hook], clock: list[float]
) -> None:
    async def fails(path: str) -> Any:
        await asyncio.sleep(0)
        raise TransportError("no connection")

    hook.answer = staticmethod(fails)
    async with on(hook) as first, on(hook) as second:
        result = await asyncio.gather(first.poll(READS), second.poll(READS))
        clock[0] += 31
        hook.answer = staticmethod(at_once)
        then = await first.poll(READS)

    assert all(isinstance(each.answers, VoiceAgentsError) for each in result)
    assert then.answers == ["/A"]
    assert hook.asked == {"/a": 2}


async def test_what_is_no_error_of_ours_reaches_everybody_and_is_not_kept(
    hook: type[Hook], clock: list[float]
) -> None:
    async def breaks(path: str) -> Any:
        await asyncio.sleep(0)
        raise KeyError(path)

    hook.answer = staticmethod(breaks)
    async with on(hook) as first, on(hook) as second:
        raised = await asyncio.gather(first.poll(READS), second.poll(READS), return_exceptions=True)
        hook.answer = staticmethod(at_once)
        then = await first.poll(READS)

    assert [type(each) for each in raised] == [KeyError, KeyError]
    assert then.answers == ["/A"]


@pytest.mark.parametrize(
    "other",
    [
        [call("/b")],
        [call("/a"), call("/b")],
        [call("/a", query=(("limit", "1"),))],
        [call("/a", operation="another reading")],
        [call("/a", body={"ids": ["1"]})],
    ],
)
async def test_different_questions_are_asked_separately(
    hook: type[Hook], clock: list[float], other: list[ApiRequest[Any]]
) -> None:
    async with on(hook) as first, on(hook) as second:
        await first.poll(READS)
        await second.poll(other)

    assert hook.asked.total() == 1 + len(other)


def pages(key: str, *paths: str, narrow: Read[Any] | None = None) -> Read[list[Any]]:
    """A read whose answer takes several requests."""

    async def fetch(reader: Reader) -> list[Any]:
        return [await reader.asend(call(path)) for path in paths]

    return Read(key, fetch, narrow)


async def test_a_read_of_several_requests_is_shared_as_one(hook: type[Hook], clock: list[float]) -> None:
    async with on(hook) as first, on(hook) as second:
        results = await asyncio.gather(
            *(each.poll([pages("list", "/1", "/2"), call("/a")]) for each in (first, second))
        )

    assert [each.answers for each in results] == [[["/1", "/2"], "/A"]] * 2
    assert hook.asked == {"/1": 1, "/2": 1, "/a": 1}


async def test_an_error_on_a_later_page_is_the_answer_of_the_whole_read(
    hook: type[Hook], clock: list[float]
) -> None:
    async def second_page_fails(path: str) -> Any:
        await asyncio.sleep(0)
        if path == "/2":
            raise TransportError("no connection")
        return path

    hook.answer = staticmethod(second_page_fails)
    async with on(hook) as first, on(hook) as second:
        reads = [pages("list", "/1", "/2", "/3")]
        results = await asyncio.gather(first.poll(reads), second.poll(reads))

    assert all(isinstance(each.answers, TransportError) for each in results)
    assert hook.asked == {"/1": 1, "/2": 1}


async def test_a_wait_that_is_alone_reads_narrowly_and_one_of_several_what_all_can_share(
    hook: type[Hook], clock: list[float]
) -> None:
    mine = [pages("list", "/1", "/2", narrow=pages("mine", "/mine"))]
    others = [pages("list", "/1", "/2", narrow=pages("other", "/other"))]
    async with on(hook) as first:
        alone = await first.poll(mine)
        clock[0] += 60
        async with on(hook) as second:
            assert await second.shared_age(others) is None
            joined = [await second.poll(others), await first.poll(mine)]
        clock[0] += 60
        alone_again = await first.poll(mine)

    assert (alone.answers, alone_again.answers) == ([["/MINE"]], [["/MINE"]])
    assert [each.answers for each in joined] == [[["/1", "/2"]]] * 2
    assert hook.asked == {"/mine": 2, "/1": 1, "/2": 1}


async def test_connections_do_not_share(hook: type[Hook], clock: list[float]) -> None:
    async with on(hook, "one") as first, on(hook, "two") as second:
        await first.poll(READS)
        await second.poll(READS)

    assert hook.asked == {"/a": 2}
    assert [each.conn_id for each in hook.made] == ["one", "two"]


async def test_who_is_cancelled_leaves_the_question_to_the_others(
    hook: type[Hook], clock: list[float]
) -> None:
    gate = asyncio.Event()

    async def slow(path: str) -> Any:
        await gate.wait()
        return path

    hook.answer = staticmethod(slow)

    async def wait() -> Any:
        async with on(hook) as subscriber:
            return (await subscriber.poll(READS)).answers

    asker, other = asyncio.create_task(wait()), asyncio.create_task(wait())
    await asyncio.sleep(0.01)
    asker.cancel()
    await asyncio.sleep(0.01)
    gate.set()

    assert await other == ["/a"]
    assert asker.cancelled()
    assert hook.asked == {"/a": 1}
    assert [each.closed for each in hook.made] == [True]


async def test_when_all_are_cancelled_nothing_stays_behind(hook: type[Hook], clock: list[float]) -> None:
    async def never(path: str) -> Any:
        await asyncio.Event().wait()

    hook.answer = staticmethod(never)

    async def wait() -> None:
        async with on(hook) as subscriber:
            await subscriber.poll(READS)

    waits = [asyncio.create_task(wait()) for _ in range(3)]
    await asyncio.sleep(0.01)
    for each in waits:
        each.cancel()
    await asyncio.gather(*waits, return_exceptions=True)
    await asyncio.sleep(0.01)

    assert [each.closed for each in hook.made] == [True]
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_the_last_one_closes_the_client_and_the_next_one_gets_another(
    hook: type[Hook], clock: list[float]
) -> None:
    async with on(hook) as first:
        await first.poll(READS)
        async with on(hook) as second:
            await second.poll(READS)
        assert not hook.made[0].closed
    async with on(hook) as later:
        await later.poll(READS)

    assert [each.closed for each in hook.made] == [True, True]


async def test_a_client_is_replaced_after_some_time_and_not_under_a_call(
    hook: type[Hook], clock: list[float]
) -> None:
    gate = asyncio.Event()

    async def slow(path: str) -> Any:
        if path == "/slow":
            await gate.wait()
        return path

    hook.answer = staticmethod(slow)
    async with on(hook) as first, on(hook) as second:
        long_one = asyncio.create_task(first.poll([call("/slow")]))
        await asyncio.sleep(0.01)
        clock[0] += KEPT_SECONDS + 1
        await second.poll(READS)
        assert [each.closed for each in hook.made] == [False, False]
        gate.set()
        await long_one
        assert [each.closed for each in hook.made] == [True, False]

    assert [each.closed for each in hook.made] == [True, True]


async def test_nothing_is_remembered_of_a_connection_that_nobody_waits_on(
    hook: type[Hook], clock: list[float]
) -> None:
    async def wait() -> weakref.ref[Any]:
        async with on(hook) as subscriber:
            await subscriber.poll(READS)
            return weakref.ref(subscriber._polls)

    line = await wait()
    gc.collect()

    assert line() is None


async def test_a_question_that_nobody_asks_any_more_is_forgotten(
    hook: type[Hook], clock: list[float]
) -> None:
    async with on(hook) as subscriber:
        for number in range(20):
            await subscriber.poll([call(f"/{number}")])
        gc.collect()

        assert len(subscriber._polls._polls) == 1


def test_event_loops_do_not_share(hook: type[Hook], clock: list[float]) -> None:
    async def wait() -> Subscriber:
        async with on(hook) as subscriber:
            await subscriber.poll(READS)
            return subscriber

    one, other = asyncio.run(wait()), asyncio.run(wait())

    assert one._polls is not other._polls
    assert hook.asked == {"/a": 2}
