"""A client with the shipped seed's main SignalWire token."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import httpx
import pytest

from airflow_voice_agents.emulator.server import EmulatorServer

PROJECT = "2f6c1f0e-8a6b-4d0e-9c34-5b1d7e9a0c21"
NUMBERS = "/api/relay/rest/phone_numbers"


@pytest.fixture(scope="session")
def carrier_client(running_server: EmulatorServer) -> Iterator[httpx.Client]:
    auth = (PROJECT, "demo-token-hotels")
    with httpx.Client(base_url=running_server.url, auth=auth, timeout=10) as client:
        yield client


@pytest.fixture
def carrier(server: EmulatorServer, carrier_client: httpx.Client) -> httpx.Client:
    """A client of the hotels' project."""
    return carrier_client


@pytest.fixture
def path_of(server: EmulatorServer) -> Callable[[str], str]:
    """Path of a number's record."""
    return lambda number: f"{NUMBERS}/{server.signalwire.number(number)['id']}"
