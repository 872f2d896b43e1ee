"""Servers that answer as no platform should: each answer stays with its request, and ends in a value or our error."""

from __future__ import annotations

import asyncio
import gzip
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from airflow_voice_agents.transport import client as http_client
from airflow_voice_agents.transport.api_request import Replay
from airflow_voice_agents.transport.client import Client
from airflow_voice_agents.transport.errors import (
    CallError,
    ConnectionSettingsError,
    OutcomeUnknown,
    OversizedResponse,
    VoiceAgentsError,
)
from support.tls import certificate
from support.transport import make_call, make_settings


def answer(number: int, *, length: int | None = None) -> bytes:
    """Return a whole answer whose body is a number."""
    body = b'{"answer":%d}' % number
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (
        len(body) if length is None else length,
        body,
    )


@dataclass
class Hostile:
    """A server that keeps connections alive and answers with raw bytes.

    :param answers: number of a request, from 1 -> the chunks that answer it.
    """

    answers: Callable[[int], list[bytes]]
    requests: int = 0
    connections: int = 0
    url: str = ""
    released: asyncio.Event = field(default_factory=asyncio.Event)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of one connection."""
        self.connections += 1
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                self.requests += 1
                for chunk in self.answers(self.requests):
                    writer.write(chunk)
                    await writer.drain()
                    await asyncio.sleep(0)
        except (asyncio.IncompleteReadError, asyncio.CancelledError, OSError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def hostile(
    answers: Callable[[int], list[bytes]], context: ssl.SSLContext | None = None
) -> AsyncIterator[Hostile]:
    """Run a hostile server on this machine."""
    made = Hostile(answers)
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0, ssl=context)
    made.url = f"http{'s' if context else ''}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server:
        yield made


async def no_wait(_: float) -> None:
    await asyncio.sleep(0)


def client_of(url: str, **settings: Any) -> Client:
    return Client(make_settings(base_url=url, **settings), sleep=no_wait, random=lambda: 0.0)


# ------------------------------------------------------------------------------------- surplus answers


SURPLUS = {
    "a second answer": answer(666),
    "half an answer": answer(666)[:20],
    "a refusal": b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n",
    "a blank line": b"\r\n",
}


@pytest.mark.parametrize("surplus", SURPLUS.values(), ids=SURPLUS)
@pytest.mark.parametrize("replay", list(Replay))
async def test_surplus_answers_no_later_request(surplus: bytes, replay: Replay) -> None:
    async with hostile(lambda number: [answer(number) + surplus]) as server, client_of(server.url) as client:
        found = [await client.asend(make_call(replay)) for _ in range(4)]

    assert found == [{"answer": number} for number in range(1, 5)]
    assert (server.requests, server.connections) == (4, 4)


@pytest.mark.parametrize("together", [True, False])
async def test_surplus_answers_no_later_request_of_an_encrypted_connection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, together: bool
) -> None:
    """Two writes are two records, of which the reader may have the second unread."""
    file = certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    http_client._tls.cache_clear()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)

    def answers(number: int) -> list[bytes]:
        parts = [answer(number), answer(666)]
        return [b"".join(parts)] if together else parts

    async with hostile(answers, context) as server, client_of(server.url) as client:
        found = []
        for _ in range(4):
            found.append(await client.asend(make_call()))
            await asyncio.sleep(0.02)  # what was sent already arrives

    http_client._tls.cache_clear()
    assert found == [{"answer": number} for number in range(1, 5)]
    assert (server.requests, server.connections) == (4, 4)


HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
HIDDEN = {
    "with a body that came late": [HEAD, b"{}" + answer(666)],
    "half, with a body that came late": [HEAD, b"{}" + answer(666)[:30]],
    "after the last chunk": [CHUNKED, b"2\r\n{}\r\n0\r\n\r\n" + answer(666)],
    "half, after the last chunk": [CHUNKED, b"2\r\n{}\r\n0\r\n\r\n" + answer(666)[:30]],
    "after no content": [b"HTTP/1.1 204 No Content\r\n\r\n" + answer(666)],
    "a line, after no content": [b"HTTP/1.1 204 No Content\r\n\r\n\r\n"],
}


@pytest.mark.parametrize("parts", HIDDEN.values(), ids=HIDDEN)
async def test_surplus_is_found_wherever_it_hides(parts: list[bytes]) -> None:
    def answers(number: int) -> list[bytes]:
        return parts if number == 1 else [answer(number)]

    async with hostile(answers) as server, client_of(server.url) as client:
        first = await client.asend(make_call())
        found = [await client.asend(make_call()) for _ in range(2)]

    assert first in ({}, None)
    assert found == [{"answer": 2}, {"answer": 3}]
    assert (server.requests, server.connections) == (3, 2)


CLEAN = {
    "a length": [answer(1)],
    "a late body": [HEAD, b"{}"],
    "chunks": [CHUNKED + b"2\r\n{}\r\n", b"0\r\n\r\n"],
    "no chunk": [CHUNKED + b"0\r\n\r\n"],
    "byte by byte": [bytes([each]) for each in answer(1)],
    "no content": [b"HTTP/1.1 204 No Content\r\n\r\n"],
    "a large body": [b"HTTP/1.1 200 OK\r\nContent-Length: 900002\r\n\r\n[" + b" " * 900_000 + b"]"],
}


@pytest.mark.parametrize("parts", CLEAN.values(), ids=CLEAN)
async def test_a_whole_answer_keeps_its_connection(parts: list[bytes]) -> None:
    async with hostile(lambda _: parts) as server, client_of(server.url) as client:
        for _ in range(3):
            await client.asend(make_call())

    assert (server.requests, server.connections) == (3, 1)


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "POST", "PATCH"])
@pytest.mark.parametrize("lost", ["reset", "closed"])
async def test_nothing_below_the_client_sends_a_request_again(method: str, lost: str) -> None:
    """The second request of a connection meets its end, which some libraries answer by sending it anew."""
    requests: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(2):
            requests.append(await reader.readuntil(b"\r\n\r\n"))
            if len(requests) == 1:
                writer.write(answer(1))
                continue
            if lost == "reset":
                writer.transport.abort()
            break
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with client_of(url) as client:
            await client.asend(make_call())
            with pytest.raises(OutcomeUnknown):
                await client.asend(make_call(Replay.RECONCILE, method=method, body=None))

    assert [each.partition(b" ")[0].decode() for each in requests] == ["GET", method]


async def test_surplus_that_comes_later_ends_the_connection() -> None:
    late = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer(1))
        await late.wait()
        writer.write(answer(666))
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with client_of(url) as client:
            first = await client.asend(make_call())
            late.set()
            await asyncio.sleep(0.05)
            second = await client.asend(make_call())

    assert first == second == {"answer": 1}


async def test_a_clean_connection_is_kept() -> None:
    async with hostile(lambda number: [answer(number)]) as server, client_of(server.url) as client:
        for _ in range(4):
            await client.asend(make_call())

    assert (server.requests, server.connections) == (4, 1)


async def test_an_error_with_surplus_poisons_nothing() -> None:
    refused = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 2\r\n\r\n{}"
    answers = {1: refused + answer(666), 2: answer(2)}
    async with hostile(lambda number: [answers[number]]) as server, client_of(server.url) as client:
        with pytest.raises(CallError, match="400"):
            await client.asend(make_call(Replay.RECONCILE))
        assert await client.asend(make_call(Replay.RECONCILE)) == {"answer": 2}
    assert server.connections == 2


# --------------------------------------------------------------------------------------- floods


def body(content: bytes, *headers: bytes) -> bytes:
    head = [b"HTTP/1.1 200 OK", b"Content-Length: %d" % len(content), *headers]
    return b"\r\n".join(head) + b"\r\n\r\n" + content


FLOODS: dict[str, tuple[bytes, str]] = {
    "gzip of 64 MiB": (body(gzip.compress(bytes(64 << 20)), b"Content-Encoding: gzip"), "larger than"),
    "length of 10^14": (b"HTTP/1.1 200 OK\r\nContent-Length: 1" + b"0" * 14 + b"\r\n\r\n{", "larger than"),
    "10 million lists": (body(b"[" + b"[]," * 10_000_000 + b"[]]"), "3,000,000 values"),
    "100,000 levels": (body(b"[" * 100_000 + b"]" * 100_000), "nested too deeply"),
}


@pytest.mark.parametrize("flood", FLOODS)
async def test_a_flood_is_named_at_once_and_not_asked_for_again(flood: str) -> None:
    raw, said = FLOODS[flood]
    async with hostile(lambda _: [raw]) as server, client_of(server.url) as client:
        with pytest.raises(OversizedResponse, match=said) as caught:
            await client.asend(make_call())

    assert caught.value.permanent
    assert server.requests == 1


NOISE: dict[str, bytes] = {
    "header of 1 MiB": b"HTTP/1.1 200 OK\r\nX: " + b"a" * (1 << 20) + b"\r\n\r\n",
    "20,000 headers": b"HTTP/1.1 200 OK\r\n" + b"X: a\r\n" * 20_000,
    "length of 10^30": b"HTTP/1.1 200 OK\r\nContent-Length: 1" + b"0" * 30 + b"\r\n\r\n{",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}}",
    "negative length": b"HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\n{}",
    "chunk of 10^20": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n{",
    "no HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "status 999": b"HTTP/1.1 999 Odd\r\nContent-Length: 2\r\n\r\n{}",
    "status 101": b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
    "unknown coding": body(b"{}", b"Content-Encoding: br"),
    "coding of a coding": body(b"{}", b"Content-Encoding: gzip, gzip"),
    "no gzip": body(b"{}", b"Content-Encoding: gzip"),
    "odd charset": body(b"\xff\xfe{}", b"Content-Type: application/json; charset=utf-7"),
    "number of 5,000 digits": body(b"[" + b"9" * 5_000 + b"]"),
    "NaN": body(b'{"a":NaN}'),
    "lone surrogate in a header": b"HTTP/1.1 302 Found\r\nLocation: https://\xed\xa0\x80/\r\n\r\n",
}


@pytest.mark.parametrize("noise", NOISE)
@pytest.mark.parametrize("replay", list(Replay))
async def test_noise_is_an_error_of_ours(noise: str, replay: Replay) -> None:
    def answers(_: int) -> list[bytes]:
        return [NOISE[noise]]

    async with hostile(answers) as server, client_of(server.url, read_timeout=0.2, max_attempts=2) as client:
        with pytest.raises(CallError) as caught:
            await client.asend(make_call(replay))

    assert caught.value.operation
    assert server.requests in ((1, 2) if replay is Replay.SAFE else (1,))


# --------------------------------------------------------------------- settings that lead to no server


@pytest.fixture
def no_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that knows no names."""

    def unknown(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)


@pytest.mark.usefixtures("no_names")
@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("HTTPS_PROXY", "http://proxy:port"),
        ("HTTPS_PROXY", "http://[::1"),
        ("HTTPS_PROXY", "http://\udcff"),
        ("ALL_PROXY", "gopher://proxy"),
        ("NO_PROXY", "[::1"),
        ("NO_PROXY", "http://[x"),
        ("SSL_CERT_FILE", "/nonexistent/ca.pem"),
        ("SSL_CERT_FILE", "/dev/null"),
        ("SSL_CERT_DIR", "/nonexistent"),
    ],
)
async def test_an_environment_that_cannot_work_is_named(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    http_client._tls.cache_clear()
    async with client_of("https://unknown.invalid", max_attempts=1) as client:
        with pytest.raises(VoiceAgentsError) as caught:
            await client.asend(make_call())
    http_client._tls.cache_clear()
    if isinstance(caught.value, ConnectionSettingsError):
        assert variable in str(caught.value)
    assert caught.value.__context__ is None or isinstance(caught.value.__context__, VoiceAgentsError)


@pytest.mark.usefixtures("no_names")
@pytest.mark.parametrize(
    "host",
    [
        "\U0001f600.example.com", "xn--.example.com", "xn--a-\udcff.com", "a\u2025b.com", "\u2488.com", "a..b", "-",
        "ex\u00adample.com", "\u0660\u0661", "1.2.3.4.5", "0x7f.1", "%00.com", "[fe80::1%eth0]", "[::1", "a" * 64,
        "\u200d.com", "xn--zzzzzzzzzzzzzzzzzzzzzz", "\u1e9e.de",
    ],
)  # fmt: skip
async def test_an_odd_host_is_an_error_of_ours(host: str) -> None:
    with pytest.raises(VoiceAgentsError):
        async with client_of(f"https://{host}", max_attempts=1) as client:
            await client.asend(make_call(deadline=5))
