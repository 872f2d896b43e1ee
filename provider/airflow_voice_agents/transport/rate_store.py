"""The adaptive pace of one key, kept in Redis for all machines."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import urlsplit

import msgspec

from airflow_voice_agents.transport import rate_pace
from airflow_voice_agents.transport.connection_pool import ConnectionPool
from airflow_voice_agents.transport.errors import ConnectionSettingsError
from airflow_voice_agents.transport.rate_pace import Pace, Start

logger = logging.getLogger(__name__)

TIMEOUT = 1.0
"""Seconds that the store may take."""
ASKED_AGAIN = 30.0
"""Seconds for which a store that did not answer is left alone."""
KEPT = 3600
"""Seconds after which the store forgets a key that nobody uses."""

SCRIPT = """
-- The same as PaceState in rate_pace.py, in one step.
local fields = {'last_start', 'paused_until', 'refused_pace', 'grows_from', 'refused_at', 'refusals',
                'second', 'starts', 'starts_before'}
local known = redis.call('HMGET', KEYS[1], unpack(fields))
local s = {}
for place, name in ipairs(fields) do s[name] = tonumber(known[place]) or 0 end
local drop, first, again, early, guess, slowest, kept =
  tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8]),
  tonumber(ARGV[9]), ARGV[10]
local now = tonumber(ARGV[11])
if not now then
  local time = redis.call('TIME')
  now = tonumber(time[1]) + tonumber(time[2]) / 1000000
end

if ARGV[1] == 'paused' then
  return {string.format('%.17g', s.paused_until - now), '0'}
end

local function pace()
  if s.refused_pace == 0 then return math.huge end
  local span = again
  if s.refusals == 1 then span = first end
  local since = math.max(0, now - s.grows_from)
  return s.refused_pace * (1 + drop * ((since - span) / span) ^ 3)
end

local function count()
  local second = math.floor(now)
  if second ~= s.second then
    s.starts_before = (second == s.second + 1) and s.starts or 0
    s.second, s.starts = second, 0
  end
  s.starts = s.starts + 1
end

local function cut()
  local refused = pace()
  if refused == math.huge then
    count()
    s.refused_pace = math.max(s.starts + s.starts_before * (1 - (now - s.second)) - 2, guess)
  else
    if s.refusals > 1 and now - s.grows_from < again then refused = refused * early end
    s.refused_pace = math.max(refused, slowest)
  end
  s.refused_at, s.refusals = now, s.refusals + 1
end

local at = now
if ARGV[1] == 'reserve' then
  local most = math.min(pace(), tonumber(ARGV[2]) or math.huge)
  at = math.max(now, s.paused_until)
  if most < math.huge then at = math.max(at, s.last_start + 1 / most) end
  s.last_start = math.max(at, s.last_start)
  count()
else
  s.paused_until = math.max(s.paused_until, now + tonumber(ARGV[3]))
  if (tonumber(ARGV[2]) or now) > s.refused_at then
    cut()
  elseif s.refusals == 1 then
    s.refused_pace = math.max(s.refused_pace - 1, guess)
  end
  s.grows_from = s.paused_until
end

local changed = {}
for _, name in ipairs(fields) do
  changed[#changed + 1] = name
  changed[#changed + 1] = string.format('%.17g', s[name])
end
redis.call('HSET', KEYS[1], unpack(changed))
redis.call('EXPIRE', KEYS[1], kept)
return {string.format('%.17g', at - now), string.format('%.17g', at)}
"""


class _Outage(msgspec.Struct):
    """What this process knows about a store that does not answer."""

    until: float = -math.inf
    warned: bool = False


_outages: dict[str, _Outage] = {}


class StoredPace:
    """The pace of one key, shared by everybody who uses the same store.

    Times are those of the store's clock. While the store does not answer, the stand-in keeps the pace; no request
    fails because of the store.

    :param url: of the store; its password is never shown.
    :param key: digest of the API key and its host.
    :param stand_in: keeps the pace while the store does not answer.
    :param clock: monotonic seconds.
    :param open_store: makes a client of the store; tests pass their own.
    :raises ConnectionSettingsError: when the package ``redis`` is missing.
    """

    def __init__(
        self,
        url: str,
        key: str,
        stand_in: Pace,
        clock: Callable[[], float],
        open_store: Callable[[str], Any] | None = None,
    ) -> None:
        self._url = url
        self._key = f"voice-agents:pace:{key}"
        self._stand_in = stand_in
        self._clock = clock
        self._outage = _outages.setdefault(url, _Outage())
        self._failures = _failures()
        opened = open_store or _open
        self._clients: ConnectionPool[Any] = ConnectionPool(lambda: opened(url))

    @property
    def pools(self) -> Sequence[ConnectionPool[Any]]:
        """Connections to close with the client."""
        return (self._clients, *self._stand_in.pools)

    async def reserve(self, most: float | None) -> Start:
        """Reserve the next start."""
        found = await self._ask("reserve", "" if most is None else most, "")
        if found is None:
            return await self._stand_in.reserve(most)
        return Start(float(found[0]), float(found[1]), stored=True)

    async def refused(self, start: Start, wait: float) -> None:
        """Slow down."""
        if not start.stored:
            await self._stand_in.refused(start, wait)
        await self._ask("refused", start.at if start.stored else "", wait)

    async def paused(self) -> bool:
        """Tell whether a refusal keeps everybody waiting now."""
        found = await self._ask("paused", "", "")
        return await self._stand_in.paused() if found is None else float(found[0]) > 0

    async def _ask(self, what: str, first: float | str, second: float | str) -> Sequence[str] | None:
        """Run the script, or return ``None`` while the store does not answer."""
        if self._clock() < self._outage.until:
            return None
        shape = (
            *(rate_pace.DROP, rate_pace.REACHED_FIRST, rate_pace.REACHED_AGAIN, rate_pace.REFUSED_EARLY),
            *(rate_pace.SLOWEST_GUESS, rate_pace.SLOWEST, KEPT),
        )
        try:
            async with asyncio.timeout(TIMEOUT):
                with self._clients.one() as client:
                    script = client.register_script(SCRIPT)
                    found: Sequence[str] = await script(
                        keys=[self._key], args=[what, *map(_text, (first, second)), *map(_text, shape)]
                    )
        except self._failures as error:
            self._note_outage(error)
            return None
        if self._outage.warned:
            logger.info("The store of the rate limit at %s answers again.", _address(self._url))
        self._outage.until, self._outage.warned = -math.inf, False
        return found

    def _note_outage(self, error: Exception) -> None:
        self._outage.until = self._clock() + ASKED_AGAIN
        if not self._outage.warned:
            self._outage.warned = True
            logger.warning(
                "The store of the rate limit at %s ([voice_agents] rate_limit_store) does not answer (%s). No request "
                "fails because of it: until it answers, each machine keeps a limit of its own and slows down when the "
                "platform answers 429.",
                _address(self._url),
                type(error).__name__,
            )


def _text(value: float | str) -> str:
    return value if isinstance(value, str) else repr(value)


def _address(url: str) -> str:
    """Return host and port, without user and password."""
    parts = urlsplit(url)
    return f"{parts.hostname}:{parts.port or 6379}"


def _failures() -> tuple[type[Exception], ...]:
    try:
        from redis.exceptions import RedisError
    except ImportError:
        raise ConnectionSettingsError(
            "[voice_agents] rate_limit_store needs the package redis, which is not installed. Nothing was sent. "
            "Install airflow-provider-voice-agents[redis] on all workers and triggerers, or leave the option empty."
        ) from None
    return (RedisError, OSError, TimeoutError, ValueError)


def _open(url: str) -> Any:
    from redis.asyncio import Redis
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff

    return Redis.from_url(
        url,
        decode_responses=True,
        single_connection_client=True,
        socket_timeout=TIMEOUT,
        socket_connect_timeout=TIMEOUT,
        retry=Retry(NoBackoff(), 0),
    )
