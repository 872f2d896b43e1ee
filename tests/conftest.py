"""Keeps every test process away from the user's Airflow: its own home, and no setting from outside."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest


def _isolate_airflow() -> None:
    """Airflow reads its environment when it is first imported, so this runs while pytest loads this file."""
    for name in [name for name in os.environ if name.startswith("AIRFLOW")]:
        del os.environ[name]
    home = Path(tempfile.mkdtemp(prefix="voice-agents-tests-"))
    atexit.register(shutil.rmtree, home, ignore_errors=True)
    os.environ |= {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__UNIT_TEST_MODE": "True",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db",
    }


_isolate_airflow()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let the tests run over each transport."""
    parser.addoption(
        "--transport", choices=("httpx", "aiohttp"), default="httpx", help="way over the network"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Force the transport, whatever is installed."""
    os.environ["AIRFLOW__VOICE_AGENTS__TRANSPORT"] = config.getoption("--transport")


@pytest.fixture(autouse=True)
def _fresh_paces() -> Iterator[None]:
    """No test waits for what a platform refused in another one: the pace of a key is kept for the whole process."""
    _forget_paces()
    yield
    _forget_paces()


def _forget_paces() -> None:
    from airflow_voice_agents.transport import rate_limit

    rate_limit._paces.clear()
    shutil.rmtree(Path(os.environ["AIRFLOW_HOME"]) / "voice-agents" / "limits", ignore_errors=True)


@pytest.fixture(scope="session")
def airflow_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated Airflow database, made once for all test processes of the session."""
    from support.airflow_home import migrated_template

    return migrated_template(_session_folder(tmp_path_factory))


@pytest.fixture(scope="session")
def dag_forks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[object]:
    """What runs DAG files in forks of one process; it is started by the first run."""
    from support.dag_forks import DagForks

    forks = DagForks(tmp_path_factory.mktemp("dag-forks"))
    yield forks
    forks.close()


@pytest.fixture
def airflow_home(airflow_template: Path, dag_forks: Any, tmp_path: Path) -> Iterator[object]:
    """An Airflow home of the test's own, with a migrated database."""
    from support.airflow_home import AirflowHome

    home = AirflowHome.create(tmp_path / "airflow-home", airflow_template, dag_forks)
    yield home
    home.end_processes()


@pytest.fixture(scope="session")
def airflow_keeper(airflow_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[object]:
    """What starts a whole Airflow for the first test of this process that needs one."""
    from support.whole_airflow import Keeper

    keeper = Keeper(airflow_template, lambda: tmp_path_factory.mktemp("whole-airflow"))
    yield keeper
    keeper.end()


@pytest.fixture
def running_airflow(airflow_keeper: Any) -> object:
    """A whole Airflow, which the tests that need one share."""
    return airflow_keeper.running()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> Iterator[None]:
    """End the whole Airflow where the next test needs none."""
    keeper = getattr(item, "funcargs", {}).get("airflow_keeper")
    yield
    if keeper is not None and "airflow_keeper" not in getattr(nextitem, "fixturenames", ()):
        keeper.end()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run what takes longest first, so that no process is left with a long test when the others have ended.

    Tests that share an Airflow run one after the other, too.
    """
    items.sort(key=_turn)


def _turn(item: pytest.Item) -> int:
    fixtures = getattr(item, "fixturenames", ())
    first = ("running_airflow", "demo", "airflow_home")
    return next((turn for turn, name in enumerate(first) if name in fixtures), len(first))


def _session_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
