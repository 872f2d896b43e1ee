"""The provider's calls and the server name, place and understand the same operations."""

from __future__ import annotations

from typing import Any

from airflow_voice_agents.emulator.omnia_voice.app import OmniaVoiceRoom
from airflow_voice_agents.emulator.server import EmulatorServer
from airflow_voice_agents.omnia_voice import api
from airflow_voice_agents.transport.api_request import ApiRequest
from airflow_voice_agents.transport.client import Client
from airflow_voice_agents.transport.settings import ClientSettings

BASE = "/api/v1"


def every_call(number_id: str) -> list[ApiRequest[Any]]:
    """One call of each kind, in an order in which all of them succeed."""
    return [
        api.list_numbers(status="ACTIVE"),
        api.assign_number(phone_number="+441632960900", agent_id="agent_events"),
        api.get_number(number_id),
        api.update_number(number_id, changes={"agent_id": None}, verb="PUT"),
        api.update_number(number_id, changes={"agent_id": "agent_events"}, verb="PATCH"),
        api.delete_number(number_id),
        api.list_agent_numbers("agent_events"),
    ]


def test_names_methods_and_routes_are_those_of_the_calls() -> None:
    served = {(each.name, each.method, each.route) for each in OmniaVoiceRoom.operations}
    built = {(each.operation, each.method, BASE + each.route) for each in every_call("x")}

    assert served == built


def test_every_call_is_answered_and_counted_under_its_name(server: EmulatorServer) -> None:
    server.switches.omnia_update_verb = "both"
    settings = ClientSettings(
        system="omniavoice",
        base_url=f"{server.url}{BASE}",
        headers={"X-API-Key": "demo-omnia-key"},
        secrets=("demo-omnia-key",),
        user_agent="test",
    )
    sent = every_call("num_7Qx:03")

    with Client(settings) as client:
        answers = [client.send(call) for call in sent]

    for call in sent:
        assert server.journal.count(call.method, call.operation, "omnia_voice") == 1
    assert [number.phone_number for number in answers[-1]] == ["+441632960120", "+441632960900"]
