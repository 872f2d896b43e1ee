"""Move numbers from a SignalWire project to a PolyAI agent, and route callers back if anything fails."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSkipException
from airflow.sdk import DAG, Param, TriggerRule, Variable, chain, task
from airflow.sdk.log import mask_secret

from airflow_voice_agents.polyai.operators.phone_numbers import (
    PolyAIImportPhoneNumbersOperator,
    PolyAIListSipTrunksOperator,
    PolyAIUpdateSipExtensionsOperator,
)
from airflow_voice_agents.polyai.sensors import PolyAIPhoneNumbersSensor
from airflow_voice_agents.signalwire.operators.phone_numbers import SignalWireListPhoneNumbersOperator
from airflow_voice_agents.signalwire.operators.routing import SignalWireRoutePhoneNumbersOperator
from airflow_voice_agents.signalwire.operators.snapshots import (
    SignalWireRestoreRoutingOperator,
    SignalWireSnapshotRoutingOperator,
)
from airflow_voice_agents.signalwire.sensors import SignalWireRouteSensor

CUT_OVER = "last"  # or "first": callers are led over before the agent knows the numbers
SIP_TRUNK = ""  # id or name of a PolyAI SIP trunk (beta): its host name is read, and nobody types it
SWML = "https://swml.example.com/to-polyai"  # dials the agent's SIP address, or the host that it is given
HOST = "?host={{ ti.xcom_pull('read_trunk', key='hostname') }}" if SIP_TRUNK else ""
ROUTE = {"to": "swml", "url": SWML + HOST}
TEST_CALL_NUMBER = "test_call_number"  # the Airflow Variable that names whom to call; no Variable, no call
LOOKS, SECONDS_BETWEEN_LOOKS = 30, 10

AGENT: Any = {"agent_id": "{{ params.agent_id }}", "client_env": "{{ params.client_env }}"}
WAIT: Any = {"deferrable": True, "poke_interval": 30, "timeout": timedelta(minutes=15).total_seconds()}

with DAG(
    dag_id="carrier_to_polyai",
    schedule=None,
    catchup=False,
    max_active_runs=1,
    params={
        "lines": Param("New line", type="string", pattern=r"\S"),
        "agent_id": Param("harbour-hotels", type="string", pattern=r"\S"),
        "client_env": Param("sandbox", enum=["sandbox", "pre-release", "live"]),
        "connector_id": Param("conn_hh_sandbox", type="string", pattern=r"\S"),
    },
    default_args={"retries": 2, "retry_delay": timedelta(minutes=1)},
    tags=["signalwire", "polyai", "phone numbers"],
    doc_md="""
    1. **list_numbers** lists the carrier's numbers that can take calls and whose name contains `lines`.
    2. **snapshot_routing** saves their routes, encrypted.
    3. **import_numbers** imports them for the agent and assigns them to its connector.
    4. **cut_over** routes callers to the agent. `CUT_OVER` moves this step before the import.
    5. **carrier_leads_there** and **agent_answers** verify both ends.
    6. **test_call** lets the agent call the number in the Airflow Variable `test_call_number`, if it is set.
       The call shows that the agent talks. Only a call to one of the numbers shows that the carrier's callers
       reach it.

    Each step processes all numbers at once and does only the remaining work. If a step fails for good,
    **restore_routing** routes callers back as in the snapshot, except for numbers that somebody else has
    changed since, and **fail_the_run** makes the run fail. After a killed run, clear its tasks instead of
    starting a new run: only its own snapshot has the original routes. Imported numbers stay imported, but get
    no calls any more.

    With `SIP_TRUNK`, **read_trunk** reads the trunk's host name before any write, **bind_extensions**
    replaces the import and **agent_answers**, and the SWML document dials the host in its URL.
    """,
):
    numbers = SignalWireListPhoneNumbersOperator(task_id="list_numbers", filter_name="{{ params.lines }}")
    snapshot = SignalWireSnapshotRoutingOperator(
        task_id="snapshot_routing", phone_numbers=numbers.output, retention=timedelta(days=30)
    )
    if SIP_TRUNK:
        trunk = PolyAIListSipTrunksOperator(task_id="read_trunk", trunk=SIP_TRUNK, extensions=False)
        hand_over: Any = PolyAIUpdateSipExtensionsOperator(
            task_id="bind_extensions",
            trunk_id="{{ ti.xcom_pull('read_trunk', key='trunk_id') }}",
            extensions=numbers.output,
            beta=True,
            confirm_live=True,  # callers dial these numbers, whatever environment answers them
            **AGENT,
        )
        trunk >> snapshot
    else:
        hand_over = PolyAIImportPhoneNumbersOperator(
            task_id="import_numbers",
            phone_numbers=numbers.output,
            connector_id="{{ params.connector_id }}",
            # confirm_live=True,  # needed as soon as client_env is live
            **AGENT,
        )
    cut_over = SignalWireRoutePhoneNumbersOperator(
        task_id="cut_over",
        phone_numbers=numbers.output,
        route=ROUTE,
        confirm_live=True,  # every number at the carrier is live, whatever environment answers it
    )
    carrier_leads_there = SignalWireRouteSensor(
        task_id="carrier_leads_there", phone_numbers=numbers.output, route=ROUTE, **WAIT
    )
    verified: list[Any] = [carrier_leads_there]
    if not SIP_TRUNK:  # an extension is read back by the task that binds it
        agent_answers = PolyAIPhoneNumbersSensor(
            task_id="agent_answers",
            phone_numbers=numbers.output,
            connector_id="{{ params.connector_id }}",
            **AGENT,
            **WAIT,
        )
        verified.append(agent_answers)

    @task(retries=0)  # a second try would call twice
    def test_call(agent_id: str, client_env: str) -> None:
        """Call the person whom the Variable names, and wait until the call has ended well."""
        from airflow_voice_agents.polyai import api
        from airflow_voice_agents.polyai.hooks import PolyAIHook

        person = Variable.get(TEST_CALL_NUMBER, default=None)
        if not person:
            raise AirflowSkipException(f"There is no Variable {TEST_CALL_NUMBER}.")
        mask_secret(person)
        with PolyAIHook() as hook:
            call = hook.send(api.create_outbound_call(agent_id, to_number=person, environment=client_env))
            if not call.call_sid:
                raise RuntimeError(
                    "The platform started a test call but did not name it; look at its call list."
                )
            look = api.get_outbound_call_status(agent_id, call_sid=call.call_sid, environment=client_env)
            for _ in range(LOOKS):
                status = hook.send(look).status
                if status == "SUCCESS":
                    return
                if status == "FAILURE":
                    raise AirflowFailException(f"Test call {call.call_sid} failed.")
                time.sleep(SECONDS_BETWEEN_LOOKS)
        raise AirflowFailException(f"Test call {call.call_sid} did not end; its last status was {status}.")

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

    called = test_call(**AGENT)
    steps = [hand_over, cut_over] if CUT_OVER == "last" else [cut_over, hand_over]
    chain(snapshot, *steps, verified, called)
    [*steps, *verified, called] >> restore >> fail_the_run()
