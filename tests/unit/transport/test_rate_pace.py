"""The adaptive pace of a key: in one process, and shared by the processes of a machine."""

from __future__ import annotations

import asyncio
import itertools
import multiprocessing
import os
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_voice_agents.transport import rate_pace
from airflow_voice_agents.transport.rate_pace import FilePace, MemoryPace, PaceState, Start
from support.transport import FakeTime


def starts(state: PaceState, number: int, now: float, most: float | None = None) -> list[float]:
    return [state.reserve(most, now).wait for _ in range(number)]


def test_before_any_refusal_nothing_waits() -> None:
    assert starts(PaceState(), 1000, 100.0) == [0.0] * 1000


def test_a_given_pace_spaces_starts_evenly_and_a_pause_earns_no_burst() -> None:
    state = PaceState()

    assert starts(state, 4, 100.0, most=4) == [0, 0.25, 0.5, 0.75]
    assert starts(state, 2, 200.0, most=4) == [0, 0.25]
    assert starts(state, 1, 200.25) == [0]


@given(st.lists(st.floats(0, 3), min_size=2, max_size=50), st.floats(0.5, 50))
def test_no_two_starts_are_closer_than_the_given_pace(pauses: list[float], pace: float) -> None:
    state, now, found = PaceState(), 0.0, []
    for pause in pauses:
        now += pause
        found.append(now + state.reserve(pace, now).wait)

    assert all(later - earlier >= 1 / pace - 1e-9 for earlier, later in itertools.pairwise(found))


def test_a_refusal_pauses_the_key_and_leaves_the_rate_that_was_taken() -> None:
    state = PaceState()
    starts(state, 12, 100.0)
    state.refused(100.0, 1.0, 100.1)

    assert starts(state, 1, 100.1) == [pytest.approx(1.0)]
    assert state.pace(101.1) == pytest.approx(11 * (1 - rate_pace.DROP))


def test_requests_that_were_on_their_way_do_not_cut_the_pace_again() -> None:
    state = PaceState()
    starts(state, 20, 100.0)
    for _ in range(5):
        state.refused(100.0, 1.0, 100.1)

    assert state.refusals == 1
    assert state.refused_pace == 15  # what was taken: the refused ones are known by now


def test_the_pace_returns_stays_near_and_then_probes_ever_faster() -> None:
    state = PaceState()
    starts(state, 12, 100.0)
    state.refused(100.0, 0.0, 100.0)
    state.refused(101.0, 0.0, 101.0)
    refused = state.refused_pace
    again = rate_pace.REACHED_AGAIN
    found = [
        state.pace(101.0 + seconds) / refused for seconds in (0, again / 2, again, 2 * again, 10 * again)
    ]

    assert found == sorted(found)
    assert found[0] == pytest.approx(1 - rate_pace.DROP)
    assert found[2] == pytest.approx(1)
    assert 1 < found[3] < 1.1
    assert found[4] > 20


def test_a_pace_that_is_refused_early_was_too_high_and_one_that_is_refused_late_was_nearly_right() -> None:
    early, late = PaceState(), PaceState()
    for state, calm in ((early, 1.0), (late, 1.5 * rate_pace.REACHED_AGAIN)):
        starts(state, 12, 100.0)
        state.refused(100.0, 0.0, 100.0)
        state.refused(101.0, 0.0, 101.0)
        before = state.pace(101.0 + calm)
        state.refused(101.0 + calm, 0.0, 101.0 + calm)
        assert state.refused_pace == pytest.approx(before * (0.9 if state is early else 1.0))


@given(st.lists(st.tuples(st.floats(0, 5), st.floats(0, 60)), max_size=200))
def test_refusals_without_end_never_stop_a_key_for_good(refusals: list[tuple[float, float]]) -> None:
    state, now = PaceState(), 100.0
    for pause, wait in refusals:
        now += pause
        state.reserve(None, now)
        state.refused(now, wait, now)

    assert state.pace(now) >= rate_pace.SLOWEST * (1 - rate_pace.DROP) - 1e-9
    assert state.reserve(None, now + 3600).wait <= 1 / rate_pace.SLOWEST


async def test_a_process_tells_whether_its_key_is_paused() -> None:
    time = FakeTime()
    pace = MemoryPace(time.clock)
    start = await pace.reserve(None)
    await pace.refused(start, 2.0)

    assert await pace.paused()
    assert (await pace.reserve(None)).wait == 2.0
    time.now += 2.5
    assert not await pace.paused()


# A machine


async def test_two_processes_of_a_machine_have_one_pace(tmp_path: Path) -> None:
    time = FakeTime()
    one, other = (FilePace(tmp_path / "limits" / "key.pace", time.clock) for _ in range(2))
    waits = [(await each.reserve(4)).wait for each in (one, other, one, other)]
    await one.refused(Start(0.75, time.now + 0.75), 5.0)

    assert waits == [0, 0.25, 0.5, 0.75]
    assert await other.paused()
    assert (await other.reserve(None)).wait == 5.0


async def test_the_file_holds_numbers_only_and_is_for_its_owner(tmp_path: Path) -> None:
    path = tmp_path / "limits" / "key.pace"
    await FilePace(path).reserve(4)

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert len(path.read_bytes()) == 80


def spend(path: Path, number: int) -> None:
    pace = FilePace(path)

    async def all_of_them() -> list[float]:
        return [(await pace.reserve(1000.0)).at for _ in range(number)]

    found = asyncio.run(all_of_them())
    (path.parent / f"{os.getpid()}.starts").write_text("\n".join(map(repr, found)))


def test_no_start_is_given_to_two_processes(tmp_path: Path) -> None:
    fork = multiprocessing.get_context("fork")
    processes = [fork.Process(target=spend, args=(tmp_path / "key.pace", 200)) for _ in range(4)]
    for each in processes:
        each.start()
    for each in processes:
        each.join(60)
    found = sorted(float(line) for file in tmp_path.glob("*.starts") for line in file.read_text().split())

    assert len(found) == 800
    assert all(later - earlier >= 0.001 - 1e-6 for earlier, later in itertools.pairwise(found))


@pytest.mark.parametrize("content", [b"", b"short", b"\xff" * 80, b"x" * 5000])
async def test_a_file_that_holds_something_else_is_as_if_it_were_new(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "key.pace"
    path.write_bytes(content)
    pace = FilePace(path)

    assert [(await pace.reserve(4)).wait for _ in range(2)] == [0, pytest.approx(0.25, abs=0.1)]


async def test_a_machine_that_started_anew_knows_no_former_pause(tmp_path: Path) -> None:
    before, after = FakeTime(), FakeTime()
    before.now = 50_000.0
    pace = FilePace(tmp_path / "key.pace", before.clock)
    await pace.refused(await pace.reserve(None), 60.0)

    assert (await FilePace(tmp_path / "key.pace", after.clock).reserve(None)).wait == 0


@pytest.mark.parametrize("obstacle", ["a file instead of the folder", "a link", "locked"])
async def test_without_the_file_the_process_has_a_pace_of_its_own(
    tmp_path: Path, obstacle: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "limits" / "key.pace"
    monkeypatch.setattr(FilePace, "_PAUSE", 0.0)
    if obstacle == "a file instead of the folder":
        path.parent.write_text("")
    else:
        path.parent.mkdir()
    if obstacle == "a link":
        path.symlink_to(tmp_path / "elsewhere")
    if obstacle == "locked":
        import fcntl

        holder = path.open("w")
        fcntl.flock(holder, fcntl.LOCK_EX)
    time = FakeTime()
    pace = FilePace(path, time.clock)
    waits = [(await pace.reserve(4)).wait for _ in range(2)]
    await pace.refused(Start(0.25, time.now + 0.25), 5.0)

    assert waits == [0, 0.25]
    assert await pace.paused() is (obstacle != "locked")
    assert (await pace.reserve(None)).wait == 5.0
    assert not (tmp_path / "elsewhere").exists()
