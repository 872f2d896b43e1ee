"""The demo: right when it is right, wrong when it is not, and nothing left behind."""

from __future__ import annotations

import json
import os
import re
import runpy
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from airflow_voice_agents.emulator.core import default_seed
from support.airflow_versions import DagBag

ROOT = Path(__file__).parents[2]
RUN = ROOT / "demo" / "run.py"
LIMIT = 240
DAG_FILES = [*sorted((ROOT / "demo" / "dags").glob("*.py")), *sorted((ROOT / "example_dags").glob("*.py"))]


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start the demo, with a folder of its own for everything temporary; it is ended in any case."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    started = []

    def start(*options: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, str(RUN), *options],
            env={**os.environ, "TMPDIR": str(folder), "PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=60)


@pytest.fixture
def seed(tmp_path: Path) -> Callable[[Callable[[dict[str, Any]], object]], str]:
    """Write the shipped seed with a change."""

    def write(change: Callable[[dict[str, Any]], object]) -> str:
        changed = json.loads(json.dumps(default_seed()))
        polyai = changed["polyai"]
        change(polyai["agents"])
        polyai["alertRules"] = {
            name: rule
            for name, rule in polyai["alertRules"].items()
            if rule.get("agent") in (None, *polyai["agents"])
        }
        path = tmp_path / "seed.json"
        path.write_text(json.dumps(changed))
        return str(path)

    return write


def left_in(tmp_path: Path) -> list[Path]:
    return list((tmp_path / "temporary").iterdir())


def test_the_demo_shows_plan_progress_report_and_checks_and_succeeds(
    demo: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    process = demo()
    output, _ = process.communicate(timeout=LIMIT)

    assert process.returncode == 0, output
    assert "~ config page harbour-hotels/live  (2 requests)" in output
    assert [line for line in plan_in_readme() if line not in output] == []
    assert 'null → "Joyeux Noël!' in output
    assert len(re.findall(r"✓ promote_to_\S+ +\S+ +success", output)) == 12
    assert len(re.findall(r"│ changed +│", output)) == 6
    assert len(re.findall(r"│ unchanged │ –", output)) == 6
    assert re.search(r"update real-time config variables │ 6 +│ 0 +│", output)
    assert "✓ Second run: 0 writes, state of the server the same." in output
    assert "The result is right" in output
    assert "✗" not in output
    assert "fake-" not in output, "a secret of the seed was shown"
    assert "[info" not in output, "Airflow's own log was shown"
    assert left_in(tmp_path) == []


def test_the_demo_fails_when_a_task_does_and_keeps_the_log(
    demo: Callable[..., subprocess.Popen[str]], seed: Callable[..., str], tmp_path: Path
) -> None:
    process = demo("--seed", seed(lambda agents: agents.pop("northgate-bank")))
    output, _ = process.communicate(timeout=LIMIT)

    assert process.returncode == 1
    assert re.search(r"✗ promote_to_pre_release +northgate-bank +failed", output)
    assert "404 PROJECT_NOT_FOUND" in output
    assert "1 of 1 target(s) have errors (✗): nothing is written." in output
    assert "The result is wrong" in output
    (home,) = left_in(tmp_path)
    assert f"Everything that was logged is in {home}/demo.log" in output.replace("\n", "")
    assert "promote_three_projects" in (home / "demo.log").read_text()


def test_the_demo_fails_when_all_tasks_succeed_with_the_wrong_result(
    demo: Callable[..., subprocess.Popen[str]], seed: Callable[..., str]
) -> None:
    def other_message(agents: dict[str, Any]) -> None:
        agents["harbour-hotels"]["configs"]["sandbox"]["variables"]["holiday_message"] = "Something else"

    process = demo("--seed", seed(other_message))
    output, _ = process.communicate(timeout=LIMIT)

    assert process.returncode == 1
    assert "✗ the holiday message reached live" in output
    assert "failed" not in output
    assert "The result is wrong" in output


def test_the_web_interface_comes_up_and_an_interrupt_ends_every_process(
    demo: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    process = demo("--ui")
    try:
        shown = read_until(process, "Ctrl-C ends everything")
        airflow, emulator = re.findall(r"(?:Airflow|Local server) +(http://127\.0\.0\.1:\d+)", shown)
        assert status_of(f"{airflow}/api/v2/monitor/health") == 200
        assert status_of(f"{emulator}/_emulator/health") == 200
        assert connections_of(airflow) == {"polyai_default", "signalwire_default", "omniavoice_default"}
        family = psutil.Process(process.pid).children(recursive=True)
        assert any("standalone" in member.cmdline() for member in family)
    finally:
        process.send_signal(signal.SIGINT)
        rest, _ = process.communicate(timeout=60)

    assert process.returncode == 0, rest
    assert len(family) >= 6
    assert [member for member in family if lives(member)] == []
    assert left_in(tmp_path) == []
    for url in (f"{airflow}/api/v2/monitor/health", f"{emulator}/_emulator/health"):
        with pytest.raises(OSError, match="refused"):
            status_of(url)


def test_the_web_interface_numbers_no_dag_that_is_not_there() -> None:
    settings = runpy.run_path(str(ROOT / "demo" / "local_settings.py"))
    assert set(settings["ORDER"]) == {each.stem for each in DAG_FILES}


@pytest.mark.parametrize("path", DAG_FILES, ids=lambda path: path.stem)
def test_the_web_interface_numbers_every_dag_and_keeps_its_id(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_HOME", "/home-of-the-demo")
    settings = runpy.run_path(str(ROOT / "demo" / "local_settings.py"))
    (dag,) = DagBag(path).dags.values()
    given = set(dag.params)

    settings["dag_policy"](dag)

    assert dag.dag_id == path.stem
    assert re.fullmatch(rf"\d\d {path.stem}", dag.dag_display_name)
    assert set(dag.params) == given
    assert ("start here" in dag.tags) == (path.stem in settings["FIRST_STEPS"])
    dag.params.validate()  # it can be triggered as it is
    for name, value in settings["DEFAULTS"].get(path.stem, {}).items():
        wanted = value.format(home="/home-of-the-demo") if isinstance(value, str) else value
        assert {each.params[name] for each in (dag, *dag.tasks) if name in each.params} == {wanted}


def plan_in_readme() -> list[str]:
    """The lines of the plan that the README shows."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"<!-- plan: .*? -->\n```text\n(.*?)```", readme, re.DOTALL)
    return [line.strip() for line in block.splitlines() if line.strip()]


def read_until(process: subprocess.Popen[str], words: str) -> str:
    """Read what the demo prints up to some words."""
    assert process.stdout is not None
    shown = ""
    for line in process.stdout:
        shown += line
        if words in line:
            return shown
    raise AssertionError(f"the demo ended early:\n{shown}")


def connections_of(airflow: str) -> set[str]:
    """The ids in Airflow's list of connections."""
    token = json.loads(opened(f"{airflow}/auth/token"))["access_token"]
    found = json.loads(opened(f"{airflow}/api/v2/connections", Authorization=f"Bearer {token}"))
    return {each["connection_id"] for each in found["connections"]}


def opened(url: str, **headers: str) -> bytes:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    asked = urllib.request.Request(url, headers=headers)  # noqa: S310  a loopback address
    with opener.open(asked, timeout=10) as answer:
        return bytes(answer.read())


def status_of(url: str) -> int:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(url, timeout=10) as answer:
        return int(answer.status)


def lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
