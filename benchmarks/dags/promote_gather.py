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
KEPT = ("site_name", "fallback_number")
TEST_SWITCHES = ("use_mock_api", "mock_dnis")
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

    async def pages(self, project: str) -> dict[str, Any]:
        """Read a project's pages by environment."""
        answer = await self.request("GET", f"/v1/agents/{project}/real-time-configs")
        return {page["clientEnv"]: page for page in answer["configPages"]}


def wanted(source: dict[str, Any], target: dict[str, Any]) -> dict[str, Any]:
    """Give the values that a page shall have."""
    values = {**source, **{key: target[key] for key in KEPT}}
    values["settings"] = {**values["settings"], **{key: target["settings"][key] for key in TEST_SWITCHES}}
    return values


async def bring(platform: Platform, project: str, source: Any, target: Any) -> None:
    """Write what differs, and read it back."""
    page = f"/v1/agents/{project}/real-time-configs/pre-release"
    values = wanted(source["variables"], target["variables"])
    changes = {key: value for key, value in values.items() if target["variables"].get(key, ...) != value}
    new_schema = target["schema"] != source["schema"]
    if new_schema:
        await platform.request("PUT", f"{page}/schema", {"schema": source["schema"]})
    if changes:
        await platform.request("PATCH", f"{page}/variables", {"variables": changes})
    if READ_BACK and (changes or new_schema):
        found = (await platform.pages(project))["pre-release"]
        if found["variables"] != {**target["variables"], **values} or found["schema"] != source["schema"]:
            raise RuntimeError(f"{project} is not as it shall be")


async def promote(projects: list[str]) -> None:
    """Read every page, then write."""
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
        source, *targets = await asyncio.gather(*map(platform.pages, ["template", *projects]))
        await asyncio.gather(
            *(
                bring(platform, project, source["sandbox"], target["pre-release"])
                for project, target in zip(projects, targets, strict=True)
            )
        )


with DAG("promote_gather", schedule=None) as dag:

    @task
    def order() -> list[str]:
        """List the projects."""
        return list(json.loads(Path(os.environ["BENCH_ORDER"]).read_text())["projects"])

    @task(retries=3)
    def work(projects: list[str]) -> None:
        """Promote."""
        asyncio.run(promote(projects))

    work(order())
