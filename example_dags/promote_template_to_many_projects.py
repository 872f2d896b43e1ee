"""Promote some of a template project's config to many projects: plan all, then write all."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import DAG

from airflow_voice_agents.polyai.operators.configs import PolyAIPromoteConfigOperator

TEMPLATE = {"agent_id": "harbour-hotels", "environment": "sandbox"}
PROJECTS = {
    "rosa-restaurants": {},
    "northgate-bank": {"holiday_message": "Branches are closed from 24 to 26 December."},
}
PROMOTION: Any = {
    "source": TEMPLATE,
    "targets": [
        {"agent_id": project, "environment": "pre-release", "overrides": own}
        for project, own in PROJECTS.items()
    ],
    "include_keys": ["holiday_message", "opening_hours.sunday"],
    "promote_schema": False,
}

with DAG(
    dag_id="promote_template_to_many_projects",
    schedule=None,
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 2, "retry_delay": timedelta(minutes=1)},
    tags=["polyai", "config"],
    doc_md="""
    Every project gets the template's holiday message, or its own one in `PROJECTS`, and the template's Sunday
    hours. It keeps everything else, including its schema. **plan** reads everything and writes nothing.
    **apply** writes exactly that plan: if a project or the template changes in between, it stops before the
    first write.

    To have a person check the plan first, put an approval between the two.
    """,
):
    plan = PolyAIPromoteConfigOperator(task_id="plan", dry_run=True, **PROMOTION)
    apply = PolyAIPromoteConfigOperator(
        task_id="apply",
        expected_digest="{{ ti.xcom_pull(task_ids='plan')['plan_digest'] }}",
        **PROMOTION,
    )
    plan >> apply
