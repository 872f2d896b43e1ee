"""Many deferred waits on PolyAI whose answer takes many requests: drift is compared once for all of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from airflow_voice_agents.bases.trigger import JITTER
from airflow_voice_agents.polyai.conditions import DriftCondition
from airflow_voice_agents.polyai.triggers import PolyAIDriftTrigger
from support.emulated import HOTELS, LIVE, PAGES, PRE_RELEASE, ROSA, SANDBOX, Emulated, place
from support.virtual_time import VirtualTime

WAITS, INTERVALS, INTERVAL = 10, 4, 60.0
PAGE = {"greeting": "Good day"}
SPEC = {
    "source": place(HOTELS, SANDBOX),
    "targets": [place(HOTELS, LIVE), place(ROSA, LIVE)],
    "config": {},
    "allow_skip_pre_release": True,
}
READS = 2
"""One list of pages for each of the two agents."""
MOST_POLLS = int(INTERVALS / (1 - JITTER)) + 2
"""One per interval, one when it begins, and one at the deadline."""


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> VirtualTime:
    clock = VirtualTime()
    clock.patch(monkeypatch)
    return clock


@pytest.fixture
def aligned(polyai: Emulated) -> Emulated:
    """Every page is the same."""
    for agent in (HOTELS, ROSA):
        for environment in (SANDBOX, PRE_RELEASE, LIVE):
            polyai.put_page(agent, environment, PAGE)
    return polyai


def waiting(clock: VirtualTime, **compared: Any) -> PolyAIDriftTrigger:
    return PolyAIDriftTrigger(
        polyai_conn_id="polyai_default",
        condition=DriftCondition.parse("drift", **compared).serialize(),
        poll_interval=INTERVAL,
        deadline=clock.now + INTERVALS * INTERVAL,
    )


def test_waits_for_the_same_drift_compare_once(aligned: Emulated, clock: VirtualTime) -> None:
    events = clock.fire(aligned.runner, [waiting(clock, spec=SPEC) for _ in range(WAITS)])

    assert events == [[{"status": "timeout"}]] * WAITS
    assert set(aligned.requests()) == {PAGES}
    assert INTERVALS * READS <= aligned.requests()[PAGES] <= MOST_POLLS * READS


def test_waits_for_the_drift_of_other_targets_compare_for_themselves(
    aligned: Emulated, clock: VirtualTime
) -> None:
    other = {**SPEC, "targets": [place(HOTELS, PRE_RELEASE)]}
    arrive = lambda: aligned.put(HOTELS, PRE_RELEASE, greeting="edited")  # noqa: E731
    aligned.meanwhile(arrive, operation=PAGES, nth=4)

    here, there = clock.fire(aligned.runner, [waiting(clock, spec=SPEC), waiting(clock, spec=other)])

    assert here == [{"status": "timeout"}]
    assert [event["status"] for event in there] == ["success"]
    assert there[0]["found"]["targets"] == [f"{HOTELS}/{PRE_RELEASE}"]


def test_a_named_file_is_read_again_for_each_comparison(
    aligned: Emulated, clock: VirtualTime, tmp_path: Path
) -> None:
    path = tmp_path / "spec.json"
    path.write_text(json.dumps(SPEC))
    edited = json.dumps({**SPEC, "targets": [place(ROSA, PRE_RELEASE)]})
    aligned.put(ROSA, PRE_RELEASE, greeting="edited")
    aligned.meanwhile(lambda: path.write_text(edited), operation=PAGES, nth=3)

    events = clock.fire(aligned.runner, [waiting(clock, spec_file=str(path)) for _ in range(3)])

    assert [[event["status"] for event in each] for each in events] == [["success"]] * 3
    assert aligned.requests() == {PAGES: 3 * READS}
