"""The state folder: the argument, else the configuration, else the Airflow home."""

from __future__ import annotations

import errno
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, ClassVar

import pytest
from airflow.sdk import ObjectStoragePath
from hypothesis import given
from hypothesis import strategies as st

from airflow_voice_agents.airflow_compat import conf
from airflow_voice_agents.state import snapshots
from airflow_voice_agents.state.files import StateFiles, file_name, from_bytes, to_bytes
from airflow_voice_agents.state.folder import state_folder
from airflow_voice_agents.transport.errors import InputError
from support.json_values import JSON, bounded

SETTING = "AIRFLOW__VOICE_AGENTS__STATE_FOLDER"


def test_what_is_given_goes_before_what_is_configured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SETTING, "s3://team@bucket/configured")

    assert state_folder("s3://own@bucket/given/", "locks") == "s3://own@bucket/given/locks"
    assert state_folder(None, "holds") == "s3://team@bucket/configured/holds"
    assert state_folder("", "snapshots") == "s3://team@bucket/configured/snapshots"


@pytest.mark.parametrize("configured", [None, ""])
def test_without_any_it_lies_in_the_airflow_home(
    configured: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(SETTING, raising=False)
    if configured is not None:
        monkeypatch.setenv(SETTING, configured)
    home = Path(os.environ["AIRFLOW_HOME"]).absolute()

    assert state_folder(None, "baselines") == f"file://{home}/voice-agents/baselines"


def test_a_home_with_a_blank_is_found_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "air flow"
    monkeypatch.setenv("AIRFLOW_HOME", str(home))

    StateFiles(state_folder(None, "holds")).write("a", b"1")

    assert (home / "voice-agents" / "holds" / "a").read_bytes() == b"1"


def test_airflow_knows_the_setting_and_its_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(SETTING, raising=False)

    assert conf.get("voice_agents", "state_folder") == ""


@pytest.mark.parametrize("given", ["relative/folder", "~/state", "None", 7])
def test_what_would_mean_another_folder_on_each_worker_is_refused(given: Any) -> None:
    with pytest.raises(InputError, match="must be a URL or an absolute path"):
        state_folder(given, "locks")


def test_a_wrong_setting_is_called_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SETTING, "relative")

    with pytest.raises(InputError, match=r"\[voice_agents\] state_folder of the Airflow configuration"):
        state_folder(None, "locks")


# ------------------------------------------------------------------------------------------ snapshots


def keep(folder: str | None) -> str:
    return snapshots.save(
        {"resources": []},
        origin=snapshots.Origin("polyai", "api.example"),
        folder=folder,
        name="x",
        allow_unencrypted=True,
        retention=None,
        log=lambda _: None,
    )


@pytest.mark.usefixtures("fernet_key")
def test_snapshots_lie_in_their_room_unless_a_folder_of_their_own_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SETTING, (tmp_path / "state").as_uri())

    there, here = keep(None), keep((tmp_path / "own").as_uri())

    assert there.startswith(f"file://{tmp_path}/state/snapshots/")
    assert here.startswith(f"file://{tmp_path}/own/20")
    assert snapshots.load(there) == snapshots.load(here) == {"resources": []}


@pytest.mark.usefixtures("fernet_key")
def test_the_url_of_a_snapshot_names_the_connection_that_leads_to_it(tmp_path: Path) -> None:
    """A path of Airflow's does not say so in its text, and whoever restores has only the URL."""
    folder = f"file://store@{tmp_path}"

    url = keep(folder)

    assert url.startswith(f"{folder}/20")
    assert ObjectStoragePath(url).conn_id == "store"


# ---------------------------------------------------------------------------------------------- files


def test_files_come_back_as_they_were_written_last(tmp_path: Path) -> None:
    files = StateFiles((tmp_path / "new" / "folder").as_uri())

    assert (files.names(), files.read("a")) == ([], None)
    files.write("a", b"1")
    files.write("a", b"22")
    files.write("b", b"")
    assert (files.names(), files.read("a"), files.read("b")) == (["a", "b"], b"22", b"")
    files.remove("a")
    files.remove("a")
    assert files.names() == ["b"]


def test_of_all_that_create_a_file_one_does(tmp_path: Path) -> None:
    files = StateFiles((tmp_path / "new").as_uri())
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda number: files.create("a", b"%d" % number), range(32)))

    assert made.count(True) == 1
    assert files.read("a") == b"%d" % made.index(True)
    assert [(path.name, path.stat().st_mode & 0o777) for path in (tmp_path / "new").iterdir()] == [
        ("a", 0o600)
    ]


def test_on_an_object_storage_a_file_is_created_unless_it_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(StateFiles, "is_local", False)
    files = StateFiles(tmp_path.as_uri())

    assert [files.create("a", b"1"), files.create("a", b"2"), files.read("a")] == [True, False, b"1"]


@pytest.mark.parametrize(
    ("number", "made"), [(errno.EPERM, True), (errno.EOPNOTSUPP, True), (errno.EDQUOT, None)]
)
def test_a_disk_without_hard_links_is_written_as_an_object_storage_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, made: bool | None
) -> None:
    def refuse(*_: Any) -> None:
        raise OSError(number, "no")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    files = StateFiles(tmp_path.as_uri())

    if made is None:
        with pytest.raises(OSError, match="no"):
            files.create("a", b"1")
    else:
        assert [files.create("a", b"1"), files.create("a", b"2")] == [True, False]
    assert files.read("a") == (b"1" if made else None)
    assert len(list(tmp_path.iterdir())) == bool(made)


def test_of_two_that_create_a_file_at_the_same_moment_the_last_one_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(StateFiles, "is_local", False)
    files, write = StateFiles(tmp_path.as_uri()), StateFiles.write

    def overtaken(self: StateFiles, name: str, content: bytes) -> None:
        write(self, name, content)
        write(self, name, b"another's")

    monkeypatch.setattr(StateFiles, "write", overtaken)
    assert not files.create("a", b"1")


def test_a_file_is_replaced_as_a_whole(tmp_path: Path) -> None:
    """A reader that has the old file open reads the old content to its end, and no mixture."""
    files = StateFiles(tmp_path.as_uri())
    files.write("a", b"old content")

    with (tmp_path / "a").open("rb") as reader:
        files.write("a", b"new")
        assert reader.read() == b"old content"

    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_listings_and_sizes_that_a_client_library_remembers_are_not_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = StateFiles(tmp_path.as_uri())
    files.write("a", b"1")
    forgotten: list[str] = []
    monkeypatch.setattr(type(files._fs), "invalidate_cache", lambda _, path=None: forgotten.append(path))

    files.names()
    files.read("a")
    files.remove("a")

    assert forgotten == [str(tmp_path)] * 3


def test_on_an_object_storage_files_are_put_as_a_whole_and_not_renamed() -> None:
    """A rename there is a copy and a removal, in between which both files are to be seen."""

    class Bucket:
        put: ClassVar[dict[str, bytes]] = {}

        def pipe_file(self, path: str, content: bytes) -> None:
            self.put[path] = content

    class Place:
        protocol, path, fs = "s3", "bucket/locks", Bucket()

        def __truediv__(self, name: str) -> Place:
            below = Place()
            below.path = f"{self.path}/{name}"
            return below

        def mkdir(self, **_: Any) -> None: ...

    files = StateFiles("s3://team@bucket/locks")
    files.__dict__["_root"] = Place()
    files.write("a", b"1")

    assert Bucket.put == {"bucket/locks/a": b"1"}
    assert files.url("a") == "s3://team@bucket/locks/a"


@bounded(100)
@given(JSON)
def test_documents_come_back_from_bytes(value: Any) -> None:
    assert from_bytes(to_bytes(value)) == value


@bounded(200)
@given(st.lists(st.text(st.characters(), max_size=300), min_size=2, max_size=2, unique=True))
def test_every_text_has_a_file_name_of_its_own_that_any_disk_takes(texts: list[str]) -> None:
    one, other = (file_name(text) for text in texts)

    assert one.lower() != other.lower()
    assert len(one.encode()) < 200
    assert not set(one) & set('/\\:*?"<>| \0')
    assert not one.startswith(".")


def test_names_that_differ_in_case_only_or_look_like_paths_are_told_apart() -> None:
    names = ["Rosa/live", "rosa/live", "rosa%2Flive", "..", ".", "../../x", "rosa/live.json"]
    files = [file_name(name).lower() for name in names]

    assert len(set(files)) == len(names)
    assert file_name("rosa/live").startswith("rosa%2Flive-")
