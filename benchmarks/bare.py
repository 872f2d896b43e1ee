"""The bare requests of a promotion of unchanged projects: httpx and json, and nothing around them."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import sys
import time
from pathlib import Path
from typing import Any

import httpx


async def read_all(wanted: dict[str, Any], projects: list[str]) -> None:
    """Send one request per project, some at a time.

    :param wanted: ``url``, ``key`` and ``in_flight``.
    :param projects: their slugs.
    """
    waiting = iter(projects)
    async with httpx.AsyncClient(
        base_url=wanted["url"],
        headers={"X-API-KEY": wanted["key"]},
        limits=httpx.Limits(max_connections=wanted["in_flight"]),
        timeout=30,
        trust_env=False,
    ) as client:

        async def drain() -> None:
            for project in waiting:
                (await client.get(f"/v1/agents/{project}/real-time-configs")).json()

        await asyncio.gather(*(drain() for _ in range(wanted["in_flight"])))


def main(wanted: dict[str, Any]) -> None:
    """Read, measure, print.

    :param wanted: as the other contestants' processes are told.
    """
    projects = ["template", *json.loads(Path(os.environ["BENCH_ORDER"]).read_text())["projects"]]
    wall, cpu = time.monotonic(), time.process_time()
    asyncio.run(read_all(wanted, projects))
    result = {
        "wall": time.monotonic() - wall,
        "cpu": time.process_time() - cpu,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "states": ["success"],
        "tries": 1,
        "error": "",
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
