"""SignalWire operators through the real task runner, against the local server: what tests ask about both."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from airflow_voice_agents.emulator.faults import Fault
from airflow_voice_agents.emulator.server import EmulatorServer
from support.airflow_runner import AirflowRunner, Outcome
from support.emulated import Meanwhile

PROJECT = "7c1f0a52-3f0b-4c8e-9d53-6a1e0f2b4c99"
OTHER_PROJECT = "7c1f0a52-3f0b-4c8e-9d53-6a1e0f2b4c98"
TOKEN = "token-marker-of-the-tests"
ADDRESS = "b6b5a2b0-6f2e-4f57-8f0e-0a6f4f8f2a11"
OTHER_ADDRESS = "c7d1e3f4-1b2c-4d3e-8f4a-5b6c7d8e9f00"

# What the vendor's operations are called in the journal.
LIST, GET, PUT, SEARCH = (
    "list phone numbers",
    "get phone number",
    "update phone number",
    "search available phone numbers",
)
BUY, RELEASE, ASSIGN, REMOVE = (
    "purchase phone number",
    "release phone number",
    "assign E911 address",
    "remove E911 address",
)

OLD = "https://old.example/swml"
NEW = "https://new.example/swml"
MARKER = "marker-of-the-secret"
SECRET_URL = f"https://caller:{MARKER}@agents.example/swml"
SWML = {"to": "swml", "url": NEW}


def numbers(count: int, first: int = 0) -> list[str]:
    """Numbers of the tests, in order."""
    return [f"+1206555{number:04}" for number in range(first, first + count)]


def seed(
    owned: Mapping[str, Mapping[str, Any]] | None = None,
    available: Iterable[str] | Mapping[str, Mapping[str, Any]] = (),
    **switches: Any,
) -> dict[str, Any]:
    """A seed with one project.

    :param owned: number -> fields of its record.
    :param available: numbers that can be bought; with a mapping, their fields as well.
    :param switches: switches of the server.
    """
    offers = available if isinstance(available, Mapping) else {number: {} for number in available}
    project = {
        "tokens": {TOKEN: {}},
        "e911_addresses": [ADDRESS, OTHER_ADDRESS],
        "max_numbers": 10_000,
        "numbers": owned or {},
    }
    projects = {PROJECT: project, OTHER_PROJECT: {"tokens": {"other": {}}}}
    return {"signalwire": {"projects": projects, "available": offers}, "switches": switches}


def routed(count: int, first: int = 0, **fields: Any) -> dict[str, dict[str, Any]]:
    """Numbers that lead to the old SWML document."""
    routing = {"call_handler": "relay_script", "call_relay_script_url": OLD}
    return {number: {"name": f"Line {number}", **routing, **fields} for number in numbers(count, first)}


class EmulatedCarrier:
    """A local server and an in-memory Airflow whose connection ``signalwire_default`` leads to it.

    :param server: a running server.
    """

    def __init__(self, server: EmulatorServer) -> None:
        self.server = server
        connection = {"conn_type": "signalwire", "host": server.url, "login": PROJECT, "password": TOKEN}
        self.runner = AirflowRunner(connections={"signalwire_default": connection})

    def start(self, owned: Mapping[str, Mapping[str, Any]] | None = None, **more: Any) -> None:
        """Start over from a project with these numbers; see :func:`seed`."""
        self.server.reset(seed(owned, **more))

    @property
    def space(self) -> str:
        """What reports call the space."""
        return self.server.url.removeprefix("http://")

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

    def order(self) -> list[str]:
        """Operations in the order in which they were asked for."""
        return [str(entry.operation) for entry in self.server.journal.entries()]

    def bodies(self, operation: str) -> list[Any]:
        """Bodies of an operation's requests; needs the switch ``record_bodies``."""
        return [entry.body for entry in self.server.journal.entries() if entry.operation == operation]

    def writes(self) -> int:
        """Requests that were there to change something."""
        return len(self.server.journal.writes())

    def record(self, number: str) -> dict[str, Any]:
        """A number's record."""
        return self.server.signalwire.number(number)

    def edit(self, number: str, **fields: Any) -> None:
        """Set fields of a number, as a colleague would in the dashboard."""
        self.server.signalwire.edit_number(number, **fields)

    def urls(self, asked: Iterable[str]) -> set[tuple[str | None, str | None]]:
        """Handlers and SWML documents that the numbers lead to."""
        records = [self.record(number) for number in asked]
        return {(each["call_handler"], each["call_relay_script_url"]) for each in records}

    def owned(self) -> list[str]:
        """The project's numbers, sorted."""
        return sorted(self.server.state.read("signalwire", "projects", PROJECT, "numbers"))

    def billed(self) -> int:
        """Purchases that were charged."""
        return int(self.server.state.read("signalwire", "projects", PROJECT, "billed"))

    def state(self) -> str:
        """Everything that the server holds, as text to compare."""
        return json.dumps(self.server.state.read("signalwire"), sort_keys=True)

    def meanwhile(self, happens: Callable[[], Any], **rule: Any) -> Fault:
        """Do something when a request arrives."""
        return self.server.emulator.faults.add(Meanwhile(happens, **rule))
