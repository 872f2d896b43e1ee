"""Status records: one file per task, no values, and never a reason for a run to stop."""

from __future__ import annotations

import json
import tracemalloc
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from airflow_voice_agents.plans.diff import Change, Op
from airflow_voice_agents.plans.kind import Resource
from airflow_voice_agents.plans.plan import DESTINATIONS, PlannedItem, TargetPlan, warning
from airflow_voice_agents.plans.report import ItemReport, Report, Status
from airflow_voice_agents.state import status
from airflow_voice_agents.state.files import StateFiles
from airflow_voice_agents.state.status import StatusRecorder, read_status

NOW = datetime(2026, 11, 27, tzinfo=UTC)
SECRET = "sk-very-secret"


def recorder(base: str, log: Any = print, **run: Any) -> StatusRecorder:
    ids = {"dag_id": "d", "run_id": "r", "task_id": "t", "map_index": -1, **run}
    return StatusRecorder(base, ids, log, clock=lambda: NOW)


def target(name: str = "hotel-1/live", keys: int = 1, items: int = 1) -> TargetPlan:
    agent, _, environment = name.partition("/")
    changes = tuple(Change(Op.CHANGE, (f"key_{place:04}",), SECRET, SECRET) for place in range(keys))
    made = tuple(
        PlannedItem(
            Resource("config page", agent, f"{environment}{place or ''}"),
            "a" * 64,
            "b" * 64,
            changes=changes,
            findings=(warning("stale_keys", f"has {SECRET}"),),
        )
        for place in range(items)
    )
    return TargetPlan(name, made)


def documents(tmp_path: Path) -> list[dict[str, Any]]:
    return [read_status(path.read_bytes()) for path in sorted((tmp_path / "status").iterdir())]


@pytest.fixture
def base(tmp_path: Path) -> str:
    return f"file://{tmp_path}"


def plan(one: StatusRecorder, *targets: TargetPlan) -> None:
    one.planned("promote", targets, digest="d" * 64, writes=False)


def test_values_and_messages_never_reach_a_record(base: str, tmp_path: Path) -> None:
    plan(recorder(base), target())

    (path,) = (tmp_path / "status").iterdir()
    assert SECRET not in path.read_text()
    assert "key_0000" in path.read_text()


def test_each_task_has_a_file_and_a_second_run_keeps_the_other_targets(base: str, tmp_path: Path) -> None:
    plan(recorder(base), target("a/live"))
    plan(recorder(base), target("b/live"))
    plan(recorder(base, map_index=1), target("c/live"))

    assert [sorted(one["targets"]) for one in documents(tmp_path)] == [["a/live", "b/live"], ["c/live"]]


def test_a_record_is_bounded_and_its_counts_are_complete(base: str, tmp_path: Path) -> None:
    plan(recorder(base), target(keys=500, items=300))

    compared = documents(tmp_path)[0]["targets"]["hotel-1/live"]["compared"]
    assert (len(compared["items"]), compared["item_count"]) == (status.ITEMS_KEPT, 300)
    assert (len(compared["items"][0]["keys"]), compared["items"][0]["key_count"]) == (status.KEYS_KEPT, 500)


def test_the_oldest_targets_make_room(base: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(status, "TARGETS_KEPT", 2)
    for place, name in enumerate(("a/live", "b/live", "c/live")):
        one = recorder(base)
        one.clock = lambda place=place: NOW + timedelta(minutes=place)  # type: ignore[misc]
        plan(one, target(name))

    assert sorted(documents(tmp_path)[0]["targets"]) == ["b/live", "c/live"]


def test_approvals_are_bounded(base: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(status, "APPROVALS_KEPT", 3)
    for place in range(5):
        recorder(base).approval("waiting", f"{place}" * 64)

    assert len(documents(tmp_path)[0]["approvals"]) == 3
    assert "4" * 12 in documents(tmp_path)[0]["approvals"]


def test_a_run_costs_a_handful_of_storage_operations(base: str, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    for name in ("read", "write", "names"):
        kept = getattr(StateFiles, name)
        monkeypatch.setattr(
            StateFiles,
            name,
            lambda *given, kept=kept, name=name: done.append(name) or kept(*given),  # type: ignore[func-returns-value]
        )
    plan(recorder(base), *(target(f"hotel-{place}/live") for place in range(200)))

    assert done == ["read", "write"]


def test_a_target_takes_few_bytes_of_memory(base: str) -> None:
    one, names = recorder(base), [f"hotel-{place:05}/live" for place in range(2000)]
    one.planned("promote", [target("a/live")], digest="d" * 64, writes=True)  # loads what is loaded once
    tracemalloc.start()
    one.planned("promote", [target(name) for name in names], digest="d" * 64, writes=True)
    kept = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()

    assert kept / len(names) < 2000


def test_a_killed_run_is_ended_by_the_next_try_also_where_nothing_is_left_to_write(
    base: str, tmp_path: Path
) -> None:
    recorder(base).planned("promote", [target("a/live")], digest="d" * 64, writes=True)
    later, same = recorder(base), target("a/live")
    same = replace(same, items=tuple(replace(item, after=item.before, changes=()) for item in same.items))
    later.planned("promote", [same], digest="d" * 64, writes=True)
    items = tuple(ItemReport(item.resource, Status.UNCHANGED) for item in same.items)
    later.ended(Report("promote", items))

    assert documents(tmp_path)[0]["targets"]["a/live"]["applied"]["outcome"] == "unchanged"


@pytest.mark.parametrize("failure", [OSError("disk full"), ValueError("no bucket"), PermissionError()])
def test_a_storage_that_fails_is_logged_and_stops_nothing(
    base: str, monkeypatch: pytest.MonkeyPatch, failure: Exception
) -> None:
    def fail(*_: Any) -> None:
        raise failure

    lines: list[str] = []
    monkeypatch.setattr(StateFiles, "write", fail)
    plan(recorder(base, lines.append), target())

    assert lines == [
        f"The status page was not told about this run ({type(failure).__name__}); the run goes on"
    ]


def test_a_damaged_file_of_the_task_is_replaced(base: str, tmp_path: Path) -> None:
    plan(recorder(base), target("a/live"))
    (path,) = (tmp_path / "status").iterdir()
    path.write_text("{")
    plan(recorder(base), target("b/live"))

    assert sorted(documents(tmp_path)[0]["targets"]) == ["b/live"]


SECTION = {"at": "2026", "run": {"dag_id": "d", "run_id": "r", "task_id": "t"}}


@pytest.mark.parametrize(
    "changed",
    [
        {"version": 2},
        {"run": None},
        {"targets": []},
        {"targets": {"a/live": 3}},
        {"targets": {"a/live": {"compared": {"at": 3}}}},
        {"targets": {"a/live": {"compared": {**SECTION, "items": [{"kind": 3}]}}}},
        {
            "targets": {
                "a/live": {"compared": {**SECTION, "items": [{"kind": "k", "name": "n", "keys": ["x"]}]}}
            }
        },
        {"targets": {"a/live": {"compared": {**SECTION, "destinations": [["x", 1]]}}}},
        {"targets": {"a/live": {"compared": {**SECTION, "destinations": 3 * [["x", "1", 1]]}}}},
        {
            "targets": {
                "a/live": {
                    "compared": {**SECTION, "items": [{"kind": "k", "name": "n", "destinations": ["x"]}]}
                }
            }
        },
        {"targets": {"a/live": {"applied": {**SECTION, "marks": "A/B"}}}},
        {"targets": {"a/live": {"versions": {**SECTION, "environments": {"live": "x"}}}}},
        {"approvals": {"d": {}}},
    ],
)
def test_what_is_no_status_file_is_refused(base: str, tmp_path: Path, changed: dict[str, Any]) -> None:
    plan(recorder(base), target())

    with pytest.raises(ValueError, match="not a status file"):
        read_status(json.dumps({**documents(tmp_path)[0], **changed}).encode())


def numbers(count: int, now: str = "agent a", then: str = "agent b") -> TargetPlan:
    items = (
        PlannedItem(
            Resource("agent number", "desk", f"+44{place:09}"), "a", "b", facts={DESTINATIONS: [now, then]}
        )
        for place in range(count)
    )
    return TargetPlan("desk", tuple(items))


def test_a_record_counts_all_numbers_and_lists_some(base: str, tmp_path: Path) -> None:
    plan(recorder(base), numbers(status.ITEMS_KEPT + 1))

    section = documents(tmp_path)[0]["targets"]["desk"]["compared"]
    assert section["numbers"] == status.ITEMS_KEPT + 1
    assert section["destinations"] == [["agent a", 101, 0], ["agent b", 0, 101]]
    assert len(section["items"]) == status.ITEMS_KEPT
    assert section["items"][0]["destinations"] == ["agent a", "agent b"]


def test_a_record_names_so_many_destinations(base: str, tmp_path: Path) -> None:
    items = [item for place in range(30) for item in numbers(1, f"agent {place}", f"agent {place}").items]
    plan(recorder(base), TargetPlan("desk", tuple(items)))

    section = documents(tmp_path)[0]["targets"]["desk"]["compared"]
    assert len(section["destinations"]) == status.DESTINATIONS_KEPT


def test_after_a_deployment_the_record_shows_what_was_deployed(base: str, tmp_path: Path) -> None:
    """For every target of the agent, because readers take the newest record of any of them."""
    shown = {name: {"version": "old", "label": "Winter"} for name in ("sandbox", "pre-release", "live")}
    resources = [Resource("deployment", "hotel-1", name) for name in ("pre-release", "live")]
    facts = {"versions": shown, "behind": 2}
    targets = [TargetPlan(str(each), (PlannedItem(each, "a", "b", facts=facts),)) for each in resources]
    one = recorder(base)
    one.planned("promote", targets, digest="d" * 64, writes=True)
    before = documents(tmp_path)[0]["targets"]["hotel-1/live"]["versions"]
    assert (before["behind"], before["environments"]["live"]["version"]) == (2, "old")

    details = {"version": "new", "deployment_id": "d1"}
    done = [
        ItemReport(resources[0], Status.CHANGED, details=details),
        ItemReport(resources[1], Status.FAILED, details={"version": "new", "marks": ["A/B test"]}),
    ]
    one.ended(Report("promote", tuple(done)))

    targets_kept = documents(tmp_path)[0]["targets"]
    for name in ("hotel-1/pre-release", "hotel-1/live"):
        versions = targets_kept[name]["versions"]
        assert versions["environments"]["pre-release"] == details
        assert versions["environments"]["live"]["version"] == "old"
        assert "behind" not in versions
    assert targets_kept["hotel-1/live"]["applied"]["marks"] == ["A/B test"]
    assert targets_kept["hotel-1/pre-release"]["applied"]["marks"] == []
