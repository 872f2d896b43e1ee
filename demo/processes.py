"""The demo's processes: the local server, Airflow, and a temporary home that all of them carry."""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import psutil

LOOPBACK = "127.0.0.1"
KEY = "demo-key-uk"
CARRIER_PROJECT, CARRIER_TOKEN = "2f6c1f0e-8a6b-4d0e-9c34-5b1d7e9a0c21", "demo-token-hotels"
OMNIA_KEY = "demo-omnia-key"
HERE = Path(__file__).parent
START_LIMIT = 120.0
"""Seconds that anything may take to start."""
GRACE = 8.0
"""Seconds between asking a process to end and killing it."""


class DemoError(Exception):
    """The demo cannot go on; the message says why."""


def connections(url: str) -> dict[str, dict[str, Any]]:
    """Return the connections of all DAGs by id: one local server stands in for all three platforms.

    :param url: where it listens.
    """
    local = urllib.parse.urlsplit(url)
    server = {"host": f"{local.scheme}://{local.hostname}", "port": local.port}
    return {
        "polyai_default": {
            "conn_type": "polyai",
            "password": KEY,
            "extra": {"account_id": "demo-uk"},
            **server,
        },
        "signalwire_default": {
            "conn_type": "signalwire",
            "login": CARRIER_PROJECT,
            "password": CARRIER_TOKEN,
            **server,
        },
        "omniavoice_default": {
            "conn_type": "omniavoice",
            "password": OMNIA_KEY,
            **server,
            "host": f"{url}/api/v1",
        },
    }


class Home:
    """A temporary Airflow home, and every process that belongs to it.

    Airflow's own children leave their parent's process group and outlive it, so ending groups is not
    enough. They are found by the session that they were started in, or by the home in their environment;
    processes that give themselves a title overwrite the latter.
    """

    def __init__(self) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="voice-agents-demo-")).resolve()
        self.log = self.path / "demo.log"
        self._sessions: set[int] = set()
        (self.path / "dags").mkdir()
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")},
            "AIRFLOW_HOME": str(self.path),
            "AIRFLOW__CORE__DAGS_FOLDER": str(self.path / "dags"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__DATABASE__LOAD_DEFAULT_CONNECTIONS": "False",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{self.path}/airflow.db",
            "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
            "NO_PROXY": LOOPBACK,
            "no_proxy": LOOPBACK,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
            "PYTHONUNBUFFERED": "1",
        }

    def add(self, folder: Path) -> None:
        """Copy a folder's DAG files, and the tables that they read, to where Airflow looks for them."""
        for path in sorted([*folder.glob("*.py"), *folder.glob("*.csv")]):
            shutil.copy(path, self.path / "dags")

    def connect(self, url: str) -> None:
        """Define the connection that the demo's own DAG uses, where nobody looks at Airflow's list of them."""
        self.environment["AIRFLOW_CONN_POLYAI_DEFAULT"] = json.dumps(connections(url)["polyai_default"])

    def configure(self, local_settings: Path) -> None:
        """Copy a file of policies to where Airflow looks for it."""
        (self.path / "config").mkdir()
        shutil.copy(local_settings, self.path / "config" / "airflow_local_settings.py")

    def start(self, *arguments: str, **options: Any) -> subprocess.Popen[str]:
        """Start Python with these arguments in a session of its own; what it prints goes to the log."""
        with self.log.open("a") as log:
            process = subprocess.Popen(  # noqa: S603 - the demo's own commands
                [sys.executable, *arguments],
                env=self.environment,
                cwd=self.path,
                text=True,
                start_new_session=True,
                **{"stdin": subprocess.DEVNULL, "stdout": log, "stderr": log, **options},
            )
        self._sessions.add(process.pid)
        return process

    def prepare_database(self) -> None:
        """Make Airflow's database."""
        if self.start("-m", "airflow", "db", "migrate").wait():
            raise DemoError("Airflow's database could not be made")

    def processes(self) -> list[psutil.Process]:
        """Return every living process of this home, whoever its parent is now."""
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

    def end(self, *, keep: bool) -> None:
        """End every process of this home, and remove it.

        :param keep: whether the folder stays, for its log.
        """
        living = self.processes()
        for process in living:
            with contextlib.suppress(psutil.Error):
                process.terminate()
        psutil.wait_procs(living, timeout=GRACE)
        deadline = time.monotonic() + GRACE
        while (living := self.processes()) and time.monotonic() < deadline:
            for process in living:
                with contextlib.suppress(psutil.Error):
                    process.kill()
            psutil.wait_procs(living, timeout=1)
        if not keep:
            shutil.rmtree(self.path, ignore_errors=True)


class Emulator:
    """The local server as a process of its own.

    :param home: home that the process carries.
    :param seed: seed file, or ``None`` for the one that is shipped.
    :param port: port to listen on if it is free.
    """

    def __init__(self, home: Home, seed: Path | None = None, port: int = 0) -> None:
        options = ["--port", str(port and free_port(port)), *(["--seed", str(seed)] if seed else [])]
        self._process = home.start("-m", "airflow_voice_agents.emulator", *options, stdout=subprocess.PIPE)
        self.url = self._address()

    def _address(self) -> str:
        assert self._process.stdout is not None  # noqa: S101 - it was asked for
        for line in self._process.stdout:
            if found := re.search(r"address\s+(http://\S+)", line):
                return found[1]
        raise DemoError("the local server did not start")

    def state(self) -> dict[str, Any]:
        """Return everything that the server holds."""
        return dict(request(f"{self.url}/_emulator/state"))

    def take_journal(self) -> list[dict[str, Any]]:
        """Return the requests since the last call."""
        entries: list[dict[str, Any]] = request(f"{self.url}/_emulator/journal")["entries"]
        request(f"{self.url}/_emulator/journal", "DELETE")
        return entries


class Runner:
    """Airflow in a process that runs one DAG whenever it is told to.

    :param home: a home with a database.
    :param dag_file: the DAG file.
    """

    def __init__(self, home: Home, dag_file: Path) -> None:
        reader, writer = os.pipe()
        self._process = home.start(
            str(HERE / "airflow_side.py"),
            str(dag_file),
            str(writer),
            stdin=subprocess.PIPE,
            pass_fds=(writer,),
        )
        os.close(writer)
        self._events = os.fdopen(reader, encoding="utf-8")
        self.airflow = str(self._next()["airflow"])

    def run(self) -> Iterator[dict[str, Any]]:
        """Run the DAG and yield what happens, up to the event ``finished``."""
        assert self._process.stdin is not None  # noqa: S101 - it was asked for
        self._process.stdin.write("run\n")
        self._process.stdin.flush()
        event: dict[str, Any] = {}
        while event.get("event") != "finished":
            event = self._next()
            yield event

    def _next(self) -> dict[str, Any]:
        line = self._events.readline()
        if not line:
            raise DemoError("Airflow ended before its work was done")
        return dict(json.loads(line))


class Standalone:
    """``airflow standalone``: scheduler, triggerer, DAG processor and web interface, loopback only.

    :param home: a home with its DAG files in place.
    :param port: port of the web interface if it is free.
    """

    def __init__(self, home: Home, port: int) -> None:
        port = free_port(port)
        self.url = f"http://{LOOPBACK}:{port}"
        home.environment |= {
            "AIRFLOW__API__BASE_URL": self.url,
            "AIRFLOW__API__HOST": LOOPBACK,
            "AIRFLOW__API__PORT": str(port),
            "AIRFLOW__API__SECRET_KEY": secrets.token_hex(),
            "AIRFLOW__API__WORKERS": "1",
            "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_hex(),
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{self.url}/execution/",
            "AIRFLOW__CORE__PARALLELISM": "4",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
            "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",
            "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(free_port(0)),
            "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(free_port(0)),
        }
        self._process = home.start("-m", "airflow", "standalone")

    def wait_until_up(self, dag_id: str) -> None:
        """Wait until all parts are healthy and a DAG is known.

        :raises DemoError: when that takes too long, or Airflow ended.
        """
        deadline = time.monotonic() + START_LIMIT
        while time.monotonic() < deadline and self._process.poll() is None:
            with contextlib.suppress(OSError, ValueError):
                if self._healthy() and self._knows(dag_id):
                    return
            time.sleep(0.5)
        raise DemoError("Airflow did not start")

    def connect(self, connections: Mapping[str, Mapping[str, Any]]) -> None:
        """Store connections in Airflow's database, where its list shows them.

        :param connections: the fields of each by its id.
        """
        for conn_id, fields in connections.items():
            body = {"connection_id": conn_id, **fields}
            body["extra"] = json.dumps(fields["extra"]) if "extra" in fields else None
            request(f"{self.url}/api/v2/connections", "POST", token=self._token(), body=body)

    def wait(self) -> None:
        """Wait until it ends by itself, which it should not."""
        self._process.wait()
        raise DemoError("Airflow ended by itself")

    def _healthy(self) -> bool:
        parts = request(f"{self.url}/api/v2/monitor/health")
        return all(part and part["status"] == "healthy" for part in parts.values())

    def _knows(self, dag_id: str) -> bool:
        return bool(request(f"{self.url}/api/v2/dags/{dag_id}", token=self._token())["dag_id"])

    def _token(self) -> str:
        return str(request(f"{self.url}/auth/token")["access_token"])


def free_port(wanted: int) -> int:
    """Return a port of the loopback interface: the wanted one if it is free, else any."""
    for port in (wanted, 0):
        with contextlib.suppress(OSError), socket.create_server((LOOPBACK, port)) as listener:
            return int(listener.getsockname()[1])
    raise DemoError("no port is free")


def request(url: str, method: str = "GET", token: str = "", body: Mapping[str, Any] | None = None) -> Any:
    """Send a request to this machine and return the decoded answer, or ``None`` without one."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    data = None
    if body is not None:
        headers["Content-Type"], data = "application/json", json.dumps(body).encode()
    asked = urllib.request.Request(url, data, method=method, headers=headers)  # noqa: S310 - a loopback address
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(asked, timeout=30) as answer:
        content = answer.read()
    return json.loads(content) if content else None
