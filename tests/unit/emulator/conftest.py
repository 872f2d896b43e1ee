"""One server and two clients per worker; the server starts over before each test."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from airflow_voice_agents.emulator.server import EmulatorServer

KEY = {"X-API-KEY": "demo-key-uk"}


@pytest.fixture(scope="session")
def running_server() -> Iterator[EmulatorServer]:
    with EmulatorServer() as server:
        yield server


@pytest.fixture(scope="session")
def running_client(running_server: EmulatorServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=running_server.url, headers=KEY, timeout=10) as client:
        yield client


@pytest.fixture
def server(running_server: EmulatorServer) -> EmulatorServer:
    running_server.reset()
    return running_server


@pytest.fixture
def api(server: EmulatorServer, running_client: httpx.Client) -> httpx.Client:
    """A client with the shipped seed's main key."""
    return running_client


@pytest.fixture(scope="session")
def anonymous(running_server: EmulatorServer) -> Iterator[httpx.Client]:
    """A client without a key."""
    with httpx.Client(base_url=running_server.url, timeout=10) as client:
        yield client
