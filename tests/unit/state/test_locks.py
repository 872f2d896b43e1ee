"""Locks: never two at a time, whatever the order of their steps; and none that bars a target for good."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_voice_agents.state.locks import (
    DRIFT,
    PAUSES,
    SETTLE,
    TTL,
    Lock,
    LockFile,
    LockOwner,
    covers,
    hold_lock,
    overlap,
)
from airflow_voice_agents.transport.errors import InputError, TargetLocked, VoiceAgentsError
from support.interleaving import Stage, every_order
from support.json_values import bounded

HERE, THERE = "polyai:a/live", "polyai:b/live"
ONE, TWO, THREE = (LockOwner("dag", f"run {number}", "promote") for number in (1, 2, 3))
START = 1_800_000_000.0


@dataclass
class Clock:
    """A time that only passes when somebody sleeps."""

    now: float = START
    slept: list[float] = field(default_factory=list)

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@dataclass
class Cabinet:
    """A folder in memory; every look and every change is a step."""

    step: Callable[[], None] = lambda: None
    contents: dict[str, bytes] = field(default_factory=dict)

    def url(self, name: str) -> str:
        return f"cabinet://{name}"

    def names(self) -> list[str]:
        self.step()
        return sorted(self.contents)

    def read(self, name: str) -> bytes | None:
        self.step()
        return self.contents.get(name)

    def write(self, name: str, content: bytes) -> None:
        self.step()
        self.contents[name] = content

    def remove(self, name: str) -> None:
        self.step()
        self.contents.pop(name, None)


def lock(files: Any, holder: LockOwner, *targets: str, clock: Clock | None = None, **options: Any) -> Lock:
    time = clock or Clock()
    options = {"log": lambda _: None, "chance": lambda: 0.5, **options}
    return Lock(files, targets or (HERE,), holder, clock=time, sleep=time.sleep, **options)


def held(files: Any, holder: LockOwner, *targets: str, **options: Any) -> Lock:
    taken = lock(files, holder, *targets, **options)
    taken.acquire()
    return taken


# ------------------------------------------------------------------------------- every order of steps


class Contest:
    """Tries to take one lock, each with its holder, and who stands where."""

    def __init__(
        self,
        stage: Stage,
        *holders: LockOwner,
        kind: type[Lock] = Lock,
        renews: bool = False,
        patient: bool = False,
        looks: int = 1,
    ) -> None:
        self.cabinet = Cabinet(stage.step)
        self.inside: dict[str, Lock] = {}
        self.got: list[str] = []
        self.refused: list[str] = []
        self._stage, self._kind, self._renews = stage, kind, renews
        self._programs = {holder.run_id + str(holder.try_number): holder for holder in holders}
        self._starts = {name: Clock(START + place) for place, name in enumerate(self._programs)}
        self._pauses, self._sleep = (
            (PAUSES, stage.rest) if patient else (PAUSES[:looks], lambda _: stage.step())
        )

    def play(self) -> Contest:
        programs = {name: self._program(name, holder) for name, holder in self._programs.items()}
        self._stage.play(programs, self.watch)
        return self

    def _program(self, name: str, holder: LockOwner) -> Callable[[], None]:
        def program() -> None:
            own = self._kind(
                self.cabinet,
                (HERE,),
                holder,
                log=lambda _: None,
                clock=self._starts[name],
                sleep=self._sleep,
                pauses=self._pauses,
            )
            try:
                own.acquire()
                self.got.append(name)
                self.inside[name] = own
                if self._renews:
                    own.renew()
                else:
                    self._stage.step()
            except TargetLocked:
                self.refused.append(name)
            finally:
                self.inside.pop(name, None)
                own.release()

        return program

    def watch(self) -> None:
        assert len(self.inside) <= 1, "two hold the lock"


class Hasty(Lock):
    """A lock that looks first and writes then, as one must not."""

    def _try(self) -> LockFile | None:
        own = self._claim = self._draft()
        rivals, _ = self._look(own)
        if rivals:
            return rivals[0]
        self.files.write(own.file, own.content())
        return None


@pytest.mark.parametrize(
    "options",
    [{"looks": 1}, {"looks": 0, "renews": True}, {"patient": True, "renews": True}],
    ids=["no pause is long enough", "renewed, no pause is long enough", "renewed"],
)
def test_in_no_order_of_their_steps_do_two_runs_hold_one_lock(options: dict[str, Any]) -> None:
    ends: set[tuple[int, int]] = set()

    def play(stage: Stage) -> None:
        contest = Contest(stage, ONE, TWO, **options).play()
        ends.add((len(contest.got), len(contest.refused)))
        assert contest.cabinet.contents == {}

    orders = list(every_order(play))

    assert len(orders) == len(set(orders)) > 100
    assert {(1, 1), (2, 0)} <= ends
    if "patient" in options:  # and who has the lock does not lose it to one who only tries
        assert ends == {(1, 1), (2, 0)}
    else:
        assert (0, 2) in ends


@pytest.mark.parametrize("lowest", ["first", "last"])
def test_in_every_order_one_of_two_runs_gets_the_lock(lowest: str) -> None:
    """As long as a run that has to give way does so in the time that the other one waits."""
    holders = (ONE, TWO) if lowest == "first" else (TWO, ONE)
    ends: set[tuple[int, int]] = set()

    def play(stage: Stage) -> None:
        contest = Contest(stage, *holders, patient=True).play()
        ends.add((len(contest.got), len(contest.refused)))

    assert len(list(every_order(play))) > 100
    assert ends == {(1, 1), (2, 0)}


class Meek(Lock):
    """A lock that withdraws as soon as it sees another one, whoever came first."""

    def _contest(self, own: LockFile) -> tuple[list[LockFile], list[LockFile]]:
        return self._look(own)


def test_the_search_finds_two_runs_that_refuse_each_other() -> None:
    ends: set[int] = set()
    for _ in every_order(
        lambda stage: ends.add(len(Contest(stage, ONE, TWO, kind=Meek, patient=True).play().got))
    ):
        pass

    assert 0 in ends


@bounded(150)
@given(st.lists(st.integers(0, 4), max_size=120), st.permutations([1, 2, 3, 4, 5]))
def test_of_five_runs_one_gets_the_lock_and_never_two_hold_it(choices: list[int], order: list[int]) -> None:
    picks = iter(choices)

    def choose(names: Sequence[str]) -> int:
        return next(picks, 0) % len(names)

    holders = [LockOwner("dag", f"run {number}", "promote") for number in order]
    contest = Contest(Stage(choose), *holders, patient=True).play()

    assert contest.got
    assert contest.cabinet.contents == {}


def test_the_search_finds_a_lock_that_looks_before_it_writes() -> None:
    with pytest.raises(AssertionError, match="two hold the lock"):
        list(every_order(lambda stage: Contest(stage, ONE, TWO, kind=Hasty).play()))


def test_in_no_order_do_two_tries_of_one_task_both_think_that_the_lock_stands() -> None:
    class Takeover(Contest):
        def watch(self) -> None:
            files = self.cabinet.contents
            standing = [one for one in self.inside.values() if one._claim and one._claim.file in files]
            assert len(standing) <= 1

    earlier, later = ONE, LockOwner("dag", "run 1", "promote", try_number=2)

    def play(stage: Stage) -> None:
        contest = Takeover(stage, earlier, later).play()
        assert "run 12" in contest.got
        assert contest.cabinet.contents == {}

    assert len(list(every_order(play))) > 100


@bounded(150)
@given(st.lists(st.integers(0, 2), max_size=60), st.booleans())
def test_of_three_runs_never_two_hold_the_lock(choices: list[int], renews: bool) -> None:
    picks = iter(choices)

    def choose(names: Sequence[str]) -> int:
        return next(picks, 0) % len(names)

    contest = Contest(Stage(choose), ONE, TWO, THREE, renews=renews).play()

    assert contest.cabinet.contents == {}


def test_threads_that_wait_get_the_lock_one_after_the_other(tmp_path: Path) -> None:
    inside: list[int] = []
    most: list[int] = []

    def work(number: int) -> None:
        with hold_lock(
            [HERE],
            LockOwner("dag", f"run {number}", "promote"),
            tmp_path.as_uri(),
            wait=1.0,
            log=lambda _: None,
            clock=lambda: START,
            sleep=lambda _: threading.Event().wait(0.001) and None,
        ):
            inside.append(number)
            most.append(len(inside))
            inside.remove(number)

    threads = [threading.Thread(target=work, args=(number,), daemon=True) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert most == [1, 1, 1, 1]
    assert list(tmp_path.iterdir()) == []


# ---------------------------------------------------------------------------------- targets, messages


def test_a_lock_says_who_holds_it_since_when_until_when_and_what_to_do() -> None:
    cabinet = Cabinet()
    other = held(cabinet, LockOwner("nightly", "scheduled__1", "promote", 3, 2), HERE, THERE)

    with pytest.raises(TargetLocked) as caught:
        held(cabinet, ONE, THERE, "polyai:c/live", clock=Clock(START + 1))

    (name,) = cabinet.contents
    text = str(caught.value)
    assert "polyai:b/live is locked by task promote[3] in run scheduled__1 of DAG nightly (try 2)" in text
    assert "since 2027-01-15T08:00:00+00:00" in text
    assert "Nothing was written" in text
    assert "if it is dead already, its lock ends at 2027-01-15T08:04:30+00:00 (in 269 s)" in text
    assert f"for an earlier end remove the file cabinet://{name}" in text
    assert isinstance(caught.value, VoiceAgentsError)
    assert not caught.value.permanent
    assert other.still_mine()


def test_locks_on_different_targets_stand_side_by_side() -> None:
    cabinet = Cabinet()

    assert held(cabinet, ONE, HERE).still_mine()
    assert held(cabinet, TWO, THERE).still_mine()
    assert len(cabinet.contents) == 2


@bounded(100)
@given(st.sets(st.sampled_from("abcd"), min_size=1), st.sets(st.sampled_from("abcd"), min_size=1))
def test_two_locks_exclude_each_other_exactly_where_they_share_a_target(
    mine: set[str], theirs: set[str]
) -> None:
    cabinet = Cabinet()
    held(cabinet, ONE, *mine)
    own = lock(cabinet, TWO, *theirs)

    if mine & theirs:
        with pytest.raises(TargetLocked):
            own.acquire()
        assert len(cabinet.contents) == 1
    else:
        own.acquire()
        assert len(cabinet.contents) == 2


def test_the_file_says_what_people_need_and_nothing_else(tmp_path: Path) -> None:
    with hold_lock([THERE, HERE], ONE, tmp_path.as_uri(), log=print, clock=Clock()):
        (path,) = tmp_path.iterdir()
        told = json.loads(path.read_text())

    assert path.suffix == ".lock"
    assert told == {
        "version": 1,
        "holder": {
            "dag_id": "dag",
            "run_id": "run 1",
            "task_id": "promote",
            "map_index": -1,
            "try_number": 1,
        },
        "targets": [HERE, THERE],
        "acquired_at": "2027-01-15T08:00:00+00:00",
        "expires_at": "2027-01-15T08:02:00+00:00",
    }
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "options", [{"targets": []}, {"targets": [""]}, {"ttl": 0}, {"ttl": float("nan")}, {"wait": -1.0}]
)
def test_what_makes_no_lock_is_refused(tmp_path: Path, options: dict[str, Any]) -> None:
    usual: dict[str, Any] = {"targets": [HERE], "holder": ONE, "folder": tmp_path.as_uri(), "log": print}

    with pytest.raises(InputError), hold_lock(**{**usual, **options}):
        pass

    assert list(tmp_path.iterdir()) == []


def test_an_error_inside_gives_the_lock_back(tmp_path: Path) -> None:
    with pytest.raises(KeyError), hold_lock([HERE], ONE, tmp_path.as_uri(), log=print):
        raise KeyError

    assert list(tmp_path.iterdir()) == []


def test_locks_lie_in_the_state_folder_by_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__VOICE_AGENTS__STATE_FOLDER", tmp_path.as_uri())

    with hold_lock([HERE], ONE, log=print):
        assert [path.suffix for path in (tmp_path / "locks").iterdir()] == [".lock"]


def test_a_holder_is_read_off_a_task_instance() -> None:
    class Instance:
        dag_id, run_id, task_id, map_index, try_number = "d", "r", "t", 2, 3

    assert LockOwner.of(Instance()) == LockOwner("d", "r", "t", 2, 3)


# --------------------------------------------------------------------------------------------- waiting


class Leaving(Cabinet):
    """A folder that one lock leaves after some looks."""

    last = 999
    looks = 0

    def names(self) -> list[str]:
        self.looks += 1
        if self.looks == self.last:
            self.contents.clear()
        return super().names()


def test_a_run_that_may_wait_gets_the_lock_when_the_other_has_ended() -> None:
    cabinet, clock, said = Leaving(), Clock(START + 1), []
    held(cabinet, ONE)
    cabinet.last = cabinet.looks + 3

    own = lock(cabinet, TWO, clock=clock, log=said.append)
    own.acquire(wait=60)

    assert own.still_mine()
    assert clock.slept == [5.0, 5.0]
    assert said == [
        "Waiting up to 60 s for polyai:a/live: held by task promote in run run 1 of DAG dag (try 1)"
    ]


def test_waiting_writes_nothing_into_the_folder() -> None:
    cabinet, clock = Cabinet(), Clock()
    held(cabinet, ONE, ttl=9999)
    written: list[str] = []
    cabinet.write = lambda name, _: written.append(name)  # type: ignore[method-assign]

    with pytest.raises(TargetLocked):
        lock(cabinet, TWO, clock=clock).acquire(wait=600)

    assert len(written) == 1


@pytest.mark.parametrize(("chance", "pauses"), [(0.0, [2.5] * 4), (0.9, [7.0, 3.0])])
def test_waiting_ends_in_time_and_its_pauses_differ(chance: float, pauses: list[float]) -> None:
    cabinet, clock = Cabinet(), Clock(START + 1)
    held(cabinet, ONE)

    with pytest.raises(TargetLocked):
        lock(cabinet, TWO, clock=clock, chance=lambda: chance).acquire(wait=10)

    assert clock.slept == pauses
    assert len(cabinet.contents) == 1


# ----------------------------------------------------------------------- locks that nobody gave back


def test_a_lock_of_a_run_that_died_ends_and_is_removed() -> None:
    cabinet, clock, said = Cabinet(), Clock(), []
    held(cabinet, ONE, clock=Clock())
    held(cabinet, ONE, "elsewhere", clock=Clock())

    clock.now = START + TTL + DRIFT - 1
    with pytest.raises(TargetLocked):
        held(cabinet, TWO, clock=clock)
    clock.now += 1
    own = held(cabinet, TWO, clock=clock, log=said.append)

    assert own.still_mine()
    assert len(cabinet.contents) == 1
    assert all(
        "of task promote in run run 1 of DAG dag (try 1) ended and was removed" in line for line in said
    )


def test_the_next_try_of_a_killed_task_takes_its_lock_over() -> None:
    cabinet, said = Cabinet(), []
    killed = held(cabinet, ONE)

    own = held(cabinet, LockOwner("dag", "run 1", "promote", try_number=2), log=said.append)

    assert own.still_mine()
    assert not killed.still_mine()
    assert len(cabinet.contents) == 1
    assert "of an earlier try of this task was taken over" in said[0]


@pytest.mark.parametrize(
    "other", [LockOwner("dag", "run 1", "promote", 1), LockOwner("dag", "run 1", "other", try_number=2)]
)
def test_nothing_is_taken_over_from_another_task(other: LockOwner) -> None:
    cabinet = Cabinet()
    held(cabinet, other)

    with pytest.raises(TargetLocked):
        held(cabinet, LockOwner("dag", "run 1", "promote", try_number=9))


def test_a_task_keeps_its_own_lock_on_something_else() -> None:
    cabinet = Cabinet()

    first = held(cabinet, ONE, HERE)
    second = held(cabinet, ONE, THERE)

    assert first.still_mine()
    assert second.still_mine()


def test_a_try_that_a_later_one_has_replaced_does_not_wait_and_says_so() -> None:
    cabinet, clock = Cabinet(), Clock()
    held(cabinet, LockOwner("dag", "run 1", "promote", try_number=2))

    with pytest.raises(TargetLocked, match="by a later try of this very task"):
        lock(cabinet, ONE, clock=clock).acquire(wait=60)

    assert clock.slept == []


def test_a_task_that_comes_back_within_the_same_try_takes_its_lock_over() -> None:
    cabinet = Cabinet()
    before = held(cabinet, ONE)

    after = held(cabinet, ONE, clock=Clock(START + 30))

    assert (before.still_mine(), after.still_mine()) == (False, True)


def lock_file(**changes: Any) -> bytes:
    """Return a lock's file of another task, with some fields changed."""
    owner = {"dag_id": "d", "run_id": "r", "task_id": "t", "map_index": -1, "try_number": 1}
    times = {"acquired_at": "2026-08-01T08:00:00+00:00", "expires_at": "2227-08-01T09:00:00+00:00"}
    return json.dumps({"version": 1, "holder": owner, "targets": [HERE], **times, **changes}).encode()


@pytest.mark.parametrize("moment", ["9999-12-31T23:59:59.999999+00:00", "9999-12-31T23:59:59-14:00"])
def test_a_lock_that_never_expires_bars_its_targets_and_names_its_owner(moment: str) -> None:
    cabinet = Cabinet(contents={"x.lock": lock_file(expires_at=moment)})

    with pytest.raises(TargetLocked, match=r"task t in run r of DAG d.* ends at 9999-12-31T23:59:59"):
        held(cabinet, ONE)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b"[]",
        b"\xff",
        b'{"holder": {"dag_id": 1}}',
        b"null",
        b"[" * 100_000 + b"]" * 100_000,
        lock_file(expires_at="10000-01-01T00:00:00+00:00"),
        lock_file(expires_at=1),
        lock_file(targets="house/a"),
        lock_file(targets=[1]),
        lock_file(targets={"house/a": 1}),
        lock_file(holder={"dag_id": "d", "run_id": "r", "task_id": []}),
        lock_file(holder={"dag_id": "d", "run_id": "r", "task_id": "t", "try_number": "1"}),
        lock_file(holder={"dag_id": "d", "run_id": "r", "task_id": "t", "try_number": True}),
        lock_file(holder={"dag_id": "d", "run_id": "r", "task_id": "t", "more": 1}),
        lock_file()[:-1] + b', "targets": []}',
    ],
)
def test_a_file_that_cannot_be_read_bars_everything_until_people_remove_it(content: bytes) -> None:
    cabinet = Cabinet(contents={"x.lock": content})

    with pytest.raises(TargetLocked, match="somebody whose lock cannot be read") as caught:
        held(cabinet, ONE, clock=Clock(START * 2))

    assert "remove the file cabinet://x.lock" in str(caught.value)
    assert cabinet.contents == {"x.lock": content}


def test_files_that_are_no_locks_are_left_alone() -> None:
    cabinet = Cabinet(contents={"README": b"", ".a.draft": b"{"})

    assert held(cabinet, ONE).still_mine()
    assert {"README", ".a.draft"} < cabinet.contents.keys()


# --------------------------------------------------------------------------------- renewing, losing


def test_a_renewed_lock_lasts_from_then_on() -> None:
    cabinet, clock = Cabinet(), Clock()
    own = held(cabinet, ONE, clock=clock)

    clock.now += TTL - 1
    own.renew()
    clock.now += TTL - 1

    assert own.still_mine()
    with pytest.raises(TargetLocked, match="since 2027-01-15T08:00:00"):
        held(cabinet, TWO, clock=clock)


def test_a_lock_that_was_not_renewed_in_time_is_lost_even_if_nobody_took_it() -> None:
    cabinet, clock = Cabinet(), Clock()
    own = held(cabinet, ONE, clock=clock)

    clock.now += TTL

    assert not own.still_mine()
    with pytest.raises(TargetLocked, match="is not this run's any more"):
        own.renew()


def test_a_lock_that_ends_while_it_is_looked_at_is_lost() -> None:
    cabinet, clock = Cabinet(), Clock()
    own = held(cabinet, ONE, clock=clock)
    read = cabinet.read

    def slowly(name: str) -> bytes | None:
        clock.now += TTL
        return read(name)

    cabinet.read = slowly  # type: ignore[method-assign]

    assert not own.still_mine()


def test_a_lock_whose_file_is_gone_is_lost_and_does_not_come_back() -> None:
    cabinet = Cabinet()
    own = held(cabinet, ONE)
    cabinet.contents.clear()

    assert not own.still_mine()
    with pytest.raises(TargetLocked, match="what it wrote before stays"):
        own.renew()
    assert cabinet.contents == {}


def test_a_renewal_that_ends_too_late_gives_the_lock_up() -> None:
    """Others may have found it ended meanwhile, and removed the very file that was just renewed."""
    cabinet, clock = Cabinet(), Clock()
    own = held(cabinet, ONE, clock=clock)
    write = cabinet.write

    def slowly(name: str, content: bytes) -> None:
        write(name, content)
        clock.now += TTL

    cabinet.write = slowly  # type: ignore[method-assign]
    with pytest.raises(TargetLocked):
        own.renew()

    assert cabinet.contents == {}
    assert not own.still_mine()


def intruding(cabinet: Cabinet, clock: Clock, *, stays: bool) -> None:
    """Another run writes its file right before the next renewal does."""
    write = cabinet.write

    def intrude(name: str, content: bytes) -> None:
        cabinet.write = write  # type: ignore[method-assign]
        other = LockFile("other.lock", TWO, (HERE,), clock.now, clock.now + TTL)
        cabinet.write(other.file, other.content())
        cabinet.write(name, content)

    def sleep(seconds: float) -> None:
        clock.slept.append(seconds)
        if not stays:
            cabinet.contents.pop("other.lock")

    cabinet.write = intrude  # type: ignore[method-assign]
    clock.sleep = sleep  # type: ignore[method-assign]


@pytest.mark.parametrize("stays", [True, False])
def test_a_renewal_gives_way_to_a_holder_and_not_to_one_who_only_tries(stays: bool) -> None:
    cabinet, clock = Cabinet(), Clock()
    own = lock(cabinet, ONE, clock=clock)
    own.acquire()
    intruding(cabinet, clock, stays=stays)
    own.sleep = clock.sleep

    if stays:
        with pytest.raises(TargetLocked):
            own.renew()
    else:
        own.renew()

    assert own.still_mine() is not stays
    assert clock.slept == [SETTLE]
    assert ("other.lock" in cabinet.contents, len(cabinet.contents)) == (stays, 1)


def test_a_lock_that_was_lost_while_it_was_taken_is_not_had() -> None:
    clock = Clock()

    class Slow(Cabinet):
        def names(self) -> list[str]:
            clock.now += TTL
            return super().names()

    cabinet = Slow()
    with pytest.raises(TargetLocked, match="is not this run's any more"):
        held(cabinet, ONE, clock=clock)

    assert cabinet.contents == {}


@pytest.mark.parametrize("failing", ["names", "read"])
def test_a_storage_that_fails_half_way_leaves_no_lock(failing: str) -> None:
    cabinet = Cabinet()

    def fail(*_: Any) -> Any:
        raise OSError("unreachable")

    setattr(cabinet, failing, fail)
    with pytest.raises(OSError, match="unreachable"):
        held(cabinet, ONE)

    assert cabinet.contents == {}


def test_a_lock_that_cannot_be_given_back_is_told_and_does_not_fail_the_run() -> None:
    cabinet, said = Cabinet(), []
    own = held(cabinet, ONE, log=said.append)

    def fail(_: str) -> None:
        raise PermissionError

    cabinet.remove = fail  # type: ignore[method-assign]
    own.release()
    own.release()

    assert len(said) == 1
    assert "was not removed (PermissionError); it ends at 2027-01-15T08:04:30" in said[0]


def test_what_was_given_back_is_not_had_any_more() -> None:
    own = held(Cabinet(), ONE)
    own.release()

    assert not own.still_mine()
    with pytest.raises(TargetLocked):
        own.renew()


# -------------------------------------------------------------------------------- wildcards, narrowing

TARGETS = ["a/1", "a/2", "b/1", "ab/1"]
LOCKED = st.sets(st.sampled_from([*TARGETS, "a/*", "b/*"]), min_size=1)


@bounded(200)
@given(LOCKED, LOCKED)
def test_names_overlap_exactly_where_both_cover_a_target(mine: set[str], theirs: set[str]) -> None:
    both = [each for each in TARGETS if covers(mine, each) and covers(theirs, each)]
    assert bool(overlap(mine, theirs)) == bool(both)
    assert overlap(mine, theirs) == overlap(theirs, mine)
    assert overlap(mine, theirs) <= mine | theirs


@pytest.mark.parametrize(
    ("names", "target", "verdict"),
    [
        (["a/*"], "a/1", True),
        (["a/*"], "a/*", True),
        (["a/*"], "ab/1", False),
        (["a/*"], "a", False),
        (["a/1"], "a/*", False),
        (["b/1", "a/1"], "a/1", True),
    ],
)
def test_a_name_covers_every_target_of_its_owner(names: list[str], target: str, verdict: bool) -> None:
    assert covers(names, target) is verdict


@bounded(100)
@given(LOCKED, LOCKED)
def test_two_locks_exclude_each_other_exactly_where_they_cover_one_target(
    mine: set[str], theirs: set[str]
) -> None:
    cabinet = Cabinet()
    held(cabinet, ONE, *mine)
    own = lock(cabinet, TWO, *theirs)
    if overlap(mine, theirs):
        with pytest.raises(TargetLocked):
            own.acquire()
    else:
        own.acquire()


def test_a_narrowed_lock_lets_others_have_the_rest() -> None:
    cabinet = Cabinet()
    own = held(cabinet, ONE, "a/*")

    own.narrow(["a/1"])

    assert own.still_mine()
    assert held(cabinet, TWO, "a/2").still_mine()
    with pytest.raises(TargetLocked, match="a/1 is locked"):
        held(cabinet, THREE, "a/1")


def test_a_lock_takes_names_that_it_did_not_cover_only_where_nobody_else_has_them() -> None:
    cabinet = Cabinet()
    own = held(cabinet, ONE, "a/1")
    own.narrow(["a/1", "b/1"])
    with pytest.raises(TargetLocked):
        held(cabinet, TWO, "b/1")

    other = held(cabinet, TWO, "c/1")
    with pytest.raises(TargetLocked, match="b/1 is locked"):
        other.narrow(["b/1"])
    assert not other.still_mine()
    assert own.still_mine()


def test_a_narrowed_lock_is_renewed_as_it_is_now() -> None:
    cabinet = Cabinet()
    own = held(cabinet, ONE, "a/*")
    own.narrow(["a/1"])
    own.renew()

    assert [json.loads(content)["targets"] for content in cabinet.contents.values()] == [["a/1"]]


@pytest.mark.parametrize("targets", [[], ["a/1"]])
def test_nothing_to_narrow_writes_nothing(targets: list[str]) -> None:
    cabinet = Cabinet()
    own = held(cabinet, ONE, "a/1")
    before = dict(cabinet.contents)
    own.narrow(targets)

    assert cabinet.contents == before


def test_a_lock_that_is_lost_cannot_be_narrowed() -> None:
    cabinet = Cabinet()
    own = held(cabinet, ONE, "a/*")
    cabinet.contents.clear()

    with pytest.raises(TargetLocked, match="is not this run's any more"):
        own.narrow(["a/1"])
    assert cabinet.contents == {}
