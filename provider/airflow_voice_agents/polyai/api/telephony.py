"""Connectors, phone numbers and outbound calls."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from airflow_voice_agents.polyai import readers
from airflow_voice_agents.polyai.api.requests import AGENT, IDENTIFIERS, get, optional, own_body, send
from airflow_voice_agents.polyai.models import (
    BatchConnectors,
    BatchPhoneNumbers,
    Connector,
    ConnectorUpdate,
    ConnectorUpdateResult,
    DeletedConnector,
    DeletedPhoneNumbers,
    OutboundCall,
    OutboundCallStatus,
    PhoneNumber,
    parse_environment,
)
from airflow_voice_agents.transport.api_request import ApiRequest, Replay
from airflow_voice_agents.transport.errors import InputError
from airflow_voice_agents.transport.phone_numbers import E164
from airflow_voice_agents.transport.validation import (
    parse_batch,
    parse_e164,
    parse_identifier,
    parse_string_map,
    require_distinct,
)

VOICE_DEADLINE: Final = 90.0
"""Seconds for an update that makes the platform try out a voice."""
METADATA_LIMIT: Final = 26_000
"""Bytes that the metadata of an outbound call must stay below in base64."""

_CONNECTORS = f"{AGENT}/telephony/connectors"
_CONNECTOR = f"{_CONNECTORS}/{{connectorId}}"
_NUMBERS = f"{AGENT}/telephony/phone-numbers"
_NUMBER = f"{_NUMBERS}/{{phoneNumber}}"
_OUTBOUND = f"{AGENT}/telephony/outbound-calls"

# ------------------------------------------------------------------------------------ connectors


def list_connectors(agent_id: str) -> ApiRequest[list[Connector]]:
    """Read all connectors of an agent (``GET …/telephony/connectors``)."""
    read = readers.list_of(Connector, "connectors")
    return get("list connectors", _CONNECTORS, read, agent_id=agent_id)


def get_connectors(agent_id: str, *, connector_ids: Sequence[str]) -> ApiRequest[BatchConnectors]:
    """Read some connectors of an agent (``POST …/telephony/connectors/batch``).

    :param connector_ids: at least one id.
    """
    return send(
        "get connectors",
        "POST",
        f"{_CONNECTORS}/batch",
        BatchConnectors.model_validate,
        replay=Replay.SAFE,
        body={"connectorIds": _identifiers(connector_ids, "connector_ids")},
        shown=IDENTIFIERS,
        agent_id=agent_id,
    )


def update_connectors(
    agent_id: str, *, updates: Sequence[ConnectorUpdate]
) -> ApiRequest[list[ConnectorUpdateResult]]:
    """Update some connectors, each on its own (``PATCH …/telephony/connectors/batch``).

    The request succeeds even if items fail: check the results.

    :param updates: at least one update, each of another connector and with a change.
    """
    wanted = parse_batch(updates, _update, name="updates")
    require_distinct((update.connector_id for update in wanted), name="updates")
    return send(
        "update connectors",
        "PATCH",
        f"{_CONNECTORS}/batch",
        readers.list_of(ConnectorUpdateResult, "results"),
        body={"updates": [update.body() for update in wanted]},
        deadline=_update_deadline(wanted),
        shown=IDENTIFIERS,
        agent_id=agent_id,
    )


def lookup_connector(agent_id: str, *, phone_number: str) -> ApiRequest[Connector]:
    """Read the connector that a number is on (``POST …/telephony/connectors/lookup``)."""
    return send(
        "look up connector",
        "POST",
        f"{_CONNECTORS}/lookup",
        Connector.model_validate,
        replay=Replay.SAFE,
        body={"phoneNumber": parse_e164(phone_number)},
        shown=IDENTIFIERS,
        agent_id=agent_id,
    )


def get_connector(agent_id: str, *, connector_id: str) -> ApiRequest[Connector]:
    """Read one connector (``GET …/telephony/connectors/{connectorId}``)."""
    return get(
        "get connector", _CONNECTOR, Connector.model_validate, agent_id=agent_id, connector_id=connector_id
    )


def delete_connector(agent_id: str, *, connector_id: str) -> ApiRequest[DeletedConnector]:
    """Delete a connector and release all its numbers (``DELETE …/telephony/connectors/{connectorId}``)."""
    read = DeletedConnector.model_validate
    return send("delete connector", "DELETE", _CONNECTOR, read, agent_id=agent_id, connector_id=connector_id)


def update_connector(agent_id: str, *, update: ConnectorUpdate) -> ApiRequest[Connector]:
    """Update one connector (``PATCH …/telephony/connectors/{connectorId}``).

    :param update: the settings to change, at least one.
    """
    wanted = _update(update, "update")
    settings = {key: value for key, value in wanted.body().items() if key != "connectorId"}
    return send(
        "update connector",
        "PATCH",
        _CONNECTOR,
        Connector.model_validate,
        body=settings,
        deadline=_update_deadline([wanted]),
        shown=IDENTIFIERS,
        agent_id=agent_id,
        connector_id=wanted.connector_id,
    )


# --------------------------------------------------------------------------------- phone numbers


def list_phone_numbers(agent_id: str, *, connector_id: str | None = None) -> ApiRequest[list[PhoneNumber]]:
    """Read the numbers of an agent (``GET …/telephony/phone-numbers``).

    :param connector_id: only the numbers on this connector.
    """
    query = optional(connector_id=connector_id, parse=parse_identifier)
    read = readers.list_of(PhoneNumber, "phoneNumbers")
    return get("list phone numbers", _NUMBERS, read, query=query, agent_id=agent_id)


def import_phone_numbers(
    agent_id: str, *, phone_numbers: Sequence[str], client_env: str
) -> ApiRequest[list[str]]:
    """Register numbers with an agent; the answer names those imported (``POST …/telephony/phone-numbers``).

    :param phone_numbers: at least one number.
    """
    environment = parse_environment(client_env, name="client_env").value
    return send(
        "import phone numbers",
        "POST",
        _NUMBERS,
        readers.texts("imported"),
        body={"phoneNumbers": _numbers(phone_numbers), "clientEnv": environment},
        shown=IDENTIFIERS,
        agent_id=agent_id,
    )


def delete_phone_numbers(agent_id: str, *, phone_numbers: Sequence[str]) -> ApiRequest[DeletedPhoneNumbers]:
    """Release numbers, each on its own (``DELETE …/telephony/phone-numbers``).

    :param phone_numbers: at least one number.
    """
    return send(
        "delete phone numbers",
        "DELETE",
        _NUMBERS,
        DeletedPhoneNumbers.model_validate,
        body={"phoneNumbers": _numbers(phone_numbers)},
        shown=IDENTIFIERS,
        agent_id=agent_id,
    )


def get_phone_numbers(agent_id: str, *, phone_numbers: Sequence[str]) -> ApiRequest[BatchPhoneNumbers]:
    """Read some numbers of an agent (``POST …/telephony/phone-numbers/batch``).

    :param phone_numbers: at least one number.
    """
    return send(
        "get phone numbers",
        "POST",
        f"{_NUMBERS}/batch",
        BatchPhoneNumbers.model_validate,
        replay=Replay.SAFE,
        body={"phoneNumbers": _numbers(phone_numbers)},
        shown=IDENTIFIERS,
        agent_id=agent_id,
    )


def get_phone_number(agent_id: str, *, phone_number: str) -> ApiRequest[PhoneNumber]:
    """Read one number (``GET …/telephony/phone-numbers/{phoneNumber}``)."""
    number = parse_e164(phone_number)
    return get(
        "get phone number", _NUMBER, PhoneNumber.model_validate, agent_id=agent_id, phone_number=number
    )


def import_phone_number(agent_id: str, *, phone_number: str, client_env: str) -> ApiRequest[str]:
    """Register one number; the answer names it (``POST …/telephony/phone-numbers/{phoneNumber}``)."""
    return send(
        "import phone number",
        "POST",
        _NUMBER,
        readers.text("imported"),
        body={"clientEnv": parse_environment(client_env, name="client_env").value},
        shown=IDENTIFIERS,
        agent_id=agent_id,
        phone_number=parse_e164(phone_number),
    )


def delete_phone_number(agent_id: str, *, phone_number: str) -> ApiRequest[str]:
    """Release one number; the answer names it (``DELETE …/telephony/phone-numbers/{phoneNumber}``)."""
    read = readers.text("deleted")
    number = parse_e164(phone_number)
    return send("delete phone number", "DELETE", _NUMBER, read, agent_id=agent_id, phone_number=number)


def assign_phone_number(agent_id: str, *, phone_number: str, connector_id: str) -> ApiRequest[PhoneNumber]:
    """Put a number on a connector (``PATCH …/telephony/phone-numbers/{phoneNumber}``)."""
    return send(
        "assign phone number",
        "PATCH",
        _NUMBER,
        PhoneNumber.model_validate,
        body={"connectorId": parse_identifier(connector_id, name="connector_id")},
        shown=IDENTIFIERS,
        agent_id=agent_id,
        phone_number=parse_e164(phone_number),
    )


# -------------------------------------------------------------------------------- outbound calls


def create_outbound_call(
    agent_id: str,
    *,
    to_number: str,
    environment: str,
    country_code: str | None = None,
    variant_id: str | None = None,
    encryption: str | None = None,
    metadata: Mapping[str, str] | None = None,
) -> ApiRequest[OutboundCall]:
    """Call a person; sending it twice dials twice (``POST …/telephony/outbound-calls``).

    :param to_number: the person's number; no error shows it.
    :param country_code: passed on as it is.
    :param variant_id: the variant that is to talk.
    :param encryption: of the media; the platform takes ``tls_srtp`` without one.
    :param metadata: texts for the agent, below ``METADATA_LIMIT`` bytes as base64 of their JSON.
    """
    body: dict[str, Any] = {
        "toNumber": parse_e164(to_number, name="to_number", private=True),
        "environment": parse_environment(environment).value,
    }
    body |= optional(country_code=country_code, encryption=encryption)
    body |= optional(variant_id=variant_id, parse=parse_identifier)
    if metadata is not None:
        body["metadata"] = _metadata(metadata)
    return send(
        "create outbound call",
        "POST",
        _OUTBOUND,
        own_body(OutboundCall),
        replay=Replay.NEVER,
        body=body,
        agent_id=agent_id,
    )


def get_outbound_call_status(
    agent_id: str, *, call_sid: str, environment: str
) -> ApiRequest[OutboundCallStatus]:
    """Read how an outbound call is going (``GET …/telephony/outbound-calls/{callSid}/status``).

    :param call_sid: id that the call was given.
    :param environment: the one it was made in.
    """
    return get(
        "get outbound call status",
        f"{_OUTBOUND}/{{callSid}}/status",
        OutboundCallStatus.model_validate,
        query={"environment": parse_environment(environment).value},
        people=True,
        agent_id=agent_id,
        call_sid=call_sid,
    )


def _identifiers(values: Sequence[str], name: str) -> list[str]:
    checked = parse_batch(values, lambda value, place: parse_identifier(value, name=place), name=name)
    require_distinct(checked, name=name)
    return checked


def _is_e164(value: object) -> bool:
    return isinstance(value, str) and E164.fullmatch(value) is not None


def _numbers(values: Sequence[str]) -> list[str]:
    if isinstance(values, list | tuple) and values and all(map(_is_e164, values)):
        checked = list(values)  # as an import sends them, thousands of times
        require_distinct(checked, name="phone_numbers")
        return checked
    checked = parse_batch(values, lambda value, place: parse_e164(value, name=place), name="phone_numbers")
    require_distinct(checked, name="phone_numbers")
    return checked


def _update(value: object, name: str) -> ConnectorUpdate:
    if not isinstance(value, ConnectorUpdate):
        raise InputError(f"{name} must be a ConnectorUpdate, not {type(value).__name__}")
    if not value.changes():
        raise InputError(f"{name} of connector {value.connector_id!r} changes nothing")
    return value


def _update_deadline(updates: Sequence[ConnectorUpdate]) -> float | None:
    return VOICE_DEADLINE if any(update.changes_voice for update in updates) else None


def _metadata(values: Mapping[str, str]) -> dict[str, str]:
    checked = parse_string_map(values, name="metadata")
    size = 4 * -(-len(json.dumps(checked).encode()) // 3)
    if size >= METADATA_LIMIT:
        raise InputError(f"metadata must stay below {METADATA_LIMIT} bytes in base64, and has {size}")
    return checked
