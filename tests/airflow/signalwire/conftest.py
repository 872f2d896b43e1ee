"""The carrier's part of the local server, and an Airflow that can encrypt."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from airflow.sdk.crypto import get_fernet
from cryptography.fernet import Fernet

from airflow_voice_agents.emulator.server import EmulatorServer
from support.carrier import EmulatedCarrier, routed


@pytest.fixture
def carrier(server: EmulatorServer) -> EmulatedCarrier:
    """Five numbers that lead to the old SWML document."""
    emulated = EmulatedCarrier(server)
    emulated.start(routed(5))
    return emulated


@pytest.fixture
def fernet_key(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A Fernet key of the test's own."""
    key = Fernet.generate_key().decode()
    monkeypatch.setenv("AIRFLOW__CORE__FERNET_KEY", key)
    get_fernet.cache_clear()
    yield key
    get_fernet.cache_clear()


@pytest.fixture
def no_fernet_key(fernet_key: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An Airflow that keeps everything in the clear, whatever the module asks for."""
    monkeypatch.setenv("AIRFLOW__CORE__FERNET_KEY", "")
    get_fernet.cache_clear()
    yield
    get_fernet.cache_clear()
