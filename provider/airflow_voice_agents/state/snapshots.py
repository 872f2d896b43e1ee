"""Snapshot files in Airflow's object storage, encrypted with Airflow's Fernet key.

The encrypted part names the file, the system and the host that the snapshot was taken of, so that neither a renamed
file nor another connection brings the states of one target into another one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from airflow_voice_agents.state.files import StateFiles
from airflow_voice_agents.state.folder import state_folder
from airflow_voice_agents.transport.errors import GuardRefused, InputError
from airflow_voice_agents.transport.validation import summarize_list

SUFFIX = ".snapshot"
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


class Origin(msgspec.Struct, frozen=True):
    """The platform that a snapshot is of.

    :param system: name of the system.
    :param host: host name of its API.
    :param account: the account, where the connection names one.
    """

    system: str
    host: str
    account: str = ""

    def meets(self, other: Origin) -> bool:
        """Return whether both may be one platform; an account that only one of them names does not tell them apart."""
        accounts = {self.account, other.account} - {""}
        return (self.system, self.host) == (other.system, other.host) and len(accounts) < 2

    def __str__(self) -> str:
        return f"{self.system} at {self.host}" + (f", account {self.account}" if self.account else "")


def save(
    document: dict[str, Any],
    *,
    origin: Origin,
    folder: str | None,
    name: str,
    allow_unencrypted: bool,
    retention: timedelta | None,
    log: Callable[[str], None],
) -> str:
    """Keep a snapshot, and remove those that are past their time.

    :param document: what :meth:`.Snapshot.document` returned.
    :param origin: the platform that it is of.
    :param folder: URL that Airflow's object storage knows; ``None`` takes the room of :func:`.state_folder`.
    :param name: what the snapshot is of; part of the file's name.
    :param allow_unencrypted: allow an unencrypted snapshot if Airflow has no Fernet key.
    :param retention: how long snapshots in the folder are kept; ``None`` keeps them for good.
    :param log: receives lines for people.
    :returns: the snapshot's URL.
    :raises GuardRefused: when it could only be kept in the clear, and that was not allowed, or the key is none.
    """
    key = fernet()
    if not key.is_encrypted and not allow_unencrypted:
        raise GuardRefused(
            "The snapshot would hold addresses and values in the clear, because this Airflow has no [core] "
            "fernet_key. Nothing was written. Set one, or pass allow_unencrypted=True if that is acceptable."
        )
    files = StateFiles(folder or state_folder(None, "snapshots"))
    now = datetime.now(UTC)
    file = f"{now:%Y%m%dT%H%M%S%fZ}-{_UNSAFE.sub('-', name)}{SUFFIX}"
    bound = {"file": file, "system": origin.system, "host": origin.host, "account": origin.account}
    packed = json.dumps({"of": bound, "snapshot": document}, ensure_ascii=False).encode()
    files.write(file, key.encrypt(packed))
    url = files.url(file)
    kept = "encrypted" if key.is_encrypted else "NOT encrypted: this Airflow has no [core] fernet_key"
    log(f"Snapshot of {len(document['resources'])} resource(s) kept at {url} ({kept})")
    if retention is not None:
        _remove_old(files, now - retention, log)
    return url


def load(url: str, origin: Origin | None = None) -> Any:
    """Read a snapshot back.

    :param url: what :func:`save` returned.
    :param origin: the platform that it is to be restored at; ``None`` takes a snapshot of any.
    :raises InputError: when it cannot be read or decrypted, or is of another platform or another file; a file of a
        release that did not note these is taken.
    """
    found = _read(url)
    match found:
        case {
            "of": {"file": str(file), "system": str(system), "host": str(host), "account": str(account)},
            "snapshot": document,
        }:
            kept = Origin(system, host, account)
        case _:
            return found
    if file != url.rstrip("/").rpartition("/")[2]:
        raise InputError(
            f"snapshot {url} is not the file that it was kept as: it holds {file}, a snapshot of "
            f"{_owners(document)}. Nothing was written. Look who renamed or replaced it, and restore from that file."
        )
    if origin is not None and not kept.meets(origin):
        raise InputError(
            f"snapshot {url} is of {kept} ({_owners(document)}), and the task's connection leads to {origin}. Nothing "
            "was written. Restore it with a connection to where it was taken."
        )
    return document


def _read(url: str) -> Any:
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


def _owners(document: Any) -> str:
    resources = document.get("resources") if isinstance(document, Mapping) else None
    owners = {str(each.get("owner")) for each in resources or () if isinstance(each, Mapping)}
    return summarize_list(sorted(owners)) or "nothing"


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


def _remove_old(files: StateFiles, before: datetime, log: Callable[[str], None]) -> None:
    for name in files.names():
        if name.endswith(SUFFIX) and name.partition("-")[0] < f"{before:%Y%m%dT%H%M%S%fZ}":
            files.remove(name)
            log(f"Snapshot {files.url(name)} is past its retention and was removed")
