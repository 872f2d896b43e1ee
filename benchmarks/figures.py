"""Numbers made of measured runs: medians, spreads, ratios of one moment, and the bound."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from statistics import median
from typing import Any

Run = Mapping[str, Any]
NORMAL_P99 = 2.3263478740408408
PUSH = {"requests": 5, "writes": 2}
"""The vendor's command line for one push of one page: it always sends schema and all values."""


def of(runs: Iterable[Run], who: str) -> list[Run]:
    """Return a contestant's runs.

    :param runs: of a scenario.
    :param who: its letter.
    """
    return [run for run in runs if run["who"] == who]


def middle(runs: Iterable[Run], figure: Callable[[Run], float]) -> float:
    """Return the median of a figure.

    :param runs: at least one.
    :param figure: of a run.
    """
    return median(map(figure, runs))


def spread(runs: Iterable[Run], figure: Callable[[Run], float], digits: int = 2) -> str:
    """Return median, and least and most where there is more than one run, as text.

    :param runs: at least one.
    :param figure: of a run.
    :param digits: behind the point.
    """
    values = sorted(map(figure, runs))
    text = f"{median(values):,.{digits}f}"
    return text if len(values) == 1 else f"{text} ({values[0]:,.{digits}f}–{values[-1]:,.{digits}f})"


def ratio(runs: Iterable[Run], one: str, other: str, figure: Callable[[Run], float]) -> float | None:
    """Return the median over the repeats of one contestant's figure over another's.

    A repeat's figures are measured one right after the other. Where one of them ran less often, its median
    takes part.

    :param runs: of a scenario.
    :param one: letter.
    :param other: letter.
    :param figure: of a run.
    """
    runs = list(runs)
    ones, others = of(runs, one), of(runs, other)
    if not ones or not others:
        return None
    by_repeat = {run["repeat"]: figure(run) for run in others}
    usual = median(by_repeat.values())
    return median(figure(run) / by_repeat.get(run["repeat"], usual) for run in ones)


def wall(run: Run) -> float:
    """Seconds from start to end of the task."""
    return float(run["wall"])


def cpu(run: Run) -> float:
    """Seconds of CPU of the task."""
    return float(run["cpu"])


def cpu_ms(run: Run) -> float:
    """Milliseconds of CPU per item."""
    return 1000 * cpu(run) / float(run["items"])


def per_item(run: Run) -> float:
    """Requests per item."""
    return float(run["requests"]) / float(run["items"])


def mean_latency(switches: Mapping[str, float]) -> float:
    """Return the expected wait of a request in seconds.

    :param switches: of the server.
    """
    middle_of_all, p99 = switches["latency"], switches.get("latency_p99", 0.0)
    if p99 <= middle_of_all:
        return middle_of_all
    sigma = math.log(p99 / middle_of_all) / NORMAL_P99
    return middle_of_all * math.exp(sigma**2 / 2)


def bound(run: Run, switches: Mapping[str, float], in_flight: int, rate: float | None) -> float:
    """Return the least seconds that a run's requests can take: by the rate, and by latency and concurrency.

    :param run: one run.
    :param switches: of the server.
    :param in_flight: requests side by side; a plain loop has one.
    :param rate: requests a second, or ``None`` where there is no limit.
    """
    side_by_side = 1 if run["who"].startswith("E") else in_flight
    by_latency = run["requests"] * mean_latency(switches) / side_by_side
    return max(by_latency, run["requests"] / rate if rate else 0.0)


def busy(run: Run) -> float:
    """Share of the time in which the server's one core was busy."""
    return float(run["server_cpu"]) / max(wall(run), 0.001)


def verbs(counts: Mapping[str, int]) -> str:
    """Return requests by verb as text.

    :param counts: requests by verb.
    """
    return ", ".join(f"{verb} {count:,}" for verb, count in sorted(counts.items()) if count) or "none"
