"""HttpOperator, mapped: ask per batch which numbers are new, then import them."""

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

BATCH = 50


def passing(error: BaseException) -> bool:
    """Tell whether a request may be sent again: the hook's errors begin with the status."""
    return isinstance(error, NoConnection | Timeout) or str(error)[:3] in ("429", "500", "502", "503", "504")


COMMON: dict[str, Any] = {
    "http_conn_id": "polyai_http",
    "headers": {"Content-Type": "application/json"},
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


def absent(response: Response) -> dict[str, str]:
    """Give the import that is needed for a batch."""
    numbers = response.json()["notFound"]
    endpoint = response.url.partition("://")[2].partition("/")[2].removesuffix("/batch")
    return {"endpoint": endpoint, "data": json.dumps({"phoneNumbers": numbers, "clientEnv": "pre-release"})}


def all_imported(response: Response) -> bool:
    """Check that the answer names every number that was sent."""
    return sorted(response.json()["imported"]) == sorted(json.loads(response.request.body)["phoneNumbers"])


with DAG("numbers_http", schedule=None) as dag:

    @task
    def order() -> list[dict[str, str]]:
        """List the reads, one per batch."""
        imports = json.loads(Path(os.environ["BENCH_ORDER"]).read_text())["imports"]
        return [
            {
                "endpoint": f"/v1/agents/{each['agent']}/telephony/phone-numbers/batch",
                "data": json.dumps({"phoneNumbers": each["phone_numbers"][first : first + BATCH]}),
            }
            for each in imports
            for first in range(0, len(each["phone_numbers"]), BATCH)
        ]

    @task
    def imports(reads: Any) -> list[dict[str, str]]:
        """List the imports that are needed."""
        return [each for each in reads if json.loads(each["data"])["phoneNumbers"]]

    read = HttpOperator.partial(
        task_id="read", method="POST", response_filter=absent, **COMMON
    ).expand_kwargs(order())
    HttpOperator.partial(task_id="write", method="POST", response_check=all_imported, **COMMON).expand_kwargs(
        imports(read.output)
    )
