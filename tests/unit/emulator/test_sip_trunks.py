"""The provider's own calls for SIP trunks and extensions, answered by the server."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from airflow_voice_agents.emulator.core import default_seed
from airflow_voice_agents.emulator.server import EmulatorServer
from airflow_voice_agents.emulator.state import SeedError
from airflow_voice_agents.polyai import api
from airflow_voice_agents.polyai.connection import ConnectionFields
from airflow_voice_agents.transport.client import Client
from airflow_voice_agents.transport.errors import BadRequest, Conflict, Forbidden, NotFound

ACCOUNT, TRUNK, BOUND, NEW = "demo-uk", "tr-0k3m5n7p9r1t", "+441632960005", "+442079460901"
HOTELS, BRIGHTON, ST_HELIER = "harbour-hotels", "VARIANT-C93513B5", "VARIANT-42CC9B38"


@pytest.fixture
def client(server: EmulatorServer) -> Iterator[Client]:
    server.reset(default_seed())
    fields = ConnectionFields("local", "demo-key-uk", server.url, None, {"timeout": 20, "max_concurrency": 1})
    with Client(fields.client_settings()) as opened:
        yield opened


def create(extension: str = NEW, agent_id: str = HOTELS, **more: Any) -> Any:
    return api.create_sip_extension(
        ACCOUNT, trunk_id=TRUNK, extension=extension, agent_id=agent_id, client_env="live", **more
    )


def test_an_extension_lives_from_creation_to_deletion(client: Client) -> None:
    made = client.send(create(variant_id=ST_HELIER))
    found = client.send(api.get_sip_extension("ws-7c41d0aa", trunk_id=TRUNK, extension=NEW))
    changed = client.send(
        api.update_sip_extension(
            ACCOUNT, trunk_id=TRUNK, extension=NEW, agent_id=HOTELS, client_env="sandbox", variant_id=BRIGHTON
        )
    )
    client.send(api.delete_sip_extension(ACCOUNT, trunk_id=TRUNK, extension=NEW))

    assert made == found
    assert (made.agent_id, made.client_env, made.variant_id) == (HOTELS, "live", ST_HELIER)
    assert (changed.client_env, changed.variant_id) == ("sandbox", BRIGHTON)
    left = client.send(api.list_sip_extensions(ACCOUNT, trunk_id=TRUNK))
    assert {each.extension for each in left} == {BOUND, "1000"}
    with pytest.raises(NotFound):
        client.send(api.get_sip_extension(ACCOUNT, trunk_id=TRUNK, extension=NEW))


def test_trunks_are_those_of_the_account_of_the_key(client: Client) -> None:
    (trunk,) = client.send(api.list_sip_trunks(ACCOUNT))

    assert client.send(api.get_sip_trunk(ACCOUNT, trunk_id=TRUNK)) == trunk
    assert trunk.hostname == f"{TRUNK}.sbc.sip.uk.poly.ai"
    with pytest.raises(Forbidden):
        client.send(api.list_sip_trunks("demo-us"))
    with pytest.raises(NotFound, match="tr-2"):
        client.send(api.get_sip_trunk(ACCOUNT, trunk_id="tr-2"))


def test_what_is_not_known_has_a_switch(server: EmulatorServer, client: Client) -> None:
    with pytest.raises(Conflict, match="already exists"):
        client.send(create(BOUND))
    with pytest.raises(BadRequest, match="nobody"):
        client.send(create(agent_id="nobody"))
    bare = api.update_sip_extension(
        ACCOUNT, trunk_id=TRUNK, extension=NEW, agent_id=HOTELS, client_env="live"
    )
    client.send(create(variant_id=ST_HELIER))
    server.switches.sip_omitted_variant = "keep"
    assert client.send(bare).variant_id == ST_HELIER
    server.switches.sip_omitted_variant = "default"
    assert client.send(bare).variant_id == BRIGHTON

    server.switches.sip_existing = "replace"
    assert client.send(create(BOUND)).extension == BOUND
    server.switches.sip_unknown_agent = "take"
    assert client.send(create("2", "nobody")).agent_id == "nobody"
    server.switches.sip_hostname = "absent"
    assert client.send(api.get_sip_trunk(ACCOUNT, trunk_id=TRUNK)).hostname is None
    server.switches.response_ids = "prefixed"
    assert client.send(create("3")).agent_id == "PROJECT-5A1E9C07"
    server.switches.sip_agent_ids = "as_sent"
    assert client.send(create("4")).agent_id == HOTELS


def test_a_seed_with_an_unknown_environment_is_refused(server: EmulatorServer) -> None:
    trunks = {"tr-1": {"extensions": {"1": {"agent": HOTELS, "clientEnv": "prod"}}}}

    with pytest.raises(SeedError, match="sipTrunks"):
        server.reset({"polyai": {"accounts": {ACCOUNT: {"sipTrunks": trunks}}}})
