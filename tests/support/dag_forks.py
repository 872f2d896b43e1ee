"""Runs of DAG files, forked from one process that has Airflow loaded; importing it again takes most of a run.

A run still has a process of its own, which starts from an Airflow that has run nothing. Airflow takes the path
of its home when it is imported, so that path is a link here, which leads to the home of the run under way.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import random
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NoReturn

SERVED = (
    f"import sys; sys.path.insert(0, {str(Path(__file__).parents[1])!r}); "
    "from support.dag_forks import serve; serve(int(sys.argv[1]))"
)
READ_LATE = ("AIRFLOW_CONN_", "AIRFLOW_VAR_", "AIRFLOW__VOICE_AGENTS__", "AIRFLOW__CORE__FERNET_KEY")
"""Settings that Airflow looks up when it needs them; others may have been read while it was imported."""
NOT_SHARED = ("__", "support", "unusual_prefix_")
"""What a run has loaded and the next one loads for itself: the main module and DAG files."""

Environment = Callable[[Path], dict[str, str]]
"""Environment of an Airflow home by its path."""


@dataclass
class DagForks:
    """A process with Airflow loaded, started when it is first needed.

    :param folder: an empty folder of its own.
    """

    folder: Path
    _process: subprocess.Popen[bytes] | None = None
    _line: Connection | None = None

    @property
    def home(self) -> Path:
        """The link to the home of the run under way."""
        return self.folder / "home"

    def run(
        self,
        home: Path,
        environment: Environment,
        wanted: Mapping[str, Any],
        *,
        timeout: float,
        started: Callable[[int], object],
    ) -> tuple[int, str]:
        """Run a DAG file and return the exit code and what was printed.

        :param home: the home; ``wanted["file"]`` is relative to it.
        :param wanted: ``file``, ``dag_id`` and ``conf``.
        :param timeout: seconds.
        :param started: learns the process, which leads a session of its own.
        """
        line = self._line or self._start(environment(self.home))
        self._lead_to(home)
        output = self.folder / "output"
        output.write_bytes(b"")
        line.send(
            {
                "environment": environment(self.home),
                "cwd": str(self.home),
                "wanted": {**wanted, "file": str(self.home / wanted["file"])},
                "answer": str(self.home / "run.json"),
                "output": str(output),
                "modules": str(self.folder / "modules"),
            }
        )
        pid = self._answer(line, timeout)
        started(pid)
        try:
            code = self._answer(line, timeout)
        except TimeoutError:
            os.killpg(pid, signal.SIGKILL)
            self._answer(line, timeout)
            raise
        return code, output.read_text(errors="replace")

    def close(self) -> None:
        """End the process."""
        if self._process is not None and self._line is not None:
            self._process.kill()
            self._process.wait()
            self._line.close()
        self._process = self._line = None

    def _start(self, environment: Mapping[str, str]) -> Connection:
        (own := self.folder / "home-of-its-own").mkdir()  # Airflow writes to its home while it is imported
        self._lead_to(own)
        self._line, theirs = Pipe()
        with theirs, (self.folder / "log").open("w") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-c", SERVED, str(theirs.fileno())],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(theirs.fileno(),),
            )
        self._answer(self._line, timeout=300)
        return self._line

    def _lead_to(self, home: Path) -> None:
        new = self.folder / "next"
        new.symlink_to(home, target_is_directory=True)
        new.replace(self.home)

    def _answer(self, line: Connection, timeout: float) -> int:
        if not line.poll(timeout):
            raise TimeoutError(f"no end of the run after {timeout} s")
        try:
            return int(line.recv())
        except EOFError:
            raise AssertionError((self.folder / "log").read_text()[-8000:]) from None


# ------------------------------------------------------------------------------------- in that process


def serve(descriptor: int) -> None:
    """Run what comes, one after the other; answer each time with its process, and with its exit code."""
    from support import run_dag_file

    line = Connection(descriptor)
    line.send(os.getpid())  # all is loaded
    while True:
        try:
            order = line.recv()
        except EOFError:
            return
        gc.collect()
        gc.freeze()
        if not (pid := os.fork()):
            line.close()
            _run(order, run_dag_file.main)
        line.send(pid)
        _, status = os.waitpid(pid, 0)
        _load_what_was_loaded(Path(order["modules"]))
        line.send(os.waitstatus_to_exitcode(status))


def _run(order: Mapping[str, Any], main: Callable[[dict[str, Any], Path], None]) -> NoReturn:
    code = 1
    try:
        _take_over(order)
        main(order["wanted"], Path(order["answer"]))
        Path(order["modules"]).write_text("\n".join(sys.modules))
        code = 0
    except BaseException:  # noqa: BLE001  a fork must not go on as its parent
        traceback.print_exc()
    finally:
        with contextlib.suppress(BaseException):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _take_over(order: Mapping[str, Any]) -> None:
    """Become a process like one that was started for this run alone."""
    os.setsid()
    os.chdir(order["cwd"])
    printed = os.open(order["output"], os.O_WRONLY | os.O_APPEND)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for target, source in ((0, nothing), (1, printed), (2, printed)):
        os.dup2(source, target)
    os.environ.clear()
    os.environ.update(order["environment"])
    random.seed()

    from airflow.configuration import conf

    conf.mask_secrets()


def _load_what_was_loaded(modules: Path) -> None:
    """Import what a run has imported, so that the next one finds it; without a name of any Airflow version."""
    if not modules.exists():
        return
    for name in modules.read_text().split("\n"):
        if name not in sys.modules and not name.startswith(NOT_SHARED):
            with contextlib.suppress(Exception):
                importlib.import_module(name)
    modules.unlink()
