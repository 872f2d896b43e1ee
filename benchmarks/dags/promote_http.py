"""HttpOperator, mapped: read every page, compare in a task, write what differs."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import tenacity
from airflow.providers.http.operators.http import HttpOperator
from airflow.sdk import DAG, task
from requests import Response
from requests.exceptions import ConnectionError as NoConnection
from requests.exceptions import Timeout

KEPT = ("site_name", "fallback_number")
TEST_SWITCHES = ("use_mock_api", "mock_dnis")
JSON = {"Content-Type": "application/json"}


def passing(error: BaseException) -> bool:
    """Tell whether a request may be sent again: the hook's errors begin with the status."""
    return isinstance(error, NoConnection | Timeout) or str(error)[:3] in ("429", "500", "502", "503", "504")


COMMON: dict[str, Any] = {
    "http_conn_id": "polyai_http",
    "headers": JSON,
    "extra_options": {"timeout": 30},
    "retry_args": {
        "retry": tenacity.retry_if_exception(passing),
        "wait": tenacity.wait_random_exponential(0.5, max=8),
        "stop": tenacity.stop_after_attempt(5),
        "reraise": True,
    },
    "retries": 3,
    "retry_delay": 1.0,
    "deferrable": os.environ.get("BENCH_DEFERRABLE") == "yes",
}


def pages(response: Response) -> dict[str, Any]:
    """Give the pages of a project by environment, and the project."""
    found = {page["clientEnv"]: page for page in response.json()["configPages"]}
    return {"project": response.url.split("/")[-2], **found}


def has_pages(response: Response) -> bool:
    """Check that the answer is what it should be."""
    return isinstance(response.json().get("configPages"), list)


def took_schema(response: Response) -> bool:
    """Check that the answer shows a schema."""
    return bool(response.json().get("schema"))


def took_values(response: Response) -> bool:
    """Check that the answer shows values."""
    return bool(response.json().get("variables"))


def path(project: str) -> str:
    """Give the path of a project's pages."""
    return f"/v1/agents/{project}/real-time-configs"


with DAG("promote_http", schedule=None) as dag:

    @task
    def order() -> list[str]:
        """List the pages to read."""
        return [
            path(project) for project in json.loads(Path(os.environ["BENCH_ORDER"]).read_text())["projects"]
        ]

    @task
    def schema_writes(source: dict[str, Any], targets: Any) -> list[dict[str, str]]:
        """List the schemas to write."""
        schema = source["sandbox"]["schema"]
        body = json.dumps({"schema": schema})
        differing = [each["project"] for each in targets if each["pre-release"]["schema"] != schema]
        return [{"endpoint": f"{path(each)}/pre-release/schema", "data": body} for each in differing]

    @task
    def value_writes(source: dict[str, Any], targets: Any) -> list[dict[str, str]]:
        """List the values to write."""
        writes = []
        for each in targets:
            now = each["pre-release"]["variables"]
            wanted = {**source["sandbox"]["variables"], **{key: now[key] for key in KEPT}}
            own = {key: now["settings"][key] for key in TEST_SWITCHES}
            wanted["settings"] = {**wanted["settings"], **own}
            if changes := {key: value for key, value in wanted.items() if now.get(key, ...) != value}:
                endpoint = f"{path(each['project'])}/pre-release/variables"
                writes.append({"endpoint": endpoint, "data": json.dumps({"variables": changes})})
        return writes

    read_source = HttpOperator(
        task_id="read_source",
        method="GET",
        endpoint=path("template"),
        response_check=has_pages,
        response_filter=pages,
        **COMMON,
    )
    read = HttpOperator.partial(
        task_id="read", method="GET", response_check=has_pages, response_filter=pages, **COMMON
    ).expand(endpoint=order())
    write_schemas = HttpOperator.partial(
        task_id="write_schemas", method="PUT", response_check=took_schema, **COMMON
    ).expand_kwargs(schema_writes(read_source.output, read.output))
    write_values = HttpOperator.partial(
        task_id="write_values",
        method="PATCH",
        response_check=took_values,
        trigger_rule="none_failed",
        **COMMON,
    ).expand_kwargs(value_writes(read_source.output, read.output))
    write_schemas >> write_values
