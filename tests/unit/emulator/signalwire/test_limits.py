from __future__ import annotations

import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import pytest

from airflow_voice_agents.emulator.server import EmulatorServer

NUMBERS = "/api/relay/rest/phone_numbers"
NUMBER = "+441632960005"


def test_writes_are_limited_per_project_and_reads_and_deletions_are_not(
    server: EmulatorServer, carrier: httpx.Client, path_of: Callable[[str], str]
) -> None:
    server.switches.update({"signalwire_rate_limit": 2, "signalwire_rate_window": 3600})
    path = path_of(NUMBER)

    writes = [carrier.put(path, json={"name": str(step)}) for step in range(3)]
    other = carrier.put(path, json={}, auth=("9b0d3c44-1e5a-4a7f-8b62-0c9f2d4e6a83", "demo-token-bank"))

    assert [response.status_code for response in writes] == [200, 200, 429]
    assert writes[2].json()["errors"][0]["code"] == "rate_limit_exceeded"
    assert other.status_code == 404
    assert [carrier.get(path).status_code for _ in range(5)] == [200] * 5
    assert carrier.delete(f"{NUMBERS}/x").status_code == 404
    assert server.signalwire.number(NUMBER)["name"] == "1"


def test_limit_and_remainder_come_under_names_of_the_servers_own(
    server: EmulatorServer, carrier: httpx.Client, path_of: Callable[[str], str]
) -> None:
    answer = carrier.put(path_of(NUMBER), json={"name": "x"})

    assert (answer.headers["RateLimit-Limit"], answer.headers["RateLimit-Remaining"]) == ("13800", "13799")
    assert "RateLimit-Limit" not in carrier.get(path_of(NUMBER)).headers
    server.switches.signalwire_rate_limit = 0
    assert "RateLimit-Limit" not in carrier.put(path_of(NUMBER), json={"name": "x"}).headers


@pytest.mark.parametrize("form", ["none", "seconds", "date"])
def test_a_wait_is_named_on_demand_only(
    server: EmulatorServer, carrier: httpx.Client, path_of: Callable[[str], str], form: Any
) -> None:
    switches = {"signalwire_rate_limit": 1, "signalwire_rate_window": 60, "signalwire_retry_after": form}
    server.switches.update(switches)

    refused = [carrier.put(path_of(NUMBER), json={"name": "x"}) for _ in range(2)][1]

    value = refused.headers.get("Retry-After")
    assert refused.status_code == 429
    if form == "none":
        assert value is None
    elif form == "seconds":
        assert 50 < int(value) <= 61
    else:
        assert 0 < parsedate_to_datetime(value).timestamp() - time.time() <= 62


def test_the_other_gateways_limit_does_not_apply(server: EmulatorServer, carrier: httpx.Client) -> None:
    server.switches.rate_limit = 0.001

    assert [carrier.get(NUMBERS).status_code for _ in range(3)] == [200] * 3


def test_a_reset_gives_everybody_a_fresh_start(
    server: EmulatorServer, carrier: httpx.Client, path_of: Callable[[str], str]
) -> None:
    for _ in range(2):
        server.reset()
        server.switches.signalwire_rate_limit = 1
        assert carrier.put(path_of(NUMBER), json={"name": "x"}).status_code == 200
