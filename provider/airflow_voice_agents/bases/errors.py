"""The error that a report ends in."""

from __future__ import annotations

from collections.abc import Sequence

from airflow_voice_agents.plans.render import visible
from airflow_voice_agents.plans.report import TROUBLE, ItemReport, Report, Status
from airflow_voice_agents.transport.errors import (
    GuardRefused,
    ItemsFailed,
    ItemsFailedPermanently,
    VoiceAgentsError,
)

EXAMPLES = 3


def failure_of(report: Report) -> VoiceAgentsError:
    """Return the error for a report with items that went wrong.

    :param report: a report that is not complete.
    """
    counts = report.counts()
    if report.refused:
        failed = report.having(Status.FAILED)
        return GuardRefused(
            f"{report.operation}: the plan has errors for {len(failed)} of {counts['total']} target(s), and nothing "
            f"was written. {_examples(report, failed)} The XCom 'report' lists every target."
        )
    trouble = report.having(*TROUBLE)
    told = ", ".join(f"{counts[word]} {word}" for word in counts if word != "total" and counts[word])
    stopped = f"It was stopped: {visible(report.stopped)} " if report.stopped else ""
    text = (
        f"{report.operation}: {stopped}{len(trouble)} of {counts['total']} item(s) are not as asked for ({told}). "
        f"{_examples(report, trouble)} What is listed as changed stays changed; a retry does only what is still open. "
        "The XCom 'report' lists every item."
    )
    error = ItemsFailedPermanently(text) if report.permanent_failure else ItemsFailed(text)
    error.retry_after = report.retry_after
    return error


def _examples(report: Report, items: Sequence[ItemReport]) -> str:
    told = "; ".join(
        visible(f"{report.name_of(item)}: {item.reason.rstrip('.')}") for item in items[:EXAMPLES]
    )
    more = f"; and {len(items) - EXAMPLES} more" if len(items) > EXAMPLES else ""
    return f"{told}{more}."
