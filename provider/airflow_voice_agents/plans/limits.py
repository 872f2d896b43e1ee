"""Limits of a run: how many targets may fail before it stops, and how many it may change at all."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction

from airflow_voice_agents.plans.plan import Finding, error
from airflow_voice_agents.plans.quota import Quota, percentage
from airflow_voice_agents.transport.errors import InputError

NONE = Quota(count=0)


@dataclass(frozen=True, slots=True)
class FailureLimit:
    """How many targets may fail before a run stops.

    :param limits: all of them bind; the smallest counts.
    """

    limits: tuple[Quota, ...] = (NONE,)

    @classmethod
    def parse(cls, max_failures: object, name: str = "max_failures") -> FailureLimit:
        """Read ``3``, ``"5%"`` or ``{"count": 5, "percent": 10}``; ``None`` allows no failure.

        :param max_failures: a whole number from 0, a percentage of the targets as text, or both.
        :param name: what the value is called in messages.
        :raises InputError: when it is none of these.
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

    def spent(self, failed: int, total: int) -> bool:
        """Tell whether more targets failed than are tolerated.

        :param failed: number of targets that failed so far.
        :param total: number of targets of the run.
        """
        return failed > self.allows(total)


@dataclass(frozen=True, slots=True)
class ChangeLimit:
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
