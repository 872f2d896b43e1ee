"""Limits of one API key: parallel requests of this process, and the shared request rate.

All clients of a key share one limiter, in every event loop and thread.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import threading
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

from airflow_voice_agents.transport.rate_pace import FilePace, MemoryPace, Pace
from airflow_voice_agents.transport.settings import ClientSettings


class RateLimiter:
    """A fair bound on requests in flight, shared by threads and loops.

    The limits come with each request, so that clients of one key can differ: a request is admitted
    while fewer than its own ``max_concurrency`` are in flight, first come first served.
    """

    def __init__(self) -> None:
        # Re-entrant: the collector may finalise an abandoned waiter while this thread holds it.
        self._lock = threading.RLock()
        self._in_flight = 0
        self._waiters: deque[_Waiter] = deque()

    @property
    def in_flight(self) -> int:
        """Requests that hold a slot now."""
        return self._in_flight

    async def acquire(self, max_concurrency: int) -> None:
        """Take a slot, waiting in line; a cancelled wait keeps nothing.

        :param max_concurrency: most requests of the key in flight, this one included.
        """
        with self._lock:
            if not self._waiters and self._in_flight < max_concurrency:
                self._in_flight += 1
                return
            waiter = _Waiter(max_concurrency)
            self._waiters.append(waiter)
        try:
            await waiter.turn
        except BaseException:
            self._leave(waiter)
            raise

    def release(self) -> None:
        """Give a slot back, from any thread."""
        with self._lock:
            self._in_flight -= 1
            self._admit()

    def _admit(self) -> None:
        while self._waiters and self._in_flight < self._waiters[0].max_concurrency:
            waiter = self._waiters.popleft()
            if waiter.wake():
                self._in_flight += 1

    def _leave(self, waiter: _Waiter) -> None:
        with self._lock:
            if waiter.admitted:
                self._in_flight -= 1
            elif waiter in self._waiters:
                self._waiters.remove(waiter)
            self._admit()


class _Waiter:
    __slots__ = ("_loop", "admitted", "max_concurrency", "turn")

    def __init__(self, max_concurrency: int) -> None:
        self._loop = asyncio.get_running_loop()
        self.max_concurrency = max_concurrency
        self.turn = self._loop.create_future()
        self.admitted = False

    def wake(self) -> bool:
        """Admit, unless the waiter's loop is closed and has no waiter any more."""
        try:
            self._loop.call_soon_threadsafe(self._resume)
        except RuntimeError:
            return False
        self.admitted = True
        return True

    def _resume(self) -> None:
        if not self.turn.done():
            self.turn.set_result(None)


_limiters: dict[str, RateLimiter] = {}
_paces: dict[str, MemoryPace] = {}


def rate_limiter_for(system: str, secrets: Sequence[str]) -> RateLimiter:
    """Return the process's limiter of one key; it is found by a digest, the key itself is not kept.

    :param system: the system's name, so that equal keys of two systems stay apart.
    :param secrets: the key, or the parts that make up the credentials.
    """
    digest = hashlib.sha256(repr((system, tuple(secrets))).encode()).hexdigest()
    return _limiters.setdefault(digest, RateLimiter())


def pace_for(settings: ClientSettings, clock: Callable[[], float]) -> Pace:
    """Return the pace of a client's key at its host, from the widest circle that the settings offer.

    That is a store for all machines, a file for the processes of one machine, or this process alone. A narrower
    one stands in where the wider one does not answer.

    :param settings: of the client.
    :param clock: monotonic seconds.
    :raises ConnectionSettingsError: when the package for the store is missing.
    """
    identity = ("pace", settings.system, settings.address, settings.secrets)
    key = hashlib.sha256(repr(identity).encode()).hexdigest()
    if settings.limit_folder is None:
        pace: Pace = _paces.setdefault(key, MemoryPace(clock))
    else:
        pace = FilePace(Path(settings.limit_folder) / f"{key}.pace", clock)
    if settings.rate_limit_store is None:
        return pace
    from airflow_voice_agents.transport.rate_store import StoredPace

    return StoredPace(settings.rate_limit_store, key, pace, clock)


def _forget() -> None:
    """Forget the requests in flight of a parent process."""
    _limiters.clear()
    _paces.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
