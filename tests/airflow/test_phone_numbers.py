"""Imports of phone numbers through the real task runner: final state, requests, reports."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_voice_agents.plans.report import ITEMS_SHOWN
from airflow_voice_agents.polyai.assets import phone_numbers_uri
from airflow_voice_agents.polyai.links import REPORT_KEY, STUDIO_KEY
from airflow_voice_agents.polyai.operators.phone_numbers import PolyAIImportPhoneNumbersOperator
from airflow_voice_agents.state import snapshots
from airflow_voice_agents.transport.errors import (
    GuardRefused,
    InputError,
    ItemsFailedPermanently,
    NotFound,
)
from support.airflow_runner import make
from support.emulated import HOTELS, LIVE, PRE_RELEASE, ROSA, SANDBOX, Emulated, counts, items, kept_text

READ, IMPORT = "get phone numbers", "import phone numbers"
CONNECTOR, ASSIGN = "get connector", "assign phone number"
DESK = "conn_hh_sandbox"
ROSAS = "+441632960018"
"""A number that another project has."""
HOTELS_LIVE = "+441632960005"


def new(count: int, first: int = 0) -> list[str]:
    """Numbers that nobody has."""
    return [f"+44207946{number:04}" for number in range(first, first + count)]


def import_numbers(*numbers: Any, **arguments: Any) -> PolyAIImportPhoneNumbersOperator:
    usual = {"agent_id": HOTELS, "client_env": SANDBOX, "phone_numbers": list(numbers) or None}
    return make(PolyAIImportPhoneNumbersOperator, task_id="import", **{**usual, **arguments})


def places(polyai: Emulated, numbers: list[str]) -> set[tuple[str, str | None] | None]:
    return {polyai.number(HOTELS, number) for number in numbers}


# ---------------------------------------------------------------------------------- requests


@pytest.mark.parametrize(
    ("count", "batch_size", "batches"), [(1, 50, 1), (50, 50, 1), (51, 50, 2), (120, 50, 3), (7, 2, 4)]
)
@pytest.mark.parametrize("concurrency", [1, 4])
def test_new_numbers_cost_two_reads_and_an_import_per_batch(
    polyai: Emulated, count: int, batch_size: int, batches: int, concurrency: int
) -> None:
    numbers = new(count)

    outcome = polyai.run(import_numbers(*numbers, batch_size=batch_size, concurrency=concurrency))

    assert (outcome.state, counts(outcome)) == ("success", {"changed": count})
    assert polyai.requests() == {READ: 2 * batches, IMPORT: batches}
    assert places(polyai, numbers) == {(SANDBOX, DESK)}


def test_a_second_run_costs_one_read_per_batch(polyai: Emulated) -> None:
    task = import_numbers(*new(120))

    polyai.run(task)
    after = polyai.state()
    second, requests = polyai.again(task)

    assert (second.state, counts(second)) == ("success", {"unchanged": 120})
    assert (requests, polyai.state()) == ({READ: 3}, after)
    assert second.asset_events == []


def test_an_assignment_costs_one_read_and_one_write_per_number(polyai: Emulated) -> None:
    polyai.server.switches.import_connector = "none"
    numbers = new(5)
    task = import_numbers(*numbers, connector_id=DESK)

    first = polyai.run(task)
    requests = polyai.requests()
    second, requests_again = polyai.again(task)

    assert (counts(first), counts(second)) == ({"changed": 5}, {"unchanged": 5})
    assert requests == {CONNECTOR: 1, READ: 2, IMPORT: 1, ASSIGN: 5}
    assert requests_again == {CONNECTOR: 1, READ: 1}
    assert places(polyai, numbers) == {(SANDBOX, DESK)}


def test_numbers_that_the_platform_routed_already_are_not_assigned_again(polyai: Emulated) -> None:
    outcome = polyai.run(import_numbers(*new(5), connector_id=DESK))

    assert counts(outcome) == {"changed": 5}
    assert polyai.requests() == {CONNECTOR: 1, READ: 2, IMPORT: 1}


def test_only_absent_numbers_are_imported_and_only_what_differs_is_assigned(polyai: Emulated) -> None:
    polyai.server.switches.record_bodies = True
    polyai.server.switches.import_connector = "none"
    there, unrouted, (fresh,) = "+441632960000", "+442079460100", new(1)
    polyai.server.polyai.put_number(HOTELS, unrouted, {"clientEnv": SANDBOX, "connectorId": None})

    outcome = polyai.run(import_numbers(there, unrouted, fresh, connector_id=DESK))

    assert counts(outcome) == {"changed": 2, "unchanged": 1}
    assert [body["phoneNumbers"] for body in polyai.bodies(IMPORT)] == [[fresh]]
    assert polyai.bodies(IMPORT)[0]["clientEnv"] == SANDBOX
    assert polyai.requests() == {CONNECTOR: 1, READ: 2, IMPORT: 1, ASSIGN: 2}
    assert places(polyai, [there, unrouted, fresh]) == {(SANDBOX, DESK)}


def test_repeats_are_left_out_and_the_order_is_kept(polyai: Emulated) -> None:
    polyai.server.switches.record_bodies = True
    first, second, third = new(3)

    outcome = polyai.run(import_numbers(third, first, third, second, first))

    assert counts(outcome) == {"changed": 3}
    assert [body["phoneNumbers"] for body in polyai.bodies(IMPORT)] == [[third, first, second]]
    assert "2 repeated number(s) left out" in outcome.log
    assert [item["name"] for item in outcome.xcoms["report"]["items"]] == [third, first, second]
    assert polyai.requests() == {READ: 2, IMPORT: 1}


# ----------------------------------------------------------------- the ways in which numbers come


def test_numbers_come_from_a_csv_file(polyai: Emulated, tmp_path: Path) -> None:
    file = tmp_path / "numbers.csv"
    file.write_text("site,did\nBrighton,+442079460000\nWhitby, +442079460001\nnone,\n", encoding="utf-8-sig")

    outcome = polyai.run(import_numbers(source_file=str(file), column="did"))

    assert counts(outcome) == {"changed": 2}
    assert places(polyai, new(2)) == {(SANDBOX, DESK)}
    assert polyai.requests() == {READ: 2, IMPORT: 1}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("numbers.json", json.dumps(new(2))),
        ("numbers.txt", "\n".join([*new(2), "", ""])),
        ("numbers.txt", "\r\n".join(new(2))),
        ("test-run.list", "\n".join(new(2))),
    ],
)
def test_numbers_come_from_other_files(polyai: Emulated, tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)

    outcome = polyai.run(import_numbers(source_file=f"{tmp_path}/{name.replace('test-run', '{{ run_id }}')}"))

    assert counts(outcome) == {"changed": 2}
    assert places(polyai, new(2)) == {(SANDBOX, DESK)}
    assert polyai.requests() == {READ: 2, IMPORT: 1}


@pytest.mark.parametrize(
    "template",
    [
        "{{ ti.xcom_pull('numbers') | tojson }}",
        "{{ ti.xcom_pull('numbers') | join(', ') }}",
        "{{ ti.xcom_pull('numbers') | join('\n') }}",
    ],
)
def test_numbers_come_from_a_template(polyai: Emulated, template: str) -> None:
    polyai.runner.push("numbers", new(2))

    outcome = polyai.run(import_numbers(phone_numbers=template))

    assert counts(outcome) == {"changed": 2}
    assert places(polyai, new(2)) == {(SANDBOX, DESK)}
    assert polyai.requests() == {READ: 2, IMPORT: 1}


def test_numbers_come_from_an_upstream_task(polyai: Emulated) -> None:
    from airflow.sdk import task

    with DAG("numbers", schedule=None):

        @task
        def carrier() -> list[str]:
            return []

        operator = import_numbers(phone_numbers=carrier())
    polyai.runner.push("carrier", new(2))

    assert counts(polyai.run(operator)) == {"changed": 2}
    assert places(polyai, new(2)) == {(SANDBOX, DESK)}
    assert polyai.requests() == {READ: 2, IMPORT: 1}


def test_national_numbers_are_read_by_their_region(polyai: Emulated) -> None:
    numbers = ["020 7946 0000", "(020) 79460001", "+442079460001"]

    outcome = polyai.run(import_numbers(*numbers, default_region="GB"))

    assert counts(outcome) == {"changed": 2}
    assert places(polyai, new(2)) == {(SANDBOX, DESK)}
    assert "1 repeated number(s) left out" in outcome.log
    assert polyai.requests() == {READ: 2, IMPORT: 1}


def test_implausible_numbers_are_told_and_imported(polyai: Emulated) -> None:
    outcome = polyai.run(import_numbers("+999123456789"))

    assert counts(outcome) == {"changed": 1}
    assert "do not look allocated, check them: +999123456789" in outcome.log
    assert polyai.number(HOTELS, "+999123456789") == (SANDBOX, DESK)
    assert polyai.requests() == {READ: 2, IMPORT: 1}


# ------------------------------------------------------------- what is refused before any request


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"phone_numbers": None}, "give exactly one of phone_numbers, source_file and targets"),
        (
            {"phone_numbers": new(1), "source_file": "x.csv"},
            "give exactly one of phone_numbers, source_file and targets",
        ),
        ({"phone_numbers": []}, "phone_numbers is empty"),
        ({"phone_numbers": "[]"}, "phone_numbers is empty"),
        ({"phone_numbers": " , \n"}, "phone_numbers is empty"),
        ({"phone_numbers": {"a": 1}}, "phone_numbers must be a list or None or a text, not dict"),
        ({"phone_numbers": [*new(1), "020 7946 0001"]}, "1 number(s) that are not E.164"),
        (
            {"phone_numbers": ["+44", "07", 442079460001, None, ""]},
            "phone_numbers[2] must be a text, not 442079460001",
        ),
        ({"phone_numbers": ["+4420\0794600"]}, "not E.164"),
        ({"phone_numbers": ["+4420794\u0666\u0666\u0666\u0666"]}, "not E.164"),
        ({"phone_numbers": ["+" + "1" * 16]}, "not E.164"),
        ({"phone_numbers": ["hello", "12"], "default_region": "GB"}, "'hello', '12'"),
        ({"phone_numbers": [f"0{n}" for n in range(12)]}, "12 number(s) that are not E.164"),
        ({"phone_numbers": new(1), "client_env": "production"}, "not 'production'"),
        ({"phone_numbers": new(1), "client_env": ""}, "client_env must be"),
        ({"phone_numbers": new(1), "client_env": None}, "client_env must be"),
        ({"phone_numbers": new(1), "agent_id": "a/b"}, "agent_id must not hold a slash"),
        ({"phone_numbers": new(1), "agent_id": "a\0b"}, "control character"),
        ({"phone_numbers": new(1), "connector_id": "a/b"}, "connector_id must not hold a slash"),
        ({"phone_numbers": new(1), "batch_size": 0}, "batch_size must be a whole number of at least 1"),
        ({"phone_numbers": new(1), "batch_size": True}, "batch_size must be a whole number, not True"),
        ({"phone_numbers": new(1), "concurrency": 0}, "concurrency must be a whole number of at least 1"),
        ({"phone_numbers": None, "source_file": "no-such-file.csv"}, "no-such-file.csv cannot be read"),
    ],
)
def test_bad_input_is_told_before_any_request(polyai: Emulated, arguments: dict[str, Any], said: str) -> None:
    outcome = polyai.run(import_numbers(**arguments, retries=3))

    assert outcome.state == "failed"
    assert isinstance(outcome.error, InputError)
    assert said in str(outcome.error)
    assert polyai.requests() == {}


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("numbers.csv", "number\n+442079460000\n", "has no column 'phone_number' in its first line"),
        ("numbers.csv", "", "has no column 'phone_number' in its first line"),
        ("numbers.csv", "phone_number\n", "phone_numbers is empty"),
        ("numbers.json", '{"a": 1}', "must hold a JSON list"),
        ("numbers.json", "+44", "is not a JSON file"),
        ("numbers.txt", "\n\n", "phone_numbers is empty"),
    ],
)
def test_a_file_without_numbers_is_told_before_any_request(
    polyai: Emulated, tmp_path: Path, name: str, text: str, said: str
) -> None:
    (tmp_path / name).write_text(text)

    outcome = polyai.run(import_numbers(source_file=str(tmp_path / name)))

    assert isinstance(outcome.error, InputError)
    assert said in str(outcome.error)
    assert polyai.requests() == {}


def test_the_environment_has_no_default() -> None:
    with pytest.raises(TypeError, match="client_env"):
        PolyAIImportPhoneNumbersOperator(task_id="import", agent_id=HOTELS, phone_numbers=new(1))


@pytest.mark.parametrize(
    ("run_type", "arguments", "said"),
    [("manual", {}, "confirm_live=True"), ("backfill", {"confirm_live": True}, "allow_backfill=True")],
)
def test_live_is_guarded_before_any_request(
    polyai: Emulated, run_type: str, arguments: dict[str, Any], said: str
) -> None:
    polyai.runner.run_type = run_type

    outcome = polyai.run(import_numbers(*new(1), client_env=LIVE, **arguments, retries=3))

    assert outcome.state == "failed"
    assert isinstance(outcome.error, GuardRefused)
    assert said in str(outcome.error)
    assert polyai.requests() == {}


def test_live_is_written_where_it_is_meant(polyai: Emulated) -> None:
    outcome = polyai.run(import_numbers(*new(1), client_env=LIVE, confirm_live=True))

    assert counts(outcome) == {"changed": 1}
    assert places(polyai, new(1)) == {(LIVE, "conn_hh_live_main")}
    assert polyai.requests() == {READ: 2, IMPORT: 1}


@pytest.mark.parametrize("name", ["pre-release", "pre_release", "prerelease"])
def test_other_spellings_of_an_environment_mean_the_same(polyai: Emulated, name: str) -> None:
    outcome = polyai.run(import_numbers(*new(1), client_env=name))

    assert counts(outcome) == {"changed": 1}
    assert places(polyai, new(1)) == {(PRE_RELEASE, "conn_hh_prerelease")}
    assert polyai.requests() == {READ: 2, IMPORT: 1}


# --------------------------------------------------------------------------------- the connector


def test_a_connector_of_another_environment_is_refused_before_any_write(polyai: Emulated) -> None:
    before = polyai.state()

    outcome = polyai.run(import_numbers(*new(3), connector_id="conn_hh_live_main", retries=3))

    assert outcome.state == "failed"
    assert isinstance(outcome.error, GuardRefused)
    assert "conn_hh_live_main belongs to live, and the numbers are for sandbox" in str(outcome.error)
    assert (polyai.requests(), polyai.state()) == ({CONNECTOR: 1}, before)


@pytest.mark.parametrize("connector_id", ["no-such-connector", "conn_rr_sandbox"])
def test_a_connector_that_the_agent_lacks_is_refused_before_any_write(
    polyai: Emulated, connector_id: str
) -> None:
    before = polyai.state()

    outcome = polyai.run(import_numbers(*new(3), connector_id=connector_id, retries=3))

    assert (outcome.state, type(outcome.error)) == ("failed", NotFound)
    assert (polyai.requests(), polyai.state()) == ({CONNECTOR: 1}, before)


def test_an_assignment_that_is_refused_is_told_with_what_was_done_before(polyai: Emulated) -> None:
    polyai.server.switches.import_connector = "none"
    first, second = new(2)
    polyai.server.fault("answer", operation=ASSIGN, route=first[1:], status=403, times=None)

    outcome = polyai.run(import_numbers(first, second, connector_id=DESK, retries=3))

    assert outcome.state == "failed"
    assert isinstance(outcome.error, ItemsFailedPermanently)
    assert counts(outcome) == {"changed": 1, "failed": 1}
    reason = items(outcome)[f"{HOTELS}/{first}"]["reason"]
    assert reason.endswith("Applied before that: import phone numbers.")
    assert (polyai.number(HOTELS, first), polyai.number(HOTELS, second)) == ((SANDBOX, None), (SANDBOX, DESK))
    assert polyai.requests() == {CONNECTOR: 1, READ: 2, IMPORT: 1, ASSIGN: 2}


# ----------------------------------------------------------------------------- what is never moved


def test_a_number_in_another_environment_fails_and_is_not_moved(polyai: Emulated) -> None:
    numbers = new(2)
    live = polyai.number(HOTELS, HOTELS_LIVE)
    assert live is not None
    assert live[0] == LIVE

    outcome = polyai.run(import_numbers(numbers[0], HOTELS_LIVE, numbers[1], connector_id=DESK, retries=3))

    assert outcome.state == "failed"
    assert isinstance(outcome.error, ItemsFailedPermanently)
    assert counts(outcome) == {"changed": 2, "failed": 1}
    reason = items(outcome)[f"{HOTELS}/{HOTELS_LIVE}"]["reason"]
    assert reason.startswith("it is in live, not sandbox, and a number is never moved silently")
    assert polyai.number(HOTELS, HOTELS_LIVE) == live
    assert places(polyai, numbers) == {(SANDBOX, DESK)}
    assert polyai.requests() == {CONNECTOR: 1, READ: 2, IMPORT: 1}


def test_a_number_of_another_project_fails_and_is_not_moved(polyai: Emulated) -> None:
    numbers = new(7)
    wanted = [*numbers[:3], ROSAS, *numbers[3:]]

    outcome = polyai.run(import_numbers(*wanted, retries=3))

    assert outcome.state == "failed"
    assert isinstance(outcome.error, ItemsFailedPermanently)
    assert counts(outcome) == {"changed": 7, "failed": 1}
    reason = items(outcome)[f"{HOTELS}/{ROSAS}"]["reason"]
    assert "PHONE_NUMBERS_ALREADY_EXISTS" in reason
    assert "registered elsewhere: not in this agent" in reason
    assert "may already be" not in reason
    assert polyai.number(ROSA, ROSAS) == (SANDBOX, "conn_rr_sandbox")
    assert polyai.number(HOTELS, ROSAS) is None
    assert places(polyai, numbers) == {(SANDBOX, DESK)}
    # Tried are 8, 4+4, 2+2, 1+1; four refusals are read back, and what was imported is verified at the end.
    assert polyai.requests() == {READ: 1 + 4 + 1, IMPORT: 7}


def test_a_number_that_the_platform_calls_malformed_is_isolated(polyai: Emulated) -> None:
    numbers = new(50)
    refusal = {"error_code": "PHONE_NUMBERS_INVALID_PHONE_NUMBER_FORMAT", "error_message": "no"}
    for offender in (numbers[7], numbers[40]):
        polyai.server.fault(
            "answer", operation=IMPORT, status=400, body_contains=offender, body=refusal, times=None
        )

    outcome = polyai.run(import_numbers(*numbers, retries=3))

    assert (outcome.state, counts(outcome)) == ("failed", {"changed": 48, "failed": 2})
    assert isinstance(outcome.error, ItemsFailedPermanently)
    failed = [item["name"] for item in outcome.xcoms["report"]["items"] if item["status"] == "failed"]
    assert failed == [numbers[7], numbers[40]]
    assert len([number for number in numbers if polyai.number(HOTELS, number)]) == 48
    assert polyai.requests()[IMPORT] <= 25


def test_a_number_that_appears_during_the_import_counts_as_done(polyai: Emulated) -> None:
    first, second = new(2)
    record = {"clientEnv": SANDBOX, "connectorId": None}
    polyai.meanwhile(lambda: polyai.server.polyai.put_number(HOTELS, first, record), operation=IMPORT)

    outcome = polyai.run(import_numbers(first, second))

    assert outcome.state == "success"
    assert counts(outcome)["changed"] >= 1
    assert polyai.number(HOTELS, second) == (SANDBOX, DESK)
    assert polyai.number(HOTELS, first) == (SANDBOX, None)
    assert polyai.requests() == {READ: 3, IMPORT: 2}


def test_a_number_that_answers_leave_out_beside_others_and_alone_is_elsewhere(polyai: Emulated) -> None:
    polyai.server.switches.import_existing = "partial"
    numbers = new(2)

    outcome = polyai.run(import_numbers(*numbers, ROSAS, retries=1))

    assert (outcome.state, counts(outcome)) == ("failed", {"changed": 2, "failed": 1})
    assert isinstance(outcome.error, ItemsFailedPermanently)
    reason = items(outcome)[f"{HOTELS}/{ROSAS}"]["reason"]
    assert "registered elsewhere: not in this agent. Sending it again does not help." in reason
    assert polyai.number(ROSA, ROSAS) == (SANDBOX, "conn_rr_sandbox")
    assert places(polyai, numbers) == {(SANDBOX, DESK)}
    # Sent are three, and then the one that was left out; each answer is read back.
    assert polyai.requests() == {READ: 4, IMPORT: 2}


def test_a_number_that_is_left_out_alone_is_sent_once(polyai: Emulated) -> None:
    polyai.server.switches.import_existing = "partial"

    outcome = polyai.run(import_numbers(ROSAS, retries=1))

    assert isinstance(outcome.error, ItemsFailedPermanently)
    assert "registered elsewhere" in items(outcome)[f"{HOTELS}/{ROSAS}"]["reason"]
    assert polyai.requests() == {READ: 2, IMPORT: 1}


def test_numbers_that_an_answer_leaves_out_by_chance_are_sent_again_without_the_others(
    polyai: Emulated,
) -> None:
    numbers = new(50)
    polyai.server.switches.record_bodies = True
    polyai.server.fault("items", operation=IMPORT, share=0.2, seed=5)

    outcome = polyai.run(import_numbers(*numbers, retries=0))

    assert (outcome.state, counts(outcome)) == ("success", {"changed": 50})
    assert places(polyai, numbers) == {(SANDBOX, DESK)}
    assert polyai.requests() == {READ: 4, IMPORT: 2}
    sent = [body["phoneNumbers"] for body in polyai.bodies(IMPORT)]
    assert 0 < len(sent[1]) < len(sent[0]) == 50


# ------------------------------------------------------------------------------- unknown outcomes


@pytest.mark.parametrize(
    "rule", [{"action": "reset"}, {"action": "answer", "status": 502}, {"action": "truncate"}]
)
def test_an_import_that_was_applied_but_not_answered_is_not_repeated(
    polyai: Emulated, rule: dict[str, Any]
) -> None:
    polyai.server.fault(operation=IMPORT, apply=True, **rule)
    numbers = new(3)

    outcome = polyai.run(import_numbers(*numbers))

    assert counts(outcome) == {"changed": 3}
    assert polyai.requests() == {READ: 2, IMPORT: 1}
    assert places(polyai, numbers) == {(SANDBOX, DESK)}


def test_an_import_that_was_lost_is_read_back_and_repeated_once(polyai: Emulated) -> None:
    polyai.server.fault("reset", operation=IMPORT)

    outcome = polyai.run(import_numbers(*new(3)))

    assert counts(outcome) == {"changed": 3}
    assert polyai.requests() == {READ: 3, IMPORT: 2}
    assert len(polyai.server.journal.changes()) == 1


def test_an_import_that_is_always_lost_is_retried_by_the_task(polyai: Emulated) -> None:
    polyai.server.fault("reset", operation=IMPORT, times=None)
    task = import_numbers(*new(3), retries=1)

    first = polyai.run(task)
    requests = polyai.requests()
    polyai.server.clear_faults()
    second, requests_again = polyai.again(task, try_number=2)

    assert (first.state, counts(first)) == ("up_for_retry", {"failed": 3})
    assert requests == {READ: 5, IMPORT: 4}
    assert (second.state, counts(second), requests_again) == ("success", {"changed": 3}, {READ: 2, IMPORT: 1})


def test_a_rate_limit_is_retried_after_the_time_that_the_server_named(polyai: Emulated) -> None:
    polyai.server.fault("answer", operation=IMPORT, status=429, headers={"Retry-After": "300"}, times=None)

    outcome = polyai.run(import_numbers(*new(3), retries=1, retry_delay=timedelta(seconds=30)))

    assert (outcome.state, outcome.retry_delay) == ("up_for_retry", 300)
    assert counts(outcome) == {"failed": 3}
    assert polyai.requests() == {READ: 1, IMPORT: 1}


def test_numbers_that_cannot_be_read_back_end_as_unknown(polyai: Emulated) -> None:
    polyai.server.fault("answer", operation=READ, status=503, nth=2, times=None)

    outcome = polyai.run(import_numbers(*new(3), retries=1))

    assert (outcome.state, counts(outcome)) == ("up_for_retry", {"unknown": 3})
    assert places(polyai, new(3)) == {(SANDBOX, DESK)}
    assert polyai.requests() == {READ: 6, IMPORT: 1}


# ------------------------------------------------------------------------------- Airflow's own ways


def test_a_change_emits_an_event_with_counts_and_run(polyai: Emulated) -> None:
    outcome = polyai.run(import_numbers(*new(2)))

    (event,) = outcome.asset_events
    assert event["dest_asset_key"]["uri"] == phone_numbers_uri(HOTELS, SANDBOX)
    run = {"dag_id": "harness", "run_id": "test-run", "task_id": "import"}
    assert event["extra"] == {"changed": 2, "run": run}
    assert polyai.requests() == {READ: 2, IMPORT: 1}


def test_the_report_of_a_failed_import_adds_up_and_nothing_is_returned(polyai: Emulated) -> None:
    outcome = polyai.run(import_numbers(*new(2), HOTELS_LIVE, "+441632960000"))

    assert counts(outcome) == {"changed": 2, "failed": 1, "unchanged": 1}
    assert set(outcome.xcoms) == {"report", STUDIO_KEY, REPORT_KEY}
    assert outcome.asset_events == []
    assert polyai.requests() == {READ: 2, IMPORT: 1}


def test_a_long_report_lists_trouble_first_and_counts_all(polyai: Emulated) -> None:
    outcome = polyai.run(import_numbers(*new(600), HOTELS_LIVE))

    report = outcome.xcoms["report"]
    assert counts(outcome) == {"changed": 600, "failed": 1}
    assert (len(report["items"]), report["items_omitted"]) == (ITEMS_SHOWN, 601 - ITEMS_SHOWN)
    assert report["items"][0]["name"] == HOTELS_LIVE
    assert polyai.requests() == {READ: 13 + 12, IMPORT: 12}


@pytest.mark.parametrize(("status", "state"), [(503, "up_for_retry"), (403, "failed")])
def test_numbers_that_cannot_be_read_are_not_imported(polyai: Emulated, status: int, state: str) -> None:
    polyai.server.fault("answer", operation=READ, status=status, times=None)

    outcome = polyai.run(import_numbers(*new(3), retries=1))

    assert outcome.state == state
    assert polyai.requests() == {READ: 5 if status == 503 else 1}


def test_no_key_is_kept_or_logged(polyai: Emulated) -> None:
    polyai.server.fault(
        "answer", operation=IMPORT, status=400, times=None, body={"message": "key demo-key-uk is refused"}
    )

    outcome = polyai.run(import_numbers(*new(1)))

    assert (outcome.state, counts(outcome)) == ("failed", {"failed": 1})
    assert "demo-key-uk" not in kept_text(outcome)
    assert polyai.requests() == {READ: 1, IMPORT: 1}


def test_a_mapped_import_runs_each_of_its_chunks(polyai: Emulated) -> None:
    with DAG("numbers", schedule=None):
        mapped = PolyAIImportPhoneNumbersOperator.partial(
            task_id="import", agent_id=HOTELS, client_env=SANDBOX
        ).expand(phone_numbers=[new(2), new(3, first=2)])

    first, second = polyai.run(mapped, map_index=0), polyai.run(mapped, map_index=1)

    assert (counts(first), counts(second)) == ({"changed": 2}, {"changed": 3})
    assert places(polyai, new(5)) == {(SANDBOX, DESK)}
    assert polyai.requests() == {READ: 4, IMPORT: 2}


# ---------------------------------------------------------------------------- guarantees of the engine


def test_waves_and_failures_count_numbers(polyai: Emulated) -> None:
    numbers = new(6)
    polyai.server.fault("answer", operation=IMPORT, status=400, body_contains=numbers[0], times=None)

    outcome = polyai.run(import_numbers(*numbers, waves=[2, "100%"], max_failures=0))

    assert counts(outcome) == {"changed": 1, "failed": 1, "skipped": 4}
    assert "1 of 6 item(s) failed, and max_failures allows 0" in outcome.log
    assert [number for number in numbers if polyai.number(HOTELS, number)] == [numbers[1]]


def test_a_dry_run_tells_what_would_be_imported(polyai: Emulated) -> None:
    before = polyai.state()

    outcome = polyai.run(import_numbers(*new(3), HOTELS_LIVE, dry_run=True))

    assert counts(outcome) == {"changed": 3, "failed": 1}
    assert "the same change in 3 targets" in outcome.log
    assert (polyai.requests(), polyai.state()) == ({READ: 1}, before)


def test_a_number_that_was_imported_and_not_yet_assigned_is_on_the_way_of_its_plan(polyai: Emulated) -> None:
    polyai.server.switches.import_connector = "none"
    numbers = new(2)
    digest = polyai.run(import_numbers(*numbers, connector_id=DESK, dry_run=True)).result["plan_digest"]
    task = import_numbers(*numbers, connector_id=DESK, expected_digest=digest, retries=1)
    polyai.server.fault("answer", operation=ASSIGN, status=503, times=None)
    first = polyai.run(task)
    polyai.server.clear_faults()

    second = polyai.run(task, try_number=2)

    assert (first.state, counts(first)) == ("up_for_retry", {"failed": 2})
    assert (second.state, counts(second)) == ("success", {"changed": 2})
    assert places(polyai, numbers) == {(SANDBOX, DESK)}


def test_the_connector_that_the_platform_chose_is_no_part_of_a_plan(polyai: Emulated) -> None:
    numbers = new(2)
    digest = polyai.run(import_numbers(*numbers, dry_run=True)).result["plan_digest"]
    task = import_numbers(*numbers, batch_size=1, concurrency=1, expected_digest=digest, retries=1)
    polyai.server.fault("answer", operation=IMPORT, body_contains=numbers[1], status=503, times=None)
    first = polyai.run(task)
    polyai.server.clear_faults()

    second = polyai.run(task, try_number=2)

    assert (first.state, counts(first)) == ("up_for_retry", {"changed": 1, "failed": 1})
    assert (second.state, counts(second)) == ("success", {"changed": 1, "unchanged": 1})


def test_a_snapshot_keeps_only_numbers_that_were_there(
    polyai: Emulated, fernet_key: str, tmp_path: Path
) -> None:
    polyai.server.switches.import_connector = "none"
    polyai.server.polyai.put_number(HOTELS, "+442079460100", {"clientEnv": SANDBOX, "connectorId": None})
    arguments = {"connector_id": DESK, "take_snapshot": True, "state_folder": str(tmp_path)}

    outcome = polyai.run(import_numbers("+442079460100", *new(2), **arguments))

    assert counts(outcome) == {"changed": 3}
    kept = snapshots.load(outcome.xcoms["snapshot"])
    assert [each["name"] for each in kept["resources"]] == ["+442079460100"]


@pytest.mark.parametrize("named", [[], ["+442079460000"]])
def test_a_number_that_an_answer_leaves_out_is_unread_and_not_imported(
    polyai: Emulated, named: list[str]
) -> None:
    answer = {"found": [], "notFound": named}
    polyai.server.fault("answer", operation=READ, status=200, body=answer, times=None)

    outcome = polyai.run(import_numbers(*new(2), retries=1))

    assert outcome.state == "up_for_retry"
    assert "does not mention harbour-hotels/+44207946000" in str(outcome.error)
    assert polyai.writes() == 0


def test_a_read_that_is_refused_for_its_size_is_cut_down(polyai: Emulated) -> None:
    polyai.server.fault("answer", operation=READ, status=400)

    outcome = polyai.run(import_numbers(*new(4)))

    assert counts(outcome) == {"changed": 4}
    assert polyai.requests() == {READ: 4, IMPORT: 1}


def test_an_assignment_of_unknown_outcome_says_that_the_number_was_imported(polyai: Emulated) -> None:
    polyai.server.switches.import_connector = "none"
    polyai.server.fault("reset", operation=ASSIGN, times=None)
    polyai.server.fault("answer", operation=READ, status=503, nth=3, times=None)

    outcome = polyai.run(import_numbers(*new(1), connector_id=DESK, retries=1))

    assert counts(outcome) == {"unknown": 1}
    assert "Applied before that: import phone numbers." in items(outcome)[f"{HOTELS}/{new(1)[0]}"]["reason"]
