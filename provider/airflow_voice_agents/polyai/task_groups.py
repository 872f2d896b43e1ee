"""Task groups for promotions and releases: tests, plan, approval, apply, verification, watch."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Required, TypedDict, Unpack

from airflow_voice_agents.airflow_compat import TaskGroup
from airflow_voice_agents.polyai.operators.promotion import (
    MARKDOWN_KEY,
    NOT_ASKED_FOR,
    REFERENCE_KEY,
    PolyAIApplyPromotionOperator,
    PolyAIPlanPromotionOperator,
    PolyAIReportPromotionOperator,
    PolyAIVerifyPromotionOperator,
)

if TYPE_CHECKING:
    from airflow_voice_agents.bases.types import (
        FailureLimitArgument,
        Flag,
        FreezeWindowArguments,
        Templated,
        TemplatedText,
    )
    from airflow_voice_agents.polyai.types import (
        DeploymentModelName,
        PromotionTarget,
        Spec,
        TestGateArgument,
    )

FOR_ALL = ("polyai_conn_id", "concurrency")
FOR_PLAN_ALONE = ("show_values", "sensitive_keys")
FOR_REPORT = (*FOR_ALL, "baseline", "state_folder")
FOR_WHOLE_RUNS_ALONE = ("max_changed", "baseline")
"""What the plan and the report see to for all chunks together."""
FOR_APPROVAL = ("waves", "max_failures", "take_snapshot", "state_folder")
FOR_PLAN = (*FOR_ALL, *FOR_PLAN_ALONE, "max_changed", "allow_unencrypted", "state_folder")


FOR_RELEASE_PLAN_ALONE = (*FOR_PLAN_ALONE, "deployment_model", "allow_diverged", "allow_staging_held")
FOR_RELEASE_PLAN = (*FOR_ALL, *FOR_RELEASE_PLAN_ALONE, "state_folder")
FOR_WRITES = (*FOR_ALL, "state_folder", "stop_variable", "freeze", "override_freeze", "lock_wait")
FOR_WATCH = (*FOR_ALL, "state_folder", "lock_wait", "confirm_live", "allow_backfill")

VERIFY_SECONDS = 600.0
"""How long live may take to show what a release deployed."""


class PromotionOptions(TypedDict, total=False):
    """Arguments that :func:`promotion` passes to its tasks; missing ones use the operators' defaults.

    :param polyai_conn_id: id of a connection of type ``polyai``.
    :param concurrency: maximum number of targets that are processed at a time.
    :param show_values: show values in the logged plan and in ``plan_markdown``; ``None`` uses
        ``[voice_agents] show_values``. Sensitive values are always masked.
    :param sensitive_keys: selectors of additional values to mask.
    :param max_changed: maximum number of targets that change, as a count or a percentage (``"10%"``).
    :param allow_unencrypted: allow unencrypted plans and snapshots if Airflow has no Fernet key.
    :param state_folder: URL of the folder for snapshots, holds, locks and baselines.
    :param allow_local_state: allow writes to live although ``state_folder`` is not set and the executor can
        run tasks on several machines, which do not see each other's locks.
    :param baseline: name of the baseline to store.
    :param waves: cumulative number of targets at the end of each wave.
    :param max_failures: number of failures to tolerate; after one more, no further target starts.
    :param stop_variable: Airflow Variable that stops the run before its next wave; ``None`` disables it.
    :param freeze: freeze windows, in which no wave starts.
    :param override_freeze: reason to write in a freeze window.
    :param take_snapshot: save the state before the change, for a rollback.
    :param snapshot_retention: age (timedelta) at which snapshots in the folder are removed; ``None`` keeps
        them.
    :param lock_wait: seconds to wait for another run on one of the targets; 0 fails at once.
    :param max_snapshot_age: seconds after which a resource is read again right before its write.
    :param confirm_live: must be true for a run that writes to live.
    :param allow_backfill: allow a backfill run to write to live.
    """

    polyai_conn_id: str
    concurrency: int
    show_values: bool | None
    sensitive_keys: Sequence[str]
    max_changed: int | str | None
    allow_unencrypted: bool
    state_folder: str | None
    allow_local_state: bool
    baseline: str | None
    waves: Sequence[int | str] | None
    max_failures: FailureLimitArgument
    stop_variable: str | None
    freeze: Sequence[FreezeWindowArguments]
    override_freeze: str | None
    take_snapshot: bool
    snapshot_retention: timedelta | None
    lock_wait: float
    max_snapshot_age: float
    confirm_live: Flag
    allow_backfill: bool


def promotion(
    *,
    group_id: str = "promotion",
    spec: Spec | Templated | None = None,
    spec_file: str | None = None,
    targets: Sequence[PromotionTarget] | Templated | None = None,
    approval: bool | Mapping[str, Any] = True,
    default_args: Mapping[str, Any] | None = None,
    chunk_size: int | None = None,
    max_active_chunks: int | None = None,
    **options: Unpack[PromotionOptions],
) -> TaskGroup:
    """Return a task group that plans a promotion, asks for an approval, applies the plan and verifies it.

    Its tasks are ``plan``, ``approval``, ``apply`` and ``verify``; ``group["apply"]`` returns one of them.
    The group applies exactly the approved plan and refuses any other. A plan without changes needs no
    approval.

    Call it within a DAG, or within a ``@task_group`` that is expanded over targets: then each target is
    planned, approved and applied separately.

    With ``chunk_size``, for a fleet that outgrows one task, ``apply`` and ``verify`` are mapped: one instance
    per chunk of targets, on any worker. There is one plan with one digest, and one approval; the plan is
    stored in the state folder. ``max_failures`` counts the failures of all chunks. The additional task
    ``report`` combines their reports, and fails if one of them failed.

    :param group_id: id of the group.
    :param spec: the promotion, see :class:`~airflow_voice_agents.polyai.spec.PromotionSpec`; a string is read
        as YAML or JSON. (templated)
    :param spec_file: YAML or JSON file of the promotion: a local path, or a URL that Airflow's object storage
        supports. (templated)
    :param targets: targets that replace those of the spec: a list, or the output of another task. (templated)
    :param approval: ask a person; a mapping contains arguments of
        :class:`~airflow_voice_agents.bases.approval.PromotionApprovalOperator`: ``assigned_users``,
        ``response_timeout``, ``notifiers``, ``fail_on_reject`` and so on.
    :param default_args: Airflow's ``default_args`` for the tasks of the group.
    :param chunk_size: number of targets per chunk; ``None`` does not split. It excludes ``waves``.
    :param max_active_chunks: maximum number of parallel chunks; ``None`` uses Airflow's limits.
    :param options: see :class:`PromotionOptions`.
    :raises InputError: for ``waves`` with ``chunk_size``, or ``max_active_chunks`` without it.
    """
    _check_chunks(chunk_size, max_active_chunks, options)
    common: Any = dict(default_args or {})
    with TaskGroup(group_id=group_id, default_args=common) as group:
        planning = PolyAIPlanPromotionOperator(
            task_id="plan",
            spec=spec,
            spec_file=spec_file,
            targets=targets,
            chunk_size=chunk_size,
            **_only(FOR_PLAN, options),
        )
        plan: Any = planning.output
        if chunk_size is not None:
            _chunked(plan, approval, max_active_chunks, options)
            return group
        apply = PolyAIApplyPromotionOperator(
            task_id="apply",
            plan=plan,
            approved_digest=_approval(plan, approval, options),
            **_but(FOR_PLAN_ALONE, options),
        )
        verify = PolyAIVerifyPromotionOperator(task_id="verify", plan=plan, **_only(FOR_ALL, options))
        apply >> verify
    return group


class ReleaseOptions(TypedDict, total=False):
    """Arguments that :func:`release` passes to its tasks; missing ones use the operators' defaults.

    :param polyai_conn_id: id of a connection of type ``polyai``.
    :param concurrency: maximum number of parallel requests.
    :param show_values: show values in the logged plan and in ``plan_markdown``; ``None`` uses
        ``[voice_agents] show_values``. Sensitive values are always masked.
    :param sensitive_keys: selectors of additional values to mask.
    :param deployment_model: ``branches``, or ``auto``, which refuses if it reaches no conclusion.
    :param allow_diverged: allow a merge although main was changed since the branch was created.
    :param allow_staging_held: allow a merge although Staging holds another branch.
    :param state_folder: URL of the folder for holds and locks.
    :param stop_variable: Airflow Variable that stops the merge; ``None`` disables it.
    :param freeze: freeze windows, in which nothing is merged.
    :param override_freeze: reason to write in a freeze window.
    :param lock_wait: seconds to wait for another run on the agent; 0 fails at once.
    :param confirm_live: must be true.
    :param allow_backfill: allow a backfill run to release numbers.
    """

    polyai_conn_id: str
    concurrency: int
    show_values: bool | None
    sensitive_keys: Sequence[str]
    deployment_model: DeploymentModelName
    allow_diverged: bool
    allow_staging_held: bool
    state_folder: str | None
    stop_variable: str | None
    freeze: Sequence[FreezeWindowArguments]
    override_freeze: str | None
    lock_wait: float
    confirm_live: Flag
    allow_backfill: bool


class WatchOptions(TypedDict, total=False):
    """Arguments of the watch after a release; see :class:`.PolyAIWatchReleaseOperator`."""

    checks: Required[Sequence[Mapping[str, Any]] | Templated]
    watch_minutes: float | TemplatedText
    poll_interval: float | TemplatedText
    confirmations: int
    hold: bool
    reason: str
    response_timeout: timedelta | None
    assigned_users: Sequence[Any] | None
    notifiers: Sequence[Any]


def release(
    *,
    agent_id: str,
    branch: str,
    group_id: str = "release",
    message: str = "",
    test_ids: Sequence[str] | Templated | None = None,
    tests: TestGateArgument | Templated | None = None,
    test_wait: float = 3600.0,
    approval: bool | Mapping[str, Any] = True,
    watch: WatchOptions | None = None,
    default_args: Mapping[str, Any] | None = None,
    **options: Unpack[ReleaseOptions],
) -> TaskGroup:
    """Return a task group that releases a branch by merging it into live.

    Its tasks are ``tests`` and ``tested`` (with ``test_ids``), ``plan``, ``approval``, ``apply``, ``verify``,
    and ``watch`` (with ``watch``); ``group["apply"]`` returns one of them. The group merges exactly what was
    approved, and refuses if the branch, main, live or a test result has changed. If the watch fails, live
    returns to its previous deployment.

    :param agent_id: the agent. (templated)
    :param branch: id or name of the branch. (templated)
    :param group_id: id of the group.
    :param message: message of the deployment. (templated)
    :param test_ids: tests to run on the branch first; they must pass on exactly this state of the branch.
        (templated)
    :param tests: evidence of tests that another task ran (XCom ``tested``), instead of ``test_ids``.
        (templated)
    :param test_wait: seconds to wait for the tests to end.
    :param approval: ask a person; a mapping contains arguments of
        :class:`~airflow_voice_agents.bases.approval.PromotionApprovalOperator`. ``False`` explicitly releases
        without an approval.
    :param watch: checks and duration of the watch after the merge; ``None`` skips the watch and the automatic
        rollback.
    :param default_args: Airflow's ``default_args`` for the tasks of the group.
    :param options: see :class:`ReleaseOptions`.
    :raises ValueError: for ``test_ids`` and ``tests`` together.
    """
    if test_ids is not None and tests is not None:
        raise ValueError("release takes test_ids or tests, not both")
    from airflow_voice_agents.polyai.operators.releases import PolyAIPlanReleaseOperator

    named: dict[str, Any] = {"agent_id": agent_id, "branch": branch}
    common: Any = dict(default_args or {})
    with TaskGroup(group_id=group_id, default_args=common) as group:
        ended, evidence = _tests(named, test_ids, tests, test_wait, _only(FOR_WRITES, options))
        planning = PolyAIPlanReleaseOperator(
            task_id="plan", message=message, tests=evidence, **named, **_only(FOR_RELEASE_PLAN, options)
        )
        if ended is not None:
            ended >> planning
        _merge(agent_id, planning.output, approval, watch, options)
    return group


def _merge(
    agent_id: str, plan: Any, approval: bool | Mapping[str, Any], watch: Any, options: Mapping[str, Any]
) -> None:
    """Add the tasks that ask, merge, verify and watch."""
    from airflow_voice_agents.polyai.operators.releases import PolyAIReleaseBranchOperator
    from airflow_voice_agents.polyai.sensors.resources import PolyAIDeploymentSensor

    apply: Any = PolyAIReleaseBranchOperator(
        task_id="apply",
        plan=plan,
        approved_digest=_approval(plan, approval, options, none=None),
        allow_unapproved=approval is False,
        **_but(FOR_RELEASE_PLAN_ALONE, options),
    )
    verify = PolyAIDeploymentSensor(
        task_id="verify",
        agent_id=agent_id,
        environment="live",
        deployment_id=apply.output["deployment_id"],
        timeout=VERIFY_SECONDS,
        **_only(("polyai_conn_id",), options),
    )
    apply >> verify
    if watch is not None:
        _watch(agent_id, apply, verify, watch, _only(FOR_WATCH, options))


def _tests(
    named: Mapping[str, Any], test_ids: Any, tests: Any, seconds: float, options: Mapping[str, Any]
) -> tuple[Any, Any]:
    """Return the task that waits for the tests, and their evidence; without tests to run, what was given."""
    if test_ids is None:
        return None, tests
    from airflow_voice_agents.polyai.operators.test_runs import PolyAIRunTestsOperator
    from airflow_voice_agents.polyai.sensors.outcomes import PolyAITestRunsSensor

    running: Any = PolyAIRunTestsOperator(task_id="tests", test_ids=test_ids, **named, **options)
    ended = PolyAITestRunsSensor(
        task_id="tested",
        agent_id=named["agent_id"],
        test_run_ids=running.output["test_run_ids"],
        timeout=seconds,
        deferrable=True,
        **_only(("polyai_conn_id",), options),
    )
    return ended, running.output["tested"]


def _watch(agent_id: str, apply: Any, verify: Any, watch: WatchOptions, options: Mapping[str, Any]) -> None:
    """Add the watch, which counts what goes wrong from the new deployment on."""
    from airflow_voice_agents.polyai.operators.releases import PolyAIWatchReleaseOperator

    given: dict[str, Any] = {"reason": "The release did not hold", **watch, **options}
    PolyAIWatchReleaseOperator(
        task_id="watch",
        agent_id=agent_id,
        version=apply.output["version"],
        previous_deployment_id=apply.output["previous_deployment_id"],
        since=apply.output["merged_at"],
        **given,
    ).set_upstream(verify)


def _chunked(
    plan: Any, approval: bool | Mapping[str, Any], at_a_time: int | None, options: Mapping[str, Any]
) -> None:
    """Apply, report and verify chunk by chunk."""
    apply = PolyAIApplyPromotionOperator.partial(
        task_id="apply",
        approved_digest=_approval(plan[REFERENCE_KEY], approval, options, body=plan[MARKDOWN_KEY]),
        max_active_tis_per_dagrun=at_a_time,
        **_but((*FOR_PLAN_ALONE, *FOR_WHOLE_RUNS_ALONE), options),
    ).expand(plan=plan)
    report = PolyAIReportPromotionOperator(
        task_id="report", chunks=plan, trigger_rule="all_done", **_only(FOR_REPORT, options)
    )
    verify = PolyAIVerifyPromotionOperator.partial(
        task_id="verify", max_active_tis_per_dagrun=at_a_time, **_only(FOR_ALL, options)
    ).expand(plan=plan)
    apply >> report >> verify
    apply >> verify


def _check_chunks(size: int | None, at_a_time: int | None, options: Mapping[str, Any]) -> None:
    problem = None
    if size is None and at_a_time is not None:
        problem = "max_active_chunks needs chunk_size."
    elif size is not None and options.get("waves") is not None:
        problem = (
            "chunk_size and waves exclude each other: chunks run side by side, so none is the first. For a canary, put "
            "a promotion of a few targets in front."
        )
    if problem is not None:
        from airflow_voice_agents.transport.errors import InputError

        raise InputError(f"promotion: {problem}")


def _approval(
    plan: Any,
    approval: bool | Mapping[str, Any],
    options: Mapping[str, Any],
    none: str | None = NOT_ASKED_FOR,
    body: Any = None,
) -> Any:
    """Return the digest that the approval's task returns, or what stands for none."""
    if approval is False:
        return none
    from airflow_voice_agents.bases.approval import PromotionApprovalOperator

    given = {**_only(FOR_APPROVAL, options), **({} if approval is True else approval)}
    return PromotionApprovalOperator(
        task_id="approval", plan=plan, body=plan[MARKDOWN_KEY] if body is None else body, **given
    ).output


def _only(names: Collection[str], options: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if name in names}


def _but(names: Collection[str], options: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if name not in names}
