"""Plans and reports as plain text for logs; sensitive values masked."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
from msgspec.structs import replace

from airflow_voice_agents.plans.canonical import digest
from airflow_voice_agents.plans.display import Display, Row, join_alike, show_key, show_path
from airflow_voice_agents.plans.kind import Resource
from airflow_voice_agents.plans.plan import Finding, Plan, PlannedItem, Severity
from airflow_voice_agents.plans.report import TROUBLE, ItemReport, Report, Status
from airflow_voice_agents.plans.versions import HASH_LENGTH, about, short, versions_in
from airflow_voice_agents.transport.masking import mask_credentials
from airflow_voice_agents.transport.text import visible

__all__ = [
    "Display",
    "TargetGroup",
    "change_lines",
    "counts_line",
    "group_targets",
    "noteworthy",
    "render_plan",
    "render_report",
    "requests_text",
    "show_key",
    "show_path",
    "visible",
]

FINDING_SIGNS = {Severity.ERROR: "✗", Severity.REFUSED: "✗", Severity.WARNING: "i"}
SCHEMA = "$schema"
"""First key of the changes to a page's schema."""
PATH_WIDTH = 60
LINE_WIDTH = 100
"""Longest line that several keys share."""
ROWS_SHOWN = 200
BLOCKS_SHOWN = 100
LOOKED_AT = 2000
"""Items whose changes are compared, so that equal ones are shown once; the rest is only counted."""
TARGETS_NAMED = 3
"""Targets that are named where many change alike; the rest is counted."""


class TargetGroup(msgspec.Struct, frozen=True):
    """Targets of which a plan shows the same.

    :param items: the targets, in the plan's order.
    :param about: says after the kind's name how many there are; empty for one.
    :param lines: the changes, kept keys and unremovable keys of each, as text.
    """

    items: tuple[PlannedItem, ...]
    about: str
    lines: tuple[str, ...]

    @property
    def first(self) -> PlannedItem:
        """Any of them."""
        return self.items[0]

    @property
    def requests(self) -> str:
        """How many requests change each."""
        return requests_text(self.first) + (" each" if len(self.items) > 1 and self.first.writes else "")

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What the plan says about each; the names of many are replaced by a word."""
        if len(self.items) == 1:
            return self.first.findings
        return tuple(
            replace(each, message=impersonal(each.message, self.first.resource))
            for each in self.first.findings
        )

    def names(self) -> tuple[list[str], str]:
        """Return the names of the first targets, and how many more there are."""
        left = len(self.items) - TARGETS_NAMED
        named = self.items if left <= 1 else self.items[:TARGETS_NAMED]
        return [str(item.resource) for item in named], f" … and {left} more" if left > 1 else ""


def render_plan(plan: Plan, display: Display | None = None) -> str:
    """Return a plan as text: one block per target that changes or has something to say, then the counts.

    Targets of which it shows the same share a block.

    :param plan: the plan.
    :param display: what to show of values; by default all but sensitive ones.
    """
    groups, left = group_targets(noteworthy(plan), display or Display())
    blocks = ["\n".join(_block(group)) for group in groups[:BLOCKS_SHOWN]]
    left += sum(len(group.items) for group in groups[BLOCKS_SHOWN:])
    more = [f"  … and {left} more resource(s) that are not listed"] if left else []
    head = f"Plan: {visible(plan.operation)} (digest {plan.digest[:12]})"
    notes = [
        f"  i {visible(note)}" for note in (display or Display()).unreached(noteworthy(plan)[:LOOKED_AT])
    ]
    return "\n\n".join([head, *blocks, *more, *notes, counts_line(plan)])


def render_report(report: Report) -> str:
    """Return a report as a table, trouble first, then the counts.

    :param report: the report.
    """
    shown = [*report.having(*TROUBLE), *report.having(Status.CHANGED), *report.having(Status.UNCHANGED)]
    groups = _same_outcomes(shown)
    rows = [_report_row(report, group) for group in groups[:ROWS_SHOWN]]
    widths = [max((len(row[column]) for row in rows), default=0) for column in (0, 1)]
    lines = [
        f"  {status:<{widths[0]}}  {name:<{widths[1]}}  {reason}".rstrip() for status, name, reason in rows
    ]
    if more := sum(map(len, groups[ROWS_SHOWN:])):
        lines.append(f"  … and {more} more")
    notes = [f"  note: {visible(note)}" for note in report.notes]
    first = [f"  {visible(said)}" for said in (report.now, report.advice) if said]
    return "\n".join([f"Report: {visible(report.operation)}", *first, *lines, *notes, _report_counts(report)])


def impersonal(text: str, resource: Resource) -> str:
    """Return a sentence about a resource with the resource's own names replaced, to compare it with others'.

    :param text: the sentence.
    :param resource: the resource.
    """
    if not (text and resource.owner and resource.name):
        return text
    named = text.replace(str(resource), "<target>")
    return re.sub(rf"(?<![\w-]){re.escape(resource.owner)}(?![\w-])", "<project>", named)


def _same_outcomes(items: Sequence[ItemReport]) -> list[list[ItemReport]]:
    """Group items that went the same way for the same reason; items without a reason stay apart."""
    groups: dict[object, list[ItemReport]] = {}
    for place, item in enumerate(items):
        reason = impersonal(item.said, item.resource)
        key = (item.status, item.resource.kind, reason) if reason else place
        groups.setdefault(key, []).append(item)
    return list(groups.values())


def _report_row(report: Report, group: Sequence[ItemReport]) -> tuple[str, str, str]:
    first = group[0]
    if len(group) == 1:
        return report.word(first.status), visible(report.name_of(first)), visible(first.said)
    left = len(group) - TARGETS_NAMED
    named = group if left <= 1 else group[:TARGETS_NAMED]
    names = ", ".join(visible(report.name_of(item)) for item in named)
    more = f" … and {left} more" if left > 1 else ""
    return report.word(first.status), names + more, visible(impersonal(first.said, first.resource))


def noteworthy(plan: Plan) -> list[PlannedItem]:
    """List the targets that change or have something to say, in the plan's order.

    :param plan: the plan.
    """
    return [item for item in plan.items if item.changed or item.findings or item.stale_keys]


def requests_text(item: PlannedItem) -> str:
    """Return how many requests change a resource.

    :param item: one item of a plan.
    """
    if item.refusals:
        return "not written"
    if item.errors and not item.changed:
        return "not planned"
    return f"{item.writes} request{'s' * (item.writes != 1)}" if item.changed else "unchanged"


def change_lines(item: PlannedItem, display: Display) -> Iterator[str]:
    """Yield a target's changes, kept keys and unremovable keys as lines of text, each with its sign.

    :param item: one target of a plan.
    :param display: what to show of values.
    """
    return _lines(item, _display_of(item, display).rows(item))


def group_targets(items: Sequence[PlannedItem], display: Display) -> tuple[list[TargetGroup], int]:
    """Group targets of which all that is shown is the same, and return how many were not looked at.

    Masked and hidden values are no part of the comparison, so a group says nothing about them.

    :param items: the targets, in the order in which they are shown.
    :param display: what to show of values.
    """
    groups: dict[str, list[PlannedItem]] = {}
    digests: dict[tuple[Any, ...], str] = {}
    for item in items[:LOOKED_AT]:
        parts = _shared_parts(item)
        if item.findings or parts not in digests:  # what a finding says can name the target
            digests[parts] = _shown_digest(item, _display_of(item, display))
        groups.setdefault(digests[parts], []).append(item)
    found = [
        TargetGroup(tuple(each), _about(each, display), tuple(change_lines(each[0], display)))
        for each in groups.values()
    ]
    return found, len(items[LOOKED_AT:])


def counts_line(plan: Plan) -> str:
    """Return the sentence that ends a plan: how many targets change, or that none does.

    :param plan: the plan.
    """
    counts = plan.counts()
    noun = "target(s)" if len({item.resource.kind for item in plan.items}) < 2 else "resource(s)"
    if wrong := len({resource for resource, _ in plan.errors()}):
        return f"{wrong} of {counts['targets']} {noun} have errors (✗): nothing is written."
    if plan.empty and not counts["stale_keys"]:
        return f"Nothing to change: {counts['targets']} {noun} are as asked for."
    stale = f" {counts['stale_keys']} stale key(s) stay." if counts["stale_keys"] else ""
    return (
        f"{counts['to_change']} of {counts['targets']} {noun} to change with {counts['writes']} request(s): "
        f"{counts['add']} to add, {counts['change']} to change, {counts['remove']} to remove.{stale}"
    )


def _block(group: TargetGroup) -> Iterator[str]:
    item = group.first
    sign = "~" if item.changed else " "
    names, more = group.names()
    yield f"  {sign} {item.resource.kind}{group.about} {', '.join(map(visible, names))}{more}  ({group.requests})"
    for line in group.lines:
        yield f"      {line}"
    for finding in group.findings:
        yield f"      {FINDING_SIGNS[finding.severity]} {visible(finding.code)}: {visible(finding.message)}"


def _display_of(item: PlannedItem, display: Display) -> Display:
    return replace(display, show_values=True) if item.identifiers else display


def _lines(item: PlannedItem, rows: Sequence[Row]) -> Iterator[str]:
    """Yield values first, then the schema, then what stays as it is."""
    joined = join_alike(rows)
    for part in (False, True):
        mine = [row for row in joined if row.path.startswith(SCHEMA) is part]
        width = min(max((len(row.path) for row in mine), default=0), PATH_WIDTH)
        for row in mine:
            yield f"{row.op.value} {row.path:<{width}}  {short(row.shown, item)}"
    yield from _known_versions(item)
    kept = [visible(mask_credentials(path)) for path in item.kept_keys]
    yield from _joined("=", kept, "the target keeps its own value", "the target keeps its own values")
    stale = [show_key(key) for key in item.stale_keys]
    one, many = (
        "only the target has it; no request can remove it",
        "only the target has them; no request can remove them",
    )
    yield from _joined("!", stale, one, many)


def _known_versions(item: PlannedItem) -> Iterator[str]:
    """Yield a line for each version that has a message, an author or a date."""
    for version, known in versions_in(item).items():
        if said := about(known):
            yield f"  {version[:HASH_LENGTH]}: {said}"


def _joined(sign: str, keys: Sequence[str], one: str, many: str) -> Iterator[str]:
    """Yield one line for all keys, or one for each where that would be too long."""
    line = f"{sign} {', '.join(keys)}  {many}"
    if len(keys) > 1 and len(line) <= LINE_WIDTH:
        yield line
        return
    for key in keys:
        yield f"{sign} {key}  {one}"


def _shared_parts(item: PlannedItem) -> tuple[Any, ...]:
    """Return what :func:`_shown_digest` depends on; thousands of numbers are planned with the very same changes."""
    parts = (item.changed, item.writes, item.identifiers, item.kept_keys, item.stale_keys, item.sensitive)
    return (item.resource.kind, id(item.changes), *parts, item.findings)


def _shown_digest(item: PlannedItem, display: Display) -> str:
    """Return a digest of all that a plan shows of a target beside its name, nothing shortened."""
    rows = [[row.op.value, row.path, *row.texts] for row in display.rows(item)]
    findings = [
        [each.severity.value, each.code, impersonal(each.message, item.resource)] for each in item.findings
    ]
    keys = [list(item.kept_keys), list(item.stale_keys)]
    return digest([item.resource.kind, item.changed, item.writes, rows, keys, findings])


def _about(items: Sequence[PlannedItem], display: Display) -> str:
    if len(items) == 1:
        return ""
    what = "the same change" if _display_of(items[0], display).show_values else "the same keys change"
    return f", {what if items[0].changed else 'the same'} in {len(items)} targets:"


def _report_counts(report: Report) -> str:
    counts = report.counts()
    parts = ", ".join(f"{counts[status]} {report.word(status)}" for status in Status if counts[status])
    note = " Dry run: nothing was written." if report.dry_run else ""
    return f"{counts['total']} item(s): {parts or 'none'}.{note}"
