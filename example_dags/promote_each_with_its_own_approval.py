"""Promote config pages project by project, each with its own plan, approval and lock."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, task_group

from airflow_voice_agents.polyai.task_groups import promotion

PROJECTS = ["rosa-restaurants", "northgate-bank"]

with DAG(
    dag_id="promote_each_with_its_own_approval",
    schedule=None,
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 2, "retry_delay": timedelta(minutes=1)},
    tags=["polyai", "promotion"],
    doc_md="""
    Each project has its own approval, and a decision about one project does not delay the others. To ask
    certain people, set `assigned_users`.
    """,
):

    @task_group
    def one_project(target: Any) -> None:
        """Promote to one target."""
        promotion(
            spec={
                "source": {"agent_id": "harbour-hotels", "environment": "sandbox"},
                "config": {"include_keys": ["holiday_message"], "promote_schema": False},
            },
            targets=[target],
            approval={"response_timeout": timedelta(hours=12)},
        )

    one_project.expand(target=[{"agent_id": each, "environment": "pre-release"} for each in PROJECTS])
