"""Measure the cost of parsing a DAG file: modules and seconds beyond airflow.sdk, and its serialized size."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import Any

from contestants import Contestant

PARSE = """
import sys, time, importlib.util
import airflow.sdk
from airflow.sdk import DAG, task, BaseHook
before, start, cpu = set(sys.modules), time.perf_counter(), time.process_time()
spec = importlib.util.spec_from_file_location("parsed", sys.argv[1])
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
new = sorted(set(sys.modules) - before)
from airflow.serialization.serialized_objects import DagSerialization
import json
size = len(json.dumps(DagSerialization.to_dict(module.dag)))
print(json.dumps({"seconds": seconds, "cpu": cpu, "modules": len(new), "bytes": size}))
"""


def parse_cost(contestant: Contestant, environment: Mapping[str, str], times: int) -> dict[str, Any]:
    """Parse a DAG file in fresh processes.

    :param contestant: whose.
    :param environment: of the processes.
    :param times: how many.
    """
    runs = [_parse(contestant.file, {**environment, **contestant.environment}) for _ in range(times)]
    return {
        "modules": runs[0]["modules"],
        "bytes": runs[0]["bytes"],
        "seconds": median(run["seconds"] for run in runs),
        "seconds_all": [run["seconds"] for run in runs],
    }


def _parse(file: Path, environment: Mapping[str, str]) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-c", PARSE, str(file)],
        env=dict(environment),
        capture_output=True,
        text=True,
        check=True,
    )
    answer: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return answer
