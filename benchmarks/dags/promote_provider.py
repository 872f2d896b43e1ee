"""This provider: one task."""

from __future__ import annotations

import json
import os
from pathlib import Path

from airflow.sdk import DAG, task

from airflow_voice_agents.polyai.operators.configs import PolyAIPromoteConfigOperator

with DAG("promote_provider", schedule=None) as dag:

    @task
    def order() -> list[dict[str, str]]:
        """List the targets."""
        projects = json.loads(Path(os.environ["BENCH_ORDER"]).read_text())["projects"]
        return [{"agent_id": project, "environment": "pre-release"} for project in projects]

    PolyAIPromoteConfigOperator(
        task_id="work",
        source={"agent_id": "template", "environment": "sandbox"},
        targets=order(),
        exclude_keys=["site_name", "fallback_number"],
        verify=os.environ.get("BENCH_READ_BACK") != "no",
        concurrency=16,
        retries=3,
    )
