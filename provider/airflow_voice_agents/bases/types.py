"""Types of the operators' arguments, for editors and type checkers; nothing imports this module at run time.

Operators take their shared arguments as ``**kwargs: Unpack[...]`` of one of these, so that a misspelled or wrongly
typed argument is found before the DAG is parsed. Arguments whose default a subclass changes have a type of their own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal, NewType, Required, TypeAlias, TypedDict

if TYPE_CHECKING:
    from airflow.sdk import DAG, TaskGroup
    from airflow.sdk.definitions.xcom_arg import XComArg

    from airflow_voice_agents.airflow_compat import RetryPolicy

Template = NewType("Template", str)
"""A Jinja template in place of a value of another type: ``Template("{{ params.dry_run }}")``."""

Templated: TypeAlias = "str | XComArg"
"""A text that is or renders to a JSON document, or the output of another task."""

TemplatedText: TypeAlias = "str | XComArg"
"""A text, a template, or the output of another task."""

Flag: TypeAlias = "bool | Template | XComArg"
"""``True``, ``False``, or a template that renders to one of them."""

PhoneNumbers: TypeAlias = "Sequence[str] | Sequence[Mapping[str, Any]] | str | XComArg"
"""E.164 numbers, records that hold one, or a template of them."""


class TaskArguments(TypedDict, total=False):
    """Arguments of every Airflow task."""

    task_id: str
    allow_nested_operators: bool
    dag: DAG | None
    default_args: dict[str, Any] | None
    depends_on_past: bool
    do_xcom_push: bool
    doc: str | None
    doc_json: str | None
    doc_md: str | None
    doc_rst: str | None
    doc_yaml: str | None
    email: str | Sequence[str] | None
    email_on_failure: bool
    email_on_retry: bool
    end_date: datetime | None
    execution_timeout: timedelta | None
    executor: str | None
    executor_config: dict[str, Any] | None
    ignore_first_depends_on_past: bool
    inlets: Any
    logger_name: str | None
    map_index_template: str | None
    max_active_tis_per_dag: int | None
    max_active_tis_per_dagrun: int | None
    max_retry_delay: timedelta | float | None
    multiple_outputs: bool
    on_execute_callback: Any
    on_failure_callback: Any
    on_retry_callback: Any
    on_skipped_callback: Any
    on_success_callback: Any
    outlets: Any
    owner: str
    params: Any
    pool: str | None
    pool_slots: int
    post_execute: Any
    pre_execute: Any
    priority_weight: int
    queue: str
    render_template_as_native_obj: bool | None
    resources: dict[str, Any] | None
    retries: int | None
    retry_delay: timedelta | float
    retry_exponential_backoff: float
    retry_policy: RetryPolicy | None
    run_as_user: str | None
    sla: timedelta | None
    start_date: datetime | None
    task_display_name: str | None
    task_group: TaskGroup | None
    trigger_rule: str
    wait_for_downstream: bool
    wait_for_past_depends_before_skipping: bool
    weight_rule: Any


class OperatorArguments(TaskArguments, total=False):
    """Arguments of every operator of this provider."""

    confirm_live: Flag
    allow_backfill: bool
    concurrency: int


class CommonSensorArguments(TaskArguments, total=False):
    """Arguments of every sensor of this provider, with the same default everywhere; times in seconds."""

    deferrable: bool
    exponential_backoff: bool
    max_wait: timedelta | float | None
    mode: Literal["poke", "reschedule"]
    never_fail: bool
    silent_fail: bool
    soft_fail: bool
    timeout: timedelta | float


class SensorArguments(CommonSensorArguments, total=False):
    """All arguments of a sensor; times in seconds."""

    poke_interval: timedelta | float


class FailureCounts(TypedDict, total=False):
    """A failure limit of a count and a percentage, of which the lower counts."""

    count: int
    percent: int | float | str


class FreezeWindowArguments(TypedDict, total=False):
    """A freeze window in the local time of a time zone: ``start``, ``timezone``, and an end.

    Set ``end`` or ``duration`` (``"PT8H"``, ``"P3D"``); with ``rrule`` (RFC 5545) the window recurs.
    """

    start: Required[str | datetime]
    end: str | datetime
    duration: str
    timezone: Required[str]
    rrule: str
    reason: str


FailureLimitArgument: TypeAlias = "int | str | FailureCounts | None"
SnapshotAge: TypeAlias = "float | None"


class LockWait(TypedDict, total=False):
    """The argument of the same name, in seconds."""

    lock_wait: float


class TakeSnapshot(TypedDict, total=False):
    """The argument of the same name."""

    take_snapshot: bool | None


class MaxFailures(TypedDict, total=False):
    """The argument of the same name."""

    max_failures: FailureLimitArgument


class Verify(TypedDict, total=False):
    """The argument of the same name."""

    verify: bool


class MaxSnapshotAge(TypedDict, total=False):
    """The argument of the same name, in seconds."""

    max_snapshot_age: SnapshotAge


class StopVariable(TypedDict, total=False):
    """The argument of the same name."""

    stop_variable: str | None


class CommonWritingArguments(OperatorArguments, total=False):
    """Arguments of every operator that writes, with the same default everywhere."""

    dry_run: Flag
    expected_digest: TemplatedText | None
    snapshot_retention: timedelta | None
    allow_unencrypted: bool
    state_folder: str | None
    allow_local_state: bool
    waves: Sequence[int | str] | None
    max_changed: int | str | None
    freeze: Sequence[FreezeWindowArguments]
    override_freeze: str | None
    show_values: bool | None
    sensitive_keys: Sequence[str]


class WritingArguments(
    CommonWritingArguments,
    LockWait,
    TakeSnapshot,
    MaxFailures,
    Verify,
    MaxSnapshotAge,
    StopVariable,
    total=False,
):
    """All shared arguments of an operator that writes."""


class CommonRestoringArguments(CommonWritingArguments, TakeSnapshot, total=False):
    """Arguments of every operator that undoes earlier work, with the same default everywhere."""

    force: Flag
    hold: bool
    reason: str
    stop_variable: str | None
