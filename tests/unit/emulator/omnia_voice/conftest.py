"""A client with the shipped seed's main Omnia Voice key."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from airflow_voice_agents.emulator.server import EmulatorServer


@pytest.fixture(scope="session")
def omnia_client(running_server: EmulatorServer) -> Iterator[httpx.Client]:
    headers = {"X-API-Key": "demo-omnia-key"}
    with httpx.Client(base_url=f"{running_server.url}/api/v1", headers=headers, timeout=10) as client:
        yield client


@pytest.fixture
def omnia(server: EmulatorServer, omnia_client: httpx.Client) -> httpx.Client:
    """A client of the hotels' workspace."""
    return omnia_client
