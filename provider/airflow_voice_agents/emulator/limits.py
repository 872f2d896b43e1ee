"""A request rate per API key, and the refusal of what exceeds it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from email.utils import formatdate

from airflow_voice_agents.emulator.exchange import Exchange, Reply
from airflow_voice_agents.emulator.switches import Switches


class RateLimiter:
    """Token buckets that hold one second's worth of requests, one per key.

    :param clock: seconds that only go forward; tests pass their own.
    """

    def __init__(self, switches: Switches, clock: Callable[[], float] = time.monotonic) -> None:
        self._switches = switches
        self._clock = clock
        self._buckets: dict[str, tuple[float, float]] = {}

    def refuse(self, exchange: Exchange) -> Reply | None:
        """A 429 with ``Retry-After`` when the caller's key has used up its rate, else ``None``."""
        rate = self._switches.rate_limit
        if not rate:
            return None
        key = exchange.headers.get("x-api-key") or exchange.headers.get("authorization", "")
        now, capacity = self._clock(), max(1.0, rate)
        tokens, then = self._buckets.get(key, (capacity, now))
        tokens = min(capacity, tokens + (now - then) * rate)
        if tokens >= 1:
            self._buckets[key] = (tokens - 1, now)
            return None
        self._buckets[key] = (tokens, now)
        return Reply(429, {"message": "API rate limit exceeded"}, self._headers((1 - tokens) / rate))

    def _headers(self, seconds: float) -> dict[str, str]:
        form = self._switches.retry_after
        if form == "none":
            return {}
        wait = max(1, math.ceil(seconds))
        at = formatdate(time.time() + wait, usegmt=True)
        return {"Retry-After": str(wait) if form == "seconds" else at}
