"""Turn what came back into a value, or into a failure with what is known about its outcome."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar
from urllib.parse import urlsplit

from airflow_voice_agents.transport.api_request import ApiRequest, Replay
from airflow_voice_agents.transport.error_body import (
    ErrorBody,
    effective_status,
    error_body_of,
    is_envelope,
    one_line,
    read_error_body,
    to_error,
)
from airflow_voice_agents.transport.errors import (
    CallError,
    DeadlineExceeded,
    OutcomeUnknown,
    ResponseError,
    VoiceAgentsError,
)
from airflow_voice_agents.transport.json_body import decode_body, describe_read_failure
from airflow_voice_agents.transport.redaction import Redactor
from airflow_voice_agents.transport.retry import (
    ErrorResponse,
    NoResponse,
    Outcome,
    parse_rate_limit_reset,
    parse_retry_after,
)

T = TypeVar("T")
E = TypeVar("E", bound=CallError)


@dataclass(slots=True)
class Attempt(Generic[T]):
    """One call on its way: what is sent each time, and how far it came.

    :param call: what to send.
    :param url: the full URL.
    :param content: the serialised body.
    :param seconds: the total deadline.
    :param expires: when it passes, on the client's clock.
    :param attempt: requests so far.
    :param correlation_id: id of the latest request.
    :param in_flight: whether a request is out whose outcome is not known yet.
    :param in_doubt: whether a request may have taken effect although it brought no value.
    """

    call: ApiRequest[T]
    url: str = field(repr=False)
    content: bytes | None = field(repr=False)
    seconds: float
    expires: float
    attempt: int = 0
    correlation_id: str = ""
    in_flight: bool = False
    in_doubt: bool = False

    def error(self, kind: type[E], reason: str, status: int | None = None) -> E:
        """Build an error about this call."""
        call = self.call
        return kind(
            reason,
            operation=call.operation,
            method=call.method,
            route=call.route,
            path=call.path,
            status=status,
            correlation_id=self.correlation_id or None,
        )

    def too_late(self) -> CallError:
        """Build the error for a deadline that passed, which for a write in flight is an unknown outcome."""
        requests = "1 request" if self.attempt == 1 else f"{self.attempt} requests"
        reason = f"the deadline of {self.seconds:g} s passed after {requests}"
        if self.in_flight and self.call.replay is not Replay.SAFE:
            return self.error(OutcomeUnknown, reason)
        return self.error(DeadlineExceeded, reason)


@dataclass(frozen=True, slots=True)
class Answer:
    """A response as far as it was read; ``flaw`` says why the rest was not."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(default=b"", repr=False)
    flaw: str = ""


@dataclass(frozen=True, slots=True)
class Value(Generic[T]):
    """What the call's ``read`` made of the answer."""

    value: T = field(repr=False)


@dataclass(frozen=True, slots=True)
class Failure:
    """An attempt without a value; without ``outcome`` there is nothing to decide."""

    outcome: Outcome | None
    error: CallError


def read_response(
    flight: Attempt[T], answer: Answer, redact: Redactor, now: float, *, reset_header: str | None = None
) -> Value[T] | Failure:
    """Judge an answer by status, then by body.

    :param flight: the call and its latest request.
    :param answer: what came back.
    :param redact: masks the client's secrets.
    :param now: seconds since the epoch, for moments that the answer names.
    :param reset_header: header that says when a rate limit starts anew, where the platform has one.
    """
    if answer.status >= 400:
        return _refused(flight, answer, read_error_body(answer.body, flight.call, redact), now, reset_header)
    if not 200 <= answer.status < 300:
        return Failure(None, flight.error(ResponseError, _redirect_reason(answer), answer.status))
    if answer.flaw:
        return _useless(flight, answer, answer.flaw)
    try:
        payload = decode_body(answer.body)
    except (ValueError, RecursionError):
        # Most likely cut short or from something in between: sending a safe call again may help.
        return Failure(
            NoResponse(), flight.error(ResponseError, "the answer is not the expected JSON", answer.status)
        )
    if is_envelope(payload):
        return _refused(flight, answer, error_body_of(payload, flight.call, redact), now, reset_header)
    return _read(flight, answer, payload, redact)


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


def _refused(
    flight: Attempt[Any], answer: Answer, problem: ErrorBody, now: float, reset_header: str | None
) -> Failure:
    status = effective_status(answer.status, problem)
    retry_after = parse_retry_after(answer.headers.get("retry-after"), now)
    if retry_after is None and status == 429 and reset_header is not None:
        retry_after = parse_rate_limit_reset(answer.headers.get(reset_header), now)
    error = to_error(
        flight.call,
        answer.status,
        problem,
        retry_after=retry_after,
        correlation_id=flight.correlation_id,
    )
    return Failure(ErrorResponse(status, retry_after), error)


def _read(flight: Attempt[T], answer: Answer, payload: Any, redact: Redactor) -> Value[T] | Failure:
    try:
        return Value(flight.call.read(payload))
    except VoiceAgentsError:
        raise
    except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError) as error:
        flaw = f"the answer could not be read: {redact(describe_read_failure(error))}"
    return _useless(flight, answer, flaw)


def _useless(flight: Attempt[Any], answer: Answer, flaw: str) -> Failure:
    kind = ResponseError if flight.call.replay is Replay.SAFE else OutcomeUnknown
    return Failure(None, flight.error(kind, flaw, answer.status))


def _redirect_reason(answer: Answer) -> str:
    location = answer.headers.get("location")
    if not location:
        return "a status that no operation answers with"
    try:
        host = urlsplit(location).hostname
    except ValueError:
        host = "an unreadable address"
    return f"a redirect to {one_line(host or 'the same host', 100)} was refused"
