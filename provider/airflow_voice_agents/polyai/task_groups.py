"""Whole promotions as one piece of a DAG: plan, approval, apply, verification."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

from airflow.sdk import TaskGroup

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
    from airflow_voice_agents.bases.types import FailureLimitArgument, Flag, FreezeWindowArguments, Templated
    from airflow_voice_agents.polyai.types import PromotionTarget, Spec

FOR_ALL = ("polyai_conn_id", "concurrency")
FOR_PLAN_ALONE = ("show_values", "sensitive_keys")
FOR_REPORT = (*FOR_ALL, "baseline", "state_folder")
FOR_WHOLE_RUNS_ALONE = ("max_changed", "baseline")
"""What the plan and the report see to for all chunks together."""
FOR_PLAN = (*FOR_ALL, *FOR_PLAN_ALONE, "max_changed", "allow_unencrypted", "state_folder")


class PromotionOptions(TypedDict, total=False):
    """What :func:`promotion` hands on to its tasks; what is not given keeps the operators' defaults.

    :param polyai_conn_id: id of a connection of type ``polyai``.
    :param concurrency: most targets in flight.
    :param show_values: whether the plan in log and Markdown shows values; ``None`` uses ``[voice_agents]
        show_values``. Sensitive values are masked in any case.
    :param sensitive_keys: selectors of further values that are masked.
    :param max_changed: how many targets may change, as a number or a percentage.
    :param allow_unencrypted: whether plans and snapshots may be kept in the clear where Airflow has no Fernet
        key.
    :param state_folder: URL of the folder for snapshots, holds, locks and baselines.
    :param baseline: name under which the digests that were applied are kept.
    :param waves: how many targets are reached, wave by wave.
    :param max_failures: how many targets may go wrong before no further one is begun.
    :param stop_variable: Airflow Variable that stops the run before its next wave; ``None`` has none.
    :param freeze: freeze windows, in which nothing is begun.
    :param override_freeze: why a freeze window does not count.
    :param take_snapshot: whether what is about to change is kept first, for a rollback.
    :param snapshot_retention: how long snapshots in the folder are kept; ``None`` keeps them for good.
    :param lock_wait: seconds to wait for another run on one of the targets; 0 fails at once.
    :param max_snapshot_age: seconds after which a resource is read again right before it is written.
    :param confirm_live: must be true for a run that writes into live.
    :param allow_backfill: a backfill run may write into live.
    """

    polyai_conn_id: str
    concurrency: int
    show_values: bool | None
    sensitive_keys: Sequence[str]
    max_changed: int | str | None
    allow_unencrypted: bool
    state_folder: str | None
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
    """Return a task group that plans a promotion, has the plan approved, carries it out and verifies it.

    Its tasks are ``plan``, ``approval``, ``apply`` and ``verify``; ``group["apply"]`` is one of them. What was
    approved is what is applied: another plan is refused, and so is one that nobody approved. A plan that
    changes nothing goes through without asking anybody.

    Call it within a DAG, or within a ``@task_group`` that is expanded over targets: then each target is
    planned, approved and applied on its own.

    :param group_id: id of the group.
    :param spec: the promotion, as :class:`~airflow_voice_agents.polyai.spec.PromotionSpec` has it; a text is
        read as YAML or JSON. Templated.
    :param spec_file: file that holds it: a local path, or a URL that Airflow's object storage knows. Templated.
    :param targets: targets instead of those of the spec: a list, or what another task returns. Templated.
    :param approval: whether a person is asked; a mapping holds arguments of
        :class:`~airflow_voice_agents.bases.approval.PromotionApprovalOperator`: ``assigned_users``,
        ``response_timeout``, ``notifiers``, ``fail_on_reject`` and so on.
    With ``chunk_size``, for a fleet that outgrows one task, ``apply`` and ``verify`` are mapped: one instance per chunk
    of so many targets, on any worker. There is one plan with one digest, and one approval; the plan lies in the state
    folder. ``max_failures`` counts the failures of all chunks. The further task ``report`` puts their reports together,
    and fails if one of them failed.

    :param default_args: Airflow's ``default_args`` for the tasks of the group.
    :param chunk_size: number of targets per chunk; ``None`` does not split. It excludes ``waves``.
    :param max_active_chunks: most chunks at a time; ``None`` leaves that to Airflow.
    :param options: see :class:`PromotionOptions`.
    :raises InputError: for ``waves`` or ``max_active_chunks`` where they cannot hold.
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
            approved_digest=_approval(plan, plan[MARKDOWN_KEY], approval),
            **_but(FOR_PLAN_ALONE, options),
        )
        verify = PolyAIVerifyPromotionOperator(task_id="verify", plan=plan, **_only(FOR_ALL, options))
        apply >> verify
    return group


def _chunked(
    plan: Any, approval: bool | Mapping[str, Any], at_a_time: int | None, options: Mapping[str, Any]
) -> None:
    """Apply, report and verify chunk by chunk."""
    apply = PolyAIApplyPromotionOperator.partial(
        task_id="apply",
        approved_digest=_approval(plan[REFERENCE_KEY], plan[MARKDOWN_KEY], approval),
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


def _approval(plan: Any, body: Any, approval: bool | Mapping[str, Any]) -> Any:
    """Return the digest that the approval's task returns, or what stands for none."""
    if approval is False:
        return NOT_ASKED_FOR
    from airflow_voice_agents.bases.approval import PromotionApprovalOperator

    given = {} if approval is True else approval
    return PromotionApprovalOperator(task_id="approval", plan=plan, body=body, **given).output


def _only(names: Collection[str], options: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if name in names}


def _but(names: Collection[str], options: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if name not in names}
