"""Runs one task of one DAG file in this fresh process, through Airflow's task runner, and measures it.

Only the supervisor is replaced (it keeps connections and XComs in memory), so that what is measured is the
task and nothing of the scheduler. Prints one JSON object on its last line.
"""

from __future__ import annotations

import contextlib
import gc
import importlib.util
import json
import logging
import os
import resource
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
TRIES = 4
"""As ``retries=3``, which every contestant has."""


def main(wanted: dict[str, Any]) -> None:
    """Load, run, measure, print.

    :param wanted: ``dag_file``, ``url``, ``key``, ``in_flight``, and ``pace`` in requests per second, if any.
    """
    sys.path.insert(0, str(HERE.parent / "tests"))
    from support import airflow_runner

    airflow_runner._captured_logs = quiet_log
    runner = airflow_runner.AirflowRunner(connections=connections(wanted))
    dag = load(wanted["dag_file"])
    task, instances = dag.get_task("work"), [-1]
    if "order" in dag.task_ids:
        order = dag.get_task("order").python_callable()
        runner.push("order", order)
        instances = list(range(len(order))) if task.is_mapped else instances
    runner.run(task_of_nothing())  # what Airflow itself loads at a first task is nobody's
    gc.collect()  # else a full collection of what Airflow loaded, a tenth of a second, meets some tasks and not others
    known, before = set(sys.modules), measure()
    ends = [attempts(runner, task, index) for index in instances]
    after = measure()
    result = {
        "wall": after["wall"] - before["wall"],
        "began": before["wall"],
        "ended": after["wall"],
        "cpu": after["cpu"] - before["cpu"],
        "peak_mb": after["peak_mb"],
        "start_mb": before["peak_mb"],
        "states": sorted({end["state"] for end in ends}),
        "tries": max(end["tries"] for end in ends),
        "error": next((end["error"] for end in ends if end["error"]), ""),
        "xcom_bytes": xcom_bytes(runner),
        "modules": sorted(set(sys.modules) - known),
    }
    print(json.dumps(result))


def attempts(runner: Any, task: Any, index: int) -> dict[str, Any]:
    """Run a task until it succeeds or its tries are spent."""
    for number in range(1, TRIES + 1):
        outcome = runner.run(task, try_number=number, map_index=index)
        if outcome.state != "up_for_retry":
            break
        time.sleep(outcome.retry_delay or 0)
    error = "" if outcome.state == "success" else repr(outcome.error)[:300]
    return {"state": outcome.state, "tries": number, "error": error}


def connections(wanted: dict[str, Any]) -> dict[str, Any]:
    """Give the connections that the DAG files name."""
    place = {"host": wanted["url"], "password": wanted["key"]}
    extra = {"max_concurrency": wanted["in_flight"], "requests_per_second": wanted.get("pace", "")}
    return {"polyai_default": {"conn_type": "polyai", **place, "extra": extra}}


def load(path: str) -> Any:
    """Give the DAG of a file."""
    spec = importlib.util.spec_from_file_location(Path(path).stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.dag


def task_of_nothing() -> Any:
    """Give a task that does nothing."""
    from airflow.sdk import BaseOperator

    class Nothing(BaseOperator):
        def execute(self, context: Any) -> None:
            """Do nothing."""

    return Nothing(task_id="nothing")


def measure() -> dict[str, float]:
    """Give what this process has used so far."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return {"wall": time.monotonic(), "cpu": time.process_time(), "peak_mb": usage.ru_maxrss / 1024}


def xcom_bytes(runner: Any) -> int:
    """Give the size of what the tasks left as XComs."""
    return sum(len(json.dumps(value)) for (name, _, _), value in runner.xcoms.items() if name == "work")


@contextlib.contextmanager
def quiet_log(_: Any) -> Iterator[Any]:
    """Log as a worker does, from INFO up, but to nowhere."""
    import structlog

    with Path(os.devnull).open("w") as nowhere:
        structlog.configure(
            processors=[structlog.processors.add_log_level, structlog.processors.JSONRenderer()],
            wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
            logger_factory=structlog.PrintLoggerFactory(nowhere),
            cache_logger_on_first_use=False,
        )
        handler = logging.StreamHandler(nowhere)
        root = logging.getLogger()
        root.addHandler(handler)
        root.setLevel(logging.INFO)
        try:
            yield structlog.get_logger("task")
        finally:
            root.removeHandler(handler)
            structlog.reset_defaults()


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
