"""Route numbers: list once, compare, write only what differs, after a snapshot where one is wanted."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from airflow_voice_agents.fleet.run import Manner, Run, execute
from airflow_voice_agents.http.errors import GuardRefused, InputError
from airflow_voice_agents.promotion.kind import Resource
from airflow_voice_agents.promotion.plan import Plan
from airflow_voice_agents.promotion.report import Report
from airflow_voice_agents.promotion.snapshot import Snapshot
from airflow_voice_agents.signalwire.jobs.canary import Canary
from airflow_voice_agents.signalwire.jobs.reporting import explain
from airflow_voice_agents.signalwire.resources.inventory import Space, Wanted, wanted
from airflow_voice_agents.signalwire.resources.mark import Mark, Routes
from airflow_voice_agents.signalwire.resources.phone_number import (
    KIND,
    RouteState,
    RoutingKind,
    carrier_number,
    from_snapshot,
    plan_route,
    state_of,
    to_snapshot,
)

OPERATION = "route phone numbers"
MEMORY = "routing-snapshot"
"""Under which a task remembers the snapshot that its first try took."""


@dataclass(frozen=True, slots=True)
class Archive:
    """Where a run keeps the routing that it is about to change.

    :param save: keeps a document and returns its URL.
    :param load: returns the document at a URL.
    :param publish: tells others the URL, before the first write.
    """

    save: Callable[[dict[str, Any]], str]
    load: Callable[[str], Any]
    publish: Callable[[str], None]

    def announce(self, run: Run) -> None:
        """Tell the snapshot of an earlier try: Airflow forgets what that try told, and this one may fail early.

        :param run: what the run works with.
        """
        if url := self._noted(run):
            self.publish(url)

    def keep(self, run: Run, plan: Plan, marks: Mapping[str, Mark]) -> None:
        """Keep what the plan changes, and what an earlier try of the same task changed.

        A number that is changed again is kept as it is now: its former state is somebody's newer work.

        :param run: what the run works with.
        :param plan: a plan without errors.
        :param marks: what the run leaves on each number.
        """
        now = {item.resource: item.intent.before for item in plan.items if item.intent is not None}
        if not now:
            return
        states = {**self._earlier(run, {item.resource for item in plan.items}), **now}
        notes = {each: marks[each.name].plain() for each in states}
        url = self.save(Snapshot(KIND, states, notes).document(to_snapshot))
        if run.memory is not None:
            run.memory.set(MEMORY, url)
        self.publish(url)

    def _noted(self, run: Run) -> str | None:
        url = None if run.memory is None else run.memory.get(MEMORY)
        return str(url) if url else None

    def _earlier(self, run: Run, asked: set[Resource]) -> dict[Resource, RouteState | None]:
        url = self._noted(run)
        if url is None:
            return {}
        try:
            snapshot = Snapshot.from_document(self.load(url), KIND, from_snapshot)
        except InputError as error:
            run.say(f"{OPERATION}: what an earlier try changed is not in this snapshot, because {error}")
            return {}
        return {resource: state for resource, state in snapshot.states.items() if resource in asked}


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
    wanted: Wanted
    routes: Routes
    manner: Manner = field(default_factory=Manner)
    archive: Archive | None = None

    async def carry_out(self, run: Run) -> Report:
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
            self.archive.keep(run, plan, self.routes.marks(numbers))
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
    chosen = wanted(phone_numbers, **criteria, voice_only=True, need_filter=True)
    return RouteJob(space, chosen, parsed, **options)
