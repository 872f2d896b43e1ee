"""Tasks in processes of their own that can be killed, forked from one that has everything loaded and warm."""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import pickle
import signal
import socket
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any
from unittest import mock

from airflow.sdk import BaseOperator

KEEPING = ("SetTaskStateStore", "DeleteTaskStateStore", "SetXCom")
"""Messages by which Airflow keeps something."""

SPAWNED = [
    sys.executable,
    "-c",
    "import sys; from support.forked_tasks import serve; serve(int(sys.argv[1]))",
]


@dataclass(frozen=True)
class Attempt:
    """One attempt of a task.

    :param operator: its class.
    :param arguments: what the operator is made with.
    :param url: the local server.
    :param key: API key of the connection.
    :param try_number: from 1.
    :param store: what earlier attempts left in the task's state store.
    :param last_message: number of the message to Airflow after which the process kills itself, from 1;
        0 for never.
    :param last_moment: number of the moment at which it kills itself, as :class:`.Moments` counts them.
    :param batch: targets per checkpoint of a promotion; 0 leaves it as it is.
    :param task_id: its task's name; that of another task is another run to a lock.
    :param quiet: whether the log leaves out what the HTTP libraries say, which takes longer than the requests.
    :param state_in_files: whether its state is kept in files, as before Airflow 3.3.
    """

    operator: type
    arguments: Mapping[str, Any]
    url: str
    key: str
    try_number: int = 1
    store: Mapping[Any, Any] = field(default_factory=dict)
    last_message: int = 0
    last_moment: int = 0
    batch: int = 0
    task_id: str = "job"
    quiet: bool = False
    state_in_files: bool = False


@dataclass(frozen=True)
class Leftovers:
    """What a process still has after the task that it did not have before."""

    threads: list[str]
    descriptors: list[str]
    children: bool
    warnings: list[str]
    """Sockets, files and event loops that only the garbage collector closed."""

    @property
    def any(self) -> bool:
        return bool(self.threads or self.descriptors or self.children or self.warnings)


@dataclass(frozen=True)
class Ended:
    """How a process ended, and what its task came to unless it was killed."""

    exit_code: int
    state: str = ""
    error: str = ""
    """Class of the error, empty without one."""
    text: str = ""
    xcoms: Mapping[str, Any] = field(default_factory=dict)
    log: str = ""
    left: Leftovers | None = None
    store: Mapping[Any, Any] = field(default_factory=dict)
    messages: tuple[str, ...] = ()
    """What was said to Airflow, in order."""
    moments: tuple[str, ...] = ()
    """What was done to the world outside, in order."""


class Leaking(BaseOperator):
    """Leaves behind whatever can be left behind, to show that it would be found."""

    def execute(self, context: Any) -> None:
        """Start a thread, a process and a file, and drop a socket unclosed."""
        threading.Thread(target=threading.Event().wait, name="leak", daemon=True).start()
        self.kept = os.open(os.devnull, os.O_RDONLY)
        socket.socket()
        if os.fork() == 0:
            os._exit(0)


class Nursery:
    """A single-threaded process that forks one child per attempt."""

    def __init__(self) -> None:
        self._line, theirs = Pipe()
        path = os.pathsep.join(entry for entry in sys.path if entry)
        self._process = subprocess.Popen(
            [*SPAWNED, str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            env={**os.environ, "PYTHONPATH": path},
        )
        theirs.close()

    def warm(self, attempt: Attempt) -> None:
        """Run an attempt in the process that all others are forked from."""
        self._line.send(("warm", [attempt]))
        self._line.recv()

    def run(self, *attempts: Attempt, started: Callable[[list[int]], Any] = lambda _: None) -> list[Ended]:
        """Run attempts side by side, each in a fresh process, until all have ended.

        :param started: told the process ids.
        """
        self._line.send(("run", list(attempts)))
        started(self._line.recv())
        ended: list[Ended] = self._line.recv()
        return ended

    def close(self) -> None:
        """End the process."""
        self._line.close()
        self._process.wait(timeout=20)


# --------------------------------------------------------------------------- inside the processes


def serve(descriptor: int) -> None:
    """Fork and wait as told, until the other side hangs up."""
    line = Connection(descriptor)
    while True:
        try:
            order, attempts = line.recv()
        except EOFError:
            return
        if order == "warm":
            _carry_out(attempts[0], lambda _: None)
            line.send(None)
        else:
            gc.freeze()  # what all share is neither looked through nor copied by each
            children = [_fork(attempt) for attempt in attempts]
            line.send([pid for pid, _ in children])
            line.send([_await(*child, attempt) for child, attempt in zip(children, attempts, strict=True)])


def _fork(attempt: Attempt) -> tuple[int, Connection]:
    if threading.active_count() != 1:
        raise RuntimeError("a process with threads cannot be forked safely")
    receiver, sender = Pipe(duplex=False)
    pid = os.fork()
    if pid:
        sender.close()
        return pid, receiver
    try:
        sender.send(_carry_out(attempt, sender.send))
    except BaseException:  # noqa: BLE001  a fork must not go on as its parent
        sender.send(Ended(1, text=traceback.format_exc()))
        os._exit(1)
    os._exit(0)


def _await(pid: int, receiver: Connection, attempt: Attempt) -> Ended:
    store, last = attempt.store, None
    with contextlib.suppress(EOFError, pickle.UnpicklingError):
        while True:
            last = receiver.recv()
            store = last if isinstance(last, dict) else store
    receiver.close()
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    ended = last if isinstance(last, Ended) else Ended(code)
    return replace(ended, exit_code=code, store=store)


def _carry_out(attempt: Attempt, tell: Callable[[Any], None]) -> Ended:
    from airflow_voice_agents.state import locks
    from airflow_voice_agents.transport import rate_pace, retry
    from support.airflow_runner import AirflowRunner
    from support.moments import Moments

    moments = Moments(attempt.last_moment)

    class Telling(AirflowRunner):
        """Hands every change of the state store out, as Airflow does, so that it outlives the process."""

        def _answer(self, msg: Any) -> Any:
            name = type(msg).__name__
            with moments.around(name) if name in KEEPING else contextlib.nullcontext():
                answer = super()._answer(msg)
                if "TaskStateStore" in name and not name.startswith("Get"):
                    tell(dict(self.state_store))
            if len(self.sent) == attempt.last_message:
                os.kill(os.getpid(), signal.SIGKILL)
            return answer

    retry.FIRST_WAIT, retry.MAX_REFUSALS, locks.POLL = 0.0, 5, 0.05
    rate_pace.SLOWEST = rate_pace.SLOWEST_GUESS = 1e9
    for library in ("httpcore", "httpx"):
        logging.getLogger(library).setLevel(logging.WARNING if attempt.quiet else logging.NOTSET)
    runner = Telling(
        connections={
            f"{kind}_default": {"conn_type": kind, "host": attempt.url, "password": attempt.key}
            for kind in ("polyai", "omniavoice")
        },
        state_store={name: dict(values) for name, values in attempt.store.items()},
    )
    with (
        _leftovers() as left,
        moments.watched(),
        _batched(attempt.batch),
        _state_in_files() if attempt.state_in_files else contextlib.nullcontext(),
    ):
        outcome = runner.run(
            attempt.operator(task_id=attempt.task_id, **attempt.arguments), try_number=attempt.try_number
        )
    return Ended(
        exit_code=0,
        state=outcome.state,
        error=type(outcome.error).__name__ if outcome.error else "",
        text=str(outcome.error or ""),
        xcoms=outcome.xcoms,
        log=outcome.log,
        left=left[0],
        messages=tuple(type(message).__name__ for message in outcome.sent),
        moments=tuple(moments.passed),
    )


def _batched(size: int) -> Any:
    """Let checkpoints be of so many targets."""
    from airflow_voice_agents.engine.checkpoints import Checkpoints

    defaults = Checkpoints.__init__.__kwdefaults__ or {}
    return mock.patch.dict(defaults, {"batch": size} if size else {})


def _state_in_files() -> Any:
    """Keep the state of tasks as in an Airflow that has no store for it."""
    from airflow_voice_agents.state import task_state

    return mock.patch.object(task_state, "airflow_task_state", return_value=None)


@contextlib.contextmanager
def _leftovers() -> Iterator[list[Leftovers]]:
    import warnings

    threads, descriptors = set(threading.enumerate()), set(_descriptors())
    found: list[str] = []
    before = sys.unraisablehook
    sys.unraisablehook = lambda event: found.append(repr(event.exc_value))
    result: list[Leftovers] = []
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", ResourceWarning)
            yield result
            open_now = {fd: where for fd, where in _descriptors().items() if fd not in descriptors}
            gc.collect()
    finally:
        sys.unraisablehook = before
    result.append(
        Leftovers(
            threads=[each.name for each in threading.enumerate() if each not in threads],
            descriptors=sorted(open_now.values()),
            children=_has_children(),
            warnings=found,
        )
    )


def _descriptors() -> dict[int, str]:
    """The open file descriptors, and what they lead to where the system tells."""
    found = {}
    for path in list(Path("/dev/fd").iterdir()):
        with contextlib.suppress(OSError):
            os.fstat(int(path.name))
            found[int(path.name)] = _target(path.name)
    return found


def _target(descriptor: str) -> str:
    try:
        return str(Path(f"/proc/self/fd/{descriptor}").readlink())
    except OSError:
        return descriptor


def _has_children() -> bool:
    try:
        os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        return False
    return True
