"""Keys, workspaces and error bodies."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from airflow_voice_agents.emulator.server import EmulatorServer

BANK = {"X-API-Key": "demo-omnia-key-bank"}


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, "MISSING_API_KEY"),
        ({"X-API-Key": ""}, "MISSING_API_KEY"),
        ({"Authorization": "Bearer demo-omnia-key"}, "MISSING_API_KEY"),
        ({"X-API-Key": "unknown"}, "UNAUTHORIZED"),
        ({"X-API-Key": "demo-key-uk"}, "UNAUTHORIZED"),
        ({"X-API-Key": "demo-omnia-key-expired"}, "UNAUTHORIZED"),
    ],
)
@pytest.mark.parametrize("path", ["/numbers", "/numbers/nope", "/agents/nope/numbers"])
def test_missing_unknown_and_expired_keys_are_refused_first(
    server: EmulatorServer, anonymous: httpx.Client, headers: dict[str, str], code: str, path: str
) -> None:
    response = anonymous.get(f"/api/v1{path}", headers=headers)

    assert (response.status_code, response.json()["error"]["code"]) == (401, code)


def test_a_key_may_lack_an_operation(server: EmulatorServer, omnia: httpx.Client) -> None:
    def deny(data: dict[str, Any]) -> None:
        data["omnia_voice"]["keys"]["demo-omnia-key"]["denied"] = ["delete number"]

    server.state.edit(deny)

    refused = omnia.delete("/numbers/num_7Qx:01")
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "FORBIDDEN")
    assert omnia.get("/numbers/num_7Qx:01").status_code == 200


@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
def test_what_belongs_to_another_workspace_is_not_found(omnia: httpx.Client, method: str) -> None:
    response = omnia.request(method, "/numbers/num_b%2B1", json={"status": "ACTIVE"})

    assert (response.status_code, response.json()["error"]["code"]) == (404, "NOT_FOUND")
    assert omnia.get("/agents/agent_bank/numbers").status_code == 404
    assert omnia.get("/numbers/num_b%2B1", headers=BANK).json()["agentId"] == "agent_bank"


def test_refusals_have_either_shape(server: EmulatorServer, omnia: httpx.Client) -> None:
    body = {"phoneNumber": "123"}
    text = "phoneNumber must be an E.164 number; agentId is required"
    assert omnia.post("/numbers", json=body).json() == {"error": {"message": text, "code": "INVALID_BODY"}}

    server.switches.omnia_errors = "text"

    assert omnia.post("/numbers", json=body).json() == {
        "error": text,
        "details": {
            "formErrors": [],
            "fieldErrors": {"phoneNumber": ["must be an E.164 number"], "agentId": ["is required"]},
        },
    }


def test_request_id_comes_back_or_is_made_up(omnia: httpx.Client) -> None:
    given = omnia.get("/numbers", headers={"X-Request-Id": "run-17"})
    made = {omnia.get("/numbers/nope").headers["X-Request-Id"] for _ in range(3)}

    assert given.headers["X-Request-Id"] == "run-17"
    assert len(made) == 3


def test_numbers_of_an_agent_are_read_only(omnia: httpx.Client) -> None:
    assert omnia.post("/agents/agent_events/numbers", json={}).status_code == 405


def test_without_the_base_path_there_is_nothing(server: EmulatorServer, anonymous: httpx.Client) -> None:
    assert anonymous.get("/numbers", headers={"X-API-Key": "demo-omnia-key"}).status_code == 404
