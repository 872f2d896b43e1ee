"""Sensors for outcomes: test runs, outbound calls, conversations, alerts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Literal, Unpack

from airflow_voice_agents.polyai.sensors.base import PolyAISensor

if TYPE_CHECKING:
    from airflow_voice_agents.polyai.conditions import (
        AlertsClearCondition,
        OutboundCallCondition,
        QuietCondition,
        TestRunsCondition,
    )
    from airflow_voice_agents.polyai.types import EnvironmentName, PolyAISensorArguments


class PolyAITestRunsSensor(PolyAISensor):
    """Wait until test runs have ended, and fail unless all passed.

    Without ids the sensor sends no request, and the ``verdict`` is ``skipped``, not ``passed``. A run with an
    undocumented status counts as running. Tests run after a deployment and do not undo it. The sensor
    tolerates temporary errors of the platform. An error that waiting cannot fix ends the wait at once.

    Vendor operation: get test run.

    :param agent_id: the agent. (templated)
    :param test_run_ids: ids of the runs, such as ``test_run_ids`` of a deployment: a list, or a string with a
        JSON list or with ids separated by commas. (templated)
    :param allowed_failures: number of tests that can fail in all runs together; a run without a result always
        fails.
    :param fail_on: ``failed``, or ``never`` to wait only for the end of the runs.
    :param deferrable: wait in the triggerer, without a worker slot.
    :param polyai_conn_id: id of a connection of type ``polyai``. (templated)
    :raises InputError: for invalid arguments, before any request.
    :raises SensorError: if waiting cannot help, or a run did not pass; with ``soft_fail`` the task is
        skipped.
    :raises AirflowSensorTimeout: after ``timeout`` seconds.
    :returns: ``agent_id``, the ``verdict`` of all runs, and ``test_runs`` with the ``verdict`` and the counts
        of each.
    """

    trigger_path = "airflow_voice_agents.polyai.triggers:PolyAITestRunsTrigger"
    template_fields: Sequence[str] = (
        *PolyAISensor.template_fields,
        "agent_id",
        "test_run_ids",
    )

    def __init__(
        self,
        *,
        agent_id: str,
        test_run_ids: Sequence[str] | str | None,
        allowed_failures: int = 0,
        fail_on: Literal["failed", "never"] = "failed",
        **kwargs: Unpack[PolyAISensorArguments],
    ) -> None:
        super().__init__(**kwargs)
        self.agent_id = agent_id
        self.test_run_ids = test_run_ids
        self.allowed_failures = allowed_failures
        self.fail_on = fail_on

    def condition(self) -> TestRunsCondition:
        """Return the condition of this sensor."""
        from airflow_voice_agents.polyai.conditions import TestRunsCondition

        return TestRunsCondition.parse(self.agent_id, self.test_run_ids, self.allowed_failures, self.fail_on)


class PolyAIOutboundCallSensor(PolyAISensor):
    """Wait until an outbound call has ended, and fail if it failed.

    The sensor does not know the called number. Success means that the call was connected and completed, not
    that the agent behaved well. The platform deletes a call about two hours after its end. The sensor
    tolerates temporary errors of the platform. An error that waiting cannot fix ends the wait at once.

    Vendor operation: get outbound call status.

    :param agent_id: the agent. (templated)
    :param call_sid: the call. (templated)
    :param environment: environment of the call. (templated)
    :param fail_on: ``failed``, or ``never`` to wait only for the end of the call.
    :param deferrable: wait in the triggerer, without a worker slot.
    :param polyai_conn_id: id of a connection of type ``polyai``. (templated)
    :raises InputError: for invalid arguments, before any request.
    :raises SensorError: if waiting cannot help, or the call failed; with ``soft_fail`` the task is skipped.
    :raises AirflowSensorTimeout: after ``timeout`` seconds.
    :returns: ``agent_id``, ``call_sid`` and ``status``.
    """

    trigger_path = "airflow_voice_agents.polyai.triggers:PolyAIOutboundCallTrigger"
    template_fields: Sequence[str] = (
        *PolyAISensor.template_fields,
        "agent_id",
        "call_sid",
        "environment",
    )

    def __init__(
        self,
        *,
        agent_id: str,
        call_sid: str,
        environment: EnvironmentName,
        fail_on: Literal["failed", "never"] = "failed",
        **kwargs: Unpack[PolyAISensorArguments],
    ) -> None:
        super().__init__(**kwargs)
        self.agent_id = agent_id
        self.call_sid = call_sid
        self.environment = environment
        self.fail_on = fail_on

    def condition(self) -> OutboundCallCondition:
        """Return the condition of this sensor."""
        from airflow_voice_agents.polyai.conditions import OutboundCallCondition

        return OutboundCallCondition.parse(self.agent_id, self.call_sid, self.environment, self.fail_on)


class PolyAIQuietWindowSensor(PolyAISensor):
    """Wait until there were few parallel conversations for some minutes.

    The platform counts in steps of five minutes. The sensor ignores the newest step, because it lags; all
    steps before it must be quiet, without a gap. The connection needs a ``runtime_api_key``. The sensor
    tolerates temporary errors of the platform. An error that waiting cannot fix ends the wait at once.

    Vendor operation: get concurrency.

    :param account_id: the account. (templated)
    :param project_id: the agent. (templated)
    :param environment: ``sandbox``, ``pre-release`` or ``live``. (templated)
    :param max_concurrent: maximum number of parallel conversations.
    :param minutes: length of the quiet window in minutes, rounded up to five minutes.
    :param deferrable: wait in the triggerer, without a worker slot.
    :param polyai_conn_id: id of a connection of type ``polyai``. (templated)
    :raises InputError: for invalid arguments, before any request.
    :raises SensorError: if waiting cannot help; with ``soft_fail`` the task is skipped.
    :raises AirflowSensorTimeout: after ``timeout`` seconds.
    :returns: ``project_id``, ``environment``, the measured ``max_concurrent``, and ``until``, the end of the
        window.
    """

    trigger_path = "airflow_voice_agents.polyai.triggers:PolyAIQuietWindowTrigger"
    template_fields: Sequence[str] = (
        *PolyAISensor.template_fields,
        "account_id",
        "project_id",
        "environment",
    )

    def __init__(
        self,
        *,
        account_id: str,
        project_id: str,
        environment: EnvironmentName,
        max_concurrent: int = 0,
        minutes: int = 15,
        **kwargs: Unpack[PolyAISensorArguments],
    ) -> None:
        super().__init__(**kwargs)
        self.account_id = account_id
        self.project_id = project_id
        self.environment = environment
        self.max_concurrent = max_concurrent
        self.minutes = minutes

    def condition(self) -> QuietCondition:
        """Return the condition of this sensor."""
        from airflow_voice_agents.polyai.conditions import QuietCondition

        return QuietCondition.parse(
            self.account_id, self.project_id, self.environment, self.max_concurrent, self.minutes
        )


class PolyAIAlertsClearSensor(PolyAISensor):
    """Wait until alert rules were evaluated again and none fires.

    A rule is clear if it is ``ok`` in an evaluation at least one window after ``after``; ``no_data`` and
    ``unknown`` are not clear. Rules have no environment. If there is no rule, the wait ends at once. The
    sensor tolerates temporary errors of the platform. An error that waiting cannot fix ends the wait at once.

    Vendor operation: list alert rules.

    :param after: time, such as that of a promotion: aware datetime, or ISO 8601 with a time zone. (templated)
    :param project_id: the agent of the rules, as the rules write it; ``None`` for all rules of the account.
        (templated)
    :param rule_ids: only these rules. (templated)
    :param ignore_older: ignore rules that began to fire before ``after``.
    :param fail_on_alert: fail at once if a rule began to fire after ``after``.
    :param deferrable: wait in the triggerer, without a worker slot.
    :param polyai_conn_id: id of a connection of type ``polyai``. (templated)
    :raises InputError: for invalid arguments, before any request.
    :raises SensorError: if waiting cannot help, or a rule fires with ``fail_on_alert``; with ``soft_fail``
        the task is skipped.
    :raises AirflowSensorTimeout: after ``timeout`` seconds.
    :returns: ``after``, the number of ``rules``, and the ids ``firing_before`` and ``not_clear``.
    """

    trigger_path = "airflow_voice_agents.polyai.triggers:PolyAIAlertsClearTrigger"
    template_fields: Sequence[str] = (
        *PolyAISensor.template_fields,
        "after",
        "project_id",
        "rule_ids",
    )

    def __init__(
        self,
        *,
        after: datetime | str,
        project_id: str | None = None,
        rule_ids: Sequence[str] | str | None = None,
        ignore_older: bool = False,
        fail_on_alert: bool = False,
        **kwargs: Unpack[PolyAISensorArguments],
    ) -> None:
        super().__init__(**kwargs)
        self.after = after
        self.project_id = project_id
        self.rule_ids = rule_ids
        self.ignore_older = ignore_older
        self.fail_on_alert = fail_on_alert

    def condition(self) -> AlertsClearCondition:
        """Return the condition of this sensor."""
        from airflow_voice_agents.polyai.conditions import AlertsClearCondition

        return AlertsClearCondition.parse(
            self.after, self.project_id, self.rule_ids, self.ignore_older, self.fail_on_alert
        )
