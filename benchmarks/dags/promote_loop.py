"""For reference: one request after the other."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from airflow.sdk import DAG, BaseHook, task

KEPT = ("site_name", "fallback_number")
TEST_SWITCHES = ("use_mock_api", "mock_dnis")


def request(client: Any, method: str, path: str, body: Any = None) -> Any:
    """Send one request and return the decoded answer."""
    answer = client.request(method, path, json=body)
    answer.raise_for_status()
    return answer.json()


def pages(client: Any, project: str) -> dict[str, Any]:
    """Read a project's pages by environment."""
    answer = request(client, "GET", f"/v1/agents/{project}/real-time-configs")
    return {page["clientEnv"]: page for page in answer["configPages"]}


def bring(client: Any, project: str, source: Any) -> None:
    """Write what differs."""
    target = pages(client, project)["pre-release"]
    page = f"/v1/agents/{project}/real-time-configs/pre-release"
    values = {**source["variables"], **{key: target["variables"][key] for key in KEPT}}
    own = {key: target["variables"]["settings"][key] for key in TEST_SWITCHES}
    values["settings"] = {**values["settings"], **own}
    if target["schema"] != source["schema"]:
        request(client, "PUT", f"{page}/schema", {"schema": source["schema"]})
    if changes := {key: value for key, value in values.items() if target["variables"].get(key, ...) != value}:
        request(client, "PATCH", f"{page}/variables", {"variables": changes})


with DAG("promote_loop", schedule=None) as dag:

    @task
    def order() -> list[str]:
        """List the projects."""
        return list(json.loads(Path(os.environ["BENCH_ORDER"]).read_text())["projects"])

    @task(retries=3)
    def work(projects: list[str]) -> None:
        """Promote."""
        import httpx

        connection = BaseHook.get_connection("polyai_default")
        key = {"X-API-KEY": connection.password}
        with httpx.Client(base_url=connection.host, headers=key, timeout=30, trust_env=False) as client:
            source = pages(client, "template")["sandbox"]
            for project in projects:
                bring(client, project, source)

    work(order())
