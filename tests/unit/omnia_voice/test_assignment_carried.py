"""Assignments carried out against a platform in memory, with its oddities and with faults."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from airflow_voice_agents.engine.policy import Policy
from airflow_voice_agents.omnia_voice.actions.assignments import AssignNumbers
from airflow_voice_agents.omnia_voice.actions.base import UNVERIFIED
from airflow_voice_agents.omnia_voice.actions.base import Workspace as Place
from airflow_voice_agents.omnia_voice.resources.phone_number import AssignmentKind
from airflow_voice_agents.plans.guards import GuardContext, Overrides
from airflow_voice_agents.plans.limits import FailureLimit, Waves
from airflow_voice_agents.plans.report import ItemReport, Status
from airflow_voice_agents.transport.api_request import ApiRequest, Replay
from airflow_voice_agents.transport.errors import (
    CallError,
    Conflict,
    OutcomeUnknown,
    RateLimited,
    ResponseError,
)
from support.actions import carry_out

LIMIT = 20
Fault = Callable[[ApiRequest[Any], int], CallError | None]


class SmallPages(AssignNumbers):
    """An assignment that reads lists in small pages."""

    @property
    def kind(self) -> AssignmentKind:
        return AssignmentKind(page_limit=LIMIT)


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


def carry(workspace: Workspace, indexes: range, *, verify: bool = False, **options: Any) -> list[ItemReport]:
    """Assign these numbers to agent ``new``."""
    action = SmallPages(
        workspace=Place("omnia"), agents={number(index): "new" for index in indexes}, reassign=True
    )
    given = GuardContext(Overrides(confirm_live=True))
    policy = Policy(verify=verify, max_snapshot_age=None, failure_limit=None, **options)
    return list(carry_out(action, workspace.send, policy=policy, guard_context=given).items)


def statuses(items: list[ItemReport]) -> set[Status]:
    return {item.status for item in items}


def agents(workspace: Workspace, indexes: range) -> set[str | None]:
    wanted = {number(index) for index in indexes}
    return {record["agentId"] for record in workspace.records if record["phoneNumber"] in wanted}


def test_each_number_costs_one_write_beside_the_pages_of_the_list() -> None:
    workspace = Workspace(60)
    items = carry(workspace, range(80))
    assert statuses(items) == {Status.CHANGED}
    assert workspace.asked == {"GET": 3, "PATCH one": 60, "POST": 20}
    assert agents(workspace, range(80)) == {"new"}


def test_empty_answers_are_made_up_for_by_one_list() -> None:
    workspace = Workspace(60, empty_answers=True)
    items = carry(workspace, range(80))
    assert statuses(items) == {Status.CHANGED}
    assert workspace.asked == {"GET": 3 + 4, "PATCH one": 60, "POST": 20}


def test_an_independent_read_catches_what_the_answers_claimed() -> None:
    workspace = Workspace(3)
    workspace.write = lambda _: {"id": "n0", "agentId": "new"}  # type: ignore[method-assign]
    assert statuses(carry(workspace, range(1))) == {Status.CHANGED}
    (item,) = carry(workspace, range(1), verify=True)
    assert (item.status, "differs in: agent_id" in item.reason) == (Status.FAILED, True)


def unknown(call: ApiRequest[Any], _: int) -> CallError | None:
    return OutcomeUnknown("lost") if call.replay is Replay.RECONCILE else ResponseError("garbled")


@pytest.mark.parametrize("count", [0, 1], ids=["create", "update"])
def test_an_unknown_outcome_that_was_applied_is_found_and_not_repeated(count: int) -> None:
    workspace = Workspace(count, fault=unknown)
    (item,) = carry(workspace, range(1))
    assert (item.status, item.reason) == (
        Status.CHANGED,
        "the outcome was unknown; reading it back showed it applied",
    )
    assert workspace.writes == 1
    assert [record["phoneNumber"] for record in workspace.records] == [number(0)]


@pytest.mark.parametrize("count", [0, 1], ids=["create", "update"])
def test_an_unknown_outcome_that_was_not_applied_is_written_once_more(count: int) -> None:
    def fault(call: ApiRequest[Any], writes: int) -> CallError | None:
        return unknown(call, writes) if writes == 0 else None

    workspace = Workspace(count, fault=fault, applies=False)
    (item,) = carry(workspace, range(1))
    assert (item.status, workspace.writes) == (Status.CHANGED, 2)
    assert agents(workspace, range(1)) == {"new"}


def test_a_refused_number_fails_alone() -> None:
    def fault(call: ApiRequest[Any], _: int) -> CallError | None:
        return Conflict("taken", status=409) if (call.body or {}).get("phoneNumber") == number(1) else None

    workspace = Workspace(1, fault=fault, applies=False)
    items = carry(workspace, range(4))
    assert [item.status for item in items] == [Status.CHANGED, Status.FAILED, Status.CHANGED, Status.CHANGED]
    assert items[1].permanent


def test_a_limit_that_starts_anew_much_later_ends_the_run_without_further_requests() -> None:
    def fault(_: ApiRequest[Any], writes: int) -> CallError | None:
        return RateLimited("spent", status=429, retry_after=1800.0) if writes >= 10 else None

    workspace = Workspace(60, fault=fault, applies=False)
    items = carry(workspace, range(60))
    assert Counter(item.status for item in items) == {Status.CHANGED: 10, Status.FAILED: 50}
    assert 11 <= workspace.writes <= 14  # those in flight are refused
    assert not any(item.permanent for item in items)
    assert workspace.asked["GET"] == 3


def test_writes_that_were_answered_as_asked_stay_changed_where_the_limit_forbids_a_read() -> None:
    def fault(_: ApiRequest[Any], writes: int) -> CallError | None:
        return RateLimited("spent", status=429, retry_after=1800.0) if writes >= 10 else None

    workspace = Workspace(60, fault=fault, applies=False)
    items = carry(workspace, range(60), verify=True)
    assert {item.reason for item in items if item.status is Status.CHANGED} == {UNVERIFIED}
    assert workspace.asked["GET"] == 3


def test_a_failure_limit_stops_after_the_number_that_exceeds_it() -> None:
    workspace = Workspace(8, fault=lambda *_: Conflict("no", status=409), applies=False)
    items = carry(workspace, range(8), verify=True)
    assert statuses(items) == {Status.FAILED}

    limited = Workspace(8, fault=lambda *_: Conflict("no", status=409), applies=False)
    action = SmallPages(
        workspace=Place("omnia"), agents={number(each): "new" for each in range(8)}, reassign=True
    )
    given = GuardContext(Overrides(confirm_live=True))
    policy = Policy(failure_limit=FailureLimit.parse(1), waves=Waves.parse([4, "100%"]))
    report = carry_out(action, limited.send, policy=policy, guard_context=given, concurrency=1)
    assert report.counts() == {
        "total": 8,
        "changed": 0,
        "unchanged": 0,
        "failed": 2,
        "skipped": 6,
        "unknown": 0,
    }
    assert limited.writes == 2


def test_a_short_wait_that_was_not_enough_concerns_one_number_only() -> None:
    def fault(_: ApiRequest[Any], writes: int) -> CallError | None:
        return RateLimited("busy", status=429, retry_after=5.0) if writes == 3 else None

    workspace = Workspace(8, fault=fault, applies=False)
    items = carry(workspace, range(8))
    assert Counter(item.status for item in items) == {Status.CHANGED: 7, Status.FAILED: 1}
