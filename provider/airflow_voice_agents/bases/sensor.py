"""Base class of sensors, with one condition for poking and deferring."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Mapping
from datetime import timedelta
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.sdk import BaseSensorOperator, PokeReturnValue

from airflow_voice_agents.airflow_compat import (
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowSkipException,
    conf,
)
from airflow_voice_agents.bases.argument_checks import CheckedArguments
from airflow_voice_agents.bases.masked_arguments import MaskedArguments
from airflow_voice_agents.bases.retry_policy import PolicyRetries, VoiceAgentsRetryPolicy

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_voice_agents.airflow_compat import RetryPolicy
    from airflow_voice_agents.bases.trigger import ConditionTrigger
    from airflow_voice_agents.plans.condition import Condition, Found

BACKSTOP_SECONDS = 60.0
"""Seconds after a trigger's own deadline at which Airflow ends it."""


class SensorError(AirflowFailException):
    """Waiting cannot help. With ``soft_fail``, Airflow skips the task instead, deferred or not."""


class VoiceAgentsSensor(PolicyRetries, CheckedArguments, MaskedArguments, BaseSensorOperator):
    """Base of the sensors of every system.

    A subclass takes the connection's id as an argument, returns its condition, and names hook and trigger with
    class attributes, whose modules are imported when the sensor runs.

    :param deferrable: wait in the triggerer, without a worker slot; default: Airflow's ``[operators]
        default_deferrable``.
    :param retry_policy: policy that decides whether a failed try is retried.
    """

    conn_name_attr: ClassVar[str]
    """Name of the argument that holds the connection's id, as the hook names it."""
    hook_path: ClassVar[str]
    """The hook's class, as ``package.module:Class``."""
    trigger_path: ClassVar[str]
    """Class of the trigger that waits for the same condition, as ``package.module:Class``."""

    def __init__(
        self,
        *,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        retry_policy: RetryPolicy | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(retry_policy=retry_policy or VoiceAgentsRetryPolicy(), **kwargs)
        self.deferrable = deferrable

    @abstractmethod
    def condition(self) -> Condition:
        """Return the condition of this sensor.

        :raises InputError: for an invalid argument; the message names it.
        """

    def check(self) -> Found:
        """Ask once whether the condition holds, and return what to leave as XCom.

        :raises VoiceAgentsError: when the platform did not tell, or waiting cannot help.
        """
        from airflow_voice_agents.plans.condition import Read, fetch_all

        condition = self.condition()
        reads = [Read.of(read).alone for read in condition.reads()]
        if not reads:
            return condition.holds([])
        with resolve_name(self.hook_path)(getattr(self, self.conn_name_attr)) as hook:
            return condition.holds(hook.run(fetch_all(reads, hook)))

    def trigger(self, deadline: float) -> ConditionTrigger:
        """Return the trigger that waits for the same condition.

        :param deadline: seconds since the epoch at which it gives up.
        """
        arguments = {
            self.conn_name_attr: getattr(self, self.conn_name_attr),
            "condition": self.condition().serialize(),
            "poll_interval": float(self.poke_interval),
            "deadline": deadline,
        }
        trigger: ConditionTrigger = resolve_name(self.trigger_path)(**arguments)
        return trigger

    def poke(self, context: Context) -> PokeReturnValue:
        """Ask once; a transient error counts as not yet.

        :param context: the task's context.
        :raises SensorError: when waiting cannot help.
        """
        from airflow_voice_agents.transport.errors import VoiceAgentsError
        from airflow_voice_agents.transport.text import one_line

        try:
            done, found = self.check()
        except VoiceAgentsError as error:
            if error.permanent:
                raise SensorError(one_line(str(error), None)) from error
            self.log.warning("Not known yet, asking again later: %s", one_line(str(error), None))
            return PokeReturnValue(is_done=False)
        return PokeReturnValue(is_done=done, xcom_value=found)

    def execute(self, context: Context) -> Any:
        """Poke until the condition holds, or ask once and defer."""
        if not self.deferrable:
            return super().execute(context)
        answer = self._ask_first(context)
        if not answer.is_done:
            self._wait_elsewhere(float(self.timeout))
        return answer.xcom_value

    def _ask_first(self, context: Context) -> PokeReturnValue:
        """Ask as the poking loop does, which turns errors into skips where the author wants that."""
        try:
            return self.poke(context)
        except SensorError as error:
            if self.soft_fail or self.never_fail:
                raise AirflowSkipException(f"Skipped instead of failed: {error}") from error
            raise

    def _wait_elsewhere(self, seconds: float) -> None:
        self.defer(
            trigger=self.trigger(time.time() + seconds),
            method_name="execute_complete",
            timeout=timedelta(seconds=seconds + BACKSTOP_SECONDS),
        )

    def execute_complete(self, context: Context, event: Mapping[str, Any] | None = None) -> Any:
        """Return what the trigger found, or fail as it says.

        :param context: the task's context.
        :param event: ``status`` (``success``, ``timeout`` or ``error``), ``message`` and ``found``.
        :raises AirflowSensorTimeout: when the time is up.
        :raises SensorError: when waiting cannot help, or the event is not of such a trigger.
        """
        status = event.get("status") if isinstance(event, Mapping) else None
        if event is not None and status == "success":
            self.log.info("The condition holds.")
            return event.get("found")
        if event is not None and status == "timeout":
            raise AirflowSensorTimeout(f"The condition did not hold within {self.timeout} seconds.")
        if event is not None and status == "error":
            from airflow_voice_agents.transport.text import one_line

            raise SensorError(one_line(str(event.get("message")), None))
        raise SensorError(f"The trigger ended with an event that is not understood (status {status!r}).")
