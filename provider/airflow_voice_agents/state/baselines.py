"""Baselines: the digests that a named promotion applied last, in one plain-text file."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from airflow_voice_agents.plans.document import PlanDocument
from airflow_voice_agents.plans.report import Report, Status
from airflow_voice_agents.state.files import StateFiles, file_name, from_bytes, to_bytes
from airflow_voice_agents.state.folder import state_folder
from airflow_voice_agents.transport.errors import InputError

BASELINE_VERSION = 1

Entry = Mapping[str, Any]
"""``digest`` of what was applied, ``at`` which moment (ISO 8601), and perhaps ``keys``: top-level key -> digest."""


def load(base: str | None, name: str) -> dict[str, Entry]:
    """Return what a promotion applied last.

    :param base: URL of the state folder, as :func:`.state_folder` takes it.
    :param name: the promotion's name.
    :returns: resource -> its entry; empty where the promotion has applied nothing yet.
    :raises InputError: when the file cannot be read, or the name is empty.
    """
    files, file = _place(base, name)
    content = files.read(file)
    if content is None:
        return {}
    return _entries(files.url(file), name, content)


def merge(base: str | None, name: str, entries: Mapping[str, Entry]) -> dict[str, Entry]:
    """Note what a promotion has applied; what it noted of other resources stays.

    It reads before it writes, and storages cannot compare and set: of two runs that do so at once, one would lose
    what it noted. So whoever calls it holds a lock that names the promotion, not only its targets.

    :param base: URL of the state folder, as :func:`.state_folder` takes it.
    :param name: the promotion's name.
    :param entries: resource -> its entry.
    :returns: resource -> its entry, of all that the promotion has noted.
    :raises InputError: when the file cannot be read, an entry is none, or the name is empty; nothing was noted.
    """
    files, file = _place(base, name)
    if wrong := sorted(key for key, entry in entries.items() if not _is_entry(entry)):
        raise InputError(
            f"a baseline's entry has digest and at, and perhaps keys; that of {wrong[0]} has not"
        )
    merged = {**load(base, name), **entries}
    if entries:
        files.write(file, to_bytes({"version": BASELINE_VERSION, "name": name, "resources": merged}))
    return merged


def record(base: str | None, name: str, document: PlanDocument, report: Report) -> dict[str, Entry]:
    """Note what a plan has brought about: of each resource that is as planned now, the planned digest.

    :param base: URL of the state folder, as :func:`.state_folder` takes it.
    :param name: the promotion's name.
    :param document: the plan that was carried out.
    :param report: what became of it.
    :raises InputError: as :func:`merge` does.
    """
    done = [] if report.dry_run or report.refused else report.having(Status.CHANGED, Status.UNCHANGED)
    at = datetime.now(UTC).isoformat()
    entries = {
        item.resource.key: {"digest": document.pins[item.resource].after, "at": at}
        for item in done
        if item.resource in document.pins
    }
    return merge(base, name, entries)


def _place(base: str | None, name: str) -> tuple[StateFiles, str]:
    if not name:
        raise InputError("a promotion that keeps a baseline needs a name")
    return StateFiles(state_folder(base, "baselines")), file_name(name)


def _entries(url: str, name: str, content: bytes) -> dict[str, Entry]:
    try:
        document = from_bytes(content)
    except ValueError:
        document = None
    match document:
        case {"version": 1, "name": str(of), "resources": dict(found)} if (
            type(document["version"]) is int and of == name and all(map(_is_entry, found.values()))
        ):
            return found
    raise InputError(
        f"{url} is not the baseline of promotion {name}, or was damaged. Put it right, or remove it: then the next "
        "promotion starts a new one, and until then nothing is known of what was applied last."
    )


def _is_entry(entry: Any) -> bool:
    match entry:
        case {"digest": str(), "at": str()}:
            keys = entry.get("keys", {})
            return isinstance(keys, Mapping) and all(isinstance(each, str) for each in keys.values())
    return False
