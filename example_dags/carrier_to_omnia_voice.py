"""Move numbers from a SignalWire project to an Omnia Voice agent, and route callers back if anything fails."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.providers.common.compat.sdk import AirflowFailException
from airflow.sdk import DAG, Param, TriggerRule, chain, task

from airflow_voice_agents.omnia_voice.operators.phone_numbers import OmniaVoiceAssignNumbersOperator
from airflow_voice_agents.omnia_voice.sensors import OmniaVoiceNumberSensor
from airflow_voice_agents.signalwire.operators.phone_numbers import SignalWireListPhoneNumbersOperator
from airflow_voice_agents.signalwire.operators.routing import SignalWireRoutePhoneNumbersOperator
from airflow_voice_agents.signalwire.operators.snapshots import (
    SignalWireRestoreRoutingOperator,
    SignalWireSnapshotRoutingOperator,
)
from airflow_voice_agents.signalwire.sensors import SignalWireRouteSensor

CUT_OVER = "last"  # or "first": callers are led over before the agent has the numbers
ROUTE = {"to": "cxml_webhook", "url": "https://voice.example.com/to-omnia"}  # a webhook of your own

WAIT: Any = {"deferrable": True, "poke_interval": 120, "timeout": timedelta(minutes=30).total_seconds()}

with DAG(
    dag_id="carrier_to_omnia_voice",
    schedule=None,
    catchup=False,
    max_active_runs=1,
    params={
        "lines": Param("New line", type="string", pattern=r"\S"),
        "agent_id": Param("agent_reception", type="string", pattern=r"\S"),
    },
    default_args={"retries": 2, "retry_delay": timedelta(minutes=1)},
    tags=["signalwire", "omnia voice", "phone numbers"],
    doc_md="""
    1. **list_numbers** lists the carrier's numbers that can take calls and whose name contains `lines`.
    2. **snapshot_routing** saves their routes, encrypted.
    3. **assign_numbers** assigns them to the agent. A number of another agent stops it before any write.
    4. **cut_over** routes callers to your webhook. `CUT_OVER` moves this step before the assignment.
    5. **carrier_leads_there** and **agent_has_numbers** verify both ends.

    Omnia Voice has no fixed address that a carrier could call. For each call, your webhook asks Omnia Voice
    and answers with cXML that connects the two. Omnia Voice documents this for other carriers only: call one
    of the numbers before you rely on it.

    Each step processes all numbers at once and does only the remaining work. If a step fails for good,
    **restore_routing** routes callers back as in the snapshot, except for numbers that somebody else has
    changed since, and **fail_the_run** makes the run fail. After a killed run, clear its tasks instead of
    starting a new run: only its own snapshot has the original routes. Assigned numbers stay assigned, but get
    no calls any more.
    """,
):
    numbers = SignalWireListPhoneNumbersOperator(task_id="list_numbers", filter_name="{{ params.lines }}")
    snapshot = SignalWireSnapshotRoutingOperator(
        task_id="snapshot_routing", phone_numbers=numbers.output, retention=timedelta(days=30)
    )
    assign_numbers = OmniaVoiceAssignNumbersOperator(
        task_id="assign_numbers",
        phone_numbers=numbers.output,
        agent_id="{{ params.agent_id }}",
        confirm_live=True,  # Omnia Voice has no environments: every assignment is live
        retries=10,  # one per thousand numbers, which is what the platform takes in an hour
    )
    cut_over = SignalWireRoutePhoneNumbersOperator(
        task_id="cut_over",
        phone_numbers=numbers.output,
        route=ROUTE,
        confirm_live=True,  # and so is every number at the carrier
    )
    carrier_leads_there = SignalWireRouteSensor(
        task_id="carrier_leads_there", phone_numbers=numbers.output, route=ROUTE, **WAIT
    )
    agent_has_numbers = OmniaVoiceNumberSensor(
        task_id="agent_has_numbers",
        phone_numbers=numbers.output,
        agent_id="{{ params.agent_id }}",
        **WAIT,
    )
    restore = SignalWireRestoreRoutingOperator(
        task_id="restore_routing",
        snapshot=snapshot.output,
        expected_route=ROUTE,  # a number that leads elsewhere by now is left alone
        allow_partial=True,
        hold=False,  # the route is sound, a step failed: the next run may take it again
        confirm_live=True,
        trigger_rule=TriggerRule.ONE_FAILED,
    )

    @task(retries=0)
    def fail_the_run() -> None:
        """Fail, because a run is judged by its last task, and restoring succeeded."""
        raise AirflowFailException("A step failed. Callers are led where they were; see restore_routing.")

    steps = [assign_numbers, cut_over] if CUT_OVER == "last" else [cut_over, assign_numbers]
    chain(snapshot, *steps, [carrier_leads_there, agent_has_numbers])
    [*steps, carrier_leads_there, agent_has_numbers] >> restore >> fail_the_run()
