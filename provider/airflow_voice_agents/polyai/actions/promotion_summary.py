"""Summaries of plans of promotions and releases: source, target, affected callers, number of changes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from airflow_voice_agents.plans.diff import Op
from airflow_voice_agents.plans.plan import Plan, PlannedItem, TargetPlan
from airflow_voice_agents.plans.summary import PlanSummary
from airflow_voice_agents.polyai.models import Environment
from airflow_voice_agents.polyai.resources import (
    config_page,
    connector,
    connector_move,
    deployment,
    phone_number,
)
from airflow_voice_agents.polyai.spec import PromotionSpec, TargetSpec

NOUNS = {
    config_page.KIND: "key",
    deployment.KIND: "deployment",
    connector_move.KIND: "moved connector",
    connector.KIND: "connector",
    phone_number.KIND: "number",
}
NAMED = 3
"""Projects that are named; more are counted."""

MIXED = "several sources"
FILES = "files of an export"


def summarize(spec: PromotionSpec, plans: Sequence[TargetPlan]) -> PlanSummary:
    """Return the summary of a planned promotion.

    :param spec: the promotion.
    :param plans: its targets as planned.
    """
    agents = list(dict.fromkeys(target.agent_id for target in spec.targets))
    environments = list(dict.fromkeys(target.environment.value for target in spec.targets))
    sources = list(dict.fromkeys(_source(spec, target) for target in spec.targets))
    source = sources[0] if len(sources) == 1 else MIXED
    own = source.removeprefix("own ") if source.startswith("own ") else ""
    who = agents[0] if len(agents) == 1 else f"{len(agents)} projects"
    where = ", ".join(environments)
    amounts = _amounts(plans)
    named = ", ".join(agents[:NAMED]) + (f" and {len(agents) - NAMED} more" * (len(agents) > NAMED))
    return PlanSummary(
        subject=f"{who} {own} → {where}: {amounts}" if own else f"{who} → {where}: {amounts}, from {source}",
        source=(f"each project's own {own}" if len(agents) > 1 else f"{agents[0]} {own}") if own else source,
        target=f"{where} of {named}",
        affected=_affected(spec, environments),
        changes="; ".join([amounts, *_operations(plans)]),
        targets=len(spec.targets),
    )


def summarize_release(agent_id: str, branch: str, plan: Plan) -> PlanSummary:
    """Return the summary of a planned merge into live.

    :param agent_id: the agent.
    :param branch: the branch, as the task names it.
    :param plan: the plan.
    """
    merges = any(item.changed for item in plan.items)
    return PlanSummary(
        subject=f"{agent_id} {branch} → live: {'merge' if merges else 'nothing changes'}",
        source=f"branch {branch} of {agent_id}",
        target=f"live of {agent_id}",
        affected="callers of 1 project, as soon as the branch is merged",
        changes="the content of the branch becomes live" if merges else "nothing changes",
        targets=1,
        undo="live is rolled back to the deployment that it ran before",
    )


def _source(spec: PromotionSpec, target: TargetSpec) -> str:
    source = spec.source_of(target)
    if source is None:
        # A deployment comes from the environment below, and routing from the spec itself.
        return "own environment below" if spec.deployment or target.deployment else "the promotion itself"
    if source.folder is not None or source.environment is None:
        return FILES
    own = source.agent_id == target.agent_id
    return f"own {source.environment.value}" if own else f"{source.agent_id} {source.environment.value}"


def _affected(spec: PromotionSpec, environments: Sequence[str]) -> str:
    if not spec.writes_live:
        return f"no callers: {', '.join(environments)} only"
    live = sum(target.environment is Environment.LIVE for target in spec.targets)
    return f"callers of {live} project{'s' * (live != 1)}"


def _amounts(plans: Sequence[TargetPlan]) -> str:
    """Say what changes in each target, or how much in all if they differ."""
    each = [_counts(plan.items) for plan in plans if plan.changed]
    if not each:
        return "nothing changes"
    if all(counts == each[0] for counts in each):
        return _listed(each[0]) + (" each" if len(each) > 1 else "")
    return _listed(sum(each, Counter())) + f" in {len(each)} targets"


def _counts(items: Sequence[PlannedItem]) -> Counter[str]:
    counts: Counter[str] = Counter()
    for item in items:
        if item.changed:
            counts[item.resource.kind] += (
                len(item.changed_keys) if item.resource.kind == config_page.KIND else 1
            )
    return counts


def _listed(counts: Counter[str]) -> str:
    return ", ".join(
        noun if kind == deployment.KIND and count == 1 else f"{count} {noun}{'s' * (count != 1)}"
        for kind, noun in NOUNS.items()
        if kind in counts
        for count in [counts[kind]]
    )


def _operations(plans: Sequence[TargetPlan]) -> list[str]:
    """Count additions, changes and removals of config keys, and the requests."""
    changes = Counter(
        change.op
        for plan in plans
        for item in plan.items
        if item.resource.kind == config_page.KIND
        for change in item.changes
    )
    words = {Op.ADD: "added", Op.CHANGE: "changed", Op.REMOVE: "removed"}
    values = ", ".join(f"{changes[op]} {word}" for op, word in words.items() if changes[op])
    writes = sum(item.writes for plan in plans for item in plan.items if item.changed)
    return [*([f"{values} (values)"] if values else []), f"{writes} request{'s' * (writes != 1)}"]
