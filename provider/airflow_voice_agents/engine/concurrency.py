"""Whoever sends calls, and bounded concurrency over any number of items."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Protocol, TypeVar

from airflow_voice_agents.transport.api_request import ApiRequest
from airflow_voice_agents.transport.errors import NotFound

T = TypeVar("T")
Item = TypeVar("Item")


class Sender(Protocol):
    """Whoever sends calls: a hook's ``asend``."""

    async def __call__(self, call: ApiRequest[T]) -> T:
        """Send one call and return what it reads."""


def treat_404_as_deleted(send: Sender, operation: str) -> Sender:
    """Return a sender for which a removal that finds nothing has happened already.

    Only for what was just listed: of anything else a 404 may mean a wrong id.

    :param send: sends a call.
    :param operation: the removal's operation.
    """

    async def sender(call: ApiRequest[T]) -> T:
        try:
            return await send(call)
        except NotFound:
            if call.operation != operation:
                raise
            return call.read(None)

    return sender


async def for_each_limited(
    items: Iterable[Item], work: Callable[[Item], Awaitable[None]], *, limit: int
) -> None:
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
