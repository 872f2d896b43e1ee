"""Emergency addresses: comparing, asking once, waiting for the outcome."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_voice_agents.engine.target_names import TargetNames, distinct
from airflow_voice_agents.signalwire.assets import phone_numbers_uri
from airflow_voice_agents.signalwire.operators.e911 import SignalWireAssignE911Operator
from airflow_voice_agents.signalwire.operators.snapshots import SignalWireRestoreRoutingOperator
from airflow_voice_agents.state.folder import state_folder
from airflow_voice_agents.state.locks import LockOwner, hold_lock
from airflow_voice_agents.transport.errors import (
    GuardRefused,
    InputError,
    ItemsFailedPermanently,
    TargetLocked,
)
from support.airflow_runner import Outcome, make
from support.carrier import (
    ADDRESS,
    ASSIGN,
    GET,
    LIST,
    OTHER_ADDRESS,
    REMOVE,
    EmulatedCarrier,
    numbers,
    routed,
)
from support.emulated import counts, items

ONE, TWO, THREE, FOUR, FIVE = numbers(5)


def assign(*phone_numbers: str, **arguments: Any) -> SignalWireAssignE911Operator:
    usual = {"phone_numbers": list(phone_numbers), "e911_address_id": ADDRESS, "confirm_live": True}
    return make(SignalWireAssignE911Operator, task_id="e911", **{**usual, **arguments})


def remove(*phone_numbers: str, **arguments: Any) -> SignalWireAssignE911Operator:
    return assign(*phone_numbers, **{"e911_address_id": None, **arguments})


def reasons(outcome: Outcome) -> dict[str, str]:
    return {name.rpartition("/")[2]: item.get("reason", "") for name, item in items(outcome).items()}


def address(carrier: EmulatedCarrier, number: str) -> tuple[str | None, str | None]:
    record = carrier.record(number)
    return record["e911_address_id"], record["e911_status"]


@pytest.mark.parametrize("status", ["shown", "absent"])
def test_an_assignment_costs_a_list_and_a_request_per_number(carrier: EmulatedCarrier, status: Any) -> None:
    carrier.start(routed(5), signalwire_e911_status=status)
    task = assign(ONE, TWO)

    first = carrier.run(task)
    requests = carrier.requests()
    second, again = carrier.again(task)

    assert (first.state, counts(first), counts(second)) == ("success", {"changed": 2}, {"unchanged": 2})
    assert (requests, again) == ({LIST: 1, ASSIGN: 2}, {LIST: 1})
    assert address(carrier, ONE) == (ADDRESS, "pending")
    assert first.asset_events[0]["dest_asset_key"]["uri"] == phone_numbers_uri(carrier.space)


@pytest.mark.parametrize(
    ("status", "asked_again"),
    [
        ("pending", False),
        ("active", False),
        (None, False),
        ("failed", True),
        ("pending_removal", True),
        ("unregistered", True),
    ],
)
def test_the_same_address_is_asked_for_again_only_where_it_does_not_hold(
    carrier: EmulatedCarrier, status: str | None, asked_again: bool
) -> None:
    carrier.edit(ONE, e911_address_id=ADDRESS, e911_status=status)

    outcome = carrier.run(assign(ONE, e911_address_id=ADDRESS.upper()))

    assert counts(outcome) == ({"changed": 1} if asked_again else {"unchanged": 1})
    assert carrier.writes() == asked_again
    assert ("asked for again" in reasons(outcome)[ONE]) is (status == "failed")


def test_another_address_replaces_the_first(carrier: EmulatedCarrier) -> None:
    carrier.edit(ONE, e911_address_id=OTHER_ADDRESS, e911_status="active")

    outcome = carrier.run(assign(ONE))

    assert counts(outcome) == {"changed": 1}
    assert address(carrier, ONE) == (ADDRESS, "pending")


@pytest.mark.parametrize("status", ["shown", "absent"])
def test_a_removal_costs_a_list_and_a_request_per_number(carrier: EmulatedCarrier, status: Any) -> None:
    carrier.start(
        routed(2, e911_address_id=ADDRESS, e911_status="active") | routed(1, first=2),
        signalwire_e911_status=status,
    )
    task = remove(ONE, TWO, THREE)

    first = carrier.run(task)

    assert (first.state, counts(first)) == ("success", {"changed": 2, "unchanged": 1})
    assert carrier.requests() == {LIST: 1, REMOVE: 2}
    assert address(carrier, ONE) == (ADDRESS, "pending_removal")
    if status == "shown":
        second, again = carrier.again(task)
        assert counts(second) == {"unchanged": 3}
        assert again == {LIST: 1}


def test_an_address_must_be_named_or_removed_in_so_many_words() -> None:
    with pytest.raises(TypeError, match="e911_address_id"):
        SignalWireAssignE911Operator(task_id="e911", phone_numbers=[ONE])  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"e911_address_id": ""}, "e911_address_id must be a UUID"),
        ({"e911_address_id": "{{ none }}"}, "e911_address_id rendered to nothing"),
        ({"e911_address_id": "search"}, "e911_address_id must be a UUID"),
        ({"phone_numbers": []}, "phone_numbers is empty"),
        ({"phone_numbers": ["911"]}, "not E.164"),
    ],
)
def test_bad_input_is_told_before_any_request(
    carrier: EmulatedCarrier, arguments: dict[str, Any], said: str
) -> None:
    outcome = carrier.run(assign(ONE, **arguments, retries=3))

    assert outcome.state == "failed"
    assert isinstance(outcome.error, InputError)
    assert said in str(outcome.error)
    assert carrier.requests() == {}


def test_an_unconfirmed_run_reads_and_writes_nothing(carrier: EmulatedCarrier) -> None:
    outcome = carrier.run(assign(ONE, confirm_live=False))

    assert isinstance(outcome.error, GuardRefused)
    assert carrier.requests() == {}


def test_a_dry_run_tells_what_would_be_asked_for(carrier: EmulatedCarrier) -> None:
    outcome = carrier.run(assign(ONE, dry_run=True, confirm_live=False, show_values=True))

    assert outcome.state == "success"
    assert ADDRESS in outcome.log
    assert carrier.requests() == {LIST: 1}


def test_a_number_that_is_not_there_stops_the_run_before_the_first_write(carrier: EmulatedCarrier) -> None:
    outcome = carrier.run(assign(ONE, *numbers(1, first=9000), retries=3))

    assert outcome.state == "failed"
    assert isinstance(outcome.error, GuardRefused)
    assert counts(outcome) == {"failed": 1, "skipped": 1}
    assert carrier.writes() == 0


def test_an_address_of_another_project_is_a_failed_item(carrier: EmulatedCarrier) -> None:
    outcome = carrier.run(assign(ONE, e911_address_id="00000000-0000-4000-8000-000000000000", retries=3))

    assert isinstance(outcome.error, ItemsFailedPermanently)
    assert "invalid_parameter" in reasons(outcome)[ONE]


@pytest.mark.parametrize("apply", [True, False])
def test_an_unknown_outcome_is_read_back_before_anything_else(carrier: EmulatedCarrier, apply: bool) -> None:
    carrier.server.fault("reset", apply=apply, operation=ASSIGN)

    outcome = carrier.run(assign(ONE))

    assert (outcome.state, counts(outcome)) == ("success", {"changed": 1})
    assert carrier.order() == [LIST, ASSIGN, GET] + ([] if apply else [ASSIGN])
    assert address(carrier, ONE) == (ADDRESS, "pending")


def test_an_unknown_removal_is_read_back_before_anything_else(carrier: EmulatedCarrier) -> None:
    carrier.edit(ONE, e911_address_id=ADDRESS, e911_status="active")
    carrier.server.fault("reset", apply=True, operation=REMOVE)

    outcome = carrier.run(remove(ONE))

    assert (outcome.state, counts(outcome)) == ("success", {"changed": 1})
    assert carrier.order() == [LIST, REMOVE, GET]


@pytest.mark.usefixtures("fernet_key")
def test_an_assignment_is_taken_back_to_the_former_address_or_to_none(carrier: EmulatedCarrier) -> None:
    carrier.edit(ONE, e911_address_id=OTHER_ADDRESS, e911_status="active")
    url = carrier.run(assign(ONE, TWO, THREE)).xcoms["snapshot"]
    carrier.edit(THREE, e911_address_id=OTHER_ADDRESS, e911_status="active")
    task = SignalWireRestoreRoutingOperator(
        task_id="back", snapshot=url, confirm_live=True, allow_partial=True
    )

    outcome = carrier.run(task)
    held = carrier.run(assign(ONE))

    assert (outcome.state, counts(outcome)) == ("success", {"changed": 2, "failed": 1})
    assert address(carrier, ONE) == (OTHER_ADDRESS, "pending")
    assert address(carrier, TWO) == (ADDRESS, "pending_removal")
    assert "somebody changed it since" in reasons(outcome)[THREE]
    assert [event["dest_asset_key"]["uri"] for event in outcome.asset_events] == [
        phone_numbers_uri(carrier.space)
    ]
    assert isinstance(held.error, GuardRefused)


def test_another_run_on_a_number_keeps_an_assignment_waiting(carrier: EmulatedCarrier) -> None:
    owner = LockOwner(dag_id="other", run_id="r", task_id="t")
    names, folder = TargetNames(distinct), state_folder(None, "locks")

    with hold_lock([f"{carrier.space}/{ONE}"], owner, folder, names=names, log=str):
        locked, free = (carrier.run(assign(number, lock_wait=0)) for number in (ONE, TWO))

    assert isinstance(locked.error, TargetLocked)
    assert counts(free) == {"changed": 1}


def test_a_number_that_was_released_before_its_removal_is_no_success(carrier: EmulatedCarrier) -> None:
    carrier.edit(ONE, e911_address_id=ADDRESS, e911_status="active")
    carrier.meanwhile(lambda: carrier.server.signalwire.remove_number(ONE), operation=REMOVE)

    outcome = carrier.run(remove(ONE))

    assert outcome.state != "success"
    assert carrier.requests() == {LIST: 1, REMOVE: 1, GET: 1}
