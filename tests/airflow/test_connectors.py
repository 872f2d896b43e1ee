"""Bulk updates of connectors through the real task runner: final state, requests, reports."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.sdk import DAG, Asset

from airflow_voice_agents.emulator.polyai.seed import ENVIRONMENTS
from airflow_voice_agents.polyai.assets import connectors_uri
from airflow_voice_agents.polyai.operators.connectors import PolyAIBatchUpdateConnectorsOperator
from airflow_voice_agents.transport.errors import (
    GuardRefused,
    InputError,
    ItemsFailed,
    ItemsFailedPermanently,
    NotFound,
)
from support.airflow_runner import make
from support.emulated import HOTELS, LIVE, ROSA, SANDBOX, Emulated, counts, items, kept_text

LIST, GET, VARIANTS = "list connectors", "get connectors", "list variants"
ONE, BATCH = "update connector", "update connectors"
BRIGHTON, WHITBY = "VARIANT-C93513B5", "VARIANT-D1E2FCB9"
VOICE = "en-GB-Neural2-B"


def update(*updates: dict[str, Any], **arguments: Any) -> PolyAIBatchUpdateConnectorsOperator:
    usual = {"agent_id": HOTELS, "updates": list(updates) or None}
    return make(PolyAIBatchUpdateConnectorsOperator, task_id="update", **{**usual, **arguments})


def desk(number: int) -> str:
    return f"desk-{number:03}"


def desks(polyai: Emulated, count: int, environment: str = SANDBOX) -> list[str]:
    """Give the hotels more connectors."""
    connectors = polyai.server.polyai.agents[HOTELS]["connectors"]
    for number in range(count):
        connectors[desk(number)] = {
            "name": f"Desk {number}",
            "clientEnv": environment,
            "variantId": None,
            "asrLangCode": "en-GB",
            "voiceName": "en-GB-Neural2-A",
            "disableHandoff": False,
        }
    return [desk(number) for number in range(count)]


def french(*names: str) -> list[dict[str, Any]]:
    return [{"connector_id": name, "asr_lang_code": "fr-FR"} for name in names]


def speaking(*names: str, voice: str = VOICE) -> list[dict[str, Any]]:
    return [{"connector_id": name, "voice_name": voice} for name in names]


def languages(polyai: Emulated, *names: str) -> set[str]:
    return {polyai.connector(HOTELS, name)["asrLangCode"] for name in names}


# ---------------------------------------------------------------------------------- requests


@pytest.mark.parametrize(
    ("count", "batch_size", "requests"),
    [
        (1, 50, {GET: 1, BATCH: 1}),
        (50, 50, {GET: 1, BATCH: 1}),
        (51, 50, {LIST: 1, BATCH: 2}),
        (120, 50, {LIST: 1, BATCH: 3}),
        (7, 2, {LIST: 1, BATCH: 4}),
    ],
)
def test_connectors_cost_one_read_and_one_write_per_batch(
    polyai: Emulated, count: int, batch_size: int, requests: dict[str, int]
) -> None:
    names = desks(polyai, count)

    outcome = polyai.run(update(*french(*names), batch_size=batch_size))

    assert (outcome.state, counts(outcome)) == ("success", {"changed": count})
    assert polyai.requests() == requests
    assert languages(polyai, *names) == {"fr-FR"}
    assert polyai.connector(HOTELS, "conn_hh_sandbox")["asrLangCode"] == "en-GB"


def test_verification_of_more_than_a_batch_costs_one_read_more(polyai: Emulated) -> None:
    outcome = polyai.run(update(*french(*desks(polyai, 4)), batch_size=2, verify=True))

    assert counts(outcome) == {"changed": 4}
    assert polyai.requests() == {LIST: 2, BATCH: 2}


def test_a_new_voice_costs_one_write_more(polyai: Emulated) -> None:
    names = desks(polyai, 120)

    outcome = polyai.run(update(*speaking(*names)))

    assert counts(outcome) == {"changed": 120}
    assert polyai.requests() == {LIST: 1, ONE: 1, BATCH: 3}
    assert {polyai.connector(HOTELS, name)["voiceName"] for name in names} == {VOICE}


def test_a_new_voice_for_one_connector_costs_nothing_more(polyai: Emulated) -> None:
    outcome = polyai.run(update(*speaking(*desks(polyai, 1))))

    assert counts(outcome) == {"changed": 1}
    assert polyai.requests() == {GET: 1, BATCH: 1}


def test_assigning_a_variant_costs_one_read_more(polyai: Emulated) -> None:
    names = desks(polyai, 3)

    outcome = polyai.run(update(*({"connector_id": name, "variant_id": WHITBY} for name in names)))

    assert counts(outcome) == {"changed": 3}
    assert polyai.requests() == {GET: 1, VARIANTS: 1, BATCH: 1}
    assert {polyai.connector(HOTELS, name)["variantId"] for name in names} == {WHITBY}


def test_a_second_run_costs_one_read(polyai: Emulated) -> None:
    names = desks(polyai, 3)
    wanted = {"asr_lang_code": "fr-FR", "voice_name": VOICE, "variant_id": WHITBY}
    task = update(*({"connector_id": name, **wanted} for name in names))

    first = polyai.run(task)
    after = polyai.state()
    second, requests = polyai.again(task)

    assert (counts(first), counts(second)) == ({"changed": 3}, {"unchanged": 3})
    assert (requests, polyai.state()) == ({GET: 1}, after)
    assert second.asset_events == []


# ------------------------------------------------------------------------- what is compared and sent


def test_absent_null_and_a_value_are_three_things(polyai: Emulated) -> None:
    polyai.server.switches.record_bodies = True
    names = desks(polyai, 3)
    for name in names:
        polyai.server.polyai.agents[HOTELS]["connectors"][name]["variantId"] = BRIGHTON

    outcome = polyai.run(
        update(
            {"connector_id": names[0], "asr_lang_code": "fr-FR"},
            {"connector_id": names[1], "variant_id": None},
            {"connector_id": names[2], "variant_id": WHITBY},
        )
    )

    assert counts(outcome) == {"changed": 3}
    assert [polyai.connector(HOTELS, name)["variantId"] for name in names] == [BRIGHTON, None, WHITBY]
    assert polyai.bodies(BATCH) == [
        {
            "updates": [
                {"connectorId": names[0], "asrLangCode": "fr-FR"},
                {"connectorId": names[1], "variantId": None},
                {"connectorId": names[2], "variantId": WHITBY},
            ]
        }
    ]
    assert polyai.requests() == {GET: 1, VARIANTS: 1, BATCH: 1}


def test_only_differences_are_sent(polyai: Emulated) -> None:
    polyai.server.switches.record_bodies = True
    names = desks(polyai, 2)
    polyai.server.polyai.agents[HOTELS]["connectors"][names[0]]["asrLangCode"] = "fr-FR"

    outcome = polyai.run(
        update(
            {"connector_id": names[0], "asr_lang_code": "fr-FR"},
            {"connector_id": names[1], "asr_lang_code": "fr-FR", "voice_name": "en-GB-Neural2-A"},
        )
    )

    assert counts(outcome) == {"changed": 1, "unchanged": 1}
    assert polyai.bodies(BATCH) == [{"updates": [{"connectorId": names[1], "asrLangCode": "fr-FR"}]}]
    assert polyai.requests() == {GET: 1, BATCH: 1}


def test_unassigning_where_nothing_is_assigned_is_no_change(polyai: Emulated) -> None:
    (name,) = desks(polyai, 1)

    assert counts(polyai.run(update({"connector_id": name, "variant_id": None}))) == {"unchanged": 1}
    assert polyai.requests() == {GET: 1}


@pytest.mark.parametrize("names", ["snake_case", "camelCase"])
def test_updates_come_from_a_template_in_either_spelling(polyai: Emulated, names: str) -> None:
    (name,) = desks(polyai, 1)
    snake = {"connector_id": name, "asr_lang_code": "fr-FR"}
    camel = {"connectorId": name, "asrLangCode": "fr-FR"}
    polyai.runner.push("table", [snake if names == "snake_case" else camel])

    outcome = polyai.run(update(updates="{{ ti.xcom_pull('table') | tojson }}"))

    assert (counts(outcome), languages(polyai, name)) == ({"changed": 1}, {"fr-FR"})
    assert polyai.requests() == {GET: 1, BATCH: 1}


def test_the_synthesis_language_that_follows_the_voice_is_told(polyai: Emulated) -> None:
    names = desks(polyai, 2)

    outcome = polyai.run(update(*speaking(*names, voice="fr-FR-Neural2-B")))

    reasons = {item["reason"] for item in items(outcome).values()}
    assert reasons == {"tts_lang_code went from en-GB to fr-FR with the voice"}
    assert polyai.requests() == {GET: 1, ONE: 1, BATCH: 1}


# ------------------------------------------------------------------------------------- selectors


@pytest.mark.parametrize(
    ("selector", "chosen"),
    [
        ({"client_env": SANDBOX}, {"conn_hh_sandbox"}),
        ({"name": "Hotels group*"}, {"conn_hh_live_groups"}),
        ({"client_env": LIVE, "asr_lang_code": "en-GB"}, {"conn_hh_live_main", "conn_hh_live_groups"}),
        ({"variant_id": None}, {"conn_hh_sandbox", "conn_hh_live_groups"}),
        ({"voice_name": "fr-FR-Neural2-B"}, {"conn_hh_live_jersey"}),
        ({"client_env": "pre_release"}, {"conn_hh_prerelease"}),
    ],
)
def test_a_selector_chooses_connectors(polyai: Emulated, selector: dict[str, Any], chosen: set[str]) -> None:
    outcome = polyai.run(update(selector=selector, changes={"asr_lang_code": "de-DE"}, confirm_live=True))

    connectors = polyai.server.polyai.agents[HOTELS]["connectors"]
    assert {name for name, each in connectors.items() if each["asrLangCode"] == "de-DE"} == chosen
    assert counts(outcome) == {"changed": len(chosen)}
    assert polyai.requests() == {LIST: 1, BATCH: 1}


def test_an_empty_selector_chooses_all_and_compares_first(polyai: Emulated) -> None:
    outcome = polyai.run(update(selector={}, changes={"asr_lang_code": "en-GB"}, confirm_live=True))

    assert counts(outcome) == {"changed": 1, "unchanged": 4}
    assert polyai.requests() == {LIST: 1, BATCH: 1}
    assert polyai.connector(HOTELS, "conn_hh_live_jersey")["asrLangCode"] == "en-GB"


def test_a_selector_that_fits_nothing_is_refused(polyai: Emulated) -> None:
    outcome = polyai.run(update(selector={"name": "Nobody*"}, changes={"asr_lang_code": "de-DE"}, retries=3))

    assert outcome.state == "failed"
    assert isinstance(outcome.error, GuardRefused)
    assert "fits none of the 5 connector(s)" in str(outcome.error)
    assert polyai.requests() == {LIST: 1}


# ------------------------------------------------------------- what is refused before any request


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"updates": None}, "give either updates, or selector and changes"),
        ({"updates": french("a"), "selector": {}}, "give either updates or selector/changes"),
        ({"updates": []}, "updates is empty"),
        ({"updates": "[]"}, "updates must be a list of at least one mapping"),
        ({"updates": {"connector_id": "a"}}, "updates must be a list"),
        ({"updates": ["a"]}, "updates[0] must be a mapping"),
        ({"updates": [{"asr_lang_code": "fr-FR"}]}, "updates[0] lacks connector_id"),
        ({"updates": [{"connector_id": "a"}]}, "update of connector 'a' changes nothing"),
        ({"updates": french("a", "b", "a")}, "more than once: a"),
        ({"updates": french("a/b")}, "connector_id must not hold a slash"),
        ({"updates": french("a\0b")}, "control character"),
        ({"updates": french("")}, "must not be empty"),
        (
            {"updates": [{"connector_id": "a", "voice": VOICE}]},
            "Did you mean 'voice_name'?",
        ),
        ({"updates": [{"connector_id": "a", "voice_name": None}]}, "updates[0].voice_name must be a text"),
        ({"updates": [{"connector_id": "a", "asr_lang_code": ""}]}, "asr_lang_code must not be empty"),
        ({"updates": [{"connector_id": "a", "variant_id": ""}]}, "give None (null) to unassign"),
        ({"updates": [{"connector_id": "a", "project_id": ROSA}]}, "Move it by itself in Agent Studio"),
        ({"updates": [{"connectorId": "a", "projectId": ROSA}]}, "moves a connector to another project"),
        ({"selector": {}, "changes": {"project_id": ROSA}}, "moves a connector to another project"),
        ({"selector": {}, "changes": {}}, "changes is empty"),
        ({"selector": {}}, "changes must be a mapping of at least one setting"),
        ({"selector": {"client_env": "staging"}, "changes": {"asr_lang_code": "x"}}, "not 'staging'"),
        ({"selector": {"env": SANDBOX}, "changes": {"asr_lang_code": "x"}}, "unknown keys env"),
        ({"selector": [], "changes": {"asr_lang_code": "x"}}, "selector must be a mapping"),
        ({"updates": french("a"), "agent_id": "a/b"}, "agent_id must not hold a slash"),
        ({"updates": french("a"), "on_partial": "ignore"}, "on_partial must be 'fail' or 'tolerate'"),
        ({"updates": french("a"), "batch_size": 0}, "batch_size must be a whole number of at least 1"),
        ({"updates": french("a"), "concurrency": 0}, "concurrency must be a whole number of at least 1"),
        (
            {"updates": french("a"), "changes": {"asr_lang_code": "x"}},
            "give either updates or selector/changes",
        ),
        (
            {"selector": {}, "changes": {"connector_id": "a", "asr_lang_code": "x"}},
            "has unknown keys connector_id",
        ),
        (
            {"selector": {}, "changes": {"connectorId": "a", "asr_lang_code": "x"}},
            "has unknown keys connectorId",
        ),
    ],
)
def test_bad_input_is_told_before_any_request(polyai: Emulated, arguments: dict[str, Any], said: str) -> None:
    outcome = polyai.run(update(**arguments, retries=3))

    assert outcome.state == "failed"
    assert isinstance(outcome.error, InputError)
    assert said in str(outcome.error)
    assert polyai.requests() == {}


# --------------------------------------------------------------------------------- guards after reads


@pytest.mark.parametrize(
    ("run_type", "arguments", "said"),
    [("manual", {}, "confirm_live=True"), ("backfill", {"confirm_live": True}, "allow_backfill=True")],
)
def test_a_live_connector_that_would_change_is_guarded_before_any_write(
    polyai: Emulated, run_type: str, arguments: dict[str, Any], said: str
) -> None:
    polyai.runner.run_type = run_type
    before = polyai.state()

    outcome = polyai.run(update(*french("conn_hh_sandbox", "conn_hh_live_main"), **arguments, retries=3))

    assert outcome.state == "failed"
    assert isinstance(outcome.error, GuardRefused)
    assert said in str(outcome.error)
    assert "harbour-hotels/conn_hh_live_main" in str(outcome.error)
    assert (polyai.requests(), polyai.state()) == ({GET: 1}, before)


def test_a_live_connector_that_is_as_asked_for_needs_no_confirmation(polyai: Emulated) -> None:
    outcome = polyai.run(update(*french("conn_hh_sandbox", "conn_hh_live_jersey")))

    assert counts(outcome) == {"changed": 1, "unchanged": 1}
    assert polyai.requests() == {GET: 1, BATCH: 1}


def test_a_variant_that_the_agent_lacks_is_refused_before_any_write(polyai: Emulated) -> None:
    names = desks(polyai, 2)
    before = polyai.state()

    outcome = polyai.run(
        update(*({"connector_id": name, "variant_id": "VARIANT-NONE"} for name in names), retries=3)
    )

    assert outcome.state == "failed"
    assert isinstance(outcome.error, GuardRefused)
    assert "has no variant VARIANT-NONE" in str(outcome.error)
    assert (polyai.requests(), polyai.state()) == ({GET: 1, VARIANTS: 1}, before)


def test_without_the_check_the_platform_decides_about_a_variant(polyai: Emulated) -> None:
    names = desks(polyai, 2)

    outcome = polyai.run(
        update(
            {"connector_id": names[0], "variant_id": "VARIANT-NONE"},
            {"connector_id": names[1], "variant_id": WHITBY},
            check_variants=False,
        )
    )

    assert (outcome.state, counts(outcome)) == ("failed", {"changed": 1, "failed": 1})
    assert polyai.connector(HOTELS, names[1])["variantId"] == WHITBY
    assert polyai.requests() == {GET: 1, BATCH: 1}


# ------------------------------------------------------------------------------- partial failures


def some_refused(polyai: Emulated, **arguments: Any) -> PolyAIBatchUpdateConnectorsOperator:
    """Three updates, of which the platform refuses the second."""
    names = desks(polyai, 3)
    wanted = french(*names)
    wanted[1]["asr_lang_code"] = "no language"
    return update(*wanted, **arguments)


def test_failed_items_of_a_200_fail_the_task_and_the_rest_is_changed(polyai: Emulated) -> None:
    outcome = polyai.run(some_refused(polyai))

    assert outcome.state == "failed"
    assert isinstance(outcome.error, ItemsFailed)
    assert counts(outcome) == {"changed": 2, "failed": 1}
    assert "Language code" in items(outcome)["harbour-hotels/desk-001"]["reason"]
    assert "return_value" not in outcome.xcoms
    assert outcome.asset_events == []
    assert [polyai.connector(HOTELS, desk(n))["asrLangCode"] for n in range(3)] == ["fr-FR", "en-GB", "fr-FR"]
    assert polyai.requests() == {GET: 1, BATCH: 1}


def test_failed_items_may_be_tolerated(polyai: Emulated) -> None:
    outcome = polyai.run(some_refused(polyai, on_partial="tolerate"))

    assert outcome.state == "success"
    assert counts(outcome) == {"changed": 2, "failed": 1}
    assert outcome.result["counts"]["failed"] == 1
    (event,) = outcome.asset_events
    assert event["dest_asset_key"]["uri"] == connectors_uri(HOTELS)
    assert event["extra"]["changed"] == 2
    assert polyai.requests() == {GET: 1, BATCH: 1}


def test_a_retry_sends_only_what_still_differs(polyai: Emulated) -> None:
    polyai.server.switches.record_bodies = True
    task = some_refused(polyai, retries=1)

    first = polyai.run(task)
    second, requests = polyai.again(task, try_number=2)

    assert (first.state, second.state) == ("up_for_retry", "failed")
    assert counts(second) == {"unchanged": 2, "failed": 1}
    assert requests == {GET: 1, BATCH: 1}
    assert [each["connectorId"] for each in polyai.bodies(BATCH)[0]["updates"]] == ["desk-001"]


def test_an_unknown_connector_is_a_failed_item_that_no_retry_mends(polyai: Emulated) -> None:
    (name,) = desks(polyai, 1)

    outcome = polyai.run(update(*french(name, "conn_rr_sandbox"), retries=3))

    assert outcome.state == "failed"
    assert isinstance(outcome.error, ItemsFailedPermanently)
    assert counts(outcome) == {"changed": 1, "failed": 1}
    assert "no connector of this id" in items(outcome)["harbour-hotels/conn_rr_sandbox"]["reason"]
    assert languages(polyai, name) == {"fr-FR"}
    assert polyai.connector(ROSA, "conn_rr_sandbox")["asrLangCode"] == "en-GB"
    assert polyai.requests() == {GET: 1, BATCH: 1}


def test_an_unknown_agent_fails_at_once(polyai: Emulated) -> None:
    outcome = polyai.run(update(*french("a"), agent_id="no-such-agent", retries=3))

    assert (outcome.state, type(outcome.error)) == ("failed", NotFound)
    assert polyai.requests() == {GET: 1}


def test_an_item_that_the_answer_leaves_out_is_read_back_and_found_done(polyai: Emulated) -> None:
    names = desks(polyai, 2)
    results = [{"connectorId": names[0], "success": True}]
    polyai.server.fault("answer", operation=BATCH, apply=True, status=200, body={"results": results})

    outcome = polyai.run(update(*french(*names)))

    assert counts(outcome) == {"changed": 2}
    assert "reading it back showed it applied" in items(outcome)["harbour-hotels/desk-001"]["reason"]
    assert polyai.requests() == {GET: 3, BATCH: 1}
    assert languages(polyai, *names) == {"fr-FR"}


def test_an_item_that_the_answer_leaves_out_is_written_again_where_it_was_not_done(polyai: Emulated) -> None:
    names = desks(polyai, 2)
    polyai.server.fault("answer", operation=BATCH, status=200, body={"results": []})

    outcome = polyai.run(update(*french(*names)))

    assert counts(outcome) == {"changed": 2}
    assert polyai.requests() == {GET: 2, BATCH: 2}
    assert languages(polyai, *names) == {"fr-FR"}


def test_items_that_are_never_mentioned_nor_done_fail(polyai: Emulated) -> None:
    names = desks(polyai, 2)
    polyai.server.fault("answer", operation=BATCH, status=200, body={"results": []}, times=None)

    outcome = polyai.run(update(*french(*names), retries=1))

    assert (outcome.state, counts(outcome)) == ("up_for_retry", {"failed": 2})
    assert "Reading it back showed it not applied" in str(outcome.error)
    assert polyai.requests() == {GET: 5, BATCH: 4}
    assert languages(polyai, *names) == {"en-GB"}


def test_a_success_that_shows_other_settings_than_asked_for_is_a_failure(polyai: Emulated) -> None:
    (name,) = desks(polyai, 1)
    shown = {"connectorId": name, "asrLangCode": "en-GB", "voiceName": "en-GB-Neural2-A"}
    results = [{"connectorId": name, "success": True, "data": shown}]
    polyai.server.fault("answer", operation=BATCH, status=200, body={"results": results})

    outcome = polyai.run(update(*french(name)))

    assert (outcome.state, counts(outcome)) == ("failed", {"failed": 1})
    assert "differs in: asr_lang_code" in str(outcome.error)
    assert polyai.requests() == {GET: 1, BATCH: 1}


@pytest.mark.parametrize("action", ["reset", "truncate", "not_json"])
def test_a_batch_that_was_applied_but_not_answered_is_read_back_and_not_sent_again(
    polyai: Emulated, action: Any
) -> None:
    names = desks(polyai, 3)
    polyai.server.fault(action, operation=BATCH, apply=True)

    outcome = polyai.run(update(*french(*names)))

    assert counts(outcome) == {"changed": 3}
    assert polyai.requests() == {GET: 2, BATCH: 1}
    assert languages(polyai, *names) == {"fr-FR"}


def test_a_batch_that_is_refused_as_a_whole_is_cut_down_to_the_offender(polyai: Emulated) -> None:
    names = desks(polyai, 8)
    polyai.server.fault("answer", operation=BATCH, status=400, body_contains=names[5], times=None)

    outcome = polyai.run(update(*french(*names), retries=3))

    assert outcome.state == "failed"
    assert isinstance(outcome.error, ItemsFailedPermanently)
    assert counts(outcome) == {"changed": 7, "failed": 1}
    assert items(outcome)["harbour-hotels/desk-005"]["status"] == "failed"
    assert languages(polyai, *(name for name in names if name != names[5])) == {"fr-FR"}
    assert polyai.requests() == {GET: 4, BATCH: 7}


# --------------------------------------------------------------------------------------- the canary


def test_a_voice_that_the_canary_refuses_leaves_the_others_untouched(polyai: Emulated) -> None:
    names = desks(polyai, 5)
    before = polyai.state()

    outcome = polyai.run(update(*speaking(*names, voice="robot"), retries=3))

    assert outcome.state == "failed"
    assert isinstance(outcome.error, ItemsFailedPermanently)
    assert counts(outcome) == {"failed": 1, "skipped": 4}
    assert "CONNECTORS_VALIDATION_FAILED" in items(outcome)["harbour-hotels/desk-000"]["reason"]
    assert "desk-000 failed" in items(outcome)["harbour-hotels/desk-004"]["reason"]
    assert (polyai.requests(), polyai.state()) == ({GET: 1, ONE: 1}, before)


def test_each_new_voice_has_its_own_canary(polyai: Emulated) -> None:
    names = desks(polyai, 6)
    wanted = [*speaking(*names[:3]), *speaking(*names[3:], voice="robot")]

    outcome = polyai.run(update(*wanted))

    assert counts(outcome) == {"changed": 3, "failed": 1, "skipped": 2}
    assert polyai.requests() == {GET: 1, ONE: 2, BATCH: 1}
    assert [polyai.connector(HOTELS, name)["voiceName"] for name in names[:3]] == [VOICE] * 3


def test_updates_without_a_new_voice_do_not_wait_for_a_canary(polyai: Emulated) -> None:
    names = desks(polyai, 5)

    outcome = polyai.run(update(*speaking(*names[:3], voice="robot"), *french(*names[3:])))

    assert counts(outcome) == {"changed": 2, "failed": 1, "skipped": 2}
    assert polyai.requests() == {GET: 1, ONE: 1, BATCH: 1}
    assert languages(polyai, *names[3:]) == {"fr-FR"}


# ------------------------------------------------------------------------------- Airflow's own ways


def test_a_change_emits_an_event_with_counts_and_run(polyai: Emulated) -> None:
    mine = Asset(name="desks", uri="x-hotels://desks")

    outcome = polyai.run(update(*french(*desks(polyai, 2)), outlets=mine))

    events = {event["dest_asset_key"]["uri"]: event["extra"] for event in outcome.asset_events}
    run = {"dag_id": "harness", "run_id": "test-run", "task_id": "update"}
    emitted = {event["dest_asset_key"]["name"] for event in outcome.asset_events}
    assert emitted == {connectors_uri(HOTELS), "desks"}  # a schedule by URI alone has the URI as its name
    assert events == {
        connectors_uri(HOTELS): {"changed": 2, "run": run},
        "x-hotels://desks": {**outcome.result, "run": run},
    }
    assert polyai.requests() == {GET: 1, BATCH: 1}


@pytest.mark.parametrize(("status", "state"), [(503, "up_for_retry"), (403, "failed")])
def test_connectors_that_cannot_be_read_are_not_written(polyai: Emulated, status: int, state: str) -> None:
    polyai.server.fault("answer", operation=GET, status=status, times=None)

    outcome = polyai.run(update(*french(*desks(polyai, 2)), retries=1))

    assert outcome.state == state
    assert polyai.requests() == {GET: 5 if status == 503 else 1}


def test_no_key_is_kept_when_a_refused_item_quotes_it(polyai: Emulated) -> None:
    (name,) = desks(polyai, 1)
    results = [{"connectorId": name, "success": False, "error": "key demo-key-uk is refused"}]
    polyai.server.fault("answer", operation=BATCH, status=200, body={"results": results})

    outcome = polyai.run(update(*french(name)))

    assert counts(outcome) == {"failed": 1}
    assert "demo-key-uk" not in repr(outcome.xcoms) + repr(outcome.error)


def test_no_key_is_kept_or_logged(polyai: Emulated) -> None:
    polyai.server.fault(
        "answer", operation=BATCH, status=400, times=None, body={"message": "key demo-key-uk is refused"}
    )

    outcome = polyai.run(update(*french(*desks(polyai, 1))))

    assert (outcome.state, counts(outcome)) == ("failed", {"failed": 1})
    assert "demo-key-uk" not in kept_text(outcome)
    assert polyai.requests() == {GET: 1, BATCH: 1}


def test_a_mapped_update_runs_each_environment(polyai: Emulated) -> None:
    with DAG("voices", schedule=None):
        mapped = PolyAIBatchUpdateConnectorsOperator.partial(
            task_id="update", agent_id=HOTELS, changes={"asr_lang_code": "de-DE"}, confirm_live=True
        ).expand(selector=[{"client_env": environment} for environment in ENVIRONMENTS])

    outcomes = [polyai.run(mapped, map_index=index) for index in range(3)]

    assert [counts(outcome) for outcome in outcomes] == [{"changed": 1}, {"changed": 1}, {"changed": 3}]
    assert polyai.requests() == {LIST: 3, BATCH: 3}


# ---------------------------------------------------------------------------- guarantees of the engine


def test_waves_and_failures_count_connectors(polyai: Emulated) -> None:
    wanted = french(*desks(polyai, 6))
    wanted[0]["asr_lang_code"] = "no language"

    outcome = polyai.run(update(*wanted, waves=[2, "100%"], max_failures=0))

    assert counts(outcome) == {"changed": 1, "failed": 1, "skipped": 4}
    assert "1 of 6 item(s) failed, and max_failures allows 0" in outcome.log
    assert polyai.requests() == {GET: 1, BATCH: 1}


def test_named_connectors_are_reported_in_their_order_whatever_their_environment(polyai: Emulated) -> None:
    named = ["conn_hh_live_main", "conn_hh_sandbox", "conn_hh_live_groups"]

    outcome = polyai.run(update(*french(*named), confirm_live=True))

    assert [item["name"] for item in outcome.xcoms["report"]["items"]] == named
    assert polyai.requests() == {GET: 1, BATCH: 1}


def test_a_partial_success_is_no_excuse_for_a_plan_that_is_refused(polyai: Emulated) -> None:
    outcome = polyai.run(update(*french("conn_hh_live_main"), on_partial="tolerate"))

    assert (outcome.state, type(outcome.error)) == ("failed", GuardRefused)
    assert polyai.writes() == 0


def test_a_partial_success_is_no_excuse_for_a_run_that_was_stopped(polyai: Emulated) -> None:
    polyai.runner.variables["voice_agents_stop"] = "on"

    outcome = polyai.run(update(*french(*desks(polyai, 2)), on_partial="tolerate"))

    assert (outcome.state, counts(outcome)) == ("failed", {"skipped": 2})
    assert polyai.writes() == 0


def test_a_retry_knows_what_it_selected_by_a_setting_that_it_changes(polyai: Emulated) -> None:
    desks(polyai, 3)
    english = {"client_env": SANDBOX, "asr_lang_code": "en-GB"}
    task = update(selector=english, changes={"asr_lang_code": "fr-FR"})

    first = polyai.run(task)
    second, requests = polyai.again(task, try_number=2)  # the first try was killed before Airflow knew

    assert (counts(first), counts(second)) == ({"changed": 4}, {"unchanged": 4})
    assert requests == {LIST: 1}


@pytest.mark.parametrize("answer", [{"found": [], "notFound": []}, {"found": [], "notFound": ["desk-000"]}])
def test_a_connector_that_an_answer_leaves_out_is_unread_and_not_absent(
    polyai: Emulated, answer: dict[str, Any]
) -> None:
    polyai.server.fault("answer", operation=GET, status=200, body=answer, times=None)

    outcome = polyai.run(update(*french(*desks(polyai, 2)), retries=1))

    assert outcome.state == "up_for_retry"
    assert "does not mention harbour-hotels/desk-00" in str(outcome.error)
    assert polyai.writes() == 0


def test_a_read_that_is_refused_for_its_size_is_cut_down(polyai: Emulated) -> None:
    names = desks(polyai, 4)
    polyai.server.fault("answer", operation=GET, status=400)

    outcome = polyai.run(update(*french(*names)))

    assert counts(outcome) == {"changed": 4}
    assert polyai.requests() == {GET: 3, BATCH: 1}


def test_a_half_applied_plan_goes_on_under_its_digest(polyai: Emulated) -> None:
    names = desks(polyai, 2)
    digest = polyai.run(update(*french(*names), dry_run=True)).result["plan_digest"]
    task = update(*french(*names), batch_size=1, concurrency=1, expected_digest=digest, retries=1)
    polyai.server.fault("answer", operation=BATCH, body_contains=names[1], status=503, times=None)
    first = polyai.run(task)
    polyai.server.clear_faults()

    second = polyai.run(task, try_number=2)

    assert (first.state, counts(first)) == ("up_for_retry", {"changed": 1, "failed": 1})
    assert counts(second) == {"changed": 1, "unchanged": 1}
    assert languages(polyai, *names) == {"fr-FR"}
