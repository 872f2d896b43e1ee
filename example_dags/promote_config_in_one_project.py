"""Promote one project's config page from sandbox to pre-release, and to live after acceptance."""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG

from airflow_voice_agents.polyai.operators.configs import PolyAIPromoteConfigOperator
from airflow_voice_agents.polyai.sensors import PolyAIConfigSensor

AGENT = "harbour-hotels"
OWN_VALUES = ["fallback_number", "pms_api_key", "winter_notice"]

with DAG(
    dag_id="promote_config_in_one_project",
    schedule=None,
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 2, "retry_delay": timedelta(minutes=1)},
    tags=["polyai", "config"],
    doc_md="""
    1. **promote_to_pre_release** promotes schema and values from sandbox.
    2. **wait_for_acceptance** waits without a worker slot until the testers have switched pre-release from
       the mock to the real booking system. They do that in Agent Studio; test switches are never promoted.
    3. **promote_to_live** promotes from pre-release. A key that only live has and that is not in `OWN_VALUES`
       stops it before any write.

    `OWN_VALUES` are the keys that each environment keeps: its phone number, its secret, its notices.
    """,
):
    to_pre_release = PolyAIPromoteConfigOperator(
        task_id="promote_to_pre_release",
        source={"agent_id": AGENT, "environment": "sandbox"},
        targets={"agent_id": AGENT, "environment": "pre-release"},
        exclude_keys=OWN_VALUES,
        stale_keys="keep",
    )
    accepted = PolyAIConfigSensor(
        task_id="wait_for_acceptance",
        agent_id=AGENT,
        environment="pre-release",
        values={"settings": {"use_mock_api": False}},
        deferrable=True,
        poke_interval=60,
        timeout=timedelta(days=2).total_seconds(),
    )
    to_live = PolyAIPromoteConfigOperator(
        task_id="promote_to_live",
        source={"agent_id": AGENT, "environment": "pre-release"},
        targets={"agent_id": AGENT, "environment": "live"},
        exclude_keys=OWN_VALUES,
        stale_keys="fail",
        confirm_live=True,
    )
    to_pre_release >> accepted >> to_live
