"""The strongest that one would write oneself: one task, async httpx and gather."""

from __future__ import annotations

import asyncio
import random
from typing import Any

from airflow.sdk import DAG, BaseHook, task

IN_FLIGHT = 16
ATTEMPTS = 6
BATCH = 50
CONNECTORS = "/v1/agents/fleet/telephony/connectors"
LANGUAGE = "en-US"


class Platform:
    """Sends requests, at most some at a time, and sends again what may pass."""

    def __init__(self, client: Any) -> None:
        self.client = client
        self.slots = asyncio.Semaphore(IN_FLIGHT)

    async def request(self, method: str, path: str, body: Any = None) -> Any:
        """Send one request and return the decoded answer."""
        import httpx

        for attempt in range(ATTEMPTS):
            wait = random.random() * 0.5 * 2**attempt
            try:
                async with self.slots:
                    answer = await self.client.request(method, path, json=body)
            except httpx.TransportError:
                if attempt == ATTEMPTS - 1:
                    raise
            else:
                again = answer.status_code == 429 or answer.status_code >= 500
                if not again or attempt == ATTEMPTS - 1:
                    answer.raise_for_status()
                    return answer.json()
                wait += float(answer.headers.get("Retry-After", 0))
            await asyncio.sleep(wait)
        raise AssertionError("the last attempt returns or raises")


async def write(platform: Platform, connectors: list[str]) -> None:
    """Write a batch, and once more what failed of it."""
    for _ in range(2):
        updates = [{"connectorId": each, "asrLangCode": LANGUAGE} for each in connectors]
        answer = await platform.request("PATCH", f"{CONNECTORS}/batch", {"updates": updates})
        connectors = [each["connectorId"] for each in answer["results"] if not each["success"]]
        if not connectors:
            return
    raise RuntimeError(f"{len(connectors)} connectors were not updated")


async def update() -> None:
    """List the connectors and write those that differ."""
    import httpx

    connection = BaseHook.get_connection("polyai_default")
    async with httpx.AsyncClient(
        base_url=connection.host,
        headers={"X-API-KEY": connection.password},
        timeout=30,
        limits=httpx.Limits(max_connections=IN_FLIGHT),
        trust_env=False,
    ) as client:
        platform = Platform(client)
        listed = (await platform.request("GET", CONNECTORS))["connectors"]
        todo = [each["connectorId"] for each in listed if each["asrLangCode"] != LANGUAGE]
        batches = [todo[first : first + BATCH] for first in range(0, len(todo), BATCH)]
        await asyncio.gather(*(write(platform, batch) for batch in batches))


with DAG("connectors_gather", schedule=None) as dag:

    @task(retries=3)
    def work() -> None:
        """Update."""
        asyncio.run(update())

    work()
