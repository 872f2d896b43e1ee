"""Reads tables exported by spreadsheets, with commas, semicolons, tabs or bars."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from reprlib import repr as shorten

import msgspec

from airflow_voice_agents.plans.decoding import LIMITS
from airflow_voice_agents.transport.errors import InputError
from airflow_voice_agents.transport.validation import summarize_list

DELIMITERS: Mapping[str, str] = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
"""Characters that stand between cells, and their names."""

_SAMPLE = 4096
_SEP_LINE = re.compile(r'"?sep=(.)"?\r?\n', re.IGNORECASE)


class Row(msgspec.Struct, frozen=True):
    """A row of a table.

    :param number: its number as a spreadsheet shows it; the header is row 1.
    :param cells: column -> text without surrounding white space.
    """

    number: int
    cells: Mapping[str, str]


class Table(msgspec.Struct, frozen=True):
    """A table with a header.

    :param where: the file, for errors.
    :param columns: names of the columns as the header has them.
    :param delimiter: the character between the cells.
    :param rows: the rows that are not blank.
    """

    where: str
    columns: tuple[str, ...]
    delimiter: str
    rows: tuple[Row, ...]

    def find(self, name: str) -> str | None:
        """Return the matching column as the header spells it, or ``None`` without a match.

        :param name: its name; case, blanks, hyphens and underscores make no difference.
        :raises InputError: when several columns could be meant.
        """
        if name in self.columns:
            return name
        found = [each for each in self.columns if column_key(each) == column_key(name)]
        if len(found) > 1:
            raise InputError(
                f"{self.where}: {name!r} may be any of the columns {summarize_list(found)}; rename one"
            )
        return found[0] if found else None

    def column(self, name: str) -> str:
        """Return the column that is meant, as the header spells it.

        :param name: its name; case, blanks, hyphens and underscores make no difference.
        :raises InputError: naming the columns found and the delimiter, when no column matches.
        """
        if (found := self.find(name)) is not None:
            return found
        columns = summarize_list([shorten(each) for each in self.columns]) or "nothing"
        between = DELIMITERS.get(self.delimiter, repr(self.delimiter))
        raise InputError(
            f"{self.where} has no column {name!r} in its first line. Found, with {between} between the cells: "
            f"{columns}. "
            "Nothing was sent. Rename the column, or name the one that is meant."
        )


def parse_table(text: str, *, where: str, wanted: Sequence[str] = ()) -> Table:
    """Read a table with a header; the delimiter is found out, or named by a first line ``sep=;``.

    :param text: the table.
    :param where: the file, for errors.
    :param wanted: columns that are looked for; a delimiter that shows them is preferred.
    :raises InputError: naming the row that has more cells than the header, open quotes, or too many cells.
    """
    body = text.removeprefix("\ufeff")
    named = _SEP_LINE.match(body)
    body = body[named.end() :] if named else body
    header, delimiter = _header(body, [named.group(1)] if named else _likely(body), wanted)
    if len(set(header)) < len(header):
        twice = sorted({name for name in header if header.count(name) > 1})
        raise InputError(f"{where} has columns of the same name in its first line: {summarize_list(twice)}")
    return Table(where, tuple(filter(None, header)), delimiter, tuple(_rows(body, delimiter, header, where)))


def _likely(body: str) -> list[str]:
    """Order the delimiters by likelihood: what the standard library finds, then by the cells of the header."""
    line = body.partition("\n")[0]
    order = sorted(DELIMITERS, key=lambda each: -line.count(each))
    try:
        sniffed = csv.Sniffer().sniff(body[:_SAMPLE], "".join(DELIMITERS)).delimiter
    except csv.Error:
        return order
    return order if order[0] != sniffed and not line.count(sniffed) else [sniffed, *order]


def _header(body: str, delimiters: Sequence[str], wanted: Sequence[str]) -> tuple[list[str], str]:
    """Return the header by the first delimiter that shows the columns wanted, or by the likeliest."""
    for delimiter in delimiters:
        header = _first(body, delimiter)
        if {column_key(name) for name in wanted} & {column_key(name) for name in header}:
            return header, delimiter
    return _first(body, delimiters[0]), delimiters[0]


def _first(body: str, delimiter: str) -> list[str]:
    try:
        cells = next(csv.reader(io.StringIO(body, newline=""), delimiter=delimiter), [])
    except csv.Error:
        return []
    return [cell.strip() for cell in cells]


def _rows(body: str, delimiter: str, header: Sequence[str], where: str) -> Iterator[Row]:
    cells = 0
    reader = csv.reader(io.StringIO(body, newline=""), delimiter=delimiter, strict=True)
    number = 0
    try:
        for number, row in enumerate(reader, 1):
            cells += len(row)
            if cells > LIMITS.nodes:
                raise InputError(f"{where} is too large: it has more than {LIMITS.nodes:,} cells. Divide it.")
            found = [cell.strip() for cell in row]
            if number == 1 or not any(found):
                continue
            if any(found[len(header) :]):
                raise InputError(
                    f"{where}: row {number} has {len(row)} cells, and the header has {len(header)}. Put a cell that "
                    f"holds {DELIMITERS.get(delimiter, repr(delimiter))} in quotes."
                )
            padded = [*found, *[""] * (len(header) - len(found))]
            yield Row(number, {name: cell for name, cell in zip(header, padded, strict=False) if name})
    except csv.Error as error:
        fault = str(error)
    else:
        return
    raise InputError(f"{where}: row {number + 1} cannot be read ({fault})")


def column_key(name: str) -> str:
    """Return what a column's name is compared by: without case, blanks, hyphens and underscores.

    :param name: the name.
    """
    return re.sub(r"[\s_\-]+", "_", name.strip().casefold())
