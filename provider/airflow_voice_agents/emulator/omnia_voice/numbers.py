"""Numbers: list, assign, change, delete, and those of one agent."""

from __future__ import annotations

import re
from typing import Any

from airflow_voice_agents.emulator.omnia_voice.errors import refused
from airflow_voice_agents.emulator.omnia_voice.seed import NUMBER_STATUSES
from airflow_voice_agents.emulator.omnia_voice.serializers import collection, show, shown_status
from airflow_voice_agents.emulator.omnia_voice.store import OmniaVoiceStore
from airflow_voice_agents.emulator.reading import E164
from airflow_voice_agents.emulator.request import EmulatorRequest, Operation, Record, Reply, decode

_NUMBERS = "/api/v1/numbers"
_NUMBER = f"{_NUMBERS}/{{id}}"
_AGENT_NUMBERS = "/api/v1/agents/{id}/numbers"

_DEFAULT_LIMIT = 50
_CHANGEABLE = ("friendlyName", "agentId", "status")
_COUNT = re.compile(r"[1-9][0-9]{0,8}", re.ASCII)


def list_numbers(store: OmniaVoiceStore, exchange: EmulatorRequest) -> Reply:
    """One page of the workspace's numbers."""
    page = _count(exchange, "page", 1)
    limit = min(_count(exchange, "limit", _DEFAULT_LIMIT), max(1, int(store.switches.omnia_page_limit)))
    status = exchange.query.get("status") or None
    agent_id = exchange.query.get("agentId") if store.switches.omnia_agent_filter else None
    fitting = [
        number_id
        for number_id, record in store.workspace(exchange)["numbers"].items()
        if status in (None, shown_status(store, record)) and agent_id in (None, record["agentId"])
    ]
    return Reply(200, collection(store, exchange, fitting, page=page, limit=limit))


def assign_number(store: OmniaVoiceStore, exchange: EmulatorRequest) -> Reply:
    """Assign a number that the workspace does not have yet, or that nobody answers."""
    body, workspace = _body(exchange), exchange.caller["workspace"]
    _check_assignment(store, exchange, body)
    change = {name: body[name] for name in ("agentId", "friendlyName") if body.get(name) is not None}
    number_id = store.find_id(workspace, body["phoneNumber"])
    if number_id is None:
        if store.switches.omnia_assign == "imported":
            raise refused(404, "RESOURCE_NOT_FOUND", "Import the phone number in the dashboard first")
        number_id = store.create(workspace, body["phoneNumber"], **change)
    else:
        record = store.workspace(exchange)["numbers"][number_id]
        _check_duplicate(store, record)
        store.put(workspace, number_id, record | change)
    return _written(store, exchange, number_id, status=201)


def get_number(store: OmniaVoiceStore, exchange: EmulatorRequest) -> Reply:
    """One number."""
    store.require(exchange)
    return Reply(200, show(store, exchange, exchange.params["id"]))


def update_number(store: OmniaVoiceStore, exchange: EmulatorRequest) -> Reply:
    """Set some fields of a number; another agent simply takes it over."""
    _check_verb(store, exchange)
    record, body = store.require(exchange), _body(exchange)
    change = {name: value for name, value in body.items() if name in _CHANGEABLE}
    _check_change(store, exchange, change)
    store.put(exchange.caller["workspace"], exchange.params["id"], record | change)
    return _written(store, exchange, exchange.params["id"], status=200)


def delete_number(store: OmniaVoiceStore, exchange: EmulatorRequest) -> Reply:
    """Take a number out of the workspace."""
    store.require(exchange)
    store.drop(exchange.caller["workspace"], exchange.params["id"])
    return Reply(int(store.switches.omnia_delete_status))


def list_agent_numbers(store: OmniaVoiceStore, exchange: EmulatorRequest) -> Reply:
    """All numbers of an agent, in one answer."""
    workspace, agent_id = store.workspace(exchange), exchange.params["id"]
    if agent_id not in workspace["agents"]:
        raise refused(404, "RESOURCE_NOT_FOUND", "Agent not found")
    numbers = workspace["numbers"].items()
    data = [show(store, exchange, each) for each, record in numbers if record["agentId"] == agent_id]
    return Reply(200, {"data": data})


def _count(exchange: EmulatorRequest, name: str, default: int) -> int:
    text = exchange.query.get(name, str(default))
    if not _COUNT.fullmatch(text):
        raise refused(400, "BAD_REQUEST", f"{name} must be at least 1", {name: "must be at least 1"})
    return int(text)


def _body(exchange: EmulatorRequest) -> Record:
    try:
        document = decode(exchange.body)
    except ValueError:
        raise refused(400, "INVALID_BODY", "The body is not valid JSON") from None
    if not isinstance(document, dict):
        raise refused(400, "INVALID_BODY", "The body must be an object")
    return document


def _check_assignment(store: OmniaVoiceStore, exchange: EmulatorRequest, body: Record) -> None:
    wrong: dict[str, str] = {}
    if not isinstance(body.get("phoneNumber"), str) or not E164.fullmatch(body["phoneNumber"]):
        wrong["phoneNumber"] = "must be an E.164 number"
    if not isinstance(body.get("agentId"), str):
        wrong["agentId"] = "is required"
    if not isinstance(body.get("friendlyName"), str | None):
        wrong["friendlyName"] = "must be a string"
    _raise_if(wrong)
    _check_agent(store, exchange, body["agentId"])


def _check_duplicate(store: OmniaVoiceStore, record: Record) -> None:
    free = store.switches.omnia_assign == "imported" and record["agentId"] is None
    mode = store.switches.omnia_duplicate
    if free or mode == "upsert":
        return
    if mode == "conflict":
        raise refused(409, "CONFLICT", "The phone number already exists")
    raise refused(400, "BAD_REQUEST", "The phone number already exists", {"phoneNumber": "already exists"})


def _check_change(store: OmniaVoiceStore, exchange: EmulatorRequest, change: Record) -> None:
    unassigns = store.switches.omnia_unassign == "null" and change.get("agentId", "") is None
    kinds: dict[str, Any] = {
        "friendlyName": str,
        "agentId": str | None if unassigns else str,
        "status": str,
    }
    wrong = {
        name: "has the wrong type" for name, value in change.items() if not isinstance(value, kinds[name])
    }
    if not wrong and change.get("status", NUMBER_STATUSES[0]) not in NUMBER_STATUSES:
        wrong["status"] = f"must be one of {', '.join(NUMBER_STATUSES)}"
    _raise_if(wrong)
    if change.get("agentId") is not None:
        _check_agent(store, exchange, change["agentId"])


def _raise_if(wrong: dict[str, str]) -> None:
    if wrong:
        text = "; ".join(f"{name} {what}" for name, what in wrong.items())
        raise refused(400, "INVALID_BODY", text, wrong)


def _check_agent(store: OmniaVoiceStore, exchange: EmulatorRequest, agent_id: str) -> None:
    if agent_id not in store.workspace(exchange)["agents"]:
        raise refused(404, "RESOURCE_NOT_FOUND", "Agent not found")


def _check_verb(store: OmniaVoiceStore, exchange: EmulatorRequest) -> None:
    if store.switches.omnia_update_verb not in ("both", exchange.method):
        raise refused(405, "METHOD_NOT_ALLOWED", "Method not allowed")


def _written(store: OmniaVoiceStore, exchange: EmulatorRequest, number_id: str, *, status: int) -> Reply:
    empty = store.switches.omnia_write_body == "empty"
    return Reply(status, None if empty else show(store, exchange, number_id))


OPERATIONS = (
    Operation("list numbers", "GET", _NUMBERS, list_numbers, writes=False),
    Operation("assign number", "POST", _NUMBERS, assign_number, writes=True),
    Operation("get number", "GET", _NUMBER, get_number, writes=False),
    Operation("update number", "PUT", _NUMBER, update_number, writes=True),
    Operation("update number", "PATCH", _NUMBER, update_number, writes=True),
    Operation("delete number", "DELETE", _NUMBER, delete_number, writes=True),
    Operation("list numbers of agent", "GET", _AGENT_NUMBERS, list_agent_numbers, writes=False),
)
