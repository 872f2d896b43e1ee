"""Seeds, state files, the logical clock, and the server's life."""

from __future__ import annotations

import json
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from airflow_voice_agents.emulator.behaviors import SwitchError
from airflow_voice_agents.emulator.core import Emulator, default_seed
from airflow_voice_agents.emulator.fleet_seed import FLEET_KEY, fleet_seed
from airflow_voice_agents.emulator.server import EmulatorServer
from airflow_voice_agents.emulator.state import SeedError, format_stamp

KEY = {"X-API-KEY": "demo-key-uk"}
PAGE = "/v1/agents/harbour-hotels/real-time-configs/live"


def patch(server: EmulatorServer, **variables: Any) -> httpx.Response:
    return httpx.patch(f"{server.url}{PAGE}/variables", json={"variables": variables}, headers=KEY)


def test_state_survives_a_restart_with_switches_and_clock(tmp_path: Path) -> None:
    file = tmp_path / "state.json"
    with EmulatorServer(state=file, switches={"null_variable": "delete"}) as server:
        patch(server, holiday_message="Ŵythnos y Glas")
        before = server.state.snapshot()

    with EmulatorServer(state=file) as server:
        assert server.state.snapshot() == before
        later = patch(server, csat_enabled=True).json()

    assert later["variables"]["holiday_message"] == "Ŵythnos y Glas"
    assert (
        later["lastUpdated"] > before["polyai"]["agents"]["harbour-hotels"]["configs"]["live"]["lastUpdated"]
    )
    assert [path.name for path in tmp_path.iterdir()] == ["state.json"]


def test_every_change_is_in_the_file_before_it_is_answered(tmp_path: Path) -> None:
    file = tmp_path / "state.json"
    with EmulatorServer(state=file) as server:
        for number in range(3):
            patch(server, holiday_message=str(number))
            pages = json.loads(file.read_text())["polyai"]["agents"]["harbour-hotels"]["configs"]
            assert pages["live"]["variables"]["holiday_message"] == str(number)


def test_reads_do_not_write_the_file(tmp_path: Path) -> None:
    file = tmp_path / "state.json"
    with EmulatorServer(state=file) as server:
        stamp = file.stat().st_mtime_ns
        httpx.get(server.url + PAGE, headers=KEY)
        patch(server, csat_enabled="refused")

        assert file.stat().st_mtime_ns == stamp


def test_switches_given_at_the_start_go_before_those_of_the_file(tmp_path: Path) -> None:
    file = tmp_path / "state.json"
    Emulator(state_file=file, switches={"null_variable": "delete"})

    emulator = Emulator(state_file=file, switches={"null_variable": "store"})

    assert emulator.state.switches.null_variable == "store"
    with pytest.raises(SwitchError):
        Emulator(switches={"nope": 1})


def test_a_dump_is_a_seed(server: EmulatorServer, api: httpx.Client) -> None:
    api.post("/v1/agents/harbour-hotels/branches", json={"branchName": "x"})
    dump = server.state.snapshot()

    assert Emulator(dump).state.snapshot() == dump


def test_seeds_are_never_changed(server: EmulatorServer) -> None:
    seed = default_seed()
    emulator = Emulator(seed)
    with EmulatorServer(seed) as running, httpx.Client(base_url=running.url, headers=KEY) as client:
        client.patch(f"{PAGE}/variables", json={"variables": {"settings": {"use_mock_api": True}}})
        connector = "/v1/agents/harbour-hotels/telephony/connectors/conn_hh_live_main"
        client.patch(connector, json={"projectId": "rosa-restaurants"})
        branch = "/v1/agents/rosa-restaurants/branches/BRANCH-1F0C77D2"
        client.post(f"{branch}/variants", json={"name": "x"})
        client.post(f"{branch}/merge")
        assert len(running.journal.changes()) == 4

    assert seed == default_seed()
    assert emulator.state.snapshot() == Emulator().state.snapshot()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"polyia": {}}, "unknown key polyia"),
        ({"clock": "yesterday"}, "not an ISO 8601 time"),
        ({"sequence": -1}, "sequence"),
        ({"polyai": {"agent": {}}}, "polyai: unknown key agent"),
        ({"polyai": {"agents": []}}, "polyai.agents must be an object"),
        ({"polyai": {"keys": {"k": {"account": "x"}}}}, "no account 'x'"),
        (
            {"polyai": {"accounts": {"a": {}}, "keys": {"k": {"account": "a", "agents": ["x"]}}}},
            "no agent 'x'",
        ),
    ],
)
def test_unusable_seed_is_refused_with_the_place(change: dict[str, Any], message: str) -> None:
    with pytest.raises(SeedError, match=message):
        Emulator(change)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"account": "nope"}, "no account 'nope'"),
        ({"colour": 1}, "unknown key colour"),
        ({"configs": {"staging": {}}}, "'staging' is no environment"),
        ({"configs": {"live": {"variables": []}}}, "variables must be an object or null"),
        ({"connectors": {"c": {}}}, "connectors.c.clientEnv: None is no environment"),
        ({"numbers": {"123": {"clientEnv": "live"}}}, "'123' is not an E.164 number"),
        ({"numbers": {"+441632960999": {"clientEnv": "live", "connectorId": "c"}}}, "no connector 'c'"),
        ({"numbers": {"+441632960020": {"clientEnv": "live"}}}, "belongs to"),
        ({"deployments": [{"environment": "live"}]}, r"deployments\[0\] lacks version, createdAt"),
        ({"branches": {"b": {"colour": 1}}}, "unknown key colour"),
        ({"testOutcome": "great"}, "testOutcome: 'great' is not one of passed"),
        ({"testCases": []}, "testCases must be an object"),
        ({"conversations": {"c": {}}}, r"conversations\.c\.environment: None is no environment"),
        ({"conversations": {"c": {"environment": "live", "colour": 1}}}, "unknown key colour"),
        ({"conversations": {"c": {"environment": "live", "startedAt": "soon"}}}, "not an ISO 8601 time"),
        ({"chat": {"colour": 1}}, "unknown key colour"),
        ({"chat": {"answers": [{"colour": 1}]}}, r"answers\[0\]: unknown key colour"),
    ],
)
def test_unusable_agent_is_refused_with_the_place(change: dict[str, Any], message: str) -> None:
    seed = default_seed()
    seed["polyai"]["agents"]["new"] = {"account": "demo-uk"} | change

    with pytest.raises(SeedError, match=message):
        Emulator(seed)


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ({"metric": "api_errors"}, "no account None"),
        ({"account": "demo-uk", "metric": "errors"}, "metric: 'errors' is not one of turn_latency_p50"),
        ({"account": "demo-uk", "metric": "api_errors", "agent": "x"}, "no agent 'x'"),
        ({"account": "demo-uk", "metric": "api_errors", "state": "x"}, "state: 'x' is not one of ok"),
        ({"account": "demo-uk", "metric": "api_errors", "colour": 1}, "unknown key colour"),
    ],
)
def test_unusable_alert_rule_is_refused_with_the_place(rule: dict[str, Any], message: str) -> None:
    seed = default_seed()
    seed["polyai"]["alertRules"] = {"ar_1": rule}

    with pytest.raises(SeedError, match=rf"polyai\.alertRules\.ar_1.*{message}"):
        Emulator(seed)


def test_a_key_is_of_a_known_host() -> None:
    seed = default_seed()
    seed["polyai"]["keys"]["demo-key-uk"]["host"] = "elsewhere"

    with pytest.raises(SeedError, match="host: 'elsewhere' is not one of build, runtime"):
        Emulator(seed)


@pytest.mark.parametrize("text", ["{", "[]", None])
def test_unreadable_seed_file_is_refused_by_name(tmp_path: Path, text: str | None) -> None:
    file = tmp_path / "seed.json"
    if text is not None:
        file.write_text(text)

    with pytest.raises(SeedError, match=r"seed\.json"):
        Emulator(file)


def test_clock_starts_behind_the_newest_deployment_of_the_seed() -> None:
    record = {"environment": "live", "version": "v", "createdAt": "2031-01-01T00:00:00Z"}
    agent = {"account": "a", "deployments": [record]}
    emulator = Emulator({"polyai": {"accounts": {"a": {}}, "agents": {"x": agent}}})

    assert emulator.state.touch() == "2031-01-01T00:00:01Z"


def test_generated_ids_are_distinct_ordered_and_the_same_in_every_run() -> None:
    def ids() -> list[str]:
        state = Emulator().state
        return [state.clock.new_uuid() for _ in range(5000)]

    first = ids()

    assert first == ids()
    assert len(set(first)) == 5000
    assert {each[14] for each in first} == {"7"}


def test_state_can_be_read_and_edited_from_outside(server: EmulatorServer, api: httpx.Client) -> None:
    path = ("polyai", "agents", "harbour-hotels", "configs", "live", "variables")

    def change(data: dict[str, Any]) -> None:
        data["polyai"]["agents"]["harbour-hotels"]["configs"]["live"]["variables"]["csat_enabled"] = True

    server.state.read(*path)["csat_enabled"] = "a copy"
    assert server.state.read(*path)["csat_enabled"] is False
    server.state.edit(change)
    assert api.get(PAGE).json()["variables"]["csat_enabled"] is True
    page = server.polyai.write_page("harbour-hotels", "live", variables={"x": 1})
    assert api.get(PAGE).json() == {"clientEnv": "live"} | page


def test_concurrent_writes_are_all_kept(server: EmulatorServer) -> None:
    path = f"{server.url}{PAGE}/variables"

    def write(worker: int) -> None:
        with httpx.Client(headers=KEY) as client:
            for step in range(20):
                assert client.patch(path, json={"variables": {f"w{worker}_{step}": step}}).status_code == 200

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(write, range(6)))

    variables = server.polyai.page("harbour-hotels", "live")["variables"]
    assert sum(key.startswith("w") and "_" in key and key[1].isdigit() for key in variables) == 120
    assert len({entry.number for entry in server.journal.changes()}) == 120


def test_server_starts_at_once_and_leaves_nothing_behind() -> None:
    threads = set(threading.enumerate())
    started = time.perf_counter()
    with EmulatorServer() as server:
        assert time.perf_counter() - started < 1
        port = int(server.url.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port)):
            assert httpx.get(f"{server.url}/_emulator/health").status_code == 200

    assert set(threading.enumerate()) == threads
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port)).close()


def test_stop_does_not_wait_for_delayed_requests() -> None:
    server = EmulatorServer().start()
    server.fault("delay", seconds=60)
    with ThreadPoolExecutor(1) as pool:
        pending = pool.submit(httpx.get, server.url + PAGE, headers=KEY, timeout=30)
        while not server.journal.count():
            time.sleep(0.01)
        started = time.perf_counter()
        server.stop()
        assert time.perf_counter() - started < 5
        assert pending.exception() is not None or pending.result().status_code == 500


def test_client_that_leaves_in_the_middle_of_a_request_does_no_harm(
    server: EmulatorServer, api: httpx.Client
) -> None:
    port = int(server.url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port)) as leaving:
        leaving.sendall(
            f"PATCH {PAGE}/variables HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 99\r\n\r\n{{".encode()
        )

    assert api.get(PAGE).status_code == 200
    assert server.journal.count("PATCH") == 0


def test_two_servers_are_independent() -> None:
    with EmulatorServer() as one, EmulatorServer(switches={"latency": 0.0}) as two:
        patch(one, csat_enabled=True)

        assert one.url != two.url
        assert two.polyai.page("harbour-hotels", "live")["variables"]["csat_enabled"] is False
        assert two.journal.count() == 0


def test_fleet_of_thousands_shares_its_documents_and_answers() -> None:
    seed = fleet_seed(3000)
    with EmulatorServer(seed) as server:
        started = time.perf_counter()
        root, headers = f"{server.url}/v1/agents", {"X-API-KEY": FLEET_KEY}
        body = {"variables": {"flags": {"callback": True}}}
        response = httpx.patch(
            f"{root}/site-2999/real-time-configs/live/variables", json=body, headers=headers
        )
        assert time.perf_counter() - started < 2
        pages = [server.polyai.page(f"site-{index}", "live") for index in (2998, 2999)]

    assert response.status_code == 200
    assert pages[0]["schema"] is pages[1]["schema"]
    assert pages[0]["variables"]["flags"] == {"callback": False, "sms_confirmations": False}
    assert pages[1]["variables"]["flags"] == {"callback": True}


# ------------------------------------------------------------------------------- the machine's own time


def test_logical_time_stands_still_between_changes() -> None:
    clock = Emulator().state.clock

    assert clock.present() == clock.present() == datetime.fromisoformat(clock.now())
    assert datetime.fromisoformat(clock.tick()) - datetime.fromisoformat("2026-09-01T08:00:00Z") == timedelta(
        seconds=1
    )


def test_stamps_are_the_machines_time_where_the_switch_says_so() -> None:
    emulator = Emulator(switches={"wall_clock": True})
    before = datetime.now(UTC).replace(microsecond=0)

    stamps = [emulator.state.touch() for _ in range(50)]

    times = [datetime.fromisoformat(stamp) for stamp in stamps]
    assert times == sorted(set(times))
    assert before <= times[0] <= times[-1] <= datetime.now(UTC) + timedelta(seconds=1)
    assert before <= emulator.state.clock.present()
    assert [format_stamp(time) for time in times] == stamps


def test_stamps_never_go_back_behind_those_of_the_seed() -> None:
    emulator = Emulator({"clock": "2131-01-01T00:00:00Z", "switches": {"wall_clock": True}})

    assert emulator.state.touch() == "2131-01-01T00:00:00.001Z"
