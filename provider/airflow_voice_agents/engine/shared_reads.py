"""Reads that several targets share are made once, and kept only as long as one of them is to come."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from airflow_voice_agents.engine.concurrency import Sender
from airflow_voice_agents.transport.api_request import ApiRequest, RequestKey

T = TypeVar("T")


class SharedReads:
    """Reads on behalf of many targets.

    :param send: sends a call.
    :param owners: what the targets read from, named once per target that does.
    :param clock: monotonic seconds.
    """

    def __init__(
        self, send: Sender, owners: Iterable[str], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._send = send
        self._clock = clock
        self._begun: dict[str, float] = {}
        self._uses = Counter(owners)
        self._answers: dict[str, dict[RequestKey, asyncio.Future[Any]]] = {}

    async def read(self, owner: str, call: ApiRequest[T]) -> T:
        """Send a read, or take the answer that another target got or waits for.

        :param owner: what is read from.
        :param call: a read.
        :raises CallError: as the first who asked met it, like any other error.
        """
        known = self._answers.setdefault(owner, {})
        self._begun.setdefault(owner, self._clock())
        if call.key in known:
            answer: T = await asyncio.shield(known[call.key])  # one that gives up takes nobody along
            return answer
        known[call.key] = future = asyncio.get_running_loop().create_future()
        try:
            answer = await self._send(call)
        except Exception as failure:
            future.set_exception(failure)
            future.exception()  # seen, though nobody else may ask
            raise
        except BaseException:
            future.cancel()
            known.pop(call.key, None)
            raise
        future.set_result(answer)
        return answer

    def begun(self, owner: str) -> float | None:
        """Return when the oldest answer that is kept was asked for, or ``None`` where there is none.

        :param owner: what is read from.
        """
        return self._begun.get(owner)

    def over(self, owners: Iterable[str]) -> None:
        """Say that a target is done with what it reads from.

        :param owners: as they were named for that target.
        """
        for owner in owners:
            self._uses[owner] -= 1
            if self._uses[owner] <= 0:
                self._answers.pop(owner, None)
                self._begun.pop(owner, None)
