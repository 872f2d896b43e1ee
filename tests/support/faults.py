"""Three runs over many resources, the faults that hit them, and what the server holds afterwards."""

from __future__ import annotations

import copy
import functools
import json
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_voice_agents.emulator.faults import Fault
from airflow_voice_agents.emulator.fleet_seed import FLEET_KEY, fleet_seed
from airflow_voice_agents.emulator.journal import Entry
from airflow_voice_agents.emulator.request import EmulatorRequest
from airflow_voice_agents.emulator.server import EmulatorServer
from airflow_voice_agents.polyai.operators.configs import PolyAIPromoteConfigOperator
from airflow_voice_agents.polyai.operators.connectors import PolyAIBatchUpdateConnectorsOperator
from airflow_voice_agents.polyai.operators.phone_numbers import PolyAIImportPhoneNumbersOperator
from support.emulated import PRE_RELEASE, SANDBOX, Emulated, items, place
from support.forked_tasks import Attempt

SITE = "site-0001"
VARIANT = "VARIANT-0000000A"
CONNECTOR, OTHER_CONNECTOR = "conn_new", "conn_1_sandbox"

# What the vendor's operations are called in the journal.
CONNECTORS, CONNECTOR_BATCH = "list connectors", "get connectors"
CANARY, BATCH = "update connector", "update connectors"
NUMBERS, IMPORT, ASSIGN = "get phone numbers", "import phone numbers", "assign phone number"

Truth = dict[str, Any]
"""The server's state, keyed by the names that reports use."""


@dataclass(frozen=True, eq=False)
class Scenario:
    """A run over many resources, of which some need much, some little and some nothing.

    :param name: what the test calls it.
    :param operator: class of the task.
    :param arguments: what it is made with.
    :param arrange: changes the state that the server starts from.
    :param truth: reads the resources that the run is about.
    """

    name: str
    operator: type
    arguments: Mapping[str, Any]
    arrange: Callable[[dict[str, Any]], None]
    truth: Callable[[EmulatorServer], Truth]
    switches: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.name

    def seed(self) -> dict[str, Any]:
        """The state that the server starts from."""
        return _seed(self)

    def task(self, **changes: Any) -> Any:
        """The task, to be run in this process."""
        return self.operator(task_id="job", **{**self.arguments, **changes})

    def attempt(self, url: str, **changes: Any) -> Attempt:
        """The same for a process of its own."""
        return Attempt(self.operator, {**self.arguments, **changes}, url, FLEET_KEY)


@functools.cache
def _seed(scenario: Scenario) -> dict[str, Any]:
    seed = copy.deepcopy(fleet_seed(9))
    scenario.arrange(seed["polyai"]["agents"])
    return {**seed, "switches": {"record_bodies": True, **scenario.switches}}


# ------------------------------------------------------------------------------------- promotion

NEW = {
    "type": "object",
    "properties": {
        "greeting": {"type": "string"},
        "hours": {"type": "object"},
        "limit": {"type": "integer"},
    },
    "required": ["greeting", "limit"],
}
CLOSED = {
    "type": "object",
    "properties": {"greeting": {"type": "string"}, "limit": {"type": "integer"}},
    "additionalProperties": False,
}
OPEN = {"type": "object", "properties": {"greeting": {"type": "string"}}}
CONTRARY = {"type": "object", "properties": {"limit": {"type": "string"}}}
WANTED = {"greeting": "hello", "hours": {"open": "09:00", "close": "17:30"}, "limit": 5}

PAGES = {
    "site-0002": (NEW, WANTED),  # nothing to do
    "site-0003": (NEW, {"greeting": "hi", "hours": {"open": "08:00"}, "limit": 5}),  # values
    "site-0004": (CLOSED, {"greeting": "hi", "limit": 1}),  # the schema, then values
    "site-0005": (OPEN, {"greeting": "hi"}),  # values, then the schema
    "site-0006": (OPEN, WANTED),  # the schema
    "site-0007": (CONTRARY, {"greeting": "hi", "limit": "few"}),  # a bridge, values, the schema
    "site-0008": None,  # a page never written
}


def _arrange_pages(agents: dict[str, Any]) -> None:
    agents[SITE]["configs"][SANDBOX] = _page(NEW, WANTED)
    for agent_id, page in PAGES.items():
        configs = agents[agent_id]["configs"]
        del configs[PRE_RELEASE]
        if page:
            configs[PRE_RELEASE] = _page(*page)


def _page(schema: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    return {"schema": schema, "variables": values, "lastUpdated": "2026-08-01T08:00:00Z"}


def _pages(server: EmulatorServer) -> Truth:
    pages = {agent_id: server.polyai.page(agent_id, PRE_RELEASE) for agent_id in PAGES}
    return {
        f"{agent_id}/{PRE_RELEASE}": {"schema": page["schema"], "values": page["variables"]}
        for agent_id, page in pages.items()
    }


PROMOTION = Scenario(
    "promotion",
    PolyAIPromoteConfigOperator,
    {
        "source": place(SITE, SANDBOX),
        "targets": [place(agent_id, PRE_RELEASE) for agent_id in PAGES],
        "bridge_schema": True,
        "concurrency": 1,
    },
    _arrange_pages,
    _pages,
    {"schema_checks_data": True},
)

# ------------------------------------------------------------------------------------ connectors

VOICE = "en-GB-Neural2-C"
UPDATES = [
    {"connector_id": "conn_0", "voice_name": VOICE},  # nothing to do
    *({"connector_id": f"conn_{number}", "voice_name": VOICE} for number in range(1, 5)),
    {"connector_id": "conn_5", "voice_name": VOICE, "asr_lang_code": "en-US"},
    *({"connector_id": f"conn_{number}", "asr_lang_code": "en-US"} for number in (6, 7)),
    {"connector_id": "conn_8", "variant_id": VARIANT},
    {"connector_id": "conn_9", "variant_id": None},
]


def _arrange_connectors(agents: dict[str, Any]) -> None:
    variant = {"name": "Site", "isDefault": True, "values": {}}
    agents[SITE]["branches"] = {"main": {"variants": {VARIANT: variant}}}
    connectors = {
        update["connector_id"]: {
            "name": update["connector_id"],
            "clientEnv": SANDBOX,
            "variantId": None,
            "asrLangCode": "en-GB",
            "voiceName": "en-GB-Neural2-A",
        }
        for update in UPDATES
    }
    connectors["conn_0"]["voiceName"] = VOICE
    connectors["conn_9"]["variantId"] = VARIANT
    agents[SITE]["connectors"] |= connectors


def _connectors(server: EmulatorServer) -> Truth:
    connectors = server.state.read("polyai", "agents", SITE, "connectors")
    return {f"{SITE}/{update['connector_id']}": connectors.get(update["connector_id"]) for update in UPDATES}


CONNECTOR_UPDATE = Scenario(
    "connectors",
    PolyAIBatchUpdateConnectorsOperator,
    {"agent_id": SITE, "updates": UPDATES, "batch_size": 2, "verify": True, "concurrency": 1},
    _arrange_connectors,
    _connectors,
)

# --------------------------------------------------------------------------------------- numbers

FRESH = [f"+4420790000{number:02}" for number in range(8)]
ELSEWHERE, DONE = "+442079000090", "+442079000091"
ASKED = [*FRESH[:4], ELSEWHERE, DONE, *FRESH[4:]]


def _arrange_numbers(agents: dict[str, Any]) -> None:
    agents[SITE]["connectors"] |= {CONNECTOR: {"name": "New", "clientEnv": SANDBOX}}
    agents[SITE]["numbers"] |= {
        ELSEWHERE: {"clientEnv": SANDBOX, "connectorId": OTHER_CONNECTOR},
        DONE: {"clientEnv": SANDBOX, "connectorId": CONNECTOR},
    }


def _numbers(server: EmulatorServer) -> Truth:
    numbers = server.state.read("polyai", "agents", SITE, "numbers")
    return {f"{SITE}/{number}": numbers.get(number) for number in ASKED}


NUMBER_IMPORT = Scenario(
    "numbers",
    PolyAIImportPhoneNumbersOperator,
    {
        "agent_id": SITE,
        "client_env": SANDBOX,
        "phone_numbers": ASKED,
        "connector_id": CONNECTOR,
        "batch_size": 3,
        "concurrency": 1,
    },
    _arrange_numbers,
    _numbers,
)

Start = Callable[[Scenario], Emulated]
"""Starts a scenario over on the server of the test."""

SCENARIOS = (PROMOTION, CONNECTOR_UPDATE, NUMBER_IMPORT)

# ---------------------------------------------------------------------------- what the server saw


def touched(entry: Entry) -> list[str]:
    """What a request was to write, one text per resource and kind of write."""
    body, last = entry.body or {}, entry.path.rsplit("/", 1)[-1]
    match entry.operation:
        case "update connectors":
            return [each["connectorId"] for each in body["updates"]]
        case "import phone numbers":
            return [f"import {number}" for number in body["phoneNumbers"]]
        case "assign phone number":
            return [f"assign {last}"]
        case "update connector":
            return [last]
        case _:
            return [entry.path]


def changes(entries: Iterable[Entry]) -> dict[str, int]:
    """How often each resource was changed."""
    return dict(Counter(name for entry in entries if entry.changed for name in touched(entry)))


def sent_blind(entries: Iterable[Entry]) -> list[str]:
    """Imports and assignments that were repeated without a look at what became of the one before.

    One that was answered 429 was not taken, and may be repeated as it is.
    """
    open_ones: set[str] = set()
    blind: list[str] = []
    for entry in entries:
        if entry.operation == NUMBERS and entry.status == 200 and not entry.fault:
            open_ones -= {f"{verb} {number}" for verb in ("import", "assign") for number in _asked(entry)}
        elif entry.operation in (IMPORT, ASSIGN):
            names = [name.replace("%2B", "+") for name in touched(entry)]
            blind += [name for name in names if name in open_ones]
            if entry.status != 429:
                open_ones.update(names)
    return blind


def _asked(entry: Entry) -> list[str]:
    return list((entry.body or {}).get("phoneNumbers", ()))


def contradictions(outcome: Any, *, before: Truth, after: Truth, wanted: Truth) -> list[str]:
    """What a task's report says that is not so, by what the server held and holds.

    :param outcome: of the run, which nobody else interfered with.
    :param wanted: what the server holds after a run that goes well.
    """
    found = items(outcome)
    wrong = [f"{name} is missing" for name in wanted if name not in found]
    for name, item in found.items():
        kept, reached = after[name] == before[name], after[name] == wanted[name]
        status, reason = item["status"], item.get("reason", "")
        claims = {
            "changed": reached and not kept,
            "unchanged": reached and kept,
            "skipped": kept,
            "failed": (kept or "It was not changed" not in reason)
            and (not reached or "could not be read" in reason),
            "unknown": True,
        }
        if not claims[status] or ("Applied before that" in reason and kept):
            wrong.append(f"{name} is said to be {status} ({reason}), but kept={kept}, reached={reached}")
    return wrong


def state_without_stamps(server: EmulatorServer) -> str:
    """Everything that the server holds but the times of changes, as text to compare."""

    def strip(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: strip(each) for key, each in value.items() if key != "lastUpdated"}
        return value

    return json.dumps(strip(server.state.read("polyai")), sort_keys=True)


def settle(server: EmulatorServer, seconds: float = 10.0) -> None:
    """Wait until the server has done with the connections of a process that is gone."""
    running = server._server
    assert running is not None
    end = time.monotonic() + seconds
    while running.server_state.connections or running.server_state.tasks:
        assert time.monotonic() < end, "the server still has open connections"
        time.sleep(0.001)


# ---------------------------------------------------------------------------------------- faults


class Killing(Fault):
    """Kills a process when its request arrives, and drops the connection.

    :param nth: the request that is the last one, from 1.
    :param apply: whether that request still takes effect.
    """

    def __init__(self, *, nth: int, apply: bool) -> None:
        super().__init__("reset", apply=apply, nth=nth)
        self._known = threading.Event()
        self._pid = 0

    def target(self, pids: list[int]) -> None:
        """Say which process."""
        self._pid = pids[0]
        self._known.set()

    def due(self, exchange: EmulatorRequest) -> bool:
        """Kill, if it is time."""
        fires = super().due(exchange)
        if fires:
            assert self._known.wait(20)
            os.kill(self._pid, signal.SIGKILL)
        return fires
