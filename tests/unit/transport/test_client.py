"""The client over a scripted transport: what is sent, how often, and what comes of it."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import importlib.util
import json
import logging
import pickle
import re
import threading
from pathlib import Path

import httpx
import pytest
from pydantic import BaseModel

from airflow_voice_agents.transport.api_request import Replay
from airflow_voice_agents.transport.client import HTTPCORE_LOGGERS, Client
from airflow_voice_agents.transport.error_format import ErrorFormat
from airflow_voice_agents.transport.errors import (
    BadRequest,
    CallError,
    Conflict,
    DeadlineExceeded,
    InputError,
    NotFound,
    OutcomeUnknown,
    RateLimited,
    ResponseError,
    ServerError,
    TransportError,
)
from airflow_voice_agents.transport.rate_pace import Start
from airflow_voice_agents.transport.secure_connection import proxy_on_the_way
from support.transport import FakeTime, Script, make_call, make_client, make_settings, raw_server

CLIENT_LOG = "airflow_voice_agents.transport.client"
OK = httpx.Response(200, json={"ok": 1})


def answer(status, payload=None, **headers):
    content = b"" if payload is None else json.dumps(payload).encode()
    return httpx.Response(status, content=content, headers=headers)


# What each replay class does with each outcome: requests sent (of at most 5, or as many as fit into the deadline
# where a rate limit refuses) and what is raised.

NOT_SENT = [httpx.ConnectError("refused"), httpx.ConnectTimeout("slow"), httpx.PoolTimeout("full")]
LOST = [
    httpx.ReadTimeout("silent"),
    httpx.ReadError("reset"),
    httpx.WriteError("broken pipe"),
    httpx.WriteTimeout("slow"),
    httpx.RemoteProtocolError("closed"),
    httpx.LocalProtocolError("odd"),
]
MATRIX = [
    *((fault, (5, TransportError), (5, TransportError), (1, TransportError)) for fault in NOT_SENT),
    *((fault, (5, TransportError), (1, OutcomeUnknown), (1, OutcomeUnknown)) for fault in LOST),
    (answer(429), (11, RateLimited), (11, RateLimited), (1, RateLimited)),
    *(
        (answer(status), (5, ServerError), (1, OutcomeUnknown), (1, OutcomeUnknown))
        for status in (408, 500, 502, 503, 504)
    ),
    (answer(501), (1, ServerError), (1, OutcomeUnknown), (1, OutcomeUnknown)),
    (answer(400), *((1, BadRequest),) * 3),
    (answer(404), *((1, NotFound),) * 3),
    (answer(409), *((1, Conflict),) * 3),
    (answer(500, {"error_code": "PROJECT_ID_ALREADY_EXISTS"}), *((1, Conflict),) * 3),
    *(
        (answer(status), (5, ResponseError), (1, OutcomeUnknown), (1, OutcomeUnknown))
        for status in (101, 203, 205, 206, 299, 300, 302, 304, 307, 308, 418, 425, 499)
    ),
    (httpx.Response(200, content=b"<html>"), (5, ResponseError), (1, OutcomeUnknown), (1, OutcomeUnknown)),
    (httpx.Response(201, content=b'{"cut'), (5, ResponseError), (1, OutcomeUnknown), (1, OutcomeUnknown)),
    (httpx.Response(200, content=b'"text"'), (5, ResponseError), (1, OutcomeUnknown), (1, OutcomeUnknown)),
    *(
        (answer(200, payload), (5, ResponseError), (1, OutcomeUnknown), (1, OutcomeUnknown))
        for payload in ({"success": False}, {"error_code": "NOT_IN_ANY_TABLE"})
    ),
    (answer(200, {"success": False, "error_code": "PROJECT_ID_INVALID"}), *((1, BadRequest),) * 3),
    (answer(418, {"error_message": "no"}), *((1, BadRequest),) * 3),
]


def _name(step):
    return type(step).__name__ if isinstance(step, Exception) else f"{step.status_code}-{step.content[:20]!r}"


@pytest.mark.parametrize(
    ("step", "replay", "expected"),
    [
        pytest.param(step, replay, expected, id=f"{replay}-{_name(step)}")
        for step, *row in MATRIX
        for replay, expected in zip(Replay, row, strict=True)
    ],
)
async def test_replay_matrix(step, replay, expected):
    client, script, _ = make_client(step)
    async with client:
        with pytest.raises(CallError) as caught:
            await client.asend(make_call(replay))
    assert (len(script.requests), type(caught.value)) == expected
    assert client.requests_sent == expected[0]
    assert caught.value.__context__ is None
    assert caught.value.correlation_id == script.requests[-1].headers["X-PolyAI-Correlation-Id"]


async def test_a_resend_that_succeeds_returns_the_value():
    client, script, time = make_client(httpx.ReadError("reset"), answer(503), OK)
    async with client:
        assert await client.asend(make_call()) == {"ok": 1}
    assert len(script.requests) == 3
    assert time.sleeps == [0.5, 1.0]


async def test_lost_after_a_resend_is_unknown_for_a_write():
    client, script, _ = make_client(httpx.ConnectError("refused"), answer(429), httpx.ReadError("reset"))
    async with client:
        with pytest.raises(OutcomeUnknown):
            await client.asend(make_call(Replay.RECONCILE))
    assert len(script.requests) == 3


async def test_what_is_sent():
    client, script, _ = make_client(OK, base_url="https://api.us.poly.ai/prefix/", key="the-key")
    call = make_call(
        Replay.RECONCILE, query=(("to", "+44 7"), ("x", "a&b")), body={"name": "grüße", "none": None}
    )
    async with client:
        await client.asend(call)
    request = script.requests[0]
    assert request.method == "POST"
    assert str(request.url) == (
        "https://api.us.poly.ai/prefix/v1/agents/acme%2B1/things?to=%2B44%207&x=a%26b"
    )
    assert request.content == '{"name":"grüße","none":null}'.encode()
    assert request.headers["Content-Type"] == "application/json"
    assert request.headers["Accept"] == "application/json"
    assert request.headers["Accept-Encoding"] == "gzip"
    assert request.headers["X-API-KEY"] == "the-key"
    assert request.headers["User-Agent"] == "airflow-provider-voice-agents/test"


async def test_no_body_sends_no_content_type():
    client, script, _ = make_client(OK)
    async with client:
        await client.asend(make_call())
    assert "Content-Type" not in script.requests[0].headers
    assert script.requests[0].content == b""


async def test_every_request_has_a_correlation_id_of_its_own():
    client, script, _ = make_client(answer(503), answer(503), OK)
    async with client:
        await client.asend(make_call())
        await client.asend(make_call())
    ids = {request.headers["X-PolyAI-Correlation-Id"] for request in script.requests}
    assert len(ids) == len(script.requests) == 4


async def test_cookies_are_not_sent_back():
    client, script, _ = make_client(answer(200, {}, **{"set-cookie": "sticky=1; Path=/"}))
    async with client:
        await client.asend(make_call())
        await client.asend(make_call())
    assert "Cookie" not in script.requests[1].headers


async def test_unsendable_values_are_refused_before_anything_is_sent():
    client, script, _ = make_client(OK)
    async with client:
        for call in (make_call(body={"x": float("nan")}), make_call(query=(("q", "\ud800"),))):
            with pytest.raises(InputError, match="list things"):
                await client.asend(call)
    assert script.requests == []


@pytest.mark.parametrize("status", [200, 201, 202])
async def test_statuses_that_operations_answer_with_are_accepted(status):
    client, _, _ = make_client(answer(status, [1]))
    async with client:
        assert await client.asend(make_call()) == [1]


@pytest.mark.parametrize("response", [answer(204), answer(200), httpx.Response(200, content=b" \n")])
async def test_empty_answer_is_none(response):
    client, _, _ = make_client(response)
    async with client:
        assert await client.asend(make_call(Replay.RECONCILE)) is None


class _Thing(BaseModel):
    name: str
    count: int


@pytest.mark.parametrize(
    ("replay", "kind"), list(zip(Replay, (ResponseError, OutcomeUnknown, OutcomeUnknown), strict=True))
)
async def test_unreadable_answer_names_fields_but_no_values(replay, kind):
    client, script, _ = make_client(answer(200, {"count": "hidden"}))
    async with client:
        with pytest.raises(kind, match=r"name \(missing\), count \(int_parsing\)") as caught:
            await client.asend(make_call(replay, read=_Thing.model_validate))
    assert "hidden" not in repr(caught.value) + str(caught.value)
    assert caught.value.__context__ is None
    assert len(script.requests) == (5 if replay is Replay.SAFE else 1)


@pytest.mark.parametrize(
    "fault", [KeyError("a"), TypeError("x"), AttributeError("y"), IndexError(1), RecursionError()]
)
async def test_any_failing_read_is_a_response_error(fault):
    def read(payload):
        raise fault

    client, _, _ = make_client(OK)
    async with client:
        with pytest.raises(ResponseError, match="could not be read"):
            await client.asend(make_call(read=read))


async def test_what_a_read_says_in_the_projects_own_errors_is_kept():
    def read(payload):
        raise InputError("said by the read")

    client, _, _ = make_client(OK)
    async with client:
        with pytest.raises(InputError, match="said by the read"):
            await client.asend(make_call(Replay.RECONCILE, read=read))


@pytest.mark.parametrize("code", ["DEPLOYMENTS_ENVIRONMENT_ALREADY_PUBLISHED", 6002, "6002"])
async def test_a_known_code_in_a_success_status_keeps_its_meaning(code):
    client, _, _ = make_client(answer(200, {"success": False, "error_code": code}))
    async with client:
        with pytest.raises(Conflict) as caught:
            await client.asend(make_call(Replay.RECONCILE))
    assert (caught.value.status, caught.value.error_code) == (200, str(code))


@pytest.mark.parametrize("replay", list(Replay))
async def test_an_unknown_code_is_kept_and_never_permanent(replay):
    said = {"success": False, "error_code": "NEW_CODE", "error_message": "No idea", "error_id": "theirs"}
    client, _, _ = make_client(answer(200, said))
    async with client:
        with pytest.raises(CallError) as caught:
            await client.asend(make_call(replay))
    error = caught.value
    assert (error.status, error.error_code, error.permanent) == (200, "NEW_CODE", False)
    assert error.reason.startswith(
        "an error without a known code came with a status of success: No idea (error id theirs)"
    )


async def test_without_an_error_format_the_read_alone_judges_a_success_status():
    body = {"success": False, "error_code": "PROJECT_ID_INVALID"}
    client, _, _ = make_client(answer(200, body), answer(400, body), error_format=ErrorFormat())
    async with client:
        assert await client.asend(make_call(Replay.RECONCILE)) == body
        with pytest.raises(BadRequest):
            await client.asend(make_call(Replay.RECONCILE))


@pytest.mark.parametrize(
    ("location", "said"),
    [
        ("https://evil.example/steal?token=hidden", "a redirect to evil.example was refused"),
        ("/elsewhere?token=hidden", "a redirect to the same host was refused"),
        ("http://[broken", "a redirect to an unreadable address was refused"),
    ],
)
async def test_redirects_are_refused_naming_the_host_only(location, said):
    client, script, _ = make_client(answer(307, location=location))
    async with client:
        with pytest.raises(ResponseError, match=said) as caught:
            await client.asend(make_call())
    assert caught.value.status == 307
    assert "hidden" not in str(caught.value)
    assert {request.url.host for request in script.requests} == {"api.us.poly.ai"}


# Retry-After


async def test_named_wait_is_honoured():
    client, _, time = make_client(answer(429, **{"retry-after": "3"}), OK)
    async with client:
        await client.asend(make_call(Replay.RECONCILE))
    assert time.sleeps == [3.5]


async def test_date_in_retry_after_is_honoured():
    client, _, time = make_client(answer(503, **{"retry-after": "Fri, 15 Jan 2027 08:00:10 GMT"}), OK)
    async with client:
        await client.asend(make_call())
    assert time.sleeps == [10.5]


@pytest.mark.parametrize(("named", "kept"), [("59", 59.0), ("61", 61.0), ("999999", 3600.0)])
async def test_wait_beyond_deadline_or_cap_is_left_to_the_task(named, kept):
    client, script, time = make_client(answer(429, **{"retry-after": named}), deadline=59.0)
    async with client:
        with pytest.raises(RateLimited) as caught:
            await client.asend(make_call())
    assert caught.value.retry_after == kept
    assert (len(script.requests), time.sleeps) == (1, [])


@pytest.mark.parametrize("value", ["-5", "nan", "inf", "1e9", "soon", "x" * 5000])
async def test_hostile_retry_after_is_as_if_it_were_absent(value):
    client, _, time = make_client(answer(503, **{"retry-after": value}), OK)
    async with client:
        await client.asend(make_call())
    assert time.sleeps == [0.5]


@pytest.mark.parametrize("replay", [Replay.RECONCILE, Replay.NEVER])
@pytest.mark.parametrize("status", [200, 302, 408, 418, 500, 502, 503])
async def test_named_wait_stays_on_an_unknown_outcome(status, replay):
    client, script, _ = make_client(answer(status, {"success": False}, **{"retry-after": "17"}))
    if status == 418:
        client, script, _ = make_client(answer(status, None, **{"retry-after": "17"}))
    async with client:
        with pytest.raises(OutcomeUnknown) as caught:
            await client.asend(make_call(replay))
    assert (caught.value.retry_after, len(script.requests)) == (17.0, 1)


async def test_named_wait_stays_on_a_limited_write_that_is_never_resent():
    client, script, _ = make_client(answer(429, **{"retry-after": "17"}))
    async with client:
        with pytest.raises(RateLimited) as caught:
            await client.asend(make_call(Replay.NEVER))
    assert (caught.value.retry_after, len(script.requests)) == (17.0, 1)


async def test_named_wait_of_an_unclear_answer_is_honoured_by_a_read():
    client, _, time = make_client(answer(302, **{"retry-after": "3"}), OK)
    async with client:
        await client.asend(make_call())
    assert time.sleeps == [3.5]


# A rate limit's reset, in unix seconds; the clients' wall clock stands at 1 800 000 000

RESET = "X-RateLimit-Reset"


async def test_rate_limit_reset_is_waited_for_where_retry_after_is_absent():
    limited = answer(429, {"error": {"code": "RATE_LIMIT_EXCEEDED"}}, **{RESET: "1800000003"})
    client, _, time = make_client(limited, OK, rate_limit_reset_header=RESET)
    async with client:
        await client.asend(make_call(Replay.RECONCILE))
    assert time.sleeps == [3.5]


@pytest.mark.parametrize(
    ("reset", "kept"), [("1800000061", 61.0), ("1800003599", 3599.0), ("9" * 20, 3600.0)]
)
async def test_reset_far_away_is_left_to_the_task(reset, kept):
    client, script, time = make_client(answer(429, **{RESET: reset}), rate_limit_reset_header=RESET)
    async with client:
        with pytest.raises(RateLimited) as caught:
            await client.asend(make_call())
    assert caught.value.retry_after == kept
    assert (len(script.requests), time.sleeps) == (1, [])


@pytest.mark.parametrize(
    ("headers", "waits"),
    [
        ({RESET: "1800000003", "retry-after": "2"}, [2.5]),
        ({RESET: "1800000003", "retry-after": "soon"}, [3.5]),
        ({RESET: "1799999000"}, [0.5]),
        ({RESET: "soon"}, [0.5]),
        ({RESET: "9" * 5000 + "x"}, [0.5]),
        ({"X-RateLimit-Remaining": "0"}, [0.5]),
    ],
)
async def test_retry_after_goes_first_and_an_unreadable_reset_is_as_if_it_were_absent(headers, waits):
    client, _, time = make_client(answer(429, **headers), OK, rate_limit_reset_header=RESET)
    async with client:
        await client.asend(make_call())
    assert time.sleeps == waits


async def test_reset_says_nothing_about_other_failures():
    client, _, time = make_client(answer(503, **{RESET: "1800000030"}), OK, rate_limit_reset_header=RESET)
    async with client:
        await client.asend(make_call())
    assert time.sleeps == [0.5]


async def test_reset_is_read_only_under_the_name_that_the_settings_give():
    client, _, time = make_client(answer(429, **{RESET: "1800000030"}), OK)
    async with client:
        await client.asend(make_call())
    assert time.sleeps == [0.5]


# Deadline, limits, budget


async def test_deadline_is_total_over_resends():
    time = FakeTime()

    def slow(request):
        time.now += 9.4
        raise httpx.ReadTimeout("silent")

    client, script, _ = make_client(slow, time=time, deadline=20.0)
    async with client:
        with pytest.raises(TransportError, match="the deadline leaves no time"):
            await client.asend(make_call())
    assert len(script.requests) == 2
    assert time.now < 1020.0


async def test_deadline_that_passed_is_named():
    time = FakeTime()

    def slow(request):
        time.now += 25.0
        raise httpx.ReadTimeout("silent")

    client, _, _ = make_client(slow, time=time, deadline=20.0)
    async with client:
        with pytest.raises(DeadlineExceeded) as caught:
            await client.asend(make_call())
    assert caught.value.reason == (
        "the deadline of 20 s passed after 1 request to api.us.poly.ai:443; the last one failed: "
        "no complete answer from api.us.poly.ai:443: ReadTimeout: silent"
    )


@pytest.mark.parametrize(
    ("replay", "kind"), list(zip(Replay, (DeadlineExceeded, OutcomeUnknown, OutcomeUnknown), strict=True))
)
async def test_deadline_cuts_off_a_request_that_never_ends(replay, kind):
    class Endless(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request):
            await asyncio.Event().wait()

    async with Client(make_settings(), transport=Endless()) as client:
        with pytest.raises(kind, match="passed after 1 request"):
            await client.asend(make_call(replay, deadline=0.2))
        assert client._limiter.in_flight == 0


async def test_deadline_while_waiting_in_line_is_no_unknown_outcome():
    client, script, _ = make_client(OK, max_concurrency=1)
    async with client:
        await client._limiter.acquire(1)
        with pytest.raises(DeadlineExceeded, match="passed after 0 requests"):
            await client.asend(make_call(Replay.RECONCILE, deadline=0.02))
        client._limiter.release()
        await client.asend(make_call(Replay.RECONCILE))
    assert len(script.requests) == 1


@pytest.mark.parametrize(
    ("own", "expected"), [(None, (30.0, 10.0)), (90.0, (90.0, 10.0)), (5.0, (5.0, 5.0)), (45.0, (45.0, 10.0))]
)
async def test_timeouts_per_request(own, expected):
    client, script, _ = make_client(OK)
    async with client:
        await client.asend(make_call(deadline=own))
    timeout = script.requests[0].extensions["timeout"]
    assert (timeout["read"], timeout["connect"]) == expected


async def test_timeouts_shrink_to_what_remains():
    client, script, _ = make_client(answer(503, **{"retry-after": "40"}), OK)
    async with client:
        await client.asend(make_call())
    assert script.requests[1].extensions["timeout"]["read"] == pytest.approx(19.5)


async def test_pace_is_kept_across_clients_of_one_key():
    time = FakeTime()
    first, _, _ = make_client(OK, time=time, key="paced", requests_per_second=4)
    second, _, _ = make_client(OK, time=time, key="paced", requests_per_second=4)
    async with first, second:
        for client in (first, second, first):
            await client.asend(make_call())
    assert time.sleeps == [0.25, 0.25]


async def test_pace_that_the_deadline_leaves_no_time_for():
    client, script, _ = make_client(OK, requests_per_second=0.01)
    async with client:
        await client.asend(make_call())
        with pytest.raises(DeadlineExceeded, match=r"after 0 requests.*its turn under the key's rate limit"):
            await client.asend(make_call())
    assert len(script.requests) == 1


async def test_retry_budget_bounds_the_load_of_an_outage():
    client, script, _ = make_client(answer(503))
    async with client:
        for _ in range(30):
            with pytest.raises(ServerError):
                await client.asend(make_call())
    assert len(script.requests) == 30 + 20
    client, script, _ = make_client(*[OK] * 50, answer(503))
    async with client:
        for _ in range(50):
            await client.asend(make_call())
        with pytest.raises(ServerError, match="gave up after 5 attempts"):
            await client.asend(make_call())


async def test_spent_budget_says_so_and_is_earned_back_by_successes():
    client, script, _ = make_client(*[answer(503)] * 26, *[OK] * 11, answer(503), OK)
    async with client:
        for _ in range(5):
            with pytest.raises(ServerError, match="gave up after 5 attempts"):
                await client.asend(make_call())
        with pytest.raises(ServerError, match="retry budget is spent"):
            await client.asend(make_call())
        for _ in range(12):
            assert await client.asend(make_call()) == {"ok": 1}
    assert len(script.requests) == 26 + 11 + 2


# Rate limits: what waits, and who


@pytest.mark.parametrize("replay", [Replay.SAFE, Replay.RECONCILE])
async def test_a_rate_limit_is_waited_out_as_long_as_the_deadline_leaves_time(replay):
    limited = answer(429, **{"retry-after": "2"})
    client, script, _ = make_client(*[limited] * 7, OK)
    async with client:
        assert await client.asend(make_call(replay)) == {"ok": 1}
    assert len(script.requests) == 8


async def test_rate_limits_use_up_neither_attempts_nor_the_retry_budget():
    client, _, _ = make_client(*[answer(429)] * 6, *[answer(503)] * 5)
    async with client:
        with pytest.raises(ServerError, match="gave up after 5 attempts"):
            await client.asend(make_call())
    client, script, _ = make_client(*[answer(429)] * 25, *[answer(503)] * 4, OK)
    async with client:
        for _ in range(3):
            with contextlib.suppress(RateLimited):
                await client.asend(make_call())
    assert len(script.requests) == 30


async def test_a_client_that_may_send_once_sends_once():
    client, script, _ = make_client(answer(429), max_attempts=1)
    async with client:
        with pytest.raises(RateLimited):
            await client.asend(make_call())
    assert len(script.requests) == 1


@pytest.mark.parametrize("replay", list(Replay))
async def test_a_refusal_makes_every_request_of_the_key_wait(replay):
    time = FakeTime()
    limited, _, _ = make_client(
        answer(429, **{"retry-after": "20"}), time=time, key=f"limited {replay}", deadline=15
    )
    other, _, _ = make_client(OK, time=time, key=f"limited {replay}")
    async with limited, other:
        with pytest.raises(RateLimited):
            await limited.asend(make_call(replay))
        assert time.sleeps == []
        await other.asend(make_call(Replay.RECONCILE))
    assert time.sleeps == [20]


async def test_who_cannot_wait_that_long_sends_nothing_and_names_the_wait():
    time = FakeTime()
    limited, _, _ = make_client(answer(429, **{"retry-after": "20"}), time=time, key="slow", deadline=15)
    other, script, _ = make_client(OK, time=time, key="slow", deadline=15)
    async with limited, other:
        for client in (limited, other):
            with pytest.raises(RateLimited) as caught:
                await client.asend(make_call(Replay.RECONCILE))
            assert caught.value.retry_after == 20
    assert script.requests == []
    assert "no request starts for 20 s, until 08:00:20 UTC" in str(caught.value)


async def test_a_wait_that_is_left_to_the_task_keeps_nobody_else():
    time = FakeTime()
    limited, _, _ = make_client(answer(429, **{"retry-after": "600"}), time=time, key="spent")
    other, _, _ = make_client(OK, time=time, key="spent")
    async with limited, other:
        with pytest.raises(RateLimited):
            await limited.asend(make_call())
        await other.asend(make_call())
    assert sum(time.sleeps) < 1


async def test_who_waited_for_a_start_waits_anew_where_the_key_was_refused_meanwhile():
    time = FakeTime()
    client, script, _ = make_client(OK, time=time, requests_per_second=4)
    sleep = time.sleep

    async def refused_meanwhile(seconds):
        if len(time.sleeps) == 0:
            await client._pace.refused(Start(0.0, time.now), 9.0)
        await sleep(seconds)

    client._sleep = refused_meanwhile
    async with client:
        for _ in range(2):
            await client.asend(make_call())
    assert time.sleeps == [0.25, 8.75]
    assert len(script.requests) == 2


async def test_a_rate_limit_is_logged_as_a_wait_and_no_failure(caplog):
    client, _, _ = make_client(answer(429, **{"retry-after": "3"}), OK)
    with caplog.at_level(logging.INFO):
        async with client:
            await client.asend(make_call())
    (record,) = [each for each in caplog.records if "429" in each.getMessage()]
    assert record.levelname == "INFO"
    assert "waiting 3.5 s" in record.getMessage()


class _Gauge(httpx.AsyncBaseTransport):
    """Counts requests in flight, over all its clients and threads."""

    def __init__(self):
        self.lock = threading.Lock()
        self.now = self.most = 0

    def _step(self, by):
        with self.lock:
            self.now += by
            self.most = max(self.most, self.now)

    async def handle_async_request(self, request):
        self._step(1)
        for _ in range(3):
            await asyncio.sleep(0)
        self._step(-1)
        return httpx.Response(200, json={})


async def test_concurrency_is_bounded_across_clients_of_one_key():
    gauge, key = _Gauge(), "shared-by-two"
    clients = [Client(make_settings(key=key, max_concurrency=3), transport=gauge) for _ in range(2)]
    await asyncio.gather(*(client.asend(make_call()) for client in clients * 20))
    assert gauge.most == 3
    for client in clients:
        await client.aclose()


def test_concurrency_is_bounded_across_threads():
    gauge, key = _Gauge(), "shared-by-threads"

    async def many(client):
        await asyncio.gather(*(client.asend(make_call()) for _ in range(30)))

    def work():
        with Client(make_settings(key=key, max_concurrency=2), transport=gauge) as client:
            client.run(many(client))

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert gauge.most == 2
    assert gauge.now == 0


# Size


class _Chunks(httpx.AsyncByteStream):
    def __init__(self, chunk):
        self.chunk, self.given = chunk, 0

    async def __aiter__(self):
        while True:
            self.given += 1
            yield self.chunk


@pytest.mark.parametrize(
    ("replay", "kind"), list(zip(Replay, (ResponseError, OutcomeUnknown, OutcomeUnknown), strict=True))
)
async def test_endless_response_is_cut_off(replay, kind):
    stream = _Chunks(b"x" * 100)
    client, script, _ = make_client(lambda _: httpx.Response(200, stream=stream), max_response_bytes=1000)
    async with client:
        with pytest.raises(kind, match="larger than 1000 bytes"):
            await client.asend(make_call(replay))
    assert stream.given == 11
    assert len(script.requests) == 1


async def test_announced_length_is_refused_without_reading():
    stream = _Chunks(b"x")
    client, _, _ = make_client(
        lambda _: httpx.Response(200, stream=stream, headers={"content-length": "1001"}),
        max_response_bytes=1000,
    )
    async with client:
        with pytest.raises(ResponseError, match="larger than 1000 bytes"):
            await client.asend(make_call())
    assert stream.given == 0


class _Once(httpx.AsyncByteStream):
    def __init__(self, content):
        self.content = content

    async def __aiter__(self):
        yield self.content


async def test_compressed_answer_is_counted_decompressed():
    bomb = gzip.compress(b"[" + b" " * 5_000_000 + b"]")
    small = gzip.compress(b'{"a":1}')
    headers = {"content-encoding": "gzip"}
    client, _, _ = make_client(
        lambda _: httpx.Response(200, stream=_Once(small), headers=headers),
        lambda _: httpx.Response(200, stream=_Once(bomb), headers=headers),
        max_response_bytes=1_000_000,
    )
    async with client:
        assert await client.asend(make_call()) == {"a": 1}
        with pytest.raises(ResponseError, match="larger than"):
            await client.asend(make_call())


@pytest.mark.parametrize("coding", ["gzip, gzip", "br", "zstd"])
async def test_encodings_not_asked_for_are_refused(coding):
    stream = _Chunks(b"x")
    client, _, _ = make_client(
        lambda _: httpx.Response(200, stream=stream, headers={"content-encoding": coding})
    )
    async with client:
        with pytest.raises(ResponseError, match="content encoding"):
            await client.asend(make_call())
    assert stream.given == 0


async def test_error_with_an_unreadable_body_keeps_its_status():
    headers = {"content-encoding": "gzip"}
    client, script, _ = make_client(lambda _: httpx.Response(404, stream=_Once(b"junk"), headers=headers))
    async with client:
        with pytest.raises(NotFound):
            await client.asend(make_call())
    assert len(script.requests) == 1


# Connections that fail


@pytest.fixture
def no_proxy(monkeypatch):
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("base_url", "address"),
    [
        ("https://api.us.poly.ai/base", "api.us.poly.ai:443"),
        ("https://API.example.com:8443", "api.example.com:8443"),
        ("http://127.0.0.1", "127.0.0.1:80"),
        ("http://[::1]:9", "[::1]:9"),
    ],
)
@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (httpx.ConnectError("[Errno 113] No route to host"), "ConnectError: [Errno 113] No route to host"),
        (httpx.ConnectError("[Errno -2] Name or service not known"), "Name or service not known"),
        (httpx.ConnectTimeout(""), "ConnectTimeout"),
    ],
)
@pytest.mark.usefixtures("no_proxy")
async def test_a_failed_connection_names_host_and_port(base_url, address, fault, said):
    client, _, _ = make_client(fault, base_url=base_url)
    async with client:
        with pytest.raises(TransportError) as caught:
            await client.asend(make_call(query=(("to", "+447911123456"),)))
    error = caught.value
    assert error.reason.startswith(f"no connection to {address}: ")
    assert said in error.reason
    assert error.reason.endswith("(gave up after 5 attempts)")
    assert not error.permanent
    assert "447911123456" not in str(error)


@pytest.mark.usefixtures("no_proxy")
async def test_a_lost_answer_names_host_and_port():
    client, _, _ = make_client(httpx.ReadError("reset"))
    async with client:
        with pytest.raises(OutcomeUnknown) as caught:
            await client.asend(make_call(Replay.RECONCILE))
    assert caught.value.reason == "no complete answer from api.us.poly.ai:443: ReadError: reset"


@pytest.mark.parametrize(
    ("proxy", "named"),
    [
        ("http://me:hidden@proxy.example:3128/?q=hidden", " through the proxy proxy.example:3128"),
        ("proxy.example:3128", " through the proxy proxy.example:3128"),
        ("http://proxy.example:port", " through the environment's proxy"),
    ],
)
@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "ALL_PROXY"])
@pytest.mark.usefixtures("no_proxy")
def test_the_proxy_on_the_way_is_named_without_its_password(monkeypatch, variable, proxy, named):
    monkeypatch.setenv(variable, proxy)
    assert proxy_on_the_way(make_settings()) == named
    assert proxy_on_the_way(make_settings(base_url="http://127.0.0.1:9")) == ""
    monkeypatch.setenv("NO_PROXY", "api.us.poly.ai")
    assert proxy_on_the_way(make_settings()) == ""


def _chained(error, cause):
    error.__cause__ = cause
    return error


@pytest.mark.usefixtures("no_proxy")
async def test_each_address_that_was_tried_is_named():
    tried = ExceptionGroup(
        "tried",
        [
            ConnectionRefusedError(111, "Connect call failed ('10.0.0.1', 443)"),
            TimeoutError(110, "Connect call failed ('10.0.0.2', 443)"),
        ],
    )
    fault = _chained(httpx.ConnectError("All failed"), _chained(OSError("All failed"), tried))
    client, _, _ = make_client(fault, max_attempts=1)
    async with client:
        with pytest.raises(TransportError) as caught:
            await client.asend(make_call())
    assert caught.value.reason == (
        "no connection to api.us.poly.ai:443: ConnectError: All failed (ConnectionRefusedError: Connect call "
        "failed ('10.0.0.1', 443); TimeoutError: Connect call failed ('10.0.0.2', 443))"
    )


# What is said


async def test_no_id_is_sent_or_named_where_the_platform_has_no_header_for_one(caplog):
    caplog.set_level(logging.DEBUG, CLIENT_LOG)
    client, script, _ = make_client(answer(400, {"error_id": "theirs"}), correlation_header=None)
    async with client:
        with pytest.raises(BadRequest) as caught:
            await client.asend(make_call())
    assert not [name for name in script.requests[0].headers if "correlation" in name.lower()]
    assert caught.value.correlation_id == "theirs"
    assert "(correlation id none)" in caplog.records[0].getMessage()


@pytest.mark.parametrize(
    ("advice", "status", "code", "expected"),
    [
        ({"project_not_found": "by code", "404": "by status"}, 404, "PROJECT_NOT_FOUND", "by code"),
        ({"project_not_found": "by code"}, 500, "ProjectNotFound", "by code"),
        ({"404": "by meaning", "500": "by status"}, 500, "PROJECT_NOT_FOUND", "by meaning"),
        ({"500": "by status"}, 500, "PROJECT_NOT_FOUND", "by status"),
        ({}, 404, "PROJECT_NOT_FOUND", NotFound.advice_default),
    ],
)
async def test_advice_is_found_by_code_then_by_meaning_then_by_status(advice, status, code, expected):
    client, _, _ = make_client(answer(status, {"error_code": code}), advice=advice)
    async with client:
        with pytest.raises(NotFound) as caught:
            await client.asend(make_call())
    assert caught.value.advice == expected


async def test_log_of_a_resend_says_why_an_answer_of_success_was_none(caplog):
    client, _, _ = make_client(answer(200, {"success": False}), OK)
    async with client:
        await client.asend(make_call())
    [record] = [record for record in caplog.records if record.name == CLIENT_LOG]
    assert "failed (an error without a known code came with a status of success)" in record.getMessage()


async def test_log_of_a_request_and_of_a_resend(caplog):
    caplog.set_level(logging.DEBUG, CLIENT_LOG)
    client, script, _ = make_client(answer(503), OK)
    async with client:
        await client.asend(make_call(query=(("to", "+447911123456"),)))
    first, second = (request.headers["X-PolyAI-Correlation-Id"] for request in script.requests)
    assert [
        (record.levelname, record.getMessage()) for record in caplog.records if record.name == CLIENT_LOG
    ] == [
        ("DEBUG", f"GET /v1/agents/{{agentId}}/things → 503 in 0 ms (correlation id {first})"),
        (
            "WARNING",
            (
                "list things: attempt 1 of 5 failed (503); sending again in 0.5 s "
                f"(GET /v1/agents/{{agentId}}/things, correlation id {first})"
            ),
        ),
        ("DEBUG", f"GET /v1/agents/{{agentId}}/things → 200 in 0 ms (correlation id {second})"),
    ]


async def test_httpx_logs_other_requests_but_not_ours(caplog):
    caplog.set_level(logging.DEBUG, logger="httpx")
    client, _, _ = make_client(OK)
    async with client, httpx.AsyncClient(transport=Script(OK)) as other:
        await client.asend(make_call(query=(("to", "+447911123456"),)))
        await other.get("https://example.com/other")
    records = [record.getMessage() for record in caplog.records if record.name == "httpx"]
    assert len(records) == 1
    assert "example.com/other" in records[0]


@pytest.mark.parametrize("replay", list(Replay))
async def test_key_and_sent_values_appear_nowhere(replay, caplog):
    caplog.set_level(logging.DEBUG)
    key, value, number = "key-very-secret-1", "the hidden value", "+447911123456"
    leaky = {"error_message": f"{key} {value} {number}", "errors": [{"field": key, "message": value}]}
    steps = [
        answer(503, leaky),
        answer(400, leaky),
        httpx.ReadError(f"X-API-KEY: {key}"),
        httpx.LocalProtocolError(f"Illegal header value b'{key}'"),
        answer(200, {"success": False, "error_code": key, **leaky}),
        httpx.Response(400, content=f"{key} {value} {number}".encode()),
        answer(302, location=f"https://{key}@host/"),
    ]
    call = make_call(replay, body={"variables": {"a": value}}, query=(("to", number),))
    texts = []
    for step in steps:
        client, _, _ = make_client(step, key=key)
        async with client:
            with pytest.raises(CallError) as caught:
                await client.asend(call)
        error = caught.value
        texts += [str(error), repr(error), repr(error.__dict__), repr(client), repr(client.settings)]
    texts += [f"{record.getMessage()} {record.args}" for record in caplog.records]
    for hidden in (key, value, number):
        assert not [text for text in texts if hidden in text]


async def test_error_names_what_where_and_what_to_do():
    client, script, _ = make_client(
        answer(404, {"error_code": "CONNECTORS_NOT_FOUND", "error_message": "No such"})
    )
    async with client:
        with pytest.raises(NotFound) as caught:
            await client.asend(make_call())
    identity = script.requests[0].headers["X-PolyAI-Correlation-Id"]
    assert str(caught.value) == (
        "list things: No such [GET /v1/agents/acme%2B1/things → 404 CONNECTORS_NOT_FOUND] "
        f"(correlation id {identity}) {NotFound.advice_default}"
    )


@pytest.mark.parametrize(
    "step", [answer(429, **{"retry-after": "9999"}), httpx.ConnectError("no"), answer(200, [1])]
)
async def test_errors_survive_pickling(step):
    client, _, _ = make_client(step)
    async with client:
        with pytest.raises(CallError) as caught:
            await client.asend(make_call(read=_Thing.model_validate))
    copy = pickle.loads(pickle.dumps(caught.value))  # noqa: S301
    assert type(copy) is type(caught.value)
    assert (str(copy), copy.__dict__) == (str(caught.value), caught.value.__dict__)


# Faces


def test_sync_face_in_a_plain_thread():
    client, script, _ = make_client(OK)
    with client:
        assert [client.send(make_call()) for _ in range(3)] == [{"ok": 1}] * 3
    assert len(script.requests) == 3


async def test_sync_face_inside_a_loop_says_what_to_use():
    client, script, _ = make_client(OK)
    async with client:
        with pytest.raises(RuntimeError, match="asend"):
            client.send(make_call())
        with pytest.raises(RuntimeError, match="aclose"):
            client.close()
        assert await asyncio.to_thread(client.send, make_call()) == {"ok": 1}
    assert len(script.requests) == 1


def test_threads_take_turns_on_one_sync_client():
    client, script, _ = make_client(OK)
    with client:
        threads = [threading.Thread(target=client.send, args=(make_call(),)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    assert len(script.requests) == client.requests_sent == 8


def test_one_client_serves_several_loops():
    client, script, _ = make_client(OK)
    for _ in range(2):
        assert asyncio.run(client.asend(make_call())) == {"ok": 1}
    assert client.send(make_call()) == {"ok": 1}
    client.close()
    assert len(script.requests) == 3


async def test_closed_client_refuses():
    client, _, _ = make_client(OK)
    await client.asend(make_call())
    await client.aclose()
    await client.aclose()
    with pytest.raises(RuntimeError, match="the client is closed"):
        await client.asend(make_call())


def test_closing_from_inside_the_clients_own_loop_does_not_deadlock():
    client, _, _ = make_client(OK)

    async def work():
        await client.asend(make_call())
        await client.aclose()

    client.run(work())
    client.close()


def test_work_interrupted_from_outside_does_not_go_on_at_the_next_run():
    client, script, _ = make_client(OK)
    went_on = []

    async def interrupted():
        asyncio.get_running_loop().call_soon(_interrupt)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        went_on.append(True)

    def _interrupt():
        raise KeyboardInterrupt

    with client:
        with pytest.raises(KeyboardInterrupt):
            client.run(interrupted())
        client.send(make_call())
    assert not went_on
    assert len(script.requests) == 1


async def test_cancelling_a_call_gives_its_slot_back():
    sent = asyncio.Event()

    class Endless(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request):
            sent.set()
            await asyncio.Event().wait()

    async with Client(make_settings(), transport=Endless()) as client:
        task = asyncio.create_task(client.asend(make_call()))
        await sent.wait()
        assert client._limiter.in_flight == 1
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert client._limiter.in_flight == 0


def test_every_logger_of_httpcore_is_known():
    folder = Path(str(importlib.util.find_spec("httpcore").origin)).parent
    sources = [path.read_text() for path in folder.rglob("*.py")]
    names = {name for text in sources for name in re.findall(r'getLogger\("([^"]+)"\)', text)}
    assert names
    assert names <= set(HTTPCORE_LOGGERS)


async def test_httpcore_logs_of_our_requests_the_events_alone(caplog):
    caplog.set_level(logging.DEBUG)
    answer = b"HTTP/1.1 200 OK\r\nX-Echo: header-canary\r\nContent-Length: 2\r\n\r\n{}"
    async with raw_server([answer]) as (url, _):
        client = Client(make_settings(base_url=url, transport="httpx"))
        await client.asend(make_call(query=(("to", "query-canary"),)))
        await client.aclose()
    messages = [record.getMessage() for record in caplog.records if record.name.startswith("httpcore")]
    assert "connect_tcp.complete" in messages
    assert "receive_response_headers.complete" in messages
    assert "canary" not in caplog.text
