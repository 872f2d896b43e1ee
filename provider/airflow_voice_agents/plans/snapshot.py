"""Snapshots: resources as they were before a change, in a document that can be restored."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Generic

import msgspec

from airflow_voice_agents.plans.canonical import digest
from airflow_voice_agents.plans.kind import Kinds, Resource, State
from airflow_voice_agents.transport.errors import InputError
from airflow_voice_agents.transport.records import Record

SNAPSHOT_VERSION = 2
"""Names the kind with every resource; version 1 was of one kind and is still read."""


class Snapshot(Record, Generic[State], frozen=True):
    """States of resources, of one kind or of several.

    :param states: what each resource was; ``None`` where it did not exist.
    :param notes: what a restore should know about some of them, as JSON without values.
    """

    not_shown = ("states", "notes")

    states: Mapping[Resource, State | None]
    notes: Mapping[Resource, Any] = msgspec.field(default_factory=dict)

    def document(self, kinds: Kinds) -> dict[str, Any]:
        """Return the snapshot as versioned JSON that checks itself. It holds values.

        :param kinds: the kinds that are in it.
        """
        entries = [
            {
                "kind": each.kind,
                "owner": each.owner,
                "name": each.name,
                "state": None if state is None else kinds[each.kind].to_json(state),
                **({"note": self.notes[each]} if each in self.notes else {}),
            }
            for each, state in self.states.items()
        ]
        body = {"version": SNAPSHOT_VERSION, "resources": entries}
        return {**body, "digest": digest(body)}

    @classmethod
    def from_document(cls, document: Any, kinds: Kinds) -> Snapshot[Any]:
        """Read a document that :meth:`document` returned, now or in version 1.

        :param document: decoded JSON.
        :param kinds: the kinds that may be in it.
        :raises InputError: for another version or kind, and for a document that was changed.
        """
        entries = _entries(document)
        if strange := sorted({resource.kind for resource in entries} - kinds.keys()):
            found, known = (", ".join(map(repr, each)) for each in (strange, kinds))
            raise InputError(f"this is a snapshot of {found}, not of {known}")
        states = {
            resource: None if entry["state"] is None else kinds[resource.kind].from_json(entry["state"])
            for resource, entry in entries.items()
        }
        notes = {resource: entry["note"] for resource, entry in entries.items() if "note" in entry}
        return cls(states, notes)


def _entries(document: Any) -> dict[Resource, Mapping[str, Any]]:
    """Check a document and return what it says of each resource."""
    if not isinstance(document, Mapping) or document.get("version") not in (1, SNAPSHOT_VERSION):
        raise InputError(f"this is no snapshot of version {SNAPSHOT_VERSION}, nor of 1")
    body = {key: value for key, value in document.items() if key != "digest"}
    if digest(body) != document.get("digest"):
        raise InputError("the snapshot was changed after it was taken; it is not used")
    return {
        Resource(entry.get("kind", document.get("kind")), entry["owner"], entry["name"]): entry
        for entry in body["resources"]
    }
