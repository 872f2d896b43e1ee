"""The SignalWire room: whose token it is, which handler answers, and how refusals look."""

from __future__ import annotations

import base64
import binascii
import uuid
from collections.abc import Mapping
from typing import Any, cast

from airflow_voice_agents.emulator.request import EmulatorRequest, Operation, Problem, Record, Reply
from airflow_voice_agents.emulator.signalwire import e911, listing, phone_numbers, purchases
from airflow_voice_agents.emulator.signalwire.errors import plain, with_plain_codes
from airflow_voice_agents.emulator.signalwire.fields import companions_of
from airflow_voice_agents.emulator.signalwire.limits import WriteLimiter
from airflow_voice_agents.emulator.signalwire.seed import SCOPE
from airflow_voice_agents.emulator.signalwire.store import SignalWireStore
from airflow_voice_agents.emulator.state import State

_REQUEST_ID = "X-Request-Id"


class SignalWireRoom:
    """The phone numbers of the relay REST API, on top of a store."""

    name = "signalwire"
    operations: tuple[Operation, ...] = (
        *listing.OPERATIONS,
        *purchases.OPERATIONS,
        *phone_numbers.OPERATIONS,
        *e911.OPERATIONS,
    )

    def __init__(self, state: State) -> None:
        self.store = SignalWireStore(state)
        self.limiter = WriteLimiter(state.switches, lambda exchange: _credentials(exchange)[0])

    def load(self, section: Mapping[str, Any]) -> None:
        """Replace the store's content by a seed's section."""
        self.store.load(section)

    def dump(self) -> Record:
        """The store's content as a seed's section."""
        return self.store.dump()

    def latest_stamp(self) -> str:
        """When a number was changed last."""
        stamps = (
            str(record["updated_at"])
            for project in self.store.projects.values()
            for record in project["numbers"].values()
        )
        return max(stamps, default="")

    def admit(self, exchange: EmulatorRequest) -> None:
        """Note request id, project and token on the exchange."""
        exchange.trace_id = exchange.headers.get(_REQUEST_ID.lower()) or str(uuid.uuid4())
        project_id, token = _credentials(exchange)
        project = self.store.projects.get(project_id, {})
        exchange.caller = project.get("tokens", {}).get(token, {})
        if exchange.caller:
            exchange.agent = project_id

    def answer(self, exchange: EmulatorRequest) -> Reply:
        """Check the token, call the handler."""
        try:
            self._authorise(exchange)
            return cast("Operation", exchange.operation).handle(self.store, exchange)
        except Problem as problem:
            symbolic = self.store.switches.signalwire_codes == "symbolic"
            return Reply(problem.status, problem.body if symbolic else with_plain_codes(problem.body))

    def headers(self, exchange: EmulatorRequest) -> dict[str, str]:
        """The request's id, and for writes what is left of the rate."""
        return {_REQUEST_ID: exchange.trace_id} | self.limiter.headers(exchange)

    def summary(self) -> dict[str, Any]:
        """What there is, in names and counts."""
        projects = self.store.projects.values()
        return {
            "projects": [project["name"] for project in projects],
            "numbers": sum(len(project["numbers"]) for project in projects),
            "available": len(self.store.available),
            "billed": sum(project["billed"] for project in projects),
        }

    def overview(self, limit: int) -> list[dict[str, Any]]:
        """The projects, each with its first numbers and where they lead; URLs without their passwords."""
        return [
            {
                "name": project["name"],
                "space": project["space"],
                "total": len(project["numbers"]),
                "billed": project["billed"],
                "numbers": [_routing(record) for record in list(project["numbers"].values())[:limit]],
            }
            for project in list(self.store.projects.values())[:limit]
        ]

    def _authorise(self, exchange: EmulatorRequest) -> None:
        if not exchange.caller or exchange.caller["revoked"]:
            raise plain(401)
        if SCOPE not in exchange.caller["scopes"]:
            raise plain(int(self.store.switches.signalwire_missing_scope))


def _credentials(exchange: EmulatorRequest) -> tuple[str, str]:
    """Project id and token of Basic authentication; empty strings without it."""
    scheme, _, encoded = exchange.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return "", ""
    try:
        text = base64.b64decode(encoded.strip(), validate=True).decode()
    except (binascii.Error, ValueError):
        return "", ""
    project_id, _, token = text.partition(":")
    return project_id, token


def _routing(record: Record) -> dict[str, str]:
    targets = (record[name] for name in companions_of(record["call_handler"]))
    return {
        "number": record["number"],
        "name": record["name"] or "",
        "call_handler": record["call_handler"] or "",
        "target": " ".join(_without_password(str(target)) for target in targets if target),
        "e911_status": record["e911_status"] or "",
    }


def _without_password(target: str) -> str:
    scheme, separator, rest = target.partition("://")
    if not separator:
        return target
    return f"{scheme}://{rest.partition('?')[0].partition('#')[0].rpartition('@')[2]}"
