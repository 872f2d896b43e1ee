"""Bounded concurrency, and progress of long work at a steady rate."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager
from contextvars import copy_context
from functools import partial
from itertools import chain, islice
from typing import Any, Protocol, TypeVar

from airflow_voice_agents.plans.kind import ResourceKind, WouldWaitError, must_not_wait
from airflow_voice_agents.transport.api_request import ApiRequest

T = TypeVar("T")
Item = TypeVar("Item")


class Sender(Protocol):
    """Sends requests: a hook's ``asend``."""

    async def __call__(self, request: ApiRequest[T], /) -> T:
        """Send one request and return its parsed response."""


class _PlanThread:
    """One thread for plans that block: threads of the event loop's own are needed to look up hosts, for one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._threads: ThreadPoolExecutor | None = None
        self._scopes = 0

    def submit(self, work: Callable[[], T]) -> Future[T]:
        """Do some work after what was handed in before; the thread starts when it is first needed."""
        with self._lock:
            if self._threads is None:
                self._threads = ThreadPoolExecutor(max_workers=1, thread_name_prefix="voice-agents-plans")
            return self._threads.submit(work)

    def enter(self) -> None:
        """Begin a scope, in which the thread stays."""
        with self._lock:
            self._scopes += 1

    def leave(self) -> bool:
        """End a scope, and return whether it was the last one with a thread."""
        with self._lock:
            self._scopes -= 1
            return self._scopes == 0 and self._threads is not None

    def end(self) -> None:
        """End the thread, which is idle, unless another scope has begun."""
        with self._lock:
            if self._scopes == 0 and self._threads is not None:
                self._threads.shutdown()
                self._threads = None


_plan_thread = _PlanThread()


def _after_fork() -> None:
    """Begin anew: a fork takes no threads along."""
    _plan_thread.__init__()  # type: ignore[misc]


os.register_at_fork(after_in_child=_after_fork)


async def free_loop(work: Callable[[], T]) -> T:
    """Return what ``work`` returns. What has to wait for another process runs in a thread, so that the loop stays free.

    Most plans need not wait, and are made at once: handing each to the thread would only cost time.

    :param work: plans something and changes nothing, so that it can be done twice.
    """
    token = must_not_wait.set(True)
    try:
        return work()
    except WouldWaitError:
        pass
    finally:
        must_not_wait.reset(token)
    context = copy_context()
    return await asyncio.wrap_future(_plan_thread.submit(partial(context.run, work)))


@asynccontextmanager
async def planning(kinds: Iterable[ResourceKind[Any]]) -> AsyncIterator[None]:
    """Plan inside; afterwards neither a thread nor a process is left of what blocks, unless others plan as well.

    :param kinds: the kinds of what is planned.
    """
    blocking = [kind for kind in kinds if kind.blocking]
    if not blocking:
        yield
        return
    _plan_thread.enter()
    try:
        yield
    finally:
        if _plan_thread.leave():
            for kind in blocking:
                await asyncio.wrap_future(_plan_thread.submit(kind.release))
            _plan_thread.end()


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
    first = list(islice(waiting, limit))
    waiting, count = chain(first, waiting), len(first)
    del first  # an item is let go when its work is done

    async def drain() -> None:
        for item in waiting:
            await work(item)

    if count < 2:  # the one write and the one read of each of thousands of targets: no task is needed
        await drain()
        return
    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(count):
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
