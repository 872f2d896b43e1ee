"""Each field of a connection, and what is said about a wrong one."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_voice_agents.omnia_voice.connection import BASE_URL, ConnectionFields, refused_advice
from airflow_voice_agents.transport.errors import ConnectionSettingsError

KEY = "ck_prod_0123456789"


def fields(**changes: Any) -> ConnectionFields:
    values: dict[str, Any] = {
        "conn_id": "omnia",
        "api_key": KEY,
        "host": BASE_URL,
        "port": None,
        "extra": {},
    }
    return ConnectionFields(**{**values, **changes})


def test_the_least_that_a_connection_needs() -> None:
    settings = fields().client_settings()
    assert (settings.system, settings.base_url) == ("omniavoice", "https://api.omnia-voice.com/api/v1")
    assert settings.headers == {"X-API-Key": KEY}
    assert settings.secrets == (KEY,)
    assert settings.correlation_header == "X-Request-Id"
    assert settings.rate_limit_reset_header == "X-RateLimit-Reset"
    assert settings.user_agent.startswith("airflow-provider-voice-agents/")
    assert (settings.max_concurrency, settings.requests_per_second, settings.deadline) == (4, None, 60.0)
    assert fields().update_verb == "PATCH"
    assert KEY not in repr(settings)


def test_everything_that_a_connection_may_say() -> None:
    extra = {
        "api_key_header": "X-Workspace-Key",
        "update_method": "put",
        "requests_per_second": "0.25",
        "max_concurrency": 2,
        "timeout": 90,
    }
    given = fields(extra=extra)
    settings = given.client_settings()
    assert settings.headers == {"X-Workspace-Key": KEY}
    assert given.update_verb == "PUT"
    assert (settings.max_concurrency, settings.requests_per_second, settings.deadline) == (2, 0.25, 90.0)


def test_empty_fields_of_the_form_are_unset() -> None:
    names = ("api_key_header", "update_method", "requests_per_second", "max_concurrency", "timeout")
    extra = dict.fromkeys(names, "")
    assert fields(extra=extra).client_settings() == fields().client_settings()
    assert fields(extra=extra).update_verb == "PATCH"


@pytest.mark.parametrize(
    ("host", "port", "base_url", "platform"),
    [
        ("api.omnia-voice.com/api/v1", None, "https://api.omnia-voice.com/api/v1", "api.omnia-voice.com"),
        (
            "https://proxy.example.com/omnia",
            8443,
            "https://proxy.example.com:8443/omnia",
            "proxy.example.com:8443",
        ),
        (
            "https://proxy.example.com:9443/o",
            8443,
            "https://proxy.example.com:9443/o",
            "proxy.example.com:9443",
        ),
        (" https://Proxy.Example.com ", None, "https://Proxy.Example.com", "proxy.example.com"),
        ("http://127.0.0.1", 8080, "http://127.0.0.1:8080", "127.0.0.1:8080"),
    ],
)
def test_base_url_and_the_platforms_name(host: str, port: int | None, base_url: str, platform: str) -> None:
    given = fields(host=host, port=port)
    assert given.client_settings().base_url == base_url
    assert given.platform == platform


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"host": None}, f"the base URL (host) is missing; Omnia Voice's own is {BASE_URL}"),
        ({"host": "  "}, "the base URL (host) is missing"),
        ({"host": "https://api.omnia-voice.com/"}, "lacks its path: https://api.omnia-voice.com/api/v1"),
        ({"host": "dashboard.omnia-voice.com"}, "lacks its path: https://dashboard.omnia-voice.com/api/v1"),
        ({"host": "https://[::1"}, "must have the form https://host/path"),
        ({"host": "https://host:port/x"}, "must have the form https://host/path"),
        ({"host": "http://proxy.example.com/x"}, "the base URL must use https"),
        ({"host": "https://me:hidden@proxy.example.com"}, "must not hold a user name or password"),
        ({"api_key": None}, "the API key (password) is missing"),
        ({"api_key": "ck prod"}, "the API key (password) holds white space"),
        ({"api_key": "ck_prod_ü"}, "must be printable ASCII"),
        ({"extra": {"api_key_header": "X Key"}}, "api_key_header must be the name of a header that is free"),
        ({"extra": {"api_key_header": "x-request-id"}}, "must be the name of a header that is free"),
        ({"extra": {"api_key_header": "Host"}}, "must be the name of a header that is free"),
        ({"extra": {"api_key_header": "X-Key\r\nX-Other"}}, "must be the name of a header that is free"),
        ({"extra": {"api_key_header": 1}}, "api_key_header must be a text"),
        ({"extra": {"update_method": "POST"}}, "update_method must be PATCH or PUT, not 'POST'"),
        ({"extra": {"requests_per_second": 0}}, "requests_per_second must be a number above 0"),
        ({"extra": {"requests_per_second": True}}, "requests_per_second must be a number above 0"),
        ({"extra": {"max_concurrency": 65}}, "max_concurrency must be a whole number from 1 to 64"),
        ({"extra": {"max_concurrency": 1.5}}, "max_concurrency must be a whole number from 1 to 64"),
        ({"extra": {"timeout": "soon"}}, "timeout must be a number above 0"),
    ],
)
def test_a_wrong_field_is_named_with_its_connection(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConnectionSettingsError) as caught:
        fields(**changes).client_settings()
    assert str(caught.value).startswith("connection 'omnia': ")
    assert message in str(caught.value)
    assert KEY not in str(caught.value)
    assert "hidden" not in str(caught.value)


def test_advice_on_a_refusal_names_a_header_of_ones_own() -> None:
    assert "header" not in refused_advice(fields())
    assert "in the header X-Workspace-Key" in refused_advice(
        fields(extra={"api_key_header": "X-Workspace-Key"})
    )
