"""A run's context: reads only, guards in words, and what a run without a task state forgets."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from airflow_voice_agents.plans.guards import GuardContext, Overrides, check_live
from airflow_voice_agents.transport.api_request import ApiRequest, Replay
from airflow_voice_agents.transport.errors import GuardRefused, InputError
from support.actions import run_context
from support.fake_engine import ThingServer


def request(replay: Replay, method: str = "GET") -> ApiRequest[Any]:
    return ApiRequest("read things", method, "/a", "/a", dict, replay, body={"things": []})


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_reads_are_sent(method: str) -> None:
    server = ThingServer({})
    assert asyncio.run(run_context(server.send).send(request(Replay.SAFE, method))) == {}
    assert len(server.calls) == 1


@pytest.mark.parametrize(
    ("replay", "method"),
    [
        *((each, "POST") for each in Replay if each is not Replay.SAFE),
        *((Replay.SAFE, method) for method in ("PUT", "PATCH", "DELETE")),
    ],
)
def test_nothing_but_the_engine_sends_a_write(replay: Replay, method: str) -> None:
    server = ThingServer({})
    with pytest.raises(RuntimeError, match=r"only engine\.apply may send one"):
        asyncio.run(run_context(server.send).send(request(replay, method)))
    assert server.calls == []


@pytest.mark.parametrize("concurrency", [0, -1, True, 1.5, "4"])
def test_a_concurrency_that_could_write_nothing_is_refused(concurrency: Any) -> None:
    with pytest.raises(InputError, match="concurrency must be a whole number of at least 1"):
        run_context(ThingServer({}).send, concurrency=concurrency)


def test_a_guard_refuses_a_write_and_only_logs_in_a_dry_run() -> None:
    said: list[str] = []
    run = run_context(ThingServer({}).send, log=said.append)

    run.guard("assign", check_live(run.guard_context), dry_run=True)
    with pytest.raises(GuardRefused, match=r"^assign: .*confirm_live=True.* Nothing was read or written\.$"):
        run.guard("assign", check_live(run.guard_context))

    (text,) = said
    assert text.startswith("A run that writes would be refused. assign: This writes into live")


def test_a_guard_without_findings_logs_nothing() -> None:
    said: list[str] = []
    given = GuardContext(Overrides(confirm_live=True))

    run_context(ThingServer({}).send, log=said.append).guard("assign", check_live(given))

    assert said == []


def test_without_a_task_state_nothing_is_remembered() -> None:
    run = run_context(ThingServer({}).send)
    run.remember("key", 1)
    assert run.recall("key") is None


class AwayState:
    """A store that cannot be reached."""

    def get(self, key: str) -> Any:
        raise ConnectionError

    def set(self, key: str, value: Any) -> None:
        raise ConnectionError

    def delete(self, key: str) -> None:
        raise ConnectionError


def test_a_store_that_is_away_when_a_run_ends_is_said_and_fails_nobody() -> None:
    said: list[str] = []
    run = run_context(ThingServer({}).send, log=said.append, task_state=AwayState())
    run.forget("first")

    assert said == [
        "What this task remembers of its run could not be removed (ConnectionError). Its writes are done."
    ]
