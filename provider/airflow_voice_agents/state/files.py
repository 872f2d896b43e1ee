"""Small files in a folder of Airflow's object storage: written as a whole, and read without a cache.

On a local disk files are for their owner alone (0600, in folders that are made 0700), whatever the umask. In an object
storage the bucket's policy decides who may read them, and a bucket is never created.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import uuid
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from airflow_voice_agents.transport.errors import InputError
from airflow_voice_agents.transport.strict_json import Limits, decode_json

LIMITS = Limits(size=256 * 1024 * 1024, nodes=20_000_000, depth=20)
"""Limits of a file of state; the baseline of a fleet may be large."""
_LEGIBLE = 120
"""Characters of a name that a file's name shows, of the 255 that file systems allow."""

_NO_HARD_LINKS = frozenset({errno.EPERM, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EMLINK})
"""What file systems without hard links say of one, such as those of some network disks."""

LOCAL = frozenset({"", "file", "local"})
"""Protocols of local disks."""
BUCKETS = frozenset(
    {"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "adl", "wasb", "wasbs", "oss", "oci", "r2"}
)
"""Protocols of object storages, where folders need not be made, and making one can create a bucket."""


class StateFiles:
    """The files of one folder.

    What is written is there at once for whoever lists or reads afterwards, as far as the storage itself says
    so: Amazon S3, Google Cloud Storage, Azure Blob Storage and local disks do. Listings that the client library
    remembers are not trusted.

    :param url: URL of the folder that Airflow's object storage knows; it comes to be with the first file, a bucket
        excepted.
    """

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")

    def url(self, name: str) -> str:
        """Return the URL of a file, with the connection that the folder's URL names."""
        return f"{self._url}/{name}"

    def names(self) -> list[str]:
        """List the names of the files."""
        self._forget()
        try:
            listed = self._fs.ls(self._root.path, detail=False)
        except FileNotFoundError:
            return []
        return sorted(str(path).rstrip("/").rpartition("/")[2] for path in listed)

    def missing(self) -> str | None:
        """Return what has to be created before a file can be written, or ``None``; nothing is created."""
        self._forget()
        try:
            self._fs.ls(self._root.path, detail=False)
        except FileNotFoundError:
            if self._root.protocol not in BUCKETS:
                return f"folder {self._root.path}"
            bucket = str(self._root.path).lstrip("/").partition("/")[0]
            return None if self._fs.exists(bucket) else f"bucket {bucket}"
        return None

    @property
    def path(self) -> str:
        """The folder's path in its file system."""
        return str(self._root.path)

    def read(self, name: str, *, limit: int | None = None) -> bytes | None:
        """Return what a file holds, or ``None`` where it is not there.

        :param name: name of the file.
        :param limit: most bytes that it may have, for files that people bring.
        :raises InputError: when it is larger, or not a file.
        """
        self._forget()
        try:
            if limit is not None:
                return read_limited(self._fs, self._path(name), limit, where=self.url(name))
            return bytes(self._fs.cat_file(self._path(name)))
        except FileNotFoundError:
            return None

    def write(self, name: str, content: bytes) -> None:
        """Write a file, so that nobody ever reads half of it.

        Object storages do that by themselves; on a disk a whole file takes the place of the old one.
        """
        if self.is_local:
            write_private(Path(self._path(name)), content)
            return
        if self._root.protocol not in BUCKETS:
            self._root.mkdir(parents=True, exist_ok=True)
        self._fs.pipe_file(self._path(name), content)

    def create(self, name: str, content: bytes) -> bool:
        """Write a file unless it is there already; return whether it was written.

        On a local disk exactly one of several writers is told so. In an object storage, and on a disk without hard
        links, the last of those that write at the same moment is, and rarely an earlier one too.

        :param name: name of the file.
        :param content: its content, another one for every writer.
        """
        if self.is_local:
            try:
                return create_private(Path(self._path(name)), content)
            except OSError as error:
                if error.errno not in _NO_HARD_LINKS:
                    raise
        if self.read(name) is not None:
            return False
        self.write(name, content)
        return self.read(name) == content

    def remove(self, name: str) -> None:
        """Remove a file, unless it is gone already."""
        self._forget()
        with contextlib.suppress(FileNotFoundError):
            self._fs.rm_file(self._path(name))

    @property
    def is_local(self) -> bool:
        """Whether the folder is on a disk of this machine."""
        return self._root.protocol in LOCAL

    @cached_property
    def _root(self) -> Any:
        from airflow.sdk import ObjectStoragePath

        return ObjectStoragePath(self._url)

    @property
    def _fs(self) -> Any:
        return self._root.fs

    def _path(self, name: str) -> str:
        return str((self._root / name).path)

    def _forget(self) -> None:
        self._fs.invalidate_cache(self._root.path)


def write_private(path: Path, content: bytes) -> None:
    """Write a local file as a whole, so that only its owner can read it; the folders that it needs are made likewise.

    :param path: the file.
    :param content: its content.
    """
    with _draft(path, content) as draft:
        draft.replace(path)


def create_private(path: Path, content: bytes) -> bool:
    """Write a local file as :func:`write_private` does, unless it is there; return whether it was written.

    :param path: the file.
    :param content: its content.
    """
    with _draft(path, content) as draft:
        try:
            path.hardlink_to(draft)
        except FileExistsError:
            return False
        return True


@contextlib.contextmanager
def _draft(path: Path, content: bytes) -> Iterator[Path]:
    """Return a whole file beside another one, and leave nothing of it afterwards."""
    make_private(path.parent)
    draft = path.with_name(f".{uuid.uuid4().hex}.draft")
    try:
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:  # noqa: PTH123
            os.fchmod(file.fileno(), 0o600)  # the umask may have taken bits from it
            file.write(content)
        yield draft
    finally:
        draft.unlink(missing_ok=True)


def make_private(folder: Path) -> None:
    """Make a local folder and those around it, each for its owner alone; what is there already stays as it is.

    :param folder: the folder.
    """
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    for each in reversed(missing):
        try:
            each.mkdir(0o700)
        except FileExistsError:  # another process made it
            continue
        each.chmod(0o700)


def read_limited(file_system: Any, path: str, limit: int, *, where: str) -> bytes:
    """Return what a file holds; of one that is too large, no more than the limit is read.

    :param file_system: the file system.
    :param path: path in it.
    :param limit: most bytes that it may have.
    :param where: the file, for errors.
    :raises InputError: when it is larger, or a device or a pipe.
    :raises OSError: when it cannot be read.
    """
    if "file" in file_system.protocol and file_system.info(path)["type"] == "other":
        raise InputError(f"{where} is a device or a pipe and not a file. Nothing was read.")
    content = b""
    with file_system.open(path, "rb") as file:
        while len(content) <= limit and (more := file.read(limit + 1 - len(content))):
            content += more
    if len(content) > limit:
        raise InputError(
            f"{where} is too large: it has more than {limit:,} bytes. Nothing was taken from it."
        )
    return content


def file_name(name: str, suffix: str = ".json") -> str:
    """Return a file's name for any text: legible, safe everywhere, and another one for every text.

    :param name: the text; two that differ in case only are told apart on every disk.
    :param suffix: how the file's name ends.
    """
    mark = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    legible = quote(name, safe="", errors="surrogatepass").replace("~", "%7E")[:_LEGIBLE].lstrip(".")
    return f"{legible}-{mark}{suffix}"


def spelled_name(file: str, suffix: str = ".json") -> str:
    """Return the text that :func:`file_name` made a file's name of, as far as the name shows it.

    :param file: the file's name.
    :param suffix: the end of the file's name.
    """
    return unquote(file.removesuffix(suffix).rpartition("-")[0])


def to_bytes(document: Any) -> bytes:
    """Return JSON as bytes in ASCII, keys sorted, on one line: indented JSON takes a slow encoder."""
    return json.dumps(document, ensure_ascii=True, sort_keys=True).encode()


def from_bytes(content: bytes) -> Any:
    """Return the JSON that bytes hold, read strictly: anybody who may write to the folder can have written them.

    :raises ValueError: when it is not JSON in UTF-8, repeats a key, or is larger or nested more deeply than allowed.
    """
    return decode_json(content.decode(), where="it", limits=LIMITS)
