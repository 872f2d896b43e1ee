"""Every shape of an error body, and the error it becomes."""

from __future__ import annotations

import json
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_voice_agents.transport.api_request import Replay
from airflow_voice_agents.transport.error_body import error_body_of, first_entries, read_error_body, to_error
from airflow_voice_agents.transport.error_format import ErrorBody, ErrorFormat
from airflow_voice_agents.transport.errors import (
    BadRequest,
    Conflict,
    Forbidden,
    NotFound,
    PreconditionFailed,
    RateLimited,
    ServerError,
    Unauthorized,
)
from airflow_voice_agents.transport.redaction import Redactor
from support.transport import make_call

KEY = "key-0123456789"
REDACT = Redactor([KEY])


def read(payload, call=None):
    body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return read_error_body(body, call or make_call(), REDACT, ErrorFormat())


@pytest.mark.parametrize(
    ("payload", "code", "message", "fields"),
    [
        pytest.param(
            {
                "success": False,
                "error": "other",
                "error_id": "id-1",
                "error_code": "CONNECTORS_NOT_FOUND",
                "error_message": "No such connector",
                "data": None,
            },
            "CONNECTORS_NOT_FOUND",
            "No such connector",
            (),
            id="A-envelope",
        ),
        pytest.param(
            {"message": "Invalid", "errors": [{"field": "name", "message": "is required"}]},
            None,
            "Invalid",
            ("name: is required",),
            id="B-message-and-fields",
        ),
        pytest.param(
            {
                "detail": [
                    {"loc": ["body", "rules", 0], "msg": "field required", "type": "missing", "input": "x"}
                ]
            },
            None,
            "",
            ("body.rules.0: field required",),
            id="D-fastapi",
        ),
        pytest.param({"error": "Busy", "code": "BUSY"}, "BUSY", "Busy", (), id="E-error-and-code"),
        pytest.param({"error": "Bad Request"}, None, "Bad Request", (), id="E-error-only"),
        pytest.param({"message": "no Route matched"}, None, "no Route matched", (), id="E-gateway"),
        pytest.param({"detail": "Not allowed"}, None, "Not allowed", (), id="detail-text"),
        pytest.param(
            {
                "errors": [
                    {"detail": "is taken", "status": "422", "title": "Taken", "code": "422"},
                    {"detail": "too poor", "status": "422", "title": "t", "code": "insufficient_balance"},
                ]
            },
            "insufficient_balance",
            "",
            ("is taken", "too poor (insufficient_balance)"),
            id="signalwire-relay",
        ),
        pytest.param(
            {
                "errors": [
                    {
                        "type": "t",
                        "code": "missing_required_parameter",
                        "message": "missing",
                        "attribute": "name",
                    }
                ]
            },
            "missing_required_parameter",
            "",
            ("name: missing (missing_required_parameter)",),
            id="signalwire-fabric",
        ),
        pytest.param(
            {"code": 21211, "message": "Invalid 'To'", "status": 400},
            None,
            "Invalid 'To'",
            (),
            id="signalwire-laml",
        ),
        pytest.param(
            {"error": {"message": "No number", "code": "NOT_FOUND"}},
            "NOT_FOUND",
            "No number",
            (),
            id="omnia-nested",
        ),
        pytest.param(
            {
                "error": "Validation failed",
                "details": {"formErrors": ["nothing set"], "fieldErrors": {"phoneNumber": ["is malformed"]}},
            },
            None,
            "Validation failed",
            ("nothing set", "phoneNumber: is malformed"),
            id="omnia-validation",
        ),
        pytest.param(
            {"error": {"message": "Out of credits", "code": "PAYMENT_REQUIRED"}, "upstreamStatus": 402},
            "PAYMENT_REQUIRED",
            "Out of credits",
            (),
            id="omnia-upstream",
        ),
        pytest.param(
            {"error": "Agent not found", "details": None}, None, "Agent not found", (), id="omnia-text"
        ),
        pytest.param({"error_code": 6002}, "6002", "", (), id="numeric-code"),
        pytest.param([{"field": "a", "message": "b"}], None, "", ("a: b",), id="list-root"),
        pytest.param({"errors": ["one", "two", "one"]}, None, "", ("one", "two"), id="list-of-texts"),
        pytest.param(
            b"upstream connect error\n\x1b[31mreset", None, "upstream connect error [31mreset", (), id="text"
        ),
        pytest.param(b"<html>secret page</html>", None, "an HTML page instead of JSON", (), id="html"),
        pytest.param(b"", None, "", (), id="empty"),
        pytest.param(b"\xff\xfe\x00", None, "��", (), id="binary"),
        pytest.param(
            {"error": None, "message": 7, "errors": {"x": 1}, "detail": {}}, None, "", ("x",), id="odd-types"
        ),
    ],
)
def test_shapes(payload, code, message, fields):
    problem = read(payload)
    assert (problem.error_code, problem.message, problem.field_errors) == (code, message, fields)


def test_correlation_id_is_read_only_when_it_looks_like_one():
    assert read({"error_id": "0c1d-22"}).correlation_id == "0c1d-22"
    assert read({"error_id": "two words"}).correlation_id is None
    assert read({"error_id": "x" * 81}).correlation_id is None


@pytest.mark.parametrize(
    ("payload", "recognized"),
    [
        ({"error": "Busy"}, True),
        ({"code": "BUSY"}, True),
        ({"errors": [{"field": "name"}]}, True),
        ({"detail": [{"loc": ["body"], "msg": "missing"}]}, True),
        ([{"field": "a", "message": "b"}], True),
        ({}, False),
        ({"status": 418, "path": "/x"}, False),
        ({"error": "", "message": " ", "errors": []}, False),
        ([], False),
        ([1, None], False),
        (b"", False),
        (b"<html><title>Sign in</title></html>", False),
        (b"upstream connect error", False),
        (b'{"error": "cut', False),
    ],
)
def test_only_declared_shapes_are_recognized(payload, recognized):
    assert read(payload).recognized is recognized


def test_reader_of_a_platform_goes_before_the_common_shapes():
    own = ErrorBody(message="own", status=409, recognized=True)
    platform = ErrorFormat(readers=(lambda payload, redact: own if "own" in payload else None,))
    assert error_body_of({"own": 1, "message": "common"}, make_call(), REDACT, platform) is own
    assert error_body_of({"message": "common"}, make_call(), REDACT, platform).message == "common"
    assert error_body_of(["own"], make_call(), REDACT, platform) == ErrorBody(
        field_errors=("own",), recognized=True
    )


def test_empty_and_repeated_entries_are_left_out():
    assert first_entries(["a", "", "b", "a"]) == ("a", "b")


def test_long_lists_are_cut_with_a_count():
    problem = read({"errors": [f"fault {n}" for n in range(25)]})
    assert len(problem.field_errors) == 11
    assert problem.field_errors[-1] == "and 15 more"


def test_message_is_one_line_of_at_most_300_characters():
    message = read({"message": "a\r\nb\u2028c\u202e" + "d" * 900}).message
    assert message.startswith("a b c d")
    assert len(message) == 300
    assert message.isprintable()


def test_message_too_long_to_be_one_is_left_out():
    assert read({"message": "x" * 9000}).message == "a text of 9000 characters, left out"
    assert read(b"x" * 9000).message == "not JSON, 9000 bytes"


def test_key_and_sent_values_are_masked_in_messages_and_paths_keep_their_names():
    call = make_call(
        Replay.SAFE,
        body={"variables": {"greeting": "hello caller"}, "connectorId": "conn_1"},
        query=(("to", "+447911123456"), ("environment", "live")),
        shown=frozenset({"connectorId", "environment"}),
    )
    problem = read(
        {
            "message": f"'hello caller' of conn_1 in live to +447911123456 with {KEY}",
            "errors": [{"field": "variables.greeting", "message": "'hello caller' is too short"}],
        },
        call,
    )
    assert problem.message == "'***' of conn_1 in live to *** with ***"
    assert problem.field_errors == ("variables.greeting: '***' is too short",)


@pytest.mark.parametrize(
    ("status", "effective", "kind"),
    [
        (400, None, BadRequest),
        (402, None, BadRequest),
        (405, None, BadRequest),
        (415, None, BadRequest),
        (422, None, BadRequest),
        (401, None, Unauthorized),
        (403, None, Forbidden),
        (404, None, NotFound),
        (410, None, NotFound),
        (408, None, ServerError),
        (409, None, Conflict),
        (412, None, PreconditionFailed),
        (429, None, RateLimited),
        (500, None, ServerError),
        (599, None, ServerError),
        (400, 412, PreconditionFailed),
        (400, 409, Conflict),
        (404, 403, Forbidden),
        (500, 404, NotFound),
        (422, 429, RateLimited),
        (200, 409, Conflict),
        (400, 503, ServerError),
    ],
)
def test_class_follows_the_status_that_the_body_stands_for(status, effective, kind):
    error = to_error(
        make_call(),
        status,
        ErrorBody(error_code="CODE", message="no"),
        effective=effective,
        retry_after=3.0,
        correlation_id="c",
    )
    assert type(error) is kind
    assert (error.status, error.error_code, error.retry_after, error.correlation_id) == (
        status,
        "CODE",
        3.0,
        "c",
    )
    assert (error.method, error.route, error.path) == (
        "GET",
        "/v1/agents/{agentId}/things",
        "/v1/agents/acme%2B1/things",
    )


def test_advice_is_the_classes_own_unless_given():
    assert to_error(make_call(), 404, ErrorBody()).advice == NotFound.advice_default
    assert to_error(make_call(), 404, ErrorBody(), advice="look elsewhere").advice == "look elsewhere"


def test_reason_falls_back_to_the_status():
    assert to_error(make_call(), 503, ErrorBody()).reason == "service unavailable"
    assert to_error(make_call(), 599, ErrorBody()).reason == "refused without a reason"
    assert to_error(make_call(), 422, ErrorBody(field_errors=("a: b",))).reason == "a: b"


def test_the_platforms_own_id_is_named_when_it_differs():
    problem = ErrorBody(message="no", correlation_id="theirs")
    assert to_error(make_call(), 400, problem, correlation_id="ours").reason == "no (error id theirs)"
    assert to_error(make_call(), 400, problem, correlation_id="theirs").reason == "no"


def test_errors_survive_pickling():
    error = to_error(make_call(), 429, ErrorBody(message="slow down"), retry_after=7.0, correlation_id="c")
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301
    assert (type(copy), str(copy), copy.retry_after) == (RateLimited, str(error), 7.0)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                ["error", "errors", "message", "detail", "details", "fieldErrors", "loc", "code", "error_id"]
            )
            | st.text(max_size=4),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(JSON)
def test_any_json_is_read_without_failing(payload):
    error = to_error(make_call(), 400, error_body_of(payload, make_call(), REDACT, ErrorFormat()))
    assert str(error).isprintable()


@given(st.binary(max_size=200))
def test_any_bytes_are_read_without_failing(body):
    assert len(read(body).message) <= 300
