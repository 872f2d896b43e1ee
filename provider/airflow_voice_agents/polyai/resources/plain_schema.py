"""Quick answers about plain schemas: whether one is surely valid, and whether values surely match it.

Most pages have a schema of types, required keys and bounds, and match it. To ask the process that evaluates schemas
about each of thousands would take longer than to plan them. Whatever is not plain here, or not surely right, is asked
there. A plain schema neither refers nor combines and its patterns are short, so the work is bounded by what is looked
at: no place is looked at twice.
"""

from __future__ import annotations

import json
import operator
import re
from collections.abc import Callable, Container
from functools import lru_cache
from typing import Any

from airflow_voice_agents.plans.canonical import comparable
from airflow_voice_agents.polyai.resources.schema_keywords import compiled

SCHEMAS_KEPT = 64
"""Schemas that are kept: the pages of a fleet have few."""
MEMBERS_KEPT = 5_000
"""Members of pages that are known to match a schema: the pages of a fleet differ in few."""
LONGEST_MEMBER = 2_000
"""Characters of a member that is kept, as JSON."""
LEVELS = 40
"""Levels of a schema that are looked at."""
PLACES = 20_000
"""Places of a schema or of values that are looked at."""
CHOICES = 100
"""Allowed values of one place that are compared."""
PATTERNS = 20
"""Different patterns of one schema."""
LONGEST_PATTERN = 100
"""Characters of a pattern."""
TEXT_OF_A_PLACE = 50
"""Characters of a text that is searched for a pattern, which count as one more place."""
_MANY = re.compile(r"\{\d*,?\d{3}")
"""Repetitions that make a large program of a short pattern."""

_NOTES = frozenset({"title", "description", "$comment", "$schema", "format"})
_FLAGS = frozenset({"readOnly", "writeOnly"})
_SCALARS = frozenset({str, bool, int, type(None)})
_JSON = _SCALARS | {float, list, dict}

_TYPES: dict[str, frozenset[type]] = {
    "array": frozenset({list}),
    "boolean": frozenset({bool}),
    "integer": frozenset({int}),
    "null": frozenset({type(None)}),
    "number": frozenset({int, float}),
    "object": frozenset({dict}),
    "string": frozenset({str}),
}
_BOUNDS: dict[str, Callable[[Any, Any], bool]] = {
    "minimum": operator.ge,
    "maximum": operator.le,
    "exclusiveMinimum": operator.gt,
    "exclusiveMaximum": operator.lt,
}
_COUNTS: dict[str, tuple[type, Callable[[Any, Any], bool]]] = {
    "minLength": (str, operator.ge),
    "maxLength": (str, operator.le),
    "minItems": (list, operator.ge),
    "maxItems": (list, operator.le),
    "minProperties": (dict, operator.ge),
    "maxProperties": (dict, operator.le),
}


@lru_cache(maxsize=SCHEMAS_KEPT)
def plain_schema(schema: bytes | str) -> PlainSchema | None:
    """Return a schema to match values with, or ``None`` where it is not plain. A plain one is valid in Draft 7.

    :param schema: the schema as JSON.
    """
    parsed = json.loads(schema)
    return PlainSchema(parsed) if _Inspection().is_plain(parsed, LEVELS) else None


class PlainSchema:
    """A plain schema.

    :param schema: the schema.
    """

    def __init__(self, schema: Any) -> None:
        self._schema = schema
        self._known: set[tuple[int, bytes | str]] = set()

    def surely_matches(self, values: dict[str, Any]) -> bool:
        """Tell whether values match; ``False`` where that is not sure.

        :param values: keys and values of a page.
        """
        return _Match(self._known).matches(self._schema, values)


class _Budget:
    def __init__(self) -> None:
        self._left = PLACES

    def lasts(self, places: int = 1) -> bool:
        self._left -= places
        return self._left >= 0


class _Inspection:
    """Finds out whether a schema is plain."""

    def __init__(self) -> None:
        self._budget = _Budget()
        self._patterns: set[str] = set()

    def is_plain(self, schema: Any, levels: int) -> bool:
        if type(schema) is bool:
            return True
        if type(schema) is not dict or not levels or not self._budget.lasts():
            return False
        return all(word in _PLAIN and _PLAIN[word](self, rule, levels - 1) for word, rule in schema.items())

    def is_plain_pattern(self, pattern: Any) -> bool:
        if type(pattern) is not str or len(pattern) > LONGEST_PATTERN or _MANY.search(pattern):
            return False
        self._patterns.add(pattern)
        return len(self._patterns) <= PATTERNS and compiled(pattern) is not None


class _Match:
    """Matches the values of one page.

    :param known: members that are known to match their schemas.
    """

    def __init__(self, known: set[tuple[int, bytes | str]]) -> None:
        self._budget = _Budget()
        self._known = known

    def matches(self, schema: Any, value: Any) -> bool:
        if type(schema) is bool:
            return schema
        if type(value) not in _JSON or not self._budget.lasts():
            return False
        return all(_KEEPS[word](self, rule, value, schema) for word, rule in schema.items() if word in _KEEPS)

    def members_match(self, rule: Any, value: Any) -> bool:
        return type(value) is not dict or all(
            self._member_matches(below, value[name]) for name, below in rule.items() if name in value
        )

    def others_match(self, rule: Any, value: Any, known: Container[str]) -> bool:
        return type(value) is not dict or all(
            self.matches(rule, below) for name, below in value.items() if name not in known
        )

    def _member_matches(self, schema: Any, value: Any) -> bool:
        if type(value) not in (dict, list):
            return self.matches(schema, value)
        key = (id(schema), comparable(value))  # a schema that is kept keeps its identity
        if key in self._known:
            return True
        if not self.matches(schema, value):
            return False
        if len(key[1]) <= LONGEST_MEMBER:
            if len(self._known) >= MEMBERS_KEPT:
                self._known.clear()
            self._known.add(key)
        return True

    def is_found(self, pattern: str, text: Any) -> bool:
        if type(text) is not str:
            return True
        return self._budget.lasts(len(text) // TEXT_OF_A_PLACE) and bool(compiled(pattern).search(text))


def _are_names(values: list[Any], among: Container[str] | None = None) -> bool:
    """Whether all are different texts, and those that are allowed."""
    are_texts = all(type(each) is str and (among is None or each in among) for each in values)
    return are_texts and _is_distinct(values)


def _are_choices(values: list[Any]) -> bool:
    return (
        0 < len(values) <= CHOICES and all(type(each) in _SCALARS for each in values) and _is_distinct(values)
    )


def _is_distinct(values: list[Any]) -> bool:
    return len(set(values)) == len(values)


_PLAIN: dict[str, Callable[[_Inspection, Any, int], bool]] = {
    **dict.fromkeys(_NOTES, lambda _, rule, __: type(rule) is str),
    **dict.fromkeys(_FLAGS, lambda _, rule, __: type(rule) is bool),
    **dict.fromkeys(_COUNTS, lambda _, rule, __: type(rule) is int and rule >= 0),
    **dict.fromkeys(_BOUNDS, lambda _, rule, __: type(rule) in _TYPES["number"]),
    **dict.fromkeys(("additionalProperties", "items"), _Inspection.is_plain),
    "properties": lambda look, rule, levels: (
        type(rule) is dict and all(look.is_plain(below, levels) for below in rule.values())
    ),
    "type": lambda _, rule, __: (
        rule != [] and _are_names(rule if type(rule) is list else [rule], among=_TYPES)
    ),
    "pattern": lambda look, rule, _: look.is_plain_pattern(rule),
    "required": lambda _, rule, __: type(rule) is list and _are_names(rule),
    "enum": lambda _, rule, __: type(rule) is list and _are_choices(rule),
    "const": lambda _, rule, __: _are_choices([rule]),
    "default": lambda *_: True,
}
"""Whether a rule is plain, by keyword."""


def _has_type(rule: Any, value: Any) -> bool:
    return any(type(value) in _TYPES[name] for name in (rule if type(rule) is list else [rule]))


def _is_one_of(choices: list[Any], value: Any) -> bool:
    return any(type(each) is type(value) and each == value for each in choices)


def _within(bound: Callable[[Any, Any], bool]) -> Callable[[_Match, Any, Any, Any], bool]:
    return lambda _, rule, value, __: type(value) not in _TYPES["number"] or bound(value, rule)


def _counted(kind: Any, bound: Callable[[Any, Any], bool]) -> Callable[[_Match, Any, Any, Any], bool]:
    return lambda _, rule, value, __: type(value) is not kind or bound(len(value), rule)


_KEEPS: dict[str, Callable[[_Match, Any, Any, dict[str, Any]], bool]] = {
    **{word: _within(bound) for word, bound in _BOUNDS.items()},
    **{word: _counted(*counted) for word, counted in _COUNTS.items()},
    "type": lambda _, rule, value, __: _has_type(rule, value),
    "properties": lambda match, rule, value, _: match.members_match(rule, value),
    "required": lambda _, rule, value, __: type(value) is not dict or all(name in value for name in rule),
    "additionalProperties": lambda match, rule, value, schema: match.others_match(
        rule, value, schema.get("properties", ())
    ),
    "items": lambda match, rule, value, _: (
        type(value) is not list or all(match.matches(rule, each) for each in value)
    ),
    "pattern": lambda match, rule, value, _: match.is_found(rule, value),
    "enum": lambda _, rule, value, __: _is_one_of(rule, value),
    "const": lambda _, rule, value, __: _is_one_of([rule], value),
}
"""Whether a value keeps a rule, by keyword."""
