"""Runs one DAG with ``dag.test()`` and writes what it came to as JSON; a process of its own per run.

Arguments: a JSON object with ``file``, ``dag_id`` and ``conf``, and the path of the answer.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from airflow.models.asset import AssetEvent, AssetModel
from airflow.models.xcom import XComModel
from airflow.sdk import DAG
from sqlalchemy import select

from airflow import settings

sys.path.insert(0, str(Path(__file__).parents[1]))
from support.airflow_versions import DagBag


def main(wanted: dict[str, Any], answer: Path) -> None:
    """Run the DAG and write the answer."""
    settings.configure_orm()
    run = _dag(wanted["file"], wanted["dag_id"]).test(run_conf=wanted["conf"])
    session = settings.Session()
    answer.write_text(
        json.dumps(
            {
                "state": str(getattr(run.state, "value", run.state)),
                "tasks": {
                    _name(task.task_id, task.map_index): str(getattr(task.state, "value", task.state))
                    for task in run.get_task_instances(session=session)
                },
                "xcoms": _xcoms(session, run),
                "asset_events": _asset_events(session),
            }
        )
    )


def _dag(path: str, dag_id: str | None) -> DAG:
    bag = DagBag(path)
    if bag.import_errors:
        raise SystemExit("\n".join(bag.import_errors.values()))
    if dag_id is None:
        (dag_id,) = bag.dags
    return bag.dags[dag_id]


def _xcoms(session: Any, run: Any) -> dict[str, dict[str, Any]]:
    xcoms: dict[str, dict[str, Any]] = {}
    query = select(XComModel).where(XComModel.dag_id == run.dag_id, XComModel.run_id == run.run_id)
    for row in session.scalars(query):
        task = xcoms.setdefault(_name(row.task_id, row.map_index), {})
        task[row.key] = XComModel.deserialize_value(row)
    return xcoms


def _asset_events(session: Any) -> list[dict[str, Any]]:
    query = select(AssetModel.uri, AssetEvent.extra).join(AssetEvent, AssetEvent.asset_id == AssetModel.id)
    return [{"uri": uri, "extra": extra} for uri, extra in session.execute(query.order_by(AssetEvent.id))]


def _name(task_id: str, map_index: int) -> str:
    return task_id if map_index < 0 else f"{task_id}[{map_index}]"


if __name__ == "__main__":
    main(json.loads(sys.argv[1]), Path(sys.argv[2]))
