"""The adaptive pace of one key: spaces requests, slows down after refusals, and recovers.

A refusal (429) pauses the key and cuts its pace. The pace then climbs back towards the rate that was refused,
stays near it, and probes beyond it ever faster, as TCP CUBIC does. Without a refusal nothing is slowed down.
"""

from __future__ import annotations

import asyncio
import fcntl
import math
import os
import struct
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from operator import attrgetter
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeVar

import msgspec

from airflow_voice_agents.transport.connection_pool import ConnectionPool

R = TypeVar("R")

DROP = 0.05
"""Share by which the pace drops below the refused one."""
REACHED_AGAIN = 20.0
"""Seconds until the refused pace is reached again."""
REACHED_FIRST = 5.0
"""The same after the first refusal, when the refused pace is only a guess."""
REFUSED_EARLY = 0.9
"""Factor for a pace that is refused before the former one was reached again."""
SLOWEST_GUESS = 2.5
"""Least requests per second that the first refusal leaves."""
SLOWEST = 0.5
"""Least requests per second: a request must come to its turn before its deadline."""


class Start(NamedTuple):
    """A reserved start.

    :param wait: seconds until then.
    :param at: the start, on the clock of whoever keeps the pace.
    :param stored: whether a store keeps the pace, on its own clock.
    """

    wait: float
    at: float
    stored: bool = False


class Pace(Protocol):
    """Reserves starts of requests for everybody who shares it."""

    @property
    def pools(self) -> Sequence[ConnectionPool[Any]]:
        """Connections to close with the client."""

    async def reserve(self, most: float | None) -> Start:
        """Reserve the next start.

        :param most: requests per second that are never exceeded; ``None`` sets no limit.
        """

    async def refused(self, start: Start, wait: float) -> None:
        """Slow down, because the platform refused a request as one too many.

        :param start: when that request started.
        :param wait: seconds for which nobody starts another one.
        """

    async def paused(self) -> bool:
        """Tell whether a refusal keeps everybody waiting now."""


class PaceState(msgspec.Struct):
    """What is known about a key; all times are of one clock.

    :param changed_at: latest change.
    :param last_start: latest start that was reserved.
    :param paused_until: end of the pause after a refusal.
    :param refused_pace: requests per second that were refused; 0 where none were.
    :param grows_from: when the pace began to climb.
    :param refused_at: latest refusal that cut the pace.
    :param refusals: refusals that cut the pace.
    :param second: the second that ``starts`` counts.
    :param starts: starts in that second.
    :param starts_before: starts in the second before.
    """

    changed_at: float = -math.inf
    last_start: float = -math.inf
    paused_until: float = -math.inf
    refused_pace: float = 0.0
    grows_from: float = -math.inf
    refused_at: float = -math.inf
    refusals: float = 0.0
    second: float = -math.inf
    starts: float = 0.0
    starts_before: float = 0.0

    def pace(self, now: float) -> float:
        """Return the requests per second that are safe by what is known; infinite before any refusal.

        :param now: seconds.
        """
        if not self.refused_pace:
            return math.inf
        span = REACHED_FIRST if self.refusals == 1 else REACHED_AGAIN
        since = max(0.0, now - self.grows_from)
        return self.refused_pace * (1 + DROP * ((since - span) / span) ** 3)

    def reserve(self, most: float | None, now: float) -> Start:
        """Reserve the next start: evenly spaced, so that a pause earns no burst.

        :param most: requests per second that are never exceeded; ``None`` sets no limit.
        :param now: seconds.
        """
        pace = min(self.pace(now), most or math.inf)
        at = max(now, self.paused_until, self.last_start + 1 / pace if pace < math.inf else now)
        self.last_start = max(at, self.last_start)
        self._count(now)
        self.changed_at = now
        return Start(at - now, at)

    def refused(self, start: float, wait: float, now: float) -> None:
        """Pause and slow down; requests that were on their way at the last cut only prolong the pause.

        :param start: start of the refused request.
        :param wait: seconds for which nobody starts another one.
        :param now: seconds.
        """
        self.paused_until = max(self.paused_until, now + wait)
        self.changed_at = now
        if start > self.refused_at:
            self._cut(now)
        elif self.refusals == 1:
            self.refused_pace = max(self.refused_pace - 1, SLOWEST_GUESS)
        self.grows_from = self.paused_until

    def _cut(self, now: float) -> None:
        pace = self.pace(now)
        if pace == math.inf:
            self._count(now)
            before = self.starts_before * (1 - (now - self.second))
            self.refused_pace = max(self.starts + before - 2, SLOWEST_GUESS)
        else:
            early = self.refusals > 1 and now - self.grows_from < REACHED_AGAIN
            self.refused_pace = max(pace * (REFUSED_EARLY if early else 1.0), SLOWEST)
        self.refused_at = now
        self.refusals += 1

    def _count(self, now: float) -> None:
        second = math.floor(now)
        if second != self.second:
            self.starts_before = self.starts if second == self.second + 1 else 0.0
            self.second, self.starts = second, 0.0
        self.starts += 1


_values = attrgetter(*PaceState.__struct_fields__)


class MemoryPace:
    """The pace of one key in this process.

    :param clock: monotonic seconds.
    """

    pools: Sequence[ConnectionPool[Any]] = ()

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.state = PaceState()
        self._clock = clock

    async def reserve(self, most: float | None) -> Start:
        """Reserve the next start."""
        return self.state.reserve(most, self._clock())

    async def refused(self, start: Start, wait: float) -> None:
        """Slow down."""
        self.state.refused(start.at, wait, self._clock())

    async def paused(self) -> bool:
        """Tell whether a refusal keeps everybody waiting now."""
        return self.state.paused_until > self._clock()


class FilePace:
    """The pace of one key, shared by all processes of one machine through a small file.

    Where the file cannot be used, the process keeps a pace of its own.

    :param path: the file; its folder is made with the first request. It holds times and counts only.
    :param clock: monotonic seconds, which the processes of one machine have in common.
    """

    pools: Sequence[ConnectionPool[Any]] = ()
    _FORMAT = struct.Struct("<10d")
    _FLAGS = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    _TRIES = 50
    _PAUSE = 0.002

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._clock = clock
        self._own = MemoryPace(clock)

    async def reserve(self, most: float | None) -> Start:
        """Reserve the next start."""
        found = await self._change(lambda state: state.reserve(most, self._clock()))
        return found or await self._own.reserve(most)

    async def refused(self, start: Start, wait: float) -> None:
        """Slow down."""
        await self._own.refused(start, wait)
        await self._change(lambda state: state.refused(start.at, wait, self._clock()))

    async def paused(self) -> bool:
        """Tell whether a refusal keeps everybody waiting now."""
        with suppress(OSError):
            return self._decode(self._path.read_bytes()).paused_until > self._clock()
        return await self._own.paused()

    async def _change(self, change: Callable[[PaceState], R]) -> R | None:
        """Change the shared state, or return ``None`` where that is not possible in time."""
        for _ in range(self._TRIES):
            try:
                return self._changed(change)
            except BlockingIOError:
                await asyncio.sleep(self._PAUSE)
            except OSError:
                break
        return None

    def _changed(self, change: Callable[[PaceState], R]) -> R:
        # Opened each time: a lock on a descriptor that a forked child inherits would not keep the child out.
        try:
            file = os.open(self._path, self._FLAGS, 0o600)
        except FileNotFoundError:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            file = os.open(self._path, self._FLAGS, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            state = self._decode(os.pread(file, self._FORMAT.size, 0))
            result = change(state)
            os.pwrite(file, self._FORMAT.pack(*_values(state)), 0)
            return result
        finally:
            os.close(file)

    def _decode(self, content: bytes) -> PaceState:
        """Read the state; the clock begins anew with the machine, and what is older counts no more."""
        if len(content) != self._FORMAT.size:
            return PaceState()
        state = PaceState(*self._FORMAT.unpack(content))
        return state if state.changed_at <= self._clock() else PaceState()
