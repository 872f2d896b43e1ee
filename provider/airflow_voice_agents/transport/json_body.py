"""Encodes and decodes JSON bodies strictly; errors name fields, never values."""

from __future__ import annotations

import json
import math
import re
from typing import Any

from airflow_voice_agents.transport.api_request import ApiRequest
from airflow_voice_agents.transport.errors import InputError
from airflow_voice_agents.transport.strict_json import count_values

MOST_VALUES = 3_000_000
"""Values of one response; an empty list takes two bytes of it, and sixty of memory."""


class OversizedBody(ValueError):
    """A response holds more than is read; the text says what."""


def encode_body(request: ApiRequest[Any]) -> bytes | None:
    """Serialise the body of a request, keeping non-ASCII text and refusing what is not JSON.

    :param request: the request; ``None`` as body sends none.
    :raises InputError: for NaN or infinity, a value JSON cannot hold, or text that is not Unicode.
    """
    if request.body is None:
        return None
    try:
        text = json.dumps(dict(request.body), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        return text.encode()
    except UnicodeEncodeError:
        fault = "text with a lone surrogate, which is not Unicode"
    except ValueError:
        fault = "NaN, infinity or a structure that holds itself, which JSON cannot carry"
    except TypeError:
        fault = "a value of a type that JSON cannot carry"
    except RecursionError:
        fault = "a structure too deep to serialise"
    # Raised out here so that no value hangs on the error as its context.
    raise InputError(f"{request.operation}: the body holds {fault}; nothing was sent")


def decode_body(body: bytes) -> Any:
    """Parse a response body; ``None`` for an empty one.

    :param body: decompressed bytes.
    :raises OversizedBody: when it holds more values or levels than are read.
    :raises ValueError: when it is not UTF-8, not strict JSON, or neither object nor array.
    """
    text = body.decode("utf-8-sig")
    if not text or text.isspace():
        return None
    if sum(map(body.count, (b",", b"[", b"{"))) > MOST_VALUES and count_values(text) > MOST_VALUES:
        raise OversizedBody(f"the answer holds more than {MOST_VALUES:,} values")
    try:
        payload = json.loads(text, parse_constant=_refuse, parse_float=_finite)
    except RecursionError:
        if body.count(b"[") + body.count(b"{") != body.count(b"]") + body.count(b"}"):
            raise ValueError("not JSON") from None
        raise OversizedBody("the answer is nested too deeply to be read") from None
    if not isinstance(payload, (dict, list)):
        raise ValueError("neither a JSON object nor an array")
    return payload


def describe_read_failure(error: Exception) -> str:
    """Name the fields of a response that could not be read, without any of its values.

    :param error: the exception that the request's ``read`` raised.
    """
    if type(error).__module__.partition(".")[0].startswith("pydantic") and hasattr(error, "errors"):
        found = error.errors(include_input=False, include_url=False, include_context=False)
        named = [
            f"{'.'.join(map(str, entry['loc'])) or 'the body'} ({entry['type']})" for entry in found[:10]
        ]
        more = f" and {len(found) - 10} more" if len(found) > 10 else ""
        return ", ".join(named) + more
    if isinstance(error, KeyError) and error.args and re.fullmatch(r"\w{1,40}", str(error.args[0])):
        return f"{error.args[0]} (missing)"
    return f"the body ({type(error).__name__})"


def _refuse(_: str) -> Any:
    raise ValueError("not strict JSON")


def _finite(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError("a number beyond the range of a float")
    return value
