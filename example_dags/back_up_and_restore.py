"""Keep live environments as files, and bring them back from there."""

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
    **back up** writes config pages, connector settings and number routing below `folder`. Files that would be the
    same are not written again. They hold config values in the clear, keys and passwords among them.
    A run therefore names a folder, such as `s3://aws_default@backups/fleet`, that only those may read who may see
    the values.

    **restore** brings the files back: a promotion whose source is the folder. Whoever triggers it has decided, so
    nobody is asked once more. What it overwrites is kept in a snapshot first.
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
