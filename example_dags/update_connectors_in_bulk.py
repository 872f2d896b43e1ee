"""Set the voice of many connectors, and the variant of some."""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG

from airflow_voice_agents.polyai.operators.connectors import PolyAIBatchUpdateConnectorsOperator
from airflow_voice_agents.polyai.types import ConnectorChanges

AGENT = "harbour-hotels"
OTHERS = ["rosa-restaurants", "northgate-bank"]
NEW_VOICE: ConnectorChanges = {"voice_name": "en-GB-Neural2-C"}

with DAG(
    dag_id="update_connectors_in_bulk",
    schedule=None,
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 2, "retry_delay": timedelta(minutes=1)},
    tags=["polyai", "connectors"],
    doc_md="""
    Sets a new voice in pre-release first, then for every English live connector, and then assigns variants
    connector by connector. Connectors that already match are not written.

    A selector selects connectors by their settings; `updates` names each one. In both, missing settings stay
    unchanged, and a `variant_id` of `None` unassigns the variant.

    The last task sets a language for two more agents with one plan and one report. A failure of one agent does not
    stop the other.
    """,
):
    pre_release = PolyAIBatchUpdateConnectorsOperator(
        task_id="new_voice_in_pre_release",
        agent_id=AGENT,
        selector={"client_env": "pre-release"},
        changes=NEW_VOICE,
    )
    live = PolyAIBatchUpdateConnectorsOperator(
        task_id="new_voice_in_live",
        agent_id=AGENT,
        selector={"client_env": "live", "asr_lang_code": "en-GB"},
        changes=NEW_VOICE,
        confirm_live=True,
    )
    variants = PolyAIBatchUpdateConnectorsOperator(
        task_id="assign_variants",
        agent_id=AGENT,
        updates=[
            {"connector_id": "conn_hh_live_groups", "variant_id": "VARIANT-D1E2FCB9"},
            {"connector_id": "conn_hh_sandbox", "variant_id": None, "voice_name": "en-GB-Neural2-C"},
        ],
        confirm_live=True,
    )
    sandboxes = PolyAIBatchUpdateConnectorsOperator(
        task_id="language_of_many_agents",
        targets=[{"agent_id": agent} for agent in OTHERS],
        selector={"client_env": "sandbox"},
        changes={"asr_lang_code": "en-US"},
    )
    pre_release >> live >> variants >> sandboxes
