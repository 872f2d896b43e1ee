"""A fleet's promotion, and its way back, that die at every moment: the next try ends as if nothing had been.

A moment is what is done to the world outside the process: a request that is sent, an answer that has come, a note in
the task's memory, a file. After an answer nothing has been done yet that was not done before the next moment, so of
such a pair only the later one is tried.
"""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import dropwhile, takewhile
from pathlib import Path
from typing import Any

import pytest

from airflow_voice_agents.emulator.fleet_seed import FLEET_KEY
from airflow_voice_agents.emulator.journal import Entry
from airflow_voice_agents.emulator.server import EmulatorServer
from airflow_voice_agents.state import baselines, rollback_blocks, snapshots
from support.emulated import PRE_RELEASE, Emulated
from support.emulated import place as at
from support.faults import Killing, settle
from support.forked_tasks import Attempt, Ended, Nursery
from support.promotions import (
    TARGETS,
    applying,
    changed_by,
    checkpointed,
    deployed_twice,
    files,
    fleet,
    held,
    planned,
    report_items,
    returning,
    site,
)

SHARES = 8
"""Parts of a sweep, for processes side by side."""
SPREAD = [pytest.param(share, id=f"part {share + 1} of {SHARES}") for share in range(SHARES)]
BATCH = 2

LEFT = ("failed", "skipped")
"""How the items end that a rollback leaves, because somebody has worked on them since."""
PAGE_EDITED, DEPLOYED, UNTOUCHED = 3, 11, (4, 6)

Start = Callable[[Path], Attempt]


@dataclass(frozen=True)
class Calm:
    """What a run that nobody disturbs does.

    :param begin: starts it over, with its files in a folder, and returns its first attempt.
    :param moments: what it did to the world, in order.
    :param entries: what it asked the server.
    :param held: what the server holds afterwards.
    :param items: its report.
    :param kept: its snapshot: what each resource was.
    :param folder: the state folder it left.
    :param state: how the task ended.
    """

    begin: Start
    moments: Sequence[str]
    entries: Sequence[Entry]
    held: str
    items: Mapping[str, Mapping[str, Any]]
    kept: Mapping[str, Any]
    folder: Path
    state: str = "success"

    @property
    def reading(self) -> Sequence[Entry]:
        """The requests by which it compared everything."""
        return self.entries[: comparing(self.moments)]

    def deadly(self) -> list[int]:
        """The moments that are tried: of two between which nothing happens, the later one."""
        pairs = zip(self.moments, [*self.moments[1:], "after all"], strict=True)
        return [
            place
            for place, (this, following) in enumerate(pairs, start=1)
            if not (this.startswith("after ") and following.startswith("before "))
        ]


def comparing(moments: Sequence[str]) -> int:
    """How many requests came before anything but the lock was kept: those that compare."""
    after_lock = dropwhile(lambda moment: "of locks" in moment, moments)
    requests = takewhile(lambda moment: " /v1/" in moment, after_lock)
    return sum(moment.startswith("before ") for moment in requests)


def asked(entries: Sequence[Entry]) -> Counter[str]:
    return Counter(f"{entry.method} {entry.path}" for entry in entries)


def kept(ended: Ended) -> dict[str, Any]:
    """What a snapshot says of each resource."""
    document = snapshots.load(ended.xcoms["snapshot"])
    return {
        f"{each['kind']}:{each['owner']}/{each['name']}": (each["state"], each["note"]["unit"])
        for each in document["resources"]
    }


def calmly(
    server: EmulatorServer, nursery: Nursery, begin: Start, folder: Path, state: str = "success"
) -> Calm:
    attempt = begin(folder)
    [ended] = nursery.run(attempt)
    assert (ended.exit_code, ended.state) == (0, state), ended.text
    return Calm(
        begin,
        ended.moments,
        server.journal.entries(),
        held(server),
        report_items(ended),
        kept(ended),
        folder,
        state,
    )


@pytest.fixture(scope="module")
def sweeping(
    nursery: Nursery, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[EmulatorServer, Calm, Calm]]:
    """A server, an undisturbed promotion, and an undisturbed way back."""
    folder = tmp_path_factory.mktemp("calm")
    with EmulatorServer(fleet()) as server:
        plan = planned(Emulated(server, key=FLEET_KEY))

        def begin(folder: Path) -> Attempt:
            server.reset(fleet())
            return replace(applying(plan, folder, server.url), batch=BATCH)

        nursery.warm(begin(folder / "warm"))
        there = calmly(server, nursery, begin, folder / "there")
        promoted = server.state.snapshot()
        [snapshot] = (folder / "there" / "snapshots").iterdir()

        def begin_back(folder: Path) -> Attempt:
            server.reset(promoted)
            return replace(returning(f"file://{snapshot}", folder, server.url), batch=BATCH)

        yield server, there, calmly(server, nursery, begin_back, folder / "back")


def test_what_the_sweeps_run_over_needs_every_kind_of_write_and_has_many_checkpoints(sweeping: Any) -> None:
    _, there, back = sweeping
    for calm in (there, back):
        kinds = {name.partition(":")[0] for name, item in calm.items.items() if item["status"] == "changed"}
        assert kinds == {"config page", "deployment", "connector place", "connector", "phone number"}
        assert {item["status"] for item in calm.items.values()} == {"changed", "unchanged"}
        told = Counter(moment for moment in calm.moments if "Store" in moment or "of " in moment)
        assert told["before SetTaskStateStore"] >= len(TARGETS) / BATCH
        assert told["before DeleteTaskStateStore"] >= len(TARGETS) / BATCH - 1
        assert {"before write of locks", "after remove of locks"} <= set(told)
    assert "before write of baselines" in there.moments
    assert "before write of holds" in back.moments
    assert len(there.entries) > 90
    assert len(back.entries) > 60
    twice = {f"config page:{site(index)}/pre-release": 2 for index in (2, 6, 8)}
    assert {name: times for name, times in changed_by(there.entries).items() if times > 1} == twice


@pytest.mark.parametrize("share", SPREAD)
@pytest.mark.parametrize("way", ["there", "back"])
def test_a_run_that_dies_at_any_moment_is_finished_by_the_next_try(
    sweeping: Any, nursery: Nursery, tmp_path: Path, way: str, share: int
) -> None:
    server, there, back = sweeping
    calm: Calm = there if way == "there" else back
    for place in calm.deadly()[share::SHARES]:
        attempt = calm.begin(tmp_path / str(place))
        [first] = nursery.run(replace(attempt, last_moment=place))
        assert first.exit_code == -signal.SIGKILL
        settle(server)
        finish(server, nursery, calm, attempt, first, f"killed {calm.moments[place - 1]} (moment {place})")


@pytest.mark.parametrize("share", SPREAD)
@pytest.mark.parametrize("way", ["there", "back"])
def test_a_run_that_dies_before_the_answer_to_any_write_is_finished_by_the_next_try(
    sweeping: Any, nursery: Nursery, tmp_path: Path, way: str, share: int
) -> None:
    server, there, back = sweeping
    calm: Calm = there if way == "there" else back
    for nth in range(1, sum(entry.writes for entry in calm.entries) + 1)[share::SHARES]:
        attempt = calm.begin(tmp_path / str(nth))
        fault = server.emulator.faults.add(KillingAtWrite(nth=nth, apply=True))
        attempt = replace(attempt, arguments={**attempt.arguments, "concurrency": 4})
        [first] = nursery.run(attempt, started=fault.target)
        assert first.exit_code == -signal.SIGKILL
        settle(server)
        server.clear_faults()
        finish(server, nursery, calm, attempt, first, f"killed while write {nth} was under way")


@pytest.fixture(scope="module")
def edited(
    nursery: Nursery, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[EmulatorServer, Calm]]:
    """A server, and an undisturbed way back of four targets, two of which somebody has worked on since."""
    folder = tmp_path_factory.mktemp("edited")
    sites = (PAGE_EDITED, *UNTOUCHED, DEPLOYED)
    spec = {"config": {}, "targets": [at(site(each), PRE_RELEASE, **TARGETS[each]) for each in sites]}
    with EmulatorServer(fleet()) as server:
        polyai = Emulated(server, key=FLEET_KEY)
        [there] = nursery.run(applying(planned(polyai, spec), folder / "there", server.url))
        assert there.state == "success", there.text
        polyai.put(site(PAGE_EDITED), PRE_RELEASE, greeting="a colleague's")
        newer = {"version": "9" * 32, "artifactVersion": "x"}
        server.polyai.deploy(site(DEPLOYED), PRE_RELEASE, newer, "colleague", {})
        promoted = server.state.snapshot()

        def begin(folder: Path) -> Attempt:
            server.reset(promoted)
            return replace(returning(there.xcoms["snapshot"], folder, server.url), batch=BATCH)

        nursery.warm(begin(folder / "warm"))
        yield server, calmly(server, nursery, begin, folder / "back", state="failed")


def test_a_rollback_beside_newer_work_takes_back_what_is_untouched(edited: Any) -> None:
    _, calm = edited
    ended: dict[str, set[str]] = {}
    for name, item in calm.items.items():
        ended.setdefault(name.partition(":")[2].partition("/")[0], set()).add(item["status"])
    assert ended[site(PAGE_EDITED)] == {"failed", "skipped"}
    assert ended[site(DEPLOYED)] == {"failed"}
    assert {status for each in UNTOUCHED for status in ended[site(each)]} == {"changed"}
    _, on_hold = notes_of(calm.folder)
    assert sorted(on_hold) == [f"{site(each)}/pre-release" for each in UNTOUCHED]


@pytest.mark.parametrize("share", SPREAD)
def test_a_rollback_beside_newer_work_that_dies_at_any_moment_is_finished_by_the_next_try(
    edited: Any, nursery: Nursery, tmp_path: Path, share: int
) -> None:
    server, calm = edited
    for moment in calm.deadly()[share::SHARES]:
        attempt = calm.begin(tmp_path / str(moment))
        [first] = nursery.run(replace(attempt, last_moment=moment))
        assert first.exit_code == -signal.SIGKILL
        settle(server)
        finish(server, nursery, calm, attempt, first, f"killed {calm.moments[moment - 1]} (moment {moment})")


class KillingAtWrite(Killing):
    """Kills when a request that writes arrives."""

    def _matches(self, exchange: Any) -> bool:
        return exchange.operation is not None and exchange.operation.writes


def finish(  # noqa: PLR0917
    server: EmulatorServer, nursery: Nursery, calm: Calm, attempt: Attempt, first: Ended, where: str
) -> None:
    """Try again, and hold all that is left to what an undisturbed run leaves."""
    before = len(server.journal.entries())
    done = checkpointed(first.store)
    [again] = nursery.run(replace(attempt, try_number=2, store=first.store))

    assert (again.exit_code, again.state) == (0, calm.state), f"{where}: {again.text}"
    entries = server.journal.entries()
    assert held(server) == calm.held, where
    assert changed_by(entries) == changed_by(calm.entries), where
    assert deployed_twice(server) == [], where
    assert kept(again) == calm.kept, where
    folder = Path(attempt.arguments["state_folder"])
    assert files(folder)["locks"] == [], where
    assert notes_of(folder) == notes_of(calm.folder), where
    only_what_is_open_was_read(calm, again, entries[before:], done, where)
    the_report_is_true(calm, entries[before:], again, done, where)


def notes_of(folder: Path) -> Any:
    """What baselines and holds say."""
    noted = baselines.load(str(folder), "weekly")
    on_hold = rollback_blocks.read(str(folder), [f"{site(index)}/pre-release" for index in TARGETS])
    return {name: each["digest"] for name, each in noted.items()}, {
        name: hold.digests for name, hold in on_hold.items()
    }


def only_what_is_open_was_read(
    calm: Calm, ended: Ended, again: Sequence[Entry], done: Mapping[str, Any], where: str
) -> None:
    finished = {unit.partition("/")[0] for unit in done}
    assert not finished & {entry.agent for entry in again}, where
    needed = [entry for entry in calm.reading if entry.agent not in finished]
    assert asked(again[: comparing(ended.moments)]) <= asked(needed), where


def the_report_is_true(
    calm: Calm, again: Sequence[Entry], ended: Ended, done: Mapping[str, Mapping[str, str]], where: str
) -> None:
    items, noted = report_items(ended), {name: how for unit in done.values() for name, how in unit.items()}
    assert list(items) == list(items | calm.items), where
    assert set(items) == set(calm.items), where
    written = changed_by(again)
    expected = {name: noted.get(name, "changed" if name in written else "unchanged") for name in items}
    expected |= {name: how for name, each in calm.items.items() if (how := each["status"]) in LEFT}
    assert {name: item["status"] for name, item in items.items()} == expected, where
