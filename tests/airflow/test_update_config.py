"""Updates of config pages through the real task runner: final state, requests, reports."""

from __future__ import annotations

import json
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG, task

from airflow_voice_agents.emulator.fleet_seed import FLEET_KEY, fleet_seed
from airflow_voice_agents.polyai.assets import config_uri
from airflow_voice_agents.polyai.operators.configs import PolyAIUpdateConfigOperator
from airflow_voice_agents.transport.errors import GuardRefused, InputError, ItemsFailed, StateMoved
from support.airflow_runner import make
from support.emulated import (
    HOTELS,
    LIVE,
    PAGES,
    PRE_RELEASE,
    ROSA,
    SANDBOX,
    VALUES,
    Emulated,
    counts,
    items,
    kept_text,
    place,
)

MESSAGE = {"holiday_message": "Closed on Monday"}


def update(**arguments: Any) -> PolyAIUpdateConfigOperator:
    usual = {"values": MESSAGE, "targets": place(HOTELS, SANDBOX)}
    return make(PolyAIUpdateConfigOperator, task_id="update", **{**usual, **arguments})


def by_place(values: Any, **arguments: Any) -> PolyAIUpdateConfigOperator:
    return update(values=values, targets=None, **arguments)


def message(polyai: Emulated, agent_id: str = HOTELS, environment: str = SANDBOX) -> Any:
    return polyai.values(agent_id, environment)["holiday_message"]


# ---------------------------------------------------------------------------------- requests


def test_values_that_are_there_already_cost_one_read(polyai: Emulated) -> None:
    polyai.put(HOTELS, SANDBOX, **MESSAGE)
    before = polyai.state()

    outcome = polyai.run(update())

    assert (outcome.state, counts(outcome)) == ("success", {"unchanged": 1})
    assert (polyai.requests(), polyai.state()) == ({PAGES: 1}, before)


@pytest.mark.parametrize(("verify", "reads"), [(False, 1), (True, 2)])
def test_new_values_cost_a_read_and_a_write_and_verification_one_read_more(
    polyai: Emulated, verify: bool, reads: int
) -> None:
    before = polyai.values(HOTELS, SANDBOX)

    outcome = polyai.run(update(verify=verify))

    assert (outcome.state, counts(outcome)) == ("success", {"changed": 1})
    assert polyai.requests() == {PAGES: reads, VALUES: 1}
    assert polyai.values(HOTELS, SANDBOX) == {**before, **MESSAGE}


def test_two_environments_of_one_project_are_read_at_once(polyai: Emulated) -> None:
    outcome = polyai.run(update(targets=[place(HOTELS, SANDBOX), place(HOTELS, PRE_RELEASE)], verify=False))

    assert counts(outcome) == {"changed": 2}
    assert polyai.requests() == {PAGES: 1, VALUES: 2}
    assert message(polyai, environment=PRE_RELEASE) == message(polyai) == "Closed on Monday"


def test_many_sites_cost_two_requests_each_and_a_second_run_one(polyai: Emulated) -> None:
    polyai.server.reset(fleet_seed(40))
    polyai.connect(key=FLEET_KEY)
    sites = {f"site-{n:04}/sandbox": {"holiday_message": f"Message {n}"} for n in range(1, 41)}

    first = polyai.run(by_place(sites, verify=False, concurrency=8))
    requests = polyai.requests()
    second, requests_again = polyai.again(by_place(sites))

    assert (counts(first), counts(second)) == ({"changed": 40}, {"unchanged": 40})
    assert (requests, requests_again) == ({PAGES: 40, VALUES: 40}, {PAGES: 40})
    assert message(polyai, "site-0017") == "Message 17"


# ----------------------------------------------------------------- the ways in which values come


@pytest.mark.parametrize("targets", [place(HOTELS, SANDBOX), [place(HOTELS, SANDBOX)]])
def test_one_target_may_stand_alone_or_in_a_list(polyai: Emulated, targets: Any) -> None:
    assert counts(polyai.run(update(targets=targets))) == {"changed": 1}
    assert polyai.requests() == {PAGES: 2, VALUES: 1}


def test_json_text_from_a_template_is_read(polyai: Emulated) -> None:
    polyai.runner.push("calendar", MESSAGE)

    outcome = polyai.run(update(values="{{ ti.xcom_pull('calendar') | tojson }}"))

    assert (outcome.state, message(polyai)) == ("success", "Closed on Monday")
    assert polyai.requests() == {PAGES: 2, VALUES: 1}


def test_a_template_that_renders_no_json_is_refused(polyai: Emulated) -> None:
    polyai.runner.push("calendar", MESSAGE)

    outcome = polyai.run(update(values="{{ ti.xcom_pull('calendar') }}"))

    assert isinstance(outcome.error, InputError)
    assert "add | tojson to the template" in str(outcome.error)
    assert "Closed on Monday" not in kept_text(outcome)
    assert polyai.requests() == {}


def test_values_come_from_an_upstream_task(polyai: Emulated) -> None:
    with DAG("daily", schedule=None):

        @task
        def warehouse() -> dict[str, Any]:
            return {}

        operator = by_place(warehouse())
    polyai.runner.push(
        "warehouse",
        {f"{HOTELS}/{SANDBOX}": MESSAGE, f"{ROSA}/{SANDBOX}": {"holiday_message": "Cerrado el lunes"}},
    )

    outcome = polyai.run(operator)

    assert counts(outcome) == {"changed": 2}
    assert (message(polyai), message(polyai, ROSA)) == ("Closed on Monday", "Cerrado el lunes")
    assert polyai.requests() == {PAGES: 4, VALUES: 2}


def test_values_come_from_a_file(polyai: Emulated, tmp_path: Path) -> None:
    file = tmp_path / "values.json"
    file.write_text(json.dumps({"holiday_message": "Fröhliche Weihnachten"}), encoding="utf-8")

    outcome = polyai.run(update(values=None, values_file=str(file)))

    assert (outcome.state, message(polyai)) == ("success", "Fröhliche Weihnachten")
    assert polyai.requests() == {PAGES: 2, VALUES: 1}


def test_a_file_may_map_places_to_values_and_be_named_by_a_template(polyai: Emulated, tmp_path: Path) -> None:
    (tmp_path / "values-test-run.json").write_text(json.dumps({f"{HOTELS}/{SANDBOX}": MESSAGE}))

    outcome = polyai.run(by_place(None, values_file=f"{tmp_path}/values-{{{{ run_id }}}}.json"))

    assert (outcome.state, message(polyai)) == ("success", "Closed on Monday")
    assert polyai.requests() == {PAGES: 2, VALUES: 1}


def test_a_target_may_have_values_of_its_own(polyai: Emulated) -> None:
    own = place(ROSA, SANDBOX, values={"holiday_message": "Cerrado", "flags": {"takeaway": False}})
    flags = {"flags": {"vegan_menu": False}}

    outcome = polyai.run(update(values={**MESSAGE, **flags}, targets=[place(HOTELS, SANDBOX), own]))

    assert counts(outcome) == {"changed": 2}
    assert (message(polyai), message(polyai, ROSA)) == ("Closed on Monday", "Cerrado")
    assert polyai.values(HOTELS, SANDBOX)["flags"] == {
        "late_checkout": True,
        "pet_friendly_search": True,
        "sms_confirmations": True,
        "vegan_menu": False,
    }
    assert polyai.values(ROSA, SANDBOX)["flags"] == {"takeaway": False, "vegan_menu": False}
    assert polyai.requests() == {PAGES: 4, VALUES: 2}


def test_values_may_stand_at_the_targets_alone(polyai: Emulated) -> None:
    outcome = polyai.run(update(values=None, targets=place(HOTELS, SANDBOX, values=MESSAGE)))

    assert (counts(outcome), message(polyai)) == ({"changed": 1}, "Closed on Monday")
    assert polyai.requests() == {PAGES: 2, VALUES: 1}


@pytest.mark.parametrize(
    ("merge", "kept"), [("deep", {"open": "06:30", "close": "23:00", "closed": True}), ("replace", None)]
)
def test_given_objects_are_merged_or_replace_what_is_there(
    polyai: Emulated, merge: Any, kept: dict[str, Any] | None
) -> None:
    polyai.server.switches.record_bodies = True
    polyai.put_page(HOTELS, SANDBOX, {"hours": {"monday": {"open": "06:30", "close": "23:00"}, "note": "x"}})

    outcome = polyai.run(update(values={"hours": {"monday": {"closed": True}}}, merge=merge, verify=False))

    assert counts(outcome) == {"changed": 1}
    wanted = {"monday": kept, "note": "x"} if kept else {"monday": {"closed": True}}
    assert polyai.values(HOTELS, SANDBOX) == {"hours": wanted}
    assert polyai.bodies(VALUES) == [{"variables": {"hours": wanted}}]
    assert polyai.requests() == {PAGES: 1, VALUES: 1}


@pytest.mark.parametrize("merge", ["deep", "replace"])
def test_a_second_run_writes_nothing(polyai: Emulated, merge: Any) -> None:
    operator = update(values={**MESSAGE, "flags": {"late_checkout": False}}, merge=merge)

    polyai.run(operator)
    after = polyai.state()
    second, requests = polyai.again(operator)

    assert (counts(second), requests) == ({"unchanged": 1}, {PAGES: 1})
    assert polyai.state() == after
    assert second.asset_events == []


def test_null_is_a_value_and_a_second_run_writes_nothing(polyai: Emulated) -> None:
    operator = update(values={"holiday_message": None})

    first = polyai.run(operator)
    second, requests = polyai.again(operator)

    assert (counts(first), counts(second)) == ({"changed": 1}, {"unchanged": 1})
    assert polyai.values(HOTELS, SANDBOX)["holiday_message"] is None
    assert requests == {PAGES: 1}


def test_a_platform_that_deletes_what_is_set_to_null_has_taken_the_value(polyai: Emulated) -> None:
    polyai.server.switches.null_variable = "delete"

    outcome = polyai.run(update(values={"holiday_message": None}))

    assert counts(outcome) == {"changed": 1}
    assert "holiday_message" not in polyai.values(HOTELS, SANDBOX)
    assert polyai.requests() == {PAGES: 2, VALUES: 1}


# ------------------------------------------------------------- what is refused before any request


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"values": None}, "values are missing for harbour-hotels/sandbox"),
        ({"values": {}}, "values is empty"),
        ({"values": None, "targets": None}, "values is empty"),
        ({"values": {}, "targets": None}, "values is empty"),
        ({"targets": []}, "targets is empty"),
        ({"targets": "[]"}, "targets is empty"),
        ({"values": ["a"]}, "values must be a"),
        ({"values": {"a": float("inf")}}, "values.a must be a JSON value"),
        ({"values": {"a": date(2026, 1, 1)}}, "values.a must be a JSON value"),
        ({"values": {"a": [{"b": "x\0y"}]}}, "values.a[0].b must not hold a null byte"),
        ({"values": {"a\0b": 1}}, "a key of values must not hold a null byte"),
        ({"values": {7: 1}}, "values"),
        ({"targets": None}, "'holiday_message' is not a key of that form"),
        ({"values": {f"{HOTELS}/staging": MESSAGE}, "targets": None}, "not 'staging'"),
        ({"values": {f"a/b/{SANDBOX}": MESSAGE}, "targets": None}, "must not hold a slash"),
        ({"values": {f"/{SANDBOX}": MESSAGE}, "targets": None}, "must not be empty"),
        ({"values": {f"{HOTELS}/{SANDBOX}": 7}, "targets": None}, "must be a mapping"),
        ({"values": {f"{HOTELS}/{SANDBOX}": {}}, "targets": None}, "values are missing for"),
        (
            {"values": {f"{HOTELS}/pre-release": MESSAGE, f"{HOTELS}/pre_release": MESSAGE}, "targets": None},
            "harbour-hotels/pre-release twice",
        ),
        ({"targets": [place(HOTELS, SANDBOX), place(HOTELS, SANDBOX)]}, "harbour-hotels/sandbox twice"),
        ({"targets": {"agent_id": HOTELS}}, "targets lacks environment"),
        ({"targets": place(HOTELS, SANDBOX, overrides={})}, "unknown keys overrides"),
        ({"merge": "shallow"}, "merge must be 'deep' or 'replace'"),
        ({"values_file": "any.json"}, "give either values or values_file"),
        ({"values": None, "values_file": "no-such-file.json"}, "no-such-file.json cannot be read"),
    ],
)
def test_bad_input_is_told_before_any_request(polyai: Emulated, arguments: dict[str, Any], said: str) -> None:
    outcome = polyai.run(update(**arguments, retries=3))

    assert outcome.state == "failed"
    assert isinstance(outcome.error, InputError)
    assert said in str(outcome.error)
    assert "Closed on Monday" not in kept_text(outcome)
    assert polyai.requests() == {}


def test_a_file_that_is_no_json_is_refused_before_any_request(polyai: Emulated, tmp_path: Path) -> None:
    file = tmp_path / "values.json"
    file.write_text("holiday_message: secret words")

    outcome = polyai.run(update(values=None, values_file=str(file)))

    assert isinstance(outcome.error, InputError)
    assert "is not a JSON file" in str(outcome.error)
    assert "secret words" not in kept_text(outcome)
    assert polyai.requests() == {}


@pytest.mark.parametrize(
    ("run_type", "arguments", "said"),
    [
        ("manual", {}, "confirm_live=True"),
        ("backfill", {"confirm_live": True}, "allow_backfill=True"),
    ],
)
def test_live_is_guarded_before_any_request(
    polyai: Emulated, run_type: str, arguments: dict[str, Any], said: str
) -> None:
    polyai.runner.run_type = run_type

    outcome = polyai.run(by_place({f"{HOTELS}/live": MESSAGE}, **arguments, retries=3))

    assert outcome.state == "failed"
    assert isinstance(outcome.error, GuardRefused)
    assert said in str(outcome.error)
    assert polyai.requests() == {}


def test_live_is_written_where_it_is_meant(polyai: Emulated) -> None:
    outcome = polyai.run(update(targets=place(HOTELS, LIVE), confirm_live=True))

    assert (counts(outcome), message(polyai, environment=LIVE)) == ({"changed": 1}, "Closed on Monday")
    assert polyai.requests() == {PAGES: 2, VALUES: 1}


# -------------------------------------------------------------------------- plans and failures


def test_values_that_break_the_schema_stop_all_before_the_first_write(polyai: Emulated) -> None:
    before = polyai.state()
    wrong = place(ROSA, SANDBOX, values={"fallback_number": "secret words"})

    outcome = polyai.run(update(targets=[place(HOTELS, SANDBOX), wrong], retries=3, show_values=False))

    assert outcome.state == "failed"
    assert isinstance(outcome.error, GuardRefused)
    assert counts(outcome) == {"failed": 1, "skipped": 1}
    assert "fallback_number" in items(outcome)["rosa-restaurants/sandbox"]["reason"]
    assert "secret words" not in kept_text(outcome)
    assert (polyai.requests(), polyai.state()) == ({PAGES: 2}, before)


def test_a_dry_run_into_live_writes_nothing_and_needs_no_confirmation(polyai: Emulated) -> None:
    before = polyai.state()

    outcome = polyai.run(update(targets=place(HOTELS, LIVE), dry_run=True))

    assert (outcome.state, counts(outcome)) == ("success", {"changed": 1})
    assert outcome.asset_events == []
    assert (polyai.requests(), polyai.state()) == ({PAGES: 1}, before)


def test_only_the_approved_update_is_carried_out(polyai: Emulated) -> None:
    digest = polyai.run(update(dry_run=True)).result["plan_digest"]

    other = polyai.run(update(values={"holiday_message": "Another"}, expected_digest=digest, retries=3))
    approved = polyai.run(update(expected_digest=digest))

    assert (other.state, type(other.error)) == ("failed", StateMoved)
    assert (counts(approved), message(polyai)) == ({"changed": 1}, "Closed on Monday")
    assert polyai.requests() == {PAGES: 4, VALUES: 1}


def test_a_failure_of_one_site_is_retried_alone(polyai: Emulated) -> None:
    polyai.server.fault("answer", operation=VALUES, route=ROSA, status=503, times=None)
    operator = update(targets=[place(HOTELS, SANDBOX), place(ROSA, SANDBOX)], retries=1, verify=False)

    first = polyai.run(operator)
    polyai.server.clear_faults()
    second, requests = polyai.again(operator, try_number=2)

    assert (first.state, counts(first)) == ("up_for_retry", {"changed": 1, "failed": 1})
    assert isinstance(first.error, ItemsFailed)
    assert f"Now:  {HOTELS}/{SANDBOX} changed and in effect" in first.log
    assert "Next: retry or clear the task" in first.log
    assert (second.state, counts(second)) == ("success", {"changed": 1, "unchanged": 1})
    assert requests == {PAGES: 2, VALUES: 1}


def test_a_rate_limit_is_retried_after_the_time_that_the_server_named(polyai: Emulated) -> None:
    polyai.server.fault("answer", operation=VALUES, status=429, headers={"Retry-After": "120"}, times=None)

    outcome = polyai.run(update(retries=1, retry_delay=timedelta(seconds=30)))

    assert (outcome.state, outcome.retry_delay) == ("up_for_retry", 120)
    assert counts(outcome) == {"failed": 1}
    assert polyai.server.journal.changes() == []


def test_a_page_that_moves_meanwhile_is_not_overwritten(polyai: Emulated) -> None:
    polyai.meanwhile(lambda: polyai.put(ROSA, SANDBOX, holiday_message="Mine"), operation=VALUES)
    targets = [place(HOTELS, SANDBOX), place(ROSA, SANDBOX)]

    outcome = polyai.run(update(targets=targets, concurrency=1, max_snapshot_age=0, verify=False))

    assert counts(outcome) == {"changed": 1, "failed": 1}
    assert (message(polyai), message(polyai, ROSA)) == ("Closed on Monday", "Mine")
    assert polyai.requests() == {PAGES: 4, VALUES: 1}


def test_a_change_emits_an_event_without_values(polyai: Emulated) -> None:
    outcome = polyai.run(update())

    (event,) = outcome.asset_events
    assert event["dest_asset_key"]["uri"] == config_uri(HOTELS, SANDBOX)
    assert event["extra"]["changed_keys"] == ["holiday_message"]
    assert event["extra"]["digest"] == polyai.digest(HOTELS, SANDBOX)[:12]
    assert polyai.requests() == {PAGES: 2, VALUES: 1}


@pytest.mark.parametrize("status", [None, 400, 500])
def test_no_value_and_no_key_is_kept_or_logged_where_values_are_hidden(
    polyai: Emulated, tmp_path: Path, status: int | None
) -> None:
    polyai.put(HOTELS, SANDBOX, holiday_message="oldmarker")
    if status:
        said = "newmarker and ownmarker are refused for demo-key-uk"
        polyai.server.fault("answer", operation=VALUES, status=status, times=None, body={"message": said})
    targets = place(HOTELS, SANDBOX, values={"own": {"list": ["ownmarker"]}})

    values = {"holiday_message": "newmarker"}
    outcome = polyai.run(update(values=values, targets=targets, show_values=False))

    assert outcome.state == ("failed" if status else "success")
    assert len(polyai.server.journal.changes()) == (0 if status else 1)
    text = kept_text(outcome)
    markers = ("oldmarker", "newmarker", "ownmarker", "demo-key-uk")
    assert [marker for marker in markers if marker in text] == []
    assert outcome.rendered["values"] == {"holiday_message": "(hidden)"}


def test_a_value_stays_hidden_when_it_came_as_text(polyai: Emulated) -> None:
    polyai.runner.push("calendar", MESSAGE)

    outcome = polyai.run(update(values="{{ ti.xcom_pull('calendar') | tojson }}", show_values=False))

    assert outcome.rendered["values"] == "(hidden)"
    assert "Closed on Monday" not in kept_text(outcome)
    assert polyai.requests() == {PAGES: 2, VALUES: 1}


def test_a_mapped_update_runs_each_of_its_chunks(polyai: Emulated) -> None:
    with DAG("daily", schedule=None):
        mapped = PolyAIUpdateConfigOperator.partial(task_id="update", verify=False).expand(
            values=[{f"{HOTELS}/{SANDBOX}": MESSAGE}, {f"{ROSA}/{SANDBOX}": MESSAGE}]
        )

    first, second = polyai.run(mapped, map_index=0), polyai.run(mapped, map_index=1)

    assert (list(items(first)), list(items(second))) == ([f"{HOTELS}/{SANDBOX}"], [f"{ROSA}/{SANDBOX}"])
    assert (message(polyai), message(polyai, ROSA)) == ("Closed on Monday", "Closed on Monday")
    assert polyai.requests() == {PAGES: 2, VALUES: 2}
    assert [event["source_alias_name"] for event in first.asset_events] == ["polyai"]


def test_a_mapped_update_does_not_retry_what_no_retry_can_mend(polyai: Emulated) -> None:
    with DAG("daily", schedule=None):
        mapped = PolyAIUpdateConfigOperator.partial(task_id="update", retries=3).expand(
            values=[{f"{HOTELS}/live": MESSAGE}]
        )

    assert polyai.run(mapped, map_index=0).state == "failed"
    assert polyai.requests() == {}


def test_a_page_that_an_answer_leaves_out_is_unread_and_not_unset(polyai: Emulated) -> None:
    polyai.server.fault("answer", operation=PAGES, status=200, body={"configPages": []}, times=None)

    outcome = polyai.run(update(retries=1))

    assert outcome.state == "up_for_retry"
    assert "does not mention harbour-hotels/sandbox" in str(outcome.error)
    assert polyai.writes() == 0
