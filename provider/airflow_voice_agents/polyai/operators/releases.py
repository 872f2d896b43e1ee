"""Operators that release a branch: plan the merge, carry out exactly that plan, and watch live."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Unpack

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
    """Plan the release of a branch by a merge into live, and write nothing.

    The plan says what the branch changes against main as far as the API lists it, whether it is behind or has diverged,
    whether Staging holds another branch, what live runs now, and which tests passed on exactly this state. The task
    returns it: versioned JSON with a digest that covers all of this. XCom ``plan_markdown`` holds it as Markdown, in
    Airflow's database and for everybody who may read XComs: values of variants included, sensitive ones masked, unless
    values are hidden (``show_values``). A plan with errors fails the task; the XCom is there even then.

    Vendor operations: get active deployments, list branches, list attributes, list variants, get test run, list
    deployments.

    :param agent_id: the agent. (templated)
    :param branch: id or name of the branch. (templated)
    :param message: text that is kept with the deployment. (templated)
    :param deployment_model: ``branches``, or ``auto``, which refuses where it cannot conclude it.
    :param tests: which tests must have passed: XCom ``tested`` of :class:`.PolyAIRunTestsOperator`, or a mapping as
        :class:`~airflow_voice_agents.polyai.resources.test_gate.TestGate` has it; ``None`` asks for none. (templated)
    :param allow_diverged: main may have been changed since the branch was made.
    :param allow_staging_held: Staging may hold another branch.
    :param show_values: whether the plan in log and Markdown shows values; ``None`` uses ``[voice_agents]
        show_values``. Sensitive values are masked in any case.
    :param sensitive_keys: selectors of further values that are masked.
    :param state_folder: URL of the folder in which the status page finds what was planned; ``None`` takes
        ``[voice_agents] state_folder``. (templated)
    :param polyai_conn_id: id of a connection of type ``polyai``. (templated)
    :raises InputError: for wrong arguments, before any request.
    :raises GuardRefused: when the branch cannot be released as it is, or a test did not pass on it.
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
    """Carry out the plan of a release exactly, or refuse it: merge the branch, and look until live runs it.

    Everything is read again and held to the plan before the merge. A merge of unknown outcome is never sent again; a
    retry goes on where the try before ended. Conflicts are named, and never settled. A snapshot keeps nothing: what
    live ran before is in its history, and :class:`PolyAIWatchReleaseOperator` goes back to it.

    XComs beside the report: ``deployment_id``, ``version``, ``previous_deployment_id``, ``previous_version``,
    ``test_run_ids``, and ``merged_at``, the time of the new deployment.

    Vendor operations: those of the plan, and merge branch.

    :param plan: what :class:`PolyAIPlanReleaseOperator` returned. (templated)
    :param approved_digest: digest that was approved; a plan of another digest is refused. (templated)
    :param allow_unapproved: a release may go to live without an approved digest.
    :param confirm_live: must be true.
    :param allow_backfill: a backfill run may release.
    :param verify: whether the list of branches is read after a merge that was answered; what live runs is read in any
        case.
    :param polyai_conn_id: id of a connection of type ``polyai``. (templated)
    :raises InputError: for wrong arguments, before any request.
    :raises StateMoved: before the merge, when the branch, main, live or the tests are not as planned.
    :raises GuardRefused: before the merge, when a guard refuses.
    :raises ItemsFailed: when it was not merged, or live does not run it.
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
        """Read again, hold to the plan, merge, look at live and report."""
        from dataclasses import replace

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
    """Watch live after a release, and roll it back when it does not hold.

    As :class:`.PolyAIWatchPromotionOperator`, but for the way back, which is that of the branches model: live returns
    to the deployment that it ran before the merge, and the released version is put on hold. Should live run something
    else by then, nothing is overwritten. The branch stays merged: what is merged next builds on it.

    Vendor operations: those of the checks, get active deployments, list deployments, roll back deployment.

    :param agent_id: the agent. (templated)
    :param version: the released version: XCom ``version`` of the release. (templated)
    :param previous_deployment_id: what live ran before: XCom of that name; empty where it ran nothing, which leaves
        no way back. (templated)
    :param checks: the checks, as for :class:`.PolyAIWatchPromotionOperator`. (templated)
    :param watch_minutes: how long is watched. (templated)
    :param confirm_live: must be true, for the rollback.
    :param polyai_conn_id: id of a connection of type ``polyai``. (templated)
    :raises InputError: for wrong arguments, before any request.
    :raises GuardRefused: before any request, when a rollback would be refused; later, when it is, or when nobody
        answers in time.
    :raises ChecksFailed: after a failed verdict; it says what was rolled back.
    :raises ItemsFailed: when live was not brought back; XCom ``report`` tells why.
    :returns: ``verdict``, ``checks``, ``since``, ``looks`` and ``errors``; ``answer`` where a person decided.
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
