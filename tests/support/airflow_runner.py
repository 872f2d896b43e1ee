"""Runs operators through Airflow's real task runner, without a database.

Only the supervisor (what a task asks for connections, XComs and its state store) is replaced, by
:class:`AirflowRunner`, which keeps it all in memory. Templates, retry policy, serialisation, links,
deferral and resumption are Airflow's own code. Whatever is stored passes through JSON, as it would on its
way to the server.

This module touches private parts of Airflow; ``tests/airflow/test_harness.py`` tells when they have changed.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import io
import json
import logging
import os
import pickle
import signal
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import structlog
from airflow.sdk import DAG
from airflow.sdk.api.datamodels._generated import DagRun, DagRunState, TIRunContext
from airflow.sdk.bases.operator import TRIGGER_FAIL_REPR, TriggerFailureReason
from airflow.sdk.module_loading import import_string

from airflow_voice_agents.transport.errors import InputError, VoiceAgentsError
from support.airflow_versions import (
    MASKS_WITHOUT_BLOCKING,
    NATIVE,
    AirflowFailException,
    ErrorType,
    comms,
    decode_trigger_kwargs,
    deserialize,
    give_task_state,
    message,
    read_kwargs,
    serialize,
    set_supervisor_comms,
    stored_kwargs,
    task_runner,
)

T = TypeVar("T")
RUN_ID = "test-run"
CONNECTION_FIELDS = ("host", "login", "password", "schema", "port", "extra")


class InMemoryTaskState:
    """The task state store of an Airflow that has none itself; it sends the messages of Airflow's own."""

    def __init__(self, runner: AirflowRunner, owner: tuple[str, int]) -> None:
        self._runner = runner
        self._owner = owner

    def get(self, key: str, default: Any = None) -> Any:
        """Return a value."""
        return _through_json(self._runner.stored(*self._owner).get(key, default))

    def set(self, key: str, value: Any) -> None:
        """Keep a value."""
        self._runner.send(message("SetTaskStateStore")(key=key, value=value))

    def delete(self, key: str) -> None:
        """Forget a value."""
        self._runner.send(message("DeleteTaskStateStore")(key=key))


class BlockedTriggerer(BaseException):
    """A trigger blocked the event loop; no ``except Exception`` on the way may hide it."""


@dataclass(frozen=True)
class NotMade:
    """An operator that refused its arguments when it was made: an import error of the DAG file."""

    error: InputError


def make(operator: Callable[..., T], **arguments: Any) -> T | NotMade:
    """Make an operator; to run one that refused its arguments is an outcome with that error."""
    try:
        return operator(**arguments)
    except InputError as error:
        return NotMade(error)


@dataclass(frozen=True)
class Outcome:
    """What one attempt of a task came to."""

    state: str
    """``success``, ``failed``, ``up_for_retry``, ``deferred``, ``skipped`` or ``up_for_reschedule``."""
    error: BaseException | None
    xcoms: dict[str, Any]
    """The task's XComs after the attempt, deserialised; the returned value is ``return_value``."""
    report: Any
    """The last message to the supervisor: ``SucceedTask``, ``DeferTask``, ``RetryTask`` or ``TaskState``."""
    sent: tuple[Any, ...]
    """All messages to the supervisor, in order."""
    log: str
    """Everything logged, by whomever, from DEBUG up, with tracebacks; nothing is masked here."""
    raised: BaseException | None = None
    """What left the task; where Airflow asks no retry policy, ``error`` lacks its mark of a permanent one."""
    waited: float | None = None
    """Seconds of a wait that the server named and the triggerer waited for, where Airflow's retry does not."""

    @property
    def result(self) -> Any:
        """What the operator returned."""
        return self.xcoms.get("return_value")

    @property
    def deferred(self) -> comms.DeferTask | None:
        """The deferral, if the task deferred."""
        return self.report if isinstance(self.report, comms.DeferTask) else None

    @property
    def retry_delay(self) -> float | None:
        """Seconds until the next try, where the retry policy named them."""
        return self.waited or getattr(self.report, "retry_delay_seconds", None)

    @property
    def retry_reason(self) -> str | None:
        """The retry policy's reason for another try."""
        return getattr(self.report, "retry_reason", None)

    @property
    def asset_events(self) -> list[dict[str, Any]]:
        """Events for assets and aliases, as sent with the success of the task."""
        return list(getattr(self.report, "outlet_events", None) or [])

    @property
    def rendered(self) -> dict[str, Any]:
        """The rendered template fields, as the web interface shows them."""
        shown = [message for message in self.sent if isinstance(message, comms.SetRenderedFields)]
        return shown[-1].rendered_fields if shown else {}


@dataclass
class AirflowRunner:
    """An in-memory Airflow: one DAG run, whose tasks are run by the real task runner.

    :param connections: field values per connection id; ``extra`` may be a mapping.
    :param variables: Airflow variables.
    :param run_type: ``manual``, ``scheduled``, ``backfill``, ``asset_triggered`` and so on.
    :param conf: the run's conf.
    """

    connections: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    variables: dict[str, str] = field(default_factory=dict)
    run_type: str = "manual"
    conf: dict[str, Any] = field(default_factory=dict)
    xcoms: dict[tuple[str, int, str], Any] = field(default_factory=dict)
    """Serialised values per task id, map index and key."""
    state_store: dict[tuple[str, int], dict[str, Any]] = field(default_factory=dict)
    """Per task id and map index; survives retries, as Airflow's does."""
    masked: list[Any] = field(default_factory=list)
    """What was named as a secret."""
    sent: list[Any] = field(default_factory=list)
    _text: io.StringIO = field(default_factory=io.StringIO, repr=False)
    _current: tuple[str, int] = ("", -1)
    _in_trigger: bool = False

    @property
    def log(self) -> str:
        """Everything that was logged so far, by tasks and triggers, unmasked."""
        return self._text.getvalue()

    def run(
        self, task: Any, *, try_number: int = 1, map_index: int = -1, through_waits: bool = True
    ) -> Outcome:
        """Run a fresh attempt; XComs of the task's earlier attempts are deleted, its state store is kept.

        :param task: operator, or mapped operator together with ``map_index``.
        :param try_number: from 1; the task may be retried while it is not above its ``retries``.
        :param through_waits: whether a wait that the server named, and the triggerer waits for, is gone through.
        """
        if isinstance(task, NotMade):
            return Outcome("failed", task.error, {}, None, (), "")
        keys = [key for task_id, index, key in self.xcoms if (task_id, index) == (task.task_id, map_index)]
        outcome = self._attempt(task, try_number, map_index, xcom_keys_to_clear=keys)
        if (
            NATIVE
            or not through_waits
            or outcome.deferred is None
            or outcome.deferred.next_method != "fail_after_wait"
        ):
            return outcome
        seconds = read_kwargs(outcome.deferred.next_kwargs)["seconds"]
        ended = self.resume_with(task, outcome, None, try_number=try_number, map_index=map_index)
        return replace(ended, waited=seconds, sent=(*outcome.sent, *ended.sent), log=outcome.log + ended.log)

    def fire(self, outcome: Outcome, *, timeout: float = 20) -> Any:
        """Rebuild the trigger from what was stored, run it, and return the payload of its first event.

        :param timeout: seconds after which the test fails, because the trigger has not fired.
        """
        trigger = self._revive(outcome)

        async def first_event() -> Any:
            async with asyncio.timeout(timeout):
                events = trigger.run()
                try:
                    async for event in events:
                        return event.payload
                finally:
                    await events.aclose()
                    await trigger.cleanup()
            raise AssertionError("the trigger ended without an event")

        self._in_trigger = True
        try:
            with set_supervisor_comms(self), _captured_logs(self._text):
                return asyncio.run(first_event())
        finally:
            self._in_trigger = False

    def resume(self, task: Any, outcome: Outcome, *, try_number: int = 1, map_index: int = -1) -> Outcome:
        """Fire the trigger and let the task go on with its event, as a new instance would."""
        return self.resume_with(task, outcome, self.fire(outcome), try_number=try_number, map_index=map_index)

    def resume_with(
        self, task: Any, outcome: Outcome, event: Any, *, try_number: int = 1, map_index: int = -1
    ) -> Outcome:
        """Let a deferred task go on with an event of the test's choice."""
        deferral = _deferral(outcome)
        kwargs = _through_json(stored_kwargs({**read_kwargs(deferral.next_kwargs), "event": event}))
        return self._attempt(
            task, try_number, map_index, next_method=deferral.next_method, next_kwargs=kwargs
        )

    def expire(self, task: Any, outcome: Outcome, *, try_number: int = 1, map_index: int = -1) -> Outcome:
        """Let a deferred task go on as Airflow does when the deferral's time-out passed."""
        _deferral(outcome)
        return self._attempt(
            task,
            try_number,
            map_index,
            next_method=TRIGGER_FAIL_REPR,
            next_kwargs=_through_json(stored_kwargs({"error": TriggerFailureReason.TRIGGER_TIMEOUT.value})),
        )

    def stored(self, task_id: str, map_index: int = -1) -> dict[str, Any]:
        """Return what a task holds in its state store."""
        return self.state_store.get((task_id, map_index), {})

    def push(self, task_id: str, value: Any, key: str = "return_value", map_index: int = -1) -> None:
        """Put an XCom as if an earlier task had pushed it."""
        self.xcoms[task_id, map_index, key] = _through_json(serialize(value))

    def _attempt(self, task: Any, try_number: int, map_index: int, **from_server: Any) -> Outcome:
        _put_into_dag(task)
        self._current = (task.task_id, map_index)
        retries = getattr(task, "retries", 0) or 0
        instance = task_runner.RuntimeTaskInstance.model_construct(
            id=uuid.uuid4(),
            task_id=task.task_id,
            dag_id=task.dag_id,
            run_id=RUN_ID,
            try_number=try_number,
            map_index=map_index,
            dag_version_id=uuid.uuid4(),
            hostname="",
            context_carrier=None,
            task=task,
            start_date=dt.datetime.now(dt.UTC),
            max_tries=retries,
            bundle_instance=None,
            _ti_context_from_server=TIRunContext(
                dag_run=self._dag_run(task.dag_id),
                max_tries=retries,
                should_retry=try_number <= retries,
                **from_server,
            ),
        )
        before, logged = len(self.sent), len(self.log)
        with set_supervisor_comms(self), _process_state_restored(), _captured_logs(self._text) as logger:
            context = instance.get_template_context()
            if not NATIVE:
                give_task_state(context, InMemoryTaskState(self, self._current))
            state, report, error = task_runner.run(instance, context, logger)
            task_runner.finalize(instance, state, context, logger, error)
        return Outcome(
            state=state.value,
            error=_importable(error),
            raised=error,
            xcoms=self._xcoms_of(task.task_id, map_index),
            report=report,
            sent=tuple(self.sent[before:]),
            log=self.log[logged:],
        )

    def _dag_run(self, dag_id: str) -> DagRun:
        now = dt.datetime.now(dt.UTC)
        return DagRun(
            dag_id=dag_id,
            run_id=RUN_ID,
            logical_date=now,
            data_interval_start=now,
            data_interval_end=now,
            run_after=now,
            start_date=now,
            end_date=None,
            run_type=self.run_type,
            state=DagRunState.RUNNING,
            conf=self.conf,
            consumed_asset_events=[],
            **dict.fromkeys(DagRun.model_fields.keys() & {"partition_key"}),
        )

    def _revive(self, outcome: Outcome) -> Any:
        deferral = _deferral(outcome)
        stored = _through_json(stored_kwargs(read_kwargs(deferral.trigger_kwargs)))
        decoded = decode_trigger_kwargs(stored) if "__type" in stored else deserialize(stored)
        kwargs = {name: decode_trigger_kwargs(value) for name, value in decoded.items()}
        return import_string(deferral.classpath)(**kwargs)

    def _xcoms_of(self, task_id: str, map_index: int) -> dict[str, Any]:
        return {
            key: deserialize(value)
            for (owner, index, key), value in self.xcoms.items()
            if (owner, index) == (task_id, map_index)
        }

    # What the task runner and the triggerer call.

    def send(self, msg: Any) -> Any:
        """Answer a message as the supervisor does; inside a trigger only :meth:`asend` may be used."""
        if self._in_trigger and isinstance(msg, comms.MaskSecret) and not MASKS_WITHOUT_BLOCKING:
            raise RuntimeError("a triggerer sends nothing synchronously")
        if self._in_trigger:
            raise BlockedTriggerer(f"{type(msg).__name__} was sent synchronously from a trigger")
        return self._answer(msg)

    async def asend(self, msg: Any) -> Any:
        """Answer a message as the supervisor does."""
        return self._answer(msg)

    def _answer(self, msg: Any) -> Any:
        self.sent.append(msg)
        handler = _HANDLERS.get(type(msg))
        return handler(self, msg) if handler else comms.OKResponse(ok=True)

    def _get_connection(self, msg: comms.GetConnection) -> Any:
        if msg.conn_id not in self.connections:
            return comms.ErrorResponse(error=ErrorType.CONNECTION_NOT_FOUND, detail={"conn_id": msg.conn_id})
        fields = {**dict.fromkeys(CONNECTION_FIELDS), **self.connections[msg.conn_id]}
        if isinstance(fields["extra"], Mapping):
            fields["extra"] = json.dumps(fields["extra"])
        return comms.ConnectionResult(conn_id=msg.conn_id, **fields)

    def _get_variable(self, msg: comms.GetVariable) -> Any:
        if msg.key not in self.variables:
            return comms.ErrorResponse(error=ErrorType.VARIABLE_NOT_FOUND, detail={"key": msg.key})
        return comms.VariableResult(key=msg.key, value=self.variables[msg.key])

    def _set_xcom(self, msg: comms.SetXCom) -> Any:
        self.xcoms[msg.task_id, _index(msg), msg.key] = _through_json(msg.value)
        return comms.OKResponse(ok=True)

    def _get_xcom(self, msg: comms.GetXCom) -> Any:
        return comms.XComResult(key=msg.key, value=self.xcoms.get((msg.task_id, _index(msg), msg.key)))

    def _delete_xcom(self, msg: comms.DeleteXCom) -> Any:
        self.xcoms.pop((msg.task_id, _index(msg), msg.key), None)
        return comms.OKResponse(ok=True)

    def _get_xcom_slice(self, msg: comms.GetXComSequenceSlice) -> Any:
        values = [
            value
            for (task_id, _, key), value in sorted(self.xcoms.items(), key=lambda item: item[0])
            if (task_id, key) == (msg.task_id, msg.key)
        ]
        return comms.XComSequenceSliceResult(root=values[slice(msg.start, msg.stop, msg.step)])

    def _get_task_store(self, msg: Any) -> Any:
        store = self.stored(*self._current)
        if msg.key not in store:
            return comms.ErrorResponse(error=ErrorType.TASK_STORE_NOT_FOUND, detail={"key": msg.key})
        return comms.TaskStateStoreResult(value=_through_json(store[msg.key]))

    def _set_task_store(self, msg: Any) -> Any:
        self.state_store.setdefault(self._current, {})[msg.key] = _through_json(msg.value)
        return comms.OKResponse(ok=True)

    def _delete_task_store(self, msg: Any) -> Any:
        self.state_store.get(self._current, {}).pop(msg.key, None)
        return comms.OKResponse(ok=True)

    def _clear_task_store(self, _: Any) -> Any:
        self.state_store.pop(self._current, None)
        return comms.OKResponse(ok=True)

    def _mask(self, msg: comms.MaskSecret) -> Any:
        self.masked.append(msg.value)
        return comms.OKResponse(ok=True)

    def _validate_assets(self, _: comms.ValidateInletsAndOutlets) -> Any:
        return comms.InactiveAssetsResult(inactive_assets=[])


_HANDLERS: dict[type, Any] = {
    comms.GetConnection: AirflowRunner._get_connection,
    comms.GetVariable: AirflowRunner._get_variable,
    comms.SetXCom: AirflowRunner._set_xcom,
    comms.GetXCom: AirflowRunner._get_xcom,
    comms.DeleteXCom: AirflowRunner._delete_xcom,
    comms.GetXComSequenceSlice: AirflowRunner._get_xcom_slice,
    message("GetTaskStateStore"): AirflowRunner._get_task_store,
    message("SetTaskStateStore"): AirflowRunner._set_task_store,
    message("DeleteTaskStateStore"): AirflowRunner._delete_task_store,
    message("ClearTaskStateStore"): AirflowRunner._clear_task_store,
    comms.MaskSecret: AirflowRunner._mask,
    comms.ValidateInletsAndOutlets: AirflowRunner._validate_assets,
}


def _importable(error: BaseException | None) -> BaseException | None:
    """Return an error of ours without the mark that it is Airflow's as well."""
    if not (isinstance(error, VoiceAgentsError) and isinstance(error, AirflowFailException)):
        return error
    plain: BaseException = pickle.loads(pickle.dumps(error))  # noqa: S301
    plain.__cause__ = error.__cause__
    return plain


def _index(msg: Any) -> int:
    return -1 if msg.map_index is None else int(msg.map_index)


def _deferral(outcome: Outcome) -> comms.DeferTask:
    if outcome.deferred is None:
        raise AssertionError(f"the task did not defer, it ended {outcome.state}: {outcome.error!r}")
    return outcome.deferred


def _through_json(value: Any) -> Any:
    return json.loads(json.dumps(value, allow_nan=False))


def _put_into_dag(task: Any) -> None:
    if not task.has_dag():
        DAG("harness", schedule=None).add_task(task)


@contextlib.contextmanager
def _process_state_restored() -> Iterator[None]:
    """The task runner sets a signal handler and environment variables for a process of its own."""
    environment, handler = dict(os.environ), signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        for name in set(os.environ) - set(environment):
            del os.environ[name]
        os.environ.update(environment)
        signal.signal(signal.SIGTERM, handler or signal.SIG_DFL)


@contextlib.contextmanager
def _captured_logs(text: io.StringIO) -> Iterator[Any]:
    """Collect what Airflow's task log would hold: structlog's lines and every standard logger's."""
    settings = structlog.get_config() if structlog.is_configured() else None
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG),
        logger_factory=lambda *_: structlog.PrintLogger(text),  # type: ignore[arg-type]
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(text)
    handler.setFormatter(logging.Formatter("%(levelname)s %(name)s %(message)s"))
    loggers = [logging.getLogger(), *_loggers_that_do_not_propagate()]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.addHandler(handler)
        logger.setLevel(logging.DEBUG)
    try:
        yield structlog.get_logger("task")
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.removeHandler(handler)
            logger.setLevel(level)
        structlog.reset_defaults() if settings is None else structlog.configure(**settings)


def _loggers_that_do_not_propagate() -> list[logging.Logger]:
    known = list(logging.root.manager.loggerDict.values())
    return [logger for logger in known if isinstance(logger, logging.Logger) and not logger.propagate]
