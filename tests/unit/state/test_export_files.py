"""Text files below a folder: written only where they differ, read with words that help where they are not."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_voice_agents.state.export_files import checked, names, read, write
from airflow_voice_agents.transport.errors import InputError

WANTED = ("config.json", "config.yaml")


def stamps(folder: Path) -> dict[str, tuple[int, int]]:
    """Inode and time of each file: what a rewrite changes, even one with the same bytes."""
    found = {path: path.stat() for path in folder.rglob("*") if path.is_file()}
    return {path.name: (stat.st_ino, stat.st_mtime_ns) for path, stat in found.items()}


@pytest.fixture(params=["path", "url", "slash"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    spelled = {"path": str(tmp_path), "url": tmp_path.as_uri(), "slash": f"{tmp_path}/"}
    return spelled[request.param]


def test_files_are_written_byte_by_byte_and_read_back(folder: str, tmp_path: Path) -> None:
    files = {"a%2Fb/live/config.json": "Grüß\r\nGott\n", "other/live/config.json": "{}\n"}

    assert write(folder, files) == list(files)

    assert (tmp_path / "a%2Fb" / "live" / "config.json").read_bytes() == "Grüß\r\nGott\n".encode()
    assert read(folder, "a%2Fb/live", WANTED) == {"config.json": "Grüß\r\nGott\n"}
    assert names(folder, "other/live") == ["config.json"]


def test_only_files_that_differ_are_written(folder: str, tmp_path: Path) -> None:
    write(folder, {"x/live/config.json": "1\n", "x/live/routing.json": "{}\n"})
    before = stamps(tmp_path)

    assert write(folder, {"x/live/config.json": "1\n", "x/live/routing.json": "{}\n"}) == []
    assert stamps(tmp_path) == before

    assert write(folder, {"x/live/config.json": "2\n", "x/live/routing.json": "{}\n"}) == [
        "x/live/config.json"
    ]
    after = stamps(tmp_path)
    assert after["routing.json"] == before["routing.json"]
    assert (tmp_path / "x" / "live" / "config.json").read_text() == "2\n"
    assert sorted(after) == ["config.json", "routing.json"]


def test_writing_leaves_other_files_alone(tmp_path: Path) -> None:
    write(str(tmp_path), {"x/live/config.json": "1\n"})
    (tmp_path / "x" / "live" / "README.md").write_text("mine")

    write(str(tmp_path), {"x/live/config.json": "2\n"})

    assert (tmp_path / "x" / "live" / "README.md").read_text() == "mine"
    assert read(str(tmp_path), "x/live", WANTED) == {"config.json": "2\n"}


def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_bytes(b"\xef\xbb\xbf{}")
    assert read(str(tmp_path), "", WANTED) == {"config.json": "{}"}


def test_what_is_not_there_is_told_in_words_that_help(folder: str, tmp_path: Path) -> None:
    message = "x/live has none of the files config.json, config.yaml. Check the folder, the agent and"
    with pytest.raises(InputError, match=message):
        read(folder, "x/live", WANTED)
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "live").mkdir()
    (tmp_path / "x" / "live" / "README.md").write_text("mine")
    with pytest.raises(InputError, match=message):
        read(folder, "x/live", WANTED)


def test_what_is_not_utf_8_is_refused_without_showing_it(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_bytes(b"hunter2\xff")
    with pytest.raises(InputError, match=r"config.json is not UTF-8 \(byte 7\)") as caught:
        read(str(tmp_path), "", WANTED)
    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("folder", [None, "", " ", "None", 5])
def test_a_folder_that_no_template_gave_is_called_missing(folder: object) -> None:
    with pytest.raises(InputError, match=r"^folder is missing"):
        checked(folder)


def test_a_folder_of_an_unknown_kind_is_refused() -> None:
    with pytest.raises(
        InputError, match="folder nowhere://x/ is of a kind that this Airflow has no file system"
    ):
        checked("nowhere://x/")


def test_a_checked_folder_has_no_slash_at_its_end(tmp_path: Path) -> None:
    assert checked(f"{tmp_path}/") == str(tmp_path)
    assert checked("/") == "/"
    assert list(tmp_path.iterdir()) == []


def test_a_storage_that_refuses_is_no_wrong_argument(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("a file where a folder should be")
    with pytest.raises(OSError, match="x"):
        write(str(tmp_path), {"x/live/config.json": "1\n"})
