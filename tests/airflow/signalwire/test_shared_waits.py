"""Many deferred waits on one space: they share its list, however many numbers they watch."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_voice_agents.bases.trigger import JITTER
from airflow_voice_agents.signalwire.conditions import owned, registered, routed
from airflow_voice_agents.signalwire.triggers import SignalWirePhoneNumbersTrigger
from support import carrier as seeds
from support.carrier import LIST, PROJECT, SWML, EmulatedCarrier, numbers
from support.virtual_time import VirtualTime

WAITS, INTERVALS, INTERVAL = 40, 6, 60.0
PORTED = [f"+1415555{number:04}" for number in range(WAITS)]
MOST_POLLS = int(INTERVALS / (1 - JITTER)) + 3
"""One per interval, one when it begins, one at the deadline, and one of the first wait while it was alone."""


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> VirtualTime:
    clock = VirtualTime()
    clock.patch(monkeypatch)
    return clock


def waiting(
    clock: VirtualTime, condition: Any, conn_id: str = "signalwire_default"
) -> SignalWirePhoneNumbersTrigger:
    return SignalWirePhoneNumbersTrigger(
        signalwire_conn_id=conn_id,
        condition=condition.serialize(),
        poll_interval=INTERVAL,
        deadline=clock.now + INTERVALS * INTERVAL,
    )


def polls(carrier: EmulatedCarrier, pages: int) -> float:
    assert set(carrier.requests()) == {LIST}
    return carrier.requests()[LIST] / pages


@pytest.mark.parametrize("links", ["relative", "absolute"])
def test_waits_for_different_numbers_share_all_pages_of_one_list(
    carrier: EmulatedCarrier, clock: VirtualTime, links: Any
) -> None:
    carrier.start(seeds.routed(1001), signalwire_links=links)

    events = clock.fire(carrier.runner, [waiting(clock, owned([number])) for number in PORTED])

    assert events == [[{"status": "timeout"}]] * WAITS
    assert INTERVALS <= polls(carrier, pages=2) <= MOST_POLLS


def test_waits_on_connections_of_their_own_share_nothing(
    carrier: EmulatedCarrier, clock: VirtualTime
) -> None:
    known = carrier.runner.connections["signalwire_default"]
    ids = [f"space_{index}" for index in range(WAITS)]
    carrier.runner.connections = dict.fromkeys(ids, known)
    pairs = zip(ids, PORTED, strict=True)

    clock.fire(carrier.runner, [waiting(clock, owned([number]), conn_id) for conn_id, number in pairs])

    assert polls(carrier, pages=1) >= WAITS * INTERVALS


def test_each_wait_ends_when_its_own_number_is_as_wanted(
    carrier: EmulatedCarrier, clock: VirtualTime
) -> None:
    one, two = numbers(2)
    conditions = [owned([PORTED[0]]), routed([one], SWML, None), registered([two], None), owned([PORTED[1]])]
    carrier.edit(two, e911_address_id=seeds.ADDRESS, e911_status="pending")
    carrier.server.switches.signalwire_e911 = "pending"

    def arrive() -> None:
        carrier.server.signalwire.add_number(PROJECT, PORTED[0])
        carrier.edit(one, call_relay_script_url=SWML["url"])
        carrier.edit(two, e911_status="failed")

    carrier.meanwhile(arrive, operation=LIST, nth=4)

    found, led, refused, open_still = clock.fire(
        carrier.runner, [waiting(clock, condition) for condition in conditions]
    )

    assert found == [{"status": "success", "found": {"phone_numbers": [PORTED[0]]}}]
    assert led == [{"status": "success", "found": {"phone_numbers": [one]}}]
    assert [event["status"] for event in refused] == ["error"]
    assert open_still == [{"status": "timeout"}]
    assert polls(carrier, pages=1) <= MOST_POLLS + 1, "and one more by the last wait, which is alone again"


def test_a_wait_that_is_alone_asks_for_its_number_only(carrier: EmulatedCarrier, clock: VirtualTime) -> None:
    carrier.start(seeds.routed(1001))

    clock.fire(carrier.runner, [waiting(clock, owned([PORTED[0]]))])

    assert polls(carrier, pages=1) <= MOST_POLLS
