"""Promote a project's deployment and config page to live after a person approved the plan."""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG

from airflow_voice_agents.polyai.task_groups import promotion

AGENT = "harbour-hotels"

with DAG(
    dag_id="promote_with_approval",
    schedule=None,
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 2, "retry_delay": timedelta(minutes=1)},
    tags=["polyai", "promotion"],
    doc_md="""
    **plan** reads pre-release and live and writes nothing. **approval** shows the plan under Required Actions
    and waits for a person, without a worker slot. **apply** writes exactly what was shown: if a page, a
    deployment or the plan changes in between, it stops before the first write. **verify** reads everything
    once more.

    A rejection fails the run, and so does a missing answer after twelve hours; nothing is written then. A
    plan without changes needs no approval.

    `roll_back_a_promotion` undoes a run.
    """,
):
    promotion(
        spec={
            "source": {"agent_id": AGENT, "environment": "pre-release"},
            "targets": [{"agent_id": AGENT, "environment": "live"}],
            "deployment": {"message": "Approved in Airflow"},
            "config": {"exclude_keys": ["fallback_number", "pms_api_key", "winter_notice"]},
        },
        approval={"response_timeout": timedelta(hours=12)},
        confirm_live=True,
    )
