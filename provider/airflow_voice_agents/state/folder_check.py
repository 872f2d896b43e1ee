"""Checks that the state folder can be used, before anything is planned or written."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from pathlib import Path

from airflow_voice_agents.state.files import StateFiles, make_private
from airflow_voice_agents.state.folder import OPTION, SECTION, base_folder
from airflow_voice_agents.transport.errors import InputError, StateFolderUnavailable, VoiceAgentsError

LIMIT = 10.0
"""Seconds that the folder has to answer."""
PROBE = ".probe"
"""Name of the file that is written and removed; one name, so that a killed run leaves nothing that stays."""


def check_state_folder(
    explicit: str | None, *, writes: bool, log: Callable[[str], None], limit: float = LIMIT
) -> None:
    """Refuse to begin where the state folder is not there, or cannot be listed or written.

    A folder on a local disk is made where it is missing; a bucket is not. Not to be called on an event loop.

    :param explicit: URL of the state folder, as :func:`.state_folder` takes it.
    :param writes: whether the task is about to write; a plan only logs that the folder cannot be written.
    :param log: receives lines for people.
    :param limit: seconds that the folder has to answer.
    :raises InputError: for a folder that does not exist, or that this Airflow has no file system for.
    :raises StateFolderUnavailable: when it cannot be reached, listed or written; a later try can succeed.
    """
    files = StateFiles(base_folder(explicit))
    named = f"the argument {OPTION}" if explicit else f"[{SECTION}] {OPTION}"
    try:
        local = files.is_local  # resolves the folder's connection, which other threads must not
    except (ValueError, ImportError) as error:
        raise InputError(
            f"{_folder(files)} is of a kind that this Airflow has no file system for ({type(error).__name__}): correct "
            f"{named}, or install the provider of that storage."
        ) from None
    if local:
        _make(files, named, writes=writes)
    _in_time(lambda: _list(files, named), files, limit)
    try:
        _in_time(lambda: _write(files, named), files, limit)
    except StateFolderUnavailable as trouble:
        if writes:
            raise
        log(f"A run that writes would fail. {trouble}")


def _make(files: StateFiles, named: str, *, writes: bool) -> None:
    folder = Path(files.path)
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{_folder(files)} is a file and not a folder: correct {named}.")
    try:
        make_private(folder)
    except OSError as error:
        if writes or not isinstance(error, PermissionError):
            raise _trouble(
                files, f"does not exist and cannot be made ({type(error).__name__})", named
            ) from None


def _list(files: StateFiles, named: str) -> None:
    try:
        missing = files.missing()
    except Exception as error:  # noqa: BLE001  whatever the storage's library raises
        raise _trouble(files, f"cannot be listed ({type(error).__name__})", named) from None
    if missing:
        raise InputError(
            f"{_folder(files)} does not exist, because there is no {missing}, and none was created: correct {named}, "
            "or create it."
        )


def _write(files: StateFiles, named: str) -> None:
    locks = StateFiles(files.url("locks"))
    try:
        locks.write(PROBE, b"")
        locks.remove(PROBE)
    except Exception as error:  # noqa: BLE001  whatever the storage's library raises
        raise _trouble(files, f"cannot be written ({type(error).__name__})", named) from None


def _folder(files: StateFiles) -> str:
    return f"Nothing was read or written: the state folder {files.url('').rstrip('/')}"


def _trouble(files: StateFiles, what: str, named: str) -> StateFolderUnavailable:
    return StateFolderUnavailable(
        f"{_folder(files)} {what}: check {named}, and what the workers may do there."
    )


def _in_time(work: Callable[[], None], files: StateFiles, limit: float) -> None:
    """Do some work in a thread of its own, because storages' libraries try for minutes."""
    ended: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()

    def run() -> None:
        try:
            work()
        except VoiceAgentsError as error:
            ended.put(error)
        else:
            ended.put(None)

    threading.Thread(target=run, daemon=True).start()
    try:
        error = ended.get(timeout=limit)
    except queue.Empty:
        raise StateFolderUnavailable(
            f"{_folder(files)} did not answer within {limit:g} s: check the network and the storage, and try again."
        ) from None
    if error is not None:
        raise error
