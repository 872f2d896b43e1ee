"""JSON Schema Draft 7 as the config pages use it; nothing is ever fetched."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from jsonschema import Draft7Validator
from jsonschema.exceptions import SchemaError
from referencing import Registry
from referencing.exceptions import Unresolvable
from referencing.jsonschema import DRAFT7

from airflow_voice_agents.emulator.request import Record

_META_SCHEMA = "http://json-schema.org/draft-07/schema"
_REGISTRY: Registry[Any] = Registry().with_resource(
    _META_SCHEMA, DRAFT7.create_resource(Draft7Validator.META_SCHEMA)
)


def schema_fault(schema: Record) -> str | None:
    """Why a document is no usable schema, or ``None``."""
    try:
        Draft7Validator.check_schema(schema, format_checker=Draft7Validator.FORMAT_CHECKER)
    except SchemaError as error:
        return f"{_place(error.absolute_path)}: {error.message}"
    remote = next((text for text in _references(schema) if not _is_local(text)), None)
    return f"reference to another document: {remote}" if remote is not None else None


def values_fault(values: Record, schema: Record | None) -> str | None:
    """Why values do not fit a schema, or ``None``; without a schema everything fits."""
    if schema is None:
        return None
    try:
        error = next(Draft7Validator(schema, registry=_REGISTRY).iter_errors(values), None)
    except (Unresolvable, RecursionError) as failure:
        return f"the schema cannot be followed: {type(failure).__name__}"
    return f"{_place(error.absolute_path)}: {error.message}" if error is not None else None


def _is_local(reference: str) -> bool:
    return reference.startswith("#") or reference.partition("#")[0] == _META_SCHEMA


def _references(document: Any) -> Iterator[str]:
    waiting = [document]
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            if isinstance(part.get("$ref"), str):
                yield part["$ref"]
            waiting.extend(part.values())
        elif isinstance(part, list):
            waiting.extend(part)


def _place(path: Any) -> str:
    return "/".join(map(str, path)) or "(root)"
