"""Remembers deliveries of webhooks, so that all processes of an API server act on each one once."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable, Sequence

from airflow_voice_agents.state.files import StateFiles
from airflow_voice_agents.state.folder import state_folder

PERIOD = 12 * 3600
"""Seconds of one period. A delivery is remembered in the period in which it came and in the next: for 12 to 24 hours.

PolyAI's last attempt at a delivery comes five and a half hours after the first.
"""


class WebhookEvents:
    """Deliveries as small files, named after digests of what identifies them.

    :param base: URL of the state folder; ``None`` takes the configured one.
    :param clock: returns seconds since 1970.
    """

    def __init__(self, base: str | None, clock: Callable[[], float]) -> None:
        self._files = StateFiles(state_folder(base, "webhooks"))
        self._clock = clock
        self._cleaned = -1

    def claim(self, identities: Sequence[str]) -> bool:
        """Remember a delivery; return whether it is new.

        The first identity that is known already ends the search, and what follows it is not remembered: a replayed
        delivery can be given another event id, which must not count as seen then.

        :param identities: what tells it from others, the surest first.
        """
        period = int(self._clock() // PERIOD)
        self._clean(period)
        for each in identities:
            if self._files.read(_name(each, period - 1)) is not None:
                return False
            if not self._files.create(_name(each, period), uuid.uuid4().hex.encode()):
                return False
        return True

    def release(self, identities: Sequence[str]) -> None:
        """Forget a delivery that could not be acted on, so that its next attempt counts.

        :param identities: as :meth:`claim` took them.
        """
        period = int(self._clock() // PERIOD)
        for each in identities:
            for when in (period, period - 1):
                self._files.remove(_name(each, when))

    def _clean(self, period: int) -> None:
        """Remove what is past, once per period and process."""
        if self._cleaned == period:
            return
        for name in self._files.names():
            began, _, _ = name.partition("-")
            if began.isdigit() and int(began) < period - 1:
                self._files.remove(name)
        self._cleaned = period


def _name(identity: str, period: int) -> str:
    return f"{period}-{hashlib.sha256(identity.encode()).hexdigest()}.seen"
