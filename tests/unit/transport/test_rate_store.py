"""The pace of a key in Redis: shared by everybody, and never a reason to fail."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import shutil
import socket
import subprocess
import sys
import time as clock_module
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fakeredis
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_voice_agents.transport import rate_pace, rate_store
from airflow_voice_agents.transport.client import Client
from airflow_voice_agents.transport.errors import ConnectionSettingsError
from airflow_voice_agents.transport.rate_limit import pace_for
from airflow_voice_agents.transport.rate_pace import MemoryPace, PaceState, Start
from airflow_voice_agents.transport.rate_store import ASKED_AGAIN, SCRIPT, StoredPace
from support.transport import FakeTime, Script, make_call, make_settings

PASSWORD = "pass-of-the-store"
URL = f"redis://limiter:{PASSWORD}@store.example:6380/0"
FAKE = {"server_type": "redis", "version": (7,)}


@pytest.fixture(autouse=True)
def no_outages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rate_store, "_outages", {})


class Store:
    """A Redis in memory, and paces of several workers that share it."""

    def __init__(self) -> None:
        self.server = fakeredis.FakeServer(**FAKE)
        self.time = FakeTime()
        self.opened: list[str] = []

    def open(self, url: str) -> Any:
        self.opened.append(url)
        return fakeredis.FakeAsyncRedis(server=self.server, decode_responses=True)

    def pace(self, key: str = "digest") -> StoredPace:
        stand_in = MemoryPace(self.time.clock)
        return StoredPace(URL, key, stand_in, self.time.clock, self.open)


@contextlib.asynccontextmanager
async def workers(store: Store, number: int = 2) -> Any:
    paces = [store.pace() for _ in range(number)]
    yield paces
    for pool in itertools.chain.from_iterable(each.pools for each in paces):
        await pool.aclose()


async def test_all_workers_of_a_key_have_one_pace() -> None:
    async with workers(Store(), 4) as paces:
        found = [await each.reserve(0.5) for each in paces * 2]

    moments = sorted(start.at for start in found)
    assert all(later - earlier >= 2 - 1e-6 for earlier, later in itertools.pairwise(moments))
    assert max(start.wait for start in found) == pytest.approx(14, abs=2)
    assert all(start.stored for start in found)


async def test_a_refusal_of_one_worker_makes_all_of_them_wait() -> None:
    store = Store()
    async with workers(store) as (one, other):
        await one.refused(await one.reserve(None), 30.0)
        waits = [(await each.reserve(None)).wait for each in (one, other)]
        assert await one.paused()
        assert await other.paused()

    assert waits[0] == pytest.approx(30, abs=5)
    assert waits[1] > waits[0]


async def test_keys_have_paces_of_their_own() -> None:
    store = Store()
    one, other = store.pace("digest"), store.pace("another")
    await one.refused(await one.reserve(None), 30.0)

    assert (await other.reserve(None)).wait == 0
    for pace in (one, other):
        await pace.pools[0].aclose()


async def test_the_store_forgets_what_nobody_uses_and_never_holds_a_key() -> None:
    store, secret = Store(), "key-of-the-api"
    chosen = make_settings(key=secret, rate_limit_store=URL)
    digest = pace_for(chosen, store.time.clock)._key  # type: ignore[attr-defined]
    async with workers(store) as (one, _):
        one._key = digest
        await one.reserve(None)
        client = store.open(URL)
        names = await client.keys("*")
        content = await client.hgetall(names[0])
        alive = await client.ttl(names[0])
        await client.aclose()

    assert names == [digest]
    assert secret not in repr((names, content))
    assert 0 < alive <= rate_store.KEPT
    assert all(float(value) is not None for value in content.values())


def test_the_same_key_at_another_host_or_system_has_another_pace() -> None:
    def name(**changes: Any) -> str:
        chosen = make_settings(key="same", rate_limit_store=URL, **changes)
        return pace_for(chosen, clock_module.monotonic)._key  # type: ignore[attr-defined, no-any-return]

    names = {name(), name(base_url="https://api.eu.poly.ai"), name(system="other"), name()}
    assert len(names) == 3


# The script and PaceState are one algorithm

STEPS = st.lists(
    st.tuples(
        st.floats(0, 40).map(lambda seconds: round(seconds, 3)),
        st.one_of(
            st.tuples(st.just("reserve"), st.sampled_from([None, 0.5, 10.0])),
            st.tuples(st.just("refused"), st.sampled_from([0.0, 0.7, 5.0, 60.0])),
            st.tuples(st.just("again"), st.just(1.0)),
        ),
    ),
    max_size=30,
)


@settings(deadline=None, max_examples=40)
@given(STEPS)
def test_the_script_decides_as_the_pace_of_one_process_does(steps: list[Any]) -> None:
    client = fakeredis.FakeRedis(server=fakeredis.FakeServer(**FAKE), decode_responses=True)
    script = client.register_script(SCRIPT)
    shape = (
        *(rate_pace.DROP, rate_pace.REACHED_FIRST, rate_pace.REACHED_AGAIN, rate_pace.REFUSED_EARLY),
        *(rate_pace.SLOWEST_GUESS, rate_pace.SLOWEST, 3600),
    )
    state, now, last = PaceState(), 1000.0, 1000.0
    for pause, (what, value) in steps:
        now = round(now + pause, 3)
        if what == "reserve":
            expected = state.reserve(value, now)
            args: tuple[Any, ...] = ("reserve", "" if value is None else value, "")
            last = expected.at
        else:
            expected = None
            start = last if what == "again" else now
            state.refused(start, value, now)
            args = ("refused", repr(start), value)
        found = script(keys=["k"], args=[*args, *shape, repr(now)])
        if expected is not None:
            assert [float(each) for each in found] == pytest.approx([*expected[:2]], abs=1e-6)
        assert float(client.hget("k", "refused_pace")) == pytest.approx(state.refused_pace)
    client.close()


# A store that does not answer


async def test_without_the_store_the_stand_in_keeps_the_pace_with_one_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    store = Store()
    store.server.connected = False
    with caplog.at_level(logging.INFO):
        async with workers(store) as (one, other):
            waits = [(await one.reserve(4)).wait for _ in range(3)]
            await other.reserve(4)
            await one.refused(Start(0.0, store.time.now), 2.0)
            assert (await one.reserve(None)).wait == 2.0
            assert len(store.opened) == 1  # it is left alone for a while
            store.time.now += ASKED_AGAIN + 1
            assert not (await one.reserve(None)).stored
            store.server.connected = True
            store.time.now += ASKED_AGAIN + 1
            assert (await one.reserve(None)).stored

    assert waits == [0, 0.25, 0.5]
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]
    assert "store.example:6380" in caplog.text
    assert PASSWORD not in caplog.text
    assert "limiter" not in caplog.text.replace("rate_limit", "")


async def test_a_store_that_is_silent_costs_a_second_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rate_store, "TIMEOUT", 0.01)

    class Silent:
        def register_script(self, _: str) -> Any:
            return lambda **_: asyncio.Event().wait()

        async def aclose(self) -> None:
            pass

    time = FakeTime()
    pace = StoredPace(URL, "digest", MemoryPace(time.clock), time.clock, lambda _: Silent())
    assert [(await pace.reserve(4)).wait for _ in range(2)] == [0, 0.25]


async def test_a_start_of_the_stand_in_is_no_moment_of_the_store() -> None:
    store = Store()
    async with workers(store) as (one, other):
        await one.refused(Start(0.0, 5.0), 30.0)
        assert (await other.reserve(None)).wait == pytest.approx(30, abs=5)


# The client


@pytest.mark.parametrize(
    "url",
    [
        "http://store.example",
        "redis://",
        "redis:///0",
        f"store.example:{PASSWORD}",
        f"redis://:{PASSWORD}@h:x/0",
    ],
)
def test_a_url_of_something_else_is_refused_without_being_shown(url: str) -> None:
    with pytest.raises(ConnectionSettingsError, match=r"\[voice_agents\] rate_limit_store must be") as caught:
        make_settings(rate_limit_store=url)

    assert PASSWORD not in str(caught.value)


def test_settings_do_not_show_the_url() -> None:
    assert PASSWORD not in repr(make_settings(rate_limit_store=URL))


def test_a_missing_package_is_named_before_anything_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "redis.exceptions", None)

    with pytest.raises(ConnectionSettingsError, match=r"airflow-provider-voice-agents\[redis\]") as caught:
        Client(make_settings(rate_limit_store=URL))

    assert PASSWORD not in str(caught.value)


async def test_requests_are_sent_while_nothing_listens_at_the_stores_address() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    import httpx

    script = Script(httpx.Response(200, json={"ok": 1}))
    chosen = make_settings(rate_limit_store=f"redis://:{PASSWORD}@127.0.0.1:{port}/0")
    async with Client(chosen, transport=script) as client:
        assert await client.asend(make_call()) == {"ok": 1}


@pytest.fixture
def served(tmp_path: Path) -> Iterator[str]:
    """A real Redis on a port of its own."""
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("redis-server is not installed")
    path = tmp_path / "redis.sock"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [program, "--port", str(port), "--save", "", "--dir", str(tmp_path), "--unixsocket", str(path)],
        stdout=subprocess.DEVNULL,
    )
    try:
        end = clock_module.monotonic() + 30
        while not path.exists() and clock_module.monotonic() < end:
            clock_module.sleep(0.01)
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        process.terminate()
        process.wait(timeout=10)


def test_clients_of_two_event_loops_share_the_pace_of_a_real_redis(served: str) -> None:
    import httpx

    script = Script(httpx.Response(200, json={"ok": 1}))
    chosen = make_settings(rate_limit_store=served, requests_per_second=50.0, max_concurrency=8)

    async def many(client: Client) -> None:
        await asyncio.gather(*(client.asend(make_call()) for _ in range(20)))

    began = clock_module.monotonic()
    with Client(chosen, transport=script) as one, Client(chosen, transport=script) as other:
        one.run(many(one))
        other.run(many(other))

    assert len(script.requests) == 40
    assert clock_module.monotonic() - began >= 39 / 50 - 0.05
    assert one._pace.pools[0].is_used is False
