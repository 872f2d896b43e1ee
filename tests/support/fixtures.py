"""Fixtures of several folders: a local server per worker, an Airflow in memory, a Fernet key."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from cryptography.fernet import Fernet

from airflow_voice_agents.emulator.core import default_seed
from airflow_voice_agents.emulator.server import EmulatorServer
from support.airflow_versions import forget_fernet
from support.emulated import Emulated
from support.no_pauses import resend_at_once


@pytest.fixture(scope="session")
def running_server() -> Iterator[EmulatorServer]:
    with EmulatorServer() as server:
        yield server


@pytest.fixture
def server(running_server: EmulatorServer, monkeypatch: pytest.MonkeyPatch) -> EmulatorServer:
    """The shipped seed; resends come without a pause."""
    resend_at_once(monkeypatch)
    running_server.reset(default_seed())
    return running_server


@pytest.fixture
def polyai(server: EmulatorServer) -> Emulated:
    """Server and Airflow together, with a connection between them."""
    return Emulated(server)


@pytest.fixture
def fernet_key(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A Fernet key of the test's own."""
    key = Fernet.generate_key().decode()
    monkeypatch.setenv("AIRFLOW__CORE__FERNET_KEY", key)
    forget_fernet()
    yield key
    forget_fernet()
