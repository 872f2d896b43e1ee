"""The context of a run: sender, log, guards, concurrency, task state and clocks."""

from __future__ import annotations

import asyncio
import random as random_module
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Protocol, TypeVar

import msgspec

from airflow_voice_agents.engine.concurrency import ProgressLog, Sender
from airflow_voice_agents.plans.guards import GuardContext
from airflow_voice_agents.plans.plan import Finding, Severity
from airflow_voice_agents.transport.api_request import ApiRequest, Replay
from airflow_voice_agents.transport.errors import GuardRefused, InputError

T = TypeVar("T")

WRITING = frozenset({"PUT", "PATCH", "DELETE"})
"""HTTP verbs that write, also where the write may be repeated."""


class TaskState(Protocol):
    """The values that a task instance remembers across its tries."""

    def get(self, key: str) -> Any:
        """Return the stored JSON value, or ``None``."""

    def set(self, key: str, value: Any) -> None:
        """Store a JSON value other than ``None``."""

    def delete(self, key: str) -> None:
        """Forget the key; a missing key is not an error."""


class Redact(Protocol):
    """Cleans a text of the platform, so that it can be shown."""

    def __call__(self, text: str, request: ApiRequest[Any] | None = None, /) -> str:
        """Return the text without secrets, and without the values of the request that it answers."""


def _as_it_is(text: str, _: ApiRequest[Any] | None = None, /) -> str:
    return text


class RunContext(msgspec.Struct, frozen=True):
    """The things that a run works with.

    :param sender: sends any request. Only the engine's applier may use it; everything else reads through
        :meth:`send`.
    :param log: receives lines for people (a logger's ``info``).
    :param guard_context: overrides and kind of run, for the guards.
    :param concurrency: maximum number of targets in flight.
    :param task_state: values that outlive this try, or ``None``.
    :param clock: monotonic seconds.
    :param sleep: waits the given seconds.
    :param random: numbers in [0, 1) for jitter.
    :param redact: cleans the platform's texts.
    :raises InputError: for a concurrency below 1.
    """

    sender: Sender
    log: Callable[[str], None]
    guard_context: GuardContext = msgspec.field(default_factory=GuardContext)
    concurrency: int = 4
    task_state: TaskState | None = None
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    random: Callable[[], float] = random_module.random
    redact: Redact = _as_it_is

    def __post_init__(self) -> None:
        if (
            isinstance(self.concurrency, bool)
            or not isinstance(self.concurrency, int)
            or self.concurrency < 1
        ):
            raise InputError("concurrency must be a whole number of at least 1")

    async def send(self, request: ApiRequest[T], /) -> T:
        """Send a read and return its parsed response.

        :param request: a request that changes nothing: a GET, or a read with a body (a POST that may be repeated).
        :raises RuntimeError: for a write; only the engine writes.
        :raises RequestError: the subclass that says what went wrong.
        """
        if request.replay is not Replay.SAFE or request.method in WRITING:
            raise RuntimeError(f"{request.operation} is a write, and only engine.apply may send one")
        return await self.sender(request)

    def guard(self, operation: str, findings: Iterable[Finding], *, dry_run: bool = False) -> None:
        """Refuse the work before it reads anything; in a dry run, only log the refusal.

        :param operation: the operation's name.
        :param findings: findings of the guards; those that are not errors are ignored.
        :param dry_run: whether to log only.
        :raises GuardRefused: with every finding.
        """
        said = " ".join(finding.message for finding in findings if finding.severity is Severity.ERROR)
        if said and not dry_run:
            raise GuardRefused(f"{operation}: {said} Nothing was read or written.")
        if said:
            self.log(f"A run that writes would be refused. {operation}: {said}")

    def progress(self, what: str, total: int) -> ProgressLog:
        """Return a progress log for one part of the run.

        :param what: the work, for people.
        :param total: number of items in all.
        """
        return ProgressLog(what, total, self.log, clock=self.clock)

    def recall(self, key: str) -> Any:
        """Return a value of the task state, or ``None``."""
        return None if self.task_state is None else self.task_state.get(key)

    def forget(self, key: str) -> None:
        """Forget a value of the task state; neither a missing key nor a store that is away is an error."""
        if self.task_state is None:
            return
        try:
            self.task_state.delete(key)
        except Exception as error:  # noqa: BLE001  whatever the store's library raises
            self.log(
                f"What this task remembers of its run could not be removed ({type(error).__name__}). "
                "Its writes are done."
            )

    def remember(self, key: str, value: Any) -> None:
        """Store a value in the task state, if there is one."""
        if self.task_state is not None:
            self.task_state.set(key, value)
