"""Operators for deployments: publish, promote, roll back, merge."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Unpack

from airflow_voice_agents.polyai.operators.base import PROMOTION_LINKS, PolyAIWritingOperator

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_voice_agents.bases.protections import ProtectionSettings
    from airflow_voice_agents.bases.types import Templated
    from airflow_voice_agents.plans.guards import Overrides
    from airflow_voice_agents.polyai.actions.deployments import DeployingAction
    from airflow_voice_agents.polyai.types import (
        DeploymentArguments,
        DeploymentModelName,
        DeploymentRollbackArguments,
        EnvironmentName,
        MergeArguments,
        TestGateArgument,
    )


class _DeploymentOperator(PolyAIWritingOperator):
    """Base of all four operators.

    :param agent_id: the agent.
    :param message: text that is kept with the new deployment.
    :param deployment_model: how the project's content reaches its environments.
    """

    template_fields: Sequence[str] = (*PolyAIWritingOperator.template_fields, "agent_id", "message")
    operator_extra_links = PROMOTION_LINKS

    def __init__(
        self,
        *,
        agent_id: str,
        message: str = "",
        deployment_model: DeploymentModelName | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.agent_id = agent_id
        self.message = message
        self.deployment_model = deployment_model

    def check_arguments(self) -> None:
        """Check the arguments, and warn of a deprecated spelling of one of them."""
        super().check_arguments()
        if self.deployment_model == "simplified":
            warn_of_simplified()

    def deploy(
        self, context: Context, action: DeployingAction, sources: Sequence[str] = ()
    ) -> dict[str, Any]:
        """Carry an action out and leave its report.

        :param context: the task's context.
        :param action: the action.
        :param sources: asset URIs of what is taken.
        """
        from airflow_voice_agents.plans.report import Status
        from airflow_voice_agents.polyai.assets import deployment_uri

        self.leave_links(context, [action.agent_id])
        report = self.apply(context, action)
        changed = [] if report.dry_run else report.having(Status.CHANGED)
        facts = {
            name: item.details[name]
            for item in changed
            for name in ("version", "deployment_id", "previous_version")
            if name in item.details
        }
        reached = next(
            (item.details["environment"] for item in changed if "environment" in item.details), None
        )
        uri = deployment_uri(action.agent_id, reached or action.environment)
        return self.finish(context, report, changes={uri: facts} if changed else {}, sources=sources)

    def publisher(self, context: Context) -> Callable[[Mapping[str, Any]], None]:
        """Return a function that makes XComs of the ids of a deployment at once.

        :param context: the task's context.
        """

        def push(facts: Mapping[str, Any]) -> None:
            for key, value in facts.items():
                context["ti"].xcom_push(key=key, value=value)

        return push


class PolyAIPublishOperator(_DeploymentOperator):
    """Publish what is on ``main`` to sandbox, unless it is published already.

    A publication of unknown outcome is read back and never sent again. A snapshot keeps nothing: what ran before
    is in the environment's history, where :class:`PolyAIRollbackDeploymentOperator` finds it. Test runs that the
    platform starts go on after the task; their ids are left as an XCom.

    XComs beside the report: ``deployment_id``, ``version``, ``previous_version``, ``test_run_ids``.

    Vendor operations: get active deployments, publish deployment.

    :param agent_id: the agent. (templated)
    :param environment: only ``sandbox`` is taken; other environments get content by promotion. (templated)
    :param message: text that is kept with the deployment. (templated)
    :param nothing_new: what it is when there is nothing new to publish: ``unchanged``, or a ``fail``.
    :param deployment_model: ``ladder``; ``branches`` for a project in which merging a branch goes straight to
        live: nothing is published there (deprecated spelling: ``simplified``); or ``auto``, which concludes
        it from the deployments that the platform lists and says from which, or refuses. ``None`` assumes the
        ladder, and says so.
    :param verify: whether an independent read follows.
    :param polyai_conn_id: id of a connection of type ``polyai``. (templated)
    :raises InputError: for wrong arguments, before any request.
    :raises GuardRefused: when a guard refuses, before any request.
    :raises ItemsFailed: when it was not published, or something else runs afterwards.
    :returns: ``operation``, ``dry_run``, ``changed``, ``counts`` and ``plan_digest``.
    """

    template_fields: Sequence[str] = (*_DeploymentOperator.template_fields, "environment")

    def __init__(
        self,
        *,
        environment: EnvironmentName = "sandbox",
        nothing_new: Literal["unchanged", "fail"] = "unchanged",
        **kwargs: Unpack[DeploymentArguments],
    ) -> None:
        super().__init__(**kwargs)
        self.environment = environment
        self.nothing_new = nothing_new

    def execute(self, context: Context) -> dict[str, Any]:
        """Publish, look at what runs then, and report."""
        from airflow_voice_agents.polyai.actions.publishing import parse_publish

        action = parse_publish(
            self.agent_id,
            environment=self.environment,
            message=self.message,
            nothing_new=self.nothing_new,
            deployment_model=self.deployment_model,
            on_facts=self.publisher(context),
        )
        return self.deploy(context, action)


class PolyAIPromoteDeploymentOperator(_DeploymentOperator):
    """Let a later environment of an agent run the version that an earlier one runs.

    The platform adds a record for every promotion, also of a version that is there already; this operator
    sends none then, and none again after an unknown outcome. By default a version is
    not replaced by an older one, nor by one whose age the sandbox's history does not tell.

    XComs beside the report: ``deployment_id``, ``version``, ``previous_version``, ``test_run_ids``.

    Vendor operations: get active deployments, list deployments, promote deployment.

    :param agent_id: the agent. (templated)
    :param source_environment: environment whose version is taken. (templated)
    :param target_environment: later environment that will run it. (templated)
    :param expected_version: version that the source must run: that of the run that tested it. ``None`` takes
        whatever runs there now. (templated)
    :param expected_target_version: version that the target must run before; ``None`` takes any. (templated)
    :param allow_downgrade: an older version, or one whose age is not known, may replace what the target runs.
    :param deployment_model: ``ladder``; ``branches`` for a project in which merging a branch goes straight to
        live: nothing is promoted there (deprecated spelling: ``simplified``); or ``auto``, which concludes
        it from the deployments that the platform lists and says from which, or refuses. ``None`` assumes the
        ladder, and says so.
    :param message: text that is kept with the deployment. (templated)
    :param tests: tests that must have passed on exactly the version that is promoted, as
        :class:`~airflow_voice_agents.polyai.resources.test_gate.TestGate` has it: ``test_run_ids``, ``version`` and, if
        wanted, ``after``; ``None`` asks for none. (templated)
    :param dry_run: plan only; nothing is written, and live needs no confirmation.
    :param expected_digest: digest that the plan must have (``plan_digest`` of a dry run); a retry goes on
        with the same plan. ``None`` takes any plan. (templated)
    :param confirm_live: must be true for a promotion to live.
    :param allow_skip_pre_release: sandbox may go to live directly.
    :param allow_backfill: a backfill run may promote to live.
    :param verify: whether an independent read follows the write.
    :param polyai_conn_id: id of a connection of type ``polyai``. (templated)
    :raises InputError: for wrong arguments, before any request.
    :raises GuardRefused: when a guard or the plan refuses, before any write.
    :raises StateMoved: when the plan is not the one expected.
    :raises ItemsFailed: when the target does not run what the plan says.
    :returns: ``operation``, ``dry_run``, ``changed``, ``counts`` and ``plan_digest``.
    """

    template_fields: Sequence[str] = (
        *_DeploymentOperator.template_fields,
        "source_environment",
        "target_environment",
        "expected_version",
        "expected_target_version",
        "tests",
    )
    template_fields_renderers: ClassVar[dict[str, str]] = {"tests": "json"}
    may_be_empty = (*_DeploymentOperator.may_be_empty, "test_run_ids")

    def __init__(
        self,
        *,
        source_environment: EnvironmentName,
        target_environment: EnvironmentName,
        expected_version: str | None = None,
        expected_target_version: str | None = None,
        allow_downgrade: bool = False,
        allow_skip_pre_release: bool = False,
        tests: TestGateArgument | Templated | None = None,
        **kwargs: Unpack[DeploymentArguments],
    ) -> None:
        super().__init__(**kwargs)
        self.source_environment = source_environment
        self.target_environment = target_environment
        self.expected_version = expected_version
        self.expected_target_version = expected_target_version
        self.allow_downgrade = allow_downgrade
        self.allow_skip_pre_release = allow_skip_pre_release
        self.tests = tests

    def execute(self, context: Context) -> dict[str, Any]:
        """Read, plan, promote what is not there yet, and report."""
        from airflow_voice_agents.polyai.actions.deployments import parse_promote
        from airflow_voice_agents.polyai.assets import deployment_uri

        action = parse_promote(
            self.agent_id,
            self.source_environment,
            self.target_environment,
            expected_version=self.expected_version,
            expected_target_version=self.expected_target_version,
            allow_downgrade=self.allow_downgrade,
            deployment_model=self.deployment_model,
            message=self.message,
            tests=self.argument("tests"),
            on_facts=self.publisher(context),
        )
        return self.deploy(context, action, [deployment_uri(self.agent_id, self.source_environment)])

    def guard_overrides(self) -> Overrides:
        """Return the guards that the DAG's author has overridden."""
        from dataclasses import replace

        from airflow_voice_agents.polyai.ladder import SKIP_PRE_RELEASE

        allowed = frozenset({SKIP_PRE_RELEASE} if self.allow_skip_pre_release else ())
        return replace(super().guard_overrides(), allowed=allowed)


class PolyAIRollbackDeploymentOperator(_DeploymentOperator):
    """Let an environment run an earlier version again.

    A version that runs already is left alone. The version that is rolled back from is put on hold: promotions
    refuse it until :class:`.PolyAIReleaseHoldOperator` releases the target. What ``previous`` means is decided
    once: a retry goes to the same deployment. A rollback of sandbox moves the agent's main branch back as well.
    The platform drops the message of a rollback; the task's report is the record of it.

    XComs beside the report: ``deployment_id``, ``version``, ``previous_version``, ``test_run_ids``.

    Vendor operations: get active deployments, list deployments, roll back deployment, promote deployment.

    :param agent_id: the agent. (templated)
    :param environment: environment that goes back. (templated)
    :param to: id of a deployment of that environment, a version, or ``previous``: the latest one of another
        version. (templated)
    :param strategy: ``rollback``; or, for live, ``promote``: an older deployment of pre-release is promoted
        to live again, and an id names a deployment of pre-release.
    :param hold: whether the version that is rolled back from is put on hold.
    :param stop_variable: Airflow Variable that stops the run; ``None``, the default of a rollback, has none.
    :param allow_previous_live: live may go back to ``previous``, without a version or id.
    :param expected_target_version: version that the environment must run before, unless it runs the wanted one
        already; ``None`` takes any. (templated)
    :param deployment_model: ``ladder``; ``branches`` for a project in which merging a branch goes straight to
        live: only live is rolled back there (deprecated spelling: ``simplified``); or ``auto``, which concludes
        it from the deployments that the platform lists and says from which, or refuses. ``None`` assumes the
        ladder, and says so.
    :param message: text that is kept with the deployment where the platform keeps it. (templated)
    :param dry_run: plan only; nothing is written, and live needs no confirmation.
    :param expected_digest: digest that the plan must have (``plan_digest`` of a dry run); a retry goes on
        with the same plan. ``None`` takes any plan. (templated)
    :param confirm_live: must be true for a rollback of live.
    :param allow_backfill: a backfill run may roll live back.
    :param verify: whether an independent read follows the write.
    :param polyai_conn_id: id of a connection of type ``polyai``. (templated)
    :raises InputError: for wrong arguments, before any request.
    :raises GuardRefused: when a guard or the plan refuses, before any write.
    :raises StateMoved: when the plan is not the one expected.
    :raises ItemsFailed: when the environment does not run what the plan says.
    :returns: ``operation``, ``dry_run``, ``changed``, ``counts`` and ``plan_digest``.
    """

    template_fields: Sequence[str] = (
        *_DeploymentOperator.template_fields,
        "environment",
        "to",
        "expected_target_version",
    )

    def __init__(
        self,
        *,
        environment: EnvironmentName,
        to: str,
        strategy: Literal["rollback", "promote"] = "rollback",
        allow_previous_live: bool = False,
        expected_target_version: str | None = None,
        hold: bool = True,
        stop_variable: str | None = None,
        **kwargs: Unpack[DeploymentRollbackArguments],
    ) -> None:
        super().__init__(stop_variable=stop_variable, **kwargs)
        self.environment = environment
        self.to = to
        self.strategy = strategy
        self.allow_previous_live = allow_previous_live
        self.expected_target_version = expected_target_version
        self.hold = hold

    def execute(self, context: Context) -> dict[str, Any]:
        """Find the deployment, go back unless its version runs already, and report."""
        from airflow_voice_agents.polyai.actions.deployments import parse_rollback

        action = parse_rollback(
            self.agent_id,
            self.environment,
            self.to,
            strategy=self.strategy,
            allow_previous_live=self.allow_previous_live,
            expected_target_version=self.expected_target_version,
            deployment_model=self.deployment_model,
            message=self.message,
            on_facts=self.publisher(context),
        )
        return self.deploy(context, action)

    def protection_settings(self) -> ProtectionSettings:
        """Return the operator's arguments about protections, with the hold that it places."""
        from dataclasses import replace

        reason = self.message or f"rolled back to {self.to}"
        return replace(super().protection_settings(), hold=self.hold, reason=reason)


class PolyAIMergeBranchOperator(_DeploymentOperator):
    """Merge a branch into ``main``, which deploys it: to sandbox, or in some projects straight to live.

    Conflicts are named by path and kind, and never settled. A merge of unknown outcome is never sent again; the
    branches are read until the merged one is not listed any more. A snapshot keeps nothing: what ran before is in
    the environment's history, where :class:`PolyAIRollbackDeploymentOperator` finds it. A merge
    that was to go to sandbox and changed live as well fails the task, and says so.

    XComs beside the report: ``deployment_id``, ``version``, ``previous_version``, ``test_run_ids``.

    Vendor operations: list branches, get active deployments, merge branch.

    :param agent_id: the agent. (templated)
    :param branch: id or name of the branch. (templated)
    :param message: text that is kept with the deployment. (templated)
    :param deployment_model: ``ladder``; ``branches`` for a project in which merging a branch goes straight to
        live: that counts as a change of live (deprecated spelling: ``simplified``); or ``auto``, which concludes
        it from the deployments that the platform lists and says from which, or refuses. ``None`` assumes the
        ladder, and says so.
    :param verify: whether the list of branches is read after a merge that was answered; the deployment that it
        made is read in any case.
    :param confirm_live: must be true for a merge that goes to live.
    :param expected_digest: digest that the plan must have; for a merge that goes to live it is what somebody
        approved. (templated)
    :param allow_unapproved: a merge may go to live without ``expected_digest``.
    :param allow_diverged: a merge may go to live although main was changed since the branch was made.
    :param allow_staging_held: a merge may go to live although Staging holds another branch.
    :param allow_backfill: a backfill run may merge where that goes to live.
    :param polyai_conn_id: id of a connection of type ``polyai``. (templated)
    :raises InputError: for wrong arguments, before any request.
    :raises GuardRefused: when a guard refuses, before any request.
    :raises ItemsFailed: when it was not merged, or went where it was not meant to go.
    :returns: ``operation``, ``dry_run``, ``changed``, ``counts`` and ``plan_digest``.
    """

    template_fields: Sequence[str] = (*_DeploymentOperator.template_fields, "branch")

    def __init__(
        self,
        *,
        branch: str,
        verify: bool = False,
        allow_unapproved: bool = False,
        allow_diverged: bool = False,
        allow_staging_held: bool = False,
        **kwargs: Unpack[MergeArguments],
    ) -> None:
        super().__init__(verify=verify, **kwargs)
        self.branch = branch
        self.allow_unapproved = allow_unapproved
        self.allow_diverged = allow_diverged
        self.allow_staging_held = allow_staging_held

    def execute(self, context: Context) -> dict[str, Any]:
        """Merge, look where it was deployed, and report."""
        from airflow_voice_agents.polyai.actions.publishing import parse_merge
        from airflow_voice_agents.polyai.resources.branch_merge import MergeConsent

        action = parse_merge(
            self.agent_id,
            self.branch,
            message=self.message,
            deployment_model=self.deployment_model,
            consent=MergeConsent(
                approved=bool(self.expected_digest),
                allow_unapproved=self.allow_unapproved,
                allow_diverged=self.allow_diverged,
                allow_staging_held=self.allow_staging_held,
            ),
            on_facts=self.publisher(context),
        )
        return self.deploy(context, action)


def warn_of_simplified() -> None:
    """Warn of the deprecated spelling of the branches model."""
    import warnings

    from airflow.exceptions import AirflowProviderDeprecationWarning

    warnings.warn(
        "deployment_model='simplified' is deprecated; use deployment_model='branches', in which a merge also needs an "
        "approval (expected_digest) or allow_unapproved=True",
        AirflowProviderDeprecationWarning,
        stacklevel=3,
    )
