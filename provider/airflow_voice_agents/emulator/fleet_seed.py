"""Seeds with any number of similar projects, for runs over fleets."""

from __future__ import annotations

from typing import Any

from airflow_voice_agents.emulator.polyai.seed import ENVIRONMENTS
from airflow_voice_agents.emulator.request import Record

FLEET_ACCOUNT = "fleet"
FLEET_KEY = "demo-key-fleet"
FLEET_CARRIER_PROJECT = "7c1f0a52-3f0b-4c8e-9d53-6a1e0f2b4c10"
FLEET_CARRIER_TOKEN = "demo-token-fleet"  # noqa: S105 - a made-up one
FLEET_OMNIA_KEY = "demo-omnia-key-fleet"
FLEET_WORKSPACE = "fleet"

_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_FIRST_NUMBER = 441_632_000_000
_FIRST_CARRIER_NUMBER = 441_633_000_000
_FIRST_ROUTING = {
    "call_handler": "laml_webhooks",
    "call_request_url": "https://pbx.example/voice",
    "call_request_method": "POST",
}
_VERSIONS = {"sandbox": "5" * 32, "pre-release": "4" * 32, "live": "3" * 32}
_STAMPS = {
    "sandbox": "2026-08-20T08:00:00Z",
    "pre-release": "2026-08-10T08:00:00Z",
    "live": "2026-08-01T08:00:00Z",
}


def fleet_seed(
    projects: int,
    *,
    numbers: int = 1,
    agents_prefix: str = "site-",
    account: str = FLEET_ACCOUNT,
    key: str = FLEET_KEY,
    carrier_numbers: int = 0,
    omnia_agents: int = 0,
    omnia_numbers: int = 0,
) -> dict[str, Any]:
    """A seed with the projects ``site-0001``, ``site-0002`` and so on, all of one account.

    Sandbox holds a newer schema, a key and test switches that pre-release and live lack. Schemas and
    most values are shared between the projects, so that thousands of them stay small; the fallback
    number and the site's name differ from project to project.

    :param projects: how many.
    :param numbers: live phone numbers per project.
    :param agents_prefix: what the slugs begin with.
    :param account: slug of the account.
    :param key: API key with access to all of them.
    :param carrier_numbers: numbers of one SignalWire project, unknown to PolyAI; they lead to a webhook.
    :param omnia_agents: agents of one Omnia Voice workspace, ``agent-0001`` and so on.
    :param omnia_numbers: how many of the carrier's numbers that workspace has already, unassigned.
    """
    width = max(4, len(str(projects)))
    schemas = {environment: _schema(environment) for environment in ENVIRONMENTS}
    values = {environment: _values(environment) for environment in ENVIRONMENTS}
    agents = {}
    for index in range(1, projects + 1):
        agents[f"{agents_prefix}{index:0{width}}"] = {
            "account": account,
            "name": f"Site {index}",
            "configs": {each: _page(index, each, values[each], schemas[each]) for each in ENVIRONMENTS},
            "connectors": _connectors(index),
            "numbers": _numbers(index, numbers),
            "deployments": _deployments(),
        }
    keys = {key: {"name": "Fleet", "account": account}}
    seed: dict[str, Any] = {"polyai": {"keys": keys, "accounts": {account: {}}, "agents": agents}}
    if carrier_numbers:
        seed["signalwire"] = _carrier(carrier_numbers)
    if omnia_agents:
        seed["omnia_voice"] = _workspace(omnia_agents, omnia_numbers)
    return seed


def carrier_number(index: int) -> str:
    """The E.164 number of the carrier that is called ``Line 1``, ``Line 2`` and so on.

    :param index: from 1.
    """
    return f"+{_FIRST_CARRIER_NUMBER + index}"


def _carrier(count: int) -> Record:
    numbers = {
        carrier_number(index): _FIRST_ROUTING | {"name": f"Line {index}"} for index in range(1, count + 1)
    }
    project = {
        "name": "Fleet",
        "tokens": {FLEET_CARRIER_TOKEN: {"name": "Fleet"}},
        "max_numbers": max(1000, count),
        "numbers": numbers,
    }
    return {"projects": {FLEET_CARRIER_PROJECT: project}}


def _workspace(agents: int, numbers: int) -> Record:
    workspace = {
        "agents": {f"agent-{index:04}": {"name": f"Agent {index}"} for index in range(1, agents + 1)},
        "numbers": {
            f"num-{index:05}": {"phoneNumber": carrier_number(index)} for index in range(1, numbers + 1)
        },
    }
    keys = {FLEET_OMNIA_KEY: {"name": "Fleet", "workspace": FLEET_WORKSPACE}}
    return {"keys": keys, "workspaces": {FLEET_WORKSPACE: workspace}}


def _page(index: int, environment: str, values: Record, schema: Record) -> Record:
    own = {"site_name": f"Site {index}", "fallback_number": f"+4420794{index % 100_000:05}"}
    return {"variables": values | own, "schema": schema, "lastUpdated": _STAMPS[environment]}


def _values(environment: str) -> Record:
    test = environment == "sandbox"
    hours = {"open": "08:00" if test else "09:00", "close": "18:00"}
    common: Record = {
        "opening_hours": dict.fromkeys(_DAYS, hours),
        "holiday_message": "Closed on 24 December – frohe Weihnachten" if test else None,
        "flags": {"callback": test, "sms_confirmations": False},
        "settings": {"use_mock_api": test, "mock_dnis": test, "routing_enabled": True},
    }
    return common | ({"late_cutoff": "17:30"} if test else {})


def _schema(environment: str) -> Record:
    time: Record = {"type": "string", "pattern": "^([01]\\d|2[0-3]):[0-5]\\d$"}
    day: Record = {"type": "object", "properties": {"open": time, "close": time}}
    properties: Record = {
        "site_name": {"type": "string"},
        "opening_hours": {"type": "object", "properties": dict.fromkeys(_DAYS, day)},
        "holiday_message": {"type": ["string", "null"]},
        "fallback_number": {"type": "string", "pattern": "^\\+44\\d{10}$"},
        "flags": {"type": "object"},
        "settings": {"type": "object", "required": ["use_mock_api"]},
    }
    if environment == "sandbox":
        properties["late_cutoff"] = time
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "type": "object",
        "properties": properties,
        "required": ["opening_hours", "settings"],
    }


def _connectors(index: int) -> Record:
    return {
        f"conn_{index}_{environment}": {"name": f"Site {index} {environment}", "clientEnv": environment}
        for environment in ENVIRONMENTS
    }


def _numbers(index: int, count: int) -> Record:
    first = _FIRST_NUMBER + index * count
    record = {"clientEnv": "live", "connectorId": f"conn_{index}_live"}
    return {f"+{first + offset}": record for offset in range(count)}


def _deployments() -> list[Record]:
    return [
        {"environment": environment, "version": _VERSIONS[environment], "createdAt": _STAMPS[environment]}
        for environment in reversed(ENVIRONMENTS)
    ]
