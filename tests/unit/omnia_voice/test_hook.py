"""The hook against a scripted server on loopback."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from airflow_voice_agents.omnia_voice import api
from airflow_voice_agents.omnia_voice.hooks import OmniaVoiceHook
from airflow_voice_agents.transport.errors import (
    ApiError,
    BadRequest,
    Conflict,
    NotFound,
    OutcomeUnknown,
    RateLimited,
)

KEY = "ck_prod_0123456789"


class Platform(ThreadingHTTPServer):
    """Answers by verb with a status and a body, and keeps the requests."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: dict[str, tuple[int, Any, dict[str, str]]] = {}
        self.requests: list[tuple[str, str, dict[str, str]]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/api/v1"


class Handler(BaseHTTPRequestHandler):
    """Plays the platform's answers."""

    server: Platform

    def answer(self) -> None:
        self.rfile.read(int(self.headers.get("content-length", 0)))
        self.server.requests.append(
            (self.command, self.path, {k.lower(): v for k, v in self.headers.items()})
        )
        status, body, headers = self.server.answers[self.command]
        content = b"" if body is None else json.dumps(body).encode()
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer  # noqa: N815

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def platform() -> Iterator[Platform]:
    with Platform() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def connect(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> Any:
    def connect(**changes: Any) -> OmniaVoiceHook:
        fields = {"conn_type": "omniavoice", "host": platform.url, "password": KEY, **changes}
        monkeypatch.setenv("AIRFLOW_CONN_OMNIAVOICE_DEFAULT", json.dumps(fields))
        return OmniaVoiceHook()

    return connect


def test_names_that_airflow_knows_it_by() -> None:
    assert OmniaVoiceHook.conn_name_attr == "omniavoice_conn_id"
    assert OmniaVoiceHook.conn_type == "omniavoice"
    assert OmniaVoiceHook.default_conn_name == "omniavoice_default"
    assert OmniaVoiceHook("other").conn_id == "other"


def test_a_call_goes_to_the_base_url_with_key_and_request_id(platform: Platform, connect: Any) -> None:
    platform.answers["GET"] = (200, {"id": "n1", "agentId": None}, {})
    with connect() as hook:
        assert hook.send(api.get_number("n 1")).id == "n1"
    [(verb, path, headers)] = platform.requests
    assert (verb, path) == ("GET", "/api/v1/numbers/n%201")
    assert headers["x-api-key"] == KEY
    assert len(headers["x-request-id"]) == 36


def test_an_update_refused_with_405_goes_out_once_with_the_other_verb(
    platform: Platform, connect: Any
) -> None:
    platform.answers["PATCH"] = (405, {"error": {"message": "no", "code": "METHOD_NOT_ALLOWED"}}, {})
    platform.answers["PUT"] = (200, {"id": "n1", "agentId": "a1"}, {})
    update = api.update_number("n1", changes={"agent_id": "a1"})
    with connect() as hook:
        assert [hook.send(update).agent_id for _ in range(2)] == ["a1", "a1"]
    assert [verb for verb, *_ in platform.requests] == ["PATCH", "PUT", "PUT"]


async def test_the_async_face_tries_the_other_verb_as_well(platform: Platform, connect: Any) -> None:
    platform.answers["PATCH"] = (405, None, {})
    platform.answers["PUT"] = (200, None, {})
    async with connect() as hook:
        assert await hook.asend(api.update_number("n1", changes={"agent_id": None})) is None
    assert [verb for verb, *_ in platform.requests] == ["PATCH", "PUT"]


def test_a_spent_hourly_limit_is_left_to_the_task_with_the_time_to_wait(
    platform: Platform, connect: Any
) -> None:
    body = {"error": {"message": "Too many requests", "code": "RATE_LIMIT_EXCEEDED"}}
    platform.answers["GET"] = (429, body, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "4102444800"})
    with connect() as hook, pytest.raises(RateLimited) as caught:
        hook.send(api.list_numbers())
    assert caught.value.retry_after == 3600.0
    assert len(platform.requests) == 1


@pytest.mark.parametrize(
    ("status", "kind", "advice"),
    [
        (402, BadRequest, "The workspace is out of credits; top it up."),
        (404, NotFound, "a key sees no other"),
        (409, Conflict, "Read the current state"),
    ],
)
def test_a_refusal_says_what_to_do_in_the_platforms_terms(
    platform: Platform, connect: Any, status: int, kind: type[ApiError], advice: str
) -> None:
    platform.answers["POST"] = (status, {"error": {"message": "no", "code": "HINT"}}, {})
    with connect() as hook, pytest.raises(kind) as caught:
        hook.send(api.assign_number(phone_number="+12025550123", agent_id="a1"))
    assert (caught.value.status, caught.value.permanent, len(platform.requests)) == (status, True, 1)
    assert advice in str(caught.value)
    assert "region" not in str(caught.value)


@pytest.mark.parametrize("verb", ["POST", "PATCH", "DELETE"])
def test_an_error_in_a_success_status_leaves_a_write_unknown_whatever_its_code(
    platform: Platform, connect: Any, verb: str
) -> None:
    platform.answers[verb] = (200, {"error": {"message": "no", "code": "CONFLICT"}}, {})
    calls = {
        "POST": api.assign_number(phone_number="+12025550123", agent_id="a1"),
        "PATCH": api.update_number("n1", changes={"agent_id": "a1"}),
        "DELETE": api.delete_number("n1"),
    }
    with connect() as hook, pytest.raises(OutcomeUnknown) as caught:
        hook.send(calls[verb])
    assert (caught.value.error_code, len(platform.requests)) == ("CONFLICT", 1)


def test_the_status_decides_and_not_the_code(platform: Platform, connect: Any) -> None:
    platform.answers["GET"] = (400, {"error": {"message": "no", "code": "RATE_LIMIT_EXCEEDED"}}, {})
    with connect() as hook, pytest.raises(BadRequest):
        hook.send(api.get_number("n1"))


@pytest.mark.parametrize("status", [200, 202, 204])
def test_a_deletion_needs_no_body(platform: Platform, connect: Any, status: int) -> None:
    platform.answers["DELETE"] = (status, None, {})
    with connect() as hook:
        assert hook.send(api.delete_number("n1")) is None


def test_the_verb_of_updates_and_the_platforms_name_come_from_the_connection(connect: Any) -> None:
    hook = connect(host="https://proxy.example.com/omnia", extra=json.dumps({"update_method": "PUT"}))
    assert (hook.fields.update_verb, hook.fields.platform) == ("PUT", "proxy.example.com")


@pytest.mark.parametrize(("pagination", "said"), [({"total": 12}, "12 number(s)"), (None, "numbers")])
def test_connection_test_asks_for_one_number(
    platform: Platform, connect: Any, pagination: Any, said: str
) -> None:
    platform.answers["GET"] = (200, {"data": [{"id": "n1"}], "pagination": pagination}, {})
    worked, message = connect().test_connection()
    assert worked
    assert message.startswith(f"The key works: {said} visible in its workspace at 127.0.0.1:")
    assert [path for _, path, _ in platform.requests] == ["/api/v1/numbers?page=1&limit=1"]


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (401, "Omnia Voice refused (401)"),
        (404, "Omnia Voice refused (404)"),
        (500, "did not answer as it should"),
    ],
)
def test_connection_test_says_what_is_wrong_after_one_request(
    platform: Platform, connect: Any, status: int, said: str
) -> None:
    platform.answers["GET"] = (status, {"error": {"message": f"bad key {KEY}", "code": "X"}}, {})
    worked, message = connect().test_connection()
    assert not worked
    assert said in message
    assert KEY not in message
    assert len(platform.requests) == 1


def test_connection_test_names_a_missing_base_url_and_never_raises(connect: Any) -> None:
    worked, message = connect(host="").test_connection()
    assert not worked
    assert "connection 'omniavoice_default': the base URL (host) is missing" in message
    worked, message = OmniaVoiceHook("not-there").test_connection()
    assert not worked
    assert "does not exist" in message
