"""Send calls: the one module that speaks HTTP, for every system, sync and async alike."""

from __future__ import annotations

import asyncio
import functools
import logging
import random as random_module
import ssl
import threading
import time
import uuid
from collections.abc import Awaitable, Callable, Coroutine
from contextvars import ContextVar
from http.cookiejar import CookieJar
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import quote, urlencode

import httpx

from airflow_voice_agents.transport.api_request import ApiRequest
from airflow_voice_agents.transport.connection_pool import ConnectionPool
from airflow_voice_agents.transport.error_body import one_line
from airflow_voice_agents.transport.errors import ApiError, CallError, InputError, TransportError
from airflow_voice_agents.transport.event_loop import SyncRunner
from airflow_voice_agents.transport.json_body import encode_body
from airflow_voice_agents.transport.rate_limit import rate_limiter_for
from airflow_voice_agents.transport.redaction import Redactor
from airflow_voice_agents.transport.response import Answer, Attempt, Failure, Value, read_response, to_unknown
from airflow_voice_agents.transport.retry import (
    GiveUp,
    NoResponse,
    NotSent,
    Resend,
    RetryBudget,
    Unknown,
    decide,
    leaves_doubt,
)
from airflow_voice_agents.transport.settings import ClientSettings

__all__ = ["Client", "ClientSettings"]

T = TypeVar("T")

logger = logging.getLogger(__name__)

_sending: ContextVar[bool] = ContextVar("voice_agents_sending", default=False)

_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)
# A read time-out that was cut to the deadline may fire a little before it.
_TIMER_SLACK = 0.05
_DECODED = frozenset({"identity", "gzip", "x-gzip", "deflate"})


def _not_ours(_: logging.LogRecord) -> bool:
    return not _sending.get()


# httpx logs full URLs; queries may hold the numbers of people. Only records of our requests are dropped.
logging.getLogger("httpx").addFilter(_not_ours)


class _NoCookies(CookieJar):
    """Takes none, and so has none to give."""

    def extract_cookies(self, response: object, request: object) -> None:
        """Leave the response's cookies where they are."""


class Client:
    """Sends calls to one base URL under one key: limits, deadline, resends, errors.

    Connections are pooled per event loop; several clients, loops and threads of one process share the
    limits of their key. Proxies are taken from the environment as httpx does, except for loopback
    hosts, which are always reached directly. A client is closed in the loop that used it.

    :param settings: where, under which key and within which limits.
    :param transport: stands in for the network in tests.
    :param clock: monotonic seconds.
    :param wall_clock: seconds since the epoch, for moments that an answer names.
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
        """Requests handed to the network so far, resends included."""
        self._transport = transport
        self._clock = clock
        self._wall_clock = wall_clock
        self._sleep = sleep
        self._random = random
        self._base = settings.base_url.rstrip("/")
        self._redact = Redactor([*settings.secrets, *_credentials(settings)])
        self._limiter = rate_limiter_for(settings.system, settings.secrets)
        self._budget = RetryBudget()
        self._lock = threading.Lock()
        self._connections = ConnectionPool(self._open)
        self._own_loop = SyncRunner()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.settings.system} at {self.settings.base_url})"

    def redact(self, text: str) -> str:
        """Mask the client's secrets in a text that comes from the platform.

        :param text: what an answer says.
        """
        return self._redact(text)

    async def asend(self, call: ApiRequest[T]) -> T:
        """Send ``call`` and return what its ``read`` makes of the answer.

        :param call: what to send.
        :raises InputError: when the call cannot be sent as it is; nothing was sent.
        :raises CallError: the subclass that says what went wrong.
        """
        seconds = call.deadline or self.settings.deadline
        flight = Attempt(
            call,
            url=self._base + call.path + _query(call),
            content=encode_body(call),
            seconds=seconds,
            expires=self._clock() + seconds,
        )
        try:
            async with asyncio.timeout(seconds) as scope:
                return await self._settle(flight)
        except TimeoutError:
            if not scope.expired():
                raise
        raise flight.too_late()

    def send(self, call: ApiRequest[T]) -> T:
        """Send ``call`` from code that is not async; see :meth:`asend`.

        :param call: what to send.
        :raises RuntimeError: when an event loop runs in this thread.
        """
        return self.run(self.asend(call))

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run ``coroutine`` on the client's own event loop, so that its sends share one pool.

        :param coroutine: uses :meth:`asend`; threads take turns.
        :raises RuntimeError: when an event loop runs in this thread.
        """
        return self._own_loop.run(coroutine)

    async def aclose(self) -> None:
        """Close the connections; the client cannot be used afterwards."""
        self._connections.refuse()
        if self._own_loop.is_open and not self._own_loop.is_running_here():
            await asyncio.to_thread(self.close)
        else:
            await self._connections.aclose()

    def close(self) -> None:
        """Close the connections and the client's own event loop, from code that is not async.

        :raises RuntimeError: when an event loop runs in this thread.
        """
        if self._connections.is_used:
            self._own_loop.run(self._connections.aclose())
        self._own_loop.close()
        self._connections.refuse()

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

    async def _settle(self, flight: Attempt[T]) -> T:
        while True:
            result = await self._attempt(flight)
            if isinstance(result, Value):
                self._budget.earn()
                return result.value
            wait = self._next_wait(flight, result)
            await self._sleep(wait)

    async def _attempt(self, flight: Attempt[T]) -> Value[T] | Failure:
        settings = self.settings
        await self._limiter.acquire(settings.max_concurrency)
        try:
            wait = self._limiter.reserve_start(settings.requests_per_second, self._clock())
            if self._clock() + wait >= flight.expires:
                raise flight.too_late()
            if wait > 0:
                await self._sleep(wait)
            return await self._exchange(flight)
        finally:
            self._limiter.release()

    async def _exchange(self, flight: Attempt[T]) -> Value[T] | Failure:
        flight.attempt += 1
        flight.correlation_id = str(uuid.uuid4())
        started = self._clock()
        try:
            answer = await self._request(flight)
        except httpx.HTTPError as error:
            flight.in_flight = False
            self._log_exchange(flight, type(error).__name__, started)
            return self._lost(flight, error)
        flight.in_flight = False
        self._log_exchange(flight, answer.status, started)
        result = read_response(
            flight,
            answer,
            self._redact,
            self._wall_clock(),
            reset_header=self.settings.rate_limit_reset_header,
        )
        if isinstance(result, Failure):
            self._advise(result.error)
        return result

    def _advise(self, error: CallError) -> None:
        known = self.settings.advice
        if isinstance(error, ApiError) and known:
            code = (error.error_code or "").lower()
            error.advice = known.get(code) or known.get(str(error.status)) or error.advice

    async def _request(self, flight: Attempt[Any]) -> Answer:
        with self._connections.one() as connection:
            return await self._send_on(connection, flight)

    async def _send_on(self, connection: httpx.AsyncClient, flight: Attempt[Any]) -> Answer:
        headers = {self.settings.correlation_header: flight.correlation_id}
        if flight.content is not None:
            headers["Content-Type"] = "application/json"
        request = connection.build_request(
            flight.call.method,
            flight.url,
            content=flight.content,
            headers=headers,
            timeout=self._timeout(flight),
        )
        with self._lock:
            self.requests_sent += 1
        flight.in_flight = True
        sending = _sending.set(True)
        try:
            response = await connection.send(request, stream=True)
        finally:
            _sending.reset(sending)
        try:
            return await self._receive(response)
        finally:
            await response.aclose()

    async def _receive(self, response: httpx.Response) -> Answer:
        status, headers = response.status_code, response.headers
        if status < 200 or 300 <= status < 400:
            return Answer(status, headers)
        try:
            return await self._read(response)
        except httpx.HTTPError:
            if status < 300:
                raise
            return Answer(status, headers)

    async def _read(self, response: httpx.Response) -> Answer:
        status, headers = response.status_code, response.headers
        codings = headers.get_list("content-encoding", split_commas=True)
        if len(codings) > 1 or not _DECODED.issuperset(coding.lower() for coding in codings):
            return Answer(status, headers, flaw="the response has a content encoding that was not asked for")
        most = self.settings.max_response_bytes
        too_large = Answer(status, headers, flaw=f"the response is larger than {most} bytes")
        length = headers.get("content-length", "")
        if length.isdecimal() and (len(length) > 15 or int(length) > most):
            return too_large
        body = bytearray()
        async for chunk in response.aiter_bytes():
            body += chunk
            if len(body) > most:
                return too_large
        return Answer(status, headers, bytes(body))

    def _lost(self, flight: Attempt[Any], error: httpx.HTTPError) -> Failure:
        text = one_line(self._redact(str(error)), 160)
        reason = f"{type(error).__name__}: {text}" if text else type(error).__name__
        if isinstance(error, _NOT_SENT):
            return Failure(NotSent(), flight.error(TransportError, f"no connection: {reason}"))
        return Failure(NoResponse(), flight.error(TransportError, f"no complete answer: {reason}"))

    def _next_wait(self, flight: Attempt[Any], failure: Failure) -> float:
        failure.error.in_doubt = flight.in_doubt
        if failure.outcome is None:
            raise failure.error
        flight.in_doubt = flight.in_doubt or leaves_doubt(failure.outcome)
        decision = decide(
            flight.call.replay,
            failure.outcome,
            attempt=flight.attempt,
            max_attempts=self.settings.max_attempts,
            remaining=flight.expires - self._clock(),
            random=self._random,
        )
        if isinstance(decision, Unknown):
            raise to_unknown(failure.error)
        if isinstance(decision, Resend):
            if self._budget.spend():
                self._log_resend(flight, failure, decision.wait)
                return decision.wait
            decision = GiveUp("the client's retry budget is spent")
        raise self._final(flight, failure, decision.because)

    def _final(self, flight: Attempt[Any], failure: Failure, because: str) -> CallError:
        out_of_time = flight.expires - self._clock() < _TIMER_SLACK
        if isinstance(failure.outcome, (NotSent, NoResponse)) and out_of_time:
            return flight.too_late()
        error = failure.error
        if because:
            error.reason = f"{error.reason} ({because})"
            error.args = (error.reason,)
        return error

    def _timeout(self, flight: Attempt[Any]) -> httpx.Timeout:
        remaining = max(flight.expires - self._clock(), 0.001)
        silent = min(flight.call.deadline or self.settings.read_timeout, remaining)
        return httpx.Timeout(silent, connect=min(self.settings.connect_timeout, remaining))

    def _open(self) -> httpx.AsyncClient:
        settings = self.settings
        return httpx.AsyncClient(
            transport=self._transport,
            verify=_tls(),
            trust_env=not settings.is_loopback,
            follow_redirects=False,
            cookies=_NoCookies(),
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=1),
            headers={
                **settings.headers,
                "Accept": "application/json",
                "Accept-Encoding": "gzip",
                "User-Agent": settings.user_agent,
            },
        )

    def _log_exchange(self, flight: Attempt[Any], result: int | str, started: float) -> None:
        if logger.isEnabledFor(logging.DEBUG):
            milliseconds = (self._clock() - started) * 1000
            call = flight.call
            logger.debug(
                "%s %s → %s in %.0f ms (correlation id %s)",
                call.method,
                call.route,
                result,
                milliseconds,
                flight.correlation_id,
            )

    def _log_resend(self, flight: Attempt[Any], failure: Failure, wait: float) -> None:
        logger.warning(
            "%s: attempt %d of %d failed (%s); sending again in %.1f s (%s %s, correlation id %s)",
            flight.call.operation,
            flight.attempt,
            self.settings.max_attempts,
            failure.error.status or failure.error.reason,
            wait,
            flight.call.method,
            flight.call.route,
            flight.correlation_id,
        )


def _query(call: ApiRequest[Any]) -> str:
    if not call.query:
        return ""
    try:
        return "?" + urlencode(call.query, quote_via=quote)
    except UnicodeEncodeError:
        pass
    raise InputError(f"{call.operation}: a query value holds a lone surrogate; nothing was sent")


def _credentials(settings: ClientSettings) -> list[str]:
    values = [value for name, value in settings.headers.items() if name.lower() == "authorization"]
    return values + [value.partition(" ")[2] for value in values]


@functools.cache
def _tls() -> ssl.SSLContext:
    return httpx.create_ssl_context()
