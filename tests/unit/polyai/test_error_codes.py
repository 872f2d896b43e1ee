"""The documented errors of the PolyAI API, as the transport gets them."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from airflow_voice_agents.polyai import api
from airflow_voice_agents.polyai.connection import ConnectionFields
from airflow_voice_agents.polyai.error_codes import ADVICE, ERROR_FORMAT, STATUS_OF_CODE, read_merge_conflict
from airflow_voice_agents.transport.api_request import ApiRequest
from airflow_voice_agents.transport.client import Client
from airflow_voice_agents.transport.error_format import ErrorBody
from airflow_voice_agents.transport.errors import (
    CallError,
    Conflict,
    Forbidden,
    NotFound,
    OutcomeUnknown,
    PreconditionFailed,
    ResponseError,
    Unauthorized,
)
from airflow_voice_agents.transport.redaction import Redactor
from support.transport import FakeTime, Script

PUBLISH = api.publish("a", environment="sandbox")
MERGE = api.merge_branch("a", branch_id="b")
DELETE = api.delete_agent("a")
READ = api.get_active_deployments("a")
CONFLICT: dict[str, Any] = {
    "value": {"topics": "whole merged document"},
    "conflicts": [
        {"path": ["topics", "t1", "text"], "baseValue": "b", "oursValue": "o", "type": "modify"},
        {"path": ["flows", "f2"], "theirsValue": "t", "type": "surprise"},
        "odd",
    ],
    "hasConflicts": True,
    "errors": [],
}


def refusal(call: ApiRequest[Any], status: int, body: Any) -> tuple[CallError, Script]:
    script, time = Script(httpx.Response(status, json=body)), FakeTime()
    settings = ConnectionFields("polyai", "sk-hunter2", None, None, {"region": "uk"}).client_settings()
    client = Client(settings, transport=script, clock=time.clock, sleep=time.sleep, random=lambda: 1.0)
    with client, pytest.raises(CallError) as caught:
        client.send(call)
    return caught.value, script


def test_both_hosts_get_the_errors_and_the_header_of_the_platform() -> None:
    fields = ConnectionFields("polyai", "key", None, None, {"region": "uk", "runtime_api_key": "other"})
    for settings in (fields.client_settings(), fields.runtime_settings()):
        assert settings.error_format is ERROR_FORMAT
        assert settings.correlation_header == "X-PolyAI-Correlation-Id"
        assert settings.advice is ADVICE


@pytest.mark.parametrize(
    ("symbol", "number", "status"),
    [
        ("DEPLOYMENTS_ENVIRONMENT_ALREADY_PUBLISHED", "6002", 409),
        ("DEPLOYMENTS_ALREADY_PUBLISHED", "6009", 409),
        ("DEPLOYMENT_NOT_FOUND", "6001", 404),
        ("AUTH_USER_INVALID_TOKEN", "3003", 401),
        ("USER_ACCESS_FORBIDDEN", "2", 403),
        ("PHONE_NUMBERS_ALREADY_EXISTS", "14007", 409),
        ("CONNECTORS_NOT_FOUND", "14100", 404),
        ("REAL_TIME_CONFIG_INVALID_FOR_SCHEMA", "29002", 400),
    ],
)
def test_a_code_stands_for_the_same_by_symbol_and_by_number(symbol: str, number: str, status: int) -> None:
    assert STATUS_OF_CODE[symbol] == STATUS_OF_CODE[number] == status


def test_table_holds_every_documented_code_once() -> None:
    symbols = [code for code in STATUS_OF_CODE if not code.isdigit()]
    numbers = [code for code in STATUS_OF_CODE if code.isdigit()]
    assert (len(symbols), len(numbers)) == (31, 29)
    assert set(symbols) >= {"FORBIDDEN", "ErrPreReleaseNotReady"}


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (400, "ErrPreReleaseNotReady", PreconditionFailed),
        (400, "ERR_PRE_RELEASE_NOT_READY", PreconditionFailed),
        (400, "PhoneNumbersAlreadyExists", Conflict),
        (400, "AUTH_USER_INVALID_TOKEN", Unauthorized),
        (404, "FORBIDDEN", Forbidden),
        (500, "PROJECT_NOT_FOUND", NotFound),
        (200, "DEPLOYMENTS_ENVIRONMENT_ALREADY_PUBLISHED", Conflict),
        (200, 6002, Conflict),
        (409, 6009, Conflict),
    ],
)
def test_class_follows_code_first_and_status_second(status: int, code: Any, kind: type[CallError]) -> None:
    error, script = refusal(PUBLISH, status, {"success": False, "error_code": code, "error_message": "no"})
    assert type(error) is kind
    assert error.permanent
    assert len(script.requests) == 1


@pytest.mark.parametrize("body", [{"success": False}, {"error_code": 9999}, {"error_code": "CHAT_ODDITY"}])
def test_an_unknown_code_in_a_success_status_is_neither_yes_nor_no(body: dict[str, Any]) -> None:
    for write in (PUBLISH, MERGE, DELETE):
        error, script = refusal(write, 200, body)
        assert type(error) is OutcomeUnknown
        assert len(script.requests) == 1
    error, script = refusal(READ, 200, body)
    assert (type(error), error.permanent, len(script.requests)) == (ResponseError, False, 5)


@pytest.mark.parametrize("status", [200, 400])
def test_merge_conflict_names_paths_and_types_but_no_values(status: int) -> None:
    error, script = refusal(MERGE, status, CONFLICT)
    assert type(error) is Conflict
    assert error.reason == "the merge has 3 conflicts (modify topics/t1/text; change flows/f2)"
    assert len(script.requests) == 1


@pytest.mark.parametrize(
    "payload",
    [
        {},
        {"hasConflicts": True},
        {"hasConflicts": False, "conflicts": []},
        {"hasConflicts": 1, "conflicts": []},
    ],
)
def test_what_is_no_merge_conflict_is_left_to_the_common_shapes(payload: dict[str, Any]) -> None:
    assert read_merge_conflict(payload, Redactor([])) is None


def test_a_merge_conflict_without_conflicts_is_a_conflict_all_the_same() -> None:
    body = read_merge_conflict({"hasConflicts": True, "conflicts": []}, Redactor([]))
    assert body == ErrorBody(message="the merge has 0 conflicts", status=409, recognized=True)
    assert type(refusal(MERGE, 200, {"hasConflicts": True, "conflicts": []})[0]) is Conflict
    assert type(refusal(MERGE, 200, {"hasConflicts": True})[0]) is OutcomeUnknown


@pytest.mark.parametrize(
    ("status", "code", "advice"),
    [
        (401, "X", "its region is the key's own"),
        (403, "X", "no right to this agent, account or area"),
        (404, "X", "the connection's region is the one the resource lives in"),
        (500, "PROJECT_NOT_FOUND", "the connection's region is the one the resource lives in"),
        (400, "ErrPreReleaseNotReady", "that is a promotion to pre-release"),
        (412, "X", "that is a promotion to pre-release"),
    ],
)
def test_a_refusal_says_what_to_do_in_the_platforms_terms(status: int, code: str, advice: str) -> None:
    assert advice in refusal(PUBLISH, status, {"error_code": code, "error_message": "no"})[0].advice
