"""Versions as people know them: a short hash, message, author and date."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_voice_agents.plans.plan import PlannedItem
from airflow_voice_agents.transport.masking import mask_credentials
from airflow_voice_agents.transport.text import visible

HASH_LENGTH = 8
"""Characters of a version's hash that people see."""

ACTIVE, KNOWN = "versions", "known_versions"
"""Facts of a planned item: the records that environments run, by environment; and a list of further records."""


def versions_in(item: PlannedItem) -> dict[str, Mapping[str, Any]]:
    """Return version -> what people know it by, of the versions that an item is about.

    :param item: a planned item.
    """
    records = (*(item.facts.get(KNOWN) or ()), *dict(item.facts.get(ACTIVE) or {}).values())
    known = {str(each.get("version")): each for each in records}
    sides = [side for change in item.changes for side in (change.before, change.after)] if known else []
    return {side: known[side] for side in sides if isinstance(side, str) and side in known}


def short(text: str, item: PlannedItem) -> str:
    """Return a text with the versions of an item cut to their first digits.

    :param text: the text.
    :param item: a planned item.
    """
    for version in versions_in(item):
        text = text.replace(version, version[:HASH_LENGTH])
    return text


def about(known: Mapping[str, Any]) -> str:
    """Return message, author and date of a version, as far as they are known.

    :param known: ``label``, ``author`` and ``created_at``.
    """
    label = f'"{known["label"]}"' if known.get("label") else ""
    by = f"by {known['author']}" if known.get("author") else ""
    made = f"on {str(known['created_at'])[:10]}" if known.get("created_at") else ""
    return visible(mask_credentials(" ".join(filter(None, (label, by, made)))))


def named(known: Mapping[str, Any]) -> str:
    """Return the first digits of a version with message, author and date.

    :param known: ``version``, ``label``, ``author`` and ``created_at``.
    """
    version = str(known.get("version") or "(empty)")[:HASH_LENGTH]
    return " ".join(filter(None, (version, about(known))))


def version_change(item: PlannedItem) -> str:
    """Return from which version to which an item leads; an empty text where it is not about versions.

    :param item: a planned item.
    """
    known = versions_in(item)
    change = (
        next((each for each in item.changes if {each.before, each.after} & known.keys()), None)
        if known
        else None
    )
    if change is None:
        return ""
    sides = [each for each in (change.before, change.after) if isinstance(each, str)]
    return " → ".join(named(known.get(each, {"version": each})) for each in sides)
