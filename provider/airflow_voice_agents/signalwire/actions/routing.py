"""Route numbers: list once, compare, write only what differs, after a snapshot where one is wanted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from airflow_voice_agents.engine.run_context import ApplyOptions, RunContext, execute
from airflow_voice_agents.engine.snapshot_recorder import SnapshotRecorder
from airflow_voice_agents.plans.plan import Plan
from airflow_voice_agents.plans.report import Report
from airflow_voice_agents.signalwire.actions.canary import Canary
from airflow_voice_agents.signalwire.actions.reporting import explain
from airflow_voice_agents.signalwire.resources.inventory import NumberSelection, Space, select_numbers
from airflow_voice_agents.signalwire.resources.phone_number import (
    RouteState,
    RoutingKind,
    carrier_number,
    plan_route,
    state_of,
)
from airflow_voice_agents.signalwire.resources.route_fingerprint import Routes
from airflow_voice_agents.transport.errors import GuardRefused, InputError

OPERATION = "route phone numbers"
MEMORY = "routing-snapshot"
"""Under which a task remembers the snapshot that its first try took."""


@dataclass(frozen=True, slots=True)
class RouteJob:
    """A cut-over, checked and ready to run.

    :param space: where the numbers live.
    :param wanted: which numbers.
    :param routes: where their calls shall go.
    :param manner: how the plan is carried out.
    :param archive: where a snapshot is kept, or ``None`` for none.
    """

    space: Space
    wanted: NumberSelection
    routes: Routes
    manner: ApplyOptions = field(default_factory=ApplyOptions)
    archive: SnapshotRecorder | None = None

    async def run(self, run: RunContext) -> Report:
        """List the numbers, plan each, keep a snapshot, write what differs and report on each.

        Vendor operations: list phone numbers, update phone number, get phone number.

        :param run: what the run works with.
        :raises GuardRefused: before any write, when a guard refuses.
        :raises StateMoved: when the plan is not the one expected.
        :returns: the report; with an error in the plan, one in which nothing was written.
        """
        if self.archive is not None:
            self.archive.announce(run)
        run.guard_live(OPERATION, dry_run=self.manner.dry_run)
        planned_at = run.clock()
        states = await self.wanted.read(run.send, self.space.base_url, state_of)
        numbers = self.wanted.numbers or tuple(states)
        if not numbers:
            raise GuardRefused(
                f"{OPERATION}: no number of space {self.space.label} fits. Nothing was written."
            )
        kind = RoutingKind({number: state.id for number, state in states.items()})
        plan = self._plan(kind, numbers, states)
        if self.archive is not None and not self.manner.dry_run and not plan.errors():
            marks = self.routes.marks(numbers)
            notes = {item.resource: marks[item.resource.name].plain() for item in plan.items}
            self.archive.keep(run, plan.items, notes=notes)
        manner = replace(self.manner, explain=explain)
        canary = Canary(run.send, states)
        return canary.judge(
            await execute(replace(run, send=canary), kind, plan, manner, planned_at=planned_at)
        )

    def _plan(self, kind: RoutingKind, numbers: Iterable[str], states: Mapping[str, RouteState]) -> Plan:
        items = (
            plan_route(kind, carrier_number(self.space.label, each), states.get(each), self.routes.of(each))
            for each in numbers
        )
        return Plan(OPERATION, tuple(items))


def job(
    space: Space,
    phone_numbers: object,
    route: object,
    routes: object,
    criteria: Mapping[str, Any],
    **options: Any,
) -> RouteJob:
    """Check the arguments of a cut-over and return it ready to run.

    :param space: where the numbers live.
    :param phone_numbers: which numbers get ``route``; ``None`` for a choice by criteria.
    :param route: one route for all of them, or
    :param routes: mapping of numbers to routes.
    :param criteria: ``filter_name``, ``filter_number``, ``country_code``.
    :param options: further fields of :class:`RouteJob`.
    :raises InputError: naming the argument that is wrong.
    """
    parsed = Routes.parse(route, routes)
    if parsed is None:
        raise InputError("give route, or routes")
    if parsed.all is None:
        if phone_numbers is not None:
            raise InputError("give either phone_numbers or routes, which names the numbers itself")
        phone_numbers = list(parsed.each)
    chosen = select_numbers(phone_numbers, **criteria, voice_only=True, need_filter=True)
    return RouteJob(space, chosen, parsed, **options)
