"""A plan: the present and the desired state of each resource, findings, and one digest of everything."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from functools import cached_property
from itertools import groupby
from typing import Any, ClassVar

import msgspec
from msgspec.structs import replace

from airflow_voice_agents.plans.canonical import digest
from airflow_voice_agents.plans.diff import Change, Op
from airflow_voice_agents.plans.kind import Resource, ResourceKind, State, Transition, WriteSequence
from airflow_voice_agents.transport.records import Record

PLAN_VERSION = 1
DESTINATIONS = "destinations"
"""Fact of a phone number: where its calls go now, and as planned; an empty text where that is nowhere or unknown."""


class Severity(StrEnum):
    """The effect of a finding."""

    ERROR = "error"
    """Stops the run before its first write."""
    REFUSED = "refused"
    """Leaves its own item unwritten, which is reported as failed; other items go on."""
    WARNING = "warning"
    """Is only reported."""


class Finding(msgspec.Struct, frozen=True, gc=False):
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


def refused(code: str, message: str) -> Finding:
    """Return a finding that leaves its own item unwritten."""
    return Finding(Severity.REFUSED, code, message)


def warning(code: str, message: str) -> Finding:
    """Return a finding that is only reported."""
    return Finding(Severity.WARNING, code, message)


class PlannedItem(Record, frozen=True, gc=False):
    """One target of a plan.

    :param resource: the target.
    :param before: digest of its observed state.
    :param after: digest of the desired state.
    :param source: digest of the state that was taken from, or ``None`` without a source.
    :param changes: how before and after differ; holds values, so it is rendered but never serialised.
    :param stale_keys: keys that only the target has and no request can remove.
    :param kept_keys: dotted paths that were held back although the source's value differs.
    :param findings: what the guards and checks say.
    :param sensitive: path patterns whose values are never shown.
    :param writes: number of calls that carry it out.
    :param identifiers: whether its values are ids and names, which may always be shown, and no config values.
    :param waypoints: digests of the states that its writes lead through, where an interrupted try may
        have left it.
    :param intent: the states themselves, or ``None`` when nothing changes.
    :param facts: what reads have shown beside the states (``source``, ``versions``, ``behind``, ``destinations``),
        for the status page; no values.
    """

    not_shown = ("transition", "facts")
    not_compared = ("transition", "facts")

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
    transition: Transition[Any] | None = None
    facts: Mapping[str, Any] = msgspec.field(default_factory=dict)

    @property
    def changed(self) -> bool:
        """Whether there is anything to do."""
        return self.before != self.after

    @property
    def errors(self) -> tuple[Finding, ...]:
        """The findings that stop the run."""
        return tuple(finding for finding in self.findings if finding.severity is Severity.ERROR)

    @property
    def refusals(self) -> tuple[Finding, ...]:
        """The findings that leave this item unwritten while other items go on."""
        return tuple(finding for finding in self.findings if finding.severity is Severity.REFUSED)

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


class Plan(Record, frozen=True, dict=True):
    """Everything a run will do, decided before its first write.

    :param operation: what the run is (``"promote config"``).
    :param items: one per target, in the order asked for.
    """

    not_shown = ("items",)

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


class TargetPlan(Record, frozen=True):
    """One target with everything that a plan holds for it.

    :param name: the target, for people, rollback blocks and checkpoints (``"hotel-1/live"``).
    :param items: its items; a kind that depends on another comes after it.
    :param read_at: time of the oldest read among them, on the run's clock.
    :param live: whether callers reach it.
    :param locks: names that a run must hold while it writes; empty stands for the target's name alone.
    """

    not_compared: ClassVar[tuple[str, ...]] = ("read_at",)

    name: str
    items: tuple[PlannedItem, ...]
    read_at: float | None = None
    live: bool = False
    locks: tuple[str, ...] = ()

    @property
    def changed(self) -> bool:
        """Whether any of its items changes."""
        return any(item.changed for item in self.items)

    @property
    def locked_names(self) -> tuple[str, ...]:
        """The names that a run must hold while it writes the target."""
        return self.locks or (self.name,)

    def stages(self) -> Iterator[tuple[PlannedItem, ...]]:
        """Yield the items of one kind after those of another, in order."""
        return (tuple(stage) for _, stage in groupby(self.items, key=lambda item: item.resource.kind))

    def with_findings(self, *findings: Finding) -> TargetPlan:
        """Return the target with findings added to its first item; without items it is unchanged."""
        if not findings or not self.items:
            return self
        first = replace(self.items[0], findings=(*self.items[0].findings, *findings))
        return replace(self, items=(first, *self.items[1:]))


def plan_of(operation: str, targets: Iterable[TargetPlan]) -> Plan:
    """Return one plan of all targets.

    :param operation: the operation's name.
    :param targets: in the order of their writes.
    """
    return Plan(operation, tuple(item for target in targets for item in target.items))


def change(
    kind: ResourceKind[State],
    resource: Resource,
    before: State | None,
    after: State,
    *,
    findings: tuple[Finding, ...] = (),
    source: str | None = None,
    identifiers: bool = False,
    writes: int | None = None,
) -> PlannedItem:
    """Return the item that leads from one state to another; with an error or a refusal, by no write.

    :param kind: the kind of the resource.
    :param resource: the resource.
    :param before: its present state; ``None`` when it does not exist.
    :param after: its desired state.
    :param findings: findings of the checks.
    :param source: digest of the state that was taken from.
    :param identifiers: whether states are ids and names, which every plan may show.
    :param writes: how many writes lead there, for a kind that knows it without building them, and none of whose
        writes leads through another state.
    """
    digests = kind.digest(before), kind.digest(after)
    leads = destinations(kind, before, after)
    if digests[0] == digests[1]:
        return PlannedItem(resource, *digests, source=source, findings=findings, facts=leads)
    transition = Transition(resource, before, after)
    stopped = any(finding.severity is not Severity.WARNING for finding in findings)
    sequences = () if stopped or writes is not None else tuple(kind.write_sequences([transition]))
    return PlannedItem(
        resource,
        *digests,
        source=source,
        changes=tuple(kind.diff(before, after)),
        findings=findings,
        writes=0 if stopped else sum(map(len, sequences)) if writes is None else writes,
        waypoints=waypoint_digests(sequences),
        identifiers=identifiers,
        transition=transition,
        facts=leads,
    )


def no_change(
    kind: ResourceKind[State],
    resource: Resource,
    now: State | None,
    *findings: Finding,
    source: str | None = None,
) -> PlannedItem:
    """Return the item of a resource that stays as it is.

    :param kind: the kind of the resource.
    :param resource: the resource.
    :param now: its present state; ``None`` when it does not exist.
    :param findings: reasons why it stays, where they are worth a word.
    :param source: digest of the state that would have been taken from.
    """
    digest = kind.digest(now)
    leads = destinations(kind, now, now)
    return PlannedItem(resource, digest, digest, source=source, findings=findings, facts=leads)


def destinations(
    kind: ResourceKind[State], before: State | None, after: State | None
) -> dict[str, list[str]]:
    """Return where calls go before and after, as a fact of a planned item; empty for a kind that tells neither.

    :param kind: the kind of the resource.
    :param before: its present state.
    :param after: its desired state.
    """
    now, then = (None if state is None else kind.destination(state) for state in (before, after))
    return {} if now is None and then is None else {DESTINATIONS: [now or "", then or ""]}


def for_another(item: PlannedItem, resource: Resource, states: tuple[Any, Any] | None = None) -> PlannedItem:
    """Return the item of another resource in the same state with the same desired state; digests are shared.

    :param item: a planned item.
    :param resource: the other resource.
    :param states: its own present and desired state, where they differ in what digests leave out.
    """
    known = item.transition
    transition = known and Transition(resource, *(states or (known.before, known.after)), known.read_at)
    return replace(item, resource=resource, transition=transition)
