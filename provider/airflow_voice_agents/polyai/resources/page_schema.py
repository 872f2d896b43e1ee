"""JSON Schema, Draft 7, as config pages use it: checks that never fetch anything and never show a value."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from glob import escape
from itertools import count, islice
from typing import Any
from urllib.parse import unquote

from airflow_voice_agents.plans.canonical import canonical, digest
from airflow_voice_agents.polyai.resources import schema_keywords
from airflow_voice_agents.polyai.resources.schema_keywords import (
    STEPS,
    TooManySteps,
    bounded_keywords,
    bounded_steps,
)

Pattern = tuple[str, ...]

SCHEMAS_KEPT = 64
"""Number of parsed schemas kept in memory."""

VERDICTS_KEPT = 20_000
"""Pairs of schema and values whose result is kept in memory: a page is asked about when it is planned and when it is
written, and the pages of a fleet are often alike."""

PROBLEMS_SHOWN = 10
PLACES_WALKED = 20_000
"""Places of a schema that are searched for secrets, those behind references included."""
EVERYTHING: tuple[Pattern, ...] = (("*",), ("$schema", "*"))
"""The paths that count as secret where a schema is too large to be searched."""
_BELOW_A_NAME: dict[str, Pattern] = {"properties": (), "patternProperties": ("*",)}
_BELOW: dict[str, Pattern] = {
    **dict.fromkeys(("additionalProperties", "items", "additionalItems", "contains"), ("*",)),
    **dict.fromkeys(("allOf", "anyOf", "oneOf", "if", "then", "else"), ()),
}
_LITERALS = ("const", "default", "enum", "examples")
"""Members of a schema that hold values of what it describes."""
_found: dict[tuple[str, str], tuple[str, ...]] = {}
_TYPES = ("array", "boolean", "integer", "null", "number", "object", "string")


class _TooLargeError(Exception):
    """A schema has more places than are searched."""


def schema_problems(schema: Any) -> list[str]:
    """Say what is wrong with a schema itself; empty when it is a valid Draft 7 schema.

    :param schema: the schema of a config page.
    """
    return list(_schema_problems(canonical(schema)))


def value_problems(schema: Mapping[str, Any] | None, variables: Mapping[str, Any] | None) -> list[str]:
    """Say where values break a schema; empty when they are valid or there is no schema.

    References to other documents are never fetched: a schema that needs one cannot be checked, and
    that is reported as a problem.

    :param schema: Draft 7 schema, or ``None``.
    :param variables: top-level keys and values; ``None`` counts as none.
    """
    if not schema:
        return []
    values = dict(variables or {})
    key = (digest(schema), digest(values))
    found = _found.pop(key, None)
    if found is None:
        found = tuple(_evaluated(canonical(schema), values))
    _found[key] = found  # the newest last
    while len(_found) > VERDICTS_KEPT:
        _found.pop(next(iter(_found)), None)
    return list(found)


def unchecked_patterns(schema: Mapping[str, Any] | None) -> list[str]:
    """Name the places of patterns that cannot be checked here.

    :param schema: Draft 7 schema, or ``None``.
    """
    return list(_unchecked_patterns(canonical(schema))) if schema else []


def sensitive_patterns(schema: Mapping[str, Any] | None) -> list[Pattern]:
    """List the paths whose values a schema marks as secret (``writeOnly`` or ``format: password``).

    Defaults, examples and allowed values that the schema itself gives for them are listed below ``$schema``.

    :param schema: Draft 7 schema, or ``None``.
    """
    return list(_sensitive_patterns(canonical(schema))) if schema else []


def _evaluated(schema: str, values: dict[str, Any]) -> list[str]:
    from referencing.exceptions import Unresolvable

    try:
        with bounded_steps(STEPS):
            errors = _validator(schema).iter_errors(values)
            return list(islice(_distinct(map(_problem, errors)), PROBLEMS_SHOWN))
    except TooManySteps:
        return [f"the schema cannot be evaluated here within {STEPS:,} steps"]
    except Unresolvable as error:
        return [f"the schema refers to {error.ref!r}, which is not inside it and is never fetched"]
    except Exception as error:  # noqa: BLE001  a malformed schema, as a page may hold, breaks the library anyhow
        return [f"the schema cannot be evaluated here ({type(error).__name__})"]


@lru_cache(maxsize=SCHEMAS_KEPT)
def _schema_problems(schema: str) -> tuple[str, ...]:
    """Check a schema given in its canonical spelling: the pages of a fleet share a few."""
    from jsonschema import Draft7Validator
    from jsonschema.exceptions import SchemaError

    try:
        Draft7Validator.check_schema(json.loads(schema))
    except SchemaError as error:
        return (f"{_place(error.absolute_path)}: breaks {error.validator!r} of JSON Schema Draft 7",)
    except RecursionError:
        return ("the schema is nested too deeply to be checked here",)
    return ()


@lru_cache(maxsize=SCHEMAS_KEPT)
def _unchecked_patterns(schema: str) -> tuple[str, ...]:
    return tuple(schema_keywords.unchecked_patterns(json.loads(schema)))


@lru_cache(maxsize=SCHEMAS_KEPT)
def _sensitive_patterns(schema: str) -> tuple[Pattern, ...]:
    """List the marked paths of a schema given in its canonical spelling."""
    plain = json.loads(schema)
    if not _marks(plain):
        return ()
    try:
        found = [
            *_sensitive(plain, plain, (), frozenset(), count()),
            *_literals(plain, ("$schema",), secret=False),
        ]
    except (_TooLargeError, RecursionError):
        return EVERYTHING
    return tuple(dict.fromkeys(found))


@lru_cache(maxsize=SCHEMAS_KEPT)
def _validator(schema: str) -> Any:
    """Return what checks values by a schema given in its canonical spelling."""
    from jsonschema import Draft7Validator, validators
    from referencing import Registry

    keywords = {**Draft7Validator.VALIDATORS, "properties": _Members()}
    kind = validators.extend(Draft7Validator, bounded_keywords(keywords))  # type: ignore[no-untyped-call]
    return kind(json.loads(schema), registry=Registry())


class _Members:
    """How ``properties`` is evaluated for one schema: a member known to be valid is not evaluated again.

    Whether a value is valid depends on nothing but the schema, and most pages of a fleet differ in few members.
    """

    def __init__(self) -> None:
        self._valid: set[tuple[int, str]] = set()

    def __call__(self, validator: Any, properties: Any, instance: Any, _: Any) -> Iterator[Any]:
        """Yield what is wrong with the members that are there."""
        if not validator.is_type(instance, "object"):
            return
        for name, schema in properties.items():
            if name in instance:
                yield from self._member(validator, name, schema, instance[name])

    def _member(self, validator: Any, name: str, schema: Any, value: Any) -> Iterator[Any]:
        key = (id(schema), digest(value))  # what the validator holds keeps its identity
        if key in self._valid:
            return
        faultless = True
        for error in validator.descend(value, schema, path=name, schema_path=name):
            faultless = False
            yield error
        if faultless:
            if len(self._valid) >= VERDICTS_KEPT:
                self._valid.clear()
            self._valid.add(key)


def _marks(schema: Any) -> bool:
    """Whether anything in a document could mark a value as secret."""
    if isinstance(schema, list):
        return any(map(_marks, schema))
    return isinstance(schema, Mapping) and (_is_secret(schema) or any(map(_marks, schema.values())))


def _is_secret(schema: Mapping[str, Any]) -> bool:
    return schema.get("writeOnly") is True or schema.get("format") == "password"


def _sensitive(
    root: Any, schema: Any, path: Pattern, followed: frozenset[str], visits: Iterator[int]
) -> Iterator[Pattern]:
    if not isinstance(schema, Mapping):
        return
    if next(visits) > PLACES_WALKED:
        raise _TooLargeError
    if path and _is_secret(schema):
        yield path
    for step, below in _subschemas(schema):
        yield from _sensitive(root, below, (*path, *step), followed, visits)
    reference = schema.get("$ref")
    if not isinstance(reference, str):
        return
    if reference not in followed:
        yield from _sensitive(root, _local(root, reference), path, followed | {reference}, visits)
    elif path:  # a schema that contains itself: secrets may stand at any depth from here on
        yield path


def _literals(schema: Any, path: Pattern, *, secret: bool) -> Iterator[Pattern]:
    """Yield where a schema gives values of what it marks."""
    if isinstance(schema, list):
        for place, below in enumerate(schema):
            yield from _literals(below, (*path, str(place)), secret=secret)
    elif isinstance(schema, Mapping):
        secret = secret or _is_secret(schema)
        for name, below in schema.items():
            if secret and name in _LITERALS:
                yield (*path, name)
            else:
                yield from _literals(below, (*path, escape(name)), secret=secret)


def _subschemas(schema: Mapping[str, Any]) -> Iterator[tuple[Pattern, Any]]:
    for word, step in _BELOW_A_NAME.items():
        for name, below in _members(schema.get(word)):
            yield step or (escape(name),), below
    for word, step in _BELOW.items():
        below = schema.get(word)
        for each in below if isinstance(below, list) else [below]:
            yield step, each
    for _, below in _members(schema.get("dependencies")):
        yield (), below


def _members(value: Any) -> list[tuple[str, Any]]:
    return list(value.items()) if isinstance(value, Mapping) else []


def _local(root: Any, reference: str) -> Any:
    if reference == "#":
        return root
    if not reference.startswith("#/"):
        return None
    found = root
    for part in reference[2:].split("/"):
        name = unquote(part).replace("~1", "/").replace("~0", "~")
        found = _member(found, name)
    return found


def _member(value: Any, name: str) -> Any:
    if isinstance(value, list):
        return value[int(name)] if name.isdecimal() and int(name) < len(value) else None
    return value.get(name) if isinstance(value, Mapping) else None


def _distinct(texts: Iterable[str]) -> Iterator[str]:
    seen: set[str] = set()
    for text in texts:
        if text not in seen:
            seen.add(text)
            yield text


def _problem(error: Any) -> str:
    """Name place and rule; the library's own message would quote the value."""
    rule = error.validator
    if rule == "required":
        missing = [name for name in error.validator_value if name not in error.instance]
        return f"{_place(error.absolute_path)}: lacks required {', '.join(map(repr, missing))}"
    if rule == "type":
        return (
            f"{_place(error.absolute_path)}: must be {error.validator_value}, is {_type_of(error.instance)}"
        )
    if rule == "additionalProperties":
        return f"{_place(error.absolute_path)}: has keys that the schema does not know: {error.message}"
    return f"{_place(error.absolute_path)}: breaks rule {rule!r}"


def _place(path: Any) -> str:
    return ".".join(map(str, path)) or "(top level)"


def _type_of(value: Any) -> str:
    from jsonschema import Draft7Validator

    checker = Draft7Validator.TYPE_CHECKER
    return next((name for name in _TYPES if checker.is_type(value, name)), type(value).__name__)
