"""Target names that can be two spellings of one target, resolved only when both spellings occur."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable

import msgspec

Pair = tuple[str, str]


class AmbiguousTargets(Exception):
    """Names of this run and of others may mean the same target; the run must find out before it goes on.

    :param pairs: (a name of this run, a name of another).
    """

    def __init__(self, pairs: Collection[Pair]) -> None:
        super().__init__(f"{len(pairs)} pair(s) of names may mean one target")
        self.pairs = tuple(pairs)


class TargetNames(msgspec.Struct):
    """Known answers to the question whether two names mean one target.

    :param may_be_same: whether two different names can mean one target at all, from their spelling alone.
    """

    may_be_same: Callable[[str, str], bool]
    _same: set[Pair] = msgspec.field(default_factory=set)
    _different: set[Pair] = msgspec.field(default_factory=set)

    def note(self, pair: Pair, *, same: bool) -> None:
        """Note an answer.

        :param pair: (a name of this run, a name of another).
        :param same: whether both mean one target.
        """
        (self._same if same else self._different).add(pair)

    def same(self, mine: Iterable[str], others: Iterable[str]) -> dict[str, str]:
        """Return which other names mean a target of this run: other name -> own name.

        :param mine: names of this run.
        :param others: names of others.
        :raises AmbiguousTargets: for pairs that are not known yet.
        """
        own = list(mine)
        found: dict[str, str] = {}
        open_pairs: list[Pair] = []
        for other in others:
            for name in own:
                if name == other or (name, other) in self._same:
                    found[other] = name
                elif (name, other) not in self._different and self.may_be_same(name, other):
                    open_pairs.append((name, other))
        if open_pairs:
            raise AmbiguousTargets(open_pairs)
        return found


def distinct(_: str, __: str) -> bool:
    """Return ``False``: every target has one spelling."""
    return False
