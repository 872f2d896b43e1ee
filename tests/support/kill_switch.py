"""A process that ends at any moment of a job, and what outlives it."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import Any


class Killed(BaseException):
    """The process ends."""


@dataclass
class Fuse:
    """Ends the process at one of its moments.

    :param left: which one, from 1; ``None`` for none.
    """

    left: int | None = None
    burnt: int = 0

    def burn(self) -> None:
        """Let a moment pass."""
        self.burnt += 1
        if self.left is not None and self.burnt == self.left:
            raise Killed

    def renew(self, left: int | None = None) -> None:
        """Start anew, in another process."""
        self.burnt, self.left = 0, left


@dataclass
class FusedStore:
    """A task's state store, which outlives the process."""

    fuse: Fuse
    values: dict[str, Any] = field(default_factory=dict)

    def get(self, key: str) -> Any:
        """Return a copy of the value."""
        return copy.deepcopy(self.values.get(key))

    def set(self, key: str, value: Any) -> None:
        """Keep a copy of the value."""
        self.fuse.burn()
        self.values[key] = copy.deepcopy(value)
        self.fuse.burn()

    def delete(self, key: str) -> None:
        """Forget a key."""
        self.fuse.burn()
        self.values.pop(key, None)
        self.fuse.burn()
