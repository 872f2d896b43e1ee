"""The demo's expected final state, computed from the seed without the provider's code."""

from __future__ import annotations

import json
from collections.abc import Mapping
from fnmatch import fnmatchcase
from itertools import pairwise
from typing import Any

Page = Mapping[str, Any]
"""``variables`` and ``schema`` of one environment, as the server holds them."""

PROJECTS = ("harbour-hotels", "rosa-restaurants", "northgate-bank")
STAGES = ("sandbox", "pre-release", "live")
OWN_KEYS = ("fallback_number", "*_key", "*_token", "*_password", "winter_notice")
OWN_MEMBERS = ("mock_*", "use_mock_*", "use_dev_*", "routing_enabled")

FACTS = (
    ("harbour-hotels", "holiday_message", "Joyeux Noël! Reception in St Helier is open until 16:00 on 24 December.",
     "the holiday message reached live"),
    ("harbour-hotels", "settings.booking_timeout_seconds", 8.0, "8.0 replaced 5"),
    ("harbour-hotels", "settings.use_mock_api", False, "sandbox's mock switch did not"),
    ("harbour-hotels", "fallback_number", "+442079460199", "live kept its own number"),
    ("harbour-hotels", "winter_notice", "Snow on the A27: please allow extra time.", "live kept its own notice"),
    ("rosa-restaurants", "settings.party_size_limit", 12, "12 replaced 8"),
    ("rosa-restaurants", "allergen_notice", "Please ask about nuts, gluten and crème fraîche.",
     "a newly required key came with its schema"),
    ("northgate-bank", "fraud_hotline", "+442079460502", "a new key came with its schema"),
    ("northgate-bank", "settings.routing_enabled", True, "live kept its own routing"),
)  # fmt: skip
"""Project, key in live, value, and what it shows: written down by hand."""


def expected_pages(seed: Mapping[str, Any]) -> dict[tuple[str, str], Page]:
    """Return what every page shall hold at the end, by project and environment.

    :param seed: the server's state before the first run.
    """
    pages: dict[tuple[str, str], Page] = {}
    for project in PROJECTS:
        pages[project, STAGES[0]] = page_of(seed, project, STAGES[0])
        for source, target in pairwise(STAGES):
            pages[project, target] = promoted(pages[project, source], page_of(seed, project, target))
    return pages


def page_of(state: Mapping[str, Any], project: str, stage: str) -> Page:
    """Return a page as the server holds it; one that is not there is empty."""
    agent = state["polyai"]["agents"].get(project) or {}
    page = (agent.get("configs") or {}).get(stage) or {}
    return {"variables": page.get("variables") or {}, "schema": page.get("schema")}


def promoted(source: Page, target: Page) -> Page:
    """Return a page that takes everything from another but what is its own."""
    values = dict(target["variables"])
    for key, value in source["variables"].items():
        if not fits(key, OWN_KEYS):
            values[key] = with_own_members(value, values.get(key))
    return {"variables": values, "schema": source["schema"]}


def with_own_members(value: Any, present: Any) -> Any:
    """Return an object with the members that stay the target's own; other values as they are."""
    if not isinstance(value, Mapping):
        return value
    own = present if isinstance(present, Mapping) else {}
    return {
        **{key: member for key, member in value.items() if not fits(key, OWN_MEMBERS)},
        **{key: member for key, member in own.items() if fits(key, OWN_MEMBERS)},
    }


def fits(key: str, patterns: tuple[str, ...]) -> bool:
    """Tell whether a key fits one of several shell patterns."""
    return any(fnmatchcase(key, pattern) for pattern in patterns)


def differences(page: Page, wanted: Page) -> list[str]:
    """List the keys in which two pages differ; ``1``, ``1.0`` and ``true`` are three values."""
    here, there = page["variables"], wanted["variables"]
    schema = [] if same(page, wanted, "schema") else ["the schema"]
    return [*schema, *(key for key in {**there, **here} if not same(here, there, key))]


def same(one: Mapping[str, Any], other: Mapping[str, Any], key: str) -> bool:
    """Tell whether two objects hold the same JSON under a key, or both nothing."""
    return (key in one, text(one.get(key))) == (key in other, text(other.get(key)))


def text(value: Any) -> str:
    """Return a value as JSON in one form only."""
    return json.dumps(value, sort_keys=True)


def at(values: Mapping[str, Any], path: str) -> Any:
    """Return the value at a dotted path, or ``None``."""
    found: Any = values
    for key in path.split("."):
        found = found.get(key) if isinstance(found, Mapping) else None
    return found
