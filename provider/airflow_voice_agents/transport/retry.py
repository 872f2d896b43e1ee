"""Decides whether and when to send a request again, within a retry budget."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from datetime import UTC
from email.utils import parsedate_to_datetime

import msgspec

from airflow_voice_agents.transport.api_request import Replay

FIRST_WAIT = 0.5
LONGEST_BACK_OFF = 8.0
LONGEST_NAMED_WAIT = 60.0
LONGEST_RETRY_AFTER = 3600.0
TOO_MANY = 429
MAX_REFUSALS = 100
"""Refusals of a rate limit that one request waits out; its deadline comes first unless it is very long."""

_RESENT_WHEN_SAFE = frozenset({408, TOO_MANY, 500, 502, 503, 504})
_SECONDS = re.compile(r"[0-9]+(\.[0-9]+)?")


class NotSent(msgspec.Struct, frozen=True):
    """The request never left: no connection, or none in time."""


class NoResponse(msgspec.Struct, frozen=True):
    """The request left, or part of it, and no complete response came."""


class ErrorResponse(msgspec.Struct, frozen=True):
    """The server answered with an error of its own.

    :param status: HTTP status, or the one that the error code stands for.
    :param retry_after: seconds that the server asked to wait, if it did.
    """

    status: int
    retry_after: float | None = None


class UnclearResponse(msgspec.Struct, frozen=True):
    """A response came that says neither yes nor no.

    :param retry_after: seconds that the server asked to wait, if it did.
    :param resendable: sending a read again is cheap and may bring a better response.
    """

    retry_after: float | None = None
    resendable: bool = True


Outcome = NotSent | NoResponse | ErrorResponse | UnclearResponse


class Resend(msgspec.Struct, frozen=True):
    """Send the same request again after ``wait`` seconds."""

    wait: float


class GiveUp(msgspec.Struct, frozen=True):
    """Raise the error at hand; ``because`` is empty when a resend was never an option."""

    because: str = ""


class Unknown(msgspec.Struct, frozen=True):
    """The server may have acted, and the request must not be repeated blind."""


Decision = Resend | GiveUp | Unknown


def decide(
    replay: Replay,
    outcome: Outcome,
    *,
    attempt: int,
    max_attempts: int,
    remaining: float,
    random: Callable[[], float],
) -> Decision:
    """Decide what follows an attempt that brought no value.

    :param replay: the replay class of the request.
    :param outcome: how the attempt ended.
    A request that was refused as one too many (429) waits for its turn as long as the deadline leaves time.

    :param attempt: number of the attempt that ended, from 1, among those that ended like this: refusals of a rate
        limit are counted apart.
    :param max_attempts: attempts allowed in all, refusals of a rate limit aside; 1 allows no resend at all.
    :param remaining: seconds left until the deadline of the request.
    :param random: source of numbers in [0, 1) for the jitter.
    """
    if not _resendable(replay, outcome):
        return Unknown() if _may_have_acted(replay, outcome) else GiveUp()
    if attempt >= (MAX_REFUSALS if is_rate_limit(outcome) and max_attempts > 1 else max_attempts):
        return GiveUp(f"gave up after {attempt} attempts" if attempt > 1 else "")
    named = 0.0
    if isinstance(outcome, (ErrorResponse, UnclearResponse)):
        named = outcome.retry_after or 0.0
    if named > LONGEST_NAMED_WAIT:
        return GiveUp(f"the server asks to wait {named:.0f} s")
    wait = named + back_off(attempt, random)
    if wait >= remaining:
        return GiveUp("the deadline leaves no time to send it again")
    return Resend(wait)


def is_rate_limit(outcome: Outcome) -> bool:
    """Tell whether the platform refused an attempt as one request too many.

    :param outcome: how it ended.
    """
    return isinstance(outcome, ErrorResponse) and outcome.status == TOO_MANY


def leaves_doubt(outcome: Outcome) -> bool:
    """Tell whether an attempt that ended like this may have taken effect.

    :param outcome: how it ended.
    """
    if isinstance(outcome, ErrorResponse):
        return outcome.status == 408 or outcome.status >= 500
    return not isinstance(outcome, NotSent)


def back_off(attempt: int, random: Callable[[], float]) -> float:
    """Seconds to wait after attempt number ``attempt``: exponential with full jitter.

    :param attempt: number of the attempt that failed, from 1.
    :param random: source of numbers in [0, 1).
    """
    return random() * min(LONGEST_BACK_OFF, FIRST_WAIT * 2.0 ** min(attempt - 1, 10))


def parse_retry_after(value: str | None, now: float) -> float | None:
    """Read a ``Retry-After`` header, in seconds or as an HTTP date, surviving any value.

    :param value: the header, or ``None``.
    :param now: seconds since the epoch, to turn a date into a wait.
    :returns: seconds between 0 and one hour, 0 for a date in the past; ``None`` for any other text.
    """
    text = (value or "").strip()
    if _SECONDS.fullmatch(text):
        return LONGEST_RETRY_AFTER if len(text) > 100 else min(float(text), LONGEST_RETRY_AFTER)
    return _until(text, now) if 0 < len(text) <= 64 else None


def parse_rate_limit_reset(value: str | None, now: float) -> float | None:
    """Read a header with the time at which a rate limit resets, surviving any value.

    :param value: the header, in unix seconds, or ``None``.
    :param now: seconds since the epoch, to turn the time into a wait.
    :returns: seconds between 0 and one hour, 0 for a time in the past; ``None`` for any other text.
    """
    text = (value or "").strip()
    return _wait(float(text) - now) if _SECONDS.fullmatch(text) else None


class RetryBudget:
    """Bounds the share of requests that are resends, so that an outage is not multiplied.

    Starts full; a resend takes one token, a success gives some back. Safe to share between threads.

    :param tokens: most tokens it holds.
    :param refund: tokens that each success gives back.
    """

    def __init__(self, tokens: float = 20.0, refund: float = 0.1) -> None:
        self._most = tokens
        self._tokens = tokens
        self._refund = refund
        self._lock = threading.Lock()

    def spend(self) -> bool:
        """Take one token; ``False`` when none is left."""
        with self._lock:
            if self._tokens < 1.0:
                return False
            self._tokens -= 1.0
            return True

    def earn(self) -> None:
        """Give back for a success."""
        with self._lock:
            self._tokens = min(self._most, self._tokens + self._refund)


def _resendable(replay: Replay, outcome: Outcome) -> bool:
    if replay is Replay.NEVER:
        return False
    if isinstance(outcome, NotSent):
        return True
    if replay is Replay.RECONCILE:
        return is_rate_limit(outcome)
    if isinstance(outcome, UnclearResponse):
        return outcome.resendable
    return isinstance(outcome, NoResponse) or outcome.status in _RESENT_WHEN_SAFE


def _may_have_acted(replay: Replay, outcome: Outcome) -> bool:
    return replay is not Replay.SAFE and leaves_doubt(outcome)


def _until(text: str, now: float) -> float | None:
    try:
        moment = parsedate_to_datetime(text)
        aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        wait = aware.timestamp() - now
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
    return _wait(wait)


def _wait(seconds: float) -> float:
    return min(max(seconds, 0.0), LONGEST_RETRY_AFTER)
