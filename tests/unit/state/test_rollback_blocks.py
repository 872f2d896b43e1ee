"""Holds in a folder: placed, read by target, released; never passed over because a file is damaged."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from airflow_voice_agents.plans.kind import Resource
from airflow_voice_agents.plans.rollback_blocks import RollbackBlock
from airflow_voice_agents.state import rollback_blocks
from airflow_voice_agents.state.files import StateFiles
from airflow_voice_agents.transport.errors import GuardRefused, InputError
from support.json_values import bounded

HERE, THERE = "rosa/live", "otto/live"
HOLD = RollbackBlock(
    HERE, {"page:rosa/live": "d1"}, "calls failed", {"dag_id": "d"}, "2026-01-02T03:04:05+00:00"
)


@pytest.fixture
def base(tmp_path: Path) -> str:
    return tmp_path.as_uri()


def test_a_hold_is_there_until_it_is_released(base: str) -> None:
    url = rollback_blocks.place(base, HOLD)

    assert url.startswith(f"{base}/holds/rosa%2Flive-")
    assert rollback_blocks.read(base, [HERE, THERE]) == {HERE: HOLD}
    assert rollback_blocks.release(base, [THERE, HERE]) == [HERE]
    assert rollback_blocks.read(base, [HERE, THERE]) == {}
    assert rollback_blocks.release(base, [HERE]) == []


def test_only_the_asked_for_are_released(base: str) -> None:
    rollback_blocks.place(base, HOLD)
    rollback_blocks.place(base, replace(HOLD, target=THERE))

    rollback_blocks.release(base, [HERE])

    assert list(rollback_blocks.read(base, [HERE, THERE])) == [THERE]


def test_a_new_hold_adds_to_the_old_one(base: str) -> None:
    rollback_blocks.place(base, HOLD)
    rollback_blocks.place(base, replace(HOLD, digests={"line:rosa/c": "d2"}, reason="again"))
    rollback_blocks.place(base, replace(HOLD, digests={"line:rosa/c": "d3"}, reason="once more"))

    found = rollback_blocks.read(base, [HERE])[HERE]
    assert found.digests == {"page:rosa/live": "d1", "line:rosa/c": "d3"}
    assert found.reason == "once more"


def test_one_listing_and_only_the_asked_for_files_are_read(
    base: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(5):
        rollback_blocks.place(base, replace(HOLD, target=f"{number}/live"))
    calls: list[str] = []
    listed, read = StateFiles.names, StateFiles.read
    monkeypatch.setattr(StateFiles, "names", lambda self: calls.append("list") or listed(self))
    monkeypatch.setattr(StateFiles, "read", lambda self, name: calls.append(name[:1]) or read(self, name))

    assert list(rollback_blocks.read(base, ["3/live", "x/live", "1/live"])) == ["3/live", "1/live"]
    assert rollback_blocks.read(base, []) == {}

    assert calls == ["list", "3", "1"]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "it is not JSON"),
        (b"\xff\xfe", "it is not JSON"),
        (b"{}", "not a hold of version 1"),
        (b'{"version": true}', "not a hold of version 1"),
        (b'{"version": 1, "version": 1}', "it: an object has the key 'version' twice"),
        (b'{"version": NaN}', "it: NaN and infinities are not JSON"),
        (b"[" * 100_000 + b"]" * 100_000, "it is not JSON that can be read: it has more than 20 levels"),
        (None, "it is of another target"),
    ],
)
def test_a_damaged_hold_refuses_and_can_still_be_released(
    base: str, tmp_path: Path, content: bytes | None, reason: str
) -> None:
    rollback_blocks.place(base, HOLD)
    (path,) = (tmp_path / "holds").iterdir()
    if content is None:
        content = path.read_bytes().replace(b"rosa/live", b"otto/live")
    path.write_bytes(content)

    for attempt in (lambda: rollback_blocks.read(base, [HERE]), lambda: rollback_blocks.place(base, HOLD)):
        with pytest.raises(GuardRefused, match=f"rosa/live may be on hold, .* cannot be read: {reason}"):
            attempt()
    assert rollback_blocks.release(base, [HERE]) == [HERE]


def test_a_target_without_a_name_is_refused(base: str) -> None:
    for attempt in (
        lambda: rollback_blocks.place(base, replace(HOLD, target="")),
        lambda: rollback_blocks.read(base, [""]),
    ):
        with pytest.raises(InputError):
            attempt()


@bounded(60)
@given(
    st.sets(
        st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40), min_size=1, max_size=4
    )
)
def test_any_names_are_kept_apart(tmp_path_factory: pytest.TempPathFactory, targets: set[str]) -> None:
    base = tmp_path_factory.mktemp("holds").as_uri()
    placed = {target: replace(HOLD, target=target, reason=target) for target in targets}

    for hold in placed.values():
        rollback_blocks.place(base, hold)

    assert rollback_blocks.read(base, targets) == placed


def test_a_task_places_holds_in_its_own_name(base: str) -> None:
    class Instance:
        dag_id, run_id, task_id = "d", "r", "t"

    said: list[str] = []
    put = rollback_blocks.block_placer(base, Instance(), "calls failed", said.append)
    digests: dict[str, Any] = {HERE: {Resource("page", "rosa", "live"): "d1"}, THERE: {}}
    put(digests)

    found = rollback_blocks.read(base, [HERE, THERE])
    assert found[HERE].digests == {"page:rosa/live": "d1"}
    assert found[HERE].placed_by == {"dag_id": "d", "run_id": "r", "task_id": "t"}
    assert found[HERE].placed_at > "2026"
    assert (found[THERE].digests, found[THERE].reason) == ({}, "calls failed")
    assert [line.split(" (")[0] for line in said] == [
        f"{each} is on hold from now on" for each in (HERE, THERE)
    ]
