"""How a plan becomes a report, and how tries of one task are held to one approved plan."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from airflow_voice_agents.engine.run_context import ApplyOptions, ExpectedDigests, RunContext, execute
from airflow_voice_agents.plans.guards import GuardContext, Overrides
from airflow_voice_agents.plans.plan import Plan, PlannedItem, error, waypoint_digests
from airflow_voice_agents.plans.report import ItemReport, Report, Status
from airflow_voice_agents.transport.errors import BadRequest, GuardRefused, InputError, StateMoved
from support.fake_engine import WRITE, State, ThingKind, ThingServer, thing, transition

KIND = ThingKind(stepwise=True)
BEFORE, MIDDLE, AFTER = {"x": 0, "y": 0}, {"x": 1, "y": 0}, {"x": 1, "y": 1}


class Died(Exception):
    """Stands for the end of a process: nothing handles it."""


class Memory(dict[str, Any]):
    """What outlives a try, as a dictionary."""

    def set(self, key: str, value: Any) -> None:
        self[key] = value


def item(name: str, before: State = BEFORE, after: State = AFTER, **facts: Any) -> PlannedItem:
    """Plan of one thing."""
    digests = KIND.digest(before), KIND.digest(after)
    wanted = None if digests[0] == digests[1] else transition(name, before, after)
    writes = sum(before.get(key) != value for key, value in after.items())
    waypoints = waypoint_digests(KIND.write_sequences([wanted])) if wanted else ()
    return PlannedItem(thing(name), *digests, writes=writes, waypoints=waypoints, transition=wanted, **facts)


def plan(*items: PlannedItem) -> Plan:
    return Plan("set things", items)


def run_plan(
    planned: Plan,
    server: ThingServer,
    *,
    task_state: Memory | None = None,
    said: list[str] | None = None,
    **how: Any,
) -> Report:
    """Execute a plan."""
    run = RunContext(
        server.send, (said if said is not None else []).append, task_state=task_state, clock=lambda: 0.0
    )
    return asyncio.run(execute(run, KIND, planned, ApplyOptions(**how), planned_at=0.0))


def server(**things: State) -> ThingServer:
    return ThingServer({thing(name): state for name, state in things.items()})


def statuses(report: Report) -> dict[str, str]:
    return {each.resource.name: each.status.value for each in report.items}


# ----------------------------------------------------------------------------------------- execute


def test_changed_and_unchanged_targets_are_reported_in_the_order_of_the_plan() -> None:
    planned = plan(item("b", AFTER), item("a"), item("c", MIDDLE))
    report = run_plan(planned, server(a=BEFORE, b=AFTER, c=MIDDLE))
    assert list(statuses(report).items()) == [("b", "unchanged"), ("a", "changed"), ("c", "changed")]
    assert report.complete
    assert report.plan_digest == planned.digest
    assert (report.operation, report.dry_run, report.refused) == ("set things", False, False)


def test_the_plan_is_said_before_anything_is_sent() -> None:
    said: list[str] = []
    there = server(a=BEFORE)

    async def send(call: Any) -> Any:
        assert said
        return await there.send(call)

    run = RunContext(send, said.append, clock=lambda: 0.0)
    asyncio.run(execute(run, KIND, plan(item("a")), ApplyOptions(), planned_at=0.0))
    assert said[0].startswith("Plan: set things (digest ")


def test_a_dry_run_sends_nothing_and_reports_what_would_happen() -> None:
    there = server(a=BEFORE, b=AFTER)
    report = run_plan(plan(item("a"), item("b", AFTER)), there, dry_run=True)
    assert there.calls == []
    assert report.dry_run
    assert not report.refused
    assert statuses(report) == {"a": "changed", "b": "unchanged"}
    assert report.items[0].reason == "would change with 2 request(s)"


@pytest.mark.parametrize("dry_run", [True, False])
def test_one_error_in_a_plan_stops_every_write(dry_run: bool) -> None:
    there = server(a=BEFORE, b=BEFORE)
    planned = plan(item("a"), item("b", findings=(error("bad", "It is bad."),)), item("c", AFTER))
    report = run_plan(planned, there, dry_run=dry_run)
    assert there.calls == []
    assert report.refused
    assert not report.complete
    assert statuses(report) == {"a": "changed" if dry_run else "skipped", "b": "failed", "c": "unchanged"}
    assert report.items[1].permanent
    assert report.items[1].reason == "It is bad."
    assert dry_run or report.items[0].reason == "not attempted, because the plan has errors"


def test_an_explanation_meets_each_item_with_its_own_plan() -> None:
    def explain(planned: PlannedItem, reported: ItemReport) -> ItemReport:
        assert planned.resource == reported.resource
        return ItemReport(reported.resource, reported.status, f"writes {planned.writes}")

    report = run_plan(plan(item("a"), item("b", AFTER)), server(a=BEFORE, b=AFTER), explain=explain)
    assert [each.reason for each in report.items] == ["writes 2", "writes 0"]


def test_a_failure_is_reported_and_the_others_are_carried_out() -> None:
    there = server(a=BEFORE, b=BEFORE)

    def refuse(_: ThingServer, call: Any) -> Any:
        if call.route == "/a" and call.method == "PATCH":
            raise BadRequest("not this", status=400)
        return there.answer(call)

    there.always = refuse
    report = run_plan(plan(item("a"), item("b")), there)
    assert statuses(report) == {"a": "failed", "b": "changed"}
    assert sum(report.counts()[status.value] for status in Status) == report.counts()["total"] == 2


def test_the_age_of_a_plan_decides_whether_targets_are_read_again() -> None:
    for age, reads in ((10.0, 1), (9.9, 2)):
        there = server(a=BEFORE)
        run = RunContext(there.send, lambda _: None, clock=lambda: 9.95)
        asyncio.run(execute(run, KIND, plan(item("a")), ApplyOptions(max_snapshot_age=age), planned_at=0.0))
        assert there.counts()["GET"] == reads


@pytest.mark.parametrize("concurrency", [0, -1, True, 1.5, "4"])
def test_a_concurrency_that_could_carry_nothing_is_refused(concurrency: Any) -> None:
    with pytest.raises(InputError, match="concurrency must be a whole number of at least 1"):
        RunContext(server().send, lambda _: None, concurrency=concurrency)


# -------------------------------------------------------------------------------------------- pins


def test_without_an_expected_digest_any_plan_passes_and_nothing_is_noted() -> None:
    task_state = Memory()
    ExpectedDigests(None, task_state).hold(plan(item("a")))
    assert task_state == {}


@pytest.mark.parametrize("memory", [None, Memory()])
def test_the_expected_plan_passes_and_another_is_refused(task_state: Memory | None) -> None:
    expected, other = plan(item("a")), plan(item("a", MIDDLE))
    ExpectedDigests(expected.digest, None).hold(expected)
    with pytest.raises(StateMoved, match="is not the one expected") as caught:
        ExpectedDigests(expected.digest, task_state).hold(other)
    assert caught.value.permanent
    assert expected.digest[:12] in str(caught.value)
    assert other.digest[:12] in str(caught.value)


def test_the_note_holds_digests_only() -> None:
    task_state = Memory()
    planned = plan(item("a"))
    ExpectedDigests(planned.digest, task_state).hold(planned)
    assert task_state == {
        f"plan-{planned.digest}": {
            "thing:shop/a": [
                KIND.digest(BEFORE),
                KIND.digest(AFTER),
                KIND.digest(MIDDLE),
                KIND.digest(AFTER),
            ]
        }
    }


@pytest.mark.parametrize("first", [BEFORE, MIDDLE, AFTER])
@pytest.mark.parametrize("second", [BEFORE, MIDDLE, AFTER])
def test_a_later_try_may_find_each_target_anywhere_on_its_way(first: State, second: State) -> None:
    task_state = Memory()
    expected = plan(item("a"), item("b"))
    ExpectedDigests(expected.digest, task_state).hold(expected)
    ExpectedDigests(expected.digest, task_state).hold(plan(item("a", first), item("b", second)))


def test_a_later_try_names_what_moved() -> None:
    task_state = Memory()
    expected = plan(item("a"), item("b"))
    ExpectedDigests(expected.digest, task_state).hold(expected)
    with pytest.raises(StateMoved, match=r"^shop/b changed since the plan .* was approved"):
        ExpectedDigests(expected.digest, task_state).hold(plan(item("a", AFTER), item("b", {"x": 7, "y": 0})))


def test_a_later_try_refuses_a_source_that_wants_something_else_now() -> None:
    task_state = Memory()
    expected = plan(item("a"), item("b"))
    ExpectedDigests(expected.digest, task_state).hold(expected)
    with pytest.raises(StateMoved, match=r"^shop/b changed"):
        ExpectedDigests(expected.digest, task_state).hold(
            plan(item("a"), item("b", BEFORE, {"x": 5, "y": 5}))
        )


def test_a_later_try_refuses_a_target_that_was_not_in_the_plan() -> None:
    task_state = Memory()
    expected = plan(item("a"))
    ExpectedDigests(expected.digest, task_state).hold(expected)
    with pytest.raises(StateMoved, match=r"^shop/b changed"):
        ExpectedDigests(expected.digest, task_state).hold(plan(item("a"), item("b")))


def test_a_note_of_another_plan_does_not_count() -> None:
    task_state = Memory()
    first, second = plan(item("a")), plan(item("a", BEFORE, MIDDLE))
    ExpectedDigests(first.digest, task_state).hold(first)
    with pytest.raises(StateMoved, match="is not the one expected"):
        ExpectedDigests(second.digest, task_state).hold(plan(item("a", MIDDLE)))


def test_an_interrupted_try_is_carried_on_by_the_next_without_a_second_write() -> None:
    task_state, there = Memory(), server(a=BEFORE, b=BEFORE)
    expected = plan(item("a"), item("b"))

    def dies(_: ThingServer, call: Any) -> Any:
        if call.operation == f"{WRITE} (y)":
            raise Died
        return there.answer(call)

    there.always = dies
    with pytest.raises(Died):
        run_plan(expected, there, task_state=task_state, expected_digest=expected.digest)
    written = there.routes()
    now = {name: there.things[thing(name)] for name in "ab"}
    assert MIDDLE in now.values()
    there.always, there.calls = None, []
    again = plan(*(item(name, state) for name, state in now.items()))
    report = run_plan(again, there, task_state=task_state, expected_digest=expected.digest)
    assert report.complete
    assert all(there.things[thing(name)] == AFTER for name in "ab")
    assert len(there.routes()) == sum(each.writes for each in again.items)
    assert written


def test_a_try_after_full_success_still_passes_and_writes_nothing() -> None:
    task_state, there = Memory(), server(a=BEFORE)
    expected = plan(item("a"))
    run_plan(expected, there, task_state=task_state, expected_digest=expected.digest)
    there.calls = []
    report = run_plan(plan(item("a", AFTER)), there, task_state=task_state, expected_digest=expected.digest)
    assert statuses(report) == {"a": "unchanged"}
    assert there.calls == []


def test_a_dry_run_leaves_no_note() -> None:
    task_state = Memory()
    expected = plan(item("a"))
    run_plan(expected, server(a=BEFORE), task_state=task_state, dry_run=True, expected_digest=expected.digest)
    assert task_state == {}


def test_a_guard_speaks_up_before_a_write_and_only_tells_before_a_dry_run() -> None:
    said: list[str] = []
    run = RunContext(ThingServer({}).send, said.append)

    run.guard_live("assign", dry_run=True)
    with pytest.raises(GuardRefused, match=r"^assign: .*confirm_live=True.* Nothing was read or written\.$"):
        run.guard_live("assign")

    (text,) = said
    assert text.startswith("A run that writes would be refused. assign: This writes into live")


def test_a_guard_without_findings_lets_pass_in_silence() -> None:
    said: list[str] = []
    given = GuardContext(Overrides(confirm_live=True))

    RunContext(ThingServer({}).send, said.append, guard_context=given).guard_live("assign")

    assert said == []
