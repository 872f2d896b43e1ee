"""Outbound calls: nobody is called; each look at the status brings a call one step further."""

from __future__ import annotations

import base64
import json

from airflow_voice_agents.emulator.polyai.bodies import TEXT, open_body
from airflow_voice_agents.emulator.polyai.operation import python_operation
from airflow_voice_agents.emulator.polyai.seed import ENVIRONMENTS
from airflow_voice_agents.emulator.polyai.store import PolyAIStore
from airflow_voice_agents.emulator.reading import E164
from airflow_voice_agents.emulator.request import EmulatorRequest, Problem, Record, Reply

_CALLS = "/v1/agents/{agentId}/telephony/outbound-calls"
_METADATA_LIMIT = 26_000
_STEPS = ("QUEUED", "CALLING")
_INVALID = "VALIDATION_FAILED"


def create_call(store: PolyAIStore, exchange: EmulatorRequest) -> Reply:
    """Queue a call; the number that would be called is not kept."""
    body, agent = exchange.content, store.agent(exchange)
    if not E164.fullmatch(body["toNumber"]):
        raise Problem(400, "toNumber must be an E.164 number", _INVALID)
    metadata = json.dumps(body.get("metadata", {})).encode()
    if len(base64.b64encode(metadata)) >= _METADATA_LIMIT:
        raise Problem(400, "metadata is too large", _INVALID)
    if all(each["clientEnv"] != body["environment"] for each in agent["connectors"].values()):
        raise Problem(404, f"No connector for {body['environment']}", "CONNECTORS_NOT_FOUND")
    variant_id = body.get("variantId")
    if variant_id is not None and variant_id not in agent["branches"]["main"]["variants"]:
        raise Problem(400, f"Variant '{variant_id}' does not exist", _INVALID)
    store.state.touch()
    call_sid = f"OUT-{store.clock.new_uuid()}"
    agent["calls"][call_sid] = {"environment": body["environment"], "looks": 0}
    return Reply(200, {"callSid": call_sid, "status": _STEPS[0]})


def get_call_status(store: PolyAIStore, exchange: EmulatorRequest) -> Reply:
    """Where a call stands: queued, then calling, then ended for good."""
    environment, call_sid = exchange.query.get("environment"), exchange.params["callSid"]
    if environment not in ENVIRONMENTS:
        raise Problem(400, "environment must be given", _INVALID)
    calls = store.agent(exchange)["calls"]
    call = calls.get(call_sid)
    if call is None or call["environment"] != environment:
        raise Problem(404, f"Call {call_sid} not found", "CALL_NOT_FOUND")
    looks = call["looks"]
    calls[call_sid] = {**call, "looks": min(looks + 1, len(_STEPS))}
    return Reply(200, {"callSid": call_sid, **_status(looks, store.switches.call_outcome)})


def _status(looks: int, outcome: str) -> Record:
    if looks < len(_STEPS):
        return {"status": _STEPS[looks]}
    return {"status": outcome} | ({"reason": "no answer"} if outcome == "FAILURE" else {})


OPERATIONS = (
    python_operation(
        "create outbound call",
        "POST",
        _CALLS,
        create_call,
        writes=True,
        body=open_body(
            "toNumber",
            "environment",
            properties={
                "toNumber": TEXT,
                "environment": {"enum": list(ENVIRONMENTS)},
                "countryCode": TEXT,
                "variantId": TEXT,
                "encryption": TEXT,
                "metadata": {"type": "object", "additionalProperties": TEXT},
            },
        ),
    ),
    python_operation(
        "get outbound call status", "GET", f"{_CALLS}/{{callSid}}/status", get_call_status, writes=False
    ),
)
