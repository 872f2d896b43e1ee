"""What every operator does at the Airflow edge: retry policy, report, asset events."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from airflow.sdk import AssetAlias, BaseOperator

from airflow_voice_agents.airflow_compat import is_backfill, task_state
from airflow_voice_agents.bases.masked_arguments import MaskedArguments
from airflow_voice_agents.bases.retry_policy import VoiceAgentsRetryPolicy

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_voice_agents.airflow_compat import RetryPolicy
    from airflow_voice_agents.bases.hook import VoiceAgentsHook
    from airflow_voice_agents.engine.run_context import RunContext
    from airflow_voice_agents.plans.guards import GuardContext, Overrides
    from airflow_voice_agents.plans.report import Report

T = TypeVar("T")

REPORT_KEY = "report"
"""XCom under which every operator leaves its report, before it fails as well."""


class VoiceAgentsOperator(MaskedArguments, BaseOperator):
    """Base of the operators of every system.

    :param retry_policy: decides whether a failed try is repeated; by default permanent errors are not,
        and what the server asked to wait for waits.
    :param outlets: further outlets; the system's asset alias is always one.
    :param confirm_live: must be true for a run that writes into live.
    :param allow_backfill: a backfill run may write into live.
    :param concurrency: most targets in flight; the connection's ``max_concurrency`` bounds requests.
    """

    asset_alias: ClassVar[str]
    """Alias through which the operators of a system emit what they changed."""

    def __init__(
        self,
        *,
        retry_policy: RetryPolicy | None = None,
        outlets: Any = None,
        confirm_live: bool = False,
        allow_backfill: bool = False,
        concurrency: int = 4,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            retry_policy=retry_policy or VoiceAgentsRetryPolicy(),
            outlets=_with_alias(as_list(outlets), self.asset_alias),
            **kwargs,
        )
        self.confirm_live = confirm_live
        self.allow_backfill = allow_backfill
        self.concurrency = concurrency

    @abstractmethod
    def hook(self) -> VoiceAgentsHook:
        """Return a hook for the operator's connection."""

    def work(
        self,
        context: Context,
        job: Callable[[RunContext], Coroutine[Any, Any, T]],
        hook: VoiceAgentsHook | None = None,
    ) -> T:
        """Carry out a job with one pooled client.

        :param context: the task's context.
        :param job: takes the run and returns the work to await.
        :param hook: the hook that the job was made with, where it had to ask for the connection's fields.
        """
        from airflow_voice_agents.engine.run_context import RunContext

        with hook or self.hook() as opened:
            run = RunContext(
                send=opened.asend,
                say=self.say,
                guard_context=self.guard_context(context),
                concurrency=self.concurrency,
                memory=task_state(context),
                redact=opened.client.redact,
            )
            return opened.run(job(run))

    def consent(self) -> Overrides:
        """Return what the DAG's author agreed to."""
        from airflow_voice_agents.plans.guards import Overrides

        return Overrides(confirm_live=self.confirm_live, allow_backfill=self.allow_backfill)

    def guard_context(self, context: Context) -> GuardContext:
        """Return what the guards judge by.

        :param context: the task's context.
        """
        from airflow_voice_agents.plans.guards import GuardContext

        return GuardContext(consent=self.consent(), backfill=is_backfill(context))

    def say(self, text: str) -> None:
        """Log lines for people.

        :param text: one or more lines.
        """
        self.log.info("%s", text)

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
        from airflow_voice_agents.bases.assets import emit
        from airflow_voice_agents.bases.errors import failure_of
        from airflow_voice_agents.plans.render import render_report

        context["ti"].xcom_push(key=REPORT_KEY, value=report.document())
        self.log.info("%s", render_report(report))
        if not report.complete and not tolerate:
            raise failure_of(report)
        emit(context, changes, report.summary())
        return report.summary()


def _with_alias(outlets: list[Any], name: str) -> list[Any]:
    alias = AssetAlias(name)
    return outlets if alias in outlets else [*outlets, alias]


def as_list(value: Any) -> list[Any]:
    """Return one thing as a list of one, and several as a list.

    :param value: a mapping or a text counts as one thing.
    """
    if value is None:
        return []
    return list(value) if isinstance(value, Sequence) and not isinstance(value, str) else [value]
