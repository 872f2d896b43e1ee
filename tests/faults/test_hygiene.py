"""Nothing is left of a run: no thread, no descriptor, no process, no connection at the server."""

from __future__ import annotations

from typing import Any

import pytest

from support.faults import PROMOTION, Killing, Scenario, Start, settle
from support.forked_tasks import Attempt, Leaking, Nursery

TROUBLE: dict[str, list[dict[str, Any]]] = {
    "nothing": [],
    "resets": [{"action": "reset", "probability": 0.4, "times": None}],
    "answers cut short": [{"action": "truncate", "probability": 0.3, "times": None}],
    "a refused key": [{"action": "answer", "status": 401, "nth": 9, "times": None}],
    "no answer at all": [{"action": "reset", "times": None}],
    "a server that hangs": [{"action": "delay", "seconds": 1, "nth": 4, "times": 1}],
}


@pytest.mark.parametrize("trouble", TROUBLE)
def test_a_run_leaves_nothing_behind(
    start: Start, nursery: Nursery, scenario: Scenario, trouble: str
) -> None:
    polyai = start(scenario)
    for rule in TROUBLE[trouble]:
        polyai.server.fault(**rule)

    [ended] = nursery.run(scenario.attempt(polyai.server.url, concurrency=4))

    assert (ended.exit_code, ended.state) in ((0, "success"), (0, "failed"))
    assert ended.left is not None
    assert not ended.left.any, ended.left
    for complaint in ("never retrieved", "was destroyed", "never awaited"):
        assert complaint not in ended.log
    settle(polyai.server)


def test_what_is_left_behind_would_be_found(start: Start, nursery: Nursery) -> None:
    polyai = start(PROMOTION)

    [ended] = nursery.run(Attempt(Leaking, {}, polyai.server.url, "key"))

    assert ended.left is not None
    assert ended.left.threads == ["leak"]
    assert len(ended.left.descriptors) == 1
    assert ended.left.children
    assert "unclosed" in repr(ended.left.warnings)


def test_a_killed_run_leaves_no_connection_and_no_process(
    start: Start, nursery: Nursery, scenario: Scenario
) -> None:
    polyai = start(scenario)
    fault = Killing(nth=4, apply=True)
    polyai.server.emulator.faults.add(fault)

    [ended] = nursery.run(scenario.attempt(polyai.server.url, concurrency=4), started=fault.target)

    assert ended.exit_code < 0
    settle(polyai.server)
