"""Parse arguments that arrive as rendered templates or XComs."""

from __future__ import annotations

import contextlib
import csv
import io
import json
from typing import Any

from airflow_voice_agents.transport.errors import InputError


def from_json(value: Any, *, name: str) -> Any:
    """Return what a templated argument means: a text that a template rendered is read as JSON.

    :param value: anything; only a text is changed.
    :param name: what to call the argument in the error.
    :raises InputError: for a text that is not JSON.
    """
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        raise InputError(
            f"{name} is a text that is not JSON. Pass the value itself, or add | tojson to the template."
        ) from None


def read_json(path: str, *, name: str) -> Any:
    """Read a JSON file.

    :param path: local path, or a URL that Airflow's object storage knows.
    :param name: what to call the argument in the error.
    :raises InputError: when the file cannot be read or is not JSON.
    """
    try:
        return json.loads(_read(path, name=name))
    except ValueError as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{name}: {path} is not a JSON file") from None


def from_yaml(value: Any, *, name: str) -> Any:
    """Return what an argument means: a text is read as JSON, or else as YAML.

    :param value: anything; only a text is changed.
    :param name: what to call the argument in the error.
    :raises InputError: for a text that is not YAML, or says something twice.
    """
    from airflow_voice_agents.plans.decoding import decode_json, decode_yaml

    if not isinstance(value, str):
        return value
    with contextlib.suppress(InputError):
        return decode_json(value, where=name)  # YAML takes neither its tabs nor its surrogate pairs
    return decode_yaml(value, where=name)


def read_yaml(path: str, *, name: str) -> Any:
    """Read a YAML or JSON file.

    :param path: local path, or a URL that Airflow's object storage knows.
    :param name: what to call the argument in the error.
    :raises InputError: when the file cannot be read or is neither.
    """
    return from_yaml(_read(path, name=name), name=f"{name}: {path}")


def read_column(path: str, column: str, *, name: str) -> list[str]:
    """Read one column of a file: a CSV file with a header, a JSON list, or a text with one value per line.

    :param path: local path, or a URL that Airflow's object storage knows; the ending tells the format.
    :param column: name of the column in a CSV file.
    :param name: what to call the argument in the error.
    :raises InputError: when the file cannot be read or has no such column.
    """
    ending = path.lower().rpartition(".")[2]
    if ending == "json":
        values = read_json(path, name=name)
        if not isinstance(values, list):
            raise InputError(f"{name}: {path} must hold a JSON list")
        return values
    text = _read(path, name=name)
    if ending != "csv":
        return [line.strip() for line in text.splitlines() if line.strip()]
    rows = csv.DictReader(io.StringIO(text))
    if column not in (rows.fieldnames or ()):
        raise InputError(f"{name}: {path} has no column {column!r} in its first line")
    return [row[column].strip() for row in rows if (row[column] or "").strip()]


def _read(path: str, *, name: str) -> str:
    from airflow.sdk import ObjectStoragePath

    try:
        return str(ObjectStoragePath(path).read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, ImportError) as error:  # not UTF-8 is a ValueError, too
        raise InputError(f"{name}: {path} cannot be read ({type(error).__name__})") from None
