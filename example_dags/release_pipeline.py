"""Release a branch: sandbox, tests, pre-release, a smoke test, an approval, live, and a watch of half an hour."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, Param, task

from airflow_voice_agents.polyai.operators.deployments import (
    PolyAIMergeBranchOperator,
    PolyAIPromoteDeploymentOperator,
    PolyAIPublishOperator,
)
from airflow_voice_agents.polyai.operators.verification import (
    PolyAICheckPromotionOperator,
    PolyAIWatchPromotionOperator,
)
from airflow_voice_agents.polyai.task_groups import promotion

AGENT = "rosa-restaurants"


@task
def moment() -> str:
    """Return the present moment: what begins to go wrong from here on counts against the release."""
    return datetime.now(UTC).isoformat()


with DAG(
    dag_id="release_pipeline",
    schedule=None,
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 2, "retry_delay": timedelta(minutes=1)},
    params={
        "branch": Param(
            "christmas-menu", type="string", pattern=r"\S", description="Id or name of the branch."
        ),
        "watch_minutes": Param(30, type="number", minimum=0, description="How long live is watched."),
        "poll_seconds": Param(60, type="number", exclusiveMinimum=0, description="Between two looks."),
    },
    tags=["polyai", "promotion"],
    doc_md="""
    The DAG merges the branch, which deploys it to sandbox, and publishes it. After the tests have passed, it
    promotes to pre-release, and a scripted chat checks the answers. A person approves the plan for live. Then
    the DAG watches live: if an alert fires, it rolls live back, puts it on hold, and fails. If the watch
    reaches no verdict, it asks a person.

    Tests, approval and watch wait without a worker slot.
    """,
):
    merge = PolyAIMergeBranchOperator(
        task_id="merge", agent_id=AGENT, branch="{{ params.branch }}", message="Release {{ params.branch }}"
    )
    publish = PolyAIPublishOperator(task_id="publish", agent_id=AGENT, message="Release {{ params.branch }}")
    tests = PolyAICheckPromotionOperator(
        task_id="tests",
        checks=[
            {
                "check": "test_runs",
                "agent_id": AGENT,
                "test_run_ids": "{{ ti.xcom_pull('merge', key='test_run_ids') | tojson }}",
                "required": False,
            }
        ],
        wait_minutes=60,
        poll_interval="{{ params.poll_seconds }}",
    )
    to_pre_release = PolyAIPromoteDeploymentOperator(
        task_id="to_pre_release",
        agent_id=AGENT,
        source_environment="sandbox",
        target_environment="pre-release",
        expected_version="{{ ti.xcom_pull('publish', key='version') }}",
    )
    smoke = PolyAICheckPromotionOperator(
        task_id="smoke",
        checks=[
            {
                "check": "smoke",
                "agent_id": AGENT,
                "environment": "pre-release",
                "turns": [
                    {"expect": ["Rosa"]},
                    {"say": "When do you open on Mondays?", "topics": ["opening_hours"]},
                ],
            }
        ],
    )
    live = promotion(
        group_id="live",
        spec={
            "source": {"agent_id": AGENT, "environment": "pre-release"},
            "targets": [{"agent_id": AGENT, "environment": "live"}],
            "deployment": {
                "message": "Release {{ params.branch }}",
                "tests": {
                    "test_run_ids": "{{ ti.xcom_pull('merge', key='test_run_ids') | tojson }}",
                    "version": "{{ ti.xcom_pull('publish', key='version') }}",
                    "required": False,
                },
            },
        },
        approval={"response_timeout": timedelta(hours=12)},
        confirm_live=True,
    )
    since = moment()
    watch = PolyAIWatchPromotionOperator(
        task_id="watch",
        checks=[{"check": "alerts", "project_ids": [AGENT], "account_wide": True}],
        watch_minutes="{{ params.watch_minutes }}",
        poll_interval="{{ params.poll_seconds }}",
        since="{{ ti.xcom_pull('moment') }}",
        snapshot="{{ ti.xcom_pull('live.apply', key='snapshot') or '' }}",
        reason="Release {{ params.branch }} did not hold",
        confirm_live=True,
    )
    finish = EmptyOperator(task_id="finish")

    merge >> publish >> tests >> to_pre_release >> smoke >> live >> watch >> finish
    live["approval"] >> since >> live["apply"]
    since >> watch
