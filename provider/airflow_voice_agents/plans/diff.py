"""Compare two JSON values and list the changes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import Enum, StrEnum
from itertools import zip_longest
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
    if (members := _members(before, after)) is not None:
        for part, old, new in members:
            # To compare two members takes much less than to look at all that is below them.
            if type(old) is not type(new) or not same(old, new):
                yield from diff(old, new, (*path, part))
    elif before is ABSENT or after is ABSENT:
        if before is not after:
            yield Change(Op.ADD if before is ABSENT else Op.REMOVE, path, before, after)
    elif not same(before, after):
        yield Change(Op.CHANGE, path, before, after)


def _members(before: Any, after: Any) -> Iterable[tuple[Any, Any, Any]] | None:
    """Return the members of two objects or two arrays, each with its key or position; ``None`` for other values."""
    if isinstance(before, dict) and isinstance(after, dict):
        keys = [*before, *(key for key in after if key not in before)]
        return ((key, before.get(key, ABSENT), after.get(key, ABSENT)) for key in keys)
    if isinstance(before, list) and isinstance(after, list):
        pairs = enumerate(zip_longest(before, after, fillvalue=ABSENT))
        return ((position, old, new) for position, (old, new) in pairs)
    return None
