"""Detect drift between targets and their source, and between targets and their baseline."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_voice_agents.engine.reads import observe
from airflow_voice_agents.engine.run_context import RunContext
from airflow_voice_agents.plans.drift import Drift, DriftFinding, DriftReport, compare, since
from airflow_voice_agents.plans.kind import Resource
from airflow_voice_agents.plans.plan import TargetPlan
from airflow_voice_agents.polyai.actions.planner import PromotionPlanner
from airflow_voice_agents.polyai.files import Shelf
from airflow_voice_agents.polyai.resources import config_page, deployment
from airflow_voice_agents.polyai.resources.registry import kinds
from airflow_voice_agents.polyai.spec import PromotionSpec
from airflow_voice_agents.transport.errors import CallError, InputError
from airflow_voice_agents.transport.records import Record

Baseline = Mapping[str, Mapping[str, Any]]
"""Maps :attr:`.Resource.key` to an entry with its ``digest``, as promotions store them."""

IGNORED_CODES = frozenset(
    {
        *("skip_pre_release", "move_live", "downgrade", "expected_target_version"),
        *("invalid_schema", "invalid_values", "no_valid_order", "schema_not_evaluated"),
        *("exclude_keys", "never_promote"),
    }
)
"""Errors of a plan that forbid its writes, while what it would lead to is known all the same."""


class SpecDrift(Record, frozen=True):
    """A comparison of targets with their source; three-way with a baseline.

    :param spec: the promotion: targets, source and what is promoted.
    :param shelf: reads export files that serve as source.
    :param baseline: what promotions recorded, or ``None``.
    """

    not_shown = ("baseline",)

    spec: PromotionSpec
    shelf: Shelf
    baseline: Baseline | None = None

    async def run(self, run: RunContext) -> DriftReport:
        """Read sources and targets as a plan does, and compare; nothing is written.

        Vendor operations: list real-time configs, get active deployments, list deployments, list
        connectors, list variants, batch get numbers.

        :param run: client, log and limits of the run.
        :raises Unauthorized: when the platform refuses the key.
        :raises CallError: when a read failed for a reason that a retry of the task can resolve.
        :raises InputError: when two targets hold the same resource.
        """
        targets = await PromotionPlanner(run, self.spec, self.shelf).targets()
        return DriftReport(tuple(finding for target in targets for finding in self._findings(target)))

    def _findings(self, target: TargetPlan) -> list[DriftFinding]:
        return [
            compare(
                item,
                target=target.name,
                base=_base_of(self.baseline or {}, item.resource),
                beside_the_point=IGNORED_CODES,
            )
            for item in target.items
        ]


class BaselineDrift(Record, frozen=True):
    """A comparison of a whole baseline with the present state.

    :param baseline: what promotions recorded under one name.
    """

    not_shown = ("baseline",)

    baseline: Baseline

    async def run(self, run: RunContext) -> DriftReport:
        """Read every resource of the baseline and compare; nothing is written.

        Vendor operations: list real-time configs, get active deployments, batch get connectors, list
        connectors, batch get numbers.

        :param run: client, log and limits of the run.
        :raises Unauthorized: when the platform refuses the key.
        :raises CallError: when a read failed for a reason that a retry of the task can resolve.
        :raises InputError: when the baseline holds a kind of resource that is unknown here.
        """
        ways = kinds()
        bases = {_resource(key, ways): str(entry["digest"]) for key, entry in self.baseline.items()}
        progress = run.progress("drift: read", len(bases))
        findings: dict[Resource, DriftFinding] = {}

        def seen(resource: Resource, state: Any) -> None:
            now = ways[resource.kind].digest(state)
            target = _target_of(resource, state)
            findings[resource] = since(resource, target=target, now=now, base=bases[resource])
            progress.add("read")

        def unreadable(resource: Resource, failure: CallError) -> None:
            findings[resource] = DriftFinding(
                resource,
                _target_of(resource, None),
                Drift.UNKNOWN,
                base=bases[resource],
                reason=f"It could not be read: {run.redact(str(failure))}",
            )
            progress.add("unreadable")

        await observe(run, ways, bases, seen=seen, unreadable=unreadable)
        return DriftReport(tuple(findings[resource] for resource in bases))


def _base_of(baseline: Baseline, resource: Resource) -> str | None:
    entry = baseline.get(resource.key)
    return None if entry is None else str(entry["digest"])


def _resource(key: str, known: Mapping[str, Any]) -> Resource:
    kind, _, address = key.partition(":")
    owner, _, name = address.partition("/")
    if kind not in known or not owner or not name:
        raise InputError(f"the baseline holds {key!r}, which is no resource that can be compared here")
    return Resource(kind, owner, name)


def _target_of(resource: Resource, state: Any) -> str:
    """Return the environment that a resource belongs to, or its agent alone where the state shows none."""
    if resource.kind in (config_page.KIND, deployment.KIND):
        return str(resource)
    shown = getattr(state, "connector", None) or state
    environment = getattr(shown, "client_env", None)
    return f"{resource.owner}/{environment}" if environment else resource.owner
