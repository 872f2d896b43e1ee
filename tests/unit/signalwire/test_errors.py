"""SignalWire refusals become errors with advice and without secrets."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from airflow_voice_agents.signalwire import api
from airflow_voice_agents.signalwire.connection import ConnectionFields
from airflow_voice_agents.signalwire.routes import ToSwml
from airflow_voice_agents.transport.api_request import ApiRequest
from airflow_voice_agents.transport.client import Client
from airflow_voice_agents.transport.errors import (
    ApiError,
    BadRequest,
    CallError,
    Forbidden,
    NotFound,
    OutcomeUnknown,
    RateLimited,
    ServerError,
    Unauthorized,
)
from support.transport import FakeTime, Script

ID, NUMBER = "5c3f2b1a-0d4e-4f6a-8b7c-9d8e7f6a5b4c", "+12025550123"
URL = "https://caller:hunter2secret@agents.example/swml"
UPDATE = api.update_phone_number(ID, ToSwml(URL).changes())
RELEASE, BUY = api.release_phone_number(ID), api.purchase_phone_number(NUMBER)


def item(code: str, detail: str = "Not possible") -> dict[str, str]:
    return {"detail": detail, "status": "422", "title": "Unprocessable Entity", "code": code}


def refusal(call: ApiRequest[Any], status: int, body: Any) -> tuple[CallError, Script]:
    content = body if isinstance(body, bytes) else httpx.Response(200, json=body).content
    script, time = Script(httpx.Response(status, content=content)), FakeTime()
    settings = ConnectionFields("carrier", "acme", "project", "PT-token", None, {}).client_settings()
    client = Client(settings, transport=script, clock=time.clock, sleep=time.sleep, random=lambda: 1.0)
    with client, pytest.raises(CallError) as caught:
        client.send(call)
    return caught.value, script


@pytest.mark.parametrize(
    ("status", "text", "kind", "advice"),
    [
        (400, "Bad Request", BadRequest, "Correct what was sent"),
        (401, "Unauthorized", Unauthorized, "scope Numbers"),
        (403, "Forbidden", Forbidden, "lacks the scope Numbers"),
        (404, "Not Found", NotFound, "only the numbers of its own project"),
        (500, "Internal Server Error", ServerError, "may be retried"),
    ],
)
def test_plain_error_is_named_by_its_status(
    status: int, text: str, kind: type[ApiError], advice: str
) -> None:
    error, _ = refusal(api.get_phone_number(ID), status, {"error": text})
    assert type(error) is kind
    assert text in str(error)
    assert advice in str(error)
    assert "region" not in str(error)


@pytest.mark.parametrize(
    ("call", "code", "advice"),
    [
        (RELEASE, "purchased_too_recently", "14 days after its purchase at the earliest, 30 days in a trial"),
        (BUY, "insufficient_balance", "add funds"),
        (BUY, "account_limit_exceeded", "as many numbers as it may"),
        (BUY, "could_not_purchase", "search again"),
        (UPDATE, "not_voice_capable", "capabilities include voice"),
        (RELEASE, "resource_assigned_as_handler", "point that elsewhere first"),
        (UPDATE, "invalid_parameter", "Correct what was sent"),
    ],
)
def test_symbolic_code_brings_its_own_advice(call: ApiRequest[Any], code: str, advice: str) -> None:
    error, script = refusal(call, 422, {"errors": [item(code)]})
    assert type(error) is BadRequest
    assert error.permanent
    assert error.error_code == code
    assert advice in str(error)
    assert len(script.requests) == 1


def test_symbolic_code_counts_among_plain_ones_and_every_entry_is_told() -> None:
    error, _ = refusal(BUY, 422, {"errors": [item("422", "No"), item("insufficient_balance", "Too poor")]})
    assert error.error_code == "insufficient_balance"
    assert "No; Too poor (insufficient_balance)" in str(error)
    assert "add funds" in str(error)


def test_number_as_code_is_no_symbol() -> None:
    error, _ = refusal(BUY, 422, {"errors": [item("422", "Number is taken")]})
    assert error.error_code is None
    assert "Number is taken" in str(error)


def test_fabric_error_names_its_attribute() -> None:
    entry = {
        "type": "validation_error",
        "code": "missing_required_parameter",
        "message": "is missing",
        "attribute": "call_relay_script_url",
        "url": "https://docs.example",
    }
    error, _ = refusal(UPDATE, 422, {"errors": [entry]})
    assert error.error_code == "missing_required_parameter"
    assert "call_relay_script_url: is missing (missing_required_parameter)" in str(error)


def test_compatibility_error_is_read() -> None:
    body = {"code": 21421, "message": "PhoneNumber is invalid", "more_info": "x", "status": 400}
    error, _ = refusal(BUY, 400, body)
    assert "PhoneNumber is invalid" in str(error)


@pytest.mark.parametrize(
    ("body", "text"), [(b"upstream down", "upstream down"), (b"<html>", "an HTML page"), (b"", "")]
)
def test_body_that_is_no_json_is_read_as_text(body: bytes, text: str) -> None:
    error, _ = refusal(api.get_phone_number(ID), 422, body)
    assert text in str(error)


def test_rate_limit_is_told_by_code_and_waited_for() -> None:
    error, script = refusal(BUY, 422, {"errors": [item("rate_limit_exceeded")]})
    assert type(error) is RateLimited
    assert len(script.requests) > 5  # a refusal of the rate is waited out, and takes none of the five tries


def test_purchase_that_failed_on_the_way_is_unknown_and_not_sent_again() -> None:
    error, script = refusal(BUY, 500, {"error": "Internal Server Error"})
    assert type(error) is OutcomeUnknown
    assert "read the state back" in str(error)
    assert len(script.requests) == 1


def test_update_that_failed_on_the_way_is_unknown_and_not_sent_again() -> None:
    error, script = refusal(UPDATE, 503, {"error": "Internal Server Error"})
    assert type(error) is OutcomeUnknown
    assert len(script.requests) == 1


def test_read_that_failed_on_the_way_is_sent_again() -> None:
    error, script = refusal(api.get_phone_number(ID), 503, {"error": "Internal Server Error"})
    assert type(error) is ServerError
    assert len(script.requests) == 5


@pytest.mark.parametrize("body", [{"error": "Not Found"}, {"errors": [item("insufficient_balance")]}])
@pytest.mark.parametrize("call", [RELEASE, BUY, UPDATE], ids=lambda call: call.operation)
def test_error_in_a_success_status_leaves_a_write_unknown(call: ApiRequest[Any], body: Any) -> None:
    error, script = refusal(call, 200, body)
    assert type(error) is OutcomeUnknown
    assert len(script.requests) == 1


def test_rate_limit_in_a_success_status_is_known() -> None:
    error, _ = refusal(BUY, 200, {"errors": [item("rate_limit_exceeded")]})
    assert type(error) is RateLimited


@pytest.mark.parametrize(
    "detail", [f"{URL} is not reachable", "https://caller:hunter2secret@else.example/ is wrong", URL[:30]]
)
def test_url_that_the_platform_quotes_is_masked(detail: str) -> None:
    error, _ = refusal(UPDATE, 422, {"errors": [item("invalid_parameter", detail)]})
    assert "hunter2" not in str(error)
    assert "***" in str(error)


def test_number_that_the_platform_quotes_is_shown() -> None:
    error, _ = refusal(BUY, 422, {"errors": [item("invalid_number_format", f"{NUMBER} is not a number")]})
    assert f"{NUMBER} is not a number" in str(error)


def test_every_request_has_credentials_and_an_id_of_its_own() -> None:
    error, script = refusal(api.get_phone_number(ID), 503, {"error": "x"})
    ids = [request.headers["X-Request-Id"] for request in script.requests]
    assert len(set(ids)) == len(ids)
    assert error.correlation_id == ids[-1]
    assert {request.headers["Authorization"] for request in script.requests} == {
        "Basic cHJvamVjdDpQVC10b2tlbg=="
    }
