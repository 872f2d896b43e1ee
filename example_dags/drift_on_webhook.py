"""Detect drift as soon as PolyAI sends a webhook about an agent."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, Asset, AssetAny, task

from airflow_voice_agents.polyai.operators.drift import PolyAIDriftOperator
from airflow_voice_agents.polyai.types import Spec

SITES = ["harbour-hotels", "rosa-restaurants"]
PROMOTION: Spec = {
    "targets": [
        {
            "agent_id": site,
            "environment": "live",
            "source": {"agent_id": site, "environment": "pre-release"},
        }
        for site in SITES
    ],
    "config": {"exclude_keys": ["fallback_number", "**.*_key"]},
}

with DAG(
    dag_id="drift_on_webhook",
    schedule=AssetAny(*[Asset(f"polyai://agents/{site}/webhook") for site in SITES]),
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 2, "retry_delay": timedelta(minutes=1)},
    tags=["polyai", "drift"],
    doc_md="""
    The API server turns a webhook into an asset event, which starts this DAG. `SITES` are agents in
    `[voice_agents] webhook_agents`.

    **look** reads the platform: the webhook only says that something happened, and its content is not
    trusted. **tell** runs only if a target drifted. The DAG writes nothing to the platform.

    Webhooks can get lost. Also run a DAG that checks every hour.
    """,
):

    @task.short_circuit
    def anything_to_tell(found: Any) -> bool:
        """Whether a target has drifted or could not be compared."""
        return bool(found["targets"])

    @task
    def tell(found: Any) -> str:
        """Say which targets, and how each of them stands."""
        return "\n".join(f"{target}: {drift}" for target, drift in found["targets"].items())

    look = PolyAIDriftOperator(task_id="look", spec=PROMOTION)
    anything_to_tell(look.output) >> tell(look.output)
