"""This provider: one task."""

from __future__ import annotations

from airflow.sdk import DAG

from airflow_voice_agents.polyai.operators.connectors import PolyAIBatchUpdateConnectorsOperator

with DAG("connectors_provider", schedule=None) as dag:
    PolyAIBatchUpdateConnectorsOperator(
        task_id="work",
        agent_id="fleet",
        selector={"client_env": "pre-release"},
        changes={"asr_lang_code": "en-US"},
        concurrency=16,
        retries=3,
    )
