"""A workspace on the local server, and an Airflow in memory."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from airflow.sdk.crypto import get_fernet
from cryptography.fernet import Fernet

from airflow_voice_agents.emulator.server import EmulatorServer
from support.emulated_omnia import EmulatedOmnia


@pytest.fixture
def omnia(server: EmulatorServer) -> EmulatedOmnia:
    """Server and Airflow together; the workspace lists no number yet."""
    emulated = EmulatedOmnia(server)
    emulated.start()
    return emulated


@pytest.fixture(autouse=True)
def fernet_key(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A Fernet key of the test's own."""
    key = Fernet.generate_key().decode()
    monkeypatch.setenv("AIRFLOW__CORE__FERNET_KEY", key)
    get_fernet.cache_clear()
    yield key
    get_fernet.cache_clear()


@pytest.fixture
def no_fernet_key(fernet_key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An Airflow that keeps everything in the clear."""
    monkeypatch.setenv("AIRFLOW__CORE__FERNET_KEY", "")
    get_fernet.cache_clear()
