"""Undo a promotion and put it on hold; release the hold later."""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, Param, task

from airflow_voice_agents.polyai.operators.rollback import (
    PolyAIReleaseHoldOperator,
    PolyAIRollbackOperator,
)

SNAPSHOT = (
    "{{ params.snapshot or ti.xcom_pull(dag_id='promote_with_approval', task_ids='promotion.apply', "
    "key='snapshot', run_id=params.run_id) }}"
)

with DAG(
    dag_id="roll_back_a_promotion",
    schedule=None,
    catchup=False,
    max_active_runs=1,
    params={
        "action": Param("roll back", enum=["roll back", "release hold"]),
        "run_id": "",
        "snapshot": "",
        "reason": "",
        "target": Param("harbour-hotels/live", type="string", pattern=r"\S"),
    },
    default_args={"retries": 2, "retry_delay": timedelta(minutes=1)},
    tags=["polyai", "promotion"],
    doc_md="""
    **roll back** restores the state before a promotion's first write. Name the promotion by the `run_id` of
    `promote_with_approval`, or by the URL in the XCom `snapshot` of any promotion. The run does not overwrite
    later changes by others: it stops and names them. Added keys stay, because no request can remove them.

    Afterwards the targets are on hold: the same promotion is refused until you run **release hold** with
    `target`.
    """,
):

    @task.branch
    def choose(action: str) -> str:
        """Choose what is done."""
        return "roll_back" if action == "roll back" else "release_hold"

    roll_back = PolyAIRollbackOperator(
        task_id="roll_back", snapshot=SNAPSHOT, reason="{{ params.reason }}", confirm_live=True
    )
    release = PolyAIReleaseHoldOperator(task_id="release_hold", targets="{{ params.target }}")
    choose("{{ params.action }}") >> [roll_back, release]
