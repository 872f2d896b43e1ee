"""A part of a run's targets, given as a whole number or as a percentage of them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

from airflow_voice_agents.transport.errors import InputError

_PERCENTAGE = re.compile(r"\s*([0-9]{1,3}(?:\.[0-9]{1,6})?)\s*%\s*")


@dataclass(frozen=True, slots=True)
class Quota:
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
