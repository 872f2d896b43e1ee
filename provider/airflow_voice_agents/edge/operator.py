"""What every operator does at the Airflow edge: retry policy, report, asset events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator

from airflow_voice_agents.edge.confidential import ConfidentialArguments
from airflow_voice_agents.edge.retry_policy import VoiceAgentsRetryPolicy

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_voice_agents.airflow_compat import RetryPolicy
    from airflow_voice_agents.promotion.report import Report

REPORT_KEY = "report"
"""XCom under which every operator leaves its report, before it fails as well."""


class VoiceAgentsOperator(ConfidentialArguments, BaseOperator):
    """Base of the operators of every system.

    :param retry_policy: decides whether a failed try is repeated; by default permanent errors are not,
        and what the server asked to wait for waits.
    """

    def __init__(self, *, retry_policy: RetryPolicy | None = None, **kwargs: Any) -> None:
        super().__init__(retry_policy=retry_policy or VoiceAgentsRetryPolicy(), **kwargs)

    def conclude(
        self,
        context: Context,
        report: Report,
        *,
        changes: Mapping[str, Mapping[str, Any]],
        tolerate: bool = False,
    ) -> dict[str, Any]:
        """Leave the report, emit asset events for what changed, and fail if anything went wrong.

        :param context: the task's context.
        :param report: what happened.
        :param changes: asset URI -> facts, for everything that changed.
        :param tolerate: whether items that went wrong leave the task successful.
        :returns: the report's summary.
        :raises ItemsFailed: when an item failed, was skipped or ended unknown.
        """
        from airflow_voice_agents.edge.assets import emit
        from airflow_voice_agents.edge.outcome import failure_of
        from airflow_voice_agents.promotion.render import render_report

        context["ti"].xcom_push(key=REPORT_KEY, value=report.document())
        self.log.info("%s", render_report(report))
        if not report.complete and not tolerate:
            raise failure_of(report)
        emit(context, changes, report.summary())
        return report.summary()


def as_list(value: Any) -> list[Any]:
    """Return one thing as a list of one, and several as a list.

    :param value: a mapping or a text counts as one thing.
    """
    if value is None:
        return []
    return list(value) if isinstance(value, Sequence) and not isinstance(value, str) else [value]
