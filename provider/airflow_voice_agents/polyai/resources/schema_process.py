"""The process that evaluates schemas: started on demand, reused within a run, and killed beyond its limits.

A schema is a program of somebody else's: its cost cannot be foreseen. So it runs where neither time nor memory that it
takes can hurt anybody. The process holds no credentials, and it ends with the one that started it, however that ends.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from typing import Any

import msgspec

from airflow_voice_agents.plans.kind import WouldWaitError, must_not_wait
from airflow_voice_agents.polyai.resources.schema_evaluation import OUT_OF_MEMORY

SECONDS = 5.0
"""Computing time of one evaluation."""
PATIENCE = 30.0
"""Seconds that pass at most until an answer, on a machine that has other things to do."""
MEGABYTES = 256
"""Memory of the process that evaluates."""
_MODULE = "airflow_voice_agents.polyai.resources.schema_evaluation"
_INHERITED = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "PYTHONHOME", "VIRTUAL_ENV", "TZ")
"""Environment variables that Python may need; all others, which may hold secrets, stay here."""
_KILLED_FOR_TIME = frozenset({-signal.SIGPROF, -signal.SIGXCPU})
_KILLED_FOR_MEMORY = frozenset({OUT_OF_MEMORY, -signal.SIGABRT, -signal.SIGKILL})
"""Its own end, that of a library in C++, and the system's choice where memory is short."""


class NotEvaluated(Exception):
    """A schema cannot be evaluated here; the text says within which limit, or why.

    :param reason: continues "the schema cannot be evaluated".
    :param lasting: whether another try would end the same way.
    """

    def __init__(self, reason: str, *, lasting: bool) -> None:
        super().__init__(f"the schema cannot be evaluated {reason}")
        self.reason = reason
        self.lasting = lasting

    def again(self) -> NotEvaluated:
        """Return the same error to be raised once more, without the traceback of the first time."""
        return NotEvaluated(self.reason, lasting=self.lasting)


class _Worker(msgspec.Struct):
    process: subprocess.Popen[bytes]
    channel: socket.socket
    answered: int = 0


class SchemaProcess:
    """Asks the process, one question at a time; it blocks, so no event loop may call it.

    :param seconds: computing time of one evaluation.
    :param patience: seconds until an answer.
    :param megabytes: memory of the process.
    """

    def __init__(
        self, seconds: float = SECONDS, patience: float = PATIENCE, megabytes: int = MEGABYTES
    ) -> None:
        self.seconds = seconds
        self.patience = patience
        self.megabytes = megabytes
        self.started = 0
        """Processes started so far."""
        self._lock = threading.Lock()
        self._worker: _Worker | None = None

    @property
    def pid(self) -> int | None:
        """The process that runs now."""
        return self._worker.process.pid if self._worker else None

    def ask(self, question: Mapping[str, Any]) -> list[str]:
        """Ask a question and return what was found.

        :param question: as :func:`.schema_evaluation.answer` takes it.
        :raises WouldWaitError: in an event loop.
        :raises NotEvaluated: beyond a limit, or when no such process can run here.
        """
        if must_not_wait.get():
            raise WouldWaitError
        line = json.dumps(question).encode() + b"\n"
        with self._lock:
            used = self._worker is not None and self._worker.answered > 0
            try:
                said = self._exchange(line)
            except _Ended as ended:
                if not used or ended.code in _KILLED_FOR_TIME:
                    raise self._limit_of(ended.code) from None
                said = self._exchange_fresh(line)  # what it kept of others may have been too much
        if over := said.get("over"):
            raise NotEvaluated(f"within {over}", lasting=True)
        return list(said["found"])

    def close(self) -> None:
        """End the process; the next question starts another."""
        with self._lock:
            self._stop()

    def forget(self) -> None:
        """Let go of the process without ending it, after a fork: it belongs to the parent."""
        self._lock = threading.Lock()
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.channel.close()  # else the process would outlive the parent
            worker.process.returncode = 0  # it is no child of this process

    def _exchange_fresh(self, line: bytes) -> dict[str, Any]:
        try:
            return self._exchange(line)
        except _Ended as ended:
            raise self._limit_of(ended.code) from None

    def _limit_of(self, code: int | None) -> NotEvaluated:
        if code in _KILLED_FOR_TIME:
            return NotEvaluated(f"within {self.seconds:g} s of computing time", lasting=True)
        if code in _KILLED_FOR_MEMORY:
            return NotEvaluated(f"within {self.megabytes} MB of memory", lasting=code != -signal.SIGKILL)
        return NotEvaluated(f"here: the process that does it ended with code {code}", lasting=False)

    def _exchange(self, line: bytes) -> dict[str, Any]:
        try:
            worker = self._worker or self._start()
        except OSError as error:
            raise NotEvaluated(
                f"here: no process for it could be started ({type(error).__name__})", lasting=False
            ) from None
        try:
            said: dict[str, Any] = json.loads(self._answer(worker, line, time.monotonic() + self.patience))
        except TimeoutError:
            self._stop(at_once=True)
            raise NotEvaluated(f"within {self.patience:g} s", lasting=False) from None
        except (OSError, EOFError):
            raise _Ended(self._stop()) from None
        except (
            BaseException
        ):  # a task's own time-out, say: the answer would be taken for that of the next question
            self._stop(at_once=True)
            raise
        worker.answered += 1
        return said

    @staticmethod
    def _answer(worker: _Worker, line: bytes, deadline: float) -> bytearray:
        channel, answer = worker.channel, bytearray()
        channel.settimeout(max(deadline - time.monotonic(), 0.001))
        channel.sendall(line)
        while not answer.endswith(b"\n"):
            channel.settimeout(max(deadline - time.monotonic(), 0.001))
            part = channel.recv(65536)
            if not part:
                raise EOFError
            answer += part
        return answer

    def _start(self) -> _Worker:
        ours, theirs = socket.socketpair()
        try:
            process = subprocess.Popen(  # noqa: S603  this interpreter, with fixed arguments
                [sys.executable, "-P", "-m", _MODULE, str(self.seconds), str(self.megabytes << 20)],
                stdin=theirs.fileno(),
                stdout=theirs.fileno(),
                stderr=subprocess.DEVNULL,
                env=_environment(),
            )
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        self.started += 1
        self._worker = _Worker(process, ours)
        return self._worker

    def _stop(self, *, at_once: bool = False) -> int | None:
        """End the process, and return the code that it ended with by itself; ``None`` where it had not."""
        worker, self._worker = self._worker, None
        if worker is None:
            return None
        worker.channel.close()
        if not at_once:
            with contextlib.suppress(subprocess.TimeoutExpired):
                return worker.process.wait(timeout=1.0)
        worker.process.kill()
        worker.process.wait()
        return None


class _Ended(Exception):
    def __init__(self, code: int | None) -> None:
        super().__init__(code)
        self.code = code


def _environment() -> dict[str, str]:
    kept = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    path = os.pathsep.join(entry for entry in sys.path if entry)
    return {**kept, "PYTHONPATH": path, "MALLOC_ARENA_MAX": "1"}


PROCESS = SchemaProcess()
"""The process that evaluates for this one."""
atexit.register(PROCESS.close)
os.register_at_fork(after_in_child=PROCESS.forget)
