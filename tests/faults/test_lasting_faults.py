"""Faults that stay: what could be done is done, the rest is told as it is, and the next run finishes it."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_voice_agents.emulator.fleet_seed import FLEET_KEY
from airflow_voice_agents.transport.errors import ItemsFailed, ItemsFailedPermanently, Unauthorized
from support.emulated import PRE_RELEASE, SCHEMA, VALUES, Emulated, counts, items
from support.faults import (
    ASSIGN,
    BATCH,
    CONNECTOR_UPDATE,
    FRESH,
    IMPORT,
    NUMBER_IMPORT,
    NUMBERS,
    PROMOTION,
    SITE,
    Scenario,
    Start,
    Truth,
    changes,
    contradictions,
    sent_blind,
)

WRITES = "schema$|variables$|connectors/conn|connectors/batch$|phone-numbers$|phone-numbers/%2B"
"""Routes of the writes that the scenarios need; with PUT, PATCH and POST to the bare list."""


def wanted(start: Start, scenario: Scenario) -> tuple[Truth, dict[str, int]]:
    """What an undisturbed run leads to, and what it changes."""
    polyai = start(scenario)
    assert polyai.run(scenario.task()).state == "success"
    return scenario.truth(polyai.server), changes(polyai.server.journal.entries())


def write_faults(polyai: Emulated, scenario: Scenario, nth: int, **rule: Any) -> Any:
    """A fault for every write of a scenario from the nth on."""
    if scenario is NUMBER_IMPORT:
        return polyai.server.fault(operation=IMPORT, nth=nth, times=None, **rule)
    return polyai.server.fault(route=WRITES, method="PATCH", nth=nth, times=None, **rule)


# ----------------------------------------------------------------------------------------- the key


def test_a_key_that_expires_in_the_middle_stops_everything_else(start: Start, scenario: Scenario) -> None:
    goal, _ = wanted(start, scenario)
    polyai = start(scenario)
    before, keys = scenario.truth(polyai.server), polyai.server.polyai.keys
    operation = {PROMOTION: VALUES, CONNECTOR_UPDATE: BATCH, NUMBER_IMPORT: IMPORT}[scenario]

    def expire() -> None:
        keys[FLEET_KEY] = {**keys[FLEET_KEY], "expired": True}

    polyai.meanwhile(expire, operation=operation, nth=2)

    outcome = polyai.run(scenario.task(retries=3))

    after, refused = scenario.truth(polyai.server), 0
    for entry in polyai.server.journal.entries():
        refused += entry.status == 401
        assert not refused or not entry.changed
    assert refused == 1
    assert outcome.state == "failed"
    assert isinstance(outcome.error, (ItemsFailedPermanently, Unauthorized))
    assert contradictions(outcome, before=before, after=after, wanted=goal) == []
    assert before != after != goal

    keys[FLEET_KEY] = {**keys[FLEET_KEY], "expired": False}
    again = polyai.run(scenario.task())
    assert (again.state, scenario.truth(polyai.server)) == ("success", goal)


def test_a_key_that_may_not_write_schemas_still_brings_values(promotion: Emulated, start: Start) -> None:
    goal, _ = wanted(start, PROMOTION)
    promotion = start(PROMOTION)
    before, keys = PROMOTION.truth(promotion.server), promotion.server.polyai.keys
    keys[FLEET_KEY] = {**keys[FLEET_KEY], "denied": [SCHEMA]}

    outcome = promotion.run(PROMOTION.task(retries=2))

    after = PROMOTION.truth(promotion.server)
    assert isinstance(outcome.error, ItemsFailedPermanently)
    assert counts(outcome) == {"changed": 1, "unchanged": 1, "failed": 5}
    assert contradictions(outcome, before=before, after=after, wanted=goal) == []
    found = items(outcome)
    item = found[f"site-0005/{PRE_RELEASE}"]  # values first
    assert item["applied"] == [VALUES]
    assert f"Applied before that: {VALUES}." in item["reason"]
    assert after[f"site-0005/{PRE_RELEASE}"]["values"] == goal[f"site-0005/{PRE_RELEASE}"]["values"]
    for agent_id in ("site-0004", "site-0006", "site-0007", "site-0008"):  # the schema first
        assert "403" in found[f"{agent_id}/{PRE_RELEASE}"]["reason"]
        assert after[f"{agent_id}/{PRE_RELEASE}"] == before[f"{agent_id}/{PRE_RELEASE}"]


def test_one_project_that_the_key_may_not_read_stops_all_before_the_first_write(promotion: Emulated) -> None:
    keys = promotion.server.polyai.keys
    agents = [agent_id for agent_id in promotion.server.polyai.agents if agent_id != "site-0005"]
    keys[FLEET_KEY] = {**keys[FLEET_KEY], "agents": agents}
    before = PROMOTION.truth(promotion.server)

    outcome = promotion.run(PROMOTION.task())

    assert outcome.state == "failed"
    assert "site-0005/pre-release could not be read" in str(outcome.error)
    assert (promotion.writes(), PROMOTION.truth(promotion.server)) == (0, before)


@pytest.mark.parametrize("status", [403, 404])
def test_one_project_that_may_not_be_written_leaves_the_others_alone(start: Start, status: int) -> None:
    goal, written = wanted(start, PROMOTION)
    polyai = start(PROMOTION)
    before = PROMOTION.truth(polyai.server)
    polyai.server.fault("answer", method="PATCH", route="site-0003", status=status, times=None)

    outcome = polyai.run(PROMOTION.task(retries=2))

    after = PROMOTION.truth(polyai.server)
    assert isinstance(outcome.error, ItemsFailedPermanently)
    assert counts(outcome) == {"changed": 5, "unchanged": 1, "failed": 1}
    assert contradictions(outcome, before=before, after=after, wanted=goal) == []
    done = changes(polyai.server.journal.entries())
    assert done == {path: times for path, times in written.items() if "site-0003" not in path}


# --------------------------------------------------------------------- what is refused for its content


@pytest.mark.parametrize("operation", [SCHEMA, VALUES])
@pytest.mark.parametrize(
    "code",
    [
        "REAL_TIME_CONFIG_FORBIDDEN_ACCESS",
        "REAL_TIME_CONFIG_INVALID_FOR_SCHEMA",
        "REAL_TIME_CONFIG_INVALID_SCHEMA",
    ],
)
def test_a_page_that_the_platform_refuses_fails_and_says_how_far_it_came(
    start: Start, operation: str, code: str
) -> None:
    goal, _ = wanted(start, PROMOTION)
    polyai = start(PROMOTION)
    before = PROMOTION.truth(polyai.server)
    body = {"success": False, "error_code": code, "error_message": "no", "error": "no", "data": None}
    status = 403 if code.endswith("ACCESS") else 400
    fault = polyai.server.fault(
        "answer", operation=operation, route="site-000[457]", status=status, body=body, times=None
    )

    outcome = polyai.run(PROMOTION.task(retries=2))

    after = PROMOTION.truth(polyai.server)
    assert isinstance(outcome.error, ItemsFailedPermanently)
    assert counts(outcome) == {"changed": 3, "unchanged": 1, "failed": 3}
    assert fault.fired == 3
    assert contradictions(outcome, before=before, after=after, wanted=goal) == []
    for item in items(outcome).values():
        assert (item["status"] == "failed") is (code in item.get("reason", ""))

    polyai.server.clear_faults()
    again = polyai.run(PROMOTION.task())
    assert (again.state, PROMOTION.truth(polyai.server)) == ("success", goal)


def test_a_platform_that_checks_the_bare_patch_refuses_it_and_nothing_else_is_lost(start: Start) -> None:
    goal, _ = wanted(start, PROMOTION)
    polyai = start(PROMOTION)
    polyai.server.switches.variables_validation = "patch_required"
    before = PROMOTION.truth(polyai.server)

    outcome = polyai.run(PROMOTION.task())

    after = PROMOTION.truth(polyai.server)
    assert isinstance(outcome.error, ItemsFailedPermanently)
    assert "REAL_TIME_CONFIG_INVALID_FOR_SCHEMA" in str(outcome.error)
    assert contradictions(outcome, before=before, after=after, wanted=goal) == []


def test_connectors_that_the_platform_refuses_one_by_one_fail_alone(start: Start) -> None:
    polyai = start(CONNECTOR_UPDATE)
    polyai.meanwhile(lambda: polyai.server.polyai.agents[SITE]["connectors"].pop("conn_7"), operation=BATCH)
    del polyai.server.polyai.agents[SITE]["branches"]["main"]["variants"]["VARIANT-0000000A"]
    before = CONNECTOR_UPDATE.truth(polyai.server)

    outcome = polyai.run(CONNECTOR_UPDATE.task(check_variants=False, retries=2))

    after = CONNECTOR_UPDATE.truth(polyai.server)
    goal = {**after, f"{SITE}/conn_7": "gone", f"{SITE}/conn_8": "refused"}
    assert isinstance(outcome.error, ItemsFailedPermanently | ItemsFailed)
    assert counts(outcome) == {"changed": 7, "unchanged": 1, "failed": 2}
    before[f"{SITE}/conn_7"] = None
    assert contradictions(outcome, before=before, after=after, wanted=goal) == []


@pytest.mark.parametrize("way", ["conflict", "partial"])
def test_a_number_that_another_project_took_meanwhile_fails_alone(start: Start, way: str) -> None:
    polyai = start(NUMBER_IMPORT)
    polyai.server.switches.import_existing = way  # type: ignore[assignment]
    taken = {"clientEnv": "live", "connectorId": None}
    polyai.meanwhile(lambda: polyai.server.polyai.put_number("site-0002", FRESH[1], taken), operation=IMPORT)
    before = NUMBER_IMPORT.truth(polyai.server)

    outcome = polyai.run(NUMBER_IMPORT.task())

    entries, after = polyai.server.journal.entries(), NUMBER_IMPORT.truth(polyai.server)
    assert counts(outcome) == {"changed": 8, "unchanged": 1, "failed": 1}
    goal = {**after, f"{SITE}/{FRESH[1]}": "here"}
    assert contradictions(outcome, before=before, after=after, wanted=goal) == []
    assert polyai.number("site-0002", FRESH[1]) == ("live", None)
    assert set(changes(entries).values()) == {1}
    if way == "conflict":
        assert sent_blind(entries) == []


# --------------------------------------------------------------------------- nobody knows, for long


@pytest.mark.parametrize("apply", [False, True], ids=["not applied", "applied"])
@pytest.mark.parametrize("operation", [IMPORT, ASSIGN])
def test_an_outcome_that_cannot_be_read_back_is_told_as_unknown_and_repeated_by_nobody(
    start: Start, operation: str, apply: bool
) -> None:
    goal, written = wanted(start, NUMBER_IMPORT)
    polyai = start(NUMBER_IMPORT)
    polyai.server.fault("reset", operation=operation, apply=apply, nth=2, times=None)
    silent = polyai.server.fault(
        "answer", operation=NUMBERS, nth=5 if operation == IMPORT else 8, status=503, times=None
    )

    first = polyai.run(NUMBER_IMPORT.task(retries=1))

    assert silent.fired
    assert first.state == "up_for_retry"
    assert counts(first)["unknown"] >= 1
    reasons = [item["reason"] for item in items(first).values() if item["status"] == "unknown"]
    assert all("could not be read" in reason for reason in reasons)
    assert sent_blind(polyai.server.journal.entries()) == []
    polyai.server.clear_faults()
    second = polyai.run(NUMBER_IMPORT.task(retries=1), try_number=2)

    entries = polyai.server.journal.entries()
    assert (second.state, NUMBER_IMPORT.truth(polyai.server)) == ("success", goal)
    assert changes(entries) == written
    assert sent_blind(entries) == []


@pytest.mark.parametrize("apply", [False, True], ids=["not applied", "applied"])
def test_an_outage_that_lasts_ends_in_a_true_report_and_a_retry_that_finishes(
    start: Start, scenario: Scenario, apply: bool
) -> None:
    goal, _ = wanted(start, scenario)
    polyai = start(scenario)
    before = scenario.truth(polyai.server)
    fault = write_faults(polyai, scenario, 2, action="answer", status=503, apply=apply)

    first = polyai.run(scenario.task(retries=1))

    between = scenario.truth(polyai.server)
    assert fault.fired
    assert contradictions(first, before=before, after=between, wanted=goal) == []
    assert sent_blind(polyai.server.journal.entries()) == []
    polyai.server.clear_faults()
    second = polyai.run(scenario.task(retries=1), try_number=2)

    assert (second.state, scenario.truth(polyai.server)) == ("success", goal)
    assert contradictions(second, before=between, after=goal, wanted=goal) == []


def test_resends_are_bounded_while_everything_is_down(start: Start, scenario: Scenario) -> None:
    polyai = start(scenario)
    write_faults(polyai, scenario, 1, action="answer", status=503)

    polyai.run(scenario.task())

    sent = polyai.server.journal.writes()
    assert len(sent) <= 20 + 2 * len(scenario.truth(polyai.server))
