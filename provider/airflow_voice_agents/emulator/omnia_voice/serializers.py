"""Numbers and lists as answers show them."""

from __future__ import annotations

from typing import Any

from airflow_voice_agents.emulator.omnia_voice.store import OmniaVoiceStore
from airflow_voice_agents.emulator.request import EmulatorRequest, Record


def shown_status(store: OmniaVoiceStore, record: Record) -> str:
    """The status of a number, in the words that the switch chooses."""
    if store.switches.omnia_statuses == "assignment":
        return "unassigned" if record["agentId"] is None else "assigned"
    return str(record["status"])


def show(store: OmniaVoiceStore, exchange: EmulatorRequest, number_id: str) -> Record:
    """A number, with its whole agent inside."""
    workspace = store.workspace(exchange)
    record = workspace["numbers"][number_id]
    agent = workspace["agents"].get(record["agentId"])
    shown = {"id": number_id, **record, "status": shown_status(store, record)}
    if agent is None or store.switches.omnia_agent_object == "absent":
        return shown
    owner = {"id": record["agentId"], "workspaceId": exchange.caller["workspace"]}
    return shown | {"agent": owner | agent}


def collection(
    store: OmniaVoiceStore, exchange: EmulatorRequest, number_ids: list[str], *, page: int, limit: int
) -> Any:
    """One page of numbers, with what the switch lets it tell about the others."""
    start, total = (page - 1) * limit, len(number_ids)
    data = [show(store, exchange, each) for each in number_ids[start : start + limit]]
    told: Record = {"page": page, "limit": limit, "total": total}
    match store.switches.omnia_pagination:
        case "bare":
            return data
        case "absent":
            return {"data": data}
        case "has_more":
            told["hasMore"] = start + limit < total
        case _:
            told["totalPages"] = -(-total // limit)
    return {"data": data, "pagination": told}
