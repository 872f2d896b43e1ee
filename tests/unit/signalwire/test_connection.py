"""A connection becomes client settings, or an error that names the field."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from airflow_voice_agents.signalwire.assets import phone_numbers_uri, routing_uri
from airflow_voice_agents.signalwire.connection import ConnectionFields, space_of
from airflow_voice_agents.transport.errors import ConnectionSettingsError

PROJECT, TOKEN = "0b5c7a1e-1111-4222-8333-444455556666", "PTsecret0123456789"


def fields(**changes: Any) -> ConnectionFields:
    values: dict[str, Any] = {
        "conn_id": "carrier",
        "space": "acme",
        "project_id": PROJECT,
        "api_token": TOKEN,
        "port": None,
        "extra": {},
    }
    return ConnectionFields(**{**values, **changes})


@pytest.mark.parametrize(
    ("space", "port", "url"),
    [
        ("acme", None, "https://acme.signalwire.com"),
        ("Acme-2", None, "https://acme-2.signalwire.com"),
        (" acme.signalwire.com/ ", None, "https://acme.signalwire.com"),
        ("https://acme.signalwire.com/", None, "https://acme.signalwire.com"),
        ("carrier.proxy.example", 8443, "https://carrier.proxy.example:8443"),
        ("http://127.0.0.1:8000", None, "http://127.0.0.1:8000"),
        ("http://localhost", 8000, "http://localhost:8000"),
        ("http://127.0.0.1:8000", 9, "http://127.0.0.1:8000"),
        ("localhost", None, "https://localhost"),
    ],
)
def test_space_is_a_label_a_host_or_a_url(space: str, port: int | None, url: str) -> None:
    assert fields(space=space, port=port).client_settings().base_url == url


def test_credentials_go_into_a_basic_header_and_nowhere_else() -> None:
    settings = fields().client_settings()
    scheme, _, pair = settings.headers["Authorization"].partition(" ")
    assert scheme == "Basic"
    assert base64.b64decode(pair).decode() == f"{PROJECT}:{TOKEN}"
    assert settings.secrets == (TOKEN,)
    assert TOKEN not in repr(settings)
    assert pair not in repr(settings)


def test_settings_carry_limits_and_a_request_id_of_the_carriers_own_kind() -> None:
    extra = {"requests_per_second": "5", "max_concurrency": 8, "timeout": 12.5}
    settings = fields(extra=extra).client_settings()
    assert (settings.requests_per_second, settings.max_concurrency, settings.deadline) == (5.0, 8, 12.5)
    assert (settings.system, settings.correlation_header) == ("signalwire", "X-Request-Id")


def test_empty_extra_fields_are_unset() -> None:
    extra = {"requests_per_second": "", "max_concurrency": None, "timeout": ""}
    assert fields(extra=extra).client_settings().requests_per_second is None
    assert fields(extra=extra).client_settings().max_concurrency == 4


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"space": None}, "the space (host) is missing"),
        ({"space": " / "}, "the space (host) is missing"),
        ({"space": "signalwire.com"}, "signalwire.com is not a space"),
        ({"space": "https://www.signalwire.com"}, "www.signalwire.com is not a space"),
        ({"space": "http://acme.signalwire.com"}, "must use https"),
        ({"space": "https://me:pw@acme.signalwire.com"}, "must not hold a user name or password"),
        ({"space": "ftp://acme.signalwire.com"}, "must have the form https://host"),
        ({"space": "https://[acme"}, "neither a label, a host name nor a URL"),
        ({"space": "acme.signalwire.com:port"}, "neither a label, a host name nor a URL"),
        ({"project_id": ""}, "the project id (login) is missing"),
        ({"project_id": "a:b"}, "the project id (login) must not hold a colon"),
        ({"project_id": "a\nb"}, "the project id (login) must not hold a colon, white space"),
        ({"api_token": None}, "the API token (password) is missing"),
        ({"api_token": f"{TOKEN}\n"}, "the API token (password) holds white space"),
        ({"extra": {"max_concurrency": 65}}, "max_concurrency must be a whole number from 1 to 64"),
        ({"extra": {"max_concurrency": 1.5}}, "max_concurrency must be a whole number from 1 to 64"),
        ({"extra": {"timeout": 0}}, "timeout must be a number above 0"),
        ({"extra": {"timeout": True}}, "timeout must be a number above 0"),
        ({"extra": {"requests_per_second": "fast"}}, "requests_per_second must be a number above 0"),
        ({"extra": {"requests_per_second": [1]}}, "requests_per_second must be a number above 0"),
    ],
)
def test_wrong_field_is_named_with_its_connection_and_never_shown(
    changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConnectionSettingsError) as caught:
        fields(**changes).client_settings()
    assert str(caught.value).startswith("connection 'carrier': ")
    assert message in str(caught.value)
    assert TOKEN not in str(caught.value)


@pytest.mark.parametrize(
    ("base_url", "space"),
    [
        ("https://acme.signalwire.com", "acme"),
        ("https://proxy.example:8443/sw", "proxy.example:8443"),
        ("http://127.0.0.1:8000", "127.0.0.1:8000"),
    ],
)
def test_space_is_named_by_its_label_or_by_what_stands_in_for_it(base_url: str, space: str) -> None:
    assert space_of(base_url) == space


def test_assets_of_a_space() -> None:
    assert phone_numbers_uri("acme") == "signalwire://spaces/acme/phone-numbers"
    assert routing_uri("127.0.0.1:8000") == "signalwire://spaces/127.0.0.1%3A8000/call-routing"
