"""Import phone numbers from a file and assign them to a connector."""

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
    Imports every number in `new_numbers.csv` that the agent does not have yet, and assigns all of them to one
    connector. Existing numbers stay. A number that belongs to another environment fails and is not moved. You
    can run the DAG again at any time: it does not repeat finished work.

    Choose agent, environment and connector when you trigger the DAG. For `live`, also pass
    `confirm_live=True` to the operator.
    """,
):
    PolyAIImportPhoneNumbersOperator(
        task_id="import_numbers",
        agent_id="{{ params.agent_id }}",
        client_env=Template("{{ params.client_env }}"),
        connector_id="{{ params.connector_id }}",
        source_file=str(NUMBERS),
    )
