"""Turns a response into a value, or into an error with a known or unknown outcome."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Generic, TypeVar
from urllib.parse import urlsplit

import msgspec

from airflow_voice_agents.transport.api_request import ApiRequest, Replay
from airflow_voice_agents.transport.error_body import (
    error_body_of,
    read_error_body,
    reason_of,
    to_error,
)
from airflow_voice_agents.transport.error_format import ErrorBody, normalize_code
from airflow_voice_agents.transport.errors import (
    CallError,
    DeadlineExceeded,
    OutcomeUnknown,
    OversizedResponse,
    ResponseError,
    VoiceAgentsError,
)
from airflow_voice_agents.transport.json_body import OversizedBody, decode_body, describe_read_failure
from airflow_voice_agents.transport.records import Record
from airflow_voice_agents.transport.redaction import MASK, Redactor
from airflow_voice_agents.transport.retry import (
    ErrorResponse,
    Outcome,
    UnclearResponse,
    parse_rate_limit_reset,
    parse_retry_after,
)
from airflow_voice_agents.transport.settings import ClientSettings

T = TypeVar("T")
E = TypeVar("E", bound=CallError)

_ANSWERS = frozenset({200, 201, 202, 204})
_REFUSALS = frozenset({400, 401, 403, 404, 405, 409, 410, 412, 415, 422, 429})
_REQUEST_TIMEOUT = 408
_LABEL = 24
"""Characters of a part of a foreign host's name that are shown; a longer one may be anything, encoded."""


class Attempt(msgspec.Struct, Generic[T]):
    """A request on its way: what is sent each time, and how far it came.

    :param request: the request.
    :param url: the full URL.
    :param address: host and port, safe to show.
    :param content: the serialised body.
    :param seconds: the total deadline.
    :param expires: when it passes, on the client's clock.
    :param number: attempts so far.
    :param refusals: those of them that a rate limit refused.
    :param correlation_id: id of the latest attempt; empty where none is sent.
    :param in_flight: an attempt is out whose outcome is not known yet.
    :param in_doubt: an attempt may have taken effect although it brought no value.
    """

    request: ApiRequest[T]
    url: str
    address: str
    content: bytes | None
    seconds: float
    expires: float
    number: int = 0
    refusals: int = 0
    correlation_id: str = ""
    in_flight: bool = False
    in_doubt: bool = False

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.request!r}, number={self.number})"  # without URL and body

    def __rich_repr__(self) -> None:  # type: ignore[override]
        """Let tracebacks of Rich take the text form."""

    def error(self, kind: type[E], reason: str, status: int | None = None, **facts: Any) -> E:
        """Build an error about this request.

        :param kind: its class.
        :param reason: what happened.
        :param status: HTTP status, if a response came.
        :param facts: further arguments of the class.
        """
        request = self.request
        return kind(
            reason,
            operation=request.operation,
            method=request.method,
            route=request.route,
            path=request.path,
            status=status,
            correlation_id=self.correlation_id or None,
            **facts,
        )

    def too_late(self, last: str = "", *, waiting: str = "") -> CallError:
        """Build the error for a deadline that passed: an unknown outcome for a write in flight.

        :param last: how the last attempt failed, if it did.
        :param waiting: what it waited for, if it did.
        """
        requests = "1 request" if self.number == 1 else f"{self.number} requests"
        cause = f"; the last one failed: {last}" if last else ""
        cause += f"; it waited for {waiting}" if waiting else ""
        reason = f"the deadline of {self.seconds:g} s passed after {requests} to {self.address}{cause}"
        if self.in_flight and self.request.replay is not Replay.SAFE:
            return self.error(OutcomeUnknown, reason)
        return self.error(DeadlineExceeded, reason)


class RawResponse(Record, frozen=True):
    """A response as far as it was read; ``flaw`` says why the rest was not, ``oversized`` that there was too much."""

    not_shown = ("headers", "body")

    status: int
    headers: Mapping[str, str]
    body: bytes = b""
    flaw: str = ""
    oversized: bool = False


class Value(Record, Generic[T], frozen=True):
    """The value that the request's ``read`` made of the response."""

    not_shown = ("value",)

    value: T


class Failure(msgspec.Struct, frozen=True):
    """An attempt without a value."""

    outcome: Outcome
    error: CallError


class ResponseReader:
    """Reads the responses of one platform.

    A response is a value, a refusal or failure of the platform, or unclear: it says neither yes nor no.

    :param settings: the platform's error format, advice and headers.
    :param redact: masks the client's secrets.
    """

    def __init__(self, settings: ClientSettings, redact: Redactor) -> None:
        self._format = settings.error_format
        self._advice = {normalize_code(code): advice for code, advice in settings.advice.items()}
        self._reset_header = settings.rate_limit_reset_header
        self._redact = redact

    def read(self, attempt: Attempt[T], response: RawResponse, now: float) -> Value[T] | Failure:
        """Judge a response by status, then by body.

        :param attempt: the request and its latest attempt.
        :param response: the response.
        :param now: seconds since the epoch, for times that the response names.
        """
        if response.status >= 400:
            body = read_error_body(response.body, attempt.request, self._redact, self._format)
            return self._error(attempt, response, body, now)
        if response.status not in _ANSWERS:
            return self._unclear(
                attempt, response, _strange_status(response, self._redact.about(attempt.request)), now
            )
        if response.flaw:
            return self._unclear(
                attempt, response, response.flaw, now, oversized=response.oversized, resendable=False
            )
        try:
            payload = decode_body(response.body)
        except ValueError as problem:
            oversized = isinstance(problem, OversizedBody)
            reason = str(problem) if oversized else "the answer is not the expected JSON"
            return self._unclear(
                attempt, response, reason, now, oversized=oversized, resendable=not oversized
            )
        if self._format.marks(payload):
            body = error_body_of(payload, attempt.request, self._redact, self._format)
            return self._error(attempt, response, body, now)
        return self._value(attempt, response, payload, now)

    def _value(
        self, attempt: Attempt[T], response: RawResponse, payload: Any, now: float
    ) -> Value[T] | Failure:
        try:
            return Value(attempt.request.read(payload))
        except VoiceAgentsError:
            raise
        except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError) as error:
            redact = self._redact.about(attempt.request)
            flaw = f"the answer could not be read: {redact.label(describe_read_failure(error))}"
        return self._unclear(attempt, response, flaw, now)

    def _error(self, attempt: Attempt[Any], response: RawResponse, body: ErrorBody, now: float) -> Failure:
        known = self._format.status_of(body)
        if known is None and not _is_decisive(response.status, body):
            reason = _unclear_reason(response.status, body, attempt.correlation_id)
            return self._unclear(attempt, response, reason, now, error_code=body.error_code)
        status = response.status if known is None else known
        retry_after = self._named_wait(response, status, now)
        error = to_error(
            attempt.request,
            response.status,
            body,
            effective=status,
            retry_after=retry_after,
            correlation_id=attempt.correlation_id or None,
            advice=self._advice_on(body.error_code, status, response.status),
        )
        return Failure(ErrorResponse(status, retry_after), error)

    def _unclear(
        self,
        attempt: Attempt[Any],
        response: RawResponse,
        reason: str,
        now: float,
        *,
        oversized: bool = False,
        resendable: bool = True,
        error_code: str | None = None,
    ) -> Failure:
        status, wait = response.status, self._named_wait(response, response.status, now)
        kind = OversizedResponse if oversized else ResponseError
        error = attempt.error(kind, reason, status, error_code=error_code, retry_after=wait)
        return Failure(UnclearResponse(wait, resendable=resendable), error)

    def _named_wait(self, response: RawResponse, status: int, now: float) -> float | None:
        wait = parse_retry_after(response.headers.get("retry-after"), now)
        if wait is None and status == 429 and self._reset_header is not None:
            return parse_rate_limit_reset(response.headers.get(self._reset_header), now)
        return wait

    def _advice_on(self, error_code: str | None, *statuses: int) -> str | None:
        keys = [normalize_code(error_code or ""), *map(str, statuses)]
        return next((self._advice[key] for key in keys if key in self._advice), None)


def to_unknown(error: CallError) -> OutcomeUnknown:
    """Restate ``error`` as an unknown outcome."""
    return OutcomeUnknown(
        error.reason,
        operation=error.operation,
        method=error.method,
        route=error.route,
        path=error.path,
        status=error.status,
        error_code=error.error_code,
        correlation_id=error.correlation_id,
        retry_after=error.retry_after,
    )


def _is_decisive(status: int, body: ErrorBody) -> bool:
    """Tell whether an error without a known code is the platform's own answer.

    An error in a success status is not: its code alone could say what it means. Neither is a client error
    that no operation answers with in a shape that no platform declares, such as a proxy's page.
    """
    if status < 400:
        return False
    return status >= 500 or status in _REFUSALS or status == _REQUEST_TIMEOUT or body.recognized


def _unclear_reason(status: int, body: ErrorBody, sent_id: str) -> str:
    if status >= 400:
        return f"the answer is not one of the platform's errors: {reason_of(status, body, sent_id)}"
    text = "an error without a known code came with a status of success"
    return f"{text}: {reason_of(status, body, sent_id)}" if body.recognized else text


def _strange_status(response: RawResponse, redact: Redactor) -> str:
    location = response.headers.get("location")
    if not location or not 300 <= response.status < 400:
        return f"{response.status} is a status that no operation answers with"
    try:
        host = urlsplit(location).hostname
    except ValueError:
        host = "an unreadable address"
    # Cut before it is masked: a host holds no sign that an encoding needs.
    labels = [label if len(label) <= _LABEL else MASK for label in (host or "the same host").split(".")]
    return f"a redirect to {redact('.'.join(labels), 100)} was refused"
