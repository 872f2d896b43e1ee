"""Assets in schedules: the name and URI that operators emit, in the group of their system."""

from __future__ import annotations

import pytest
from airflow.sdk import Asset

from airflow_voice_agents.bases.assets import asset_of
from airflow_voice_agents.get_provider_info import get_provider_info
from airflow_voice_agents.omnia_voice.assets import agent_numbers_uri
from airflow_voice_agents.polyai import assets as polyai
from airflow_voice_agents.signalwire import assets as signalwire

URIS = {
    polyai.config_uri("a b", "live"): "PolyAI",
    polyai.phone_numbers_uri("a", "live"): "PolyAI",
    polyai.connectors_uri("a"): "PolyAI",
    polyai.deployment_uri("a", "live"): "PolyAI",
    polyai.routing_uri("a"): "PolyAI",
    polyai.drift_uri("a"): "PolyAI",
    signalwire.phone_numbers_uri("acme"): "SignalWire",
    signalwire.routing_uri("acme"): "SignalWire",
    agent_numbers_uri("a"): "Omnia Voice",
}


@pytest.mark.parametrize(("uri", "group"), URIS.items(), ids=list(URIS))
def test_an_asset_is_the_one_that_a_schedule_by_uri_names(uri: str, group: str) -> None:
    found = asset_of(uri)
    plain = Asset(uri)

    assert (found.name, found.uri) == (plain.name, plain.uri) == (uri, uri)
    assert found.group == group


def test_every_scheme_has_a_group() -> None:
    schemes = {scheme for each in get_provider_info()["asset-uris"] for scheme in each["schemes"]}
    assert {uri.partition(":")[0] for uri in URIS} == schemes
