"""Files on a local disk are for their owner alone, whatever the umask; buckets are left to their policy."""

from __future__ import annotations

import ast
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest

import airflow_voice_agents
from airflow_voice_agents.emulator.core import Emulator
from airflow_voice_agents.plans.rollback_blocks import RollbackBlock
from airflow_voice_agents.state import baselines, export_files, rollback_blocks, snapshots
from airflow_voice_agents.state.files import BUCKETS, StateFiles
from airflow_voice_agents.state.locks import LockOwner, hold_lock
from airflow_voice_agents.state.webhook_events import WebhookEvents

PACKAGE = Path(airflow_voice_agents.__file__).parent
AT = "2026-11-27T00:00:00+00:00"
WRITERS = {
    *("state/files.py", "emulator/state.py", "polyai/resources/schema_evaluation.py"),
    "transport/rate_pace.py",
}
"""The modules that write files; everything else writes through them. The third one writes a
setting of the system, the last one times and counts, 0600 in a folder of 0700."""
WRITING = {"write_bytes", "write_text", "pipe_file", "mkdir", "makedirs", "symlink_to"}


@pytest.fixture(params=[0o000, 0o022, 0o277, 0o777], ids=oct)
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def write_everything(base: str) -> Iterator[str]:
    """Write a file of every kind, and yield the name of the kind; a lock's file is there for that long."""
    export_files.write(f"{base}/exports", {"agent/live/config.json": "{}"})
    yield "export"
    snapshots.save(
        {"resources": []},
        origin=snapshots.Origin("polyai", "api.example"),
        folder=f"{base}/snapshots",
        name="x",
        allow_unencrypted=False,
        retention=None,
        log=lambda _: None,
    )
    yield "snapshot"
    block = RollbackBlock("agent/live", {"config": "0" * 64}, "a reason", {"dag_id": "d"}, AT)
    rollback_blocks.place(base, block)
    rollback_blocks.place(base, block)
    yield "hold"
    baselines.merge(base, "nightly", {"agent/live": {"digest": "0" * 64, "at": AT}})
    yield "baseline"
    assert WebhookEvents(base, lambda: 0.0).claim(("signature", "event"))
    yield "webhook"
    with hold_lock(["agent/live"], LockOwner("d", "r", "t"), f"{base}/locks", log=lambda _: None) as lock:
        lock.renew()
        yield "lock"


@pytest.mark.usefixtures("fernet_key")
def test_every_file_is_0600_in_a_folder_of_0700(tmp_path: Path, umask: int) -> None:
    root = tmp_path / "a" / "state"
    found: dict[str, dict[str, str]] = {}
    for kind in write_everything(root.as_uri()):
        found[kind] = {
            str(each.relative_to(tmp_path)): oct(stat.S_IMODE(each.stat().st_mode))
            for each in sorted(tmp_path.rglob("*"))
        }
    modes = {name: mode for seen in found.values() for name, mode in seen.items()}
    print(f"umask {umask:04o}", *(f"{mode} {name}" for name, mode in sorted(modes.items())), sep="\n")

    assert set(found) == {"export", "snapshot", "hold", "baseline", "webhook", "lock"}
    for name, mode in modes.items():
        assert mode == ("0o600" if "." in name else "0o700"), name
    assert len([name for name in modes if "." in name]) == 7


def test_the_state_file_of_the_local_server_is_its_owner_s(tmp_path: Path, umask: int) -> None:
    file = tmp_path / "state.json"
    Emulator(None, state_file=file)

    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_draft_is_private_from_its_first_byte_and_does_not_stay(
    tmp_path: Path, umask: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []

    def fail(self: Path, _: Path) -> Any:
        seen.append(stat.S_IMODE(self.stat().st_mode))
        raise OSError("the disk is full")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="full"):
        StateFiles(tmp_path.as_uri()).write("a", b"secret")

    assert seen == [0o600]
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_there_keeps_its_mode(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o750)

    StateFiles(shared.as_uri()).write("a", b"1")

    assert stat.S_IMODE(shared.stat().st_mode) == 0o750


@pytest.mark.parametrize("protocol", [*sorted(BUCKETS), "sftp"])
def test_in_an_object_storage_no_folder_is_made_and_no_mode_is_set(protocol: str) -> None:
    class FileSystem:
        """Knows how to put a file, and nothing else."""

        put: ClassVar[list[tuple[str, bytes]]] = []

        def pipe_file(self, path: str, content: bytes) -> None:
            self.put.append((path, content))

    class Root:
        path, fs = "bucket/locks", FileSystem()
        made: ClassVar[list[str]] = []

        def __truediv__(self, name: str) -> Any:
            return type("Below", (), {"path": f"{self.path}/{name}"})

        def mkdir(self, **_: Any) -> None:
            self.made.append(self.path)

    files, root = StateFiles(f"{protocol}://bucket/locks"), Root()
    root.protocol = protocol  # type: ignore[attr-defined]
    files.__dict__["_root"] = root
    FileSystem.put.clear()
    Root.made.clear()
    files.write("a", b"1")

    assert FileSystem.put == [("bucket/locks/a", b"1")]
    assert Root.made == ([] if protocol in BUCKETS else ["bucket/locks"])


def test_nothing_else_writes_files() -> None:
    found = {
        str(path.relative_to(PACKAGE))
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if (isinstance(node, ast.Attribute) and node.attr in WRITING)
        or (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "open")
    }

    assert found <= WRITERS
