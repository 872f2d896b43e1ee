"""Import phone numbers from a file and let one connector answer them."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from airflow.sdk import DAG, Param

from airflow_voice_agents.bases.types import Template
from airflow_voice_agents.polyai.operators.phone_numbers import PolyAIImportPhoneNumbersOperator

NUMBERS = Path(__file__).with_name("new_numbers.csv")

with DAG(
    dag_id="import_and_route_numbers",
    schedule=None,
    catchup=False,
    max_active_runs=1,
    params={
        "agent_id": Param("harbour-hotels", type="string", pattern=r"\S"),
        "client_env": Param("sandbox", enum=["sandbox", "pre-release", "live"]),
        "connector_id": Param("conn_hh_sandbox", type="string", pattern=r"\S"),
    },
    default_args={"retries": 2, "retry_delay": timedelta(minutes=1)},
    tags=["polyai", "phone numbers"],
    doc_md="""
    Imports every number of `new_numbers.csv` that the agent does not have yet, and assigns all of them to
    one connector. Numbers that are there already stay as they are; one that belongs to another environment
    fails and is not moved. Run it again at any time: what is done is not repeated.

    Agent, environment and connector can be chosen when the DAG is triggered. For `live`, pass
    `confirm_live=True` to the operator as well.
    """,
):
    PolyAIImportPhoneNumbersOperator(
        task_id="import_numbers",
        agent_id="{{ params.agent_id }}",
        client_env=Template("{{ params.client_env }}"),
        connector_id="{{ params.connector_id }}",
        source_file=str(NUMBERS),
    )
