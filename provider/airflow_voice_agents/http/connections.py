"""The httpx clients behind a client: per event loop one for each request in flight, each with one connection.

httpx's pool looks at all of its connections whenever a request begins or ends, which for a pool of sixteen
costs as much CPU as the request itself. The limiter says how many are in flight, so nothing is lost.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx


@dataclass(slots=True)
class _Stock:
    """The httpx clients of one event loop."""

    opened: list[httpx.AsyncClient] = field(default_factory=list)
    idle: list[httpx.AsyncClient] = field(default_factory=list)


class Connections:
    """Lends out httpx clients, the one that was used last first, so that few connections are kept alive.

    :param make: makes an httpx client.
    """

    def __init__(self, make: Callable[[], httpx.AsyncClient]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._stocks: dict[asyncio.AbstractEventLoop, _Stock] = {}
        self._closed = False

    @property
    def is_used(self) -> bool:
        """Whether any was lent out, in any loop, and not closed since."""
        return bool(self._stocks)

    @contextmanager
    def one(self) -> Iterator[httpx.AsyncClient]:
        """Lend out a client for one exchange in the running loop.

        :raises RuntimeError: when they are closed.
        """
        stock = self._stocks.get(asyncio.get_running_loop()) or self._new_stock()
        if stock.idle:
            client = stock.idle.pop()
        else:
            client = self._make()
            stock.opened.append(client)
        try:
            yield client
        finally:
            stock.idle.append(client)

    def refuse(self) -> None:
        """Open none in any further loop."""
        self._closed = True

    async def aclose(self) -> None:
        """Close those of all loops that still run, each in its own."""
        here = asyncio.get_running_loop()
        with self._lock:
            stocks, self._stocks = self._stocks, {}
        for loop, stock in stocks.items():
            if loop is here:
                await _close(stock)
            elif loop.is_running():
                await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(_close(stock), loop))

    def _new_stock(self) -> _Stock:
        with self._lock:
            if self._closed:
                raise RuntimeError("the client is closed")
            for other in [other for other in self._stocks if other.is_closed()]:
                del self._stocks[other]
            stock = self._stocks[asyncio.get_running_loop()] = _Stock()
            return stock


async def _close(stock: _Stock) -> None:
    for client in stock.opened:
        await client.aclose()
