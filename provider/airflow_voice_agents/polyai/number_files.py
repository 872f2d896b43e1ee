"""Read phone numbers of many agents: files as arguments of mapped imports, and records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from airflow_voice_agents.bases.template_inputs import read_records
from airflow_voice_agents.transport.errors import InputError
from airflow_voice_agents.transport.phone_numbers import check_region
from airflow_voice_agents.transport.validation import (
    decode_list,
    parse_identifier,
    read_numbers,
    summarize_list,
)


def import_groups(
    path: str,
    *,
    column: str = "number",
    connector_column: str = "connector",
    default_region: str | None = None,
) -> list[dict[str, Any]]:
    """Return the arguments of one import per agent and connector, for ``expand_kwargs``.

    Nothing is returned unless every record is right. A number that two agents or connectors have is refused.

    :param path: a table (``.csv``, ``.tsv``), or a list of records in JSON or YAML, with a field ``agent_id``.
    :param column: the field with the number.
    :param connector_column: the field with the id of the connector that answers it; it may be blank.
    :param default_region: two-letter region (``GB``) for numbers in national form.
    :raises InputError: naming every record that is wrong.
    :returns: mappings of ``agent_id``, ``connector_id`` and ``phone_numbers``, in the order of the file.
    """
    region = None if default_region is None else check_region(default_region)
    records = read_records(
        path, name="numbers", wanted=("agent_id", column), may_be_blank=(connector_column,)
    )
    cells = [(f"{place}, {column!r}", record[column]) for place, record in records]
    numbers = read_numbers(cells, name=f"numbers: {path}", region=region)
    owners: dict[str, tuple[str, str | None]] = {}
    twice = []
    for (place, record), number in zip(records, numbers, strict=True):
        owner = _owner(record, connector_column, place)
        if owners.setdefault(number, owner) != owner:
            twice.append(f"{place} ({number})")
    if twice:
        raise InputError(
            f"numbers: {path} gives numbers to two agents or connectors: {summarize_list(twice)}. Nothing was sent. "
            "Keep one record of each number."
        )
    groups: dict[tuple[str, str | None], list[str]] = {}
    for number, owner in owners.items():
        groups.setdefault(owner, []).append(number)
    return [
        {"agent_id": agent, "connector_id": connector, "phone_numbers": members}
        for (agent, connector), members in groups.items()
    ]


def _owner(record: Mapping[str, Any], connector_column: str, place: str) -> tuple[str, str | None]:
    agent = parse_identifier(record["agent_id"], name=f"{place}, agent_id")
    connector = record[connector_column]
    if connector in (None, ""):
        return agent, None
    return agent, parse_identifier(connector, name=f"{place}, {connector_column}")


def number_rows(value: object, *, name: str) -> list[tuple[str, Mapping[str, object]]]:
    """Return records that hold a phone number each, with their places.

    :param value: a list of records, or a JSON text of one.
    :param name: what to call the argument in the error.
    :raises InputError: for anything but a list of records.
    """
    if isinstance(value, str):
        value = decode_list(value, name=name)
    if isinstance(value, (str, bytes, Mapping)) or not isinstance(value, Sequence):
        raise InputError(f"{name} must be a list of records, not {type(value).__name__}")
    rows = [(f"{name}[{index}]", each) for index, each in enumerate(value)]
    if bare := [place for place, each in rows if not isinstance(each, Mapping)]:
        raise InputError(
            f"{name} has {len(bare)} number(s) without an agent: {summarize_list(bare)}. Nothing was sent. Give "
            "agent_id, or a record with agent_id for each number."
        )
    return rows
