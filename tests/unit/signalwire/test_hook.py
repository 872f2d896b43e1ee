"""The hook turns a connection into calls, and says in words whether it works."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import Any

import httpx
import pytest
from airflow.sdk import Connection

from airflow_voice_agents.signalwire import api, hooks
from airflow_voice_agents.signalwire.hooks import SignalWireHook
from airflow_voice_agents.transport.client import Client
from support.transport import Script

PROJECT, TOKEN = "0b5c7a1e-1111-4222-8333-444455556666", "PTsecret0123456789"
LINKS = {"self": "s", "first": "f"}
ONE = {"data": [{"id": "i", "number": "+1"}], "links": LINKS}
Given = Callable[..., Script]


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> Given:
    """Let a connection be found, and the platform answer as told."""

    def prepare(step: Any, **changes: Any) -> Script:
        values = {"conn_id": "carrier", "conn_type": "signalwire", "host": "acme", "login": PROJECT}
        connection = Connection(**{**values, "password": TOKEN, **changes})
        script = Script(step)
        monkeypatch.setattr(SignalWireHook, "get_connection", lambda *_: connection)
        monkeypatch.setattr(hooks, "Client", partial(Client, transport=script))
        return script

    return prepare


def answer(status: int, body: Any) -> httpx.Response:
    return httpx.Response(status, json=body)


def test_hook_takes_the_connection_apart(given: Given) -> None:
    given(answer(200, ONE), extra=json.dumps({"max_concurrency": 7}))
    with SignalWireHook("carrier") as hook:
        assert hook.client.settings.base_url == "https://acme.signalwire.com"
        assert hook.client.settings.max_concurrency == 7
        assert hook.space == "acme"


def test_names_that_airflow_knows_the_hook_by() -> None:
    names = SignalWireHook.conn_name_attr, SignalWireHook.default_conn_name, SignalWireHook.conn_type
    assert names == ("signalwire_conn_id", "signalwire_default", "signalwire")
    assert SignalWireHook().conn_id == "signalwire_default"


@pytest.mark.parametrize(
    ("body", "amount"),
    [
        (ONE, "one number"),
        ({"data": [], "links": LINKS}, "no number yet"),
        (ONE | {"links": LINKS | {"next": "/n?a=1"}}, "more than one number"),
    ],
)
def test_working_connection_is_told_with_one_cheap_request(given: Given, body: Any, amount: str) -> None:
    script = given(answer(200, body))
    assert SignalWireHook("carrier").test_connection() == (
        True,
        f"The credentials work: project {PROJECT} in space acme has {amount}.",
    )
    (request,) = script.requests
    assert request.url.raw_path == b"/api/relay/rest/phone_numbers?page_size=1"
    assert api.list_phone_numbers().path == request.url.path


@pytest.mark.parametrize(
    ("step", "advice"),
    [
        (
            answer(401, {"error": "Unauthorized"}),
            "both belong to space acme, and that the token has the scope",
        ),
        (answer(403, {"error": "Forbidden"}), "give the API token the scope Numbers"),
        (answer(404, {"error": "Not Found"}), "check the name of the space"),
        (
            httpx.ConnectError("Name or service not known"),
            "could not be reached: check the name of the space",
        ),
        (answer(500, {"error": "Internal Server Error"}), "did not answer as it should"),
        (answer(200, {"hello": "world"}), "did not answer as it should"),
    ],
)
def test_each_refusal_has_its_own_advice_and_costs_one_request(given: Given, step: Any, advice: str) -> None:
    script = given(step)
    works, message = SignalWireHook("carrier").test_connection()
    assert not works
    assert advice in message
    assert TOKEN not in message
    assert len(script.requests) == 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"host": ""}, "connection 'carrier': the space (host) is missing"),
        ({"login": None}, "connection 'carrier': the project id (login) is missing"),
        ({"password": None}, "connection 'carrier': the API token (password) is missing"),
        ({"extra": json.dumps({"timeout": -1})}, "connection 'carrier': timeout must be a number above 0"),
    ],
)
def test_incomplete_connection_is_told_without_a_request(
    given: Given, changes: dict[str, Any], message: str
) -> None:
    script = given(answer(200, ONE), **changes)
    works, told = SignalWireHook("carrier").test_connection()
    assert not works
    assert message in told
    assert not script.requests


def test_connection_that_cannot_be_found_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: Any) -> Connection:
        raise LookupError("secret details")

    monkeypatch.setattr(SignalWireHook, "get_connection", missing)
    assert SignalWireHook("carrier").test_connection() == (
        False,
        "The connection cannot be read (LookupError).",
    )
