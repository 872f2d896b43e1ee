"""Runs the provider as teams run it, lets things fail, and writes the table of docs/production.md.

Two Celery workers and two triggerers with Airflow homes of their own, scheduler, DAG processor and API server; Postgres
and Redis from the system's packages, S3 served by moto, and the local server, all on free loopback ports. Nothing is
left running or lying about, however the run ends. The table holds what ran.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import NoReturn

import examples
import outages
import promotions
from backends import missing_packages, program_path
from deployment import Deployment
from services import Folder, RunError
from stage import SITES, Found, Scenario, Stage, play, seed

from airflow_voice_agents.emulator.server import EmulatorServer

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PAGE = ROOT / "docs" / "production.md"
BEGIN, END = "<!-- begin of what ran -->", "<!-- end of what ran -->"
HEAD = ("Scenario", "Final state", "Writes twice", "Contract violations", "Recovery, s", "Measured")
SCENARIOS = (*examples.SCENARIOS, *promotions.SCENARIOS, *outages.SCENARIOS)


def main(arguments: Sequence[str] | None = None) -> int:
    """Play the scenarios; 1 if one went wrong, 2 if the run could not begin."""
    options = _parse(arguments)
    if missing := missing_packages():
        print(f"These packages are missing: apt-get install {' '.join(missing)}", file=sys.stderr)
        return 2
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    wanted = options.scenario or [each.name for each in SCENARIOS if not each.long]
    chosen = [each for each in SCENARIOS if each.name in wanted]
    started = time.monotonic()
    rows: dict[str, tuple[str, ...]] = {}
    try:
        with Folder(keep=options.keep) as folder, EmulatorServer(seed(SITES)) as server:
            print(f"Everything is in {folder.path}", flush=True)
            stage = _begin(folder, server)
            print(f"Airflow is up after {time.monotonic() - started:.0f} s", flush=True)
            for scenario in chosen:
                rows[scenario.name] = _row(stage, scenario)
                _write({**_read(), **rows})
    except KeyboardInterrupt:
        print("Interrupted; everything was ended.", file=sys.stderr)
        return 130
    except RunError as error:
        print(error, file=sys.stderr)
        return 2
    minutes = (time.monotonic() - started) / 60
    print(_table(rows.values()))
    print(f"{len(rows)} scenarios in {minutes:.1f} minutes")
    return int(any(row[1] != "right" or row[2] != "0" or row[3] != "0" for row in rows.values()))


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    names = [each.name for each in SCENARIOS]
    parser.add_argument(
        "--scenario",
        action="append",
        choices=names,
        help="only this one; may be repeated (without it, all but the long ones)",
    )
    parser.add_argument("--keep", action="store_true", help="keep the folder with all logs")
    return parser.parse_args(arguments)


def _interrupt(*_: object) -> NoReturn:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # an impatient second one must not stop the clearing up
    raise KeyboardInterrupt


def _begin(folder: Folder, server: EmulatorServer) -> Stage:
    deployment = Deployment(folder)
    for path in [*(ROOT / "example_dags").glob("*.*"), *(HERE / "dags").glob("*.py")]:
        shutil.copy(path, deployment.dags)
    deployment.start()
    deployment.connect(server.url)
    return Stage(deployment, server)


def _row(stage: Stage, scenario: Scenario) -> tuple[str, ...]:
    print(f"{scenario.name} …", flush=True)
    started = time.monotonic()
    found, twice, strange = play(stage, scenario)
    print(
        f"  {_outcome(found)}, {twice} twice, {strange} violations, {time.monotonic() - started:.0f} s",
        flush=True,
    )
    for line in found.wrong:
        print(f"  {line[:4000]}", flush=True)
    recovery = "–" if found.recovery is None else f"{found.recovery:.0f}"
    return scenario.name, _outcome(found), str(twice), str(strange), recovery, found.note


def _outcome(found: Found) -> str:
    return "**wrong**" if found.wrong else "right"


def _table(rows: object) -> str:
    lines = [HEAD, ("---",) * len(HEAD), *rows]  # type: ignore[misc]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _read() -> dict[str, tuple[str, ...]]:
    """Return the rows that the page holds, for scenarios that are not played this time."""
    inside = PAGE.read_text(encoding="utf-8").partition(BEGIN)[2].partition(END)[0]
    found = [tuple(cell.strip() for cell in line.strip("| ").split(" | ")) for line in inside.splitlines()]
    names = {each.name for each in SCENARIOS}
    return {row[0]: row for row in found if row[0] in names and len(row) == len(HEAD)}


def _write(rows: dict[str, tuple[str, ...]]) -> None:
    ordered = [rows[each.name] for each in SCENARIOS if each.name in rows]
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    PAGE.write_text(f"{before}{BEGIN}\n{_about()}\n\n{_table(ordered)}\n{END}{after}", encoding="utf-8")


def _about() -> str:
    named = subprocess.run(
        [str(program_path("postgres")), "--version"], capture_output=True, text=True, check=True
    ).stdout.split()
    packages = {"Airflow": "apache-airflow", "Celery": "celery"}
    versions = ", ".join(f"{name} {version(package)}" for name, package in packages.items())
    ours = f"Postgres {named[2]}, Python {platform.python_version()}"
    return f"{versions}, {ours}, {os.cpu_count()} processor cores for all of it."


if __name__ == "__main__":
    sys.exit(main())
