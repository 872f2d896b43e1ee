"""Each kind of fault, as a client sees it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from airflow_voice_agents.emulator.faults import Fault, FaultError, Faults
from airflow_voice_agents.emulator.server import EmulatorServer

PAGE = "/v1/agents/harbour-hotels/real-time-configs/live"
UPDATE = "update real-time config variables"


def update(api: httpx.Client, **variables: Any) -> httpx.Response:
    return api.patch(f"{PAGE}/variables", json={"variables": variables or {"csat_enabled": True}})


def stored(server: EmulatorServer) -> Any:
    return server.polyai.page("harbour-hotels", "live")["variables"]["csat_enabled"]


@pytest.mark.parametrize("apply", [False, True])
def test_reset_drops_the_connection_before_or_after_handling(
    server: EmulatorServer, api: httpx.Client, apply: bool
) -> None:
    server.fault("reset", apply=apply, operation=UPDATE)

    with pytest.raises(httpx.ReadError):
        update(api)

    assert stored(server) is apply
    entry = server.journal.entries()[-1]
    assert (entry.status, entry.changed) == (None, apply)
    assert entry.fault == ("apply then reset" if apply else "reset")
    assert update(api).status_code == 200


@pytest.mark.parametrize("apply", [False, True])
def test_answer_takes_the_place_of_the_servers_own(
    server: EmulatorServer, api: httpx.Client, apply: bool
) -> None:
    server.fault("answer", apply=apply, status=503, body={"message": "down"}, headers={"Retry-After": "2"})

    response = update(api)

    assert (response.status_code, response.json()) == (503, {"message": "down"})
    assert response.headers["Retry-After"] == "2"
    assert response.headers["X-PolyAI-Correlation-Id"]
    assert stored(server) is apply


def test_answer_can_be_plain_text_or_empty(server: EmulatorServer, api: httpx.Client) -> None:
    server.fault("answer", status=502, body="<h1>Bad gateway</h1>")
    server.fault("answer", status=500)

    page, empty = api.get(PAGE), api.get(PAGE)

    assert (page.status_code, page.text) == (502, "<h1>Bad gateway</h1>")
    assert page.headers["content-type"].startswith("text/html")
    assert (empty.status_code, empty.content) == (500, b"")


def test_truncate_sends_less_than_it_promised(server: EmulatorServer, api: httpx.Client) -> None:
    server.fault("truncate", operation=UPDATE)

    with pytest.raises(httpx.RemoteProtocolError, match="without sending complete"):
        update(api)

    assert stored(server) is True


@pytest.mark.parametrize("apply", [False, True])
def test_not_json_is_a_web_page_with_status_200(
    server: EmulatorServer, api: httpx.Client, apply: bool
) -> None:
    server.fault("not_json", apply=apply)

    response = update(api)

    assert response.status_code == 200
    assert response.text.startswith("<html>")
    assert stored(server) is apply


def test_delay_waits_and_then_handles(server: EmulatorServer, api: httpx.Client) -> None:
    server.fault("delay", seconds=0.2)

    start = time.monotonic()
    response = update(api)

    assert response.status_code == 200
    assert time.monotonic() - start >= 0.2


def test_delayed_request_does_not_hold_up_others(server: EmulatorServer, api: httpx.Client) -> None:
    server.fault("delay", operation=UPDATE, seconds=30)
    with httpx.Client(base_url=server.url, headers=api.headers, timeout=0.1) as impatient:
        with pytest.raises(httpx.ReadTimeout):
            update(impatient)

        assert api.get(PAGE).status_code == 200


def test_fault_fires_from_the_nth_match_on_for_so_many_times(
    server: EmulatorServer, api: httpx.Client
) -> None:
    fault = server.fault("answer", method="GET", nth=2, times=2, status=500)

    assert [api.get(PAGE).status_code for _ in range(5)] == [200, 500, 500, 200, 200]
    assert (fault.matched, fault.fired) == (5, 2)


@pytest.mark.parametrize(
    ("rule", "hit"),
    [
        ({"method": "PATCH"}, True),
        ({"method": "GET"}, False),
        ({"operation": UPDATE}, True),
        ({"operation": "list agents"}, False),
        ({"route": "/variables$"}, True),
        ({"route": r"\{clientEnv\}"}, True),
        ({"route": "harbour-hotels/real"}, True),
        ({"route": "rosa"}, False),
        ({"body_contains": "csat"}, True),
        ({"body_contains": "holiday"}, False),
        ({"probability": 0.0}, False),
    ],
)
def test_rule_picks_requests(
    server: EmulatorServer, api: httpx.Client, rule: dict[str, Any], hit: bool
) -> None:
    server.fault("answer", status=599, **rule)

    assert (update(api).status_code == 599) is hit


def test_probability_draws_alike_from_the_same_seed(server: EmulatorServer, api: httpx.Client) -> None:
    def draw(seed: int) -> list[int]:
        server.clear_faults()
        server.fault("answer", probability=0.5, seed=seed, times=None)
        return [api.get(PAGE).status_code for _ in range(24)]

    first = draw(1)

    assert first == draw(1) != draw(2)
    assert set(first) == {200, 500}


def test_first_fault_due_takes_the_request(server: EmulatorServer, api: httpx.Client) -> None:
    first = server.fault("answer", status=500)
    second = server.fault("answer", status=502)

    assert [api.get(PAGE).status_code for _ in range(3)] == [500, 502, 200]
    assert (first.fired, second.fired) == (1, 1)


def test_fault_on_an_unknown_path_answers_too(server: EmulatorServer, api: httpx.Client) -> None:
    server.fault("answer", status=503, route="/elsewhere")

    assert api.get("/elsewhere").status_code == 503


@pytest.mark.parametrize(
    "rule",
    [
        {"action": "explode"},
        {"action": "reset", "nth": 0},
        {"action": "reset", "probability": 1.5},
        {"action": "reset", "seconds": -1},
        {"action": "reset", "route": "("},
        {"action": "reset", "colour": "red"},
        {"action": "reset", "nth": "two"},
        {"action": "kill"},
        {},
    ],
)
def test_faults_that_make_no_sense_are_refused_all_or_none(rule: dict[str, Any]) -> None:
    faults = Faults()

    with pytest.raises(FaultError):
        faults.add_described([{"action": "reset"}, rule])

    assert faults.as_list() == []


def test_kill_is_refused_where_the_process_is_shared(server: EmulatorServer) -> None:
    with pytest.raises(FaultError, match="own process"):
        server.fault("kill")


@pytest.mark.parametrize("apply", [False, True])
def test_kill_ends_the_process_and_the_state_file_tells_how_far_it_came(tmp_path: Path, apply: bool) -> None:
    file = tmp_path / "state.json"
    command = [sys.executable, "-m", "airflow_voice_agents.emulator", "--port", "0", "--state", str(file)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        address = next(line.split()[-1] for line in process.stdout if "address" in line)
        with httpx.Client(base_url=address, headers={"X-API-KEY": "demo-key-uk"}) as client:
            fault = {"action": "kill", "apply": apply, "operation": UPDATE}
            assert client.post("/_emulator/faults", json=fault).status_code == 201
            with pytest.raises(httpx.TransportError):
                update(client)
        assert process.wait(10) == -signal.SIGKILL

    pages = json.loads(file.read_text())["polyai"]["agents"]["harbour-hotels"]["configs"]
    assert pages["live"]["variables"]["csat_enabled"] is apply


def test_described_fault_tells_its_counters() -> None:
    fault = Fault("reset", method="GET")

    assert fault.as_dict()["fired"] == 0
    assert json.dumps(fault.as_dict())


CONNECTORS = "/v1/agents/harbour-hotels/telephony/connectors"
NUMBERS = "/v1/agents/harbour-hotels/telephony/phone-numbers"


def spoilt(names: list[str], **rule: Any) -> set[str]:
    fault = Fault("items", **rule)
    return {name for name in names if fault.spoils(name)}


def test_a_share_of_the_items_fails_whatever_their_order() -> None:
    names = [f"conn_{number}" for number in range(5000)]

    found = spoilt(names, share=0.02, seed=1)

    assert 60 < len(found) < 140
    assert found == spoilt(names[::-1], share=0.02, seed=1)
    assert found != spoilt(names, share=0.02, seed=2)


def test_each_try_of_an_item_is_drawn_anew() -> None:
    fault = Fault("items", share=0.5)

    assert {fault.spoils("conn_1") for _ in range(20)} == {True, False}


def test_other_faults_spoil_no_item() -> None:
    assert not Fault("delay", share=1.0).spoils("conn_1")


def test_a_share_beyond_one_is_refused() -> None:
    with pytest.raises(FaultError, match="share"):
        Fault("items", share=1.1)


def test_spoilt_connectors_fail_in_an_answer_that_succeeds(server: EmulatorServer, api: httpx.Client) -> None:
    ids = [each["connectorId"] for each in api.get(CONNECTORS).json()["connectors"]]
    server.fault("items", share=1.0, operation="update connectors")
    before = server.state.read("polyai")

    response = api.patch(f"{CONNECTORS}/batch", json={"updates": [{"connectorId": each} for each in ids]})

    assert response.status_code == 200
    assert [(each["connectorId"], each["success"]) for each in response.json()["results"]] == [
        (each, False) for each in ids
    ]
    assert server.state.read("polyai") == before
    assert server.journal.entries()[-1].fault == "items"
    again = api.patch(f"{CONNECTORS}/batch", json={"updates": [{"connectorId": each} for each in ids]})
    assert all(each["success"] for each in again.json()["results"])


def test_spoilt_numbers_are_left_out_of_what_was_imported(server: EmulatorServer, api: httpx.Client) -> None:
    numbers = [f"+44207900{number:04}" for number in range(50)]
    fault = server.fault("items", share=0.2, seed=5)
    expected = sorted(set(numbers) - spoilt(numbers, share=0.2, seed=5))

    response = api.post(NUMBERS, json={"phoneNumbers": numbers, "clientEnv": "sandbox"})

    assert response.status_code == 201
    assert 0 < len(expected) < 50
    assert sorted(response.json()["imported"]) == expected
    assert (
        sorted(set(server.state.read("polyai", "agents", "harbour-hotels", "numbers")) & set(numbers))
        == expected
    )
    assert fault.fired == 1
