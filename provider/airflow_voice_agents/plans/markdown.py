"""Plans as Markdown for the people who approve them; text from outside can never become markup.

Such text stands either in a code block, in a code span, or word by word: words of letters and digits as they
are, anything else in a code span. Escapes would not do, because GitHub's flavour of Markdown looks for
addresses once more after it has resolved them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from airflow_voice_agents.plans.diff import Op
from airflow_voice_agents.plans.plan import Finding, Plan, PlannedItem, Severity
from airflow_voice_agents.plans.render import (
    Display,
    change_lines,
    counts_line,
    grouped,
    names_of,
    requests_text,
    told,
    visible,
)

LIMIT = 20_000
LANGUAGE = "diff"
"""Of code blocks; without a language Airflow shows a block as a span and joins its lines."""

_ENDS = ".,;:!?)\"'"
_PLAIN = re.compile(r"(?:[^\W_]|[-–—’'\"()])*")
"""A word that is no markup and no part of an address, wherever in a line it stands."""


def render_plan_markdown(plan: Plan, display: Display | None = None, *, limit: int = LIMIT) -> str:
    """Return a plan as Markdown: counts, one section per change, those with errors first, and the digest.

    When that is too long, each target gets one line of counts instead; when even these are too many, the
    text says how many are missing.

    :param plan: the plan.
    :param display: how values are shown.
    :param limit: most characters of the text; digest and counts are shown however small it is.
    """
    head = [f"## Plan: {prose(plan.operation)}", f"**{counts_line(plan)}**"]
    last = f"Digest: {code(plan.digest)}"
    shown = display or Display()
    groups, left = grouped(plan, lambda item: tuple(_body(item, shown)))
    groups.sort(key=lambda group: not group[1][0].errors)
    sections = ("\n\n".join([_heading(items), *lines]) for lines, items in groups)
    full = "\n\n".join([*head, *sections, last])
    if len(full) <= limit and not left:
        return full
    items = sorted(told(plan), key=lambda item: not item.errors)
    return _short(head, items, limit - len(last) - 2) + f"\n\n{last}"


def code(text: str) -> str:
    """Return text as a code span, its control and direction characters escaped.

    :param text: any text; what is empty is shown as ``""``.
    """
    shown = visible(text) or '""'
    fence = _fence(shown, 1)
    padding = " " if shown[0] in "` " or shown[-1] in "` " else ""
    return f"{fence}{padding}{shown}{padding}{fence}" if shown.strip(" ") else f"{fence}{shown}{fence}"


def prose(text: str) -> str:
    """Return a sentence as Markdown that reads like the sentence, words with signs in them as code spans.

    It may stand anywhere but at the beginning of a line.

    :param text: any text; runs of blanks become one.
    """
    return " ".join(_word(word) for word in text.split(" ") if word)


def _word(word: str) -> str:
    body = word.rstrip(_ENDS)
    # "www." is taken for an address.
    if _PLAIN.fullmatch(body) and not body.lower().endswith("www"):
        return word
    return code(body) + word[len(body) :]


def _heading(items: Sequence[PlannedItem]) -> str:
    first = items[0]
    if len(items) == 1:
        return f"### {_name(first)} ({requests_text(first)})"
    names = names_of(items, code)
    return (
        f"### {prose(first.resource.kind)}: the same in {len(items)}: {names} ({requests_text(first)} each)"
    )


def _body(item: PlannedItem, display: Display) -> Iterator[str]:
    if findings := sorted(item.findings, key=lambda finding: finding.severity is not Severity.ERROR):
        yield "\n".join(_finding(finding) for finding in findings)
    if lines := list(change_lines(item, display)):
        text = "\n".join(lines)
        fence = _fence(text, 3)
        yield f"{fence}{LANGUAGE}\n{text}\n{fence}"


def _short(head: Sequence[str], items: Sequence[PlannedItem], limit: int) -> str:
    """Return the counts of as many targets as fit, whole ones only."""
    note = "What changes in each is too long to be shown here; the log has it all."
    missing = "… and {} more target(s) that are not shown."
    room = limit - len("\n\n".join([*head, note, missing.format(len(items))])) - len("\n\n")
    shown: list[str] = []
    for item in items:
        entry = "\n".join(_entry(item))
        room -= len(entry) + 1
        if room < 0:
            break
        shown.append(entry)
    left = len(items) - len(shown)
    parts = [*head, note, "\n".join(shown), missing.format(left) if left else ""]
    return "\n\n".join(part for part in parts if part)


def _entry(item: PlannedItem) -> Iterator[str]:
    changes = [change.op for change in item.changes]
    counts = {
        "to add": changes.count(Op.ADD),
        "to change": changes.count(Op.CHANGE),
        "to remove": changes.count(Op.REMOVE),
        "kept key(s)": len(item.kept_keys),
        "stale key(s)": len(item.stale_keys),
        "error(s)": len(item.errors),
        "warning(s)": len(item.findings) - len(item.errors),
    }
    told_counts = "".join(f", {count} {what}" for what, count in counts.items() if count)
    yield f"- {requests_text(item)}: {_name(item)}{told_counts}"
    for finding in item.errors:
        yield f"  {_finding(finding)}"


def _name(item: PlannedItem) -> str:
    return f"{prose(item.resource.kind)} {code(str(item.resource))}"


def _finding(finding: Finding) -> str:
    severity = "✗ **error**" if finding.severity is Severity.ERROR else finding.severity.value
    return f"- {severity} {code(finding.code)}: {prose(finding.message)}"


def _fence(text: str, least: int) -> str:
    """Return more backticks than stand in a row anywhere in the text."""
    return "`" * max(least, *(len(run) + 1 for run in re.findall("`+", text)), 0)
