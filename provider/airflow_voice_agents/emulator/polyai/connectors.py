"""Connectors: voice, languages and variant that numbers of one environment share."""

from __future__ import annotations

import re

from airflow_voice_agents.emulator.polyai.bodies import TEXT, list_of, open_body
from airflow_voice_agents.emulator.polyai.operation import python_operation
from airflow_voice_agents.emulator.polyai.seed import tts_language
from airflow_voice_agents.emulator.polyai.store import PolyAIStore
from airflow_voice_agents.emulator.reading import E164
from airflow_voice_agents.emulator.request import EmulatorRequest, Problem, Record, Reply

_CONNECTORS = "/v1/agents/{agentId}/telephony/connectors"
_CONNECTOR = f"{_CONNECTORS}/{{connectorId}}"
_VOICE = re.compile(r"[a-z]{2,3}-[A-Z]{2}-[A-Za-z0-9]+(-[A-Za-z0-9]+)+", re.ASCII)
_LANGUAGE = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})*", re.ASCII)
_INVALID = "CONNECTORS_VALIDATION_FAILED"
_CHANGE: dict[str, Record] = {
    "variantId": {"type": ["string", "null"]},
    "asrLangCode": TEXT,
    "voiceName": TEXT,
    "projectId": TEXT,
}
_UPDATE: Record = {
    "type": "object",
    "required": ["connectorId"],
    "properties": {"connectorId": TEXT, **_CHANGE},
}


def list_connectors(store: PolyAIStore, exchange: EmulatorRequest) -> Reply:
    """All connectors of an agent."""
    ids = store.agent(exchange)["connectors"]
    return Reply(200, {"connectors": [show(store, exchange.agent or "", each) for each in ids]})


def get_connectors(store: PolyAIStore, exchange: EmulatorRequest) -> Reply:
    """Several connectors by id."""
    known, wanted = store.agent(exchange)["connectors"], list(dict.fromkeys(exchange.content["connectorIds"]))
    found = [show(store, exchange.agent or "", each) for each in wanted if each in known]
    return Reply(200, {"found": found, "notFound": [each for each in wanted if each not in known]})


def get_connector(store: PolyAIStore, exchange: EmulatorRequest) -> Reply:
    """One connector."""
    connector_id = exchange.params["connectorId"]
    _require(store, exchange, connector_id)
    return Reply(200, show(store, exchange.agent or "", connector_id))


def look_up_connector(store: PolyAIStore, exchange: EmulatorRequest) -> Reply:
    """The connector that a number rings."""
    number = exchange.content["phoneNumber"]
    if not E164.fullmatch(number):
        raise Problem(400, "Invalid phone number format", "PHONE_NUMBERS_INVALID_PHONE_NUMBER_FORMAT")
    record = store.agent(exchange)["numbers"].get(number)
    if record is None:
        raise Problem(404, f"Phone number {number} not found", "PHONE_NUMBERS_NOT_FOUND")
    if record["connectorId"] is None:
        raise Problem(404, f"Phone number {number} has no connector", "CONNECTORS_NOT_FOUND")
    return Reply(200, show(store, exchange.agent or "", record["connectorId"]))


def update_connector(store: PolyAIStore, exchange: EmulatorRequest) -> Reply:
    """Change one connector, or move it to another project."""
    return Reply(200, _change(store, exchange, exchange.params["connectorId"], exchange.content))


def update_connectors(store: PolyAIStore, exchange: EmulatorRequest) -> Reply:
    """Change several connectors, each on its own; the status is 200 whatever became of them."""
    results = [_result(store, exchange, update) for update in exchange.content["updates"]]
    return Reply(200, {"results": results})


def delete_connector(store: PolyAIStore, exchange: EmulatorRequest) -> Reply:
    """Delete a connector and release its numbers."""
    slug, connector_id = exchange.agent or "", exchange.params["connectorId"]
    _require(store, exchange, connector_id)
    numbers = store.numbers_of(slug, connector_id)
    for number in numbers:
        store.drop_number(slug, number)
    del store.agent(exchange)["connectors"][connector_id]
    store.state.touch()
    return Reply(200, {"deletedConnector": connector_id, "deletedPhoneNumbers": numbers})


def show(store: PolyAIStore, slug: str, connector_id: str) -> Record:
    """A connector as replies show it."""
    record = store.agents[slug]["connectors"][connector_id]
    return {
        "connectorId": connector_id,
        "name": record["name"],
        **store.owned_by(slug),
        "projectId": store.show_agent_id(slug),
        "clientEnv": record["clientEnv"],
        "variantId": record["variantId"] or "",
        "asrLangCode": record["asrLangCode"],
        "ttsLangCode": tts_language(record["voiceName"]),
        "voiceName": record["voiceName"],
        "disableHandoff": record["disableHandoff"],
    }


def _require(store: PolyAIStore, exchange: EmulatorRequest, connector_id: str) -> Record:
    record: Record | None = store.agent(exchange)["connectors"].get(connector_id)
    if record is None:
        raise Problem(404, f"Connector {connector_id} not found", "CONNECTORS_NOT_FOUND")
    return record


def _result(store: PolyAIStore, exchange: EmulatorRequest, update: Record) -> Record:
    connector_id = update["connectorId"]
    if exchange.spoils(connector_id):
        return {"connectorId": connector_id, "success": False, "error": "Internal error"}
    try:
        return {
            "connectorId": connector_id,
            "success": True,
            "data": _change(store, exchange, connector_id, update),
        }
    except Problem as problem:
        return {"connectorId": connector_id, "success": False, "error": problem.message}


def _change(store: PolyAIStore, exchange: EmulatorRequest, connector_id: str, change: Record) -> Record:
    source = exchange.agent or ""
    record = _require(store, exchange, connector_id)
    target = _target(store, exchange, change["projectId"]) if "projectId" in change else source
    fields: Record = {name: change[name] for name in ("asrLangCode", "voiceName") if name in change}
    if "variantId" in change:
        fields["variantId"] = change["variantId"] or None
    elif target != source and store.switches.move_variant == "clear":
        fields["variantId"] = None
    _check(store, target, fields)
    store.agents[source]["connectors"][connector_id] = record | fields
    store.state.touch()
    if target != source:
        _move(store, connector_id, source, target)
    return show(store, target, connector_id)


def _check(store: PolyAIStore, target: str, fields: Record) -> None:
    if not _VOICE.fullmatch(fields.get("voiceName", "en-GB-Neural2-A")):
        raise Problem(400, f"Voice '{fields['voiceName']}' is not available", _INVALID)
    if not _LANGUAGE.fullmatch(fields.get("asrLangCode", "en-GB")):
        raise Problem(400, f"Language code '{fields['asrLangCode']}' is not valid", _INVALID)
    variant_id = fields.get("variantId")
    if variant_id is not None and variant_id not in store.agents[target]["branches"]["main"]["variants"]:
        raise Problem(400, f"Variant '{variant_id}' does not exist", _INVALID)


def _target(store: PolyAIStore, exchange: EmulatorRequest, reference: str) -> str:
    slug = store.find_agent(reference)
    if slug is None:
        raise Problem(404, f"Project {reference} not found", "PROJECT_NOT_FOUND")
    if not store.may_use(exchange.caller, slug):
        raise Problem(403, "The API key has no access to the target project", "FORBIDDEN")
    return slug


def _move(store: PolyAIStore, connector_id: str, source: str, target: str) -> None:
    numbers = store.numbers_of(source, connector_id)
    store.agents[target]["connectors"][connector_id] = store.agents[source]["connectors"].pop(connector_id)
    for number in numbers:
        record = store.agents[source]["numbers"][number]
        if store.switches.move_numbers == "follow":
            store.drop_number(source, number)
            store.put_number(target, number, record)
        else:
            store.put_number(source, number, record | {"connectorId": None})


OPERATIONS = (
    python_operation("list connectors", "GET", _CONNECTORS, list_connectors, writes=False),
    python_operation(
        "get connectors",
        "POST",
        f"{_CONNECTORS}/batch",
        get_connectors,
        writes=False,
        body=open_body("connectorIds", properties={"connectorIds": list_of(TEXT)}),
    ),
    python_operation(
        "update connectors",
        "PATCH",
        f"{_CONNECTORS}/batch",
        update_connectors,
        writes=True,
        body=open_body("updates", code=_INVALID, properties={"updates": list_of(_UPDATE)}),
    ),
    python_operation(
        "look up connector",
        "POST",
        f"{_CONNECTORS}/lookup",
        look_up_connector,
        writes=False,
        body=open_body("phoneNumber", properties={"phoneNumber": TEXT}),
    ),
    python_operation("get connector", "GET", _CONNECTOR, get_connector, writes=False),
    python_operation(
        "update connector",
        "PATCH",
        _CONNECTOR,
        update_connector,
        writes=True,
        body=open_body(code=_INVALID, properties=_CHANGE),
    ),
    python_operation("delete connector", "DELETE", _CONNECTOR, delete_connector, writes=True),
)
