"""Every response by status, body and replay class: a value, a refusal, a passing failure, or unknown."""

from __future__ import annotations

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_voice_agents.transport.api_request import Replay
from airflow_voice_agents.transport.error_format import ErrorFormat
from airflow_voice_agents.transport.errors import (
    ApiError,
    Conflict,
    OutcomeUnknown,
    ResponseError,
    ServerError,
)
from airflow_voice_agents.transport.redaction import Redactor
from airflow_voice_agents.transport.response import Attempt, RawResponse, ResponseReader, Value, to_unknown
from airflow_voice_agents.transport.retry import GiveUp, Resend, Unknown, decide
from support.transport import make_call, make_settings

FORMAT = ErrorFormat(
    codes={"ALREADY_THERE": 409}, flags={"success": False}, members=frozenset({"error_code"})
)
KNOWN = {"success": False, "error_code": "ALREADY_THERE"}
ANSWERS = [200, 201, 202, 204]
REFUSALS = [400, 401, 403, 404, 405, 409, 410, 412, 415, 422, 429]
OTHER_REFUSALS = [402, 406, 411, 413, 414, 416, 417, 418, 421, 423, 424, 425, 426, 428, 431, 451, 499]
FAILURES = [408, 500, 501, 502, 503, 504, 505, 520, 599]
STRANGE = [100, 101, 102, 103, 203, 205, 206, 207, 226, 299, 300, 301, 302, 303, 304, 307, 308, 399]
FOREIGN = {
    "empty": b"",
    "html": b"<!doctype html><title>Sign in</title>",
    "text": b"upstream connect error",
    "cut": b'{"name": "thi',
    "scalar": b'"ok"',
    "other-json": b'{"portal": "wlan"}',
    "list": b"[]",
    "too-deep": b"[" * 100_000,
    "not-utf8": b"\xff\xfe{}",
}
UNKNOWN_ENVELOPES = {
    "no-code": {"success": False},
    "new-code": {"success": False, "error_code": "NEW_CODE", "error_message": "no"},
    "bare-code": {"error_code": 4711},
}
DECLARED = {"error": "no", "errors": [{"field": "name", "message": "is taken"}]}
NEVER_SAID = ("not changed", "nothing was", "not applied")


def read_name(payload):
    return payload["name"]


def outcome(status, body, replay, *, headers=(), flaw=""):
    """The value, or the error that a single attempt ends with, and what would follow it."""
    settings = make_settings(error_format=FORMAT)
    call = make_call(replay, read=read_name)
    attempt = Attempt(call, "https://h/x", "h:443", b"", 60.0, 60.0, number=1, correlation_id="id-1")
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    response = RawResponse(status, dict(headers), content, flaw)
    result = ResponseReader(settings, Redactor([])).read(attempt, response, 0.0)
    if isinstance(result, Value):
        return result.value, None
    decision = decide(replay, result.outcome, attempt=1, max_attempts=5, remaining=60.0, random=lambda: 0.0)
    error = to_unknown(result.error) if isinstance(decision, Unknown) else result.error
    return error, decision


def assert_unclear(status, body, replay, *, resent=True, flaw=""):
    error, decision = outcome(status, body, replay, flaw=flaw)
    assert error.status == status
    assert error.correlation_id == "id-1"
    assert not error.permanent
    if replay is Replay.SAFE:
        assert type(error) is ResponseError
        assert isinstance(decision, Resend if resent else GiveUp)
    else:
        assert type(error) is OutcomeUnknown
        assert not [text for text in NEVER_SAID if text in str(error).lower()]


each_replay = pytest.mark.parametrize("replay", list(Replay))


@each_replay
@pytest.mark.parametrize("status", ANSWERS)
def test_an_answer_of_the_expected_shape_is_a_value(status, replay):
    assert outcome(status, {"name": "thing"}, replay) == ("thing", None)


@each_replay
@pytest.mark.parametrize(
    ("status", "body"), list(itertools.product(ANSWERS, FOREIGN.values())), ids=lambda value: repr(value)[:12]
)
def test_a_foreign_body_in_a_success_status_is_unclear(status, body, replay):
    assert_unclear(status, body, replay)


@each_replay
@pytest.mark.parametrize("status", ANSWERS)
@pytest.mark.parametrize("body", UNKNOWN_ENVELOPES.values(), ids=UNKNOWN_ENVELOPES.keys())
def test_an_error_without_a_known_code_in_a_success_status_is_unclear(status, body, replay):
    assert_unclear(status, body, replay)
    error, _ = outcome(status, body, replay)
    assert error.error_code == (str(body["error_code"]) if "error_code" in body else None)


@each_replay
@pytest.mark.parametrize("status", [*ANSWERS, *REFUSALS, *OTHER_REFUSALS, *FAILURES])
def test_a_known_code_decides_whatever_the_status(status, replay):
    error, decision = outcome(status, KNOWN, replay)
    assert (type(error), error.permanent, error.status) == (Conflict, True, status)
    assert isinstance(decision, GiveUp)


@each_replay
@pytest.mark.parametrize("status", STRANGE)
@pytest.mark.parametrize("body", [b"", {"name": "thing"}, KNOWN], ids=["empty", "expected", "known-code"])
def test_a_status_that_no_operation_answers_with_is_unclear_whatever_the_body(status, body, replay):
    assert_unclear(status, body, replay)


@each_replay
@pytest.mark.parametrize("status", ANSWERS)
def test_what_was_too_large_to_read_is_unclear_and_not_asked_for_again(status, replay):
    assert_unclear(status, b"", replay, resent=False, flaw="the response is larger than 5 bytes")


@each_replay
@pytest.mark.parametrize(
    ("status", "body"),
    [
        *itertools.product(REFUSALS, [*FOREIGN.values(), DECLARED, *UNKNOWN_ENVELOPES.values()]),
        *itertools.product(OTHER_REFUSALS, [DECLARED, UNKNOWN_ENVELOPES["new-code"]]),
    ],
    ids=lambda value: repr(value)[:12],
)
def test_a_refusal_is_one_by_its_status_or_by_a_declared_shape(status, body, replay):
    error, decision = outcome(status, body, replay)
    assert isinstance(error, ApiError)
    assert error.permanent is (status != 429)
    limited = status == 429 and replay is not Replay.NEVER
    assert isinstance(decision, Resend if limited else GiveUp)


@each_replay
@pytest.mark.parametrize(
    ("status", "body"),
    list(itertools.product(OTHER_REFUSALS, FOREIGN.values())),
    ids=lambda value: repr(value)[:12],
)
def test_another_client_error_in_no_declared_shape_is_unclear(status, body, replay):
    assert_unclear(status, body, replay)


@each_replay
@pytest.mark.parametrize(
    ("status", "body"),
    list(itertools.product(FAILURES, [b"", FOREIGN["html"], DECLARED, UNKNOWN_ENVELOPES["new-code"]])),
    ids=lambda value: repr(value)[:12],
)
def test_a_failure_of_the_server_is_passing_for_reads_and_unknown_for_writes(status, body, replay):
    error, decision = outcome(status, body, replay)
    assert type(error) is (ServerError if replay is Replay.SAFE else OutcomeUnknown)
    assert not error.permanent
    assert isinstance(decision, Unknown) is (replay is not Replay.SAFE)


@each_replay
@pytest.mark.parametrize("status", [200, 302, 418, 429, 500, 503])
def test_the_wait_that_the_server_names_is_on_the_error(status, replay):
    error, _ = outcome(status, b"", replay, headers={"retry-after": "7"}.items())
    assert error.retry_after == 7.0


@given(
    st.integers(100, 999),
    st.one_of(
        st.binary(max_size=50), st.dictionaries(st.sampled_from(["error", "success", "code"]), st.text())
    ),
    st.sampled_from(list(Replay)),
)
def test_no_response_without_its_value_is_ever_taken_for_done(status, body, replay):
    error, decision = outcome(status, body, replay)
    assert isinstance(error, ApiError | ResponseError | OutcomeUnknown)
    if replay is not Replay.SAFE and not isinstance(error, ApiError):
        assert isinstance(decision, Unknown)
        assert type(error) is OutcomeUnknown
