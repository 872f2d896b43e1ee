"""Reads what runs left in the state folder; a file is parsed again only when it has changed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, Generic, TypeVar

import msgspec

from airflow_voice_agents.plans.rollback_blocks import RollbackBlock
from airflow_voice_agents.state.files import from_bytes
from airflow_voice_agents.state.folder import Room, state_folder
from airflow_voice_agents.state.locks import SUFFIX, LockFile
from airflow_voice_agents.state.status import Record, read_status

T = TypeVar("T")
Mark = tuple[Any, ...]
"""Tells one content of a file from the next: times, size and identity, as the storage's listing gives them."""
MARKS = ("mtime", "ino", "size", "ETag", "etag", "LastModified", "last_modified", "updated", "generation")


@dataclass
class CachedFolder(Generic[T]):
    """The parsed files of one folder.

    :param url: URL of the folder, as Airflow's object storage knows it.
    :param parse: makes something of a file's name and content; raises :class:`ValueError` for another content.
    """

    url: str
    parse: Callable[[str, bytes], T]
    _known: dict[str, tuple[Mark, T | None]] = field(default_factory=dict, init=False)

    def read(self) -> Mapping[str, T | None]:
        """Return the files by name, ``None`` for one that cannot be read. The folder is listed once."""
        from airflow.sdk import ObjectStoragePath

        root = ObjectStoragePath(self.url)
        root.fs.invalidate_cache(root.path)
        found: dict[str, tuple[Mark, T | None]] = {}
        for name, path, mark in self._listed(root):
            known = self._known.get(name)
            if known is not None and known[0] == mark:
                found[name] = known
                continue
            try:
                found[name] = (mark, self.parse(name, bytes(root.fs.cat_file(path))))
            except FileNotFoundError:
                continue  # removed since it was listed
            except ValueError:
                found[name] = (mark, None)
        self._known = found
        return {name: value for name, (_, value) in found.items()}

    def marks(self) -> frozenset[tuple[str, Mark]]:
        """Return what tells this content of the folder from another one."""
        return frozenset((name, mark) for name, (mark, _) in self._known.items())

    def _listed(self, root: Any) -> Iterator[tuple[str, str, Mark]]:
        try:
            listed = root.fs.ls(root.path, detail=True)
        except FileNotFoundError:
            return
        for entry in listed:
            path = str(entry["name"])
            name = path.rstrip("/").rpartition("/")[2]
            if entry.get("type") != "directory" and not name.startswith("."):
                yield name, path, tuple(str(entry.get(key)) for key in MARKS)


class StateRecords(msgspec.Struct, frozen=True):
    """Everything that runs left, as it is now.

    :param stamp: equal for equal contents.
    :param status: status files.
    :param blocks: targets on hold.
    :param locks: locks, those that have ended too.
    :param unreadable: how many files could not be read.
    :param promoted: resource -> name of the baseline that noted it last, and when.
    """

    stamp: frozenset[Any]
    status: tuple[Record, ...] = ()
    blocks: tuple[RollbackBlock, ...] = ()
    locks: tuple[LockFile, ...] = ()
    unreadable: int = 0
    promoted: Mapping[str, tuple[str, str]] = msgspec.field(default_factory=dict)


class StateReader:
    """Reads a state folder again and again; threads may share it.

    :param base: URL of the state folder, as :func:`.state_folder` takes it.
    """

    def __init__(self, base: str | None = None) -> None:
        self._lock = Lock()
        self._status = CachedFolder(_url(base, "status"), lambda _, content: read_status(content))
        self._blocks = CachedFolder(_url(base, "holds"), _block)
        self._locks = CachedFolder(_url(base, "locks"), LockFile.read)
        self._baselines = CachedFolder(_url(base, "baselines"), _baseline)

    def read(self) -> StateRecords:
        """Return what is there now."""
        with self._lock:
            status, blocks, locks = self._status.read(), self._blocks.read(), self._locks.read()
            baselines = self._baselines.read()
            folders: tuple[CachedFolder[Any], ...] = (
                self._status,
                self._blocks,
                self._locks,
                self._baselines,
            )
            marks = [folder.marks() for folder in folders]
        claims = [lock for name, lock in locks.items() if lock is not None and name.endswith(SUFFIX)]
        return StateRecords(
            frozenset(enumerate(marks)),
            tuple(each for each in status.values() if each is not None),
            tuple(each for each in blocks.values() if each is not None),
            tuple(each for each in claims if each.holder is not None),
            [*status.values(), *blocks.values(), *baselines.values()].count(None)
            + sum(each.holder is None for each in claims),
            _latest(each for each in baselines.values() if each is not None),
        )


def _url(base: str | None, room: Room) -> str:
    return state_folder(base, room)


def _baseline(_: str, content: bytes) -> dict[str, tuple[str, str]]:
    """Return what a baseline has noted: resource -> name of the baseline, and when."""
    match from_bytes(content):
        case {"name": str(name), "resources": dict(found)} if all(map(_has_time, found.values())):
            return {resource: (name, entry["at"]) for resource, entry in found.items()}
    raise ValueError("not a baseline")


def _has_time(entry: Any) -> bool:
    return isinstance(entry, dict) and isinstance(entry.get("at"), str)


def _latest(baselines: Iterable[Mapping[str, tuple[str, str]]]) -> dict[str, tuple[str, str]]:
    found: dict[str, tuple[str, str]] = {}
    for baseline in baselines:
        for resource, noted in baseline.items():
            if resource not in found or noted[1] > found[resource][1]:
                found[resource] = noted
    return found


def _block(_: str, content: bytes) -> RollbackBlock:
    return RollbackBlock.from_document(from_bytes(content))
