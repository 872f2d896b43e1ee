"""Reads: their identity, the read of one request, and the narrow read of a wait that is alone."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_voice_agents.plans.condition import Read, WaitFailed, fetch_all
from airflow_voice_agents.transport.api_request import ApiRequest, Replay


class Platform:
    """Answers every request with its path, and notes it."""

    def __init__(self) -> None:
        self.sent: list[str] = []

    async def asend(self, call: ApiRequest[Any]) -> Any:
        self.sent.append(call.path)
        return call.read(call.path)

    async def aclient(self) -> Any:
        raise AssertionError("not needed here")


def request(path: str = "/a", **changes: Any) -> ApiRequest[str]:
    given = {"operation": "read", "method": "GET", "route": path, "path": path, "read": str.upper, **changes}
    return ApiRequest(**given, replay=Replay.SAFE)


async def test_a_request_is_the_read_that_sends_it() -> None:
    platform = Platform()

    answers = await fetch_all([Read.of(request()), Read.of(request("/b"))], platform)

    assert answers == ["/A", "/B"]
    assert platform.sent == ["/a", "/b"]


def test_reads_of_equal_requests_are_equal_whatever_object_reads_the_answer() -> None:
    ids = {"ids": ["1"], "limit": 2}

    assert Read.of(request(read=str)) == Read.of(request())
    assert Read.of(request(body=ids)) == Read.of(request(body=dict(reversed(ids.items()))))


@pytest.mark.parametrize(
    "other",
    [
        request("/b"),
        request(method="POST"),
        request(query=(("limit", "1"),)),
        request(operation="another reading"),
        request(body={"ids": ["1"]}),
    ],
)
def test_reads_of_different_requests_differ(other: ApiRequest[str]) -> None:
    assert Read.of(other).key != Read.of(request()).key


def test_a_read_stays_what_it_is() -> None:
    read = Read.of(request())

    assert Read.of(read) is read
    assert hash(read.key) == hash(Read.of(request()).key)


def test_alone_is_the_narrow_read_where_there_is_one() -> None:
    narrow = Read.of(request("/mine"))
    whole = Read("list", narrow.fetch, narrow)

    assert whole.alone is narrow
    assert narrow.alone is narrow


def test_a_body_is_not_shown() -> None:
    assert "secret" not in repr(Read.of(request(body={"note": "secret"})))


def test_a_wait_that_failed_is_not_repeated() -> None:
    assert WaitFailed("over").permanent
