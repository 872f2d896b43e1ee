"""The fields of a phone number, and what its handlers need."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Mapping
from typing import Any

from airflow_voice_agents.emulator.request import Record

VOICE = "voice"
CAPABILITIES = (VOICE, "sms", "mms", "fax")

SHOWN = (
    *("id", "number", "name", "capabilities", "number_type", "e911_address_id", "e911_status"),
    *("created_at", "updated_at", "next_billed_at"),
    *("call_handler", "calling_handler_resource_id", "call_receive_mode"),
    *("call_request_url", "call_request_method", "call_fallback_url", "call_fallback_method"),
    *("call_status_callback_url", "call_status_callback_method"),
    *("call_laml_application_id", "call_dialogflow_agent_id"),
    *("call_relay_topic", "call_relay_topic_status_callback_url", "call_relay_script_url"),
    *("call_relay_context", "call_relay_context_status_callback_url"),
    *("call_relay_application", "call_relay_connector_id"),
    *("call_sip_endpoint_id", "call_verto_resource", "call_video_room_id"),
    *("message_handler", "messaging_handler_resource_id"),
    *("message_request_url", "message_request_method", "message_fallback_url", "message_fallback_method"),
    *("message_laml_application_id", "message_relay_topic", "message_relay_context", "country_code"),
)
"""Every field of an answer, in its order."""

WRITE_ONLY = ("message_relay_application",)
"""Taken by an update, and never shown."""

SDK_FIELDS = ("call_ai_agent_id", "call_flow_id", "call_flow_version")
"""Sent by the vendor's SDK, absent from its specification, and never shown."""

SERVER_SIDE = (
    *("id", "number", "capabilities", "number_type", "e911_address_id", "e911_status", "country_code"),
    *("created_at", "updated_at", "next_billed_at"),
    *("calling_handler_resource_id", "messaging_handler_resource_id"),
)
"""Shown, and not taken by an update."""

WRITABLE = (*(name for name in SHOWN if name not in SERVER_SIDE), *WRITE_ONLY)
"""Every field that an update takes by the specification."""

E911_READS = "e911_reads"
"""Reads since the last E911 request; kept, never shown."""

STORED = (*SHOWN, *WRITE_ONLY, *SDK_FIELDS, E911_READS)

COMPANIONS = {
    "relay_script": ("call_relay_script_url",),
    "laml_webhooks": ("call_request_url",),
    "laml_application": ("call_laml_application_id",),
    "relay_application": ("call_relay_application",),
    "relay_topic": ("call_relay_topic",),
    "relay_context": ("call_relay_context",),
    "relay_connector": ("call_relay_connector_id",),
    "relay_sip_endpoint": ("call_sip_endpoint_id",),
    "relay_verto_endpoint": ("call_verto_resource",),
    "dialogflow": ("call_dialogflow_agent_id",),
    "video_room": ("call_video_room_id",),
}
"""Writable call handler -> the fields that it needs."""

SDK_COMPANIONS = {"ai_agent": ("call_ai_agent_id",), "call_flow": ("call_flow_id", "call_flow_version")}
"""The same for the handlers that only the vendor's SDK writes."""

MESSAGE_COMPANIONS = {
    "laml_webhooks": ("message_request_url",),
    "laml_application": ("message_laml_application_id",),
    "relay_application": ("message_relay_application",),
    "relay_topic": ("message_relay_topic",),
    "relay_context": ("message_relay_context",),
}
"""Message handler -> the fields that it needs."""

FABRIC_HANDLERS = ("call_flow", "ai_agent", "fabric_subscriber", "sip_gateway", "call_queue")
"""Call handlers that answers show and the specification does not let an update write."""

CALL_HANDLERS = (*COMPANIONS, *FABRIC_HANDLERS)

_WITH_RESOURCE = {
    *("relay_script", "laml_webhooks", "laml_application", "relay_application"),
    *FABRIC_HANDLERS,
}
_METHODS = ("GET", "POST")

CHOICES: dict[str, tuple[str, ...]] = {
    "call_receive_mode": (VOICE, "fax"),
    "message_handler": tuple(MESSAGE_COMPANIONS),
    **{name: _METHODS for name in WRITABLE if name.endswith("_method")},
}
"""Writable field -> the words that it takes, call handlers aside."""

UUIDS = ("call_video_room_id",)
"""Writable fields that take UUIDs only."""


def companions_of(handler: str | None) -> tuple[str, ...]:
    """The fields that a call handler needs."""
    return (COMPANIONS | SDK_COMPANIONS).get(handler or "", ())


def new_record(number: str, number_id: str, created_at: str, given: Mapping[str, Any]) -> Record:
    """A record with every stored field.

    :param given: fields that differ from those of a number without routing.
    """
    empty: Record = dict.fromkeys(STORED)
    defaults: Record = {
        "id": number_id,
        "number": number,
        "capabilities": list(CAPABILITIES[:3]),
        "number_type": "longcode",
        "country_code": _country(number),
        "created_at": created_at,
        "updated_at": created_at,
        "call_receive_mode": VOICE,
        E911_READS: 0,
    }
    return with_resources(empty | defaults | dict(given))


def with_resources(record: Record) -> Record:
    """The record with the resource ids that the server derives from its handlers."""
    companions = [record[name] for name in companions_of(record["call_handler"])]
    message_companions = [record[name] for name in MESSAGE_COMPANIONS.get(record["message_handler"], ())]
    return record | {
        "calling_handler_resource_id": _resource("call", record, record["call_handler"], companions),
        "messaging_handler_resource_id": _resource(
            "message", record, record["message_handler"], message_companions
        ),
    }


def shown(record: Record, *, e911_status: bool) -> Record:
    """A record as answers show it.

    :param e911_status: whether the answer has that field.
    """
    return {name: record[name] for name in SHOWN if e911_status or name != "e911_status"}


def national_digits(number: str) -> str:
    """The digits behind the country code; all digits where the country is not among the few known here."""
    digits = number.removeprefix("+")
    code = next((code for code in _COUNTRIES if digits.startswith(code)), "")
    return digits.removeprefix(code)


def stable_uuid(text: str) -> str:
    """A UUID that depends on nothing but the text."""
    return str(uuid.UUID(bytes=hashlib.sha256(text.encode()).digest()[:16], version=4))


_COUNTRIES = {"1": "US", "44": "GB"}


def _country(number: str) -> str | None:
    return next((name for code, name in _COUNTRIES.items() if number.startswith(f"+{code}")), None)


def _resource(kind: str, record: Record, handler: str | None, companions: list[Any]) -> str | None:
    if handler not in _WITH_RESOURCE:
        return None
    return stable_uuid(f"{kind}/{record['id']}/{handler}/{companions}")
