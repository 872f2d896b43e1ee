"""Which way requests take, and what the faster one does where aiohttp has changed."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from airflow_voice_agents.transport import secure_connection
from airflow_voice_agents.transport.client import Client
from airflow_voice_agents.transport.errors import ConnectionSettingsError
from airflow_voice_agents.transport.secure_connection import takes_aiohttp
from support.transport import make_call, make_settings

GOOD = b'HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n{"a":1}'


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


def installed(monkeypatch: pytest.MonkeyPatch, yes: bool) -> None:
    monkeypatch.setattr(secure_connection, "_has_aiohttp", lambda: yes)


@pytest.mark.parametrize(
    ("transport", "present", "taken"),
    [("auto", True, True), ("auto", False, False), ("httpx", True, False), ("aiohttp", True, True)],
)
def test_the_faster_way_is_taken_where_it_is_installed(
    monkeypatch: pytest.MonkeyPatch, transport: str, present: bool, taken: bool
) -> None:
    installed(monkeypatch, present)
    assert takes_aiohttp(make_settings(transport=transport)) is taken


def test_a_way_that_is_missing_is_named_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    installed(monkeypatch, False)
    with pytest.raises(ConnectionSettingsError, match=r"transport is aiohttp.*\[fast\]"):
        takes_aiohttp(make_settings(transport="aiohttp"))


def test_an_unknown_way_is_refused_when_the_settings_are_made() -> None:
    with pytest.raises(ConnectionSettingsError, match="must be one of auto, httpx, aiohttp, not 'curl'"):
        make_settings(transport="curl")


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "http_proxy", "ALL_PROXY"])
def test_a_proxy_leads_by_way_of_httpx_and_loopback_never_by_a_proxy(
    monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    installed(monkeypatch, True)
    monkeypatch.setenv(variable, "http://proxy:3128")
    assert not takes_aiohttp(make_settings(transport="aiohttp"))
    assert takes_aiohttp(make_settings("http://127.0.0.1:1", transport="aiohttp"))


def test_an_exception_from_no_proxy_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    installed(monkeypatch, True)
    monkeypatch.setenv("NO_PROXY", "example.com")
    assert takes_aiohttp(make_settings(transport="auto"))


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while await reader.readuntil(b"\r\n\r\n"):
            writer.write(GOOD)
    except asyncio.IncompleteReadError:
        writer.close()


async def test_where_nobody_counts_the_bytes_no_connection_is_used_twice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A later aiohttp may make its connections in another way."""
    pytest.importorskip("httpx_aiohttp")
    from aiohttp.client_proto import ResponseHandler

    from airflow_voice_agents.transport import fast_connection

    opened: list[Any] = []

    class Later(fast_connection._Dialer):
        def __init__(self, **arguments: Any) -> None:
            super().__init__(**arguments)
            self._factory = self._open

        def _open(self) -> ResponseHandler:
            opened.append(ResponseHandler(self._loop))
            return opened[-1]

    monkeypatch.setattr(fast_connection, "_Dialer", Later)
    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with Client(make_settings(url, transport="aiohttp")) as client:
            for _ in range(3):
                assert await client.asend(make_call()) == {"a": 1}
    assert len(opened) == 3
