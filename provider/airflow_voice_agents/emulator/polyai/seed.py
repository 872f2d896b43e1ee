"""The ``polyai`` section of seeds and state files.

::

    {
      "keys": {                              # API key -> whom it belongs to
        "demo-key-uk": {
          "name": "Demo UK",                 # shown in records and on the console instead of the key
          "account": "demo-uk",
          "agents": ["harbour-hotels"],      # optional: only these; absent or null: all of the account
          "denied": ["update connector"],    # optional: operations this key may not use
          "expired": false,                  # optional
          "host": "build"                    # optional: or "runtime", the only host that takes the key
        }
      },
      "accounts": {
        "demo-uk": {
          "id": "ws-1a2b3c4d",               # all of an account is optional
          "sipTrunks": {
            "tr-1": {"name": "Carrier", "hostname": "tr-1.sbc.sip.uk.poly.ai", "encrypted": true,
                     "authentication": "none",     # or "digest", "token"
                     "sipCidr": ["203.0.113.0/28"], "rtpCidr": ["203.0.113.0/28"], "createdAt": "...",
                     "extensions": {"+442079460001": {"agent": "harbour-hotels", "clientEnv": "live",
                                                      "variantId": "VARIANT-1", "createdAt": "...",
                                                      "updatedAt": "..."}}}
          }
        }
      },
      "agents": {
        "harbour-hotels": {                  # the slug
          "account": "demo-uk",
          "name": "Harbour Hotels",          # all that follows is optional
          "projectId": "PROJECT-1A2B3C4D",
          "createdAt": "...", "updatedAt": "...",
          "configs": {                       # an environment left out was never written
            "live": {"variables": {...}, "schema": {...}, "lastUpdated": "..."}
          },
          "connectors": {                    # the first of an environment is its default
            "conn_1": {"name": "...", "clientEnv": "live", "variantId": null,
                       "asrLangCode": "en-GB", "voiceName": "en-GB-Neural2-A", "disableHandoff": false}
          },
          "numbers": {"+442079460001": {"clientEnv": "live", "connectorId": "conn_1"}},
          "deployments": [                   # oldest first
            {"id": "...", "environment": "sandbox", "version": "<32 hex digits>", "createdAt": "...",
             "artifactVersion": "...", "createdBy": "...", "metadata": {...}}
          ],
          "draft": {"version": "...", "artifactVersion": "..."},   # what publish deploys
          "branches": {                      # "main" is always there
            "main": {"name": "main", "sequenceId": "1",
                     "attributes": {"ATTRIBUTE-1": {"name": "site_name"}},
                     "variants": {"VARIANT-1": {"name": "Leeds", "isDefault": true,
                                                "values": {"ATTRIBUTE-1": "Leeds Station"}}}}
          },
          "calls": {},                       # outbound calls under way
          "testSuites": 1                    # test runs that each deployment starts
          # and tests, chats and conversations, as in the module observation_seed
        }
      },
      "alertRules": {}                       # as in the module observation_seed
    }

Documents (variables, schemas, metadata, records) are shared with whoever gave the seed and never
changed in place; a fleet of projects may therefore share one schema.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Mapping
from typing import Any

from airflow_voice_agents.emulator.polyai.observation_seed import OBSERVATION_KEYS, read_observations
from airflow_voice_agents.emulator.reading import E164, choice_at, known_keys, object_at
from airflow_voice_agents.emulator.request import Record
from airflow_voice_agents.emulator.state import CLOCK_START, SeedError

ENVIRONMENTS = ("sandbox", "pre-release", "live")

Section = tuple[dict[str, Record], dict[str, Record], dict[str, Record]]

HOSTS = ("build", "runtime")

_SECTION_KEYS = {"keys", "accounts", "agents", "alertRules"}
_KEY_KEYS = {"name", "account", "agents", "denied", "expired", "host"}
_AGENT_KEYS = {
    "account",
    "name",
    "projectId",
    "createdAt",
    "updatedAt",
    "configs",
    "connectors",
    "numbers",
    "deployments",
    "draft",
    "branches",
    "calls",
    "testSuites",
    *OBSERVATION_KEYS,
}
_BRANCH_KEYS = {
    *("name", "sequenceId", "createdAt", "base", "tag"),
    *("attributes", "variants", "behavior", "topics"),
}
_CONNECTOR_DEFAULTS: Record = {
    "variantId": None,
    "asrLangCode": "en-GB",
    "voiceName": "en-GB-Neural2-A",
    "disableHandoff": False,
}


_EXTENSION_KEYS = {"agent", "clientEnv", "variantId", "createdAt", "updatedAt"}
_TRUNK_DEFAULTS: Record = {
    "encrypted": True,
    "authentication": "none",
    "sipCidr": ["203.0.113.0/28"],
    "rtpCidr": ["203.0.113.0/28"],
    "createdAt": CLOCK_START,
}


def read_section(section: Mapping[str, Any]) -> Section:
    """Keys, accounts and agents of a section, each in containers of its own and with defaults filled in.

    :raises SeedError: naming the place and what is wrong there.
    """
    known_keys("polyai", section, _SECTION_KEYS)
    accounts = {
        slug: {
            "id": account.get("id") or f"ws-{_hash(slug)[:8]}",
            "sipTrunks": _read_trunks(f"polyai.accounts.{slug}.sipTrunks", account.get("sipTrunks", {})),
        }
        for slug, account in object_at("polyai.accounts", section.get("accounts", {})).items()
    }
    agents = {
        slug: read_agent(slug, agent, accounts)
        for slug, agent in object_at("polyai.agents", section.get("agents", {})).items()
    }
    keys = {
        key: _read_key(index, key_record, accounts, agents)
        for index, (key, key_record) in enumerate(
            object_at("polyai.keys", section.get("keys", {})).items(), 1
        )
    }
    return keys, accounts, agents


def read_agent(slug: str, raw: Any, accounts: Mapping[str, Any]) -> Record:
    """One agent of a seed, with defaults filled in.

    :raises SeedError: naming the place and what is wrong there.
    """
    place = f"polyai.agents.{slug}"
    agent = known_keys(place, object_at(place, raw), _AGENT_KEYS)
    if agent.get("account") not in accounts:
        raise SeedError(f"{place}.account: no account {agent.get('account')!r} in polyai.accounts")
    connectors = {
        connector_id: _read_connector(f"{place}.connectors.{connector_id}", connector_id, connector)
        for connector_id, connector in object_at(f"{place}.connectors", agent.get("connectors", {})).items()
    }
    deployments = [
        _read_deployment(f"{place}.deployments[{index}]", f"{slug}/{index}", record)
        for index, record in enumerate(agent.get("deployments", []))
    ]
    return {
        "account": agent["account"],
        "name": agent.get("name", slug),
        "projectId": agent.get("projectId") or f"PROJECT-{_hash(slug)[:8].upper()}",
        "createdAt": agent.get("createdAt", CLOCK_START),
        "updatedAt": agent.get("updatedAt", CLOCK_START),
        "configs": _read_configs(f"{place}.configs", agent.get("configs", {})),
        "connectors": connectors,
        "numbers": _read_numbers(f"{place}.numbers", agent.get("numbers", {}), connectors),
        "deployments": deployments,
        "draft": agent.get("draft") or _first_draft(slug, deployments),
        "branches": _read_branches(f"{place}.branches", agent.get("branches", {})),
        "calls": dict(agent.get("calls", {})),
        "testSuites": agent.get("testSuites", 0),
        **_read_observations(place, agent),
    }


def tts_language(voice_name: str) -> str:
    """Language code that a voice name begins with, such as ``en-GB``."""
    return "-".join(voice_name.split("-")[:2])


def _read_key(index: int, raw: Any, accounts: Mapping[str, Any], agents: Mapping[str, Any]) -> Record:
    place = f"polyai.keys (number {index})"
    key = known_keys(place, object_at(place, raw), _KEY_KEYS)
    if key.get("account") not in accounts:
        raise SeedError(f"{place}: no account {key.get('account')!r} in polyai.accounts")
    for slug in key.get("agents") or ():
        if slug not in agents:
            raise SeedError(f"{place}: no agent {slug!r} in polyai.agents")
    choice_at(f"{place}.host", key.get("host", HOSTS[0]), HOSTS)
    return {"name": f"key {index}", "agents": None, "denied": [], "expired": False, "host": HOSTS[0], **key}


def _read_trunks(place: str, raw: Any) -> Record:
    trunks: Record = {}
    for trunk_id, trunk in object_at(place, raw).items():
        known_keys(f"{place}.{trunk_id}", trunk, {*_TRUNK_DEFAULTS, "name", "hostname", "extensions"})
        extensions = {}
        for name, record in object_at(f"{place}.{trunk_id}.extensions", trunk.get("extensions", {})).items():
            known_keys(f"{place}.{trunk_id}.extensions.{name}", record, _EXTENSION_KEYS)
            _environment(f"{place}.{trunk_id}.extensions.{name}.clientEnv", record.get("clientEnv"))
            stamps = {"createdAt": CLOCK_START, "updatedAt": CLOCK_START}
            extensions[name] = {"agent": "", "variantId": "", **stamps, **record}
        host = f"{trunk_id}.sbc.sip.uk.poly.ai"
        own = {"name": trunk_id, "hostname": host, **_TRUNK_DEFAULTS, **trunk}
        trunks[trunk_id] = own | {"extensions": extensions}
    return trunks


def _read_observations(place: str, agent: Mapping[str, Any]) -> Record:
    observations = read_observations(place, agent)
    for key, conversation in observations["conversations"].items():
        _environment(f"{place}.conversations.{key}.environment", conversation.get("environment"))
    return observations


def _read_configs(place: str, raw: Any) -> Record:
    pages: Record = {}
    for environment, page in object_at(place, raw).items():
        _environment(place, environment)
        known_keys(f"{place}.{environment}", page, {"variables", "schema", "lastUpdated"})
        for part in ("variables", "schema"):
            if not isinstance(page.get(part), dict | None):
                raise SeedError(f"{place}.{environment}.{part} must be an object or null")
        pages[environment] = {
            "variables": page.get("variables"),
            "schema": page.get("schema"),
            "lastUpdated": page.get("lastUpdated", CLOCK_START),
        }
    return pages


def _read_connector(place: str, connector_id: str, raw: Any) -> Record:
    connector = known_keys(place, object_at(place, raw), {"name", "clientEnv", *_CONNECTOR_DEFAULTS})
    _environment(f"{place}.clientEnv", connector.get("clientEnv"))
    return {"name": connector_id, **_CONNECTOR_DEFAULTS, **connector}


def _read_numbers(place: str, raw: Any, connectors: Mapping[str, Any]) -> Record:
    numbers: Record = {}
    for number, record in object_at(place, raw).items():
        known_keys(f"{place}.{number}", record, {"clientEnv", "connectorId"})
        _environment(f"{place}.{number}.clientEnv", record.get("clientEnv"))
        connector_id = record.get("connectorId")
        if not E164.fullmatch(number):
            raise SeedError(f"{place}: {number!r} is not an E.164 number")
        if connector_id is not None and connector_id not in connectors:
            raise SeedError(f"{place}.{number}: no connector {connector_id!r} in this agent")
        numbers[number] = {"clientEnv": record["clientEnv"], "connectorId": connector_id}
    return numbers


def _read_deployment(place: str, origin: str, raw: Any) -> Record:
    record = object_at(place, raw)
    _environment(f"{place}.environment", record.get("environment"))
    missing = [key for key in ("version", "createdAt") if key not in record]
    if missing:
        raise SeedError(f"{place} lacks {', '.join(missing)}")
    return {
        "id": str(uuid.UUID(_hash(origin)[:32])),
        "artifactVersion": record["createdAt"],
        "createdBy": "seed",
        "metadata": {"deployment_type": "publish", "deployment_message": ""},
        **record,
    }


def _read_branches(place: str, raw: Any) -> Record:
    branches: Record = {}
    for branch_id, branch in {"main": {}, **object_at(place, raw)}.items():
        known_keys(f"{place}.{branch_id}", branch, _BRANCH_KEYS)
        branches[branch_id] = {
            "name": branch.get("name", branch_id),
            "sequenceId": branch.get("sequenceId", "1"),
            "createdAt": branch.get("createdAt", CLOCK_START),
            "attributes": dict(branch.get("attributes", {})),
            "variants": dict(branch.get("variants", {})),
            "behavior": dict(branch.get("behavior", {})),
            "topics": dict(branch.get("topics", {})),
            "base": branch.get("base"),
            "tag": branch.get("tag"),
        }
    return branches


def _first_draft(slug: str, deployments: list[Record]) -> Record:
    records = [record for record in deployments if record["environment"] == "sandbox"] or deployments
    if records:
        return {"version": records[-1]["version"], "artifactVersion": records[-1]["artifactVersion"]}
    return {"version": _hash(slug)[:32], "artifactVersion": CLOCK_START}


def _environment(place: str, value: Any) -> None:
    if value not in ENVIRONMENTS:
        raise SeedError(f"{place}: {value!r} is no environment; they are {', '.join(ENVIRONMENTS)}")


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
