from __future__ import annotations

import hashlib

import httpx

from airflow_voice_agents.emulator.server import EmulatorServer

PAGE = "/v1/agents/PROJECT-5A1E9C07/real-time-configs/live"
UPDATE = "update real-time config variables"


def test_each_request_is_recorded_with_what_it_addressed(server: EmulatorServer, api: httpx.Client) -> None:
    body = b'{"variables": {"csat_enabled": true}}'

    api.patch(f"{PAGE}/variables", content=body)

    entry = server.journal.entries()[0]
    assert (entry.number, entry.method, entry.path) == (1, "PATCH", f"{PAGE}/variables")
    assert (entry.operation, entry.agent, entry.status) == (UPDATE, "harbour-hotels", 200)
    assert entry.route == "/v1/agents/{agentId}/real-time-configs/{clientEnv}/variables"
    assert (entry.writes, entry.changed) == (True, True)
    assert entry.digest == hashlib.sha256(body).hexdigest()
    assert entry.body is None


def test_reads_refused_writes_and_changes_are_told_apart(server: EmulatorServer, api: httpx.Client) -> None:
    batch = {"phoneNumbers": ["+441632960005"]}

    api.get(PAGE)
    api.post("/v1/agents/harbour-hotels/telephony/phone-numbers/batch", json=batch)
    api.patch(f"{PAGE}/variables", json={"variables": {"csat_enabled": "no"}})
    api.patch(f"{PAGE}/variables", json={"variables": {"csat_enabled": False}})
    api.get("/nowhere")

    assert [(entry.operation, entry.status) for entry in server.journal.writes()] == [
        (UPDATE, 400),
        (UPDATE, 200),
    ]
    assert [entry.number for entry in server.journal.changes()] == [4]
    assert server.journal.entries()[-1].operation is None


def test_counts_by_method_operation_and_both(server: EmulatorServer, api: httpx.Client) -> None:
    for _ in range(3):
        api.get(PAGE)
    api.get("/v1/agents/harbour-hotels/branches")
    api.patch(f"{PAGE}/variables", json={})

    assert server.journal.count() == 5
    assert server.journal.count("GET") == 4
    assert server.journal.count(operation="get real-time config") == 3
    assert server.journal.count("PATCH", UPDATE) == 1
    assert server.journal.count("PUT", UPDATE) == 0
    server.journal.clear()
    assert (server.journal.count(), server.journal.entries()) == (0, [])


def test_bodies_are_kept_on_request_only(server: EmulatorServer, api: httpx.Client) -> None:
    server.switches.record_bodies = True

    api.patch(f"{PAGE}/variables", json={"variables": {"a": 1}})
    api.patch(f"{PAGE}/variables", content=b"\xff{")
    api.get(PAGE)

    bodies = [entry.body for entry in server.journal.entries()]
    assert bodies == [{"variables": {"a": 1}}, "\ufffd{", None]


def test_keys_are_not_recorded(server: EmulatorServer, api: httpx.Client) -> None:
    server.switches.record_bodies = True
    api.get(PAGE)

    assert "demo-key-uk" not in str(server.journal.as_dict())
