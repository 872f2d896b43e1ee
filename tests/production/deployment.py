"""An Airflow as teams run it: two Celery workers with homes of their own, two triggerers, Postgres, Redis and S3."""

from __future__ import annotations

import contextlib
import json
import secrets
import shutil
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from backends import BUCKET, ObjectStorage, Postgres, Redis
from cryptography.fernet import Fernet
from services import (
    LOOPBACK,
    Folder,
    RunError,
    Service,
    bare_environment,
    free_ports,
    wait_until,
)

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
WORKERS = ("worker-a", "worker-b")
TRIGGERERS = ("triggerer-a", "triggerer-b")
START_LIMIT = 400.0
"""Seconds that the whole Airflow has to start."""
MIGRATION = "migration"
STATE_CONNECTION = "state_store"
TASKS_PER_WORKER = "3"
RETRY_SECONDS = "10"
HUMAN = 3.0
"""Seconds after which a person answers; the scheduler has to hear first that the task has left its worker."""

TIMES = {
    "AIRFLOW__CELERY__TASK_ACKS_LATE": "True",
    "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "600",
    "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.5",
    "AIRFLOW__SCHEDULER__SCHEDULER_HEARTBEAT_SEC": "2",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "30",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "5",
    "AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC": "2",
    "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "15",
    "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "5",
}
"""Settings that find out within seconds that something is gone; Airflow's defaults take minutes."""


class Deployment:
    """A running Airflow and what it stands on.

    :param folder: folder of the run.
    """

    def __init__(self, folder: Folder) -> None:
        self.folder = folder
        self.postgres = Postgres(folder)
        self.redis = Redis(folder)
        self.storage = ObjectStorage(folder)
        (port,) = free_ports(1)
        self.url = f"http://{LOOPBACK}:{port}"
        self.dags = folder.path / "dags"
        self.dags.mkdir()
        self._settings = {**self._of_airflow(port), **TIMES, **self._of_voice_agents()}
        self.services: dict[str, Service] = {}
        self._token = ""

    def start(self) -> None:
        """Start everything, and return once all parts are healthy."""
        for backend in (self.postgres, self.redis, self.storage):
            backend.start()
        migrate = self.service(MIGRATION, "db", "migrate")
        migrate.start()
        wait_until(lambda: not migrate.runs, START_LIMIT, "the database's migration", said=migrate.tail)
        for name in ("api-server", "scheduler", "dag-processor"):
            self.service(name, name).start()
        for name in TRIGGERERS:
            self.service(name, "triggerer").start()
        for name in WORKERS:
            self.worker(name, queues=f"default,{name}").start()
        ready = lambda: self.healthy() and self.knows_dags()  # noqa: E731
        wait_until(ready, START_LIMIT, "Airflow to be healthy", said=self.logs, every=1)
        self._connect(
            STATE_CONNECTION,
            conn_type="aws",
            login="for-tests",
            password="for-tests",
            extra={"endpoint_url": self.storage.url, "region_name": "us-east-1"},
        )

    def service(
        self,
        name: str,
        *arguments: str,
        before: tuple[str, ...] = (),
        settings: Mapping[str, str] | None = None,
    ) -> Service:
        """Return a process of Airflow with a home of its own; it is not started yet.

        :param name: what its home and its log are called.
        :param arguments: the command line of ``airflow``.
        :param before: a command that starts it.
        :param settings: environment over that of the deployment.
        """
        home = self.folder.path / "homes" / name
        (home / "config").mkdir(parents=True, exist_ok=True)
        for module in ("airflow_local_settings.py", "production_host.py"):
            shutil.copy(HERE / "home" / module, home / "config")
        shutil.copy(ROOT / "demo" / "local_settings.py", home / "config" / "demo_settings.py")
        logs = self.folder.path / "logs" / name
        log_port, trigger_port = free_ports(2)
        environment = {
            **bare_environment(),
            **self._settings,
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(logs),
            "AIRFLOW__LOGGING__DAG_PROCESSOR_CHILD_PROCESS_LOG_DIRECTORY": str(logs / "dag_processor"),
            "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(log_port),
            "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(trigger_port),
            **(settings or {}),
        }
        command = [*before, sys.executable, "-m", "airflow", *arguments]
        made = self.folder.service(name, command, environment, home if home.exists() else None)
        self.services[name] = made
        return made

    def worker(self, name: str, *, queues: str, **options: Any) -> Service:
        """Return a Celery worker, not started yet.

        :param name: name of the machine, so to say.
        :param queues: queues that it takes tasks from.
        :param options: as :meth:`service` takes them.
        """
        return self.service(
            name,
            *("celery", "worker", "--queues", queues, "--celery-hostname", f"{name}@%h"),
            *("--concurrency", TASKS_PER_WORKER, "--without-mingle", "--without-gossip"),
            **options,
        )

    def revive(self) -> list[str]:
        """Start again what ended by itself, as systemd or Kubernetes does; return what that was."""
        ended = [name for name, each in self.services.items() if each.ended_by_itself and name != MIGRATION]
        for name in ended:
            self.services[name].start()
        return ended

    def healthy(self) -> bool:
        """Return whether all parts say that they are well, and both workers wait for tasks."""
        health = self.request("GET", "/api/v2/monitor/health", token=False)
        ready = all("ready." in self.services[name].log.read_text(errors="replace") for name in WORKERS)
        return ready and all(part and part["status"] == "healthy" for part in health.values())

    def knows_dags(self) -> bool:
        """Return whether every DAG file has been read, without an error."""
        files = {path.name for path in self.dags.glob("*.py")}
        dags = self.request("GET", "/api/v2/dags?limit=100")["dags"]
        if errors := self.request("GET", "/api/v2/importErrors")["import_errors"]:
            raise RunError(str(errors))
        return files <= {each["relative_fileloc"] for each in dags}

    def request(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, *, token: bool = True
    ) -> Any:
        """Send a request to Airflow's REST API and return the decoded answer.

        :param path: with its leading slash, such as ``/api/v2/dags``.
        """
        if token and not self._token:
            self._token = self.request("GET", "/auth/token", token=False)["access_token"]
        request = urllib.request.Request(  # noqa: S310  a loopback address
            self.url + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json", "Authorization": f"Bearer {self._token}"},
        )
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=30) as answer:
                content = answer.read()
        except urllib.error.HTTPError as error:
            if error.code in (400, 409, 422):
                raise RunError(f"{method} {path}: {error.code} {error.read().decode()[:500]}") from None
            raise
        return json.loads(content) if content else None

    def connect(self, url: str) -> None:
        """Store the connections of all DAGs in Airflow's database: one local server for all platforms.

        :param url: where the local server listens.
        """
        sys.path.append(str(ROOT / "demo"))
        from processes import connections

        for conn_id, fields in connections(url).items():
            self._connect(conn_id, **fields)

    def _connect(self, conn_id: str, *, extra: Mapping[str, Any] | None = None, **fields: Any) -> None:
        body = {"connection_id": conn_id, "extra": json.dumps(extra) if extra else None, **fields}
        self.request("POST", "/api/v2/connections", body)

    def trigger(self, dag_id: str, **conf: Any) -> Run:
        """Start a run of a DAG.

        :param conf: its params.
        """
        wait_until(
            lambda: self.request("GET", f"/api/v2/dags/{dag_id}"), 120, f"DAG {dag_id}", said=self.logs
        )
        self.pause(dag_id, paused=False)
        body = {"logical_date": None, "conf": conf}
        answer = self.request("POST", f"/api/v2/dags/{dag_id}/dagRuns", body)
        return Run(self, dag_id, answer["dag_run_id"])

    def pause(self, dag_id: str, *, paused: bool = True) -> None:
        """Let a DAG begin no further run, or let it go on."""
        self.request("PATCH", f"/api/v2/dags/{dag_id}?update_mask=is_paused", {"is_paused": paused})

    def logs(self, characters: int = 1500) -> str:
        """Return the end of each process's log."""
        return "\n".join(f"--- {name}\n{each.tail(characters)}" for name, each in self.services.items())

    def task_logs(self, dag_id: str, task_id: str) -> str:
        """Return what a task logged in all of its runs and tries, on whatever machine."""
        pattern = f"*/dag_id={dag_id}/run_id=*/task_id={task_id}/**/*.log"
        paths = sorted((self.folder.path / "logs").glob(pattern))
        return "\n".join(path.read_text(errors="replace") for path in paths)

    def _of_airflow(self, port: int) -> dict[str, str]:
        return {
            "AIRFLOW__API__BASE_URL": self.url,
            "AIRFLOW__API__HOST": LOOPBACK,
            "AIRFLOW__API__PORT": str(port),
            "AIRFLOW__API__SECRET_KEY": secrets.token_hex(32),
            "AIRFLOW__API__WORKERS": "1",
            "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_hex(32),
            "AIRFLOW__CELERY__BROKER_URL": self.redis.url(0),
            "AIRFLOW__CELERY__RESULT_BACKEND": f"db+postgresql://{self.postgres.dsn}",
            "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "True",
            "AIRFLOW__CORE__DAGS_FOLDER": str(self.dags),
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{self.url}/execution/",
            "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
            "AIRFLOW__CORE__FERNET_KEY": Fernet.generate_key().decode(),
            "AIRFLOW__CORE__HOSTNAME_CALLABLE": "production_host.name",
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
            "AIRFLOW__DATABASE__LOAD_DEFAULT_CONNECTIONS": "False",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"postgresql+psycopg2://{self.postgres.dsn}",
            "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
            "PRODUCTION_RETRY_SECONDS": RETRY_SECONDS,
        }

    def _of_voice_agents(self) -> dict[str, str]:
        return {
            "AIRFLOW__VOICE_AGENTS__STATE_FOLDER": f"s3://{STATE_CONNECTION}@{BUCKET}/voice-agents",
            "AIRFLOW__VOICE_AGENTS__RATE_LIMIT_STORE": self.redis.url(1),
        }


@dataclass(frozen=True)
class Run:
    """A run of a DAG."""

    airflow: Deployment
    dag_id: str
    run_id: str

    @property
    def path(self) -> str:
        """Where the REST API has it."""
        return f"/api/v2/dags/{self.dag_id}/dagRuns/{self.run_id}"

    def instances(self) -> dict[str, dict[str, Any]]:
        """Return the task instances by task id; a mapped one is ``task_id[index]``."""
        found: dict[str, dict[str, Any]] = {}
        total = 1
        while len(found) < total:
            query = f"{self.path}/taskInstances?limit=100&offset={len(found)}"
            page = self.airflow.request("GET", query)
            total = page["total_entries"]
            if not page["task_instances"]:
                break
            for each in page["task_instances"]:
                index = each["map_index"]
                name = each["task_id"] if index < 0 else f"{each['task_id']}[{index}]"
                found[name] = each
        return found

    def states(self) -> dict[str, str]:
        """Return the state per task."""
        return {name: each["state"] for name, each in self.instances().items()}

    def state(self) -> str:
        """Return the run's state."""
        return str(self.airflow.request("GET", self.path)["state"])

    def reach(self, task_id: str, *states: str, seconds: float = 180) -> float:
        """Wait until a task has one of the states, and return how many seconds that took."""
        return wait_until(
            lambda: self.states().get(task_id) in states,
            seconds,
            f"{self.dag_id}.{task_id} to be {' or '.join(states)}",
            said=self.told,
        )

    def answer(self, task_id: str, option: str) -> None:
        """Wait for a question, and answer it as a person does."""
        self.reach(task_id, "awaiting_input")
        time.sleep(HUMAN)
        self.choose(task_id, option)

    def choose(self, task_id: str, option: str, index: int = -1) -> None:
        """Answer a question that is there."""
        details = f"{self.path}/taskInstances/{task_id}/{index}/hitlDetails"
        self.airflow.request("PATCH", details, {"chosen_options": [option], "params_input": {}})

    def end(self, *, seconds: float = 300) -> str:
        """Wait for the run's end and return its state."""
        wait_until(
            lambda: self.state() in ("success", "failed"), seconds, f"{self.dag_id} to end", said=self.told
        )
        return self.state()

    def succeed(self, *, seconds: float = 300) -> None:
        """Wait for the run's end.

        :raises RunError: if it is not a good one.
        """
        if (state := self.end(seconds=seconds)) != "success":
            raise RunError(f"{self.dag_id} ended {state}\n{self.told()}")

    def give_up(self) -> None:
        """End the run, whatever its tasks are doing."""
        self.airflow.request("PATCH", self.path, {"state": "failed"})

    def xcom(self, task_id: str, key: str = "return_value", index: int = -1) -> Any:
        """Return an XCom of a task."""
        path = f"{self.path}/taskInstances/{task_id}/xcomEntries/{key}?map_index={index}"
        return self.airflow.request("GET", path)["value"]

    def workers(self) -> dict[str, str]:
        """Return the worker on which each task ran last."""
        return {name: str(each["hostname"]) for name, each in self.instances().items()}

    def tries(self) -> dict[str, int]:
        """Return how often each task was tried."""
        return {name: int(each["try_number"]) for name, each in self.instances().items()}

    def seconds(self) -> float:
        """Return the seconds from the start of the first task to the end of the last one."""
        tasks = [each for each in self.instances().values() if each["start_date"] and each["end_date"]]
        begin, end = (
            [datetime.fromisoformat(each[name]) for each in tasks] for name in ("start_date", "end_date")
        )
        return (max(end) - min(begin)).total_seconds()

    def told(self) -> str:
        """Return states, and what the tasks that did not go well logged."""
        with contextlib.suppress(OSError):
            states = self.states()
            logs = [
                f"--- {name}\n{self.airflow.task_logs(self.dag_id, name.partition('[')[0])[-2500:]}"
                for name, state in list(states.items())[:8]
                if state not in ("success", "skipped", None)
            ]
            return "\n".join([json.dumps(states), *logs])
        return "Airflow does not answer"
