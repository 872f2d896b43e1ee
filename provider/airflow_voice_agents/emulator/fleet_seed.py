"""Seeds with any number of similar projects, for runs over fleets."""

from __future__ import annotations

from typing import Any

from airflow_voice_agents.emulator.exchange import Record
from airflow_voice_agents.emulator.polyai.seed import ENVIRONMENTS

FLEET_ACCOUNT = "fleet"
FLEET_KEY = "demo-key-fleet"

_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_FIRST_NUMBER = 441_632_000_000
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
    return {"polyai": {"keys": keys, "accounts": {account: {}}, "agents": agents}}


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
