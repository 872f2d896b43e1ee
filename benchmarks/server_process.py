"""The local server in a process of its own, told what to do and asked what happened, line by line.

Seeds of thousands of projects are made here, where their documents are shared, and the final state is
compared here, so that neither costs a contestant anything.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import jobs

from airflow_voice_agents.emulator.server import EmulatorServer

GRACE = 3.0
"""Seconds that a request under way may still take when facts are asked for."""


class Server:
    """Handle on the server's process.

    Use it as a context manager; the process ends with it.
    """

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.url: str = self._answer()["url"]

    def prepare(
        self,
        kind: str,
        sizes: dict[str, Any],
        *,
        switches: dict[str, Any] | None = None,
        faults: list[dict[str, Any]] | None = None,
    ) -> dict[str, Any]:
        """Start over before a job; return the order for the contestant and the floor of requests.

        :param kind: which job.
        :param sizes: its sizes.
        :param switches: of the server.
        :param faults: rules, as the server's control route takes them.
        """
        return self._ask(do="prepare", kind=kind, sizes=sizes, switches=switches or {}, faults=faults or [])

    def facts(self) -> dict[str, Any]:
        """Return what happened since :meth:`prepare`."""
        return self._ask(do="facts")

    def count(self) -> dict[str, int]:
        """Return the requests and the applied writes so far."""
        return self._ask(do="count")

    def calm(self) -> None:
        """Remove faults and limits; latency stays."""
        self._ask(do="calm")

    def forget(self) -> None:
        """Begin counting anew."""
        self._ask(do="forget")

    def close(self) -> None:
        """End the process."""
        if self._process.stdin:
            self._process.stdin.close()
        self._process.wait(timeout=20)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _ask(self, **order: Any) -> dict[str, Any]:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("the server's process ended")
        answer: dict[str, Any] = json.loads(line)
        return answer


# --------------------------------------------------------------------------- inside the process


class Desk:
    """Carries out what the other side asks for."""

    def __init__(self, server: EmulatorServer) -> None:
        self._server = server
        self._job: jobs.Job | None = None
        self._cpu = 0.0

    def answer(self, order: dict[str, Any]) -> dict[str, Any]:
        """Do as told.

        :param order: ``do`` names the method, the rest are its arguments.
        """
        result: dict[str, Any] = getattr(self, order.pop("do"))(**order)
        return result

    def prepare(
        self, kind: str, sizes: dict[str, Any], switches: dict[str, Any], faults: list[dict[str, Any]]
    ) -> dict[str, Any]:
        """Start over before a job."""
        self._job = jobs.make(kind, **sizes)
        self._server.reset(self._job.seed())
        self._server.switches.update(switches)
        self._server.emulator.faults.add_described(faults)
        self._cpu = _cpu()
        return {
            "order": self._job.order(),
            "floor": self._job.floor(),
            "fewest_writes": self._job.fewest_writes(),
            "items": self._job.items,
        }

    def facts(self) -> dict[str, Any]:
        """Tell what happened since."""
        self._settle()
        cpu = _cpu() - self._cpu
        entries = self._server.journal.entries()
        applied = Counter((each.path, each.digest) for each in entries if each.changed)
        assert self._job is not None
        with self._server.state.lock:
            wrong = self._job.wrong(self._server.polyai)
        return {
            "requests": len(entries),
            "by_verb": dict(Counter(each.method for each in entries)),
            "by_operation": dict(Counter(str(each.operation) for each in entries)),
            "by_status": dict(Counter(str(each.status) for each in entries)),
            "faults": dict(Counter(each.fault for each in entries if each.fault)),
            "writes": sum(each.changed for each in entries),
            "duplicate_writes": jobs.repeats(applied),
            "wrong": wrong,
            "server_cpu": cpu,
        }

    def count(self) -> dict[str, int]:
        """Count requests and applied writes so far."""
        entries = self._server.journal.entries()
        return {"requests": len(entries), "writes": sum(each.changed for each in entries)}

    def calm(self) -> dict[str, Any]:
        """Remove faults and limits."""
        self._server.clear_faults()
        self._server.switches.rate_limit = 0.0
        return {}

    def forget(self) -> dict[str, Any]:
        """Begin counting anew, once nothing is under way."""
        self._settle()
        self._server.journal.clear()
        self._cpu = _cpu()
        return {}

    def _settle(self) -> None:
        """Wait for requests that a dead client left behind."""
        end = time.monotonic() + GRACE
        while time.monotonic() < end and any(self._under_way()):
            time.sleep(0.05)

    def _under_way(self) -> list[bool]:
        return [each.status is None and "reset" not in (each.fault or "") for each in self._latest()]

    def _latest(self) -> list[Any]:
        return self._server.journal.entries()[-64:]


def _cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    """Serve until standard input ends."""
    with EmulatorServer(seed={}) as server:
        desk = Desk(server)
        print(json.dumps({"url": server.url}), flush=True)
        for line in sys.stdin:
            print(json.dumps(desk.answer(json.loads(line))), flush=True)


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    main()
