"""Agents, which are the projects of an account."""

from __future__ import annotations

from airflow_voice_agents.emulator.polyai.bodies import FREE, NAME, TEXT, closed_body, closed_object
from airflow_voice_agents.emulator.polyai.operation import node_operation
from airflow_voice_agents.emulator.polyai.seed import read_agent
from airflow_voice_agents.emulator.polyai.store import PolyAIStore
from airflow_voice_agents.emulator.request import EmulatorRequest, Problem, Record, Reply

_ACCOUNT_AGENTS = "/v1/accounts/{accountId}/agents"
_AGENT = "/v1/agents/{agentId}"


def list_agents(store: PolyAIStore, exchange: EmulatorRequest) -> Reply:
    """The account's agents that the key may use, as a bare list."""
    caller = exchange.caller
    return Reply(200, [_show(store, slug) for slug in store.agents if store.may_use(caller, slug)])


def create_agent(store: PolyAIStore, exchange: EmulatorRequest) -> Reply:
    """Create an agent with nothing deployed and no config page written."""
    body = exchange.content
    slug = _free_id(store, body.get("agentId"), "agentId")
    _add(store, slug, {"name": body["name"], "account": exchange.caller["account"]})
    return Reply(200, _show(store, slug))


def duplicate_agent(store: PolyAIStore, exchange: EmulatorRequest) -> Reply:
    """Create an agent with the same variants and attributes; config pages only if the switch says so."""
    source, body = store.agent(exchange), exchange.content
    slug = _free_id(store, body.get("newAgentId"), "newAgentId")
    copied: Record = {
        "name": body["newAgentName"],
        "account": source["account"],
        "branches": {"main": source["branches"]["main"]},
        "draft": source["draft"],
    }
    if store.switches.duplicate_configs:
        copied["configs"] = source["configs"]
    _add(store, slug, copied)
    return Reply(200, _show(store, slug))


def delete_agent(store: PolyAIStore, exchange: EmulatorRequest) -> Reply:
    """Delete an agent with everything that it has."""
    store.drop_agent(exchange.agent or "")
    return Reply(204)


def _free_id(store: PolyAIStore, wanted: str | None, field: str) -> str:
    if wanted is not None and store.find_agent(wanted) is not None:
        text, fields = f"Project id {wanted} already exists", [(field, "already exists")]
        raise Problem(409, text, "PROJECT_ID_ALREADY_EXISTS", fields)
    return wanted or store.new_id("PROJECT")


def _add(store: PolyAIStore, slug: str, record: Record) -> None:
    now = store.state.touch()
    if slug.startswith("PROJECT-"):
        record = record | {"projectId": slug}
    store.add_agent(slug, read_agent(slug, record | {"createdAt": now, "updatedAt": now}, store.accounts))


def _show(store: PolyAIStore, slug: str) -> Record:
    agent = store.agents[slug]
    return {
        **store.owned_by(slug),
        "agentId": store.show_agent_id(slug),
        "agentName": agent["name"],
        "createdAt": agent["createdAt"],
        "updatedAt": agent["updatedAt"],
        "branchCount": len(agent["branches"]),
    }


_SHORT_NAME: Record = NAME | {"maxLength": 100}
_AGENT_ID: Record = {"type": "string", "pattern": "^[a-zA-Z0-9-]+$"}

OPERATIONS = (
    node_operation("list agents", "GET", _ACCOUNT_AGENTS, list_agents, writes=False),
    node_operation(
        "create agent",
        "POST",
        _ACCOUNT_AGENTS,
        create_agent,
        writes=True,
        body=closed_body(
            "name",
            "responseSettings",
            properties={
                "name": _SHORT_NAME,
                "agentId": _AGENT_ID,
                "responseSettings": closed_object(
                    "greeting", properties={"greeting": NAME, "languageCode": NAME}
                ),
                "voiceSettings": closed_object("voiceId", properties={"voiceId": NAME}),
                "llmSettings": closed_object(properties={"modelId": TEXT}),
                "experimentalConfig": FREE,
            },
        ),
    ),
    node_operation("delete agent", "DELETE", _AGENT, delete_agent, writes=True),
    node_operation(
        "duplicate agent",
        "POST",
        f"{_AGENT}/duplicate",
        duplicate_agent,
        writes=True,
        body=closed_body("newAgentName", properties={"newAgentName": _SHORT_NAME, "newAgentId": _AGENT_ID}),
    ),
)
