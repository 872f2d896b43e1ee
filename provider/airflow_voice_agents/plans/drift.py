"""Drift: comparison of a target with the desired state of its source and with the state applied last."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from enum import StrEnum
from functools import cached_property
from typing import Any

import msgspec

from airflow_voice_agents.plans.kind import Resource
from airflow_voice_agents.plans.plan import PlannedItem
from airflow_voice_agents.plans.render import ROWS_SHOWN, show_key, visible
from airflow_voice_agents.plans.report import ITEMS_SHOWN
from airflow_voice_agents.transport.records import Record
from airflow_voice_agents.transport.validation import summarize_list

OPERATION = "look for drift"
STALE_KEYS = "stale_keys"
DIGITS = 12


class Drift(StrEnum):
    """How a resource stands to its source and to what was applied last; the worst first."""

    DIVERGED = "diverged"
    """Source and target have both moved since, to different states."""
    EDITED = "edited"
    """The target has moved, the source has not."""
    DIFFERS = "differs"
    """The target is not as its source, and nothing is known of what was applied last."""
    NOT_PROMOTED = "not_promoted"
    """The source has moved, the target has not."""
    UNKNOWN = "unknown"
    """It cannot be read, or there is no telling what the source would make of it."""
    CONVERGED = "converged"
    """Both have moved, to the same state."""
    IN_SYNC = "in_sync"
    """Neither has moved; without a base, the target is as its source."""


DRIFTED = (Drift.DIVERGED, Drift.EDITED, Drift.DIFFERS, Drift.NOT_PROMOTED)
SETTLED = (Drift.CONVERGED, Drift.IN_SYNC)
_RANK = {drift: rank for rank, drift in enumerate(Drift)}


def judge(now: str, desired: str, base: str | None, *, surplus: bool = False) -> Drift:
    """Tell who has moved.

    :param now: digest of what the target is.
    :param desired: digest of what the source would make of it.
    :param base: digest of what was applied last, or ``None`` where nothing is known of that.
    :param surplus: whether the target also holds what its source has not and no write takes away; ``desired``
        holds it, too.
    """
    if base is None:
        return Drift.IN_SYNC if now == desired and not surplus else Drift.DIFFERS
    if now == base:
        return Drift.IN_SYNC if desired == base else Drift.NOT_PROMOTED
    if now == desired:
        return Drift.EDITED if surplus else Drift.CONVERGED
    return Drift.EDITED if desired == base else Drift.DIVERGED


class DriftFinding(Record, frozen=True):
    """How one resource stands.

    :param resource: which one.
    :param target: the target that it belongs to (``"hotel-1/live"``).
    :param drift: how it stands.
    :param keys: top-level keys in which target and source differ.
    :param now: digest of what it is, where that is known.
    :param desired: digest of what the source would make of it, where there is one.
    :param base: digest of what was applied last, where that is known.
    :param reason: why the state is unknown, or what blocks a promotion; without values.
    :param facts: what reads have shown beside the states, as a planned item has them.
    """

    not_shown = ("facts",)
    not_compared = ("facts",)

    resource: Resource
    target: str
    drift: Drift
    keys: tuple[str, ...] = ()
    now: str | None = None
    desired: str | None = None
    base: str | None = None
    reason: str = ""
    facts: Mapping[str, Any] = msgspec.field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """Return the finding as JSON: keys and beginnings of digests, never values."""
        digests = {"now": self.now, "desired": self.desired, "base": self.base}
        plain: dict[str, Any] = {
            "kind": self.resource.kind,
            "owner": self.resource.owner,
            "name": self.resource.name,
            "target": self.target,
            "drift": self.drift.value,
            **{name: digest and digest[:DIGITS] for name, digest in digests.items()},
        }
        if self.keys:
            plain["changed_keys"] = list(self.keys)
        if self.reason:
            plain["reason"] = self.reason
        return plain


def compare(
    item: PlannedItem, *, target: str, base: str | None, beside_the_point: Collection[str] = ()
) -> DriftFinding:
    """Tell how a planned resource stands.

    :param item: what a promotion would make of it.
    :param target: the target that it belongs to.
    :param base: digest of what was applied last, or ``None``.
    :param beside_the_point: codes of errors that only forbid to write what is planned; any other makes the
        plan no witness.
    """
    reason = " ".join(finding.message for finding in item.errors)
    if any(finding.code not in {STALE_KEYS, *beside_the_point} for finding in item.errors):
        return DriftFinding(item.resource, target, Drift.UNKNOWN, base=base, reason=reason, facts=item.facts)
    drift = judge(item.before, item.after, base, surplus=bool(item.stale_keys))
    if drift is Drift.IN_SYNC and any(finding.code == STALE_KEYS for finding in item.errors):
        drift = Drift.NOT_PROMOTED  # the source has lost keys since, and they were not to be kept
    told = drift in DRIFTED
    return DriftFinding(
        item.resource,
        target,
        drift,
        keys=tuple(sorted({*item.changed_keys, *item.stale_keys})) if told else (),
        now=item.before,
        desired=item.after,
        base=base,
        reason=reason if told else "",
        facts=item.facts,
    )


def since(resource: Resource, *, target: str, now: str, base: str) -> DriftFinding:
    """Tell whether a resource is still as it was applied, wherever its source is by now.

    :param resource: which one.
    :param target: the target that it belongs to.
    :param now: digest of what it is.
    :param base: digest of what was applied last.
    """
    return DriftFinding(resource, target, judge(now, base, base), now=now, base=base)


class DriftReport(Record, frozen=True, dict=True):
    """How all resources stand.

    :param findings: one per resource.
    """

    not_shown = ("findings",)

    findings: tuple[DriftFinding, ...]

    @property
    def drifted(self) -> bool:
        """Whether any resource that could be compared differs."""
        return bool(self.having(*DRIFTED))

    @property
    def settled(self) -> bool:
        """Whether every resource is known to be as it should be."""
        return len(self.having(*SETTLED)) == len(self.findings)

    def having(self, *drifts: Drift) -> list[DriftFinding]:
        """List the findings of these sorts, the worst first."""
        return [finding for finding in self._worst_first if finding.drift in drifts]

    def counts(self) -> dict[str, int]:
        """Count the resources by how they stand; the sum is ``total``."""
        found = Counter(finding.drift for finding in self.findings)
        return {"total": len(self.findings), **{drift.value: found[drift] for drift in Drift}}

    @cached_property
    def targets(self) -> dict[str, Drift]:
        """Targets of which not everything is settled, the worst first, each with its worst finding."""
        worst: dict[str, Drift] = {}
        for finding in self.having(*DRIFTED, Drift.UNKNOWN):
            worst.setdefault(finding.target, finding.drift)
        return worst

    def headline(self) -> dict[str, Any]:
        """Return what can be said without naming anything."""
        return {"operation": OPERATION, "drifted": self.drifted, "counts": self.counts()}

    def summary(self) -> dict[str, Any]:
        """Return the few words that a task returns; at most ``ITEMS_SHOWN`` targets."""
        listed = list(self.targets.items())[:ITEMS_SHOWN]
        return {
            **self.headline(),
            "targets": {name: drift.value for name, drift in listed},
            "targets_omitted": len(self.targets) - len(listed),
        }

    def document(self) -> dict[str, Any]:
        """Return the report as JSON; the worst first, at most ``ITEMS_SHOWN`` findings."""
        listed = self._worst_first[:ITEMS_SHOWN]
        return {
            **self.headline(),
            "items": [finding.document() for finding in listed],
            "items_omitted": len(self.findings) - len(listed),
        }

    @cached_property
    def _worst_first(self) -> list[DriftFinding]:
        return sorted(self.findings, key=lambda finding: _RANK[finding.drift])


def render_drift(report: DriftReport) -> str:
    """Return a report as a table of what is not settled, the worst first, then the counts.

    :param report: the report.
    """
    open_ones = report.having(*DRIFTED, Drift.UNKNOWN)
    rows = [tuple(_cells(finding)) for finding in open_ones[:ROWS_SHOWN]]
    widths = [max((len(row[column]) for row in rows), default=0) for column in range(3)]
    lines = [
        "  " + "  ".join(f"{cell:<{width}}" for cell, width in zip(row, [*widths, 0], strict=True)).rstrip()
        for row in rows
    ]
    if len(open_ones) > ROWS_SHOWN:
        lines.append(f"  … and {len(open_ones) - ROWS_SHOWN} more")
    return "\n".join([f"Report: {OPERATION}", *lines, counts_sentence(report)])


def counts_sentence(report: DriftReport) -> str:
    """Return the counts as a sentence.

    :param report: the report.
    """
    counts = report.counts()
    parts = ", ".join(f"{counts[drift.value]} {drift.value}" for drift in Drift if counts[drift.value])
    return f"{counts['total']} resource(s): {parts or 'none'}."


def _cells(finding: DriftFinding) -> Iterator[str]:
    yield finding.drift.value
    yield visible(finding.target)
    yield visible(f"{finding.resource.kind} {finding.resource}")
    keys = summarize_list([show_key(key) for key in finding.keys])
    yield "; ".join(part for part in (keys, visible(finding.reason)) if part)
