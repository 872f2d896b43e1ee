"""For reference: one request after the other."""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG, BaseHook, task

BATCH = 50
CONNECTORS = "/v1/agents/fleet/telephony/connectors"
LANGUAGE = "en-US"


def request(client: Any, method: str, path: str, body: Any = None) -> Any:
    """Send one request and return the decoded answer."""
    answer = client.request(method, path, json=body)
    answer.raise_for_status()
    return answer.json()


with DAG("connectors_loop", schedule=None) as dag:

    @task(retries=3)
    def work() -> None:
        """Update."""
        import httpx

        connection = BaseHook.get_connection("polyai_default")
        key = {"X-API-KEY": connection.password}
        with httpx.Client(base_url=connection.host, headers=key, timeout=30, trust_env=False) as client:
            listed = request(client, "GET", CONNECTORS)["connectors"]
            todo = [each["connectorId"] for each in listed if each["asrLangCode"] != LANGUAGE]
            for first in range(0, len(todo), BATCH):
                batch = todo[first : first + BATCH]
                updates = [{"connectorId": each, "asrLangCode": LANGUAGE} for each in batch]
                answer = request(client, "PATCH", f"{CONNECTORS}/batch", {"updates": updates})
                if not all(each["success"] for each in answer["results"]):
                    raise RuntimeError("a connector was not updated")

    work()
