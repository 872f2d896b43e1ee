"""Sensors, poking, rescheduling and deferred: when they end, how, and which requests they made."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from airflow.sdk.module_loading import import_string

from airflow_voice_agents.bases.sensor import SensorError
from airflow_voice_agents.signalwire.sensors import (
    SignalWireE911Sensor,
    SignalWireNumberSensor,
    SignalWireRouteSensor,
    SignalWireSensor,
)
from airflow_voice_agents.signalwire.triggers import SignalWirePhoneNumbersTrigger
from airflow_voice_agents.transport.errors import InputError
from support.airflow_runner import Outcome, make
from support.airflow_versions import AirflowSensorTimeout
from support.carrier import (
    ADDRESS,
    LIST,
    MARKER,
    NEW,
    OTHER_ADDRESS,
    PROJECT,
    SECRET_URL,
    SWML,
    TOKEN,
    EmulatedCarrier,
    numbers,
    routed,
)
from support.emulated import kept_text

ONE, TWO, THREE = numbers(3)
PORTED = "+14155550100"
SECRET = {"to": "swml", "url": SECRET_URL}

both_ways = pytest.mark.parametrize("deferrable", [False, True], ids=["poke", "deferrable"])


def number(*phone_numbers: str, **arguments: Any) -> SignalWireNumberSensor:
    usual = {"phone_numbers": list(phone_numbers), "poke_interval": 0.01, "timeout": 30, "deferrable": False}
    return make(SignalWireNumberSensor, task_id="wait", **{**usual, **arguments})


def route(*phone_numbers: str, **arguments: Any) -> SignalWireRouteSensor:
    usual = {
        "phone_numbers": list(phone_numbers) or None,
        "route": SWML,
        "poke_interval": 0.01,
        "timeout": 30,
        "deferrable": False,
    }
    return make(SignalWireRouteSensor, task_id="wait", **{**usual, **arguments})


def e911(*phone_numbers: str, **arguments: Any) -> SignalWireE911Sensor:
    usual = {"phone_numbers": list(phone_numbers), "poke_interval": 0.01, "timeout": 30, "deferrable": False}
    return make(SignalWireE911Sensor, task_id="wait", **{**usual, **arguments})


def end(carrier: EmulatedCarrier, task: SignalWireSensor) -> Outcome:
    """Run a sensor to its end, through the triggerer if it defers."""
    outcome = carrier.run(task)
    return carrier.runner.resume(task, outcome) if outcome.state == "deferred" else outcome


def trigger_of(outcome: Outcome) -> SignalWirePhoneNumbersTrigger:
    assert outcome.deferred is not None
    kwargs = json.loads(json.dumps(outcome.deferred.trigger_kwargs))
    trigger = import_string(outcome.deferred.classpath)(**kwargs)
    assert isinstance(trigger, SignalWirePhoneNumbersTrigger)
    return trigger


# -------------------------------------------------------------------------------- numbers appear


@both_ways
def test_a_number_that_is_there_ends_the_wait_with_one_read(
    carrier: EmulatedCarrier, deferrable: bool
) -> None:
    outcome = carrier.run(number(TWO, ONE, deferrable=deferrable))

    assert outcome.state == "success"
    assert outcome.result == {"phone_numbers": [ONE, TWO]}
    assert carrier.requests() == {LIST: 1}


@both_ways
def test_a_number_that_is_ported_ends_the_wait_and_no_request_follows(
    carrier: EmulatedCarrier, deferrable: bool
) -> None:
    arrive = lambda: carrier.server.signalwire.add_number(PROJECT, PORTED)  # noqa: E731
    carrier.meanwhile(arrive, operation=LIST, nth=4)

    outcome = end(carrier, number(ONE, PORTED, deferrable=deferrable))

    assert outcome.state == "success"
    assert carrier.requests() == {LIST: 4}


def test_a_week_of_porting_is_waited_for_by_rescheduling(carrier: EmulatedCarrier) -> None:
    task = number(PORTED, mode="reschedule", poke_interval=3600, timeout=14 * 86400)

    first = carrier.run(task)
    carrier.server.signalwire.add_number(PROJECT, PORTED)
    second, requests = carrier.again(task)

    assert (first.state, second.state) == ("up_for_reschedule", "success")
    assert requests == {LIST: 1}


def test_a_number_that_holds_the_wanted_one_is_another(carrier: EmulatedCarrier) -> None:
    carrier.start({f"{ONE}77": {}})

    assert carrier.run(number(ONE, deferrable=True)).state == "deferred"


@pytest.mark.parametrize("links", ["relative", "absolute"])
@both_ways
def test_all_pages_are_asked_also_by_the_trigger(
    carrier: EmulatedCarrier, deferrable: bool, links: Any
) -> None:
    carrier.start(routed(1001), signalwire_links=links)
    carrier.meanwhile(lambda: carrier.server.signalwire.add_number(PROJECT, PORTED), operation=LIST, nth=3)

    outcome = end(carrier, number(ONE, PORTED, deferrable=deferrable))

    assert outcome.state == "success"
    assert carrier.requests() == {LIST: 4}


@both_ways
def test_a_single_number_is_found_with_one_read_whatever_the_size_of_the_project(
    carrier: EmulatedCarrier, deferrable: bool
) -> None:
    carrier.start(routed(2001))
    carrier.meanwhile(lambda: carrier.server.signalwire.add_number(PROJECT, PORTED), operation=LIST, nth=3)

    outcome = end(carrier, number(PORTED, deferrable=deferrable))

    assert outcome.state == "success"
    assert carrier.requests() == {LIST: 3}


# ---------------------------------------------------------------------------------------- routes


@both_ways
def test_a_route_that_comes_to_hold_ends_the_wait(carrier: EmulatedCarrier, deferrable: bool) -> None:
    carrier.edit(ONE, call_relay_script_url=NEW)
    carrier.meanwhile(lambda: carrier.edit(TWO, call_relay_script_url=NEW), operation=LIST, nth=3)

    outcome = end(carrier, route(ONE, TWO, deferrable=deferrable))

    assert outcome.state == "success"
    assert outcome.result == {"phone_numbers": [ONE, TWO]}
    assert carrier.requests() == {LIST: 3}
    assert carrier.writes() == 0


@pytest.mark.parametrize(
    ("fields", "holds"),
    [
        ({"call_relay_script_url": NEW}, True),
        ({"call_relay_script_url": NEW, "call_request_url": "https://lingers.example/"}, True),
        ({"call_relay_script_url": NEW, "call_receive_mode": "fax"}, False),
        ({"call_relay_script_url": NEW, "call_handler": "laml_webhooks"}, False),
        ({"call_relay_script_url": f"{NEW}/"}, False),
        ({"call_relay_script_url": None}, False),
    ],
)
def test_handler_companion_and_receive_mode_must_be_right(
    carrier: EmulatedCarrier, fields: dict[str, Any], holds: bool
) -> None:
    carrier.edit(ONE, **fields)

    outcome = carrier.run(route(ONE, deferrable=True))

    assert outcome.state == ("success" if holds else "deferred")


@both_ways
def test_each_number_may_have_a_route_of_its_own(carrier: EmulatedCarrier, deferrable: bool) -> None:
    carrier.edit(ONE, call_relay_script_url=NEW)
    own = {ONE: SWML, TWO: SECRET, THREE: SWML}

    def arrive() -> None:
        carrier.edit(TWO, call_relay_script_url=SECRET_URL)
        carrier.edit(THREE, call_relay_script_url=NEW)

    carrier.meanwhile(arrive, operation=LIST, nth=3)

    outcome = end(carrier, route(route=None, routes=own, deferrable=deferrable))

    assert outcome.state == "success"
    assert carrier.requests() == {LIST: 3}


def test_a_number_that_is_not_there_yet_is_waited_for(carrier: EmulatedCarrier) -> None:
    assert carrier.run(route(ONE, PORTED, deferrable=True)).state == "deferred"


@both_ways
def test_no_secret_of_a_route_is_kept_or_logged(carrier: EmulatedCarrier, deferrable: bool) -> None:
    carrier.meanwhile(lambda: carrier.edit(ONE, call_relay_script_url=SECRET_URL), operation=LIST, nth=2)
    task = route(ONE, route=SECRET, deferrable=deferrable)

    outcome = carrier.run(task)
    texts = [kept_text(outcome), repr(outcome.rendered)]
    if deferrable:
        assert outcome.deferred is not None
        texts.append(json.dumps(outcome.deferred.trigger_kwargs))
        outcome = carrier.runner.resume(task, outcome)
        texts += [kept_text(outcome), carrier.runner.log]

    assert outcome.state == "success"
    assert MARKER not in "".join(texts)
    assert TOKEN not in "".join(texts)


def test_a_route_for_thousands_of_numbers_is_deferred_once(carrier: EmulatedCarrier) -> None:
    outcome = carrier.run(route(*numbers(3000), deferrable=True))

    condition = trigger_of(outcome).condition
    assert len(condition["marks"]) == 1
    assert len(json.dumps(condition)) < 3000 * 25


# ------------------------------------------------------------------------------------------ E911


@both_ways
@pytest.mark.parametrize("deferred_reads", [0, 3])
def test_a_registration_that_becomes_active_ends_the_wait(
    carrier: EmulatedCarrier, deferrable: bool, deferred_reads: int
) -> None:
    carrier.server.switches.signalwire_e911_reads = deferred_reads
    carrier.edit(ONE, e911_address_id=ADDRESS, e911_status="pending")

    outcome = end(carrier, e911(ONE, deferrable=deferrable))

    assert outcome.state == "success"
    assert carrier.requests() == {LIST: deferred_reads + 1}


@both_ways
def test_a_registration_that_fails_ends_the_wait_at_once(carrier: EmulatedCarrier, deferrable: bool) -> None:
    carrier.server.switches.signalwire_e911 = "failed"
    carrier.edit(ONE, e911_address_id=ADDRESS, e911_status="pending")
    carrier.edit(TWO, e911_address_id=ADDRESS, e911_status="active")

    outcome = end(carrier, e911(ONE, TWO, deferrable=deferrable, retries=3))

    assert outcome.state == "failed"
    assert isinstance(outcome.error, SensorError)
    assert f"registration failed for {ONE}" in str(outcome.error)
    assert carrier.requests() == {LIST: 3}


@both_ways
def test_a_failed_registration_skips_where_that_is_wanted(carrier: EmulatedCarrier, deferrable: bool) -> None:
    carrier.edit(ONE, e911_address_id=ADDRESS, e911_status="failed")

    outcome = end(carrier, e911(ONE, deferrable=deferrable, soft_fail=True))

    assert outcome.state == "skipped"


def test_a_number_that_is_not_there_ends_the_wait_at_once(carrier: EmulatedCarrier) -> None:
    outcome = carrier.run(e911(ONE, PORTED, deferrable=True, retries=3))

    assert outcome.state == "failed"
    assert f"does not have {PORTED}" in str(outcome.error)


@pytest.mark.parametrize(
    ("address", "status", "state"),
    [
        (ADDRESS, "active", "success"),
        (OTHER_ADDRESS, "active", "deferred"),
        (OTHER_ADDRESS, "failed", "deferred"),
        (ADDRESS, "failed", "failed"),
        (ADDRESS, "pending_removal", "deferred"),
        (ADDRESS, "of_tomorrow", "deferred"),
        (ADDRESS, None, "deferred"),
        (None, None, "deferred"),
    ],
)
def test_the_address_may_be_named(
    carrier: EmulatedCarrier, address: str | None, status: str | None, state: str
) -> None:
    carrier.edit(ONE, e911_address_id=address, e911_status=status)

    outcome = carrier.run(e911(ONE, e911_address_id=ADDRESS.upper(), deferrable=True))

    assert outcome.state == state


# -------------------------------------------------------------------------- what all have in common


@both_ways
@pytest.mark.parametrize("make", [number, route, e911])
def test_transient_errors_are_tolerated(carrier: EmulatedCarrier, make: Any, deferrable: bool) -> None:
    carrier.edit(ONE, call_relay_script_url=NEW, e911_address_id=ADDRESS, e911_status="active")
    carrier.server.fault("answer", operation=LIST, status=503, times=5)

    outcome = end(carrier, make(ONE, deferrable=deferrable))

    assert outcome.state == "success"


@both_ways
@pytest.mark.parametrize("make", [number, route, e911])
def test_a_refused_token_ends_the_wait_at_once(carrier: EmulatedCarrier, make: Any, deferrable: bool) -> None:
    carrier.server.fault("answer", operation=LIST, status=401, nth=3, times=None)
    carrier.edit(ONE, e911_address_id=ADDRESS, e911_status="pending")
    carrier.server.switches.signalwire_e911 = "pending"
    other = PORTED if make is number else ONE

    outcome = end(carrier, make(other, deferrable=deferrable, retries=3))

    assert outcome.state == "failed"
    assert isinstance(outcome.error, SensorError)
    assert carrier.requests() == {LIST: 3}


def test_a_wait_ends_when_its_time_is_up(carrier: EmulatedCarrier) -> None:
    outcome = carrier.run(number(PORTED, deferrable=True))

    ended = carrier.runner.resume_with(number(PORTED, deferrable=True), outcome, {"status": "timeout"})

    assert isinstance(ended.error, AirflowSensorTimeout)


@pytest.mark.parametrize(
    ("task", "said"),
    [
        (partial(number), "phone_numbers is empty"),
        (partial(number, "0041"), "not E.164"),
        (partial(e911, ONE, e911_address_id="search"), "e911_address_id must be a UUID"),
        (partial(route), "give either phone_numbers and route, or routes"),
        (partial(route, ONE, route=None), "give either phone_numbers and route, or routes"),
        (
            partial(route, ONE, route=None, routes={ONE: SWML}),
            "give either phone_numbers and route, or routes",
        ),
        (partial(route, ONE, routes={ONE: SWML}), "give either phone_numbers and route, or routes"),
        (
            partial(route, ONE, route={"to": "swml", "url": f"ftp://x:{MARKER}@h.example/"}),
            "must have the form",
        ),
    ],
)
@pytest.mark.parametrize("deferrable", [False, True])
def test_bad_input_is_told_before_any_request(
    carrier: EmulatedCarrier, task: Callable[..., SignalWireSensor], said: str, deferrable: bool
) -> None:
    outcome = carrier.run(task(deferrable=deferrable))

    assert outcome.state == "failed"
    assert said in str(outcome.error)
    assert isinstance(outcome.error, SensorError | InputError)
    assert MARKER not in kept_text(outcome)
    assert carrier.requests() == {}


@pytest.mark.parametrize(
    "task",
    [
        number(PORTED, deferrable=True),
        route(ONE, TWO, route=SECRET, deferrable=True),
        e911(ONE, deferrable=True),
    ],
)
def test_a_trigger_survives_being_stored(carrier: EmulatedCarrier, task: SignalWireSensor) -> None:
    trigger = trigger_of(carrier.run(task))

    path, kwargs = trigger.serialize()
    again = import_string(path)(**json.loads(json.dumps(kwargs)))

    assert again.serialize() == (path, kwargs)
    assert set(kwargs) == {"signalwire_conn_id", "condition", "poll_interval", "deadline"}


def test_the_trigger_of_a_newer_provider_ends_with_a_clear_error(carrier: EmulatedCarrier) -> None:
    outcome = carrier.run(number(PORTED, deferrable=True))
    assert outcome.deferred is not None
    outcome.deferred.trigger_kwargs["condition"]["kind"] = "of_tomorrow"

    assert "was the provider downgraded" in carrier.runner.fire(outcome)["message"]


def test_a_trigger_uses_one_connection_to_the_server(carrier: EmulatedCarrier) -> None:
    outcome = carrier.run(number(PORTED, deferrable=True))
    carrier.meanwhile(lambda: carrier.server.signalwire.add_number(PROJECT, PORTED), operation=LIST, nth=5)
    before = len(carrier.runner.log)

    carrier.runner.fire(outcome)

    assert carrier.runner.log[before:].count("connect_tcp.complete") == 1
    assert carrier.runner.log[before:].count("close.complete") == 1
