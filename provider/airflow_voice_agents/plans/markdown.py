"""Plans as Markdown for approvals; text from outside cannot become markup.

Such text stands either in a code block, in a code span, or word by word: words of letters and digits as they
are, anything else in a code span. Escapes would not do, because GitHub's flavour of Markdown looks for
addresses once more after it has resolved them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from airflow_voice_agents.plans.diff import Op
from airflow_voice_agents.plans.plan import Finding, Plan, Severity
from airflow_voice_agents.plans.render import (
    BLOCKS_SHOWN,
    Display,
    TargetGroup,
    counts_line,
    group_targets,
    noteworthy,
    visible,
)

LIMIT = 20_000
LANGUAGE = "diff"
"""Of code blocks; without a language Airflow shows a block as a span and joins its lines."""

_ENDS = ".,;:!?)\"'"
_PLAIN = re.compile(r"(?:[^\W_]|[-–—→’'\"()])*")
"""A word that is no markup and no part of an address, wherever in a line it stands."""


def render_plan_markdown(plan: Plan, display: Display | None = None, *, limit: int = LIMIT) -> str:
    """Return a plan as Markdown: counts, then one section per target, those with errors first, then the digest.

    Targets of which it shows the same share a section. When the text is too long, each section becomes one
    line of counts; when even these are too many, the text says how many targets are missing.

    :param plan: the plan.
    :param display: what to show of values; by default all but sensitive ones.
    :param limit: maximum number of characters; counts and digest are shown however small it is.
    """
    head = [f"## Plan: {prose(plan.operation)}", f"**{counts_line(plan)}**"]
    end = f"Digest: {code(plan.digest)}"
    items = sorted(noteworthy(plan), key=lambda item: not item.errors)
    groups, left = group_targets(items, display or Display())
    full = "\n\n".join([*head, *map(_section, groups[:BLOCKS_SHOWN]), end])
    if len(full) <= limit and len(groups) <= BLOCKS_SHOWN and not left:
        return full
    return _short(head, groups, len(items), end, limit)


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


def _section(group: TargetGroup) -> str:
    parts = [f"### {_name(group)} ({group.requests})"]
    if findings := sorted(group.findings, key=lambda finding: finding.severity is not Severity.ERROR):
        parts.append("\n".join(_finding(finding) for finding in findings))
    if group.lines:
        text = "\n".join(group.lines)
        fence = _fence(text, 3)
        parts.append(f"{fence}{LANGUAGE}\n{text}\n{fence}")
    return "\n\n".join(parts)


def _short(head: Sequence[str], groups: Sequence[TargetGroup], left: int, end: str, limit: int) -> str:
    """Return the counts of as many targets as fit, whole entries only."""
    note = "What changes in each is too long to be shown here; the log has it all."
    missing = "… and {} more target(s) that are not shown."
    room = limit - len("\n\n".join([*head, note, missing.format(left), end])) - len("\n\n")
    shown: list[str] = []
    for group in groups:
        entry = "\n".join(_entry(group))
        room -= len(entry) + 1
        if room < 0:
            break
        shown.append(entry)
        left -= len(group.items)
    parts = [*head, note, "\n".join(shown), missing.format(left) if left else "", end]
    return "\n\n".join(part for part in parts if part)


def _entry(group: TargetGroup) -> Iterator[str]:
    item = group.first
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
    yield f"- {group.requests}: {_name(group)}{told_counts}"
    for finding in group.findings:
        if finding.severity is Severity.ERROR:
            yield f"  {_finding(finding)}"


def _name(group: TargetGroup) -> str:
    names, more = group.names()
    return f"{prose(group.first.resource.kind)}{group.about} {', '.join(map(code, names))}{more}"


def _finding(finding: Finding) -> str:
    severity = "✗ **error**" if finding.severity is Severity.ERROR else finding.severity.value
    return f"- {severity} {code(finding.code)}: {prose(finding.message)}"


def _fence(text: str, least: int) -> str:
    """Return more backticks than stand in a row anywhere in the text."""
    return "`" * max(least, *(len(run) + 1 for run in re.findall("`+", text)), 0)
