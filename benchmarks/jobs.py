"""The work that every contestant does, and how far the server's state is from what was asked for.

A job knows its seed, the order that the contestants are given (a JSON file), the final state, and the
fewest requests that can lead there. The final states are computed here from the seed, by none of the
contestants' code.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from typing import Any, Protocol

from airflow_voice_agents.emulator.fleet_seed import FLEET_ACCOUNT, FLEET_KEY, fleet_seed
from airflow_voice_agents.emulator.polyai.store import PolyAIStore

STAGE = "pre-release"
BATCH = 50
TEMPLATE = "template"
KEPT = ("site_name", "fallback_number")
TEST_SWITCHES = ("use_mock_api", "mock_dnis")
PROMOTE, CONNECTORS, NUMBERS = "promote", "connectors", "numbers"
FLEET = "fleet"


class Job(Protocol):
    """One piece of work."""

    @property
    def items(self) -> int:
        """How many things the work is about: projects, connectors, numbers."""

    def seed(self) -> dict[str, Any]:
        """What the server starts from."""

    def order(self) -> dict[str, Any]:
        """What a contestant is told, JSON-able."""

    def wrong(self, store: PolyAIStore) -> int:
        """How many items are not as they shall be."""

    def floor(self) -> dict[str, int]:
        """The fewest requests by verb: every item read once, every difference written once."""

    def fewest_writes(self) -> int:
        """The writes among them."""


@dataclass(frozen=True)
class Promotion:
    """The template's sandbox page goes to the pre-release page of every project.

    A project keeps its name, its fallback number and its test switches.

    :param projects: how many.
    :param changed: share of them that differ, spread evenly.
    """

    projects: int
    changed: float

    @property
    def items(self) -> int:
        """Projects."""
        return self.projects

    @property
    def differing(self) -> int:
        """Projects whose page differs before."""
        return round(self.projects * self.changed)

    def seed(self) -> dict[str, Any]:
        """A fleet in which the projects that do not differ are as they shall be already."""
        seed = fleet_seed(self.projects + 1)
        agents: dict[str, Any] = seed["polyai"]["agents"]
        seed["polyai"]["agents"] = agents = dict(zip(self._slugs(), agents.values(), strict=True))
        source = agents[TEMPLATE]["configs"]["sandbox"]
        for place, slug in enumerate(self._slugs()[1:]):
            configs = agents[slug]["configs"]
            if not self._differs(place):
                values = wanted_values(source["variables"], configs[STAGE]["variables"])
                configs[STAGE] = {**configs[STAGE], "variables": values, "schema": source["schema"]}
        return seed

    def order(self) -> dict[str, Any]:
        """The slugs of the projects."""
        return {"projects": self._slugs()[1:]}

    def wrong(self, store: PolyAIStore) -> int:
        """Projects whose page is not the promoted one, or no longer has what it keeps."""
        seed = fleet_seed(self.projects + 1)["polyai"]["agents"].values()
        first = dict(zip(self._slugs(), seed, strict=True))
        source = first[TEMPLATE]["configs"]["sandbox"]
        return sum(
            not _same_page(
                store.page(slug, STAGE), source, wanted_values(source["variables"], _page(first[slug]))
            )
            for slug in self._slugs()[1:]
        )

    def floor(self) -> dict[str, int]:
        """One read per project, schema and values of those that differ."""
        return {"GET": self.projects + 1, "PUT": self.differing, "PATCH": self.differing}

    def fewest_writes(self) -> int:
        """Schema and values of those that differ."""
        return 2 * self.differing

    def _slugs(self) -> list[str]:
        return [TEMPLATE, *(f"site-{number:05}" for number in range(1, self.projects + 1))]

    def _differs(self, place: int) -> bool:
        return int((place + 1) * self.changed) > int(place * self.changed)


@dataclass(frozen=True)
class ConnectorUpdate:
    """Every connector of one agent gets another language.

    :param connectors: how many.
    """

    connectors: int

    @property
    def items(self) -> int:
        """Connectors."""
        return self.connectors

    def seed(self) -> dict[str, Any]:
        """One agent with that many connectors."""
        record = {"name": "Line", "clientEnv": STAGE, "asrLangCode": "en-GB"}
        connectors = dict.fromkeys(self._ids(), record)
        return _section({FLEET: {"account": FLEET_ACCOUNT, "connectors": connectors}})

    def order(self) -> dict[str, Any]:
        """Agent and language; which connectors there are is for the contestant to find out."""
        return {"agent": FLEET, "language": "en-US"}

    def wrong(self, store: PolyAIStore) -> int:
        """Connectors with another language."""
        found = store.agents[FLEET]["connectors"]
        return sum(found[each]["asrLangCode"] != "en-US" for each in self._ids())

    def floor(self) -> dict[str, int]:
        """One list, and a write per batch."""
        return {"GET": 1, "PATCH": self.fewest_writes()}

    def fewest_writes(self) -> int:
        """One per batch."""
        return ceil(self.connectors / BATCH)

    def _ids(self) -> list[str]:
        return [f"conn_{number:05}" for number in range(1, self.connectors + 1)]


@dataclass(frozen=True)
class NumberImport:
    """New numbers are registered with their agents, for pre-release.

    :param agents: how many numbers each agent gets.
    """

    agents: tuple[int, ...]

    @property
    def items(self) -> int:
        """Numbers."""
        return sum(self.agents)

    def seed(self) -> dict[str, Any]:
        """The agents, each with a connector and no number."""
        agents = {
            f"site-{place:05}": {
                "account": FLEET_ACCOUNT,
                "connectors": {f"conn_{place}": {"name": "Line", "clientEnv": STAGE}},
            }
            for place in range(len(self.agents))
        }
        return _section(agents)

    def order(self) -> dict[str, Any]:
        """Per agent its numbers and the connector that shall answer them."""
        first, orders = 0, []
        for place, count in enumerate(self.agents):
            numbers = [f"+{442_000_000_000 + number}" for number in range(first, first + count)]
            orders.append(
                {"agent": f"site-{place:05}", "connector": f"conn_{place}", "phone_numbers": numbers}
            )
            first += count
        return {"imports": orders}

    def wrong(self, store: PolyAIStore) -> int:
        """Numbers that are absent, or not with their connector."""
        return sum(
            store.agents[order["agent"]]["numbers"].get(number)
            != {"clientEnv": STAGE, "connectorId": order["connector"]}
            for order in self.order()["imports"]
            for number in order["phone_numbers"]
        )

    def floor(self) -> dict[str, int]:
        """A read and an import per batch; the platform puts new numbers on the environment's connector."""
        return {"POST": 2 * self.fewest_writes()}

    def fewest_writes(self) -> int:
        """One import per batch."""
        return sum(ceil(count / BATCH) for count in self.agents)


def wanted_values(source: Mapping[str, Any], target: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values that a project shall have.

    :param source: the template's.
    :param target: the project's own, before.
    """
    own = {name: target["settings"][name] for name in TEST_SWITCHES}
    kept = {name: target[name] for name in KEPT}
    return {**target, **source, **kept, "settings": {**source["settings"], **own}}


def make(kind: str, **sizes: Any) -> Job:
    """Return a job.

    :param kind: ``promote``, ``connectors`` or ``numbers``.
    :param sizes: the job's own parameters.
    """
    if kind == NUMBERS:
        return NumberImport(tuple(sizes["agents"]))
    return Promotion(**sizes) if kind == PROMOTE else ConnectorUpdate(**sizes)


def repeats(writes: Counter[tuple[str, str | None]]) -> int:
    """Count the writes that were applied more than once with the same content.

    :param writes: applied writes by path and digest of the body.
    """
    return sum(count - 1 for count in writes.values())


def _page(agent: Mapping[str, Any]) -> Mapping[str, Any]:
    values: Mapping[str, Any] = agent["configs"][STAGE]["variables"]
    return values


def _same_page(found: Mapping[str, Any], source: Mapping[str, Any], values: Mapping[str, Any]) -> bool:
    return bool(found["variables"] == values and found["schema"] == source["schema"])


def _section(agents: dict[str, Any]) -> dict[str, Any]:
    keys = {FLEET_KEY: {"name": "Fleet", "account": FLEET_ACCOUNT}}
    return {"polyai": {"keys": keys, "accounts": {FLEET_ACCOUNT: {}}, "agents": agents}}
