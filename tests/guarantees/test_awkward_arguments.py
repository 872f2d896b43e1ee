"""Awkward JSON values in every argument of every writing operator, run against the local server.

What is given either is refused before the first request, or the run writes what the task without the argument writes,
or what it writes beyond that names the value. Nothing that is empty makes a run write more.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest

from airflow_voice_agents.bases.operator import WritingOperator
from airflow_voice_agents.emulator.server import EmulatorServer
from airflow_voice_agents.transport.errors import InputError, VoiceAgentsError
from guarantees.cases import CASES, Case, World
from support.json_values import EMPTY
from support.operators import arguments_of

NOT_OURS = ("outlets", "retry_policy")
"""Arguments of Airflow, which checks them."""

REMOVES = {("SignalWireAssignE911Operator", "e911_address_id")}
"""Arguments that have no default, and whose ``None`` is documented: it removes the address."""

SAYS_HOW = ("batch_size", "count", "message")
"""Arguments that are about how much goes into how many requests, and with which remark."""

SHARED = {*arguments_of(WritingOperator)}
"""Arguments that are the same for every operator."""

RUN: list[Any] = [*EMPTY, " ", "null", "x", 0, -1, 3, ["x"], {"x": "x"}]
"""Values that are run; all are tried where operators are made."""

Change = tuple[str, str, str]
Given = tuple[Case, str, Any]


def ready(case: Case, server: EmulatorServer, folder: str) -> World:
    """The world before a run, with a server that keeps bodies."""
    world = case.prepare(server, folder)
    server.journal.clear()
    server.switches.record_bodies = True
    return world


def changes(world: World) -> dict[Change, Any]:
    """What was changed: method, path and digest of the body -> the body."""
    found = world.changes()
    return {(entry.method, entry.path, str(entry.digest)): entry.body for entry in found}


def said_in(value: Any, change: Change, body: Any) -> bool:
    """Tell whether a change names something that was given."""
    text = json.dumps([change[:2], body])
    return any(json.dumps(each).strip('"') in text for each in leaves(value))


def leaves(value: Any) -> Iterator[Any]:
    """Every scalar of a JSON value, keys included, that is not empty."""
    if isinstance(value, dict):
        for key, below in value.items():
            yield from leaves(key)
            yield from leaves(below)
    elif isinstance(value, list):
        for below in value:
            yield from leaves(below)
    elif value not in (None, ""):
        yield value


def task_of(case: Case, world: World, **more: Any) -> Any:
    """The case's task, with any argument replaced.

    It sends one request at a time: what a failed run cancels could reach the server during the next run.
    """
    consent = {case.consent: True} if case.live else {}
    fixed = {"task_id": "it", "retries": 3, "state_folder": world.folder, "concurrency": 1}
    usual = {**fixed, **case.arguments(world), **consent}
    return case.operator(**{**usual, **more})


def made(case: Case, world: World, name: str, value: Any) -> Any:
    """The task with the value, or ``None`` where it is refused or the same as leaving the argument out."""
    try:
        task = task_of(case, world, **{name: value})
    except InputError:
        return None
    given = {"state_folder", case.consent, *case.arguments(world)}
    return None if name not in given and value is arguments_of(case.operator)[name].default else task


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A relative state folder lies in a folder of the test's own."""
    monkeypatch.chdir(tmp_path)


def problems(given: Given, outcome: Any, world: World, usual: Any) -> Iterator[Any]:
    """What a run with the value did that it must not do."""
    case, name, value = given
    error = outcome.error
    if error is not None and not isinstance(error, VoiceAgentsError):
        yield name, value, repr(error)
    if isinstance(error, InputError) and world.at.requests():
        yield name, value, "was refused after requests", str(error)
    more = {each: body for each, body in changes(world).items() if each not in usual}
    unsaid = [each for each, body in more.items() if not said_in(value, each, body)]
    if unsaid and name not in SAYS_HOW and (case.name, name) not in REMOVES:
        yield name, value, "wrote", unsaid[:2]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_no_value_makes_a_run_write_what_nobody_asked_for(
    case: Case, server: EmulatorServer, folder: str
) -> None:
    folders = (f"{folder}/{place}" for place in count())
    world = ready(case, server, next(folders))
    assert world.run(task_of(case, world)).state == "success"
    usual = changes(world)
    wrong = []
    world = ready(case, server, next(folders))
    for name in arguments_of(case.operator):
        if name in NOT_OURS:
            continue
        for value in EMPTY if name in SHARED else RUN:
            task = made(case, world, name, value)
            if task is None:
                continue
            server.journal.clear()
            outcome = world.run(task)
            wrong += problems((case, name, value), outcome, world, usual)
            if world.writes():
                world = ready(case, server, next(folders))
    assert not wrong
