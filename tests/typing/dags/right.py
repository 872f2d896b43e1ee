"""A DAG that type checkers accept: typed arguments, templates, outputs of tasks and shared arguments."""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG

from airflow_voice_agents.bases.types import Template
from airflow_voice_agents.polyai.operators.configs import (
    PolyAIPromoteConfigOperator,
    PolyAIUpdateConfigOperator,
)
from airflow_voice_agents.polyai.operators.connectors import PolyAIBatchUpdateConnectorsOperator
from airflow_voice_agents.polyai.operators.deployments import PolyAIPromoteDeploymentOperator
from airflow_voice_agents.polyai.operators.promotion import (
    PolyAIApplyPromotionOperator,
    PolyAIPlanPromotionOperator,
)
from airflow_voice_agents.polyai.sensors.resources import PolyAIConfigSensor
from airflow_voice_agents.polyai.types import ConfigTargetArgument, UpdateTargetArgument
from airflow_voice_agents.signalwire.operators.snapshots import SignalWireRestoreRoutingOperator

HOTELS: list[ConfigTargetArgument] = [{"agent_id": "harbour-hotels", "environment": "live"}]

BANKS: list[UpdateTargetArgument] = [
    {"agent_id": "northgate-bank", "environment": "live", "values": {"a": 1}}
]

with DAG("right", schedule=None):
    PolyAIPromoteConfigOperator(
        task_id="a",
        source={"agent_id": "harbour-hotels", "environment": "pre-release"},
        targets=[
            {"agent_id": each, "environment": "live"} for each in ("harbour-hotels", "rosa-restaurants")
        ],
        dry_run=Template("{{ params.dry_run }}"),
        confirm_live=True,
        waves=["10%", "100%"],
        max_failures={"count": 2, "percent": 10},
        freeze=[{"start": "2026-12-20T18:00", "duration": "P14D", "timezone": "Europe/London"}],
        retry_delay=timedelta(minutes=1),
    )
    PolyAIPromoteConfigOperator(
        task_id="b",
        source="{{ params.source | tojson }}",
        targets=HOTELS,
        confirm_live=Template("{{ params.confirm }}"),
    )
    PolyAIUpdateConfigOperator(task_id="c", values={"a": {"b": 1}}, targets=BANKS, merge="replace")
    PolyAIBatchUpdateConnectorsOperator(
        task_id="d",
        agent_id="rosa-restaurants",
        selector={"client_env": "live", "name": "Main*"},
        changes={"variant_id": None, "voice_name": "en-GB-1"},
        confirm_live=True,
    )
    PolyAIPromoteDeploymentOperator(
        task_id="e",
        agent_id="rosa-restaurants",
        source_environment=Template("{{ params.source }}"),
        target_environment="live",
        confirm_live=True,
    )
    plan = PolyAIPlanPromotionOperator(
        task_id="f",
        spec={
            "source": {"agent_id": "harbour-hotels", "environment": "pre-release"},
            "targets": [
                {"agent_id": "harbour-hotels", "environment": "live", "overrides": {"greeting": "Hello"}}
            ],
            "config": {"stale_keys": "keep"},
        },
    )
    PolyAIApplyPromotionOperator(task_id="g", plan=plan.output, confirm_live=True)
    SignalWireRestoreRoutingOperator(
        task_id="h",
        snapshot="{{ ti.xcom_pull(task_ids='f', key='snapshot') }}",
        expected_route={"to": "swml", "url": "https://example.com"},
    )
    PolyAIConfigSensor(
        task_id="i", agent_id="harbour-hotels", environment="live", values={"a": 1}, mode="reschedule"
    )
