"""Many deferred waits on one workspace: they share its list, however many numbers they watch."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_voice_agents.bases.trigger import JITTER
from airflow_voice_agents.omnia_voice.conditions import NumberCondition
from airflow_voice_agents.omnia_voice.triggers import OmniaVoiceNumberTrigger
from support.emulated_omnia import DESK, LIST, OF_AGENT, EmulatedOmnia, number, numbers
from support.virtual_time import VirtualTime

WAITS, INTERVALS, INTERVAL = 40, 6, 120.0
LISTED, PAGES = 250, 3
MISSING = numbers(WAITS, first=1000)
MOST_POLLS = int(INTERVALS / (1 - JITTER)) + 2
"""One per interval, one when it begins, and one at the deadline."""


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> VirtualTime:
    clock = VirtualTime()
    clock.patch(monkeypatch)
    return clock


def waiting(
    clock: VirtualTime, e164: str, conn_id: str = "omniavoice_default", **wanted: Any
) -> OmniaVoiceNumberTrigger:
    condition = NumberCondition.parse([e164], wanted.get("agent_id"), wanted.get("statuses"))
    return OmniaVoiceNumberTrigger(
        omniavoice_conn_id=conn_id,
        condition=condition.serialize(),
        poll_interval=INTERVAL,
        deadline=clock.now + INTERVALS * INTERVAL,
    )


def test_waits_for_different_numbers_share_all_pages_of_one_list(
    omnia: EmulatedOmnia, clock: VirtualTime
) -> None:
    omnia.start(LISTED)

    events = clock.fire(omnia.runner, [waiting(clock, each) for each in MISSING])

    assert events == [[{"status": "timeout"}]] * WAITS
    assert set(omnia.requests()) == {LIST}
    assert INTERVALS <= omnia.requests()[LIST] / PAGES <= MOST_POLLS


def test_waits_on_connections_of_their_own_share_nothing(omnia: EmulatedOmnia, clock: VirtualTime) -> None:
    known = omnia.runner.connections["omniavoice_default"]
    ids = [f"workspace_{index}" for index in range(WAITS)]
    omnia.runner.connections = dict.fromkeys(ids, known)
    pairs = zip(ids, MISSING, strict=True)

    clock.fire(omnia.runner, [waiting(clock, each, conn_id) for conn_id, each in pairs])

    assert omnia.requests()[LIST] >= WAITS * INTERVALS


def test_waits_for_numbers_of_one_agent_share_its_list(omnia: EmulatedOmnia, clock: VirtualTime) -> None:
    omnia.start(LISTED)

    clock.fire(omnia.runner, [waiting(clock, each, agent_id=DESK) for each in MISSING])

    assert set(omnia.requests()) == {OF_AGENT}
    assert INTERVALS <= omnia.requests()[OF_AGENT] <= MOST_POLLS


def test_each_wait_ends_when_its_own_number_is_as_wanted(omnia: EmulatedOmnia, clock: VirtualTime) -> None:
    omnia.start(2)
    omnia.edit(number(1), status="INACTIVE")
    arrive = lambda: omnia.server.omnia_voice.add_number("hotels", MISSING[0])  # noqa: E731
    omnia.meanwhile(arrive, operation=LIST, nth=3)
    waits = [
        waiting(clock, number(0)),
        waiting(clock, MISSING[0]),
        waiting(clock, number(1), statuses=["active"]),
        waiting(clock, number(1), statuses=["inactive"]),
    ]

    listed, arrived, other_status, status = clock.fire(omnia.runner, waits)

    assert [event["status"] for event in (*listed, *arrived, *status)] == ["success"] * 3
    assert other_status == [{"status": "timeout"}]
    assert omnia.requests()[LIST] <= MOST_POLLS
