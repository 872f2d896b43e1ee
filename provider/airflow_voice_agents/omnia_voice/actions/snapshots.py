"""Keep which agent answers which number, and assign them so again, through the engine of an assignment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from airflow_voice_agents.engine.run_context import ApplyOptions, RunContext
from airflow_voice_agents.omnia_voice.actions.assignments import parse_assignments
from airflow_voice_agents.omnia_voice.actions.workspace import Workspace, lane_size, read_listed
from airflow_voice_agents.omnia_voice.actions.writing import write
from airflow_voice_agents.omnia_voice.resources.phone_number import (
    CODECS,
    AssignmentKind,
    AssignmentState,
    plan_restore,
)
from airflow_voice_agents.plans.kind import Resource
from airflow_voice_agents.plans.plan import Finding, Plan, PlannedItem, error
from airflow_voice_agents.plans.report import TROUBLE, ItemReport, Report, Status, in_order
from airflow_voice_agents.plans.snapshot import Snapshot
from airflow_voice_agents.transport.errors import GuardRefused, InputError
from airflow_voice_agents.transport.validation import parse_identifier, summarize_list

KEEP = "snapshot assignments"
RESTORE = "restore assignments"

NOBODY = object()
"""The assignment that nothing is known to have left."""


@dataclass(frozen=True, slots=True)
class SnapshotJob:
    """A snapshot to take.

    :param workspace: where the numbers are.
    :param numbers: E.164 numbers without repeats, in order; empty for all of the workspace.
    """

    workspace: Workspace
    numbers: tuple[str, ...] = ()

    async def run(self, run: RunContext) -> dict[str, Any]:
        """List the numbers and return the snapshot as a document.

        Vendor operation: list numbers.

        :param run: what the run works with.
        :raises GuardRefused: when there is no number to keep.
        """
        found = await read_listed(run.send, self.numbers)
        if not (self.numbers or found):
            raise GuardRefused(f"{KEEP}: {self.workspace.platform} lists no number. Nothing was kept.")
        names = self.numbers or tuple(sorted(found))
        if absent := [number for number in names if number not in found]:
            run.log(
                f"{KEEP}: {len(absent)} number(s) are not listed and kept as such: {summarize_list(absent)}"
            )
        states = self.workspace.states(names, found)
        return Snapshot(states).document(CODECS)


@dataclass(frozen=True, slots=True)
class RestoreJob:
    """A restore, checked and ready to run.

    :param workspace: where the numbers are.
    :param snapshot: what their assignments were.
    :param left: the agent that the assignment left on each number, as far as that is known.
    :param force: whether newer work is overwritten.
    :param allow_partial: whether numbers with newer work are left out.
    :param manner: how the plan is carried out.
    """

    workspace: Workspace
    snapshot: Snapshot[AssignmentState]
    left: Mapping[str, str | None] = field(default_factory=dict)
    force: bool = False
    allow_partial: bool = False
    manner: ApplyOptions = field(default_factory=ApplyOptions)

    async def run(self, run: RunContext) -> Report:
        """List the numbers, plan each, write what differs, read back and report on each.

        Vendor operations: list numbers, update number, assign number, get number.

        :param run: what the run works with.
        :raises GuardRefused: before any request, when a guard refuses.
        :raises StateMoved: when the plan is not the one expected.
        :returns: the report; with an error in the plan, one in which nothing was written.
        """
        run.guard_live(RESTORE, dry_run=self.manner.dry_run)
        states = self.snapshot.states
        found = await read_listed(run.send, [resource.name for resource in states])
        kind = AssignmentKind(
            {number: record.id for number, record in found.items()},
            verb=self.workspace.verb,
            lane_size=lane_size(len(states), run),
        )
        now = self.workspace.states([each.name for each in states], found)
        planned = [self._planned(kind, each, states[each], now[each]) for each in states]
        left_out = [_left_out(item) for item in planned if item.errors] if self.allow_partial else []
        away = {item.resource for item in left_out}
        plan = Plan(RESTORE, tuple(item for item in planned if item.resource not in away))
        report = await write(run, kind, plan, self.manner)
        return replace(report, items=in_order(list(states), [*report.items, *left_out]))

    def tolerates(self, report: Report) -> bool:
        """Tell whether all that went wrong is what a partial restore leaves out.

        :param report: what :meth:`run` returned.
        """
        return self.allow_partial and all("finding" in item.details for item in report.having(*TROUBLE))

    def _planned(
        self,
        kind: AssignmentKind,
        resource: Resource,
        then: AssignmentState | None,
        now: AssignmentState | None,
    ) -> PlannedItem:
        agent_then = None if then is None else then.agent_id
        agent_now = None if now is None else now.agent_id
        as_left = agent_now == self.left.get(resource.name, NOBODY)
        if not (self.force or as_left) and agent_now == agent_then:
            return PlannedItem(resource, kind.digest(now), kind.digest(now))
        item = plan_restore(kind, resource, then, now)
        if not item.changed or self.force or as_left:
            return item
        findings = (*item.findings, self._newer(resource, agent_now))
        return replace(item, findings=findings, writes=0, transition=None)

    def _newer(self, resource: Resource, agent_id: str | None) -> Finding:
        owner = "nobody" if agent_id is None else f"agent {agent_id}"
        if resource.name in self.left:
            return error(
                "newer_work",
                f"{resource.name} is answered by {owner}, which is neither as in the snapshot nor as the "
                "assignment left it, so somebody changed it since. Pass force=True to overwrite that, or "
                "allow_partial=True to restore the others.",
            )
        return error(
            "unknown_work",
            f"{resource.name} is answered by {owner}, which is not as in the snapshot, and the snapshot does not "
            "say what the assignment was. Pass expected_agent_id, or force=True to overwrite whatever is there.",
        )


def restore(
    workspace: Workspace,
    document: object,
    expected_agent_id: object,
    expected_assignments: object,
    **options: Any,
) -> RestoreJob:
    """Check the arguments of a restore and return it ready to run.

    :param workspace: where the numbers are.
    :param document: the snapshot.
    :param expected_agent_id: the agent that the assignment led to, or
    :param expected_assignments: mapping of numbers to such agents; without both, what the snapshot itself says.
    :param options: further fields of :class:`RestoreJob`.
    :raises InputError: naming what is wrong.
    """
    if expected_agent_id is not None and expected_assignments is not None:
        raise InputError("give either expected_agent_id or expected_assignments")
    snapshot = Snapshot.from_document(document, CODECS)
    if not snapshot.states:
        raise InputError("the snapshot is empty; there is nothing to restore")
    if strange := sorted({each.owner for each in snapshot.states} - {workspace.platform}):
        raise InputError(
            f"the snapshot is of {', '.join(strange)}, and the connection leads to {workspace.platform}"
        )
    left: Mapping[str, str | None] = {
        each.name: note["agent_id"] for each, note in snapshot.notes.items() if "agent_id" in note
    }
    if expected_agent_id is not None:
        agent_id = parse_identifier(expected_agent_id, name="expected_agent_id")
        left = dict.fromkeys([each.name for each in snapshot.states], agent_id)
    elif expected_assignments is not None:
        left = parse_assignments(expected_assignments, name="expected_assignments")
    return RestoreJob(workspace, snapshot, left, **options)


def _left_out(item: PlannedItem) -> ItemReport:
    reason = f"left out: {' '.join(each.message for each in item.errors)}"
    return ItemReport(
        item.resource, Status.SKIPPED, reason, permanent=True, details={"finding": item.errors[0].code}
    )
