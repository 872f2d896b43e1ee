"""Assignments carried out against a platform in memory, with its oddities and with faults."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from airflow_voice_agents.engine.applier import Applier
from airflow_voice_agents.engine.concurrency import ProgressLog
from airflow_voice_agents.omnia_voice import api
from airflow_voice_agents.omnia_voice.resources.phone_number import (
    AssignmentKind,
    AssignmentState,
    agent_number,
    by_e164,
    state_of,
)
from airflow_voice_agents.omnia_voice.sending import whole_lists
from airflow_voice_agents.plans.kind import Resource, Transition
from airflow_voice_agents.plans.report import ItemReport, Status
from airflow_voice_agents.transport.api_request import ApiRequest, Replay
from airflow_voice_agents.transport.errors import (
    CallError,
    Conflict,
    OutcomeUnknown,
    RateLimited,
    ResponseError,
)

LIMIT = 20
Fault = Callable[[ApiRequest[Any], int], CallError | None]


class Workspace:
    """Holds numbers in memory.

    :param count: numbers that are listed, the even ones assigned to ``old``.
    :param empty_answers: whether writes are answered without a body.
    :param fault: the error that a write ends in, after or before it is applied; takes the call and how
        many writes there were before it.
    :param applies: whether a write that ends in an error is applied.
    """

    def __init__(
        self, count: int, *, empty_answers: bool = False, fault: Fault | None = None, applies: bool = True
    ) -> None:
        self.records = [
            {"id": f"n{i}", "phoneNumber": number(i), "agentId": None if i % 2 else "old", "status": "x"}
            for i in range(count)
        ]
        self.empty_answers = empty_answers
        self.fault = fault
        self.applies = applies
        self.asked: Counter[str] = Counter()
        self.writes = 0

    async def send(self, call: ApiRequest[Any]) -> Any:
        self.asked[call.method if call.route != "/numbers/{id}" else f"{call.method} one"] += 1
        if call.method == "GET":
            return call.read(json.loads(json.dumps(self.read(call))))
        error = self.fault(call, self.writes) if self.fault else None
        self.writes += 1
        record = self.write(call) if error is None or self.applies else {}
        if error is not None:
            raise error
        return call.read(None if self.empty_answers else dict(record))

    def read(self, call: ApiRequest[Any]) -> Any:
        if call.route == "/numbers/{id}":
            return self.of_id(call.path.rpartition("/")[2])
        page, limit = (int(dict(call.query)[name]) for name in ("page", "limit"))
        data = self.records[(page - 1) * limit : page * limit]
        return {"data": data, "pagination": {"totalPages": -(-len(self.records) // limit)}}

    def write(self, call: ApiRequest[Any]) -> dict[str, Any]:
        if call.method == "POST":
            self.records.append({"id": f"n{len(self.records)}"})
            return self._set(-1, call)
        return self._set(self.records.index(self.of_id(call.path.rpartition("/")[2])), call)

    def _set(self, index: int, call: ApiRequest[Any]) -> dict[str, Any]:
        self.records[index].update(call.body or {})
        return self.records[index]

    def of_id(self, number_id: str) -> dict[str, Any]:
        return next(record for record in self.records if record["id"] == number_id)


def number(index: int) -> str:
    return f"+1202555{index:04}"


def resource(index: int) -> Resource:
    return agent_number("omnia", number(index))


async def carry(
    workspace: Workspace, indexes: range, *, verify: bool = False, lane_size: int = 50
) -> list[ItemReport]:
    """List, then assign these numbers to agent ``new``."""
    send = whole_lists(workspace.send)
    found = by_e164((await send(api.list_numbers(limit=LIMIT))).numbers)
    kind = AssignmentKind(
        {key: value.id for key, value in found.items()}, page_limit=LIMIT, lane_size=lane_size
    )
    transitions = []
    for index in indexes:
        now = found.get(number(index))
        after = AssignmentState(now.id if now else None, "new")
        transitions.append(Transition(resource(index), state_of(now) if now else None, after))
    carrier = Applier(
        send, kind, limit=4, progress=ProgressLog("assign", len(transitions), lambda _: None), verify=verify
    )
    return await carrier.apply(transitions)


def statuses(items: list[ItemReport]) -> set[Status]:
    return {item.status for item in items}


def agents(workspace: Workspace, indexes: range) -> set[str | None]:
    wanted = {number(index) for index in indexes}
    return {record["agentId"] for record in workspace.records if record["phoneNumber"] in wanted}


async def test_each_number_costs_one_write_beside_the_pages_of_the_list() -> None:
    workspace = Workspace(60)
    items = await carry(workspace, range(80))
    assert statuses(items) == {Status.CHANGED}
    assert workspace.asked == {"GET": 3, "PATCH one": 60, "POST": 20}
    assert agents(workspace, range(80)) == {"new"}


async def test_empty_answers_are_made_up_for_by_one_list_per_lane() -> None:
    workspace = Workspace(60, empty_answers=True)
    items = await carry(workspace, range(80), lane_size=40)
    assert statuses(items) == {Status.CHANGED}
    assert workspace.asked["PATCH one"] + workspace.asked["POST"] == 80
    assert workspace.asked["GET"] <= 3 + 2 * 4
    assert workspace.asked["GET one"] == 0


async def test_an_independent_read_catches_what_the_answers_claimed() -> None:
    workspace = Workspace(3)
    workspace.write = lambda _: {"id": "n0", "agentId": "new"}  # type: ignore[method-assign]
    assert statuses(await carry(workspace, range(1))) == {Status.CHANGED}
    (item,) = await carry(workspace, range(1), verify=True)
    assert (item.status, "differs in: agent_id" in item.reason) == (Status.FAILED, True)


def unknown(call: ApiRequest[Any], _: int) -> CallError | None:
    return OutcomeUnknown("lost") if call.replay is Replay.RECONCILE else ResponseError("garbled")


@pytest.mark.parametrize("count", [0, 1], ids=["create", "update"])
async def test_an_unknown_outcome_that_was_applied_is_found_and_not_repeated(count: int) -> None:
    workspace = Workspace(count, fault=unknown)
    (item,) = await carry(workspace, range(1))
    assert (item.status, item.reason) == (
        Status.CHANGED,
        "the outcome was unknown; reading it back showed it applied",
    )
    assert workspace.writes == 1
    assert [record["phoneNumber"] for record in workspace.records] == [number(0)]


@pytest.mark.parametrize("count", [0, 1], ids=["create", "update"])
async def test_an_unknown_outcome_that_was_not_applied_is_written_once_more(count: int) -> None:
    def fault(call: ApiRequest[Any], writes: int) -> CallError | None:
        return unknown(call, writes) if writes == 0 else None

    workspace = Workspace(count, fault=fault, applies=False)
    (item,) = await carry(workspace, range(1))
    assert (item.status, workspace.writes) == (Status.CHANGED, 2)
    assert agents(workspace, range(1)) == {"new"}


async def test_a_refused_number_fails_alone() -> None:
    def fault(call: ApiRequest[Any], _: int) -> CallError | None:
        return Conflict("taken", status=409) if (call.body or {}).get("phoneNumber") == number(1) else None

    workspace = Workspace(1, fault=fault, applies=False)
    items = await carry(workspace, range(4))
    assert [item.status for item in items] == [Status.CHANGED, Status.FAILED, Status.CHANGED, Status.CHANGED]
    assert items[1].permanent


async def test_a_limit_that_starts_anew_much_later_ends_the_run_without_further_requests() -> None:
    def fault(_: ApiRequest[Any], writes: int) -> CallError | None:
        return RateLimited("spent", status=429, retry_after=1800.0) if writes >= 10 else None

    workspace = Workspace(60, fault=fault, applies=False)
    items = await carry(workspace, range(60), lane_size=60)
    assert Counter(item.status for item in items) == {Status.CHANGED: 10, Status.FAILED: 50}
    assert workspace.writes == 11
    assert not any(item.permanent for item in items)


async def test_a_short_wait_that_was_not_enough_concerns_one_number_only() -> None:
    def fault(_: ApiRequest[Any], writes: int) -> CallError | None:
        return RateLimited("busy", status=429, retry_after=5.0) if writes == 3 else None

    workspace = Workspace(8, fault=fault, applies=False)
    items = await carry(workspace, range(8))
    assert Counter(item.status for item in items) == {Status.CHANGED: 7, Status.FAILED: 1}
