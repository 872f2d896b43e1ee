"""Writes in order, unknown outcomes read back, offenders isolated, and a report that is always true."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec.structs import replace

from airflow_voice_agents.engine.applier import Applier, ApplierSettings
from airflow_voice_agents.engine.concurrency import ProgressLog
from airflow_voice_agents.engine.run_context import RunContext
from airflow_voice_agents.plans.kind import Transition, WriteSequence
from airflow_voice_agents.plans.report import ItemReport, Status
from airflow_voice_agents.transport.api_request import ApiRequest, Replay
from airflow_voice_agents.transport.errors import (
    BadRequest,
    Conflict,
    Forbidden,
    OutcomeUnknown,
    RateLimited,
    ServerError,
    TransportError,
    Unauthorized,
)
from support.fake_engine import (
    WRITE,
    Fault,
    State,
    ThingKind,
    ThingServer,
    applied_and_lost,
    forgetful,
    half_applied_and_lost,
    lost,
    refusing,
    thing,
    transition,
)
from support.json_values import bounded

NOT_CHANGED = "It was not changed."


@pytest.fixture(autouse=True, scope="module")
def no_pauses() -> None:
    """Pauses are looked at here; nobody waits for them to pass."""


class Clock:
    """Monotonic seconds that a test moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class RepeatableKind(ThingKind):
    """Things whose writes may be repeated."""

    def write_sequences(self, transitions: Sequence[Transition[State]]) -> Iterator[WriteSequence[State]]:
        """Batches."""
        for lane in super().write_sequences(transitions):
            yield tuple(replace(step, request=replace(step.request, replay=Replay.SAFE)) for step in lane)


class Scene:
    """A server with things ``a``, ``b``, … whose member ``x`` shall go from 0 to 1.

    :param names: the things.
    :param script: faults by number of the call.
    :param kind: how they are written.
    :param always: a fault for every other call.
    :param members: members that shall go from 0 to 1.
    """

    def __init__(
        self,
        names: Sequence[str],
        script: dict[int, Any] | None = None,
        kind: ThingKind | None = None,
        always: Fault | None = None,
        members: str = "x",
    ) -> None:
        self.before: State = {**dict.fromkeys(members, 0), "other": 0}
        self.after: State = {**dict.fromkeys(members, 1), "other": 0}
        self.names = list(names)
        self.kind = kind or ThingKind()
        self.server = ThingServer({thing(name): self.before for name in names}, script or {}, always)
        self.clock = Clock()
        self.told: list[str] = []
        self.waits: list[float] = []
        self.wait = 0.0
        self.read_at: dict[str, float] = {}
        self.applier: Applier[State] | None = None

    def apply(self, *, limit: int = 4, **options: Any) -> dict[str, ItemReport]:
        """Carry out and return the reports by name."""
        return asyncio.run(self.aapply(limit=limit, **options))

    async def aapply(
        self, *, limit: int = 4, observed_at: float | None = None, waypoints: Any = None, **settings: Any
    ) -> dict[str, ItemReport]:
        progress = ProgressLog("things", len(self.names), self.told.append, interval=0.0, clock=self.clock)
        self.applier = Applier(
            self.run(limit),
            self.kind,
            ApplierSettings(**settings),
            waypoints=waypoints or {},
            on_ended=progress.add,
        )
        reports = await self.applier.apply(self.transitions(), observed_at=observed_at)
        assert [report.resource for report in reports] == [thing(name) for name in self.names]
        return {report.resource.name: report for report in reports}

    def run(self, limit: int) -> RunContext:
        """The run of one attempt."""
        return RunContext(
            self.server.send,
            lambda _: None,
            concurrency=limit,
            clock=self.clock,
            sleep=self.sleep,
            random=lambda: 1.0,
        )

    def transitions(self) -> list[Transition[State]]:
        return [
            replace(transition(name, self.before, self.after), read_at=self.read_at.get(name))
            for name in self.names
        ]

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.clock.now += self.wait

    def state(self, name: str) -> State:
        return self.server.things[thing(name)]

    def foreign(self, name: str, **members: int) -> None:
        """Change a thing as a colleague would."""
        self.server.things[thing(name)] = {**self.state(name), **members}


def statuses(reports: dict[str, ItemReport]) -> dict[str, str]:
    return {name: report.status.value for name, report in reports.items()}


# ------------------------------------------------------------------------------------ plain runs


def test_everything_is_written_once_and_read_back_once() -> None:
    scene = Scene("abc")
    reports = scene.apply()
    assert statuses(reports) == dict.fromkeys("abc", "changed")
    assert scene.server.routes() == ["a+b+c"]
    assert scene.server.routes("GET") == ["a+b+c"]
    assert all(report.reason == "" and report.details == {} for report in reports.values())


def test_without_verification_the_answers_own_state_is_checked() -> None:
    scene = Scene("abc")
    assert statuses(scene.apply(verify=False)) == dict.fromkeys("abc", "changed")
    assert scene.server.counts() == {"PATCH": 1}


def test_without_verification_an_answer_that_shows_another_state_is_a_failure() -> None:
    def ignoring(server: ThingServer, call: ApiRequest[Any]) -> Any:
        return {thing("a"): {"x": 0}}

    scene = Scene("a", {0: ignoring})
    report = scene.apply(verify=False)["a"]
    assert report.status is Status.FAILED
    assert "differs in: x" in report.reason


def test_without_verification_an_answer_without_a_state_is_read_back() -> None:
    def silent(server: ThingServer, call: ApiRequest[Any]) -> Any:
        return dict.fromkeys(server.answer(call))

    scene = Scene("a", {0: silent})
    assert statuses(scene.apply(verify=False)) == {"a": "changed"}
    assert scene.server.counts() == {"PATCH": 1, "GET": 1}


def test_no_more_lanes_than_the_limit_are_in_flight() -> None:
    scene = Scene([f"t{number}" for number in range(30)], kind=ThingKind(batch_size=1))
    scene.apply(limit=3)
    assert scene.server.most_in_flight == 3


def test_the_steps_of_a_lane_keep_their_order() -> None:
    scene = Scene("ab", kind=ThingKind(stepwise=True), members="xyz")
    assert statuses(scene.apply()) == dict.fromkeys("ab", "changed")
    for name in "ab":
        writes = [c.operation for c in scene.server.calls if c.method == "PATCH" and c.route == f"/{name}"]
        assert writes == [f"{WRITE} ({member})" for member in "xyz"]
        assert scene.state(name) == scene.after


def test_nothing_to_bring_sends_nothing() -> None:
    scene = Scene("")
    assert scene.apply() == {}
    assert scene.server.calls == []


def test_a_read_that_differs_afterwards_is_a_failure_that_names_the_keys() -> None:
    def stale(server: ThingServer, call: ApiRequest[Any]) -> Any:
        return {**server.answer(call), thing("b"): {"x": 7}}

    scene = Scene("ab", {1: stale})
    reports = scene.apply()
    assert statuses(reports) == {"a": "changed", "b": "failed"}
    assert reports["b"].reason == (
        f"the platform accepted the write, but reading it back differs in: x. Applied before that: {WRITE}."
    )
    assert reports["b"].details == {"applied": [WRITE]}
    assert not reports["b"].permanent


# ------------------------------------------------------------------------------ refused and vital


def test_a_failed_vital_step_stops_the_lane_and_says_what_was_applied() -> None:
    refused = BadRequest("not that", operation=f"{WRITE} (y)", status=400)
    scene = Scene("a", {1: refused}, ThingKind(stepwise=True), members="xyz")
    report = scene.apply()["a"]
    assert (report.status, report.permanent) == (Status.FAILED, True)
    assert report.reason.endswith(f"Applied before that: {WRITE} (x).")
    assert report.details == {"applied": [f"{WRITE} (x)"]}
    assert len(scene.server.routes()) == 2
    assert scene.state("a") == {"x": 1, "y": 0, "z": 0, "other": 0}


def test_a_failed_canary_skips_the_rest_of_its_lane_and_writes_none_of_it() -> None:
    scene = Scene("abcd", {0: BadRequest("no such voice", status=400)}, ThingKind(canary=True))
    reports = scene.apply()
    assert statuses(reports) == {"a": "failed", "b": "skipped", "c": "skipped", "d": "skipped"}
    assert scene.server.routes() == ["a"]
    assert reports["b"].reason.startswith("not attempted, because shop/a failed: no such voice")


def test_an_item_that_the_platform_refuses_fails_alone() -> None:
    def picky(server: ThingServer, call: ApiRequest[Any]) -> Any:
        answer = server.answer(call)
        server.things[thing("b")] = scene.before
        return {**answer, thing("b"): "no such variant"}

    scene = Scene("abc", {0: picky})
    reports = scene.apply()
    assert statuses(reports) == {"a": "changed", "b": "failed", "c": "changed"}
    assert reports["b"].reason == f"{WRITE}: no such variant {NOT_CHANGED}"
    assert scene.server.routes("GET") == ["a+c"]


@pytest.mark.parametrize(("offender", "writes"), [("a", 7), ("h", 7), ("d", 7)])
def test_a_refused_batch_is_halved_down_to_its_offender(offender: str, writes: int) -> None:
    scene = Scene("abcdefgh", always=refusing(offender))
    reports = scene.apply()
    assert statuses(reports) == {name: "failed" if name == offender else "changed" for name in scene.names}
    assert reports[offender].permanent
    assert reports[offender].reason.startswith(f"{WRITE}: no such setting")
    assert reports[offender].reason.endswith(NOT_CHANGED)
    assert len(scene.server.routes()) == writes == 1 + 2 * 3
    assert [name for name in scene.names if scene.state(name) == scene.before] == [offender]


def test_two_offenders_in_different_halves_are_both_found() -> None:
    scene = Scene("abcdefgh", always=refusing("a", "h"))
    reports = scene.apply()
    assert [name for name, report in reports.items() if report.status is Status.FAILED] == ["a", "h"]


def test_what_a_refused_batch_applied_nevertheless_is_not_sent_again() -> None:
    def half_then_refused(server: ThingServer, call: ApiRequest[Any]) -> Any:
        server.things[thing("a")] = scene.after
        raise Conflict("one exists", status=409)

    scene = Scene("abc", {0: half_then_refused})
    assert statuses(scene.apply()) == dict.fromkeys("abc", "changed")
    assert scene.server.routes() == ["a+b+c", "b", "c"]


def test_a_single_thing_that_was_there_already_when_it_was_refused_counts_as_changed() -> None:
    def already_there(server: ThingServer, call: ApiRequest[Any]) -> Any:
        server.things[thing("a")] = scene.after
        raise Conflict("it exists", status=409)

    scene = Scene("a", {0: already_there}, ThingKind(splits_one=True))
    assert statuses(scene.apply()) == {"a": "changed"}
    assert len(scene.server.routes()) == 1


def test_a_single_thing_that_is_refused_is_not_sent_again() -> None:
    scene = Scene("a", always=refusing("a"), kind=ThingKind(splits_one=True))
    assert statuses(scene.apply()) == {"a": "failed"}
    assert len(scene.server.routes()) == 1


def test_a_right_that_the_key_lacks_is_not_looked_for_in_smaller_batches() -> None:
    scene = Scene("abcd", {0: Forbidden("not this agent", status=403)})
    reports = scene.apply()
    assert statuses(reports) == dict.fromkeys("abcd", "failed")
    assert all(report.permanent for report in reports.values())
    assert len(scene.server.calls) == 1


def test_a_refused_key_stops_everything_that_was_not_sent_yet() -> None:
    scene = Scene("abcdef", {1: Unauthorized("expired key", status=401)}, ThingKind(batch_size=1))
    reports = scene.apply(limit=1)
    assert statuses(reports) == {"a": "changed", **dict.fromkeys("bcdef", "failed")}
    assert scene.server.routes() == ["a", "b"]
    assert scene.server.routes("GET") == []
    assert all(r.permanent and r.reason.endswith(NOT_CHANGED) for r in list(reports.values())[1:])


def test_a_refused_key_stops_the_reads_as_well_and_the_report_says_what_was_not_read_back() -> None:
    scene = Scene("abc", {1: Unauthorized("expired key", status=401)}, ThingKind(batch_size=1))
    reports = scene.apply(limit=1)
    assert statuses(reports) == {"a": "changed", "b": "failed", "c": "failed"}
    assert "not read back" in reports["a"].reason
    assert len(scene.server.calls) == 2


def test_a_rate_limit_fails_without_a_second_write_and_carries_the_longest_wait() -> None:
    script = {
        0: RateLimited("slow down", status=429, retry_after=12.0),
        1: RateLimited("slow down", status=429, retry_after=30.0),
    }
    scene = Scene("abc", script, ThingKind(batch_size=1))
    reports = scene.apply(limit=1)
    assert statuses(reports) == {"a": "failed", "b": "failed", "c": "changed"}
    assert not reports["a"].permanent
    assert scene.applier is not None
    assert scene.applier.retry_after == 30.0


def test_a_rate_limit_that_starts_anew_much_later_stops_everything_else() -> None:
    script = {0: RateLimited("quota spent", status=429, retry_after=3600.0)}
    scene = Scene("abc", script, ThingKind(batch_size=1))
    assert statuses(scene.apply(limit=1)) == dict.fromkeys("abc", "failed")
    assert len(scene.server.calls) == 1
    assert scene.applier is not None
    assert scene.applier.retry_after == 3600.0


def test_no_wait_is_named_when_nothing_failed() -> None:
    scene = Scene("a")
    scene.apply()
    assert scene.applier is not None
    assert scene.applier.retry_after is None


# ------------------------------------------------------------------------------ unknown outcomes


def test_an_unknown_outcome_that_was_applied_is_read_back_and_not_written_again() -> None:
    scene = Scene("ab", {0: applied_and_lost})
    reports = scene.apply()
    assert statuses(reports) == dict.fromkeys("ab", "changed")
    assert scene.server.counts() == {"PATCH": 1, "GET": 1}
    assert "reading it back showed it applied" in reports["a"].reason


@pytest.mark.parametrize("fault", [lost, ServerError("failed", status=503), TransportError("reset")])
def test_an_unknown_outcome_that_was_not_applied_is_written_exactly_once_more(fault: Any) -> None:
    scene = Scene("ab", {0: fault})
    assert statuses(scene.apply()) == dict.fromkeys("ab", "changed")
    assert scene.server.routes() == ["a+b", "a+b"]


def test_only_what_was_not_applied_is_written_once_more() -> None:
    scene = Scene("abcd", {0: half_applied_and_lost})
    assert statuses(scene.apply()) == dict.fromkeys("abcd", "changed")
    assert scene.server.routes() == ["a+b+c+d", "c+d"]


def never(server: ThingServer, call: ApiRequest[Any]) -> Any:
    return lost(server, call) if call.method == "PATCH" else server.answer(call)


def test_what_stays_undone_after_the_fourth_write_fails() -> None:
    scene = Scene("a", always=never)
    report = scene.apply()["a"]
    assert (report.status, report.permanent) == (Status.FAILED, False)
    assert report.reason.endswith(f"Reading it back showed it not applied. {NOT_CHANGED}")
    assert scene.server.counts() == {"PATCH": 4, "GET": 4}
    assert scene.waits == [0.5, 1.0, 2.0]


def test_an_outage_is_not_multiplied() -> None:
    names = [f"thing {number}" for number in range(100)]
    scene = Scene(names, always=never, kind=ThingKind(stepwise=True))
    assert {report.status for report in scene.apply().values()} == {Status.FAILED}
    assert scene.server.counts()["PATCH"] == 100 + 100 + 20, "twice each, then as far as the budget goes"


def test_a_batch_takes_one_of_what_an_outage_is_granted() -> None:
    scene = Scene([f"thing {number}" for number in range(100)], always=never, kind=ThingKind(batch_size=50))
    scene.apply()
    assert scene.server.counts()["PATCH"] == 4 * 2


def test_the_rest_goes_on_when_a_first_write_in_doubt_turns_out_applied() -> None:
    scene = Scene("abc", {0: applied_and_lost}, ThingKind(canary=True))
    assert statuses(scene.apply()) == dict.fromkeys("abc", "changed")
    assert scene.server.routes() == ["a", "b+c"]


def test_the_rest_waits_for_a_first_write_that_has_to_be_sent_again() -> None:
    scene = Scene("abc", {0: lost}, ThingKind(canary=True))
    assert statuses(scene.apply()) == dict.fromkeys("abc", "changed")
    assert scene.server.routes() == ["a", "a", "b+c"]


def test_the_rest_is_left_alone_when_a_first_write_in_doubt_cannot_be_read_back() -> None:
    unreachable = TransportError("unreachable", operation="read things")
    scene = Scene("abc", {0: applied_and_lost, 1: unreachable}, ThingKind(canary=True))
    assert statuses(scene.apply()) == {"a": "unknown", "b": "skipped", "c": "skipped"}
    assert scene.server.routes() == ["a"]
    assert scene.told[-1].startswith("things: 3 of 3 done")


@pytest.mark.parametrize(("named", "writes"), [(30.0, 2), (60.0, 2), (61.0, 1)])
def test_a_wait_that_the_server_names_is_kept_before_writing_again(named: float, writes: int) -> None:
    busy = OutcomeUnknown("busy", operation="write things", retry_after=named)
    scene = Scene("a", {0: busy})
    report = scene.apply()["a"]
    assert scene.server.counts()["PATCH"] == writes
    assert scene.waits == ([named + 0.5] if writes == 2 else [])
    assert report.status is (Status.CHANGED if writes == 2 else Status.FAILED)
    assert scene.applier is not None
    assert scene.applier.retry_after == (None if writes == 2 else named)


def test_no_write_is_left_to_be_sent_again_blind() -> None:
    scene = Scene("abc", kind=RepeatableKind())
    scene.apply()
    replays = {call.method: call.replay for call in scene.server.calls}
    assert replays == {"PATCH": Replay.RECONCILE, "GET": Replay.SAFE}


def test_an_unknown_outcome_that_cannot_be_read_back_stays_unknown() -> None:
    scene = Scene("a", {0: applied_and_lost, 1: TransportError("unreachable", operation="read things")})
    report = scene.apply()["a"]
    assert report.status is Status.UNKNOWN
    assert "timed out" in report.reason
    assert "It could not be read: read things: unreachable" in report.reason
    assert len(scene.server.calls) == 2


def test_an_item_that_the_answer_leaves_out_is_read_back() -> None:
    scene = Scene("abc", {0: forgetful})
    reports = scene.apply()
    assert statuses(reports) == dict.fromkeys("abc", "changed")
    assert scene.server.routes() == ["a+b+c"]
    assert scene.server.routes("GET") == ["a+b", "c"]


def test_a_lane_goes_on_after_a_step_of_unknown_outcome() -> None:
    scene = Scene("a", {0: applied_and_lost}, ThingKind(stepwise=True), members="xy")
    assert statuses(scene.apply()) == {"a": "changed"}
    assert [call.operation for call in scene.server.calls if call.method == "PATCH"] == [
        f"{WRITE} (x)",
        f"{WRITE} (y)",
    ]


def test_a_step_that_turned_out_applied_is_told_when_a_later_one_fails() -> None:
    script = {0: applied_and_lost, 2: BadRequest("not that", status=400)}
    scene = Scene("a", script, ThingKind(stepwise=True), members="xy")
    report = scene.apply()["a"]
    assert report.status is Status.FAILED
    assert report.details == {"applied": [f"{WRITE} (x)"]}
    assert report.reason.endswith(f"Applied before that: {WRITE} (x).")
    assert scene.state("a") == {"x": 1, "y": 0, "other": 0}


def test_a_later_step_in_doubt_is_not_told_as_applied_when_it_was_not() -> None:
    script = {1: lost, 3: BadRequest("not that", status=400)}
    scene = Scene("a", script, ThingKind(stepwise=True), members="xy")
    report = scene.apply()["a"]
    assert report.details == {"applied": [f"{WRITE} (x)"]}


def test_a_change_by_somebody_else_is_not_overwritten_by_the_second_write() -> None:
    def colleague(server: ThingServer, call: ApiRequest[Any]) -> Any:
        scene.foreign("a", other=9)
        return lost(server, call)

    scene = Scene("ab", {0: colleague})
    reports = scene.apply()
    assert statuses(reports) == {"a": "failed", "b": "changed"}
    assert scene.state("a") == {"x": 0, "other": 9}
    assert "something else changed it meanwhile (other)" in reports["a"].reason
    assert reports["a"].reason.endswith(NOT_CHANGED)


def test_what_vanished_after_an_unknown_outcome_is_not_made_anew() -> None:
    def removed(server: ThingServer, call: ApiRequest[Any]) -> Any:
        del server.things[thing("a")]
        return lost(server, call)

    scene = Scene("a", {0: removed})
    report = scene.apply()["a"]
    assert report.status is Status.FAILED
    assert report.reason.endswith(NOT_CHANGED)
    assert scene.server.counts() == {"PATCH": 1, "GET": 1}


def test_a_change_by_somebody_else_does_not_hide_that_the_write_was_applied() -> None:
    def colleague(server: ThingServer, call: ApiRequest[Any]) -> Any:
        scene.foreign("a", other=9)
        return applied_and_lost(server, call)

    scene = Scene("a", {0: colleague})
    assert statuses(scene.apply()) == {"a": "changed"}
    assert scene.state("a") == {"x": 1, "other": 9}


# ------------------------------------------------------------------------------- stale snapshots


def test_a_young_snapshot_is_not_read_again() -> None:
    scene = Scene("a")
    scene.clock.now = 9.9
    scene.apply(max_snapshot_age=10.0, observed_at=0.0)
    assert [call.method for call in scene.server.calls] == ["PATCH", "GET"]


def test_each_thing_is_as_old_as_its_own_reading() -> None:
    scene = Scene("ab", kind=ThingKind(batch_size=1))
    scene.read_at = {"b": 5.0}
    scene.clock.now = 12.0
    assert statuses(scene.apply(max_snapshot_age=10.0, observed_at=0.0, limit=1)) == dict.fromkeys(
        "ab", "changed"
    )
    assert [f"{call.method} {call.route}" for call in scene.server.calls[:3]] == [
        "GET /a",
        "PATCH /a",
        "PATCH /b",
    ]


def test_what_was_read_back_counts_as_read_then() -> None:
    scene = Scene("a", {0: lost}, kind=ThingKind(batch_size=1))
    scene.clock.now = 9.0
    scene.wait = 2.0
    assert statuses(scene.apply(max_snapshot_age=10.0, observed_at=0.0)) == {"a": "changed"}
    assert [call.method for call in scene.server.calls] == ["PATCH", "GET", "PATCH", "GET"]


def test_an_old_snapshot_is_read_again_right_before_the_write() -> None:
    scene = Scene("ab")
    scene.clock.now = 10.0
    assert statuses(scene.apply(max_snapshot_age=10.0, observed_at=0.0)) == dict.fromkeys("ab", "changed")
    assert [call.method for call in scene.server.calls] == ["GET", "PATCH", "GET"]


def test_age_zero_always_reads_and_none_never_does() -> None:
    always, never = Scene("a"), Scene("a")
    always.apply(max_snapshot_age=0.0, verify=False)
    never.clock.now = 1e9
    never.apply(max_snapshot_age=None, verify=False, observed_at=0.0)
    assert always.server.counts() == {"GET": 1, "PATCH": 1}
    assert never.server.counts() == {"PATCH": 1}


def test_what_moved_since_the_snapshot_fails_naming_the_keys_and_is_not_written() -> None:
    scene = Scene("ab")
    scene.foreign("b", other=9)
    reports = scene.apply(max_snapshot_age=0.0)
    assert statuses(reports) == {"a": "changed", "b": "failed"}
    assert scene.server.routes() == ["a"]
    assert reports["b"].reason == (
        f"it changed after it was planned (other); run again to plan afresh. {NOT_CHANGED}"
    )
    assert scene.state("b") == {"x": 0, "other": 9}


def test_what_became_as_planned_since_the_snapshot_is_unchanged_and_not_written() -> None:
    scene = Scene("ab")
    scene.foreign("b", x=1)
    reports = scene.apply(max_snapshot_age=0.0)
    assert statuses(reports) == {"a": "changed", "b": "unchanged"}
    assert scene.server.routes() == ["a"]


def test_what_is_as_planned_but_was_changed_elsewhere_as_well_has_moved() -> None:
    scene = Scene("a")
    scene.foreign("a", x=1, other=9)
    report = scene.apply(max_snapshot_age=0.0)["a"]
    assert report.status is Status.FAILED
    assert report.reason.startswith("it changed after it was planned (other, x)")
    assert scene.server.routes() == []


def test_what_vanished_since_the_snapshot_has_moved() -> None:
    scene = Scene("a")
    del scene.server.things[thing("a")]
    assert statuses(scene.apply(max_snapshot_age=0.0)) == {"a": "failed"}
    assert scene.server.routes() == []


def test_of_a_half_done_lane_only_the_rest_is_written() -> None:
    scene = Scene("a", kind=ThingKind(stepwise=True), members="xyz")
    scene.foreign("a", x=1)
    assert statuses(scene.apply(max_snapshot_age=0.0)) == {"a": "changed"}
    assert [call.operation for call in scene.server.calls if call.method == "PATCH"] == [
        f"{WRITE} (y)",
        f"{WRITE} (z)",
    ]


def test_what_cannot_be_read_right_before_the_write_fails_and_is_not_written() -> None:
    scene = Scene("ab", {0: ServerError("down", status=503)}, ThingKind(batch_size=1))
    reports = scene.apply(max_snapshot_age=0.0, limit=1)
    assert statuses(reports) == {"a": "failed", "b": "changed"}
    assert reports["a"].reason.startswith("It could not be read right before writing: down")
    assert reports["a"].reason.endswith(NOT_CHANGED)
    assert not reports["a"].permanent
    assert scene.server.routes() == ["b"]


def test_a_key_refused_while_reading_stops_everything() -> None:
    script = {0: Unauthorized("expired key", status=401)}
    scene = Scene("abc", script, ThingKind(batch_size=1))
    assert statuses(scene.apply(max_snapshot_age=0.0, limit=1)) == dict.fromkeys("abc", "failed")
    assert len(scene.server.calls) == 1


# -------------------------------------------------------------------------- progress, unexpected


@pytest.mark.parametrize("fault", [None, lost, applied_and_lost, forgetful, half_applied_and_lost])
def test_progress_counts_each_thing_once(fault: Fault | None) -> None:
    scene = Scene("abcd", {0: fault} if fault else {})
    scene.apply()
    assert scene.told[-1] == "things: 4 of 4 done (4 changed)"
    assert len(scene.told) == 4


def test_an_unexpected_error_is_not_swallowed() -> None:
    def broken(server: ThingServer, call: ApiRequest[Any]) -> Any:
        raise LookupError("a bug")

    with pytest.raises(LookupError, match="a bug"):
        Scene("a", {0: broken}).apply()


# ------------------------------------------------------------------------------- whatever happens


def colleague_and_lost(server: ThingServer, call: ApiRequest[Any]) -> Any:
    _meddle(server, call)
    return lost(server, call)


def colleague_and_applied_and_lost(server: ThingServer, call: ApiRequest[Any]) -> Any:
    _meddle(server, call)
    return applied_and_lost(server, call)


def _meddle(server: ThingServer, call: ApiRequest[Any]) -> None:
    first = (call.body or {})["things"][0][0]
    state = server.things[first]
    server.things[first] = {**state, "other": state["other"] + 1}
    MEDDLED.add(first.name)


def item_refused(server: ThingServer, call: ApiRequest[Any]) -> Any:
    if call.method == "GET":
        return server.answer(call)
    first = (call.body or {})["things"][0][0]
    kept = server.things[first]
    answer = server.answer(call)
    server.things[first] = kept
    return {**answer, first: "refused"}


MEDDLED: set[str] = set()
FAULTS = st.sampled_from(
    [
        None,
        None,
        None,
        lost,
        applied_and_lost,
        half_applied_and_lost,
        forgetful,
        item_refused,
        colleague_and_lost,
        colleague_and_applied_and_lost,
        BadRequest("bad", status=400),
        Forbidden("no", status=403),
        Unauthorized("no key", status=401),
        RateLimited("slow", status=429, retry_after=5.0),
        RateLimited("spent", status=429, retry_after=500.0),
        ServerError("down", status=503),
        TransportError("reset"),
    ]
)
CAREFUL: dict[str, Any] = {"verify": True, "max_snapshot_age": None, "limit": 1}
KINDS = st.builds(ThingKind, st.integers(1, 4), st.booleans(), st.booleans(), st.booleans())


@bounded(600)
@given(
    st.integers(1, 6),
    KINDS,
    st.lists(FAULTS, max_size=12),
    st.fixed_dictionaries(
        {
            "verify": st.booleans(),
            "max_snapshot_age": st.sampled_from([None, 0.0]),
            "limit": st.integers(1, 3),
        }
    ),
)
@example(1, ThingKind(stepwise=True), [applied_and_lost, None, lost, None, lost], CAREFUL)
@example(2, ThingKind(batch_size=2), [colleague_and_lost], CAREFUL)
@example(
    4, ThingKind(1, stepwise=True), [None, None, lost, *[None] * 4, forgetful], {**CAREFUL, "verify": False}
)
def test_the_report_is_always_true(
    size: int, kind: ThingKind, faults: list[Any], manner: dict[str, Any]
) -> None:
    MEDDLED.clear()
    scene = Scene("abcdef"[:size], dict(enumerate(faults)), kind, members="xy")
    reports = scene.apply(**manner)
    assert len(reports) == size
    for name, report in reports.items():
        check(scene, name, report)
    assert scene.told[-1].startswith(f"things: {size} of {size} done")


def check(scene: Scene, name: str, report: ItemReport) -> None:
    """Hold one report against what the server holds."""
    own = {member: scene.state(name)[member] for member in "xy"}
    if report.status in (Status.CHANGED, Status.UNCHANGED):
        assert own == {"x": 1, "y": 1}
    elif report.status is Status.SKIPPED or report.reason.endswith(NOT_CHANGED):
        assert own == {"x": 0, "y": 0}
    elif report.status is Status.FAILED:
        assert "Applied before that" in report.reason
        assert own != {"x": 0, "y": 0}
    else:
        assert report.status is Status.UNKNOWN
        assert "It could not be read" in report.reason
    # Nobody else's change is ever undone.
    assert (scene.state(name)["other"] > 0) == (name in MEDDLED)


@bounded(200)
@given(st.integers(1, 6), KINDS, st.lists(FAULTS, max_size=8))
def test_running_again_until_nothing_fails_ends_as_planned(
    size: int, kind: ThingKind, faults: list[Any]
) -> None:
    MEDDLED.clear()
    scene = Scene("abcdef"[:size], dict(enumerate(faults)), kind, members="xy")
    scene.apply()
    for _ in range(4):
        again = [
            Transition(thing(name), scene.state(name), {**scene.state(name), "x": 1, "y": 1})
            for name in scene.names
            if (scene.state(name)["x"], scene.state(name)["y"]) != (1, 1)
        ]
        scene.server.script = {}
        reports = asyncio.run(Applier(scene.run(2), kind).apply(again))
        assert all(report.status is Status.CHANGED for report in reports)
    assert all((scene.state(name)["x"], scene.state(name)["y"]) == (1, 1) for name in scene.names)


# --------------------------------------------------------------- read again, and what the caller admits


def apply_moved(now: State, *waypoints: State) -> tuple[Scene, ItemReport]:
    """Plan one thing, let it become something else, and carry it out reading it again."""
    scene = Scene("a", members="xy")
    scene.foreign("a", **now)
    digests = [scene.kind.digest({**scene.before, **each}) for each in waypoints]
    report = scene.apply(max_snapshot_age=0.0, waypoints={thing("a"): digests})["a"]
    return scene, report


def test_a_thing_that_stands_where_the_caller_admits_it_is_written_from_there() -> None:
    scene, report = apply_moved({"other": 4, "x": 1}, {"other": 3}, {"other": 4, "x": 1})
    assert report.status is Status.CHANGED
    assert scene.state("a") == {"x": 1, "y": 1, "other": 0}
    (write,) = [call for call in scene.server.calls if call.method == "PATCH"]
    assert write.body == {"things": [(thing("a"), {"y": 1, "other": 0})]}


@pytest.mark.parametrize("waypoints", [(), ({"other": 3},)])
def test_a_thing_that_stands_elsewhere_is_not_written(waypoints: Sequence[State]) -> None:
    scene, report = apply_moved({"other": 4}, *waypoints)
    assert report.status is Status.FAILED
    assert "it changed after it was planned (other)" in report.reason
    assert scene.server.routes() == []


def test_what_the_caller_admits_for_one_thing_is_not_admitted_for_another() -> None:
    scene = Scene("ab")
    for name in "ab":
        scene.foreign(name, other=4)
    admitted = {thing("a"): [scene.kind.digest(scene.state("a"))]}
    reports = scene.apply(max_snapshot_age=0.0, waypoints=admitted)
    assert statuses(reports) == {"a": "changed", "b": "failed"}


def test_a_refusal_that_all_further_calls_would_meet_is_known_afterwards() -> None:
    for failure, known in (
        (Unauthorized("expired key", status=401), True),
        (RateLimited("spent", status=429, retry_after=3600.0), True),
        (RateLimited("slow", status=429, retry_after=5.0), False),
        (Forbidden("not this agent", status=403), False),
    ):
        scene = Scene("a", {0: failure})
        scene.apply()
        assert scene.applier is not None
        assert (scene.applier.refused is failure) is known
        assert scene.applier.refused is None or known
