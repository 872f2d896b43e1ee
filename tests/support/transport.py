"""Stand-ins for network and time, for tests of the transport."""

from __future__ import annotations

import asyncio
import os
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import httpx

from airflow_voice_agents.polyai.error_codes import CORRELATION_HEADER, ERROR_FORMAT
from airflow_voice_agents.transport.api_request import ApiRequest, Replay
from airflow_voice_agents.transport.client import Client, ClientSettings

BASE = "https://api.us.poly.ai"
Step = httpx.Response | Exception | Callable[[httpx.Request], httpx.Response]


def make_settings(base_url: str = BASE, key: str | None = None, **changes: Any) -> ClientSettings:
    """Settings under a key of the test's own, so that tests share no limiter."""
    secret = key or f"key/{uuid.uuid4()}+=="
    values: dict[str, Any] = {
        "system": "polyai",
        "base_url": base_url,
        "headers": {"X-API-KEY": secret},
        "secrets": (secret,),
        "user_agent": "airflow-provider-voice-agents/test",
        "correlation_header": CORRELATION_HEADER,
        "error_format": ERROR_FORMAT,
        "transport": os.environ.get("AIRFLOW__VOICE_AGENTS__TRANSPORT", "auto"),
    }
    return ClientSettings(**{**values, **changes})


def make_call(replay: Replay = Replay.SAFE, **changes: Any) -> ApiRequest[Any]:
    """A call that returns the decoded body as it is."""
    method = "GET" if replay is Replay.SAFE else "POST"
    values: dict[str, Any] = {
        "operation": "list things",
        "method": method,
        "route": "/v1/agents/{agentId}/things",
        "path": "/v1/agents/acme%2B1/things",
        "read": lambda payload: payload,
        "replay": replay,
        "body": None if replay is Replay.SAFE else {"name": "thing"},
    }
    return ApiRequest(**{**values, **changes})


class FakeTime:
    """A clock that moves only by sleeping."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.sleeps: list[float] = []

    def clock(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)


class Script(httpx.AsyncBaseTransport):
    """Answers requests by a list of steps, the last one for ever, and keeps the requests."""

    def __init__(self, *steps: Step) -> None:
        self.steps = list(steps)
        self.requests: list[httpx.Request] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        step = self.steps.pop(0) if len(self.steps) > 1 else self.steps[0]
        if isinstance(step, Exception):
            raise step
        if isinstance(step, httpx.Response):
            return httpx.Response(step.status_code, headers=step.headers, content=step.content)
        return step(request)


def make_client(
    *steps: Step, time: FakeTime | None = None, **changes: Any
) -> tuple[Client, Script, FakeTime]:
    """A client over a script, with a clock of its own and no jitter."""
    time = time or FakeTime()
    script = Script(*steps)
    client = Client(
        make_settings(**changes),
        transport=script,
        clock=time.clock,
        wall_clock=lambda: 1_800_000_000.0,
        sleep=time.sleep,
        random=lambda: 1.0,
    )
    return client, script, time


RESET = b"RESET"
HANG = b"HANG"


@asynccontextmanager
async def raw_server(answers: Sequence[bytes]) -> AsyncIterator[tuple[str, list[bytes]]]:
    """Serve raw bytes over loopback, one answer per request; each connection ends after its answer.

    ``RESET`` aborts the connection instead of closing it, ``HANG`` keeps it open without a byte.
    """
    queue, seen = list(answers), []
    finished = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        seen.append(head)
        answer = queue.pop(0) if len(queue) > 1 else queue[0]
        if answer.endswith(HANG):
            writer.write(answer.removesuffix(HANG))
            await finished.wait()
        writer.write(answer.removesuffix(RESET).removesuffix(HANG))
        if answer.endswith(RESET):
            writer.transport.abort()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        port = server.sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}", seen
    finally:
        finished.set()
        server.close()
        await server.wait_closed()
