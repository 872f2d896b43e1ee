"""Whole runs under random faults, each from a fixed seed, then a run without: reports are true, and all is done."""

from __future__ import annotations

import random
from typing import Any

import pytest

from airflow_voice_agents.emulator.faults import Fault
from support.emulated import Emulated
from support.faults import SCENARIOS, Scenario, Start, Truth, contradictions, sent_blind

SEEDS = range(20)
ONCE_FAILED: dict[str, set[int]] = {"promotion": {0, 1}, "connectors": {11}, "numbers": {1, 4, 12, 19}}
"""Seeds of :func:`draw` that once showed a defect; they are kept."""

CASES = [
    pytest.param(scenario, seed, id=f"{scenario}-{seed}")
    for scenario in SCENARIOS
    for seed in sorted({*ONCE_FAILED[scenario.name], *SEEDS})
]


def draw(seed: int) -> list[Fault]:
    """Some faults of all kinds, rare or frequent, on reads and writes; equal seeds, equal faults."""
    dice = random.Random(seed)  # noqa: S311 - repeatable, not secret
    share = dice.choice([0.05, 0.15, 0.4, 0.8])
    return [_one(dice, share, dice.randrange(2**32)) for _ in range(dice.randint(1, 5))]


def _one(dice: random.Random, share: float, seed: int) -> Fault:
    action: Any = dice.choice(["answer", "answer", "answer", "reset", "reset", "truncate", "not_json"])
    status = dice.choice([429, 500, 502, 503, 504, 408, 400, 403, 404, 409, 422])
    return Fault(
        action,
        apply=dice.random() < 0.5 and not (action == "answer" and 400 <= status < 500 and status != 408),
        method=dice.choice([None, None, "PATCH", "POST", "PUT"]),
        nth=dice.randint(1, 6),
        times=dice.choice([None, 1, 3, 8]),
        probability=share,
        seed=seed,
        status=status,
        headers=dice.choice([{}, {"Retry-After": "0"}]),
        body={"success": False, "error_message": "no", "error_code": "SOME_CODE"},
    )


@pytest.fixture(scope="module")
def goals(start: Start) -> dict[str, Truth]:
    """What the server holds after a run of each scenario that goes well."""
    found = {}
    for scenario in SCENARIOS:
        polyai = start(scenario)
        assert polyai.run(scenario.task()).state == "success"
        found[scenario.name] = scenario.truth(polyai.server)
    return found


@pytest.mark.parametrize(("scenario", "seed"), CASES)
def test_under_random_faults_reports_are_true_and_the_next_run_finishes(
    start: Start, goals: dict[str, Truth], scenario: Scenario, seed: int
) -> None:
    polyai, goal = start(scenario), goals[scenario.name]
    for fault in draw(seed):
        polyai.server.emulator.faults.add(fault)

    between = attempt(polyai, scenario, goal)
    between = attempt(polyai, scenario, goal, before=between)
    polyai.server.clear_faults()
    polyai.server.journal.clear()
    last = polyai.run(scenario.task())

    after = scenario.truth(polyai.server)
    assert (last.state, after) == ("success", goal), last.error
    assert contradictions(last, before=between, after=after, wanted=goal) == []
    if between == goal:
        assert polyai.writes() == 0


def attempt(polyai: Emulated, scenario: Scenario, goal: Truth, before: Truth | None = None) -> Truth:
    """One run under faults; its report, if it came to one, must be true."""
    before = before or scenario.truth(polyai.server)
    polyai.server.journal.clear()
    outcome = polyai.run(scenario.task())
    after = scenario.truth(polyai.server)
    if "report" in outcome.xcoms:
        assert contradictions(outcome, before=before, after=after, wanted=goal) == []
    else:
        assert (outcome.state, polyai.writes(), after) == ("failed", 0, before), outcome.error
    if outcome.state == "success":
        assert after == goal
    assert sent_blind(polyai.server.journal.entries()) == []
    return after
