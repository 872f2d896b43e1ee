"""Runs a contestant in a fresh process against the local server, and gathers what can be known of it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from contestants import Contestant
from server_process import Server

from airflow_voice_agents.emulator.fleet_seed import FLEET_KEY

HERE = Path(__file__).parent
IN_FLIGHT = 16
LONGEST = 900
"""Seconds that one process may take."""


class Bench:
    """A server and a folder for what contestants are told.

    :param server: the local server.
    :param folder: scratch space.
    """

    def __init__(self, server: Server, folder: Path) -> None:
        self.server = server
        self._folder = folder
        self._order = folder / "order.json"

    def run(self, contestant: Contestant, work: Mapping[str, Any]) -> dict[str, Any]:
        """Start over, let a contestant do the work, and return its measures and the server's facts.

        :param contestant: who.
        :param work: ``kind``, ``sizes``, ``switches`` and ``faults`` of :meth:`Server.prepare`.
        """
        prepared = self._prepare(work)
        done = self._finish(self._start(contestant))
        facts = self.server.facts()
        return {**done, **facts, "floor": prepared["floor"], "items": prepared["items"]}

    def bare(self, work: Mapping[str, Any]) -> dict[str, Any]:
        """Send the reads of a promotion without anything around them.

        :param work: as for :meth:`run`.
        """
        prepared = self._prepare(work)
        done = self._finish(self._process("bare.py", {}, self._told()))
        return {**done, **self.server.facts(), "floor": prepared["floor"], "items": prepared["items"]}

    def killed(self, contestant: Contestant, work: Mapping[str, Any], share: float) -> dict[str, Any]:
        """Kill a contestant on its way, run it again, and tell what the second run took.

        :param contestant: who.
        :param work: as for :meth:`run`.
        :param share: of the fewest writes, after which it is killed.
        """
        prepared = self._prepare(work)
        writes = prepared["fewest_writes"] * share
        process = self._start(contestant)
        while process.poll() is None and self.server.count()["writes"] < writes:
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        before = self.server.facts()
        done = self._finish(self._start(contestant))
        after = self.server.facts()
        return {
            **done,
            "killed_after_writes": before["writes"],
            "left_wrong": before["wrong"],
            "requests_again": after["requests"] - before["requests"],
            "writes_again": after["writes"] - before["writes"],
            "duplicate_writes": after["duplicate_writes"],
            "wrong": after["wrong"],
            "items": prepared["items"],
        }

    def ceiling(self, connections_seconds: float) -> dict[str, float]:
        """Measure how much the server can answer without latency.

        :param connections_seconds: how long to ask.
        """
        self.server.prepare("promote", {"projects": 1, "changed": 0.0})
        command = [sys.executable, str(HERE / "ceiling.py"), self.server.url, FLEET_KEY, "template"]
        done = subprocess.run(
            [*command, str(connections_seconds)], capture_output=True, text=True, check=True
        )
        facts = self.server.facts()
        return {
            "requests_per_second": float(done.stdout),
            "server_cpu_per_request": facts["server_cpu"] / facts["requests"],
        }

    def _prepare(self, work: Mapping[str, Any]) -> dict[str, Any]:
        prepared = self.server.prepare(**work)
        self._order.write_text(json.dumps(prepared["order"]))
        return prepared

    def _told(self) -> dict[str, Any]:
        return {"url": self.server.url, "key": FLEET_KEY, "in_flight": IN_FLIGHT}

    def _start(self, contestant: Contestant) -> subprocess.Popen[str]:
        told = {**self._told(), "dag_file": str(contestant.file)}
        return self._process("child.py", contestant.environment, told)

    def _process(
        self, script: str, environment: Mapping[str, str], told: Mapping[str, Any]
    ) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, str(HERE / script), json.dumps(told)],
            env={**clean_environment(self._folder), "BENCH_ORDER": str(self._order), **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def _finish(self, process: subprocess.Popen[str]) -> dict[str, Any]:
        try:
            output, errors = process.communicate(timeout=LONGEST)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            raise
        if process.returncode:
            raise RuntimeError(f"a contestant's process ended with {process.returncode}:\n{errors[-4000:]}")
        result: dict[str, Any] = json.loads(output.strip().splitlines()[-1])
        return result


def clean_environment(folder: Path) -> dict[str, str]:
    """Give an environment in which nothing of the user's Airflow is left, and bytecode is kept.

    The provider is run from its sources here; whoever installs it has bytecode from the start.

    :param folder: where an Airflow home may be.
    """
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("AIRFLOW") and name != "PYTHONDONTWRITEBYTECODE"
    }
    return {
        **inherited,
        "AIRFLOW_HOME": str(folder / "airflow-home"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__VOICE_AGENTS__TRANSPORT": "httpx",
        "PYTHONHASHSEED": "0",
    }


def scratch() -> tempfile.TemporaryDirectory[str]:
    """Give a folder that is removed at the end."""
    return tempfile.TemporaryDirectory(prefix="voice-agents-bench-")
