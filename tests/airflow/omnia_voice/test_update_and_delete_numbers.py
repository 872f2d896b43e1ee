"""Updates and deletions through the real task runner: final state, requests, reports."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_voice_agents.omnia_voice.assets import agent_numbers_uri
from airflow_voice_agents.omnia_voice.operators.phone_numbers import (
    OmniaVoiceDeleteNumbersOperator,
    OmniaVoiceUpdateNumbersOperator,
)
from airflow_voice_agents.transport.errors import (
    GuardRefused,
    InputError,
    ItemsFailed,
    ItemsFailedPermanently,
)
from support.airflow_runner import make
from support.emulated import counts, items
from support.emulated_omnia import (
    DELETE,
    DESK,
    EVENTS,
    GET,
    LIST,
    OLD,
    UPDATE,
    EmulatedOmnia,
    number,
    numbers,
)


def update(*phone_numbers: str, **arguments: Any) -> OmniaVoiceUpdateNumbersOperator:
    usual: dict[str, Any] = {"phone_numbers": list(phone_numbers), "confirm_live": True}
    return make(OmniaVoiceUpdateNumbersOperator, task_id="update", **{**usual, **arguments})


def delete(*phone_numbers: str, **arguments: Any) -> OmniaVoiceDeleteNumbersOperator:
    listed = list(phone_numbers)
    usual: dict[str, Any] = {"phone_numbers": listed, "expected": listed, "confirm_live": True}
    return make(OmniaVoiceDeleteNumbersOperator, task_id="delete", **{**usual, **arguments})


# ------------------------------------------------------------------------------------------ updates


@pytest.mark.parametrize(
    ("changes", "body"),
    [
        ({"friendly_name": "Front desk"}, {"friendlyName": "Front desk"}),
        ({"status": "INACTIVE"}, {"status": "INACTIVE"}),
        ({"agent_id": None}, {"agentId": None}),
        ({"agent_id": DESK, "status": "INACTIVE"}, {"status": "INACTIVE"}),
    ],
)
def test_only_the_settings_that_differ_are_sent(
    omnia: EmulatedOmnia, changes: dict[str, Any], body: dict[str, Any]
) -> None:
    omnia.start(3, DESK)
    omnia.server.switches.record_bodies = True
    task = update(*numbers(2), changes=changes)

    first = omnia.run(task)
    bodies = omnia.bodies(UPDATE)
    untouched = omnia.record(number(2))
    second, requests = omnia.again(task)

    assert (first.state, counts(first)) == ("success", {"changed": 2})
    assert bodies == [body, body]
    for each in numbers(2):
        before = {"friendlyName": None, "status": "ACTIVE", "agentId": DESK}
        record = omnia.record(each)
        assert {name: record[name] for name in before} == before | body
    assert (untouched["agentId"], untouched["status"]) == (DESK, "ACTIVE")
    assert (counts(second), requests) == ({"unchanged": 2}, {LIST: 1})


def test_updates_cost_one_write_each_beside_two_lists(omnia: EmulatedOmnia) -> None:
    omnia.start(120)

    outcome = omnia.run(update(*numbers(120), changes={"friendly_name": "Line"}))

    assert counts(outcome) == {"changed": 120}
    assert omnia.requests() == {LIST: 4, UPDATE: 120}


def test_the_connection_says_which_verb_is_sent(omnia: EmulatedOmnia) -> None:
    omnia.start(2)
    omnia.connect(update_method="PUT")
    omnia.server.switches.omnia_update_verb = "both"

    omnia.run(update(*numbers(2), changes={"friendly_name": "x"}))

    assert {entry.method for entry in omnia.server.journal.writes()} == {"PUT"}


def test_a_status_is_compared_without_regard_to_case(omnia: EmulatedOmnia) -> None:
    omnia.start(1)

    outcome = omnia.run(update(number(0), changes={"status": "active"}))

    assert (counts(outcome), omnia.writes()) == ({"unchanged": 1}, 0)


def test_a_status_that_the_platform_shows_in_other_words_is_told(omnia: EmulatedOmnia) -> None:
    omnia.start(1)
    omnia.server.switches.omnia_statuses = "assignment"

    outcome = omnia.run(update(number(0), changes={"status": "INACTIVE"}))

    assert counts(outcome) == {"failed": 1}
    assert "differs in: status" in str(outcome.error)


def test_a_number_that_is_not_listed_stops_the_run_before_any_write(omnia: EmulatedOmnia) -> None:
    omnia.start(1)

    outcome = omnia.run(update(*numbers(2), changes={"friendly_name": "x"}, retries=3))

    assert (outcome.state, type(outcome.error)) == ("failed", GuardRefused)
    assert f"does not list {number(1)}" in str(outcome.error)
    assert omnia.requests() == {LIST: 1}


@pytest.mark.parametrize("reassign", [False, True])
def test_another_agents_number_is_taken_only_where_that_is_meant(
    omnia: EmulatedOmnia, reassign: bool
) -> None:
    omnia.start(1, OLD)

    outcome = omnia.run(update(number(0), changes={"agent_id": DESK}, reassign=reassign))

    assert outcome.state == ("success" if reassign else "failed")
    assert omnia.agents(numbers(1)) == {DESK if reassign else OLD}


def test_an_agent_that_cannot_be_taken_off_fails_the_number(omnia: EmulatedOmnia) -> None:
    omnia.start(1, DESK)
    omnia.server.switches.omnia_unassign = "refuse"

    outcome = omnia.run(update(number(0), changes={"agent_id": None}, retries=3))

    assert (outcome.state, type(outcome.error)) == ("failed", ItemsFailedPermanently)
    assert omnia.agents(numbers(1)) == {DESK}


def test_a_renaming_leaves_alone_an_agent_that_changed_meanwhile(omnia: EmulatedOmnia) -> None:
    omnia.start(1, DESK)
    omnia.meanwhile(lambda: omnia.edit(number(0), agentId=EVENTS), operation=UPDATE)

    outcome = omnia.run(update(number(0), changes={"friendly_name": "x"}))

    assert outcome.state == "success"
    assert omnia.agents(numbers(1)) == {EVENTS}


def test_a_change_emits_an_event_for_each_agent_that_it_concerns(omnia: EmulatedOmnia) -> None:
    omnia.start(2, DESK)

    outcome = omnia.run(update(*numbers(2), changes={"agent_id": None}))

    found = {event["dest_asset_key"]["uri"]: event["extra"]["changed"] for event in outcome.asset_events}
    assert found == {agent_numbers_uri(DESK): 2}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"changes": {}}, "changes must be a mapping of at least one of"),
        ({"changes": {"name": "x"}}, "changes has unknown keys name"),
        ({"changes": {"friendly_name": None}}, "changes.friendly_name must be a text"),
        ({"changes": {"status": None}}, "changes.status must be a text"),
        ({"changes": {"agent_id": ""}}, "changes.agent_id must not be empty"),
        ({"changes": "x"}, "changes is a text that is not JSON"),
        ({"changes": {"status": "x"}, "phone_numbers": "12"}, "1 number(s) that are not E.164"),
    ],
)
def test_bad_input_is_told_before_any_request(
    omnia: EmulatedOmnia, arguments: dict[str, Any], said: str
) -> None:
    outcome = omnia.run(update(*numbers(1), **arguments, retries=3))

    assert (outcome.state, type(outcome.error)) == ("failed", InputError)
    assert said in str(outcome.error)
    assert omnia.requests() == {}


def test_an_absent_agent_and_one_of_none_survive_templates(omnia: EmulatedOmnia) -> None:
    omnia.start(1, DESK)
    omnia.runner.push("wanted", {"friendly_name": "x"})

    kept = omnia.run(update(number(0), changes="{{ ti.xcom_pull('wanted') | tojson }}"))
    agents = omnia.agents(numbers(1))
    taken = omnia.run(update(number(0), changes='{"agent_id": null}'))

    assert (counts(kept), agents) == ({"changed": 1}, {DESK})
    assert (counts(taken), omnia.agents(numbers(1))) == ({"changed": 1}, {None})


# ---------------------------------------------------------------------------------------- deletions


@pytest.mark.parametrize("status", ["200", "204"])
@pytest.mark.parametrize("concurrency", [1, 4])
def test_deletions_cost_one_request_each_beside_two_lists(
    omnia: EmulatedOmnia, status: str, concurrency: int
) -> None:
    omnia.start(130)
    omnia.server.switches.omnia_delete_status = status
    task = delete(*numbers(120), concurrency=concurrency)

    first = omnia.run(task)
    requests = omnia.requests()
    second, again = omnia.again(task)

    assert (first.state, counts(first)) == ("success", {"changed": 120})
    assert requests == {LIST: 2 + 1, DELETE: 120}
    assert omnia.listed() == numbers(10, first=120)
    assert (counts(second), again) == ({"unchanged": 120}, {LIST: 1})


@pytest.mark.parametrize(
    ("asked", "expected", "said"),
    [
        (numbers(2), numbers(1), f"1 not expected ({number(1)})"),
        (numbers(1), numbers(2), f"1 expected and not asked for ({number(1)})"),
    ],
)
def test_a_list_other_than_the_expected_one_is_refused_before_any_request(
    omnia: EmulatedOmnia, asked: list[str], expected: list[str], said: str
) -> None:
    omnia.start(2)

    outcome = omnia.run(delete(phone_numbers=asked, expected=expected, retries=3))

    assert (outcome.state, type(outcome.error)) == ("failed", GuardRefused)
    assert said in str(outcome.error)
    assert (omnia.requests(), omnia.listed()) == ({}, numbers(2))


def test_the_order_of_the_expected_list_does_not_matter(omnia: EmulatedOmnia) -> None:
    omnia.start(2)

    outcome = omnia.run(delete(*numbers(2), expected=list(reversed(numbers(2)))))

    assert (outcome.state, omnia.listed()) == ("success", [])


@pytest.mark.parametrize("task", [delete, lambda each: update(each, changes={"agent_id": None})])
def test_writes_need_a_confirmation(omnia: EmulatedOmnia, task: Any) -> None:
    omnia.start(1, DESK)
    operator = task(number(0))
    operator.confirm_live = False

    outcome = omnia.run(operator)

    assert (outcome.state, type(outcome.error)) == ("failed", GuardRefused)
    assert omnia.requests() == {}


def test_a_dry_run_deletes_nothing(omnia: EmulatedOmnia) -> None:
    omnia.start(2, DESK)

    outcome = omnia.run(delete(*numbers(2), dry_run=True, confirm_live=False))

    assert (outcome.state, counts(outcome)) == ("success", {"changed": 2})
    assert (omnia.requests(), omnia.listed()) == ({LIST: 1}, numbers(2))
    assert f"Agent {DESK} answers {number(0)} until it is deleted" in outcome.log


def test_a_number_that_is_gone_meanwhile_counts_as_deleted(omnia: EmulatedOmnia) -> None:
    omnia.start(2)
    omnia.meanwhile(lambda: omnia.server.omnia_voice.remove_number(number(1)), operation=DELETE)

    outcome = omnia.run(delete(*numbers(2), concurrency=1))

    assert (outcome.state, counts(outcome)) == ("success", {"changed": 2})
    assert omnia.listed() == []


@pytest.mark.parametrize("apply", [False, True])
def test_a_deletion_of_unknown_outcome_is_read_back(omnia: EmulatedOmnia, apply: bool) -> None:
    omnia.start(3)
    omnia.server.fault("reset", operation=DELETE, apply=apply)

    outcome = omnia.run(delete(*numbers(3), concurrency=1))

    assert (outcome.state, counts(outcome)) == ("success", {"changed": 3})
    assert omnia.listed() == []
    assert omnia.requests()[DELETE] == (3 if apply else 4)


def test_a_number_that_comes_back_is_found_at_the_end(omnia: EmulatedOmnia) -> None:
    omnia.start(2)
    omnia.meanwhile(lambda: omnia.server.omnia_voice.add_number("hotels", number(1)), operation=LIST, nth=2)

    outcome = omnia.run(delete(*numbers(2), retries=1))

    assert isinstance(outcome.error, ItemsFailed)
    assert counts(outcome) == {"changed": 1, "failed": 1}
    assert "differs in: presence" in items(outcome)[f"{omnia.platform}/{number(1)}"]["reason"]


def test_a_refused_deletion_is_told(omnia: EmulatedOmnia) -> None:
    omnia.start(2)
    omnia.server.fault("answer", operation=DELETE, status=403, times=None)

    outcome = omnia.run(delete(*numbers(2), retries=3))

    assert (outcome.state, counts(outcome)) == ("failed", {"failed": 2})
    assert omnia.requests() == {LIST: 1, DELETE: 2}


@pytest.mark.parametrize("removed", [True, False])
def test_an_empty_200_is_never_taken_for_a_deletion_without_a_look(
    omnia: EmulatedOmnia, removed: bool
) -> None:
    omnia.start(2)
    if not removed:
        omnia.server.fault("answer", operation=DELETE, status=200, times=None)

    outcome = omnia.run(delete(*numbers(2), verify=False))

    assert counts(outcome) == ({"changed": 2} if removed else {"failed": 2})
    assert omnia.requests() == {LIST: 2, DELETE: 2}


def test_a_404_for_a_number_that_is_still_listed_is_no_deletion(omnia: EmulatedOmnia) -> None:
    omnia.start(1)
    omnia.server.fault("answer", operation=DELETE, status=404, times=None)

    outcome = omnia.run(delete(number(0), concurrency=1))

    assert (counts(outcome), omnia.listed()) == ({"failed": 1}, [number(0)])


def test_one_number_is_read_by_its_id(omnia: EmulatedOmnia) -> None:
    omnia.start(230)

    outcome = omnia.run(update(number(7), changes={"friendly_name": "x"}))

    assert (outcome.state, omnia.requests()) == ("success", {LIST: 3, UPDATE: 1, GET: 1})
