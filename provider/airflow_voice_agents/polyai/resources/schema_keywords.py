"""Keywords of JSON Schema (Draft 7) with bounded evaluation time.

Patterns run on RE2, which takes time in proportion to the text. Its syntax is that of ECMA-262 without look-around and
back references; a pattern that it does not read is not checked, and :func:`unchecked_patterns` names it. Every keyword
costs a step, and an evaluation that takes too many ends in :class:`TooManySteps`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from fractions import Fraction
from functools import lru_cache, partial
from threading import local
from typing import Any

STEPS = 200_000
"""Keywords that one evaluation applies at most: a few seconds of work, and more than any page in use needs."""
PATTERNS_NAMED = 5
_PLACES = 10_000
"""Parts of a schema that are searched for patterns."""
_CODE_POINT = re.compile(r"\\u\{?([0-9A-Fa-f]{4,6})\}?")
_taken = local()


class TooManySteps(Exception):
    """An evaluation took more steps than it may."""


@contextmanager
def bounded_steps(most: int) -> Iterator[None]:
    """Bound the keywords that are applied inside.

    :param most: number of keywords.
    :raises TooManySteps: beyond it.
    """
    _taken.left = most
    try:
        yield
    finally:
        _taken.left = most


def bounded_keywords(keywords: Mapping[str, Callable[..., Any]]) -> dict[str, Callable[..., Any]]:
    """Return keywords that cost a step each, with those replaced that could take unbounded time or are inexact.

    :param keywords: keyword -> what evaluates it, as the library has them.
    """
    own = {
        "additionalProperties": _additional_properties,
        "multipleOf": _multiple_of,
        "pattern": _pattern,
        "patternProperties": _pattern_properties,
        "uniqueItems": _unique_items,
    }
    return {name: partial(_counted, apply) for name, apply in {**keywords, **own}.items()}


def unchecked_patterns(schema: Any) -> list[str]:
    """Name the places of patterns that cannot be checked here, such as ``pattern of `site```.

    :param schema: the schema of a config page.
    """
    found: dict[str, None] = {}
    for place, part in _parts(schema):
        for pattern in _patterns(part):
            if compiled(pattern) is None:
                found[f"pattern of `{place or '(top level)'}`"] = None
    return list(found)[:PATTERNS_NAMED]


@lru_cache(maxsize=1024)
def compiled(pattern: str) -> Any:
    """Return a pattern that searches in linear time, or ``None`` for one that cannot be checked here.

    :param pattern: a regular expression in the syntax of ECMA-262.
    """
    try:
        import re2
    except ImportError:  # a platform without a wheel
        return None
    options = re2.Options()
    options.log_errors = False
    options.max_mem = 8 << 20
    try:
        return re2.compile(_CODE_POINT.sub(r"\\x{\1}", pattern), options)
    except re2.error:
        return None


def _counted(apply: Callable[..., Any], validator: Any, value: Any, instance: Any, schema: Any) -> Any:
    _taken.left = getattr(_taken, "left", STEPS) - 1
    if _taken.left < 0:
        raise TooManySteps
    return apply(validator, value, instance, schema)


def _pattern(validator: Any, pattern: str, instance: Any, _: Any) -> Iterator[Any]:
    if (
        validator.is_type(instance, "string")
        and (search := compiled(pattern))
        and not search.search(instance)
    ):
        yield _error("does not match")


def _pattern_properties(validator: Any, patterns: Any, instance: Any, _: Any) -> Iterator[Any]:
    if not validator.is_type(instance, "object"):
        return
    for pattern, below in patterns.items():
        search = compiled(pattern)
        for name, value in instance.items() if search else ():
            if search.search(name):
                yield from validator.descend(value, below, path=name, schema_path=pattern)


def _additional_properties(validator: Any, rule: Any, instance: Any, schema: Any) -> Iterator[Any]:
    if not validator.is_type(instance, "object"):
        return
    patterns = [compiled(pattern) for pattern in schema.get("patternProperties", {})]
    if not all(patterns):
        return  # nobody can tell here which keys are additional
    known = schema.get("properties", {})
    extra = [
        name for name in instance if name not in known and not any(each.search(name) for each in patterns)
    ]
    if rule is False and extra:
        yield _error(", ".join(sorted(map(repr, extra))))
    elif isinstance(rule, Mapping):
        for name in extra:
            yield from validator.descend(instance[name], rule, path=name)


def _multiple_of(validator: Any, divisor: Any, instance: Any, _: Any) -> Iterator[Any]:
    if (
        validator.is_type(instance, "number")
        and (Fraction(str(instance)) / Fraction(str(divisor))).denominator != 1
    ):
        yield _error("is not a multiple")


def _unique_items(validator: Any, unique: Any, instance: Any, _: Any) -> Iterator[Any]:
    if unique and validator.is_type(instance, "array") and len(set(map(_hashable, instance))) < len(instance):
        yield _error("holds an item twice")


def _hashable(value: Any) -> Any:
    if isinstance(value, Mapping):
        return ("object", frozenset((name, _hashable(below)) for name, below in value.items()))
    if isinstance(value, list):
        return ("array", tuple(map(_hashable, value)))
    return (isinstance(value, bool), value)


def _error(message: str) -> Any:
    from jsonschema.exceptions import ValidationError

    return ValidationError(message)


def _patterns(part: Mapping[str, Any]) -> Iterator[str]:
    names = part.get("patternProperties")
    for pattern in (part.get("pattern"), *(names if isinstance(names, Mapping) else ())):
        if isinstance(pattern, str):
            yield pattern


def _parts(schema: Any) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the objects of a schema with the names of the properties that lead to them."""
    left: list[tuple[str, Any]] = [("", schema)]
    for _ in range(_PLACES):
        if not left:
            return
        place, part = left.pop()
        if isinstance(part, Mapping):
            yield place, part
            for name, below in part.items():
                inside = name == "properties" and isinstance(below, Mapping)
                left += (
                    [(f"{place}.{key}".lstrip("."), each) for key, each in below.items()]
                    if inside
                    else [(place, below)]
                )
        elif isinstance(part, list):
            left += [(place, each) for each in part]
