"""Compare two JSON values and list the changes."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum, StrEnum
from typing import Any

from airflow_voice_agents.plans.canonical import same
from airflow_voice_agents.transport.records import Record

Path = tuple[str | int, ...]


class Absent(Enum):
    """Absent is a third thing beside ``null`` and a value."""

    ABSENT = "absent"

    def __repr__(self) -> str:
        return "ABSENT"


ABSENT = Absent.ABSENT


class Op(StrEnum):
    """What happens to a path; the signs are those of Terraform's plans."""

    ADD = "+"
    CHANGE = "~"
    REMOVE = "-"


class Change(Record, frozen=True, gc=False):
    """One difference at one path.

    :param op: add, change or remove.
    :param path: object keys (``str``) and array positions (``int``) from the root.
    :param before: the value there now, or ``ABSENT``.
    :param after: the value to come, or ``ABSENT``.
    """

    op: Op
    path: Path
    before: Any
    after: Any

    def __repr__(self) -> str:
        return f"Change({self.op.value} {'.'.join(map(str, self.path))})"


def diff(before: Any, after: Any, path: Path = ()) -> Iterator[Change]:
    """Yield the differences that lead from one value to another, parents before children.

    Objects are compared member by member, arrays position by position; anything else is one value.

    :param before: a JSON value or ``ABSENT``.
    :param after: a JSON value or ``ABSENT``.
    :param path: where both stand.
    """
    if isinstance(before, dict) and isinstance(after, dict):
        for key in [*before, *(key for key in after if key not in before)]:
            yield from diff(before.get(key, ABSENT), after.get(key, ABSENT), (*path, key))
    elif isinstance(before, list) and isinstance(after, list):
        for position in range(max(len(before), len(after))):
            yield from diff(_at(before, position), _at(after, position), (*path, position))
    elif before is ABSENT or after is ABSENT:
        if before is not after:
            yield Change(Op.ADD if before is ABSENT else Op.REMOVE, path, before, after)
    elif not same(before, after):
        yield Change(Op.CHANGE, path, before, after)


def _at(values: list[Any], position: int) -> Any:
    return values[position] if position < len(values) else ABSENT
