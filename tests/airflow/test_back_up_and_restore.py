"""The example that keeps environments as files and brings them back, in a real Airflow."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from airflow_voice_agents.emulator.server import EmulatorServer
from support.airflow_home import AirflowHome
from support.emulated import BANK, HOTELS, KEY, LIVE, PAGES, ROSA, Emulated

EXAMPLE = Path(__file__).parents[2] / "example_dags" / "back_up_and_restore.py"
CONNECTOR, NUMBER = "conn_hh_live_main", "+441632960005"
PLANTED = "planted-by-accident-4711"


@pytest.fixture
def polyai(airflow_home: AirflowHome) -> Iterator[Emulated]:
    with EmulatorServer() as server:
        airflow_home.connect("polyai_default", conn_type="polyai", host=server.url, password=KEY)
        airflow_home.settings["AIRFLOW__CORE__FERNET_KEY"] = Fernet.generate_key().decode()
        yield Emulated(server)


def test_what_was_backed_up_comes_back_and_nothing_else_is_written(
    airflow_home: AirflowHome, polyai: Emulated, tmp_path: Path
) -> None:
    airflow_home.settings["AIRFLOW__VOICE_AGENTS__SHOW_VALUES"] = "False"
    folder = tmp_path / "backups"
    before = {each: polyai.values(each, LIVE) for each in (HOTELS, ROSA, BANK)}

    kept = airflow_home.run_dag_file(EXAMPLE, conf={"folder": f"file://{folder}"})

    assert kept.state == "success", kept.output
    assert kept.tasks["export"] == "success"
    assert {kept.tasks[f"restore.{each}"] for each in ("plan", "apply", "verify")} == {"skipped"}
    assert sorted(path.relative_to(folder).as_posix() for path in folder.glob("*/*")) == sorted(
        f"{each}/{LIVE}" for each in (HOTELS, ROSA, BANK)
    )
    assert json.loads((folder / HOTELS / LIVE / "config.json").read_text())["variables"] == before[HOTELS]
    assert polyai.writes() == 0

    damage(polyai)
    polyai.server.journal.clear()
    restored = airflow_home.run_dag_file(EXAMPLE, conf={"folder": f"file://{folder}", "action": "restore"})

    assert restored.state == "success", restored.output
    assert restored.tasks["export"] == "skipped"
    assert "restore.approval" not in restored.tasks
    assert {each: polyai.values(each, LIVE) for each in before} == before
    assert polyai.connector(HOTELS, CONNECTOR)["voiceName"] == "en-GB-Neural2-A"
    assert polyai.number(HOTELS, NUMBER) == (LIVE, CONNECTOR)
    assert restored.xcoms["restore.apply"]["return_value"]["counts"]["changed"] == 3
    assert polyai.writes() == 3
    assert polyai.requests()[PAGES] >= 3 * 2
    assert PLANTED not in restored.output
    assert PLANTED.encode() not in (airflow_home.path / "airflow.db").read_bytes()


def damage(polyai: Emulated) -> None:
    """Change a value, a voice and a number's connector, as an accident would."""
    polyai.put(HOTELS, LIVE, winter_notice=PLANTED)
    agent = polyai.server.polyai.agents[HOTELS]
    agent["connectors"][CONNECTOR]["voiceName"] = "fr-FR-Neural2-B"
    agent["numbers"][NUMBER]["connectorId"] = "conn_hh_live_groups"
