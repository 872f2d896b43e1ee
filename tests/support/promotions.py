"""A fleet with targets of every kind, a promotion over it, and what the server holds of it."""

from __future__ import annotations

import copy
import functools
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from airflow_voice_agents.emulator.fleet_seed import FLEET_KEY, fleet_seed
from airflow_voice_agents.emulator.journal import Entry
from airflow_voice_agents.emulator.server import EmulatorServer
from airflow_voice_agents.polyai.operators.promotion import (
    PolyAIApplyPromotionOperator,
    PolyAIPlanPromotionOperator,
    PolyAIVerifyPromotionOperator,
)
from airflow_voice_agents.polyai.operators.rollback import PolyAIRollbackOperator
from support.emulated import PRE_RELEASE, SANDBOX, Emulated, place
from support.faults import NEW, OPEN, WANTED
from support.forked_tasks import Attempt

OPERATORS = (
    PolyAIPlanPromotionOperator,
    PolyAIApplyPromotionOperator,
    PolyAIVerifyPromotionOperator,
    PolyAIRollbackOperator,
)
OLD_VERSION, NEW_VERSION, OLDEST = "4" * 32, "5" * 32, "3" * 32
VARIANT = "Local"
HUB, DEPOT = 1, 14
"""The project that settings come from, and the one whose connectors move away."""
VOICES = {SANDBOX: "en-GB-Neural2-C", PRE_RELEASE: "en-GB-Neural2-A"}


def site(number: int) -> str:
    """Slug of a project."""
    return f"site-{number:04}"


def number(index: int, line: int = 0) -> str:
    """A phone number of a project in pre-release."""
    return f"+44208{index:05}{line}"


def desk(index: int) -> str:
    """Id of the depot's connector that moves to a project."""
    return f"conn_desk_{index}"


@functools.cache
def fleet(projects: int = DEPOT) -> dict[str, Any]:
    """A seed: projects that are alike, a hub that is ahead of them, a depot with connectors to give away."""
    seed = copy.deepcopy(fleet_seed(projects))
    for index, agent in enumerate(seed["polyai"]["agents"].values(), start=1):
        _arrange(index, agent)
    depot = seed["polyai"]["agents"][site(DEPOT)]
    for index in range(1, DEPOT):
        depot["connectors"][desk(index)] = _connector("Desk", PRE_RELEASE, VOICES[PRE_RELEASE])
        depot["numbers"][number(DEPOT, index)[:13]] = {"clientEnv": PRE_RELEASE, "connectorId": desk(index)}
    return {**seed, "switches": {"record_bodies": True, "schema_checks_data": True}}


def _arrange(index: int, agent: dict[str, Any]) -> None:
    mine = f"VARIANT-{index:08X}"
    agent["branches"] = {"main": {"variants": {mine: {"name": VARIANT, "isDefault": True, "values": {}}}}}
    agent["connectors"] = {
        f"conn_{index}_{environment}": _connector("Main", environment, voice)
        for environment, voice in VOICES.items()
    }
    agent["connectors"][f"conn_{index}_{SANDBOX}"]["variantId"] = mine
    agent["connectors"][f"conn_{index}_spare"] = _connector("Spare", PRE_RELEASE, VOICES[PRE_RELEASE])
    agent["numbers"] = {
        number(index, line): {"clientEnv": PRE_RELEASE, "connectorId": f"conn_{index}_spare"}
        for line in (0, 1)
    }
    agent["deployments"] = [
        {"environment": environment, "version": version, "createdAt": f"2026-08-{day:02}T08:00:00Z"}
        for environment, version, day in (
            (SANDBOX, OLDEST, 1),
            (PRE_RELEASE, OLDEST, 2),
            (SANDBOX, OLD_VERSION, 3),
            (PRE_RELEASE, OLD_VERSION, 4),
            (SANDBOX, NEW_VERSION, 5),
        )
    ]
    agent["configs"] = {SANDBOX: _page(NEW, WANTED), PRE_RELEASE: _page(*PAGES.get(index, (NEW, WANTED)))}


def _connector(name: str, environment: str, voice: str) -> dict[str, Any]:
    return {"name": name, "clientEnv": environment, "variantId": None, "voiceName": voice}


def _page(schema: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    return {"schema": schema, "variables": values, "lastUpdated": "2026-08-01T08:00:00Z"}


LOW = {**NEW, "properties": {**NEW["properties"], "limit": {"type": "integer", "maximum": 3}}}  # type: ignore[dict-item]
PAGES = {
    2: (LOW, {**WANTED, "limit": 1}),  # the schema, then values
    3: (NEW, {**WANTED, "greeting": "hi"}),  # values
    5: (NEW, {**WANTED, "limit": 1, "own": "stays"}),  # values, beside a key of its own
    6: (OPEN, {"greeting": "hi"}),  # values, then the schema
    7: (OPEN, WANTED),  # the schema
    8: (LOW, {"greeting": "hi", "limit": 1}),  # the schema, then values, of which one cannot be taken back
    9: (NEW, {**WANTED, "limit": 3}),  # values
}
"""Parts that differ from sandbox."""

ACROSS: dict[str, Any] = {"source": place(site(HUB), SANDBOX)}


def _inside(index: int) -> dict[str, Any]:
    return {"source": place(site(index), SANDBOX)}


def _moving(index: int) -> dict[str, Any]:
    return {"moves": [{"connector_id": desk(index), "from_agent_id": site(DEPOT), "variant": VARIANT}]}


def _ringing(index: int, *names: str) -> dict[str, Any]:
    return {"routing": {"numbers": {number(index, line): name for line, name in enumerate(names)}}}


TARGETS: dict[int, dict[str, Any]] = {
    2: {
        **_inside(2),
        **_moving(2),
        **_ringing(2, "Desk"),
        "deployment": {},
        "connectors": {"names": ["Main"]},
    },
    3: {**_inside(3), "deployment": {}},
    4: {**_inside(4), **_ringing(4, "Main"), "connectors": {}},
    5: {**ACROSS, **_ringing(5, "Main"), "connectors": {}},
    6: ACROSS,
    7: ACROSS,
    8: ACROSS,
    9: {**ACROSS, **_moving(9), **_ringing(9, "Desk")},
    10: ACROSS,
    11: {**_inside(11), "deployment": {}},
    12: {**ACROSS, "connectors": {}},
    13: {**ACROSS, **_ringing(13, "Main", "Main")},
}
"""Parts promoted to each project, in addition to the config page."""

SPEC: dict[str, Any] = {
    "config": {},
    "targets": [place(site(index), PRE_RELEASE, **asked) for index, asked in TARGETS.items()],
}
WAVES = [1, 4, "100%"]


def planned(polyai: Emulated, spec: Mapping[str, Any] = SPEC, **options: Any) -> Any:
    """Plan a promotion on the server of the test and return the plan."""
    outcome = polyai.run(PolyAIPlanPromotionOperator(task_id="plan", spec=spec, **options))
    assert outcome.state == "success", outcome.error
    return outcome.result


def applying(plan: Any, folder: Path, url: str, **options: Any) -> Attempt:
    """An attempt of the promotion."""
    arguments = {
        "plan": json.dumps(plan),  # one template to be rendered, not one for each text in it
        "state_folder": str(folder),
        "waves": WAVES,
        "baseline": "weekly",
        "concurrency": 1,
        "retries": 9,
    }
    return Attempt(PolyAIApplyPromotionOperator, {**arguments, **options}, url, FLEET_KEY, quiet=True)


def returning(snapshot: str, folder: Path, url: str, **options: Any) -> Attempt:
    """An attempt of the way back."""
    arguments = {
        "snapshot": snapshot,
        "state_folder": str(folder),
        "waves": WAVES,
        "concurrency": 1,
        "retries": 9,
        "reason": "a test",
    }
    return Attempt(PolyAIRollbackOperator, {**arguments, **options}, url, FLEET_KEY, quiet=True)


# ---------------------------------------------------------------------------- what the server saw


def held(server: EmulatorServer) -> str:
    """Everything that the server holds but ids and times that depend on the order of changes."""

    def strip(value: Any) -> Any:
        if isinstance(value, list):
            return [strip(each) for each in value]
        if not isinstance(value, dict):
            return value
        is_record = "artifactVersion" in value
        left_out = {"lastUpdated", *(("id", "createdAt") if is_record else ())}
        return {key: strip(each) for key, each in value.items() if key not in left_out}

    return json.dumps(strip(server.state.read("polyai")), sort_keys=True)


def subjects(entry: Entry) -> list[str]:
    """What a request was to change, as reports call it."""
    path, body = [unquote(part) for part in entry.path.split("/")], entry.body or {}
    agent = str(entry.agent)
    match entry.operation:
        case "update real-time config schema" | "update real-time config variables":
            return [f"config page:{agent}/{path[5]}"]
        case "promote deployment" | "roll back deployment":
            return [f"deployment:{agent}/{body.get('targetEnvironment', PRE_RELEASE)}"]
        case "update connectors":
            return [f"connector:{agent}/{each['connectorId']}" for each in body["updates"]]
        case "update connector" if "projectId" in body:
            return [f"connector place:{owner}/{path[-1]}" for owner in (agent, body["projectId"])]
        case "update connector":
            return [f"connector:{agent}/{path[-1]}"]
        case "assign phone number":
            return [f"phone number:{agent}/{path[-1]}"]
    raise AssertionError(f"{entry.operation} is not known")


def changed_by(entries: Iterable[Entry]) -> dict[str, int]:
    """How often each thing was changed."""
    return dict(Counter(name for entry in entries if entry.changed for name in subjects(entry)))


def checkpointed(store: Mapping[Any, Any]) -> dict[str, dict[str, str]]:
    """What a task's memory says of each target that is done: how its items ended."""
    notes = store.get(("job", -1), {})
    pages = [page["units"] for key, page in notes.items() if key.startswith("done-")]
    return {
        unit: {f"{kind}:{owner}/{name}": status for kind, owner, name, status, *_ in entries}
        for page in pages
        for unit, entries in page.items()
    }


def deployed_twice(server: EmulatorServer, environment: str = PRE_RELEASE) -> list[str]:
    """Projects in which one version was deployed to an environment twice in a row."""
    found = []
    for slug, agent in server.polyai.agents.items():
        versions = [each["version"] for each in agent["deployments"] if each["environment"] == environment]
        found += [slug for earlier, later in pairwise(versions) if earlier == later]
    return found


def report_items(outcome: Any) -> dict[str, dict[str, Any]]:
    """The items of a report by kind and name."""
    items = outcome.xcoms["report"]["items"]
    return {f"{item['kind']}:{item['owner']}/{item['name']}": item for item in items}


def files(folder: Path) -> dict[str, Sequence[str]]:
    """Names of the files that a state folder holds, by room."""
    return {room.name: sorted(each.name for each in room.iterdir()) for room in folder.iterdir()}
