"""The number sensor, poking, rescheduling and deferred: when it ends, how, and which requests it made."""

from __future__ import annotations

import json
from typing import Any

import pytest
from airflow.sdk.module_loading import import_string

from airflow_voice_agents.bases.sensor import SensorError
from airflow_voice_agents.omnia_voice.sensors import OmniaVoiceNumberSensor
from airflow_voice_agents.transport.errors import InputError
from support.airflow_runner import Outcome, make
from support.airflow_versions import AirflowSensorTimeout
from support.emulated import kept_text
from support.emulated_omnia import (
    DESK,
    EVENTS,
    KEY,
    LIST,
    OF_AGENT,
    OLD,
    PROMPT,
    EmulatedOmnia,
    number,
    numbers,
)


def wait(*phone_numbers: str, **arguments: Any) -> OmniaVoiceNumberSensor:
    usual: dict[str, Any] = {
        "phone_numbers": list(phone_numbers) or numbers(2),
        "poke_interval": 0.01,
        "timeout": 30,
        "deferrable": False,
    }
    return make(OmniaVoiceNumberSensor, task_id="wait", **{**usual, **arguments})


def end(omnia: EmulatedOmnia, task: OmniaVoiceNumberSensor) -> Outcome:
    """Run a sensor to its end, through the triggerer if it defers."""
    outcome = omnia.run(task)
    return omnia.runner.resume(task, outcome) if outcome.state == "deferred" else outcome


both_ways = pytest.mark.parametrize("deferrable", [False, True], ids=["poke", "deferrable"])


@both_ways
@pytest.mark.parametrize(("count", "pages"), [(2, 1), (250, 3)])
def test_listed_numbers_end_the_wait_with_one_list(
    omnia: EmulatedOmnia, deferrable: bool, count: int, pages: int
) -> None:
    omnia.start(count)

    outcome = omnia.run(wait(deferrable=deferrable))

    assert outcome.state == "success"
    ids = {number(0): "num:0000+x", number(1): "num:0001+x"}
    assert outcome.result == {"ready": 2, "waiting": 0, "ids": ids}
    assert omnia.requests() == {LIST: pages}


@both_ways
def test_a_number_that_comes_to_be_listed_ends_the_wait(omnia: EmulatedOmnia, deferrable: bool) -> None:
    omnia.start(1)
    omnia.meanwhile(lambda: omnia.server.omnia_voice.add_number("hotels", number(1)), operation=LIST, nth=3)

    outcome = end(omnia, wait(deferrable=deferrable))

    assert (outcome.state, omnia.requests()) == ("success", {LIST: 3})


@both_ways
def test_an_assignment_is_asked_for_with_one_request_whatever_the_size_of_the_workspace(
    omnia: EmulatedOmnia, deferrable: bool
) -> None:
    omnia.start(250, OLD)
    omnia.edit(number(0), agentId=DESK)
    omnia.meanwhile(lambda: omnia.edit(number(1), agentId=DESK), operation=OF_AGENT, nth=3)

    outcome = end(omnia, wait(agent_id=DESK, deferrable=deferrable))

    assert (outcome.state, omnia.requests()) == ("success", {OF_AGENT: 3})


@pytest.mark.parametrize(
    ("statuses", "words", "holds"),
    [
        ("active", "activity", True),
        (["INACTIVE", "ACTIVE"], "activity", True),
        ("INACTIVE", "activity", False),
        ("ASSIGNED", "assignment", True),
        (["unassigned"], "assignment", False),
    ],
)
@pytest.mark.parametrize("agent_id", [None, DESK])
def test_a_status_is_one_of_those_accepted_in_any_case(
    omnia: EmulatedOmnia, statuses: Any, words: str, holds: bool, agent_id: str | None
) -> None:
    omnia.start(2, DESK)
    omnia.server.switches.omnia_statuses = words

    outcome = omnia.run(wait(statuses=statuses, agent_id=agent_id, deferrable=True))

    assert outcome.state == ("success" if holds else "deferred")


def test_all_that_is_given_must_hold_for_every_number(omnia: EmulatedOmnia) -> None:
    omnia.start(2, DESK)
    omnia.edit(number(1), status="INACTIVE")

    both = omnia.run(wait(agent_id=DESK, statuses="ACTIVE", deferrable=True))
    one = omnia.run(wait(number(0), agent_id=DESK, statuses="ACTIVE", deferrable=True))
    elsewhere = omnia.run(wait(number(0), agent_id=EVENTS, deferrable=True))

    assert [each.state for each in (both, one, elsewhere)] == ["deferred", "success", "deferred"]


def test_rescheduling_asks_once_and_gives_the_worker_back(omnia: EmulatedOmnia) -> None:
    task = wait(number(0), mode="reschedule", poke_interval=60)

    waiting = omnia.run(task)
    omnia.server.omnia_voice.add_number("hotels", number(0))
    done = omnia.run(task)

    assert (waiting.state, done.state) == ("up_for_reschedule", "success")
    assert omnia.requests() == {LIST: 2}


def test_the_default_interval_spares_the_hourly_limit() -> None:
    sensor = OmniaVoiceNumberSensor(task_id="wait", phone_numbers=numbers(1))

    assert float(sensor.poke_interval) >= 60  # type: ignore[arg-type]


@both_ways
def test_a_reached_limit_and_transient_errors_are_tolerated(omnia: EmulatedOmnia, deferrable: bool) -> None:
    omnia.start(2)
    omnia.server.fault(
        "answer", operation=LIST, status=429, headers={"X-RateLimit-Reset": "99999999999"}, times=2
    )
    omnia.server.fault("not_json", operation=LIST, times=1)

    outcome = end(omnia, wait(deferrable=deferrable))

    assert outcome.state == "success"
    assert "Not known yet, asking again later" in omnia.runner.log


@both_ways
def test_a_list_that_ends_early_says_nothing_about_what_is_not_on_it(
    omnia: EmulatedOmnia, deferrable: bool
) -> None:
    omnia.start(2)
    page = {"data": [{"id": "x", "phoneNumber": number(0)}], "pagination": {"hasMore": True}}
    omnia.server.fault("answer", operation=LIST, status=200, body=page, times=2)

    outcome = end(omnia, wait(deferrable=deferrable))

    assert outcome.state == "success"
    assert "the list did not come whole" in omnia.runner.log


@both_ways
@pytest.mark.parametrize("soft_fail", [False, True])
@pytest.mark.parametrize("nth", [1, 2])
def test_an_error_that_waiting_cannot_mend_ends_the_wait_at_once(
    omnia: EmulatedOmnia, deferrable: bool, soft_fail: bool, nth: int
) -> None:
    omnia.server.fault("answer", operation=LIST, status=403, nth=nth, times=None)

    outcome = end(omnia, wait(deferrable=deferrable, soft_fail=soft_fail, retries=3))

    assert outcome.state == ("skipped" if soft_fail else "failed")
    assert omnia.requests() == {LIST: nth}
    assert soft_fail or isinstance(outcome.error, SensorError)


@both_ways
def test_an_agent_that_there_is_not_ends_the_wait(omnia: EmulatedOmnia, deferrable: bool) -> None:
    outcome = end(omnia, wait(agent_id="agent_nobody", deferrable=deferrable, retries=3))

    assert (outcome.state, omnia.requests()) == ("failed", {OF_AGENT: 1})
    assert "Agent not found" in str(outcome.error)


@both_ways
def test_the_time_may_run_out(omnia: EmulatedOmnia, deferrable: bool) -> None:
    outcome = end(omnia, wait(timeout=0, deferrable=deferrable, retries=3))

    assert (outcome.state, type(outcome.error)) == ("failed", AirflowSensorTimeout)


@both_ways
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"phone_numbers": []}, "phone_numbers is empty"),
        ({"phone_numbers": ["12"]}, "1 number(s) that are not E.164"),
        ({"agent_id": "a/b"}, "agent_id must not hold a slash"),
        ({"statuses": [" x"]}, "statuses must not be empty or have surrounding white space"),
        ({"statuses": 7}, "statuses must be a list or a text or None, not 7"),
    ],
)
def test_bad_input_is_told_before_any_request(
    omnia: EmulatedOmnia, deferrable: bool, arguments: dict[str, Any], said: str
) -> None:
    outcome = omnia.run(wait(**arguments, deferrable=deferrable, retries=3))

    assert outcome.state == "failed"
    assert said in str(outcome.error)
    assert isinstance(outcome.error, InputError) or isinstance(outcome.error.__cause__, InputError)
    assert omnia.requests() == {}


def test_a_trigger_survives_being_stored(omnia: EmulatedOmnia) -> None:
    outcome = omnia.run(wait(agent_id=DESK, statuses=["ACTIVE"], deferrable=True))

    assert outcome.deferred is not None
    assert outcome.deferred.classpath == "airflow_voice_agents.omnia_voice.triggers.OmniaVoiceNumberTrigger"
    kwargs = json.loads(json.dumps(outcome.deferred.trigger_kwargs))
    trigger = import_string(outcome.deferred.classpath)(**kwargs)
    path, again = trigger.serialize()
    assert import_string(path)(**json.loads(json.dumps(again))).serialize() == (path, again)
    assert set(again) == {"omniavoice_conn_id", "condition", "poll_interval", "deadline"}


@both_ways
@pytest.mark.parametrize("agent_id", [None, DESK])
def test_no_prompt_and_no_key_is_kept_or_logged(
    omnia: EmulatedOmnia, deferrable: bool, agent_id: str | None
) -> None:
    omnia.start(2, DESK)
    operation = OF_AGENT if agent_id else LIST
    said = {"error": {"message": f"for {KEY}"}, "agent": PROMPT}
    omnia.server.fault("answer", operation=operation, status=400, nth=2, times=None, body=said)
    task = wait(number(7), agent_id=agent_id, deferrable=deferrable)

    outcome = omnia.run(task)
    texts = [kept_text(outcome), repr(outcome.rendered)]
    if outcome.state == "deferred":
        texts.append(kept_text(omnia.runner.resume(task, outcome)))

    assert PROMPT not in "".join([*texts, omnia.runner.log])
    assert KEY not in "".join([*texts, omnia.runner.log])
