"""The state of a target follows from the newest of what runs left."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from airflow_voice_agents.plans.diff import Change, Op
from airflow_voice_agents.plans.drift import Drift
from airflow_voice_agents.plans.kind import Resource
from airflow_voice_agents.plans.plan import DESTINATIONS, PlannedItem, TargetPlan, error, plan_of
from airflow_voice_agents.plans.report import ItemReport, Report, Status
from airflow_voice_agents.plans.rollback_blocks import RollbackBlock
from airflow_voice_agents.state import baselines, rollback_blocks
from airflow_voice_agents.state.files import StateFiles
from airflow_voice_agents.state.locks import LockFile, LockOwner
from airflow_voice_agents.state.status import StatusRecorder
from airflow_voice_agents.ui.board import Board, State, Target, build, split
from airflow_voice_agents.ui.records import StateReader
from airflow_voice_agents.ui.view import Query, View

from .conftest import NOW, WATCH, Record

Look = Callable[..., None]
LIVE = "hotel-1/live"
PAGE = Resource("config page", "hotel-1", "live")


@pytest.fixture
def board(base: str) -> Callable[..., Board]:
    return lambda now=NOW: build(StateReader(base).read(), None, now)


@pytest.fixture
def live(board: Callable[..., Board]) -> Callable[..., Target]:
    return lambda now=NOW: board(now).projects[0].targets["live"]


def planned(*findings: Any, changed: bool = True) -> list[TargetPlan]:
    changes = (Change(Op.ADD, ("new",), None, 1), Change(Op.ADD, ("hours", "monday"), None, 2))
    item = PlannedItem(
        PAGE, "a" * 64, ("b" if changed else "a") * 64, changes=changes if changed else (), findings=findings
    )
    return [TargetPlan(LIVE, (item,), live=True)]


def plan(recorder: StatusRecorder, targets: list[TargetPlan], *, writes: bool = False) -> str:
    digest = plan_of("promote", targets).digest
    recorder.planned("promote", targets, digest=digest, writes=writes)
    return digest


def lock(base: str, until: datetime) -> None:
    owner = LockOwner(WATCH, "r", "t")
    claim = LockFile("x.lock", owner, ("hotel-1/*",), NOW.timestamp() - 60, until.timestamp())
    StateFiles(f"{base}/locks").write(claim.file, claim.content())


def test_every_kind_of_drift_has_a_state(look: Look, live: Callable[..., Target]) -> None:
    expected = {
        Drift.DIVERGED: State.DIVERGED,
        Drift.EDITED: State.EDITED,
        Drift.DIFFERS: State.READY,
        Drift.NOT_PROMOTED: State.READY,
        Drift.UNKNOWN: State.UNKNOWN,
        Drift.CONVERGED: State.IN_SYNC,
        Drift.IN_SYNC: State.IN_SYNC,
    }
    assert set(expected) == set(Drift)
    for drift, state in expected.items():
        look(drift, task_id="one")
        assert live().state is state


@pytest.mark.parametrize(
    ("targets", "state"),
    [
        (planned(), State.READY),
        (planned(changed=False), State.IN_SYNC),
        (planned(error("x", "y")), State.UNKNOWN),
    ],
)
def test_a_plan_shows_whether_there_is_something_to_promote(
    recorder: Record, live: Callable[..., Target], targets: list[TargetPlan], state: State
) -> None:
    plan(recorder(), targets)

    assert live().state is state


def test_keys_carry_the_sign_of_their_change(recorder: Record, live: Callable[..., Target]) -> None:
    plan(recorder(), planned())

    assert live().compared["items"][0]["keys"] == [["~", "hours"], ["+", "new"]]
    assert live().key_count == 2


def test_the_newest_look_wins_whichever_task_made_it(look: Look, live: Callable[..., Target]) -> None:
    look(Drift.IN_SYNC, task_id="new", minutes=1)
    look(Drift.EDITED, task_id="old", minutes=60)

    assert live().state is State.IN_SYNC


def test_a_run_that_writes_is_in_progress_as_long_as_its_lock_lives(
    recorder: Record, live: Callable[..., Target], board: Callable[..., Board], base: str
) -> None:
    writer = recorder(minutes=1)
    plan(writer, planned(), writes=True)
    writer.reached(1, 3, 5, 25)
    lock(base, NOW + timedelta(minutes=5))

    assert live().state is State.RUNNING
    assert View(board(), Query(), NOW).progress(live()) == "wave 2 of 3 · 5/25"
    assert live(NOW + timedelta(minutes=6)).state is State.FAILED


@pytest.mark.parametrize(
    ("status", "state"),
    [
        (Status.CHANGED, State.IN_SYNC),
        (Status.FAILED, State.FAILED),
        (Status.UNKNOWN, State.FAILED),
        (Status.SKIPPED, State.FAILED),
    ],
)
def test_after_a_write_its_outcome_counts_until_somebody_looks_again(
    recorder: Record, look: Look, live: Callable[..., Target], status: Status, state: State
) -> None:
    writer = recorder(task_id="apply", minutes=2)
    plan(writer, planned(), writes=True)
    writer.ended(Report("promote", (ItemReport(PAGE, status),)))

    assert live().state is state
    look(Drift.EDITED, task_id="later", minutes=1)
    assert live().state is State.EDITED


def test_what_a_run_left_unchanged_was_not_promoted(recorder: Record, live: Callable[..., Target]) -> None:
    writer = recorder()
    plan(writer, planned(changed=False), writes=True)
    writer.ended(Report("promote", (ItemReport(PAGE, Status.UNCHANGED),)))

    assert live().applied == {}


def test_a_target_that_an_earlier_try_finished_does_not_stay_in_progress(
    recorder: Record, live: Callable[..., Target]
) -> None:
    plan(recorder(minutes=2), planned(), writes=True)
    again = recorder(minutes=1)
    again.planned("promote", [], digest="d", writes=True)
    again.ended(Report("promote", (ItemReport(PAGE, Status.CHANGED),)))

    assert live().state is State.IN_SYNC


def test_a_hold_shows_over_a_difference(look: Look, live: Callable[..., Target], base: str) -> None:
    look(Drift.NOT_PROMOTED)
    rollback_blocks.place(base, RollbackBlock(LIVE, {}, "", {}, NOW.isoformat()))

    assert live().state is State.HOLD


def test_a_hold_shows_without_any_other_record(live: Callable[..., Target], base: str) -> None:
    rollback_blocks.place(base, RollbackBlock(LIVE, {}, "", {"dag_id": WATCH}, NOW.isoformat()))

    assert live().state is State.HOLD


def test_a_question_waits_until_it_is_answered_or_ends(
    recorder: Record, live: Callable[..., Target], board: Callable[..., Board]
) -> None:
    digest = plan(recorder(task_id="plan", minutes=3), planned())
    asking = recorder(task_id="ask", minutes=2)
    asking.approval("waiting", digest, NOW + timedelta(hours=1))

    assert live().state is State.WAITING
    words, href, airflow = View(board(), Query(), NOW, "/base").action(board().projects[0])
    assert (words, airflow) == ("Review and approve", True)
    assert href == "/base/dags/watch/runs/r%201/tasks/ask/required_actions"
    assert live(NOW + timedelta(hours=2)).state is State.READY
    recorder(task_id="ask", minutes=1).approval("approved", digest)
    assert live().state is State.READY


def test_a_question_of_a_mapped_task_is_linked_to_its_own_instance(
    recorder: Record, board: Callable[..., Board]
) -> None:
    digest = plan(recorder(task_id="plan"), planned())
    asking = recorder(task_id="ask")
    asking.run = {**asking.run, "map_index": 3}
    asking.approval("waiting", digest)

    _, href, _ = View(board(), Query(), NOW).action(board().projects[0])
    assert href.endswith("/tasks/ask/mapped/3/required_actions")


def test_a_question_about_another_plan_is_no_question(recorder: Record, live: Callable[..., Target]) -> None:
    plan(recorder(task_id="plan"), planned())
    recorder(task_id="ask").approval("waiting", "f" * 64)

    assert live().state is State.READY


def test_one_read_of_an_agent_shows_the_versions_of_all_its_environments(
    look: Look, board: Callable[..., Board]
) -> None:
    versions = {name: {"version": name} for name in ("sandbox", "pre-release", "live")}
    look(Drift.IN_SYNC, facts={"versions": versions})

    (project,) = board().projects
    assert {name: (target.version or {})["version"] for name, target in project.targets.items()} == {
        name: name for name in versions
    }
    assert project.state is State.IN_SYNC
    assert View(board(), Query(), NOW).columns == ("sandbox", "pre-release", "live")


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("hotel-1/live", ("hotel-1", "live")),
        ("acme.signalwire.com", ("acme.signalwire.com", "other")),
        ("space/number", ("space/number", "other")),
        ("/live", ("/live", "other")),
    ],
)
def test_what_is_no_environment_of_an_agent_has_a_row_of_its_own(name: str, place: tuple[str, str]) -> None:
    assert split(name) == place


def test_a_baseline_tells_of_the_last_promotion_where_no_record_does(
    look: Look, board: Callable[..., Board], base: str
) -> None:
    look(Drift.IN_SYNC)
    baselines.merge(
        base, "nightly", {"config page:hotel-1/live": {"digest": "d", "at": "2026-11-01T00:00:00Z"}}
    )
    baselines.merge(
        base, "other", {"config page:hotel-1/live": {"digest": "d", "at": "2026-10-01T00:00:00Z"}}
    )

    (project,) = board().projects
    assert project.last_promotion["at"] == "2026-11-01T00:00:00Z"
    assert project.last_promotion["run"]["dag_id"] == "baseline nightly"


def test_a_baseline_alone_shows_nobody_a_project(board: Callable[..., Board], base: str) -> None:
    baselines.merge(base, "nightly", {"config page:hotel-1/live": {"digest": "d", "at": "2026"}})

    assert board().projects == ()


def test_commands_are_quoted_for_a_shell(look: Look, board: Callable[..., Board], base: str) -> None:
    look(Drift.EDITED, "a; rm -rf x/live")
    rollback_blocks.place(base, RollbackBlock("a; rm -rf x/live", {}, "", {}, NOW.isoformat()))

    commands = View(board(), Query(), NOW).commands(board().projects[0])
    assert commands[:2] == [
        "airflow voice-agents status --project 'a; rm -rf x'",
        "airflow voice-agents release-hold 'a; rm -rf x/live'",
    ]


VERSIONS = {"sandbox": {"version": "3"}, "pre-release": {"version": "2"}, "live": {"version": "1"}}


def test_how_far_an_environment_is_behind_holds_while_both_run_what_they_ran(
    look: Look, live: Callable[..., Target]
) -> None:
    facts = {"versions": VERSIONS, "source": "hotel-1/pre-release", "behind": 2}
    look(Drift.NOT_PROMOTED, facts=facts, task_id="one", minutes=9)
    assert live().behind == 2

    moved = {**VERSIONS, "pre-release": {"version": "3"}}
    look(Drift.IN_SYNC, "hotel-1/pre-release", facts={"versions": moved}, task_id="two", minutes=1)
    assert live().version == {"version": "1"}
    assert live().behind is None


def test_nobody_guesses_how_far_an_environment_is_behind(look: Look, live: Callable[..., Target]) -> None:
    look(Drift.NOT_PROMOTED, facts={"versions": VERSIONS, "source": "hotel-1/pre-release"})

    assert live().behind is None


def test_what_a_refusal_has_shown_stays_until_a_write_ends_well(
    recorder: Record, live: Callable[..., Target]
) -> None:
    for minutes, status in ((3, Status.FAILED), (1, Status.CHANGED)):
        writer = recorder(minutes=minutes)
        plan(writer, planned(), writes=True)
        writer.ended(Report("promote", (ItemReport(PAGE, status, details={"marks": ["A/B test"]}),)))
        assert live().marks == (("A/B test",) if status is Status.FAILED else ())


def space(recorder: StatusRecorder, *, writes: bool, status: Status | None = None) -> None:
    """Leave what a run over two numbers of a carrier leaves."""
    recorder.system = "signalwire"
    items = tuple(
        PlannedItem(
            Resource("carrier number", "acme", number), "a", "b", facts={DESTINATIONS: ["old", "new"]}
        )
        for number in ("+4420", "+4421")
    )
    plan(recorder, [TargetPlan("acme", items, live=True)], writes=writes)
    if status is not None:
        recorder.ended(Report("route", tuple(ItemReport(item.resource, status) for item in items)))


def test_numbers_lead_where_they_were_read_or_written_to(
    recorder: Record, board: Callable[..., Board]
) -> None:
    def shown() -> Any:
        target = board().projects[0].targets["other"]
        return target.number_count, target.destinations, target.destination(target.compared["items"][0])

    space(recorder(minutes=9), writes=False)
    assert shown() == (2, [("old", 2)], ("old", "new"))
    space(recorder(minutes=8), writes=True, status=Status.CHANGED)
    assert shown() == (2, [("new", 2)], ("new", ""))
    space(recorder(minutes=7), writes=True, status=Status.FAILED)
    assert shown() == (2, [], ("", ""))


def test_the_lock_of_a_number_is_that_of_a_run_over_its_space(
    recorder: Record, board: Callable[..., Board], base: str
) -> None:
    space(recorder(minutes=1), writes=True)
    owner = LockOwner(WATCH, "r", "t")
    until = (NOW + timedelta(minutes=5)).timestamp()
    claim = LockFile("x.lock", owner, ("acme/+4420", "acme/+4421"), NOW.timestamp() - 60, until)
    StateFiles(f"{base}/locks").write(claim.file, claim.content())

    (project,) = board().projects
    assert project.state is State.RUNNING


def test_a_project_belongs_to_the_system_that_its_records_name(
    recorder: Record, look: Look, board: Callable[..., Board]
) -> None:
    space(recorder(task_id="route"), writes=False)
    look(Drift.IN_SYNC, task_id="look")

    assert {project.name: project.system for project in board().projects} == {
        "acme": "signalwire",
        "hotel-1": "polyai",
    }
    assert board().systems == ("polyai", "signalwire")
    shown = View(board(), Query.parse({"system": "signalwire"}), NOW)
    assert [project.name for project in shown.matching] == ["acme"]
    assert Query.parse({"system": "nonsense"}).system == ""
    assert Query.parse({"system": "signalwire"}).url() == "?system=signalwire"


def test_two_spaces_never_share_a_row(recorder: Record, board: Callable[..., Board]) -> None:
    """A row of several shows the numbers of the first."""
    for name in ("acme", "beta"):
        one = recorder(task_id=name)
        one.system = "signalwire"
        item = PlannedItem(Resource("carrier number", name, "+4420"), "a", "a")
        plan(one, [TargetPlan(name, (item,), live=True)])

    assert len(View(board(), Query(), NOW).rows) == 2


def test_what_is_no_environment_takes_the_width_of_all(
    recorder: Record, look: Look, board: Callable[..., Board]
) -> None:
    space(recorder(task_id="route"), writes=False)
    alone = View(board(), Query(), NOW)
    assert (alone.columns, alone.spans(alone.matching[0])) == (("other",), False)

    look(Drift.IN_SYNC, task_id="look")
    mixed = View(board(), Query(), NOW)
    assert mixed.columns == ("live",)
    assert {project.name: mixed.spans(project) for project in mixed.matching} == {
        "acme": True,
        "hotel-1": False,
    }


def test_a_plan_for_numbers_counts_numbers_and_not_keys(
    recorder: Record, board: Callable[..., Board]
) -> None:
    space(recorder(), writes=False)
    view = View(board(), Query(), NOW)

    target = view.matching[0].targets["other"]
    assert view.step(target) == ("→", "2 numbers")
    assert list(view.keys(target)) == []
    assert view.numbers(target) == [("+4420", ("old", "new")), ("+4421", ("old", "new"))]


def test_a_version_is_no_key(recorder: Record, board: Callable[..., Board]) -> None:
    def words(*kinds: str) -> str:
        items = tuple(
            PlannedItem(
                Resource(kind, "hotel-1", "live"), "a", "b", changes=(Change(Op.CHANGE, ("x",), 1, 2),)
            )
            for kind in kinds
        )
        plan(recorder(), [TargetPlan(LIVE, items, live=True)])
        view = View(board(), Query(), NOW)
        return view.step(view.matching[0].targets["live"])[1]

    assert words("config page", "deployment") == "1 key, version"
    assert words("deployment") == "version"
    assert words("config page") == "1 key"
