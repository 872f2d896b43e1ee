"""A pool of connections per event loop: one for each request in flight.

The HTTP library's own pool visits all of its connections whenever a request begins or ends, which costs CPU time
with sixteen of them. The rate limiter bounds the requests in flight, so that pool is not needed.
"""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Generic, Protocol, TypeVar

import msgspec


class Closable(Protocol):
    """A connection, as the pool sees it."""

    async def aclose(self) -> None:
        """Close it."""


C = TypeVar("C", bound=Closable)


class _Stock(msgspec.Struct, Generic[C]):
    """The connections of one event loop."""

    made: list[C] = msgspec.field(default_factory=list)
    idle: list[C] = msgspec.field(default_factory=list)


class ConnectionPool(Generic[C]):
    """Lends connections, the last used one first, so that few are kept alive.

    :param make: opens one more.
    """

    def __init__(self, make: Callable[[], C]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._stocks: dict[asyncio.AbstractEventLoop, _Stock[C]] = {}
        self._closed = False

    @property
    def is_used(self) -> bool:
        """A connection was lent in some loop and is not closed yet."""
        return bool(self._stocks)

    @contextmanager
    def one(self) -> Iterator[C]:
        """Lend a connection for one exchange in the running loop.

        :raises RuntimeError: when the pool is closed.
        """
        stock = self._stocks.get(asyncio.get_running_loop()) or self._new_stock()
        if stock.idle:
            lent = stock.idle.pop()
        else:
            lent = self._make()
            stock.made.append(lent)
        try:
            yield lent
        finally:
            stock.idle.append(lent)

    def refuse(self) -> None:
        """Lend no connection to a loop that has none yet."""
        self._closed = True

    async def aclose(self) -> None:
        """Close the connections of all loops that still run, each in its own loop."""
        here = asyncio.get_running_loop()
        with self._lock:
            stocks, self._stocks = self._stocks, {}
        for loop, stock in stocks.items():
            if loop is here:
                await _close(stock)
            elif loop.is_running():
                await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(_close(stock), loop))

    def _new_stock(self) -> _Stock[C]:
        with self._lock:
            if self._closed:
                raise RuntimeError("the client is closed")
            for other in [other for other in self._stocks if other.is_closed()]:
                del self._stocks[other]
            stock = self._stocks[asyncio.get_running_loop()] = _Stock()
            return stock


async def _close(stock: _Stock[C]) -> None:
    for each in stock.made:
        await each.aclose()


def holds_surplus(response: Any) -> bool:
    """Tell whether bytes came after a response, which the next request would take for its own answer.

    What comes later shows when the connection is used again: it is readable then, and is given up.

    :param response: a response of the HTTP library that was read.
    """
    connection = response.extensions.get("network_stream")
    if connection is None:
        return False  # no network
    encrypted = connection.get_extra_info("ssl_object")
    return bool(_unparsed(response.stream)) or (encrypted is not None and holds_record(encrypted))


def _unparsed(stream: Any) -> bytes | str:
    """Return the bytes that were received and not read as part of the response.

    The libraries tell them nobody, but each stream knows the one below it, and the last one its connection.
    """
    for name in ("_httpcore_stream", "_stream", "_connection", "_h11_state"):
        stream = getattr(stream, name, None)
    trailing = getattr(stream, "trailing_data", None)
    return "unknown" if trailing is None else bytes(trailing[0])


def holds_record(encrypted: ssl.SSLObject) -> bool:
    """Tell whether an encrypted connection holds bytes that were received and not read; it may take one of them.

    :param encrypted: our end of the connection.
    """
    try:
        encrypted.read(1)
    except ssl.SSLWantReadError:
        return False
    except (ssl.SSLError, ValueError):
        return True
    return True
