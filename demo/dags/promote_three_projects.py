"""The demo: promote three projects from sandbox to pre-release, and to live after acceptance."""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG

from airflow_voice_agents.polyai.operators.configs import PolyAIPromoteConfigOperator
from airflow_voice_agents.polyai.sensors import PolyAIConfigSensor

PROJECTS = ["harbour-hotels", "rosa-restaurants", "northgate-bank"]
OWN_VALUES = [
    "fallback_number",
    "winter_notice",
    "*_key",
    "*_token",
    "*_password",
    "settings.routing_enabled",
]
BY_PROJECT = "{{ task.source['agent_id'] }}"


def hop(source: str, target: str) -> list[dict[str, Any]]:
    """Return the arguments of one promotion per project."""
    return [
        {
            "source": {"agent_id": project, "environment": source},
            "targets": {"agent_id": project, "environment": target},
        }
        for project in PROJECTS
    ]


with DAG(
    dag_id="promote_three_projects",
    schedule=None,
    catchup=False,
    max_active_runs=1,
    is_paused_upon_creation=False,
    tags=["demo"],
    doc_md="""
    Promotes each project's config page from sandbox to pre-release, waits until pre-release uses the real systems,
    and promotes to live. Each environment keeps its phone numbers, secrets and notices, and test switches are never
    promoted.

    The log of each promotion shows the plan, and its XCom `report` the result. A second run changes nothing.
    """,
):
    to_pre_release = PolyAIPromoteConfigOperator.partial(
        task_id="promote_to_pre_release",
        exclude_keys=OWN_VALUES,
        unmatched="ignore",  # one list for three projects: not every project has every key
        map_index_template=BY_PROJECT,
    ).expand_kwargs(hop("sandbox", "pre-release"))

    accepted = PolyAIConfigSensor.partial(
        task_id="wait_for_acceptance",
        environment="pre-release",
        values={"settings": {"use_mock_api": False}},
        deferrable=True,
        poke_interval=5,
        map_index_template="{{ task.agent_id }}",
    ).expand(agent_id=PROJECTS)

    to_live = PolyAIPromoteConfigOperator.partial(
        task_id="promote_to_live",
        exclude_keys=OWN_VALUES,
        unmatched="ignore",  # one list for three projects: not every project has every key
        confirm_live=True,
        map_index_template=BY_PROJECT,
    ).expand_kwargs(hop("pre-release", "live"))

    to_pre_release >> accepted >> to_live
