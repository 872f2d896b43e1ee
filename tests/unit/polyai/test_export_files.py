"""Exported files taken from a folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_voice_agents.polyai.export_files import shelf
from airflow_voice_agents.polyai.files import EnvironmentFiles, documents, place
from airflow_voice_agents.polyai.resources.config_page import PageState
from airflow_voice_agents.state.export_files import write
from airflow_voice_agents.transport.errors import InputError

FILES = EnvironmentFiles(PageState(None, {"a": "Grüß Gott"}), (), {"+441632000001": "Bar"})


def put(folder: Path, agent_id: str, files: EnvironmentFiles) -> None:
    texts = documents(files)
    write(str(folder), {f"{place(agent_id, 'live')}/{name}": text for name, text in texts.items()})


def test_what_was_written_is_taken(tmp_path: Path) -> None:
    put(tmp_path, "a b", FILES)
    (tmp_path / "a%20b" / "live" / "README.md").write_text("other files do no harm")

    assert shelf()(tmp_path.as_uri(), "a b", "live") == FILES


def test_what_is_not_there_is_told_and_may_come_later(tmp_path: Path) -> None:
    take = shelf()
    with pytest.raises(InputError, match="hotel/live has none of the files"):
        take(str(tmp_path), "hotel", "live")
    put(tmp_path, "hotel", FILES)

    assert take(str(tmp_path), "hotel", "live") == FILES


def test_one_shelf_shows_the_same_files_throughout(tmp_path: Path) -> None:
    take = shelf()
    put(tmp_path, "hotel", FILES)
    first = take(str(tmp_path), "hotel", "live")
    put(tmp_path, "hotel", EnvironmentFiles(PageState(None, {"a": 2})))

    assert take(str(tmp_path), "hotel", "live") is first
    assert shelf()(str(tmp_path), "hotel", "live").page == PageState(None, {"a": 2})
