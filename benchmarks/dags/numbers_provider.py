"""This provider: one task."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from airflow.sdk import DAG, task

from airflow_voice_agents.polyai.operators.phone_numbers import PolyAIImportPhoneNumbersOperator

with DAG("numbers_provider", schedule=None) as dag:

    @task
    def order() -> list[dict[str, Any]]:
        """Tell which numbers each agent gets."""
        imports = json.loads(Path(os.environ["BENCH_ORDER"]).read_text())["imports"]
        return [
            {
                "agent_id": each["agent"],
                "connector_id": each["connector"],
                "phone_numbers": each["phone_numbers"],
            }
            for each in imports
        ]

    PolyAIImportPhoneNumbersOperator(
        task_id="work", client_env="pre-release", targets=order(), concurrency=16, retries=3
    )
