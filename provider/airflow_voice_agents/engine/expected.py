"""Compares a run with the approved plan, across the tries of its task."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from msgspec.structs import replace

from airflow_voice_agents.engine.run_context import RunContext
from airflow_voice_agents.plans.document import PlanDocument
from airflow_voice_agents.plans.kind import Kinds, Resource, ResourceKind
from airflow_voice_agents.plans.plan import Plan, PlannedItem
from airflow_voice_agents.plans.render import visible
from airflow_voice_agents.transport.errors import StateMoved

SHOWN = 10


def first_read_key(operation: str) -> str:
    """Return the key of the task state that maps resource keys to the revisions that the first try read.

    The note ends with a complete report, so that a cleared task starts from what it finds.

    :param operation: the operation's name.
    """
    return f"first-read-{operation}"


def check_expected_digest(expected: str, plan: Plan, run: RunContext, kinds: Kinds) -> None:
    """Let a plan pass, or refuse it.

    The first try must meet exactly the expected plan, and remembers the digests of every item. A later try, which
    finds some items done, must find every item as it was, as planned, or between two writes. The memory outlives
    success: the process may end after the last write and before Airflow knows.

    :param expected: digest of the approved plan.
    :param plan: the plan made now.
    :param run: the run.
    :param kinds: the kinds of the items.
    :raises StateMoved: naming the items that differ from the approved plan.
    """
    key = f"plan-{expected}"
    if plan.digest == expected:
        run.remember(key, _pins(plan.items))
        return
    noted: Mapping[str, Sequence[str]] | None = run.recall(key)
    if noted is None:
        raise StateMoved(
            f"The plan made now ({plan.digest[:12]}) is not the one expected ({expected[:12]}): source, target or "
            "parameters changed since. Nothing was written. Plan again and approve the new plan."
        )
    if away := _moved(noted, plan.items, kinds):
        raise StateMoved(
            f"{', '.join(map(str, away[:SHOWN]))} changed since the plan {expected[:12]} was approved. Nothing more "
            "was written; the writes of earlier tries stay. Plan again and approve the new plan."
        )


def check_document(document: PlanDocument, items: Sequence[PlannedItem], done: Collection[Resource]) -> None:
    """Refuse a saved plan that the present state no longer fits.

    :param document: the saved plan.
    :param items: everything that the same request plans now.
    :param done: resources that an earlier try has finished.
    :raises StateMoved: naming what moved.
    """
    planned = {item.resource: item for item in items}
    away = document.moved(items, done=done)
    if not away:
        return
    told = "; ".join(_why_moved(each, planned.get(each)) for each in away[:SHOWN])
    more = f"; and {len(away) - SHOWN} more" if len(away) > SHOWN else ""
    earlier = " The writes of earlier tries stay." if done else ""
    raise StateMoved(
        f"{len(away)} resource(s) are not as the plan {document.digest[:12]} has them: {visible(told)}{more}. "
        f"The source or the target changed since. Nothing was written.{earlier} Plan again, and "
        "have the new plan approved."
    )


def _why_moved(resource: Resource, item: PlannedItem | None) -> str:
    """Name a resource that moved, with the errors of its plan."""
    problems = " ".join(finding.message for finding in item.errors) if item else ""
    return f"{resource.kind} {resource}" + (f" ({problems.rstrip('.')})" if problems else "")


def _pins(items: Sequence[PlannedItem]) -> dict[str, list[str]]:
    """Return the digests before, after and in between that each resource may have."""
    return {item.resource.key: [item.before, item.after, *item.waypoints] for item in items}


def _moved(pinned: Mapping[str, Sequence[str]], items: Sequence[PlannedItem], kinds: Kinds) -> list[Resource]:
    """List the resources that are neither as they were when the plan was made nor on their way."""
    return [
        item.resource
        for item in items
        if not _is_on_its_way(item, pinned.get(item.resource.key, ()), kinds[item.resource.kind])
    ]


def _is_on_its_way(item: PlannedItem, pins: Sequence[str], kind: ResourceKind[Any]) -> bool:
    if not pins or item.after != pins[1]:
        return False
    if item.before in pins:
        return True
    now = item.transition
    was_absent = pins[0] == kind.digest(None)  # its first write leads to a state that no plan can foresee
    return now is not None and was_absent and kind.continues(replace(now, before=None), now.before)
