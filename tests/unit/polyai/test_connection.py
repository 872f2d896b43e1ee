"""A connection becomes exact settings, or an error that names the connection and the field but never the key."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_voice_agents.polyai.connection import REGIONS, ConnectionFields, refused_advice
from airflow_voice_agents.transport.errors import ConnectionSettingsError

KEY = "sk-hunter2"


def fields(
    host: str | None = None, port: int | None = None, key: str | None = KEY, **extra: Any
) -> ConnectionFields:
    return ConnectionFields("my_polyai", key, host, port, extra)


@pytest.mark.parametrize("region", REGIONS)
def test_a_region_leads_to_its_own_host(region: str) -> None:
    settings = fields(region=region).client_settings()
    assert settings.base_url == f"https://api.{region}.poly.ai"
    assert settings.headers == {"X-API-KEY": KEY}
    assert settings.secrets == (KEY,)
    assert settings.system == "polyai"


def test_limits_have_defaults_and_can_be_set() -> None:
    plain = fields(region="uk").client_settings()
    assert (plain.max_concurrency, plain.requests_per_second, plain.deadline) == (4, None, 60.0)
    tuned = fields(region="uk", max_concurrency="8", requests_per_second=2.5, timeout=30).client_settings()
    assert (tuned.max_concurrency, tuned.requests_per_second, tuned.deadline) == (8, 2.5, 30.0)


def test_an_empty_text_in_the_extra_is_unset() -> None:
    settings = fields(region="uk", max_concurrency="", timeout="", requests_per_second="", account_id="")
    assert settings.client_settings().max_concurrency == 4
    assert settings.account_id is None


@pytest.mark.parametrize(
    ("host", "port", "url"),
    [
        ("http://127.0.0.1:8080", None, "http://127.0.0.1:8080"),
        ("http://localhost", 8080, "http://localhost:8080"),
        ("http://localhost/", 8080, "http://localhost:8080"),
        ("http://localhost:9000", 8080, "http://localhost:9000"),
        ("http://localhost/gateway", 8080, "http://localhost:8080/gateway"),
        ("api.dev.poly.ai", None, "https://api.dev.poly.ai"),
        ("  https://api.dev.poly.ai ", None, "https://api.dev.poly.ai"),
        ("http://[::1]", 8080, "http://[::1]:8080"),
    ],
)
def test_a_host_overrides_the_region(host: str, port: int | None, url: str) -> None:
    assert fields(host, port, region="uk").client_settings().base_url == url
    assert fields(host, port).client_settings().base_url == url


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({}, "region is missing: one of us, eu, uk, studio"),
        ({"region": "mars"}, "region must be one of us, eu, uk, studio, not 'mars'"),
        ({"region": 5}, "region must be a text"),
        ({"region": "uk", "key": None}, "API key .* is missing"),
        ({"region": "uk", "key": ""}, "API key .* is missing"),
        ({"region": "uk", "key": "sk-hunter2\n"}, "holds white space"),
        ({"region": "uk", "key": "sk hunter2"}, "holds white space"),
        ({"region": "uk", "key": "sk-hunter2-é"}, "printable ASCII"),
        ({"region": "uk", "max_concurrency": 0}, "max_concurrency must be a number above 0"),
        ({"region": "uk", "max_concurrency": 65}, "max_concurrency must be a whole number from 1 to 64"),
        ({"region": "uk", "max_concurrency": 1.5}, "max_concurrency must be a whole number"),
        ({"region": "uk", "max_concurrency": True}, "max_concurrency must be a number"),
        ({"region": "uk", "timeout": "soon"}, "timeout must be a number above 0"),
        ({"region": "uk", "timeout": -1}, "timeout must be a number above 0"),
        ({"region": "uk", "timeout": "nan"}, "timeout must be a number above 0"),
        ({"region": "uk", "requests_per_second": "inf"}, "requests_per_second must be a number above 0"),
        ({"region": "uk", "requests_per_second": [1]}, "requests_per_second must be a number above 0"),
        ({"host": "api.poly.ai"}, "api.poly.ai without a region does not exist"),
        ({"host": "https://API.poly.ai/"}, "api.poly.ai without a region does not exist"),
        ({"host": "http://api.us.poly.ai"}, "must use https"),
        ({"host": "https://user:pass@host"}, "must not hold a user name"),
        ({"host": "ftp://host"}, "https://host"),
        ({"host": "http://127.0.0.1:port"}, "https://host"),
        ({"host": "http://127.0.0.1:99999", "port": 80}, "https://host"),
        ({"host": "http://[::1", "port": 80}, "https://host"),
    ],
)
def test_a_wrong_setting_is_named_together_with_the_connection(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ConnectionSettingsError, match=message) as caught:
        fields(**wrong).client_settings()
    text = str(caught.value)
    assert text.startswith("connection 'my_polyai': ")
    assert text.count("connection 'my_polyai'") == 1
    assert "hunter2" not in text
    assert caught.value.permanent


def test_the_account_is_a_text() -> None:
    assert fields(account_id="acme-uk").account_id == "acme-uk"
    with pytest.raises(ConnectionSettingsError, match="account_id must be a text"):
        _ = fields(account_id=5).account_id


def test_settings_never_show_the_key() -> None:
    assert KEY not in repr(fields(region="uk").client_settings())
    assert KEY not in repr(fields(region="uk"))


def test_a_refused_key_is_explained_by_region_or_host() -> None:
    assert "this connection uses uk: check the region first" in refused_advice(fields(region="uk"))
    assert "host override" in refused_advice(fields("http://localhost:1"))


# ---------------------------------------------------------------------------------- the runtime host

RUNTIME_KEY = "rt-hunter3"


@pytest.mark.parametrize(
    ("region", "host"),
    [
        ("us", "api.us-1.platform.polyai.app"),
        ("eu", "api.euw-1.platform.polyai.app"),
        ("uk", "api.uk-1.platform.polyai.app"),
        ("studio", "api.studio.poly.ai"),
    ],
)
def test_a_region_leads_to_its_own_runtime_host_under_a_key_of_its_own(region: str, host: str) -> None:
    connection = fields(region=region, runtime_api_key=RUNTIME_KEY, timeout=30)
    settings = connection.runtime_settings()

    assert settings.base_url == f"https://{host}"
    assert settings.headers == {"X-API-KEY": RUNTIME_KEY}
    assert (settings.secrets, settings.deadline) == ((RUNTIME_KEY,), 30.0)
    assert connection.client_settings().secrets == (KEY,)


def test_the_runtime_host_can_be_overridden_with_or_without_the_other() -> None:
    local = fields(
        "http://localhost", 8080, runtime_host=" http://localhost:9000/ ", runtime_api_key=RUNTIME_KEY
    )
    proxied = fields(region="uk", runtime_host="proxy.example", runtime_api_key=RUNTIME_KEY)

    assert local.runtime_settings().base_url == "http://localhost:9000"
    assert local.client_settings().base_url == "http://localhost:8080"
    assert proxied.runtime_settings().base_url == "https://proxy.example"
    assert proxied.client_settings().base_url == "https://api.uk.poly.ai"


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"region": "uk"}, "runtime_api_key is missing: reading conversations"),
        ({"region": "uk", "runtime_api_key": ""}, "runtime_api_key is missing"),
        ({"region": "uk", "runtime_api_key": 5}, "runtime_api_key must be a text"),
        ({"region": "uk", "runtime_api_key": "rt-hunter3\n"}, "runtime_api_key holds white space"),
        ({"runtime_api_key": RUNTIME_KEY}, "region is missing"),
        ({"host": "http://localhost:1", "runtime_api_key": RUNTIME_KEY}, "runtime_host is missing"),
        (
            {"host": "http://localhost:1", "region": "uk", "runtime_api_key": RUNTIME_KEY},
            "runtime_host is missing: where the host is overridden",
        ),
        ({"runtime_host": "http://example.com", "runtime_api_key": RUNTIME_KEY}, "must use https"),
        ({"runtime_host": "http://[::1", "runtime_api_key": RUNTIME_KEY}, "runtime_host must be a host name"),
        ({"runtime_host": "api.poly.ai", "runtime_api_key": RUNTIME_KEY}, "leave runtime_host empty"),
        ({"runtime_host": 5, "runtime_api_key": RUNTIME_KEY}, "runtime_host must be a text"),
    ],
)
def test_a_wrong_runtime_setting_is_named_and_no_key_is_shown(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ConnectionSettingsError, match=message) as caught:
        fields(**wrong).runtime_settings()
    assert str(caught.value).startswith("connection 'my_polyai': ")
    assert "hunter" not in str(caught.value)


def test_what_is_wrong_with_the_runtime_host_does_not_disturb_the_other() -> None:
    assert fields(region="uk", runtime_api_key="a b").client_settings().base_url == "https://api.uk.poly.ai"


def test_the_runtime_key_is_never_shown() -> None:
    connection = fields(region="uk", runtime_api_key=RUNTIME_KEY)

    assert RUNTIME_KEY not in repr(connection)
    assert RUNTIME_KEY not in repr(connection.runtime_settings())
