"""Faults that pass: a run that meets one does what an undisturbed run does, and repeats nothing blind."""

from __future__ import annotations

import functools
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from airflow_voice_agents.bases import hook
from airflow_voice_agents.transport.client import Client
from support.emulated import PAGES, SCHEMA, VALUES, Emulated, counts
from support.faults import (
    ASSIGN,
    BATCH,
    CANARY,
    CONNECTOR_UPDATE,
    CONNECTORS,
    IMPORT,
    NUMBER_IMPORT,
    NUMBERS,
    PROMOTION,
    Scenario,
    Start,
    changes,
    contradictions,
    sent_blind,
    state_without_stamps,
)

PAST = "Wed, 21 Oct 2015 07:28:00 GMT"
READS_AND_WRITES = [
    *((PROMOTION, operation) for operation in (PAGES, SCHEMA, VALUES)),
    *((CONNECTOR_UPDATE, operation) for operation in (CONNECTORS, "list variants", CANARY, BATCH)),
    *((NUMBER_IMPORT, operation) for operation in ("get connector", NUMBERS, IMPORT, ASSIGN)),
]
RECONCILED = (IMPORT, ASSIGN)
WRITES = (SCHEMA, VALUES, CANARY, BATCH, *RECONCILED)

MISHAPS: dict[str, dict[str, Any]] = {
    "429, seconds": {"action": "answer", "status": 429, "headers": {"Retry-After": "1"}, "times": 2},
    "429, a date": {"action": "answer", "status": 429, "headers": {"Retry-After": PAST}, "times": 2},
    "429, no time": {"action": "answer", "status": 429},
    "500": {"action": "answer", "status": 500},
    "500 after it was applied": {"action": "answer", "status": 500, "apply": True},
    "504 after it was applied": {"action": "answer", "status": 504, "apply": True},
    "502, several": {"action": "answer", "status": 502, "times": 3},
    "503, several": {"action": "answer", "status": 503, "times": 3, "headers": {"Retry-After": "0"}},
    "reset": {"action": "reset"},
    "reset after it was applied": {"action": "reset", "apply": True},
    "cut short": {"action": "truncate"},
    "no JSON": {"action": "not_json"},
    "no JSON after it was applied": {"action": "not_json", "apply": True},
}

HOSTILE = ["-1", "nan", "inf", "1e9", "0x10", "soon", "", "1;2", "Thu, 32 Foo 2026 99:99:99 GMT", "\xb2"]
ENDLESS = ["3600", "9" * 400, "Fri, 31 Dec 9999 23:59:59 GMT"]


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    """Waits of the client, which take no time: its clock moves on by them."""
    waited: list[float] = []

    async def wait(seconds: float) -> None:
        waited.append(seconds)

    def clock() -> float:
        return time.monotonic() + sum(waited)

    monkeypatch.setattr(hook, "Client", functools.partial(Client, sleep=wait, clock=clock))
    return waited


@functools.cache
def undisturbed(start: Start, scenario: Scenario) -> tuple[str, dict[str, int], dict[str, int]]:
    polyai = start(scenario)
    assert polyai.run(scenario.task()).state == "success"
    return state_without_stamps(polyai.server), changes(polyai.server.journal.entries()), polyai.requests()


def calm(start: Start, scenario: Scenario) -> tuple[Emulated, str, dict[str, int], dict[str, int]]:
    """What an undisturbed run does; then the server starts over."""
    seen = undisturbed(start, scenario)
    return start(scenario), *seen


@pytest.mark.parametrize("mishap", MISHAPS)
@pytest.mark.parametrize(
    ("scenario", "operation"), READS_AND_WRITES, ids=lambda value: str(value).replace(" ", "_")
)
def test_a_fault_that_passes_leaves_no_trace(
    start: Start, waits: list[float], scenario: Scenario, operation: str, mishap: str
) -> None:
    polyai, state, written, requests = calm(start, scenario)
    before = scenario.truth(polyai.server)
    fault = polyai.server.fault(operation=operation, **MISHAPS[mishap])

    outcome = polyai.run(scenario.task())

    after = scenario.truth(polyai.server)
    assert (outcome.state, fault.fired) == ("success", min(fault.times or 0, fault.matched)), outcome.error
    assert state_without_stamps(polyai.server) == state
    assert contradictions(outcome, before=before, after=after, wanted=after) == []
    assert sent_blind(polyai.server.journal.entries()) == []
    applied = fault.apply or fault.action == "truncate"
    again = 0 if operation in WRITES and applied else fault.fired
    assert polyai.requests()[operation] == requests[operation] + again
    assert changes(polyai.server.journal.entries()) == written


@pytest.mark.parametrize("operation", RECONCILED)
@pytest.mark.parametrize("apply", [False, True], ids=["not applied", "applied"])
def test_an_unknown_outcome_is_read_back_before_anything_is_sent_again(
    start: Start, waits: list[float], operation: str, apply: bool
) -> None:
    polyai, state, written, requests = calm(start, NUMBER_IMPORT)
    polyai.server.fault("reset", operation=operation, apply=apply)

    outcome = polyai.run(NUMBER_IMPORT.task())

    entries = polyai.server.journal.entries()
    assert (outcome.state, counts(outcome)) == ("success", {"changed": 9, "unchanged": 1})
    assert state_without_stamps(polyai.server) == state
    assert changes(entries) == written
    assert sent_blind(entries) == []
    more = Counter(polyai.requests()) - Counter(requests)
    # What was imported is read back in any case.
    looks = {} if apply and operation == IMPORT else {NUMBERS: 1}
    assert more == (looks if apply else {operation: 1, **looks})


@pytest.mark.parametrize("value", HOSTILE, ids=repr)
def test_a_retry_after_that_says_nothing_is_as_none(start: Start, waits: list[float], value: str) -> None:
    polyai, state, written, _ = calm(start, NUMBER_IMPORT)
    polyai.server.fault("answer", operation=IMPORT, status=429, headers={"Retry-After": value})

    outcome = polyai.run(NUMBER_IMPORT.task())

    assert outcome.state == "success"
    assert (state_without_stamps(polyai.server), changes(polyai.server.journal.entries())) == (state, written)
    assert waits == [0.0]


@pytest.mark.parametrize(("value", "named"), [("1", 1.0), ("2.5", 2.5), (PAST, 0.0)])
def test_a_time_that_the_server_names_is_waited_for(
    start: Start, waits: list[float], scenario: Scenario, value: str, named: float
) -> None:
    polyai = start(scenario)
    polyai.server.fault("answer", method="PATCH", status=429, headers={"Retry-After": value}, times=2)

    outcome = polyai.run(scenario.task())

    assert outcome.state == "success"
    assert waits == [named, named]


@pytest.mark.parametrize("value", ENDLESS, ids=["an hour", "many digits", "the end of time"])
def test_a_limit_that_lasts_stops_the_run_and_the_task_waits_for_it(
    start: Start, waits: list[float], scenario: Scenario, value: str
) -> None:
    polyai, state, written, _ = calm(start, scenario)
    before = scenario.truth(polyai.server)
    fault = polyai.server.fault(
        "answer", route="schema|variables|connectors/conn|batch$|phone-numbers$", nth=3, times=None,
        status=429, headers={"Retry-After": value}
    )  # fmt: skip

    first = polyai.run(scenario.task(retries=1))

    assert (first.state, fault.fired) == ("up_for_retry", 1)
    assert first.retry_delay == pytest.approx(3600, abs=5)
    assert waits == []
    after = scenario.truth(polyai.server)
    polyai.server.clear_faults()
    second = polyai.run(scenario.task(retries=1), try_number=2)

    assert second.state == "success"
    assert (state_without_stamps(polyai.server), changes(polyai.server.journal.entries())) == (state, written)
    wanted = scenario.truth(polyai.server)
    assert contradictions(second, before=after, after=wanted, wanted=wanted) == []
    assert before != wanted
