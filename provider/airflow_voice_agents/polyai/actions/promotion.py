"""Plan a promotion, carry a saved plan out exactly, and look whether it holds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from airflow_voice_agents.engine.checkpoints import Checkpoints
from airflow_voice_agents.engine.reads import observe
from airflow_voice_agents.engine.rollout import RolloutPolicy, roll_out
from airflow_voice_agents.engine.run_context import RunContext, TaskState
from airflow_voice_agents.plans.document import PlanDocument
from airflow_voice_agents.plans.guards import check_live
from airflow_voice_agents.plans.kind import Resource
from airflow_voice_agents.plans.limits import ChangeLimit
from airflow_voice_agents.plans.plan import Finding, Plan, PlannedItem, Severity, TargetPlan, plan_of
from airflow_voice_agents.plans.render import Display, render_plan, visible
from airflow_voice_agents.plans.report import ItemReport, Report, Status, in_order
from airflow_voice_agents.plans.rollback_blocks import RollbackBlock, check_blocks
from airflow_voice_agents.polyai.actions.deployment_xcoms import with_advice
from airflow_voice_agents.polyai.actions.planner import OPERATION, PromotionPlanner
from airflow_voice_agents.polyai.actions.snapshot_units import Keep
from airflow_voice_agents.polyai.files import Shelf
from airflow_voice_agents.polyai.resources.registry import kinds
from airflow_voice_agents.polyai.spec import PromotionSpec
from airflow_voice_agents.transport.errors import CallError, GuardRefused, StateMoved

VERIFY = "verify promotion"
SHOWN = 10


@dataclass(frozen=True, slots=True)
class Planned:
    """A promotion, planned.

    :param plan: every target's items, some of which may have errors.
    :param targets: how many targets there are.
    :param changed: how many of them would change.
    """

    plan: Plan
    targets: int
    changed: int

    def refuse(self, cap: ChangeLimit) -> None:
        """Refuse a plan that has errors, or changes more than may change.

        :param cap: how many targets may change.
        :raises GuardRefused: saying why.
        """
        refuse_errors(self.plan.operation, self.plan.items)
        refuse_many(cap, self.changed, self.targets)


@dataclass(frozen=True, slots=True)
class PlanJob:
    """A promotion that is planned and not carried out.

    :param spec: what is promoted.
    :param shelf: reads files of an export.
    :param holds: target -> what it is on hold for.
    :param display: what the plan in the log shows of values.
    """

    spec: PromotionSpec
    shelf: Shelf
    holds: Mapping[str, RollbackBlock] = field(default_factory=dict)
    display: Display = field(default_factory=Display)

    async def run(self, run: RunContext) -> Planned:
        """Read sources and targets and plan every target; nothing is written.

        Vendor operations: list real-time configs, get active deployments, list deployments, list
        connectors, list variants, batch get numbers.

        :param run: what the run works with.
        :returns: the plan, still to be judged.
        """
        units = await PromotionPlanner(run, self.spec, self.shelf).units()
        plan = plan_of(OPERATION, [_with_hold(unit, self.holds) for unit in units])
        run.log(render_plan(plan, self.display))
        return Planned(plan, len(units), sum(unit.changed for unit in units))


@dataclass(frozen=True, slots=True)
class ApplyJob:
    """A saved plan, checked and ready to be carried out.

    :param document: the saved plan.
    :param spec: the promotion that it was made from.
    :param shelf: reads files of an export.
    :param pace: how fast it goes, and what stops it.
    :param cap: how many targets may change.
    :param frozen: what the freeze windows say now.
    :param holds: target -> what it is on hold for.
    :param keep: keeps what is about to change.
    :param notes: what outlives a try, for checkpoints, or ``None``.
    """

    document: PlanDocument
    spec: PromotionSpec
    shelf: Shelf
    pace: RolloutPolicy
    cap: ChangeLimit
    frozen: tuple[Finding, ...] = ()
    holds: Mapping[str, RollbackBlock] = field(default_factory=dict)
    keep: Keep | None = None
    notes: TaskState | None = None

    async def run(self, run: RunContext) -> Report:
        """Read everything again, hold it to the plan, and write what is still open.

        Vendor operations: those of the plan, and update schema, update variables, promote deployment,
        update connector, batch update connectors, assign number.

        :param run: what the run works with.
        :raises GuardRefused: before any write of this try, when a guard refuses.
        :raises StateMoved: before any write of this try, naming what is not as planned.
        :raises TargetLocked: before any write of this try, when the targets are not this run's any more.
        """
        run.guard(
            OPERATION, check_live([target.environment for target in self.spec.targets], run.guard_context)
        )
        guard_frozen(run, OPERATION, self.frozen)
        ledger = Checkpoints(self.notes, self.document.digest)
        ledger.reopen(self.holds)  # a rollback holds what it undid
        if ledger.done:
            run.log(
                f"{OPERATION}: an earlier try brought {len(ledger.done)} target(s) to their end; they stay unread"
            )
        composer = PromotionPlanner(run, self.spec, self.shelf, self.pace.after_unit)
        planned_at = run.clock()
        units = await composer.units(but=ledger.done)
        self._hold_to_plan(units, ledger)
        if self.keep is not None:
            self.keep(run, units, ledger.resources)
        return await roll_out(
            replace(run, send=with_advice(run.send)),
            OPERATION,
            composer.kinds,
            units,
            pace=self.pace,
            ledger=ledger,
            order=[target.name for target in self.spec.targets],
            planned_at=planned_at,
            plan_digest=self.document.digest,
            notes=[finding.message for finding in self.frozen],
        )

    def _hold_to_plan(self, units: Sequence[TargetPlan], ledger: Checkpoints) -> None:
        """Refuse what has errors now, what moved, what is on hold, and more than may change."""
        planned = {item.resource: item for unit in units for item in unit.items}
        done = ledger.resources
        if away := self.document.moved(planned.values(), done=done):
            told = "; ".join(_why_moved(each, planned.get(each)) for each in away[:SHOWN])
            more = f"; and {len(away) - SHOWN} more" if len(away) > SHOWN else ""
            earlier = " What an earlier try applied stays." if done else ""
            raise StateMoved(
                f"{len(away)} resource(s) are not as the plan {self.document.digest[:12]} has them: "
                f"{visible(told)}{more}. The source or the target changed since. Nothing was written.{earlier} Plan "
                "again and have the new plan approved."
            )
        refuse_errors(OPERATION, [item for unit in units for item in _with_hold(unit, self.holds).items])
        refuse_many(self.cap, sum(unit.changed for unit in units) + len(ledger.done), len(self.spec.targets))


@dataclass(frozen=True, slots=True)
class VerifyJob:
    """Looks whether everything that a plan promised is there.

    :param document: the plan.
    """

    document: PlanDocument

    async def run(self, run: RunContext) -> Report:
        """Read every resource of the plan and compare it with what the plan says it shall be.

        :param run: what the run works with.
        """
        ways, pins = kinds(), self.document.pins
        items: dict[Resource, ItemReport] = {}

        def seen(resource: Resource, state: Any) -> None:
            as_planned = ways[resource.kind].digest(state) == pins[resource].after
            items[resource] = (
                ItemReport(resource, Status.UNCHANGED)
                if as_planned
                else ItemReport(resource, Status.FAILED, "it is not as the plan has it", permanent=True)
            )

        def unreadable(resource: Resource, failure: CallError) -> None:
            items[resource] = ItemReport(resource, Status.FAILED, str(failure), permanent=True)

        await observe(run, ways, pins, seen=seen, unreadable=unreadable)
        return Report(VERIFY, in_order(list(pins), items.values()), plan_digest=self.document.digest)


def _why_moved(resource: Resource, item: PlannedItem | None) -> str:
    """Name what moved, with what stands in its way now."""
    problems = " ".join(finding.message for finding in item.errors) if item else ""
    return f"{resource.kind} {resource}" + (f" ({problems.rstrip('.')})" if problems else "")


def guard_frozen(run: RunContext, operation: str, findings: Iterable[Finding]) -> None:
    """Refuse to write during a freeze, or record that somebody overrode it.

    :param run: what the run works with.
    :param operation: what the run is.
    :param findings: what the freeze windows say now.
    :raises GuardRefused: during a freeze that nobody overrode.
    """
    stopping = [each for each in findings if each.severity is Severity.ERROR]
    run.guard(operation, stopping)
    for each in findings:
        run.log(f"{operation}: {each.message}")


def refuse_errors(operation: str, items: Iterable[PlannedItem]) -> None:
    """Refuse items of which one has an error.

    :param operation: what the run is.
    :param items: what would be written.
    :raises GuardRefused: naming the first of them.
    """
    found = [(item, finding) for item in items for finding in item.errors]
    if found:
        told = " ".join(
            f"{item.resource.kind} {item.resource}: {each.message}" for item, each in found[:SHOWN]
        )
        more = f" And {len(found) - SHOWN} more." if len(found) > SHOWN else ""
        raise GuardRefused(f"{operation}: {visible(told)}{more} Nothing was written by this try.")


def refuse_many(cap: ChangeLimit, changed: int, targets: int) -> None:
    """Refuse to change more targets than may change.

    :param cap: how many may.
    :param changed: how many would.
    :param targets: how many there are.
    :raises GuardRefused: saying both.
    """
    problems = " ".join(finding.message for finding in cap.check(changed, targets))
    if problems:
        raise GuardRefused(f"{OPERATION}: {problems} Nothing was written.")


def _with_hold(unit: TargetPlan, holds: Mapping[str, RollbackBlock]) -> TargetPlan:
    """Add what a hold says to a unit's first item."""
    if unit.name not in holds or not unit.items:
        return unit
    findings = tuple(check_blocks(unit.items, holds[unit.name]))
    first = replace(unit.items[0], findings=(*unit.items[0].findings, *findings))
    return replace(unit, items=(first, *unit.items[1:]))
