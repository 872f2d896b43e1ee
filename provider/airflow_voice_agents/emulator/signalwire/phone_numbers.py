"""One phone number: read it, route it, give it back."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from airflow_voice_agents.emulator.request import EmulatorRequest, Operation, Record, Reply
from airflow_voice_agents.emulator.signalwire.bodies import read_object
from airflow_voice_agents.emulator.signalwire.e911 import observed
from airflow_voice_agents.emulator.signalwire.errors import refused
from airflow_voice_agents.emulator.signalwire.fields import (
    CHOICES,
    COMPANIONS,
    MESSAGE_COMPANIONS,
    SDK_COMPANIONS,
    SDK_FIELDS,
    UUIDS,
    VOICE,
    WRITABLE,
    companions_of,
)
from airflow_voice_agents.emulator.signalwire.listing import NUMBERS
from airflow_voice_agents.emulator.signalwire.seed import is_uuid
from airflow_voice_agents.emulator.signalwire.store import SignalWireStore

_NUMBER = f"{NUMBERS}/{{id}}"
_DAYS_BEFORE_RELEASE = 14
_DAYS_BEFORE_RELEASE_IN_TRIAL = 30
_CLEARED: Record = dict.fromkeys((*WRITABLE, *SDK_FIELDS)) | {"call_receive_mode": VOICE}

Errors = list[tuple[str, str]]


def get_phone_number(store: SignalWireStore, exchange: EmulatorRequest) -> Reply:
    """One number."""
    return Reply(200, store.show(observed(store, exchange, store.require(exchange))))


def update_phone_number(store: SignalWireStore, exchange: EmulatorRequest) -> Reply:
    """Set some fields of a number."""
    record, switches = store.require(exchange), store.switches
    change = _known_fields(store, read_object(exchange))
    errors = _value_errors(store, change) or _companion_errors(store, record, change)
    if change.get("call_handler") and VOICE not in record["capabilities"]:
        errors.append(("not_voice_capable", "The phone number cannot receive calls"))
    if errors:
        raise refused(*errors)
    base = record | _CLEARED if switches.signalwire_update == "replace" else record
    new_handler = change.get("call_handler", record["call_handler"])
    if switches.signalwire_old_companion == "clear" and new_handler != record["call_handler"]:
        base = base | dict.fromkeys(companions_of(record["call_handler"]))
    cleared = {name: _CLEARED[name] for name, value in change.items() if value is None}
    return Reply(200, store.show(store.put(exchange.agent or "", base | change | cleared)))


def release_phone_number(store: SignalWireStore, exchange: EmulatorRequest) -> Reply:
    """Give a number back, once it is old enough."""
    record, trial = store.require(exchange), store.project(exchange)["trial"]
    days = _DAYS_BEFORE_RELEASE_IN_TRIAL if trial else _DAYS_BEFORE_RELEASE
    created, now = (datetime.fromisoformat(stamp) for stamp in (record["created_at"], store.clock.now()))
    if now < created + timedelta(days=days):
        detail = f"The phone number cannot be released until {days} days after its purchase"
        raise refused(("purchased_too_recently", detail))
    store.drop(record)
    return Reply(204)


def _known_fields(store: SignalWireStore, document: Record) -> Record:
    sdk = SDK_FIELDS if store.switches.signalwire_fabric_handlers == "sdk" else ()
    return {name: value for name, value in document.items() if name in (*WRITABLE, *sdk)}


def _value_errors(store: SignalWireStore, change: Record) -> Errors:
    handlers = (*COMPANIONS, *(SDK_COMPANIONS if store.switches.signalwire_fabric_handlers == "sdk" else ()))
    choices = CHOICES | {"call_handler": handlers}
    nullable = store.switches.signalwire_null == "clear"
    return [
        ("invalid_parameter", f"{name} is invalid")
        for name, value in change.items()
        if not (nullable and value is None) and not _is_valid(name, value, choices)
    ]


def _is_valid(name: str, value: Any, choices: dict[str, tuple[str, ...]]) -> bool:
    if not isinstance(value, str):
        return False
    return value in choices.get(name, (value,)) and (name not in UUIDS or is_uuid(value))


def _companion_errors(store: SignalWireStore, record: Record, change: Record) -> Errors:
    mode = store.switches.signalwire_companion
    if mode == "off":
        return []
    present = change if mode == "request" else record | change
    needed = (
        *companions_of(change.get("call_handler")),
        *MESSAGE_COMPANIONS.get(change.get("message_handler") or "", ()),
    )
    return [
        ("must_specify_related_parameter", f"{name} is required by the handler")
        for name in needed
        if not present.get(name)
    ]


OPERATIONS = (
    Operation("get phone number", "GET", _NUMBER, get_phone_number, writes=False),
    Operation("update phone number", "PUT", _NUMBER, update_phone_number, writes=True),
    Operation("release phone number", "DELETE", _NUMBER, release_phone_number, writes=True),
)
