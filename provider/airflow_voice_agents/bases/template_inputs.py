"""Parse arguments from rendered templates, XComs and files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from airflow_voice_agents.transport.errors import InputError

TABLES = ("csv", "tsv", "tab")
"""Endings of files that hold a table with a header."""


def from_json(value: Any, *, name: str) -> Any:
    """Return what a templated argument means: a text that a template rendered is read as JSON.

    :param value: anything; only a text is changed.
    :param name: what to call the argument in the error.
    :raises InputError: for a text that is not JSON, is too large, or repeats a key.
    """
    from airflow_voice_agents.transport.strict_json import decode_json

    if not isinstance(value, str):
        return value
    try:
        return decode_json(value, where="it")
    except InputError as error:
        reason = str(error)
    raise InputError(
        f"{name} is a text that is not JSON. Pass the value itself, or add | tojson to the template ({reason})."
    )


def read_json(path: str, *, name: str) -> Any:
    """Read a JSON file.

    :param path: local path, or a URL that Airflow's object storage knows.
    :param name: what to call the argument in the error.
    :raises InputError: when the file cannot be read, is not JSON, is too large, or repeats a key.
    """
    from airflow_voice_agents.transport.strict_json import decode_json

    text = _read(path, name=name)
    try:
        return decode_json(text, where="it")
    except InputError as error:
        reason = str(error)
    raise InputError(f"{name}: {path} is not a JSON file ({reason})")


def from_yaml(value: Any, *, name: str) -> Any:
    """Return what an argument means: a text is read as JSON, or else as YAML.

    :param value: anything; only a text is changed.
    :param name: what to call the argument in the error.
    :raises InputError: for a text that is not YAML, is too large, or says something twice.
    """
    from airflow_voice_agents.plans.decoding import decode_either

    return decode_either(value, where=name) if isinstance(value, str) else value


def read_yaml(path: str, *, name: str) -> Any:
    """Read a YAML or JSON file.

    :param path: local path, or a URL that Airflow's object storage knows.
    :param name: what to call the argument in the error.
    :raises InputError: when the file cannot be read, is neither, is too large, or says something twice.
    """
    from airflow_voice_agents.plans.decoding import decode_either, decode_json

    where, text = f"{name}: {path}", _read(path, name=name)
    try:
        return decode_either(text, where=where)
    except InputError:
        if not path.lower().endswith(".json"):
            raise
    return decode_json(text, where=where)  # says what is wrong with it as JSON


def read_document(path: str, *, name: str) -> Any:
    """Read a file that is JSON by its ending, and YAML or JSON otherwise.

    :param path: local path, or a URL that Airflow's object storage knows.
    :param name: what to call the argument in the error.
    :raises InputError: when the file cannot be read, is not what its ending says, is too large, or repeats a key.
    """
    return read_json(path, name=name) if path.lower().endswith(".json") else read_yaml(path, name=name)


def read_cells(
    path: str, column: str, *, name: str, same: Mapping[str, str | None] | None = None
) -> list[tuple[str, Any]]:
    """Read one column of a file, each value with its place: a row, a line, or an entry of a list.

    A table (``.csv``, ``.tsv``) has a header; ``.json``, ``.yaml`` and ``.yml`` hold a list of values or of records;
    any other file has one value per line. Blank values are left out.

    :param path: local path, or a URL that Airflow's object storage knows; the ending tells the format.
    :param column: name of the column or field.
    :param name: what to call the argument in the error.
    :param same: further columns or fields that must be blank or hold this value in every row.
    :raises InputError: when the file cannot be read, has no such column, or has a row that is meant for another.
    """
    ending = path.lower().rpartition(".")[2]
    if ending not in (*TABLES, "json", "yaml", "yml"):
        lines = enumerate(_read(path, name=name, legacy=True).splitlines(), 1)
        return [(f"line {number}", line.strip()) for number, line in lines if line.strip()]
    read = _table_records if ending in TABLES else _list_records
    records = read(path, column, name)
    for place, record, _ in records:
        _refuse_others(record, same or {}, f"{name}: {path}, {place}")
    return [(place, value) for place, _, value in records if value != ""]


def read_records(
    path: str,
    *,
    name: str,
    wanted: Sequence[str],
    may_be_blank: Sequence[str] = (),
    optional: Sequence[str] = (),
) -> list[tuple[str, dict[str, Any]]]:
    """Read the records of a file, each with its place: a table with a header, or a list in JSON or YAML.

    :param path: local path, or a URL that Airflow's object storage knows; the ending tells the format.
    :param name: what to call the argument in the error.
    :param wanted: fields that every record has; columns are found whatever the case and blanks of a header.
    :param may_be_blank: further fields that a table must have as columns, and that a record may leave blank.
    :param optional: further fields that are blank where a file has no such column.
    :raises InputError: when the file cannot be read, or a field is missing or blank.
    """
    fields = (*wanted, *may_be_blank)
    records = []
    for place, cells, columns in _records(path, name, fields, optional):
        record = {**cells, **{field: cells.get(spelled, "") for field, spelled in columns.items()}}
        if blank := [field for field in wanted if record[field] in (None, "")]:
            raise InputError(
                f"{name}: {path}, {place} has no {', '.join(blank)}. Nothing was sent. Fill it in."
            )
        records.append((place, record))
    return records


def _records(
    path: str, name: str, fields: Sequence[str], optional: Sequence[str]
) -> list[tuple[str, Mapping[str, Any], Mapping[str, str]]]:
    """Return place, cells, and the spelling of each field, of every record."""
    if path.lower().rpartition(".")[2] in TABLES:
        table = _table(path, name, fields)
        columns = {field: table.column(field) for field in fields}
        columns |= {field: table.find(field) or field for field in optional}
        return [(f"row {row.number}", row.cells, columns) for row in table.rows]
    same = {field: field for field in (*fields, *optional)}
    return [
        (f"entry {position}", each if isinstance(each, Mapping) else {}, same)
        for position, each in enumerate(_list(path, name), 1)
    ]


def _table_records(path: str, column: str, name: str) -> list[tuple[str, Mapping[str, Any], Any]]:
    table = _table(path, name, (column,))
    spelled = table.column(column)
    return [(f"row {row.number}, column {spelled!r}", row.cells, row.cells[spelled]) for row in table.rows]


def _list_records(path: str, column: str, name: str) -> list[tuple[str, Mapping[str, Any], Any]]:
    records = []
    for position, each in enumerate(_list(path, name), 1):
        is_record = isinstance(each, Mapping)
        if is_record and column not in each:
            fields = ", ".join(map(str, each)) or "nothing"
            raise InputError(f"{name}: {path}, entry {position} has no field {column!r} but {fields}")
        place = f"entry {position}, field {column!r}" if is_record else f"entry {position}"
        records.append((place, each if is_record else {}, each[column] if is_record else each))
    return records


def _table(path: str, name: str, wanted: Sequence[str]) -> Any:
    from airflow_voice_agents.plans.tables import parse_table

    return parse_table(_read(path, name=name, legacy=True), where=f"{name}: {path}", wanted=wanted)


def _list(path: str, name: str) -> list[Any]:
    is_json = path.lower().endswith(".json")
    values = read_document(path, name=name)
    if not isinstance(values, list):
        raise InputError(f"{name}: {path} must hold a {'JSON' if is_json else 'YAML'} list")
    return values


def _refuse_others(record: Mapping[str, Any], same: Mapping[str, str | None], where: str) -> None:
    """Refuse a row that says something else than the argument which counts."""
    from airflow_voice_agents.plans.tables import column_key

    wanted = {column_key(name): (name, value) for name, value in same.items()}
    for column, cell in record.items():
        name, value = wanted.get(column_key(str(column)), ("", cell))
        if cell not in (None, "", value):
            raise InputError(
                f"{where}: the file says {name} {cell!r}, and the task says {value!r}. Nothing was sent. Divide the "
                "file, or remove what does not count."
            )


def _read(path: str, *, name: str, legacy: bool = False) -> str:
    from airflow.sdk import ObjectStoragePath

    from airflow_voice_agents.plans.decoding import LIMITS, decode_text
    from airflow_voice_agents.state.files import read_limited

    where = f"{name}: {path}"
    try:
        place = ObjectStoragePath(path)
        content = read_limited(place.fs, place.path, LIMITS.size, where=where)
    except InputError:
        raise
    except (OSError, ValueError, ImportError) as error:
        raise InputError(f"{where} cannot be read ({type(error).__name__})") from None
    return decode_text(content, where=where, legacy=legacy)
