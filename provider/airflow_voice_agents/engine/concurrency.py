"""Bounded concurrency, and progress of long work at a steady rate."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from typing import Protocol, TypeVar

from airflow_voice_agents.transport.api_request import ApiRequest

T = TypeVar("T")
Item = TypeVar("Item")


class Sender(Protocol):
    """Sends requests: a hook's ``asend``."""

    async def __call__(self, request: ApiRequest[T], /) -> T:
        """Send one request and return its parsed response."""


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
