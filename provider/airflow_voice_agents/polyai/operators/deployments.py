"""Operators for deployments: publish, promote, roll back, merge."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Unpack

from msgspec.structs import replace

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
        """Run an action and push its report.

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
    """Publish the draft of ``main`` to sandbox, unless it is already published.

    If the outcome of a publication is unknown, the operator reads the state and never sends the publication
    again. It saves no snapshot: the previous deployment is in the environment's history, where
    :class:`PolyAIRollbackDeploymentOperator` finds it. Test runs that the platform starts continue after the
    task; an XCom has their ids.

    XComs in addition to ``report``: ``deployment_id``, ``version``, ``previous_version``, ``test_run_ids``.

    Vendor operations: get active deployments, publish deployment.

    :param agent_id: the agent. (templated)
    :param environment: ``sandbox``; other environments get content by promotion. (templated)
    :param message: message of the deployment. (templated)
    :param nothing_new: result if there is nothing new to publish: ``unchanged`` or ``fail``.
    :param deployment_model: ``ladder``; ``branches``, where a merge goes straight to live and nothing is
        published (deprecated spelling: ``simplified``); or ``auto``, which detects the model from the listed
        deployments and logs the evidence, or refuses. ``None`` assumes the ladder and logs that.
    :param verify: read the state once more after the write.
    :param polyai_conn_id: id of a connection of type ``polyai``. (templated)
    :raises InputError: for invalid arguments, before any request.
    :raises GuardRefused: if a guard refuses, before any request.
    :raises ItemsFailed: if the draft was not published, or sandbox runs something else afterwards.
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
        """Publish, read the active deployment, and report."""
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
    """Promote the version of one environment of an agent to a later one.

    The platform adds a record for every promotion, even of a version that already runs; the operator sends no
    promotion in that case, and never sends one again after an unknown outcome. By default, it does not
    replace a version with an older one, or with one whose age sandbox's history does not show.

    XComs in addition to ``report``: ``deployment_id``, ``version``, ``previous_version``, ``test_run_ids``.

    Vendor operations: get active deployments, list deployments, promote deployment.

    :param agent_id: the agent. (templated)
    :param source_environment: environment whose version is promoted. (templated)
    :param target_environment: later environment that will run the version. (templated)
    :param expected_version: version that the source must run, for instance the tested one. ``None`` accepts
        any version. (templated)
    :param expected_target_version: version that the target must run before; ``None`` accepts any. (templated)
    :param allow_downgrade: allow an older version than the target's, or one of unknown age.
    :param deployment_model: ``ladder``; ``branches``, where a merge goes straight to live and nothing is
        promoted (deprecated spelling: ``simplified``); or ``auto``, which detects the model from the listed
        deployments and logs the evidence, or refuses. ``None`` assumes the ladder and logs that.
    :param message: message of the deployment. (templated)
    :param tests: tests that must have passed on exactly the promoted version, see
        :class:`~airflow_voice_agents.polyai.resources.test_gate.TestGate`: ``test_run_ids``, ``version`` and
        optionally ``after``; ``None`` requires none. (templated)
    :param dry_run: only plan, without a write; live needs no confirmation.
    :param expected_digest: required digest of the plan (``plan_digest`` of a dry run); a retry continues the
        same plan. ``None`` accepts any plan. (templated)
    :param confirm_live: must be true for a promotion to live.
    :param allow_skip_pre_release: allow a promotion from sandbox to live without pre-release.
    :param allow_backfill: allow a backfill run to promote to live.
    :param verify: read the state once more after the write.
    :param polyai_conn_id: id of a connection of type ``polyai``. (templated)
    :raises InputError: for invalid arguments, before any request.
    :raises GuardRefused: if a guard or the plan refuses, before any write.
    :raises StateMoved: if the plan does not have the expected digest.
    :raises ItemsFailed: if the target does not run the planned version.
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
        """Read, plan, promote if needed, and report."""
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
        """Return the guards that the operator's arguments override."""
        from airflow_voice_agents.polyai.ladder import SKIP_PRE_RELEASE

        allowed = frozenset({SKIP_PRE_RELEASE} if self.allow_skip_pre_release else ())
        return replace(super().guard_overrides(), allowed=allowed)


class PolyAIRollbackDeploymentOperator(_DeploymentOperator):
    """Roll an environment back to an earlier version.

    If the version already runs, nothing is written. The operator puts the replaced version on hold:
    promotions refuse it until :class:`.PolyAIReleaseHoldOperator` releases the target. A retry uses the same
    deployment for ``previous`` as the first try. A rollback of sandbox also moves the agent's main branch
    back. The platform does not store the message of a rollback; the report of the task does.

    XComs in addition to ``report``: ``deployment_id``, ``version``, ``previous_version``, ``test_run_ids``.

    Vendor operations: get active deployments, list deployments, roll back deployment, promote deployment.

    :param agent_id: the agent. (templated)
    :param environment: environment to roll back. (templated)
    :param to: id of a deployment of that environment, a version, or ``previous``: the latest deployment of
        another version. (templated)
    :param strategy: ``rollback``; or, for live, ``promote``: promote an older deployment of pre-release to
        live again; an id then names a deployment of pre-release.
    :param hold: put the replaced version on hold.
    :param stop_variable: Airflow Variable that stops the run; ``None``, the default of a rollback, disables
        it.
    :param allow_previous_live: allow ``previous`` for live, without a version or id.
    :param expected_target_version: version that the environment must run before, unless it already runs the
        wanted one; ``None`` accepts any. (templated)
    :param deployment_model: ``ladder``; ``branches``, where a merge goes straight to live and only live can
        be rolled back (deprecated spelling: ``simplified``); or ``auto``, which detects the model from the
        listed deployments and logs the evidence, or refuses. ``None`` assumes the ladder and logs that.
    :param message: message of the deployment, if the platform stores it. (templated)
    :param dry_run: only plan, without a write; live needs no confirmation.
    :param expected_digest: required digest of the plan (``plan_digest`` of a dry run); a retry continues the
        same plan. ``None`` accepts any plan. (templated)
    :param confirm_live: must be true for a rollback of live.
    :param allow_backfill: allow a backfill run to roll live back.
    :param verify: read the state once more after the write.
    :param polyai_conn_id: id of a connection of type ``polyai``. (templated)
    :raises InputError: for invalid arguments, before any request.
    :raises GuardRefused: if a guard or the plan refuses, before any write.
    :raises StateMoved: if the plan does not have the expected digest.
    :raises ItemsFailed: if the environment does not run the planned version.
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
        """Find the deployment, roll back unless its version already runs, and report."""
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
        """Return the protections of the run, with the hold that it places."""
        reason = self.message or f"rolled back to {self.to}"
        return replace(super().protection_settings(), hold=self.hold, reason=reason)


class PolyAIMergeBranchOperator(_DeploymentOperator):
    """Merge a branch into ``main``, which deploys it to sandbox, or in some projects straight to live.

    The operator reports conflicts by path and kind, and never resolves them. If the outcome of a merge is
    unknown, it never sends the merge again; it reads the branches until the merged one is not listed any
    more. It saves no snapshot: the previous deployment is in the environment's history, where
    :class:`PolyAIRollbackDeploymentOperator` finds it. A merge to sandbox that also changes live fails the
    task.

    XComs in addition to ``report``: ``deployment_id``, ``version``, ``previous_version``, ``test_run_ids``.

    Vendor operations: list branches, get active deployments, merge branch.

    :param agent_id: the agent. (templated)
    :param branch: id or name of the branch. (templated)
    :param message: message of the deployment. (templated)
    :param deployment_model: ``ladder``; ``branches``, where a merge goes straight to live and counts as a
        change of live (deprecated spelling: ``simplified``); or ``auto``, which detects the model from the
        listed deployments and logs the evidence, or refuses. ``None`` assumes the ladder and logs that.
    :param verify: read the list of branches after a confirmed merge; the new deployment is always read.
    :param confirm_live: must be true for a merge that goes to live.
    :param expected_digest: required digest of the plan; for a merge to live, the approved digest. (templated)
    :param allow_unapproved: allow a merge to live without ``expected_digest``.
    :param allow_diverged: allow a merge to live although main was changed since the branch was created.
    :param allow_staging_held: allow a merge to live although Staging holds another branch.
    :param allow_backfill: allow a backfill run to merge to live.
    :param polyai_conn_id: id of a connection of type ``polyai``. (templated)
    :raises InputError: for invalid arguments, before any request.
    :raises GuardRefused: if a guard refuses, before any request.
    :raises ItemsFailed: if the branch was not merged, or the merge changed another environment.
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
        """Merge, read where it was deployed, and report."""
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
