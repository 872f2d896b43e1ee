"""Delay requests before they are handled."""

from __future__ import annotations

import math
import random

from airflow_voice_agents.emulator.behaviors import Behaviors

_NORMAL_P99 = 2.3263478740408408
"""The 99th percentile of the standard normal distribution."""


class Latency:
    """Waits as the switches ask for: all alike, or drawn from a log-normal distribution.

    :param switches: read at every request, so that they can be set while the server runs.
    """

    def __init__(self, switches: Behaviors) -> None:
        self._switches = switches
        self._seed = 0.0
        self.clear()

    def seconds(self) -> float:
        """The wait of the next request."""
        median, p99 = self._switches.latency, self._switches.latency_p99
        if p99 <= median or not median:
            return median
        if self._switches.latency_seed != self._seed:
            self.clear()
        return median * math.exp(math.log(p99 / median) / _NORMAL_P99 * self._draw.gauss())

    def clear(self) -> None:
        """Restart the sequence of latencies."""
        self._seed = self._switches.latency_seed
        self._draw = random.Random(self._seed)  # noqa: S311 - repeatable, not secret
