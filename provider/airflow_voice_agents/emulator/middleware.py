"""The way of a request through the server: host, limit, wait, fault, room, journal, answer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from airflow_voice_agents.emulator.faults import Fault, Faults
from airflow_voice_agents.emulator.journal import Entry, Journal
from airflow_voice_agents.emulator.latency import Latency
from airflow_voice_agents.emulator.limits import RateLimiter
from airflow_voice_agents.emulator.protocol import Receive, Scope, Send, close_early, reset_connection
from airflow_voice_agents.emulator.request import EmulatorRequest, Problem, Reply, Room, RouteTable
from airflow_voice_agents.emulator.state import State

BODY_LIMIT = 16 * 1024 * 1024
"""Bytes of a request body that the server takes."""


LOOPBACK_NAMES = frozenset({b"127.0.0.1", b"localhost"})


class LoopbackOnly:
    """ASGI application that refuses requests with another ``Host`` than a loopback name.

    A web page whose name was pointed at this machine after it was loaded (DNS rebinding) sends its own name.

    :param app: answers all other requests.
    """

    def __init__(self, app: Callable[[Scope, Receive, Send], Awaitable[None]]) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer or refuse one request."""
        hosts = [value for name, value in scope.get("headers", ()) if name == b"host"]
        if scope["type"] == "http" and not all(map(_is_loopback, hosts or [b""])):
            reply = Reply(403, {"message": "the local server answers on loopback names only"})
            content = reply.content()
            await send(_start(reply, len(content)))
            await send({"type": "http.response.body", "body": content})
            return
        await self._app(scope, receive, send)


def _is_loopback(host: bytes) -> bool:
    name, colon, port = host.partition(b":")
    return name.lower() in LOOPBACK_NAMES and port.isdigit() is bool(colon)


class Gate:
    """ASGI application that answers the vendors' APIs.

    :param rooms: the APIs.
    :param end_process: what the fault ``kill`` calls.
    """

    def __init__(
        self,
        state: State,
        rooms: tuple[Room, ...],
        faults: Faults,
        journal: Journal,
        end_process: Callable[[], None],
    ) -> None:
        self._state = state
        self._rooms = rooms
        self._routes = RouteTable(rooms)
        self._faults = faults
        self._journal = journal
        self._limiter = RateLimiter(state.switches)
        self._latency = Latency(state.switches)
        self._end_process = end_process

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        received = await _read_body(receive)
        if received is None:
            return
        exchange = EmulatorRequest.from_scope(scope, received[0])
        room, refusal = self._find(exchange)
        if not received[1]:
            refusal = Reply(413, {"message": "Request size limit exceeded"})
        entry = self._journal.open(exchange, keep_body=self._state.switches.record_bodies)
        fault = self._faults.take(exchange)
        if fault is not None:
            entry.fault, exchange.spoils = fault.label, fault.spoils
        limiter = room.limiter if room is not None else None
        refusal = (limiter or self._limiter).refuse(exchange) or refusal
        seconds = self._latency.seconds() + (fault.seconds if fault else 0)
        if seconds:
            await asyncio.sleep(seconds)
        reply = self._reply(exchange, entry, room, refusal, fault)
        if room is not None:
            reply.headers = room.headers(exchange) | reply.headers
        action = fault.action if fault else None
        entry.status = None if action in ("reset", "kill") else reply.status
        await self._send(scope, receive, send, reply, action)

    def clear_limits(self) -> None:
        """Reset every caller's counters and the sequence of latencies."""
        self._latency.clear()
        for limiter in (self._limiter, *(room.limiter for room in self._rooms)):
            if limiter is not None:
                limiter.clear()

    def _find(self, exchange: EmulatorRequest) -> tuple[Room | None, Reply | None]:
        try:
            room = self._routes.find(exchange)
        except Problem as problem:
            return None, Reply(problem.status, problem.body)
        room.admit(exchange)
        return room, None

    def _reply(
        self,
        exchange: EmulatorRequest,
        entry: Entry,
        room: Room | None,
        refusal: Reply | None,
        fault: Fault | None,
    ) -> Reply:
        handled = fault is None or fault.apply or fault.action in ("truncate", "delay", "items")
        reply = Reply(500)
        if refusal is not None:
            reply = refusal
        elif handled and room is not None:
            reply = self._handle(exchange, entry, room)
        return fault.reply() if fault and fault.action in ("answer", "not_json") else reply

    def _handle(self, exchange: EmulatorRequest, entry: Entry, room: Room) -> Reply:
        state = self._state
        with state.lock:
            before = state.revision
            reply = room.answer(exchange)
            entry.changed = state.revision != before
            state.persist()
        return reply

    async def _send(
        self, scope: Scope, receive: Receive, send: Send, reply: Reply, action: str | None, /
    ) -> None:
        if action == "kill":
            self._end_process()
        elif action == "reset":
            await reset_connection(scope, receive)
        else:
            content = reply.content()
            cut = len(content) // 2 if action == "truncate" else None
            await send(_start(reply, len(content)))
            await send({"type": "http.response.body", "body": content[:cut], "more_body": cut is not None})
            if cut is not None:
                await close_early(scope, receive)


def _start(reply: Reply, length: int) -> dict[str, object]:
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in reply.headers.items()]
    if reply.status != 204:
        headers += [
            (b"content-length", str(length).encode()),
            (b"content-type", reply.content_type().encode()),
        ]
    return {"type": "http.response.start", "status": reply.status, "headers": headers}


async def _read_body(receive: Receive) -> tuple[bytes, bool] | None:
    """The body and whether it is complete, or ``None`` when the client left."""
    chunks, size = [], 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        chunk = message.get("body", b"")
        size += len(chunk)
        if size <= BODY_LIMIT:
            chunks.append(chunk)
        if not message.get("more_body", False):
            return b"".join(chunks), size <= BODY_LIMIT
