"""The aiohttp transport below httpx, with less CPU time per request and the same rules.

What aiohttp and httpx-aiohttp do otherwise is undone here:

- A request is not sent again by itself, whatever its method.
- An error counts as "not sent" only if no connection was ready; httpx-aiohttp calls a lost connection a failed one.
- A connection is used again only if the response before ended with the last byte that came, and none came since.
- The URL and the names of headers are sent as they were given; cookies are neither kept nor sent.
"""

from __future__ import annotations

import functools
import select
import ssl
from collections.abc import AsyncIterator, Iterator
from typing import Any, cast

import aiohttp
import msgspec
from aiohttp.client_proto import ResponseHandler
from aiohttp.http_exceptions import HttpProcessingError
from httpx_aiohttp import AiohttpTransport
from httpx_aiohttp.transport import AiohttpResponseStream
from yarl import URL

from airflow_voice_agents.transport.connection_pool import holds_record

KEPT_ALIVE = 5.0
"""Seconds for which an idle connection is kept, as httpx keeps it."""
_END_OF_HEAD = b"\r\n\r\n"
_LAST_CHUNK = b"\r\n0\r\n\r\n"
_LONGEST_HEAD = 64 * 1024


class Faults(msgspec.Struct, frozen=True):
    """The errors that the client tells apart, each a class that takes a message.

    :param connect: no connection was made, so nothing was sent.
    :param connect_timeout: none in time.
    :param unusable: what was given can be no host.
    :param read: the connection was lost.
    :param read_timeout: the answer stayed away.
    :param protocol: the answer was no HTTP, or ended too early.
    """

    connect: type[Exception]
    connect_timeout: type[Exception]
    unusable: type[Exception]
    read: type[Exception]
    read_timeout: type[Exception]
    protocol: type[Exception]

    def of(self, error: BaseException, *, connected: bool) -> Exception:
        """Return the fault that an error is, without a cause.

        :param error: what was raised while a request was sent or a response read.
        :param connected: a connection was ready; from then on bytes may have been sent.
        """
        chain = list(_causes(error))
        root = chain[-1]
        text = _text_of(root)
        late = any(isinstance(each, TimeoutError) for each in chain)
        if not connected:
            if late:
                return self.connect_timeout(text)
            unusable = any(isinstance(each, (UnicodeError, aiohttp.InvalidURL)) for each in chain)
            return (self.unusable if unusable else self.connect)(text)
        if late:
            return self.read_timeout(text)
        return (self.read if isinstance(root, OSError) else self.protocol)(text)


class FastTransport(AiohttpTransport):  # type: ignore[misc, unused-ignore]
    """A transport with one connection, for one request at a time.

    :param context: certificate authorities and versions of TLS.
    :param faults: the errors to raise.
    """

    def __init__(self, context: ssl.SSLContext, faults: Faults) -> None:
        super().__init__(verify=context, trust_env=False)
        self._faults = faults
        self._session: _Session | None = None

    def get_client(self) -> Any:
        """Return the session of this transport, made in the running loop at first use."""
        if self._session is None:
            self._session = _Session(self.ssl_context)
        return self._session

    async def handle_async_request(self, request: Any) -> Any:
        """Send a request, and return the response once its head came.

        :param request: httpx's request.
        """
        session = self.get_client()
        session.dialer.ready = False
        try:
            response = await super().handle_async_request(request)
        except Exception as error:  # noqa: BLE001  what is not known counts as sent
            fault = self._faults.of(error, connected=session.dialer.ready)
            raise fault from list(_causes(error))[-1]
        response.stream = _Body(response.stream, self._faults)
        return response

    async def aclose(self) -> None:
        """Close the connection."""
        if self._session is not None:
            await self._session.aclose()


class _Session:
    """What httpx-aiohttp takes for a session of aiohttp."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self.dialer = _Dialer(
            ssl=context,
            limit=0,
            keepalive_timeout=KEPT_ALIVE,
            resolver=aiohttp.ThreadedResolver(),
            use_dns_cache=False,
        )
        self._session = aiohttp.ClientSession(
            connector=self.dialer,
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            middlewares=(_send_once,),
        )

    def request(self, *, url: str, headers: Any, **arguments: Any) -> Any:
        """Send a request whose URL is encoded already."""
        spelled = [(name.decode("ascii"), value.decode("ascii")) for name, value in headers.raw]
        return self._session.request(url=URL(url, encoded=True), headers=spelled, **arguments)

    async def aclose(self) -> None:
        await self._session.close()


class _Body(AiohttpResponseStream):  # type: ignore[misc, unused-ignore]
    """The body of a response, whose errors are the client's."""

    def __init__(self, inner: Any, faults: Faults) -> None:
        self._inner = inner
        self._faults = faults

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for chunk in self._inner:
                yield chunk
        except Exception as error:  # noqa: BLE001  it leaves the outcome open, whatever it is
            raise self._faults.of(error, connected=True) from list(_causes(error))[-1]

    async def aclose(self) -> None:
        await self._inner.aclose()


class _Sent(aiohttp.ClientError):
    """An exchange that failed, in a class that aiohttp does not answer with a second one."""


async def _send_once(request: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType) -> Any:
    try:
        return await send(request)
    except Exception as error:
        raise _Sent from error


class _Dialer(aiohttp.TCPConnector):
    """Connects, and gives up what cannot be used again.

    ``ready``: a connection was handed out, so that bytes may have been sent.
    """

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.ready = False
        factory: Any = functools.partial(_CountingHandler, loop=self._loop)
        self._factory = factory

    async def connect(self, *arguments: Any, **named: Any) -> Any:
        while True:
            connection = await super().connect(*arguments, **named)
            handler = connection.protocol
            if not isinstance(handler, _CountingHandler):
                cast("ResponseHandler", handler).force_close()  # nobody counted, so nobody knows
            elif handler.was_used and not handler.is_clean():
                connection.close()
                continue
            else:
                handler.was_used = True
            self.ready = True
            return connection


class _CountingHandler(ResponseHandler):
    """Counts the bytes of each response: aiohttp drops surplus ones, or takes them for the next response."""

    def __init__(self, loop: Any) -> None:
        super().__init__(loop=loop)
        self.was_used = False
        self._count = 0
        self._body_at: int | None = None
        self._head = bytearray()
        self._end = b""

    def set_response_params(self, **arguments: Any) -> None:
        """Begin the next response."""
        self._count, self._body_at, self._head, self._end = 0, None, bytearray(), b""
        super().set_response_params(**arguments)

    def data_received(self, data: bytes) -> None:
        """Take what came from the network."""
        self._count += len(data)
        self._end = (self._end + data[-len(_LAST_CHUNK) :])[-len(_LAST_CHUNK) :]
        if self._body_at is None and len(self._head) < _LONGEST_HEAD:
            self._head += data
            found = self._head.find(_END_OF_HEAD)
            if found >= 0:
                self._body_at = found + len(_END_OF_HEAD)
                del self._head[self._body_at :]
        super().data_received(data)

    def is_clean(self) -> bool:
        """Tell whether the last byte that came was the last one of the response."""
        if self.should_close or self._body_at is None or not self._ended():
            return False
        transport = self.transport
        return transport is not None and not _has_more(transport)

    def _ended(self) -> bool:
        head = bytes(self._head).lower()
        if b"\r\ntransfer-encoding:" in head:
            return self._end == _LAST_CHUNK
        if head[9:12] == b"204":
            return self._count == self._body_at
        _, named, rest = head.partition(b"\r\ncontent-length:")
        length = rest.partition(b"\r\n")[0].strip()
        return bool(named) and length.isdigit() and self._count == (self._body_at or 0) + int(length)


def _has_more(transport: Any) -> bool:
    """Tell whether bytes wait that the event loop has not read yet."""
    encrypted = transport.get_extra_info("ssl_object")
    if encrypted is not None and holds_record(encrypted):
        return True
    wire = transport.get_extra_info("socket")
    if wire is None or wire.fileno() < 0:
        return True
    waiting = select.poll()
    waiting.register(wire.fileno(), select.POLLIN)
    return bool(waiting.poll(0))


def _text_of(error: BaseException) -> str:
    """Return what an error says, without the parts of a response that aiohttp quotes in it."""
    if isinstance(error, OSError) and error.strerror:
        return ""  # the client reads it from the error itself
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return "the server closed the connection"
    if isinstance(error, HttpProcessingError):
        return str(error.message).partition("\n")[0].partition(" b'")[0].rstrip(": ")
    return str(error)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__
