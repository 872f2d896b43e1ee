"""Operators through the real task runner, against the local server: what tests ask about both.

Every test can say what the server holds afterwards and which requests it saw.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from typing import Any

from airflow.sdk.execution_time import comms

from airflow_voice_agents.emulator.faults import Fault
from airflow_voice_agents.emulator.request import EmulatorRequest
from airflow_voice_agents.emulator.server import EmulatorServer
from airflow_voice_agents.polyai.resources.config_page import ConfigPageKind, PageState
from support.airflow_runner import AirflowRunner, Outcome

KEY = "demo-key-uk"
HOTELS, ROSA, BANK = "harbour-hotels", "rosa-restaurants", "northgate-bank"
SANDBOX, PRE_RELEASE, LIVE = "sandbox", "pre-release", "live"

# What the vendor's operations are called in the journal.
PAGES = "list real-time configs"
SCHEMA = "update real-time config schema"
VALUES = "update real-time config variables"


class Meanwhile(Fault):
    """Does something of the test's choice when a request arrives, before it is handled as usual.

    :param happens: what; it runs in the server's thread.
    :param rule: which request, as :class:`Fault` takes it.
    """

    def __init__(self, happens: Callable[[], Any], **rule: Any) -> None:
        super().__init__("delay", **rule)
        self.happens = happens

    def due(self, exchange: EmulatorRequest) -> bool:
        """Do it, and leave the request alone."""
        if super().due(exchange):
            self.happens()
        return False


class Emulated:
    """A local server and an in-memory Airflow whose connection ``polyai_default`` leads to it.

    :param server: a running server.
    :param key: API key of the connection.
    :param extra: further fields of the connection.
    """

    def __init__(self, server: EmulatorServer, key: str = KEY, **extra: Any) -> None:
        self.server = server
        self.key = key
        self.runner = AirflowRunner()
        self.connect(**extra)

    def connect(self, conn_id: str = "polyai_default", key: str | None = None, **extra: Any) -> None:
        """Add a connection to the server."""
        self.runner.connections = {
            **self.runner.connections,
            conn_id: {
                "conn_type": "polyai",
                "host": self.server.url,
                "password": key or self.key,
                "extra": extra,
            },
        }

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

    def state(self) -> str:
        """Everything that the server holds, as text to compare."""
        return json.dumps(self.server.state.read("polyai"), sort_keys=True)

    def values(self, agent_id: str, environment: str) -> dict[str, Any]:
        """The values of a page."""
        return dict(self.server.state.read("polyai", "agents", agent_id, "configs", environment)["variables"])

    def schema(self, agent_id: str, environment: str) -> dict[str, Any]:
        """The schema of a page."""
        return dict(self.server.state.read("polyai", "agents", agent_id, "configs", environment)["schema"])

    def digest(self, agent_id: str, environment: str) -> str:
        """The digest of a page, as reports and sensors name it."""
        page = self.server.polyai.page(agent_id, environment)
        return ConfigPageKind().digest(PageState(page["schema"], page["variables"]))

    def put(self, agent_id: str, environment: str, **values: Any) -> None:
        """Set top-level values of a page, as a colleague would."""
        now = self.server.polyai.page(agent_id, environment)["variables"] or {}
        self.server.polyai.write_page(agent_id, environment, variables={**now, **values})

    def put_page(
        self, agent_id: str, environment: str, values: dict[str, Any], schema: dict[str, Any] | None = None
    ) -> None:
        """Replace a page."""
        self.server.polyai.write_page(
            agent_id, environment, variables=values, schema={"type": "object"} if schema is None else schema
        )

    def connector(self, agent_id: str, connector_id: str) -> dict[str, Any]:
        """A connector as the server holds it."""
        return dict(self.server.polyai.agents[agent_id]["connectors"][connector_id])

    def number(self, agent_id: str, number: str) -> tuple[str, str | None] | None:
        """Environment and connector of a number, or ``None`` where the agent does not have it."""
        record = self.server.polyai.agents[agent_id]["numbers"].get(number)
        return None if record is None else (record["clientEnv"], record["connectorId"])

    def meanwhile(self, happens: Callable[[], Any], **rule: Any) -> Fault:
        """Do something when a request arrives."""
        return self.server.emulator.faults.add(Meanwhile(happens, **rule))


def place(agent_id: str, environment: str, **own: Any) -> dict[str, Any]:
    """An environment of an agent, as operators take it."""
    return {"agent_id": agent_id, "environment": environment, **own}


def counts(outcome: Outcome) -> dict[str, int]:
    """The counts of a task's report that are not zero, without the total, which is checked."""
    found = dict(outcome.xcoms["report"]["counts"])
    assert found.pop("total") == sum(found.values())
    return {status: count for status, count in found.items() if count}


def items(outcome: Outcome) -> dict[str, dict[str, Any]]:
    """The items of a task's report by ``owner/name``."""
    return {f"{item['owner']}/{item['name']}": item for item in outcome.xcoms["report"]["items"]}


def kept_text(outcome: Outcome) -> str:
    """All that Airflow keeps of an attempt, and its log: where no secret and no value may be."""
    sent = [message for message in outcome.sent if not isinstance(message, comms.MaskSecret)]
    return "\n".join([outcome.log, repr(sent), repr(outcome.xcoms), repr(outcome.error)])
