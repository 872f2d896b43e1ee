"""Waves: how far a roll-out reaches before each pause, counted from the first target."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeVar

from airflow_voice_agents.plans.quota import Quota
from airflow_voice_agents.transport.errors import InputError

T = TypeVar("T")

EVERYTHING = Quota.parse("100%", "waves")


@dataclass(frozen=True, slots=True)
class Waves:
    """Where each wave ends.

    :param ends: share of all targets reached when the wave ends, later ones reaching further; the last
        is 100 %.
    """

    ends: tuple[Quota, ...] = (EVERYTHING,)

    @classmethod
    def parse(cls, value: object, name: str = "waves") -> Waves:
        """Read a list like ``[1, 10, "25%", "100%"]``; ``None`` is one wave of everything.

        Each entry says how many targets, counted from the first, are done when its wave ends.

        :param value: whole numbers from 1 and percentages above ``"0%"``, none smaller than one of its
            sort before it, ``"100%"`` last.
        :param name: what the value is called in messages.
        :raises InputError: when the list is not like that.
        """
        if value is None:
            return cls()
        if not isinstance(value, list | tuple):
            raise InputError(
                f'{name} must be a list like [1, 10, "25%", "100%"], not {value!r}. Nothing was sent.'
            )
        ends = tuple(_end(entry, f"{name}[{place}]") for place, entry in enumerate(value))
        _check(ends, name)
        return cls(ends)

    def cut(self, items: Sequence[T]) -> list[tuple[T, ...]]:
        """Cut items into waves: all of them in order, each once, no wave empty.

        Entries that reach no further than an earlier one are left out.

        :param items: what is rolled out, first ones first.
        """
        return list(self._cut(items))

    def _cut(self, items: Sequence[T]) -> Iterator[tuple[T, ...]]:
        done = 0
        for end in self.ends:
            reach = min(math.ceil(end.of(len(items))), len(items))
            if reach > done:
                yield tuple(items[done:reach])
                done = reach


def _end(entry: object, name: str) -> Quota:
    share = Quota.parse(entry, name)
    if not share.of(1):
        raise InputError(f'{name} must reach at least one target: 1 or more, or more than "0%".')
    return share


def _check(ends: Sequence[Quota], name: str) -> None:
    if not ends or ends[-1] != EVERYTHING:
        raise InputError(f'{name} must end with "100%", so that no target is left out. Nothing was sent.')
    numbers = [end for end in ends if end.percent is None]
    percentages = [end for end in ends if end.percent is not None]
    for before, after in [*pairwise(numbers), *pairwise(percentages)]:
        if after.of(1) < before.of(1):
            raise InputError(
                f"{name} must not go back: {after} stands after {before}. Each entry says how many "
                "targets are done when its wave ends, all earlier waves included. Nothing was sent."
            )
