"""A report, as a task left it, for people: as Markdown and as plain text; it holds no values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_voice_agents.plans.markdown import code, prose
from airflow_voice_agents.transport.text import unmarked

SHOWN = 20
"""Most items that a text lists; the rest is counted."""


def report_markdown(report: Mapping[str, Any]) -> str:
    """Return a report as Markdown, trouble first.

    :param report: what :meth:`.Report.document` returned.
    """
    lines = [
        f"- {code(name)}: **{prose(status)}**{f', {prose(reason)}' if reason else ''}"
        for name, status, reason in _items(report)
    ]
    return f"## Report: {prose(_operation(report))}\n\n**{prose(_counts(report))}**\n\n" + "\n".join(
        [*lines, *_more(report)]
    )


def report_text(report: Mapping[str, Any]) -> str:
    """Return a report as plain text, trouble first; no chat or mail program finds markup in it.

    :param report: what :meth:`.Report.document` returned.
    """
    lines = [
        f"{unmarked(name)}: {unmarked(status)}{f', {unmarked(reason)}' if reason else ''}"
        for name, status, reason in _items(report)
    ]
    head = [f"Report: {unmarked(_operation(report))}", unmarked(_counts(report))]
    return "\n".join([*head, *lines, *_more(report)])


def _operation(report: Mapping[str, Any]) -> str:
    return str(report.get("operation") or "promotion")


def _counts(report: Mapping[str, Any]) -> str:
    counts = report.get("counts")
    told = [
        f"{count} {word}"
        for word, count in (counts.items() if isinstance(counts, Mapping) else ())
        if count and word != "total"
    ]
    return ", ".join(told) or "nothing to do"


def _listed(report: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    items = report.get("items")
    return [each for each in items if isinstance(each, Mapping)] if isinstance(items, list) else []


def _items(report: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    return [
        (
            f"{each.get('kind', '')} {each.get('owner', '')}/{each.get('name', '')}",
            str(each.get("status", "")),
            str(each.get("reason") or ""),
        )
        for each in _listed(report)[:SHOWN]
    ]


def _more(report: Mapping[str, Any]) -> list[str]:
    omitted = report.get("items_omitted")
    left = max(len(_listed(report)) - SHOWN, 0) + (omitted if isinstance(omitted, int) else 0)
    return [f"… and {left} more"] if left else []
