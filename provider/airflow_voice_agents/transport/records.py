"""The base of values that keep a field out of their text form or out of comparisons."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from operator import attrgetter
from typing import Any, ClassVar

import msgspec


class Record(msgspec.Struct, frozen=True):
    """A value with a text form of its own, or with fields that do not count when two are compared.

    A value without such fields is a plain ``msgspec.Struct``.
    """

    not_shown: ClassVar[tuple[str, ...]] = ()
    not_compared: ClassVar[tuple[str, ...]] = ()

    def __repr__(self) -> str:
        names = (name for name in self.__struct_fields__ if name not in self.not_shown)
        shown = (f"{name}={getattr(self, name)!r}" for name in names)
        return f"{type(self).__qualname__}({', '.join(shown)})"

    def __rich_repr__(self) -> None:  # type: ignore[override]
        """Let tracebacks of Rich, which show every field of a struct, take the text form instead."""

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return bool(self._compared() == other._compared())

    def __hash__(self) -> int:
        return hash(self._compared())

    def _compared(self) -> Any:
        return _getter(type(self))(self)


@cache
def _getter(record: type[Record]) -> Callable[[Record], Any]:
    """Return what gets the fields that count when two records of a class are compared."""
    names = [name for name in record.__struct_fields__ if name not in record.not_compared]
    return attrgetter(*names) if names else lambda _: ()
