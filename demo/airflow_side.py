"""Runs the demo's DAG inside Airflow, once per line on standard input, and tells what happens.

Arguments: the DAG file, and the number of an open file that takes one JSON object per event. Whatever
Airflow prints goes where standard output goes. A process of its own, because Airflow reads its
settings when it is imported.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog
from airflow.listeners import hookimpl
from airflow.models import DagBag
from airflow.models.xcom import XComModel
from airflow.sdk import DAG
from sqlalchemy import select

from airflow import __version__, settings

try:
    from airflow.sdk.listener import get_listener_manager
except ImportError:  # before 3.2
    from airflow.listeners.listener import get_listener_manager

OPERATORS = "airflow.task.operators.airflow_voice_agents"


def main(dag_file: str, events: Events) -> None:
    """Load the DAG, then run it whenever a line arrives."""
    settings.configure_orm()
    dag = load(dag_file)
    get_listener_manager().add_listener(Tasks(events))
    *processors, last = structlog.get_config()["processors"]
    structlog.configure(processors=[*processors, Lines(events), last])
    events.tell("ready", airflow=__version__)
    for _ in sys.stdin:
        run = dag.test()
        events.tell("finished", state=str(run.state), reports=reports(run))


def load(dag_file: str) -> DAG:
    """Return the file's only DAG.

    :raises SystemExit: with Airflow's own words, when the file cannot be imported.
    """
    bag = DagBag(dag_file)
    if bag.import_errors:
        raise SystemExit("\n".join(bag.import_errors.values()))
    (dag,) = bag.dags.values()
    return dag


def reports(run: Any) -> list[dict[str, Any]]:
    """Return the reports that the run's tasks left as XComs, in the order of the tasks' ends."""
    query = (
        select(XComModel)
        .where(XComModel.dag_id == run.dag_id, XComModel.run_id == run.run_id, XComModel.key == "report")
        .order_by(XComModel.timestamp)
    )
    return [XComModel.deserialize_value(row) for row in settings.Session().scalars(query)]


class Events:
    """Writes events, one JSON object per line.

    :param number: number of an open file.
    """

    def __init__(self, number: int) -> None:
        self._file = os.fdopen(number, "w", encoding="utf-8", buffering=1)

    def tell(self, event: str, **facts: Any) -> None:
        """Write one event."""
        self._file.write(json.dumps({"event": event, **facts}) + "\n")


class Lines:
    """Processor of Airflow's log that passes on what the provider's operators log: plans and reports."""

    def __init__(self, events: Events) -> None:
        self._events = events

    def __call__(self, logger: Any, method: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        """Pass one line on, and leave it as it is."""
        if str(line.get("logger")).startswith(OPERATORS):
            self._events.tell("logged", text=str(line["event"]))
        return line


class Tasks:
    """Airflow listener that tells of each task's end."""

    def __init__(self, events: Events) -> None:
        self._events = events

    @hookimpl
    def on_task_instance_success(self, previous_state: Any, task_instance: Any) -> None:
        """Tell of a task that succeeded."""
        self._tell(task_instance, "success")

    @hookimpl
    def on_task_instance_failed(self, previous_state: Any, task_instance: Any, error: Any) -> None:
        """Tell of a task that failed, and why."""
        self._tell(task_instance, "failed", str(error))

    def _tell(self, task_instance: Any, state: str, error: str = "") -> None:
        self._events.tell(
            "task",
            task=task_instance.task_id,
            label=getattr(task_instance, "rendered_map_index", None) or str(task_instance.map_index),
            state=state,
            error=error,
        )


if __name__ == "__main__":
    main(sys.argv[1], Events(int(sys.argv[2])))
