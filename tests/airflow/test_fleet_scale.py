"""A thousand targets: no request too many, and memory that does not grow with the fleet."""

from __future__ import annotations

import pytest
from cryptography.fernet import Fernet

from support.scale import FLOOR, Cost, measure

LATENCY, CONCURRENCY = 0.02, 16
FEW, MANY = 10, 1000
MORE_REQUESTS = 1.05
MORE_MEMORY = 100.0
"""Megabytes."""


def bound(cost: Cost) -> float:
    """Seconds that it takes at least, on this machine: waiting for answers, or computing."""
    return max(cost.requests * LATENCY / CONCURRENCY, cost.cpu)


def test_a_promotion_to_a_thousand_targets(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__FERNET_KEY", Fernet.generate_key().decode())

    few, many = (measure(targets, latency=LATENCY, concurrency=CONCURRENCY) for targets in (FEW, MANY))

    with capsys.disabled():  # told and not asserted: it depends on what else the machine does
        print(
            f"\n{many.targets} targets: {many.requests} requests in {many.seconds:.1f} s, {many.cpu:.1f} s of CPU, "
            f"{many.seconds / bound(many):.2f} x the bound ({many.waited:.1f} s of it waiting for a processor); "
            f"{many.peak:.0f} MB at most, {many.peak - few.peak:.0f} MB above {few.targets} targets"
        )
    for cost in (few, many):
        assert cost.requests <= MORE_REQUESTS * FLOOR * cost.targets
        assert cost.changed == 3 * cost.targets
    assert many.peak - few.peak < MORE_MEMORY
