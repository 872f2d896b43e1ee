"""Promote a template's notices to a fleet in waves, with one approval, a failure limit and stop conditions."""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG

from airflow_voice_agents.polyai.task_groups import promotion
from airflow_voice_agents.polyai.types import SourceArgument

TEMPLATE: SourceArgument = {"agent_id": "harbour-hotels", "environment": "sandbox"}
FLEET = ["rosa-restaurants", "northgate-bank", "harbour-hotels"]

with DAG(
    dag_id="promote_fleet_in_waves",
    schedule=None,
    catchup=False,
    max_active_runs=1,
    params={"override_freeze": ""},
    default_args={"retries": 2, "retry_delay": timedelta(minutes=1)},
    tags=["polyai", "promotion"],
    doc_md="""
    One plan and one approval cover all projects in `FLEET`. The first project is written alone; the others
    follow if it succeeds. One project can fail; after one more, no further project starts, and a plan that
    changes more than ten projects is refused.

    Set the Airflow Variable `stop_promotions` to stop before the next wave; a retry continues there. No wave
    starts over New Year, unless you trigger the run with a reason in `override_freeze`. The applied digests
    are stored as the baseline `notices`.
    """,
):
    promotion(
        spec={
            "source": TEMPLATE,
            "targets": [{"agent_id": project, "environment": "pre-release"} for project in FLEET],
            "config": {
                "include_keys": ["holiday_message", "opening_hours.sunday"],
                "promote_schema": False,
            },
        },
        approval={"response_timeout": timedelta(hours=12)},
        max_changed=10,
        waves=[1, "100%"],
        max_failures=1,
        stop_variable="stop_promotions",
        freeze=[
            {
                "start": "2026-12-30T18:00",
                "duration": "P3D",
                "timezone": "Europe/London",
                "rrule": "FREQ=YEARLY",
            }
        ],
        override_freeze="{{ params.override_freeze }}",
        baseline="notices",
    )
