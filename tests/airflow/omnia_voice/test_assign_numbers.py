"""Assignments through the real task runner: final state, requests, reports."""

from __future__ import annotations

import json
from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_voice_agents.omnia_voice.assets import agent_numbers_uri
from airflow_voice_agents.omnia_voice.operators.phone_numbers import OmniaVoiceAssignNumbersOperator
from airflow_voice_agents.transport.errors import (
    GuardRefused,
    InputError,
    ItemsFailed,
    ItemsFailedPermanently,
    RateLimited,
    ResponseError,
    StateMoved,
)
from support.airflow_runner import make
from support.emulated import counts, items, kept_text
from support.emulated_omnia import (
    CREATE,
    DESK,
    EVENTS,
    GET,
    KEY,
    LIST,
    OLD,
    PROMPT,
    UPDATE,
    WORKSPACE,
    EmulatedOmnia,
    number,
    numbers,
)


def assign(*phone_numbers: Any, **arguments: Any) -> OmniaVoiceAssignNumbersOperator:
    usual: dict[str, Any] = {"confirm_live": True}
    if "assignments" not in arguments:
        usual |= {"phone_numbers": list(phone_numbers), "agent_id": DESK}
    return make(OmniaVoiceAssignNumbersOperator, task_id="assign", **{**usual, **arguments})


# ---------------------------------------------------------------------------------- requests


@pytest.mark.parametrize(("count", "pages"), [(1, 1), (100, 1), (101, 2), (230, 3)])
@pytest.mark.parametrize("concurrency", [1, 4])
def test_listed_numbers_cost_one_write_each_beside_two_lists(
    omnia: EmulatedOmnia, count: int, pages: int, concurrency: int
) -> None:
    omnia.start(count)

    outcome = omnia.run(assign(*numbers(count), concurrency=concurrency))

    assert (outcome.state, counts(outcome)) == ("success", {"changed": count})
    assert omnia.agents(numbers(count)) == {DESK}
    reads = {LIST: 2 * pages} if count > 1 else {LIST: 1, GET: 1}
    assert omnia.requests() == {**reads, UPDATE: count}


def test_numbers_that_are_not_listed_are_created_and_the_others_updated(omnia: EmulatedOmnia) -> None:
    omnia.start(60)

    outcome = omnia.run(assign(*numbers(130)))

    assert counts(outcome) == {"changed": 130}
    assert omnia.listed() == numbers(130)
    assert omnia.agents(numbers(130)) == {DESK}
    assert omnia.requests() == {LIST: 1 + 2, UPDATE: 60, CREATE: 70}


def test_a_second_run_costs_one_list_and_writes_nothing(omnia: EmulatedOmnia) -> None:
    omnia.start(150)
    task = assign(*numbers(210))

    omnia.run(task)
    second, requests = omnia.again(task)

    assert (second.state, counts(second)) == ("success", {"unchanged": 210})
    assert requests == {LIST: 3}
    assert second.result["changed"] is False
    assert second.asset_events == []


def test_only_what_differs_is_written(omnia: EmulatedOmnia) -> None:
    omnia.start(4)
    omnia.server.switches.record_bodies = True
    omnia.edit(number(1), agentId=DESK)

    outcome = omnia.run(assign(*numbers(3)))

    assert counts(outcome) == {"changed": 2, "unchanged": 1}
    assert omnia.bodies(UPDATE) == [{"agentId": DESK}] * 2
    assert omnia.record(number(3))["agentId"] is None


def test_each_number_may_get_an_agent_of_its_own(omnia: EmulatedOmnia) -> None:
    omnia.start(1)

    outcome = omnia.run(assign(assignments={number(0): DESK, number(1): EVENTS}))

    assert counts(outcome) == {"changed": 2}
    assert [omnia.record(each)["agentId"] for each in numbers(2)] == [DESK, EVENTS]


def test_a_name_is_sent_along_and_compared(omnia: EmulatedOmnia) -> None:
    omnia.start(2, DESK)
    omnia.edit(number(0), friendlyName="Front desk")

    outcome = omnia.run(assign(*numbers(3), friendly_name="Front desk"))

    assert counts(outcome) == {"changed": 2, "unchanged": 1}
    assert {omnia.record(each)["friendlyName"] for each in numbers(3)} == {"Front desk"}


@pytest.mark.parametrize(
    ("style", "page_limit"),
    [
        *(("total_pages", limit) for limit in (100, 40)),
        *(("has_more", limit) for limit in (100, 40)),
        *((style, 100) for style in ("absent", "bare")),
    ],
)
def test_lists_are_read_whole_however_they_tell_about_their_pages(
    omnia: EmulatedOmnia, style: str, page_limit: int
) -> None:
    omnia.start(130)
    omnia.server.switches.omnia_pagination = style
    omnia.server.switches.omnia_page_limit = page_limit

    outcome = omnia.run(assign(*numbers(130)))

    assert counts(outcome) == {"changed": 130}
    assert omnia.requests()[UPDATE] == 130
    assert CREATE not in omnia.requests()


def test_a_list_that_ends_early_leads_to_no_creation(omnia: EmulatedOmnia) -> None:
    omnia.start(130)
    first_page = {
        "data": [{"id": "num:0000+x", "phoneNumber": number(0), "agentId": None}],
        "pagination": {"page": 1, "limit": 100, "total": 130, "hasMore": True},
    }
    omnia.server.fault("answer", operation=LIST, status=200, body=first_page, times=None)

    outcome = omnia.run(assign(*numbers(2), retries=1))

    assert (outcome.state, type(outcome.error)) == ("up_for_retry", ResponseError)
    assert omnia.writes() == 0


@pytest.mark.parametrize("verify", [True, False])
def test_empty_answers_are_made_up_for_by_reading(omnia: EmulatedOmnia, verify: bool) -> None:
    omnia.start(60)
    omnia.server.switches.omnia_write_body = "empty"

    outcome = omnia.run(assign(*numbers(120), verify=verify, concurrency=2))

    assert counts(outcome) == {"changed": 120}
    assert omnia.agents(numbers(120)) == {DESK}
    requests = omnia.requests()
    assert (requests[UPDATE], requests[CREATE]) == (60, 60)
    assert requests[LIST] <= 1 + 2 * 2 + 2


def test_without_verification_the_answers_alone_are_checked(omnia: EmulatedOmnia) -> None:
    omnia.start(30)

    outcome = omnia.run(assign(*numbers(30), verify=False))

    assert counts(outcome) == {"changed": 30}
    assert omnia.requests() == {LIST: 1, UPDATE: 30}


def test_two_thousand_numbers_stay_within_a_twentieth_of_the_floor(omnia: EmulatedOmnia) -> None:
    omnia.start(1500)
    omnia.server.switches.omnia_rate_limit = 0
    task = assign(*numbers(2000))

    first = omnia.run(task)
    requests = omnia.requests()
    second, again = omnia.again(task)

    assert (counts(first), counts(second)) == ({"changed": 2000}, {"unchanged": 2000})
    assert omnia.agents(numbers(2000)) == {DESK}
    assert requests == {LIST: 15 + 20, UPDATE: 1500, CREATE: 500}
    assert again == {LIST: 20}


# ------------------------------------------------------------------------------- the verb of updates


@pytest.mark.parametrize(("verb", "other"), [("PATCH", "PUT"), ("PUT", "PATCH")])
def test_an_update_that_is_answered_405_is_sent_once_with_the_other_verb(
    omnia: EmulatedOmnia, verb: str, other: str
) -> None:
    omnia.start(5)
    omnia.connect(update_method=verb)
    omnia.server.switches.omnia_update_verb = other

    outcome = omnia.run(assign(*numbers(5), concurrency=1))

    assert counts(outcome) == {"changed": 5}
    methods = [entry.method for entry in omnia.server.journal.writes()]
    assert methods == [verb] + [other] * 5


def test_the_connection_says_which_verb_is_sent(omnia: EmulatedOmnia) -> None:
    omnia.start(3)
    omnia.connect(update_method="PUT")
    omnia.server.switches.omnia_update_verb = "both"

    omnia.run(assign(*numbers(3)))

    assert {entry.method for entry in omnia.server.journal.writes()} == {"PUT"}


def test_a_platform_that_takes_neither_verb_fails_at_once(omnia: EmulatedOmnia) -> None:
    omnia.start(1)
    omnia.server.fault("answer", operation=UPDATE, status=405, times=None)

    outcome = omnia.run(assign(number(0), retries=3))

    assert (outcome.state, counts(outcome)) == ("failed", {"failed": 1})
    assert "405" in str(outcome.error)
    assert omnia.requests() == {LIST: 1, UPDATE: 2}


# ------------------------------------------------------------------------------------ what is refused


def test_a_number_of_another_agent_stops_the_run_before_any_write(omnia: EmulatedOmnia) -> None:
    omnia.start(3)
    omnia.edit(number(1), agentId=OLD)

    outcome = omnia.run(assign(*numbers(3), retries=3))

    assert (outcome.state, type(outcome.error)) == ("failed", GuardRefused)
    assert f"belongs to agent {OLD}" in str(outcome.error)
    assert "reassign=True" in str(outcome.error)
    assert counts(outcome) == {"failed": 1, "skipped": 2}
    assert (omnia.writes(), omnia.agents(numbers(3))) == (0, {None, OLD})


def test_a_number_is_taken_from_another_agent_where_that_is_meant(omnia: EmulatedOmnia) -> None:
    omnia.start(3, OLD)

    outcome = omnia.run(assign(*numbers(3), reassign=True))

    assert counts(outcome) == {"changed": 3}
    assert omnia.agents(numbers(3)) == {DESK}
    detail = items(outcome)[f"{omnia.platform}/{number(0)}"]
    assert (detail["previous_agent_id"], detail["agent_id"]) == (OLD, DESK)


def test_a_number_that_must_be_imported_first_fails_with_that_advice(omnia: EmulatedOmnia) -> None:
    omnia.start(1)
    omnia.server.switches.omnia_assign = "imported"

    outcome = omnia.run(assign(*numbers(2), retries=3))

    assert (outcome.state, type(outcome.error)) == ("failed", ItemsFailedPermanently)
    assert counts(outcome) == {"changed": 1, "failed": 1}
    reason = items(outcome)[f"{omnia.platform}/{number(1)}"]["reason"]
    assert "imported in its dashboard" in reason
    assert omnia.listed() == [number(0)]
    assert omnia.requests()[CREATE] == 1


def test_an_agent_that_the_workspace_lacks_fails_every_number(omnia: EmulatedOmnia) -> None:
    omnia.start(2)

    outcome = omnia.run(assign(*numbers(3), agent_id="agent_nobody", retries=3))

    assert (outcome.state, counts(outcome)) == ("failed", {"failed": 3})
    assert "Agent not found" in str(outcome.error)
    assert omnia.agents(numbers(2)) == {None}


@pytest.mark.parametrize(
    ("run_type", "arguments", "said"),
    [
        ("manual", {"confirm_live": False}, "confirm_live=True"),
        ("backfill", {}, "allow_backfill=True"),
    ],
)
def test_writes_are_guarded_before_any_request(
    omnia: EmulatedOmnia, run_type: str, arguments: dict[str, Any], said: str
) -> None:
    omnia.runner.run_type = run_type

    outcome = omnia.run(assign(number(0), **arguments, retries=3))

    assert (outcome.state, type(outcome.error)) == ("failed", GuardRefused)
    assert said in str(outcome.error)
    assert omnia.requests() == {}


def test_a_dry_run_writes_nothing_and_needs_no_confirmation(omnia: EmulatedOmnia) -> None:
    omnia.start(2)

    outcome = omnia.run(assign(*numbers(3), dry_run=True, confirm_live=False))

    assert outcome.state == "success"
    assert outcome.result["dry_run"] is True
    assert counts(outcome) == {"changed": 3}
    assert (omnia.requests(), omnia.listed()) == ({LIST: 1}, numbers(2))
    assert outcome.asset_events == []
    assert f'agent_id  null → "{DESK}"' in outcome.log


def test_an_approved_plan_is_carried_out_and_another_is_not(omnia: EmulatedOmnia) -> None:
    omnia.start(2)
    planned = omnia.run(assign(*numbers(2), dry_run=True)).result["plan_digest"]
    omnia.edit(number(1), agentId=EVENTS)

    moved = omnia.run(assign(*numbers(2), reassign=True, expected_digest=planned))
    omnia.edit(number(1), agentId=None)
    applied = omnia.run(assign(*numbers(2), expected_digest=planned))

    assert (moved.state, type(moved.error)) == ("failed", StateMoved)
    assert (applied.state, counts(applied)) == ("success", {"changed": 2})


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"phone_numbers": []}, "phone_numbers is empty"),
        ({"phone_numbers": ["020 7946 0000"]}, "1 number(s) that are not E.164"),
        ({"phone_numbers": [{"name": "x", "id": "y"}]}, "a record with name, id"),
        ({"phone_numbers": 7}, "phone_numbers must be a list or None or a text, not 7"),
        ({"phone_numbers": "[1"}, "looks like JSON and is not"),
        ({"phone_numbers": None}, "give either phone_numbers and agent_id, or assignments"),
        ({"agent_id": None}, "give either phone_numbers and agent_id, or assignments"),
        ({"agent_id": "a/b"}, "agent_id must not hold a slash"),
        ({"assignments": {}, "phone_numbers": None, "agent_id": None}, "assignments is empty"),
        ({"assignments": {number(0): DESK}}, "give either phone_numbers and agent_id, or assignments"),
        (
            {"assignments": {"x": DESK}, "phone_numbers": None, "agent_id": None},
            "assignments holds 1 number(s) that are not E.164",
        ),
        (
            {"assignments": {number(0): None}, "phone_numbers": None, "agent_id": None},
            f"assignments.{number(0)} must be a text, not NoneType",
        ),
        (
            {"assignments": "no json", "phone_numbers": None, "agent_id": None},
            "assignments is a text that is",
        ),
        ({"friendly_name": " x "}, "friendly_name must not be empty or have surrounding white space"),
        ({"concurrency": 0}, "concurrency must be a whole number of at least 1"),
    ],
)
def test_bad_input_is_told_before_any_request(
    omnia: EmulatedOmnia, arguments: dict[str, Any], said: str
) -> None:
    usual = {"phone_numbers": numbers(1), "agent_id": DESK, "confirm_live": True}
    task = make(OmniaVoiceAssignNumbersOperator, task_id="assign", **{**usual, **arguments}, retries=3)

    outcome = omnia.run(task)

    assert (outcome.state, type(outcome.error)) == ("failed", InputError)
    assert said in str(outcome.error)
    assert omnia.requests() == {}


def test_every_spelling_of_a_list_of_numbers_is_taken(omnia: EmulatedOmnia) -> None:
    first, second, third = numbers(3)
    text = f"{first}, {second}\n{third}\n"
    omnia.runner.push("listed", [{"phone_number": first}, {"number": second}, third])

    outcomes = [
        omnia.run(assign(phone_numbers=each, dry_run=True))
        for each in (text, json.dumps([first, second, third, first]), "{{ ti.xcom_pull('listed') | tojson }}")
    ]

    assert [counts(outcome) for outcome in outcomes] == [{"changed": 3}] * 3


# -------------------------------------------------------------------------------- unknown outcomes


@pytest.mark.parametrize(
    "rule", [{"action": "reset"}, {"action": "answer", "status": 502}, {"action": "truncate"}]
)
def test_a_creation_that_was_applied_but_not_answered_leaves_exactly_one_record(
    omnia: EmulatedOmnia, rule: dict[str, Any]
) -> None:
    omnia.server.fault(operation=CREATE, apply=True, **rule)

    outcome = omnia.run(assign(*numbers(3)))

    assert counts(outcome) == {"changed": 3}
    assert omnia.listed() == numbers(3)
    assert omnia.requests()[CREATE] == 3


def test_a_creation_that_was_lost_is_read_back_and_repeated_once(omnia: EmulatedOmnia) -> None:
    omnia.server.fault("reset", operation=CREATE)

    outcome = omnia.run(assign(*numbers(3), concurrency=1))

    assert counts(outcome) == {"changed": 3}
    assert omnia.listed() == numbers(3)
    assert omnia.requests()[CREATE] == 4


def test_an_update_whose_answer_was_lost_is_read_back_and_not_sent_again(omnia: EmulatedOmnia) -> None:
    omnia.start(3)
    omnia.server.fault("reset", operation=UPDATE, apply=True)

    outcome = omnia.run(assign(*numbers(3)))

    assert counts(outcome) == {"changed": 3}
    assert omnia.requests() == {LIST: 2, UPDATE: 3, GET: 1}


def test_what_fails_is_reported_and_a_retry_does_only_that(omnia: EmulatedOmnia) -> None:
    omnia.start(6)
    omnia.server.fault("answer", operation=UPDATE, route="0003", status=503, times=None)
    task = assign(*numbers(6), retries=1)

    first = omnia.run(task)
    omnia.server.clear_faults()
    second, requests = omnia.again(task, try_number=2)

    assert (first.state, counts(first)) == ("up_for_retry", {"changed": 5, "failed": 1})
    assert isinstance(first.error, ItemsFailed)
    assert (second.state, counts(second)) == ("success", {"changed": 1, "unchanged": 5})
    assert requests == {LIST: 1, GET: 1, UPDATE: 1}


@pytest.mark.parametrize(("status", "state"), [(503, "up_for_retry"), (403, "failed")])
def test_a_workspace_that_cannot_be_listed_is_not_written(
    omnia: EmulatedOmnia, status: int, state: str
) -> None:
    omnia.start(2)
    omnia.server.fault("answer", operation=LIST, status=status, times=None)

    outcome = omnia.run(assign(*numbers(2), retries=1))

    assert (outcome.state, omnia.writes()) == (state, 0)


def test_what_cannot_be_read_back_ends_as_unknown(omnia: EmulatedOmnia) -> None:
    omnia.start(3)
    omnia.server.fault("answer", operation=LIST, status=503, nth=2, times=None)

    outcome = omnia.run(assign(*numbers(3), retries=1))

    assert (outcome.state, counts(outcome)) == ("up_for_retry", {"unknown": 3})
    assert omnia.agents(numbers(3)) == {DESK}


def test_what_another_changed_after_the_write_is_found_at_the_end(omnia: EmulatedOmnia) -> None:
    omnia.start(3)
    omnia.meanwhile(lambda: omnia.edit(number(1), agentId=EVENTS), operation=LIST, nth=2)

    outcome = omnia.run(assign(*numbers(3), retries=1))

    assert (outcome.state, counts(outcome)) == ("up_for_retry", {"changed": 2, "failed": 1})
    reason = items(outcome)[f"{omnia.platform}/{number(1)}"]["reason"]
    assert "reading it back differs in: agent_id" in reason


def test_an_update_that_changed_more_than_was_asked_is_found_at_the_end(omnia: EmulatedOmnia) -> None:
    omnia.start(3)
    omnia.edit(number(1), friendlyName="Front desk")
    omnia.meanwhile(lambda: omnia.edit(number(1), friendlyName=None), operation=LIST, nth=2)

    outcome = omnia.run(assign(*numbers(3), retries=1))

    assert counts(outcome) == {"changed": 2, "failed": 1}
    reason = items(outcome)[f"{omnia.platform}/{number(1)}"]["reason"]
    assert "reading it back differs in: friendly_name (changed as well)" in reason


# ------------------------------------------------------------------------------------ the hourly limit


def test_a_reached_limit_ends_the_run_and_names_the_wait_to_airflow(omnia: EmulatedOmnia) -> None:
    omnia.start(30)
    omnia.server.switches.omnia_rate_limit = 11
    task = assign(*numbers(30), retries=2)

    first = omnia.run(task)
    limited = omnia.requests()
    omnia.server.emulator.gate.clear_limits()
    omnia.server.switches.omnia_rate_limit = 1000
    second, requests = omnia.again(task, try_number=2)

    assert (first.state, counts(first)) == ("up_for_retry", {"changed": 10, "failed": 20})
    assert 3500 < (first.retry_delay or 0) <= 3600
    # The four in flight are refused; nobody asks after them, not even to read back.
    assert limited[LIST] == 1
    assert 10 < limited[UPDATE] <= 10 + 4
    assert (second.state, counts(second)) == ("success", {"changed": 20, "unchanged": 10})
    assert requests == {LIST: 2, UPDATE: 20}


def test_a_limit_reached_while_listing_ends_the_run_before_any_write(omnia: EmulatedOmnia) -> None:
    omnia.start(250)
    omnia.server.switches.omnia_rate_limit = 2

    outcome = omnia.run(assign(*numbers(250), retries=1))

    assert (outcome.state, type(outcome.error)) == ("up_for_retry", RateLimited)
    assert 3500 < (outcome.retry_delay or 0) <= 3600
    assert omnia.requests() == {LIST: 3}


def test_a_limit_reached_at_the_last_read_fails_the_task_with_the_wait(omnia: EmulatedOmnia) -> None:
    omnia.start(3)
    omnia.server.switches.omnia_rate_limit = 4

    outcome = omnia.run(assign(*numbers(3), retries=1))

    assert (outcome.state, counts(outcome)) == ("up_for_retry", {"unknown": 3})
    assert 3500 < (outcome.retry_delay or 0) <= 3600
    assert omnia.agents(numbers(3)) == {DESK}


# ---------------------------------------------------------------------------------- Airflow's own ways


def test_a_change_emits_an_event_for_each_agent_that_it_concerns(omnia: EmulatedOmnia) -> None:
    omnia.start(3)
    omnia.edit(number(0), agentId=OLD)

    outcome = omnia.run(assign(*numbers(3), reassign=True))

    found = {event["dest_asset_key"]["uri"]: event["extra"]["changed"] for event in outcome.asset_events}
    assert found == {agent_numbers_uri(DESK): 3, agent_numbers_uri(OLD): 1}


@pytest.mark.parametrize("status", [None, 400, 503])
@pytest.mark.parametrize("snapshot", [True, False])
def test_no_prompt_and_no_key_is_kept_or_logged(
    omnia: EmulatedOmnia, status: int | None, snapshot: bool, tmp_path: Any
) -> None:
    omnia.start(3, OLD)
    if status:
        said = {"error": {"message": f"key {KEY} is refused", "code": "X"}, "agent": {"prompt": PROMPT}}
        omnia.server.fault("answer", operation=UPDATE, status=status, times=None, body=said)

    outcome = omnia.run(
        assign(
            *numbers(3),
            reassign=True,
            take_snapshot=snapshot,
            state_folder=tmp_path.as_uri(),
            show_values=True,
        )
    )

    assert outcome.state == ("failed" if status else "success")
    kept = kept_text(outcome) + repr(outcome.rendered)
    assert PROMPT not in kept
    assert KEY not in kept
    assert len(list(tmp_path.glob("snapshots/*"))) == snapshot


def test_a_wrong_key_fails_at_once_and_says_so(omnia: EmulatedOmnia) -> None:
    omnia.runner.connections = {
        "omniavoice_default": {
            "conn_type": "omniavoice",
            "host": f"{omnia.server.url}/api/v1",
            "password": "no-such-key",
        }
    }

    outcome = omnia.run(assign(number(0), retries=3))

    assert outcome.state == "failed"
    assert "Check the connection's API key" in str(outcome.error)
    assert omnia.requests() == {LIST: 1}


def test_a_mapped_assignment_runs_each_of_its_chunks(omnia: EmulatedOmnia) -> None:
    with DAG("numbers", schedule=None):
        mapped = OmniaVoiceAssignNumbersOperator.partial(
            task_id="assign", agent_id=DESK, confirm_live=True
        ).expand(phone_numbers=[numbers(2), numbers(3, first=2)])

    first, second = omnia.run(mapped, map_index=0), omnia.run(mapped, map_index=1)

    assert (counts(first), counts(second)) == ({"changed": 2}, {"changed": 3})
    assert omnia.agents(numbers(5)) == {DESK}


def test_numbers_of_another_workspace_are_not_seen(omnia: EmulatedOmnia) -> None:
    other = {"workspace": "bank"}
    omnia.server.state.edit(
        lambda state: state["omnia_voice"].update(
            keys={**state["omnia_voice"]["keys"], "other-key": other},
            workspaces={
                **state["omnia_voice"]["workspaces"],
                "bank": {"agents": {}, "numbers": {"b": {"phoneNumber": number(0)}}},
            },
        )
    )

    outcome = omnia.run(assign(number(0)))

    assert counts(outcome) == {"changed": 1}
    assert omnia.server.omnia_voice.number(number(0), WORKSPACE)["agentId"] == DESK
    assert omnia.server.omnia_voice.number(number(0), "bank")["agentId"] is None


def test_a_number_that_another_workspace_has_is_told_and_sent_once(omnia: EmulatedOmnia) -> None:
    omnia.start(1)
    refusal = {"error": {"message": "The phone number already exists", "code": "CONFLICT"}}
    omnia.server.fault("answer", operation=CREATE, status=409, body=refusal, times=None)

    outcome = omnia.run(assign(number(5), retries=3))

    assert outcome.state == "failed"
    assert "registered elsewhere: not in this workspace" in str(outcome.xcoms["report"])
    assert omnia.requests()[CREATE] == 1
