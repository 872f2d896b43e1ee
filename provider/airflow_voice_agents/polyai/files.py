"""The file format of exports: deterministic, with names instead of ids and without server fields.

Below a folder, each environment has a place ``<agent>/<environment>`` with up to three files:

* ``config.json``: ``schema`` and ``variables`` of the config page; ``null`` where one is unset.
* ``connectors.json``: list of connectors by name, with ``variant``, ``asr_lang_code`` and ``voice_name``.
* ``routing.json``: E.164 number -> name of the connector that answers it.

People may keep any of them as YAML instead. The files hold config values in the clear.
"""

from __future__ import annotations

import contextlib
import json
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any
from urllib.parse import quote

import msgspec
from msgspec.structs import asdict, fields

from airflow_voice_agents.plans.decoding import decode_json, decode_yaml
from airflow_voice_agents.polyai.resources.config_page import PageState
from airflow_voice_agents.polyai.resources.connector_matching import NamedSettings
from airflow_voice_agents.transport.errors import InputError
from airflow_voice_agents.transport.suggestions import hints
from airflow_voice_agents.transport.validation import (
    parse_e164,
    parse_json_object,
    parse_lines,
    parse_phone_number,
)

CONFIG, CONNECTORS, ROUTING = PARTS = ("config", "connectors", "routing")
"""The parts of an environment that can be exported, one file each."""

JSON = ".json"
ENDINGS = (JSON, ".yaml", ".yml")
NAMES = frozenset(part + ending for part in PARTS for ending in ENDINGS)
"""Names of all files that are read."""

_SETTINGS = tuple(each.name for each in fields(NamedSettings))


class EnvironmentFiles(msgspec.Struct, frozen=True):
    """One environment of an agent; what was not exported is ``None``.

    :param page: the config page.
    :param connectors: settings of the environment's connectors, by name.
    :param numbers: E.164 number -> name of the connector that answers it.
    """

    page: PageState | None = None
    connectors: tuple[NamedSettings, ...] | None = None
    numbers: Mapping[str, str] | None = None


Shelf = Callable[[str, str, str], EnvironmentFiles]
"""Takes a folder's URL, an agent and an environment, and reads the files there."""

Texts = Callable[[str, str, Collection[str]], Mapping[str, str]]
"""Takes a folder's URL, a place below it and names of files, and returns the text of those that are there."""


def shelf_of(read: Texts) -> Shelf:
    """Return what reads exported files.

    :param read: reads texts.
    """

    def take(folder: str, agent_id: str, environment: str) -> EnvironmentFiles:
        where = place(agent_id, environment)
        return from_documents(read(folder, where, NAMES), f"{folder.rstrip('/')}/{where}")

    return take


def place(agent_id: str, environment: str) -> str:
    """Return where below a folder an environment's files are.

    :param agent_id: the agent; percent-encoded, so that no id leads out of the folder.
    :param environment: the environment.
    """
    return f"{_segment(agent_id)}/{_segment(environment)}"


def documents(files: EnvironmentFiles) -> dict[str, str]:
    """Return an environment as texts by file name; equal ones give the same bytes.

    :param files: the environment.
    :raises InputError: naming the file and the place of what could not be read back.
    """
    checked = _from_plain(_plain(files), "")
    return {name: _text(value) for name, value in _plain(checked).items()}


def from_documents(texts: Mapping[str, str], where: str) -> EnvironmentFiles:
    """Read an environment's files; a part without a file is ``None``.

    :param texts: file name -> text.
    :param where: place of the files, for errors.
    :raises InputError: naming file and place of what is wrong, without the values there.
    """
    if strange := sorted(texts.keys() - NAMES):
        raise InputError(f"{where} has files that belong to no export: {', '.join(strange)}")
    refuse_twins(texts, where)
    plain = {name: _decode(name, text, where) for name, text in texts.items()}
    return _from_plain(plain, where)


def refuse_twins(names: Iterable[str], where: str) -> None:
    """Refuse files that say the same thing in two formats.

    :param names: names of files in one place; repeats and other files do no harm.
    :param where: the place, for errors.
    :raises InputError: naming the files.
    """
    known = sorted(NAMES.intersection(names))
    times = Counter(_part(name) for name in known)
    for part in PARTS:
        if times[part] > 1:
            twins = " and ".join(name for name in known if _part(name) == part)
            raise InputError(f"{where} would have {twins}: which one counts? Keep one of them.")


def _segment(name: str) -> str:
    encoded = quote(name, safe="")
    return encoded.replace(".", "%2E") if not encoded.strip(".") else encoded


def _part(name: str) -> str:
    return name.partition(".")[0]


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _at(where: str, name: str) -> str:
    return f"{where}/{name}" if where else name


def _decode(name: str, text: str, where: str) -> Any:
    decode = decode_json if name.endswith(JSON) else decode_yaml
    return decode(text, where=_at(where, name))


def _plain(files: EnvironmentFiles) -> dict[str, Any]:
    plain: dict[str, Any] = {}
    if files.page is not None:
        plain[CONFIG + JSON] = {"schema": files.page.schema, "variables": files.page.variables}
    if files.connectors is not None:
        plain[CONNECTORS + JSON] = [asdict(each) for each in files.connectors]
    if files.numbers is not None:
        plain[ROUTING + JSON] = files.numbers
    return plain


def _from_plain(plain: Mapping[str, Any], where: str) -> EnvironmentFiles:
    ways: dict[str, Callable[[Any, str], Any]] = {CONFIG: _page, CONNECTORS: _connectors, ROUTING: _numbers}
    found = {_part(name): ways[_part(name)](value, _at(where, name)) for name, value in plain.items()}
    return EnvironmentFiles(found.get(CONFIG), found.get(CONNECTORS), found.get(ROUTING))


def _page(value: Any, where: str) -> PageState:
    page = _record(value, ("schema", "variables"), where)
    schema, variables = (
        None if page[key] is None else parse_json_object(page[key], name=f"{where}: {key}")
        for key in ("schema", "variables")
    )
    return PageState(schema, variables)


def _connectors(value: Any, where: str) -> tuple[NamedSettings, ...]:
    if not isinstance(value, list):
        raise InputError(f"{where} must be a list of connectors, not {type(value).__name__}")
    found = [_connector(each, f"{where}: connector {place}") for place, each in enumerate(value, 1)]
    places: dict[str, int] = {}
    for position, each in enumerate(found, 1):
        if each.name in places:
            raise InputError(f"{where}: connectors {places[each.name]} and {position} have the same name")
        places[each.name] = position
    return tuple(sorted(found, key=lambda each: each.name))


def _connector(value: Any, where: str) -> NamedSettings:
    record = _record(value, _SETTINGS, where)
    others = {
        key: None if record[key] is None else parse_lines(record[key], name=f"{where}: {key}")
        for key in _SETTINGS
        if key != "name"
    }
    return NamedSettings(_name(record["name"], f"{where}: name"), **others)


def _numbers(value: Any, where: str) -> dict[str, str]:
    if not isinstance(value, Mapping):
        raise InputError(
            f"{where} must be a mapping of numbers to names of connectors, not {type(value).__name__}"
        )
    found = {}
    for position, (number, name) in enumerate(value.items(), 1):
        known = _number(number, f"{where}: key {position}")
        if known in found:
            raise InputError(f"{where}: key {position} is a number that is there in another spelling already")
        found[known] = _name(name, f"{where}: connector of {known}")
    return found


def _number(value: Any, where: str) -> str:
    """Return a number as the platform has it; what people have written instead is read as such."""
    with contextlib.suppress(InputError):
        return parse_e164(value, private=True)
    return parse_phone_number(value, name=where, private=True)


def _name(value: Any, where: str) -> str:
    if value == "":
        raise InputError(f"{where} must not be empty")
    return parse_lines(value, name=where)


def _record(value: Any, keys: Collection[str], where: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise InputError(f"{where} must be a mapping of {', '.join(keys)}, not {type(value).__name__}")
    if unknown := sorted(str(key) for key in value if key not in keys):
        raise InputError(
            f"{where} has unknown fields {', '.join(unknown)}; allowed are {', '.join(keys)}{hints(unknown, keys)}"
        )
    if missing := [key for key in keys if key not in value]:
        raise InputError(f"{where} lacks {', '.join(missing)}; write null for a missing value")
    return value
