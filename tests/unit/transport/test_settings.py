"""Settings that cannot work, or are unsafe, are refused when they are made."""

from __future__ import annotations

import pytest

from airflow_voice_agents.transport.errors import ConnectionSettingsError
from support.transport import make_settings


@pytest.mark.parametrize(
    "url",
    [
        "https://api.us.poly.ai",
        "https://api.us.poly.ai/",
        "https://proxy.example.com:8443/polyai",
        "http://localhost:8080",
        "http://127.0.0.1:8080",
        "http://127.8.9.1",
        "http://[::1]:9",
    ],
)
def test_good_base_urls(url):
    assert make_settings(base_url=url).base_url == url


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("http://api.us.poly.ai", "must use https: api.us.poly.ai is not this machine"),
        ("http://127.0.0.1.evil.example", "must use https"),
        ("http://localhost.evil.example", "must use https"),
        ("http://0.0.0.0", "must use https"),
        ("https://me:hidden@api.us.poly.ai", "must not hold a user name or password"),
        ("https://api.us.poly.ai?x=hidden", "must not hold a query"),
        ("https://api.us.poly.ai#hidden", "must not hold a query or a fragment"),
        ("ftp://api.us.poly.ai", "must have the form https://host"),
        ("api.us.poly.ai", "must have the form https://host"),
        ("https://", "must have the form https://host"),
        ("https://api.us.poly.ai:port", "must have the form https://host"),
        ("https://[::1", "must have the form https://host"),
        ("https://api.us .poly.ai", "must have the form https://host"),
        ("https://api.us.poly.ai\\@evil.example", "must have the form https://host"),
        ("https://api\n.poly.ai", "must have the form https://host"),
    ],
)
def test_bad_base_urls(url, message):
    with pytest.raises(ConnectionSettingsError, match=message) as caught:
        make_settings(base_url=url)
    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize("value", ["hidden\n", "hidden\r\nX: y", " hidden", "hidden é", "hidden\x00"])
def test_header_values_that_could_not_be_sent(value):
    with pytest.raises(ConnectionSettingsError, match="header X-API-KEY") as caught:
        make_settings(headers={"X-API-KEY": value})
    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize(
    "changes",
    [
        {"max_concurrency": 0},
        {"max_attempts": 0},
        {"max_response_bytes": 0},
        {"deadline": 0},
        {"deadline": float("nan")},
        {"read_timeout": -1},
        {"connect_timeout": float("inf")},
        {"requests_per_second": 0},
    ],
    ids=str,
)
def test_limits_that_cannot_work(changes):
    with pytest.raises(ConnectionSettingsError, match=next(iter(changes))):
        make_settings(**changes)


def test_repr_shows_no_secret():
    assert "hidden" not in repr(make_settings(key="hidden-key"))


@pytest.mark.parametrize(("url", "expected"), [("http://[::1]:9", True), ("https://api.us.poly.ai", False)])
def test_loopback(url, expected):
    assert make_settings(base_url=url).is_loopback is expected
