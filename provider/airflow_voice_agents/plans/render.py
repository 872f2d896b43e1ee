"""Plans and reports as plain text for logs; sensitive values are masked."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any

from airflow_voice_agents.plans.diff import ABSENT, Change, Op, Path
from airflow_voice_agents.plans.plan import Plan, PlannedItem, Severity
from airflow_voice_agents.plans.report import TROUBLE, Report, Status
from airflow_voice_agents.plans.selection import matches

SENSITIVE_NAMES = (
    "access_token", "api_key", "api-key", "apikey", "authorization", "credential", "keyfile", "passphrase",
    "passwd", "password", "private_key", "secret", "service_account", "token",
)  # fmt: skip
"""A key that holds one of these words is sensitive; Airflow masks by the same words."""

FINDING_SIGNS = {Severity.ERROR: "✗", Severity.REFUSED: "✗", Severity.WARNING: "i"}
MASKED = "(sensitive)"
HIDDEN = "(hidden)"
VALUE_WIDTH = 60
PATH_WIDTH = 60
ROWS_SHOWN = 200
BLOCKS_SHOWN = 100
LOOKED_AT = 2000
"""Items whose changes are compared, so that equal ones are shown once; the rest is only counted."""
NAMES_SHOWN = 3
_USER = re.compile(r"(//)[^\s/?#\"'<>]*@")
_PARAMETER = re.compile(r"([?&;])([^\s=&;#?]+)=[^\s&;#\"'<>]*")
_PLAIN_KEY = re.compile(r"[$A-Za-z_][A-Za-z0-9_-]*")


@dataclass(frozen=True, slots=True)
class Display:
    """How a plan shows values.

    :param show_values: whether values appear at all.
    :param sensitive_keys: selectors of values that are masked even then.
    :param sensitive_names: further words that make a key sensitive, in lower case.
    """

    show_values: bool = True
    sensitive_keys: tuple[str, ...] = ()
    sensitive_names: tuple[str, ...] = ()

    def value(self, value: Any, path: Path, patterns: Sequence[tuple[str, ...]]) -> str:
        """Return one value as shown at its place in a plan."""
        if not self.show_values:
            return HIDDEN
        shown = json.dumps(self._masked(value, path, patterns), ensure_ascii=False)
        return visible(shown if len(shown) <= VALUE_WIDTH else shown[: VALUE_WIDTH - 1] + "…")

    def _masked(self, value: Any, path: Path, patterns: Sequence[tuple[str, ...]]) -> Any:
        if self._sensitive(path, patterns):
            return MASKED
        if isinstance(value, dict):
            return {key: self._masked(below, (*path, key), patterns) for key, below in value.items()}
        if isinstance(value, list):
            return [self._masked(below, (*path, place), patterns) for place, below in enumerate(value)]
        return self._without_credentials(value) if isinstance(value, str) and "//" in value else value

    def _without_credentials(self, text: str) -> str:
        """Mask users, passwords and sensitive query parameters of the URLs in a text."""

        def parameter(match: re.Match[str]) -> str:
            name = match.group(2).lower()
            return f"{match.group(1)}{match.group(2)}=***" if self._is_sensitive_name(name) else match.group()

        return _PARAMETER.sub(parameter, _USER.sub(r"\1***@", text))

    def _is_sensitive_name(self, name: str) -> bool:
        lowered = name.lower()
        return any(word in lowered for word in (*SENSITIVE_NAMES, *self.sensitive_names))

    def _sensitive(self, path: Path, patterns: Sequence[tuple[str, ...]]) -> bool:
        names = [str(part) for part in path]
        return (
            any(map(self._is_sensitive_name, names))
            or any(matches(selector, names[:end]) for selector in self.sensitive_keys for end in _ends(names))
            or any(_fits(pattern, names[: len(pattern)]) for pattern in patterns)
        )


def render_plan(plan: Plan, display: Display | None = None) -> str:
    """Return a plan as text: one block per change, equal changes of several targets once, then the counts.

    :param plan: the plan.
    :param display: how values are shown.
    """
    shown = display or Display()
    groups, left = grouped(plan, lambda item: tuple(_item_lines(item, shown)))
    blocks = ["\n".join([f"  {_sign(items[0])} {_headline(items)}", *lines]) for lines, items in groups]
    more = [f"  … and {left} more resource(s) that are not listed"] if left else []
    head = f"Plan: {plan.operation} (digest {plan.digest[:12]})"
    return "\n\n".join([head, *blocks, *more, counts_line(plan)])


def grouped(
    plan: Plan, lines_of: Callable[[PlannedItem], tuple[str, ...]]
) -> tuple[list[tuple[tuple[str, ...], list[PlannedItem]]], int]:
    """Group the items of a plan that have the same lines, and return how many are left out.

    :param plan: the plan.
    :param lines_of: the lines of an item, without its name.
    """
    items = told(plan)
    groups: dict[Any, list[PlannedItem]] = {}
    lines: dict[Any, tuple[str, ...]] = {}
    for item in items[:LOOKED_AT]:
        mine = lines_of(item)
        key = (item.resource.kind, item.writes, item.changed, mine)
        groups.setdefault(key, []).append(item)
        lines[key] = mine
    shown = list(groups)[:BLOCKS_SHOWN]
    listed = [(lines[key], groups[key]) for key in shown]
    return listed, len(items) - sum(len(mine) for _, mine in listed)


def names_of(items: Sequence[PlannedItem], spell: Callable[[str], str]) -> str:
    """Return the names of resources with the same change, not too many.

    :param items: the resources.
    :param spell: makes a name safe to show.
    """
    named = ", ".join(spell(str(item.resource)) for item in items[:NAMES_SHOWN])
    more = f" and {len(items) - NAMES_SHOWN} more" if len(items) > NAMES_SHOWN else ""
    return f"{named}{more}"


def render_report(report: Report) -> str:
    """Return a report as a table, trouble first, then the counts.

    :param report: the report.
    """
    shown = [*report.having(*TROUBLE), *report.having(Status.CHANGED), *report.having(Status.UNCHANGED)]
    rows = [
        (item.status.value, visible(report.name_of(item)), visible(item.reason))
        for item in shown[:ROWS_SHOWN]
    ]
    widths = [max((len(row[column]) for row in rows), default=0) for column in (0, 1)]
    lines = [
        f"  {status:<{widths[0]}}  {name:<{widths[1]}}  {reason}".rstrip() for status, name, reason in rows
    ]
    if len(shown) > ROWS_SHOWN:
        lines.append(f"  … and {len(shown) - ROWS_SHOWN} more")
    notes = [f"  note: {visible(note)}" for note in report.notes]
    return "\n".join([f"Report: {report.operation}", *lines, *notes, _report_counts(report)])


def show_path(path: Path) -> str:
    """Return a path as text (``opening_hours.monday[0]``); unusual keys are quoted and escaped."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += ("." if text else "") + show_key(part)
    return text


def show_key(key: str) -> str:
    """Return a key as it is, or quoted and escaped when it is not a plain word."""
    return key if _PLAIN_KEY.fullmatch(key) else visible(json.dumps(key, ensure_ascii=False))


def visible(text: str) -> str:
    """Escape what a terminal or a reader's eye could be fooled by: control and direction characters.

    :param text: any text.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        _escaped(character)
        if unicodedata.category(character) in {"Cc", "Cf", "Cs", "Zl", "Zp"}
        else character
        for character in text
    )


def told(plan: Plan) -> list[PlannedItem]:
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
    return f"{item.writes} request{'s' * (item.writes != 1)}" if item.changed else "unchanged"


def change_lines(item: PlannedItem, display: Display) -> Iterator[str]:
    """Yield a target's changes, kept keys and unremovable keys as lines of text, each with its sign.

    :param item: one target of a plan.
    :param display: how values are shown.
    """
    if item.identifiers:
        display = replace(display, show_values=True)
    paths = [show_path(change.path) for change in item.changes]
    width = min(max(map(len, paths), default=0), PATH_WIDTH)
    for path, change in zip(paths, item.changes, strict=True):
        yield f"{change.op.value} {path:<{width}}  {_values(change, item, display)}"
    for path in item.kept_keys:
        yield f"= {visible(path)}  the target keeps its own value"
    for key in item.stale_keys:
        yield f"! {show_key(key)}  only the target has it; no request can remove it"


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


def _sign(item: PlannedItem) -> str:
    return "~" if item.changed else " "


def _headline(items: Sequence[PlannedItem]) -> str:
    first = items[0]
    if len(items) == 1:
        return f"{first.resource.kind} {visible(str(first.resource))}  ({requests_text(first)})"
    names = names_of(items, visible)
    return f"{first.resource.kind}: the same in {len(items)}: {names}  ({requests_text(first)} each)"


def _item_lines(item: PlannedItem, display: Display) -> Iterator[str]:
    for line in change_lines(item, display):
        yield f"      {line}"
    for finding in item.findings:
        yield f"      {FINDING_SIGNS[finding.severity]} {finding.code}: {visible(finding.message)}"


def _values(change: Change, item: PlannedItem, display: Display) -> str:
    sides = [
        display.value(side, change.path, item.sensitive)
        for side in (change.before, change.after)
        if side is not ABSENT
    ]
    if change.op is not Op.CHANGE:
        return sides[0]
    return f"{sides[0]} → {sides[1]}" if display.show_values else HIDDEN


def _report_counts(report: Report) -> str:
    counts = report.counts()
    parts = ", ".join(f"{counts[status.value]} {status.value}" for status in Status if counts[status.value])
    note = " Dry run: nothing was written." if report.dry_run else ""
    return f"{counts['total']} item(s): {parts or 'none'}.{note}"


def _escaped(character: str) -> str:
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{high:02x}{low:02x}" for high, low in zip(units[::2], units[1::2], strict=True))


def _ends(names: Sequence[str]) -> range:
    return range(1, len(names) + 1)


def _fits(pattern: Sequence[str], names: Sequence[str]) -> bool:
    return len(pattern) == len(names) and all(map(fnmatchcase, names, pattern))
