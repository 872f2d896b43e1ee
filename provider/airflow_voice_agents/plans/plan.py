"""A plan: what each target is, what it shall be, what stands in the way, and one digest of it all."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Any

from airflow_voice_agents.plans.canonical import digest
from airflow_voice_agents.plans.diff import Change, Op
from airflow_voice_agents.plans.kind import Resource, Transition, WriteSequence

PLAN_VERSION = 1


class Severity(StrEnum):
    """Whether a finding stops the run."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that a plan has to say about a target.

    :param severity: errors stop the whole run before its first write.
    :param code: stable word for programs (``stale_keys``).
    :param message: sentence for people, without values.
    """

    severity: Severity
    code: str
    message: str


def error(code: str, message: str) -> Finding:
    """Return a finding that stops the run."""
    return Finding(Severity.ERROR, code, message)


def warning(code: str, message: str) -> Finding:
    """Return a finding that is only told."""
    return Finding(Severity.WARNING, code, message)


@dataclass(frozen=True, slots=True)
class PlannedItem:
    """One target of a plan.

    :param resource: the target.
    :param before: digest of its observed state.
    :param after: digest of the desired state.
    :param source: digest of the state that was taken from, or ``None`` without a source.
    :param changes: how before and after differ; holds values, so it is rendered but never serialised.
    :param stale_keys: keys that only the target has and no call can remove.
    :param kept_keys: dotted paths that were held back although the source's value differs.
    :param findings: what the guards and checks say.
    :param sensitive: path patterns whose values are never shown.
    :param writes: number of calls that carry it out.
    :param identifiers: whether its values are ids and names, which may always be shown, and no config values.
    :param waypoints: digests of the states that its writes lead through, where an interrupted try may
        have left it.
    :param intent: the states themselves, or ``None`` when nothing changes.
    """

    resource: Resource
    before: str
    after: str
    source: str | None = None
    changes: tuple[Change, ...] = ()
    stale_keys: tuple[str, ...] = ()
    kept_keys: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    sensitive: tuple[tuple[str, ...], ...] = ()
    writes: int = 0
    waypoints: tuple[str, ...] = ()
    identifiers: bool = False
    intent: Transition[Any] | None = field(default=None, repr=False, compare=False)

    @property
    def changed(self) -> bool:
        """Whether there is anything to do."""
        return self.before != self.after

    @property
    def errors(self) -> tuple[Finding, ...]:
        """The findings that stop the run."""
        return tuple(finding for finding in self.findings if finding.severity is Severity.ERROR)

    @property
    def changed_keys(self) -> list[str]:
        """The top-level keys that change, sorted."""
        return sorted({str(change.path[0]) for change in self.changes if change.path})

    def document(self) -> dict[str, Any]:
        """Return the item as JSON without values."""
        return {
            "kind": self.resource.kind,
            "owner": self.resource.owner,
            "name": self.resource.name,
            "before": self.before,
            "after": self.after,
            "source": self.source,
            "changed_keys": self.changed_keys,
            "stale_keys": list(self.stale_keys),
            "kept_keys": list(self.kept_keys),
            "findings": [
                {"severity": each.severity.value, "code": each.code, "message": each.message}
                for each in self.findings
            ],
            "writes": self.writes,
            "waypoints": list(self.waypoints),
        }


@dataclass(frozen=True)
class Plan:
    """Everything a run will do, decided before its first write.

    :param operation: what the run is (``"promote config"``).
    :param items: one per target, in the order asked for.
    """

    operation: str
    items: tuple[PlannedItem, ...]

    @cached_property
    def digest(self) -> str:
        """Digest of every target's source, present and desired state: the same plan, the same digest."""
        pins = sorted(
            [
                item.resource.kind,
                item.resource.owner,
                item.resource.name,
                item.source,
                item.before,
                item.after,
            ]
            for item in self.items
        )
        return digest([PLAN_VERSION, self.operation, pins])

    @property
    def empty(self) -> bool:
        """Whether no target would change."""
        return not any(item.changed for item in self.items)

    def counts(self) -> dict[str, int]:
        """Count targets by what will happen and changes by sign."""
        changes = [change.op for item in self.items for change in item.changes]
        return {
            "targets": len(self.items),
            "to_change": sum(item.changed for item in self.items),
            "unchanged": sum(not item.changed for item in self.items),
            "writes": sum(item.writes for item in self.items),
            "add": changes.count(Op.ADD),
            "change": changes.count(Op.CHANGE),
            "remove": changes.count(Op.REMOVE),
            "stale_keys": sum(len(item.stale_keys) for item in self.items),
            "errors": sum(bool(item.errors) for item in self.items),
        }

    def errors(self) -> list[tuple[Resource, Finding]]:
        """List what stops the run, with the target that it is about."""
        return [(item.resource, finding) for item in self.items for finding in item.errors]

    def document(self) -> dict[str, Any]:
        """Return the plan as versioned JSON: digests, keys and counts, never values."""
        return {
            "version": PLAN_VERSION,
            "operation": self.operation,
            "digest": self.digest,
            "counts": self.counts(),
            "items": [item.document() for item in self.items],
        }


def waypoint_digests(lanes: Iterable[WriteSequence[Any]]) -> tuple[str, ...]:
    """Return the digests that writes lead through: what an interrupted try may leave.

    :param lanes: the writes of one target.
    """
    return tuple(step.waypoint for lane in lanes for step in lane if step.waypoint)


def pins(items: Iterable[PlannedItem]) -> dict[str, list[str]]:
    """Return what an exact apply holds targets to: resource -> digests before, after and in between.

    :param items: the targets of the plan.
    """
    return {
        f"{item.resource.kind}:{item.resource}": [item.before, item.after, *item.waypoints] for item in items
    }


def moved(pinned: Mapping[str, Sequence[str]], items: Sequence[PlannedItem]) -> list[Resource]:
    """List the targets that are neither as they were when the plan was made nor on its way.

    A half-applied plan holds targets before, after and between their writes, and stays appliable.

    :param pinned: what :func:`pins` returned for the plan that was approved.
    :param items: the same targets, planned again now.
    """
    return [
        item.resource
        for item in items
        if item.before not in pinned.get(f"{item.resource.kind}:{item.resource}", ())
        or item.after != pinned[f"{item.resource.kind}:{item.resource}"][1]
    ]
