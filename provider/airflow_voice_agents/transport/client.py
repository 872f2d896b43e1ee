"""The HTTP client: sends API requests, sync and async, for every system."""

from __future__ import annotations

import asyncio
import functools
import logging
import random as random_module
import ssl
import threading
import time
import uuid
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextvars import ContextVar
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import quote, urlencode

import httpx

from airflow_voice_agents.transport.api_request import ApiRequest
from airflow_voice_agents.transport.connection_pool import ConnectionPool, holds_surplus
from airflow_voice_agents.transport.errors import (
    CallError,
    InputError,
    RateLimited,
    TransportError,
    UnusableConnection,
)
from airflow_voice_agents.transport.event_loop import SyncRunner
from airflow_voice_agents.transport.json_body import encode_body
from airflow_voice_agents.transport.rate_limit import pace_for, rate_limiter_for
from airflow_voice_agents.transport.rate_pace import Start
from airflow_voice_agents.transport.redaction import Redactor
from airflow_voice_agents.transport.response import (
    Attempt,
    Failure,
    RawResponse,
    ResponseReader,
    Value,
    to_unknown,
)
from airflow_voice_agents.transport.retry import (
    LONGEST_NAMED_WAIT,
    ErrorResponse,
    GiveUp,
    NoResponse,
    NotSent,
    Outcome,
    Resend,
    RetryBudget,
    Unknown,
    decide,
    is_rate_limit,
    leaves_doubt,
)
from airflow_voice_agents.transport.secure_connection import (
    name_advice,
    open_context,
    open_with_proxy,
    proxy_on_the_way,
    takes_aiohttp,
    tls_advice,
    with_system_errors,
)
from airflow_voice_agents.transport.settings import ClientSettings

__all__ = ["Client", "ClientSettings"]

T = TypeVar("T")

logger = logging.getLogger(__name__)

_sending: ContextVar[bool] = ContextVar("voice_agents_sending", default=False)

_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)
# A read time-out that was cut to the deadline may fire a little before it.
_TIMER_SLACK = 0.05
_ONE_CONNECTION = httpx.Limits(max_connections=None, max_keepalive_connections=1)
_DECODED = frozenset({"identity", "gzip", "x-gzip", "deflate"})


def _event_only(record: logging.LogRecord) -> bool:
    """Leave of a record about our request the event's name: the rest holds every header and the full URL."""
    if _sending.get():
        record.msg, record.args = record.getMessage().partition(" ")[0], None
    return True


# Queries may hold the numbers of people, and headers keys. A filter does not hold for the loggers below its own.
HTTPCORE_LOGGERS = tuple(
    f"httpcore{part}" for part in ("", ".connection", ".http11", ".http2", ".proxy", ".socks")
)
for _name in HTTPCORE_LOGGERS:
    logging.getLogger(_name).addFilter(_event_only)


class Client:
    """Sends requests to one base URL under one key: limits, deadline, resends, errors.

    Connections are pooled per event loop; several clients, loops and threads of one process share the
    limits of their key. Proxies are taken from the environment as httpx does, except for loopback
    hosts, which are always reached directly. A client is closed in the loop that used it.

    :param settings: address, key, limits and the platform's error format.
    :param transport: replaces the network in tests.
    :param clock: monotonic seconds.
    :param wall_clock: seconds since the epoch, for times that a response names.
    :param sleep: waits the given seconds.
    :param random: numbers in [0, 1) for the jitter.
    """

    def __init__(
        self,
        settings: ClientSettings,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        random: Callable[[], float] = random_module.random,
    ) -> None:
        self.settings = settings
        self.requests_sent = 0
        """Attempts handed to the network so far, resends included."""
        self._transport = transport
        self._clock = clock
        self._wall_clock = wall_clock
        self._sleep = sleep
        self._random = random
        self._base = settings.base_url.rstrip("/")
        self._redact = Redactor([*settings.secrets, *_credentials(settings)])
        self._reader = ResponseReader(settings, self._redact)
        self._limiter = rate_limiter_for(settings.system, settings.secrets)
        self._pace = pace_for(settings, clock)
        self._budget = RetryBudget()
        self._lock = threading.Lock()
        self._headers = httpx.Headers(
            {
                **settings.headers,
                "Accept": "application/json",
                "Accept-Encoding": "gzip",
                "Connection": "keep-alive",
                "User-Agent": settings.user_agent,
            }
        ).raw
        self._connections = ConnectionPool(self._open)
        self._pools: list[ConnectionPool[Any]] = [self._connections, *self._pace.pools]
        self._own_loop = SyncRunner()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.settings.system} at {self.settings.base_url})"

    def redact(self, text: str, request: ApiRequest[Any] | None = None) -> str:
        """Clean a text that comes from the platform: one line, without the client's secrets.

        :param text: text from a response.
        :param request: the request that it answers, whose values are masked as well.
        """
        return (self._redact.about(request) if request else self._redact)(text)

    async def asend(self, call: ApiRequest[T]) -> T:
        """Send a request and return the value that its ``read`` makes of the response.

        :param call: the request.
        :raises InputError: when the request cannot be sent as it is; nothing was sent.
        :raises OutcomeUnknown: when a write was sent and may or may not have taken effect.
        :raises CallError: the subclass that says what went wrong.
        """
        seconds = call.deadline or self.settings.deadline
        attempt = Attempt(
            call,
            url=self._base + call.path + _query(call),
            address=self.settings.address,
            content=encode_body(call),
            seconds=seconds,
            expires=self._clock() + seconds,
        )
        try:
            async with asyncio.timeout(seconds) as scope:
                return await self._settle(attempt)
        except TimeoutError:
            if not scope.expired():
                raise
        raise attempt.too_late()

    def send(self, call: ApiRequest[T]) -> T:
        """Send a request from code that is not async; see :meth:`asend`.

        :param call: the request.
        :raises RuntimeError: when an event loop runs in this thread.
        """
        return self.run(self.asend(call))

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run ``coroutine`` on the client's own event loop, so that its requests share one pool.

        :param coroutine: awaits :meth:`asend`; threads take turns.
        :raises RuntimeError: when an event loop runs in this thread.
        """
        return self._own_loop.run(coroutine)

    async def aclose(self) -> None:
        """Close the connections; the client cannot be used afterwards."""
        self._refuse()
        if self._own_loop.is_open and not self._own_loop.is_running_here():
            await asyncio.to_thread(self.close)
        else:
            await self._close_pools()

    def close(self) -> None:
        """Close the connections and the client's own event loop, from code that is not async.

        :raises RuntimeError: when an event loop runs in this thread.
        """
        if any(pool.is_used for pool in self._pools):
            self._own_loop.run(self._close_pools())
        self._own_loop.close()
        self._refuse()

    def _refuse(self) -> None:
        for pool in self._pools:
            pool.refuse()

    async def _close_pools(self) -> None:
        for pool in self._pools:
            await pool.aclose()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def _settle(self, attempt: Attempt[T]) -> T:
        while True:
            result, start = await self._attempt(attempt)
            if isinstance(result, Value):
                self._budget.earn()
                return result.value
            try:
                wait = self._next_wait(attempt, result)
            except CallError:
                await self._slow_down(start, result.outcome)
                raise
            await self._slow_down(start, result.outcome, wait)
            await self._sleep(wait)

    async def _slow_down(self, start: Start, outcome: Outcome, wait: float | None = None) -> None:
        """Let all who share the key wait as well; a wait that is left to the task keeps nobody else."""
        if isinstance(outcome, ErrorResponse) and is_rate_limit(outcome):
            named = outcome.retry_after or 0.0
            await self._pace.refused(start, wait or (named if named <= LONGEST_NAMED_WAIT else 0.0))

    async def _attempt(self, attempt: Attempt[T]) -> tuple[Value[T] | Failure, Start]:
        await self._limiter.acquire(self.settings.max_concurrency)
        try:
            start = await self._wait_for_start(attempt)
            return await self._exchange(attempt), start
        finally:
            self._limiter.release()

    async def _wait_for_start(self, attempt: Attempt[Any]) -> Start:
        """Wait for a start of one's own; what was refused meanwhile makes everybody wait anew."""
        while True:
            start = await self._pace.reserve(self.settings.requests_per_second)
            if self._clock() + start.wait >= attempt.expires:
                raise await self._no_turn_in_time(attempt, start)
            if start.wait <= 0:
                return start
            await self._sleep(start.wait)
            if not await self._pace.paused():
                return start

    async def _no_turn_in_time(self, attempt: Attempt[Any], start: Start) -> CallError:
        """Return the error of a request whose turn comes after its deadline, with the wait that a refusal asks for."""
        if not await self._pace.paused():
            return attempt.too_late(waiting="its turn under the key's rate limit")
        again = time.strftime("%H:%M:%S UTC", time.gmtime(self._wall_clock() + start.wait))
        reason = f"not sent: the platform refused this key, and no request starts for {start.wait:.0f} s, until {again}"
        return attempt.error(RateLimited, reason, 429, retry_after=start.wait)

    async def _exchange(self, attempt: Attempt[T]) -> Value[T] | Failure:
        attempt.number += 1
        attempt.correlation_id = str(uuid.uuid4()) if self.settings.correlation_header else ""
        started = self._clock()
        try:
            response = await self._request(attempt)
        except httpx.HTTPError as error:
            attempt.in_flight = False
            self._log_exchange(attempt, type(error).__name__, started)
            return self._lost(attempt, error)
        except (httpx.InvalidURL, UnicodeError):
            attempt.in_flight = False
            reason = f"no connection to {attempt.address}: this cannot be the name of a host"
            return Failure(NotSent(), attempt.error(UnusableConnection, reason))
        attempt.in_flight = False
        self._log_exchange(attempt, response.status, started)
        return self._reader.read(attempt, response, self._wall_clock())

    async def _request(self, attempt: Attempt[Any]) -> RawResponse:
        sending = _sending.set(True)
        try:
            with self._connections.one() as connection:
                return await self._send_on(connection, attempt)
        finally:
            _sending.reset(sending)

    async def _send_on(self, connection: httpx.AsyncBaseTransport, attempt: Attempt[Any]) -> RawResponse:
        """Send without httpx's client: its redirects, cookies and authentication are not wanted, and take a third."""
        http_request = httpx.Request(
            attempt.request.method,
            attempt.url,
            content=attempt.content,
            headers=[*self._headers, *self._own_headers(attempt)],
            extensions={"timeout": self._timeout(attempt)},
        )
        with self._lock:
            self.requests_sent += 1
        attempt.in_flight = True
        response = await connection.handle_async_request(http_request)
        try:
            return await self._receive(response)
        finally:
            if holds_surplus(response):
                await response.extensions["network_stream"].aclose()  # else it answers the next request
            await response.aclose()

    def _own_headers(self, attempt: Attempt[Any]) -> Iterator[tuple[bytes, bytes]]:
        if header := self.settings.correlation_header:
            yield header.encode("ascii"), attempt.correlation_id.encode("ascii")
        if attempt.content is not None:
            yield b"Content-Type", b"application/json"

    async def _receive(self, response: httpx.Response) -> RawResponse:
        status, headers = response.status_code, response.headers
        if status < 200 or 300 <= status < 400:
            return RawResponse(status, headers)
        try:
            return await self._read(response)
        except httpx.HTTPError:
            if status < 300:
                raise
            return RawResponse(status, headers)

    async def _read(self, response: httpx.Response) -> RawResponse:
        status, headers = response.status_code, response.headers
        codings = headers.get_list("content-encoding", split_commas=True)
        if len(codings) > 1 or not _DECODED.issuperset(coding.lower() for coding in codings):
            return RawResponse(
                status, headers, flaw="the response has a content encoding that was not asked for"
            )
        most = self.settings.max_response_bytes
        too_large = RawResponse(
            status, headers, flaw=f"the response is larger than {most} bytes", oversized=True
        )
        length = headers.get("content-length", "")
        if length.isdecimal() and (len(length) > 15 or int(length) > most):
            return too_large
        body = bytearray()
        async for chunk in response.aiter_bytes():
            body += chunk
            if len(body) > most:
                return too_large
        return RawResponse(status, headers, bytes(body))

    def _lost(self, attempt: Attempt[Any], error: httpx.HTTPError) -> Failure:
        text = self._redact.about(attempt.request)(with_system_errors(error), 240)
        cause = f"{type(error).__name__}: {text}" if text else type(error).__name__
        route = attempt.address + proxy_on_the_way(self.settings)
        if isinstance(error, _NOT_SENT):
            if (advice := tls_advice(error, attempt.address)) is not None:
                reason = f"no connection to {route}: {cause}"
                return Failure(NotSent(), attempt.error(UnusableConnection, reason, advice=advice))
            reason = f"no connection to {route}: {cause}"
            advice = name_advice(error, attempt.address)
            return Failure(NotSent(), attempt.error(TransportError, reason, advice=advice))
        reason = f"no complete answer from {route}: {cause}"
        return Failure(NoResponse(), attempt.error(TransportError, reason))

    def _next_wait(self, attempt: Attempt[Any], failure: Failure) -> float:
        failure.error.in_doubt = attempt.in_doubt
        attempt.in_doubt = attempt.in_doubt or leaves_doubt(failure.outcome)
        if isinstance(failure.error, UnusableConnection):
            raise failure.error
        too_many = is_rate_limit(failure.outcome)
        attempt.refusals += too_many
        decision = decide(
            attempt.request.replay,
            failure.outcome,
            attempt=attempt.refusals if too_many else attempt.number - attempt.refusals,
            max_attempts=self.settings.max_attempts,
            remaining=attempt.expires - self._clock(),
            random=self._random,
        )
        if isinstance(decision, Unknown):
            raise to_unknown(failure.error)
        if isinstance(decision, Resend):
            if too_many or self._budget.spend():
                self._log_resend(attempt, failure, decision.wait)
                return decision.wait
            decision = GiveUp("the client's retry budget is spent")
        raise self._final(attempt, failure, decision.because)

    def _final(self, attempt: Attempt[Any], failure: Failure, because: str) -> CallError:
        out_of_time = attempt.expires - self._clock() < _TIMER_SLACK
        if isinstance(failure.outcome, (NotSent, NoResponse)) and out_of_time:
            return attempt.too_late(failure.error.reason)
        error = failure.error
        if because:
            error.reason = f"{error.reason} ({because})"
            error.args = (error.reason,)
        return error

    def _timeout(self, attempt: Attempt[Any]) -> dict[str, float]:
        remaining = max(attempt.expires - self._clock(), 0.001)
        silent = min(attempt.request.deadline or self.settings.read_timeout, remaining)
        connecting = min(self.settings.connect_timeout, remaining)
        return {"connect": connecting, "read": silent, "write": silent, "pool": silent}

    def _open(self) -> httpx.AsyncBaseTransport:
        return self._transport or open_with_proxy(self._new_connection, self.settings.base_url)

    def _new_connection(self, proxy: str | None) -> httpx.AsyncBaseTransport:
        # Reading the certificate authorities takes 20 ms, which a connection without TLS need not wait for.
        context = _tls() if self.settings.base_url.startswith("https:") else _no_tls()
        if takes_aiohttp(self.settings):
            return _fast_transport(context)
        return httpx.AsyncHTTPTransport(verify=context, trust_env=False, limits=_ONE_CONNECTION, proxy=proxy)

    def _log_exchange(self, attempt: Attempt[Any], result: int | str, started: float) -> None:
        if logger.isEnabledFor(logging.DEBUG):
            milliseconds = (self._clock() - started) * 1000
            text, request = "%s %s → %s in %.0f ms (correlation id %s)", attempt.request
            sent_id = attempt.correlation_id or "none"
            logger.debug(text, request.method, request.route, result, milliseconds, sent_id)

    def _log_resend(self, attempt: Attempt[Any], failure: Failure, wait: float) -> None:
        error = failure.error
        if is_rate_limit(failure.outcome):
            text = "%s: the platform takes no more requests of this key for now (429); waiting %.1f s"
            logger.info(text, attempt.request.operation, wait)
            return
        logger.warning(
            "%s: attempt %d of %d failed (%s); sending again in %.1f s (%s %s, correlation id %s)",
            attempt.request.operation,
            attempt.number - attempt.refusals,
            self.settings.max_attempts,
            error.status if (error.status or 0) >= 400 else error.reason,
            wait,
            attempt.request.method,
            attempt.request.route,
            attempt.correlation_id or "none",
        )


def _query(request: ApiRequest[Any]) -> str:
    if not request.query:
        return ""
    try:
        return "?" + urlencode(request.query, quote_via=quote)
    except UnicodeEncodeError:
        pass
    raise InputError(f"{request.operation}: a query value holds a lone surrogate; nothing was sent")


def _credentials(settings: ClientSettings) -> list[str]:
    values = [value for name, value in settings.headers.items() if name.lower() == "authorization"]
    return values + [value.partition(" ")[2] for value in values]


def _fast_transport(context: ssl.SSLContext) -> httpx.AsyncBaseTransport:
    from airflow_voice_agents.transport.fast_connection import FastTransport, Faults

    faults = Faults(
        connect=httpx.ConnectError,
        connect_timeout=httpx.ConnectTimeout,
        unusable=httpx.InvalidURL,
        read=httpx.ReadError,
        read_timeout=httpx.ReadTimeout,
        protocol=httpx.RemoteProtocolError,
    )
    return FastTransport(context, faults)


@functools.cache
def _tls() -> ssl.SSLContext:
    return open_context(httpx.create_ssl_context)


@functools.cache
def _no_tls() -> ssl.SSLContext:
    """Return a context that trusts nobody."""
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
