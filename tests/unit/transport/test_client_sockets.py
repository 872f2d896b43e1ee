"""The client against real sockets: resets, cut answers, silence, reuse and clean endings."""

from __future__ import annotations

import asyncio
import gc
import logging
import socket
import threading
import warnings

import pytest

from airflow_voice_agents.transport.api_request import Replay
from airflow_voice_agents.transport.client import Client
from airflow_voice_agents.transport.errors import (
    BadRequest,
    CallError,
    DeadlineExceeded,
    OutcomeUnknown,
    ResponseError,
    TransportError,
)
from support.transport import HANG, RESET, make_call, make_settings, raw_server

GOOD = b'HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n{"a":1}'
CUT = b'HTTP/1.1 200 OK\r\nContent-Length: 700\r\n\r\n{"a":'
CUT_CHUNKS = b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{"a":'
CUT_UNFRAMED = b'HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{"a":'
LOST = {
    "reset": RESET,
    "closed": b"",
    "cut-head": b"HTTP/1.1 200 OK\r\nConte",
    "cut": CUT,
    "cut-chunks": CUT_CHUNKS,
    "cut-unframed": CUT_UNFRAMED,
    "reset-in-body": CUT + RESET,
    "not-http": b"SSH-2.0-OpenSSH\r\n\r\n",
    "half-gzip": b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\njunk",
}


async def no_wait(seconds: float) -> None:
    await asyncio.sleep(0)


def make_socket_client(base_url: str, **changes) -> Client:
    return Client(make_settings(base_url=base_url, **changes), sleep=no_wait, random=lambda: 0.0)


@pytest.mark.parametrize("answer", LOST.values(), ids=LOST.keys())
async def test_safe_call_is_sent_again_after_a_lost_answer(answer):
    async with raw_server([answer, GOOD]) as (url, seen), make_socket_client(url) as client:
        assert await client.asend(make_call()) == {"a": 1}
        assert len(seen) == 2


@pytest.mark.parametrize("answer", LOST.values(), ids=LOST.keys())
@pytest.mark.parametrize("replay", [Replay.RECONCILE, Replay.NEVER])
async def test_write_is_never_sent_again_after_a_lost_answer(answer, replay):
    async with raw_server([answer, GOOD]) as (url, seen), make_socket_client(url) as client:
        with pytest.raises(OutcomeUnknown):
            await client.asend(make_call(replay))
        assert len(seen) == 1


async def test_cut_error_answer_keeps_its_status():
    refused = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 700\r\n\r\n{"
    async with raw_server([refused, GOOD]) as (url, seen), make_socket_client(url) as client:
        with pytest.raises(BadRequest):
            await client.asend(make_call(Replay.RECONCILE))
        assert len(seen) == 1


async def test_answer_that_always_ends_early_names_the_cause():
    async with raw_server([CUT]) as (url, seen), make_socket_client(url) as client:
        with pytest.raises(TransportError, match=r"RemoteProtocolError.*gave up after 5 attempts"):
            await client.asend(make_call())
        assert len(seen) == 5


@pytest.mark.parametrize(
    ("replay", "kind"), [(Replay.SAFE, DeadlineExceeded), (Replay.RECONCILE, OutcomeUnknown)]
)
@pytest.mark.parametrize("answer", [HANG, CUT + HANG], ids=["before-answering", "in-the-body"])
async def test_silence_ends_with_the_deadline(answer, replay, kind):
    async with raw_server([answer]) as (url, seen), make_socket_client(url) as client:
        with pytest.raises(kind):
            await client.asend(make_call(replay, deadline=0.3))
        assert len(seen) == 1


async def test_read_timeout_sends_a_safe_call_again():
    async with raw_server([HANG, GOOD]) as (url, seen), make_socket_client(url, read_timeout=0.1) as client:
        assert await client.asend(make_call()) == {"a": 1}
        assert len(seen) >= 2


@pytest.mark.parametrize("replay", list(Replay))
async def test_refused_connection_is_never_an_unknown_outcome(replay):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{unused.getsockname()[1]}"
        async with make_socket_client(f"http://{address}") as client:
            with pytest.raises(TransportError, match=f"no connection to {address}: ConnectError") as caught:
                await client.asend(make_call(replay))
            assert "ConnectionRefusedError" in caught.value.reason
            assert caught.value.__context__ is None
            assert client.requests_sent == (1 if replay is Replay.NEVER else 5)


@pytest.mark.parametrize("replay", list(Replay))
async def test_failed_tls_names_the_host_and_is_never_an_unknown_outcome(replay):
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(refuse, "127.0.0.1", 0) as server:
        address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with make_socket_client(f"https://{address}", max_attempts=1) as client:
            with pytest.raises(TransportError, match=rf"no connection to {address}: ConnectError: .*SSL"):
                await client.asend(make_call(replay))


async def test_redirect_is_not_followed():
    async with raw_server([GOOD]) as (elsewhere, followed):
        redirect = f"HTTP/1.1 301 Moved\r\nLocation: {elsewhere}/x\r\nContent-Length: 0\r\n\r\n".encode()
        async with raw_server([redirect]) as (url, _), make_socket_client(url) as client:
            with pytest.raises(ResponseError, match=r"redirect to 127\.0\.0\.1 was refused"):
                await client.asend(make_call())
        assert followed == []


async def test_loopback_is_reached_without_the_environments_proxy(monkeypatch):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    async with raw_server([GOOD]) as (url, _), make_socket_client(url) as client:
        assert await client.asend(make_call()) == {"a": 1}


async def test_raw_path_and_key_on_the_wire_and_in_no_log(caplog):
    caplog.set_level(logging.DEBUG)
    async with raw_server([GOOD]) as (url, seen), make_socket_client(url, key="wire-key-1") as client:
        await client.asend(make_call(query=(("to", "+447911123456"),)))
    assert seen[0].startswith(b"GET /v1/agents/acme%2B1/things?to=%2B447911123456 HTTP/1.1\r\n")
    assert b"X-API-KEY: wire-key-1\r\n" in seen[0]
    assert caplog.records
    for hidden in ("447911123456", "wire-key-1"):
        assert not [record for record in caplog.records if hidden in record.getMessage()]


async def test_path_names_and_values_are_sent_as_they_were_given():
    odd = "/v1/agents/%40a%3A%21%7Eb%20c/x"
    async with raw_server([GOOD]) as (url, seen), make_socket_client(url) as client:
        await client.asend(make_call(path=odd, query=(("a b", "~!@/+&"), ("a b", "\u00fc"))))
        await client.asend(make_call(Replay.RECONCILE))
    assert seen[0].startswith(f"GET {odd}?a%20b=~%21%40%2F%2B%26&a%20b=%C3%BC HTTP/1.1\r\n".encode())
    names = [line.partition(b":")[0] for line in seen[1].split(b"\r\n")[1:-2]]
    assert sorted(name.lower() for name in names) == sorted({name.lower() for name in names})
    assert {b"Content-Type", b"X-API-KEY", b"Content-Length", b"User-Agent"} <= set(names)
    assert b"Transfer-Encoding" not in names


async def test_no_cookie_is_kept_and_none_is_logged(caplog):
    caplog.set_level(logging.DEBUG)
    sticky = b"Set-Cookie: sticky=canary-1; Path=/\r\nSet-Cookie: =\x01;canary-2\r\n"
    answer = GOOD.replace(b"OK\r\n", b"OK\r\n" + sticky, 1)
    async with (
        raw_server([answer.replace(b"\x01", b"a b")]) as (url, seen),
        make_socket_client(url) as client,
    ):
        for _ in range(2):
            assert await client.asend(make_call()) == {"a": 1}
    assert b"cookie" not in seen[1].lower()
    assert not [record for record in caplog.records if "canary" in record.getMessage()]


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nX-Secret: canary-1\r\nX-Cut: yes\r\n",
        b"HTTP/1.1 200 OK\r\nX-Secret: canary-1\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nX-Secret: canary-1\r\nX-Long: " + b"a" * 200_000 + b"\r\n\r\n",
    ],
)
async def test_a_broken_head_is_quoted_nowhere(answer, caplog):
    caplog.set_level(logging.DEBUG)
    async with raw_server([answer]) as (url, _), make_socket_client(url, max_attempts=2) as client:
        with pytest.raises(TransportError) as caught:
            await client.asend(make_call())
    assert "canary-1" not in str(caught.value) + caplog.text


@pytest.mark.parametrize("replay", list(Replay))
async def test_a_connection_that_is_not_ready_in_time_is_never_an_unknown_outcome(replay):
    """The server takes the connection and says nothing to the greeting of TLS."""
    released = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await released.wait()
        writer.close()

    async with await asyncio.start_server(silent, "127.0.0.1", 0) as server:
        address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with make_socket_client(f"https://{address}", max_attempts=1, connect_timeout=0.1) as client:
            with pytest.raises(TransportError, match=f"no connection to {address}: ConnectTimeout"):
                await client.asend(make_call(replay))
        released.set()


@pytest.mark.parametrize("replay", [Replay.RECONCILE, Replay.NEVER])
@pytest.mark.parametrize("ending", ["reset", "closed"])
async def test_a_write_that_is_broken_off_while_it_is_sent_is_an_unknown_outcome(replay, ending):
    """The server ends the connection after a part of the request, or before it reads any of it."""

    async def cut(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10)
        if ending == "reset":
            writer.transport.abort()
        writer.close()

    async with await asyncio.start_server(cut, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with make_socket_client(url) as client:
            with pytest.raises(OutcomeUnknown):
                await client.asend(make_call(replay, body={"name": "x" * 400_000}))
            assert client.requests_sent == 1


class KeepAliveServer:
    """A threaded server that keeps connections open and counts them."""

    def __init__(self) -> None:
        self.connections = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            first = connection.recv(65536)
            if not first:
                connection.close()
                return
            self.connections += 1
            self._threads.append(threading.Thread(target=self._serve, args=(connection,)))
            self._threads[-1].start()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            data = b"request"
            while data:
                connection.sendall(GOOD)
                data = connection.recv(65536)

    def close(self) -> None:
        """End once every client closed its connections."""
        socket.create_connection(self._listener.getsockname()).close()
        for thread in self._threads:
            thread.join(30)
            assert not thread.is_alive()
        self._listener.close()


@pytest.fixture
def keep_alive():
    server = KeepAliveServer()
    yield server
    server.close()


def test_sync_sends_share_one_connection_and_close_leaves_nothing(keep_alive):
    with warnings.catch_warnings(), make_socket_client(keep_alive.url) as client:
        warnings.simplefilter("error", ResourceWarning)
        for _ in range(5):
            client.send(make_call())
    gc.collect()
    assert keep_alive.connections == 1


async def test_async_sends_share_one_connection_and_close_leaves_no_task(keep_alive):
    before = asyncio.all_tasks()
    async with make_socket_client(keep_alive.url) as client:
        for _ in range(5):
            await client.asend(make_call())
    assert asyncio.all_tasks() == before
    assert keep_alive.connections == 1


def test_sync_then_async_use_of_one_client_closes_both_pools(keep_alive):
    client = make_socket_client(keep_alive.url)
    client.send(make_call())

    async def use_and_close() -> None:
        await client.asend(make_call())
        await client.aclose()

    asyncio.run(use_and_close())
    assert keep_alive.connections == 2


async def test_resends_reuse_nothing_of_a_failed_call():
    async with raw_server([CUT, GOOD]) as (url, seen), make_socket_client(url) as client:
        await client.asend(make_call())
        heads = [dict(line.split(b": ", 1) for line in head.split(b"\r\n")[1:-2]) for head in seen]
    assert heads[0][b"X-PolyAI-Correlation-Id"] != heads[1][b"X-PolyAI-Correlation-Id"]


async def test_failed_calls_leave_no_slot_behind():
    async with raw_server([RESET]) as (url, _), make_socket_client(url) as client:
        for replay in Replay:
            with pytest.raises(CallError):
                await client.asend(make_call(replay))
        assert client._limiter.in_flight == 0
