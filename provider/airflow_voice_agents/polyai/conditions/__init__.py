"""Conditions of PolyAI sensors and their triggers; they contain digests, never config values."""

from __future__ import annotations

from airflow_voice_agents.plans.condition import Condition, Found, WaitFailed
from airflow_voice_agents.polyai.conditions.config import ConfigCondition
from airflow_voice_agents.polyai.conditions.deployments import DeploymentCondition, TestRunsCondition
from airflow_voice_agents.polyai.conditions.drift import TARGETS_NAMED, DriftCondition
from airflow_voice_agents.polyai.conditions.quiet import AlertsClearCondition, QuietCondition
from airflow_voice_agents.polyai.conditions.telephony import (
    ConnectorCondition,
    NumbersCondition,
    OutboundCallCondition,
)

__all__ = [
    "TARGETS_NAMED",
    "AlertsClearCondition",
    "Condition",
    "ConfigCondition",
    "ConnectorCondition",
    "DeploymentCondition",
    "DriftCondition",
    "Found",
    "NumbersCondition",
    "OutboundCallCondition",
    "QuietCondition",
    "TestRunsCondition",
    "WaitFailed",
]
