"""No confidential argument is in the bytes of a real Airflow's home after plain, mapped and failed tasks."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import uuid
from pathlib import Path
from typing import Any

from support.airflow_home import AirflowHome
from support.emulated import HOTELS, SANDBOX, Emulated

DAG_FILE = """
import os
from airflow.sdk import DAG
from airflow_voice_agents.polyai.operators.configs import PolyAIUpdateConfigOperator
from airflow_voice_agents.polyai.sensors.resources import PolyAIConfigSensor

def secret(place):
    return f"{os.environ['CANARY']}-{place}"

def lost(text):
    raise KeyError(f"no {text} here")

HERE = {"agent_id": "harbour-hotels", "environment": "sandbox"}

def values(place):
    return {"holiday_message": "{{ secret('" + place + "') }}"}

with DAG("leaks", schedule=None, user_defined_macros={"secret": secret, "lost": lost}):
    usual = {"show_values": False}
    plain = PolyAIUpdateConfigOperator(task_id="plain", values=values("plain"), targets=HERE, **usual)
    partial = PolyAIUpdateConfigOperator.partial(task_id="partial", values=values("partial"), **usual)
    expand = PolyAIUpdateConfigOperator.partial(task_id="expand", targets=HERE, **usual)
    sensor = PolyAIConfigSensor.partial(task_id="sensor", **HERE).expand(values=[values("expand")])
    failing = PolyAIUpdateConfigOperator.partial(task_id="failing", targets=HERE, **usual)
    plain >> partial.expand(targets=[HERE]) >> expand.expand(values=[values("expand")]) >> sensor
    sensor >> failing.expand(values=[{"holiday_message": "{{ secret('failing') }} {{ lost(secret('failing')) }}"}])
    sensor >> PolyAIUpdateConfigOperator(
        task_id="broken", targets=HERE, values={"holiday_message": "{{ lost(secret('broken')) }}"}, **usual
    )
"""


def hits(canary: str, folder: Path) -> list[str]:
    """Return the files below a folder that hold a text."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return [path.name for path in files if canary.encode() in path.read_bytes()]


def rendered(database: Path) -> dict[str, Any]:
    """Return the values of each task as Airflow's table of rendered templates has them."""
    with contextlib.closing(sqlite3.connect(database)) as connection:
        rows = connection.execute("SELECT task_id, rendered_fields FROM rendered_task_instance_fields")
        return {task_id: json.loads(fields).get("values") for task_id, fields in rows}


def test_no_confidential_argument_is_in_the_bytes_of_an_airflow(
    airflow_home: AirflowHome, polyai: Emulated, tmp_path: Path
) -> None:
    canary = f"canary{uuid.uuid4().hex}"
    airflow_home.settings |= {"CANARY": canary, "AIRFLOW__LOGGING__LOGGING_LEVEL": "DEBUG"}
    airflow_home.connect("polyai_default", conn_type="polyai", host=polyai.server.url, password=polyai.key)
    path = tmp_path / "leaks.py"
    path.write_text(DAG_FILE)

    run = airflow_home.run_dag_file(path)

    assert run.tasks == {
        "plain": "success",
        "partial[0]": "success",
        "expand[0]": "success",
        "sensor[0]": "success",
        "failing[0]": "failed",
        "broken": "failed",
    }, run.output
    assert polyai.values(HOTELS, SANDBOX)["holiday_message"] == f"{canary}-expand"
    assert rendered(airflow_home.path / "airflow.db") == {
        task: {"holiday_message": "(hidden)"} for task in ("plain", "partial", "expand", "sensor")
    }
    assert hits(canary, airflow_home.path) == []
    assert canary not in run.output
    assert "argument values.holiday_message could not be rendered (KeyError)" in run.output
    assert hits(polyai.key, airflow_home.path) == []
    # Only ``dag.test()`` logs messages to its supervisor, among them the request to mask this key.
    told = [line for line in run.output.splitlines() if polyai.key in line]
    assert all("MaskSecret(value=" in line for line in told)
