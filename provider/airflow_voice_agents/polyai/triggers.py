"""Triggers for PolyAI; they only poll."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_voice_agents.bases.trigger import ConditionTrigger

_CONDITIONS = "airflow_voice_agents.polyai.conditions"


class PolyAITrigger(ConditionTrigger):
    """Base of the PolyAI triggers.

    :param polyai_conn_id: id of a connection of type ``polyai``.
    :param condition: plain JSON, as the condition's ``serialize`` returned it; digests, never values.
    :param poll_interval: seconds between two questions.
    :param deadline: seconds since the epoch at which the wait is given up.
    """

    conn_name_attr = "polyai_conn_id"
    hook_path = "airflow_voice_agents.polyai.hooks:PolyAIHook"

    def __init__(
        self, *, polyai_conn_id: str, condition: Mapping[str, Any], poll_interval: float, deadline: float
    ) -> None:
        super().__init__(condition=condition, poll_interval=poll_interval, deadline=deadline)
        self.polyai_conn_id = polyai_conn_id


class PolyAIConfigTrigger(PolyAITrigger):
    """Wait for a config page.

    Vendor operation: list real-time configs.
    """

    condition_path = f"{_CONDITIONS}:ConfigCondition.deserialize"


class PolyAIPhoneNumbersTrigger(PolyAITrigger):
    """Wait for phone numbers.

    Vendor operation: list phone numbers.
    """

    condition_path = f"{_CONDITIONS}:NumbersCondition.deserialize"


class PolyAIDeploymentTrigger(PolyAITrigger):
    """Wait for an environment's active deployment.

    Vendor operation: get active deployments.
    """

    condition_path = f"{_CONDITIONS}:DeploymentCondition.deserialize"


class PolyAITestRunsTrigger(PolyAITrigger):
    """Wait for the end of test runs.

    Vendor operation: get test run.
    """

    condition_path = f"{_CONDITIONS}:TestRunsCondition.deserialize"


class PolyAIConnectorTrigger(PolyAITrigger):
    """Wait for a connector.

    Vendor operation: list connectors.
    """

    condition_path = f"{_CONDITIONS}:ConnectorCondition.deserialize"


class PolyAIOutboundCallTrigger(PolyAITrigger):
    """Wait for the end of an outbound call.

    Vendor operation: get outbound call status.
    """

    condition_path = f"{_CONDITIONS}:OutboundCallCondition.deserialize"


class PolyAIQuietWindowTrigger(PolyAITrigger):
    """Wait for a time of few conversations.

    Vendor operation: get concurrency.
    """

    condition_path = f"{_CONDITIONS}:QuietCondition.deserialize"


class PolyAIAlertsClearTrigger(PolyAITrigger):
    """Wait for alert rules that do not fire.

    Vendor operation: list alert rules.
    """

    condition_path = f"{_CONDITIONS}:AlertsClearCondition.deserialize"


class PolyAIDriftTrigger(PolyAITrigger):
    """Wait for drift, or for its end.

    Vendor operations: list real-time configs, get active deployments, list deployments, list connectors,
    list variants, batch get connectors, batch get numbers.
    """

    condition_path = "airflow_voice_agents.polyai.drift_request:DriftWait.deserialize"
