"""A file of numbers for many agents: one import per agent and connector, or nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from airflow_voice_agents.polyai.number_files import import_groups
from airflow_voice_agents.transport.errors import InputError

ONE, TWO, THREE = (f"+44163296000{last}" for last in range(1, 4))
GROUPS = [
    {"agent_id": "rosa", "connector_id": "c1", "phone_numbers": [ONE, THREE]},
    {"agent_id": "bank", "connector_id": None, "phone_numbers": [TWO]},
]


def written(folder: Path, name: str, text: str) -> str:
    (folder / name).write_text(text)
    return str(folder / name)


def test_records_are_grouped_by_agent_and_connector(tmp_path: Path) -> None:
    rows = [("rosa", ONE, "c1"), ("bank", TWO, ""), ("rosa", THREE, "c1"), ("rosa", ONE, "c1")]
    table = "Agent ID;Number;Connector\n" + "".join(f"{';'.join(row)}\n" for row in rows)
    records = [dict(zip(("agent_id", "number", "connector"), row, strict=True)) for row in rows]

    assert import_groups(written(tmp_path, "a.csv", table)) == GROUPS
    assert import_groups(written(tmp_path, "a.json", json.dumps(records))) == GROUPS
    assert import_groups(written(tmp_path, "a.yaml", json.dumps(records))) == GROUPS


def test_national_numbers_are_read_by_a_region(tmp_path: Path) -> None:
    path = written(tmp_path, "a.csv", "agent_id,number,connector\nrosa,01632 960001,\n")

    assert import_groups(path, default_region="GB")[0]["phone_numbers"] == [ONE]


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (f"rosa,{ONE},c1\nbank,{ONE},c1\n", r"to two agents or connectors: row 3 \(\+441632960001\)"),
        (f"rosa,{ONE},c1\nrosa,{ONE},c2\n", "to two agents or connectors"),
        ("rosa,x204,c1\n", "row 2, 'number' has letters"),
        (f",{ONE},c1\n", "row 2 has no agent_id"),
        ("rosa,,c1\n", "row 2 has no number"),
        (f"a/b,{ONE},c1\n", "row 2, agent_id must not hold a slash"),
        (f"rosa,{ONE},c/1\n", "row 2, connector must not hold a slash"),
        ("", "is empty"),
    ],
)
def test_a_wrong_record_is_refused_by_its_row(tmp_path: Path, rows: str, said: str) -> None:
    path = written(tmp_path, "a.csv", f"agent_id,number,connector\n{rows}")

    with pytest.raises(InputError, match=said):
        import_groups(path)
