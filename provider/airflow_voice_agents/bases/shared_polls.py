"""Reads that many waits of one event loop have in common: asked once, heard by all of them.

Airflow's own shared streams (3.3) serve asset watchers: the triggerer asks only a ``BaseEventTrigger`` for
one, gives a trigger a single stream, and lets who joins late wait for what comes next. A deferred task's
trigger is none of these, so waits share here, inside the triggerer's process.

Nothing of a connection outlives the last wait on it, and a client is replaced after ``KEPT_SECONDS``, so that
a changed key is taken up while waits come and go.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary, WeakValueDictionary

from airflow_voice_agents.bases.hook import VoiceAgentsHook
from airflow_voice_agents.transport.api_request import ApiRequest
from airflow_voice_agents.transport.errors import VoiceAgentsError

FRESH = 0.5
"""Share of its interval for which a wait takes what another one has heard."""
LAST_LOOK_SECONDS = 1.0
"""For how long at most, when the time is up."""
KEPT_SECONDS = 300.0
"""For how long a client is used; then the connection is read again."""


@dataclass(frozen=True, slots=True)
class PollResult:
    """An answer, or why there is none.

    :param asked: when the question was sent, in monotonic seconds.
    :param came: when the answer came.
    :param answers: what the calls read, in order, or the error.
    """

    asked: float
    came: float
    answers: list[Any] | VoiceAgentsError

    @property
    def age(self) -> float:
        """Seconds since it came."""
        return time.monotonic() - self.came


class SharedPoll:
    """What several waits ask; it is under way at most once at a time.

    :param ask: sends the calls.
    """

    def __init__(self, ask: Callable[[], Awaitable[list[Any]]]) -> None:
        self.newest: PollResult | None = None
        self._ask = ask
        self._flight: asyncio.Task[None] | None = None
        self._waiting = 0

    async def hear(self, since: float) -> PollResult:
        """Return the newest answer to a question sent at ``since`` or later; ask if there is none.

        :param since: monotonic seconds.
        """
        while self.newest is None or self.newest.asked < since:
            await self._wait(self._flight or self._start())
        return self.newest

    async def settle(self) -> None:
        """Wait until nothing is under way any more."""
        if self._flight is not None:
            await self._wait(self._flight)

    def _start(self) -> asyncio.Task[None]:
        self._flight = asyncio.create_task(self._fly())
        return self._flight

    async def _fly(self) -> None:
        asked = time.monotonic()
        answers: list[Any] | VoiceAgentsError
        try:
            answers = await self._ask()
        except VoiceAgentsError as error:
            answers = error
        finally:
            if self._flight is asyncio.current_task():
                self._flight = None
        self.newest = PollResult(asked, time.monotonic(), answers)

    async def _wait(self, flight: asyncio.Task[None]) -> None:
        """Wait for what is under way; who is cancelled leaves it to the others, and the last one ends it."""
        self._waiting += 1
        try:
            await asyncio.shield(flight)
        finally:
            self._waiting -= 1
            if not self._waiting and not flight.done():
                self._flight = None
                flight.cancel()


@dataclass(slots=True, eq=False)
class _Session:
    hook: VoiceAgentsHook
    opened: float
    users: int = 0

    async def close(self) -> None:
        await self.hook.__aexit__(None, None, None)


class ConnectionPolls:
    """One connection in one event loop, for as long as somebody waits on it.

    :param connect: makes a hook, which resolves the connection at its first call.
    """

    def __init__(self, connect: Callable[[], VoiceAgentsHook]) -> None:
        self.listeners = 0
        self._connect = connect
        self._session: _Session | None = None
        self._opening = asyncio.Lock()
        self._questions: WeakValueDictionary[Hashable, SharedPoll] = WeakValueDictionary()
        self._left: dict[SharedPoll, float] = {}

    def question(self, calls: Sequence[ApiRequest[Any]]) -> SharedPoll:
        """Return what is asked with these calls; it is forgotten when nobody holds or keeps it.

        :param calls: read-only calls.
        """
        key = tuple(_key(call) for call in calls)
        found = self._questions.get(key)
        if found is None:
            found = self._questions[key] = SharedPoll(lambda: self._ask(calls))
        return found

    def keep(self, question: SharedPoll, seconds: float) -> None:
        """Keep what a wait asked that ends: others may be about to ask it for the first time.

        :param question: what it asked last.
        :param seconds: for how long its answer is fresh.
        """
        now = time.monotonic()
        self._left = {each: until for each, until in self._left.items() if until > now}
        self._left[question] = now + seconds

    async def close(self) -> None:
        """Let go of the client; what is under way still has it until it ends."""
        session, self._session = self._session, None
        if session is not None and not session.users:
            await session.close()

    async def _ask(self, calls: Sequence[ApiRequest[Any]]) -> list[Any]:
        async with self._client() as hook:
            return [await hook.asend(call) for call in calls]

    @asynccontextmanager
    async def _client(self) -> AsyncIterator[VoiceAgentsHook]:
        if self._session is not None and time.monotonic() - self._session.opened > KEPT_SECONDS:
            await self.close()
        session = self._session = self._session or _Session(self._connect(), time.monotonic())
        session.users += 1
        try:
            async with self._opening:  # so that many first questions resolve the connection once
                await session.hook.aclient()
            yield session.hook
        finally:
            session.users -= 1
            if session is not self._session and not session.users:
                await session.close()


class Subscriber:
    """One wait.

    It takes no answer to a question that was sent before it began, because that may show what had changed by
    then. Instead it joins the others' rhythm.

    :param line: the connection that it waits on.
    :param interval: seconds between two questions.
    """

    def __init__(self, line: ConnectionPolls, interval: float) -> None:
        self._line = line
        self._fresh = interval * FRESH
        self._began = time.monotonic()
        self._question: SharedPoll | None = None

    async def heard_by_others(self, calls: Sequence[ApiRequest[Any]]) -> float | None:
        """Return how many seconds ago another wait was answered; ``None`` if not lately.

        :param calls: what this one is going to ask.
        """
        self._question = self._line.question(calls)
        await self._question.settle()
        newest = self._question.newest
        return newest.age if newest is not None and newest.age < self._fresh else None

    async def hear(self, calls: Sequence[ApiRequest[Any]], *, last: bool = False) -> PollResult:
        """Return an answer that is fresh enough; ask if nobody has heard one.

        :param calls: what to ask.
        :param last: the time is up, and the answer must be all but new.
        """
        self._question = self._line.question(calls)
        fresh = min(self._fresh, LAST_LOOK_SECONDS) if last else self._fresh
        return await self._question.hear(max(self._began, time.monotonic() - fresh))

    def leave(self) -> None:
        """End the wait."""
        if self._question is not None:
            self._line.keep(self._question, self._fresh)


_lines: WeakKeyDictionary[asyncio.AbstractEventLoop, WeakValueDictionary[Hashable, ConnectionPolls]] = (
    WeakKeyDictionary()
)


@asynccontextmanager
async def subscribe(
    kind: Callable[[str], VoiceAgentsHook], conn_id: str, interval: float
) -> AsyncIterator[Subscriber]:
    """Wait on a connection, together with all others of the event loop that do.

    :param kind: class of the hook.
    :param conn_id: id of the connection.
    :param interval: seconds between two questions.
    """
    lines = _lines.setdefault(asyncio.get_running_loop(), WeakValueDictionary())
    line = lines.get((kind, conn_id))
    if line is None:
        line = lines[kind, conn_id] = ConnectionPolls(lambda: kind(conn_id))
    line.listeners += 1
    listener = Subscriber(line, interval)
    try:
        yield listener
    finally:
        listener.leave()
        line.listeners -= 1
        if not line.listeners:
            await line.close()


def _key(call: ApiRequest[Any]) -> Hashable:
    body = None if call.body is None else json.dumps(call.body, sort_keys=True)
    return (call.operation, call.key, body)
