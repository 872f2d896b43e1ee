"""A clock for many triggers in one event loop: it moves on only when all of them sleep."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Sequence
from itertools import count
from typing import Any

import pytest

from airflow_voice_agents.bases import shared_polls
from airflow_voice_agents.bases import trigger as trigger_module
from support.airflow_runner import AirflowRunner
from support.airflow_versions import set_supervisor_comms


class VirtualTime:
    """Stands in for ``time`` and for ``asyncio.sleep`` of triggers.

    :param start: seconds since the epoch.
    """

    to_thread = staticmethod(asyncio.to_thread)

    def __init__(self, start: float = 1_000_000.0) -> None:
        self.now = start
        self._running = 0
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._order = count()

    def patch(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Put the clock under triggers and shared polls."""
        monkeypatch.setattr(trigger_module, "time", self)
        monkeypatch.setattr(trigger_module, "asyncio", self)
        monkeypatch.setattr(shared_polls, "time", self)

    def time(self) -> float:
        """Seconds since the epoch."""
        return self.now

    monotonic = time

    async def sleep(self, seconds: float) -> None:
        """Sleep until the clock has moved on so far."""
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self.now + seconds, next(self._order), woken))
        self._move_on()
        await woken

    def fire(self, runner: AirflowRunner, triggers: Sequence[Any]) -> list[list[Any]]:
        """Run triggers side by side to their ends, and return the payloads of the events of each.

        :param runner: answers what the triggers ask of Airflow.
        :param triggers: what to run.
        """

        async def events(trigger: Any) -> list[Any]:
            try:
                return [event.payload async for event in trigger.run()]
            finally:
                self._running -= 1
                self._move_on()

        async def all_of_them() -> list[list[Any]]:
            self._running = len(triggers)
            return list(await asyncio.gather(*(events(each) for each in triggers)))

        with set_supervisor_comms(runner):
            return asyncio.run(all_of_them())

    def _move_on(self) -> None:
        if self._sleepers and len(self._sleepers) == self._running:
            self.now, _, woken = heapq.heappop(self._sleepers)
            woken.set_result(None)
