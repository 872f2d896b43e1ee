"""The write quota of a project. Reads and deletions are not limited."""

from __future__ import annotations

from collections.abc import Callable

from airflow_voice_agents.emulator.behaviors import Behaviors
from airflow_voice_agents.emulator.limits import Windows, retry_after
from airflow_voice_agents.emulator.request import EmulatorRequest, Reply
from airflow_voice_agents.emulator.signalwire.errors import refused

_COUNTED = ("POST", "PUT", "PATCH")

LIMIT_HEADER = "RateLimit-Limit"
REMAINING_HEADER = "RateLimit-Remaining"
"""The vendor sends limit and remainder under names that it does not document; these two are made up."""


class WriteLimiter:
    """Counts writes per project.

    :param key_of: the project that a request is for.
    """

    def __init__(self, switches: Behaviors, key_of: Callable[[EmulatorRequest], str]) -> None:
        self._switches = switches
        self._key_of = key_of
        self._windows = Windows()

    def refuse(self, exchange: EmulatorRequest) -> Reply | None:
        """Count a write; 429 where it is one too many."""
        limit = self._switches.signalwire_rate_limit
        if not limit or exchange.method not in _COUNTED:
            return None
        key = self._key_of(exchange)
        usage = self._windows.spend(key, limit, self._switches.signalwire_rate_window)
        if not usage.exceeded:
            return None
        problem = refused(("rate_limit_exceeded", "Too many requests"), status=429)
        headers = retry_after(self._switches.signalwire_retry_after, self._windows.seconds_left(key))
        return Reply(429, problem.body, headers)

    def headers(self, exchange: EmulatorRequest) -> dict[str, str]:
        """Limit and remainder, on answers to writes."""
        usage = self._windows.usage(self._key_of(exchange))
        if usage is None or exchange.method not in _COUNTED or not self._switches.signalwire_rate_limit:
            return {}
        return {LIMIT_HEADER: str(usage.limit), REMAINING_HEADER: str(usage.remaining)}

    def clear(self) -> None:
        """Forget all requests."""
        self._windows.clear()
