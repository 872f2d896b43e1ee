"""A large promotion in a process of its own, against a server in another: what it asks for, and what it costs."""

from __future__ import annotations

import json
import logging
import os
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from airflow.sdk import DAG

from airflow_voice_agents.emulator.fleet_seed import FLEET_KEY, fleet_seed
from airflow_voice_agents.emulator.server import EmulatorServer
from support.emulated import PRE_RELEASE, SANDBOX, place

OLD, NEW = "4" * 32, "5" * 32
PLAN_READS = ("pages", "active deployments", "history of sandbox")
WRITES = ("schema", "values", "deployment")
CHECKS = ("pages", "active deployments")
FLOOR = 2 * len(PLAN_READS) + len(WRITES) + len(CHECKS)
"""Requests per target that no promotion of page and deployment can do without: an exact apply reads all anew."""


@dataclass(frozen=True)
class Cost:
    """What a promotion cost.

    :param targets: how many targets it had.
    :param requests: how many requests the server saw.
    :param changed: how many things they changed.
    :param seconds: wall time of planning and applying.
    :param cpu: CPU seconds of the process meanwhile.
    :param waited: seconds for which it could have gone on, but others had the processors; 0 where the system
        does not tell.
    :param peak: most memory of the process, in MB.
    """

    targets: int
    requests: int
    changed: int
    seconds: float
    cpu: float
    waited: float
    peak: float


def measure(targets: int, *, latency: float, concurrency: int) -> Cost:
    """Promote page and deployment of so many projects, and say what it cost.

    :param targets: how many.
    :param latency: seconds that the server waits before each answer.
    :param concurrency: most requests in flight.
    """
    with _Process("serve", targets, latency) as server:
        url = server.line()["url"]
        with _Process("promote", url, targets, concurrency) as promotion:
            told = promotion.line()
        seen = server.ask()
    return Cost(targets=targets, **seen, **told)


class _Process:
    """A fresh interpreter that runs a function of this module and tells what it has found, line by line."""

    def __init__(self, function: str, *arguments: Any) -> None:
        path = os.pathsep.join(entry for entry in sys.path if entry)
        self._process = subprocess.Popen(
            [sys.executable, "-c", f"from support.scale import {function}; {function}(*{arguments!r})"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": path},
        )

    def line(self) -> dict[str, Any]:
        """Wait for what it tells next."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith("{"):
                told: dict[str, Any] = json.loads(line)
                return told
        raise AssertionError(f"the process ended with {self._process.wait()}")

    def ask(self) -> dict[str, Any]:
        """Have it tell the next thing."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return self.line()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate("", timeout=60)


# --------------------------------------------------------------------------- inside the processes


def serve(targets: int, latency: float) -> None:
    """Run a server until standard input ends; tell its address, and once asked, what it saw."""
    seed = fleet_seed(targets)
    for agent in seed["polyai"]["agents"].values():
        agent["deployments"] = [
            {"environment": environment, "version": version, "createdAt": f"2026-08-{day:02}T08:00:00Z"}
            for environment, version, day in ((SANDBOX, OLD, 3), (PRE_RELEASE, OLD, 4), (SANDBOX, NEW, 5))
        ]
    with EmulatorServer(seed, switches={"latency": latency}) as server:
        print(json.dumps({"url": server.url}), flush=True)
        for _ in sys.stdin:
            entries = server.journal.entries()
            seen = {"requests": server.journal.count(), "changed": sum(entry.changed for entry in entries)}
            print(json.dumps(seen), flush=True)


def promote(url: str, targets: int, concurrency: int) -> None:
    """Plan and apply, as two tasks of one DAG, and tell what it cost."""
    from airflow_voice_agents.polyai.operators.promotion import (
        PolyAIApplyPromotionOperator,
        PolyAIPlanPromotionOperator,
    )
    from support.airflow_runner import AirflowRunner

    for library in (
        "httpcore",
        "httpx",
    ):  # their DEBUG lines, which the harness keeps, cost more than the requests
        logging.getLogger(library).setLevel(logging.WARNING)
    runner = AirflowRunner(
        connections={
            "polyai_default": {
                "conn_type": "polyai",
                "host": url,
                "password": FLEET_KEY,
                "extra": {"max_concurrency": concurrency},
            }
        }
    )
    sites = [f"site-{index:0{max(4, len(str(targets)))}}" for index in range(1, targets + 1)]
    asked = [place(site, PRE_RELEASE, source=place(site, SANDBOX)) for site in sites]
    spec = {"config": {}, "deployment": {}, "targets": asked}
    with tempfile.TemporaryDirectory() as folder:
        usual: dict[str, Any] = {"concurrency": concurrency, "state_folder": folder}
        late = {
            "max_snapshot_age": 3600.0
        }  # on a slow machine more would be read again, which is not its floor
        with DAG("scale", schedule=None):
            plan = PolyAIPlanPromotionOperator(task_id="plan", spec=spec, **usual)
            apply = PolyAIApplyPromotionOperator(
                task_id="apply", plan=plan.output, waves=[1, "10%", "100%"], baseline="scale", **late, **usual
            )
        before = _clocks()
        outcomes = [runner.run(task) for task in (plan, apply)]
        seconds, cpu, waited = (now - then for now, then in zip(_clocks(), before, strict=True))
        left = list(Path(folder).rglob("*.lock"))
    assert not left
    for outcome in outcomes:
        assert outcome.state == "success", outcome.error
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 if sys.platform == "linux" else 1024**2)
    print(json.dumps({"seconds": seconds, "cpu": cpu, "waited": waited, "peak": peak}), flush=True)


def _clocks() -> tuple[float, float, float]:
    """Wall time, CPU time of this process, and time that its main thread waited for a processor."""
    statistics = Path("/proc/self/schedstat")
    waited = int(statistics.read_text().split()[1]) / 1e9 if statistics.exists() else 0.0
    return time.perf_counter(), time.process_time(), waited
