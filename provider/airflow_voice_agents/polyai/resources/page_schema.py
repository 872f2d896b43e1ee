"""JSON Schema, Draft 7, as config pages use it: checks that never fetch anything and never show a value."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

Pattern = tuple[str, ...]

PROBLEMS_SHOWN = 10
_MAX_DEPTH = 32
_TYPES = ("array", "boolean", "integer", "null", "number", "object", "string")


def schema_problems(schema: Any) -> list[str]:
    """Say what is wrong with a schema itself; empty when it is a valid Draft 7 schema.

    :param schema: the schema of a config page.
    """
    from jsonschema import Draft7Validator
    from jsonschema.exceptions import SchemaError

    try:
        Draft7Validator.check_schema(schema)
    except SchemaError as error:
        return [f"{_place(error.absolute_path)}: breaks {error.validator!r} of JSON Schema Draft 7"]
    return []


def value_problems(schema: Mapping[str, Any] | None, variables: Mapping[str, Any] | None) -> list[str]:
    """Say where values break a schema; empty when they are valid or there is no schema.

    References to other documents are never fetched: a schema that needs one cannot be checked, and
    that is reported as a problem.

    :param schema: Draft 7 schema, or ``None``.
    :param variables: top-level keys and values; ``None`` counts as none.
    """
    from jsonschema import Draft7Validator
    from referencing import Registry
    from referencing.exceptions import Unresolvable

    if not schema:
        return []
    try:
        errors = Draft7Validator(schema, registry=Registry()).iter_errors(dict(variables or {}))
        return [_problem(error) for error, _ in zip(errors, range(PROBLEMS_SHOWN), strict=False)]
    except Unresolvable as error:
        return [f"the schema refers to {error.ref!r}, which is not inside it and is never fetched"]
    except (re.error, RecursionError) as error:
        return [f"the schema cannot be evaluated here ({type(error).__name__})"]


def sensitive_patterns(schema: Mapping[str, Any] | None) -> list[Pattern]:
    """List the paths whose values a schema marks as secret (``writeOnly`` or ``format: password``).

    :param schema: Draft 7 schema, or ``None``.
    """
    return list(_sensitive(schema, schema, (), 0)) if isinstance(schema, Mapping) else []


def _sensitive(root: Any, schema: Any, path: Pattern, depth: int) -> Iterator[Pattern]:
    if not isinstance(schema, Mapping) or depth > _MAX_DEPTH:
        return
    if path and (schema.get("writeOnly") is True or schema.get("format") == "password"):
        yield path
    for step, below in _subschemas(root, schema):
        yield from _sensitive(root, below, (*path, *step), depth + 1)


def _subschemas(root: Any, schema: Mapping[str, Any]) -> Iterator[tuple[Pattern, Any]]:
    for name, below in _members(schema.get("properties")):
        yield (name,), below
    for _, below in _members(schema.get("patternProperties")):
        yield ("*",), below
    for word in ("additionalProperties", "items", "additionalItems", "contains"):
        below = schema.get(word)
        for each in below if isinstance(below, list) else [below]:
            yield ("*",), each
    for word in ("allOf", "anyOf", "oneOf"):
        for each in schema.get(word) or ():
            yield (), each
    for word in ("if", "then", "else"):
        yield (), schema.get(word)
    yield (), _local(root, schema.get("$ref"))


def _members(value: Any) -> list[tuple[str, Any]]:
    return list(value.items()) if isinstance(value, Mapping) else []


def _local(root: Any, reference: Any) -> Any:
    if not isinstance(reference, str) or not reference.startswith("#/"):
        return None
    found = root
    for part in reference[2:].split("/"):
        name = part.replace("~1", "/").replace("~0", "~")
        found = found.get(name) if isinstance(found, Mapping) else None
    return found


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
    return f"{_place(error.absolute_path)}: breaks rule {rule!r}"


def _place(path: Any) -> str:
    return ".".join(map(str, path)) or "(top level)"


def _type_of(value: Any) -> str:
    from jsonschema import Draft7Validator

    checker = Draft7Validator.TYPE_CHECKER
    return next((name for name in _TYPES if checker.is_type(value, name)), type(value).__name__)
