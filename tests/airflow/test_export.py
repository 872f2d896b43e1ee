"""Exports through the real task runner: files, requests, reports, and that nothing leaks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from airflow_voice_agents.emulator.faults import Fault
from airflow_voice_agents.emulator.fleet_seed import FLEET_KEY, fleet_seed
from airflow_voice_agents.plans.canonical import same
from airflow_voice_agents.polyai.export_files import shelf
from airflow_voice_agents.polyai.files import EnvironmentFiles
from airflow_voice_agents.polyai.operators.backup import PolyAIExportOperator
from airflow_voice_agents.polyai.resources.connector_matching import NamedSettings
from airflow_voice_agents.transport.errors import (
    InputError,
    ItemsFailed,
    ItemsFailedPermanently,
    Unauthorized,
)
from support.airflow_runner import make
from support.emulated import (
    BANK,
    HOTELS,
    LIVE,
    PAGES,
    PRE_RELEASE,
    ROSA,
    SANDBOX,
    Emulated,
    counts,
    items,
    kept_text,
    place,
)

CONNECTORS, VARIANTS, NUMBERS = "list connectors", "list variants", "list phone numbers"
ALL_READS = {PAGES: 1, CONNECTORS: 1, VARIANTS: 1, NUMBERS: 1}
SECRET = "hunter2-in-a-page"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "fleet"


def exporting(into: Path | str, /, *targets: dict[str, Any], **arguments: Any) -> PolyAIExportOperator:
    chosen = list(targets) or [place(HOTELS, LIVE)]
    return make(
        PolyAIExportOperator, task_id="export", **{"targets": chosen, "folder": str(into), **arguments}
    )


def taken(folder: Path, agent_id: str, environment: str) -> EnvironmentFiles:
    return shelf()(str(folder), agent_id, environment)


def snapshot(folder: Path) -> dict[str, tuple[bytes, int]]:
    return {
        path.relative_to(folder).as_posix(): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in folder.rglob("*")
        if path.is_file()
    }


def agent(polyai: Emulated, agent_id: str) -> Any:
    return polyai.server.polyai.agents[agent_id]


# ------------------------------------------------------------------------------------- what is kept


def test_an_environment_is_kept_by_names_without_what_the_platform_adds(
    polyai: Emulated, folder: Path
) -> None:
    before = polyai.state()

    outcome = polyai.run(exporting(folder))

    found = taken(folder, HOTELS, LIVE)
    assert (outcome.state, counts(outcome)) == ("success", {"changed": 1})
    assert found.page is not None
    assert same(found.page.variables, polyai.values(HOTELS, LIVE))
    assert same(found.page.schema, polyai.schema(HOTELS, LIVE))
    assert found.connectors == (
        NamedSettings("Hotels Jersey, bilingual", "St Helier", "fr-FR", "fr-FR-Neural2-B"),
        NamedSettings("Hotels group bookings", None, "en-GB", "en-GB-Wavenet-C"),
        NamedSettings("Hotels main line", "Brighton", "en-GB", "en-GB-Neural2-A"),
    )
    assert found.numbers is not None
    assert (len(found.numbers), found.numbers["+441632960012"]) == (12, "Hotels Jersey, bilingual")
    assert "+441632960017" not in found.numbers, "no connector answers it"
    texts = b"".join(content for content, _ in snapshot(folder).values())
    assert not any(word in texts for word in (b"lastUpdated", b"conn_hh", b"VARIANT-", b"PROJECT-"))
    assert (polyai.requests(), polyai.state()) == (ALL_READS, before)


def test_a_second_export_writes_nothing(polyai: Emulated, folder: Path) -> None:
    targets = [place(HOTELS, SANDBOX), place(HOTELS, LIVE), place(ROSA, LIVE)]
    first = polyai.run(exporting(folder, *targets))
    kept = snapshot(folder)

    second, requests = polyai.again(exporting(folder, *targets))

    assert (first.result["files_changed"], second.result["files_changed"]) == (9, 0)
    assert (counts(first), counts(second)) == ({"changed": 3}, {"unchanged": 3})
    assert (first.result["changed"], second.result["changed"]) == (True, False)
    assert snapshot(folder) == kept
    assert len(kept) == 9
    assert requests == {PAGES: 2, CONNECTORS: 2, VARIANTS: 2, NUMBERS: 2}


def test_only_the_file_that_changed_is_written(polyai: Emulated, folder: Path) -> None:
    polyai.run(exporting(folder))
    before = snapshot(folder)
    polyai.put(HOTELS, LIVE, holiday_message="Closed")

    outcome = polyai.run(exporting(folder))

    after = snapshot(folder)
    assert [path for path in after if after[path] != before[path]] == [f"{HOTELS}/{LIVE}/config.json"]
    assert items(outcome)[f"{HOTELS}/{LIVE}"]["files"] == ["config.json"]
    assert outcome.result["files_changed"] == 1


@pytest.mark.parametrize(
    ("include", "requests"),
    [
        (["config"], {PAGES: 1}),
        (["connectors"], {CONNECTORS: 1, VARIANTS: 1}),
        (["routing"], {CONNECTORS: 1, NUMBERS: 1}),
        (["config", "routing"], {PAGES: 1, CONNECTORS: 1, NUMBERS: 1}),
    ],
)
def test_only_what_is_wanted_is_read_and_written(
    polyai: Emulated, folder: Path, include: list[str], requests: dict[str, int]
) -> None:
    targets = [place(HOTELS, each) for each in (SANDBOX, PRE_RELEASE, LIVE)]

    outcome = polyai.run(exporting(folder, *targets, include=include))

    assert counts(outcome) == {"changed": 3}
    assert polyai.requests() == requests
    assert {Path(path).stem for path in snapshot(folder)} == set(include)
    assert len(snapshot(folder)) == 3 * len(include)


def test_an_environment_that_was_never_written_is_kept_as_unset(polyai: Emulated, folder: Path) -> None:
    del agent(polyai, HOTELS)["configs"][LIVE]

    polyai.run(exporting(folder, include=["config"]))

    text = (folder / HOTELS / LIVE / "config.json").read_text()
    assert json.loads(text) == {"schema": None, "variables": None}


def test_one_target_may_stand_alone_and_come_from_a_template(polyai: Emulated, folder: Path) -> None:
    polyai.runner.push("places", place(ROSA, LIVE))
    polyai.runner.push("where", folder.as_uri())

    outcome = polyai.run(
        exporting("{{ ti.xcom_pull('where') }}/", targets="{{ ti.xcom_pull('places') | tojson }}")
    )

    assert outcome.xcoms["folder"] == folder.as_uri()
    assert taken(folder, ROSA, LIVE).page is not None


# ------------------------------------------------------------------------------------- many agents


def test_a_fleet_is_read_once_per_agent(polyai: Emulated, folder: Path) -> None:
    polyai.server.reset(fleet_seed(40))
    polyai.connect(key=FLEET_KEY)
    targets = [place(f"site-{n:04}", each) for each in (LIVE, SANDBOX) for n in range(1, 41)]

    outcome = polyai.run(exporting(folder, *targets, concurrency=8))

    assert counts(outcome) == {"changed": 80}
    assert polyai.requests() == {PAGES: 40, CONNECTORS: 40, VARIANTS: 40, NUMBERS: 40}
    assert len(snapshot(folder)) == 240
    assert taken(folder, "site-0017", LIVE).numbers == {"+441632000017": "Site 17 live"}


def test_environments_are_kept_as_soon_as_they_are_read(polyai: Emulated, folder: Path) -> None:
    """Nothing is collected: when an agent is asked for, what came before it is in its file already."""
    polyai.server.reset(fleet_seed(6))
    polyai.connect(key=FLEET_KEY)
    targets = [place(f"site-{n:04}", LIVE) for n in range(1, 7)]
    there: list[int] = []
    polyai.meanwhile(
        lambda: there.append(len(list(folder.glob("*/*/config.json")))), operation=PAGES, times=None
    )

    polyai.run(exporting(folder, *targets, concurrency=1))

    assert there == [0, 1, 2, 3, 4, 5]


# ------------------------------------------------------------------------------ what goes wrong


def test_an_agent_that_cannot_be_read_fails_alone(polyai: Emulated, folder: Path) -> None:
    targets = [place(HOTELS, LIVE), place("nobody", LIVE), place("nobody", SANDBOX)]

    outcome = polyai.run(exporting(folder, *targets))

    assert isinstance(outcome.error, ItemsFailedPermanently)
    assert outcome.state == "failed"
    assert counts(outcome) == {"changed": 1, "failed": 2}
    assert "404" in items(outcome)["nobody/live"]["reason"]
    assert {Path(path).parts[0] for path in snapshot(folder)} == {HOTELS}
    assert polyai.requests()[PAGES] == 2, "the missing agent is asked for once"


def test_a_platform_that_fails_for_one_agent_makes_the_task_try_again(polyai: Emulated, folder: Path) -> None:
    fault = Fault("answer", operation=NUMBERS, route=ROSA, status=429, headers={"Retry-After": "3000"})
    polyai.server.emulator.faults.add(fault)
    targets = [place(HOTELS, LIVE), place(ROSA, LIVE)]

    first = polyai.run(exporting(folder, *targets, concurrency=1))
    kept = snapshot(folder)
    second = polyai.run(exporting(folder, *targets))

    assert type(first.error) is ItemsFailed
    assert first.error.retry_after == 3000
    assert counts(first) == {"changed": 1, "failed": 1}
    assert {Path(path).parts[0] for path in kept} == {HOTELS}, "no part of what could not be read whole"
    assert counts(second) == {"changed": 1, "unchanged": 1}


def test_a_refused_key_ends_the_run_at_once(polyai: Emulated, folder: Path) -> None:
    polyai.connect(key="none")

    outcome = polyai.run(exporting(folder, place(HOTELS, LIVE), place(ROSA, LIVE), concurrency=1))

    assert isinstance(outcome.error, Unauthorized)
    assert sum(polyai.requests().values()) == 1
    assert not folder.exists()


@pytest.mark.parametrize(("include", "fails"), [("config", False), ("connectors", True), ("routing", True)])
def test_connectors_of_one_name_are_refused_and_other_environments_kept(
    polyai: Emulated, folder: Path, include: str, fails: bool
) -> None:
    agent(polyai, HOTELS)["connectors"]["conn_hh_live_groups"]["name"] = "Hotels main line"

    outcome = polyai.run(exporting(folder, place(HOTELS, LIVE), place(HOTELS, SANDBOX), include=[include]))

    assert counts(outcome) == ({"changed": 1, "failed": 1} if fails else {"changed": 2})
    if fails:
        reason = items(outcome)[f"{HOTELS}/{LIVE}"]["reason"]
        assert "conn_hh_live_main, conn_hh_live_groups of live have the same name" in reason
        assert "Nothing was written for it" in reason
        assert isinstance(outcome.error, ItemsFailedPermanently)
    assert (folder / HOTELS / LIVE).exists() is not fails


def test_a_name_that_two_environments_share_is_no_trouble(polyai: Emulated, folder: Path) -> None:
    agent(polyai, HOTELS)["connectors"]["conn_hh_sandbox"]["name"] = "Hotels main line"
    assert counts(polyai.run(exporting(folder, place(HOTELS, LIVE), place(HOTELS, SANDBOX)))) == {
        "changed": 2
    }


def test_a_name_that_answers_no_number_may_be_ambiguous_for_routing(polyai: Emulated, folder: Path) -> None:
    connectors = agent(polyai, HOTELS)["connectors"]
    for name in ("spare_1", "spare_2"):
        connectors[name] = {**connectors["conn_hh_live_main"], "name": "Spare"}

    assert counts(polyai.run(exporting(folder, include=["routing"]))) == {"changed": 1}


def test_a_connector_without_a_name_is_refused(polyai: Emulated, folder: Path) -> None:
    agent(polyai, HOTELS)["connectors"]["conn_hh_live_groups"]["name"] = ""

    outcome = polyai.run(exporting(folder))

    assert "Connector conn_hh_live_groups of live has no name" in items(outcome)[f"{HOTELS}/{LIVE}"]["reason"]
    assert not folder.exists()


def test_a_number_on_a_connector_of_elsewhere_is_refused(polyai: Emulated, folder: Path) -> None:
    agent(polyai, HOTELS)["numbers"]["+441632960005"]["connectorId"] = "conn_hh_sandbox"

    outcome = polyai.run(exporting(folder))

    reason = items(outcome)[f"{HOTELS}/{LIVE}"]["reason"]
    assert "+441632960005 of live lead to a connector that is not listed for live" in reason
    assert not folder.exists()


@pytest.mark.parametrize("way", ["gone", "shared"])
def test_a_variant_that_no_name_tells_is_kept_by_its_id(polyai: Emulated, folder: Path, way: str) -> None:
    variants = agent(polyai, HOTELS)["branches"]["main"]["variants"]
    if way == "gone":
        del variants["VARIANT-42CC9B38"]
    else:
        variants["VARIANT-42CC9B38"] = {**variants["VARIANT-42CC9B38"], "name": "Whitby"}

    polyai.run(exporting(folder, include=["connectors"]))

    found = taken(folder, HOTELS, LIVE).connectors
    assert found is not None
    assert [each.variant for each in found] == ["<VARIANT-42CC9B38>", None, "Brighton"]


def test_a_file_that_people_keep_as_yaml_is_not_doubled(polyai: Emulated, folder: Path) -> None:
    (folder / HOTELS / LIVE).mkdir(parents=True)
    (folder / HOTELS / LIVE / "config.yaml").write_text("schema: null\nvariables: {}\n")

    outcome = polyai.run(exporting(folder, place(HOTELS, LIVE), place(ROSA, LIVE)))

    assert counts(outcome) == {"changed": 1, "failed": 1}
    assert "config.json and config.yaml: which one counts" in items(outcome)[f"{HOTELS}/{LIVE}"]["reason"]
    assert [path.name for path in (folder / HOTELS / LIVE).iterdir()] == ["config.yaml"]


def test_a_storage_that_refuses_fails_the_item_and_not_the_others(polyai: Emulated, folder: Path) -> None:
    folder.mkdir()
    (folder / ROSA).write_text("a file where a folder should be")

    outcome = polyai.run(exporting(folder, place(ROSA, LIVE), place(HOTELS, LIVE)))

    assert type(outcome.error) is ItemsFailed, "storage may be better next time"
    assert counts(outcome) == {"changed": 1, "failed": 1}
    assert "could not be written" in items(outcome)[f"{ROSA}/{LIVE}"]["reason"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"targets": []}, "targets must not be empty"),
        ({"targets": [place(HOTELS, "staging")]}, r"targets\[0\].environment must be"),
        ({"targets": [place(HOTELS, LIVE, overrides={"a": SECRET})]}, "has unknown keys overrides"),
        ({"targets": [place(HOTELS, LIVE), place(HOTELS, LIVE)]}, "repeats harbour-hotels/live"),
        ({"targets": [place("..", LIVE)]}, r"targets\[0\].agent_id must not be empty, only dots"),
        ({"include": ["config", "prompts"]}, r"include\[1\] must be 'config', 'connectors' or 'routing'"),
        ({"include": "config"}, "include must be a list"),
        ({"include": []}, "include must not be empty"),
        ({"folder": ""}, "folder is missing"),
        ({"folder": "nowhere://x"}, "no file system"),
    ],
)
def test_wrong_arguments_are_refused_before_any_request(
    polyai: Emulated, folder: Path, arguments: dict[str, Any], message: str
) -> None:
    outcome = polyai.run(exporting(folder, **arguments))

    assert isinstance(outcome.error, InputError)
    with pytest.raises(InputError, match=message):
        raise outcome.error
    assert polyai.requests() == {}
    assert not folder.exists()
    assert SECRET not in kept_text(outcome)


# ------------------------------------------------------------------------------------- no leaks


@pytest.mark.parametrize("broken", [False, True])
def test_no_value_and_no_key_is_kept_by_airflow(polyai: Emulated, folder: Path, broken: bool) -> None:
    polyai.put(HOTELS, LIVE, webhook_secret=SECRET)
    if broken:  # a text that UTF-8 cannot hold, next to the secret
        polyai.put(BANK, LIVE, webhook_secret=f"{SECRET}\ud83d")
    targets = [place(HOTELS, LIVE), place(BANK, LIVE)]

    outcome = polyai.run(exporting(folder, *targets))

    assert SECRET in (folder / HOTELS / LIVE / "config.json").read_text()
    assert SECRET not in kept_text(outcome)
    assert polyai.key not in kept_text(outcome)
    assert counts(outcome) == ({"changed": 1, "failed": 1} if broken else {"changed": 2})
    if broken:
        assert "config.json: variables.webhook_secret" in items(outcome)[f"{BANK}/{LIVE}"]["reason"]


def test_an_export_emits_no_asset_event(polyai: Emulated, folder: Path) -> None:
    outcome = polyai.run(exporting(folder))
    assert outcome.asset_events == []
    assert outcome.result["operation"] == "export"
