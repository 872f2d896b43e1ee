"""A local server for the few tests that want one; nothing waits before it is sent again."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from airflow_voice_agents.emulator.core import default_seed
from airflow_voice_agents.emulator.server import EmulatorServer
from support.no_pauses import no_pauses

__all__ = ["no_pauses"]


@pytest.fixture(scope="session")
def running_server() -> Iterator[EmulatorServer]:
    with EmulatorServer() as server:
        yield server


@pytest.fixture
def server(running_server: EmulatorServer) -> EmulatorServer:
    """The shipped seed."""
    running_server.reset(default_seed())
    return running_server
