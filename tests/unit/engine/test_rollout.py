"""Rollouts: wave by wave, kind by kind, stopped in time, and taken up where a killed try left off."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec.structs import replace

from airflow_voice_agents.engine.checkpoints import BATCH, MAX_AGE
from airflow_voice_agents.plans.limits import FailureLimit, Waves
from airflow_voice_agents.plans.plan import TargetPlan
from airflow_voice_agents.plans.report import Report, Status
from airflow_voice_agents.transport.api_request import ApiRequest
from airflow_voice_agents.transport.errors import BadRequest, RateLimited, ServerError, Unauthorized
from support.fake_engine import (
    ThingKind,
    ThingServer,
    applied_and_lost,
    lost,
    thing,
)
from support.fake_rollout import KINDS, NEW, OLD, Fleet, Killed, Pace, outcomes, owners_of
from support.json_values import bounded

CHANGED, SKIPPED = "changed", "skipped"


def fleet(names: str | Sequence[str], kinds: Sequence[str] = ("page",), **options: Any) -> Fleet:
    return Fleet(dict.fromkeys(names, kinds), **options)


def waves(*ends: int | str, **more: Any) -> Pace:
    return Pace(waves=Waves.parse(list(ends)), **more)


def allowing(max_failures: Any, **more: Any) -> Pace:
    return Pace(failure_limit=FailureLimit.parse(max_failures), **more)


def failing(*names: str) -> Callable[[ThingServer, ApiRequest[Any]], Any]:
    """The server refuses every write to these units."""

    def fault(server: ThingServer, call: ApiRequest[Any]) -> Any:
        if call.method != "GET" and set(owners_of(call)) & set(names):
            raise BadRequest("no such setting", operation=call.operation, status=400)
        return server.answer(call)

    return fault


def reasons(report: Report) -> dict[str, str]:
    return {item.resource.owner: item.reason for item in report.items}


# ------------------------------------------------------------------------------------------- waves


def test_all_units_are_written_and_reported_in_the_order_asked_for() -> None:
    there = fleet("cab", KINDS)
    there.order = list("bca")
    report = there.attempt()
    assert [(item.resource.owner, item.resource.kind) for item in report.items] == [
        (name, kind) for name in "bca" for kind in KINDS
    ]
    assert report.complete
    assert there.whole
    assert report.operation == "promote"
    assert report.plan_digest
    assert (report.stopped, report.retry_after) == ("", None)
    page = there.kinds["page"]
    assert report.items[0].details == {
        "before": page.digest(OLD)[:12],
        "after": page.digest({**OLD, **NEW})[:12],
    }


@pytest.mark.parametrize("concurrency", [1, 3, 10])
def test_a_wave_begins_when_the_one_before_it_has_ended(concurrency: int) -> None:
    there = Fleet({name: KINDS[: 1 + place % 3] for place, name in enumerate("abcdefgh")})
    there.attempt(waves(1, 3, "100%"), concurrency=concurrency)
    written = [entry[2:] for entry in there.server.log[_reads(there) :]]
    places = [next(n for n, wave in enumerate(("a", "bc", "defgh")) if name in wave) for name in written]
    assert places == sorted(places)
    assert set(places) == {0, 1, 2}
    assert there.whole


def _reads(there: Fleet) -> int:
    """Number of log entries that planning made."""
    first = next(place for place, call in enumerate(there.server.calls) if call.method != "GET")
    return 2 * first


def test_the_end_of_each_wave_is_told() -> None:
    there = fleet("abcd", always=failing("b"))
    there.attempt(waves(1, 2, "100%", failure_limit=FailureLimit.parse(1)))
    assert [line for line in there.said if "wave" in line] == [
        "promote: wave 1 of 3 is over, 1 of 4 target(s) reached, 0 failed",
        "promote: wave 2 of 3 is over, 2 of 4 target(s) reached, 1 failed",
        "promote: wave 3 of 3 is over, 4 of 4 target(s) reached, 1 failed",
    ]


def test_one_wave_of_everything_is_nothing_to_tell() -> None:
    there = fleet("ab")
    there.attempt()
    assert there.said == []


def test_progress_counts_units_by_their_worst_item() -> None:
    there = fleet("ab", KINDS, always=failing("b"))

    def later() -> None:
        there.clock.now += 10

    there.attempt(allowing(1, after_target=later))
    told = [line for line in there.said if "done (" in line]
    assert told == ["promote: 1 of 2 done (1 changed)", "promote: 2 of 2 done (1 changed, 1 failed)"]


@pytest.mark.parametrize("concurrency", [1, 2, 5])
def test_no_more_units_than_allowed_are_in_flight(concurrency: int) -> None:
    there = fleet("abcdefghij", KINDS)
    there.attempt(concurrency=concurrency)
    assert there.server.units_in_flight == concurrency


def test_what_is_as_it_shall_be_costs_no_request_and_counts_in_no_wave() -> None:
    there = fleet("abcd", KINDS, same="ac")
    asked: list[set[str]] = []

    def look() -> None:
        asked.append(set(there.written()))

    async def go() -> Report:
        run = there.run()
        units = await there.plan(run, there.order)
        there.restart()
        return await there.roll_out(run, units, waves(1, "100%", before_wave=look))

    report = asyncio.run(go())
    assert outcomes(report) == {
        "a": "unchanged unchanged unchanged",
        "b": "changed changed changed",
        "c": "unchanged unchanged unchanged",
        "d": "changed changed changed",
    }
    assert there.asked() == {"b", "d"}
    assert asked == [set(), {f"b {kind}" for kind in KINDS}]
    assert report.items[0].details["before"] == report.items[0].details["after"]
    assert there.said[-1] == "promote: wave 2 of 2 is over, 2 of 2 target(s) reached, 0 failed"


def test_nothing_to_change_asks_nobody() -> None:
    there = fleet("ab", same="ab")
    asked: list[int] = []
    report = there.attempt(Pace(before_wave=lambda: asked.append(1), after_target=lambda: asked.append(2)))
    assert outcomes(report) == {"a": "unchanged", "b": "unchanged"}
    assert asked == []


# ------------------------------------------------------------------------------------------- kinds


def test_the_kinds_of_a_unit_are_written_one_after_the_other() -> None:
    there = fleet("ab", KINDS)
    there.attempt(concurrency=2)
    assert there.server.early == []
    for name in "ab":
        mine = [each.split()[1] for each in there.written() if each.startswith(name)]
        assert mine == [kind for kind in KINDS for _ in NEW]


def test_the_next_kind_waits_until_the_one_before_it_was_read_back() -> None:
    there = fleet("a", KINDS[:2])
    there.attempt()
    kinds = [(call.method, call.body["things"][0][0].kind) for call in there.server.calls if call.body]
    assert kinds[2:] == [
        *(("PATCH", "base"), ("PATCH", "base"), ("GET", "base")),
        *(("PATCH", "page"), ("PATCH", "page"), ("GET", "page")),
    ]


def test_without_verification_nothing_is_read_back() -> None:
    there = fleet("a", KINDS)
    assert there.attempt(Pace(verify=False)).complete
    assert there.server.counts()["GET"] == 3  # to plan


@pytest.mark.parametrize("place", [0, 1])
def test_what_stands_on_something_that_went_wrong_is_left_alone_and_says_why(place: int) -> None:
    wrong = thing("t", "a", KINDS[place])

    def fault(server: ThingServer, call: ApiRequest[Any]) -> Any:
        if call.method != "GET" and call.body and call.body["things"][0][0] == wrong:
            raise BadRequest("no such setting", status=400)
        return server.answer(call)

    there = fleet("ab", KINDS, always=fault)
    report = there.attempt(allowing(1))
    expected = ["changed"] * place + ["failed"] + ["skipped"] * (2 - place)
    assert outcomes(report) == {"a": " ".join(expected), "b": "changed changed changed"}
    later = [item for item in report.items if item.status is Status.SKIPPED]
    assert {item.reason for item in later} == {f"not attempted, because {KINDS[place]} a/t failed"}
    assert f"a {KINDS[place + 1]}" not in there.written()
    assert not report.permanent_failure or all(item.permanent for item in report.having(Status.FAILED))


def test_what_is_as_it_shall_be_stays_so_after_something_went_wrong_before_it() -> None:
    there = fleet("a", KINDS, always=failing("a"))
    there.server.things[thing("t", "a", "page")] = {**OLD, **NEW}
    report = there.attempt()
    assert outcomes(report) == {"a": "failed unchanged skipped"}


def test_several_things_of_one_kind_share_their_calls() -> None:
    there = fleet("a")
    there.kinds["page"] = ThingKind(name="page", batch_size=10)
    for name in "uv":
        there.server.wanted[thing(name, "a", "page")] = NEW
        there.server.things[thing(name, "a", "page")] = OLD
    there.attempt()
    assert there.server.routes() == ["t+u+v"]
    assert there.whole


# ------------------------------------------------------------------------------------- the budget


@pytest.mark.parametrize(
    ("max_failures", "begun"),
    [
        (None, "ab"),
        (0, "ab"),
        (1, "abcd"),
        ("20%", "abcdef"),
        ("30%", "abcdefgh"),
        ({"count": 5, "percent": 10}, "abcd"),
        (9, "abcdefghij"),
    ],
)
def test_too_many_failures_stop_what_was_not_begun(max_failures: Any, begun: str) -> None:
    there = fleet("abcdefghij", always=failing("b", "d", "f", "h"))
    report = there.attempt(allowing(max_failures))
    expected = {name: "failed" if name in "bdfh" else "changed" for name in begun}
    assert outcomes(report) == expected | {name: SKIPPED for name in there.order if name not in begun}
    counts = report.counts()
    assert sum(counts[status.value] for status in Status) == counts["total"] == 10
    assert report.stopped == ""


@dataclass
class Others:
    """Other tasks of a run of 100 targets, which fail meanwhile."""

    failed: int = 0
    noted: list[int] = field(default_factory=list)
    total: int = 100

    def note(self, failed: int) -> int:
        self.noted.append(failed)
        return self.failed + failed


def test_failures_of_other_tasks_keep_a_task_from_beginning() -> None:
    there = fleet("abc")
    report = there.attempt(allowing(3, others=Others(failed=4)))
    assert outcomes(report) == dict.fromkeys("abc", SKIPPED)
    assert there.server.routes() == []
    assert "4 of 100 target(s) failed, and max_failures allows 3" in reasons(report)["a"]


def test_failures_are_counted_together_and_percentages_are_of_all_targets() -> None:
    others = Others(failed=1)
    there = fleet("abcdef", always=failing("a", "b", "d"))
    report = there.attempt(allowing("3%", others=others))
    assert outcomes(report) == {
        "a": "failed",
        "b": "failed",
        "c": CHANGED,
        "d": "failed",
        **dict.fromkeys("ef", SKIPPED),
    }
    assert others.noted == [0, 1, 2, 3]


def test_the_others_are_looked_at_every_few_seconds_and_not_after_each_target() -> None:
    others = Others()
    there = fleet("abcdefgh")

    def after_target() -> None:
        there.clock.now += 2.0
        others.failed = int(there.clock.now > 7)

    report = there.attempt(allowing(0, others=others, after_target=after_target))
    assert outcomes(report) == {**dict.fromkeys("abcdefg", CHANGED), "h": SKIPPED}
    assert len(others.noted) == 3


def test_a_task_that_changes_nothing_asks_nobody() -> None:
    others = Others(failed=9)
    report = fleet("ab", same="ab").attempt(allowing(0, others=others))
    assert set(outcomes(report).values()) == {"unchanged"}
    assert others.noted == []


def test_what_is_skipped_says_how_many_went_wrong_and_how_many_may() -> None:
    there = fleet("abcd", always=failing("a", "b"))
    report = there.attempt(allowing(1))
    for name in "cd":
        assert reasons(report)[name] == (
            "not attempted. 2 of 4 target(s) failed, and max_failures allows 1. Fix them, then run again: "
            "what is done is not written twice."
        )
    said = [line for line in there.said if "no further write is begun" in line]
    assert said == [reasons(report)["c"].replace("not attempted.", "promote: no further write is begun.")]


def test_a_percentage_is_of_the_units_that_change() -> None:
    there = fleet("abcdefghij", same="efghij", always=failing("a", "b"))
    report = there.attempt(allowing("25%"))
    assert outcomes(report) == {
        **dict.fromkeys("ab", "failed"),
        **dict.fromkeys("cd", SKIPPED),
        **dict.fromkeys("efghij", "unchanged"),
    }


def test_a_unit_with_several_things_gone_wrong_went_wrong_once() -> None:
    there = fleet("abc", KINDS, always=failing("a"))
    report = there.attempt(allowing(1))
    assert outcomes(report)["c"] == "changed changed changed"


def test_what_is_skipped_is_no_failure_of_its_own() -> None:
    there = fleet("abcdef", always=failing("a"))
    there.attempt(allowing(0))
    (said,) = [line for line in there.said if "no further write" in line]
    assert "1 of 6 target(s) failed" in said


def test_what_is_in_flight_ends() -> None:
    there = fleet("abcdef", KINDS, always=failing("a"))
    report = there.attempt(concurrency=3)
    found = outcomes(report)
    assert found["b"] == found["c"] == "changed changed changed"
    assert {found[name] for name in "def"} == {"skipped skipped skipped"}
    assert there.asked() >= set("abc")
    assert not any(each[0] in "def" for each in there.written())


def test_a_unit_of_unknown_outcome_went_wrong() -> None:
    def fault(server: ThingServer, call: ApiRequest[Any]) -> Any:
        if server.calls[-1].method != "GET" or len(server.calls) > 4:
            return lost(server, call)
        return server.answer(call)

    there = fleet("abc", always=fault)
    report = there.attempt()
    assert outcomes(report) == {"a": "unknown", "b": SKIPPED, "c": SKIPPED}


# --------------------------------------------------------------------------------- stopped by others


def stop_at(times: int, reason: str = "enough") -> Callable[[], str | None]:
    """A watch that says no when asked for the n-th time."""
    asked: list[None] = []

    def watch() -> str | None:
        asked.append(None)
        return reason if len(asked) >= times else None

    return watch


@pytest.mark.parametrize(("times", "reached"), [(1, ""), (2, "a"), (3, "abc"), (4, "abcdef")])
def test_nothing_of_a_wave_is_begun_that_was_said_no_to(times: int, reached: str) -> None:
    there = fleet("abcdef")
    report = there.attempt(waves(1, 3, "100%", before_wave=stop_at(times)), concurrency=2)
    assert outcomes(report) == {name: CHANGED if name in reached else SKIPPED for name in there.order}
    assert report.stopped == ("" if times == 4 else "enough")
    assert report.permanent_failure is (times < 4)
    for name in set(there.order) - set(reached):
        assert reasons(report)[name] == "not attempted. enough"


def test_a_no_is_final_and_asked_for_once() -> None:
    asked: list[None] = []

    def watch() -> str | None:
        asked.append(None)
        return "enough" if len(asked) == 1 else None

    there = fleet("abc")
    report = there.attempt(waves(1, 2, "100%", before_wave=watch))
    assert outcomes(report) == dict.fromkeys("abc", SKIPPED)
    assert len(asked) == 1
    assert [line for line in there.said if "wave" in line] == []


def test_who_says_no_is_not_asked_after_the_budget_is_spent() -> None:
    there = fleet("abc", always=failing("a"))
    report = there.attempt(waves(1, "100%", before_wave=stop_at(2)))
    assert report.stopped == ""
    assert "max_failures" in reasons(report)["c"]


def test_a_stopped_run_goes_on_where_it_stopped() -> None:
    there = fleet("abc")
    assert there.attempt(waves(1, "100%", before_wave=stop_at(2))).stopped == "enough"
    there.restart()
    report = there.attempt()
    assert outcomes(report) == dict.fromkeys("abc", CHANGED)
    assert there.asked() == set("bc")


def test_who_watches_the_units_may_stop_what_was_not_begun() -> None:
    there = fleet("abcde")
    report = there.attempt(Pace(after_target=stop_at(2, "the lock is gone.")))
    assert outcomes(report) == {**dict.fromkeys("ab", CHANGED), **dict.fromkeys("cde", SKIPPED)}
    assert reasons(report)["c"] == "not attempted. the lock is gone."
    assert report.stopped == ""
    assert not report.permanent_failure


def test_who_watches_the_units_is_asked_after_each_that_was_begun() -> None:
    asked: list[int] = []
    there = fleet("abcd", KINDS, same="d", always=failing("b"))
    there.attempt(Pace(after_target=lambda: asked.append(len(there.written()))))
    assert len(asked) == 2


def test_an_error_of_a_watch_ends_the_run_and_keeps_what_was_noted() -> None:
    def broken() -> str | None:
        if len(there.written()) > 3:
            raise LookupError("no such variable")
        return None

    there = fleet("abc")
    with pytest.raises(LookupError):
        there.attempt(waves(1, 2, "100%", before_wave=broken))
    assert set(there.ledger().done) == {"a", "b"}


@pytest.mark.parametrize("concurrency", [1, 3])
def test_a_refused_key_stops_everything(concurrency: int) -> None:
    def fault(server: ThingServer, call: ApiRequest[Any]) -> Any:
        if call.method != "GET" and "c" in owners_of(call):
            raise Unauthorized("expired key", status=401)
        return server.answer(call)

    there = fleet("abcdefgh", KINDS, always=fault)
    report = there.attempt(allowing(99), concurrency=concurrency)
    found = outcomes(report)
    assert found["c"] == "failed skipped skipped"
    assert found["h"] == "skipped skipped skipped"
    assert reasons(report)["h"].startswith(
        "not attempted. The platform refuses every further request: expired key"
    )
    assert report.permanent_failure
    assert report.stopped == ""


def test_a_limit_that_starts_anew_much_later_stops_everything_and_is_waited_for() -> None:
    there = fleet("abc", script={4: RateLimited("quota spent", status=429, retry_after=3600.0)})
    report = there.attempt(allowing(99))
    assert outcomes(report) == {"a": "failed", "b": SKIPPED, "c": SKIPPED}
    assert report.retry_after == 3600.0
    assert not report.permanent_failure


def test_the_longest_wait_of_all_units_is_named() -> None:
    def fault(server: ThingServer, call: ApiRequest[Any]) -> Any:
        wait = {"a": 5.0, "b": 30.0, "c": 10.0}.get(owners_of(call)[0])
        if call.method != "GET" and wait:
            raise RateLimited("slow down", status=429, retry_after=wait)
        return server.answer(call)

    report = fleet("abcd", always=fault).attempt(allowing(99))
    assert report.retry_after == 30.0
    assert outcomes(report)["d"] == CHANGED


def test_what_the_platform_says_is_masked() -> None:
    def refused(server: ThingServer, call: ApiRequest[Any]) -> Any:
        answer = server.answer(call)
        return answer if call.method == "GET" else dict.fromkeys(answer, "key hunter2 may not")

    there = fleet("a", always=refused)

    async def go() -> Report:
        run = replace(there.run(), redact=lambda text, request: text.replace("hunter2", "***"))
        return await there.roll_out(run, await there.plan(run, "a"), Pace())

    assert "key *** may not" in asyncio.run(go()).items[0].reason


# ----------------------------------------------------------------------------- read again and held


def test_what_was_read_long_ago_is_read_again_before_it_is_written() -> None:
    there = fleet("ab")

    async def go() -> Report:
        run = there.run()
        units = await there.plan(run, there.order)
        there.clock.now += 61
        there.server.things[thing("t", "a", "page")] = {**OLD, "own": 8}
        there.server.things[thing("t", "b", "page")] = {**OLD, "x": 1}
        return await there.roll_out(run, units, allowing(1))

    report = asyncio.run(go())
    assert outcomes(report) == {"a": "failed", "b": CHANGED}
    assert "it changed after it was planned (own)" in reasons(report)["a"]
    assert there.written() == ["b page"]  # the member that was there already is not written again


@pytest.mark.parametrize(("age", "reads"), [(60.0, 2), (9.0, 3)])
def test_the_age_at_which_it_is_read_again_counts_from_the_plan(age: float, reads: int) -> None:
    there = fleet("a")

    async def go() -> Report:
        run = there.run()
        planned_at = run.clock()
        units = await there.plan(run, there.order)
        there.clock.now += 10
        pace = Pace(max_snapshot_age=age)
        return await there.roll_out(run, units, pace, planned_at=planned_at)

    assert asyncio.run(go()).complete
    assert there.server.counts()["GET"] == reads


ARRIVED = {"x": 0, "y": 5, "own": 3}


def arriving(state: dict[str, int] | None) -> Callable[[ThingServer, ApiRequest[Any]], Any]:
    """The first write to a base brings a line along."""

    def fault(server: ThingServer, call: ApiRequest[Any]) -> Any:
        answer = server.answer(call)
        if call.method != "GET" and call.body and call.body["things"][0][0].kind == "base" and state:
            server.things.setdefault(thing("t", "a", "line"), state)
        return answer

    return fault


def apply_arriving(there: Fleet, *waypoints: dict[str, int]) -> Report:
    """Plan a line that is not there yet, with what it may be once it arrives, and roll out."""
    line = thing("t", "a", "line")
    del there.server.things[line]

    async def go() -> Report:
        run = there.run()
        (unit,) = await there.plan(run, "a")
        base, item = unit.items
        digest = there.kinds["line"].digest
        planned = replace(item, after=digest({**ARRIVED, **NEW}), waypoints=tuple(map(digest, waypoints)))
        if planned.transition:
            transition = replace(planned.transition, after={**ARRIVED, **NEW})
            planned = replace(planned, transition=transition)
        return await there.roll_out(run, [TargetPlan("a", (base, planned))], Pace())

    return asyncio.run(go())


def test_what_arrives_by_an_earlier_kind_is_read_before_it_is_written() -> None:
    there = fleet("a", ("base", "line"), always=arriving(ARRIVED))
    report = apply_arriving(there, ARRIVED)
    assert outcomes(report) == {"a": "changed changed"}
    assert there.server.things[thing("t", "a", "line")] == {**ARRIVED, **NEW}
    lines = [call for call in there.server.calls if call.body and call.body["things"][0][0].kind == "line"]
    assert [call.method for call in lines] == ["GET", "GET", "PATCH", "PATCH", "GET"]
    assert there.server.useless == []


def test_what_arrives_otherwise_than_planned_is_not_written() -> None:
    there = fleet("a", ("base", "line"), always=arriving({**ARRIVED, "own": 4}))
    report = apply_arriving(there, ARRIVED)
    assert outcomes(report) == {"a": "changed failed"}
    assert "it changed after it was planned" in report.items[1].reason
    assert there.server.things[thing("t", "a", "line")] == {**ARRIVED, "own": 4}


def test_what_arrives_as_it_shall_be_needs_no_write() -> None:
    there = fleet("a", ("base", "line"), always=arriving({**ARRIVED, **NEW}))
    report = apply_arriving(there, ARRIVED)
    assert outcomes(report) == {"a": "changed unchanged"}
    assert there.written() == ["a base", "a base"]


def test_what_is_made_anew_by_the_first_kind_itself_is_not_read_before() -> None:
    there = fleet("a", ("line",))
    del there.server.things[thing("t", "a", "line")]
    assert there.attempt().complete
    assert [call.method for call in there.server.calls] == ["GET", "PATCH", "PATCH", "GET"]


# ------------------------------------------------------------------------------------- checkpoints


@pytest.mark.parametrize("concurrency", [1, 3])
@pytest.mark.parametrize("remembers", [True, False])
def test_a_run_that_is_killed_at_any_moment_is_taken_up_again(concurrency: int, *, remembers: bool) -> None:
    def made() -> Fleet:
        return fleet("abcde", KINDS, same="c", batch=2, remembers=remembers)

    pace = waves(1, "100%")
    whole = made()
    assert whole.attempt(pace, concurrency=concurrency).complete
    for moment in range(1, whole.fuse.burnt + 1):
        there = made()
        there.restart(moment)
        with pytest.raises(Killed):
            there.attempt(pace, concurrency=concurrency)
        left = dict(there.notes.values)
        there.restart()
        done = set(there.ledger().done)
        report = there.attempt(pace, concurrency=concurrency)

        assert report.complete
        assert there.whole
        assert there.server.things == whole.server.things
        assert there.server.useless == []
        assert there.server.early == []
        assert there.asked() == set("abcde") - done
        assert {item.resource.owner for item in report.items} == set("abcde")
        assert all(outcomes(report)[name] == "changed changed changed" for name in done)
        assert there.notes.values == {}
        assert bool(left) is remembers or not done


def test_a_kill_costs_at_most_a_batch_and_what_was_in_flight() -> None:
    there = fleet([f"u{number:02}" for number in range(60)])
    there.restart(2 * 60 + 2 * 3 * 55)  # while the 55th unit is written
    with pytest.raises(Killed):
        there.attempt()
    assert len(there.ledger().done) == 2 * BATCH


def test_checkpoints_are_written_in_batches_at_the_ends_of_waves_and_on_errors() -> None:
    there = fleet([f"u{number:02}" for number in range(60)])
    sizes: list[list[int]] = []

    def look() -> None:
        sizes.append([len(page["units"]) for page in there.notes.values.values()])

    there.attempt(waves(30, "100%", after_target=look, before_wave=look))
    assert sizes[0] == sizes[BATCH - 1] == []
    assert sizes[BATCH] == sizes[30] == [BATCH]
    assert sizes[31] == [BATCH, 5]  # before the second wave
    assert sizes[-1] == [BATCH, 5, BATCH]

    def broken() -> None:
        if len(there.written()) > 2 * 3:
            raise LookupError

    there = fleet("abcdef")
    with pytest.raises(LookupError):
        there.attempt(Pace(after_target=broken))
    assert set(there.ledger().done) == set("abcd")


def test_what_went_wrong_is_taken_up_and_what_is_done_stays_done() -> None:
    there = fleet("abcd", KINDS, always=failing("b"))
    assert not there.attempt(allowing(1)).complete
    assert set(there.notes.values) == {f"done-{'d' * 16}-0"}
    there.server.always = None
    there.restart()
    report = there.attempt()
    assert outcomes(report) == dict.fromkeys("abcd", "changed changed changed")
    assert there.asked() == {"b"}
    assert there.notes.values == {}


def test_what_was_reported_of_a_unit_is_reported_again() -> None:
    there = fleet("ab", always=failing("b"))
    first = there.attempt(allowing(1))
    there.server.always = None
    second = there.attempt()
    assert second.items[0] == first.items[0]
    assert second.items[0].details["after"]


def test_checkpoints_that_are_too_old_do_not_count() -> None:
    there = fleet("ab", always=failing("b"))
    there.attempt(allowing(1))
    there.server.always = None
    there.epoch.now += MAX_AGE + 1
    there.restart()
    report = there.attempt()
    assert outcomes(report) == {"a": "unchanged", "b": CHANGED}
    assert there.asked() == {"a", "b"}
    assert there.notes.values == {}


def test_without_a_store_the_next_try_compares_states_alone() -> None:
    there = fleet("ab", always=failing("b"), remembers=False)
    there.attempt(allowing(1))
    there.server.always = None
    there.restart()
    assert outcomes(there.attempt()) == {"a": "unchanged", "b": CHANGED}
    assert there.notes.values == {}
    assert there.server.useless == []


# ------------------------------------------------------------------------------------------ memory


@pytest.mark.parametrize("repeatable", [True, False])
def test_what_a_task_remembers_is_asked_for_as_often_for_many_targets_as_for_few(*, repeatable: bool) -> None:
    """Each answer is a request to Airflow, and nobody renews the lock meanwhile."""

    def asked(names: str) -> int:
        kinds = {name: ThingKind(name=name, stepwise=True, repeatable=repeatable) for name in KINDS}
        there = Fleet(dict.fromkeys(names, KINDS), kinds=kinds)
        keys: list[str] = []
        get = there.notes.get
        there.notes.get = lambda key: (keys.append(key), get(key))[1]  # type: ignore[method-assign]
        assert there.attempt().complete
        return len(keys)

    assert asked("abcdefgh") == asked("ab")


class Heavy(dict[str, int]):
    """A state that can be watched."""


def test_a_unit_that_is_done_is_let_go() -> None:
    there = fleet("abcdefgh", KINDS)
    states: list[weakref.ref[Heavy]] = []
    alive: list[int] = []

    def heavy(unit: TargetPlan) -> TargetPlan:
        items = []
        for item in unit.items:
            state = Heavy(OLD)
            states.append(weakref.ref(state))
            assert item.transition is not None
            items.append(replace(item, transition=replace(item.transition, before=state)))
        return replace(unit, items=tuple(items))

    def count() -> None:
        gc.collect()
        alive.append(sum(state() is not None for state in states))

    async def go() -> Report:
        run = there.run()
        units = [heavy(unit) for unit in await there.plan(run, there.order)]
        report = await there.roll_out(run, units, Pace(after_target=count))
        assert units == []
        return report

    assert asyncio.run(go()).complete
    assert [number for number, _ in groupby(alive)] == [3 * left for left in range(8, 0, -1)]


# --------------------------------------------------------------------------------- whatever happens


def down(server: ThingServer, call: ApiRequest[Any]) -> Any:
    raise ServerError("down", operation=call.operation, status=503)


def refused(server: ThingServer, call: ApiRequest[Any]) -> Any:
    raise BadRequest("bad", operation=call.operation, status=400)


def limited(server: ThingServer, call: ApiRequest[Any]) -> Any:
    raise RateLimited("slow", operation=call.operation, status=429, retry_after=5.0)


def no_key(server: ThingServer, call: ApiRequest[Any]) -> Any:
    raise Unauthorized("no key", operation=call.operation, status=401)


FAULTS = st.sampled_from([None, None, None, lost, applied_and_lost, down, refused, limited, no_key])
UNITS = st.lists(
    st.sampled_from([KINDS[:1], KINDS[1:2], KINDS[:2], KINDS[1:], KINDS]), min_size=1, max_size=5
)
TRY = st.fixed_dictionaries(
    {
        "faults": st.lists(FAULTS, max_size=12),
        "moment": st.one_of(st.none(), st.integers(1, 90)),
        "concurrency": st.integers(1, 3),
        "ends": st.sampled_from([["100%"], [1, "100%"], [1, "50%", "100%"]]),
        "max_failures": st.sampled_from([None, 1, "50%", 9]),
        "stop": st.sampled_from([1, 2, 99, 99, 99]),
    }
)


@bounded(250)
@given(UNITS, st.sets(st.integers(0, 4)), st.lists(TRY, max_size=4), st.booleans(), st.integers(1, 3))
@example([KINDS, KINDS], set(), [], True, 1)
def test_every_try_tells_the_truth_and_the_last_one_ends_it(
    kinds: list[tuple[str, ...]], same: set[int], tries: list[dict[str, Any]], remembers: bool, batch: int
) -> None:
    there = Fleet(
        {f"u{place}": mine for place, mine in enumerate(kinds)},
        same=[f"u{place}" for place in same],
        remembers=remembers,
        batch=batch,
    )
    calm = {
        "faults": [],
        "moment": None,
        "concurrency": 2,
        "ends": ["100%"],
        "max_failures": None,
        "stop": 99,
    }
    for one in [*tries, calm]:
        done = set(there.ledger().done)
        there.restart(one["moment"])
        reads = sum(1 for each in there.server.wanted if each.owner not in done)
        there.server.script = {reads + place: fault for place, fault in enumerate(one["faults"])}
        pace = Pace(
            waves=Waves.parse(one["ends"]),
            failure_limit=FailureLimit.parse(one["max_failures"]),
            before_wave=stop_at(one["stop"]),
        )
        try:
            report = there.attempt(pace, concurrency=one["concurrency"])
        except Killed:
            continue
        finally:
            there.fuse.renew()
            assert there.server.early == []
            assert there.server.useless == []
            assert not there.asked() & done
        check(there, report, one, done)
    assert report.complete
    assert there.whole
    assert there.notes.values == {}


def check(there: Fleet, report: Report, one: dict[str, Any], done: set[str]) -> None:
    """Hold a report against what the server holds and was asked."""
    assert [item.resource for item in report.items] == list(there.server.wanted)
    written = set(there.written())
    for item in report.items:
        name = f"{item.resource.owner} {item.resource.kind}"
        if item.status in (Status.CHANGED, Status.UNCHANGED):
            assert there.server.reached(item.resource)
        if item.status is Status.SKIPPED:
            assert name not in written
            assert item.reason.startswith("not attempted")
        if item.status is Status.UNCHANGED:
            assert name not in written
    assert bool(report.stopped) <= (report.permanent_failure and not report.complete)
    assert report.complete == there.whole or not report.complete
    assert not (report.complete and there.notes.values)
    kept = set(there.ledger().done)
    assert kept <= {name for name, text in outcomes(report).items() if "changed" in text}
    assert report.complete or not there.remembers or done <= kept
    wrong = [name for name, text in outcomes(report).items() if {"failed", "unknown"} & set(text.split())]
    changing = sum(set(text.split()) != {"unchanged"} for text in outcomes(report).values())
    allowed = FailureLimit.parse(one["max_failures"]).allows(changing)
    assert len(wrong) <= allowed + one["concurrency"]
