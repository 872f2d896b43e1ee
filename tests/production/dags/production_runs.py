"""DAGs of the production run that no example has: placed on one worker, in chunks, waiting by the hundred."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import DAG
from airflow.triggers.base import StartTriggerArgs

from airflow_voice_agents.polyai.operators.configs import PolyAIPromoteConfigOperator
from airflow_voice_agents.polyai.operators.rollback import PolyAIReleaseHoldOperator
from airflow_voice_agents.polyai.operators.verification import PolyAIWatchPromotionOperator
from airflow_voice_agents.polyai.sensors import PolyAIConfigSensor
from airflow_voice_agents.polyai.task_groups import promotion

TEMPLATE = {"agent_id": "site-0001", "environment": "sandbox"}
OWN = ["site_name", "fallback_number"]
QUEUES = ("default", "worker-a", "worker-b", "read-only", "skewed")
LAST = 31
"""Number of the last site of a small promotion; the first is 2."""
FLEET = 101
"""Number of the last site of a promotion in four chunks."""
LARGE_FLEET = 5001
"""Number of the last site of a promotion of 5,000."""
WAITS, WAITS_PER_SITE = 500, 25
OVER = {"wait": "over"}
FAR = 4_000_000_000.0
"""Seconds since 1970 that no run reaches."""
RELEASED = "rosa-restaurants"
COMMON: dict[str, Any] = {"schedule": None, "catchup": False, "max_active_runs": 4}
RETRIES: dict[str, Any] = {"retries": 20, "retry_delay": timedelta(minutes=1)}


def sites(first: int, last: int) -> list[dict[str, str]]:
    """Return the pages of some sites."""
    return [
        {"agent_id": f"site-{number:04}", "environment": "pre-release"} for number in range(first, last + 1)
    ]


def waits_for(agent_id: str) -> type[PolyAIConfigSensor]:
    """Return a sensor that the triggerer begins, so that hundreds of them need no worker to come to be."""
    made = PolyAIConfigSensor(
        task_id="wait",
        agent_id=agent_id,
        environment="sandbox",
        values=OVER,
        deferrable=True,
        poke_interval=5,
    )
    classpath, arguments = made.trigger(FAR).serialize()
    args = StartTriggerArgs(trigger_cls=classpath, trigger_kwargs=arguments, next_method="execute_complete")
    return type("Waits", (PolyAIConfigSensor,), {"start_from_trigger": True, "start_trigger_args": args})


for queue in QUEUES:
    with DAG(dag_id=f"production_on_{queue}", default_args={**RETRIES, "queue": queue}, **COMMON):
        PolyAIPromoteConfigOperator(
            task_id="apply", source=TEMPLATE, targets=sites(2, LAST), exclude_keys=OWN, concurrency=1
        )

with DAG(dag_id="production_chunks", default_args=RETRIES, **COMMON):
    promotion(
        spec={"source": TEMPLATE, "targets": sites(2, FLEET), "config": {"exclude_keys": OWN}},
        approval=False,
        chunk_size=25,
        concurrency=8,
    )

for name, chunk_size in {"one_task": None, "two_workers": 2500}.items():
    with DAG(dag_id=f"production_fleet_{name}", default_args=RETRIES, **COMMON):
        promotion(
            spec={"source": TEMPLATE, "targets": sites(2, LARGE_FLEET), "config": {"exclude_keys": OWN}},
            approval=False,
            chunk_size=chunk_size,
            concurrency=16,
        )

with DAG(dag_id="production_release", default_args=RETRIES, **COMMON):
    live = promotion(
        spec={
            "source": {"agent_id": RELEASED, "environment": "pre-release"},
            "targets": [{"agent_id": RELEASED, "environment": "live"}],
            "config": {"include_keys": ["holiday_message"], "promote_schema": False},
        },
        approval={"response_timeout": timedelta(hours=1)},
        confirm_live=True,
    )
    watch = PolyAIWatchPromotionOperator(
        task_id="watch",
        checks=[{"check": "alerts", "project_ids": [RELEASED], "account_wide": True}],
        watch_minutes=30,
        poll_interval=1,
        since="{{ dag_run.start_date.isoformat() }}",
        snapshot="{{ ti.xcom_pull('promotion.apply', key='snapshot') }}",
        reason="It did not hold",
        confirm_live=True,
    )
    for name, queue in {"plan": "worker-a", "apply": "worker-b"}.items():
        live[name].queue = queue
    watch.queue = "worker-a"  # rolls back from a snapshot that the other worker kept
    live >> watch

with DAG(dag_id="production_release_hold", default_args=RETRIES, **COMMON):
    PolyAIReleaseHoldOperator(task_id="release_hold", targets=f"{RELEASED}/live")


for site in range(1, WAITS // WAITS_PER_SITE + 1):
    waiting = waits_for(f"site-{site:04}")
    with DAG(
        dag_id=f"production_waits_{site}", default_args=RETRIES, max_active_tasks=WAITS_PER_SITE, **COMMON
    ):
        waiting.partial(
            task_id="wait",
            agent_id=f"site-{site:04}",
            values=OVER,
            deferrable=True,
            poke_interval=5,
            timeout=timedelta(days=1).total_seconds(),
        ).expand(environment=["sandbox"] * WAITS_PER_SITE)
