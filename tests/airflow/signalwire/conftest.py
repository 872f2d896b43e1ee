"""The carrier's part of the local server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from airflow_voice_agents.emulator.server import EmulatorServer
from airflow_voice_agents.signalwire.operators.base import SignalWireWritingOperator
from support.carrier import EmulatedCarrier, routed


@pytest.fixture(autouse=True)
def own_state_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Holds and locks outlive a task; those of one test must not meet the next one."""
    monkeypatch.setenv("AIRFLOW__VOICE_AGENTS__STATE_FOLDER", tmp_path.as_uri())


@pytest.fixture(autouse=True)
def no_polling_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """An unknown outcome is polled twice, without a pause."""
    policy = SignalWireWritingOperator.policy

    def quick(operator: Any) -> Any:
        return replace(policy(operator), settle_polls=(0.001,))

    monkeypatch.setattr(SignalWireWritingOperator, "policy", quick)


@pytest.fixture
def carrier(server: EmulatorServer) -> EmulatedCarrier:
    """Five numbers that lead to the old SWML document."""
    emulated = EmulatedCarrier(server)
    emulated.start(routed(5))
    return emulated
