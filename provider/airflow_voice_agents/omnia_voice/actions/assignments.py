"""Assign numbers to agents: list once, update what is listed, create what is not, take nothing silently."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from airflow_voice_agents.engine.run_context import ApplyOptions, RunContext
from airflow_voice_agents.engine.snapshot_recorder import SnapshotRecorder
from airflow_voice_agents.omnia_voice.actions.workspace import Workspace, lane_size, read_listed
from airflow_voice_agents.omnia_voice.actions.writing import write
from airflow_voice_agents.omnia_voice.resources.phone_number import (
    AssignmentKind,
    AssignmentState,
    plan_assignment,
)
from airflow_voice_agents.plans.kind import Resource
from airflow_voice_agents.plans.plan import Plan
from airflow_voice_agents.plans.report import Report
from airflow_voice_agents.transport.errors import InputError
from airflow_voice_agents.transport.validation import parse_identifier, parse_numbers, parse_text

OPERATION = "assign numbers"
MEMORY = "assignments-snapshot"
"""Under which a task remembers the snapshot that an earlier try took."""


@dataclass(frozen=True, slots=True)
class AssignmentJob:
    """An assignment of numbers, checked and ready to run.

    :param workspace: where the numbers are.
    :param agents: number -> the agent that shall answer it.
    :param friendly_name: name to show for all of them; ``None`` leaves names as they are.
    :param reassign: whether numbers may be taken from other agents.
    :param manner: how the plan is carried out.
    :param archive: where a snapshot is kept, or ``None`` for none.
    """

    workspace: Workspace
    agents: Mapping[str, str]
    friendly_name: str | None = None
    reassign: bool = False
    manner: ApplyOptions = field(default_factory=ApplyOptions)
    archive: SnapshotRecorder | None = None

    async def run(self, run: RunContext) -> Report:
        """List the numbers, plan each, keep a snapshot, write what differs, read back and report on each.

        Vendor operations: list numbers, update number, assign number, get number.

        :param run: what the run works with.
        :raises GuardRefused: before any request, when a guard refuses.
        :raises StateMoved: when the plan is not the one expected.
        :returns: the report; with an error in the plan, one in which nothing was written.
        """
        if self.archive is not None:
            self.archive.announce(run)
        run.guard_live(OPERATION, dry_run=self.manner.dry_run)
        found = await read_listed(run.send, tuple(self.agents))
        kind = AssignmentKind(
            {number: record.id for number, record in found.items()},
            verb=self.workspace.verb,
            lane_size=lane_size(len(self.agents), run),
        )
        states = self.workspace.states(self.agents, found)
        items = (
            plan_assignment(
                kind,
                resource,
                now,
                agent_id=self.agents[resource.name],
                friendly_name=self.friendly_name,
                reassign=self.reassign,
            )
            for resource, now in states.items()
        )
        plan = Plan(OPERATION, tuple(items))
        if self.archive is not None and not self.manner.dry_run and not plan.errors():
            keep(self.archive, run, plan, states)
        return await write(run, kind, plan, self.manner)


def keep(
    archive: SnapshotRecorder, run: RunContext, plan: Plan, states: Mapping[Resource, AssignmentState | None]
) -> None:
    """Keep what all numbers of a plan are, and note which agent it leaves on each.

    :param archive: where it is kept.
    :param run: what the run works with.
    :param plan: a plan without errors.
    :param states: what each number of the plan is now; ``None`` where it is not listed.
    """
    left = {
        **states,
        **{item.resource: item.transition.after for item in plan.items if item.transition is not None},
    }
    notes = {each: {"agent_id": state.agent_id} for each, state in left.items() if state is not None}
    archive.keep(run, plan.items, notes=notes, unchanged=states)


def agents_of(phone_numbers: object, agent_id: object, assignments: object) -> dict[str, str]:
    """Check which agent shall answer which number.

    :param phone_numbers: the numbers that ``agent_id`` shall answer, as :func:`.parse_numbers` takes them; or
    :param agent_id: with ``phone_numbers``, the agent.
    :param assignments: instead of both, mapping of numbers to agents.
    :raises InputError: naming what is wrong.
    """
    if assignments is None:
        if phone_numbers is None or agent_id is None:
            raise InputError("give phone_numbers and agent_id, or assignments")
        return dict.fromkeys(parse_numbers(phone_numbers), parse_identifier(agent_id, name="agent_id"))
    if phone_numbers is not None or agent_id is not None:
        raise InputError("give either phone_numbers and agent_id, or assignments")
    return parse_assignments(assignments, name="assignments")


def parse_assignments(value: object, *, name: str) -> dict[str, str]:
    """Check a mapping of numbers to agents.

    :param value: the mapping.
    :param name: what to call the argument in the error.
    :raises InputError: naming what is wrong.
    """
    if not isinstance(value, Mapping) or not value:
        raise InputError(f"{name} must be a mapping of at least one number to its agent")
    parse_numbers(list(value), name=name)
    return {
        number: parse_identifier(agent_id, name=f"{name}[{number}]") for number, agent_id in value.items()
    }


def job(
    workspace: Workspace,
    agents: Mapping[str, str],
    friendly_name: str | None,
    *,
    reassign: bool,
    manner: ApplyOptions,
) -> AssignmentJob:
    """Check what else an assignment has, and return it ready to run.

    :param workspace: where the numbers are.
    :param agents: what :func:`agents_of` returned.
    :param friendly_name: name to show for all of them, or ``None``.
    :param reassign: whether numbers may be taken from other agents.
    :param manner: how the plan is carried out.
    :raises InputError: for a name that is no line of text.
    """
    name = None if friendly_name is None else parse_text(friendly_name, name="friendly_name")
    return AssignmentJob(workspace, agents, name, reassign, manner)
