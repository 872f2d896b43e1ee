"""The state folder is looked at before anything else: one sentence for each thing that can be wrong, in seconds."""

from __future__ import annotations

import stat
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_voice_agents.state.files import StateFiles
from airflow_voice_agents.state.folder import remote_executors
from airflow_voice_agents.state.folder_check import check_state_folder
from airflow_voice_agents.transport.errors import InputError, StateFolderUnavailable

SETTING = "AIRFLOW__VOICE_AGENTS__STATE_FOLDER"


class Bucket:
    """An object storage of one bucket, which notes what is done to it and can refuse or hang."""

    def __init__(self, bucket: str | None = "mine", *, refuses: str = "", hangs: str = "") -> None:
        self.bucket, self.refuses, self.hangs = bucket, refuses, hangs
        self.done: list[str] = []
        self.let_go = threading.Event()
        self.protocol = "s3"

    def _step(self, name: str) -> None:
        self.done.append(name)
        if self.hangs == name:
            self.let_go.wait(60)
        if self.refuses == name:
            raise PermissionError("AccessDenied: key AKIA1234")

    def ls(self, path: str, **_: Any) -> list[str]:
        self._step("ls")
        raise FileNotFoundError(path)  # as s3fs does where no object has that prefix

    def exists(self, path: str) -> bool:
        self._step("exists")
        return path == self.bucket

    def pipe_file(self, path: str, content: bytes) -> None:
        self._step("pipe_file")

    def rm_file(self, path: str) -> None:
        self._step("rm_file")

    def invalidate_cache(self, _: str) -> None: ...


class Root:
    """What Airflow's object storage makes of a URL."""

    def __init__(self, bucket: Bucket, path: str) -> None:
        self.fs, self.path, self.protocol = bucket, path, bucket.protocol

    def __truediv__(self, name: str) -> Root:
        return Root(self.fs, f"{self.path}/{name}")

    def mkdir(self, **_: Any) -> None:
        self.fs.done.append("mkdir")


@pytest.fixture
def storage(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Puts a bucket under every state folder."""
    put: list[Bucket] = []

    def use(bucket: Bucket) -> Bucket:
        put.append(bucket)
        return bucket

    root = property(lambda self: Root(put[-1], self._url.partition("://")[2].rpartition("@")[2]))
    monkeypatch.setattr(StateFiles, "_root", root)
    yield use
    for bucket in put:
        bucket.let_go.set()


URL = "s3://aws@mine/voice-agents"


def check(url: str | None = URL, *, writes: bool = True, limit: float = 30.0) -> list[str]:
    said: list[str] = []
    check_state_folder(url, writes=writes, log=said.append, limit=limit)
    return said


def test_a_bucket_without_the_folder_yet_is_fine_and_nothing_but_a_probe_is_written(storage: Any) -> None:
    bucket = storage(Bucket())

    assert check() == []
    assert bucket.done == ["ls", "exists", "pipe_file", "rm_file"]


def test_a_bucket_that_is_misspelled_is_an_error_and_not_created(storage: Any) -> None:
    bucket = storage(Bucket("other"))

    with pytest.raises(InputError) as refused:
        check()

    assert str(refused.value) == (
        "Nothing was read or written: the state folder s3://aws@mine/voice-agents does not exist, because there is no "
        "bucket mine, and none was created: correct the argument state_folder, or create it."
    )
    assert bucket.done == ["ls", "exists"]


def test_a_wrong_setting_is_named(storage: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    storage(Bucket("other"))
    monkeypatch.setenv(SETTING, URL)

    with pytest.raises(InputError, match=r"correct \[voice_agents\] state_folder, or create it"):
        check(None)


@pytest.mark.parametrize(
    ("refuses", "said"),
    [("ls", "listed"), ("exists", "listed"), ("pipe_file", "written"), ("rm_file", "written")],
)
def test_what_the_storage_refuses_is_one_sentence_without_its_words(
    storage: Any, refuses: str, said: str
) -> None:
    storage(Bucket(refuses=refuses))

    with pytest.raises(StateFolderUnavailable, match=f"cannot be {said} \\(PermissionError\\)") as refused:
        check()

    assert "AKIA" not in str(refused.value)
    assert str(refused.value).count(". ") == 0
    assert refused.value.__suppress_context__


@pytest.mark.parametrize("hangs", ["ls", "exists", "pipe_file"])
def test_a_storage_that_does_not_answer_is_given_up(storage: Any, hangs: str) -> None:
    storage(Bucket(hangs=hangs))

    with pytest.raises(StateFolderUnavailable, match=r"did not answer within 0\.05 s"):
        check(limit=0.05)


def test_a_plan_only_says_that_the_folder_cannot_be_written(storage: Any) -> None:
    storage(Bucket(refuses="pipe_file"))

    (said,) = check(writes=False)

    assert said.startswith("A run that writes would fail. Nothing was read or written: the state folder")


def test_a_local_folder_is_made_for_its_owner_and_left_clean(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "state"

    assert check(folder.as_uri()) == []
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert [path.name for path in folder.rglob("*")] == ["locks"]


def test_the_probe_of_a_run_that_was_killed_does_not_stay(tmp_path: Path) -> None:
    (tmp_path / "locks").mkdir()
    (tmp_path / "locks" / ".probe").write_bytes(b"")

    assert check(tmp_path.as_uri()) == []
    assert list((tmp_path / "locks").iterdir()) == []


def test_a_file_in_the_place_of_the_folder_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("x")

    with pytest.raises(InputError, match="is a file and not a folder"):
        check(f"{tmp_path}/state")


def test_a_folder_below_a_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")

    with pytest.raises(StateFolderUnavailable, match=r"cannot be made \(NotADirectoryError\)"):
        check(f"{tmp_path}/file/state")


def test_a_scheme_without_a_file_system_is_an_error() -> None:
    with pytest.raises(InputError, match="of a kind that this Airflow has no file system for"):
        check("nosuch://bucket/state")


@pytest.mark.parametrize(
    ("executor", "own", "remote"),
    [
        ("LocalExecutor", None, []),
        ("SequentialExecutor", None, []),
        ("airflow.executors.local_executor.LocalExecutor:here", None, []),
        ("CeleryExecutor", None, ["CeleryExecutor"]),
        ("LocalExecutor,CeleryExecutor", None, ["CeleryExecutor"]),
        ("LocalExecutor;team1=KubernetesExecutor", None, ["KubernetesExecutor"]),
        ("LocalExecutor, acme.Executor:fast", None, ["acme.Executor"]),
        ("acme.LocalExecutor", None, ["acme.LocalExecutor"]),
        ("LocalExecutor", "fast", ["fast"]),
    ],
)
def test_executors_that_are_not_known_to_be_local_count_as_remote(
    executor: str, own: str | None, remote: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", executor)

    assert remote_executors(own) == remote


def test_a_pod_of_the_kubernetes_executor_says_local_and_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", "LocalExecutor")
    monkeypatch.setenv("AIRFLOW_IS_K8S_EXECUTOR_POD", "True")

    assert remote_executors(None) == ["KubernetesExecutor"]
