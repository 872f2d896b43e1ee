"""Bounded concurrency over any number of items."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Protocol, TypeVar

from airflow_voice_agents.http.call import Call

T = TypeVar("T")
Item = TypeVar("Item")


class Sender(Protocol):
    """Whoever sends calls: a hook's ``asend``."""

    async def __call__(self, call: Call[T]) -> T:
        """Send one call and return what it reads."""


async def each(items: Iterable[Item], work: Callable[[Item], Awaitable[None]], *, limit: int) -> None:
    """Work on items with at most ``limit`` in flight; the items are taken one by one, never collected.

    :param items: what to work on.
    :param work: coroutine function; it handles its own expected errors.
    :param limit: most items in flight.
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
