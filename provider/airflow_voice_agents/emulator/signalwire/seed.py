"""The ``signalwire`` section of seeds and state files.

::

    {
      "projects": {
        "0d3c2a1e-....": {                     # the project id: user name of Basic authentication
          "name": "Hotels",                    # all that follows is optional
          "space": "demo",                     # label of the space; shown on the page only
          "tokens": {                          # API token (the password) -> what it may do
            "demo-token": {"name": "Demo", "scopes": ["Numbers"], "revoked": false}
          },
          "trial": false,                      # trial projects wait 30 days before a release, not 14
          "max_numbers": 1000,
          "billed": 0,                         # purchases that were charged
          "e911_addresses": ["<uuid>"],        # what E911 assignments may name
          "numbers": {                         # by E.164 number; any of the 41 fields of an answer
            "+441632960005": {"name": "Front desk", "call_handler": "relay_script",
                              "call_relay_script_url": "https://..."}
          }
        }
      },
      "available": {                           # what can be searched for and bought, by any project
        "+12065550100": {"region": "WA", "city": "Seattle", "rate_center": "SEATTLE", "lata": "674",
                         "capabilities": {"voice": true, "sms": true, "mms": true, "fax": false},
                         "number_type": "local"}
      }
    }

Beside the 41 fields a number's record may hold ``message_relay_application``, ``call_ai_agent_id``,
``call_flow_id``, ``call_flow_version``, which answers do not show, and ``e911_reads``. The two resource ids
are derived from the handlers, whatever a seed says.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from airflow_voice_agents.emulator.reading import E164, choice_at, known_keys, object_at
from airflow_voice_agents.emulator.request import Record
from airflow_voice_agents.emulator.signalwire.fields import (
    CALL_HANDLERS,
    CHOICES,
    STORED,
    new_record,
    stable_uuid,
)
from airflow_voice_agents.emulator.state import SeedError

SCOPE = "Numbers"
SEEDED_AT = "2026-01-15T09:00:00Z"
NUMBERS_PER_PROJECT = 1000

_SECTION_KEYS = {"projects", "available"}
_TOKEN_KEYS = {"name", "scopes", "revoked"}
_PROJECT_DEFAULTS: Record = {
    "name": "",
    "space": "demo",
    "tokens": {},
    "trial": False,
    "max_numbers": NUMBERS_PER_PROJECT,
    "billed": 0,
    "e911_addresses": [],
    "numbers": {},
}
_AVAILABLE_DEFAULTS: Record = {
    "region": None,
    "city": None,
    "rate_center": None,
    "lata": None,
    "capabilities": {"voice": True, "sms": True, "mms": True, "fax": False},
    "number_type": "local",
}


def read_section(section: Mapping[str, Any]) -> tuple[dict[str, Record], dict[str, Record]]:
    """Projects and available numbers of a section, with defaults filled in.

    :raises SeedError: naming the place and what is wrong there.
    """
    known_keys("signalwire", section, _SECTION_KEYS)
    projects = {
        project_id: _read_project(project_id, project)
        for project_id, project in object_at("signalwire.projects", section.get("projects", {})).items()
    }
    available = {
        number: _read_available(number, record)
        for number, record in object_at("signalwire.available", section.get("available", {})).items()
    }
    return projects, available


def read_number(place: str, number: str, raw: Any) -> Record:
    """One number's record, with every stored field.

    :raises SeedError: naming the place and what is wrong there.
    """
    given = known_keys(f"{place}.{number}", raw, set(STORED))
    if not E164.fullmatch(number) or given.get("number", number) != number:
        raise SeedError(f"{place}: {number!r} is not an E.164 number, or its record names another")
    choice_at(f"{place}.{number}.call_handler", given.get("call_handler"), (None, *CALL_HANDLERS))
    for name, choices in CHOICES.items():
        choice_at(f"{place}.{number}.{name}", given.get(name), (None, *choices))
    number_id = given.get("id") or stable_uuid(f"signalwire/{number}")
    if not is_uuid(number_id):
        raise SeedError(f"{place}.{number}.id: {number_id!r} is not a UUID")
    created_at = given.get("created_at", SEEDED_AT)
    return new_record(number, number_id, created_at, given)


def is_uuid(value: Any) -> bool:
    """Whether a value is a UUID in its usual spelling."""
    try:
        return isinstance(value, str) and str(uuid.UUID(value)) == value.lower()
    except ValueError:
        return False


def _read_project(project_id: str, raw: Any) -> Record:
    place = f"signalwire.projects.{project_id}"
    project = _PROJECT_DEFAULTS | dict(known_keys(place, raw, set(_PROJECT_DEFAULTS)))
    if not is_uuid(project_id):
        raise SeedError(f"{place}: a project id is a UUID")
    tokens = {
        token: {"name": f"token {index}", "scopes": [SCOPE], "revoked": False}
        | dict(known_keys(f"{place}.tokens (number {index})", record, _TOKEN_KEYS))
        for index, (token, record) in enumerate(object_at(f"{place}.tokens", project["tokens"]).items(), 1)
    }
    numbers = {
        number: read_number(f"{place}.numbers", number, record)
        for number, record in object_at(f"{place}.numbers", project["numbers"]).items()
    }
    name = project["name"] or project_id
    return project | {"name": name, "tokens": tokens, "numbers": numbers}


def _read_available(number: str, raw: Any) -> Record:
    place = f"signalwire.available.{number}"
    if not E164.fullmatch(number):
        raise SeedError(f"signalwire.available: {number!r} is not an E.164 number")
    record = _AVAILABLE_DEFAULTS | dict(known_keys(place, raw, set(_AVAILABLE_DEFAULTS)))
    choice_at(f"{place}.number_type", record["number_type"], ("local", "toll-free"))
    return record
