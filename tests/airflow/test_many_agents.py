"""One task for many agents: numbers and connectors, side by side, where one agent's failure stops no other."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from airflow_voice_agents.polyai.assets import connectors_uri, phone_numbers_uri
from airflow_voice_agents.polyai.operators.connectors import PolyAIBatchUpdateConnectorsOperator
from airflow_voice_agents.polyai.operators.phone_numbers import PolyAIImportPhoneNumbersOperator
from airflow_voice_agents.transport.errors import GuardRefused, InputError, ItemsFailedPermanently
from support.airflow_runner import make
from support.emulated import BANK, HOTELS, LIVE, PRE_RELEASE, ROSA, SANDBOX, Emulated, counts, items

READ, IMPORT, CONNECTOR = "get phone numbers", "import phone numbers", "get connector"
LIST, GET, BATCH, VARIANTS = "list connectors", "get connectors", "update connectors", "list variants"
DESKS = {HOTELS: "conn_hh_sandbox", ROSA: "conn_rr_sandbox", BANK: "conn_nb_sandbox"}
FRENCH = {"asr_lang_code": "fr-FR"}


def numbers(agent: str, count: int = 2) -> list[str]:
    """Numbers that nobody has, other ones for each agent."""
    first = list(DESKS).index(agent) * 100
    return [f"+44207946{number:04}" for number in range(first, first + count)]


def target(agent: str, count: int = 2, **more: Any) -> dict[str, Any]:
    return {
        "agent_id": agent,
        "connector_id": DESKS[agent],
        "phone_numbers": numbers(agent, count),
        **more,
    }


def imports(*targets: dict[str, Any], **arguments: Any) -> PolyAIImportPhoneNumbersOperator:
    usual = {"client_env": SANDBOX, "targets": list(targets)}
    return make(PolyAIImportPhoneNumbersOperator, task_id="import", **{**usual, **arguments})


def updates(*targets: dict[str, Any], **arguments: Any) -> PolyAIBatchUpdateConnectorsOperator:
    usual = {"selector": {"client_env": SANDBOX}, "changes": FRENCH}
    given = {"targets": list(targets), **usual, **arguments}
    return make(PolyAIBatchUpdateConnectorsOperator, task_id="update", **given)


def agents(*names: str) -> list[dict[str, Any]]:
    return [{"agent_id": name} for name in names]


def by_owner(outcome: Any) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = outcome.xcoms["report"]["by_owner"]
    return found


def there(polyai: Emulated, agent: str, count: int = 2) -> set[Any]:
    return {polyai.number(agent, number) for number in numbers(agent, count)}


# ------------------------------------------------------------------------------------ numbers


def test_numbers_of_many_agents_cost_two_reads_and_an_import_per_batch_of_each(polyai: Emulated) -> None:
    task = imports(target(HOTELS, 5), target(ROSA, 3), batch_size=2)

    first = polyai.run(task)
    requests = polyai.requests()
    second, requests_again = polyai.again(task)

    assert (counts(first), counts(second)) == ({"changed": 8}, {"unchanged": 8})
    assert requests == {CONNECTOR: 2, READ: 2 * 5, IMPORT: 5}
    assert requests_again == {CONNECTOR: 2, READ: 5}
    assert there(polyai, HOTELS, 5) == {(SANDBOX, DESKS[HOTELS])}
    assert there(polyai, ROSA, 3) == {(SANDBOX, DESKS[ROSA])}
    assert by_owner(first) == {HOTELS: {"total": 5, "changed": 5}, ROSA: {"total": 3, "changed": 3}}
    assert f"import phone numbers, by owner:\n  {HOTELS}: 5 changed\n  {ROSA}: 3 changed" in first.log
    assert {event["dest_asset_key"]["uri"]: event["extra"]["changed"] for event in events(first)} == {
        phone_numbers_uri(HOTELS, SANDBOX): 5,
        phone_numbers_uri(ROSA, SANDBOX): 3,
    }


def events(outcome: Any) -> list[dict[str, Any]]:
    return list(outcome.asset_events)


def test_targets_of_one_agent_with_other_connectors_and_environments_are_one_import_each(
    polyai: Emulated,
) -> None:
    one, two = numbers(HOTELS)
    targets = [
        {"agent_id": HOTELS, "phone_numbers": [one], "connector_id": DESKS[HOTELS]},
        {"agent_id": HOTELS, "phone_numbers": [two], "client_env": PRE_RELEASE},
    ]

    outcome = polyai.run(imports(*targets))

    assert counts(outcome) == {"changed": 2}
    assert polyai.number(HOTELS, one) == (SANDBOX, DESKS[HOTELS])
    assert polyai.number(HOTELS, two) == (PRE_RELEASE, "conn_hh_prerelease")


def test_a_connector_of_another_environment_fails_its_numbers_alone(polyai: Emulated) -> None:
    wrong = target(HOTELS, connector_id="conn_hh_live_main")

    outcome = polyai.run(imports(wrong, target(ROSA)))

    assert (outcome.state, type(outcome.error)) == ("failed", ItemsFailedPermanently)
    assert by_owner(outcome) == {HOTELS: {"total": 2, "failed": 2}, ROSA: {"total": 2, "changed": 2}}
    reason = items(outcome)[f"{HOTELS}/{numbers(HOTELS)[0]}"]["reason"]
    assert reason == (
        "connector conn_hh_live_main belongs to live, and the numbers are for sandbox. They were not imported. "
        "Name a connector of sandbox."
    )
    assert (there(polyai, HOTELS), polyai.requests()) == ({None}, {CONNECTOR: 2, READ: 2, IMPORT: 1})


def test_an_agent_that_does_not_exist_fails_alone(polyai: Emulated) -> None:
    absent = {"agent_id": "nobody", "phone_numbers": ["+442079469999"]}

    outcome = polyai.run(imports(absent, target(ROSA)))

    assert (outcome.state, type(outcome.error)) == ("failed", ItemsFailedPermanently)
    assert by_owner(outcome) == {"nobody": {"total": 1, "failed": 1}, ROSA: {"total": 2, "changed": 2}}
    assert "it could not be read: " in items(outcome)["nobody/+442079469999"]["reason"]


@pytest.mark.parametrize("operation", [CONNECTOR, READ])
def test_an_agent_that_cannot_be_read_for_the_moment_is_left_to_the_retry(
    polyai: Emulated, operation: str
) -> None:
    polyai.server.fault("answer", operation=operation, route=HOTELS, status=503, times=None)
    task = imports(target(HOTELS), target(ROSA), retries=1)

    first = polyai.run(task)
    polyai.server.clear_faults()
    second = polyai.run(task, try_number=2)

    assert first.state == "up_for_retry"
    assert by_owner(first) == {HOTELS: {"total": 2, "failed": 2}, ROSA: {"total": 2, "changed": 2}}
    assert by_owner(second) == {HOTELS: {"total": 2, "changed": 2}, ROSA: {"total": 2, "unchanged": 2}}


def test_a_refused_key_fails_the_task_before_any_write(polyai: Emulated) -> None:
    polyai.connect(key="demo-key-expired")

    outcome = polyai.run(imports(target(HOTELS), target(ROSA)))

    assert (outcome.state, polyai.writes()) == ("failed", 0)
    assert "report" not in outcome.xcoms


def test_an_agent_whose_writes_fail_stops_no_other_and_the_budget_counts_all(polyai: Emulated) -> None:
    polyai.server.fault("answer", operation=IMPORT, route=HOTELS, status=403, times=None)

    outcome = polyai.run(imports(target(HOTELS), target(ROSA)))
    stopped = polyai.run(imports(target(HOTELS), target(BANK), max_failures=1, concurrency=1))

    assert by_owner(outcome) == {HOTELS: {"total": 2, "failed": 2}, ROSA: {"total": 2, "changed": 2}}
    assert by_owner(stopped) == {HOTELS: {"total": 2, "failed": 2}, BANK: {"total": 2, "skipped": 2}}


def test_live_at_one_agent_needs_consent_for_the_run(polyai: Emulated) -> None:
    outcome = polyai.run(imports(target(HOTELS), {**target(ROSA), "client_env": LIVE, "connector_id": None}))

    assert (outcome.state, type(outcome.error)) == ("failed", GuardRefused)
    assert polyai.requests() == {}


def test_a_sandbox_without_telephony_fails_its_numbers_alone_where_auto_finds_it(polyai: Emulated) -> None:
    polyai.server.polyai.give_staging(HOTELS, "BRANCH-X")
    task = imports(target(HOTELS), target(ROSA), deployment_model="auto")

    outcome = polyai.run(task)
    allowed = polyai.run(imports(target(HOTELS), deployment_model="auto", allow_sandbox_numbers=True))
    named = polyai.run(imports(target(HOTELS), target(ROSA), deployment_model="branches"))

    assert by_owner(outcome) == {HOTELS: {"total": 2, "failed": 2}, ROSA: {"total": 2, "changed": 2}}
    assert "sandbox holds branches" in items(outcome)[f"{HOTELS}/{numbers(HOTELS)[0]}"]["reason"]
    assert counts(allowed) == {"changed": 2}
    assert isinstance(named.error, GuardRefused)


# --------------------------------------------------------------------------------------- rows


def test_rows_of_a_file_name_agent_environment_and_connector(polyai: Emulated, tmp_path: Path) -> None:
    (one, two), (three,) = numbers(HOTELS), numbers(ROSA, 1)
    table = tmp_path / "numbers.csv"
    table.write_text(
        "Agent ID,Client-Env,Phone Number,Connector ID\n"
        f"{HOTELS},sandbox,{one},{DESKS[HOTELS]}\n{ROSA},sandbox,{three},\n{HOTELS},pre-release,{two},\n"
    )

    outcome = polyai.run(imports(client_env=None, targets=None, source_file=str(table)))

    assert counts(outcome) == {"changed": 3}
    assert polyai.number(HOTELS, one) == (SANDBOX, DESKS[HOTELS])
    assert polyai.number(HOTELS, two) == (PRE_RELEASE, "conn_hh_prerelease")
    assert polyai.number(ROSA, three) == (SANDBOX, DESKS[ROSA])


def test_rows_are_records_of_an_upstream_task(polyai: Emulated, tmp_path: Path) -> None:
    rows = [{"agent_id": agent, "number": number} for agent in (HOTELS, ROSA) for number in numbers(agent)]
    file = tmp_path / "numbers.json"
    file.write_text(json.dumps(rows))

    listed = polyai.run(imports(targets=None, phone_numbers=rows))
    from_file = polyai.run(imports(targets=None, source_file=str(file), column="number"))

    assert (counts(listed), counts(from_file)) == ({"changed": 4}, {"unchanged": 4})


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"targets": [{"agent_id": HOTELS, "phone_numbers": ["12"]}]}, "targets[0].phone_numbers holds 1"),
        ({"targets": [target(HOTELS, agent_id="a/b")]}, "targets[0].agent_id must not hold a slash"),
        (
            {"targets": [target(HOTELS, client_env=PRE_RELEASE), target(HOTELS)]},
            "2 number(s) are given to two",
        ),
        ({"targets": [target(HOTELS)], "client_env": None}, "targets[0].client_env must be"),
        (
            {"targets": '[{"agent_id": "a", "phone": 1}]'},
            "targets[0] has unknown keys phone; allowed are agent_id",
        ),
        ({"targets": "{}"}, "targets must be a list of at least one mapping"),
        (
            {"targets": [target(HOTELS)], "phone_numbers": ["+442079460001"]},
            "give exactly one of phone_numbers, source_file and targets",
        ),
        (
            {"phone_numbers": numbers(HOTELS)},
            "phone_numbers has 2 number(s) without an agent: phone_numbers[0]",
        ),
        ({"phone_numbers": [{"number": numbers(HOTELS)[0]}]}, "phone_numbers[0], agent_id must"),
        (
            {"phone_numbers": [{"number": numbers(HOTELS)[0], "agent_id": HOTELS, "client_env": LIVE}]},
            "phone_numbers[0] says client_env 'live', and the task says 'sandbox'",
        ),
        ({"phone_numbers": [{"number": "x", "agent_id": HOTELS}]}, "phone_numbers[0] has letters"),
        ({"phone_numbers": [{"agent_id": HOTELS}]}, "phone_numbers holds 1 number(s) that are not E.164"),
    ],
)
def test_wrong_targets_and_rows_are_told_before_any_request(
    polyai: Emulated, arguments: dict[str, Any], said: str
) -> None:
    outcome = polyai.run(imports(**{"targets": None, **arguments}))

    assert isinstance(outcome.error, InputError)
    assert said in str(outcome.error)
    assert polyai.requests() == {}


@pytest.mark.parametrize(
    ("operator", "arguments", "said"),
    [
        (
            PolyAIImportPhoneNumbersOperator,
            {"agent_id": "a", "targets": [target(HOTELS)]},
            "give either agent_id or targets",
        ),
        (PolyAIImportPhoneNumbersOperator, {}, "give exactly one of phone_numbers, source_file and targets"),
        (
            PolyAIBatchUpdateConnectorsOperator,
            {"agent_id": "a", "targets": agents(HOTELS)},
            "give either agent_id or targets",
        ),
        (PolyAIBatchUpdateConnectorsOperator, {}, "give either agent_id or targets"),
    ],
)
def test_a_dag_that_names_no_agent_or_two_ways_of_naming_them_is_refused(
    operator: Any, arguments: dict[str, Any], said: str
) -> None:
    environment = {"client_env": SANDBOX} if operator is PolyAIImportPhoneNumbersOperator else {}
    with pytest.raises(InputError, match=said):
        operator(task_id="task", **environment, **arguments)


# ---------------------------------------------------------------------------------- connectors


def test_connectors_of_many_agents_cost_one_read_and_one_write_per_batch_of_each(polyai: Emulated) -> None:
    own = {"agent_id": BANK, "updates": [{"connector_id": "conn_nb_prerelease", **FRENCH}]}
    task = updates(*agents(HOTELS, ROSA), own)

    first = polyai.run(task)
    requests = polyai.requests()
    second, requests_again = polyai.again(task)

    assert (counts(first), counts(second)) == ({"changed": 3}, {"unchanged": 3})
    assert requests == {LIST: 2, GET: 1, BATCH: 3}
    assert requests_again == {LIST: 2, GET: 1}
    assert by_owner(first) == {each: {"total": 1, "changed": 1} for each in (HOTELS, ROSA, BANK)}
    assert {event["dest_asset_key"]["uri"] for event in events(first)} == {
        connectors_uri(agent) for agent in (HOTELS, ROSA, BANK)
    }
    for agent in (HOTELS, ROSA):
        assert polyai.connector(agent, DESKS[agent])["asrLangCode"] == "fr-FR"


def test_an_agent_of_which_a_selector_fits_nothing_fails_alone(polyai: Emulated) -> None:
    outcome = polyai.run(updates(*agents(HOTELS, ROSA), selector={"client_env": SANDBOX, "name": "Rosa*"}))

    assert (outcome.state, type(outcome.error)) == ("failed", ItemsFailedPermanently)
    assert by_owner(outcome) == {HOTELS: {"total": 1, "failed": 1}, ROSA: {"total": 1, "changed": 1}}
    assert items(outcome)[f"{HOTELS}/*"]["reason"].startswith("the selector fits none of the 5 connector(s)")


@pytest.mark.parametrize(("status", "state"), [(503, "up_for_retry"), (403, "failed")])
def test_an_agent_whose_connectors_cannot_be_read_fails_alone(
    polyai: Emulated, status: int, state: str
) -> None:
    polyai.server.fault("answer", operation=LIST, route=HOTELS, status=status, times=None)
    task = updates(*agents(HOTELS, ROSA), retries=1)

    first = polyai.run(task)
    polyai.server.clear_faults()
    second = polyai.run(task, try_number=2)

    assert first.state == state
    assert by_owner(first) == {HOTELS: {"total": 1, "failed": 1}, ROSA: {"total": 1, "changed": 1}}
    assert by_owner(second) == {HOTELS: {"total": 1, "changed": 1}, ROSA: {"total": 1, "unchanged": 1}}


def test_a_variant_that_one_agent_lacks_fails_its_connectors_alone(polyai: Emulated) -> None:
    outcome = polyai.run(updates(*agents(HOTELS, ROSA), changes={"variant_id": "VARIANT-C93513B5"}))

    assert by_owner(outcome) == {HOTELS: {"total": 1, "changed": 1}, ROSA: {"total": 1, "failed": 1}}
    assert polyai.requests() == {LIST: 2, VARIANTS: 2, BATCH: 1}


def test_a_retry_knows_what_it_selected_at_each_agent(polyai: Emulated) -> None:
    english = {"client_env": SANDBOX, "asr_lang_code": "en-GB"}
    task = updates(*agents(HOTELS, ROSA), selector=english)

    first = polyai.run(task)
    second, requests = polyai.again(task, try_number=2)  # the first try was killed before Airflow knew

    assert (counts(first), counts(second)) == ({"changed": 2}, {"unchanged": 2})
    assert requests == {LIST: 2}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"targets": [*agents(HOTELS, HOTELS)]}, f"targets names agents more than once: {HOTELS}"),
        ({"targets": agents(HOTELS), "selector": None}, "targets[0]: give either updates, or selector"),
        (
            {
                "targets": agents(HOTELS),
                "updates": [{"connector_id": "c"}],
                "selector": None,
                "changes": None,
            },
            "updates name connectors of one agent",
        ),
        ({"targets": [{"agent_id": HOTELS, "updates": [{"connector_id": "c"}]}]}, "changes nothing"),
    ],
)
def test_wrong_targets_of_connectors_are_told_before_any_request(
    polyai: Emulated, arguments: dict[str, Any], said: str
) -> None:
    outcome = polyai.run(updates(**arguments))

    assert isinstance(outcome.error, InputError)
    assert said in str(outcome.error)
    assert polyai.requests() == {}
