"""Export live environments as files, and restore them from there."""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, Param, task

from airflow_voice_agents.polyai.operators.backup import PolyAIExportOperator
from airflow_voice_agents.polyai.task_groups import promotion
from airflow_voice_agents.polyai.types import PromotionTarget

TARGETS: list[PromotionTarget] = [
    {"agent_id": project, "environment": "live"}
    for project in ("harbour-hotels", "rosa-restaurants", "northgate-bank")
]

with DAG(
    dag_id="back_up_and_restore",
    schedule=None,
    catchup=False,
    max_active_runs=1,
    params={
        "action": Param("back up", enum=["back up", "restore"]),
        "folder": Param(
            type="string", pattern=r"\S", description="Local path or URL; the files hold values."
        ),
    },
    default_args={"retries": 2, "retry_delay": timedelta(minutes=1)},
    tags=["polyai", "backup", "promotion"],
    doc_md="""
    **back up** writes config pages, connector settings and number routing to `folder`. It writes only files
    that change. The files contain config values in plain text, including keys and passwords. Choose a folder
    that only people who may see the values can read, such as `s3://aws_default@backups/fleet`.

    **restore** restores the files: it is a promotion whose source is the folder. It asks for no approval,
    because somebody triggered it on purpose. It saves a snapshot before it overwrites anything.
    """,
):

    @task.branch
    def choose(action: str) -> str:
        """Choose what is done."""
        return "export" if action == "back up" else "restore.plan"

    export = PolyAIExportOperator(task_id="export", targets=TARGETS, folder="{{ params.folder }}")
    restore = promotion(
        group_id="restore",
        spec={
            "source": {"folder": "{{ params.folder }}"},
            "targets": TARGETS,
            "config": {"stale_keys": "keep"},
            "connectors": {},
            "routing": {},
            "never_promote": [],
        },
        approval=False,
        confirm_live=True,
    )
    choose("{{ params.action }}") >> [export, restore]
