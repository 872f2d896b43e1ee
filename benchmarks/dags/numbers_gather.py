"""The strongest that one would write oneself: one task, async httpx and gather."""

from __future__ import annotations

import asyncio
import json
import os
import random
from pathlib import Path
from typing import Any

from airflow.sdk import DAG, BaseHook, task

IN_FLIGHT = 16
ATTEMPTS = 6
BATCH = 50
STAGE = "pre-release"
READ_BACK = os.environ.get("BENCH_READ_BACK") != "no"


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


async def read(platform: Platform, agent: str, numbers: list[str]) -> Any:
    """Ask which numbers the agent has."""
    path = f"/v1/agents/{agent}/telephony/phone-numbers/batch"
    return await platform.request("POST", path, {"phoneNumbers": numbers})


async def bring(platform: Platform, agent: str, connector: str, numbers: list[str]) -> None:
    """Import what is absent of a batch, once more what was left out, and read it back."""
    path = f"/v1/agents/{agent}/telephony/phone-numbers"
    absent = (await read(platform, agent, numbers))["notFound"]
    for _ in range(2):
        if not absent:
            break
        body = {"phoneNumbers": absent, "clientEnv": STAGE}
        imported = (await platform.request("POST", path, body))["imported"]
        absent = sorted(set(absent) - set(imported))
    if absent:
        raise RuntimeError(f"{len(absent)} numbers were not imported")
    if not READ_BACK:
        return
    found = (await read(platform, agent, numbers))["found"]
    if len(found) < len(numbers):
        raise RuntimeError("numbers are missing")
    for each in found:
        if each.get("connectorId") != connector:
            await platform.request("PATCH", f"{path}/{each['number']}", {"connectorId": connector})


async def run(imports: list[dict[str, Any]]) -> None:
    """Import all batches of all agents."""
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
        await asyncio.gather(
            *(
                bring(
                    platform, each["agent"], each["connector"], each["phone_numbers"][first : first + BATCH]
                )
                for each in imports
                for first in range(0, len(each["phone_numbers"]), BATCH)
            )
        )


with DAG("numbers_gather", schedule=None) as dag:

    @task
    def order() -> list[dict[str, Any]]:
        """Tell which numbers each agent gets."""
        return list(json.loads(Path(os.environ["BENCH_ORDER"]).read_text())["imports"])

    @task(retries=3)
    def work(imports: list[dict[str, Any]]) -> None:
        """Import."""
        asyncio.run(run(imports))

    work(order())
