"""Airflow's real trigger runner in a process of its own, and what its supervisor does, without a database.

The runner is what a triggerer starts; it speaks to its supervisor over a socket at descriptor 0. Here the
test is that supervisor: it hands out triggers as a triggerer does that found them in the database, answers
what they ask for, and collects what they send.
"""

from __future__ import annotations

import asyncio
import json
import os
import queue
import re
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec
from airflow.configuration import conf
from airflow.executors.workloads import RunTrigger
from airflow.jobs.triggerer_job_runner import messages
from airflow.models.trigger import Trigger
from airflow.sdk.execution_time.comms import _RequestFrame, _ResponseFrame
from airflow.triggers.base import BaseTrigger, TriggerEvent

BLOCKED = re.compile(r"async thread was blocked for ([\d.]+) seconds")
"""The warning of the trigger runner's watchdog."""
BLOCKED_SECONDS = 1.0
"""Its threshold, high enough that a busy machine does not trip it; it is fixed at 0.2 before Airflow 3.2."""


class Blocking(BaseTrigger):
    """Blocks the event loop, to show that this would be seen."""

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path."""
        return f"{__name__}.Blocking", {}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Sleep as no trigger may, and let the watchdog wake up."""
        time.sleep(BLOCKED_SECONDS + 0.5)  # noqa: ASYNC251
        await asyncio.sleep(0.3)
        yield TriggerEvent({"status": "success"})


class Triggerer:
    """A running trigger runner.

    :param connections: fields of the Airflow connections that triggers may ask for, by id.
    :param log: file for what it prints.
    """

    def __init__(self, connections: Mapping[str, Mapping[str, Any]], log: Path) -> None:
        self.connections = connections
        self.events: dict[int, list[Any]] = {}
        """Payloads of the events so far, by trigger."""
        self.failures: list[Any] = []
        self.finished: set[int] = set()
        self.asked: list[str] = []
        """Types of the messages that triggers sent."""
        self._log = log
        self._to_create: queue.SimpleQueue[RunTrigger] = queue.SimpleQueue()
        self._ours, theirs = socket.socketpair()
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-c", "from support.triggerer import serve; serve()"],
                stdin=theirs,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **_settings()},
            )
        theirs.close()
        self._send(_ResponseFrame(0, messages.StartTriggerer().model_dump()))
        self._reader = threading.Thread(target=self._supervise, name="supervisor")
        self._reader.start()

    def create(self, trigger_id: int, classpath: str, kwargs: Mapping[str, Any]) -> None:
        """Have a trigger run, from what the database holds of it.

        :param trigger_id: its id.
        :param classpath: its class.
        :param kwargs: its arguments.
        """
        stored = json.loads(json.dumps(kwargs))
        encrypted = Trigger.encrypt_kwargs(stored)
        no_task = dict.fromkeys(RunTrigger.model_fields.keys() & {"ti"})  # required in older versions
        workload = RunTrigger(id=trigger_id, classpath=classpath, encrypted_kwargs=encrypted, **no_task)
        self._to_create.put(workload)

    def wait(self, trigger_ids: Iterable[int], seconds: float = 120) -> None:
        """Return when these triggers have ended.

        :raises AssertionError: when that takes too long, or the process has ended.
        """
        wanted, deadline = set(trigger_ids), time.monotonic() + seconds
        while not wanted <= self.finished:
            assert time.monotonic() < deadline, f"{len(wanted - self.finished)} triggers have not ended"
            self.check()
            time.sleep(0.05)

    def check(self) -> None:
        """Fail if the process has ended."""
        assert self._process.poll() is None, self.log[-5000:]

    @property
    def log(self) -> str:
        """What the process has printed so far."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    @property
    def blocked(self) -> list[float]:
        """The seconds for which a trigger blocked the others, each time that it was above the threshold.

        The watchdog of older versions warns of less; that comes from a busy machine.
        """
        found = [float(seconds) for seconds in BLOCKED.findall(self.log)]
        return [seconds for seconds in found if seconds >= BLOCKED_SECONDS]

    def trail(self) -> str:
        """Return what a test that waited in vain shows: failures, messages, events, and the end of the log."""
        return f"{self.failures}\n{self.asked}\n{self.events}\n{self.log[-5000:]}"

    @property
    def pid(self) -> int:
        """The process in which triggers run."""
        return self._process.pid

    def kill(self) -> None:
        """End the process at once, as a crash would."""
        self._process.kill()
        self._end()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process.poll() is None:
            self._process.terminate()
        self._end()

    def _end(self) -> None:
        try:
            self._process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join(timeout=20)
        self._ours.close()

    def _supervise(self) -> None:
        decoder = msgspec.msgpack.Decoder(_RequestFrame)
        try:
            while head := self._read(4):
                frame = decoder.decode(self._read(struct.unpack(">I", head)[0]))
                self._send(_ResponseFrame(frame.id, self._answer(frame.body or {})))
        except OSError:
            return

    def _read(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            part = self._ours.recv(count - len(data))
            if not part:
                return b""
            data += part
        return data

    def _send(self, frame: _ResponseFrame) -> None:
        self._ours.sendall(frame.as_bytes())

    def _answer(self, message: dict[str, Any]) -> dict[str, Any]:
        kind = message["type"]
        if kind == "TriggerStateChanges":
            return self._sync(message)
        self.asked.append(kind)
        if kind == "GetConnection":
            fields = ("host", "schema", "login", "password", "port", "extra")
            found = {**dict.fromkeys(fields), **self.connections[message["conn_id"]]}
            return {"type": "ConnectionResult", "conn_id": message["conn_id"], **found}
        return {"type": "OKResponse", "ok": True}

    def _sync(self, message: dict[str, Any]) -> dict[str, Any]:
        for trigger_id, event, *_ in message.get("events") or ():
            self.events.setdefault(trigger_id, []).append(event["payload"])
        self.failures += message.get("failures") or ()
        self.finished.update(message.get("finished") or ())
        new = []
        while not self._to_create.empty():
            new.append(self._to_create.get())
        return messages.TriggerStateSync(to_create=new, to_cancel=set()).model_dump()


def _settings() -> dict[str, str]:
    """What both processes must agree on; in tests each would make up an encryption key of its own."""
    path = os.pathsep.join(entry for entry in sys.path if entry)
    return {
        "PYTHONPATH": path,
        "AIRFLOW__CORE__FERNET_KEY": conf.get("core", "fernet_key"),
        "AIRFLOW__TRIGGERER__BLOCKED_MAIN_THREAD_WARNING_THRESHOLD": str(BLOCKED_SECONDS),
    }


def serve() -> None:
    """What a triggerer's child process does; it is forked from one that has Airflow's models loaded."""
    from airflow.jobs.triggerer_job_runner import TriggerRunnerSupervisor

    from support.airflow_versions import decode_trigger_kwargs

    decode_trigger_kwargs(Trigger._decrypt_kwargs(Trigger.encrypt_kwargs({})))
    TriggerRunnerSupervisor.run_in_process()
