"""Lists of numbers: what is returned, what it costs, and what never leaves the task."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_voice_agents.omnia_voice.operators.phone_numbers import OmniaVoiceListNumbersOperator
from airflow_voice_agents.transport.errors import InputError, NotFound, ResponseError
from support.airflow_runner import make
from support.emulated import kept_text
from support.emulated_omnia import (
    DESK,
    EVENTS,
    KEY,
    LIST,
    OF_AGENT,
    PROMPT,
    EmulatedOmnia,
    number,
    numbers,
)


def list_numbers(**arguments: Any) -> OmniaVoiceListNumbersOperator:
    return make(OmniaVoiceListNumbersOperator, task_id="list", **arguments)


@pytest.mark.parametrize(("count", "pages"), [(0, 1), (100, 1), (101, 2), (250, 3)])
def test_all_numbers_cost_one_request_per_hundred(omnia: EmulatedOmnia, count: int, pages: int) -> None:
    omnia.start(count)

    outcome = omnia.run(list_numbers())

    assert outcome.state == "success"
    assert [each["phone_number"] for each in outcome.result] == numbers(count)
    assert omnia.requests() == {LIST: pages}


def test_the_numbers_of_an_agent_cost_one_request(omnia: EmulatedOmnia) -> None:
    omnia.start(230, EVENTS)
    omnia.edit(number(7), agentId=DESK, friendlyName="Front desk")

    outcome = omnia.run(list_numbers(agent_id=DESK))

    assert outcome.result == [
        {
            "id": "num:0007+x",
            "phone_number": number(7),
            "agent_id": DESK,
            "status": "ACTIVE",
            "friendly_name": "Front desk",
        }
    ]
    assert omnia.requests() == {OF_AGENT: 1}


@pytest.mark.parametrize("agent_id", [None, DESK])
def test_a_status_chooses(omnia: EmulatedOmnia, agent_id: str | None) -> None:
    omnia.start(3, DESK)
    omnia.edit(number(1), status="INACTIVE")

    outcome = omnia.run(list_numbers(status="INACTIVE", agent_id=agent_id))

    assert [each["phone_number"] for each in outcome.result] == [number(1)]


def test_the_platform_itself_is_asked_for_a_status(omnia: EmulatedOmnia) -> None:
    omnia.start(230)
    omnia.edit(number(7), status="INACTIVE")

    outcome = omnia.run(list_numbers(status="INACTIVE"))

    assert (len(outcome.result), omnia.requests()) == (1, {LIST: 1})


def test_a_status_that_the_platform_does_not_filter_by_is_filtered_here(omnia: EmulatedOmnia) -> None:
    omnia.start(3)
    everything = {
        "data": [
            {"id": str(index), "phoneNumber": number(index), "status": status}
            for index, status in enumerate(("Assigned", "unassigned", None))
        ]
    }
    omnia.server.fault("answer", operation=LIST, status=200, body=everything)

    outcome = omnia.run(list_numbers(status="assigned"))

    assert [each["phone_number"] for each in outcome.result] == [number(0)]


@pytest.mark.parametrize("style", ["total_pages", "has_more", "absent", "bare"])
def test_lists_are_read_whole_however_they_tell_about_their_pages(omnia: EmulatedOmnia, style: str) -> None:
    omnia.start(130)
    omnia.server.switches.omnia_pagination = style

    outcome = omnia.run(list_numbers())

    assert len(outcome.result) == 130
    assert omnia.requests() == {LIST: 2}


def test_a_list_that_repeats_itself_is_no_list(omnia: EmulatedOmnia) -> None:
    page = {"data": [{"id": "x", "phoneNumber": number(0)}], "pagination": {"hasMore": True}}
    omnia.server.fault("answer", operation=LIST, status=200, body=page, times=None)

    outcome = omnia.run(list_numbers(retries=1))

    assert (outcome.state, type(outcome.error)) == ("up_for_retry", ResponseError)
    assert "although there are more" in str(outcome.error)
    assert omnia.requests() == {LIST: 2}


def test_an_agent_that_there_is_not_fails_at_once(omnia: EmulatedOmnia) -> None:
    outcome = omnia.run(list_numbers(agent_id="agent_nobody", retries=3))

    assert (outcome.state, type(outcome.error)) == ("failed", NotFound)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"agent_id": "a/b"}, "agent_id must not hold a slash"),
        ({"status": " x"}, "status must not be empty or have surrounding white space"),
    ],
)
def test_bad_input_is_told_before_any_request(
    omnia: EmulatedOmnia, arguments: dict[str, Any], said: str
) -> None:
    outcome = omnia.run(list_numbers(**arguments, retries=3))

    assert (outcome.state, type(outcome.error)) == ("failed", InputError)
    assert said in str(outcome.error)
    assert omnia.requests() == {}


@pytest.mark.parametrize("agent_id", [None, DESK])
def test_no_prompt_and_no_key_is_kept_or_logged(omnia: EmulatedOmnia, agent_id: str | None) -> None:
    omnia.start(3, DESK)

    outcome = omnia.run(list_numbers(agent_id=agent_id))

    assert len(outcome.result) == 3
    kept = kept_text(outcome) + repr(outcome.rendered)
    assert PROMPT not in kept
    assert KEY not in kept


def test_what_is_listed_can_be_assigned(omnia: EmulatedOmnia) -> None:
    from airflow_voice_agents.omnia_voice.operators.phone_numbers import OmniaVoiceAssignNumbersOperator

    omnia.start(3)
    omnia.run(list_numbers())

    outcome = omnia.run(
        OmniaVoiceAssignNumbersOperator(
            task_id="assign",
            phone_numbers="{{ ti.xcom_pull('list') | tojson }}",
            agent_id=DESK,
            confirm_live=True,
        )
    )

    assert outcome.state == "success"
    assert omnia.agents(numbers(3)) == {DESK}
