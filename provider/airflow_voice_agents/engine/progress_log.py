"""Progress of long work, told at a steady rate."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable


class ProgressLog:
    """Counts finished items and says so every few seconds.

    :param what: what is being done, for people (``"connectors of hotel-1"``).
    :param total: number of items in all.
    :param say: receives each line (a logger's ``info``).
    :param interval: least seconds between two lines.
    :param clock: monotonic seconds.
    """

    def __init__(
        self,
        what: str,
        total: int,
        say: Callable[[str], None],
        *,
        interval: float = 5.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._what = what
        self._total = total
        self._say = say
        self._interval = interval
        self._clock = clock
        self._told = clock()
        self._counts: Counter[str] = Counter()

    def add(self, status: str) -> None:
        """Count one finished item, and tell when it is time.

        :param status: how it ended.
        """
        self._counts[status] += 1
        if self._clock() - self._told >= self._interval:
            self._told = self._clock()
            parts = ", ".join(f"{count} {name}" for name, count in sorted(self._counts.items()))
            self._say(f"{self._what}: {self._counts.total()} of {self._total} done ({parts})")
