"""A local server per worker, an Airflow in memory, and processes that can be killed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from cryptography.fernet import Fernet

from airflow_voice_agents.emulator.fleet_seed import FLEET_KEY
from airflow_voice_agents.emulator.server import EmulatorServer
from support.airflow_versions import forget_fernet
from support.emulated import Emulated
from support.faults import CONNECTOR_UPDATE, NUMBER_IMPORT, PROMOTION, SCENARIOS, Scenario, Start
from support.fixtures import running_server
from support.forked_tasks import Nursery
from support.no_pauses import no_pauses

__all__ = ["no_pauses", "running_server"]


@pytest.fixture(scope="session")
def start(running_server: EmulatorServer) -> Start:
    """Starts a scenario over, as often as wanted."""

    def begin(scenario: Scenario) -> Emulated:
        running_server.reset(scenario.seed())
        return Emulated(running_server, key=FLEET_KEY)

    return begin


@pytest.fixture(params=SCENARIOS, ids=str)
def scenario(request: pytest.FixtureRequest) -> Scenario:
    """Each of the three runs."""
    found: Scenario = request.param
    return found


@pytest.fixture
def promotion(start: Start) -> Emulated:
    """A server before the promotion."""
    return start(PROMOTION)


@pytest.fixture
def connectors(start: Start) -> Emulated:
    """A server before the update of connectors."""
    return start(CONNECTOR_UPDATE)


@pytest.fixture
def numbers(start: Start) -> Emulated:
    """A server before the import of numbers."""
    return start(NUMBER_IMPORT)


@pytest.fixture(scope="session")
def shared_key() -> str:
    """One Fernet key for this process and those that the nursery forks."""
    return Fernet.generate_key().decode()


@pytest.fixture(scope="module", autouse=True)
def fernet_key(shared_key: str) -> Iterator[None]:
    """Airflow has a key to encrypt with, as long as the tests of this folder run."""
    forget_fernet()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AIRFLOW__CORE__FERNET_KEY", shared_key)
        yield
    forget_fernet()


@pytest.fixture(scope="session")
def nursery(running_server: EmulatorServer, shared_key: str) -> Iterator[Nursery]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AIRFLOW__CORE__FERNET_KEY", shared_key)
        nursery = Nursery()
    try:
        for scenario in SCENARIOS:
            running_server.reset(scenario.seed())
            nursery.warm(scenario.attempt(running_server.url))
        yield nursery
    finally:
        nursery.close()
