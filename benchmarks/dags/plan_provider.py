"""This provider: the plan of a promotion."""

from __future__ import annotations

import json
import os
from pathlib import Path

from airflow.sdk import DAG, task

from airflow_voice_agents.polyai.operators.promotion import PolyAIPlanPromotionOperator

with DAG("plan_provider", schedule=None) as dag:

    @task
    def order() -> list[dict[str, str]]:
        """List the targets."""
        projects = json.loads(Path(os.environ["BENCH_ORDER"]).read_text())["projects"]
        return [{"agent_id": project, "environment": "pre-release"} for project in projects]

    PolyAIPlanPromotionOperator(
        task_id="work",
        spec={
            "source": {"agent_id": "template", "environment": "sandbox"},
            "config": {"exclude_keys": ["site_name"]},
        },
        targets=order(),
        retries=3,
    )
