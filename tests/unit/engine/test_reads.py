"""States of several kinds, read in few calls and handed on one by one; what cannot be read is told apart."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from airflow_voice_agents.engine.reads import observe
from airflow_voice_agents.engine.run_context import RunContext
from airflow_voice_agents.plans.kind import Resource
from airflow_voice_agents.transport.api_request import ApiRequest
from airflow_voice_agents.transport.errors import (
    CallError,
    Forbidden,
    NotFound,
    RateLimited,
    ServerError,
    TransportError,
    Unauthorized,
)
from support.fake_engine import ThingKind, ThingServer, thing
from support.fake_rollout import owners_of

KINDS = {name: ThingKind(name=name, batch_size=2) for name in ("page", "line")}
PAGES = [thing(name, "a", "page") for name in "uvw"]
LINES = [thing("x", "a", "line"), thing("x", "b", "line")]


def look(
    server: ThingServer, resources: list[Resource], concurrency: int = 4
) -> tuple[dict[Resource, Any], dict[Resource, CallError]]:
    seen: dict[Resource, Any] = {}
    unreadable: dict[Resource, CallError] = {}
    run = RunContext(server.send, print, concurrency=concurrency)
    told = observe(run, KINDS, resources, seen=seen.__setitem__, unreadable=unreadable.__setitem__)
    asyncio.run(told)
    return seen, unreadable


def full(**options: Any) -> ThingServer:
    return ThingServer({each: {"n": place} for place, each in enumerate([*PAGES, *LINES])}, **options)


def test_every_kind_reads_its_own_in_as_few_calls_as_it_can() -> None:
    server = full()
    seen, unreadable = look(server, [PAGES[0], LINES[0], PAGES[1], LINES[1], PAGES[2]])
    assert seen == server.things
    assert unreadable == {}
    assert sorted(server.routes("GET")) == ["u+v", "w", "x", "x"]
    assert set(server.counts()) == {"GET"}


def test_what_is_not_there_is_seen_as_nothing() -> None:
    server = full()
    del server.things[PAGES[1]]
    seen, _ = look(server, PAGES)
    assert seen == {PAGES[0]: {"n": 0}, PAGES[1]: None, PAGES[2]: {"n": 2}}


def test_nothing_to_read_asks_nobody() -> None:
    server = full()
    assert look(server, []) == ({}, {})
    assert server.calls == []


@pytest.mark.parametrize(
    "failure", [NotFound("no such agent", status=404), Forbidden("not yours", status=403)]
)
def test_what_may_not_be_read_is_told_and_the_rest_is_read(failure: CallError) -> None:
    def fault(server: ThingServer, call: ApiRequest[Any]) -> Any:
        if owners_of(call) == ["b"]:
            raise failure
        return server.answer(call)

    seen, unreadable = look(full(always=fault), [*PAGES, *LINES])
    assert set(seen) == {*PAGES, LINES[0]}
    assert unreadable == {LINES[1]: failure}


@pytest.mark.parametrize(
    "failure",
    [
        Unauthorized("expired key", status=401),
        ServerError("down", status=503),
        TransportError("reset"),
        RateLimited("slow", status=429),
    ],
)
def test_what_concerns_all_or_may_pass_ends_it(failure: CallError) -> None:
    with pytest.raises(type(failure)) as caught:
        look(full(script={0: failure}), [*PAGES, *LINES])
    assert caught.value is failure


@pytest.mark.parametrize("concurrency", [1, 2])
def test_no_more_reads_than_allowed_are_in_flight(concurrency: int) -> None:
    server = full()
    look(server, [*PAGES, *LINES], concurrency)
    assert server.most_in_flight == concurrency


def test_states_are_handed_on_as_they_come() -> None:
    server, known = full(), []

    def seen(resource: Resource, _: Any) -> None:
        known.append((resource, len(server.calls)))

    run = RunContext(server.send, print, concurrency=1)
    asyncio.run(observe(run, KINDS, PAGES, seen=seen, unreadable=lambda *_: None))
    assert known == [(PAGES[0], 1), (PAGES[1], 1), (PAGES[2], 2)]
