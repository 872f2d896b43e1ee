"""Four processes plan 250 targets each with one key, at a platform that takes ten requests per second.

    .venv/bin/python benchmarks/shared_limit.py                 # each way; a few minutes, with little load
    .venv/bin/python benchmarks/shared_limit.py --only machine  # one of them

Prints a table: whether every plan succeeded on its first try, the share of requests that were refused, and the time
beside the ideal, which is all accepted requests divided by the limit. Ways that need Redis start a server of their
own and are left out where ``redis-server`` or the extra ``[redis]`` is missing.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from server_process import Server

from airflow_voice_agents.emulator.fleet_seed import FLEET_KEY

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Way:
    """How the processes share the limit.

    :param text: for people.
    :param store: with Redis.
    :param pace: ``requests_per_second`` of the connection.
    :param one_home: all have one Airflow home, so one machine.
    """

    text: str
    store: bool = False
    pace: float | None = None
    one_home: bool = True


WAYS = {
    "store": Way("Redis, `requests_per_second` 10", store=True, pace=10.0),
    "store-adaptive": Way("Redis, adaptive", store=True),
    "machine": Way("one machine, adaptive"),
    "machine-pace": Way("one machine, `requests_per_second` 10", pace=10.0),
    "apart": Way("four machines without Redis, adaptive", one_home=False),
}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", choices=WAYS)
    parser.add_argument("--processes", type=int, default=4)
    parser.add_argument("--targets", type=int, default=250, help="per process")
    parser.add_argument("--limit", type=float, default=10.0, help="requests per second of the platform")
    asked = parser.parse_args()
    redis = shutil.which("redis-server") if importlib.util.find_spec("redis") else None
    print("| Shared by | Plans, first tries | Requests | Refused | Time, seconds | Of the ideal |")
    print("|---|---|---|---|---|---|")
    with Server() as server:
        for name, way in WAYS.items():
            if asked.only in (None, name) and (redis or not way.store):
                print(line(way, measure(way, server, asked)), flush=True)


def line(way: Way, found: dict[str, Any]) -> str:
    """Return a row of the table."""
    return (
        f"| {way.text} | {found['first_tries']} of {found['plans']} | {found['requests']} "
        f"| {found['refused']} ({found['refused'] / found['requests']:.1%}) | {found['seconds']:.1f} "
        f"| {found['seconds'] / found['ideal']:.2f} |"
    )


def measure(way: Way, server: Server, asked: argparse.Namespace) -> dict[str, Any]:
    """Plan all targets, and say how it went."""
    prepared = server.prepare(
        "promote",
        {"projects": asked.processes * asked.targets, "changed": 0.5},
        switches={"rate_limit": asked.limit, "latency": 0.02},
    )
    with tempfile.TemporaryDirectory() as folder, redis_server(folder, needed=way.store) as url:
        wanted = {
            "dag_file": str(HERE / "dags" / "plan_provider.py"),
            "url": server.url,
            "key": FLEET_KEY,
            "in_flight": 4,
            "pace": way.pace or "",
        }
        projects: list[str] = prepared["order"]["projects"]
        orders = [projects[number :: asked.processes] for number in range(asked.processes)]
        homes = ["home" if way.one_home else f"home-{number}" for number in range(asked.processes)]
        ends = plan(wanted, orders, [Path(folder) / home for home in homes], url)
    facts = server.facts()
    refused = facts["by_status"].get("429", 0)
    return {
        "plans": len(ends),
        "first_tries": sum(end["states"] == ["success"] and end["tries"] == 1 for end in ends),
        "requests": facts["requests"],
        "refused": refused,
        "seconds": max(end["ended"] for end in ends) - min(end["began"] for end in ends),
        "ideal": (facts["requests"] - refused) / asked.limit,
    }


def plan(
    wanted: dict[str, Any], orders: list[list[str]], homes: list[Path], store: str
) -> list[dict[str, Any]]:
    """Run the processes side by side, and return what each printed."""
    running = []
    for number, (projects, home) in enumerate(zip(orders, homes, strict=True)):
        order = home.parent / f"order-{number}.json"
        order.write_text(json.dumps({"projects": projects}))
        environment = {
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__VOICE_AGENTS__RATE_LIMIT_STORE": store,
            "BENCH_ORDER": str(order),
        }
        running.append(
            subprocess.Popen(
                [sys.executable, str(HERE / "child.py"), json.dumps(wanted)],
                env={**os.environ, **environment},
                stdout=subprocess.PIPE,
                text=True,
            )
        )
    printed = [each.communicate()[0] for each in running]
    return [json.loads(text.splitlines()[-1]) for text in printed]


@contextlib.contextmanager
def redis_server(folder: str, *, needed: bool) -> Iterator[str]:
    """Run a Redis of the measurement's own, and yield its URL; without need, an empty text."""
    if not needed:
        yield ""
        return
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        ["redis-server", "--port", str(port), "--save", "", "--dir", folder],  # noqa: S607
        stdout=subprocess.DEVNULL,
    )
    try:
        until_it_listens(port)
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        process.terminate()
        process.wait(timeout=10)


def until_it_listens(port: int) -> None:
    """Wait until something listens on a port."""
    for _ in range(200):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.05)
    raise RuntimeError(f"nothing listens on port {port}")


if __name__ == "__main__":
    main()
