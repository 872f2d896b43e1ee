"""A platform's error vocabulary: codes in any spelling, and marks in success statuses."""

from __future__ import annotations

import pickle

import pytest

from airflow_voice_agents.transport.error_format import ErrorBody, ErrorFormat, normalize_code

FORMAT = ErrorFormat(
    codes={"ALREADY_THERE": 409, "ErrNotReady": 412, "4711": 404},
    flags={"success": False},
    members=frozenset({"error_code", "errors"}),
)


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("ALREADY_THERE", 409),
        ("already_there", 409),
        ("AlreadyThere", 409),
        ("ERR_NOT_READY", 412),
        ("4711", 404),
        ("4712", None),
        ("ALREADY_THERE_TOO", None),
        ("", None),
        (None, None),
    ],
)
def test_codes_are_compared_without_case_and_underscores(code, status):
    assert FORMAT.status_of(ErrorBody(error_code=code)) == status


def test_a_known_code_goes_before_the_shape_of_the_body():
    assert FORMAT.status_of(ErrorBody(status=400)) == 400
    assert FORMAT.status_of(ErrorBody(error_code="NEW", status=400)) == 400
    assert FORMAT.status_of(ErrorBody(error_code="4711", status=400)) == 404
    assert ErrorFormat().status_of(ErrorBody(error_code="4711")) is None


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        ({"success": False}, True),
        ({"success": True, "error_code": "X"}, True),
        ({"error_code": 6002}, True),
        ({"error_code": {"inner": 1}}, True),
        ({"errors": [{}]}, True),
        ({"success": True, "error_code": None}, False),
        ({"success": True, "error_code": ""}, False),
        ({"error_code": " "}, False),
        ({"error_code": 0}, False),
        ({"error_code": True}, False),
        ({"errors": []}, False),
        ({"success": 0}, False),
        ({"success": None}, False),
        ({"results": [{"success": False}]}, False),
        ({"error": "a field of this name"}, False),
        ([{"success": False}], False),
        (None, False),
    ],
)
def test_marks_of_an_error_in_a_success_status(payload, expected):
    assert FORMAT.marks(payload) is expected
    assert not ErrorFormat().marks(payload)


def test_normal_form():
    assert normalize_code("ErrPreRelease_Not_READY") == "errprereleasenotready"


def test_formats_are_compared_by_value_and_survive_pickling():
    assert pickle.loads(pickle.dumps(FORMAT)) == FORMAT  # noqa: S301
    assert ErrorFormat(codes={"A_B": 409}) == ErrorFormat(codes={"ab": 409})
