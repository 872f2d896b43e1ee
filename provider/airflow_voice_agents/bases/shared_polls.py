"""Shared polls: waits of one event loop that need the same read share one request.

Airflow's own shared streams (3.3) serve asset watchers: the triggerer asks only a ``BaseEventTrigger`` for
one, gives a trigger a single stream, and lets late subscribers wait for what comes next. A deferred task's
trigger is none of these, so waits share here, inside the triggerer's process.

Nothing of a connection outlives the last wait on it, and a client is replaced after ``KEPT_SECONDS``, so that
a changed key is taken up while waits come and go.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable, Sequence
from contextlib import asynccontextmanager
from typing import Any
from weakref import WeakKeyDictionary, WeakValueDictionary

import msgspec

from airflow_voice_agents.bases.hook import VoiceAgentsHook
from airflow_voice_agents.plans.condition import AnyRead, Read, fetch_all
from airflow_voice_agents.transport.errors import VoiceAgentsError
from airflow_voice_agents.transport.records import Record

FRESH = 0.5
"""Share of its interval for which a wait takes an answer that another wait got."""
LAST_POLL_SECONDS = 1.0
"""The same in seconds, at most, for the last poll when the time is up."""
KEPT_SECONDS = 300.0
"""Seconds for which a client is used; then the connection is read again."""


class PollResult(Record, frozen=True):
    """The answers to one poll, or the reason why there are none.

    :param asked: when the poll began, in monotonic seconds.
    :param came: when it ended.
    :param answers: answers to the reads, in order, or the error.
    """

    not_shown = ("answers",)

    asked: float
    came: float
    answers: list[Any] | VoiceAgentsError

    @property
    def age(self) -> float:
        """Seconds since it came."""
        return time.monotonic() - self.came


class SharedPoll:
    """Some reads that several waits poll; they are in flight at most once at a time.

    :param fetch: sends the reads.
    """

    def __init__(self, fetch: Callable[[], Awaitable[list[Any]]]) -> None:
        self.newest: PollResult | None = None
        self._fetch = fetch
        self._in_flight: asyncio.Task[None] | None = None
        self._waiting = 0

    async def result(self, since: float) -> PollResult:
        """Return the newest result of a poll that began at ``since`` or later; poll if no result is that new.

        :param since: monotonic seconds.
        """
        while self.newest is None or self.newest.asked < since:
            await self._wait(self._in_flight or self._start())
        return self.newest

    async def settle(self) -> None:
        """Wait until nothing is in flight."""
        if self._in_flight is not None:
            await self._wait(self._in_flight)

    def _start(self) -> asyncio.Task[None]:
        self._in_flight = asyncio.create_task(self._poll())
        return self._in_flight

    async def _poll(self) -> None:
        asked = time.monotonic()
        answers: list[Any] | VoiceAgentsError
        try:
            answers = await self._fetch()
        except VoiceAgentsError as error:
            answers = error
        finally:
            if self._in_flight is asyncio.current_task():
                self._in_flight = None
        self.newest = PollResult(asked, time.monotonic(), answers)

    async def _wait(self, task: asyncio.Task[None]) -> None:
        """Await the poll in flight; a cancelled waiter leaves it running, and the last one cancels it."""
        self._waiting += 1
        try:
            await asyncio.shield(task)
        finally:
            self._waiting -= 1
            if not self._waiting and not task.done():
                self._in_flight = None
                task.cancel()


class _Session(msgspec.Struct, eq=False):
    hook: VoiceAgentsHook
    opened: float
    users: int = 0

    async def close(self) -> None:
        await self.hook.__aexit__(None, None, None)


class ConnectionPolls:
    """The polls of one connection in one event loop, for as long as a wait subscribes to it.

    :param connect: makes a hook, which resolves the connection at its first request.
    """

    def __init__(self, connect: Callable[[], VoiceAgentsHook]) -> None:
        self.subscribers = 0
        self._connect = connect
        self._session: _Session | None = None
        self._opening = asyncio.Lock()
        self._polls: WeakValueDictionary[Hashable, SharedPoll] = WeakValueDictionary()
        self._kept: dict[SharedPoll, float] = {}

    def poll(self, reads: Sequence[AnyRead[Any]]) -> SharedPoll:
        """Return the poll of these reads; it is forgotten when nobody holds or keeps it.

        :param reads: what a condition reads.
        """
        asked = [Read.of(read) for read in reads]
        if self.subscribers == 1:
            asked = [read.alone for read in asked]
        key = tuple(read.key for read in asked)
        found = self._polls.get(key)
        if found is None:
            found = self._polls[key] = SharedPoll(lambda: self._fetch(asked))
        return found

    def keep(self, poll: SharedPoll, seconds: float) -> None:
        """Keep the poll of a wait that ends: others may be about to poll the same for the first time.

        :param poll: its last poll.
        :param seconds: seconds for which the answer is fresh.
        """
        now = time.monotonic()
        self._kept = {each: until for each, until in self._kept.items() if until > now}
        self._kept[poll] = now + seconds

    async def close(self) -> None:
        """Let go of the client; a poll in flight has it until it ends."""
        session, self._session = self._session, None
        if session is not None and not session.users:
            await session.close()

    async def _fetch(self, reads: Sequence[Read[Any]]) -> list[Any]:
        async with self._client() as hook:
            return await fetch_all(reads, hook)

    @asynccontextmanager
    async def _client(self) -> AsyncIterator[VoiceAgentsHook]:
        if self._session is not None and time.monotonic() - self._session.opened > KEPT_SECONDS:
            await self.close()
        session = self._session = self._session or _Session(self._connect(), time.monotonic())
        session.users += 1
        try:
            async with self._opening:  # so that many first polls resolve the connection once
                await session.hook.aclient()
            yield session.hook
        finally:
            session.users -= 1
            if session is not self._session and not session.users:
                await session.close()


class Subscriber:
    """One wait.

    It takes no answer to a poll that began before it did, because that may show what had changed by then.
    Instead it joins the rhythm of the other waits.

    :param polls: the connection that it waits on.
    :param interval: seconds between two polls.
    """

    def __init__(self, polls: ConnectionPolls, interval: float) -> None:
        self._polls = polls
        self._fresh = interval * FRESH
        self._began = time.monotonic()
        self._poll: SharedPoll | None = None

    async def shared_age(self, reads: Sequence[AnyRead[Any]]) -> float | None:
        """Return how many seconds ago another wait got an answer; ``None`` where none is fresh.

        :param reads: what this wait is going to poll.
        """
        self._poll = self._polls.poll(reads)
        await self._poll.settle()
        newest = self._poll.newest
        return newest.age if newest is not None and newest.age < self._fresh else None

    async def poll(self, reads: Sequence[AnyRead[Any]], *, last: bool = False) -> PollResult:
        """Return a result that is fresh enough; otherwise poll.

        :param reads: what to ask.
        :param last: whether the time is up, so that the answer must be all but new.
        """
        self._poll = self._polls.poll(reads)
        fresh = min(self._fresh, LAST_POLL_SECONDS) if last else self._fresh
        return await self._poll.result(max(self._began, time.monotonic() - fresh))

    def leave(self) -> None:
        """End the wait."""
        if self._poll is not None:
            self._polls.keep(self._poll, self._fresh)


_connections: WeakKeyDictionary[asyncio.AbstractEventLoop, WeakValueDictionary[Hashable, ConnectionPolls]] = (
    WeakKeyDictionary()
)


@asynccontextmanager
async def subscribe(
    hook: Callable[[str], VoiceAgentsHook], conn_id: str, interval: float
) -> AsyncIterator[Subscriber]:
    """Wait on a connection, together with all other waits of the event loop on it.

    :param hook: class of the hook.
    :param conn_id: id of the connection.
    :param interval: seconds between two polls.
    """
    connections = _connections.setdefault(asyncio.get_running_loop(), WeakValueDictionary())
    polls = connections.get((hook, conn_id))
    if polls is None:
        polls = connections[hook, conn_id] = ConnectionPolls(lambda: hook(conn_id))
    polls.subscribers += 1
    subscriber = Subscriber(polls, interval)
    try:
        yield subscriber
    finally:
        subscriber.leave()
        polls.subscribers -= 1
        if not polls.subscribers:
            await polls.close()
