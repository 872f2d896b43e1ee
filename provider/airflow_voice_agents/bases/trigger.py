"""Base classes of triggers: poll, sleep, and end with one event."""

from __future__ import annotations

import asyncio
import random
import time
from abc import abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_voice_agents.transport.errors import InputError, VoiceAgentsError

if TYPE_CHECKING:
    from airflow_voice_agents.bases.shared_polls import PollResult
    from airflow_voice_agents.plans.condition import Condition

_imported: set[str] = set()


async def resolve_in_thread(*names: str) -> list[Any]:
    """Return named objects; modules that are not loaded yet are imported without blocking the event loop.

    :param names: ``package.module:Name``, in the order in which they are imported.
    """
    if not _imported.issuperset(names):
        await asyncio.to_thread(lambda: [resolve_name(name) for name in names])
        _imported.update(names)
    return [resolve_name(name) for name in names]


Answer = tuple[bool, dict[str, Any]] | VoiceAgentsError
"""The result of one poll, or the reason why there is none."""

JITTER = 0.1
"""Share by which an interval varies, so that many waits do not ask all at once."""

_SUBSCRIBE = "airflow_voice_agents.bases.shared_polls:subscribe"


class PollingTrigger(BaseTrigger):
    """Base of triggers that only poll; a write never lives in a trigger.

    :param poll_interval: seconds between two questions.
    :param deadline: seconds since the epoch at which the wait is given up.
    """

    age: float = 0.0
    """Seconds of the interval that had passed already when the latest answer came."""

    def __init__(self, *, poll_interval: float, deadline: float) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.poll_interval = poll_interval
        self.deadline = deadline

    @abstractmethod
    def arguments(self) -> dict[str, Any]:
        """Return the further arguments, as plain JSON without secrets or values."""

    @abstractmethod
    def answers(self) -> AsyncGenerator[Answer]:
        """Yield one answer per question."""

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and every argument."""
        kind = type(self)
        waits = {"poll_interval": self.poll_interval, "deadline": self.deadline}
        return f"{kind.__module__}.{kind.__qualname__}", {**self.arguments(), **waits}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield exactly one event: ``success``, ``timeout`` or ``error``."""
        async with aclosing(self.answers()) as answers:
            async for answer in answers:
                event = self._event(answer)
                if event is not None:
                    yield event
                    return
                if not await self.pause():
                    break
        yield TriggerEvent({"status": "timeout"})

    def _event(self, answer: Answer) -> TriggerEvent | None:
        if not isinstance(answer, VoiceAgentsError):
            return TriggerEvent({"status": "success", "found": answer[1]}) if answer[0] else None
        if answer.permanent:
            return TriggerEvent({"status": "error", "message": str(answer)})
        self.log.warning("Not known yet, asking again later: %s", answer)
        return None

    @property
    def seconds_left(self) -> float:
        """Seconds until the wait is given up; not above 0 when that is so."""
        return self.deadline - time.time()

    async def pause(self) -> bool:
        """Sleep for the rest of the interval; return whether there was time left to do so."""
        left = self.seconds_left
        if left <= 0:
            return False
        interval = self.poll_interval * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311  spreads load
        await asyncio.sleep(min(left, max(0.0, interval - self.age)))
        return True


class ConditionTrigger(PollingTrigger):
    """Base of triggers that wait for a condition.

    In one triggerer, triggers that read the same over the same connection share the answers. A subclass takes
    the connection's id as an argument and says the rest with class attributes. Their modules are imported in a
    thread when the trigger runs.

    :param condition: plain JSON, as the condition's ``serialize`` returned it; digests, never values.
    :param poll_interval: seconds between two questions.
    :param deadline: seconds since the epoch at which the wait is given up.
    """

    conn_name_attr: ClassVar[str]
    """Name of the argument that holds the connection's id, as the hook names it."""
    hook_path: ClassVar[str]
    """The hook's class, as ``package.module:Class``."""
    condition_path: ClassVar[str]
    """Function that turns plain JSON into the condition, as ``package.module:Class.deserialize``."""

    def __init__(self, *, condition: Mapping[str, Any], poll_interval: float, deadline: float) -> None:
        super().__init__(poll_interval=poll_interval, deadline=deadline)
        self.condition = condition

    def arguments(self) -> dict[str, Any]:
        """Return the connection's id and the condition."""
        return {self.conn_name_attr: getattr(self, self.conn_name_attr), "condition": self.condition}

    async def answers(self) -> AsyncGenerator[Answer]:
        """Yield one answer per question, whichever trigger asked it."""
        names = (_SUBSCRIBE, self.hook_path, self.condition_path)
        subscribe, hook, deserialize = await resolve_in_thread(*names)
        try:
            condition = deserialize(self.condition)
        except InputError as error:
            yield error
            return
        async with subscribe(hook, getattr(self, self.conn_name_attr), self.poll_interval) as subscriber:
            age = await subscriber.shared_age(condition.reads())
            if age is not None:
                self.age = age
                await self.pause()
            while True:
                result = await subscriber.poll(condition.reads(), last=self.seconds_left <= 0)
                self.age = result.age
                yield _decide(condition, result)


def _decide(condition: Condition, result: PollResult) -> Answer:
    if isinstance(result.answers, VoiceAgentsError):
        return result.answers
    try:
        return condition.holds(result.answers)
    except VoiceAgentsError as error:
        return error
