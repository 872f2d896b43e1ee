"""A simple model of promotions: cells that a plan sets, cells that others set, and what each may be afterwards."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_voice_agents.emulator.server import EmulatorServer
from support.emulated import PRE_RELEASE, SANDBOX, place
from support.faults import NEW, OPEN, WANTED
from support.promotions import DEPOT, HUB, LOW, NEW_VERSION, VARIANT, VOICES, desk, fleet, number, site

Cell = tuple[str, ...]
Cells = dict[Cell, Any]
SETTINGS = ("variantId", "asrLangCode", "voiceName")
ABSENT = "(absent)"


def cells(server: EmulatorServer) -> Cells:
    """What the server holds, in the smallest parts that anybody writes."""
    with server.state.lock:
        return {cell: copy.deepcopy(value) for cell, value in _cells(server)}


def _cells(server: EmulatorServer) -> Iterable[tuple[Cell, Any]]:
    for slug, agent in server.polyai.agents.items():
        for environment, page in agent["configs"].items():
            yield ("schema", slug, environment), page["schema"]
            for key, value in (page["variables"] or {}).items():
                yield ("key", slug, environment, key), value
        for record in agent["deployments"]:
            yield ("version", slug, record["environment"]), record["version"]
        for name, connector in agent["connectors"].items():
            yield ("place", name), slug
            for setting in SETTINGS:
                yield ("setting", name, setting), connector[setting]
        for each, record in agent["numbers"].items():
            yield ("number", each), (slug, record["clientEnv"], record["connectorId"])


def cells_of(item: str, known: Iterable[Cell]) -> list[Cell]:
    """The cells of an item of a report, named as in ``deployment:site-0001/live``."""
    kind, _, where = item.partition(":")
    owner, name = where.split("/")
    first = {
        "config page": [("key", owner, name), ("schema", owner, name)],
        "deployment": [("version", owner, name)],
        "connector": [("setting", name)],
        "connector place": [("place", name)],
        "phone number": [("number", name)],
    }[kind]
    return [cell for cell in known if any(cell[: len(each)] == each for each in first)]


@dataclass
class World:
    """A case: what is promoted to where, and what it shall lead to.

    :param seed: what the server starts from.
    :param spec: the promotion.
    :param wanted: what the promotion sets.
    :param moved: the connectors that move.
    """

    seed: dict[str, Any]
    spec: dict[str, Any]
    wanted: Cells = field(default_factory=dict)
    moved: list[str] = field(default_factory=list)

    @property
    def targets(self) -> list[str]:
        """Names of the targets."""
        return [f"{each['agent_id']}/{each['environment']}" for each in self.spec["targets"]]

    def side_effects(self, before: Cells) -> Cells:
        """What the platform does by itself when connectors move: their numbers follow."""
        return {
            cell: (self.wanted["place", value[2]], *value[1:])
            for cell, value in before.items()
            if cell[0] == "number" and value[2] in self.moved
        }


def draw_world(dice: random.Random) -> World:
    """A random promotion over a random fleet."""
    seed = copy.deepcopy(fleet())
    seed["switches"] |= {"move_variant": dice.choice(["clear", "keep"])}
    world = World(seed, {"targets": []})
    if dice.random() < 0.85:
        world.spec["config"] = {"overrides": {"limit": 7}} if dice.random() < 0.2 else {}
    for index in dice.sample(range(2, DEPOT), dice.randint(2, 5)):
        _draw_target(dice, world, index)
    return world


def _draw_target(dice: random.Random, world: World, index: int) -> None:
    agent, slug = world.seed["polyai"]["agents"][site(index)], site(index)
    origin = dice.choice([index, HUB])
    target: dict[str, Any] = place(slug, PRE_RELEASE, source=place(site(origin), SANDBOX))
    if "config" in world.spec:
        _draw_page(dice, world, slug, agent)
    asked = [each for each in ("deployment", "connectors", "move", "routing") if dice.random() < 0.5]
    if "deployment" in asked and origin == index:
        target["deployment"] = {}
        world.wanted["version", slug, PRE_RELEASE] = NEW_VERSION
    if "connectors" in asked:
        target["connectors"] = {"names": ["Main"]}
        main = f"conn_{index}_{PRE_RELEASE}"
        world.wanted |= {
            ("setting", main, "voiceName"): VOICES[SANDBOX],
            ("setting", main, "asrLangCode"): "en-GB",
        }
        world.wanted["setting", main, "variantId"] = f"VARIANT-{index:08X}"
    if "move" in asked:
        variant = dice.choice([VARIANT, None])
        target["moves"] = [{"connector_id": desk(index), "from_agent_id": site(DEPOT), "variant": variant}]
        world.moved.append(desk(index))
        world.wanted["place", desk(index)] = slug
        world.wanted["setting", desk(index), "variantId"] = variant and f"VARIANT-{index:08X}"
    if "routing" in asked or not (
        target.keys() - {"agent_id", "environment", "source"} or "config" in world.spec
    ):
        name = dice.choice(["Main", "Desk"] if "move" in asked else ["Main"])
        to = desk(index) if name == "Desk" else f"conn_{index}_{PRE_RELEASE}"
        target["routing"] = {"numbers": {number(index): name}}
        world.wanted["number", number(index)] = (slug, PRE_RELEASE, to)
    world.spec["targets"].append(target)


def _draw_page(dice: random.Random, world: World, slug: str, agent: dict[str, Any]) -> None:
    schema, values = dice.choice(
        [
            (NEW, WANTED),
            (NEW, {**WANTED, "greeting": "hi", "own": "stays"}),
            (LOW, {**WANTED, "limit": 1}),
            (OPEN, {"greeting": "hi", "own": "stays"}),
            (OPEN, WANTED),
            (NEW, {**WANTED, "limit": 2}),
        ]
    )
    agent["configs"][PRE_RELEASE] = {
        "schema": schema,
        "variables": values,
        "lastUpdated": "2026-08-01T08:00:00Z",
    }
    world.wanted["schema", slug, PRE_RELEASE] = NEW
    for key, value in {**WANTED, **world.spec["config"].get("overrides", {})}.items():
        world.wanted["key", slug, PRE_RELEASE, key] = value


# ------------------------------------------------------------------------------------ colleagues


@dataclass
class Colleague:
    """Somebody who works in the vendor's console, and remembers what they did.

    :param server: the server.
    :param shadow: what each cell was made by anybody but the run.
    :param touched: cells that they changed.
    """

    server: EmulatorServer
    shadow: Cells
    touched: set[Cell] = field(default_factory=set)

    def edit(self, change: Callable[[EmulatorServer], None]) -> None:
        """Change something, and note what it made of each cell."""
        with self.server.state.lock:
            before = cells(self.server)
            change(self.server)
            after = cells(self.server)
        for cell in {*before, *after}:
            if before.get(cell, ABSENT) != after.get(cell, ABSENT):
                self.touched.add(cell)
                self.shadow[cell] = after.get(cell, ABSENT)


def draw_edit(
    dice: random.Random, world: World, *, elsewhere: bool = False
) -> Callable[[EmulatorServer], None]:
    """Something that a colleague does.

    :param elsewhere: to what the promotion leaves alone.
    """
    slugs = [target["agent_id"] for target in world.spec["targets"]]
    slug = dice.choice(slugs)
    index = int(slug[-4:])
    free = next(each for each in range(2, DEPOT) if site(each) not in slugs)
    mark = dice.randrange(1000)
    if elsewhere:
        return dice.choice(
            [
                lambda server: set_key(
                    server, slug, SANDBOX if slug not in _sources(world) else "live", "theirs", mark
                ),
                lambda server: set_connector(server, f"conn_{index}_spare", asrLangCode="cy-GB"),
                lambda server: set_key(server, site(free), PRE_RELEASE, "greeting", f"x{mark}"),
                lambda server: set_number(server, number(index, 1), f"conn_{index}_{PRE_RELEASE}"),
            ]
        )
    return dice.choice(
        [
            lambda server: set_key(server, slug, PRE_RELEASE, "greeting", f"x{mark}"),
            lambda server: set_key(server, slug, PRE_RELEASE, "theirs", mark),
            lambda server: set_connector(
                server, f"conn_{index}_{PRE_RELEASE}", voiceName=f"en-GB-Neural2-X{mark}"
            ),
            lambda server: set_connector(server, desk(index), asrLangCode=f"en-A{mark}"),
            lambda server: set_number(server, number(index), f"conn_{index}_spare"),
            lambda server: deploy(server, slug, PRE_RELEASE, f"{mark:032}"),
        ]
    )


def _sources(world: World) -> set[str]:
    return {target["source"]["agent_id"] for target in world.spec["targets"]}


def set_key(server: EmulatorServer, slug: str, environment: str, key: str, value: Any) -> None:
    """Set a value of a page."""
    values = server.polyai.page(slug, environment)["variables"] or {}
    server.polyai.write_page(slug, environment, variables={**values, key: value})


def set_connector(server: EmulatorServer, name: str, **settings: Any) -> None:
    """Change a connector, wherever it is."""
    for agent in server.polyai.agents.values():
        if name in agent["connectors"]:
            agent["connectors"][name] = {**agent["connectors"][name], **settings}
    server.state.touch()


def set_number(server: EmulatorServer, which: str, connector: str) -> None:
    """Let a number ring another connector."""
    for slug, agent in server.polyai.agents.items():
        if which in agent["numbers"]:
            record = {**agent["numbers"][which], "connectorId": connector}
            server.polyai.put_number(slug, which, record)
            return


def deploy(server: EmulatorServer, slug: str, environment: str, version: str) -> None:
    """Deploy a version that nobody knows."""
    source = {"version": version, "artifactVersion": "2026-09-01T08:00:00Z"}
    server.polyai.deploy(slug, environment, source, "colleague", {"deployment_type": "publish"})


def differing(now: Mapping[Cell, Any], wanted: Mapping[Cell, Any]) -> list[Cell]:
    """The cells that are not as wanted."""
    return [cell for cell, value in wanted.items() if now.get(cell, ABSENT) != value]
