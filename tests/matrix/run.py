"""Runs the tests that face Airflow with several Airflow versions, and writes the table of docs/compatibility.md.

Each version has an environment of its own below ``.venv-matrix``, with the packages of that release's date
(``constraints/``). The table holds what ran: a cell without a figure was not run.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
ENVIRONMENTS = ROOT / ".venv-matrix"
PAGE = ROOT / "docs" / "compatibility.md"
BEGIN, END = "<!-- begin of what ran -->", "<!-- end of what ran -->"
DID_NOT_END = "**did not end**"
MARK = "VOICE_AGENTS_MATRIX"
"""Variable in the environment of every process of a run."""
TOOLS = (
    *("editables", "hatchling", "hypothesis", "markdown-it-py", "pytest", "pytest-asyncio", "pytest-xdist"),
    *("starlette", "uvicorn"),
)
"""What the tests need; of the extra ``emulator`` without its floor for Starlette, which Airflow 3.1 does not allow."""

MATRIX = (
    ("3.1.8", "3.11"),
    ("3.1.8", "3.12"),
    ("3.2.2", "3.12"),
    ("3.2.2", "3.13"),
    ("3.3.0", "3.13"),
    ("3.3.2", "3.11"),
    ("3.3.2", "3.12"),
    ("3.3.2", "3.13"),
    ("3.3.2", "3.14"),
)
"""Versions of Airflow and Python."""

FEATURES = {
    "Names by version": (
        *("unit/state/test_task_state.py", "unit/test_airflow_compat.py"),
        *("unit/bases", "airflow/test_harness.py"),
    ),
    "Metadata and connection form": ("airflow/test_provider_metadata.py",),
    "Hooks and connections": ("airflow/test_hook.py", "airflow/test_connection_faults.py"),
    "Arguments and templates": (
        *("airflow/test_argument_checks.py", "airflow/test_strict_arguments.py"),
        *("airflow/test_awkward_arguments.py", "airflow/test_agent_spellings.py"),
    ),
    "Serialization and task groups": ("airflow/test_serialization.py", "airflow/test_task_groups.py"),
    "Permanent errors and named waits": (
        "airflow/test_retry_policy.py",
        "airflow/test_retries_without_policy.py",
    ),
    "Config pages": ("airflow/test_promote_config.py", "airflow/test_update_config.py"),
    "Phone numbers and connectors": (
        *("airflow/test_phone_numbers.py", "airflow/test_phone_numbers_sensor.py"),
        *("airflow/test_connectors.py", "airflow/test_many_agents.py"),
    ),
    "SIP trunks": ("airflow/test_sip_trunks.py",),
    "Promotion and approval": ("airflow/test_promotion.py", "airflow/test_approval.py"),
    "Promotion in chunks, and of tested versions": (
        *("airflow/test_promotion_chunks.py", "airflow/test_tested_promotions.py"),
        "airflow/test_promotion_guide.py",
    ),
    "Deployments and release by branches": (
        *("airflow/test_deployments.py", "airflow/test_deployment_models.py", "airflow/test_release.py"),
        "airflow/test_release_hold.py",
    ),
    "Watch and rollback": ("airflow/test_watch_promotion.py", "airflow/test_watch_crash.py"),
    "Tests, checks and costs of conversations": (
        *("airflow/test_run_tests.py", "airflow/test_conversation_checks.py"),
        *("airflow/test_outcome_sensors.py", "airflow/test_costs.py"),
    ),
    "Backup, export and drift": (
        *("airflow/test_back_up_and_restore.py", "airflow/test_export.py", "airflow/test_drift.py"),
    ),
    "Sensors and triggers": (
        *("airflow/test_config_sensor.py", "airflow/test_stored_triggers.py"),
        "airflow/test_shared_waits.py",
    ),
    "A real triggerer": ("airflow/test_many_waits.py",),
    "Notifications and links": ("airflow/test_notifications_and_links.py",),
    "Webhooks": ("airflow/test_webhooks.py", "unit/ui/test_webhooks.py"),
    "Status page": (
        *("airflow/test_status_page.py", "airflow/test_status_records.py", "unit/ui/test_board.py"),
        "airflow/test_status_badges.py",
        *("unit/ui/test_page.py", "unit/ui/test_plugin.py", "unit/ui/test_rights.py"),
    ),
    "Command line": ("unit/cli",),
    "Whole DAG runs": (
        *("airflow/test_airflow_home.py", "airflow/test_carrier_pipelines.py"),
        *("airflow/test_promotion_runs.py", "airflow/test_release_runs.py"),
        *("airflow/test_full_airflow.py", "airflow/test_demo.py"),
    ),
    "Example DAGs": ("airflow/test_example_dags.py",),
    "SignalWire": ("airflow/signalwire",),
    "Omnia Voice": ("airflow/omnia_voice",),
    "OpenLineage": ("airflow/test_openlineage.py",),
    "Guarantees of every operator that writes": ("guarantees/test_guarantees.py",),
}
"""Feature -> its tests, below ``tests``."""

SELECTED = {
    "Guarantees of every operator that writes": "dry_run or test_lock or backfill or test_stop or test_kill",
}
"""Feature -> which of its tests, as of ``pytest -k``: the rows in which Airflow has a part."""

SLICE = (
    *("Hooks and connections", "Permanent errors and named waits", "Serialization and task groups"),
    *("Promotion and approval", "Watch and rollback", "Webhooks"),
)
"""Features that CI runs with the oldest Airflow: those that an older Airflow carries out by other means."""

LEFT_OUT = {
    "airflow/test_code_blocks.py": "it checks the documentation, which is written for the newest version",
    "airflow/test_command_line_page.py": "it checks a page, which is written for the newest version",
    "airflow/test_fleet_scale.py": "it measures sizes, which no version changes",
    "airflow/test_reference_pages.py": "it compares pages that are made with the newest version",
    "airflow/test_status_page_in_chromium.py": "it needs a browser; the page is the same with every version",
}
"""Tests that face Airflow and are not run -> the reason."""


def _others() -> tuple[str, ...]:
    named = {path for paths in FEATURES.values() for path in paths}
    found = (path.relative_to(ROOT / "tests").as_posix() for path in ROOT.glob("tests/airflow/test_*.py"))
    return tuple(sorted({*found} - named - {*LEFT_OUT}))


if others := _others():
    FEATURES["Other tests"] = others


@dataclass(frozen=True)
class Count:
    """Tests of one feature with one version."""

    passed: int
    failed: int
    skipped: int

    def __str__(self) -> str:
        parts = [f"{self.passed} passed"]
        parts += [f"**{self.failed} failed**"] if self.failed else []
        parts += [f"{self.skipped} skipped"] if self.skipped else []
        return ", ".join(parts)


def interpreter(version: str) -> str | None:
    """Return a Python of a version: this one, one on the path, or one of pyenv."""
    if version == f"{sys.version_info.major}.{sys.version_info.minor}":
        return sys.executable
    if found := shutil.which(f"python{version}"):
        probe = subprocess.run([found, "-c", "import venv"], capture_output=True, check=False)
        if not probe.returncode:
            return found
    home = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    kept = sorted(home.glob(f"versions/{version}.*/bin/python"))
    return str(kept[-1]) if kept else None


def environment(airflow: str, version: str, python: str) -> Path:
    """Build the environment of a version, unless it stands, and return its Python."""
    folder = ENVIRONMENTS / f"{airflow}-py{version}"
    found, pins = folder / "bin" / "python", ROOT / "constraints" / f"airflow-{airflow}.txt"
    stamp = folder / ".installed"
    if stamp.exists() and stamp.stat().st_mtime > max(
        pins.stat().st_mtime, (ROOT / "pyproject.toml").stat().st_mtime
    ):
        return found
    print(f"Building {folder.name}", flush=True)
    subprocess.run([python, "-m", "venv", "--clear", str(folder)], check=True)
    pip = [str(found), "-m", "pip", "install", "--quiet", "--constraint", str(pins)]
    subprocess.run([*pip, *TOOLS], check=True)
    own = [f"{ROOT}[phonenumbers,redis]", f"apache-airflow=={airflow}"]
    subprocess.run([*pip, "--no-build-isolation", "--editable", *own], check=True)
    stamp.touch()
    return found


def run(python: Path, paths: Sequence[str], jobs: int, minutes: float, selected: str = "") -> Count | None:
    """Run tests, and count what became of them; ``None`` if they did not end, or did not begin.

    A file that cannot be imported counts as failed.
    """
    with tempfile.TemporaryDirectory() as folder:
        report, printed = Path(folder) / "report.xml", Path(folder) / "output"
        options = ["-q", "-n", str(jobs), "-p", "no:cacheprovider", "--tb=short", f"--junit-xml={report}"]
        options += ["-k", selected] if selected else []
        command = [str(python), "-m", "pytest", *options, *(str(ROOT / "tests" / path) for path in paths)]
        with printed.open("w", encoding="utf-8") as output:
            own = {**os.environ, MARK: folder}
            done = subprocess.Popen(
                command, cwd=ROOT, env=own, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
            )
            ended = True
            try:
                done.wait(minutes * 60)
            except subprocess.TimeoutExpired:
                ended = False
                print(f"Stopped after {minutes:g} minutes", flush=True)
            finally:
                _end_all(done, folder)
        said = printed.read_text(encoding="utf-8", errors="replace")
        if not ended or not report.exists():
            print(said[-3000:], flush=True)
            return None
        (suite,) = ET.parse(report).getroot()  # noqa: S314  written by our own run
    number = {name: int(suite.get(name) or 0) for name in ("tests", "failures", "errors", "skipped")}
    failed = number["failures"] + number["errors"]
    if failed:
        print(said[-20000:], flush=True)
    return Count(number["tests"] - failed - number["skipped"], failed, number["skipped"])


def _end_all(process: subprocess.Popen[bytes], folder: str) -> None:
    """End the processes of a run that are left, also those that moved to a group of their own.

    A process that renames itself can overwrite its environment, so all that a run has started is looked for first.
    """
    started = _started_by(process.pid)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    for pid in started:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    for found in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):
            if f"\0{MARK}={folder}\0".encode() in b"\0" + found.read_bytes():
                os.kill(int(found.parent.name), signal.SIGKILL)


def _started_by(process: int) -> list[int]:
    """Return the processes that a process and those below it have started."""
    below: dict[int, list[int]] = {}
    for found in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            parent = int(found.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[1])
            below.setdefault(parent, []).append(int(found.parent.name))
    started = list(below.get(process, ()))
    for each in started:
        started += below.get(each, ())
    return started


def run_oldest(jobs: int, minutes: float) -> int:
    """Run the slice with the oldest Airflow, and leave the page as it is; 1 if a test failed."""
    airflow = MATRIX[0][0]
    found = {version: interpreter(version) for each, version in MATRIX if each == airflow}
    version, python = next((pair for pair in found.items() if pair[1]), ("", None))
    if python is None:
        raise SystemExit(f"Airflow {airflow} needs Python {' or '.join(found)}, which is not here.")
    paths = [path for feature in SLICE for path in FEATURES[feature]]
    count = run(environment(airflow, version, python), paths, jobs, minutes)
    print(f"Airflow {airflow}, Python {version}: {count or DID_NOT_END}", flush=True)
    return 0 if count and count.passed and not count.failed else 1


def table(results: dict[str, dict[str, str]]) -> str:
    """Return what ran as a Markdown table."""
    columns = sorted(results)
    head = ["Feature", *(name.replace("-py", ", Python ") for name in columns)]
    rows = [[feature, *(results[name].get(feature, "–") for name in columns)] for feature in FEATURES]
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def write(results: dict[str, dict[str, str]]) -> None:
    """Put the table into the page, and keep the figures beside it for a later run of other versions."""
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    after = rest.partition(END)[2]
    PAGE.write_text(f"{before}{BEGIN}\n{table(results)}\n{END}{after}", encoding="utf-8")


def read() -> dict[str, dict[str, str]]:
    """Return the figures that the page holds."""
    inside = PAGE.read_text(encoding="utf-8").partition(BEGIN)[2].partition(END)[0].strip().splitlines()
    if not inside:
        return {}
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in inside]
    names = [name.replace(", Python ", "-py") for name in cells[0][1:]]
    return {
        name: {row[0]: row[index] for row in cells[2:] if row[index] != "–"}
        for index, name in enumerate(names, start=1)
    }


def main(arguments: Iterable[str] | None = None) -> int:
    """Run what is asked for; 1 if a test failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--airflow", action="append", help="only this version; may be repeated")
    parser.add_argument("--python", action="append", help="only this version; may be repeated")
    parser.add_argument("--feature", action="append", choices=list(FEATURES), help="only this one")
    parser.add_argument(
        "--oldest", action="store_true", help="a slice with the oldest Airflow; writes nothing"
    )
    parser.add_argument("--missing", action="store_true", help="only what has not passed")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--minutes", type=float, default=30, help="longest time for one feature")
    asked = parser.parse_args(arguments)
    if asked.oldest:
        return run_oldest(asked.jobs, asked.minutes)
    failed = 0
    for airflow, version in MATRIX:
        if (asked.airflow and airflow not in asked.airflow) or (asked.python and version not in asked.python):
            continue
        if (found := interpreter(version)) is None:
            print(f"Airflow {airflow} with Python {version}: no such interpreter, left out", flush=True)
            continue
        python = environment(airflow, version, found)
        name = f"{airflow}-py{version}"
        for feature in asked.feature or FEATURES:
            if asked.missing and "**" not in read().get(name, {}).get(feature, "**"):
                continue
            count = run(python, FEATURES[feature], asked.jobs, asked.minutes, SELECTED.get(feature, ""))
            failed += count.failed if count else 1
            cell = str(count or DID_NOT_END)
            print(json.dumps([name, feature, cell]), flush=True)
            results = read()
            results.setdefault(name, {})[feature] = cell
            write(results)
    return 1 if failed else 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("Ended"))  # a run under way is ended too
    sys.exit(main())
