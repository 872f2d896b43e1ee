"""A local server per worker, which starts over before each test, and an Airflow in memory."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.airflow_runner import AirflowRunner
from support.airflow_versions import forget_fernet
from support.emulated import Emulated
from support.fixtures import fernet_key, polyai, running_server, server

__all__ = ["fernet_key", "polyai", "running_server", "server"]


@pytest.fixture
def runner(polyai: Emulated) -> AirflowRunner:
    """The Airflow of ``polyai``."""
    return polyai.runner


@pytest.fixture
def no_fernet_key(fernet_key: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An Airflow that keeps everything in the clear, whatever the module asks for."""
    monkeypatch.setenv("AIRFLOW__CORE__FERNET_KEY", "")
    forget_fernet()
    yield
    forget_fernet()
