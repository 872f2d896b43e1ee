"""Snapshot files in Airflow's object storage, encrypted with Airflow's Fernet key."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow_voice_agents.state.folder import state_folder
from airflow_voice_agents.transport.errors import GuardRefused, InputError

SUFFIX = ".snapshot"
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


def save(
    document: dict[str, Any],
    *,
    folder: str | None,
    name: str,
    allow_unencrypted: bool,
    retention: timedelta | None,
    log: Callable[[str], None],
) -> str:
    """Keep a snapshot, and remove those that are past their time.

    :param document: what :meth:`.Snapshot.document` returned.
    :param folder: URL that Airflow's object storage knows; ``None`` takes the room of :func:`.state_folder`.
    :param name: what the snapshot is of; part of the file's name.
    :param allow_unencrypted: whether it may be kept in the clear where Airflow has no Fernet key.
    :param retention: how long snapshots in the folder are kept; ``None`` keeps them for good.
    :param log: receives lines for people.
    :returns: the snapshot's URL.
    :raises GuardRefused: when it could only be kept in the clear, and that was not allowed, or the key is none.
    """
    from airflow.sdk import ObjectStoragePath

    key = fernet()
    if not key.is_encrypted and not allow_unencrypted:
        raise GuardRefused(
            "The snapshot would hold addresses and values in the clear, because this Airflow has no [core] "
            "fernet_key. Nothing was written. Set one, or pass allow_unencrypted=True if that is acceptable."
        )
    url = (folder or state_folder(None, "snapshots")).rstrip("/")  # a path's own text lacks its connection
    base = ObjectStoragePath(url)
    base.mkdir(parents=True, exist_ok=True)
    now = datetime.now(UTC)
    file = f"{now:%Y%m%dT%H%M%S%fZ}-{_UNSAFE.sub('-', name)}{SUFFIX}"
    (base / file).write_bytes(key.encrypt(json.dumps(document, ensure_ascii=False).encode()))
    kept = "encrypted" if key.is_encrypted else "NOT encrypted: this Airflow has no [core] fernet_key"
    log(f"Snapshot of {len(document['resources'])} resource(s) kept at {url}/{file} ({kept})")
    if retention is not None:
        _remove_old(base, now - retention, log)
    return f"{url}/{file}"


def load(url: str) -> Any:
    """Read a snapshot back.

    :param url: what :func:`save` returned.
    :raises InputError: when it cannot be read or decrypted.
    """
    from airflow.sdk import ObjectStoragePath

    from airflow_voice_agents.airflow_compat import get_fernet

    if not isinstance(url, str) or url in ("", "None"):  # what a template makes of an XCom that is not there
        raise InputError("snapshot is missing; the task that was to take it left none")
    try:
        return json.loads(get_fernet().decrypt(ObjectStoragePath(url).read_bytes()))
    except OSError as error:
        raise InputError(f"snapshot {url} cannot be read ({type(error).__name__})") from None
    except Exception as error:  # noqa: BLE001  whatever the key's library raises
        kind = type(error).__name__
        raise InputError(f"snapshot {url} cannot be decrypted with this Airflow's key ({kind})") from None


def fernet() -> Any:
    """Return what encrypts, or what lets everything through where there is no key."""
    from airflow_voice_agents.airflow_compat import AirflowException, get_fernet

    try:
        return get_fernet()
    except AirflowException:
        raise GuardRefused(
            "What is to be kept cannot be encrypted: [core] fernet_key of this Airflow is not a Fernet key. Nothing "
            "was written. Set one, the same for all of this Airflow's machines."
        ) from None


def encrypts() -> bool:
    """Return whether Airflow has a valid Fernet key."""
    try:
        return bool(fernet().is_encrypted)
    except GuardRefused:
        return False


def _remove_old(base: Any, before: datetime, log: Callable[[str], None]) -> None:
    for path in base.iterdir():
        stamp = path.name.partition("-")[0]
        if path.name.endswith(SUFFIX) and stamp < f"{before:%Y%m%dT%H%M%S%fZ}":
            path.unlink()
            log(f"Snapshot {path} is past its retention and was removed")
