"""Every hook: a missing connection, one of another type, a garbled extra and a doubled path are permanent errors."""

from __future__ import annotations

import asyncio
import importlib
import json
from collections.abc import Iterator
from typing import Any

import pytest

from airflow_voice_agents.bases.hook import VoiceAgentsHook
from airflow_voice_agents.get_provider_info import get_provider_info
from airflow_voice_agents.transport.client import Client
from airflow_voice_agents.transport.errors import ConnectionSettingsError
from support.airflow_runner import AirflowRunner
from support.airflow_versions import set_supervisor_comms

KEY = "s3cret-key-marker"
FIELDS: dict[str, dict[str, Any]] = {
    "polyai": {"extra": {"region": "uk", "account_id": "a", "runtime_api_key": KEY}},
    "signalwire": {"host": "acme", "login": "project"},
    "omniavoice": {"host": "https://api.omnia-voice.com/api/v1"},
}


def _hooks() -> Iterator[type[VoiceAgentsHook]]:
    for each in get_provider_info()["connection-types"]:
        module, _, name = each["hook-class-name"].rpartition(".")
        yield getattr(importlib.import_module(module), name)


HOOKS = list(_hooks())
every_hook = pytest.mark.parametrize("hook", HOOKS, ids=[each.conn_type for each in HOOKS])


def test_every_hook_is_walked() -> None:
    assert {each.conn_type for each in HOOKS} == set(FIELDS)


def connection(hook: type[VoiceAgentsHook], **changes: Any) -> AirflowRunner:
    fields = {"conn_type": hook.conn_type, "password": KEY, **FIELDS[hook.conn_type], **changes}
    return AirflowRunner(connections={"it": fields})


def ways(hook: type[VoiceAgentsHook]) -> Iterator[Any]:
    """Every way to a client or to the fields of a connection."""
    yield lambda: hook("it").client
    yield lambda: hook("it").get_conn()
    yield lambda: asyncio.run(hook("it").aclient())
    yield lambda: hook.get_connection("it") and hook("it").client
    for name in ("runtime", "fields", "space"):
        if hasattr(hook, name):
            yield lambda name=name: getattr(hook("it"), name)
    if hasattr(hook, "_aruntime"):
        yield lambda: asyncio.run(hook("it")._aruntime())


def refusals(hook: type[VoiceAgentsHook], runner: AirflowRunner) -> list[str]:
    said = []
    with set_supervisor_comms(runner):
        for way in ways(hook):
            with pytest.raises(ConnectionSettingsError) as caught:
                way()
            assert caught.value.permanent
            said.append(str(caught.value))
        works, message = hook("it").test_connection()  # type: ignore[attr-defined]
    assert not works
    assert not any(KEY in each for each in (*said, message))
    return [*said, message]


@every_hook
def test_a_good_connection_gives_a_client(hook: type[VoiceAgentsHook]) -> None:
    with set_supervisor_comms(connection(hook)):
        assert isinstance(hook("it").client, Client)


@every_hook
def test_a_missing_connection_is_permanent_and_says_what_to_create(hook: type[VoiceAgentsHook]) -> None:
    for said in refusals(hook, AirflowRunner(connections={})):
        assert "connection 'it' does not exist. Nothing was sent." in said
        assert f"type {hook.conn_type!r}" in said
        assert hook.conn_name_attr in said


@every_hook
@pytest.mark.parametrize("other", ["http", "polyai", "signalwire", "omniavoice", "generic", "PolyAI "])
def test_a_connection_of_another_type_never_supplies_a_key(hook: type[VoiceAgentsHook], other: str) -> None:
    if other == hook.conn_type:
        pytest.skip("its own")
    for said in refusals(hook, connection(hook, conn_type=other)):
        assert f"is of type {other!r}, not {hook.conn_type!r}, so its key was not used" in said
        assert hook.conn_name_attr in said


@every_hook
@pytest.mark.parametrize(
    ("extra", "said"),
    [
        (json.dumps(json.dumps({"timeout": 5})), "encoded twice"),
        ('"text"', "is not a JSON object, but str"),
        ("[1]", "is not a JSON object, but list"),
        ("7", "is not a JSON object, but int"),
        ("{no json", "is not valid JSON"),
    ],
)
def test_an_extra_that_is_no_object_is_named(hook: type[VoiceAgentsHook], extra: str, said: str) -> None:
    for each in refusals(hook, connection(hook, extra=extra)):
        assert f"the extra is {said.removeprefix('is ')}" in each or said in each


@every_hook
@pytest.mark.parametrize("name", ["time_out", "Timeout", "request_per_second", "max_concurency"])
def test_a_misspelled_name_in_the_extra_is_named(hook: type[VoiceAgentsHook], name: str) -> None:
    extra = {**FIELDS[hook.conn_type].get("extra", {}), name: 5}
    with (
        set_supervisor_comms(connection(hook, extra=extra)),
        pytest.raises(ConnectionSettingsError, match=rf"no field '{name}'\. Did you mean"),
    ):
        _ = hook("it").client


@every_hook
def test_an_own_name_in_the_extra_is_left_alone(hook: type[VoiceAgentsHook]) -> None:
    extra = {**FIELDS[hook.conn_type].get("extra", {}), "owner": "team-a", "description": "x"}
    with set_supervisor_comms(connection(hook, extra=extra)):
        assert hook("it").client


@pytest.mark.parametrize(
    ("conn_type", "host", "part"),
    [
        ("polyai", "https://api.uk.poly.ai/v1", "/v1"),
        ("polyai", "https://api.uk.poly.ai/V1/", "/V1"),
        ("polyai", "https://gateway.example.com/polyai/v1/agents", "/v1/agents"),
        ("signalwire", "https://acme.signalwire.com/api", "/api"),
        ("signalwire", "acme.signalwire.com/api/relay/rest", "/api/relay/rest"),
        (
            "signalwire",
            "https://acme.signalwire.com/api/relay/rest/phone_numbers",
            "/api/relay/rest/phone_numbers",
        ),
        ("omniavoice", "https://api.omnia-voice.com/api/v1/numbers", "/numbers"),
        ("omniavoice", "https://api.omnia-voice.com/api/v1/agents/", "/agents"),
        ("omniavoice", "https://api.omnia-voice.com/api/v1/api/v1", "/api/v1"),
    ],
)
def test_a_doubled_path_is_refused_with_the_part_to_remove(conn_type: str, host: str, part: str) -> None:
    hook = next(each for each in HOOKS if each.conn_type == conn_type)
    with (
        set_supervisor_comms(connection(hook, host=host)),
        pytest.raises(ConnectionSettingsError, match=rf"Remove (one )?{part}$"),
    ):
        _ = hook("it").client


@pytest.mark.parametrize(("region", "host"), [("UK", "uk"), (" eu", "eu"), ("Studio", "studio")])
def test_a_region_is_taken_in_any_case(region: str, host: str) -> None:
    hook = next(each for each in HOOKS if each.conn_type == "polyai")
    with set_supervisor_comms(connection(hook, extra={"region": region})):
        assert hook("it").client.settings.base_url == f"https://api.{host}.poly.ai"
