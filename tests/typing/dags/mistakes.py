"""A DAG with mistakes that a type checker has to find; each task holds one."""

from __future__ import annotations

from airflow.sdk import DAG

from airflow_voice_agents.omnia_voice.operators.phone_numbers import OmniaVoiceUpdateNumbersOperator
from airflow_voice_agents.polyai.operators.configs import (
    PolyAIPromoteConfigOperator,
    PolyAIUpdateConfigOperator,
)
from airflow_voice_agents.polyai.operators.connectors import PolyAIBatchUpdateConnectorsOperator
from airflow_voice_agents.polyai.operators.deployments import PolyAIPromoteDeploymentOperator
from airflow_voice_agents.polyai.operators.phone_numbers import PolyAIImportPhoneNumbersOperator
from airflow_voice_agents.polyai.sensors.resources import PolyAIConfigSensor
from airflow_voice_agents.polyai.task_groups import promotion
from airflow_voice_agents.signalwire.operators.phone_numbers import SignalWireSearchAndPurchaseOperator

HOTELS, PUBS = "harbour-hotels", "rosa-restaurants"

with DAG("mistakes", schedule=None):
    PolyAIPromoteConfigOperator(
        task_id="environment",
        source={"agent_id": HOTELS, "environment": "pre-release"},
        targets={"agent_id": HOTELS, "environment": "production"},
    )
    PolyAIPromoteConfigOperator(
        task_id="key_of_source",
        source={"agent": HOTELS, "environment": "sandbox"},
        targets={"agent_id": HOTELS, "environment": "pre-release"},
    )
    PolyAIPromoteConfigOperator(
        task_id="stale_keys",
        source={"agent_id": HOTELS, "environment": "sandbox"},
        targets={"agent_id": HOTELS, "environment": "pre-release"},
        stale_keys="drop",
    )
    PolyAIPromoteConfigOperator(
        task_id="name_of_a_shared_argument",
        source={"agent_id": HOTELS, "environment": "sandbox"},
        targets={"agent_id": HOTELS, "environment": "pre-release"},
        wave=["10%", "100%"],
    )
    PolyAIUpdateConfigOperator(task_id="waves", values={"a": 1}, waves=0.1)
    PolyAIUpdateConfigOperator(task_id="merge", values={"a": 1}, merge="deeply")
    PolyAIUpdateConfigOperator(task_id="text_for_a_flag", values={"a": 1}, confirm_live="yes")
    PolyAIUpdateConfigOperator(
        task_id="key_of_a_freeze_window",
        values={"a": 1},
        freeze=[{"begin": "2026-12-20T18:00", "end": "2027-01-02T06:00", "timezone": "UTC"}],
    )
    PolyAIUpdateConfigOperator(task_id="failure_limit", values={"a": 1}, max_failures={"percentage": 5})
    PolyAIBatchUpdateConnectorsOperator(
        task_id="key_of_an_update", agent_id=PUBS, updates=[{"connector_id": "cn_1", "voice": "en-GB-1"}]
    )
    PolyAIBatchUpdateConnectorsOperator(
        task_id="choice", agent_id=PUBS, updates=[{"connector_id": "cn_1"}], on_partial="ignore"
    )
    PolyAIBatchUpdateConnectorsOperator(
        task_id="seconds", agent_id=PUBS, updates=[{"connector_id": "cn_1"}], lock_wait="5 minutes"
    )
    PolyAIPromoteDeploymentOperator(
        task_id="target_environment", agent_id=PUBS, source_environment="sandbox", target_environment="prod"
    )
    PolyAIImportPhoneNumbersOperator(task_id="missing", agent_id=PUBS, phone_numbers=["+441632960001"])
    promotion(
        spec={
            "source": {"agent_id": HOTELS, "environment": "pre-release"},
            "targets": [{"agent_id": HOTELS, "environment": "live"}],
            "configs": {},
        }
    )
    promotion(spec_file="fleet.yaml", snapshot_retention=30)
    SignalWireSearchAndPurchaseOperator(
        task_id="number_type", count=2, max_numbers=2, confirm_purchase=True, number_type="tollfree"
    )
    OmniaVoiceUpdateNumbersOperator(
        task_id="key_of_changes", phone_numbers=["+12025550123"], changes={"agent": "a-1"}
    )
    PolyAIConfigSensor(
        task_id="name_of_a_sensor_argument",
        agent_id=HOTELS,
        environment="live",
        values={"a": 1},
        poke_intervall=30,
    )
