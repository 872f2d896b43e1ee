"""Keeps a run's lock alive while the run goes on."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow_voice_agents.edge.locks import Lock

RENEWALS = 3
"""How often a lock is renewed in the time that it lasts."""


def upkeep(lock: Lock, clock: Callable[[], float] = time.monotonic) -> Callable[[], str | None]:
    """Return what a rollout asks after each unit: it renews the lock when that is due.

    :param lock: the run's lock.
    :param clock: monotonic seconds.
    """
    from airflow_voice_agents.http.errors import TargetLocked

    due = clock() + lock.ttl / RENEWALS

    def ask() -> str | None:
        nonlocal due
        if clock() < due:
            return None
        try:
            lock.renew()
        except TargetLocked as lost:
            return str(lost)
        due = clock() + lock.ttl / RENEWALS
        return None

    return ask
