"""The approval of a plan by a person, bound to the digest of the plan that was shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.providers.standard.exceptions import HITLRejectException
from airflow.providers.standard.operators.hitl import ApprovalOperator

from airflow_voice_agents.bases.retry_policy import PolicyRetries, VoiceAgentsRetryPolicy

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_voice_agents.airflow_compat import RetryPolicy
    from airflow_voice_agents.bases.types import FailureLimitArgument
    from airflow_voice_agents.plans.document import PlanDocument

SHOWN_KEY = "shown_digest"
"""XCom under which the digest of the plan lies that is being asked about."""

DIGITS = 12
NAMED = 3


class PromotionApprovalOperator(PolicyRetries, ApprovalOperator):
    """Ask a person to approve a plan; the task waits without a worker slot.

    The task returns the approved digest: pass it to the task that applies the plan, which refuses any other
    plan. The operator stores the digest that it shows; if the plan has changed by the time of the answer, the
    task fails. A rejection and a missing answer fail the task as well, without retries. A plan without
    changes is approved without a question.

    The operator also accepts these arguments of Airflow's ``ApprovalOperator``: ``assigned_users``,
    ``notifiers``, ``params``. It does not accept ``options``, ``multiple`` and ``defaults``, so that a
    timeout cannot approve.

    :param plan: result of the planning task. (templated)
    :param body: the plan as Markdown, from the XCom ``plan_markdown`` of the same task. Its content is not
        rendered as a template. (templated)
    :param waves: waves of the apply task, shown with the question.
    :param max_failures: failure limit of the apply task, shown with the question.
    :param take_snapshot: whether the apply task saves a snapshot, shown with the question.
    :param state_folder: URL of the folder that the status page reads; ``None`` uses ``[voice_agents] state_folder``.
        (templated)
    :param response_timeout: time limit (timedelta) for the answer; ``None`` sets no limit.
    :param fail_on_reject: fail the task after a rejection; if false, downstream tasks are skipped instead.
    :param retry_policy: policy that decides whether a failed try is retried.
    :raises InputError: if there is no plan, or a plan that cannot be applied.
    :raises GuardRefused: if the plan is rejected, or nobody answers in time.
    :raises StateMoved: if the plan is not the one that was shown.
    :returns: the approved digest.
    """

    template_fields: Sequence[str] = ("plan", "body", "state_folder")
    template_fields_renderers: ClassVar[dict[str, str]] = {"plan": "json", "body": "md"}
    FIXED_ARGS = [*ApprovalOperator.FIXED_ARGS, "defaults"]  # noqa: RUF012  as Airflow declares it

    def __init__(
        self,
        *,
        plan: Mapping[str, Any] | str,
        body: str,
        waves: Sequence[int | str] | None = None,
        max_failures: FailureLimitArgument = 0,
        take_snapshot: bool = True,
        state_folder: str | None = None,
        fail_on_reject: bool = True,
        retry_policy: RetryPolicy | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            subject="Promotion",
            body=body,
            fail_on_reject=fail_on_reject,
            retry_policy=retry_policy or VoiceAgentsRetryPolicy(),
            **kwargs,
        )
        self.plan = plan
        self.waves = waves
        self.max_failures = max_failures
        self.take_snapshot = take_snapshot
        self.state_folder = state_folder

    def execute(self, context: Context) -> str:
        """Note what is shown, and ask; or approve what changes nothing."""
        from airflow_voice_agents.transport.errors import StateMoved

        document = self._document()
        if document.digest not in str(self.body):
            raise StateMoved(
                f"The text to approve is not of the plan {document.digest[:DIGITS]}; it is another try's. Nothing "
                "was written. Clear the planning task with what follows it."
            )
        self.subject = headline(document)
        if document.empty:
            self.log.info("Nothing to approve: %s", self.subject)
            return document.digest
        self.body = "\n\n".join(filter(None, [self._summary(document), str(self.body)]))
        context["ti"].xcom_push(key=SHOWN_KEY, value=document.digest)
        self._note(context, "waiting")
        return str(super().execute(context))

    def execute_complete(self, context: Context, event: dict[str, Any]) -> str | None:
        """Process the answer, and compare the plan with the one that was shown.

        :param context: the task's context.
        :param event: the answer, as Airflow hands it on.
        """
        from airflow_voice_agents.transport.errors import GuardRefused

        try:
            answer = super().execute_complete(context, event)
        except HITLRejectException:
            self._note(context, "rejected")
            raise GuardRefused(f"The plan was rejected by {_who(event)}. Nothing was written.") from None
        if answer["chosen_options"] != [self.APPROVE]:
            self._note(context, "rejected")
            return None
        digest = self._as_shown(context)
        self._note(context, "approved")
        self.log.info("%s: approved by %s", digest[:DIGITS], _who(event))
        return digest

    def process_trigger_event_error(self, event: dict[str, Any]) -> None:
        """Fail without retries: a missing answer does not approve.

        :param event: what ended the waiting.
        :raises GuardRefused: always.
        """
        from airflow_voice_agents.transport.errors import GuardRefused

        ended = (
            "Nobody answered in time" if event["error_type"] == "timeout" else "The question was not answered"
        )
        raise GuardRefused(
            f"{ended}, and the plan is not approved. Nothing was written. Clear this task to ask again."
        )

    def _as_shown(self, context: Context) -> str:
        """Return the plan's digest, if it is the one that was shown."""
        from airflow_voice_agents.transport.errors import StateMoved

        ti, digest = context["ti"], self._document().digest
        shown = ti.xcom_pull(task_ids=ti.task_id, key=SHOWN_KEY, map_indexes=ti.map_index)
        if shown != digest:
            raise StateMoved(
                f"What was shown is the plan {str(shown)[:DIGITS]}, but the plan is {digest[:DIGITS]} by now, which "
                "nobody approved. Nothing was written. Clear this task to ask about the new one."
            )
        return digest

    def _summary(self, document: PlanDocument) -> str:
        """Return the table above the plan: from, to, who is affected, order, undo, until when."""
        from airflow_voice_agents.plans.summary import PlanSummary, rollout_rows

        summary = PlanSummary.read(document.summary)
        if summary is None:
            return ""
        rows = rollout_rows(summary, self.waves, self.max_failures, self.take_snapshot)
        if self.response_timeout:
            until = datetime.now(UTC) + self.response_timeout
            rows.append(("Answer until", f"{until:%d %b %Y %H:%M} UTC; after that the plan is not approved"))
        return summary.markdown(rows)

    def _note(self, context: Context, state: str) -> None:
        """Tell the status page that a person is asked, or has answered."""
        from airflow_voice_agents.state.status import StatusRecorder

        document = self._document()
        until = None if self.response_timeout is None else datetime.now(UTC) + self.response_timeout
        recorder = StatusRecorder.of(
            context["ti"], self.state_folder or None, lambda text: self.log.info("%s", text)
        )
        recorder.approval(state, document.digest, until)

    def _document(self) -> PlanDocument:
        from airflow_voice_agents.bases.template_inputs import from_json
        from airflow_voice_agents.state.plan_files import open_plan

        return open_plan(from_json(self.plan, name="plan"))


def headline(document: PlanDocument) -> str:
    """Return a one-line summary of a plan, with the most important facts first.

    :param document: the plan.
    """
    from airflow_voice_agents.plans.render import visible
    from airflow_voice_agents.plans.summary import PlanSummary

    summary = PlanSummary.read(document.summary)
    if summary is not None:
        return visible(summary.subject)
    counts = document.counts
    owners = list(dict.fromkeys(resource.owner for resource in document.pins))
    more = f" and {len(owners) - NAMED} more" if len(owners) > NAMED else ""
    return visible(
        f"{', '.join(owners[:NAMED])}{more}: {document.operation}, {counts['to_change']} of {counts['targets']} "
        f"resource(s) to change with {counts['writes']} request(s)"
    )


def _who(event: Mapping[str, Any]) -> str:
    """Return the name of the person who answered."""
    from airflow_voice_agents.plans.render import visible

    user = event.get("responded_by_user") or {}
    return visible(str(user.get("name") or user.get("id") or "somebody"))
