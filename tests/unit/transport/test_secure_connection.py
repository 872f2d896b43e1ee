"""Certificates, CA bundles, proxies and odd hosts: permanent, named, never blamed on the network."""

from __future__ import annotations

import asyncio
import functools
import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from airflow_voice_agents.transport import client as http_client
from airflow_voice_agents.transport.api_request import Replay
from airflow_voice_agents.transport.client import Client
from airflow_voice_agents.transport.errors import (
    ConnectionSettingsError,
    TransportError,
    UnusableConnection,
)
from airflow_voice_agents.transport.secure_connection import open_with_proxy
from support.tls import certificate
from support.transport import make_call, make_settings

GOOD = b'HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n{"a":1}'
PASSWORD = "s3cret-proxy-password"


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No bundle and no proxy of this machine, and no context of another test."""
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    http_client._tls.cache_clear()
    yield
    http_client._tls.cache_clear()


@asynccontextmanager
async def tls_server(file: Path, old: ssl.SSLContext | None = None) -> AsyncIterator[tuple[str, list[int]]]:
    """Serve one good answer per request, and count connections that got that far."""
    served: list[int] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        served.append(1)
        writer.write(GOOD)
        await writer.drain()
        writer.close()

    context = old or ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(file)
    async with await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context) as server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}", served


async def refused(base_url: str, replay: Replay) -> UnusableConnection:
    async with Client(make_settings(base_url=base_url)) as client:
        with pytest.raises(UnusableConnection) as caught:
            await client.asend(make_call(replay))
        assert client.requests_sent == 1
    assert caught.value.permanent
    assert caught.value.__context__ is None
    assert "network" not in str(caught.value)
    return caught.value


@pytest.mark.parametrize("replay", list(Replay))
async def test_an_untrusted_certificate_is_permanent_and_names_host_and_variable(
    tmp_path: Path, replay: Replay
) -> None:
    async with tls_server(certificate(tmp_path)) as (address, served):
        said = str(await refused(f"https://{address}", replay))
    assert f"The certificate of {address} comes from an authority that is not trusted here" in said
    assert "set SSL_CERT_FILE to a PEM file" in said
    assert "Nothing was sent" in said
    assert served == []


async def test_the_variable_that_is_named_is_the_one_that_helps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    async with (
        tls_server(file) as (address, served),
        Client(make_settings(base_url=f"https://{address}")) as client,
    ):
        assert await client.asend(make_call()) == {"a": 1}
    assert served == [1]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"name": "other.example"}, "The certificate is for another host than 127.0.0.1"),
        ({"days": -1}, "is out of date, or the clock of this machine is wrong"),
    ],
)
async def test_a_certificate_of_another_host_or_time_is_permanent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fields: dict, said: str
) -> None:
    file = certificate(tmp_path, **fields)
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    async with tls_server(file) as (address, _):
        error = await refused(f"https://{address}", Replay.SAFE)
    assert said in str(error)
    assert f"now SSL_CERT_FILE={file}" in str(error)


async def test_a_server_without_tls_is_permanent() -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(refuse, "127.0.0.1", 0) as server:
        address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        error = await refused(f"https://{address}", Replay.SAFE)
    assert f"{address} does not speak TLS" in str(error)


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
async def test_a_server_of_an_old_tls_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    old, lax = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context(cafile=str(file))
    old.load_cert_chain(file)
    old.maximum_version = ssl.TLSVersion.TLSv1_1
    for each in (old, lax):
        each.minimum_version = ssl.TLSVersion.TLSv1
        each.set_ciphers("ALL:@SECLEVEL=0")
    async with tls_server(file, old) as (address, served):
        async with Client(make_settings(base_url=f"https://{address}", max_attempts=1)) as client:
            with pytest.raises(TransportError, match=f"no connection to {address}"):
                await client.asend(make_call(Replay.RECONCILE))
        assert served == []
        _, writer = await asyncio.open_connection(*address.split(":"), ssl=lax)
        assert writer.get_extra_info("ssl_object").version() == "TLSv1.1"
        writer.close()


@asynccontextmanager
async def refusing_proxy() -> AsyncIterator[tuple[str, list[bytes]]]:
    """Serve a proxy that lets nobody through, and keep what it was asked."""
    asked: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append((await reader.readuntil(b"\r\n\r\n")).partition(b"\r\n")[0])
        writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}", asked


@pytest.mark.parametrize("replay", list(Replay))
@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
async def test_the_environments_proxy_is_asked_and_its_refusal_means_nothing_was_sent(
    monkeypatch: pytest.MonkeyPatch, variable: str, replay: Replay
) -> None:
    async with refusing_proxy() as (proxy, asked):
        monkeypatch.setenv(variable, f"http://me:{PASSWORD}@{proxy}")
        settings = make_settings(base_url="https://platform.invalid", max_attempts=1)
        async with Client(settings) as client:
            with pytest.raises(TransportError, match=f"through the proxy {proxy}: ProxyError: 403") as caught:
                await client.asend(make_call(replay))
    assert asked == [b"CONNECT platform.invalid:443 HTTP/1.1"]
    assert PASSWORD not in str(caught.value)


async def test_the_environments_exception_goes_past_its_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    async with refusing_proxy() as (proxy, asked):
        monkeypatch.setenv("HTTPS_PROXY", f"http://{proxy}")
        monkeypatch.setenv("NO_PROXY", "platform.invalid")
        monkeypatch.setattr(socket, "getaddrinfo", _unknown)
        settings = make_settings(base_url="https://platform.invalid", max_attempts=1)
        async with Client(settings) as client:
            with pytest.raises(TransportError, match=r"Nobody knows the name of platform\.invalid:443"):
                await client.asend(make_call(Replay.NEVER))
    assert asked == []


def _unknown(*_: object, **__: object) -> None:
    raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")


async def test_bundles_that_cannot_be_used_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    empty = tmp_path / "empty.pem"
    empty.write_text("no certificate")
    for name, place, why in (
        ("SSL_CERT_FILE", tmp_path / "missing.pem", "No such file"),
        ("SSL_CERT_FILE", tmp_path, ""),
        ("SSL_CERT_FILE", empty, "it holds no certificate"),
        ("SSL_CERT_DIR", tmp_path / "missing", "there is no such folder"),
    ):
        with monkeypatch.context() as patch:
            patch.setenv(name, str(place))
            error = await unopened("https://api.us.poly.ai")
        assert str(error).startswith(f"{name} names {str(place)!r}, which cannot be used: {why}")


async def unopened(base_url: str) -> ConnectionSettingsError:
    http_client._tls.cache_clear()
    async with Client(make_settings(base_url=base_url)) as client:
        with pytest.raises(ConnectionSettingsError) as caught:
            await client.asend(make_call())
        assert client.requests_sent == 0
    assert caught.value.permanent
    assert "Nothing was sent" in str(caught.value)
    assert PASSWORD not in str(caught.value)
    return caught.value


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
@pytest.mark.parametrize(
    "proxy", ["ftp://me:{}@proxy", "http://me:{}@proxy:port", "http://me:{}@", "socks4://{}"]
)
async def test_a_proxy_that_cannot_be_used_is_named_by_its_variable(
    monkeypatch: pytest.MonkeyPatch, variable: str, proxy: str
) -> None:
    monkeypatch.setenv(variable, proxy.format(PASSWORD))
    error = await unopened("https://api.us.poly.ai")
    assert variable in str(error)
    assert "proxy" in str(error)


@pytest.mark.parametrize(
    "environment", [{"HTTP_PROXY": "ftp://proxy"}, {"ALL_PROXY": "ftp://proxy", "NO_PROXY": "poly.ai"}]
)
async def test_a_proxy_that_no_request_goes_through_is_not_looked_at(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str]
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    taken: list[str | None] = []
    open_with_proxy(taken.append, "https://api.us.poly.ai")
    assert taken == [None]


async def test_a_connection_without_tls_reads_no_certificates(monkeypatch: pytest.MonkeyPatch) -> None:
    @functools.cache
    def refuse() -> None:
        raise AssertionError("certificates were read")

    monkeypatch.setattr(http_client, "_tls", refuse)
    async with Client(make_settings(base_url="http://127.0.0.1:9")) as client:
        with pytest.raises(TransportError, match="no connection"):
            await client.asend(make_call())


async def test_a_proxy_without_a_scheme_speaks_http(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "proxy.example:3128")
    taken: list[str | None] = []
    open_with_proxy(taken.append, "https://api.us.poly.ai")
    assert taken == ["http://proxy.example:3128"]


@pytest.mark.parametrize("host", ["a" * 64 + ".example.com", "api..poly.ai", ".".join(["abcdefgh"] * 40)])
def test_what_cannot_be_a_host_is_refused_when_the_settings_are_made(host: str) -> None:
    with pytest.raises(ConnectionSettingsError, match="cannot be the name of a host"):
        make_settings(base_url=f"https://{host}")


async def test_a_host_that_fails_later_is_permanent_as_well() -> None:
    settings = make_settings(base_url="https://\U0001f600.example.com")
    async with Client(settings) as client:
        with pytest.raises(UnusableConnection, match="cannot be the name of a host"):
            await client.asend(make_call())
