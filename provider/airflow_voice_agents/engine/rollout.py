"""Applies target plans in waves: each target in order, failures counted, the rest stopped when too many fail."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from msgspec.structs import replace

from airflow_voice_agents.engine.action import Action
from airflow_voice_agents.engine.applier import Applier, ApplierSettings
from airflow_voice_agents.engine.checkpoints import Checkpoints
from airflow_voice_agents.engine.concurrency import ProgressLog, for_each_limited
from airflow_voice_agents.engine.policy import HeldLock, Policy, SharedFailures, StopCheck
from airflow_voice_agents.engine.run_context import RunContext
from airflow_voice_agents.plans.kind import Resource
from airflow_voice_agents.plans.plan import PlannedItem, TargetPlan
from airflow_voice_agents.plans.report import TROUBLE, ItemReport, Status

Outcome = tuple[ItemReport, ...]

OTHERS_ASKED = 5.0
"""Seconds between two looks at the failures of the other tasks of a run."""


@dataclass
class Rollout:
    """Applies target plans.

    :param run: the run; its sender sends the writes.
    :param action: the action.
    :param policy: the options of the run.
    :param lock: the lock on the targets, asked for before each target, or each wave of items.
    :param stop: asked before each wave.
    :param checkpoints: finished targets; receives each target that ends well.
    :param on_wave: receives number of the wave that ended, number of waves, targets reached, and targets in all.
    :param shared: counts failures together with other tasks; ``None`` counts those of this run alone.

    ``halted`` is the reason why a person stopped it, ``retry_after`` the wait in seconds that the server named.
    """

    run: RunContext
    action: Action
    policy: Policy
    lock: HeldLock
    stop: StopCheck
    checkpoints: Checkpoints
    on_wave: Callable[[int, int, int, int], None] = lambda *_: None
    shared: SharedFailures | None = None
    halted: str = field(default="", init=False)
    retry_after: float | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self._ended: dict[str, Outcome] = {}
        self._failed = 0
        self._moved: set[Resource] = set()
        self._stopped: str | None = None
        self._total = 0
        self._asked_others = -math.inf
        self._counting = asyncio.Lock()

    async def apply(self, targets: list[TargetPlan], *, planned_at: float) -> Mapping[str, Outcome]:
        """Write what the targets ask for, wave by wave, and report on the items of each.

        Targets of which nothing is written are reported at once and count in no wave.

        :param targets: the targets; the list is taken over and emptied, so that a finished target is let go with
            everything that was read for it.
        :param planned_at: time of the oldest read, on the run's clock.
        """
        if self.action.counts_items:
            return await self._by_item(targets, planned_at)
        todo = {target.name: target for target in targets if any(map(_is_written, target.items))}
        self._ended = {target.name: self._as_planned(target) for target in targets if target.name not in todo}
        self._total = len(todo)
        targets.clear()
        progress = self.run.progress(self.action.operation, self._total)
        if todo:
            await self._ask_others()

        async def work(name: str) -> None:
            await self._target(todo.pop(name), planned_at, progress)

        waves = self.policy.waves.cut(list(todo))
        try:
            for number, wave in enumerate(waves, start=1):
                self._ask()
                await for_each_limited(wave, work, limit=self.run.concurrency)
                self.checkpoints.flush()
                self._log_wave(number, waves)
        finally:
            self.checkpoints.flush()
        return self._ended

    # ------------------------------------------------------------------------------------- by target

    async def _target(self, target: TargetPlan, planned_at: float, progress: ProgressLog) -> None:
        await self._check_lock()
        if self._stopped is not None:
            self._ended[target.name] = self._skipped(target.items, f"not attempted. {self._stopped}")
            return
        outcome = await self._stages(target, planned_at if target.read_at is None else target.read_at)
        self._ended[target.name] = outcome
        if self._has_failed(target, outcome):
            self._failed += 1
            await self._check_failures()
        elif not any(item.status in TROUBLE for item in outcome):
            self.checkpoints.note(target.name, outcome)
            await self._ask_others()
        self._stop(self.lock.renew_when_due())
        progress.add(_worst(outcome).value)

    def _has_failed(self, target: TargetPlan, outcome: Outcome) -> bool:
        """Whether a write of a target failed; what its plan left out, or a newer change, is no failure of the run."""
        left = {item.resource for item in target.items if item.refusals} | self._moved
        return any(
            item.status in (Status.FAILED, Status.UNKNOWN) and item.resource not in left for item in outcome
        )

    async def _stages(self, target: TargetPlan, planned_at: float) -> Outcome:
        ended: list[ItemReport] = []
        for stage in target.stages():
            failed = next((item for item in ended if item.status in TROUBLE), None)
            if failed is None:
                ended += await self._stage(stage, planned_at, first=not ended)
            else:
                ended += self._skipped(
                    stage, f"not attempted, because {failed.resource.kind} {failed.resource} failed"
                )
        return tuple(ended)

    async def _stage(
        self, stage: Sequence[PlannedItem], planned_at: float, *, first: bool
    ) -> list[ItemReport]:
        transitions = [item.transition for item in stage if _is_written(item)]
        arriving = not first and any(each is not None and each.before is None for each in transitions)
        return await self._write(stage, planned_at, fresh=arriving, quiet=True)

    # --------------------------------------------------------------------------------------- by item

    async def _by_item(self, targets: list[TargetPlan], planned_at: float) -> Mapping[str, Outcome]:
        changed = [(target, item) for target in targets for item in target.items if _is_written(item)]
        found: dict[Resource, ItemReport] = {}
        self._total = len(changed)
        waves = self.policy.waves.cut(changed)
        for number, wave in enumerate(waves, start=1):
            self._ask()
            await self._check_lock()
            for stage in _by_kind([item for _, item in wave]):
                if self._stopped is None:
                    reports = await self._write(stage, planned_at, fresh=False, quiet=False)
                else:
                    reports = list(self._skipped(stage, f"not attempted. {self._stopped}"))
                found |= {report.resource: report for report in reports}
                self._failed += sum(report.status in TROUBLE for report in reports)
                await self._check_failures()
            self._stop(self.lock.renew_when_due())
            self._log_wave(number, waves)
        return {
            target.name: tuple(found.get(item.resource) or self._unwritten(item) for item in target.items)
            for target in targets
        }

    # ---------------------------------------------------------------------------------------- shared

    async def _write(
        self, stage: Sequence[PlannedItem], planned_at: float, *, fresh: bool, quiet: bool
    ) -> list[ItemReport]:
        """Apply the items of one kind; items that arrive by an earlier stage are read before they are written."""
        written: dict[Resource, ItemReport] = {}
        transitions = [item.transition for item in stage if item.transition is not None and _is_written(item)]
        if transitions:
            applier = self._applier(stage, fresh=fresh, quiet=quiet, total=len(transitions))
            reports = await applier.apply(transitions, observed_at=planned_at)
            written = {report.resource: report for report in reports}
            self._take_from(applier)
        return [
            self.action.explain(item, written[item.resource])
            if item.resource in written
            else self._unwritten(item)
            for item in stage
        ]

    def _applier(self, stage: Sequence[PlannedItem], *, fresh: bool, quiet: bool, total: int) -> Applier[Any]:
        progress = None if quiet else self.run.progress(self.action.operation, total)
        limit = self.policy.failure_limit
        by_item = self.action.counts_items and limit is not None
        return Applier(
            self.run,
            self.action.kinds()[stage[0].resource.kind],
            ApplierSettings(
                verify=self.policy.verify,
                max_snapshot_age=0.0 if fresh else self.policy.max_snapshot_age,
                max_failed=limit.allows(self._total) - self._failed if by_item and limit else None,
                settle_polls=self.policy.settle_polls,
            ),
            waypoints={item.resource: item.waypoints for item in stage},
            on_ended=None if progress is None else progress.add,
            on_result=lambda resource, result: self.action.on_result(self.run, resource, result),
        )

    def _take_from(self, applier: Applier[Any]) -> None:
        if applier.retry_after is not None:
            self.retry_after = max(self.retry_after or 0.0, applier.retry_after)
        if self.action.leaves_newer_work:
            self._moved |= applier.moved
        if applier.refused is not None:
            self._stop(f"The platform refuses every further request: {applier.refused}")

    def _ask(self) -> None:
        """Ask whether the next wave may begin; a person must lift the reason before a retry helps."""
        if self._stopped is None and (reason := self.stop()) is not None:
            self.halted = reason
            self._stop(reason)

    async def _ask_others(self) -> None:
        """Look at the failures of the other tasks of the run, when it is time."""
        if self.shared is not None and self.run.clock() - self._asked_others >= OTHERS_ASKED:
            await self._check_failures()

    async def _check_lock(self) -> None:
        """Ask whether the lock still stands; its folder may be far, so not on the event loop."""
        if self._stopped is None:
            self._stop(await asyncio.to_thread(self.lock.check))

    async def _check_failures(self) -> None:
        limit, failed, total = self.policy.failure_limit, self._failed, self._total
        if limit is not None and self.shared is not None:
            async with self._counting:  # a later count must not be noted before an earlier one
                self._asked_others = self.run.clock()
                failed = await asyncio.to_thread(self.shared.note, self._failed)
            total = self.shared.total
        if limit is not None and limit.exceeded(failed, total):
            allowed, what = limit.allows(total), "item" if self.action.counts_items else "target"
            self._stop(
                f"{failed} of {total} {what}(s) failed, and max_failures allows {allowed}. Fix them, then "
                "run again: what is done is not written twice."
            )

    def _stop(self, reason: str | None) -> None:
        if reason is not None and self._stopped is None:
            self._stopped = reason
            self.run.log(f"{self.action.operation}: no further write is begun. {reason}")

    def _log_wave(self, number: int, waves: Sequence[Sequence[Any]]) -> None:
        if len(waves) > 1 and self._stopped is None:
            reached, what = sum(map(len, waves[:number])), "item" if self.action.counts_items else "target"
            self.on_wave(number, len(waves), reached, self._total)
            self.run.log(
                f"{self.action.operation}: wave {number} of {len(waves)} is over, {reached} of {self._total} {what}(s) "
                f"reached, {self._failed} failed"
            )

    def _as_planned(self, target: TargetPlan) -> Outcome:
        return tuple(map(self._unwritten, target.items))

    def _unwritten(self, item: PlannedItem) -> ItemReport:
        return self.action.explain(item, foreseen(item))

    def _skipped(self, items: Iterable[PlannedItem], reason: str) -> Outcome:
        """Report items that were not begun; unchanged ones stay unchanged."""
        return tuple(
            ItemReport(item.resource, Status.SKIPPED, reason) if _is_written(item) else self._unwritten(item)
            for item in items
        )


def foreseen(item: PlannedItem) -> ItemReport:
    """Return the outcome of an item that is not written: unchanged, or refused by its plan.

    :param item: a planned item without errors.
    """
    if item.refusals:
        reason = " ".join(finding.message for finding in item.refusals)
        return ItemReport(item.resource, Status.FAILED, reason, permanent=True)
    return ItemReport(item.resource, Status.UNCHANGED)


def with_sender(run: RunContext, action: Action, targets: Sequence[TargetPlan]) -> RunContext:
    """Return the run with the sender that the action wants for its writes.

    :param run: the run.
    :param action: the action.
    :param targets: the planned targets.
    """
    return replace(run, sender=action.sender(run.sender, targets))


def _is_written(item: PlannedItem) -> bool:
    return item.transition is not None and item.changed and not item.refusals


def _by_kind(items: Iterable[PlannedItem]) -> Iterable[list[PlannedItem]]:
    groups: dict[str, list[PlannedItem]] = {}
    for item in items:
        groups.setdefault(item.resource.kind, []).append(item)
    return groups.values()


def _worst(outcome: Sequence[ItemReport]) -> Status:
    order = (*TROUBLE, Status.CHANGED, Status.UNCHANGED)
    return min((item.status for item in outcome), key=order.index, default=Status.UNCHANGED)
