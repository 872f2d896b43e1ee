"""The only module that knows what differs between Airflow versions.

Everything that came with Airflow 3.3 is reached through here, so that the floor can be lowered by
changing this module alone. What an Airflow does not offer is ``None`` here, never an error.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NoReturn, cast

from airflow.sdk import BaseHook, RetryDecision, RetryPolicy

if TYPE_CHECKING:
    from airflow.sdk import Connection, Context

    from airflow_voice_agents.engine.run_context import TaskState

__all__ = [
    "RetryDecision",
    "RetryPolicy",
    "ask_a_person",
    "connection_async",
    "connection_extra_async",
    "is_backfill",
    "run_type",
    "task_state",
]


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


async def connection_async(conn_id: str) -> Connection:
    """Return a connection without blocking the event loop; the way for triggers.

    :param conn_id: id of the Airflow connection.
    """
    return await BaseHook.aget_connection(conn_id)


async def connection_extra_async(connection: Connection) -> dict[str, Any]:
    """Return a connection's extra without blocking the event loop: reading it also masks its secrets.

    :param connection: as :func:`connection_async` returned it.
    """
    return await connection.aextra_dejson()


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
    :param assigned_users: who may answer, as Airflow's ``HITLOperator`` takes them; ``None`` for anybody.
    """
    from airflow.providers.standard.operators import hitl

    hitl.upsert_hitl_detail(  # type: ignore[attr-defined]
        ti_id=context["ti"].id,
        options=list(options),
        subject=subject,
        body=body,
        defaults=None,
        multiple=False,
        params={},
        assigned_users=list(assigned_users) if assigned_users else None,
    )
    raise hitl.TaskAwaitingInput(method_name=method_name, timeout=response_timeout)  # type: ignore[attr-defined]
