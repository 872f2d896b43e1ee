"""Real Airflow homes for full runs: a migrated SQLite database, DAG runs in processes of their own, services.

Airflow runs in child processes only, so that no test process holds a database session, and two tests in one
process cannot disturb each other. The database is migrated once per test session and copied from there.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from support.dag_forks import READ_LATE, DagForks

RUN_SCRIPT = Path(__file__).with_name("run_dag_file.py")
WARM = str(Path(__file__).with_name("warm_airflow.py"))
SERVICES = {
    "api-server": ("-m", "airflow", "api-server"),
    "scheduler": (WARM, "scheduler", "--skip-serve-logs"),
    "dag-processor": (WARM, "dag-processor"),
    "triggerer": ("-m", "airflow", "triggerer", "--skip-serve-logs"),
}
"""How each service is started; their logs are read from the home and not from a server."""

LOOPBACK = "127.0.0.1"


def migrated_template(folder: Path) -> Path:
    """Return a migrated database, made by whichever test process comes first; the others wait for it.

    :param folder: a folder that all test processes of the session share.
    """
    template = folder / "airflow-template" / "airflow.db"
    with _locked(folder / "airflow-template.lock"):
        if not template.exists():
            shutil.rmtree(template.parent, ignore_errors=True)
            home = AirflowHome(template.parent.with_suffix(".making"))
            shutil.rmtree(home.path, ignore_errors=True)
            home.path.mkdir(parents=True)
            home.airflow("db", "migrate")
            home.path.rename(template.parent)
    return template


@dataclass(frozen=True)
class DagRunResult:
    """What a DAG run came to."""

    state: str
    tasks: dict[str, str]
    """State per task id; a mapped instance is ``task_id[index]``."""
    xcoms: dict[str, dict[str, Any]]
    """XComs per task, named as in ``tasks``."""
    asset_events: list[dict[str, Any]]
    """``uri`` and ``extra`` of every asset event, in order."""
    output: str
    """Everything the run printed and logged."""


@dataclass
class AirflowHome:
    """An Airflow home that belongs to one test.

    :param path: the folder; DAG files go to its ``dags``.
    :param settings: environment for every process of this home, over the defaults.
    :param forks: what runs DAG files faster; ``None`` starts Airflow anew for each run.
    """

    path: Path
    settings: dict[str, str] = field(default_factory=dict)
    forks: DagForks | None = None
    _sessions: set[int] = field(default_factory=set)

    @classmethod
    def create(cls, path: Path, template: Path, forks: DagForks | None = None) -> AirflowHome:
        """Make a home with a copy of a migrated database.

        :param template: as :func:`migrated_template` returned it.
        """
        (path / "dags").mkdir(parents=True)
        shutil.copyfile(template, path / "airflow.db")
        return cls(path, forks=forks)

    @property
    def environment(self) -> dict[str, str]:
        """The environment of this home's processes; nothing of the user's Airflow gets in."""
        return self._environment(self.path)

    def _environment(self, path: Path) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
        return {
            **inherited,
            "AIRFLOW_HOME": str(path),
            "AIRFLOW__CORE__DAGS_FOLDER": str(path / "dags"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__DATABASE__LOAD_DEFAULT_CONNECTIONS": "False",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{path}/airflow.db",
            "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
            "NO_PROXY": LOOPBACK,
            "no_proxy": LOOPBACK,
            **self.settings,
        }

    def connect(self, conn_id: str, **fields: Any) -> None:
        """Define a connection; ``extra`` may be a mapping.

        :param conn_id: id of the Airflow connection.
        """
        self.settings[f"AIRFLOW_CONN_{conn_id.upper()}"] = json.dumps(fields)

    def add_dag(self, source: Path) -> Path:
        """Copy a DAG file into the home and return its new path."""
        return Path(shutil.copy(source, self.path / "dags" / source.name))

    def airflow(self, *arguments: str, timeout: float = 300) -> str:
        """Run Airflow's command line and return what it printed.

        :param timeout: seconds.
        """
        return self._run([sys.executable, "-m", "airflow", *arguments], timeout)

    def run_dag_file(
        self,
        source: Path,
        *,
        dag_id: str | None = None,
        conf: Mapping[str, Any] | None = None,
        timeout: float = 300,
    ) -> DagRunResult:
        """Run a DAG from start to end with ``dag.test()``, deferred tasks with their triggers in line.

        :param source: the DAG file, which is copied into the home.
        :param dag_id: which DAG of the file; ``None`` takes its only one.
        :param conf: conf of the run.
        :param timeout: seconds.
        """
        (self.path / "dags").mkdir(exist_ok=True)
        wanted = {"file": str(self.add_dag(source)), "dag_id": dag_id, "conf": dict(conf or {})}
        answer = self.path / "run.json"
        answer.unlink(missing_ok=True)
        if self.forks is not None and all(name.startswith(READ_LATE) for name in self.settings):
            output = self._fork(self.forks, {**wanted, "file": f"dags/{source.name}"}, timeout)
        else:
            output = self._run([sys.executable, str(RUN_SCRIPT), json.dumps(wanted), str(answer)], timeout)
        return DagRunResult(**json.loads(answer.read_text()), output=output)

    def processes(self) -> list[psutil.Process]:
        """Return every living process of this home, whoever its parent is now.

        It was started with this home, or in the session of a forked run.
        """
        return [process for process in psutil.process_iter() if self._owns(process)]

    def _owns(self, process: psutil.Process) -> bool:
        try:
            if process.status() == psutil.STATUS_ZOMBIE:
                return False
            if os.getsid(process.pid) in self._sessions:
                return True
            return process.environ().get("AIRFLOW_HOME") == str(self.path)
        except (psutil.Error, OSError):
            return False

    def end_processes(self) -> None:
        """Kill every process of this home.

        Task processes leave their parent's process group, so ending groups is not enough.
        """
        deadline = time.monotonic() + 10
        while (left := self.processes()) and time.monotonic() < deadline:
            for process in left:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
            psutil.wait_procs(left, timeout=1)

    def _fork(self, forks: DagForks, wanted: Mapping[str, Any], timeout: float) -> str:
        code, output = forks.run(
            self.path, self._environment, wanted, timeout=timeout, started=self._sessions.add
        )
        if code:
            raise AssertionError(f"the run of {wanted['file']} ended with {code}:\n{output[-8000:]}")
        return output

    def _run(self, command: Sequence[str], timeout: float) -> str:
        done = subprocess.run(
            command,
            env=self.environment,
            cwd=self.path,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout,
            check=False,
        )
        if done.returncode:
            raise AssertionError(
                f"{' '.join(command[:4])} … ended with {done.returncode}:\n{done.stdout[-8000:]}"
            )
        return done.stdout


@dataclass
class AirflowServices:
    """A running Airflow: api-server, scheduler, dag-processor and triggerer on free loopback ports.

    Use it as a context manager; nothing is left running afterwards, however the block ends.

    :param home: a migrated home whose DAG files are in place.
    :param patience: seconds to wait for all services to be healthy.
    """

    home: AirflowHome
    patience: float = 120
    url: str = ""
    """Base URL of the REST API, without a trailing slash."""
    token: str = ""
    _started: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def __enter__(self) -> AirflowServices:
        port = _free_port()
        self.url = f"http://{LOOPBACK}:{port}"
        self.home.settings |= {
            "AIRFLOW__API__BASE_URL": self.url,
            "AIRFLOW__API__HOST": LOOPBACK,
            "AIRFLOW__API__PORT": str(port),
            "AIRFLOW__API__SECRET_KEY": "for-tests-only",
            "AIRFLOW__API__WORKERS": "1",
            "AIRFLOW__API_AUTH__JWT_SECRET": "for-tests-only-but-long-enough-for-the-signature",
            "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{self.url}/execution/",
            "AIRFLOW__CORE__PARALLELISM": "2",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
            "AIRFLOW__SCHEDULER__SCHEDULER_HEARTBEAT_SEC": "1",
            "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.2",
            "AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC": "1",
            "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",  # Airflow 3.1 can notice a task's end no earlier
            "AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT": "60",  # a busy machine answers late, and that fails no task
        }
        try:
            for service in SERVICES:
                self.start(service)
            self._wait_until_healthy()
            self.token = self.request("GET", "/auth/token")["access_token"]
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """End every service at once, and then whatever is left of this home; nobody needs its database any more."""
        for service in list(self._started):
            self.kill(service)
        self.home.end_processes()

    def kill(self, service: str) -> None:
        """End a service and its children at once, as a machine that fails does."""
        process = self._started.pop(service)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(timeout=10)

    def start(self, service: str) -> None:
        """Start one of the services, which does not run."""
        with self._log(service).open("wb") as log:
            self._started[service] = subprocess.Popen(
                [sys.executable, *SERVICES[service]],
                env=self.home.environment,
                cwd=self.home.path,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def request(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """Send a request to Airflow's REST API and return the decoded answer.

        :param path: with its leading slash, such as ``/api/v2/dags``.
        """
        request = urllib.request.Request(  # noqa: S310 (a loopback address)
            self.url + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json", "Authorization": f"Bearer {self.token}"},
        )
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=30) as answer:
            return json.loads(answer.read())

    def run_dag(self, dag_id: str, *, conf: Mapping[str, Any] | None = None, timeout: float = 180) -> str:
        """Start a DAG run over the REST API, wait for its end, and return its run id.

        :param timeout: seconds to wait for the DAG to be known, and again for the run to end.
        :raises AssertionError: if the run does not succeed in time; the message holds the services' logs.
        """
        self._wait(lambda: self._dag_is_known(dag_id), timeout, f"DAG {dag_id} to be parsed")
        body = {"logical_date": None, "conf": dict(conf or {})}
        run_id = str(self.request("POST", f"/api/v2/dags/{dag_id}/dagRuns", body)["dag_run_id"])
        path = f"/api/v2/dags/{dag_id}/dagRuns/{run_id}"
        ended = ("success", "failed")
        self._wait(lambda: self.request("GET", path)["state"] in ended, timeout, f"run {run_id} to end")
        if (state := self.request("GET", path)["state"]) != "success":
            raise AssertionError(f"run {run_id} ended {state}\n{self.logs()}")
        return run_id

    def logs(self, characters: int = 3000) -> str:
        """Return the end of each service's log."""
        parts = (f"--- {service}\n{self._log(service).read_text()[-characters:]}" for service in SERVICES)
        return "\n".join(parts)

    def _log(self, service: str) -> Path:
        return self.home.path / f"{service}.log"

    def _wait_until_healthy(self) -> None:
        self._wait(self._healthy, self.patience, "Airflow to be healthy")

    def _healthy(self) -> bool:
        health = self.request("GET", "/api/v2/monitor/health")
        return all(part and part["status"] == "healthy" for part in health.values())

    def _dag_is_known(self, dag_id: str) -> bool:
        return bool(self.request("GET", f"/api/v2/dags/{dag_id}")["dag_id"])

    def _wait(self, condition: Any, seconds: float, what: str) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            with contextlib.suppress(urllib.error.URLError, ConnectionError, TimeoutError):
                if condition():
                    return
            if ended := [name for name, process in self._started.items() if process.poll() is not None]:
                raise AssertionError(f"{ended} ended by itself\n{self.logs()}")
            time.sleep(0.25)
        raise AssertionError(f"waited {seconds} s for {what}\n{self.logs()}")


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _free_port() -> int:
    with socket.socket() as one:
        one.bind((LOOPBACK, 0))
        return int(one.getsockname()[1])
