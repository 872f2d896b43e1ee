"""How ``make demo-ui`` shows the DAGs: numbered in reading order, and with defaults that fit the local server.

A copy lies in the demo's Airflow home as ``airflow_local_settings.py``, where Airflow finds its policies. DAG ids and
files stay as they are.
"""

from __future__ import annotations

import os
from typing import Any

__all__ = ["dag_policy"]

SITES = 200
START_HERE = "start here"
FIRST_STEPS = ("promote_three_projects", "promote_with_approval")
ORDER = (
    *FIRST_STEPS,
    "roll_back_a_promotion",
    "promote_config_in_one_project",
    "promote_template_to_many_projects",
    "promote_each_with_its_own_approval",
    "promote_fleet_in_waves",
    "promote_5000_sites",
    "watch_for_drift",
    "drift_on_webhook",
    "back_up_and_restore",
    "update_connectors_in_bulk",
    "daily_opening_hours",
    "import_and_route_numbers",
    "carrier_to_polyai",
    "carrier_to_omnia_voice",
    "release_pipeline",
    "release_by_merge",
)
ON_BRANCHES = "rosa-bistro"
"""A copy of rosa-restaurants on the branches model, for ``release_by_merge``."""
QUICK_WATCH = {"watch_minutes": 1, "poll_seconds": 5}
DEFAULTS: dict[str, dict[str, Any]] = {
    "promote_5000_sites": {"sites": SITES},
    "back_up_and_restore": {"folder": "{home}/backups"},
    "release_pipeline": QUICK_WATCH,
    "release_by_merge": {**QUICK_WATCH, "agent_id": ON_BRANCHES},
}
"""DAG -> params of which the demo has another default."""


def dag_policy(dag: Any) -> None:
    """Number a DAG, tag the first ones, and fill in its params.

    :param dag: a DAG that was just parsed.
    """
    if dag.dag_id not in ORDER:
        return
    dag.dag_display_name = f"{ORDER.index(dag.dag_id) + 1:02} {dag.dag_id}"
    if dag.dag_id in FIRST_STEPS:
        dag.tags.add(START_HERE)
    for name, value in DEFAULTS.get(dag.dag_id, {}).items():
        filled = value.format(home=os.environ["AIRFLOW_HOME"]) if isinstance(value, str) else value
        for each in (dag, *dag.tasks):  # a task has a copy, which wins
            if name in each.params:
                each.params[name] = filled
