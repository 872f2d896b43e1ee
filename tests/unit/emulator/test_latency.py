from __future__ import annotations

from statistics import median, quantiles

import httpx
import pytest

from airflow_voice_agents.emulator.behaviors import Behaviors
from airflow_voice_agents.emulator.latency import Latency
from airflow_voice_agents.emulator.server import EmulatorServer

PAGE = "/v1/agents/harbour-hotels/real-time-configs/live"


def drawn(switches: Behaviors, count: int = 5) -> list[float]:
    latency = Latency(switches)
    return [latency.seconds() for _ in range(count)]


@pytest.mark.parametrize("p99", [0.0, 0.05, 0.1])
def test_waits_are_all_alike_unless_the_99th_percentile_lies_above(p99: float) -> None:
    assert drawn(Behaviors(latency=0.1, latency_p99=p99)) == [0.1] * 5


def test_without_latency_nothing_waits() -> None:
    assert drawn(Behaviors(latency=0.0, latency_p99=0.8)) == [0.0] * 5


def test_median_and_99th_percentile_are_those_asked_for() -> None:
    waits = drawn(Behaviors(latency=0.1, latency_p99=0.8), 20_000)

    assert median(waits) == pytest.approx(0.1, rel=0.03)
    assert quantiles(waits, n=100)[98] == pytest.approx(0.8, rel=0.08)


def test_a_draw_is_repeatable_and_depends_on_its_seed() -> None:
    first, same = (drawn(Behaviors(latency=0.1, latency_p99=0.8, latency_seed=1)) for _ in range(2))

    assert first == same
    assert first != drawn(Behaviors(latency=0.1, latency_p99=0.8, latency_seed=2))


def test_another_seed_begins_the_draw_anew() -> None:
    switches = Behaviors(latency=0.1, latency_p99=0.8, latency_seed=1)
    latency = Latency(switches)
    first = [latency.seconds() for _ in range(3)]

    switches.latency_seed = 2.0
    latency.seconds()
    switches.latency_seed = 1.0

    assert [latency.seconds() for _ in range(3)] == first


def test_the_server_draws_a_wait_for_each_request_and_begins_anew_when_it_starts_over(
    server: EmulatorServer, api: httpx.Client
) -> None:
    tiny = {"latency": 1e-9, "latency_p99": 1e-8, "latency_seed": 3}
    _, second, third = drawn(Behaviors(**tiny), 3)
    server.switches.update(tiny)
    api.get(PAGE)
    latency = server.emulator.gate._latency

    assert latency.seconds() == second
    server.reset()
    server.switches.update(tiny)
    api.get(PAGE)
    assert [latency.seconds() for _ in range(2)] == [second, third]
