"""Release a branch of a project on the branches model: tests, plan, approval, merge into live, watch, rollback."""

from __future__ import annotations

from datetime import timedelta

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, Param

from airflow_voice_agents.polyai.task_groups import release

AGENT = "{{ params.agent_id }}"
TESTS = ["CASE-ALLERGENS", "CASE-TABLE"]

with DAG(
    dag_id="release_by_merge",
    schedule=None,
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 2, "retry_delay": timedelta(minutes=1)},
    params={
        "agent_id": Param(
            "rosa-restaurants", type="string", pattern=r"\S", description="A project on the branches model."
        ),
        "branch": Param(
            "christmas-menu", type="string", pattern=r"\S", description="Id or name of the branch."
        ),
        "watch_minutes": Param(30, type="number", minimum=0, description="How long live is watched."),
        "poll_seconds": Param(60, type="number", exclusiveMinimum=0, description="Between two looks."),
    },
    tags=["polyai", "release"],
    doc_md="""
    In the branches model a merge into main is the release. Tests run on the branch first. The plan shows what
    the branch changes, what live runs now, and that the tests passed on exactly this state. A person approves
    it, and the DAG merges exactly what was approved. Then it watches live: if an alert fires, it rolls live
    back to the previous deployment, puts the version on hold, and fails. If the watch reaches no verdict, it
    asks a person.

    Tests, approval and watch wait without a worker slot.
    """,
):
    released = release(
        agent_id=AGENT,
        branch="{{ params.branch }}",
        message="Release {{ params.branch }}",
        test_ids=TESTS,
        approval={"response_timeout": timedelta(hours=12)},
        watch={
            "checks": [{"check": "alerts", "project_ids": [AGENT], "account_wide": True}],
            "watch_minutes": "{{ params.watch_minutes }}",
            "poll_interval": "{{ params.poll_seconds }}",
        },
        confirm_live=True,
    )
    released >> EmptyOperator(task_id="finish")
