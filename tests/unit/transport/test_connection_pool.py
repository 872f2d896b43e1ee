"""Connections are lent out one per exchange, used again, and closed in the loop that they belong to."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_voice_agents.transport.connection_pool import ConnectionPool, holds_surplus
from support.tls import certificate


class Made:
    """Stands in for an HTTP client."""

    def __init__(self) -> None:
        self.closed_in: asyncio.AbstractEventLoop | None = None

    async def aclose(self) -> None:
        self.closed_in = asyncio.get_running_loop()


class Maker:
    """Makes them and remembers."""

    def __init__(self) -> None:
        self.made: list[Made] = []

    def __call__(self) -> Made:
        self.made.append(Made())
        return self.made[-1]


async def exchanges(connections: ConnectionPool[Made], count: int) -> None:
    async def exchange() -> None:
        with connections.one():
            await asyncio.sleep(0)

    await asyncio.gather(*(exchange() for _ in range(count)))


async def test_as_many_are_made_as_are_in_flight_at_once_and_they_are_used_again() -> None:
    maker = Maker()
    connections = ConnectionPool(maker)
    await exchanges(connections, 16)
    assert len(maker.made) == 16
    await exchanges(connections, 16)
    assert len(maker.made) == 16


async def test_the_one_that_was_used_last_is_used_next() -> None:
    connections = ConnectionPool(Maker())
    await exchanges(connections, 3)
    with connections.one() as first, connections.one():
        pass
    with connections.one() as again:
        assert again is first


async def test_one_comes_back_from_an_exchange_that_failed() -> None:
    maker = Maker()
    connections = ConnectionPool(maker)
    with pytest.raises(OSError, match="reset"), connections.one():
        raise OSError("reset")
    with connections.one() as again:
        assert maker.made == [again]


async def test_closing_closes_what_is_idle_and_what_is_lent_out() -> None:
    maker = Maker()
    connections = ConnectionPool(maker)
    with connections.one():
        with connections.one():
            pass
        assert connections.is_used
        await connections.aclose()
    assert [each.closed_in for each in maker.made] == [asyncio.get_running_loop()] * 2
    assert not connections.is_used


async def test_none_is_made_after_they_were_refused() -> None:
    connections = ConnectionPool(Maker())
    connections.refuse()
    with pytest.raises(RuntimeError, match="closed"), connections.one():
        pass


async def test_each_loop_has_its_own_and_they_are_closed_in_it() -> None:
    maker = Maker()
    connections = ConnectionPool(maker)
    other = asyncio.new_event_loop()
    thread = threading.Thread(target=other.run_forever)
    thread.start()
    try:
        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(exchanges(connections, 1), other))
        await exchanges(connections, 1)
        await connections.aclose()
        assert [each.closed_in for each in maker.made] == [other, asyncio.get_running_loop()]
    finally:
        other.call_soon_threadsafe(other.stop)
        thread.join()
        other.close()


def test_what_belongs_to_a_loop_that_is_closed_is_forgotten() -> None:
    connections = ConnectionPool(Maker())
    for _ in range(3):
        asyncio.run(exchanges(connections, 1))
    assert len(connections._stocks) == 1


# --------------------------------------------------------------------------------- surplus bytes


class Wire:
    """What the HTTP library tells of a connection."""

    def __init__(self, encrypted: Any = None) -> None:
        self.encrypted = encrypted

    def get_extra_info(self, name: str) -> Any:
        return self.encrypted if name == "ssl_object" else None


def answered(trailing: bytes | None, wire: Wire | None) -> Any:
    """Return a response with this much behind it; ``None`` where the library no longer tells."""
    stream: Any = SimpleNamespace()
    if trailing is not None:
        for name in ("_h11_state", "_connection", "_stream", "_httpcore_stream"):
            inner = stream if name != "_h11_state" else SimpleNamespace(trailing_data=(trailing, False))
            stream = SimpleNamespace(**{name: inner})
    return SimpleNamespace(stream=stream, extensions={} if wire is None else {"network_stream": wire})


@pytest.mark.parametrize(
    ("trailing", "surplus"), [(b"", False), (b"HTTP/1.1 200", True), (b"\r\n", True), (None, True)]
)
def test_bytes_after_a_response_show(trailing: bytes | None, surplus: bool) -> None:
    assert holds_surplus(answered(trailing, Wire())) is surplus
    assert holds_surplus(answered(trailing, None)) is False


def test_a_record_after_a_response_shows(tmp_path: Path) -> None:
    server, client, to_client = talking(certificate(tmp_path))
    assert holds_surplus(answered(b"", Wire(client[0]))) is False
    for text in (b"answer", b"surplus"):
        server.write(text)
        client[1].write(to_client.read())

    assert client[0].read(100) == b"answer"
    assert holds_surplus(answered(b"", Wire(client[0]))) is True


def talking(file: Path) -> tuple[ssl.SSLObject, tuple[ssl.SSLObject, ssl.MemoryBIO], ssl.MemoryBIO]:
    """Return both ends of an encrypted connection that holds nothing yet."""
    theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    theirs.load_cert_chain(file)
    ours = ssl.create_default_context(cafile=str(file))
    to_server, to_client, arriving = ssl.MemoryBIO(), ssl.MemoryBIO(), ssl.MemoryBIO()
    server = theirs.wrap_bio(to_server, to_client, server_side=True)
    sent = ssl.MemoryBIO()
    client = ours.wrap_bio(arriving, sent, server_hostname="127.0.0.1")
    for _ in range(4):
        for end in (client, server):
            with contextlib.suppress(ssl.SSLWantReadError):
                end.do_handshake()
            to_server.write(sent.read())
            arriving.write(to_client.read())
    return server, (client, arriving), to_client
