"""Snapshot recorders: however many tries a task needs, the snapshot leads back to before the first."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_voice_agents.engine.run_context import RunContext
from airflow_voice_agents.engine.snapshot_recorder import SnapshotRecorder
from airflow_voice_agents.plans.canonical import digest
from airflow_voice_agents.plans.kind import Resource, Transition
from airflow_voice_agents.plans.plan import PlannedItem
from airflow_voice_agents.plans.snapshot import Snapshot
from airflow_voice_agents.transport.errors import InputError
from support.fake_engine import JsonKind
from support.json_values import bounded
from support.kill_switch import Fuse, FusedStore, Killed

PAGE, LINE, SPARE = Resource("page", "a", "live"), Resource("line", "a", "c1"), Resource("line", "a", "c2")
KINDS: Any = {
    "page": JsonKind(lambda state: {"page": state}, lambda value: value["page"]),
    "line": JsonKind(lambda state: [state], lambda value: value[0]),
}
Note = dict[str, Any]


class Shelf:
    """Keeps snapshots in memory."""

    def __init__(self, fuse: Fuse | None = None) -> None:
        self.fuse = fuse or Fuse()
        self.documents: dict[str, str] = {}
        self.published: list[str] = []

    def recorder(self) -> SnapshotRecorder:
        return SnapshotRecorder(self.save, self.load, self.publish, "snapshot", KINDS)

    def save(self, document: dict[str, Any]) -> str:
        self.fuse.burn()
        url = f"shelf://{len(self.documents)}"
        self.documents[url] = json.dumps(document)
        self.fuse.burn()
        return url

    def load(self, url: str) -> Any:
        if url not in self.documents:
            raise InputError(f"snapshot {url} cannot be read")
        return json.loads(self.documents[url])

    def publish(self, url: str) -> None:
        self.fuse.burn()
        self.published.append(url)

    def last(self) -> Snapshot[Any]:
        return Snapshot.from_document(self.load(self.published[-1]), KINDS)


def run_with(store: FusedStore | None = None, say: Callable[[str], None] = lambda _: None) -> RunContext:
    async def send(_: Any) -> Any:
        raise AssertionError("a recorder sends nothing")

    return RunContext(send, say, task_state=store)


def store() -> FusedStore:
    return FusedStore(Fuse())


def item(target: Resource, now: Any, wanted: Any, *between: Any) -> PlannedItem:
    """A plan from one state to another by way of others."""
    transition = None if now == wanted else Transition(target, now, wanted)
    return PlannedItem(
        target, digest(now), digest(wanted), waypoints=tuple(map(digest, between)), transition=transition
    )


def test_what_changes_is_kept_whatever_its_kind_and_what_stays_is_not() -> None:
    shelf = Shelf()

    url = shelf.recorder().keep(
        run_with(store()), [item(PAGE, "p", "q", "pq"), item(LINE, None, "new"), item(SPARE, "s", "s")]
    )

    assert shelf.published == [url]
    assert shelf.last().states == {PAGE: "p", LINE: None}
    assert shelf.last().notes[PAGE] == {
        "before": digest("p"),
        "after": digest("q"),
        "waypoints": [digest("pq")],
    }


def test_notes_of_the_caller_stand_beside_the_digests_and_hide_none() -> None:
    shelf = Shelf()

    notes: Mapping[Resource, Note] = {PAGE: {"agent": "b", "after": "other"}}
    shelf.recorder().keep(run_with(), [item(PAGE, "p", "q")], notes=notes)

    assert shelf.last().notes[PAGE] == {
        "agent": "b",
        "before": digest("p"),
        "after": digest("q"),
        "waypoints": [],
    }


def test_a_run_that_changes_nothing_keeps_nothing() -> None:
    shelf = Shelf()

    assert shelf.recorder().keep(run_with(store()), [item(PAGE, "p", "p")]) is None
    assert (shelf.documents, shelf.published) == ({}, [])


def test_what_stays_as_it_is_is_kept_where_that_is_asked_for() -> None:
    shelf = Shelf()

    shelf.recorder().keep(
        run_with(store()),
        [item(PAGE, "p", "p"), item(LINE, None, None), item(SPARE, "s", "s")],
        unchanged={PAGE: "p", LINE: None},
    )

    assert shelf.last().states == {PAGE: "p", LINE: None}


def test_an_earlier_snapshot_is_told_before_anything_else_can_fail() -> None:
    shelf, task_state = Shelf(), store()
    recorder = shelf.recorder()

    recorder.announce(run_with(task_state))
    assert shelf.published == []
    url = recorder.keep(run_with(task_state), [item(PAGE, "p", "q")])
    recorder.announce(run_with(task_state))
    recorder.announce(run_with())

    assert shelf.published == [url, url]


@pytest.mark.parametrize(
    ("now", "wanted", "kept"),
    [
        pytest.param("p", "q", "p", id="not reached yet"),
        pytest.param("pq", "q", "p", id="left half-way"),
        pytest.param("q", "q", "p", id="done"),
        pytest.param("q", "r", "p", id="done, and the DAG wants something else now"),
        pytest.param("theirs", "q", "theirs", id="somebody's newer work"),
    ],
)
def test_a_retry_keeps_what_was_there_before_the_first_try_unless_somebody_changed_it(
    now: str, wanted: str, kept: str
) -> None:
    shelf, task_state = Shelf(), store()
    recorder = shelf.recorder()

    recorder.keep(run_with(task_state), [item(PAGE, "p", "q", "pq"), item(LINE, "l", "m")])
    recorder.keep(run_with(task_state), [item(PAGE, now, wanted), item(LINE, "l", "m")])

    assert shelf.last().states == {PAGE: kept, LINE: "l"}
    assert shelf.last().notes[PAGE]["before"] == digest(kept)
    assert shelf.last().notes[PAGE]["after"] == digest(wanted)


def test_a_third_try_still_knows_what_the_first_may_have_left() -> None:
    """The second try was to lead elsewhere and never got there: what the first left is no stranger's work."""
    shelf, task_state = Shelf(), store()
    recorder = shelf.recorder()

    recorder.keep(run_with(task_state), [item(PAGE, "p", "q", "pq")])
    recorder.keep(run_with(task_state), [item(PAGE, "pq", "r", "pr")])
    recorder.keep(run_with(task_state), [item(PAGE, "q", "t")])

    assert shelf.last().states == {PAGE: "p"}
    assert shelf.last().notes[PAGE] == {
        "before": digest("p"),
        "after": digest("t"),
        "waypoints": [digest("pr"), digest("pq"), digest("q"), digest("r")],
    }


def test_newer_work_is_held_against_what_is_planned_now_and_nothing_older() -> None:
    shelf, task_state = Shelf(), store()
    recorder = shelf.recorder()

    recorder.keep(run_with(task_state), [item(PAGE, "p", "q", "pq")])
    recorder.keep(run_with(task_state), [item(PAGE, "theirs", "q")])

    assert shelf.last().notes[PAGE] == {
        "before": digest("theirs"),
        "after": digest("q"),
        "waypoints": [],
    }


def test_what_the_task_is_not_asked_for_any_more_is_not_kept() -> None:
    shelf, task_state = Shelf(), store()
    recorder = shelf.recorder()

    recorder.keep(run_with(task_state), [item(PAGE, "p", "q"), item(LINE, "l", "m")])
    recorder.keep(run_with(task_state), [item(LINE, "l", "m")])

    assert shelf.last().states == {LINE: "l"}


def test_notes_without_digests_count_what_is_written_again_as_newer_work() -> None:
    """Snapshots of version 1 say what a run left in their system's own words."""
    shelf, task_state = Shelf(), store()
    old = Snapshot({PAGE: "p", LINE: "l"}, {PAGE: {"mark": 1}}).document(KINDS)
    shelf.documents["old"] = json.dumps(old)
    task_state.values["snapshot"] = "old"

    shelf.recorder().keep(run_with(task_state), [item(PAGE, "x", "q"), item(LINE, "m", "m")])

    assert shelf.last().states == {PAGE: "x", LINE: "l"}


def test_an_earlier_snapshot_that_is_lost_is_told_and_the_run_goes_on() -> None:
    shelf, task_state = Shelf(), store()
    said: list[str] = []
    task_state.values["snapshot"] = "gone"

    shelf.recorder().keep(run_with(task_state, said.append), [item(PAGE, "p", "q")])

    assert shelf.last().states == {PAGE: "p"}
    assert said == [
        "What an earlier try changed is not in this snapshot, because snapshot gone cannot be read"
    ]


STATES = st.sampled_from(["p", "q", "r"])
TRIES = st.lists(
    st.tuples(st.tuples(STATES, STATES), st.integers(0, 4), st.integers(1, 12)), min_size=1, max_size=5
)


@bounded(300)
@given(TRIES)
def test_tries_that_end_anywhere_and_want_anything_lead_back_to_the_start(
    tries: list[tuple[tuple[str, str], int, int]],
) -> None:
    """Each try wants some states, writes some steps of each way, and may be killed at any moment."""
    fuse = Fuse()
    shelf, task_state = Shelf(fuse), FusedStore(fuse)
    start = {PAGE: "p", LINE: "l"}
    world: dict[Resource, str] = dict(start)
    for wanted, steps, moment in tries:
        fuse.renew(moment)
        plan = [
            item(target, world[target], want, f"{world[target]}>{want}")
            for target, want in zip(world, wanted, strict=True)
        ]
        try:
            shelf.recorder().keep(run_with(task_state), plan)
            ways = [
                (each.resource, state) for each in plan if each.transition for state in _way(each.transition)
            ]
            for target, state in ways[:steps]:
                world[target] = state
                fuse.burn()
        except Killed:
            pass

    changed = {target for target, state in start.items() if world[target] != state}
    kept = shelf.last().states if shelf.published else {}
    assert changed <= kept.keys()
    assert {target: kept[target] for target in kept} == {target: start[target] for target in kept}


def _way(transition: Transition[str]) -> tuple[str, str]:
    return f"{transition.before}>{transition.after}", transition.after
