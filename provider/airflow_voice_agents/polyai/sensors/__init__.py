"""Sensors for PolyAI."""

from __future__ import annotations

from airflow_voice_agents.polyai.sensors.base import PolyAISensor
from airflow_voice_agents.polyai.sensors.outcomes import (
    PolyAIAlertsClearSensor,
    PolyAIOutboundCallSensor,
    PolyAIQuietWindowSensor,
    PolyAITestRunsSensor,
)
from airflow_voice_agents.polyai.sensors.resources import (
    PolyAIConfigSensor,
    PolyAIConnectorSensor,
    PolyAIDeploymentSensor,
    PolyAIDriftSensor,
    PolyAIPhoneNumbersSensor,
)

__all__ = [
    "PolyAIAlertsClearSensor",
    "PolyAIConfigSensor",
    "PolyAIConnectorSensor",
    "PolyAIDeploymentSensor",
    "PolyAIDriftSensor",
    "PolyAIOutboundCallSensor",
    "PolyAIPhoneNumbersSensor",
    "PolyAIQuietWindowSensor",
    "PolyAISensor",
    "PolyAITestRunsSensor",
]
