"""For reference: one request after the other."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from airflow.sdk import DAG, BaseHook, task

BATCH = 50
STAGE = "pre-release"


def request(client: Any, method: str, path: str, body: Any = None) -> Any:
    """Send one request and return the decoded answer."""
    answer = client.request(method, path, json=body)
    answer.raise_for_status()
    return answer.json()


def bring(client: Any, agent: str, numbers: list[str]) -> None:
    """Import what is absent of a batch."""
    path = f"/v1/agents/{agent}/telephony/phone-numbers"
    absent = request(client, "POST", f"{path}/batch", {"phoneNumbers": numbers})["notFound"]
    if absent:
        answer = request(client, "POST", path, {"phoneNumbers": absent, "clientEnv": STAGE})
        if sorted(answer["imported"]) != sorted(absent):
            raise RuntimeError("a number was not imported")


with DAG("numbers_loop", schedule=None) as dag:

    @task
    def order() -> list[dict[str, Any]]:
        """Tell which numbers each agent gets."""
        return list(json.loads(Path(os.environ["BENCH_ORDER"]).read_text())["imports"])

    @task(retries=3)
    def work(imports: list[dict[str, Any]]) -> None:
        """Import."""
        import httpx

        connection = BaseHook.get_connection("polyai_default")
        key = {"X-API-KEY": connection.password}
        with httpx.Client(base_url=connection.host, headers=key, timeout=30, trust_env=False) as client:
            for each in imports:
                for first in range(0, len(each["phone_numbers"]), BATCH):
                    bring(client, each["agent"], each["phone_numbers"][first : first + BATCH])

    work(order())
