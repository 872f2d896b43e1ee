"""A workspace on the local server, and an Airflow in memory."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_voice_agents.emulator.server import EmulatorServer
from support.emulated_omnia import EmulatedOmnia


@pytest.fixture
def omnia(server: EmulatorServer) -> EmulatedOmnia:
    """Server and Airflow together; the workspace lists no number yet."""
    emulated = EmulatedOmnia(server)
    emulated.start()
    return emulated


@pytest.fixture(autouse=True)
def encrypting(fernet_key: str) -> str:
    """An Airflow with a Fernet key."""
    return fernet_key


@pytest.fixture(autouse=True)
def state_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of locks, holds and snapshots; no test finds those of another."""
    monkeypatch.setenv("AIRFLOW__VOICE_AGENTS__STATE_FOLDER", str(tmp_path))
    return tmp_path
