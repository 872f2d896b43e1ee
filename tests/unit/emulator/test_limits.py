from __future__ import annotations

import time
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import pytest

from airflow_voice_agents.emulator.behaviors import Behaviors
from airflow_voice_agents.emulator.limits import RateLimiter
from airflow_voice_agents.emulator.request import EmulatorRequest
from airflow_voice_agents.emulator.server import EmulatorServer

PAGE = "/v1/agents/harbour-hotels/real-time-configs/live"


class Wall:
    """A clock that moves when told."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def exchange(key: str = "a") -> EmulatorRequest:
    return EmulatorRequest("GET", "/", {}, {"x-api-key": key}, b"")


def test_rate_is_held_per_key() -> None:
    wall = Wall()
    limiter = RateLimiter(Behaviors(rate_limit=2), wall)

    def refused(key: str = "a") -> bool:
        return limiter.refuse(exchange(key)) is not None

    assert [refused(), refused(), refused()] == [False, False, True]
    assert not refused("b")
    wall.now = 0.5
    assert [refused(), refused()] == [False, True]


def test_rate_below_one_per_second_lets_single_requests_through() -> None:
    wall = Wall()
    limiter = RateLimiter(Behaviors(rate_limit=0.1), wall)

    assert limiter.refuse(exchange()) is None
    reply = limiter.refuse(exchange())
    assert reply is not None
    assert reply.headers == {"Retry-After": "10"}


@pytest.mark.parametrize("form", ["seconds", "date", "none"])
def test_refusal_names_the_wait_in_either_form(server: EmulatorServer, api: httpx.Client, form: Any) -> None:
    server.switches.update({"rate_limit": 0.05, "retry_after": form})
    headers = {"X-API-KEY": f"key-{form}"}

    responses = [api.get(PAGE, headers=headers) for _ in range(2)]

    assert [response.status_code for response in responses] == [401, 429]
    value = responses[1].headers.get("Retry-After")
    if form == "seconds":
        assert 1 <= int(value) <= 20
    elif form == "date":
        assert 0 < parsedate_to_datetime(value).timestamp() - time.time() <= 21
    else:
        assert value is None


def test_refused_request_changes_nothing(server: EmulatorServer, api: httpx.Client) -> None:
    api.get(PAGE)
    server.switches.rate_limit = 0.001
    before = server.state.read("polyai")

    responses = [api.patch(f"{PAGE}/variables", json={"variables": {"csat_enabled": 1}}) for _ in range(3)]

    assert [response.status_code for response in responses[1:]] == [429, 429]
    assert server.state.read("polyai") == before


def test_latency_is_added_to_each_request(server: EmulatorServer, api: httpx.Client) -> None:
    server.switches.latency = 0.1

    start = time.monotonic()
    api.get(PAGE)

    assert time.monotonic() - start >= 0.1
