"""Arguments as templates and files give them, read back into what was meant."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_voice_agents.bases.template_inputs import (
    from_json,
    from_yaml,
    read_cells,
    read_json,
    read_records,
    read_yaml,
)
from airflow_voice_agents.plans.canonical import same
from airflow_voice_agents.state.files import read_limited
from airflow_voice_agents.transport.errors import InputError
from support.json_values import JSON, bounded


def read_column(path: str, column: str, *, name: str) -> list[Any]:
    """Return the cells of a column without their places."""
    return [value for _, value in read_cells(path, column, name=name)]


@bounded(100)
@given(JSON)
def test_a_rendered_text_means_the_json_that_it_spells(value: Any) -> None:
    assert same(from_json(json.dumps(value), name="values"), value)


@pytest.mark.parametrize("value", [None, 5, ["a"], {"a": 1}, True])
def test_what_is_no_text_is_meant_as_it_is(value: Any) -> None:
    assert from_json(value, name="values") is value


@pytest.mark.parametrize("text", ["", "hunter2", "{'a': 1}", "None"])
def test_a_text_that_is_no_json_is_refused_without_showing_it(text: str) -> None:
    with pytest.raises(InputError, match=r"^values is a text that is not JSON.*tojson") as caught:
        from_json(text, name="values")
    assert caught.value.__cause__ is None
    assert not text or text not in str(caught.value)


@bounded(200)
@given(JSON, st.sampled_from([None, 2, "\t"]), st.booleans())
def test_any_spelling_of_json_means_in_yaml_what_it_means_in_json(
    value: Any, indent: Any, plain: bool
) -> None:
    text = json.dumps(value, indent=indent, ensure_ascii=not plain)
    assert same(from_yaml(text, name="spec"), value)


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("{}", {}),
        ("a: {b: [1, 1.0, true, null]}", {"a": {"b": [1, 1.0, True, None]}}),
        ("opens: 17:30\nsunday: no", {"opens": "17:30", "sunday": "no"}),
        ("2026-01-02: 2026-01-02", {"2026-01-02": "2026-01-02"}),
        ('{"a": 1e5}', {"a": 1e5}),
        ('"\\ud83d\\ude00"', "\U0001f600"),
        ("", None),
        ("rosa", "rosa"),
        ("shared: &s {a: 1}\nown: {<<: *s, b: 2}", {"shared": {"a": 1}, "own": {"a": 1, "b": 2}}),
    ],
)
def test_a_text_is_read_as_json_or_yaml(text: str, meaning: Any) -> None:
    assert same(from_yaml(text, name="spec"), meaning)


@pytest.mark.parametrize("value", [None, 5, ["a"], {"a": 1}, True])
def test_what_is_no_text_needs_no_reading(value: Any) -> None:
    assert from_yaml(value, name="spec") is value


@pytest.mark.parametrize(
    "text",
    [
        *(
            "a: [hunter2",
            "a: hunter2: b",
            "- hunter2\nb: 1",
            "\x07hunter2",
            "*hunter2",
            "? {a: hunter2}\n: 1",
        ),
        *("!!python/object:hunter2 {}", "!!int hunter2", "!!int ''", "!!bool hunter2", "!!timestamp hunter2"),
        *("a: hunter2\na: 2", '{"a": "hunter2", "a": 1}', "[" * 5000, "a: 1\n---\na: 2"),
    ],
)
def test_a_text_that_is_neither_json_nor_yaml_is_refused_without_showing_it(text: str) -> None:
    with pytest.raises(InputError, match=r"^spec(:| is not YAML)") as caught:
        from_yaml(text, name="spec")
    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is None


# ------------------------------------------------------------------------------------------- files


def written(folder: Path, name: str, content: str | bytes) -> str:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(path)


def test_a_json_file_is_read_with_or_without_a_byte_order_mark(tmp_path: Path) -> None:
    assert read_json(written(tmp_path, "a.json", '{"a": [1.0, null]}'), name="values") == {"a": [1.0, None]}
    assert read_json(written(tmp_path, "b.json", "\ufeff[1]"), name="values") == [1]


def test_a_yaml_file_is_read_with_or_without_a_byte_order_mark(tmp_path: Path) -> None:
    for name, content in (("a.yaml", "a: [1.0, null]"), ("b.json", '\ufeff{"a": [1.0, null]}')):
        assert read_yaml(written(tmp_path, name, content), name="spec_file") == {"a": [1.0, None]}


@pytest.mark.parametrize(
    ("content", "message"), [("a: [", "is not YAML"), (b"\xff\xfe\x00", "cannot be read")]
)
def test_a_file_that_is_no_yaml_is_refused_by_its_name(
    tmp_path: Path, content: str | bytes, message: str
) -> None:
    path = written(tmp_path, "a.yaml", content)
    with pytest.raises(InputError, match=message) as caught:
        read_yaml(path, name="spec_file")
    assert str(caught.value).startswith(f"spec_file: {path} ")


def test_a_url_of_the_object_storage_is_read(tmp_path: Path) -> None:
    path = written(tmp_path, "a.json", "[1]")
    assert read_json(Path(path).as_uri(), name="values") == [1]


@pytest.mark.parametrize(
    ("content", "message"),
    [("{", "is not a JSON file"), ("", "is not a JSON file"), (b"\xff\xfe\x00", "cannot be read")],
)
def test_a_file_that_is_no_json_is_refused(tmp_path: Path, content: str | bytes, message: str) -> None:
    path = written(tmp_path, "a.json", content)
    with pytest.raises(InputError, match=message) as caught:
        read_json(path, name="values")
    assert str(caught.value).startswith(f"values: {path} ")


@pytest.mark.parametrize(
    "read", [lambda path: read_json(path, name="f"), lambda path: read_column(path, "n", name="f")]
)
@pytest.mark.parametrize("name", ["missing.json", "missing.csv", "missing.txt"])
def test_a_missing_file_is_refused(tmp_path: Path, read: Any, name: str) -> None:
    with pytest.raises(InputError, match=r"cannot be read \(FileNotFoundError\)"):
        read(str(tmp_path / name))


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read_column(str(tmp_path), "n", name="f")


@pytest.mark.parametrize("url", ["nosuchscheme://bucket/numbers.csv", "nosuchscheme://bucket/numbers.json"])
def test_a_storage_that_airflow_does_not_know_is_refused_as_such(url: str) -> None:
    with pytest.raises(InputError, match="cannot be read") as caught:
        read_column(url, "n", name="f")
    assert "not a JSON file" not in str(caught.value)


CSV = 'name,number\nRosa," +441632960001 "\nNo one,\n"Two\nlines",+441632960002\nshort\n'


def test_a_column_of_a_csv_file_is_read_without_its_blanks(tmp_path: Path) -> None:
    for name, content in (("a.csv", CSV), ("b.csv", f"\ufeff{CSV}"), ("C.CSV", CSV.replace("\n", "\r\n"))):
        path = written(tmp_path, name, content)
        assert read_column(path, "number", name="f") == ["+441632960001", "+441632960002"]


@pytest.mark.parametrize("content", ["", "name\nRosa\n", "the number\n1\n"])
def test_a_csv_file_without_the_column_is_refused(tmp_path: Path, content: str) -> None:
    with pytest.raises(InputError, match="has no column 'number' in its first line"):
        read_column(written(tmp_path, "a.csv", content), "number", name="f")


def test_a_json_list_is_taken_as_it_is_and_anything_else_is_refused(tmp_path: Path) -> None:
    assert read_column(written(tmp_path, "a.json", '["+441", 5]'), "number", name="f") == ["+441", 5]
    with pytest.raises(InputError, match="must hold a JSON list"):
        read_column(written(tmp_path, "b.json", '{"number": []}'), "number", name="f")


def test_any_other_file_has_one_value_per_line(tmp_path: Path) -> None:
    path = written(tmp_path, "numbers.txt", "+441632960001\r\n\n  +441632960002  \n")
    assert read_column(path, "number", name="f") == ["+441632960001", "+441632960002"]


ONE, TWO = "+441632960001", "+441632960002"
ROWS = [("Phone Number", "site"), (ONE, "Whitby"), (TWO, "Zürich – West")]


def table(delimiter: str = ",", first: str = "") -> str:
    return first + "".join(f"{delimiter.join(row)}\r\n" for row in ROWS)


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1252"])
@pytest.mark.parametrize("named", [False, True])
@pytest.mark.parametrize("ending", ["csv", "CSV", "tsv"])
def test_a_table_is_read_as_spreadsheets_of_all_countries_write_it(
    tmp_path: Path, delimiter: str, encoding: str, named: bool, ending: str
) -> None:
    content = table(delimiter, f"sep={delimiter}\r\n" if named else "").encode(encoding)
    path = written(tmp_path, f"numbers.{ending}", content)
    assert read_column(path, "phone_number", name="f") == [ONE, TWO]


def test_places_are_rows_as_a_spreadsheet_numbers_them(tmp_path: Path) -> None:
    content = f'sep=;\nname;number\n"Two\nlines";{ONE}\n\n;\nRosa; {TWO} \n'
    path = written(tmp_path, "a.csv", content)
    assert read_cells(path, "number", name="f") == [
        ("row 2, column 'number'", ONE),
        ("row 5, column 'number'", TWO),
    ]


def test_a_missing_column_names_those_found_and_the_delimiter(tmp_path: Path) -> None:
    path = written(tmp_path, "a.csv", "Telefon;Ort\n1;2\n")
    with pytest.raises(InputError) as caught:
        read_column(path, "number", name="f")
    assert str(caught.value) == (
        f"f: {path} has no column 'number' in its first line. Found, with semicolons between the cells: 'Telefon', "
        "'Ort'. Nothing was sent. Rename the column, or name the one that is meant."
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("number,number\n1,2\n", "columns of the same name"),
        ("Phone number,phone_number,x\n1,2,3\n", ""),
        ("number,site\n1,Whitby, North\n", "row 2 has 3 cells, and the header has 2.*quotes"),
        ('number\n"1\n2\n', "row . cannot be read"),
        ("PK\x03\x04binary", "save it as CSV in UTF-8"),
    ],
)
def test_a_table_that_is_not_clear_is_refused(tmp_path: Path, content: str, message: str) -> None:
    path = written(tmp_path, "a.csv", content)
    if not message:
        assert read_column(path, "phone_number", name="f") == ["2"]
        with pytest.raises(InputError, match="may be any of the columns"):
            read_column(path, "PHONE NUMBER", name="f")
        return
    with pytest.raises(InputError, match=message):
        read_column(path, "number", name="f")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.json", f'[{{"number": "{ONE}"}}, "{TWO}"]'),
        ("a.yaml", f"- number: '{ONE}'\n- '{TWO}'\n"),
        ("a.yml", f"- {{number: {ONE}}}\n- {TWO}\n"),
        ("a.txt", f"{ONE}\n\n{TWO}\n"),
    ],
)
def test_lists_of_values_or_records_are_read_from_every_format(
    tmp_path: Path, name: str, content: str
) -> None:
    assert read_column(written(tmp_path, name, content), "number", name="f") == [ONE, TWO]


def test_a_record_without_the_field_is_named(tmp_path: Path) -> None:
    path = written(tmp_path, "a.json", '[{"number": "1"}, {"tel": "hunter2"}]')
    with pytest.raises(InputError, match="entry 2 has no field 'number' but tel") as caught:
        read_column(path, "number", name="f")
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "content", "place"),
    [
        ("a.csv", f"number,Agent ID\n{ONE},rosa\n{TWO},bank\n", "row 3, column 'number'"),
        ("a.json", f'[{{"number": "{ONE}"}}, {{"number": "{TWO}", "agent_id": "bank"}}]', "entry 2"),
    ],
)
def test_a_row_that_is_meant_for_another_is_refused(
    tmp_path: Path, name: str, content: str, place: str
) -> None:
    path = written(tmp_path, name, content)
    with pytest.raises(InputError, match=f"{place}.*the file says agent_id 'bank', and the task says 'rosa'"):
        read_cells(path, "number", name="f", same={"agent_id": "rosa"})
    assert read_cells(path, "number", name="f", same={"client_env": "live"})


def test_records_have_every_field_that_is_wanted(tmp_path: Path) -> None:
    path = written(tmp_path, "a.csv", "Agent-ID;Monday;note\nrosa;09:00;x\n")
    assert read_records(path, name="f", wanted=("agent_id", "monday")) == [
        ("row 2", {"Agent-ID": "rosa", "Monday": "09:00", "note": "x", "agent_id": "rosa", "monday": "09:00"})
    ]
    path = written(tmp_path, "b.yaml", "- {agent_id: rosa, monday: closed}\n- {agent_id: rosa}\n")
    with pytest.raises(InputError, match="entry 2 has no monday"):
        read_records(path, name="f", wanted=("agent_id", "monday"))
    assert read_records(path, name="f", wanted=["agent_id"], may_be_blank=["monday"])[1] == (
        "entry 2",
        {"agent_id": "rosa", "monday": ""},
    )
    path = written(tmp_path, "c.csv", "agent_id,monday\n,closed\n")
    with pytest.raises(InputError, match="row 2 has no agent_id"):
        read_records(path, name="f", wanted=("agent_id", "monday"))


# ------------------------------------------------------------------------------------------- limits


def test_a_device_is_not_read() -> None:
    for read in (read_json, read_yaml, lambda path, name: read_column(path, "n", name=name)):
        with pytest.raises(InputError, match="spec_file: /dev/zero is a device or a pipe"):
            read("/dev/zero", name="spec_file")


def test_a_pipe_that_nobody_writes_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.json")
    with pytest.raises(InputError, match="is a device or a pipe"):
        read_json(str(tmp_path / "a.json"), name="values_file")


def test_of_a_file_that_is_too_large_no_more_than_the_limit_is_read(tmp_path: Path) -> None:
    class Endless:
        protocol = ("memory",)
        count = 0

        def open(self, path: str, mode: str) -> Any:
            return contextlib.nullcontext(self)

        def read(self, size: int) -> bytes:
            given = b"0" * min(size, 300)
            self.count += len(given)
            return given

    endless = Endless()
    with pytest.raises(InputError, match=r"^it is too large: it has more than 1,000 bytes"):
        read_limited(endless, "x", 1000, where="it")
    assert endless.count == 1001


def test_a_sparse_file_of_terabytes_is_refused_by_its_size(tmp_path: Path) -> None:
    with (tmp_path / "a.json").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(InputError, match="more than 16,777,216 bytes"):
        read_json(str(tmp_path / "a.json"), name="values_file")


@pytest.mark.parametrize(("name", "text"), [("a.json", '{\n "a": 1,\n "b": {"c": "hunter2"},\n "a": 2}')])
def test_a_key_twice_is_refused_with_its_place_in_every_reader(tmp_path: Path, name: str, text: str) -> None:
    path = written(tmp_path, name, text)
    for read in (read_json, read_yaml):
        with pytest.raises(InputError, match=r"twice \(line 4, column 2\)"):
            read(path, name="f")
    with pytest.raises(InputError, match=r"twice \(line 4, column 2\)"):
        from_json(text, name="values")
