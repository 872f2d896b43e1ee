"""What resources were before a change, as a document that a restore can be made from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic

from airflow_voice_agents.http.errors import InputError
from airflow_voice_agents.promotion.canonical import digest
from airflow_voice_agents.promotion.kind import Resource, State

SNAPSHOT_VERSION = 1


@dataclass(frozen=True)
class Snapshot(Generic[State]):
    """States of resources of one kind.

    :param kind: the kind's name.
    :param states: what each resource was; ``None`` where it did not exist.
    :param notes: what a restore should know about some of them, as JSON without values.
    """

    kind: str
    states: Mapping[Resource, State | None]
    notes: Mapping[Resource, Any] = field(default_factory=dict)

    def document(self, to_json: Callable[[State], Any]) -> dict[str, Any]:
        """Return the snapshot as versioned JSON that checks itself. It holds values.

        :param to_json: turns a state into JSON.
        """
        entries = [
            {
                "owner": each.owner,
                "name": each.name,
                "state": None if state is None else to_json(state),
                **({"note": self.notes[each]} if each in self.notes else {}),
            }
            for each, state in self.states.items()
        ]
        body = {"version": SNAPSHOT_VERSION, "kind": self.kind, "resources": entries}
        return {**body, "digest": digest(body)}

    @classmethod
    def from_document(cls, document: Any, kind: str, from_json: Callable[[Any], State]) -> Snapshot[State]:
        """Read a document that :meth:`document` returned.

        :param document: decoded JSON.
        :param kind: the kind that is expected.
        :param from_json: turns JSON back into a state.
        :raises InputError: for another version or kind, and for a document that was changed.
        """
        if not isinstance(document, dict) or document.get("version") != SNAPSHOT_VERSION:
            raise InputError(f"this is no snapshot of version {SNAPSHOT_VERSION}")
        if document.get("kind") != kind:
            raise InputError(f"this is a snapshot of {document.get('kind')!r}, not of {kind!r}")
        body = {key: value for key, value in document.items() if key != "digest"}
        if digest(body) != document.get("digest"):
            raise InputError("the snapshot was changed after it was taken; it is not used")
        entries = {Resource(kind, entry["owner"], entry["name"]): entry for entry in body["resources"]}
        states = {
            resource: None if entry["state"] is None else from_json(entry["state"])
            for resource, entry in entries.items()
        }
        notes = {resource: entry["note"] for resource, entry in entries.items() if "note" in entry}
        return cls(kind, states, notes)
