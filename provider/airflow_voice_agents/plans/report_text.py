"""Reports of tasks as Markdown and as plain text, without values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from airflow_voice_agents.plans.kind import Resource
from airflow_voice_agents.plans.markdown import code, prose
from airflow_voice_agents.plans.render import impersonal
from airflow_voice_agents.plans.report import VERSION_CHANGE
from airflow_voice_agents.transport.text import unmarked
from airflow_voice_agents.transport.validation import summarize_list

SHOWN = 20
"""Most items that a text lists; the rest is counted."""


def report_markdown(report: Mapping[str, Any]) -> str:
    """Return a report as Markdown, trouble first.

    :param report: what :meth:`.Report.document` returned.
    """
    lines = [
        f"- {code(name)}: **{prose(status)}**{f', {prose(reason)}' if reason else ''}"
        for name, status, reason in map(_row, _groups(report)[:SHOWN])
    ]
    first = "".join(f"{prose(said)}\n\n" for said in _first(report))
    return f"## Report: {prose(_operation(report))}\n\n{first}**{prose(_counts(report))}**\n\n" + "\n".join(
        [*lines, *_more(report)]
    )


def report_text(report: Mapping[str, Any]) -> str:
    """Return a report as plain text, trouble first; no chat or mail program finds markup in it.

    :param report: what :meth:`.Report.document` returned.
    """
    lines = [
        f"{unmarked(name)}: {unmarked(status)}{f', {unmarked(reason)}' if reason else ''}"
        for name, status, reason in map(_row, _groups(report)[:SHOWN])
    ]
    first = map(unmarked, _first(report))
    head = [f"Report: {unmarked(_operation(report))}", *first, unmarked(_counts(report))]
    return "\n".join([*head, *lines, *_more(report)])


def _first(report: Mapping[str, Any]) -> list[str]:
    """Return what runs now and what to do, where the report says so."""
    return [said for key in ("now", "advice") if isinstance(said := report.get(key), str) and said]


def _operation(report: Mapping[str, Any]) -> str:
    return str(report.get("operation") or "promotion")


def _counts(report: Mapping[str, Any]) -> str:
    counts = report.get("counts")
    told = [
        f"{count} {_word(report, word)}"
        for word, count in (counts.items() if isinstance(counts, Mapping) else ())
        if count and word != "total"
    ]
    return ", ".join(told) or "nothing to do"


def _word(report: Mapping[str, Any], status: str) -> str:
    """Return what people read for a status."""
    return str((status == "unchanged" and report.get("unchanged_means")) or status)


def _listed(report: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    items = report.get("items")
    return [each for each in items if isinstance(each, Mapping)] if isinstance(items, list) else []


Outcome: TypeAlias = tuple[Resource, str, str]
"""A resource, its status and the reason."""


def _groups(report: Mapping[str, Any]) -> list[list[Outcome]]:
    """List the items, those that went the same way for the same reason together."""
    groups: dict[object, list[Outcome]] = {}
    for place, each in enumerate(_listed(report)):
        resource = Resource(*(str(each.get(key, "")) for key in ("kind", "owner", "name")))
        said = [str(each[key]) for key in (VERSION_CHANGE, "reason") if each.get(key)]
        status, reason = _word(report, str(each.get("status", ""))), "; ".join(said)
        key = (status, resource.kind, impersonal(reason, resource)) if reason else place
        groups.setdefault(key, []).append((resource, status, reason))
    return list(groups.values())


def _row(group: Sequence[Outcome]) -> tuple[str, str, str]:
    """Return name, status and reason of a group."""
    resource, status, reason = group[0]
    if len(group) == 1:
        return f"{resource.kind} {resource}", status, reason
    return (
        f"{resource.kind} {summarize_list([str(each) for each, _, _ in group])}",
        status,
        impersonal(reason, resource),
    )


def _more(report: Mapping[str, Any]) -> list[str]:
    omitted = report.get("items_omitted")
    left = sum(map(len, _groups(report)[SHOWN:])) + (omitted if isinstance(omitted, int) else 0)
    return [f"… and {left} more"] if left else []
