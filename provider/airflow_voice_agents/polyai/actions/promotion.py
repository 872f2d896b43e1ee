"""Promotions: plan and apply as an action of the engine, and verify a plan that was applied."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import msgspec

from airflow_voice_agents.engine.action import Scope
from airflow_voice_agents.engine.concurrency import Sender
from airflow_voice_agents.engine.reads import observe
from airflow_voice_agents.engine.run_context import RunContext
from airflow_voice_agents.plans.document import PlanDocument
from airflow_voice_agents.plans.kind import Kinds, Resource
from airflow_voice_agents.plans.plan import Plan, TargetPlan, plan_of
from airflow_voice_agents.plans.render import visible
from airflow_voice_agents.plans.report import ItemReport, Report, Status, in_order
from airflow_voice_agents.polyai.actions.base import PolyAIAction
from airflow_voice_agents.polyai.actions.deployment_xcoms import with_advice
from airflow_voice_agents.polyai.actions.planner import (
    OPERATION,
    PromotionPlanner,
    promoted_kinds,
    touched_by,
)
from airflow_voice_agents.polyai.files import Shelf
from airflow_voice_agents.polyai.resources.registry import kinds
from airflow_voice_agents.polyai.spec import PromotionSpec
from airflow_voice_agents.transport.errors import CallError, GuardRefused

VERIFY = "verify promotion"
AS_PLANNED = "as planned"
SHOWN = 10


def _ignore(_: Report) -> None:
    """Do nothing with a report."""


@dataclass(frozen=True, kw_only=True)
class Promotion(PolyAIAction):
    """A promotion of any number of targets.

    Vendor operations: list real-time configs, get active deployments, list deployments, list connectors, list
    variants, batch get numbers; to apply also update schema, update variables, promote deployment, update
    connector, batch update connectors, assign number.

    :param spec: the promotion.
    :param shelf: reads files of an export.
    :param also_locked: further names that the run holds until its end, such as a baseline.
    :param on_report: receives the final report while the locks are held.
    """

    operation: ClassVar[str] = OPERATION

    spec: PromotionSpec
    shelf: Shelf
    also_locked: tuple[str, ...] = ()
    on_report: Callable[[Report], None] = field(default=_ignore, compare=False)

    def scope(self) -> Scope:
        """Return the targets, and the environments that connectors leave."""
        names = [name for target in self.spec.targets for name in touched_by(target)]
        return Scope(tuple(dict.fromkeys(names)), live=self.spec.writes_live, also_locked=self.also_locked)

    def kinds(self) -> Kinds:
        """Return every kind that a promotion can hold."""
        return promoted_kinds(self.spec)

    def order(self) -> Sequence[str]:
        """Return the targets as the promotion names them."""
        return [target.name for target in self.spec.targets]

    async def plan(self, run: RunContext, *, done: Collection[str] = ()) -> Sequence[TargetPlan]:
        """Read sources and targets and plan every target.

        :param run: the run.
        :param done: names of targets that an earlier try has finished.
        """
        return await PromotionPlanner(run, self.spec, self.shelf).targets(done=done)

    def sender(self, send: Sender, targets: Sequence[TargetPlan]) -> Sender:
        """Return a sender whose refusals say what to do next."""
        return with_advice(send)

    async def finish(self, run: RunContext, plan: Plan, report: Report) -> Report:
        """Hand on the final report."""
        if not (report.dry_run or report.refused):
            self.on_report(report)
        return report


def refuse_errors(plan: Plan) -> None:
    """Refuse a plan that has errors.

    :param plan: the plan.
    :raises GuardRefused: naming the first of them.
    """
    found = plan.errors()
    if found:
        told = " ".join(f"{resource.kind} {resource}: {each.message}" for resource, each in found[:SHOWN])
        more = f" And {len(found) - SHOWN} more." if len(found) > SHOWN else ""
        raise GuardRefused(f"{plan.operation}: {visible(told)}{more} Nothing was written.")


def split(
    plan: Plan, targets: Sequence[TargetPlan], spec: PromotionSpec, size: int
) -> Iterator[tuple[Plan, PromotionSpec]]:
    """Cut a planned promotion into chunks, in the order of its targets.

    :param plan: the plan of all targets.
    :param targets: its targets.
    :param spec: the promotion.
    :param size: targets per chunk.
    """
    planned = {target.name: target for target in targets}
    for start in range(0, len(spec.targets), size):
        part = spec.targets[start : start + size]
        own = plan_of(plan.operation, (planned[target.name] for target in part))
        yield own, spec.model_copy(update={"targets": part})


class VerifyPromotion(msgspec.Struct, frozen=True):
    """Compares every resource of a plan with its planned state.

    :param document: the plan.
    """

    document: PlanDocument

    async def run(self, run: RunContext) -> Report:
        """Read every resource of the plan and compare it with its planned state.

        :param run: the run.
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
        found = in_order(list(pins), items.values())
        return Report(VERIFY, found, plan_digest=self.document.digest, unchanged_means=AS_PLANNED)
