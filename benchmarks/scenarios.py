"""The scenarios of the quick and of the full run."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

CONSTANT = {"latency": 0.02}
HUNDRED = {"latency": 0.1}
LOG_NORMAL = {"latency": 0.1, "latency_p99": 0.8, "latency_seed": 1}
RATE = 100.0
"""Requests a second before 429, where faults are injected."""


def faults(seed: int) -> list[dict[str, Any]]:
    """Return the rules: 0.5 % 503, 0.2 % applied and then reset, 2 % of the items of batches failed.

    :param seed: of the draws.
    """
    always = {"times": None}
    return [
        {"action": "answer", "status": 503, "probability": 0.005, "seed": seed, **always},
        {"action": "reset", "apply": True, "probability": 0.002, "seed": seed + 1000, **always},
        {"action": "items", "share": 0.02, "seed": seed + 2000, "operation": "update connectors", **always},
        {
            "action": "items",
            "share": 0.02,
            "seed": seed + 2000,
            "operation": "import phone numbers",
            **always,
        },
    ]


@dataclass(frozen=True)
class Scenario:
    """A job of a size under a latency, and who does it how often.

    :param name: key in the results.
    :param job: ``promote``, ``connectors`` or ``numbers``.
    :param sizes: of the job.
    :param switches: of the server.
    :param who: contestants; in each repeat they take turns, so that ratios are of one moment.
    :param repeats: how often.
    :param faulty: whether faults are injected, other ones in each repeat.
    :param bare: whether the bare requests take part.
    :param kill: share of the floor's writes after which the process is killed; 0 for never.
    """

    name: str
    job: str
    sizes: dict[str, Any]
    switches: dict[str, Any]
    who: tuple[str, ...]
    repeats: int
    faulty: bool = False
    bare: bool = False
    kill: float = 0.0

    def work(self, repeat: int) -> dict[str, Any]:
        """Return what the server is prepared with.

        :param repeat: which one, from 0.
        """
        switches = {**self.switches}
        if "latency_seed" in switches:
            switches["latency_seed"] = repeat + 1
        if self.faulty:
            switches["rate_limit"] = RATE
        rules = faults(repeat + 1) if self.faulty else []
        return {"kind": self.job, "sizes": self.sizes, "switches": switches, "faults": rules}


@dataclass(frozen=True)
class AirflowRun:
    """A job in a whole Airflow, at 20 ms.

    :param name: key in the results.
    :param job: ``promote``, ``connectors`` or ``numbers``.
    :param sizes: of the job.
    :param who: contestants.
    :param repeats: how often each runs.
    :param once: who runs in the first repeat only, because it takes minutes.
    """

    name: str
    job: str
    sizes: dict[str, Any]
    who: tuple[str, ...]
    repeats: int = 1
    once: tuple[str, ...] = ()

    def turn(self, repeat: int) -> list[str]:
        """Return who runs in a repeat.

        :param repeat: which one, from 0.
        """
        return [letter for letter in self.who if not repeat or letter not in self.once]

    def work(self) -> dict[str, Any]:
        """Return what the server is prepared with."""
        return {"kind": self.job, "sizes": self.sizes, "switches": CONSTANT}


def promote(
    projects: int, changed: float, switches: dict[str, Any], who: str, repeats: int, **more: Any
) -> Scenario:
    """Return a promotion.

    :param projects: how many.
    :param changed: share of them that differ.
    :param switches: of the server.
    :param who: contestants' letters, separated by blanks.
    :param repeats: how often.
    :param more: further fields of :class:`Scenario`.
    """
    name = f"promote, {projects:,} projects, {changed:.0%} changed"
    sizes = {"projects": projects, "changed": changed}
    return _named(Scenario(name, "promote", sizes, switches, tuple(who.split()), repeats, **more))


def connectors(count: int, switches: dict[str, Any], who: str, repeats: int, **more: Any) -> Scenario:
    """Return an update of connectors, all of which differ; parameters as for :func:`promote`.

    :param count: how many.
    """
    sizes = {"connectors": count}
    name = f"connectors, {count:,}"
    return _named(Scenario(name, "connectors", sizes, switches, tuple(who.split()), repeats, **more))


def numbers(agents: list[int], switches: dict[str, Any], who: str, repeats: int, **more: Any) -> Scenario:
    """Return an import of new numbers; parameters as for :func:`promote`.

    :param agents: how many numbers each agent gets.
    """
    name = f"numbers, {sum(agents):,} for {len(agents)} agent{'s' if len(agents) > 1 else ''}"
    sizes = {"agents": agents}
    return _named(Scenario(name, "numbers", sizes, switches, tuple(who.split()), repeats, **more))


def in_airflow(projects: int, changed: float, who: str, repeats: int = 1, once: str = "") -> AirflowRun:
    """Return a promotion in a whole Airflow; parameters as for :func:`promote`."""
    name = f"promote, {projects:,} projects, {changed:.0%} changed"
    sizes = {"projects": projects, "changed": changed}
    return AirflowRun(name, "promote", sizes, tuple(who.split()), repeats, tuple(once))


def _named(scenario: Scenario) -> Scenario:
    switches = scenario.switches
    parts = [
        scenario.name,
        "log-normal" if "latency_p99" in switches else f"{switches['latency'] * 1000:.0f} ms",
    ]
    parts += ["with faults"] if scenario.faulty else []
    parts += ["killed half-way"] if scenario.kill else []
    return replace(scenario, name=", ".join(parts))


FLEET = [20_000, *[1_000] * 80]
"""Numbers per agent: 100,000 in all, one agent with 20,000."""

BOUND = promote(5_000, 0.0, HUNDRED, "A A+ D", 3, bare=True)
"""The one that the bound, the CPU and the bare requests are judged by."""

MEMORY = numbers([100_000], CONSTANT, "A A+ D", 1)
"""The one that memory is judged by: all numbers in one task."""

WARM_UP = {
    "promote": in_airflow(1, 1.0, ""),
    "connectors": AirflowRun("connectors, 1", "connectors", {"connectors": 1}, ()),
    "numbers": AirflowRun("numbers, 1", "numbers", {"agents": [1]}, ()),
}

QUICK = [
    promote(100, 0.2, CONSTANT, "A A+ D", 1),
    promote(20, 0.2, CONSTANT, "E", 1),
    promote(300, 0.0, HUNDRED, "A D", 1, bare=True),
    connectors(1_000, CONSTANT, "A D", 1),
    numbers([1_000, 1_000], CONSTANT, "A D", 1),
    promote(100, 1.0, LOG_NORMAL, "A D", 1, faulty=True),
    promote(100, 1.0, CONSTANT, "A D", 1, kill=0.5),
]
QUICK_AIRFLOW = [in_airflow(5, 0.2, "A B D")]

FULL = [
    *(promote(1, changed, CONSTANT, "A A+ D", 3) for changed in (0.0, 1.0)),
    *(promote(100, changed, CONSTANT, "A A+ D", 5) for changed in (0.0, 0.2, 1.0)),
    promote(100, 0.2, CONSTANT, "A- D- E", 3),
    *(promote(1_000, changed, CONSTANT, "A A+ D", 3) for changed in (0.0, 0.2, 1.0)),
    promote(1_000, 0.2, LOG_NORMAL, "A D A- D-", 3),
    *(promote(5_000, changed, CONSTANT, "A A+ D", 1) for changed in (0.0, 0.2, 1.0)),
    BOUND,
    connectors(10_000, CONSTANT, "A A+ D", 5),
    connectors(1_000, CONSTANT, "A A+ D E", 5),
    numbers([1_000, 500, 500], CONSTANT, "A A+ D E", 5),
    numbers(FLEET, CONSTANT, "A A+ D", 1),
    MEMORY,
    promote(400, 1.0, LOG_NORMAL, "A D", 3, faulty=True),
    connectors(10_000, LOG_NORMAL, "A D", 3, faulty=True),
    numbers([4_000, 1_000], LOG_NORMAL, "A D", 3, faulty=True),
    promote(400, 1.0, CONSTANT, "A D", 3, kill=0.5),
    connectors(10_000, CONSTANT, "A D", 3, kill=0.5),
    numbers([4_000, 1_000], CONSTANT, "A D", 3, kill=0.5),
]
FULL_AIRFLOW = [
    in_airflow(10, 0.2, "A B C D"),
    in_airflow(50, 0.2, "A B D"),
    in_airflow(200, 0.2, "A B D", 3, once="B"),
    in_airflow(200, 1.0, "A B D", 3, once="B"),
    AirflowRun("connectors, 1,000", "connectors", {"connectors": 1_000}, ("A", "B", "D")),
    AirflowRun("numbers, 1,000 for 1 agent", "numbers", {"agents": [1_000]}, ("A", "B", "D")),
]
