"""Limits of a run, as counts or percentages of its targets: waves, failures, and changes."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from itertools import pairwise
from typing import TypeVar

import msgspec

from airflow_voice_agents.plans.plan import Finding, error
from airflow_voice_agents.transport.errors import InputError

T = TypeVar("T")

_PERCENTAGE = re.compile(r"\s*([0-9]{1,3}(?:\.[0-9]{1,6})?)\s*%\s*")


class Quota(msgspec.Struct, frozen=True):
    """So many targets, or so many of a hundred.

    :param count: number of targets, or ``None`` for a percentage.
    :param percent: 0 to 100, exact, or ``None`` for a number.
    """

    count: int | None = None
    percent: Fraction | None = None

    @classmethod
    def parse(cls, value: object, name: str) -> Quota:
        """Read ``10`` or ``"25%"``.

        :param value: a whole number from 0, or a text from ``"0%"`` to ``"100%"``.
        :param name: what the value is called in messages.
        :raises InputError: when it is neither.
        """
        if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
            return cls(count=value)
        if isinstance(value, str) and (percent := percentage(value)) is not None:
            return cls(percent=percent)
        raise InputError(
            f'{name} must be a whole number from 0 or a percentage from "0%" to "100%" as text, '
            f"not {value!r}. Nothing was sent."
        )

    def of(self, total: int) -> Fraction:
        """Return how many of ``total`` targets this is, not rounded and possibly more than there are."""
        return Fraction(self.count or 0) if self.percent is None else total * self.percent / 100

    def __str__(self) -> str:
        return str(self.count) if self.percent is None else f"{float(self.percent):g}%"


def percentage(text: str) -> Fraction | None:
    """Read ``"12.5%"`` exactly; anything that is not 0 % to 100 % gives ``None``.

    :param text: digits with at most six decimals and a percent sign.
    """
    found = _PERCENTAGE.fullmatch(text)
    percent = Fraction(found.group(1)) if found else None
    return percent if percent is not None and percent <= 100 else None


NONE = Quota(count=0)


class FailureLimit(msgspec.Struct, frozen=True):
    """How many targets may fail before a run stops.

    :param limits: all of them bind; the smallest counts.
    """

    limits: tuple[Quota, ...] = (NONE,)

    @classmethod
    def parse(cls, max_failures: object, name: str = "max_failures") -> FailureLimit:
        """Read ``3``, ``"5%"`` or ``{"count": 5, "percent": 10}``; ``None`` allows no failure.

        :param max_failures: a whole number from 0, a percentage of the targets as text, or both.
        :param name: what the value is called in messages.
        :raises InputError: for anything else.
        """
        if max_failures is None:
            return cls()
        if isinstance(max_failures, Mapping):
            return cls(tuple(_both(max_failures, name)))
        return cls((Quota.parse(max_failures, name),))

    def allows(self, total: int) -> int:
        """Return the most failures that are tolerated; percentages are rounded down.

        :param total: number of targets of the run.
        """
        return min(total, *(_down(limit, total) for limit in self.limits))

    def exceeded(self, failed: int, total: int) -> bool:
        """Tell whether more targets failed than are tolerated.

        :param failed: number of targets that failed so far.
        :param total: number of targets of the run.
        """
        return failed > self.allows(total)


class ChangeLimit(msgspec.Struct, frozen=True):
    """How many targets a run may change.

    :param limit: the most, or ``None`` for any number.
    :param name: the parameter that sets it.
    """

    limit: Quota | None = None
    name: str = "max_changed"

    @classmethod
    def parse(cls, max_changed: object, name: str = "max_changed") -> ChangeLimit:
        """Read ``20`` or ``"10%"``; ``None`` is no limit.

        :param max_changed: a whole number from 0, or a percentage of the targets as text.
        :param name: what the value is called in messages.
        :raises InputError: when it is neither.
        """
        return cls(None if max_changed is None else Quota.parse(max_changed, name), name)

    def check(self, changed: int, total: int) -> Iterator[Finding]:
        """Guard the size of a run.

        :param changed: number of targets that the run would change.
        :param total: number of targets that it was asked for.
        """
        if self.limit is not None and changed > (most := _down(self.limit, total)):
            of = "" if self.limit.percent is None else f" ({self.limit})"
            yield error(
                "max_changed",
                f"{changed} of {total} target(s) would change, and {self.name} allows {most}{of}. Ask for "
                f"fewer targets, or raise {self.name} if so many are meant.",
            )


def _both(value: Mapping[object, object], name: str) -> Iterator[Quota]:
    if not value or set(value) - {"count", "percent"}:
        raise InputError(
            f'{name} may hold "count" and "percent", at least one of them, and nothing else. Nothing was sent.'
        )
    if "count" in value:
        yield Quota(count=_count(value["count"], f"{name}.count"))
    if "percent" in value:
        yield Quota(percent=_percent(value["percent"], f"{name}.percent"))


def _count(value: object, name: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise InputError(f"{name} must be a whole number from 0, not {value!r}. Nothing was sent.")
    return value


def _percent(value: object, name: str) -> Fraction:
    found = None
    if isinstance(value, str):
        found = percentage(value)
    elif isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 100:
        found = Fraction(str(value))
    if found is None:
        raise InputError(f'{name} must be a number from 0 to 100, or "10%", not {value!r}. Nothing was sent.')
    return found


def _down(limit: Quota, total: int) -> int:
    return math.floor(limit.of(total))


EVERYTHING = Quota.parse("100%", "waves")


class Waves(msgspec.Struct, frozen=True):
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
        _check_waves(ends, name)
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


def _check_waves(ends: Sequence[Quota], name: str) -> None:
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
