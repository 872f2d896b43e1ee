"""Bounded concurrency, and progress of long work at a steady rate."""

from __future__ import annotations

import asyncio
import os
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Protocol, TypeVar

from airflow_voice_agents.transport.api_request import ApiRequest

T = TypeVar("T")
Item = TypeVar("Item")


class Sender(Protocol):
    """Sends requests: a hook's ``asend``."""

    async def __call__(self, request: ApiRequest[T], /) -> T:
        """Send one request and return its parsed response."""


class _Planners:
    """One thread for plans that block: threads of the event loop's own are needed to look up hosts, for one."""

    def __init__(self) -> None:
        self._threads: ThreadPoolExecutor | None = None

    def get(self) -> ThreadPoolExecutor:
        """Return the thread, made when it is first needed."""
        if self._threads is None:
            self._threads = ThreadPoolExecutor(max_workers=1, thread_name_prefix="voice-agents-plans")
        return self._threads

    def forget(self) -> None:
        """Let go of the thread after a fork, which takes no threads along."""
        self._threads = None


_planners = _Planners()
os.register_at_fork(after_in_child=_planners.forget)


async def off_loop(work: Callable[[], T], *, blocking: bool) -> T:
    """Return what ``work`` returns; what may block runs in a thread, so that the event loop stays free.

    :param work: plans something.
    :param blocking: whether it may block.
    """
    if not blocking:
        return work()
    context = copy_context()
    return await asyncio.get_running_loop().run_in_executor(_planners.get(), context.run, work)


async def for_each_limited(
    items: Iterable[Item], work: Callable[[Item], Awaitable[None]], *, limit: int
) -> None:
    """Work on items with at most ``limit`` in flight; items are taken one by one, never collected.

    :param items: the items.
    :param work: coroutine function; it handles its own expected errors.
    :param limit: maximum number of items in flight.
    :raises BaseException: the first unexpected error of ``work``; everything in flight is cancelled.
    """
    waiting = iter(items)

    async def drain() -> None:
        for item in waiting:
            await work(item)

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(limit):
                group.create_task(drain())
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None


class ProgressLog:
    """Counts finished items and logs the counts every few seconds.

    :param what: the work, for people (``"connectors of hotel-1"``).
    :param total: number of items in all.
    :param log: receives each line (a logger's ``info``).
    :param interval: minimum seconds between two lines.
    :param clock: monotonic seconds.
    """

    def __init__(
        self,
        what: str,
        total: int,
        log: Callable[[str], None],
        *,
        interval: float = 5.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._what = what
        self._total = total
        self._log = log
        self._interval = interval
        self._clock = clock
        self._logged_at = clock()
        self._counts: Counter[str] = Counter()

    def add(self, status: str) -> None:
        """Count one finished item, and log the counts when it is time.

        :param status: how it ended.
        """
        self._counts[status] += 1
        if self._clock() - self._logged_at >= self._interval:
            self._logged_at = self._clock()
            parts = ", ".join(f"{count} {name}" for name, count in sorted(self._counts.items()))
            self._log(f"{self._what}: {self._counts.total()} of {self._total} done ({parts})")
