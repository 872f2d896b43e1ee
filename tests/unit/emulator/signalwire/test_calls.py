"""The provider's calls and the server name, place and understand the same operations."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from airflow_voice_agents.emulator.server import EmulatorServer
from airflow_voice_agents.emulator.signalwire.app import SignalWireRoom
from airflow_voice_agents.emulator.signalwire.fields import COMPANIONS, FABRIC_HANDLERS, SHOWN, WRITABLE
from airflow_voice_agents.signalwire import api, models
from airflow_voice_agents.transport.api_request import ApiRequest
from airflow_voice_agents.transport.client import Client
from airflow_voice_agents.transport.settings import ClientSettings

PROJECT = "2f6c1f0e-8a6b-4d0e-9c34-5b1d7e9a0c21"
ADDRESS = "c7d1e3f4-1b2c-4d3e-8f4a-5b6c7d8e9f00"


def every_call(number_id: str) -> list[ApiRequest[Any]]:
    """One call of each kind, in an order in which all of them succeed."""
    return [
        api.list_phone_numbers(),
        api.search_available(areacode="206"),
        api.purchase_phone_number("+12065550100"),
        api.get_phone_number(number_id),
        api.update_phone_number(number_id, {"name": "x"}),
        api.assign_e911_address(number_id, e911_address_id=ADDRESS),
        api.remove_e911_address(number_id),
        api.release_phone_number(number_id),
    ]


def test_names_methods_and_routes_are_those_of_the_calls() -> None:
    served = {(each.name, each.method, each.route) for each in SignalWireRoom.operations}
    built = {(each.operation, each.method, each.route) for each in every_call(ADDRESS)}

    assert served == built
    assert len(SignalWireRoom.operations) == 8


def test_fields_are_those_of_the_models() -> None:
    assert set(SHOWN) == set(models.PhoneNumber.model_fields)
    assert len(SHOWN) == 41
    assert set(WRITABLE) == models.WRITABLE
    assert len(WRITABLE) == 30
    assert set(FABRIC_HANDLERS) == models.FABRIC_ONLY
    assert COMPANIONS.items() <= dict(models.COMPANIONS).items()


@pytest.fixture
def client(server: EmulatorServer) -> Client:
    credentials = base64.b64encode(f"{PROJECT}:demo-token-hotels".encode()).decode()
    return Client(
        ClientSettings(
            system="signalwire",
            base_url=server.url,
            headers={"Authorization": f"Basic {credentials}"},
            secrets=(credentials,),
            user_agent="test",
        )
    )


def test_every_call_is_answered_and_counted_under_its_name(server: EmulatorServer, client: Client) -> None:
    number_id = server.signalwire.number("+441632960005")["id"]
    sent = every_call(number_id)

    with client:
        for call in sent:
            client.send(call)

    for call in sent:
        assert server.journal.count(call.method, call.operation, "signalwire") == 1
    assert server.journal.count(system="polyai") == 0
    assert {entry.agent for entry in server.journal.entries()} == {PROJECT}


def test_operations_that_two_systems_call_alike_are_told_apart(
    server: EmulatorServer, api: Any, carrier: Any
) -> None:
    api.get("/v1/agents/harbour-hotels/telephony/phone-numbers")
    carrier.get("/api/relay/rest/phone_numbers")
    carrier.get("/api/relay/rest/phone_numbers")

    counted = [
        server.journal.count(operation="list phone numbers", system=each) for each in ("polyai", "signalwire")
    ]
    assert counted == [1, 2]
    assert server.journal.count(operation="list phone numbers") == 3
