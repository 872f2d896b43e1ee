"""Failures in a few short lines for the log: current state, cause, place, remedy."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from airflow_voice_agents.plans.report import ItemReport, Report, Status
from airflow_voice_agents.transport.errors import CallError, ItemsFailedPermanently, VoiceAgentsError
from airflow_voice_agents.transport.text import visible

NAMED = 3
_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-Z])")


def failure_lines(error: VoiceAgentsError, report: Report | None = None) -> list[str]:
    """Return the lines, the most urgent first.

    :param error: what ends the task.
    :param report: the report, if the task came so far.
    """
    if report is not None and not report.refused:
        return list(_of_report(report, retried=not isinstance(error, ItemsFailedPermanently)))
    if isinstance(error, CallError):
        return list(_of_call(error))
    what, *rest = _SENTENCE.split(visible(str(error)))
    return [f"What: {what}", *([f"Next: {' '.join(rest)}"] if rest else [])]


def _of_report(report: Report, *, retried: bool) -> Iterator[str]:
    changed, unknown = report.having(Status.CHANGED), report.having(Status.UNKNOWN)
    open_items = report.having(Status.FAILED, Status.SKIPPED)
    if report.now:
        yield f"Now:  {visible(report.now)}"
    elif changed:
        yield f"Now:  {_listed(report, changed)} changed and in effect"
    if unknown and not report.now:
        yield f"Now:  {_listed(report, unknown)}: not known whether changed"
    if open_items and not report.now:
        yield f"Now:  {_listed(report, open_items)} not changed as asked for"
    if first := next((item for item in (*open_items, *unknown) if item.reason), None):
        yield f"What: {visible(report.name_of(first))}: {visible(first.reason)}"
    if report.advice:
        yield f"Next: {visible(report.advice)}"
        if not retried:
            return
    yield (
        "Next: retry or clear the task; what is done is not done again"
        if retried
        else "Next: correct the cause, then clear the task; what is done is not done again"
    )


def _of_call(error: CallError) -> Iterator[str]:
    yield f"What: {visible(error.reason)}"
    place = " ".join(filter(None, (error.method, error.path or error.route)))
    status = " ".join(str(part) for part in (error.status, error.error_code) if part)
    where = " → ".join(filter(None, (place, status)))
    if where or error.operation:
        yield visible(f"Where: {': '.join(filter(None, (error.operation, where)))}")
    if error.advice:
        yield f"Next: {visible(error.advice)}"


def _listed(report: Report, items: Sequence[ItemReport]) -> str:
    names = ", ".join(visible(report.name_of(item)) for item in items[:NAMED])
    return names + (f" and {len(items) - NAMED} more" if len(items) > NAMED else "")
