"""SignalWire conditions: one list for all numbers of a space, and a decision from it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from airflow_voice_agents.plans.condition import Read, WaitFailed, fetch_all
from airflow_voice_agents.signalwire.conditions import (
    NumbersCondition,
    deserialize,
    owned,
    registered,
    routed,
)
from airflow_voice_agents.signalwire.models import Page, PhoneNumber
from airflow_voice_agents.transport.api_request import ApiRequest
from airflow_voice_agents.transport.errors import InputError, ResponseError

BASE_URL = "https://acme.example"
LIST = "/api/relay/rest/phone_numbers"
ONE, TWO, THREE = (f"+1206555010{index}" for index in range(3))
URL = "https://agents.example/swml"
SWML = {"to": "swml", "url": URL}
ADDRESS = "b6b5a2b0-6f2e-4f57-8f0e-0a6f4f8f2a11"


def record(number: str, **fields: Any) -> PhoneNumber:
    return PhoneNumber(id=f"id of {number}", number=number, **fields)


class Space:
    """Two pages of numbers, whose link is absolute.

    :param link: where the first page says that the second one is.
    """

    def __init__(self, link: str = f"{BASE_URL}{LIST}?page_number=1&page_token=x") -> None:
        self.link = link
        self.sent: list[ApiRequest[Any]] = []

    async def asend(self, call: ApiRequest[Any]) -> Any:
        self.sent.append(call)
        if "page_number" in call.path:
            return Page((record(ONE), record(TWO)))
        return Page((record(THREE), record(ONE)), self.link)

    async def aclient(self) -> Any:
        return SimpleNamespace(settings=SimpleNamespace(base_url=BASE_URL))


async def test_the_answer_is_the_complete_list_by_number() -> None:
    space = Space()

    (answer,) = await fetch_all([Read.of(read) for read in owned([ONE, TWO]).reads()], space)

    assert sorted(answer) == [ONE, TWO, THREE]
    assert len(space.sent) == 2


async def test_a_link_to_another_host_is_not_followed() -> None:
    space = Space(f"https://elsewhere.example{LIST}?page_number=1&page_token=x")

    with pytest.raises(ResponseError, match="another host"):
        await fetch_all(owned([ONE]).reads(), space)


def test_all_conditions_of_a_space_read_the_same() -> None:
    conditions: list[NumbersCondition] = [
        owned([ONE]),
        owned([TWO, THREE]),
        routed([ONE], SWML, None),
        registered([TWO], ADDRESS),
    ]

    assert len({read.key for each in conditions for read in each.reads()}) == 1


async def test_alone_a_condition_asks_for_its_number_and_keeps_no_other() -> None:
    space = Space()
    (read,) = owned([ONE]).reads()

    (answer,) = await fetch_all([read.alone], space)

    assert list(answer) == [ONE]
    assert ("filter_number", ONE) in space.sent[0].query
    assert read.alone.key != owned([TWO]).reads()[0].alone.key


@pytest.mark.parametrize("condition", [owned([TWO, ONE]), routed([ONE, TWO], SWML, None)])
def test_numbers_that_are_not_listed_are_waited_for(condition: NumbersCondition) -> None:
    led = {"call_handler": "relay_script", "call_relay_script_url": URL, "call_receive_mode": "voice"}
    there = {number: record(number, **led) for number in (ONE, TWO, THREE)}

    assert condition.holds([there]) == (True, {"phone_numbers": [ONE, TWO]})
    assert condition.holds([{ONE: there[ONE]}]) == (False, {"phone_numbers": [ONE, TWO]})


def test_only_its_own_numbers_decide() -> None:
    failed = record(TWO, e911_address_id=ADDRESS, e911_status="failed")
    active = record(ONE, e911_address_id=ADDRESS, e911_status="active")
    listed = {ONE: active, TWO: failed}

    assert registered([ONE], ADDRESS).holds([listed])[0]
    with pytest.raises(WaitFailed, match=f"registration failed for {TWO.replace('+', '.')}"):
        registered([ONE, TWO], ADDRESS).holds([listed])
    with pytest.raises(WaitFailed, match="does not have"):
        registered([THREE], None).holds([listed])


def test_a_condition_of_a_newer_release_is_named() -> None:
    with pytest.raises(InputError, match="was the provider downgraded"):
        deserialize({"kind": "of_tomorrow", "numbers": [ONE]})
