"""Operators that release a branch: plan the merge, apply exactly that plan, and watch live."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Unpack

from msgspec.structs import replace

from airflow_voice_agents.polyai.operators.base import PROMOTION_LINKS, PolyAIOperator, PolyAIWritingOperator
from airflow_voice_agents.polyai.operators.promotion import MARKDOWN_KEY
from airflow_voice_agents.polyai.operators.verification import PolyAIWatchPromotionOperator

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_voice_agents.bases.types import Templated, TemplatedText
    from airflow_voice_agents.polyai.types import (
        DeploymentModelName,
        PolyAIArguments,
        PolyAIWritingArguments,
        ReleaseWatchArguments,
        TestGateArgument,
    )


class PolyAIPlanReleaseOperator(PolyAIOperator):
    """Plan the release of a branch by a merge into live, without a write.

    The plan shows what the branch changes against main (as far as the API lists it), whether it is behind or
    has diverged, whether Staging holds another branch, what live runs now, and which tests passed on exactly
    this state. The task returns versioned JSON with a digest of all of this. The XCom ``plan_markdown`` is
    the plan as Markdown. It contains values of variants with sensitive ones masked, unless ``show_values`` is
    off, and anyone who can read XComs can read it. A plan with errors fails the task after it pushed the
    XCom.

    Vendor operations: get active deployments, list branches, list attributes, list variants, list topics, get
    behavior, get test run, list deployments.

    :param agent_id: the agent. (templated)
    :param branch: id or name of the branch. (templated)
    :param message: message of the deployment. (templated)
    :param deployment_model: ``branches``, or ``auto``, which refuses if it reaches no conclusion.
    :param tests: tests that must have passed: XCom ``tested`` of :class:`.PolyAIRunTestsOperator`, or a
        mapping, see :class:`~airflow_voice_agents.polyai.resources.test_gate.TestGate`; ``None`` requires
        none. (templated)
    :param allow_diverged: allow a merge although main was changed since the branch was created.
    :param allow_staging_held: allow a merge although Staging holds another branch.
    :param show_values: show values in the logged plan and in ``plan_markdown``; ``None`` uses
        ``[voice_agents] show_values``. Sensitive values are always masked.
    :param sensitive_keys: selectors of additional values to mask.
    :param state_folder: URL of the folder for the record that the status page reads; ``None`` uses
        ``[voice_agents] state_folder``. (templated)
    :param polyai_conn_id: id of a connection of type ``polyai``. (templated)
    :raises InputError: for invalid arguments, before any request.
    :raises GuardRefused: if the branch cannot be released, or a test did not pass on it.
    :returns: the plan.
    """

    template_fields: Sequence[str] = (
        *("polyai_conn_id", "agent_id", "branch", "message", "tests"),
        "state_folder",
    )
    may_be_empty = (*PolyAIOperator.may_be_empty, "test_run_ids")
    template_fields_renderers: ClassVar[dict[str, str]] = {"tests": "json"}
    operator_extra_links = PROMOTION_LINKS

    def __init__(
        self,
        *,
        agent_id: str,
        branch: str,
        message: str = "",
        deployment_model: DeploymentModelName = "branches",
        tests: TestGateArgument | Templated | None = None,
        allow_diverged: bool = False,
        allow_staging_held: bool = False,
        show_values: bool | None = None,
        sensitive_keys: Sequence[str] = (),
        state_folder: str | None = None,
        **kwargs: Unpack[PolyAIArguments],
    ) -> None:
        super().__init__(**kwargs)
        self.agent_id = agent_id
        self.branch = branch
        self.message = message
        self.deployment_model = deployment_model
        self.tests = tests
        self.allow_diverged = allow_diverged
        self.allow_staging_held = allow_staging_held
        self.show_values = show_values
        self.sensitive_keys = sensitive_keys
        self.state_folder = state_folder

    def execute(self, context: Context) -> dict[str, Any]:
        """Read, compare, check, render, and return the plan."""
        from airflow_voice_agents.bases.display import display
        from airflow_voice_agents.engine import apply as engine
        from airflow_voice_agents.engine.policy import Policy, Protections
        from airflow_voice_agents.plans.document import save
        from airflow_voice_agents.plans.markdown import render_plan_markdown
        from airflow_voice_agents.polyai.actions.promotion import refuse_errors
        from airflow_voice_agents.polyai.actions.promotion_summary import summarize_release
        from airflow_voice_agents.polyai.actions.release import parse_release
        from airflow_voice_agents.state.status import StatusRecorder

        action = parse_release(
            self.agent_id,
            self.branch,
            message=self.message,
            deployment_model=self.deployment_model,
            tests=self.argument("tests"),
            allow_diverged=self.allow_diverged,
            allow_staging_held=self.allow_staging_held,
        )
        self.leave_links(context, [action.agent_id])
        policy = Policy(display=display(self.show_values, self.sensitive_keys))
        recorder = StatusRecorder.of(context["ti"], self.state_folder or None, self.write_log)
        protections = Protections(observer=recorder)
        plan, _ = self.work(context, lambda run: engine.plan(run, action, policy, protections))
        context["ti"].xcom_push(key=MARKDOWN_KEY, value=render_plan_markdown(plan, policy.display))
        refuse_errors(plan)
        return save(
            plan, action.request(), summary=summarize_release(action.agent_id, self.branch, plan).document()
        )


class PolyAIReleaseBranchOperator(PolyAIWritingOperator):
    """Apply exactly the plan of a release, or refuse it: merge the branch, and wait until live runs it.

    The operator reads everything again and compares it with the plan before the merge. It never sends a merge
    with an unknown outcome again; a retry continues where the previous try ended. It reports conflicts and
    never resolves them. It saves no snapshot: the previous deployment is in live's history, and
    :class:`PolyAIWatchReleaseOperator` rolls back to it.

    XComs in addition to ``report``: ``deployment_id``, ``version``, ``previous_deployment_id``,
    ``previous_version``, ``test_run_ids``, and ``merged_at``, the time of the new deployment.

    Vendor operations: those of the plan, and merge branch.

    :param plan: result of :class:`PolyAIPlanReleaseOperator`. (templated)
    :param approved_digest: the approved digest; any other plan is refused. (templated)
    :param allow_unapproved: allow a release without an approved digest.
    :param confirm_live: must be true.
    :param allow_backfill: allow a backfill run to release numbers.
    :param verify: read the list of branches after a confirmed merge; the active deployment of live is always
        read.
    :param polyai_conn_id: id of a connection of type ``polyai``. (templated)
    :raises InputError: for invalid arguments, before any request.
    :raises StateMoved: if the branch, main, live or the tests are not as planned, before the merge.
    :raises GuardRefused: if a guard refuses, before the merge.
    :raises ItemsFailed: if the branch was not merged, or live does not run it.
    :returns: ``operation``, ``dry_run``, ``changed``, ``counts`` and ``plan_digest``.
    """

    template_fields: Sequence[str] = (*PolyAIWritingOperator.template_fields, "plan", "approved_digest")
    may_be_empty = (
        *PolyAIWritingOperator.may_be_empty,
        "approved_digest",
    )  # which is then refused as not approved
    template_fields_renderers: ClassVar[dict[str, str]] = {"plan": "json"}
    operator_extra_links = PROMOTION_LINKS

    def __init__(
        self,
        *,
        plan: Mapping[str, Any] | Templated,
        approved_digest: str | None = None,
        allow_unapproved: bool = False,
        **kwargs: Unpack[PolyAIWritingArguments],
    ) -> None:
        super().__init__(**kwargs)
        self.plan = plan
        self.approved_digest = approved_digest
        self.allow_unapproved = allow_unapproved

    def execute(self, context: Context) -> dict[str, Any]:
        """Read again, compare with the plan, merge, read live and report."""
        from airflow_voice_agents.plans.document import PlanDocument
        from airflow_voice_agents.plans.report import Status
        from airflow_voice_agents.polyai.actions.release import release_of
        from airflow_voice_agents.polyai.assets import deployment_uri
        from airflow_voice_agents.transport.errors import GuardRefused

        document = PlanDocument.read(self.argument("plan"))
        if self.approved_digest and self.approved_digest != document.digest:
            raise GuardRefused(
                f"What was approved ({self.approved_digest[:12]}) is not this plan ({document.digest[:12]}). "
                "Nothing was written. Have this plan approved."
            )

        def push(facts: Mapping[str, Any]) -> None:
            for key, value in facts.items():
                context["ti"].xcom_push(key=key, value=value)

        action = release_of(
            document.request,
            approved=bool(self.approved_digest),
            allow_unapproved=self.allow_unapproved,
            on_facts=push,
        )
        self.leave_links(context, [action.agent_id])
        report = self.apply(context, action, policy=replace(self.policy(), document=document))
        changed = [] if report.dry_run else report.having(Status.CHANGED)
        names = ("version", "deployment_id", "previous_version")
        facts = {name: each.details[name] for each in changed for name in names if name in each.details}
        uri = deployment_uri(action.agent_id, action.environment)
        return self.finish(context, report, changes={uri: facts} if changed else {})


class PolyAIWatchReleaseOperator(PolyAIWatchPromotionOperator):
    """Watch live after a release, and roll it back if a check fails.

    It works like :class:`.PolyAIWatchPromotionOperator`, with the rollback of the branches model: live
    returns to the deployment that it ran before the merge, and the released version is put on hold. If live
    runs something else by then, nothing is overwritten. The branch stays merged, so the next merge builds on
    it.

    Vendor operations: those of the checks, get active deployments, list deployments, roll back deployment.

    :param agent_id: the agent. (templated)
    :param version: the released version: XCom ``version`` of the release. (templated)
    :param previous_deployment_id: the previous deployment of live: XCom of that name; if empty, there is no
        rollback. (templated)
    :param checks: the checks, as for :class:`.PolyAIWatchPromotionOperator`. (templated)
    :param watch_minutes: minutes to watch. (templated)
    :param confirm_live: must be true, for the rollback.
    :param polyai_conn_id: id of a connection of type ``polyai``. (templated)
    :raises InputError: for invalid arguments, before any request.
    :raises GuardRefused: if a rollback would be refused, before any request; later, if it is refused, or if
        nobody answers in time.
    :raises ChecksFailed: after a failed verdict; the message says what was rolled back.
    :raises ItemsFailed: if live was not rolled back; the XCom ``report`` gives the reason.
    :returns: ``verdict``, ``checks``, ``since``, ``looks`` and ``errors``; ``answer`` if a person decided.
    """

    template_fields: Sequence[str] = (
        *PolyAIWatchPromotionOperator.template_fields,
        "agent_id",
        "version",
        "previous_deployment_id",
    )
    may_be_empty = (*PolyAIWatchPromotionOperator.may_be_empty, "previous_deployment_id")

    def __init__(
        self,
        *,
        agent_id: str,
        version: TemplatedText,
        previous_deployment_id: TemplatedText | None,
        **kwargs: Unpack[ReleaseWatchArguments],
    ) -> None:
        super().__init__(**kwargs)
        self.agent_id = agent_id
        self.version = version
        self.previous_deployment_id = previous_deployment_id

    def rollback(self) -> Any:
        """Return the way back to what live ran, or ``None`` where it ran nothing."""
        from airflow_voice_agents.polyai.actions.deployments import parse_rollback

        if self.previous_deployment_id in (None, "", "None"):
            return None
        return parse_rollback(
            self.agent_id,
            "live",
            self.previous_deployment_id,
            expected_target_version=self.version,
            deployment_model="branches",
        )
