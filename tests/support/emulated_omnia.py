"""Omnia Voice operators through the real task runner, against the local server."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

from airflow_voice_agents.emulator.faults import Fault
from airflow_voice_agents.emulator.server import EmulatorServer
from support.airflow_runner import AirflowRunner, Outcome
from support.emulated import Meanwhile

KEY = "omnia-marker-key"
WORKSPACE = "hotels"
DESK, EVENTS, OLD = "agent_desk", "agent_events", "agent_old"
PROMPT = "marker-of-the-prompt"

# What the vendor's operations are called in the journal.
LIST, GET, OF_AGENT = "list numbers", "get number", "list numbers of agent"
CREATE, UPDATE, DELETE = "assign number", "update number", "delete number"


def number(index: int) -> str:
    """One number out of many."""
    return f"+44207946{index:04}"


def numbers(count: int, first: int = 0) -> list[str]:
    """Numbers in a row."""
    return [number(index) for index in range(first, first + count)]


def seed(listed: int = 0, agent_id: str | None = None) -> dict[str, Any]:
    """A workspace with three agents, whose prompts hold a marker, and some numbers.

    :param listed: how many numbers it lists.
    :param agent_id: the agent of all of them.
    """
    agents = {
        name: {"name": name, "standardConfig": {"systemPrompt": f"{PROMPT} of {name}"}}
        for name in (DESK, EVENTS, OLD)
    }
    records = {
        f"num:{index:04}+x": {"phoneNumber": number(index), "agentId": agent_id} for index in range(listed)
    }
    return {
        "omnia_voice": {
            "keys": {KEY: {"workspace": WORKSPACE}},
            "workspaces": {WORKSPACE: {"agents": agents, "numbers": records}},
        }
    }


class EmulatedOmnia:
    """A local server and an in-memory Airflow whose connection ``omniavoice_default`` leads to it.

    :param server: a running server.
    """

    def __init__(self, server: EmulatorServer) -> None:
        self.server = server
        self.runner = AirflowRunner()
        self.connect()

    @property
    def platform(self) -> str:
        """What reports call the platform."""
        return self.server.url.removeprefix("http://")

    def connect(self, **extra: Any) -> None:
        """Make the connection."""
        self.runner.connections = {
            "omniavoice_default": {
                "conn_type": "omniavoice",
                "host": f"{self.server.url}/api/v1",
                "password": KEY,
                "extra": extra,
            }
        }

    def start(self, listed: int = 0, agent_id: str | None = None) -> None:
        """Start over with a workspace that lists some numbers."""
        self.server.reset(seed(listed, agent_id))

    def run(self, task: Any, **options: Any) -> Outcome:
        """Run one attempt of a task."""
        return self.runner.run(task, **options)

    def again(self, task: Any, **options: Any) -> tuple[Outcome, dict[str, int]]:
        """Run a task once more and return its outcome and the requests of this run alone."""
        self.server.journal.clear()
        return self.run(task, **options), self.requests()

    def requests(self) -> dict[str, int]:
        """Requests so far by operation, those that were refused included."""
        return dict(Counter(str(entry.operation) for entry in self.server.journal.entries()))

    def writes(self) -> int:
        """Requests that were there to change something."""
        return len(self.server.journal.writes())

    def bodies(self, operation: str) -> list[Any]:
        """Bodies of an operation's requests; needs the switch ``record_bodies``."""
        return [entry.body for entry in self.server.journal.entries() if entry.operation == operation]

    def record(self, e164: str) -> dict[str, Any]:
        """A number as the server holds it."""
        return dict(self.server.omnia_voice.number(e164, WORKSPACE))

    def agents(self, e164s: Iterable[str]) -> set[str | None]:
        """The agents that answer these numbers."""
        return {self.record(each)["agentId"] for each in e164s}

    def listed(self) -> list[str]:
        """All numbers that the workspace lists, one per record."""
        records = self.server.state.read("omnia_voice", "workspaces", WORKSPACE, "numbers")
        return sorted(record["phoneNumber"] for record in records.values())

    def edit(self, e164: str, **fields: Any) -> None:
        """Change a number, as a colleague would."""
        self.server.omnia_voice.edit_number(e164, WORKSPACE, **fields)

    def meanwhile(self, happens: Callable[[], Any], **rule: Any) -> Fault:
        """Do something when a request arrives."""
        return self.server.emulator.faults.add(Meanwhile(happens, **rule))
