"""Which numbers are meant, marks of routes, emergency addresses and ownership, without Airflow or network."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_voice_agents.plans.kind import Transition
from airflow_voice_agents.signalwire.conditions import Registered, Routed, deserialize, routed
from airflow_voice_agents.signalwire.models import Page, PhoneNumber
from airflow_voice_agents.signalwire.resources.e911 import (
    E911Kind,
    E911State,
    e911_of,
    emergency_address,
)
from airflow_voice_agents.signalwire.resources.inventory import NumberSelection, select_numbers
from airflow_voice_agents.signalwire.resources.ownership import (
    OWNED,
    RELEASED,
    Ownership,
    OwnershipKind,
    PurchaseKind,
    owned_number,
)
from airflow_voice_agents.signalwire.resources.phone_number import RouteState
from airflow_voice_agents.signalwire.resources.route_fingerprint import RouteFingerprint, Routes
from airflow_voice_agents.signalwire.routes import ToAiAgent, ToCxmlWebhook, ToSwml
from airflow_voice_agents.transport.errors import InputError
from airflow_voice_agents.transport.validation import parse_numbers, summarize_list

NUMBER, OTHER = "+12065550100", "+12065550101"
ID = "00000000-0000-4000-8000-000000000001"
ADDRESS = "b6b5a2b0-6f2e-4f57-8f0e-0a6f4f8f2a11"
URL = "https://me:pw@h.example/x"


# --------------------------------------------------------------------------- which numbers are meant


def test_numbers_keep_their_order_and_repeats_are_left_out() -> None:
    assert parse_numbers([OTHER, NUMBER, OTHER]) == (OTHER, NUMBER)
    assert parse_numbers(f" {OTHER} ,{NUMBER}\n\n{OTHER}\r\n") == (OTHER, NUMBER)
    assert parse_numbers(json.dumps([OTHER, NUMBER])) == (OTHER, NUMBER)


def test_every_malformed_number_is_named_up_to_ten() -> None:
    with pytest.raises(InputError) as caught:
        parse_numbers([NUMBER, *(f"0{n}" for n in range(12))])

    assert "12 number(s)" in str(caught.value)
    assert "'09' and 2 more" in str(caught.value)


@pytest.mark.parametrize("value", [None, 7, {"a": 1}, b"+12065550100", [], "", " , "])
def test_what_is_no_list_of_numbers_is_refused(value: Any) -> None:
    with pytest.raises(InputError):
        parse_numbers(value)


def test_some_of_many() -> None:
    assert summarize_list(["a", "b"]) == "a, b"
    assert summarize_list([str(n) for n in range(13)]).endswith("8, 9 and 3 more")


def test_empty_texts_of_templates_are_no_criteria() -> None:
    assert select_numbers(filter_name="", filter_number="", country_code="") == NumberSelection()
    assert select_numbers([NUMBER], filter_name="", country_code="") == NumberSelection((NUMBER,))


async def read(choice: NumberSelection, records: list[PhoneNumber]) -> tuple[list[str], list[dict[str, str]]]:
    asked: list[dict[str, str]] = []

    async def send(call: Any) -> Page:
        asked.append(dict(call.query))
        return Page(tuple(records))

    found = await choice.read(send, "https://acme.signalwire.com", lambda record: record.id)  # type: ignore[arg-type]
    return list(found), asked


def record(number: str, **fields: Any) -> PhoneNumber:
    return PhoneNumber(id=f"id-{number}", number=number, **{"capabilities": ("voice",), **fields})


async def test_one_number_is_looked_for_by_its_number_and_several_in_the_whole_list() -> None:
    both = [record(NUMBER), record(OTHER)]

    assert await read(NumberSelection((NUMBER,)), both) == (
        [NUMBER],
        [{"filter_number": NUMBER, "page_size": "1000"}],
    )
    assert await read(NumberSelection((OTHER, NUMBER)), both) == ([OTHER, NUMBER], [{"page_size": "1000"}])


async def test_what_the_platforms_filter_finds_is_checked_again() -> None:
    found = [record(NUMBER), record("+13125550100"), record(f"{NUMBER}7")]

    assert (await read(NumberSelection(filter_number="+1206"), found))[0] == [NUMBER, f"{NUMBER}7"]
    assert (await read(NumberSelection(filter_number=NUMBER), found))[0] == [NUMBER]


# -------------------------------------------------------------------------------------------- marks


def state(**fields: Any) -> RouteState:
    own = {"call_handler": "relay_script", "call_receive_mode": "voice"}
    named = {name: fields.pop(name, value) for name, value in own.items()}
    return RouteState(id=ID, number=NUMBER, companions=fields, **named)  # type: ignore[arg-type]


def test_a_mark_knows_what_its_route_leaves_and_nothing_else() -> None:
    mark = RouteFingerprint.of(ToSwml(URL))

    assert mark.is_on(state(call_relay_script_url=URL))
    assert mark.is_on(state(call_relay_script_url=URL, call_request_url="https://lingers.example/"))
    assert not mark.is_on(state(call_relay_script_url=URL, call_receive_mode="fax"))
    assert not mark.is_on(state(call_relay_script_url="https://h.example/x"))
    assert not mark.is_on(state(call_handler="laml_webhooks", call_relay_script_url=URL))
    assert not mark.is_on(state())


def test_a_mark_holds_no_value_and_comes_back_from_json() -> None:
    mark = RouteFingerprint.of(ToCxmlWebhook(URL, fallback_url=URL))
    plain = json.dumps(mark.plain())

    assert "pw" not in plain
    assert RouteFingerprint.from_plain(json.loads(plain)) == mark
    assert "call_fallback_url" in mark.fields
    assert "call_status_callback_url" not in mark.fields


@pytest.mark.parametrize("plain", [None, {}, {"fields": "x", "digest": "y"}, {"fields": [1], "digest": "y"}])
def test_what_is_no_mark_is_refused(plain: Any) -> None:
    with pytest.raises(InputError, match="must have fields and digest"):
        RouteFingerprint.from_plain(plain)


def test_of_a_route_that_no_record_shows_only_the_handler_is_marked() -> None:
    assert RouteFingerprint.of(ToAiAgent(ID)).fields == ("call_handler", "call_receive_mode")


def test_routes_of_each_number_mark_only_the_numbers_that_they_speak_of() -> None:
    routes = Routes.parse(None, {NUMBER: {"to": "swml", "url": URL}})

    assert routes is not None
    assert routes.marks([NUMBER, OTHER]) == {NUMBER: RouteFingerprint.of(ToSwml(URL))}
    assert Routes(all=ToSwml(URL)).marks([OTHER]) == {OTHER: RouteFingerprint.of(ToSwml(URL))}


def test_a_wrong_route_is_named_by_its_number_and_its_url_is_not_shown() -> None:
    with pytest.raises(InputError) as caught:
        Routes.parse(None, {NUMBER: {"to": "swml", "url": "http://me:pw@h.example/"}})

    assert "pw" not in str(caught.value)


def test_conditions_come_back_from_json() -> None:
    swml, cxml = {"to": "swml", "url": URL}, {"to": "cxml_webhook", "url": URL}
    condition = routed(None, None, {NUMBER: swml, OTHER: cxml, "+12065550102": swml})
    plain = json.loads(json.dumps(condition.serialize()))

    assert deserialize(plain) == condition
    assert isinstance(condition, Routed)
    assert len(plain["marks"]) == 2
    assert "pw" not in json.dumps(plain)
    assert deserialize(Registered((NUMBER,), ADDRESS).serialize()) == Registered((NUMBER,), ADDRESS)


# -------------------------------------------------------------------------------- emergency address

HERE = emergency_address("acme", NUMBER)


def e911(address: str | None, status: str | None = None) -> E911State:
    return E911State(ID, address, status)


@pytest.mark.parametrize(
    ("now", "wanted_address", "writes"),
    [
        (e911(None), None, 0),
        (e911(None), ADDRESS, 1),
        (e911(ADDRESS), ADDRESS, 0),
        (e911(ADDRESS, "active"), ADDRESS, 0),
        (e911(ADDRESS, "pending"), ADDRESS, 0),
        (e911(ADDRESS, "of_tomorrow"), ADDRESS, 0),
        (e911(ADDRESS, "failed"), ADDRESS, 1),
        (e911(ADDRESS, "pending_removal"), ADDRESS, 1),
        (e911(ADDRESS, "unregistered"), ADDRESS, 1),
        (e911(ADDRESS, "active"), None, 1),
        (e911(ADDRESS, "failed"), None, 1),
        (e911(ADDRESS, "pending_removal"), None, 0),
        (e911(ADDRESS, "unregistered"), None, 0),
    ],
)
def test_what_an_emergency_address_needs(now: E911State, wanted_address: str | None, writes: int) -> None:
    item = E911Kind().plan(HERE, wanted_address, now)

    assert (item.writes, item.changed) == (writes, bool(writes))


@pytest.mark.parametrize(
    ("seen", "left"),
    [
        (e911(ADDRESS, "pending"), []),
        (e911(ADDRESS), []),
        (e911(ADDRESS, "failed"), ["e911_status"]),
        (e911(None), ["e911_address_id"]),
        (e911(ID, "active"), ["e911_address_id"]),
        (None, ["presence"]),
    ],
)
def test_when_an_assignment_is_settled(seen: E911State | None, left: list[str]) -> None:
    kind = E911Kind()

    assert kind.mismatches(Transition(HERE, e911(None), e911(ADDRESS)), seen) == left


def test_an_answer_about_another_number_says_nothing() -> None:
    kind = E911Kind()
    ((step,),) = kind.write_sequences([Transition(HERE, e911(None), e911(ADDRESS))])

    assert step.judge(record(OTHER)) == {}
    assert e911_of(record(NUMBER, e911_address_id=ADDRESS.upper())) == e911(ADDRESS)


@pytest.mark.parametrize(
    ("wanted", "now", "writes", "codes"),
    [
        (e911(ADDRESS, "active"), e911(None), ["assign E911 address"], []),
        (e911(None), e911(ADDRESS, "pending"), ["remove E911 address"], []),
        (e911(ADDRESS, "pending_removal"), e911(ADDRESS, "active"), ["remove E911 address"], []),
        (e911(ADDRESS), e911(ADDRESS, "active"), [], []),
        (e911(ADDRESS), None, [], ["absent"]),
        (None, e911(ADDRESS), [], ["not_kept"]),
    ],
)
def test_an_emergency_address_is_restored_or_removed(
    wanted: E911State | None, now: E911State | None, writes: list[str], codes: list[str]
) -> None:
    kind = E911Kind()
    item = kind.restore(HERE, wanted, now)
    sequences = kind.write_sequences([item.transition]) if item.transition else ()

    assert [write.request.operation for sequence in sequences for write in sequence] == writes
    assert [finding.code for finding in item.findings] == codes


def test_an_emergency_address_comes_back_from_json() -> None:
    kind = E911Kind()
    plain = json.loads(json.dumps(kind.to_json(e911(ADDRESS, "active"))))

    assert kind.from_json(plain) == e911(ADDRESS, "active")
    for wrong in (None, {**plain, "id": "x"}, {**plain, "address_id": 7}, {**plain, "more": 1}):
        with pytest.raises(InputError):
            kind.from_json(wrong)


# ---------------------------------------------------------------------------------------- ownership


def test_a_release_is_planned_only_where_there_is_something() -> None:
    kind, here = OwnershipKind(), owned_number("acme", NUMBER)

    assert kind.plan(here, RELEASED, None).changed is False
    assert kind.plan(here, RELEASED, RELEASED).changed is False
    item = kind.plan(here, RELEASED, Ownership(True, ID, "relay_script"))
    assert (item.writes, [finding.code for finding in item.findings]) == (1, ["routed"])


def test_the_answer_to_a_release_shows_no_state_and_a_404_is_looked_at() -> None:
    kind, here = OwnershipKind(), owned_number("acme", NUMBER)
    ((write,),) = kind.write_sequences([Transition(here, Ownership(True, ID), RELEASED)])

    assert write.judge(None)[here].state is None
    assert write.deletes


def test_a_purchase_is_never_repeated_and_an_answer_about_another_number_says_nothing() -> None:
    kind, here = PurchaseKind(), owned_number("acme", NUMBER)
    ((write,),) = kind.write_sequences([Transition(here, None, OWNED)])

    assert not kind.repeatable
    assert write.judge(record(OTHER)) == {}
    assert kind.mismatches(Transition(here, None, OWNED), write.judge(record(NUMBER))[here].state) == []
    assert kind.mismatches(Transition(here, None, OWNED), None) == ["presence"]


def test_a_salted_mark_matches_like_a_plain_one_and_can_be_stored() -> None:
    plain, salted = (RouteFingerprint.of(ToSwml(URL), salt) for salt in ("", "salt"))
    assert plain.digest != salted.digest
    assert plain.plain().keys() == {"fields", "digest"}
    assert RouteFingerprint.from_plain(json.loads(json.dumps(salted.plain()))) == salted
