"""Strict parsing of JSON from people and templates, with limits, and without values in errors."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Sequence
from reprlib import repr as shorten
from typing import Any, NoReturn

import msgspec

from airflow_voice_agents.transport.errors import InputError

_STRING = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"?', re.DOTALL)
"""A string. One without its end is taken whole, so that no search begins again inside it."""
_TOKEN = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"?|[\[\]{}:,]', re.DOTALL)
_BRACKET = re.compile(r"[\[\]{}]")


class Limits(msgspec.Struct, frozen=True):
    """The largest document that is read.

    :param size: bytes of its text in UTF-8.
    :param nodes: values in it, at every depth; what an alias repeats counts each time.
    :param depth: levels of lists and objects.
    :param aliases: references of YAML to values elsewhere in the document.
    """

    size: int
    nodes: int
    depth: int
    aliases: int = 0


LIMITS = Limits(size=16 * 1024 * 1024, nodes=1_000_000, depth=100)
"""Limits of JSON and of tables."""


_NESTED = frozenset({dict, list})


def is_deeper(value: Any, levels: int = LIMITS.depth) -> bool:
    """Tell whether a JSON value is nested more deeply than what is worked on: whatever walks one may recurse.

    :param value: a JSON value of any depth.
    :param levels: levels of lists and objects that are allowed.
    """
    found = [value] if type(value) in _NESTED else []
    for _ in range(levels):
        if not found:
            return False
        below = [each.values() if type(each) is dict else each for each in found]
        found = [each for members in below for each in members if type(each) in _NESTED]
    return bool(found)


def decode_json(text: str, *, where: str, limits: Limits = LIMITS) -> Any:
    """Read JSON, and nothing that only looks like it.

    :param text: the JSON.
    :param where: file or argument that it is from, for errors.
    :param limits: the largest document that is read.
    :raises InputError: when it is not JSON, is larger than the limits, repeats a key in an object, or holds NaN
        or a number beyond the range of a float.
    """
    check_size(text, where=where, limits=limits)
    _check_structure(text, where, limits)
    try:
        return json.loads(
            text, object_pairs_hook=_distinct, parse_constant=_refuse, parse_float=_finite_number
        )
    except _Repeated as error:
        fault = f": an object has the key {error} twice{_place_of_repeat(text)}"
    except _NotFinite:
        fault = ": NaN and infinities are not JSON"
    except json.JSONDecodeError as error:
        fault = f" is not JSON (line {error.lineno}, column {error.colno})"
    except (ValueError, RecursionError) as error:  # a number of thousands of digits
        fault = f" is not JSON that can be read ({type(error).__name__})"
    # Raised out here so that the text does not hang on the error as its context.
    raise InputError(f"{where}{fault}")


def check_size(text: str, *, where: str, limits: Limits, kind: str = "JSON") -> None:
    """Refuse a text that is too long to be read.

    :param text: the text.
    :param where: file or argument that it is from, for the error.
    :param limits: the limits.
    :param kind: the format.
    :raises InputError: when it has more bytes than allowed.
    """
    if len(text) * 4 > limits.size and len(text.encode(errors="surrogatepass")) > limits.size:
        raise too_large(where, f"more than {limits.size:,} bytes", kind)


def too_large(where: str, what: str, kind: str = "JSON") -> InputError:
    """Return the error for an input beyond a limit.

    :param where: the file or argument.
    :param what: the limit.
    :param kind: the format.
    """
    return InputError(f"{where} is not {kind} that can be read: it has {what}. Nothing was taken from it.")


def count_values(text: str) -> int:
    """Return about how many values a JSON text holds, without reading it.

    :param text: the text.
    """
    bare = _STRING.sub('""', text)
    return _opened(bare) + bare.count(",")


def _opened(bare: str) -> int:
    return bare.count("[") + bare.count("{")


class _Repeated(Exception):
    pass


class _NotFinite(Exception):
    pass


def _check_structure(text: str, where: str, limits: Limits) -> None:
    """Count values and levels before anything is built."""
    bare = _STRING.sub('""', text)
    opened = _opened(bare)
    if opened + bare.count(",") > limits.nodes:
        raise too_large(where, f"more than {limits.nodes:,} values")
    if opened <= limits.depth or opened != bare.count("]") + bare.count("}"):
        return  # what is not balanced is not JSON
    depth = 0
    for bracket in _BRACKET.finditer(bare):
        depth += 1 if bracket.group() in "[{" else -1
        if depth > limits.depth:
            raise too_large(where, f"more than {limits.depth} levels of lists and objects")


def _distinct(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise _Repeated(shorten(key))
        found[key] = value
    return found


def _refuse(_: str) -> NoReturn:
    raise _NotFinite


def _finite_number(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise _NotFinite
    return value


def _place_of_repeat(text: str) -> str:
    """Find the line and column of the first key that is repeated."""
    for start, key, seen in _keys(text):
        if key in seen:
            line = text.count("\n", 0, start) + 1
            return f" (line {line}, column {start - text.rfind(chr(10), 0, start)})"
        seen.add(key)
    return ""


def _keys(text: str) -> Iterator[tuple[int, str, set[str]]]:
    """Yield the place of each key, the key, and the keys before it in the same object."""
    objects: list[set[str]] = []
    last: re.Match[str] | None = None
    for token in _TOKEN.finditer(text):
        sign = token.group()
        if sign in "[{":
            objects.append(set())
        elif sign in "]}":
            objects.pop()
        elif sign == ":" and last is not None:
            yield last.start(), json.loads(last.group()), objects[-1]
        last = token
