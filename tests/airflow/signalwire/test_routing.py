"""Cut-overs through the real task runner: final routing, requests, reports, refusals."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.exceptions import AirflowProviderDeprecationWarning
from airflow.sdk import DAG

from airflow_voice_agents.engine.target_names import TargetNames, distinct
from airflow_voice_agents.signalwire.assets import routing_uri
from airflow_voice_agents.signalwire.operators.routing import SignalWireRoutePhoneNumbersOperator
from airflow_voice_agents.signalwire.routes import ToSwml
from airflow_voice_agents.state.folder import state_folder
from airflow_voice_agents.state.locks import LockOwner, hold_lock
from airflow_voice_agents.transport.errors import (
    GuardRefused,
    InputError,
    ItemsFailed,
    ItemsFailedPermanently,
    StateMoved,
    TargetLocked,
    Unauthorized,
)
from support.airflow_runner import Outcome, make
from support.carrier import (
    GET,
    LIST,
    MARKER,
    NEW,
    OLD,
    PROJECT,
    PUT,
    SECRET_URL,
    SWML,
    TOKEN,
    EmulatedCarrier,
    numbers,
    routed,
)
from support.emulated import counts, items, kept_text

SIP = "b6b5a2b0-6f2e-4f57-8f0e-0a6f4f8f2a77"
ONE, TWO, THREE, FOUR, FIVE = numbers(5)


def route(*phone_numbers: str, **arguments: Any) -> SignalWireRoutePhoneNumbersOperator:
    usual = {"phone_numbers": list(phone_numbers) or None, "route": SWML, "confirm_live": True}
    return make(SignalWireRoutePhoneNumbersOperator, task_id="route", **{**usual, **arguments})


def reasons(outcome: Outcome) -> dict[str, str]:
    return {name.rpartition("/")[2]: item.get("reason", "") for name, item in items(outcome).items()}


# ---------------------------------------------------------------------------------- requests


@pytest.mark.parametrize(("owned", "pages"), [(1, 1), (5, 1), (1000, 1), (1001, 2), (2500, 3)])
def test_a_cut_over_costs_the_pages_of_the_list_and_a_write_per_number(
    carrier: EmulatedCarrier, owned: int, pages: int
) -> None:
    carrier.start(routed(owned))
    asked = numbers(min(owned, 120))

    outcome = carrier.run(route(*asked))

    assert (outcome.state, counts(outcome)) == ("success", {"changed": len(asked)})
    assert carrier.requests() == {LIST: pages, PUT: len(asked)}
    assert carrier.urls(asked) == {("relay_script", NEW)}


def test_a_second_run_writes_nothing(carrier: EmulatedCarrier) -> None:
    task = route(*numbers(5))

    carrier.run(task)
    after = carrier.state()
    second, requests = carrier.again(task)

    assert (second.state, counts(second)) == ("success", {"unchanged": 5})
    assert (requests, carrier.state()) == ({LIST: 1}, after)
    assert second.result["changed"] is False
    assert second.asset_events == []


def test_two_thousand_numbers_are_cut_over_within_the_floor(carrier: EmulatedCarrier) -> None:
    carrier.start(routed(2000))
    already = numbers(500)
    for number in already:
        carrier.edit(number, call_relay_script_url=NEW)

    outcome = carrier.run(route(*numbers(2000), concurrency=16))

    assert counts(outcome) == {"changed": 1500, "unchanged": 500}
    assert carrier.requests() == {LIST: 2, PUT: 1500}
    assert carrier.urls(numbers(2000)) == {("relay_script", NEW)}
    assert outcome.xcoms["report"]["items_omitted"] == 1800


def test_an_independent_read_costs_one_read_per_number_written(carrier: EmulatedCarrier) -> None:
    carrier.edit(FIVE, call_relay_script_url=NEW)

    outcome = carrier.run(route(*numbers(5), verify=True))

    assert counts(outcome) == {"changed": 4, "unchanged": 1}
    assert carrier.requests() == {LIST: 1, PUT: 4, GET: 4}


def test_a_list_that_grew_old_is_read_again_number_by_number(carrier: EmulatedCarrier) -> None:
    outcome = carrier.run(route(ONE, TWO, max_snapshot_age=0))

    assert counts(outcome) == {"changed": 2}
    assert carrier.requests() == {LIST: 1, GET: 2, PUT: 2}


def test_a_number_that_moved_between_plan_and_write_is_left_alone(carrier: EmulatedCarrier) -> None:
    carrier.meanwhile(
        lambda: carrier.edit(TWO, call_relay_script_url="https://theirs.example/"), operation=GET
    )

    outcome = carrier.run(route(ONE, TWO, max_snapshot_age=0, concurrency=1))

    assert counts(outcome) == {"changed": 1, "failed": 1}
    assert "it changed after it was planned (call_relay_script_url)" in reasons(outcome)[TWO]
    assert carrier.record(TWO)["call_relay_script_url"] == "https://theirs.example/"


@pytest.mark.parametrize("paging", ["exact", "gap"])
@pytest.mark.parametrize("links", ["relative", "absolute"])
def test_pages_are_followed_however_they_are_linked(
    carrier: EmulatedCarrier, paging: str, links: str
) -> None:
    carrier.start(routed(1001), signalwire_paging=paging, signalwire_links=links)

    outcome = carrier.run(route(*numbers(2, first=999), ONE))

    assert counts(outcome) == {"changed": 3}
    assert carrier.requests() == {LIST: 3 if paging == "gap" else 2, PUT: 3}


def test_links_to_another_host_are_not_followed(carrier: EmulatedCarrier) -> None:
    carrier.start(routed(1001), signalwire_links="foreign")

    outcome = carrier.run(route(ONE, TWO))

    assert outcome.state == "failed"
    assert "leads to another host" in str(outcome.error)
    assert carrier.requests() == {LIST: 1}


# ------------------------------------------------------------------------------ which numbers


def test_numbers_are_chosen_by_filters(carrier: EmulatedCarrier) -> None:
    carrier.edit(TWO, name="Front desk 2")
    carrier.edit(FOUR, name="Front desk 4")
    carrier.edit(FIVE, name="Front desk fax", capabilities=["fax"])

    outcome = carrier.run(route(filter_name="Front desk", country_code="us"))

    assert counts(outcome) == {"changed": 2}
    assert carrier.urls([TWO, FOUR]) == {("relay_script", NEW)}
    assert carrier.urls([ONE, THREE, FIVE]) == {("relay_script", OLD)}
    assert carrier.requests() == {LIST: 1, PUT: 2}


def test_each_number_may_have_a_route_of_its_own(carrier: EmulatedCarrier) -> None:
    own = {ONE: SWML, TWO: {"to": "sip_endpoint", "id": SIP}}

    outcome = carrier.run(route(route=None, routes=own))

    assert counts(outcome) == {"changed": 2}
    assert carrier.record(ONE)["call_relay_script_url"] == NEW
    assert (carrier.record(TWO)["call_handler"], carrier.record(TWO)["call_sip_endpoint_id"]) == (
        "relay_sip_endpoint",
        SIP,
    )
    assert carrier.requests() == {LIST: 1, PUT: 2}


@pytest.mark.parametrize(
    "template",
    [
        "{{ ti.xcom_pull('numbers') | tojson }}",
        "{{ ti.xcom_pull('numbers') | join(', ') }}",
        "{{ ti.xcom_pull('numbers') | join('\n') }}",
    ],
)
def test_numbers_and_route_come_from_templates(carrier: EmulatedCarrier, template: str) -> None:
    carrier.runner.push("numbers", [ONE, TWO, ONE])
    carrier.runner.variables["agent"] = json.dumps(SWML)

    outcome = carrier.run(route(phone_numbers=template, route="{{ var.value.agent }}"))

    assert counts(outcome) == {"changed": 2}
    assert carrier.urls([ONE, TWO]) == {("relay_script", NEW)}


def test_numbers_come_from_an_upstream_task(carrier: EmulatedCarrier) -> None:
    from airflow.sdk import task

    with DAG("numbers", schedule=None):

        @task
        def listed() -> list[str]:
            return []

        operator = route(phone_numbers=listed())
    carrier.runner.push("listed", [ONE, TWO])

    assert counts(carrier.run(operator)) == {"changed": 2}


def test_a_route_may_be_a_value_of_the_library(carrier: EmulatedCarrier) -> None:
    outcome = carrier.run(route(ONE, route=ToSwml(SECRET_URL)))

    assert counts(outcome) == {"changed": 1}
    assert carrier.record(ONE)["call_relay_script_url"] == SECRET_URL
    assert MARKER not in kept_text(outcome)


# ----------------------------------------------------------------------------- kinds of routes


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        (SWML, {"call_handler": "relay_script", "call_relay_script_url": NEW}),
        (
            {"to": "cxml_webhook", "url": NEW, "fallback_url": OLD},
            {
                "call_handler": "laml_webhooks",
                "call_request_url": NEW,
                "call_request_method": "POST",
                "call_fallback_url": OLD,
            },
        ),
        (
            {"to": "sip_endpoint", "id": SIP},
            {"call_handler": "relay_sip_endpoint", "call_sip_endpoint_id": SIP},
        ),
        ({"to": "relay_topic", "topic": "desk"}, {"call_handler": "relay_topic", "call_relay_topic": "desk"}),
    ],
)
@pytest.mark.parametrize("old_companion", ["keep", "clear"])
def test_handler_companions_and_receive_mode_go_in_one_request(
    carrier: EmulatedCarrier, given: dict[str, str], sent: dict[str, str], old_companion: str
) -> None:
    carrier.start(
        {ONE: {"call_handler": "dialogflow", "call_dialogflow_agent_id": "d1", "call_receive_mode": "fax"}},
        signalwire_old_companion=old_companion,
        record_bodies=True,
    )
    task = route(ONE, route=given)

    outcome = carrier.run(task)
    bodies = carrier.bodies(PUT)
    second, requests = carrier.again(task)

    assert (counts(outcome), counts(second)) == ({"changed": 1}, {"unchanged": 1})
    assert bodies == [{**sent, "call_receive_mode": "voice"}]
    assert sent.items() <= carrier.record(ONE).items()
    assert carrier.record(ONE)["call_dialogflow_agent_id"] == ("d1" if old_companion == "keep" else None)
    assert requests == {LIST: 1}


def test_a_number_in_fax_mode_is_not_as_asked_for_although_its_handler_is(carrier: EmulatedCarrier) -> None:
    carrier.edit(ONE, call_relay_script_url=NEW, call_receive_mode="fax")

    outcome = carrier.run(route(ONE))

    assert counts(outcome) == {"changed": 1}
    assert carrier.record(ONE)["call_receive_mode"] == "voice"
    assert items(outcome)[f"{carrier.space}/{ONE}"]["changed_keys"] == ["call_receive_mode"]


def test_a_companion_that_lingers_from_a_former_handler_does_not_count(carrier: EmulatedCarrier) -> None:
    carrier.edit(ONE, call_relay_script_url=NEW, call_handler="laml_webhooks", call_request_url=OLD)
    task = route(ONE)

    first = carrier.run(task)
    second, requests = carrier.again(task)

    assert (counts(first), counts(second)) == ({"changed": 1}, {"unchanged": 1})
    assert carrier.record(ONE)["call_request_url"] == OLD
    assert requests == {LIST: 1}


def test_an_answer_that_does_not_show_the_route_fails_its_number(carrier: EmulatedCarrier) -> None:
    record = {**carrier.record(ONE), "call_receive_mode": "voice"}
    carrier.server.fault("answer", operation=PUT, status=200, body=record)

    outcome = carrier.run(route(ONE, TWO, concurrency=1))

    assert counts(outcome) == {"changed": 1, "failed": 1}
    assert "differs in: call_relay_script_url" in reasons(outcome)[ONE]
    assert carrier.record(ONE)["call_relay_script_url"] == OLD


@pytest.mark.parametrize("fields", [{}, {"message_handler": "relay_topic", "message_relay_topic": "desk"}])
def test_updates_that_clear_what_they_do_not_send_harm_one_number_only(
    carrier: EmulatedCarrier, fields: dict[str, str]
) -> None:
    """The vendor does not document that an update merges; no second number finds out."""
    carrier.start(routed(5, **fields), signalwire_update="replace")

    outcome = carrier.run(route(*numbers(5), retries=3))

    assert outcome.state == "failed"
    assert isinstance(outcome.error, ItemsFailed)
    assert counts(outcome) == {"failed": 5}
    assert f"differs in: {', '.join([*sorted(fields), 'name'])}" in reasons(outcome)[ONE]
    assert "not sent, because an update of another number cleared its" in reasons(outcome)[TWO]
    assert carrier.requests() == {LIST: 1, PUT: 1}
    assert {carrier.record(number)["name"] for number in numbers(4, first=1)} == {
        f"Line {number}" for number in numbers(4, first=1)
    }


def test_a_number_that_is_renamed_meanwhile_is_no_harm(carrier: EmulatedCarrier) -> None:
    carrier.meanwhile(lambda: carrier.edit(ONE, name="renamed"), operation=PUT)

    outcome = carrier.run(route(*numbers(5)))

    assert counts(outcome) == {"changed": 5}
    assert carrier.record(ONE)["name"] == "renamed"


def test_the_first_update_goes_alone_and_the_next_one_leads_where_it_failed(carrier: EmulatedCarrier) -> None:
    carrier.server.fault("answer", operation=PUT, status=422)

    outcome = carrier.run(route(*numbers(5)))

    assert counts(outcome) == {"changed": 4, "failed": 1}
    assert carrier.requests() == {LIST: 1, PUT: 5}


def test_what_cannot_be_restored_later_is_told(carrier: EmulatedCarrier) -> None:
    carrier.edit(ONE, call_handler="sip_gateway")

    outcome = carrier.run(route(ONE, TWO))

    assert counts(outcome) == {"changed": 2}
    assert "cannot be restored afterwards" in reasons(outcome)[ONE]
    assert "one_way" in outcome.log
    assert reasons(outcome)[TWO] == ""


# --------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"phone_numbers": None}, "give phone_numbers or a filter"),
        ({"phone_numbers": []}, "phone_numbers is empty"),
        ({"phone_numbers": "[]"}, "phone_numbers is empty"),
        ({"phone_numbers": "[nonsense"}, "looks like JSON and is not"),
        ({"phone_numbers": {"a": 1}}, "phone_numbers must be a list or None or a text, not dict"),
        ({"phone_numbers": [ONE, "206 555 0100", 7]}, "phone_numbers[2] must be a text, not 7"),
        ({"phone_numbers": [ONE], "filter_name": "x"}, "give at most one of phone_numbers, filter_name/"),
        ({"phone_numbers": [ONE], "country_code": "US"}, "give at most one of phone_numbers, filter_name/"),
        ({"phone_numbers": None, "country_code": "USA"}, "country_code must be two letters"),
        ({"phone_numbers": None, "filter_number": "abc"}, "filter_number must be a number or a part of one"),
        ({"route": None}, "give either route or routes"),
        ({"routes": {ONE: SWML}}, "give either route or routes"),
        ({"route": None, "routes": {ONE: SWML}}, "give at most one of phone_numbers, "),
        ({"route": None, "routes": {}}, "routes is empty"),
        ({"route": None, "routes": {"06": SWML}, "phone_numbers": None}, "not E.164"),
        ({"route": {"to": "moon"}}, "route.to must be one of"),
        ({"route": {"to": "swml"}}, "route to swml needs url"),
        ({"route": {"to": "swml", "url": "http://x.example/"}}, "must use https"),
        ({"route": "not json"}, "route is a text that is not JSON"),
        ({"verify": "never"}, "verify must be 'response' or 'read'"),
        ({"concurrency": 0}, "concurrency must be a whole number of at least 1"),
    ],
)
def test_bad_input_is_told_before_any_request(
    carrier: EmulatedCarrier, arguments: dict[str, Any], said: str
) -> None:
    outcome = carrier.run(route(ONE, **arguments, retries=3))

    assert outcome.state == "failed"
    assert isinstance(outcome.error, InputError)
    assert said in str(outcome.error)
    assert carrier.requests() == {}


@pytest.mark.parametrize(
    ("fields", "code"), [({"capabilities": ["sms"]}, "not include voice"), (None, "does not have")]
)
def test_a_number_that_cannot_be_routed_stops_the_run_before_the_first_write(
    carrier: EmulatedCarrier, fields: dict[str, Any] | None, code: str
) -> None:
    stranger = numbers(1, first=9000)[0]
    if fields:
        carrier.start(routed(5) | routed(1, first=9000, **fields))

    outcome = carrier.run(route(ONE, stranger, TWO, retries=3))

    assert outcome.state == "failed"
    assert isinstance(outcome.error, GuardRefused)
    assert counts(outcome) == {"failed": 1, "skipped": 2}
    assert code in reasons(outcome)[stranger]
    assert carrier.requests() == {LIST: 1}


def test_a_filter_that_finds_nothing_is_no_success(carrier: EmulatedCarrier) -> None:
    outcome = carrier.run(route(filter_name="nobody", retries=3))

    assert outcome.state == "failed"
    assert "no number of space" in str(outcome.error)
    assert carrier.requests() == {LIST: 2}  # the second one finds what was likely meant


def test_an_unconfirmed_run_reads_and_writes_nothing(carrier: EmulatedCarrier) -> None:
    outcome = carrier.run(route(ONE, confirm_live=False, retries=3))

    assert outcome.state == "failed"
    assert isinstance(outcome.error, GuardRefused)
    assert "confirm_live=True" in str(outcome.error)
    assert carrier.requests() == {}


@pytest.mark.parametrize("allowed", [False, True])
def test_a_backfill_writes_only_where_that_is_meant(carrier: EmulatedCarrier, allowed: bool) -> None:
    carrier.runner.run_type = "backfill"

    outcome = carrier.run(route(ONE, allow_backfill=allowed))

    assert outcome.state == ("success" if allowed else "failed")
    assert carrier.writes() == allowed


def test_a_refused_token_ends_the_task_at_once(carrier: EmulatedCarrier) -> None:
    carrier.runner.connections["signalwire_default"]["password"] = "wrong"  # type: ignore[index]

    outcome = carrier.run(route(ONE, retries=3))

    assert outcome.state == "failed"
    assert isinstance(outcome.error, Unauthorized)
    assert carrier.requests() == {LIST: 1}


# ---------------------------------------------------------------------------- plan and approve


def test_a_dry_run_plans_and_writes_nothing(carrier: EmulatedCarrier) -> None:
    before = carrier.state()

    outcome = carrier.run(
        route(ONE, TWO, dry_run=True, confirm_live=False, show_values=True, take_snapshot=True)
    )

    assert outcome.state == "success"
    assert outcome.result["counts"]["changed"] == 2
    assert "A run that writes would be refused" in outcome.log
    assert f'call_relay_script_url  "{OLD}" → "{NEW}"' in outcome.log
    assert (carrier.requests(), carrier.state()) == ({LIST: 1}, before)
    assert outcome.asset_events == []
    assert "snapshot" not in outcome.xcoms


def test_values_are_hidden_where_that_is_asked_for(carrier: EmulatedCarrier) -> None:
    outcome = carrier.run(route(ONE, show_values=False))

    assert OLD not in outcome.log
    assert "call_relay_script_url  (hidden)" in outcome.log


def test_an_approved_plan_is_carried_out_and_another_is_not(carrier: EmulatedCarrier) -> None:
    digest = carrier.run(route(ONE, TWO, dry_run=True)).result["plan_digest"]
    carrier.edit(TWO, call_relay_script_url="https://theirs.example/")

    refused = carrier.run(route(ONE, TWO, expected_digest=digest, retries=3))
    carrier.edit(TWO, call_relay_script_url=OLD)
    done = carrier.run(route(ONE, TWO, expected_digest=digest))

    assert refused.state == "failed"
    assert isinstance(refused.error, StateMoved)
    assert (done.state, counts(done)) == ("success", {"changed": 2})


def test_an_approved_plan_that_was_carried_out_in_part_goes_on(carrier: EmulatedCarrier) -> None:
    digest = carrier.run(route(ONE, TWO, dry_run=True)).result["plan_digest"]
    carrier.server.fault("answer", operation=PUT, route=carrier.record(TWO)["id"], status=422)
    task = route(ONE, TWO, expected_digest=digest, retries=3)

    first = carrier.run(task)
    second = carrier.run(task, try_number=2)
    carrier.edit(ONE, call_relay_script_url="https://theirs.example/")
    third = carrier.run(task, try_number=3)

    assert counts(first) == {"changed": 1, "failed": 1}
    assert (second.state, counts(second)) == ("success", {"changed": 1, "unchanged": 1})
    assert isinstance(third.error, StateMoved)
    assert ONE in str(third.error)


# ------------------------------------------------------------------- locks, waves and failures


@pytest.mark.parametrize("number", [ONE, FIVE])
def test_another_run_on_one_number_locks_that_number_alone(carrier: EmulatedCarrier, number: str) -> None:
    owner = LockOwner(dag_id="other", run_id="r", task_id="t", map_index=-1, try_number=1)
    names = TargetNames(distinct)

    with hold_lock([f"{carrier.space}/{ONE}"], owner, state_folder(None, "locks"), names=names, log=str):
        outcome = carrier.run(route(number, lock_wait=0))

    assert isinstance(outcome.error, TargetLocked) is (number == ONE)
    assert carrier.writes() == (number != ONE)


def test_waves_and_failures_count_numbers(carrier: EmulatedCarrier) -> None:
    carrier.server.fault("answer", operation=PUT, route=carrier.record(TWO)["id"], status=422)

    outcome = carrier.run(route(*numbers(5), waves=[2, "100%"], max_failures=0))

    assert counts(outcome) == {"changed": 1, "failed": 1, "skipped": 3}
    assert "max_failures allows 0" in reasons(outcome)[FIVE]
    assert carrier.requests() == {LIST: 1, PUT: 2}


def test_a_run_that_would_change_too_many_numbers_writes_none(carrier: EmulatedCarrier) -> None:
    outcome = carrier.run(route(*numbers(5), max_changed=4))

    assert isinstance(outcome.error, GuardRefused)
    assert carrier.writes() == 0


@pytest.mark.usefixtures("fernet_key")
@pytest.mark.parametrize(
    ("given", "new"),
    [
        ({"snapshot": True}, "take_snapshot"),
        ({"snapshot": False}, "take_snapshot"),
        ({"retention": timedelta(days=1)}, "snapshot_retention"),
        ({"snapshot_folder": "given below"}, "state_folder"),
        ({"verify": "response"}, "verify=False"),
        ({"verify": "read"}, "verify=True"),
    ],
)
def test_former_names_of_arguments_work_and_warn(
    carrier: EmulatedCarrier, tmp_path: Path, given: dict[str, Any], new: str
) -> None:
    if "snapshot_folder" in given:
        given = {"snapshot_folder": (tmp_path / "elsewhere").as_uri()}

    with pytest.warns(AirflowProviderDeprecationWarning, match=f"use {new}$"):
        outcome = carrier.run(route(ONE, **given))

    assert counts(outcome) == {"changed": 1}
    assert ("snapshot" in outcome.xcoms) is (given.get("snapshot") is not False)
    assert (tmp_path / "elsewhere").exists() is ("snapshot_folder" in given)
    assert (GET in carrier.requests()) is (given.get("verify") == "read")


# --------------------------------------------------------------------- failures and re-runs


def test_a_write_whose_answer_was_lost_is_read_back_and_not_sent_again(carrier: EmulatedCarrier) -> None:
    fault = carrier.server.fault("reset", apply=True, operation=PUT, nth=2)

    outcome = carrier.run(route(*numbers(5)))

    assert (outcome.state, counts(outcome)) == ("success", {"changed": 5})
    assert fault.fired == 1
    assert carrier.urls(numbers(5)) == {("relay_script", NEW)}
    assert carrier.requests() == {LIST: 1, PUT: 5, GET: 1}


def test_a_platform_that_fails_for_good_leaves_an_exact_report(carrier: EmulatedCarrier) -> None:
    third = carrier.record(THREE)["id"]
    carrier.server.fault("answer", operation=PUT, route=third, status=503, times=None)
    carrier.server.fault("answer", operation=GET, route=third, status=503, times=None)

    task = route(*numbers(5), retries=3)
    first = carrier.run(task)
    carrier.server.clear_faults()
    second, requests = carrier.again(task, try_number=2)

    assert first.state == "up_for_retry"
    assert isinstance(first.error, ItemsFailed)
    assert counts(first) == {"changed": 4, "unknown": 1}
    assert counts(second) == {"changed": 1, "unchanged": 4}
    assert requests == {LIST: 1, PUT: 1}


def test_a_refused_write_fails_its_number_for_good_and_no_other(carrier: EmulatedCarrier) -> None:
    body = {
        "errors": [{"detail": "no", "status": "422", "title": "x", "code": "invalid_resource_for_handler"}]
    }
    fault = carrier.server.fault(
        "answer", operation=PUT, route=carrier.record(THREE)["id"], status=422, body=body, times=None
    )

    outcome = carrier.run(route(*numbers(5), retries=3))

    assert outcome.state == "failed"
    assert isinstance(outcome.error, ItemsFailedPermanently)
    assert counts(outcome) == {"changed": 4, "failed": 1}
    assert "invalid_resource_for_handler" in reasons(outcome)[THREE]
    assert fault.fired == 1


def test_a_number_that_is_released_meanwhile_is_a_failed_item(carrier: EmulatedCarrier) -> None:
    carrier.meanwhile(lambda: carrier.server.signalwire.remove_number(TWO), operation=PUT, nth=1)

    outcome = carrier.run(route(ONE, TWO, concurrency=1))

    assert counts(outcome) == {"changed": 1, "failed": 1}
    assert "404" in reasons(outcome)[TWO]


# ------------------------------------------------------------------------------- what is left


def test_a_change_emits_the_asset_of_the_routing(carrier: EmulatedCarrier) -> None:
    outcome = carrier.run(route(ONE, TWO))

    (event,) = outcome.asset_events
    assert event["dest_asset_key"]["uri"] == routing_uri(carrier.space)
    assert event["extra"]["changed"] == 2
    assert event["extra"]["plan_digest"] == outcome.result["plan_digest"]


def test_the_report_tells_digests_and_fields_of_each_number(carrier: EmulatedCarrier) -> None:
    outcome = carrier.run(route(ONE))

    (item,) = outcome.xcoms["report"]["items"]
    assert (item["owner"], item["name"], item["status"]) == (carrier.space, ONE, "changed")
    assert item["changed_keys"] == ["call_relay_script_url"]
    assert len(item["before"]) == len(item["after"]) == 12
    assert item["before"] != item["after"]
    assert outcome.xcoms["return_value"] == outcome.result
    assert set(outcome.result) == {"operation", "dry_run", "changed", "counts", "plan_digest"}


@pytest.mark.parametrize("status", [None, 422, 500])
@pytest.mark.parametrize("way", ["route", "routes", "template"])
def test_no_secret_of_a_url_is_kept_or_logged(carrier: EmulatedCarrier, status: int | None, way: str) -> None:
    carrier.edit(ONE, call_relay_script_url=f"https://old:{MARKER}-old@agents.example/x?token={MARKER}-query")
    secret = {"to": "swml", "url": SECRET_URL}
    arguments: dict[str, Any] = {
        "route": {"route": secret, "phone_numbers": [ONE]},
        "routes": {"route": None, "routes": {ONE: secret}, "phone_numbers": None},
        "template": {"route": "{{ var.value.agent }}", "phone_numbers": [ONE]},
    }[way]
    carrier.runner.variables["agent"] = json.dumps(secret)
    if status:
        said = {"errors": [{"detail": f"bad: {SECRET_URL}", "status": "422", "title": "x", "code": "422"}]}
        carrier.server.fault("answer", operation=PUT, status=status, body=said, times=None)

    outcome = carrier.run(route(**arguments, show_values=True))

    assert outcome.state == ("failed" if status else "success")
    texts = [kept_text(outcome), repr(outcome.rendered), json.dumps(outcome.xcoms)]
    assert MARKER not in "".join(texts)
    assert TOKEN not in "".join(texts)
    if not status:
        assert carrier.record(ONE)["call_relay_script_url"] == SECRET_URL
        assert "***@agents.example" in outcome.log


def test_what_airflow_shows_of_the_arguments_are_kinds_and_ids(carrier: EmulatedCarrier) -> None:
    own = {ONE: {"to": "swml", "url": SECRET_URL}, TWO: {"to": "sip_endpoint", "id": SIP}}

    outcome = carrier.run(route(route=None, routes=own, phone_numbers=None))

    shown = json.dumps(outcome.rendered["routes"])
    assert ONE in shown
    assert "sip_endpoint" in shown
    assert SIP in shown
    assert MARKER not in shown


def test_the_projects_id_and_token_do_not_reach_the_log(carrier: EmulatedCarrier) -> None:
    outcome = carrier.run(route(ONE))

    assert TOKEN not in outcome.log
    assert "Basic " not in outcome.log
    assert PROJECT not in json.dumps(outcome.xcoms)
