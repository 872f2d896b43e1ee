"""What a kind has no write for from where it is ends, and says so; a refusal that cannot be split stands."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pytest
from msgspec.structs import replace

from airflow_voice_agents.engine.applier import Applier, ApplierSettings
from airflow_voice_agents.engine.concurrency import ProgressLog
from airflow_voice_agents.engine.run_context import RunContext
from airflow_voice_agents.plans.kind import Transition, WriteSequence
from airflow_voice_agents.plans.report import ItemReport, Status
from airflow_voice_agents.transport.errors import BadRequest
from support.actions import no_sleep
from support.fake_engine import (
    Fault,
    State,
    ThingKind,
    ThingServer,
    applied_and_lost,
    lost,
    thing,
    transition,
)

BEFORE, AFTER = {"x": 0}, {"x": 1}


@dataclass
class PairKind(ThingKind):
    """Things that are written two by two, by one call that is never cut, or not at all."""

    def write_sequences(self, transitions: Sequence[Transition[State]]) -> Iterator[WriteSequence[State]]:
        """One lane for a pair."""
        for (step,) in super().write_sequences(transitions):
            if len(step.resources) == 2:
                yield (replace(step, split=lambda _: ()),)


def apply(server: ThingServer, told: list[str], age: float | None = None) -> dict[str, ItemReport]:
    progress = ProgressLog("pairs", 2, told.append, interval=0.0, clock=lambda: 0.0)
    run = RunContext(server.send, told.append, concurrency=2, sleep=no_sleep)
    applier = Applier(run, PairKind(), ApplierSettings(max_snapshot_age=age), on_ended=progress.add)
    reports = asyncio.run(applier.apply([transition(name, BEFORE, AFTER) for name in "ab"]))
    return {report.resource.name: report for report in reports}


def server(*script: Fault | None, **things: State) -> ThingServer:
    found = {thing(name): state for name, state in {"a": BEFORE, "b": BEFORE, **things}.items()}
    return ThingServer(found, dict(enumerate(script)))


def half(there: ThingServer, call: object) -> object:
    """The write did its work for one of the two only, and the answer was lost."""
    there.things[thing("a")] = AFTER
    return lost(there, call)  # type: ignore[arg-type]


def test_a_half_that_no_write_leads_on_from_stays_unknown_and_is_counted() -> None:
    told: list[str] = []
    there = server(half)
    reports = apply(there, told)
    assert there.counts()["PATCH"] == 1
    assert (reports["a"].status, reports["b"].status) == (Status.CHANGED, Status.UNKNOWN)
    assert "timed out" in reports["b"].reason
    assert "No write leads safely from its present state to the planned one" in reports["b"].reason
    assert "2 of 2" in told[-1]


def test_a_half_that_was_never_written_failed_and_was_not_changed() -> None:
    told: list[str] = []
    there = server(a=AFTER)
    reports = apply(there, told, age=0.0)
    assert there.counts().get("PATCH") is None
    assert (reports["a"].status, reports["b"].status) == (Status.UNCHANGED, Status.FAILED)
    assert reports["b"].reason.endswith("It was not changed.")
    assert "2 of 2" in told[-1]


@pytest.mark.parametrize("fault", [lost, applied_and_lost])
def test_a_pair_that_is_still_whole_is_written_as_before(fault: Fault) -> None:
    reports = apply(server(fault), [])
    assert {each.status for each in reports.values()} == {Status.CHANGED}


def test_a_refusal_that_cannot_be_split_is_looked_at_once_and_stands() -> None:
    def refuse(there: ThingServer, call: object) -> object:
        raise BadRequest("not this", operation="write things", status=400)

    there = server(refuse)
    reports = apply(there, [])
    assert there.counts() == {"PATCH": 1, "GET": 1}
    for report in reports.values():
        assert report.status is Status.FAILED
        assert report.permanent
        assert "not this" in report.reason


def test_a_refusal_of_what_is_done_already_is_no_failure() -> None:
    def done_and_refused(there: ThingServer, call: object) -> object:
        for name in "ab":
            there.things[thing(name)] = AFTER
        raise BadRequest("nothing to do", operation="write things", status=400)

    there = server(done_and_refused)
    reports = apply(there, [])
    assert there.counts()["PATCH"] == 1
    assert {each.status for each in reports.values()} == {Status.CHANGED}
