"""HttpOperator, mapped: list the connectors, then one task per batch of those that differ."""

from __future__ import annotations

import json
import os
from typing import Any

import tenacity
from airflow.providers.http.operators.http import HttpOperator
from airflow.sdk import DAG
from requests import Response
from requests.exceptions import ConnectionError as NoConnection
from requests.exceptions import Timeout

BATCH = 50
CONNECTORS = "/v1/agents/fleet/telephony/connectors"
LANGUAGE = "en-US"


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


def updates(response: Response) -> list[str]:
    """Give the bodies of the batches that are to be sent."""
    connectors = response.json()["connectors"]
    differing = [each["connectorId"] for each in connectors if each["asrLangCode"] != LANGUAGE]
    items = [{"connectorId": each, "asrLangCode": LANGUAGE} for each in differing]
    return [json.dumps({"updates": items[first : first + BATCH]}) for first in range(0, len(items), BATCH)]


def all_succeeded(response: Response) -> bool:
    """Check every item of an answer."""
    return all(each["success"] for each in response.json()["results"])


with DAG("connectors_http", schedule=None) as dag:
    read = HttpOperator(task_id="read", method="GET", endpoint=CONNECTORS, response_filter=updates, **COMMON)
    HttpOperator.partial(
        task_id="write",
        method="PATCH",
        endpoint=f"{CONNECTORS}/batch",
        response_check=all_succeeded,
        **COMMON,
    ).expand(data=read.output)
