"""A notifier that sends the result of a promotion through other Airflow notifiers."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import msgspec
from airflow.sdk import BaseNotifier

if TYPE_CHECKING:
    from airflow.sdk import Context

VERDICT_KEY, REPORT_KEY = "verdict", "report"
"""XComs that a message is made of."""


class PromotionMessage(msgspec.Struct, frozen=True):
    """A message about a promotion.

    :param subject: the subject, in one line.
    :param text: verdict and report as plain text, without markup of chat or mail programs.
    :param markdown: verdict and report as Markdown.
    """

    subject: str
    text: str
    markdown: str


class PolyAIPromotionNotifier(BaseNotifier):
    """Render the verdict and the report of a promotion, and pass them to other notifiers.

    Use it wherever Airflow accepts a notifier: ``on_failure_callback``, ``on_success_callback``, and
    ``notifiers`` of :class:`.PolyAIWatchPromotionOperator`. The templates of the other notifiers can use
    ``promotion_subject``, ``promotion_text`` and ``promotion_markdown``:

    .. code-block:: python

        from airflow.providers.slack.notifications.slack_webhook import SlackWebhookNotifier

        from airflow_voice_agents.polyai.notifications import PolyAIPromotionNotifier

        PolyAIPromotionNotifier(notifiers=[SlackWebhookNotifier(text="{{ promotion_text }}")])

    :param notifiers: notifiers of any provider.
    :param send: callable that takes a :class:`PromotionMessage`, for a channel without a notifier.
    :param task_id: task whose verdict and report are sent; ``None`` uses the task that notifies.
    """

    def __init__(
        self,
        *,
        notifiers: Sequence[BaseNotifier] | BaseNotifier = (),
        send: Callable[[PromotionMessage], Any] | None = None,
        task_id: str | None = None,
    ) -> None:
        super().__init__()
        self.notifiers = notifiers
        self.send = send
        self.task_id = task_id

    def notify(self, context: Context) -> None:
        """Render and send the message.

        :param context: the task's context.
        """
        message = self.message(context)
        for notifier in self._others():
            notifier(_with(context, message))
        if self.send is not None:
            self.send(message)

    async def async_notify(self, context: Context) -> None:
        """Render and send the message from async code.

        :param context: the context, as far as there is one.
        """
        message = self.message(context)
        for notifier in self._others():
            notifier.context = _with(context, message)
            await notifier
        if self.send is not None:
            self.send(message)

    def message(self, context: Context) -> PromotionMessage:
        """Return the message.

        :param context: the task's context; without a task instance there is only its absence to tell.
        """
        from airflow_voice_agents.plans.checks_text import verdict_markdown, verdict_text
        from airflow_voice_agents.plans.markdown import prose
        from airflow_voice_agents.plans.report_text import report_markdown, report_text
        from airflow_voice_agents.transport.text import unmarked

        verdict, report = self._left(context, VERDICT_KEY), self._left(context, REPORT_KEY)
        texts = [*([verdict_text(verdict)] if verdict else []), *([report_text(report)] if report else [])]
        marked = [
            *([verdict_markdown(verdict)] if verdict else []),
            *([report_markdown(report)] if report else []),
        ]
        failure = _failure(context)
        if failure:
            texts.insert(0, unmarked(failure))
            marked.insert(0, f"**{prose(failure)}**")
        nothing = "The task left neither a verdict nor a report."
        log_url = getattr(context.get("ti"), "log_url", None)
        log = [f"Log: {log_url}"] if log_url else []
        return PromotionMessage(
            subject=_subject(context, verdict, report, failure),
            text="\n\n".join([*(texts or [nothing]), *log]),
            markdown="\n\n".join([*(marked or [nothing]), *log]),
        )

    def _left(self, context: Context, key: str) -> dict[str, Any] | None:
        ti = context.get("ti")
        if ti is None:
            return None
        if self.task_id in (None, ti.task_id):
            found = ti.xcom_pull(task_ids=ti.task_id, key=key, map_indexes=ti.map_index)
        else:
            found = ti.xcom_pull(task_ids=self.task_id, key=key)
        return found if isinstance(found, dict) else None

    def _others(self) -> list[BaseNotifier]:
        """Copies of the notifiers: rendering writes into them, and they may be needed again."""
        given = [self.notifiers] if isinstance(self.notifiers, BaseNotifier) else self.notifiers
        return [copy.copy(each) for each in given]


def _with(context: Context, message: PromotionMessage) -> Any:
    own = {
        "promotion_subject": message.subject,
        "promotion_text": message.text,
        "promotion_markdown": message.markdown,
    }
    return {**context, **own}


def _failure(context: Context) -> str:
    """Return why the task failed, where Airflow says so: this provider's errors in full, others by class."""
    from airflow_voice_agents.transport.errors import VoiceAgentsError
    from airflow_voice_agents.transport.text import visible

    error = context.get("exception")
    if isinstance(error, VoiceAgentsError):
        return f"Failed: {visible(str(error))}"
    if isinstance(error, BaseException):
        return f"Failed: {type(error).__name__}; the log has the details."
    return ""


def _subject(context: Context, verdict: Any, report: Any, failure: str) -> str:
    from airflow_voice_agents.transport.text import unmarked

    ti = context.get("ti")
    where = f"{ti.dag_id}.{ti.task_id}" if ti is not None else "promotion"
    outcome = [
        *([f"verdict {verdict.get('verdict')}"] if verdict else []),
        *([f"{report.get('operation')}: {_changed(report)}"] if report else []),
    ]
    return unmarked(f"{where}: {', '.join(outcome) or ('failed' if failure else 'no report')}")


def _changed(report: Any) -> str:
    counts = report.get("counts") or {}
    trouble = sum(int(counts.get(word) or 0) for word in ("failed", "unknown", "skipped"))
    return f"{counts.get('changed', 0)} changed, {trouble} not as asked for"
