"""Keep where calls go, and lead them there again, through the same plan and engine as a cut-over."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from airflow_voice_agents.engine.run_context import ApplyOptions, RunContext, execute
from airflow_voice_agents.plans.kind import Resource
from airflow_voice_agents.plans.plan import Finding, Plan, PlannedItem, error
from airflow_voice_agents.plans.report import TROUBLE, ItemReport, Report, Status, in_order
from airflow_voice_agents.plans.snapshot import Snapshot
from airflow_voice_agents.signalwire.actions.canary import Canary
from airflow_voice_agents.signalwire.actions.reporting import explain
from airflow_voice_agents.signalwire.resources.inventory import NumberSelection, Space
from airflow_voice_agents.signalwire.resources.phone_number import (
    CODECS,
    RouteState,
    RoutingKind,
    carrier_number,
    plan_restore,
    state_of,
    unrestorable,
)
from airflow_voice_agents.signalwire.resources.route_fingerprint import RouteFingerprint, Routes
from airflow_voice_agents.transport.errors import GuardRefused, InputError
from airflow_voice_agents.transport.validation import summarize_list

KEEP = "snapshot call routing"
RESTORE = "restore call routing"

_NEWER = (
    "Its routing is neither as in the snapshot nor as the cut-over left it, so somebody changed it since. Pass "
    "force=True to overwrite that, or allow_partial=True to restore the others."
)
_UNKNOWN = (
    "Its routing is not as in the snapshot, which does not say what the cut-over was. Pass expected_route, or "
    "force=True to overwrite whatever is there."
)


@dataclass(frozen=True, slots=True)
class SnapshotJob:
    """A snapshot to take.

    :param space: where the numbers live.
    :param wanted: which numbers.
    """

    space: Space
    wanted: NumberSelection

    async def run(self, run: RunContext) -> dict[str, Any]:
        """List the numbers and return the snapshot as a document, which holds URLs with what is inside them.

        Vendor operation: list phone numbers.

        :param run: what the run works with.
        :raises GuardRefused: when a number that was named is not there, or none fits.
        """
        states = await self.wanted.read(run.send, self.space.base_url, state_of)
        if absent := [number for number in self.wanted.numbers if number not in states]:
            raise GuardRefused(
                f"{KEEP}: space {self.space.label} does not have {summarize_list(absent)}. Nothing was kept."
            )
        if not states:
            raise GuardRefused(f"{KEEP}: no number of space {self.space.label} fits. Nothing was kept.")
        one_way = [number for number, state in states.items() if unrestorable(state)]
        if one_way:
            run.log(
                f"{KEEP}: {len(one_way)} number(s) could not be restored once changed: {summarize_list(one_way)}"
            )
        resources = {carrier_number(self.space.label, number): state for number, state in states.items()}
        return Snapshot(resources).document(CODECS)


@dataclass(frozen=True, slots=True)
class RestoreJob:
    """A restore, checked and ready to run.

    :param space: where the numbers live.
    :param snapshot: what their routing was.
    :param left: what the cut-over left on each number, as far as that is known.
    :param force: whether newer work is overwritten.
    :param allow_partial: whether numbers that cannot or must not be restored are left out.
    :param manner: how the plan is carried out.
    """

    space: Space
    snapshot: Snapshot[RouteState]
    left: Mapping[str, RouteFingerprint]
    force: bool = False
    allow_partial: bool = False
    manner: ApplyOptions = field(default_factory=ApplyOptions)

    async def run(self, run: RunContext) -> Report:
        """List the numbers, plan each, write what differs and report on each.

        Vendor operations: list phone numbers, update phone number, get phone number.

        :param run: what the run works with.
        :raises GuardRefused: before any write, when a guard refuses.
        :raises StateMoved: when the plan is not the one expected.
        :returns: the report; with an error in the plan, one in which nothing was written.
        """
        run.guard_live(RESTORE, dry_run=self.manner.dry_run)
        planned_at = run.clock()
        asked = list(self.snapshot.states)
        wanted = NumberSelection(tuple(resource.name for resource in asked))
        states = await wanted.read(run.send, self.space.base_url, state_of)
        kind = RoutingKind({number: state.id for number, state in states.items()})
        planned = [self._planned(kind, each, states[each.name]) for each in asked if each.name in states]
        impossible = [item for item in planned if item.errors] if self.allow_partial else []
        left_out = {item.resource: _left_out(item) for item in impossible}
        left_out |= {each: _released(each) for each in asked if each.name not in states}
        plan = Plan(RESTORE, tuple(item for item in planned if item.resource not in left_out))
        manner = replace(self.manner, explain=explain)
        canary = Canary(run.send, states)
        report = await execute(replace(run, send=canary), kind, plan, manner, planned_at=planned_at)
        report = canary.judge(report)
        return replace(report, items=in_order(asked, [*report.items, *left_out.values()]))

    def tolerates(self, report: Report) -> bool:
        """Tell whether all that went wrong is what a partial restore leaves out.

        :param report: what :meth:`run` returned.
        """
        return self.allow_partial and all("finding" in item.details for item in report.having(*TROUBLE))

    def _planned(self, kind: RoutingKind, resource: Resource, now: RouteState) -> PlannedItem:
        former = self.snapshot.states[resource]
        if former is None:
            raise InputError(f"the snapshot says that {resource} did not exist")
        item = plan_restore(kind, resource, now, former)
        if not item.changed or self.force:
            return item
        mark = self.left.get(resource.name)
        if mark is None:
            return _refused(item, error("unknown_work", _UNKNOWN))
        return item if mark.is_on(now) else _refused(item, error("newer_work", _NEWER))


def restore(
    space: Space, document: object, expected_route: object, expected_routes: object, **options: Any
) -> RestoreJob:
    """Check the arguments of a restore and return it ready to run.

    :param space: where the numbers live.
    :param document: the snapshot.
    :param expected_route: the route that the cut-over led to, or
    :param expected_routes: mapping of numbers to such routes; without both, what the snapshot itself says.
    :param options: further fields of :class:`RestoreJob`.
    :raises InputError: naming what is wrong.
    """
    snapshot = Snapshot.from_document(document, CODECS)
    numbers = [resource.name for resource in snapshot.states]
    if not numbers:
        raise InputError("the snapshot is empty; there is nothing to restore")
    if strange := sorted({each.owner for each in snapshot.states} - {space.label}):
        raise InputError(
            f"the snapshot is of space {', '.join(strange)}, and the connection leads to {space.label}"
        )
    expected = Routes.parse(expected_route, expected_routes)
    noted = {each.name: RouteFingerprint.from_plain(note) for each, note in snapshot.notes.items()}
    left = noted if expected is None else expected.marks(numbers)
    return RestoreJob(space, snapshot, left, **options)


def _refused(item: PlannedItem, finding: Finding) -> PlannedItem:
    return replace(item, findings=(*item.findings, finding), writes=0, transition=None)


def _left_out(item: PlannedItem) -> ItemReport:
    reason = f"left out: {' '.join(each.message for each in item.errors)}"
    details = {"finding": item.errors[0].code}
    return ItemReport(item.resource, Status.SKIPPED, reason, permanent=True, details=details)


def _released(resource: Resource) -> ItemReport:
    reason = f"the project in space {resource.owner} does not have the number any more."
    return ItemReport(resource, Status.FAILED, reason, permanent=True, details={"finding": "absent"})
