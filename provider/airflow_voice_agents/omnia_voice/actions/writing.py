"""Plans carried out: one write per number, each answer checked, and one read of all at the end."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from airflow_voice_agents.engine.concurrency import for_each_limited
from airflow_voice_agents.engine.progress import changed_keys
from airflow_voice_agents.engine.run_context import ApplyOptions, RunContext, execute
from airflow_voice_agents.omnia_voice.sending import whole_lists
from airflow_voice_agents.plans.kind import Observation, Resource, ResourceKind, State, Transition
from airflow_voice_agents.plans.plan import Plan, PlannedItem
from airflow_voice_agents.plans.report import ItemReport, Report, Status
from airflow_voice_agents.transport.errors import CallError

UNVERIFIED = (
    "its write was answered as asked; the list was not read again, because the hourly limit is reached"
)
NEEDS_IMPORT = (
    "The platform may want a number imported in its dashboard, where the carrier's credentials are, before it "
    "can be assigned."
)


async def write(run: RunContext, kind: ResourceKind[State], plan: Plan, manner: ApplyOptions) -> Report:
    """Show a plan, carry it out, and read once at the end what became of it.

    :param run: what the run works with.
    :param kind: the kind of all resources of the plan.
    :param plan: the plan, made just now.
    :param manner: how it is carried out; whether it is verified is told by it too.
    :raises StateMoved: when the plan is not the one expected.
    :returns: the report; with an error in the plan, one in which nothing was written.
    """
    reader = replace(run, send=whole_lists(run.send))
    without_reads = replace(manner, verify=False, max_snapshot_age=math.inf, explain=_explain)
    report = await execute(reader, kind, plan, without_reads, planned_at=run.clock())
    written = {item.resource for item in report.having(Status.CHANGED)}
    transitions = [item.transition for item in plan.items if item.transition and item.resource in written]
    if not transitions or report.dry_run or not manner.verify:
        return report
    if report.retry_after is not None:
        return _with(report, {each.resource: (Status.CHANGED, UNVERIFIED) for each in transitions})
    return await _verified(reader, kind, report, transitions)


async def _verified(
    run: RunContext, kind: ResourceKind[State], report: Report, transitions: list[Transition[State]]
) -> Report:
    seen: dict[Resource, State] = {}

    async def read(observation: Observation[State]) -> None:
        seen.update(observation.states(await run.send(observation.call)))

    try:
        await for_each_limited(
            kind.observe([transition.resource for transition in transitions]), read, limit=run.concurrency
        )
    except CallError as failure:
        reason = f"its write was answered as asked, but it could not be read back: {failure}"
        unknown = {transition.resource: (Status.UNKNOWN, reason) for transition in transitions}
        return replace(_with(report, unknown), retry_after=failure.retry_after)
    found = {
        transition.resource: _difference(kind, transition, seen.get(transition.resource))
        for transition in transitions
    }
    return _with(report, {name: (Status.FAILED, reason) for name, reason in found.items() if reason})


def _difference(kind: ResourceKind[State], transition: Transition[State], seen: State | None) -> str:
    """Say what of a write does not show, or what else it changed; empty when all is as asked for."""
    if missing := kind.mismatches(transition, seen):
        return f"the platform accepted the write, but reading it back differs in: {', '.join(missing)}."
    wanted = changed_keys(kind, transition.before, transition.after)
    strange = sorted(changed_keys(kind, transition.before, seen) - wanted) if transition.before else []
    return f"the write was applied, but {', '.join(strange)} changed as well." if strange else ""


def _with(report: Report, outcomes: Mapping[Resource, tuple[Status, str]]) -> Report:
    def renewed(item: ItemReport) -> ItemReport:
        status, reason = outcomes.get(item.resource, (item.status, item.reason))
        return replace(item, status=status, reason=reason)

    return replace(report, items=tuple(map(renewed, report.items)))


def _explain(planned: PlannedItem, item: ItemReport) -> ItemReport:
    """Add the plan's facts: digests, keys, the agents before and after, and what a reader must know."""
    details: dict[str, Any] = {**item.details, "before": planned.before[:12], "after": planned.after[:12]}
    if planned.transition is not None:
        details["changed_keys"] = sorted({str(change.path[0]) for change in planned.changes})
        details["previous_agent_id"] = getattr(planned.transition.before, "agent_id", None)
        details["agent_id"] = getattr(planned.transition.after, "agent_id", None)
    created = planned.transition is not None and planned.transition.before is None
    notes = [each.message for each in planned.findings if each.code == "stays_listed"]
    if created and item.status is Status.FAILED and item.permanent:
        notes.append(NEEDS_IMPORT)
    reason = " ".join([*([item.reason] if item.reason else []), *notes])
    return replace(item, reason=reason, details=details)
