"""A workspace on the local server, and an Airflow in memory."""

from __future__ import annotations

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
