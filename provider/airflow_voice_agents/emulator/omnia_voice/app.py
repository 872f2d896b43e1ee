"""The Omnia Voice room: whose key it is, which handler answers, and how refusals look."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any, cast

from airflow_voice_agents.emulator.omnia_voice import numbers
from airflow_voice_agents.emulator.omnia_voice.errors import error_body, refused
from airflow_voice_agents.emulator.omnia_voice.limits import KEY_HEADER, HourlyLimiter
from airflow_voice_agents.emulator.omnia_voice.serializers import shown_status
from airflow_voice_agents.emulator.omnia_voice.store import OmniaVoiceStore
from airflow_voice_agents.emulator.request import EmulatorRequest, Operation, Problem, Record, Reply
from airflow_voice_agents.emulator.state import State

_REQUEST_ID = "X-Request-Id"


class OmniaVoiceRoom:
    """The numbers of the Omnia Voice API, on top of a store."""

    name = "omnia_voice"
    operations: tuple[Operation, ...] = numbers.OPERATIONS

    def __init__(self, state: State) -> None:
        self.store = OmniaVoiceStore(state)
        self.limiter = HourlyLimiter(state.switches)

    def load(self, section: Mapping[str, Any]) -> None:
        """Replace the store's content by a seed's section."""
        self.store.load(section)

    def dump(self) -> Record:
        """The store's content as a seed's section."""
        return self.store.dump()

    def latest_stamp(self) -> str:
        """When the newest number was created."""
        stamps = (
            str(record["createdAt"])
            for workspace in self.store.workspaces.values()
            for record in workspace["numbers"].values()
        )
        return max(stamps, default="")

    def admit(self, exchange: EmulatorRequest) -> None:
        """Note request id, key and agent on the exchange."""
        exchange.trace_id = exchange.headers.get(_REQUEST_ID.lower()) or str(uuid.uuid4())
        exchange.caller = self.store.keys.get(exchange.headers.get(KEY_HEADER.lower(), ""), {})
        operation = exchange.operation
        if operation is not None and "/agents/" in operation.route:
            exchange.agent = exchange.params["id"]

    def answer(self, exchange: EmulatorRequest) -> Reply:
        """Check the key, call the handler."""
        operation = cast("Operation", exchange.operation)
        try:
            self._authorise(exchange, operation)
            return operation.handle(self.store, exchange)
        except Problem as problem:
            return Reply(problem.status, error_body(problem, self.store.switches.omnia_errors))

    def headers(self, exchange: EmulatorRequest) -> dict[str, str]:
        """The request's id, and what is left of the hourly budget."""
        return {_REQUEST_ID: exchange.trace_id} | self.limiter.headers(exchange)

    def summary(self) -> dict[str, Any]:
        """What there is, in names and counts."""
        workspaces = self.store.workspaces
        return {
            "workspaces": list(workspaces),
            "keys": [key["name"] for key in self.store.keys.values()],
            "agents": sum(len(workspace["agents"]) for workspace in workspaces.values()),
            "numbers": sum(len(workspace["numbers"]) for workspace in workspaces.values()),
        }

    def overview(self, limit: int) -> list[dict[str, Any]]:
        """The workspaces, each with its first numbers and the agents that answer them."""
        return [
            {
                "name": name,
                "total": len(workspace["numbers"]),
                "numbers": [
                    self._overview_of(workspace, each) for each in list(workspace["numbers"])[:limit]
                ],
            }
            for name, workspace in list(self.store.workspaces.items())[:limit]
        ]

    def _overview_of(self, workspace: Record, number_id: str) -> dict[str, str]:
        record = workspace["numbers"][number_id]
        agent = workspace["agents"].get(record["agentId"], {})
        return {
            "id": number_id,
            "number": record["phoneNumber"],
            "name": record["friendlyName"] or "",
            "status": shown_status(self.store, record),
            "agent": agent.get("name", ""),
        }

    def _authorise(self, exchange: EmulatorRequest, operation: Operation) -> None:
        caller = exchange.caller
        if not exchange.headers.get(KEY_HEADER.lower()):
            raise refused(401, "MISSING_API_KEY", "The API key is missing")
        if not caller or caller["expired"]:
            raise refused(401, "UNAUTHORIZED", "The API key is not valid")
        if operation.name in caller["denied"]:
            raise refused(403, "FORBIDDEN", "The API key may not do this")
