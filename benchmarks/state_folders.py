"""A promotion of changed projects with locks and snapshots, whose state folder is on the local disk or in S3 by moto.

    .venv-production/bin/python benchmarks/state_folders.py      # 5,000 projects at 20 ms; about three minutes

The environment is the one that ``make test-production`` builds, because it has boto3 and moto.

Prints a table: seconds, CPU and peak memory of the one task that plans and applies, and what was left in the folder.
Without a Fernet key no snapshot is taken: the first row is the task of the other benchmarks.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import boto3
from contestants import contestant
from cryptography.fernet import Fernet
from measure import Bench
from scenarios import CONSTANT, promote
from server_process import Server
from shared_limit import until_it_listens

BUCKET = "airflow-state"
ACCESS = {"aws_access_key_id": "for-tests", "aws_secret_access_key": "for-tests", "region_name": "us-east-1"}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--projects", type=int, default=5_000)
    asked = parser.parse_args()
    print(
        "| State folder | Snapshot | Seconds | CPU, seconds | Peak MB | Files left | Wrong | Written twice |"
    )
    print("|---|---|---|---|---|---|---|---|")
    with Server() as server, tempfile.TemporaryDirectory() as name, object_storage() as storage:
        folder = Path(name)
        bench = Bench(server, folder)
        kept = {"AIRFLOW__CORE__FERNET_KEY": Fernet.generate_key().decode()}
        local, remote = folder / "state", f"s3://state@{BUCKET}/voice-agents"
        local.mkdir()
        found = run(bench, asked.projects, {})
        print(line("local disk", "no", found, 0), flush=True)
        found = run(bench, asked.projects, {**kept, **state_in(local.as_uri())})
        files = sum(each.is_file() for each in local.rglob("*"))
        print(line("local disk", "yes", found, files), flush=True)
        connection = {"conn_type": "aws", "login": "for-tests", "password": "for-tests"}
        extra = {"endpoint_url": storage, "region_name": "us-east-1"}
        reached = {"AIRFLOW_CONN_STATE": json.dumps({**connection, "extra": extra})}
        found = run(bench, asked.projects, {**kept, **state_in(remote), **reached})
        pages = client(storage).get_paginator("list_objects_v2").paginate(Bucket=BUCKET)
        files = sum(len(page.get("Contents", ())) for page in pages)
        print(line("S3 by moto", "yes", found, files), flush=True)


def state_in(folder: str) -> dict[str, str]:
    """Return the setting of a state folder."""
    return {"AIRFLOW__VOICE_AGENTS__STATE_FOLDER": folder}


def line(where: str, snapshot: str, found: dict[str, Any], files: int) -> str:
    """Return a row of the table."""
    return (
        f"| {where} | {snapshot} | {found['wall']:.1f} | {found['cpu']:.1f} | {found['peak_mb']:.0f} | {files} "
        f"| {found['wrong']} | {found['duplicate_writes']} |"
    )


def run(bench: Bench, projects: int, settings: dict[str, str]) -> dict[str, Any]:
    """Promote all projects in a fresh process, and return its measures and the server's facts."""
    work = promote(projects, 1.0, CONSTANT, "A", 1).work(0)
    found = bench.run(replace(contestant("A", "promote"), environment=settings), work)
    if found["error"]:
        raise RuntimeError(found["error"])
    return found


@contextlib.contextmanager
def object_storage() -> Iterator[str]:
    """Run S3 by moto with one bucket, and yield its URL."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    try:
        until_it_listens(port)
        client(url).create_bucket(Bucket=BUCKET)
        yield url
    finally:
        process.terminate()
        process.wait(timeout=10)


def client(url: str) -> Any:
    """Return a client of the object storage."""
    return boto3.client("s3", endpoint_url=url, **ACCESS)


if __name__ == "__main__":
    main()
