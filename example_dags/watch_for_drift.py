"""Check every hour whether live still matches what was promoted, and which side changed."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pendulum
from airflow.sdk import DAG, task

from airflow_voice_agents.polyai.operators.drift import PolyAIDriftOperator
from airflow_voice_agents.polyai.types import Spec

SITES = ["harbour-hotels", "rosa-restaurants", "northgate-bank"]
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
BASELINE = "releases"

with DAG(
    dag_id="watch_for_drift",
    schedule="30 * * * *",
    start_date=pendulum.datetime(2026, 11, 1, tz="Europe/London"),
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 2, "retry_delay": timedelta(minutes=1)},
    tags=["polyai", "drift"],
    doc_md="""
    **look** compares every site's live page with the state that a promotion from its pre-release would write,
    and with the state that was promoted last. `BASELINE` is the name in
    `PolyAIApplyPromotionOperator(baseline=…)` of the promoting DAG. Before its first run, **look** compares
    source and target only.

    **tell** runs only if a target drifted. Send its result to your team, or schedule another DAG on the asset
    events. The DAG writes nothing to the platform.
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

    look = PolyAIDriftOperator(task_id="look", spec=PROMOTION, baseline=BASELINE)
    anything_to_tell(look.output) >> tell(look.output)
