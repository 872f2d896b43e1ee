from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest

from airflow_voice_agents.emulator.server import EmulatorServer

SCRIPT = "+441632960005"
WEBHOOK = "+441632960022"
UNROUTED = "+441632960106"
URL = "https://swml.example/new"
ROOM_ID = "0f8fad5b-d9cb-469f-a165-70867728950e"
BANK = ("9b0d3c44-1e5a-4a7f-8b62-0c9f2d4e6a83", "demo-token-bank")

Path = Callable[[str], str]

COMPANIONS = {
    "relay_script": ("call_relay_script_url", URL),
    "laml_webhooks": ("call_request_url", URL),
    "laml_application": ("call_laml_application_id", "app"),
    "relay_application": ("call_relay_application", "app"),
    "relay_topic": ("call_relay_topic", "desk"),
    "relay_context": ("call_relay_context", "desk"),
    "relay_connector": ("call_relay_connector_id", "c1"),
    "relay_sip_endpoint": ("call_sip_endpoint_id", "s1"),
    "relay_verto_endpoint": ("call_verto_resource", "v1"),
    "dialogflow": ("call_dialogflow_agent_id", "d1"),
    "video_room": ("call_video_room_id", ROOM_ID),
}


def codes(response: httpx.Response) -> list[str]:
    assert response.status_code == 422, response.text
    return [item["code"] for item in response.json()["errors"]]


def test_an_update_leaves_alone_what_it_does_not_name(carrier: httpx.Client, path_of: Path) -> None:
    before = carrier.get(path_of(WEBHOOK)).json()

    after = carrier.put(path_of(WEBHOOK), json={"name": "Renamed"}).json()

    assert after["updated_at"] > before["updated_at"]
    assert after == before | {"name": "Renamed", "updated_at": after["updated_at"]}
    assert carrier.get(path_of(WEBHOOK)).json() == after


def test_an_update_may_replace_the_whole_record(
    server: EmulatorServer, carrier: httpx.Client, path_of: Path
) -> None:
    server.switches.signalwire_update = "replace"

    after = carrier.put(path_of(WEBHOOK), json={"name": "Renamed"}).json()

    assert (after["name"], after["call_handler"], after["call_request_url"]) == ("Renamed", None, None)
    assert (after["call_receive_mode"], after["number"]) == ("voice", WEBHOOK)


@pytest.mark.parametrize("handler", COMPANIONS)
def test_every_writable_handler_is_taken_with_its_companion(
    carrier: httpx.Client, path_of: Path, handler: str
) -> None:
    name, value = COMPANIONS[handler]

    after = carrier.put(path_of(UNROUTED), json={"call_handler": handler, name: value}).json()

    assert (after["call_handler"], after[name]) == (handler, value)


@pytest.mark.parametrize("handler", COMPANIONS)
def test_a_handler_without_its_companion_is_refused(
    carrier: httpx.Client, path_of: Path, handler: str
) -> None:
    response = carrier.put(path_of(UNROUTED), json={"call_handler": handler})

    assert codes(response) == ["must_specify_related_parameter"]
    assert COMPANIONS[handler][0] in response.json()["errors"][0]["detail"]
    assert carrier.get(path_of(UNROUTED)).json()["call_handler"] is None


@pytest.mark.parametrize(
    ("mode", "stored", "missing"),
    [("request", 422, 422), ("merged", 200, 422), ("off", 200, 200)],
)
def test_the_companion_may_be_the_stored_one_or_missing(
    server: EmulatorServer, carrier: httpx.Client, path_of: Path, *, mode: Any, stored: int, missing: int
) -> None:
    server.switches.signalwire_companion = mode

    assert carrier.put(path_of(SCRIPT), json={"call_handler": "relay_script"}).status_code == stored
    assert carrier.put(path_of(UNROUTED), json={"call_handler": "relay_script"}).status_code == missing


def test_an_empty_companion_counts_as_missing(carrier: httpx.Client, path_of: Path) -> None:
    body = {"call_handler": "relay_script", "call_relay_script_url": ""}

    assert codes(carrier.put(path_of(UNROUTED), json=body)) == ["must_specify_related_parameter"]


def test_message_handlers_need_companions_as_well(carrier: httpx.Client, path_of: Path) -> None:
    path = path_of(UNROUTED)

    assert codes(carrier.put(path, json={"message_handler": "laml_webhooks"})) == [
        "must_specify_related_parameter"
    ]
    body = {"message_handler": "relay_application", "message_relay_application": "app"}
    after = carrier.put(path, json=body).json()
    assert (after["message_handler"], "message_relay_application" in after) == ("relay_application", False)
    assert after["messaging_handler_resource_id"] is not None


@pytest.mark.parametrize(
    "handler",
    ["call_flow", "ai_agent", "fabric_subscriber", "sip_gateway", "call_queue", "carrier_pigeon", ""],
)
def test_handlers_that_cannot_be_written_are_refused(
    carrier: httpx.Client, path_of: Path, handler: str
) -> None:
    assert codes(carrier.put(path_of(UNROUTED), json={"call_handler": handler})) == ["invalid_parameter"]


def test_the_sdks_handlers_are_taken_on_demand(
    server: EmulatorServer, carrier: httpx.Client, path_of: Path
) -> None:
    server.switches.signalwire_fabric_handlers = "sdk"
    path = path_of(UNROUTED)

    flow = {"call_handler": "call_flow", "call_flow_id": ROOM_ID, "call_flow_version": "working_copy"}
    after = carrier.put(path, json=flow).json()

    assert (after["call_handler"], set(flow) & set(after)) == ("call_flow", {"call_handler"})
    assert codes(carrier.put(path, json={"call_handler": "ai_agent"})) == ["must_specify_related_parameter"]
    assert codes(carrier.put(path, json={"call_handler": "sip_gateway"})) == ["invalid_parameter"]


@pytest.mark.parametrize("mode", ["keep", "clear"])
def test_the_former_handlers_companion_stays_or_goes(
    server: EmulatorServer, carrier: httpx.Client, path_of: Path, mode: Any
) -> None:
    server.switches.signalwire_old_companion = mode
    before = carrier.get(path_of(WEBHOOK)).json()["call_request_url"]

    body = {"call_handler": "relay_script", "call_relay_script_url": URL}
    after = carrier.put(path_of(WEBHOOK), json=body).json()

    assert after["call_relay_script_url"] == URL
    assert after["call_request_url"] == (before if mode == "keep" else None)


def test_the_server_derives_the_resource_of_a_handler(carrier: httpx.Client, path_of: Path) -> None:
    path = path_of(SCRIPT)

    def resource(**body: str) -> str | None:
        found: str | None = carrier.put(path, json=body).json()["calling_handler_resource_id"]
        return found

    first = resource(name="x")
    second = resource(call_handler="relay_script", call_relay_script_url=URL, calling_handler_resource_id="y")
    none = resource(call_handler="relay_topic", call_relay_topic="desk")

    assert first
    assert second not in (None, first, "y")
    assert none is None


@pytest.mark.parametrize(
    "body",
    [
        {"call_receive_mode": "text"},
        {"call_request_method": "PUT"},
        {"message_fallback_method": "get"},
        {"call_video_room_id": "not-a-uuid"},
        {"message_handler": "sip_gateway"},
        {"name": 3},
        {"call_request_url": None},
    ],
)
def test_values_of_the_wrong_kind_are_refused(
    carrier: httpx.Client, path_of: Path, body: dict[str, Any]
) -> None:
    before = carrier.get(path_of(SCRIPT)).json()

    assert codes(carrier.put(path_of(SCRIPT), json=body)) == ["invalid_parameter"]
    assert carrier.get(path_of(SCRIPT)).json() == before


def test_every_wrong_value_is_listed(carrier: httpx.Client, path_of: Path) -> None:
    body = {"name": 3, "call_receive_mode": "text", "call_request_method": "PUT"}

    assert codes(carrier.put(path_of(SCRIPT), json=body)) == ["invalid_parameter"] * 3


def test_null_clears_on_demand(server: EmulatorServer, carrier: httpx.Client, path_of: Path) -> None:
    server.switches.signalwire_null = "clear"

    after = carrier.put(path_of(WEBHOOK), json={"call_handler": None, "call_receive_mode": None}).json()

    assert (after["call_handler"], after["call_receive_mode"]) == (None, "voice")


def test_fields_that_are_not_writable_are_ignored(carrier: httpx.Client, path_of: Path) -> None:
    body = {
        "number": "+441632960999",
        "id": ROOM_ID,
        "call_ai_agent_id": ROOM_ID,
        "colour": "red",
        "name": "x",
    }

    after = carrier.put(path_of(SCRIPT), json=body).json()

    assert (after["number"], after["name"], "colour" in after) == (SCRIPT, "x", False)


def test_a_number_without_voice_takes_no_call_handler(carrier: httpx.Client, path_of: Path) -> None:
    body = {"call_handler": "relay_script", "call_relay_script_url": URL}

    assert codes(carrier.put(path_of("+441632960109"), json=body)) == ["not_voice_capable"]


def test_receive_mode_goes_to_fax_and_back(carrier: httpx.Client, path_of: Path) -> None:
    for mode in ("fax", "voice"):
        after = carrier.put(path_of(SCRIPT), json={"call_receive_mode": mode}).json()
        assert after["call_receive_mode"] == mode


def test_a_released_number_is_gone(carrier: httpx.Client, path_of: Path) -> None:
    path = path_of(SCRIPT)

    first, second = carrier.delete(path), carrier.delete(path)

    assert (first.status_code, first.content) == (204, b"")
    assert (second.status_code, second.json()) == (404, {"error": "Not Found"})
    assert carrier.get(path).status_code == 404


def advance(server: EmulatorServer, stamp: str, **time: int) -> None:
    moment = datetime.fromisoformat(stamp) + timedelta(**time)
    server.state.edit(lambda data: data.update(clock=moment.isoformat()))


def test_a_young_number_is_released_after_fourteen_days(
    server: EmulatorServer, carrier: httpx.Client
) -> None:
    bought = carrier.post("/api/relay/rest/phone_numbers", json={"number": "+12065550100"}).json()
    path = f"/api/relay/rest/phone_numbers/{bought['id']}"

    advance(server, bought["created_at"], days=14, seconds=-1)
    refused = carrier.delete(path)
    advance(server, bought["created_at"], days=14)

    assert codes(refused) == ["purchased_too_recently"]
    assert "14 days" in refused.json()["errors"][0]["detail"]
    assert carrier.delete(path).status_code == 204


def test_trial_projects_wait_thirty_days(
    server: EmulatorServer, anonymous: httpx.Client, path_of: Path
) -> None:
    number = "+441632960035"
    server.signalwire.edit_number(number, created_at="2026-08-10T08:00:00Z")
    path = path_of(number)

    refused = anonymous.delete(path, auth=BANK)
    advance(server, "2026-08-10T08:00:00+00:00", days=30)

    assert "30 days" in refused.json()["errors"][0]["detail"]
    assert anonymous.delete(path, auth=BANK).status_code == 204
