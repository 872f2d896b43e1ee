"""The task state store in files: what is kept for whom, and what is not."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_voice_agents.state.task_state import FileTaskState, task_state


def context_of(folder: Path, **changed: Any) -> Any:
    instance = {
        "dag_id": "promote",
        "run_id": "manual__2026-12-01T00:00:00+00:00",
        "task_id": "apply",
        "map_index": -1,
    }
    ti = SimpleNamespace(**{**instance, **changed})
    return {"ti": ti, "task": SimpleNamespace(state_folder=f"file://{folder}")}


def test_a_later_try_reads_what_an_earlier_one_kept(tmp_path: Path) -> None:
    task_state(context_of(tmp_path)).set("checkpoints/0", {"units": ["a", None], "at": 1.5})

    later = task_state(context_of(tmp_path))

    assert later.get("checkpoints/0") == {"units": ["a", None], "at": 1.5}
    assert later.get("checkpoints/1") is None


@pytest.mark.parametrize("changed", [{"dag_id": "x"}, {"run_id": "x"}, {"task_id": "x"}, {"map_index": 0}])
def test_another_task_instance_has_values_of_its_own(tmp_path: Path, changed: dict[str, Any]) -> None:
    task_state(context_of(tmp_path)).set("watch", 1)

    assert task_state(context_of(tmp_path, **changed)).get("watch") is None


def test_a_task_that_is_not_mapped_has_one_store_however_its_index_is_written(tmp_path: Path) -> None:
    task_state(context_of(tmp_path, map_index=None)).set("watch", 1)

    assert task_state(context_of(tmp_path)).get("watch") == 1


def test_a_deleted_key_leaves_no_file_and_a_missing_one_is_no_error(tmp_path: Path) -> None:
    store = task_state(context_of(tmp_path))
    store.set("watch", 1)

    store.delete("watch")
    store.delete("watch")

    assert store.get("watch") is None
    assert list((tmp_path / "tasks").iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}"])
def test_a_file_that_cannot_be_read_counts_as_none(tmp_path: Path, content: bytes) -> None:
    store = task_state(context_of(tmp_path))
    store.set("watch", 1)
    (file,) = (tmp_path / "tasks").iterdir()

    file.write_bytes(content)

    assert store.get("watch") is None


def test_the_configured_folder_holds_it_where_the_operator_names_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__VOICE_AGENTS__STATE_FOLDER", f"file://{tmp_path}")

    task_state({**context_of(tmp_path / "other"), "task": SimpleNamespace()}).set("watch", 1)  # type: ignore[typeddict-item]

    assert len(list((tmp_path / "tasks").iterdir())) == 1


def test_airflow_s_own_store_comes_first(tmp_path: Path) -> None:
    own = FileTaskState.of(context_of(tmp_path))

    assert task_state({**context_of(tmp_path), "task_state_store": own}) is own
