"""Helpers that read seeds: numbers, objects and unknown keys."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

from airflow_voice_agents.emulator.state import SeedError

E164 = re.compile(r"\+[1-9][0-9]{6,14}", re.ASCII)
"""A phone number."""


def object_at(place: str, value: Any) -> Mapping[str, Any]:
    """The object at a place of a seed.

    :raises SeedError: where there is something else.
    """
    if not isinstance(value, Mapping):
        raise SeedError(f"{place} must be an object")
    return value


def known_keys(place: str, value: Any, known: Collection[str]) -> Mapping[str, Any]:
    """The object at a place of a seed, which has no other keys than the known ones.

    :raises SeedError: where it has, or is no object.
    """
    record = object_at(place, value)
    unknown = sorted(set(record) - set(known))
    if unknown:
        raise SeedError(f"{place}: unknown key {', '.join(unknown)}; known are {', '.join(sorted(known))}")
    return record


def choice_at(place: str, value: Any, choices: Collection[Any]) -> None:
    """Check a word of a seed.

    :raises SeedError: for a value outside the choices.
    """
    if value not in choices:
        raise SeedError(f"{place}: {value!r} is not one of {', '.join(map(str, choices))}")
