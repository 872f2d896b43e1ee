"""Promote a template's notices to 5,000 sites: one plan, one approval, fifty apply tasks on any worker."""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, Param, get_current_context, task

from airflow_voice_agents.polyai.task_groups import promotion
from airflow_voice_agents.polyai.types import SourceArgument

TEMPLATE: SourceArgument = {"agent_id": "site-0001", "environment": "sandbox"}

with DAG(
    dag_id="promote_5000_sites",
    schedule=None,
    catchup=False,
    max_active_runs=1,
    params={"sites": Param(5000, type="integer", minimum=2, description="How many sites there are.")},
    default_args={"retries": 2, "retry_delay": timedelta(minutes=1)},
    tags=["polyai", "promotion"],
    doc_md="""
    One task plans all sites. The plan is stored in the state folder and approved once. `apply` is mapped:
    each instance applies a chunk of 100 sites, four chunks at a time, on any free worker. At most ten sites
    of all chunks together can fail; after one more, no further site starts. `report` then lists all sites.
    Fix the cause and clear the failed instances: they do not repeat finished work.

    If workers run on several machines, set `[voice_agents] state_folder` to a common folder, and
    `rate_limit_store`, so that they share the rate limit of the key.
    """,
):

    @task
    def sites() -> list[dict[str, str]]:
        """List the sites; an inventory that knows them would be asked here."""
        numbers = range(2, get_current_context()["params"]["sites"] + 1)
        return [{"agent_id": f"site-{number:04}", "environment": "pre-release"} for number in numbers]

    promotion(
        spec={
            "source": TEMPLATE,
            "config": {"exclude_keys": ["site_name", "fallback_number"]},
        },
        targets=sites(),
        approval={"response_timeout": timedelta(hours=12)},
        chunk_size=100,
        max_active_chunks=4,
        max_failures=10,
        baseline="sites",
    )
