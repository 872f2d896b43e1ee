"""What scenarios are played on: the deployment, the local server, and what both can tell afterwards."""

from __future__ import annotations

import copy
import json
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from deployment import Deployment, Run
from services import RunError, wait_until

from airflow_voice_agents.emulator.core import default_seed
from airflow_voice_agents.emulator.fleet_seed import fleet_seed
from airflow_voice_agents.emulator.journal import Entry
from airflow_voice_agents.emulator.server import EmulatorServer

KEY, ACCOUNT = "demo-key-uk", "demo-uk"
ROSA, ON_BRANCHES = "rosa-restaurants", "rosa-bistro"
RULE = "ar_0EverySlowTurn"
"""The alert rule that watches of these projects look at."""
SITES = 200
LAST = 31
"""Number of the last site of a promotion that is disturbed; the first is 2."""
OWN = ("site_name", "fallback_number", "settings")
"""Keys that sites keep for themselves; of the settings, the switches of tests are never promoted."""
SCHEDULED = ("daily_opening_hours", "watch_for_drift")
WAITED = "Waiting up to "
"""What a run logs that waits for another one's lock."""
REFUSED = frozenset({400, 401, 403, 404, 405, 412, 413, 415, 422})
"""Answers to requests that the vendor's contract does not have; 409 is one that says that something is so already."""


@dataclass
class Found:
    """What a scenario came to.

    :param wrong: sentences about what is not as it must be; none when the final state is right.
    :param recovery: seconds from the end of the disturbance to where all was as without it, if there was one.
    :param note: what the figure means, in a few words, and further figures.
    """

    wrong: list[str] = field(default_factory=list)
    recovery: float | None = None
    note: str = ""


@dataclass(frozen=True)
class Scenario:
    """Something that happens in production.

    :param name: a few words, for the table.
    :param play: makes it happen.
    :param long: whether it takes longer than all others, and is played only when it is named.
    """

    name: str
    play: Callable[[Stage], Found]
    long: bool = False


class Stage:
    """A running Airflow and the local server that its connections lead to."""

    def __init__(self, airflow: Deployment, server: EmulatorServer) -> None:
        self.airflow = airflow
        self.server = server

    def reset(self, sites: int = SITES) -> None:
        """Start the local server over, and forget what earlier scenarios left in the state folder.

        :param sites: how many alike projects there are.
        """
        for dag_id in SCHEDULED:
            self.airflow.pause(dag_id)
        self.server.reset(seed(sites))
        self.server.switches.wall_clock = True
        self.airflow.storage.remove("voice-agents/")

    def writes(self) -> int:
        """Return how many requests changed something so far."""
        return len(self.server.journal.changes())

    def wait_for_writes(self, count: int, seconds: float = 120) -> None:
        """Wait until so many requests have changed something."""
        wait_until(lambda: self.writes() >= count, seconds, f"{count} writes", every=0.05)

    def values(self, agent_id: str, environment: str) -> dict[str, Any]:
        """Return the values of a page."""
        return dict(self.server.polyai.page(agent_id, environment)["variables"])

    def unlike_template(self, last: int) -> list[str]:
        """Return which of the sites from the second on do not hold what the first one's sandbox does."""
        wanted = self.values("site-0001", "sandbox")
        schema = self.server.polyai.page("site-0001", "sandbox")["schema"]
        wrong = []
        for number in range(2, last + 1):
            name = f"site-{number:04}"
            page = self.server.polyai.page(name, "pre-release")
            same = page["schema"] == schema and without(page["variables"]) == without(wanted)
            if not same or page["variables"]["site_name"] == wanted["site_name"]:
                wrong.append(name)
        return [f"{len(wrong)} sites are not as promoted, {wrong[0]} among them"] if wrong else []

    def left_locks(self) -> list[str]:
        """Return the locks that somebody left."""
        return [f"{name} was left" for name in self.airflow.storage.names("voice-agents/locks/")]

    def begin(self, queue: str, latency: float) -> Run:
        """Start a promotion of some sites that takes its time.

        :param queue: queue of its task.
        :param latency: seconds that the platform takes for each answer.
        """
        self.server.switches.latency = latency
        return self.airflow.trigger(f"production_on_{queue}")


def seed(sites: int) -> dict[str, Any]:
    """Return the shipped projects, some alike ones, and a copy of one on the branches model."""
    made = copy.deepcopy(default_seed())
    agents = made["polyai"]["agents"]
    agents |= fleet_seed(sites, account=ACCOUNT, key=KEY)["polyai"]["agents"]
    own = {"name": "Rosa Bistro", "projectId": "PROJECT-B15740B1", "numbers": {}, "connectors": {}}
    agents[ON_BRANCHES] = {**copy.deepcopy(agents[ROSA]), **own}
    for number in made["omnia_voice"]["workspaces"]["harbour"]["numbers"].values():
        if number.get("agentId") == "agent_old":
            del number["agentId"]  # one that another agent answers is never taken away from it
    return {**made, "switches": {"simplified": [ON_BRANCHES]}}


def without(values: dict[str, Any]) -> dict[str, Any]:
    """Return values but for those that each site keeps for itself."""
    return {name: value for name, value in values.items() if name not in OWN}


def written_twice(entries: Iterable[Entry]) -> list[str]:
    """Return the writes that were accepted although the one before at their address was the same."""
    last: dict[tuple[str, str], str | None] = {}
    twice = []
    for entry in entries:
        if entry.writes and entry.changed:
            address = (entry.method, entry.path)
            if address in last and last[address] == entry.digest:
                twice.append(f"{entry.method} {entry.path}")
            last[address] = entry.digest
    return twice


def violations(entries: Iterable[Entry]) -> list[str]:
    """Return the requests that the platform's contract does not have."""
    return [
        f"{entry.method} {entry.path}: {entry.status}"
        for entry in entries
        if (entry.operation is None or entry.status in REFUSED) and not (entry.fault or _asks_in_vain(entry))
    ]


def _asks_in_vain(entry: Entry) -> bool:
    """Whether a read asked for something that is not there, and was told so."""
    return entry.operation is not None and entry.method == "GET" and entry.status == 404


def play(stage: Stage, scenario: Scenario) -> tuple[Found, int, int]:
    """Play a scenario from a fresh start; return what it came to, its writes twice, and its violations."""
    stage.reset()
    try:
        found = scenario.play(stage)
    except RunError as error:
        found = Found([str(error)])
    entries = stage.server.journal.entries()
    twice, strange = written_twice(entries), violations(entries)
    for title, lines in (("written twice", twice), ("against the contract", strange)):
        for line, count in Counter(lines).most_common(5):
            print(f"  {title}: {line} ({count})", flush=True)
    stage.server.clear_faults()
    return found, len(twice), len(strange)


def summary(run: Run) -> str:
    """Return states, workers and tries of a run, for a scenario's own message."""
    return json.dumps({"states": run.states(), "workers": run.workers(), "tries": run.tries()})
