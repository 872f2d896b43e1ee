"""Checkpoints: the targets that a run has finished, so that a retried task continues where it stopped."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from airflow_voice_agents.engine.run_context import TaskState
from airflow_voice_agents.plans.kind import Resource
from airflow_voice_agents.plans.report import ItemReport, Status

BATCH = 25
"""Units that one checkpoint speaks of: what a kill makes the next try read again, at most."""

MAX_AGE = 6 * 3600.0
"""Seconds after which a checkpoint no longer counts: a task cleared later looks at everything again."""

Outcome = tuple[ItemReport, ...]


class Checkpoints:
    """Checkpoints of one plan in a task's memory, written in batches, each under a key of its own.

    Units that went wrong are never noted: the next try takes them up. Without a memory nothing is noted,
    and the next try compares states alone. A memory that cannot be reached does not fail a run whose writes go well.

    :param task_state: what outlives a try, or ``None``.
    :param plan_digest: digest of the plan; another plan has checkpoints of its own.
    :param batch: units per checkpoint.
    :param clock: seconds since the epoch.
    :param log: receives lines for people.
    """

    def __init__(
        self,
        task_state: TaskState | None,
        plan_digest: str,
        *,
        batch: int = BATCH,
        clock: Callable[[], float] = time.time,
        log: Callable[[str], None] = lambda line: None,
    ) -> None:
        self._task_state = task_state
        self._log = log
        self._prefix = f"done-{plan_digest[:16]}"
        self._batch = self._due = batch
        self._clock = clock
        self._waiting: dict[str, Any] = {}
        self._written = 0
        self.done: dict[str, Outcome] = self._read()

    @property
    def resources(self) -> frozenset[Resource]:
        """What belongs to the units that an earlier try has brought to their end."""
        return frozenset(item.resource for outcome in self.done.values() for item in outcome)

    def reopen(self, units: Iterable[str]) -> None:
        """Take units up again that were done, because somebody has undone them since.

        :param units: names of units; those that are not done do no harm.
        """
        for unit in units:
            self.done.pop(unit, None)

    def note(self, unit: str, outcome: Sequence[ItemReport]) -> None:
        """Note a unit that ended well; every full batch is written.

        :param unit: the unit's name.
        :param outcome: how its items ended.
        """
        if self._task_state is None:
            return
        self._waiting[unit] = [_entry(item) for item in outcome]
        if len(self._waiting) >= self._due:
            self.flush()

    def flush(self) -> None:
        """Write what waits for its batch to fill."""
        if self._task_state is None or not self._waiting:
            return
        try:
            self._task_state.set(self._key(self._written), {"at": self._clock(), "units": self._waiting})
        except Exception as error:  # noqa: BLE001  whatever the store's library raises
            self._due = len(self._waiting) + self._batch  # a store that is away costs seconds each time
            self._log(
                f"A checkpoint of {len(self._waiting)} finished target(s) could not be kept ({type(error).__name__}). "
                "The run goes on; another try would read these targets again."
            )
            return
        self._written += 1
        self._waiting, self._due = {}, self._batch

    def clear(self) -> None:
        """Forget everything: the run is over, and a later one looks at the world again."""
        if self._task_state is None:
            return
        try:
            for number in reversed(range(self._written)):  # the first key last: it says that there are others
                self._task_state.delete(self._key(number))
        except Exception as error:  # noqa: BLE001  whatever the store's library raises
            self._log(
                f"The checkpoints of this run could not be removed ({type(error).__name__}). Its writes are done. If "
                f"this task is cleared within {MAX_AGE / 3600:g} hours, it takes the finished targets as they are and "
                "does not read them."
            )
            return
        self._written = 0

    def _read(self) -> dict[str, Outcome]:
        done: dict[str, Outcome] = {}
        while (
            self._task_state is not None
            and (page := self._task_state.get(self._key(self._written))) is not None
        ):
            self._written += 1
            if self._clock() - page["at"] <= MAX_AGE:
                done |= {unit: tuple(map(_item, entries)) for unit, entries in page["units"].items()}
        return done

    def _key(self, number: int) -> str:
        return f"{self._prefix}-{number}"


def _entry(item: ItemReport) -> list[Any]:
    resource = item.resource
    return [resource.kind, resource.owner, resource.name, item.status.value, item.reason, dict(item.details)]


def _item(entry: Sequence[Any]) -> ItemReport:
    kind, owner, name, status, reason, details = entry
    return ItemReport(Resource(kind, owner, name), Status(status), reason, details=details)
