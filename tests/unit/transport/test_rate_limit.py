"""One key's requests in flight and their pace, across clients, loops and threads."""

from __future__ import annotations

import asyncio
import gc
import threading

import pytest

from airflow_voice_agents.transport.rate_limit import RateLimiter, rate_limiter_for


async def _settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def test_one_limiter_per_system_and_key():
    assert rate_limiter_for("polyai", ["key-a"]) is rate_limiter_for("polyai", ["key-a"])
    assert rate_limiter_for("polyai", ["key-a"]) is not rate_limiter_for("polyai", ["key-b"])
    assert rate_limiter_for("polyai", ["key-a"]) is not rate_limiter_for("signalwire", ["key-a"])
    assert rate_limiter_for("polyai", ["ab", "c"]) is not rate_limiter_for("polyai", ["a", "bc"])


def test_the_key_itself_is_not_kept():
    key = "a-key-that-is-nowhere-else"
    rate_limiter_for("polyai", [key])
    gc.collect()
    from airflow_voice_agents.transport import rate_limit

    assert key not in repr(rate_limit._limiters)


async def test_waiters_are_admitted_in_order():
    limiter, order = RateLimiter(), []

    async def work(number: int) -> None:
        await limiter.acquire(1)
        order.append(number)
        await asyncio.sleep(0)
        limiter.release()

    await asyncio.gather(*(work(number) for number in range(10)))
    assert order == list(range(10))
    assert limiter.in_flight == 0


async def test_newcomer_does_not_overtake_a_waiter():
    limiter = RateLimiter()
    await limiter.acquire(1)
    first = asyncio.create_task(limiter.acquire(1))
    await _settled()
    newcomer = asyncio.create_task(limiter.acquire(99))
    await _settled()
    assert not newcomer.done()
    limiter.release()
    await asyncio.gather(first, newcomer)
    assert limiter.in_flight == 2


async def test_cancelled_waiter_leaves_the_line():
    limiter = RateLimiter()
    await limiter.acquire(1)
    waiting, next_one = (asyncio.create_task(limiter.acquire(1)) for _ in range(2))
    await _settled()
    waiting.cancel()
    await _settled()
    limiter.release()
    await next_one
    assert limiter.in_flight == 1


async def test_waiter_cancelled_after_it_was_admitted_gives_the_slot_on():
    limiter = RateLimiter()
    await limiter.acquire(1)
    waiting, next_one = (asyncio.create_task(limiter.acquire(1)) for _ in range(2))
    await _settled()
    limiter.release()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await next_one
    assert limiter.in_flight == 1


async def test_cancelling_a_stricter_waiter_admits_those_behind_it():
    limiter = RateLimiter()
    await limiter.acquire(2)
    strict = asyncio.create_task(limiter.acquire(1))
    await _settled()
    behind = asyncio.create_task(limiter.acquire(2))
    await _settled()
    strict.cancel()
    await behind
    assert limiter.in_flight == 2


def test_waiter_of_a_closed_loop_is_passed_over():
    limiter = RateLimiter()
    loop = asyncio.new_event_loop()
    loop.run_until_complete(limiter.acquire(1))
    abandoned = limiter.acquire(1)

    async def start() -> None:
        abandoned.send(None)

    loop.run_until_complete(start())
    loop.close()

    async def wait_behind() -> None:
        behind = asyncio.create_task(limiter.acquire(1))
        await _settled()
        limiter.release()
        await behind

    asyncio.run(wait_behind())
    abandoned.close()
    assert limiter.in_flight == 1


def test_bound_holds_across_threads_with_their_own_loops():
    limiter, now, most, lock = RateLimiter(), [0], [0], threading.Lock()

    async def work() -> None:
        await limiter.acquire(3)
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        await asyncio.sleep(0)
        with lock:
            now[0] -= 1
        limiter.release()

    async def many() -> None:
        await asyncio.gather(*(work() for _ in range(200)))

    threads = [threading.Thread(target=asyncio.run, args=(many(),)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert most[0] <= 3
    assert limiter.in_flight == 0
