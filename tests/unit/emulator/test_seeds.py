"""The seeds hold what their documentation says."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_voice_agents.emulator.core import default_seed
from airflow_voice_agents.emulator.fleet_seed import fleet_seed
from airflow_voice_agents.emulator.polyai.schemas import schema_fault, values_fault

SEEDS = {"shipped": default_seed(), "fleet": fleet_seed(3, numbers=2)}
AGENTS = SEEDS["shipped"]["polyai"]["agents"]


@pytest.mark.parametrize("name", SEEDS)
def test_every_page_fits_its_own_schema(name: str) -> None:
    for agent in SEEDS[name]["polyai"]["agents"].values():
        for page in agent["configs"].values():
            assert schema_fault(page["schema"]) is None
            assert values_fault(page["variables"], page["schema"]) is None


@pytest.mark.parametrize("name", SEEDS)
def test_test_switches_are_on_in_sandbox_and_off_in_live(name: str) -> None:
    for agent in SEEDS[name]["polyai"]["agents"].values():
        settings = {env: page["variables"]["settings"] for env, page in agent["configs"].items()}
        assert (settings["sandbox"]["use_mock_api"], settings["sandbox"]["mock_dnis"]) == (True, True)
        assert (settings["live"]["use_mock_api"], settings["live"]["mock_dnis"]) == (False, False)


def test_shipped_seed_has_three_projects_forty_numbers_and_twelve_connectors() -> None:
    assert list(AGENTS) == ["harbour-hotels", "rosa-restaurants", "northgate-bank"]
    assert sum(len(agent["numbers"]) for agent in AGENTS.values()) == 40
    assert sum(len(agent["connectors"]) for agent in AGENTS.values()) == 12


@pytest.mark.parametrize("slug", AGENTS)
def test_live_lacks_a_key_and_a_property_that_sandbox_has(slug: str) -> None:
    sandbox, live = (AGENTS[slug]["configs"][env] for env in ("sandbox", "live"))

    assert set(sandbox["variables"]) - set(live["variables"])
    assert set(sandbox["schema"]["properties"]) - set(live["schema"]["properties"])


def test_one_live_page_has_a_stale_key() -> None:
    stale: dict[str, set[str]] = {
        slug: set(agent["configs"]["live"]["variables"]) - set(agent["configs"]["sandbox"]["variables"])
        for slug, agent in AGENTS.items()
    }

    assert {slug: keys for slug, keys in stale.items() if keys} == {"harbour-hotels": {"winter_notice"}}


def test_shipped_seed_holds_secrets_flags_hours_and_text_beyond_ascii() -> None:
    def properties(slug: str) -> dict[str, Any]:
        found: dict[str, Any] = AGENTS[slug]["configs"]["sandbox"]["schema"]["properties"]
        return found

    for slug in AGENTS:
        secret = [name for name, each in properties(slug).items() if each.get("format") == "password"]
        assert len(secret) == 1
        assert {"flags", "opening_hours", "holiday_message", "fallback_number"} <= set(properties(slug))
        assert not str(AGENTS[slug]["configs"]).isascii()


def test_sites_of_the_variants_have_all_attributes() -> None:
    for agent in AGENTS.values():
        main = agent["branches"]["main"]
        assert sum(variant["isDefault"] for variant in main["variants"].values()) == 1
        for variant in main["variants"].values():
            assert set(variant["values"]) == set(main["attributes"])


def test_fleet_names_sort_by_number() -> None:
    agents = list(fleet_seed(12)["polyai"]["agents"])

    assert agents[0] == "site-0001"
    assert agents == sorted(agents)
    assert len(fleet_seed(10_001)["polyai"]["agents"]) == 10_001
