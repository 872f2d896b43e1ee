"""Holds: a rolled back change is not promoted again until somebody releases it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from airflow_voice_agents.plans.canonical import same
from airflow_voice_agents.plans.kind import Resource
from airflow_voice_agents.plans.plan import Finding, PlannedItem, error, warning
from airflow_voice_agents.transport.errors import InputError
from airflow_voice_agents.transport.validation import summarize_list

HOLD_VERSION = 1


class RollbackBlock(msgspec.Struct, frozen=True):
    """What must not come to a target again.

    :param target: the target, as all runs call it.
    :param digests: what :attr:`.Resource.key` -> digest of the state that was rolled back.
    :param reason: why, for people; no values.
    :param placed_by: ``dag_id``, ``run_id`` and ``task_id`` of who placed it.
    :param placed_at: when, in ISO 8601.
    """

    target: str
    digests: Mapping[str, str]
    reason: str
    placed_by: Mapping[str, str]
    placed_at: str

    def document(self) -> dict[str, Any]:
        """Return the hold as versioned JSON: digests, never values."""
        return {
            "version": HOLD_VERSION,
            "target": self.target,
            "digests": dict(self.digests),
            "reason": self.reason,
            "placed_by": dict(self.placed_by),
            "placed_at": self.placed_at,
        }

    @classmethod
    def from_document(cls, document: Any) -> RollbackBlock:
        """Read a document that :meth:`document` returned.

        :param document: decoded JSON.
        :raises InputError: for anything else.
        """
        if not isinstance(document, Mapping) or not same(document.get("version"), HOLD_VERSION):
            raise InputError(f"not a hold of version {HOLD_VERSION}")
        texts = [document.get(name) for name in ("target", "reason", "placed_at")]
        maps = [document.get(name) for name in ("digests", "placed_by")]
        if not (all(isinstance(each, str) for each in texts) and all(map(_is_texts, maps))):
            raise InputError(
                "a hold has the texts target, reason and placed_at, and the mappings of texts "
                "digests and placed_by"
            )
        return cls(
            str(document["target"]),
            dict(document["digests"]),
            str(document["reason"]),
            dict(document["placed_by"]),
            str(document["placed_at"]),
        )

    def __str__(self) -> str:
        who = "/".join(
            self.placed_by[name] for name in ("dag_id", "run_id", "task_id") if name in self.placed_by
        )
        return f"{self.target} is on hold since {self.placed_at} (placed by {who or 'nobody known'}: {self.reason})"


def check_blocks(items: Sequence[PlannedItem], hold: RollbackBlock) -> Iterator[Finding]:
    """Refuse what was rolled back, and tell of the hold where a plan leads elsewhere.

    :param items: the items of the hold's target.
    :param hold: the hold.
    """
    changed = [item for item in items if item.changed]
    again = [item for item in changed if _blocked(hold, item.resource) == item.after]
    if again:
        named = summarize_list([f"{item.resource.kind} {item.resource}" for item in again])
        yield error(
            "on_hold",
            f"{hold}, and this would bring {named} back to exactly what was rolled back. Promote something else, "
            "or release the target once that is meant.",
        )
    elif any(_blocked(hold, item.resource) for item in changed):
        yield warning(
            "on_hold_elsewhere",
            f"{hold}. This leads to another state than the one that was rolled back, so it is let through; the "
            "hold stays until it is released.",
        )


def _blocked(hold: RollbackBlock, resource: Resource) -> str | None:
    """Return the digest that is blocked for a resource, also where the block spells its owner differently."""
    owner = hold.target.rpartition("/")[0]
    other = resource._replace(owner=owner) if owner else resource
    return hold.digests.get(resource.key) or hold.digests.get(other.key)


def _is_texts(value: Any) -> bool:
    return isinstance(value, Mapping) and all(
        isinstance(each, str) for pair in value.items() for each in pair
    )
