"""Checkpoints: what a try has ended is known to the next one, until the run is over or a day has passed."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_voice_agents.engine.checkpoints import BATCH, MAX_AGE, Checkpoints
from airflow_voice_agents.plans.kind import Resource
from airflow_voice_agents.plans.report import ItemReport, Status
from support.fake_rollout import Clock, Grave, Killed
from support.json_values import bounded
from support.kill_switch import Fuse, FusedStore

PLAN = "1234567890abcdef" + "0" * 48


def notebook() -> FusedStore:
    return FusedStore(Grave())


def ledger(notes: FusedStore | None, plan: str = PLAN, **options: Any) -> Checkpoints:
    return Checkpoints(notes, plan, **{"clock": Clock(1_800_000_000.0), **options})


def outcome(name: str, **facts: Any) -> tuple[ItemReport, ...]:
    return (
        ItemReport(Resource("config page", name, "live"), Status.CHANGED, **facts),
        ItemReport(Resource("connector", name, "c1"), Status.UNCHANGED),
    )


def noted(notes: FusedStore, *names: str, **options: Any) -> Checkpoints:
    mine = ledger(notes, **options)
    for name in names:
        mine.note(name, outcome(name))
    return mine


REPORTS = st.builds(
    ItemReport,
    st.builds(Resource, st.text(max_size=3), st.text(max_size=3), st.text(max_size=3)),
    st.sampled_from([Status.CHANGED, Status.UNCHANGED]),
    st.text(max_size=5),
    details=st.dictionaries(st.text(max_size=3), st.text(max_size=3) | st.lists(st.text(max_size=3))),
)


@bounded(150)
@given(st.dictionaries(st.text(max_size=3), st.lists(REPORTS, max_size=3), max_size=8), st.integers(1, 9))
def test_what_was_noted_is_what_the_next_try_finds(outcomes: dict[str, list[ItemReport]], batch: int) -> None:
    notes = notebook()
    mine = ledger(notes, batch=batch)
    for name, items in outcomes.items():
        mine.note(name, items)
    mine.flush()
    notes.values = json.loads(json.dumps(notes.values))
    found = ledger(notes)
    assert found.done == {name: tuple(items) for name, items in outcomes.items()}
    assert found.resources == {item.resource for items in outcomes.values() for item in items}
    found.clear()
    assert notes.values == {}


def test_a_full_batch_is_written_and_the_rest_waits() -> None:
    notes = notebook()
    mine = noted(notes, *map(str, range(BATCH - 1)))
    assert notes.values == {}
    mine.note("last", outcome("last"))
    assert [len(page["units"]) for page in notes.values.values()] == [BATCH]
    mine.note("one more", outcome("one more"))
    assert len(notes.values) == 1
    mine.flush()
    mine.flush()
    assert [len(page["units"]) for page in notes.values.values()] == [BATCH, 1]


def test_a_later_try_writes_behind_the_checkpoints_of_an_earlier_one() -> None:
    notes = notebook()
    noted(notes, "a", batch=1)
    noted(notes, "b", batch=1)
    assert list(notes.values) == ["done-1234567890abcdef-0", "done-1234567890abcdef-1"]
    assert set(ledger(notes).done) == {"a", "b"}


def test_another_plan_has_checkpoints_of_its_own() -> None:
    notes = notebook()
    noted(notes, "a", batch=1)
    other = ledger(notes, "fedcba")
    assert other.done == {}
    other.clear()
    assert set(ledger(notes).done) == {"a"}


@pytest.mark.parametrize(("age", "found"), [(0.0, {"a", "b"}), (MAX_AGE, {"a", "b"}), (MAX_AGE + 1, {"b"})])
def test_a_checkpoint_counts_for_some_hours_and_each_for_itself(age: float, found: set[str]) -> None:
    notes, clock = notebook(), Clock(1_800_000_000.0)
    noted(notes, "a", batch=1, clock=clock)
    clock.now += age
    noted(notes, "b", batch=1, clock=clock)
    late = ledger(notes, clock=clock)
    assert set(late.done) == found
    late.clear()
    assert notes.values == {}


def test_what_is_forgotten_stays_forgotten_and_the_next_run_begins_anew() -> None:
    notes = notebook()
    mine = noted(notes, "a", batch=1)
    mine.clear()
    assert notes.values == {}
    assert ledger(notes).done == {}
    mine.note("b", outcome("b"))
    assert set(ledger(notes).done) == {"b"}


def test_a_try_that_is_killed_while_it_forgets_leaves_nothing_that_no_later_try_finds() -> None:
    for moment in range(1, 2 * 3 + 1):
        notes = notebook()
        mine = noted(notes, "a", "b", "c", batch=1)
        notes.fuse.renew(moment)
        with pytest.raises(Killed):
            mine.clear()
        notes.fuse.renew()
        ledger(notes).clear()
        assert notes.values == {}


def test_without_a_store_nothing_is_noted_and_nothing_piles_up() -> None:
    mine = ledger(None, batch=2)
    for name in "abcde":
        mine.note(name, outcome(name))
    mine.flush()
    mine.clear()
    assert mine.done == {}
    assert mine.resources == frozenset()
    assert not mine._waiting


def test_no_details_of_a_unit_are_shared_with_the_store() -> None:
    notes = notebook()
    details = {"before": "12ab"}
    mine = ledger(notes, batch=1)
    mine.note("a", outcome("a", details=details))
    details["before"] = "other"
    assert ledger(notes).done["a"][0].details == {"before": "12ab"}


def test_what_was_undone_is_taken_up_again() -> None:
    notes = notebook()
    noted(notes, "a", "b", batch=1)
    later = ledger(notes)
    later.reopen(["b", "never done"])
    assert set(later.done) == {"a"}
    assert {each.owner for each in later.resources} == {each.resource.owner for each in later.done["a"]}


class AwayStore(FusedStore):
    """A store that cannot be reached for some writes."""

    away = False
    asked = 0

    def set(self, key: str, value: Any) -> None:
        self.asked += 1
        if self.away:
            raise ConnectionError("api-server.example.com refused")
        super().set(key, value)

    def delete(self, key: str) -> None:
        if self.away:
            raise ConnectionError("api-server.example.com refused")
        super().delete(key)


def test_a_store_that_is_away_is_asked_again_a_batch_later_and_stops_nobody() -> None:
    notes, said = AwayStore(Fuse()), []
    mine = ledger(notes, batch=2, log=said.append)
    notes.away = True
    for name in ("a", "b", "c"):
        mine.note(name, outcome(name))
    notes.away = False
    before = notes.asked
    mine.note("d", outcome("d"))

    assert (before, notes.asked) == (1, 2)
    assert list(ledger(notes).done) == ["a", "b", "c", "d"]
    assert len(said) == 1
    assert "2 finished target(s) could not be kept (ConnectionError)" in said[0]


def test_what_cannot_be_forgotten_is_said_and_stays() -> None:
    notes, said = AwayStore(Fuse()), []
    mine = ledger(notes, batch=1, log=said.append)
    mine.note("a", outcome("a"))
    notes.away = True
    mine.clear()

    assert list(ledger(notes).done) == ["a"]
    assert len(said) == 1
    assert "could not be removed (ConnectionError)" in said[0]
    assert "within 6 hours" in said[0]
