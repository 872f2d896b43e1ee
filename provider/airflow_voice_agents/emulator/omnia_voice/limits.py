"""The hourly budget of a key, and the headers that tell about it on every answer."""

from __future__ import annotations

from airflow_voice_agents.emulator.behaviors import Behaviors
from airflow_voice_agents.emulator.limits import Windows
from airflow_voice_agents.emulator.omnia_voice.errors import error_body, refused
from airflow_voice_agents.emulator.request import EmulatorRequest, Reply

KEY_HEADER = "X-API-Key"


class HourlyLimiter:
    """Counts all requests of a key; the vendor names the end of the window and sends no ``Retry-After``."""

    def __init__(self, switches: Behaviors) -> None:
        self._switches = switches
        self._windows = Windows()

    def refuse(self, exchange: EmulatorRequest) -> Reply | None:
        """Count the request; 429 where it is one too many."""
        limit = self._switches.omnia_rate_limit
        if not limit:
            return None
        if not self._windows.spend(_key(exchange), limit, self._switches.omnia_rate_window).exceeded:
            return None
        problem = refused(429, "RATE_LIMIT_EXCEEDED", "Rate limit exceeded")
        return Reply(429, error_body(problem, self._switches.omnia_errors))

    def headers(self, exchange: EmulatorRequest) -> dict[str, str]:
        """Limit, remainder, and the end of the window in unix seconds; nothing where there is no limit."""
        usage = self._windows.usage(_key(exchange))
        if usage is None or not self._switches.omnia_rate_limit:
            return {}
        return {
            "X-RateLimit-Limit": str(usage.limit),
            "X-RateLimit-Remaining": str(usage.remaining),
            "X-RateLimit-Reset": str(usage.resets),
        }

    def clear(self) -> None:
        """Forget all requests."""
        self._windows.clear()


def _key(exchange: EmulatorRequest) -> str:
    return exchange.headers.get(KEY_HEADER.lower(), "")
