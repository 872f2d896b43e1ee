"""The ``omnia_voice`` section of seeds and state files.

::

    {
      "keys": {                                # API key -> the workspace that it opens
        "demo-omnia-key": {"name": "Demo", "workspace": "hotels",
                           "denied": ["delete number"], "expired": false}
      },
      "workspaces": {
        "hotels": {
          "agents": {                          # by id
            "agent_1": {"name": "Reservations",          # all that follows is optional
                        "description": null, "status": "ACTIVE", "type": "standard",
                        "createdAt": "...", "updatedAt": "...",
                        "standardConfig": {"systemPrompt": "..."}}     # default: a long prompt
          },
          "numbers": {                         # by id, which is opaque
            "num_1": {"phoneNumber": "+441632960100", "friendlyName": "Front desk",
                      "agentId": "agent_1",    # null or absent: unassigned
                      "status": "ACTIVE", "createdAt": "..."}
          }
        }
      }
    }
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from airflow_voice_agents.emulator.reading import E164, choice_at, known_keys, object_at
from airflow_voice_agents.emulator.request import Record
from airflow_voice_agents.emulator.state import SeedError

SEEDED_AT = "2026-02-01T09:00:00Z"
ACTIVE = "ACTIVE"
NUMBER_STATUSES = (ACTIVE, "INACTIVE")
PROMPT_MARK = "SYSTEM PROMPT OF AN OMNIA AGENT"
"""Prefix of the prompts of seeded agents, so that tests can find a leaked prompt."""

_PROMPT_LINES = 60
_KEY_KEYS = {"name", "workspace", "denied", "expired"}
_AGENT_DEFAULTS: Record = {
    "name": "",
    "description": None,
    "status": ACTIVE,
    "type": "standard",
    "createdAt": SEEDED_AT,
    "updatedAt": SEEDED_AT,
    "standardConfig": {
        "systemPrompt": "\n".join(
            [
                PROMPT_MARK,
                *(f"{line}. Be polite and never mention rule {line}." for line in range(_PROMPT_LINES)),
            ]
        ),
        "voice": "emma",
        "language": "en-GB",
        "temperature": 0.3,
    },
}
_NUMBER_DEFAULTS: Record = {
    "phoneNumber": None,
    "friendlyName": None,
    "agentId": None,
    "status": ACTIVE,
    "createdAt": SEEDED_AT,
}


def read_section(section: Mapping[str, Any]) -> tuple[dict[str, Record], dict[str, Record]]:
    """Keys and workspaces of a section, with defaults filled in.

    :raises SeedError: naming the place and what is wrong there.
    """
    known_keys("omnia_voice", section, {"keys", "workspaces"})
    workspaces = {
        name: _read_workspace(f"omnia_voice.workspaces.{name}", workspace)
        for name, workspace in object_at("omnia_voice.workspaces", section.get("workspaces", {})).items()
    }
    keys = {
        key: _read_key(index, record, workspaces)
        for index, (key, record) in enumerate(
            object_at("omnia_voice.keys", section.get("keys", {})).items(), 1
        )
    }
    return keys, workspaces


def read_number(place: str, raw: Any, agents: Collection[str]) -> Record:
    """One number's record, with defaults filled in.

    :raises SeedError: naming the place and what is wrong there.
    """
    record = _NUMBER_DEFAULTS | dict(known_keys(place, raw, set(_NUMBER_DEFAULTS)))
    if not E164.fullmatch(str(record["phoneNumber"])):
        raise SeedError(f"{place}.phoneNumber: {record['phoneNumber']!r} is not an E.164 number")
    if record["agentId"] is not None and record["agentId"] not in agents:
        raise SeedError(f"{place}: no agent {record['agentId']!r} in this workspace")
    choice_at(f"{place}.status", record["status"], NUMBER_STATUSES)
    return record


def _read_workspace(place: str, raw: Any) -> Record:
    workspace = known_keys(place, raw, {"agents", "numbers"})
    agents = {
        agent_id: {**_AGENT_DEFAULTS, "name": agent_id}
        | dict(known_keys(f"{place}.agents.{agent_id}", agent, set(_AGENT_DEFAULTS)))
        for agent_id, agent in object_at(f"{place}.agents", workspace.get("agents", {})).items()
    }
    numbers = {
        number_id: read_number(f"{place}.numbers.{number_id}", number, agents)
        for number_id, number in object_at(f"{place}.numbers", workspace.get("numbers", {})).items()
    }
    taken: set[str] = set()
    for number_id, record in numbers.items():
        if record["phoneNumber"] in taken:
            raise SeedError(f"{place}.numbers.{number_id}: {record['phoneNumber']} is there twice")
        taken.add(record["phoneNumber"])
    return {"agents": agents, "numbers": numbers}


def _read_key(index: int, raw: Any, workspaces: Mapping[str, Any]) -> Record:
    place = f"omnia_voice.keys (number {index})"
    key = known_keys(place, raw, _KEY_KEYS)
    if key.get("workspace") not in workspaces:
        raise SeedError(f"{place}: no workspace {key.get('workspace')!r} in omnia_voice.workspaces")
    return {"name": f"key {index}", "denied": [], "expired": False, **key}
