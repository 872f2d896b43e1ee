"""Differences between Airflow versions, from 3.1.3; no other module knows them.

Names that moved are exported under one name. What an Airflow does not offer is ``None`` here, or does the same
by older means; it is never an error.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from importlib import import_module
from typing import TYPE_CHECKING, Any, NoReturn, cast

from airflow.sdk import BaseHook

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator, Connection, Context, RetryDecision, RetryPolicy, TaskGroup, conf
    from airflow.sdk.exceptions import (
        AirflowException,
        AirflowFailException,
        AirflowNotFoundException,
        AirflowRescheduleException,
        AirflowSensorTimeout,
        AirflowSkipException,
    )
    from airflow.sdk.types import TaskInstanceKey as TaskInstanceKey  # noqa: PLC0414  for others

    from airflow_voice_agents.engine.run_context import TaskState
else:
    from airflow.sdk import TaskGroup

    try:
        from airflow.sdk import conf
    except ImportError:  # before 3.2
        from airflow.configuration import conf
    try:
        from airflow.sdk.exceptions import (
            AirflowException,
            AirflowFailException,
            AirflowNotFoundException,
            AirflowRescheduleException,
            AirflowSensorTimeout,
            AirflowSkipException,
        )
    except ImportError:  # before 3.2
        from airflow.exceptions import (
            AirflowException,
            AirflowFailException,
            AirflowNotFoundException,
            AirflowRescheduleException,
            AirflowSensorTimeout,
            AirflowSkipException,
        )
    try:
        from airflow.sdk import RetryDecision, RetryPolicy
    except ImportError:  # before 3.3

        class RetryAction(Enum):
            """What becomes of a task that failed, as in Airflow 3.3."""

            RETRY = "retry"
            FAIL = "fail"
            DEFAULT = "default"

        @dataclass(frozen=True)
        class RetryDecision:
            """The decision of a retry policy, as in Airflow 3.3."""

            action: RetryAction = RetryAction.DEFAULT
            retry_delay: timedelta | None = None
            reason: str | None = None

            @classmethod
            def fail(cls, reason=None):
                """Return that the task is not tried again."""
                return cls(RetryAction.FAIL, None, reason)

            @classmethod
            def retry(cls, delay=None, reason=None):
                """Return that the task is tried again, after a delay where one is named."""
                return cls(RetryAction.RETRY, delay, reason)

            @classmethod
            def default(cls):
                """Return that the task's own settings decide."""
                return cls()

        class RetryPolicy:
            """The base of retry policies, as in Airflow 3.3."""

    if not hasattr(TaskGroup, "__getitem__"):  # before 3.3

        class TaskGroup(TaskGroup):
            """A task group that returns its tasks by name, as in Airflow 3.3."""

            def __getitem__(self, name):
                return self.get_child_by_label(name)


__all__ = [
    "FORMS_IN_METADATA",
    "RETRY_POLICIES",
    "AirflowException",
    "AirflowFailException",
    "AirflowNotFoundException",
    "AirflowRescheduleException",
    "AirflowSensorTimeout",
    "AirflowSkipException",
    "RetryDecision",
    "RetryPolicy",
    "TaskGroup",
    "add_connection_form",
    "ask_a_person",
    "conf",
    "connection_async",
    "connection_extra_async",
    "create_asset_events",
    "defer_for",
    "get_fernet",
    "is_backfill",
    "run_airflow",
    "run_type",
    "task_state",
]

FORMS_IN_METADATA = conf.__class__.__module__.startswith("airflow.sdk")
"""Whether Airflow reads connection forms from the provider's metadata (since 3.2)."""

RETRY_POLICIES = RetryPolicy.__module__.startswith("airflow.")
"""Whether Airflow asks a task's retry policy itself (since 3.3)."""


def task_state(context: Context) -> TaskState | None:
    """Return the state store of the running task instance, or ``None`` where Airflow has none (before 3.3).

    :param context: the task's context. Rows outlive a cleared task: delete a key once its work is done.
    """
    return cast("TaskState | None", context.get("task_state_store"))


def run_type(context: Context) -> str:
    """Return how the run came about: ``manual``, ``scheduled``, ``backfill``, ``asset_triggered`` and so on.

    :param context: the task's context; ``""`` where it names no run.
    """
    dag_run = context.get("dag_run")
    kind: Any = getattr(dag_run, "run_type", "")
    return str(getattr(kind, "value", kind))


def is_backfill(context: Context) -> bool:
    """Tell whether the run is part of a backfill.

    :param context: the task's context.
    """
    return run_type(context) == "backfill"


def add_connection_form(hook: Any) -> None:
    """Give a hook the methods that Airflow asks for its connection's form before 3.2; later ones read metadata.

    :param hook: the hook's class.
    """
    if FORMS_IN_METADATA:
        return

    def described() -> Any:
        from airflow_voice_agents.get_provider_info import get_provider_info

        types: Any = get_provider_info()["connection-types"]
        return next(each for each in types if each["connection-type"] == hook.conn_type)

    def behaviour() -> dict[str, Any]:
        stated = described()["ui-field-behaviour"]
        return {name.replace("-", "_"): value for name, value in stated.items()}

    hook.get_connection_form_widgets = staticmethod(lambda: _form_fields(described()["conn-fields"]))
    hook.get_ui_field_behaviour = staticmethod(behaviour)


def _form_fields(fields: Any) -> dict[str, Any]:
    forms: Any = import_module("wtforms")  # Airflow puts it, or its stand-in, there for the hook
    validators: Any = import_module("wtforms.validators")
    made = {}
    for name, described in fields.items():
        schema = described["schema"]
        kind = forms.IntegerField if "integer" in schema["type"] else forms.StringField
        kind = forms.PasswordField if schema.get("format") == "password" else kind
        choices = [validators.any_of(schema["enum"])] if "enum" in schema else []
        text = {"label": described["label"], "description": described["description"]}
        made[name] = kind(validators=[validators.Optional(), *choices], default=schema.get("default"), **text)
    return made


async def connection_async(conn_id: str) -> Connection:
    """Return a connection without blocking the event loop; the way for triggers.

    :param conn_id: id of the Airflow connection.
    """
    return await BaseHook.aget_connection(conn_id)


async def connection_extra_async(connection: Connection) -> Any:
    """Return a connection's decoded extra without blocking the event loop: reading it also masks its secrets.

    :param connection: as :func:`connection_async` returned it.
    """
    if hasattr(connection, "aextra_dejson"):
        return await connection.aextra_dejson()
    # Before 3.3.2. The property of the same name sends synchronously, which blocks a triggerer's event loop; in a
    # thread it takes answers that belong to other triggers, which ends the triggerer.
    try:
        extra = json.loads(connection.extra) if connection.extra else {}
    except ValueError:
        return {}
    await _mask_async(extra)
    return extra


async def _mask_async(secret: Any) -> None:
    """Mask a secret in this process and in its supervisor, without blocking the event loop."""
    try:
        from airflow.sdk.log import amask_secret
    except ImportError:  # before 3.3
        from airflow.sdk._shared.secrets_masker import _secrets_masker
        from airflow.sdk.execution_time import task_runner
        from airflow.sdk.execution_time.comms import MaskSecret

        _secrets_masker().add_mask(secret)
        with suppress(Exception):  # no supervisor, or one that takes no such message
            await task_runner.SUPERVISOR_COMMS.asend(MaskSecret(value=secret))
    else:
        await amask_secret(secret)


def run_airflow(commands: Iterable[Any], arguments: Sequence[str]) -> None:
    """Run Airflow's own command line; before 3.2 it does not read the commands of providers.

    :param commands: commands that it has to know, as the provider's metadata names them.
    :param arguments: what follows ``airflow``.
    """
    known = import_module("airflow.cli.cli_parser").ALL_COMMANDS_DICT
    for command in commands:
        known.setdefault(command.name, command)
    sys.argv = ["airflow", *arguments]
    import_module("airflow.__main__").main()


def get_fernet() -> Any:
    """Return what encrypts with Airflow's key, or what lets everything through where there is none."""
    try:
        crypto = import_module("airflow.sdk.crypto")
    except ImportError:  # before 3.2
        crypto = import_module("airflow.models.crypto")
    return crypto.get_fernet()


def ask_a_person(
    context: Context,
    *,
    subject: str,
    body: str,
    options: Sequence[str],
    method_name: str,
    response_timeout: timedelta | None = None,
    assigned_users: Sequence[Any] | None = None,
) -> NoReturn:
    """Ask a person, and park the task without a worker slot until the answer comes.

    A task that asks again shows its first question, because Airflow keeps one per task instance and try.

    :param context: the task's context.
    :param subject: the question in one line.
    :param body: what is needed to answer it, as Markdown.
    :param options: the answers to choose from, one of which is chosen.
    :param method_name: method of the operator that goes on. It takes the context and ``event``:
        ``chosen_options`` and ``responded_by_user``, or ``error`` where nobody answered in time.
    :param response_timeout: how long to wait; ``None`` waits for good.
    :param assigned_users: users who can answer, as in Airflow's ``HITLOperator``; ``None`` allows anybody.
    """
    from airflow.providers.standard.operators import hitl

    ti_id, choices = context["ti"].id, list(options)
    hitl.upsert_hitl_detail(  # type: ignore[attr-defined]
        ti_id=ti_id,
        options=choices,
        subject=subject,
        body=body,
        defaults=None,
        multiple=False,
        params={},
        assigned_users=list(assigned_users) if assigned_users else None,
    )
    if hasattr(hitl, "TaskAwaitingInput"):
        raise hitl.TaskAwaitingInput(method_name=method_name, timeout=response_timeout)
    # Before 3.3 the triggerer waits.
    from airflow.providers.standard.triggers.hitl import HITLTrigger

    until = None if response_timeout is None else datetime.now(UTC) + response_timeout
    trigger = HITLTrigger(ti_id=ti_id, options=choices, params={}, timeout_datetime=until)
    operator: Any = context["task"]
    operator.defer(trigger=trigger, method_name=method_name)
    raise AssertionError("a deferral does not return")


def defer_for(operator: BaseOperator, wait: timedelta, method_name: str, **kwargs: Any) -> NoReturn:
    """Have the triggerer wait.

    :param operator: the running task's operator.
    :param wait: how long.
    :param method_name: method of the operator that goes on. It takes the context, ``event`` and ``kwargs``.
    """
    from airflow.providers.standard.triggers.temporal import TimeDeltaTrigger

    operator.defer(trigger=TimeDeltaTrigger(wait), method_name=method_name, kwargs=kwargs)


def create_asset_events(uri: str, extra: Mapping[str, Any]) -> int:
    """Make an event of every asset with a URI, as Airflow's own REST API does; return of how many.

    It works in the API server alone, which has the database. An asset that no DAG names is unknown to Airflow.

    :param uri: URI of the assets, whatever their names are.
    :param extra: what the events hold.
    """
    session_module, assets = import_module("airflow.utils.session"), import_module("airflow.models.asset")
    manager = import_module("airflow.assets.manager").asset_manager
    with session_module.create_session(scoped=False) as session:
        found = session.query(assets.AssetModel).filter_by(uri=uri).all()
        for each in found:
            # Before 3.3 Airflow takes source_is_api as one more keyword, and does nothing with it.
            manager.register_asset_change(asset=each, extra=dict(extra), session=session, source_is_api=True)
        return len(found)
