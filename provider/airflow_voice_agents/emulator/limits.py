"""Request rates per caller, as the vendors count them, and the refusal of what exceeds them."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import formatdate

from airflow_voice_agents.emulator.behaviors import Behaviors
from airflow_voice_agents.emulator.request import EmulatorRequest, Reply


class RateLimiter:
    """Token buckets that hold one second's worth of requests, one per key.

    :param clock: seconds that only go forward; tests pass their own.
    """

    def __init__(self, switches: Behaviors, clock: Callable[[], float] = time.monotonic) -> None:
        self._switches = switches
        self._clock = clock
        self._buckets: dict[str, tuple[float, float]] = {}

    def refuse(self, exchange: EmulatorRequest) -> Reply | None:
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
        headers = retry_after(self._switches.retry_after, (1 - tokens) / rate)
        return Reply(429, {"message": "API rate limit exceeded"}, headers)

    def clear(self) -> None:
        """Forget all requests."""
        self._buckets.clear()


@dataclass(frozen=True, slots=True)
class Usage:
    """What a caller may still send.

    :param limit: requests per window.
    :param used: requests in this window, refused ones included.
    :param resets: end of the window, in unix seconds.
    """

    limit: int
    used: int
    resets: int

    @property
    def remaining(self) -> int:
        """Requests left."""
        return max(0, self.limit - self.used)

    @property
    def exceeded(self) -> bool:
        """Whether the last request was one too many."""
        return self.used > self.limit


class Windows:
    """Requests per caller, counted in windows that begin with a caller's first request.

    :param clock: unix seconds; tests pass their own.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._usage: dict[str, Usage] = {}

    def spend(self, key: str, limit: float, seconds: float) -> Usage:
        """Count one request.

        :param key: whose.
        :param limit: requests per window.
        :param seconds: length of a window that begins now; it ends at a whole second.
        """
        now, before = self._clock(), self._usage.get(key)
        if before is None or now >= before.resets:
            usage = Usage(int(limit), 1, math.ceil(now + seconds))
        else:
            usage = Usage(int(limit), before.used + 1, before.resets)
        self._usage[key] = usage
        return usage

    def usage(self, key: str) -> Usage | None:
        """What the last :meth:`spend` of a caller returned."""
        return self._usage.get(key)

    def seconds_left(self, key: str) -> float:
        """Seconds until a caller's window ends."""
        usage = self._usage.get(key)
        return max(0.0, usage.resets - self._clock()) if usage else 0.0

    def clear(self) -> None:
        """Forget all requests."""
        self._usage.clear()


def retry_after(form: str, seconds: float) -> dict[str, str]:
    """The header ``Retry-After``.

    :param form: ``seconds``, ``date`` or ``none``.
    :param seconds: the wait.
    """
    if form == "none":
        return {}
    wait = max(1, math.ceil(seconds))
    at = formatdate(time.time() + wait, usegmt=True)
    return {"Retry-After": str(wait) if form == "seconds" else at}
