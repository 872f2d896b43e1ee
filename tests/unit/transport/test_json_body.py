"""Strict JSON in both directions."""

from __future__ import annotations

import pytest
from pydantic import BaseModel, ValidationError

from airflow_voice_agents.transport import json_body
from airflow_voice_agents.transport.api_request import Replay
from airflow_voice_agents.transport.errors import InputError
from airflow_voice_agents.transport.json_body import (
    OversizedBody,
    decode_body,
    describe_read_failure,
    encode_body,
)
from support.transport import make_call


def test_body_keeps_text_nulls_and_number_types():
    call = make_call(Replay.RECONCILE, body={"a": "grüße 🎄", "b": None, "c": [1, 1.0, True]})
    assert encode_body(call) == '{"a":"grüße 🎄","b":null,"c":[1,1.0,true]}'.encode()
    assert encode_body(make_call(body=None)) is None
    assert encode_body(make_call(body={})) == b"{}"


def _endless():
    loop = {}
    loop["self"] = loop
    return loop


def _deep():
    value = []
    for _ in range(100_000):
        value = [value]
    return value


@pytest.mark.parametrize(
    "value",
    [float("nan"), float("inf"), "hidden\ud800", object(), {"hidden"}, b"hidden", _endless(), _deep()],
    ids=["nan", "inf", "surrogate", "object", "set", "bytes", "endless", "deep"],
)
def test_what_json_cannot_carry_is_refused_without_showing_it(value):
    with pytest.raises(InputError, match="list things: the body holds") as caught:
        encode_body(make_call(Replay.RECONCILE, body={"k": value}))
    assert "hidden" not in str(caught.value)
    assert caught.value.__context__ is None


@pytest.mark.parametrize("body", [b"", b"  \r\n", b"\xef\xbb\xbf"])
def test_empty_body_is_none(body):
    assert decode_body(body) is None


def test_roots_may_be_object_or_array():
    assert decode_body(b'{"a":[1.5,1,"\xc3\xa9"]}') == {"a": [1.5, 1, "é"]}
    assert decode_body(b"\xef\xbb\xbf[]") == []


NOT_OURS = [b"null", b"1", b'"text"', b"true", b"{", b"[NaN]", b"[Infinity]", b"[-Infinity]", b"[1e999]"]
NOT_OURS += [b"{}x", b'["\xff"]', b"<html>", b"[" + b"9" * 5000 + b"]"]


@pytest.mark.parametrize("body", NOT_OURS, ids=lambda body: repr(body)[:20])
def test_anything_else_is_refused(body):
    with pytest.raises(ValueError, match=r"."):
        decode_body(body)


def test_deep_nesting_is_an_ordinary_error():
    with pytest.raises(OversizedBody, match="nested too deeply"):
        decode_body(b"[" * 200_000 + b"]" * 200_000)
    with pytest.raises(ValueError, match="not JSON"):
        decode_body(b"[" * 200_000)


@pytest.mark.parametrize(("fill", "refused"), [(b"[]", True), (b"{}", True), (b'"[,,{"', False)])
def test_more_values_than_are_read_are_refused_before_they_are_made(monkeypatch, fill, refused):
    monkeypatch.setattr(json_body, "MOST_VALUES", 40)
    body = b"[" + b",".join([fill] * 25) + b"]"
    if refused:
        with pytest.raises(OversizedBody, match="more than 40 values"):
            decode_body(body)
    else:
        assert len(decode_body(body)) == 25


class _Thing(BaseModel):
    name: str
    count: int


def test_read_failure_names_fields_and_no_values():
    with pytest.raises(ValidationError) as caught:
        _Thing.model_validate({"count": "hidden"})
    assert describe_read_failure(caught.value) == "name (missing), count (int_parsing)"
    assert describe_read_failure(KeyError("things")) == "things (missing)"
    assert describe_read_failure(KeyError("a hidden value")) == "the body (KeyError)"
    assert describe_read_failure(ValueError("hidden")) == "the body (ValueError)"
