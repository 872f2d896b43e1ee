"""A colleague edits in the console while a run is under way: nothing of theirs is lost in silence."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from support.emulated import PAGES, PRE_RELEASE, SANDBOX, VALUES, Emulated, counts, items, place
from support.faults import (
    ASSIGN,
    BATCH,
    CONNECTOR,
    CONNECTOR_UPDATE,
    CONNECTORS,
    FRESH,
    IMPORT,
    NUMBER_IMPORT,
    NUMBERS,
    OTHER_CONNECTOR,
    PROMOTION,
    SITE,
    Scenario,
    Start,
    changes,
    state_without_stamps,
)
from support.forked_tasks import Nursery

AGENT = "site-0003"
"""Its page needs new values only."""


def promote(**changes: Any) -> Any:
    return PROMOTION.task(targets=place(AGENT, PRE_RELEASE), **changes)


@pytest.mark.parametrize(
    ("moment", "nth"), [(VALUES, 1), (PAGES, 3)], ids=["before the write", "before the check"]
)
def test_keys_that_a_colleague_adds_or_changes_meanwhile_stay(
    promotion: Emulated, moment: str, nth: int
) -> None:
    promotion.meanwhile(
        lambda: promotion.put(AGENT, PRE_RELEASE, theirs="new", limit=5), operation=moment, nth=nth
    )

    outcome = promotion.run(promote())

    assert counts(outcome) == {"changed": 1}
    values = promotion.values(AGENT, PRE_RELEASE)
    assert (values["theirs"], values["greeting"]) == ("new", "hello")


def test_an_edit_of_another_key_while_the_schema_was_written_stays(promotion: Emulated) -> None:
    promotion.meanwhile(lambda: promotion.put("site-0004", PRE_RELEASE, theirs="new"), operation=VALUES)

    outcome = promotion.run(PROMOTION.task(targets=place("site-0004", PRE_RELEASE)))

    assert counts(outcome) == {"changed": 1}
    assert promotion.values("site-0004", PRE_RELEASE)["theirs"] == "new"


def test_an_edit_between_plan_and_write_is_refused_where_the_snapshot_may_not_age(
    promotion: Emulated,
) -> None:
    promotion.meanwhile(
        lambda: promotion.put(AGENT, PRE_RELEASE, greeting="Theirs", theirs="new"), operation=PAGES, nth=3
    )

    outcome = promotion.run(promote(max_snapshot_age=0))

    assert counts(outcome) == {"failed": 1}
    assert (
        "changed after it was planned (greeting, theirs)"
        in items(outcome)[f"{AGENT}/{PRE_RELEASE}"]["reason"]
    )
    assert promotion.values(AGENT, PRE_RELEASE)["greeting"] == "Theirs"
    assert promotion.writes() == 0


@pytest.mark.parametrize("key", ["greeting", "hours", "limit"])
def test_an_edit_between_write_and_check_is_told_unless_it_is_of_another_key(
    promotion: Emulated, key: str
) -> None:
    theirs = {"greeting": "Theirs", "hours": {"open": "11:00"}, "limit": 9}[key]
    promotion.meanwhile(lambda: promotion.put(AGENT, PRE_RELEASE, **{key: theirs}), operation=PAGES, nth=3)

    outcome = promotion.run(promote())

    assert promotion.values(AGENT, PRE_RELEASE)[key] == theirs
    if key == "limit":  # as the source has it already, and so not written
        assert counts(outcome) == {"changed": 1}
    else:
        assert counts(outcome) == {"failed": 1}
        reason = items(outcome)[f"{AGENT}/{PRE_RELEASE}"]["reason"]
        assert f"reading it back differs in: {key}" in reason


def test_an_edit_that_is_seen_when_an_unknown_outcome_is_read_back_is_told(promotion: Emulated) -> None:
    promotion.server.fault("answer", operation=VALUES, status=503)
    promotion.meanwhile(lambda: promotion.put(AGENT, PRE_RELEASE, theirs="new"), operation=PAGES, nth=3)

    first = promotion.run(promote())

    assert counts(first) == {"failed": 1}
    assert "something else changed it meanwhile (theirs)" in items(first)[f"{AGENT}/{PRE_RELEASE}"]["reason"]
    assert counts(promotion.run(promote())) == {"changed": 1}
    values = promotion.values(AGENT, PRE_RELEASE)
    assert (values["theirs"], values["greeting"]) == ("new", "hello")


def test_settings_of_a_connector_that_a_colleague_changes_meanwhile_stay(connectors: Emulated) -> None:
    def edit() -> None:
        mine = connectors.server.polyai.agents[SITE]["connectors"]
        mine["conn_7"] = {**mine["conn_7"], "voiceName": "fr-FR-Neural2-B", "variantId": "VARIANT-0000000A"}

    connectors.meanwhile(edit, operation=BATCH)

    outcome = connectors.run(CONNECTOR_UPDATE.task())

    assert outcome.state == "success"
    record = connectors.connector(SITE, "conn_7")
    assert (record["asrLangCode"], record["voiceName"], record["variantId"]) == (
        "en-US",
        "fr-FR-Neural2-B",
        "VARIANT-0000000A",
    )


def test_a_setting_that_a_colleague_sets_back_before_the_check_is_told(connectors: Emulated) -> None:
    def edit() -> None:
        mine = connectors.server.polyai.agents[SITE]["connectors"]
        mine["conn_1"] = {**mine["conn_1"], "voiceName": "en-GB-Neural2-A"}

    connectors.meanwhile(edit, operation=CONNECTORS, nth=2)

    outcome = connectors.run(CONNECTOR_UPDATE.task())

    assert counts(outcome) == {"changed": 8, "unchanged": 1, "failed": 1}
    assert "differs in: voice_name" in items(outcome)[f"{SITE}/conn_1"]["reason"]


@pytest.mark.parametrize("batch_size", [3, 1])
@pytest.mark.parametrize("way", ["conflict", "partial"])
def test_a_number_that_a_colleague_imports_meanwhile_is_routed_as_asked_for(
    numbers: Emulated, way: str, batch_size: int
) -> None:
    numbers.server.switches.import_existing = way  # type: ignore[assignment]
    theirs = {"clientEnv": SANDBOX, "connectorId": OTHER_CONNECTOR}
    numbers.meanwhile(lambda: numbers.server.polyai.put_number(SITE, FRESH[1], theirs), operation=IMPORT)

    outcome = numbers.run(NUMBER_IMPORT.task(batch_size=batch_size))

    assert (outcome.state, counts(outcome)) == ("success", {"changed": 9, "unchanged": 1})
    assert all(numbers.number(SITE, number) == (SANDBOX, CONNECTOR) for number in FRESH)


def test_a_number_that_a_colleague_imports_elsewhere_meanwhile_is_not_moved(numbers: Emulated) -> None:
    theirs = {"clientEnv": "live", "connectorId": None}
    numbers.meanwhile(lambda: numbers.server.polyai.put_number(SITE, FRESH[1], theirs), operation=IMPORT)

    outcome = numbers.run(NUMBER_IMPORT.task())

    assert counts(outcome) == {"changed": 8, "unchanged": 1, "failed": 1}
    assert numbers.number(SITE, FRESH[1]) == ("live", None)


def test_a_number_that_a_colleague_deletes_meanwhile_is_told(numbers: Emulated) -> None:
    numbers.meanwhile(lambda: numbers.server.polyai.drop_number(SITE, FRESH[5]), operation=ASSIGN, nth=2)

    outcome = numbers.run(NUMBER_IMPORT.task())

    assert counts(outcome) == {"changed": 8, "unchanged": 1, "failed": 1}
    reason = items(outcome)[f"{SITE}/{FRESH[5]}"]["reason"]
    assert "404 PHONE_NUMBERS_NOT_FOUND" in reason
    assert numbers.number(SITE, FRESH[5]) is None


def test_a_number_that_is_deleted_before_it_is_read_back_is_told(numbers: Emulated) -> None:
    numbers.meanwhile(lambda: numbers.server.polyai.drop_number(SITE, FRESH[0]), operation=NUMBERS, nth=5)

    outcome = numbers.run(NUMBER_IMPORT.task())

    assert counts(outcome) == {"changed": 8, "unchanged": 1, "failed": 1}
    assert "differs in: presence" in items(outcome)[f"{SITE}/{FRESH[0]}"]["reason"]


def bridged(agent_id: str) -> bool:
    """Two runs would pull the bridge away from under each other; one of them is told so."""
    return agent_id == "site-0007"


@pytest.mark.parametrize("concurrency", [1, 4])
def test_two_runs_at_once_end_as_one(
    start: Start, nursery: Nursery, scenario: Scenario, concurrency: int
) -> None:
    polyai = start(scenario)
    options: dict[str, Any] = {"concurrency": concurrency}
    if scenario is PROMOTION:
        options["targets"] = [each for each in scenario.arguments["targets"] if not bridged(each["agent_id"])]
    attempt = scenario.attempt(polyai.server.url, **options)
    assert nursery.run(attempt)[0].state == "success"
    state = state_without_stamps(polyai.server)
    server = start(scenario).server

    ended = nursery.run(attempt, replace(attempt, task_id="another"))

    assert [each.state for each in ended] == ["success", "success"], [each.text for each in ended]
    assert state_without_stamps(server) == state
    if scenario is NUMBER_IMPORT:
        imports = {
            name: times for name, times in changes(server.journal.entries()).items() if "import" in name
        }
        assert imports == {f"import {number}": 1 for number in FRESH}
