"""What PolyAI's operators share."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

from airflow.sdk import AssetAlias

from airflow_voice_agents.airflow_compat import is_backfill, task_state_store
from airflow_voice_agents.edge.operator import VoiceAgentsOperator
from airflow_voice_agents.polyai.assets import ALIAS

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow.sdk import Context

    from airflow_voice_agents.fleet.run import Run
    from airflow_voice_agents.promotion.guards import Circumstances, Consent

T = TypeVar("T")


class PolyAIOperator(VoiceAgentsOperator):
    """Base of the PolyAI operators.

    :param polyai_conn_id: id of a connection of type ``polyai``.
    :param confirm_live: must be true for a run that writes into live.
    :param allow_backfill: a backfill run may write into live.
    :param concurrency: most targets in flight; the connection's ``max_concurrency`` bounds requests.
    """

    ui_color: str = "#e8e4ff"

    def __init__(
        self,
        *,
        polyai_conn_id: str = "polyai_default",
        confirm_live: bool = False,
        allow_backfill: bool = False,
        concurrency: int = 4,
        outlets: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(outlets=[*(outlets or []), AssetAlias(ALIAS)], **kwargs)
        self.polyai_conn_id = polyai_conn_id
        self.confirm_live = confirm_live
        self.allow_backfill = allow_backfill
        self.concurrency = concurrency

    def work(self, context: Context, job: Callable[[Run], Coroutine[Any, Any, T]]) -> T:
        """Carry out a job with one pooled client.

        :param context: the task's context.
        :param job: takes the run and returns the work to await.
        """
        from airflow_voice_agents.fleet.run import Run
        from airflow_voice_agents.polyai.hooks import PolyAIHook

        with PolyAIHook(self.polyai_conn_id) as hook:
            run = Run(
                send=hook.asend,
                say=self.say,
                circumstances=self.circumstances(context),
                concurrency=self.concurrency,
                memory=task_state_store(context),
            )
            return hook.run(job(run))

    def consent(self) -> Consent:
        """Return what the DAG's author agreed to."""
        from airflow_voice_agents.promotion.guards import Consent

        return Consent(confirm_live=self.confirm_live, allow_backfill=self.allow_backfill)

    def circumstances(self, context: Context) -> Circumstances:
        """Return what the guards judge by.

        :param context: the task's context.
        """
        from airflow_voice_agents.promotion.guards import Circumstances

        return Circumstances(consent=self.consent(), backfill=is_backfill(context))

    def say(self, text: str) -> None:
        """Log lines for people."""
        self.log.info("%s", text)
