"""Plans in the state folder: found by address, held to their digest, and counted together."""

from __future__ import annotations

import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from airflow_voice_agents.plans.document import save
from airflow_voice_agents.plans.kind import Resource
from airflow_voice_agents.plans.plan import Plan, PlannedItem
from airflow_voice_agents.plans.report import ItemReport, Report, Status
from airflow_voice_agents.state import plan_files
from airflow_voice_agents.state.plan_files import PlanReference, begun, merge_reports, open_plan, save_plan
from airflow_voice_agents.transport.errors import InputError

PARTS = ("ab", "c")
BEFORE, AFTER = "0" * 64, "1" * 64


def resource(name: str) -> Resource:
    return Resource("page", name, "live")


def plan(names: str) -> dict[str, Any]:
    items = tuple(PlannedItem(resource(name), BEFORE, AFTER) for name in names)
    return save(Plan("promote", items), {"form": "plain", "asked": names})


def kept(folder: Path) -> tuple[PlanReference, list[PlanReference]]:
    return save_plan(str(folder), plan("".join(PARTS)), [plan(part) for part in PARTS], to_change=3)


def path_of(reference: PlanReference) -> Path:
    return Path(reference.address.removeprefix("file://"))


def test_whole_and_chunks_are_read_back_under_one_digest(tmp_path: Path) -> None:
    whole, chunks = kept(tmp_path)
    digest = plan("abc")["digest"]

    assert [each.number for each in (whole, *chunks)] == [0, 1, 2]
    assert {each.load().digest for each in (whole, *chunks)} == {digest}
    assert [[pin.owner for pin in each.load().pins] for each in (whole, *chunks)] == [
        [*"abc"],
        [*"ab"],
        ["c"],
    ]
    assert open_plan(chunks[1].document()).request["asked"] == "c"
    assert open_plan(plan("abc")).digest == digest


def test_files_are_for_their_owner_alone(tmp_path: Path) -> None:
    _, chunks = kept(tmp_path)
    chunks[0].progress().note(1)
    chunks[0].progress().save(Report("promote", ()))

    assert {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "plans").iterdir()} == {0o600}


@pytest.mark.parametrize("number", [0, 1, 2])
@pytest.mark.parametrize("spoil", ["one byte", "another chunk", "nothing", "gone"])
def test_a_file_that_is_not_the_saved_one_is_refused(tmp_path: Path, number: int, spoil: str) -> None:
    whole, chunks = kept(tmp_path)
    wanted = (whole, *chunks)[number]
    path = path_of(wanted)
    if spoil == "one byte":
        path.write_bytes(path.read_bytes().replace(b"page", b"paGe", 1))
    elif spoil == "another chunk":
        path.write_bytes(path_of((whole, *chunks)[number - 1]).read_bytes())
    elif spoil == "nothing":
        path.write_bytes(b"")
    else:
        path.unlink()

    with pytest.raises(InputError, match="Plan again"):
        wanted.load()


@pytest.mark.parametrize("change", [{"number": 2}, {"digest": "0" * 64}])
def test_a_reference_that_does_not_fit_its_file_is_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    _, chunks = kept(tmp_path)
    mixed = PlanReference.read({**chunks[0].document(), **change})

    assert mixed is not None
    with pytest.raises(InputError, match="part of another plan"):
        mixed.load()


@pytest.mark.parametrize(
    "value",
    [None, "x", {}, {"address": "x"}, {**dict.fromkeys(plan_files._WORDS, "x")}, {"version": 1}],
)
def test_something_else_is_no_reference(value: Any) -> None:
    assert PlanReference.read(value) is None


def test_plans_are_removed_by_a_plan_that_is_made_a_month_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept(tmp_path)
    kept(tmp_path)
    assert len(list((tmp_path / "plans").iterdir())) == 6

    class Later(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:
            return datetime.now(UTC) + plan_files.KEPT + timedelta(days=1)

    monkeypatch.setattr(plan_files, "datetime", Later)
    kept(tmp_path)
    assert len(list((tmp_path / "plans").iterdir())) == 3


def test_failures_of_all_chunks_are_counted_and_those_of_an_earlier_try_are_not(tmp_path: Path) -> None:
    _, (one, other) = kept(tmp_path)

    assert one.progress().note(0) == 0
    assert one.progress().note(2) == 2
    assert other.progress().note(1) == 3
    assert one.progress().note(0) == 1
    one.progress().begin()
    assert other.progress().note(1) == 1
    assert other.progress().total == 3


def test_two_plans_do_not_count_together(tmp_path: Path) -> None:
    first, second = kept(tmp_path)[1], kept(tmp_path)[1]
    first[0].progress().note(5)

    assert second[1].progress().note(0) == 0


def test_reports_are_put_together_and_a_missing_one_is_unknown(tmp_path: Path) -> None:
    _, chunks = kept(tmp_path)
    assert not begun(chunks)
    items = (
        ItemReport(resource("a"), Status.CHANGED, details={"before": "0"}),
        ItemReport(resource("b"), Status.FAILED, "no", permanent=True),
    )
    chunks[0].progress().save(Report("promote", items, stopped="a person", notes=("frozen",)))
    whole, parts = merge_reports("promote", chunks)

    assert begun(chunks)
    assert whole.items[:2] == items
    assert (whole.stopped, whole.notes, whole.plan_digest) == ("a person", ("frozen",), chunks[0].digest)
    assert [item.status for item in whole.items] == [Status.CHANGED, Status.FAILED, Status.UNKNOWN]
    assert [len(report.items) for _, report in parts] == [2, 1]
    chunks[0].progress().begin()
    assert not begun(chunks)
