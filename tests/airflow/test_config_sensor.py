"""The config sensor, poking and deferred: when it ends, how, and which requests it made."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest
from airflow.sdk.module_loading import import_string

from airflow_voice_agents.bases import shared_polls
from airflow_voice_agents.bases import trigger as edge_trigger
from airflow_voice_agents.bases.sensor import BACKSTOP_SECONDS, SensorError
from airflow_voice_agents.polyai.sensors import PolyAIConfigSensor
from airflow_voice_agents.polyai.triggers import PolyAIConfigTrigger
from airflow_voice_agents.transport.errors import InputError
from support.airflow_runner import Outcome, make
from support.airflow_versions import AirflowSensorTimeout
from support.emulated import HOTELS, LIVE, PAGES, PRE_RELEASE, ROSA, SANDBOX, Emulated, kept_text, place

WANTED = {"holiday_message": "marker-of-the-value"}


def wait(**arguments: Any) -> PolyAIConfigSensor:
    usual = {
        "agent_id": HOTELS,
        "environment": LIVE,
        "poke_interval": 0.01,
        "timeout": 30,
        "deferrable": False,
    }
    condition = {} if {"values", "digest", "equals"} & set(arguments) else {"values": WANTED}
    return make(PolyAIConfigSensor, task_id="wait", **{**usual, **condition, **arguments})


def deferring(**arguments: Any) -> PolyAIConfigSensor:
    return wait(deferrable=True, **arguments)


def fulfil(polyai: Emulated) -> None:
    polyai.put(HOTELS, LIVE, **WANTED)


def end(polyai: Emulated, task: PolyAIConfigSensor) -> Outcome:
    """Run a sensor to its end, through the triggerer if it defers."""
    outcome = polyai.run(task)
    return polyai.runner.resume(task, outcome) if outcome.state == "deferred" else outcome


def trigger_of(outcome: Outcome) -> PolyAIConfigTrigger:
    assert outcome.deferred is not None
    kwargs = json.loads(json.dumps(outcome.deferred.trigger_kwargs))
    trigger = import_string(outcome.deferred.classpath)(**kwargs)
    assert isinstance(trigger, PolyAIConfigTrigger)
    return trigger


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    """A triggerer whose time passes only while it sleeps; the list holds how long it slept."""
    slept: list[float] = []

    class Time:
        @staticmethod
        def time() -> float:
            return 1_000_000 + sum(slept)

        monotonic = time

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    class Asyncio:
        pass

    Asyncio.sleep = staticmethod(sleep)  # type: ignore[attr-defined]
    monkeypatch.setattr(edge_trigger, "time", Time)
    monkeypatch.setattr(shared_polls, "time", Time)
    monkeypatch.setattr(edge_trigger, "asyncio", Asyncio)
    return slept


both_ways = pytest.mark.parametrize("deferrable", [False, True], ids=["poke", "deferrable"])


# ------------------------------------------------------------------------------------- conditions


@both_ways
def test_a_condition_that_holds_ends_the_wait_with_one_read(polyai: Emulated, deferrable: bool) -> None:
    fulfil(polyai)
    before = polyai.state()

    outcome = polyai.run(wait(deferrable=deferrable))

    assert outcome.state == "success"
    assert outcome.result == {
        "agent_id": HOTELS,
        "environment": LIVE,
        "digest": polyai.digest(HOTELS, LIVE),
    }
    assert (polyai.requests(), polyai.state()) == ({PAGES: 1}, before)


@both_ways
def test_a_condition_that_comes_to_hold_ends_the_wait_and_no_request_follows(
    polyai: Emulated, deferrable: bool
) -> None:
    polyai.meanwhile(lambda: fulfil(polyai), operation=PAGES, nth=4)

    outcome = end(polyai, wait(deferrable=deferrable))

    assert outcome.state == "success"
    assert outcome.result["digest"] == polyai.digest(HOTELS, LIVE)
    assert polyai.requests() == {PAGES: 4}
    assert polyai.writes() == 0


@pytest.mark.parametrize(
    ("values", "holds"),
    [
        ({"csat_enabled": False}, True),
        ({"csat_enabled": 0}, False),
        ({"holiday_message": None}, True),
        ({"holiday_message": ""}, False),
        ({"no_such_key": None}, False),
        ({"flags": {"pet_friendly_search": True}}, True),
        ({"flags": {"pet_friendly_search": True, "late_checkout": True}}, False),
        ({"flags": {}}, False),
        ({"special_hours": []}, True),
        ({"settings": {"booking_timeout_seconds": 5}}, True),
        ({"settings": {"booking_timeout_seconds": 5.0}}, False),
        ({"csat_enabled": {"deeper": 1}}, False),
    ],
)
def test_values_are_compared_with_their_types_and_objects_in_part(
    polyai: Emulated, values: dict[str, Any], holds: bool
) -> None:
    outcome = polyai.run(deferring(values=values))

    assert outcome.state == ("success" if holds else "deferred")
    assert polyai.requests() == {PAGES: 1}


@both_ways
@pytest.mark.parametrize("length", [12, 64])
def test_a_digest_is_waited_for(polyai: Emulated, deferrable: bool, length: int) -> None:
    fulfil(polyai)
    digest = polyai.digest(HOTELS, LIVE)[:length]
    polyai.put(HOTELS, LIVE, holiday_message="not yet")
    polyai.meanwhile(lambda: fulfil(polyai), operation=PAGES, nth=2)

    outcome = end(polyai, wait(digest=digest, deferrable=deferrable))

    assert outcome.state == "success"
    assert polyai.requests() == {PAGES: 2}


@both_ways
def test_equality_inside_a_project_is_one_read(polyai: Emulated, deferrable: bool) -> None:
    page = polyai.server.polyai.page(HOTELS, PRE_RELEASE)
    change = lambda: polyai.put_page(HOTELS, LIVE, page["variables"], page["schema"])  # noqa: E731
    polyai.meanwhile(change, operation=PAGES, nth=2)

    outcome = end(polyai, wait(equals=place(HOTELS, PRE_RELEASE), deferrable=deferrable))

    assert outcome.state == "success"
    assert polyai.requests() == {PAGES: 2}


@both_ways
def test_equality_across_projects_is_two_reads(polyai: Emulated, deferrable: bool) -> None:
    page = polyai.server.polyai.page(ROSA, SANDBOX)
    change = lambda: polyai.put_page(HOTELS, LIVE, page["variables"], page["schema"])  # noqa: E731
    polyai.meanwhile(change, operation=PAGES, nth=3)

    outcome = end(polyai, wait(equals=place(ROSA, SANDBOX), deferrable=deferrable))

    assert outcome.state == "success"
    assert polyai.requests() == {PAGES: 4}


def test_an_unset_page_equals_nothing(polyai: Emulated) -> None:
    polyai.server.switches.simplified = [HOTELS, ROSA]

    outcome = polyai.run(deferring(environment=SANDBOX, values={"x": 1}))
    equal = polyai.run(deferring(environment=SANDBOX, equals=place(ROSA, LIVE)))

    assert (outcome.state, equal.state) == ("deferred", "deferred")
    assert polyai.requests() == {PAGES: 3}


# ----------------------------------------------------------------------------------------- input


@both_ways
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"values": None}, "give exactly one of values, digest and equals"),
        ({"values": {"a": 1}, "digest": "a" * 12}, "give exactly one of values, digest and equals"),
        ({"values": {}}, "values is empty"),
        ({"values": [1]}, "values must be a mapping or a text or None, not list"),
        ({"values": "no json"}, "values is a text that is not JSON"),
        ({"values": {"a": {1, 2}}}, "values"),
        ({"digest": "abc"}, "digest must be a text of at least 12 hexadecimal digits"),
        ({"equals": "[]"}, "equals must be a mapping of agent_id and environment"),
        ({"equals": {"agent_id": HOTELS}}, "equals lacks environment"),
        ({"equals": place(HOTELS, LIVE)}, "equals names the page itself"),
        ({"environment": "production"}, "not 'production'"),
        ({"agent_id": "a/b"}, "agent_id must not hold a slash"),
        ({"agent_id": "a\0b"}, "control character"),
    ],
)
def test_bad_input_is_told_before_any_request(
    polyai: Emulated, deferrable: bool, arguments: dict[str, Any], said: str
) -> None:
    outcome = polyai.run(wait(**arguments, deferrable=deferrable, retries=3))

    assert outcome.state == "failed"
    assert said in str(outcome.error)
    assert isinstance(outcome.error, InputError) or isinstance(outcome.error.__cause__, InputError)
    assert polyai.requests() == {}


def test_templates_are_rendered(polyai: Emulated) -> None:
    fulfil(polyai)
    polyai.runner.push("wanted", WANTED)

    outcome = polyai.run(wait(environment="{{ 'live' }}", values="{{ ti.xcom_pull('wanted') | tojson }}"))

    assert outcome.state == "success"
    assert polyai.requests() == {PAGES: 1}


# --------------------------------------------------------------------------- failures and time-outs


@both_ways
@pytest.mark.parametrize("flags", [{}, {"soft_fail": True}, {"never_fail": True}], ids=["", "soft", "never"])
@pytest.mark.parametrize("nth", [1, 2])
def test_an_error_that_waiting_cannot_mend_ends_the_wait_at_once(
    polyai: Emulated, deferrable: bool, flags: dict[str, bool], nth: int
) -> None:
    polyai.server.fault("answer", operation=PAGES, status=403, nth=nth, times=None)

    outcome = end(polyai, wait(deferrable=deferrable, **flags, retries=3))

    assert outcome.state == ("skipped" if flags else "failed")
    assert polyai.requests() == {PAGES: nth}
    if not flags:
        assert isinstance(outcome.error, SensorError)
        assert "403" in str(outcome.error)


@pytest.mark.parametrize("soft_fail", [False, True])
def test_time_out_while_poking(polyai: Emulated, soft_fail: bool) -> None:
    outcome = polyai.run(wait(timeout=0, soft_fail=soft_fail, retries=3))

    assert outcome.state == ("skipped" if soft_fail else "failed")
    assert isinstance(outcome.error, AirflowSensorTimeout) or soft_fail
    assert polyai.requests() == {PAGES: 1}


@pytest.mark.parametrize("soft_fail", [False, True])
def test_time_out_while_deferred(polyai: Emulated, soft_fail: bool) -> None:
    outcome = end(polyai, deferring(timeout=0, soft_fail=soft_fail, retries=3))

    assert outcome.state == ("skipped" if soft_fail else "failed")
    assert isinstance(outcome.error, AirflowSensorTimeout) or soft_fail
    assert polyai.requests() == {PAGES: 2}


@both_ways
@pytest.mark.parametrize(
    "rule", [{"action": "answer", "status": 503}, {"action": "reset"}, {"action": "not_json"}]
)
def test_transient_errors_are_tolerated(polyai: Emulated, deferrable: bool, rule: dict[str, Any]) -> None:
    fulfil(polyai)
    polyai.server.fault(operation=PAGES, times=7, **rule)

    outcome = end(polyai, wait(deferrable=deferrable))

    assert outcome.state == "success"
    # Five requests are one question; the second question needs three.
    assert polyai.requests() == {PAGES: 8}
    assert "Not known yet, asking again later" in polyai.runner.log


def test_rescheduling_asks_once_and_gives_the_worker_back(polyai: Emulated) -> None:
    task = wait(mode="reschedule", poke_interval=60)

    waiting = polyai.run(task)
    fulfil(polyai)
    done = polyai.run(task)

    assert (waiting.state, done.state) == ("up_for_reschedule", "success")
    assert polyai.requests() == {PAGES: 2}


# ------------------------------------------------------------------------------------ the deferral


def test_a_deferral_carries_digests_and_never_values(polyai: Emulated) -> None:
    outcome = polyai.run(deferring())

    assert outcome.deferred is not None
    assert outcome.deferred.classpath == "airflow_voice_agents.polyai.triggers.PolyAIConfigTrigger"
    stored = json.dumps(outcome.deferred.trigger_kwargs) + repr(outcome.deferred.next_kwargs)
    assert "holiday_message" in stored
    assert "marker-of-the-value" not in stored
    assert "demo-key-uk" not in stored
    assert polyai.requests() == {PAGES: 1}


@both_ways
@pytest.mark.parametrize("status", [None, 403, 503])
def test_no_value_and_no_key_is_kept_or_logged(
    polyai: Emulated, deferrable: bool, status: int | None
) -> None:
    polyai.meanwhile(lambda: fulfil(polyai), operation=PAGES, nth=2)
    if status:
        said = {"message": "marker-of-the-value for demo-key-uk"}
        times = 1 if status == 503 else None
        polyai.server.fault("answer", operation=PAGES, status=status, nth=2, times=times, body=said)
    task = wait(deferrable=deferrable)

    outcome = polyai.run(task)
    texts = [kept_text(outcome), repr(outcome.rendered)]
    if outcome.state == "deferred":
        outcome = polyai.runner.resume(task, outcome)
        texts += [kept_text(outcome), polyai.runner.log]

    assert outcome.state == ("failed" if status == 403 else "success")
    assert "demo-key-uk" not in "".join(texts)
    if status is None:
        assert "marker-of-the-value" not in "".join(texts)
    assert polyai.writes() == 0


def test_the_backstop_lies_behind_the_triggers_own_deadline(polyai: Emulated) -> None:
    outcome = polyai.run(deferring(timeout=120))

    assert outcome.deferred is not None
    assert outcome.deferred.trigger_timeout is not None
    assert outcome.deferred.trigger_timeout.total_seconds() == 120 + BACKSTOP_SECONDS


def test_a_trigger_survives_being_stored(polyai: Emulated) -> None:
    trigger = trigger_of(polyai.run(deferring(equals=place(ROSA, SANDBOX))))

    path, kwargs = trigger.serialize()
    again = import_string(path)(**json.loads(json.dumps(kwargs)))

    assert again.serialize() == (path, kwargs)
    assert set(kwargs) == {"polyai_conn_id", "condition", "poll_interval", "deadline"}


async def events_of(trigger: PolyAIConfigTrigger) -> list[Any]:
    return [event.payload async for event in trigger.run()]


def run_trigger(polyai: Emulated, outcome: Outcome, **changes: Any) -> list[Any]:
    """All events of a deferral's trigger."""
    from support.airflow_runner import set_supervisor_comms

    trigger = trigger_of(outcome)
    for name, value in changes.items():
        setattr(trigger, name, value)
    polyai.server.journal.clear()
    with set_supervisor_comms(polyai.runner):
        return asyncio.run(events_of(trigger))


def test_a_trigger_yields_exactly_one_event_and_asks_no_more(polyai: Emulated) -> None:
    outcome = polyai.run(deferring())
    polyai.meanwhile(lambda: fulfil(polyai), operation=PAGES, nth=3)

    events = run_trigger(polyai, outcome)

    assert [event["status"] for event in events] == ["success"]
    assert events[0]["found"]["digest"] == polyai.digest(HOTELS, LIVE)
    assert polyai.requests() == {PAGES: 3}
    assert polyai.server.journal.count("GET") == polyai.server.journal.count()


def test_a_trigger_asks_at_its_interval_and_once_more_at_its_deadline(
    polyai: Emulated, clock: list[float]
) -> None:
    outcome = polyai.run(deferring())

    events = run_trigger(polyai, outcome, poll_interval=60.0, deadline=1_000_000 + 150.0)

    assert events == [{"status": "timeout"}]
    assert polyai.requests() == {PAGES: len(clock) + 1}
    assert len(clock) == 3
    assert all(54 <= seconds <= 66 for seconds in clock[:2])
    assert sum(clock) == pytest.approx(150)


def test_a_trigger_whose_deadline_passed_asks_once(polyai: Emulated, clock: list[float]) -> None:
    outcome = polyai.run(deferring())

    assert run_trigger(polyai, outcome, deadline=999_999.0) == [{"status": "timeout"}]
    assert (polyai.requests(), clock) == ({PAGES: 1}, [])


def test_a_trigger_uses_one_connection_to_the_server(polyai: Emulated) -> None:
    task = deferring()
    outcome = polyai.run(task)
    polyai.meanwhile(lambda: fulfil(polyai), operation=PAGES, nth=5)
    before = len(polyai.runner.log)

    polyai.runner.fire(outcome)

    assert polyai.requests() == {PAGES: 6}
    assert polyai.runner.log[before:].count("connect_tcp.complete") == 1
    assert polyai.runner.log[before:].count("close.complete") == 1


@pytest.mark.parametrize("event", [None, {}, {"status": "odd"}, "success", ["success"]])
def test_an_event_that_is_not_understood_fails_clearly(polyai: Emulated, event: Any) -> None:
    task = deferring(retries=3)

    outcome = polyai.runner.resume_with(task, polyai.run(task), event)

    assert outcome.state == "failed"
    assert "an event that is not understood" in str(outcome.error)
    assert polyai.requests() == {PAGES: 1}


def test_a_deferral_that_airflow_ends_fails_the_task(polyai: Emulated) -> None:
    task = deferring()

    outcome = polyai.runner.expire(task, polyai.run(task))

    assert outcome.state == "failed"
    assert polyai.requests() == {PAGES: 1}


@both_ways
def test_a_connection_that_cannot_work_ends_the_wait(polyai: Emulated, deferrable: bool) -> None:
    polyai.runner.connections = {"polyai_default": {"conn_type": "polyai", "password": "demo-key-uk"}}

    outcome = polyai.run(wait(deferrable=deferrable, retries=3))

    assert outcome.state == "failed"
    assert "region is missing" in str(outcome.error)
    assert polyai.requests() == {}


def test_a_connection_that_broke_while_waiting_ends_the_wait_with_an_event(polyai: Emulated) -> None:
    task = deferring(soft_fail=True)
    waiting = polyai.run(task)
    polyai.runner.connections = {"polyai_default": {"conn_type": "polyai", "password": "demo-key-uk"}}

    outcome = polyai.runner.resume(task, waiting)

    assert outcome.state == "skipped"
    assert polyai.requests() == {PAGES: 1}
