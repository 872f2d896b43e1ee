"""Keeps a run's lock alive while the run goes on."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow_voice_agents.state.locks import Lock

RENEWALS = 3
"""How often a lock is renewed in the time that it lasts."""


def renewal_check(lock: Lock, clock: Callable[[], float] = time.monotonic) -> Callable[[], str | None]:
    """Return what a rollout asks after each unit: it renews the lock when that is due.

    :param lock: the run's lock.
    :param clock: monotonic seconds.
    """
    from airflow_voice_agents.transport.errors import TargetLocked

    renewed = clock()

    def ask() -> str | None:
        nonlocal renewed
        now = clock()
        if now - renewed < lock.ttl / RENEWALS:
            return None
        try:
            lock.renew()
        except TargetLocked as lost:
            return str(lost)
        except Exception as trouble:  # noqa: BLE001  whatever the storage's library raises
            return _not_renewed(lock, trouble, lasting=now - renewed < lock.ttl * (RENEWALS - 1) / RENEWALS)
        renewed = now
        return None

    return ask


def _not_renewed(lock: Lock, trouble: Exception, *, lasting: bool) -> str | None:
    """Let a run go on under a lock that still lasts: its writes in flight are not cut off for a storage's hiccup."""
    told = f"The lock on the targets could not be renewed ({type(trouble).__name__})"
    if lasting:
        lock.say(f"{told}; it lasts for now, and the next target tries again")
        return None
    return f"{told}, and is about to end. Look at the folder of locks, then run again."
