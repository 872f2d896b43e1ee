"""The processes of a production run: started in one temporary folder, and none left when it ends."""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import psutil

LOOPBACK = "127.0.0.1"
GRACE = 10.0
"""Seconds between asking a process to end and killing it."""
PR_SET_CHILD_SUBREAPER = 36
"""From ``linux/prctl.h``: whoever loses its parent becomes a child of this process."""


class RunError(Exception):
    """The run, or one scenario of it, did not come to its end; the message says why."""


class Service:
    """A process that can be ended, killed like a machine that fails, and started again.

    :param name: what its log is called.
    :param command: command line.
    :param environment: its whole environment.
    :param folder: where it works.
    :param log: file that gets what it prints.
    """

    def __init__(
        self, name: str, command: Sequence[str], environment: Mapping[str, str], folder: Path, log: Path
    ) -> None:
        self.name = name
        self.polite = False
        """Whether it has to be asked to end, because it would leave something behind."""
        self._command = list(command)
        self._environment = dict(environment)
        self._folder = folder
        self.log = log
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def runs(self) -> bool:
        """Whether it was started and has not ended."""
        return self._process is not None and self._process.poll() is None

    @property
    def ended_by_itself(self) -> bool:
        """Whether it was started, and ended although nobody asked it to."""
        return self._process is not None and self._process.poll() is not None

    def start(self) -> None:
        """Start it; what it prints is added to its log."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                env=self._environment,
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def end(self, number: int = signal.SIGTERM) -> None:
        """Ask it to end, and kill what is left of it after a while.

        :param number: signal that asks.
        """
        if self._process is None:
            return
        family = self._family()
        if self._process.poll() is None:
            self._process.send_signal(number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(GRACE)
        _kill(family)
        self._process.wait()
        self._process = None

    def kill(self) -> None:
        """End it and all of its descendants at once, as a machine that fails does."""
        if self._process is None:
            return
        family = self._family()
        for process in family:  # nobody has the time to notice that another one is gone
            with contextlib.suppress(psutil.Error):
                process.suspend()
        _kill([*self._family(), *family])
        self._process.wait()
        self._process = None

    def tail(self, characters: int = 3000) -> str:
        """Return the end of its log."""
        return self.log.read_text(errors="replace")[-characters:] if self.log.exists() else ""

    def _family(self) -> list[psutil.Process]:
        assert self._process is not None
        with contextlib.suppress(psutil.Error):
            parent = psutil.Process(self._process.pid)
            return [parent, *parent.children(recursive=True)]
        return []


class Folder:
    """The temporary folder of a run; on the way out everything that was started is ended and the folder removed.

    :param keep: whether the folder stays, for its logs.
    """

    def __init__(self, *, keep: bool = False) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="voice-agents-production-")).resolve()
        self.path.chmod(0o755)  # Postgres runs as another user
        self.keep = keep
        self._services: list[Service] = []
        adopt_orphans()

    def service(
        self, name: str, command: Sequence[str], environment: Mapping[str, str], folder: Path | None = None
    ) -> Service:
        """Return a service that ends with the run; it is not started yet.

        :param name: what its log is called.
        :param command: command line.
        :param environment: its whole environment.
        :param folder: where it works; ``None`` takes the run's own.
        """
        made = Service(name, command, environment, folder or self.path, self.path / f"{name}.log")
        self._services.append(made)
        return made

    def __enter__(self) -> Folder:
        return self

    def __exit__(self, *_: object) -> None:
        for service in self._services:
            if not service.polite:
                service.kill()
        for service in self._services:
            service.end()
        _kill(psutil.Process().children(recursive=True))
        if not self.keep:
            shutil.rmtree(self.path, ignore_errors=True)


def adopt_orphans() -> None:
    """Become the parent of every descendant that loses its own, so that none is overlooked at the end."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def free_ports(count: int) -> list[int]:
    """Return ports of the loopback interface that nobody listens on."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind((LOOPBACK, 0))
        return [one.getsockname()[1] for one in sockets]


def wait_until(
    condition: Callable[[], object],
    seconds: float,
    what: str,
    *,
    said: Callable[[], str] = lambda: "",
    every: float = 0.25,
) -> float:
    """Wait until a condition holds, and return how many seconds that took; an error of the network is a no.

    :param condition: asked again and again.
    :param seconds: how long at most.
    :param what: ends the sentence "waited for".
    :param said: more to say when it was in vain.
    :param every: seconds between two questions.
    :raises RunError: when it does not come true in time.
    """
    started = time.monotonic()
    while True:
        with contextlib.suppress(OSError, ValueError, KeyError):
            if condition():
                return time.monotonic() - started
        if time.monotonic() - started > seconds:
            raise RunError(f"waited {seconds:.0f} s for {what}\n{said()}")
        time.sleep(every)


def listens(port: int) -> bool:
    """Return whether somebody takes connections on a port of the loopback interface."""
    with contextlib.suppress(OSError), socket.create_connection((LOOPBACK, port), timeout=1):
        return True
    return False


def bare_environment() -> dict[str, str]:
    """Return this process's environment without anything of Airflow or of a cloud account."""
    return {
        **{
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("AIRFLOW", "AWS_", "_AIRFLOW", "PYTEST"))
        },
        "NO_PROXY": LOOPBACK,
        "no_proxy": LOOPBACK,
        "PYTHONUNBUFFERED": "1",
    }


def _kill(processes: Sequence[psutil.Process]) -> None:
    for process in processes:
        with contextlib.suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(processes, timeout=GRACE)
