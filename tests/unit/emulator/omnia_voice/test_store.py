"""Seeds, dumps, and what tests do behind the server's back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

from airflow_voice_agents.emulator.core import Emulator, default_seed
from airflow_voice_agents.emulator.fleet_seed import FLEET_OMNIA_KEY, carrier_number, fleet_seed
from airflow_voice_agents.emulator.omnia_voice.seed import PROMPT_MARK
from airflow_voice_agents.emulator.server import EmulatorServer
from airflow_voice_agents.emulator.state import SeedError

NUMBER = "+441632960102"


def test_edits_from_outside_are_seen(server: EmulatorServer, omnia: httpx.Client) -> None:
    path = f"/numbers/{server.omnia_voice.number(NUMBER)['id']}"

    server.omnia_voice.edit_number(NUMBER, agentId="agent_events", status="INACTIVE")

    record = omnia.get(path).json()
    assert (record["agentId"], record["status"]) == ("agent_events", "INACTIVE")
    server.omnia_voice.edit_number(NUMBER, agentId="agent_deleted")
    assert "agent" not in omnia.get(path).json()
    server.omnia_voice.remove_number(NUMBER)
    assert omnia.get(path).status_code == 404
    with pytest.raises(KeyError):
        server.omnia_voice.number(NUMBER)
    with pytest.raises(SeedError, match="no agent 'nope'"):
        server.omnia_voice.add_number("harbour", NUMBER, agentId="nope")


def test_a_dump_is_a_seed(server: EmulatorServer, omnia: httpx.Client) -> None:
    omnia.post("/numbers", json={"phoneNumber": "+441632960900", "agentId": "agent_events"})
    omnia.delete("/numbers/num_7Qx:03")
    dump = server.state.snapshot()

    again = Emulator(dump)

    assert again.state.snapshot() == dump
    assert again.omnia_voice.store.number("+441632960900")["agentId"] == "agent_events"


def test_an_assignment_survives_a_restart(tmp_path: Path) -> None:
    file, headers = tmp_path / "state.json", {"X-API-Key": "demo-omnia-key"}
    body = {"phoneNumber": "+441632960900", "agentId": "agent_events"}
    with EmulatorServer(state=file) as server:
        created = httpx.post(f"{server.url}/api/v1/numbers", json=body, headers=headers).json()

    with EmulatorServer(state=file) as server:
        assert httpx.get(f"{server.url}/api/v1/numbers/{created['id']}", headers=headers).json() == created
        other = httpx.post(
            f"{server.url}/api/v1/numbers", json=body | {"phoneNumber": "+441632960901"}, headers=headers
        )
        assert other.json()["id"] != created["id"]


def test_seeds_are_never_changed() -> None:
    seed = default_seed()
    with EmulatorServer(seed) as server:
        server.omnia_voice.edit_number(NUMBER, status="INACTIVE")
        server.omnia_voice.remove_number(NUMBER)

    assert seed == default_seed()


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"agents": {}}, "omnia_voice: unknown key agents"),
        ({"keys": {"k": {"workspace": "w"}}}, "no workspace 'w'"),
        ({"keys": {"k": {"colour": "w"}}}, r"keys \(number 1\): unknown key colour"),
        ({"workspaces": {"w": []}}, "w must be an object"),
        ({"workspaces": {"w": {"agents": {"a": {"prompt": "x"}}}}}, "unknown key prompt"),
        ({"workspaces": {"w": {"numbers": {"n": {"phoneNumber": "123"}}}}}, "'123' is not an E.164 number"),
        ({"workspaces": {"w": {"numbers": {"n": {}}}}}, "None is not an E.164 number"),
        (
            {"workspaces": {"w": {"numbers": {"n": {"phoneNumber": NUMBER, "agentId": "a"}}}}},
            "no agent 'a'",
        ),
        (
            {"workspaces": {"w": {"numbers": {"n": {"phoneNumber": NUMBER, "status": "assigned"}}}}},
            "status: 'assigned'",
        ),
        (
            {"workspaces": {"w": {"numbers": {"n": {"phoneNumber": NUMBER}, "m": {"phoneNumber": NUMBER}}}}},
            "is there twice",
        ),
    ],
)
def test_unusable_sections_are_refused_with_the_place(section: dict[str, Any], message: str) -> None:
    with pytest.raises(SeedError, match=message):
        Emulator({"omnia_voice": section})


def test_the_page_shows_numbers_and_agents_without_prompts(
    server: EmulatorServer, anonymous: httpx.Client
) -> None:
    page = anonymous.get("/").text

    assert all(text in page for text in ("num_7Qx:03", "Réception", "Weddings"))
    assert not any(text in page for text in (PROMPT_MARK, "demo-omnia-key"))


def test_a_fleet_has_agents_and_perhaps_numbers() -> None:
    seed = fleet_seed(1, carrier_numbers=3, omnia_agents=2, omnia_numbers=3)
    with EmulatorServer(seed) as server:
        headers = {"X-API-Key": FLEET_OMNIA_KEY}
        listed = httpx.get(f"{server.url}/api/v1/numbers", headers=headers).json()["data"]

    assert [record["phoneNumber"] for record in listed] == [carrier_number(index) for index in (1, 2, 3)]
    assert {record["agentId"] for record in listed} == {None}
    assert set(fleet_seed(1)) == {"polyai"}
    assert set(fleet_seed(1, omnia_agents=1)["omnia_voice"]["workspaces"]["fleet"]["agents"]) == {
        "agent-0001"
    }
