"""The carrier's part of the local server."""

from __future__ import annotations

import pytest

from airflow_voice_agents.emulator.server import EmulatorServer
from support.carrier import EmulatedCarrier, routed


@pytest.fixture
def carrier(server: EmulatorServer) -> EmulatedCarrier:
    """Five numbers that lead to the old SWML document."""
    emulated = EmulatedCarrier(server)
    emulated.start(routed(5))
    return emulated
