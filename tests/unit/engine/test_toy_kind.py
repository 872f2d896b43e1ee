"""Every guarantee of ``engine.apply``, shown with a made-up system of lights and real files of state."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest
from msgspec.structs import replace

from airflow_voice_agents.engine.rollout import foreseen
from airflow_voice_agents.engine.run_context import RunContext
from airflow_voice_agents.plans.guards import GuardContext, Overrides
from airflow_voice_agents.plans.kind import (
    Resource,
    Transition,
    WouldWaitError,
    WriteSequence,
    must_not_wait,
)
from airflow_voice_agents.plans.limits import ChangeLimit, FailureLimit, Waves
from airflow_voice_agents.plans.plan import PlannedItem, change, error, no_change, warning
from airflow_voice_agents.plans.report import Report, Status
from airflow_voice_agents.state import rollback_blocks
from airflow_voice_agents.state.locks import LockOwner, hold_lock
from airflow_voice_agents.transport.api_request import ApiRequest
from airflow_voice_agents.transport.errors import (
    BadRequest,
    GuardRefused,
    InputError,
    OutcomeUnknown,
    ResponseError,
    ServerError,
    StateMoved,
    TargetLocked,
    TransportError,
)
from support.kill_switch import Killed
from support.toy import (
    House,
    LightKind,
    Policy,
    RestoreLights,
    RestoreTogether,
    SetLights,
    SetLightsByItem,
    light,
    locked_names,
    refusing,
)

OTHER = LockOwner("other", "run 9", "task")
ONCE = LightKind(repeatable=False)
CONSENT = GuardContext(Overrides(confirm_live=True))


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path / "state", dict.fromkeys(("house/a", "house/b", "house/c", "house/d"), 0))


def levels(names: str = "abcd", level: int = 9, **options: Any) -> SetLights:
    return SetLights(levels={f"house/{name}": level for name in names}, **options)


def statuses(report: Report) -> str:
    counts = report.counts()
    assert sum(counts[status.value] for status in Status) == counts["total"] == len(report.items)
    return " ".join(item.status.value for item in report.items)


# --------------------------------------------------------------------------------- plan and approval


def test_targets_are_read_written_once_and_read_back(house: House) -> None:
    report = house.apply(levels("ab"))
    assert statuses(report) == "changed changed"
    assert house.written == ["house/a", "house/b"]
    assert house.reads == ["house/a,house/b", "house/a", "house/b"]
    assert (house.level("house/a"), house.level("house/b")) == (9, 9)
    assert list(locked_names(house)) == []


def test_a_second_run_writes_nothing(house: House) -> None:
    house.apply(levels())
    house.again()
    assert statuses(house.apply(levels())) == "unchanged unchanged unchanged unchanged"
    assert house.written == []


def test_a_dry_run_writes_nothing_and_locks_nothing(house: House) -> None:
    with hold_lock(["house/a"], OTHER, house.locks, log=print):
        report = house.apply(levels("ab"), Policy(dry_run=True))
    assert (report.dry_run, statuses(report)) == (True, "changed changed")
    assert report.items[0].reason == "would change with 1 request(s)"
    assert house.written == house.published == []
    assert house.store.values == {}


def test_an_error_in_the_plan_stops_every_write(house: House) -> None:
    action = levels("ab", live=None)
    action = dataclasses.replace(action, levels={**action.levels, "house/live": 9})
    report = house.apply(action)
    assert (report.refused, statuses(report)) == (True, "skipped skipped failed")
    assert report.items[0].reason == "not attempted, because the plan has errors"
    assert "confirm_live" in report.items[2].reason
    assert house.written == []


def test_the_expected_digest_is_held_to(house: House) -> None:
    digest = house.apply(levels("ab"), Policy(dry_run=True)).plan_digest
    house.set(light("house/b"), 3)
    with pytest.raises(StateMoved, match="is not the one expected"):
        house.apply(levels("ab"), Policy(expected_digest=digest))
    assert house.written == []
    house.set(light("house/b"), 0)
    assert house.apply(levels("ab"), Policy(expected_digest=digest)).plan_digest == digest


def test_a_half_applied_plan_is_the_expected_one_in_the_next_try(house: House) -> None:
    action = levels("ab", kind=LightKind(steps=2))
    digest = house.apply(action, Policy(dry_run=True)).plan_digest
    house.again(faults={2: BadRequest("no", status=400)})
    assert statuses(house.apply(action, Policy(expected_digest=digest))) == "failed skipped"
    assert house.level("house/a") == 50
    house.again()
    assert statuses(house.apply(action, Policy(expected_digest=digest))) == "changed changed"
    house.again()
    assert house.apply(action, Policy(expected_digest=digest)).complete
    house.set(light("house/b"), 4)
    with pytest.raises(StateMoved, match="house/b changed since"):
        house.apply(action, Policy(expected_digest=digest))


# -------------------------------------------------------------------------------------------- locks


@pytest.mark.parametrize("theirs", ["house/a", "house/*"])
def test_a_second_run_in_progress_is_waited_out(house: House, theirs: str) -> None:
    with hold_lock([theirs], OTHER, house.locks, log=print), pytest.raises(TargetLocked, match="DAG other"):
        house.apply(levels("ab"))
    assert house.requests == []
    assert house.apply(levels("ab")).complete


def test_a_second_run_on_another_target_is_not_in_the_way(house: House) -> None:
    with hold_lock(["house/c", "other/*"], OTHER, house.locks, log=print):
        assert house.apply(levels("ab")).complete


def test_a_lock_on_all_targets_is_narrowed_to_the_planned_ones_before_a_write(house: House) -> None:
    seen: list[tuple[str, list[str]]] = []

    def look(house: House, call: ApiRequest[Any]) -> Any:
        seen.append((call.method, sorted(locked_names(house))))
        return house.answer(call)

    house.always = look
    house.apply(levels("ab", locked=("house/*",)))
    assert seen[0] == ("GET", ["house/*"])
    assert {names for method, names in [(m, tuple(n)) for m, n in seen] if method == "PUT"} == {
        ("house/a", "house/b")
    }


def test_a_narrowed_lock_that_meets_another_run_stops_before_a_write(house: House) -> None:
    with (
        hold_lock(["house/b"], OTHER, house.locks, log=print),
        pytest.raises(TargetLocked, match=r"house/b is locked"),
    ):
        house.apply(levels("ab", locked=("house/a",)))
    assert house.written == []


def test_a_lock_that_is_lost_stops_the_rest(house: House) -> None:
    def steal(house: House, call: ApiRequest[Any]) -> Any:
        if call.method == "PUT":
            for path in (house.folder / "locks").glob("*.lock"):
                path.unlink()
        return house.answer(call)

    house.always = steal
    # the lock asks for the time of the machine: let it be due for renewal at once
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("airflow_voice_agents.state.locks.RENEWALS", 1e12)
        report = house.apply(levels("ab"))
    assert statuses(report) == "changed skipped"
    assert "is not this run's any more" in report.items[1].reason


# ---------------------------------------------------------------------------------------- spellings


@pytest.mark.parametrize("theirs", ["HOUSE/a", "HOUSE/*"])
def test_a_lock_under_another_spelling_is_found(house: House, theirs: str) -> None:
    action = levels("ab", aliases={"HOUSE": "house"})
    with (
        hold_lock([theirs], OTHER, house.locks, log=print),
        pytest.raises(TargetLocked, match="is locked by task task in run run 9"),
    ):
        house.apply(action)
    assert house.requests == []


def test_a_lock_on_a_name_that_only_looks_alike_is_not_in_the_way(house: House) -> None:
    with hold_lock(["HOUSE/a"], OTHER, house.locks, log=print):
        assert house.apply(levels("ab", aliases={"HOUSE": "another"})).complete


@pytest.mark.parametrize(("means", "locked"), [("house", True), ("another", False)])
def test_a_spelling_that_only_the_plan_brings_up_is_resolved(house: House, means: str, locked: bool) -> None:
    action = levels("ab", locked=("house/a",), aliases={"HOUSE": means})
    with hold_lock(["HOUSE/b"], OTHER, house.locks, log=print):
        if locked:
            with pytest.raises(TargetLocked, match="is locked by task task in run run 9"):
                house.apply(action)
        else:
            assert house.apply(action).complete
    assert bool(house.written) is not locked


def test_a_rollback_block_under_another_spelling_is_found(house: House) -> None:
    house.apply(levels("a"))
    house.apply(house.restore())
    (path,) = (house.folder / "holds").iterdir()
    blocks = rollback_blocks.read(str(house.folder), ["house/a"])
    path.unlink()
    held = blocks["house/a"]
    digests = {key.replace("house", "HOUSE"): value for key, value in held.digests.items()}
    rollback_blocks.place(str(house.folder), replace(held, target="HOUSE/a", digests=digests))
    house.again()

    report = house.apply(levels("a", aliases={"HOUSE": "house"}))
    assert (report.refused, house.written) == (True, [])
    assert "is on hold" in report.items[0].reason
    assert house.apply(levels("a", aliases={"HOUSE": "another"})).complete


def test_a_name_that_nobody_can_resolve_refuses_the_run(house: House) -> None:
    with (
        hold_lock(["HOUSE/a"], OTHER, house.locks, log=print),
        pytest.raises(GuardRefused, match="cannot be told"),
    ):
        house.apply(levels("ab"))
    assert house.requests == []
    assert list(locked_names(house)) == []


def test_one_target_in_two_spellings_is_refused(house: House) -> None:
    action = SetLights(levels={"house/a": 1, "HOUSE/a": 2}, aliases={"HOUSE": "house"})
    with pytest.raises(InputError, match="are the same target; name it once"):
        house.apply(action)
    assert house.requests == []


def test_the_first_try_is_looked_up_once_however_many_targets_there_are(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    recall = RunContext.recall
    monkeypatch.setattr(RunContext, "recall", lambda run, key: asked.append(key) or recall(run, key))
    house.apply(levels("a", kind=ONCE))
    few = len(asked)
    house.again()
    house.apply(levels("abcd", kind=ONCE))
    assert len(asked) == 2 * few


# ------------------------------------------------------------------------ snapshot, restore and hold


def test_a_restore_leads_back_and_holds_until_it_is_released(house: House) -> None:
    house.set(light("house/b"), 9)
    house.apply(levels("ab"))
    snapshot = house.published[-1]
    report = house.apply(house.restore())
    assert statuses(report) == "changed"  # b was not changed, so it is not in the snapshot
    assert (house.level("house/a"), house.level("house/b")) == (0, 9)

    house.again(owner=LockOwner("dag", "run 2", "task"))
    held = house.apply(levels("ab"))
    assert (held.refused, house.written) == (True, [])
    assert "house/a is on hold" in held.items[0].reason
    assert "it hummed" in held.items[0].reason
    assert statuses(house.apply(levels("a", 5))) == "changed"  # another state is let through

    assert rollback_blocks.release(str(house.folder), ["house/a"]) == ["house/a"]
    assert house.apply(levels("ab")).complete
    assert house.level("house/a") == 9
    assert Path(snapshot).exists()


def test_a_restore_leaves_newer_work_alone_unless_forced(house: House) -> None:
    house.apply(levels("a"))
    house.set(light("house/a"), 4)
    house.again()
    report = house.apply(house.restore())
    assert (report.refused, house.level("house/a")) == (True, 4)
    assert "somebody changed it since" in report.items[0].reason
    assert house.apply(house.restore(force=True)).complete
    assert house.level("house/a") == 0


FLEET = "abcdefghijklmnopqrstuvwxy"
ONLY_FIRST = Policy(failure_limit=FailureLimit.parse(0))


def test_a_partial_restore_leaves_the_one_that_was_edited_and_brings_all_others_back(tmp_path: Path) -> None:
    house = House(tmp_path / "state", {f"house/{each}": 0 for each in FLEET})
    house.apply(levels(FLEET))
    house.set(light("house/c"), 4)
    house.again()

    report = house.apply(house.restore(allow_partial=True), ONLY_FIRST)

    ended = {item.resource.name: item for item in report.items}
    assert ended["c"].status is Status.FAILED
    assert ended["c"].permanent
    assert ended["c"].details["finding"] == "newer_work"
    assert {ended[each].status for each in FLEET if each != "c"} == {Status.CHANGED}
    assert [house.level(f"house/{each}") for each in FLEET] == [4 if each == "c" else 0 for each in FLEET]
    held = rollback_blocks.read(str(house.folder), [f"house/{each}" for each in FLEET])
    assert sorted(held) == [f"house/{each}" for each in FLEET if each != "c"]


def test_a_partial_restore_can_be_finished_by_force(house: House) -> None:
    house.apply(levels("ab"))
    house.set(light("house/a"), 4)
    house.again()
    restore = house.restore(allow_partial=True)
    assert not house.apply(restore).complete
    writes = len(house.written)

    forced = house.apply(dataclasses.replace(restore, force=True))

    assert forced.complete
    assert len(house.written) == writes + 1
    assert (house.level("house/a"), house.level("house/b")) == (0, 0)
    assert sorted(rollback_blocks.read(str(house.folder), ["house/a", "house/b"])) == ["house/a", "house/b"]


def test_an_edit_during_a_partial_restore_stops_no_other_target(house: House) -> None:
    house.apply(levels("abc"))
    house.again()

    def edit(there: House, call: ApiRequest[Any]) -> Any:
        """Somebody edits the first light when it is read again right before its write."""
        if len(there.requests) == 2:
            there.set(light("house/a"), 4)
        return there.answer(call)

    house.always = edit
    policy = replace(ONLY_FIRST, max_snapshot_age=0.0)
    report = house.apply(house.restore(allow_partial=True), policy)

    assert [item.status.value for item in report.items] == ["failed", "changed", "changed"]
    assert "it changed after it was planned" in report.items[0].reason
    assert house.level("house/a") == 4


def test_work_that_a_retry_finds_is_left_by_a_partial_restore(house: House) -> None:
    house.apply(levels("ab", kind=ONCE))
    restore = house.restore(allow_partial=True, kind=ONCE)
    house.again(faults={1: ServerError("down", status=500)})
    assert statuses(house.apply(restore, Policy(failure_limit=None))) == "unknown changed"
    house.again()
    house.set(light("house/a"), 9)  # as the change left it, and yet somebody's newer write

    second = house.apply(restore)

    ended = {item.resource.name: item for item in second.items}
    assert ended["a"].status is Status.FAILED
    assert "after the first try of this task" in ended["a"].reason
    assert house.level("house/a") == 9
    assert house.level("house/b") == 0


@pytest.mark.parametrize("together", [False, True])
def test_what_depends_on_each_other_is_left_together(house: House, together: bool) -> None:
    house.apply(levels("abc"))
    restore = (RestoreTogether if together else RestoreLights)(
        **{name: getattr(house.restore(), name) for name in ("snapshot", "digest")}, allow_partial=True
    )
    items = (
        change(LightKind(), light("house/a"), {"level": 9}, {"level": 0}),
        no_change(LightKind(), light("house/b"), {"level": 0}),
        change(
            LightKind(), light("house/c"), {"level": 4}, {"level": 0}, findings=(error("no", "impossible"),)
        ),
    )

    found = restore.left_whole(items)

    assert [[each.code for each in item.refusals] for item in found] == [
        ["left_with_target"] if together else [],
        [],
        ["no"],
    ]
    assert not any(item.errors for item in found)
    left = restore.explain(found[0], foreseen(found[0]))
    assert left.status is (Status.SKIPPED if together else Status.UNCHANGED)


def test_the_snapshot_of_a_retry_leads_back_to_before_the_first_try(house: House) -> None:
    action = levels("ab", kind=LightKind(steps=2))
    house.faults = {2: BadRequest("no", status=400)}
    house.apply(action)
    assert house.level("house/a") == 50
    house.again()
    assert house.apply(action).complete
    assert house.apply(house.restore()).complete
    assert (house.level("house/a"), house.level("house/b")) == (0, 0)


# --------------------------------------------------------------------- consent, stop switch, freeze


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (GuardContext(), "confirm_live=True"),
        (replace(CONSENT, backfill=True), "allow_backfill=True"),
    ],
)
def test_live_needs_consent_and_a_backfill_needs_its_own(
    house: House, given: GuardContext, message: str
) -> None:
    house.given = given
    with pytest.raises(GuardRefused, match=message):
        house.apply(levels("a", live=True))
    assert house.requests == []
    assert statuses(house.apply(levels("a", live=True), Policy(dry_run=True))) == "changed"
    assert any("A run that writes would be refused" in line for line in house.said)


@pytest.mark.parametrize(
    "given", [CONSENT, GuardContext(Overrides(confirm_live=True, allow_backfill=True), backfill=True)]
)
def test_consent_lets_pass(house: House, given: GuardContext) -> None:
    house.given = given
    assert house.apply(levels("a", live=True)).complete


def test_a_freeze_refuses_and_an_override_is_on_record(house: House) -> None:
    house.frozen = (error("frozen", "Frozen until Monday."),)
    with pytest.raises(GuardRefused, match=r"Frozen until Monday\."):
        house.apply(levels("a"))
    assert house.requests == []
    house.frozen = (warning("frozen", "Frozen, overridden: the owner asked."),)
    assert house.apply(levels("a")).notes == ("Frozen, overridden: the owner asked.",)
    assert "set lights: Frozen, overridden: the owner asked." in house.said


@pytest.mark.parametrize("by_item", [False, True])
def test_the_stop_switch_ends_a_run_before_its_next_wave(house: House, by_item: bool) -> None:
    asked: list[int] = []
    house.stop = lambda: "Stopped by hand." if asked.append(1) or len(asked) > 1 else None
    action = levels("abcd")
    if by_item:
        action = SetLightsByItem(levels=action.levels)
    report = house.apply(action, Policy(waves=Waves.parse([1, "100%"])))
    assert statuses(report) == "changed skipped skipped skipped"
    assert (report.stopped, report.permanent_failure) == ("Stopped by hand.", True)
    assert house.written == ["house/a"]


# ---------------------------------------------------------------------------------- waves and limits


@pytest.mark.parametrize(("max_failures", "begun"), [(0, 1), (1, 3), ("50%", 4)])
@pytest.mark.parametrize("by_item", [False, True])
def test_too_many_failures_stop_the_rest(house: House, max_failures: Any, begun: int, by_item: bool) -> None:
    house.always = refusing("house/a", "house/c")
    action = levels("abcd")
    if by_item:
        action = SetLightsByItem(levels=action.levels)
    report = house.apply(action, Policy(failure_limit=FailureLimit.parse(max_failures)))
    assert statuses(report).split() == [
        *("failed", "changed", "failed", "changed")[:begun],
        *["skipped"] * (4 - begun),
    ]
    assert [
        item.reason for item in report.having(Status.SKIPPED) if "max_failures allows" not in item.reason
    ] == []


def test_without_a_limit_all_are_tried(house: House) -> None:
    house.always = refusing("house/a", "house/b", "house/c")
    assert statuses(house.apply(levels("abcd"), Policy(failure_limit=None))) == "failed failed failed changed"


@pytest.mark.parametrize("by_item", [False, True])
def test_a_change_limit_refuses_a_run_that_is_too_large(house: House, by_item: bool) -> None:
    action = levels("abcd")
    if by_item:
        action = SetLightsByItem(levels=action.levels)
    report = house.apply(action, Policy(change_limit=ChangeLimit.parse(3)))
    assert (report.refused, house.written) == (True, [])
    assert "4 of 4 target(s) would change, and max_changed allows 3" in report.items[0].reason
    assert house.apply(action, Policy(change_limit=ChangeLimit.parse("100%"))).complete


# ---------------------------------------------------------------------------------- unknown outcomes


def lost(house: House, call: ApiRequest[Any]) -> Any:
    raise OutcomeUnknown("timed out", operation=call.operation)


def applied_and_lost(house: House, call: ApiRequest[Any]) -> Any:
    house.answer(call)
    return lost(house, call)


def put_off(house: House, call: ApiRequest[Any]) -> Any:
    raise ServerError("busy", operation=call.operation, status=503, retry_after=7.0)


def not_sent(house: House, call: ApiRequest[Any]) -> Any:
    raise TransportError("no connection", operation=call.operation)


@pytest.mark.parametrize("kind", [LightKind(), ONCE])
def test_a_write_that_was_applied_and_lost_is_found_and_not_repeated(house: House, kind: LightKind) -> None:
    house.faults = {1: applied_and_lost}
    report = house.apply(levels("a", kind=kind))
    assert statuses(report) == "changed"
    assert "reading it back showed it applied" in report.items[0].reason
    assert house.written == ["house/a"]
    assert house.waits == []


def test_a_repeatable_write_that_was_lost_is_sent_again(house: House) -> None:
    house.faults = {1: lost}
    assert statuses(house.apply(levels("a"))) == "changed"
    assert house.written == ["house/a", "house/a"]


def test_a_write_that_must_not_be_repeated_ends_unknown(house: House) -> None:
    house.faults = {1: lost}
    report = house.apply(levels("a", kind=ONCE))
    assert statuses(report) == "unknown"
    assert "did not show it within 30 s" in report.items[0].reason
    assert house.written == ["house/a"]
    assert house.waits == [1.0, 2.0, 4.0, 8.0, 15.0]


def test_a_write_that_takes_effect_late_is_found_while_polling(house: House) -> None:
    def late(house: House, call: ApiRequest[Any]) -> Any:
        if len(house.requests) == 5:
            house.set(light("house/a"), 9)
        return house.answer(call) if call.method == "GET" else lost(house, call)

    house.always = late
    assert statuses(house.apply(levels("a", kind=ONCE))) == "changed"
    assert house.written == ["house/a"]
    assert house.waits == [1.0, 2.0]


@pytest.mark.parametrize("kind", [LightKind(), ONCE])
@pytest.mark.parametrize(("fault", "waits"), [(put_off, [7.0]), (not_sent, [])])
def test_a_write_that_certainly_was_not_applied_is_sent_again(
    house: House, kind: LightKind, fault: Any, waits: list[float]
) -> None:
    house.faults = {1: fault}
    assert statuses(house.apply(levels("a", kind=kind))) == "changed"
    assert house.written == ["house/a", "house/a"]
    assert [wait for wait in house.waits if wait >= 7] == waits


def test_a_revision_by_somebody_else_is_not_overwritten_in_a_retry(house: House) -> None:
    house.faults = {1: lost}
    assert statuses(house.apply(levels("a", kind=ONCE))) == "unknown"
    house.again()
    house.set(light("house/a"), 3)
    report = house.apply(levels("a", kind=ONCE))
    assert (report.refused, house.written, house.level("house/a")) == (True, [], 3)
    assert "was changed after the first try of this task read it" in report.items[0].reason


def test_a_retry_without_newer_work_writes(house: House) -> None:
    house.faults = {1: BadRequest("not now", status=400)}
    assert statuses(house.apply(levels("a", kind=ONCE))) == "failed"
    house.again()
    assert statuses(house.apply(levels("a", kind=ONCE))) == "changed"


# --------------------------------------------------------------------------------------------- reads


def test_an_answer_that_leaves_a_light_out_is_no_absence(house: House) -> None:
    def forgetful(house: House, call: ApiRequest[Any]) -> Any:
        answer = house.answer(call)
        answer.pop(light("house/b"))
        return answer

    house.faults = {0: forgetful}
    with pytest.raises(ResponseError, match="does not mention house/b") as caught:
        house.apply(levels("ab"))
    assert not caught.value.permanent
    assert house.written == []


def test_a_light_that_the_answer_calls_absent_is_made(house: House) -> None:
    assert statuses(house.apply(SetLights(levels={"house/new": 4}))) == "changed"
    assert house.level("house/new") == 4


def test_a_refused_batch_of_reads_is_cut_down_to_its_offender(house: House) -> None:
    def picky(house: House, call: ApiRequest[Any]) -> Any:
        if call.method == "GET" and "house/b" in call.path:
            raise BadRequest("no such light", operation=call.operation, status=400)
        return house.answer(call)

    house.always = picky
    report = house.apply(levels("abc"))
    assert (report.refused, house.written) == (True, [])
    assert statuses(report) == "skipped failed skipped"
    assert "house/b could not be read" in report.items[1].reason
    assert house.reads[0] == "house/a,house/b,house/c"
    assert {"house/a", "house/b", "house/c"} <= set(house.reads)


# ------------------------------------------------------------------------------------------- killed


@pytest.mark.parametrize("steps", [1, 2])
@pytest.mark.parametrize("by_item", [False, True])
def test_a_run_that_is_killed_at_any_moment_ends_the_same(tmp_path: Path, steps: int, by_item: bool) -> None:
    kind = LightKind(steps=steps)
    cls = SetLightsByItem if by_item else SetLights
    action = cls(levels=dict.fromkeys(("house/a", "house/b", "house/c"), 9), kind=kind)

    def made(name: str) -> House:
        return House(tmp_path / name, dict.fromkeys(action.levels, 0))

    whole = made("whole")
    digest = whole.apply(action, Policy(dry_run=True)).plan_digest
    whole.again()
    policy = Policy(expected_digest=digest, waves=Waves.parse([1, "100%"]))
    assert whole.apply(action, policy).complete
    for moment in range(1, whole.fuse.burnt + 1):
        there = made(str(moment))
        there.fuse.renew(moment)
        with pytest.raises(Killed):
            there.apply(action, policy)
        first = list(there.written)
        there.again()
        report = there.apply(action, policy)
        assert report.complete, moment
        assert [there.level(name) for name in action.levels] == [9, 9, 9]
        # a write that was sent and may not have arrived is the only one that may be repeated
        assert len(first) + len(there.written) - len(whole.written) in (0, 1), moment
        assert there.revision == whole.revision, moment
        if there.published:
            there.again(owner=LockOwner("dag", "back", "task"))
            there.apply(there.restore(kind=kind, force=True))
            assert {there.level(name) for name in action.levels} == {0}, moment


# --------------------------------------------------------------------------------- kinds that block


class OffLoop(LightKind):
    """Lights whose plans block, and so must not be made on an event loop."""

    blocking = True
    calls: ClassVar[list[str]] = []

    def plan(self, resource: Resource, desired: Any, now: Any) -> PlannedItem:
        self._note("plan")
        return super().plan(resource, desired, now)

    def restore(self, resource: Resource, wanted: Any, now: Any) -> PlannedItem:
        self._note("restore")
        return super().restore(resource, wanted, now)

    def write_sequences(self, transitions: Sequence[Transition[Any]]) -> Iterator[WriteSequence[Any]]:
        for each in transitions:
            self._note("write")
            yield from super().write_sequences([each])

    def _note(self, what: str) -> None:
        if must_not_wait.get():
            raise WouldWaitError
        with pytest.raises(RuntimeError, match="no running event loop"):
            asyncio.get_running_loop()
        self.calls.append(what)


@pytest.mark.parametrize("concurrency", [1, 4])
@pytest.mark.parametrize("age", [None, 0.0])
def test_plans_and_writes_of_a_kind_that_blocks_are_made_off_the_event_loop(
    house: House, concurrency: int, age: float | None
) -> None:
    OffLoop.calls.clear()
    action = levels(kind=OffLoop(batch_size=1))

    report = house.apply(action, Policy(max_snapshot_age=age), concurrency=concurrency)

    assert statuses(report) == "changed changed changed changed"
    assert OffLoop.calls.count("plan") == 4
    assert set(OffLoop.calls) == {"plan", "write"}


def test_a_kind_that_blocks_is_restored_off_the_event_loop(house: House) -> None:
    OffLoop.calls.clear()
    house.apply(levels("ab"))
    house.again()

    report = house.apply(house.restore(kind=OffLoop()))

    assert statuses(report) == "changed changed"
    assert OffLoop.calls.count("restore") == 2
