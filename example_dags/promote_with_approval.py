"""Promote a project's deployment and config page to live, once a person has approved the plan."""

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
    **plan** reads pre-release and live and writes nothing. **approval** shows the plan under Required Actions and
    waits for a person, without a worker slot. **apply** carries out exactly what was shown: should a page, a
    deployment or the plan change in between, it stops before the first write. **verify** reads everything once more.

    A rejection fails the run, and so does no answer within twelve hours; nothing is written then. A plan that changes
    nothing goes through without asking anybody.

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
