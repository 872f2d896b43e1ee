"""Runs the contestants' DAGs in a whole Airflow: scheduler with LocalExecutor, API server, triggerer."""

from __future__ import annotations

import contextlib
import json
import shutil
import sqlite3
import sys
import tempfile
import threading
import time
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from contestants import Contestant
from server_process import Server

from airflow_voice_agents.emulator.fleet_seed import FLEET_KEY

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from support.airflow_home import AirflowHome, AirflowServices, migrated_template

PARALLELISM = 4
"""Worker slots: twice the cores of a small worker."""
IN_FLIGHT = 16
SAMPLED_EVERY = 0.1
"""Seconds."""
RUNNING = "SELECT count(*) FROM task_instance WHERE state = 'running'"


class Services(AirflowServices):
    """The tests' Airflow with more worker slots."""

    def _start(self, service: str) -> None:
        self.home.settings |= {
            "AIRFLOW__CORE__PARALLELISM": str(PARALLELISM),
            "AIRFLOW__CORE__MAX_ACTIVE_TASKS_PER_DAG": str(PARALLELISM),
        }
        super()._start(service)


class RealAirflow:
    """An Airflow with the contestants' DAGs; a context manager that leaves nothing behind.

    :param server: the local server.
    :param contestants: whose DAGs there are.
    """

    def __init__(self, server: Server, contestants: list[Contestant]) -> None:
        self._server = server
        self._folder = Path(tempfile.mkdtemp(prefix="voice-agents-bench-"))
        template = migrated_template(self._folder)
        self._home = AirflowHome.create(self._folder / "home", template)
        self._order = self._folder / "order.json"
        self._order.write_text("{}")
        self._home.settings["BENCH_ORDER"] = str(self._order)
        for contestant in contestants:
            self._add(contestant)
        self._connect()
        self._airflow = Services(self._home)

    def __enter__(self) -> Self:
        try:
            self._airflow.__enter__()
        except BaseException:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._airflow.__exit__(kind, error, trace)
        shutil.rmtree(self._folder, ignore_errors=True)

    def run(self, contestant: Contestant, order: dict[str, Any], *, timeout: float) -> dict[str, Any]:
        """Run a contestant's DAG and return what Airflow's own records say of it.

        :param contestant: whose.
        :param order: what it is told.
        :param timeout: seconds.
        """
        self._order.write_text(json.dumps(order))
        with SlotSampler(self._home.path / "airflow.db") as sampler:
            run_id = self._airflow.run_dag(contestant.dag_id, timeout=timeout)
        instances = self._instances(contestant.dag_id, run_id)
        durations = sum(each["duration"] or 0.0 for each in instances)
        begins = min(_moment(each["start_date"]) for each in instances)
        ends = max(_moment(each["end_date"]) for each in instances)
        return {
            "wall": ends - begins,
            "slot_seconds": sampler.seconds if contestant.deferrable else durations,
            "sampled_slot_seconds": sampler.seconds,
            "task_instances": len(instances),
            "states": sorted({str(each["state"]) for each in instances}),
        }

    def _add(self, contestant: Contestant) -> None:
        text = contestant.file.read_text()
        for name, value in contestant.environment.items():
            text = text.replace(f'os.environ.get("{name}")', repr(value))
        text = text.replace(f'DAG("{contestant.file.stem}"', f'DAG("{contestant.dag_id}"')
        (self._home.path / "dags" / f"{contestant.dag_id}.py").write_text(text)

    def _connect(self) -> None:
        url = self._server.url
        self._home.connect(
            "polyai_default",
            conn_type="polyai",
            host=url,
            password=FLEET_KEY,
            extra={"max_concurrency": IN_FLIGHT},
        )
        self._home.connect("polyai_http", conn_type="http", host=url, extra={"X-API-KEY": FLEET_KEY})

    def _instances(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        path, found = f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances", []
        while True:
            page = self._airflow.request("GET", f"{path}?limit=100&offset={len(found)}")
            found += page["task_instances"]
            if len(found) >= page["total_entries"] or not page["task_instances"]:
                return [each for each in found if each["start_date"]]


class SlotSampler:
    """Counts running task instances while the block runs.

    The duration of a deferrable task instance includes the time in which it holds no slot, so Airflow's
    own record does not do for those.

    :param database: Airflow's.
    """

    def __init__(self, database: Path) -> None:
        self.seconds = 0.0
        """Worker slots in use, summed over the time."""
        self._database = database
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        self._thread.join()

    def _sample(self) -> None:
        with contextlib.closing(
            sqlite3.connect(f"file:{self._database}?mode=ro", uri=True, timeout=SAMPLED_EVERY)
        ) as database:
            before = time.monotonic()
            while not self._done.wait(SAMPLED_EVERY):
                now = time.monotonic()
                with contextlib.suppress(sqlite3.OperationalError):  # locked: the next sample stands for both
                    [(running,)] = database.execute(RUNNING).fetchall()
                    self.seconds += running * (now - before)
                    before = now


def _moment(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
