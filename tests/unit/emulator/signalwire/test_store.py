"""Seeds, dumps, and what tests do behind the server's back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from airflow_voice_agents.emulator.core import Emulator, default_seed
from airflow_voice_agents.emulator.server import EmulatorServer
from airflow_voice_agents.emulator.state import SeedError

PROJECT = "2f6c1f0e-8a6b-4d0e-9c34-5b1d7e9a0c21"
NUMBER = "+441632960005"


def test_edits_from_outside_are_seen(
    server: EmulatorServer, carrier: httpx.Client, path_of: Callable[[str], str]
) -> None:
    before = carrier.get(path_of(NUMBER)).json()

    server.signalwire.edit_number(NUMBER, call_handler="sip_gateway")
    after = carrier.get(path_of(NUMBER)).json()

    assert after["call_handler"] == "sip_gateway"
    assert after["calling_handler_resource_id"] not in (None, before["calling_handler_resource_id"])
    assert after["updated_at"] > before["updated_at"]


def test_numbers_appear_and_vanish_from_outside(
    server: EmulatorServer, carrier: httpx.Client, path_of: Callable[[str], str]
) -> None:
    server.signalwire.add_number(PROJECT, "+441632960801", name="Ported")
    path = path_of("+441632960801")

    assert carrier.get(path).json()["name"] == "Ported"
    server.signalwire.remove_number("+441632960801")
    assert carrier.get(path).status_code == 404
    with pytest.raises(KeyError):
        server.signalwire.number("+441632960801")
    with pytest.raises(SeedError, match="unknown key colour"):
        server.signalwire.add_number(PROJECT, "+441632960801", colour="red")


def test_a_dump_is_a_seed_and_keeps_what_is_never_shown(
    server: EmulatorServer, carrier: httpx.Client, path_of: Callable[[str], str]
) -> None:
    carrier.put(path_of(NUMBER), json={"message_relay_application": "app"})
    carrier.post("/api/relay/rest/phone_numbers", json={"number": "+12065550100"})
    carrier.delete(f"{path_of('+12065550190')}/e911_address")
    carrier.get(path_of("+12065550190"))
    dump = server.state.snapshot()

    again = Emulator(dump)

    assert again.state.snapshot() == dump
    assert again.signalwire.store.number(NUMBER)["message_relay_application"] == "app"
    assert again.signalwire.store.number("+12065550190")["e911_reads"] == 1


def test_a_purchase_survives_a_restart(tmp_path: Path) -> None:
    file = tmp_path / "state.json"
    auth = (PROJECT, "demo-token-hotels")
    with EmulatorServer(state=file) as server:
        body = {"number": "+12065550100"}
        bought = httpx.post(f"{server.url}/api/relay/rest/phone_numbers", json=body, auth=auth).json()

    with EmulatorServer(state=file) as server:
        path = f"{server.url}/api/relay/rest/phone_numbers/{bought['id']}"
        assert httpx.get(path, auth=auth).json() == bought
        assert server.signalwire.projects[PROJECT]["billed"] == 1
        assert "+12065550100" not in server.signalwire.available


def test_seeds_are_never_changed() -> None:
    seed = default_seed()
    with EmulatorServer(seed) as server:
        server.signalwire.edit_number(NUMBER, name="x")
        server.signalwire.withdraw("+12065550100")
        server.signalwire.remove_number(NUMBER)

    assert seed == default_seed()


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"project": {}}, "signalwire: unknown key project"),
        ({"projects": []}, r"signalwire\.projects must be an object"),
        ({"projects": {"x": {}}}, "a project id is a UUID"),
        ({"projects": {PROJECT: {"colour": 1}}}, "unknown key colour"),
        ({"projects": {PROJECT: {"tokens": {"t": {"scope": 1}}}}}, r"tokens \(number 1\): unknown key scope"),
        ({"projects": {PROJECT: {"numbers": {"123": {}}}}}, "'123' is not an E.164 number"),
        ({"projects": {PROJECT: {"numbers": {NUMBER: {"number": "+441632960006"}}}}}, "names another"),
        ({"projects": {PROJECT: {"numbers": {NUMBER: {"id": "7"}}}}}, "'7' is not a UUID"),
        (
            {"projects": {PROJECT: {"numbers": {NUMBER: {"call_handler": "pigeon"}}}}},
            "call_handler: 'pigeon'",
        ),
        (
            {"projects": {PROJECT: {"numbers": {NUMBER: {"call_receive_mode": "x"}}}}},
            "call_receive_mode: 'x'",
        ),
        ({"projects": {PROJECT: {"numbers": {NUMBER: {"colour": 1}}}}}, "unknown key colour"),
        ({"available": {"123": {}}}, "'123' is not an E.164 number"),
        ({"available": {NUMBER: {"number_type": "tollfree"}}}, "number_type: 'tollfree'"),
        (
            {
                "projects": {
                    PROJECT: {"numbers": {NUMBER: {}}},
                    "9b0d3c44-1e5a-4a7f-8b62-0c9f2d4e6a83": {"numbers": {NUMBER: {}}},
                }
            },
            "is taken",
        ),
    ],
)
def test_unusable_sections_are_refused_with_the_place(section: dict[str, Any], message: str) -> None:
    with pytest.raises(SeedError, match=message):
        Emulator({"signalwire": section})


def test_the_shipped_seed_has_numbers_on_both_sides_and_some_that_polyai_does_not_know() -> None:
    seed = default_seed()
    known = {number for agent in seed["polyai"]["agents"].values() for number in agent["numbers"]}
    carried = set(seed["signalwire"]["projects"][PROJECT]["numbers"])

    assert len(carried & known) == 16
    assert {f"+4416329601{index:02}" for index in range(8)} <= carried - known
    assert not set(seed["signalwire"]["available"]) & (carried | known)


def test_the_page_shows_routing_without_passwords(
    server: EmulatorServer, carrier: httpx.Client, anonymous: httpx.Client
) -> None:
    server.signalwire.edit_number(NUMBER, call_relay_script_url="https://u:fake/p@x.example/a?token=fake-t#f")

    server.signalwire.edit_number("+441632960006", call_relay_script_url="https://y.example/b#fake-f")

    page = anonymous.get("/").text

    assert "https://x.example/a<" in page
    assert "https://y.example/b<" in page
    assert "https://swml.harbour-hotels.example/jersey" in page
    assert not any(secret in page for secret in ("fake-password", "fake/p", "fake-t", "fake-f", "demo-token"))
