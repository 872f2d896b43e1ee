"""Carries many units out in waves: each in order, all of them watched, the rest stopped when it goes wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from airflow_voice_agents.engine.applier import Applier
from airflow_voice_agents.engine.checkpoints import Checkpoints
from airflow_voice_agents.engine.concurrency import for_each_limited
from airflow_voice_agents.engine.progress_log import ProgressLog
from airflow_voice_agents.engine.run_context import RunContext
from airflow_voice_agents.plans.kind import Resource, ResourceKind
from airflow_voice_agents.plans.limits import FailureLimit
from airflow_voice_agents.plans.outcome import explain
from airflow_voice_agents.plans.plan import PlannedItem
from airflow_voice_agents.plans.report import TROUBLE, ItemReport, Report, Status
from airflow_voice_agents.plans.target_plan import TargetPlan
from airflow_voice_agents.plans.waves import Waves

StopCheck = Callable[[], "str | None"]
"""Looks whether the run may go on; returns why not."""


def always_continue() -> str | None:
    """Let the run go on."""
    return None


@dataclass(frozen=True, slots=True)
class RolloutPolicy:
    """How fast a rollout goes, and what stops it.

    :param waves: how many units are reached, wave by wave.
    :param budget: how many units may go wrong before no further one is begun.
    :param before_wave: asked before each wave (a stop switch, a freeze window).
    :param after_unit: asked after each unit (a lock that has to be renewed).
    :param verify: whether an independent read follows the writes; their answers are checked in any case.
    :param max_snapshot_age: seconds after which a resource is read again right before it is written.
    """

    waves: Waves = field(default_factory=lambda: Waves.parse(None))
    budget: FailureLimit = field(default_factory=lambda: FailureLimit.parse(None))
    before_wave: StopCheck = always_continue
    after_unit: StopCheck = always_continue
    verify: bool = True
    max_snapshot_age: float = 60.0


async def roll_out(
    run: RunContext,
    operation: str,
    kinds: Mapping[str, ResourceKind[Any]],
    units: list[TargetPlan],
    *,
    pace: RolloutPolicy,
    ledger: Checkpoints,
    order: Sequence[str],
    planned_at: float,
    plan_digest: str,
    notes: Sequence[str] = (),
) -> Report:
    """Bring units to what they shall be, and report on them and on what an earlier try did.

    :param run: what the run works with.
    :param operation: what the run is.
    :param kinds: the kinds of the units' resources, by name.
    :param units: what is still to do; all of them valid. The list is taken over and emptied, so that a unit that
        is done is let go, with all that was read for it.
    :param pace: how fast it goes, and what stops it.
    :param ledger: what an earlier try has done; forgotten once everything is.
    :param order: names of all units, in the order of the report.
    :param planned_at: when the oldest of their states was read, on the run's clock, where a unit does not say.
    :param plan_digest: digest of the plan that is carried out.
    :param notes: what else the report has to say.
    """
    rollout = Rollout(run, operation, kinds, pace, ledger)
    ended = {**ledger.done, **await rollout.run(units, planned_at=planned_at)}
    report = Report(
        operation,
        tuple(item for name in order for item in ended[name]),
        plan_digest=plan_digest,
        retry_after=rollout.retry_after,
        stopped=rollout.halted,
        notes=tuple(notes),
    )
    if report.complete:
        ledger.clear()
    return report


class Rollout:
    """Brings units to what they shall be.

    :param run: what the run works with.
    :param operation: what the run is, for progress.
    :param kinds: the kinds of the units' resources, by name.
    :param pace: how fast it goes, and what stops it.
    :param ledger: which units are done; told of each that ends well.

    ``halted`` says why a person stopped it, ``retry_after`` how long the server asked to wait.
    """

    def __init__(
        self,
        run: RunContext,
        operation: str,
        kinds: Mapping[str, ResourceKind[Any]],
        pace: RolloutPolicy,
        ledger: Checkpoints,
    ) -> None:
        self._run = run
        self._operation = operation
        self._kinds = kinds
        self._pace = pace
        self._ledger = ledger
        self._ended: dict[str, tuple[ItemReport, ...]] = {}
        self._failed = 0
        self._stopped: str | None = None
        self.halted = ""
        self.retry_after: float | None = None

    async def run(
        self, units: list[TargetPlan], *, planned_at: float
    ) -> Mapping[str, tuple[ItemReport, ...]]:
        """Write what the units ask for, wave by wave, and report on the items of each.

        Units that change nothing are reported at once and count in no wave.

        :param units: what to do; all of them valid. The list is taken over and emptied.
        :param planned_at: when the oldest of their states was read, on the run's clock.
        """
        todo = {unit.name: unit for unit in units if unit.changed}
        self._ended = {unit.name: _as_they_are(unit) for unit in units if not unit.changed}
        self._total = len(todo)
        units.clear()
        progress = self._run.progress(self._operation, self._total)

        async def work(name: str) -> None:
            await self._unit(todo.pop(name), planned_at, progress)

        waves = self._pace.waves.cut(list(todo))
        try:
            for number, wave in enumerate(waves, start=1):
                self._ask()
                await for_each_limited(wave, work, limit=self._run.concurrency)
                self._ledger.flush()
                self._tell(number, waves)
        finally:
            self._ledger.flush()
        return self._ended

    def _ask(self) -> None:
        """Ask whether the next wave may begin; whoever says no has to say yes before a retry helps."""
        if self._stopped is None and (reason := self._pace.before_wave()) is not None:
            self.halted = reason
            self._stop(reason)

    def _tell(self, number: int, waves: Sequence[Sequence[str]]) -> None:
        if len(waves) > 1 and self._stopped is None:
            reached = sum(len(wave) for wave in waves[:number])
            self._run.say(
                f"{self._operation}: wave {number} of {len(waves)} is over, {reached} of {self._total} target(s) "
                f"reached, {self._failed} went wrong"
            )

    def _stop(self, reason: str | None) -> None:
        if reason is not None and self._stopped is None:
            self._stopped = reason
            self._run.say(f"{self._operation}: no further target is begun. {reason}")

    async def _unit(self, unit: TargetPlan, planned_at: float, progress: ProgressLog) -> None:
        if self._stopped is not None:
            self._ended[unit.name] = tuple(_skipped(unit.items, f"not attempted. {self._stopped}"))
            return
        outcome = await self._items(unit, planned_at if unit.read_at is None else unit.read_at)
        self._ended[unit.name] = outcome
        if any(item.status in TROUBLE for item in outcome):
            self._failed += 1
            self._over_budget()
        else:
            self._ledger.note(unit.name, outcome)
        self._stop(self._pace.after_unit())
        progress.add(_worst(outcome).value)

    def _over_budget(self) -> None:
        if self._pace.budget.spent(self._failed, self._total):
            allowed = self._pace.budget.allows(self._total)
            self._stop(
                f"{self._failed} of {self._total} target(s) went wrong, and {allowed} may (max_failures). Mend "
                "them, then run again: what is done is not done twice."
            )

    async def _items(self, unit: TargetPlan, planned_at: float) -> tuple[ItemReport, ...]:
        ended: list[ItemReport] = []
        for stage in unit.stages():
            wrong = next((item for item in ended if item.status in TROUBLE), None)
            if wrong is None:
                ended += await self._stage(stage, planned_at, first=not ended)
            else:
                ended += _skipped(
                    stage, f"not attempted, because {wrong.resource.kind} {wrong.resource} went wrong"
                )
        return tuple(ended)

    async def _stage(
        self, stage: Sequence[PlannedItem], planned_at: float, *, first: bool
    ) -> list[ItemReport]:
        intents = [item.intent for item in stage if item.intent is not None]
        written: dict[Resource, ItemReport] = {}
        if intents:
            arriving = not first and any(intent.before is None for intent in intents)
            carrier = self._carrier(stage, fresh=arriving)
            brought = await carrier.apply(intents, observed_at=planned_at)
            written = {item.resource: item for item in brought}
            self._take_from(carrier)
        return [
            explain(item, written.get(item.resource, ItemReport(item.resource, Status.UNCHANGED)))
            for item in stage
        ]

    def _carrier(self, stage: Sequence[PlannedItem], *, fresh: bool) -> Applier[Any]:
        """Return what writes a stage; what arrived by an earlier stage is read before it is written."""
        return Applier(
            self._run.send,
            self._kinds[stage[0].resource.kind],
            limit=self._run.concurrency,
            progress=ProgressLog(self._operation, len(stage), _nobody, clock=self._run.clock),
            verify=self._pace.verify,
            max_snapshot_age=0.0 if fresh else self._pace.max_snapshot_age,
            waypoints={item.resource: item.waypoints for item in stage},
            clock=self._run.clock,
            redact=self._run.redact,
        )

    def _take_from(self, carrier: Applier[Any]) -> None:
        if carrier.retry_after is not None:
            self.retry_after = max(self.retry_after or 0.0, carrier.retry_after)
        if carrier.refused is not None:
            self._stop(f"The platform refuses every further call: {carrier.refused}")


def _as_they_are(unit: TargetPlan) -> tuple[ItemReport, ...]:
    return tuple(explain(item, ItemReport(item.resource, Status.UNCHANGED)) for item in unit.items)


def _skipped(items: Iterable[PlannedItem], reason: str) -> list[ItemReport]:
    """Report what was not begun; what is as it shall be anyway stays so."""
    return [
        ItemReport(item.resource, Status.SKIPPED, reason)
        if item.changed
        else ItemReport(item.resource, Status.UNCHANGED)
        for item in items
    ]


def _worst(outcome: Sequence[ItemReport]) -> Status:
    order = (*TROUBLE, Status.CHANGED, Status.UNCHANGED)
    return min((item.status for item in outcome), key=order.index)


def _nobody(_: str) -> None:
    """Progress is told by target, not by what belongs to one."""
