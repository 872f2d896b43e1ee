from __future__ import annotations

from typing import Any

import httpx
import pytest

from airflow_voice_agents.emulator.server import EmulatorServer

PAGE = "/v1/agents/harbour-hotels/real-time-configs/live"


def test_health_tells_that_the_server_is_up(anonymous: httpx.Client) -> None:
    assert anonymous.get("/_emulator/health").json()["status"] == "ok"


def test_state_can_be_taken_out_and_put_back(
    server: EmulatorServer, api: httpx.Client, anonymous: httpx.Client
) -> None:
    api.patch(f"{PAGE}/variables", json={"variables": {"holiday_message": "Ŵythnos"}})
    state = anonymous.get("/_emulator/state").json()
    api.patch(f"{PAGE}/variables", json={"variables": {"holiday_message": "other"}})
    server.fault("answer", times=None, route="/v1/")

    assert anonymous.put("/_emulator/state", json=state).status_code == 200

    assert anonymous.get("/_emulator/state").json() == state
    assert api.get(PAGE).json()["variables"]["holiday_message"] == "Ŵythnos"
    assert server.journal.count() == 1
    server.reset(server.emulator.seed)


def test_reset_without_body_returns_to_the_last_seed(api: httpx.Client, anonymous: httpx.Client) -> None:
    before = anonymous.get("/_emulator/state").json()
    api.patch(f"{PAGE}/variables", json={"variables": {"holiday_message": "x"}})

    assert anonymous.put("/_emulator/state").status_code == 200
    assert anonymous.get("/_emulator/state").json() == before


@pytest.mark.parametrize(
    "seed",
    [[], {"polyia": {}}, {"polyai": {"agents": {"a": {"account": "x"}}}}, {"switches": {"latency": "x"}}],
)
def test_bad_seed_is_refused_and_leaves_everything(
    anonymous: httpx.Client, api: httpx.Client, seed: Any
) -> None:
    before = anonymous.get("/_emulator/state").json()

    response = anonymous.put("/_emulator/state", json=seed)

    assert response.status_code == 400
    assert response.json()["message"]
    assert anonymous.get("/_emulator/state").json() == before
    assert api.get(PAGE).status_code == 200


def test_journal_is_shown_and_cleared(api: httpx.Client, anonymous: httpx.Client) -> None:
    api.get(PAGE)

    journal = anonymous.get("/_emulator/journal").json()

    assert journal["counts"] == [{"method": "GET", "operation": "get real-time config", "count": 1}]
    assert (journal["total"], journal["entries"][0]["status"]) == (1, 200)
    assert anonymous.delete("/_emulator/journal").status_code == 204
    assert anonymous.get("/_emulator/journal").json() == {"total": 0, "counts": [], "entries": []}


def test_faults_are_installed_shown_and_removed(api: httpx.Client, anonymous: httpx.Client) -> None:
    one, several = {"action": "answer", "status": 500}, [{"action": "answer", "status": 502}] * 2

    assert anonymous.post("/_emulator/faults", json=one).status_code == 201
    assert len(anonymous.post("/_emulator/faults", json=several).json()["faults"]) == 2
    assert [api.get(PAGE).status_code for _ in range(2)] == [500, 502]
    assert [fault["fired"] for fault in anonymous.get("/_emulator/faults").json()["faults"]] == [1, 1, 0]
    assert anonymous.delete("/_emulator/faults").status_code == 204
    assert api.get(PAGE).status_code == 200


@pytest.mark.parametrize("fault", [{}, {"action": "kill"}, [1], "reset", {"action": "reset", "nth": None}])
def test_bad_fault_is_refused_with_a_reason(anonymous: httpx.Client, fault: Any) -> None:
    response = anonymous.post("/_emulator/faults", json=fault)

    assert response.status_code == 400
    assert response.json()["message"]


def test_switches_are_shown_and_set(server: EmulatorServer, anonymous: httpx.Client) -> None:
    assert anonymous.get("/_emulator/switches").json() == server.switches.as_dict()

    reply = anonymous.patch("/_emulator/switches", json={"null_variable": "delete"})

    assert reply.json()["null_variable"] == server.switches.null_variable == "delete"


@pytest.mark.parametrize("switches", [{"null_variable": 3}, {"nope": 1}, []])
def test_bad_switches_are_refused(server: EmulatorServer, anonymous: httpx.Client, switches: Any) -> None:
    before = server.switches.as_dict()

    assert anonymous.patch("/_emulator/switches", json=switches).status_code == 400
    assert server.switches.as_dict() == before


FOREIGN_HOSTS = (
    "attacker.example",
    "attacker.example:80",
    "127.0.0.1.attacker.example",
    "127.0.0.1:80.attacker.example",
    "localhost:",
    "",
)


@pytest.mark.parametrize("host", FOREIGN_HOSTS)
@pytest.mark.parametrize("path", ["/", "/_emulator/state", "/_emulator/health", "/nowhere"])
def test_foreign_host_names_are_refused_on_control_routes(
    server: EmulatorServer, anonymous: httpx.Client, path: str, host: str
) -> None:
    assert anonymous.get(path, headers={"Host": host}).status_code == 403
    assert anonymous.get("/_emulator/health", headers={"Host": "LocalHost:1"}).status_code == 200


@pytest.mark.parametrize("host", FOREIGN_HOSTS)
def test_foreign_host_names_are_refused_on_every_route_of_every_vendor(
    server: EmulatorServer, anonymous: httpx.Client, host: str
) -> None:
    rooms = (server.emulator.polyai, server.emulator.signalwire, server.emulator.omnia_voice)
    operations = [operation for room in rooms for operation in room.operations]
    for operation in operations:
        reply = anonymous.request(operation.method, operation.route, headers={"Host": host})
        assert (operation.name, reply.status_code) == (operation.name, 403)

    assert len(operations) > 50
    assert server.journal.count() == 0


def test_control_routes_need_declared_json(server: EmulatorServer, anonymous: httpx.Client) -> None:
    plain = {"Content-Type": "text/plain"}
    refused = anonymous.post("/_emulator/faults", content=b'{"action": "reset"}', headers=plain)
    assert refused.status_code == 415
    declared = {"Content-Type": "application/json; charset=utf-8"}
    broken = anonymous.post("/_emulator/faults", content=b"{", headers=declared)
    assert (broken.status_code, "not JSON" in broken.json()["message"]) == (400, True)


def test_control_requests_are_not_in_the_journal(server: EmulatorServer, anonymous: httpx.Client) -> None:
    anonymous.get("/_emulator/health")
    anonymous.get("/")

    assert server.journal.count() == 0


def test_overview_lists_projects_values_and_last_requests(api: httpx.Client, anonymous: httpx.Client) -> None:
    api.get(PAGE)

    page = anonymous.get("/").text

    for text in (
        "Harbour Hotels",
        "rosa-restaurants",
        "winter_notice",
        "get real-time config",
        "development",
    ):
        assert text in page


def test_overview_hides_secret_values_and_escapes_everything(
    api: httpx.Client, anonymous: httpx.Client
) -> None:
    api.patch(f"{PAGE}/variables", json={"variables": {"holiday_message": "<script>alert(1)</script>"}})
    api.patch(f"{PAGE}/variables", json={"variables": {"<b>": "x"}})
    api.get("/v1/<img src=x>")

    page = anonymous.get("/").text

    assert "fake-live-pms-key" not in page
    assert "(secret)" in page
    assert "&lt;script&gt;" in page
    assert not any(text in page for text in ("<script", "<b>", "<img"))
