from __future__ import annotations

import time

import httpx

from airflow_voice_agents.emulator.behaviors import Behaviors
from airflow_voice_agents.emulator.limits import Windows
from airflow_voice_agents.emulator.omnia_voice.limits import HourlyLimiter
from airflow_voice_agents.emulator.request import EmulatorRequest
from airflow_voice_agents.emulator.server import EmulatorServer

RESET = "X-RateLimit-Reset"
BANK = {"X-API-Key": "demo-omnia-key-bank"}


def test_every_answer_tells_about_the_budget(omnia: httpx.Client) -> None:
    answers = [omnia.get("/numbers"), omnia.get("/numbers/nope"), omnia.put("/numbers/nope", json={})]
    answers.append(omnia.get("/numbers", headers={"X-API-Key": "unknown"}))

    told = [
        (answer.headers["X-RateLimit-Limit"], answer.headers["X-RateLimit-Remaining"]) for answer in answers
    ]
    assert told == [("1000", "999"), ("1000", "998"), ("1000", "997"), ("1000", "999")]
    assert len({answer.headers[RESET] for answer in answers[:3]}) == 1
    assert 3590 < int(answers[0].headers[RESET]) - time.time() <= 3601


def test_a_spent_budget_refuses_without_retry_after_and_changes_nothing(
    server: EmulatorServer, omnia: httpx.Client
) -> None:
    server.switches.omnia_rate_limit = 2
    before = server.state.read("omnia_voice")
    body = {"phoneNumber": "+441632960900", "agentId": "agent_events"}

    answers = [omnia.get("/numbers"), omnia.get("/numbers"), omnia.post("/numbers", json=body)]

    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert answers[2].json()["error"]["code"] == "RATE_LIMIT_EXCEEDED"
    assert answers[2].headers["X-RateLimit-Remaining"] == "0"
    assert "Retry-After" not in answers[2].headers
    assert server.state.read("omnia_voice") == before
    assert omnia.get("/numbers", headers=BANK).status_code == 200


def test_a_refusal_has_the_shape_of_the_switch(server: EmulatorServer, omnia: httpx.Client) -> None:
    server.switches.update({"omnia_rate_limit": 1, "omnia_errors": "text"})

    refused = [omnia.get("/numbers") for _ in range(2)][1]

    assert refused.json()["error"] == "Rate limit exceeded"


def test_without_a_limit_there_are_no_headers(server: EmulatorServer, omnia: httpx.Client) -> None:
    server.switches.omnia_rate_limit = 0

    answer = omnia.get("/numbers")

    assert not [name for name in answer.headers if name.lower().startswith("x-ratelimit")]
    assert "X-Request-Id" in answer.headers


def test_a_window_ends_at_the_second_that_it_names() -> None:
    now = [1000.25]
    windows = Windows(lambda: now[0])

    first = windows.spend("a", 1, 10)
    assert (first.remaining, first.exceeded, first.resets) == (0, False, 1011)
    now[0] = 1010.99
    assert windows.spend("a", 1, 10).exceeded
    assert not windows.spend("b", 1, 10).exceeded
    now[0] = 1011.0
    assert not windows.spend("a", 1, 10).exceeded
    assert windows.seconds_left("a") == 10
    windows.clear()
    assert windows.usage("a") is None


def test_a_key_that_was_never_seen_has_no_headers() -> None:
    limiter = HourlyLimiter(Behaviors())

    assert limiter.headers(EmulatorRequest("GET", "/", {}, {"x-api-key": "a"}, b"")) == {}


def test_headers_of_a_fault_go_before_those_of_the_room(server: EmulatorServer, omnia: httpx.Client) -> None:
    server.fault("answer", status=429, headers={RESET: "17"}, operation="list numbers")

    answer = omnia.get("/numbers")

    assert (answer.status_code, answer.headers[RESET]) == (429, "17")
    assert answer.headers["X-RateLimit-Limit"] == "1000"


def test_a_reset_gives_everybody_a_fresh_start(server: EmulatorServer, omnia: httpx.Client) -> None:
    for _ in range(2):
        server.reset()
        server.switches.omnia_rate_limit = 1
        assert omnia.get("/numbers").status_code == 200
        assert omnia.get("/numbers").status_code == 429
