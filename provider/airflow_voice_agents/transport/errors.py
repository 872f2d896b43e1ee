"""The errors of this provider, free of Airflow.

Each class knows whether it is permanent, that is, whether a retry of the task cannot help. Messages name
what happened, the resource and the next step; they never hold keys, bodies or config values.
All values are plain, so that errors survive pickling between processes.
"""

from __future__ import annotations

from typing import Any, ClassVar


class VoiceAgentsError(Exception):
    """Base of all errors; ``permanent`` tells whether a retry of the task cannot help."""

    permanent: ClassVar[bool] = False
    retry_after: float | None = None
    """Seconds the server asked to wait, where it did."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (_restore, (type(self), self.args, self.__dict__))


class InputError(VoiceAgentsError, ValueError):
    """An argument, file or template value is wrong; nothing was sent."""

    permanent = True


class ConnectionSettingsError(VoiceAgentsError, ValueError):
    """The Airflow connection lacks or garbles a setting; nothing was sent."""

    permanent = True


class GuardRefused(VoiceAgentsError):
    """A guard refused the work before any write; the message lists each finding."""

    permanent = True


class StateMoved(VoiceAgentsError):
    """Something changed between plan and apply; what moved was not written."""

    permanent = True


class TargetLocked(VoiceAgentsError):
    """Another run holds the lock of a target, or took this run's lock away; a later try may get it."""


class StateFolderUnavailable(VoiceAgentsError):
    """The state folder cannot be reached, listed or written; nothing was read or written at the platform."""


class ItemsFailed(VoiceAgentsError):
    """Some items failed or ended unknown; the report that the task pushed names them."""


class ItemsFailedPermanently(ItemsFailed):
    """Every failed item failed for a reason that a retry cannot fix."""

    permanent = True


class ChecksFailed(VoiceAgentsError):
    """The applied change failed its checks; the message says what was rolled back."""

    permanent = True


class ChecksUnclear(VoiceAgentsError):
    """The checks of the applied change reached no verdict, good or bad; nothing was rolled back."""


class CallError(VoiceAgentsError):
    """A request failed, or its outcome is not known.

    :param reason: what happened, in words free of secrets.
    :param operation: the vendor's operation.
    :param method: HTTP verb.
    :param route: path template.
    :param path: the path that was sent.
    :param status: HTTP status, or ``None`` without a response.
    :param error_code: the vendor's code, or ``None``.
    :param correlation_id: id that was sent, for the vendor's support.
    :param advice: what to do next; ``None`` takes that of the class.
    :param retry_after: seconds that the server asked to wait, if it did.
    """

    advice_default: ClassVar[str] = ""
    concerns_all: ClassVar[bool] = False
    """Every further request of the same connection would end the same."""
    in_doubt: bool = False
    """An earlier attempt of the same request may have taken effect."""
    marks: tuple[str, ...] = ()
    """What the refusal shows about the resource beside the failure, in a word or two (``A/B test``)."""

    def __init__(
        self,
        reason: str,
        *,
        operation: str = "",
        method: str = "",
        route: str = "",
        path: str = "",
        status: int | None = None,
        error_code: str | None = None,
        correlation_id: str | None = None,
        advice: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.operation = operation
        self.method = method
        self.route = route
        self.path = path
        self.status = status
        self.error_code = error_code
        self.correlation_id = correlation_id
        self.advice = self.advice_default if advice is None else advice
        self.retry_after = retry_after

    def __str__(self) -> str:
        outcome = " ".join(str(part) for part in (self.status, self.error_code) if part)
        where = f"{self.method} {self.path or self.route}".strip()
        head = " → ".join(part for part in (where, outcome) if part)
        trace = f" (correlation id {self.correlation_id})" if self.correlation_id else ""
        text = f"{self.operation}: {self.reason}" if self.operation else self.reason
        return f"{text} [{head}]{trace}" + (f" {self.advice}" if self.advice else "")


class TransportError(CallError):
    """No response came, and the server cannot have acted, or the request is safe to repeat."""

    advice_default = "Check the network and the platform's status page; the task may be retried."


class UnusableConnection(TransportError):
    """No connection can be made, and no later try can make one: certificate, TLS version or host name."""

    permanent = True
    concerns_all = True
    advice_default = "Check the host of the connection."


class DeadlineExceeded(TransportError):
    """The total deadline of the request passed."""


class OutcomeUnknown(CallError):
    """A write was sent, and the response says neither yes nor no, or none came.

    The write may or may not have taken effect. It is not sent again before its state has been read back.
    ``retry_after`` holds the seconds that the server asked to wait, if it did.
    """

    advice_default = "It was not sent again; read the state back before repeating it."


class ResponseError(CallError):
    """A read got a response that is neither its answer nor a refusal; a later try may get a better one.

    A redirect, a status that no operation answers with, a body that is not the expected JSON, or an error
    without a known code in a success status.
    """

    advice_default = "Something between here and the platform answered in its place, or its contract changed."


class OversizedResponse(ResponseError):
    """A read got a response of more bytes, values or levels than are read; the resource has to become smaller."""

    permanent = True
    advice_default = "Nothing was taken from it. Make what the platform holds there smaller or flatter."


class ApiError(CallError):
    """The platform refused or failed the call."""


class BadRequest(ApiError):
    """400, 405, 415, 422 and other client errors: the request itself is wrong."""

    permanent = True
    advice_default = "Correct what was sent; repeating it as it is cannot help."


class Unauthorized(ApiError):
    """401: the key is missing, wrong or expired, or is for another host."""

    permanent = True
    concerns_all = True
    advice_default = "Check the connection's key, and that the host is the one that the key is for."


class Forbidden(ApiError):
    """403: the key has no right to the resource or the operation."""

    permanent = True
    advice_default = "The key has no right to this; ask for it or use another connection."


class NotFound(ApiError):
    """404 or 410: unknown id, or the wrong host."""

    permanent = True
    advice_default = "Check the id, and that the connection's host is the one that has the resource."


class Conflict(ApiError):
    """409: the resource exists already, or something else holds it."""

    permanent = True
    advice_default = "Read the current state before repeating it."


class PreconditionFailed(ApiError):
    """412: a condition that the platform sets is not met yet."""

    permanent = True
    advice_default = "Meet the condition first, then run again."


class RateLimited(ApiError):
    """429: too many requests; ``retry_after`` holds the seconds that the server asked to wait, if it did."""

    advice_default = "The task is retried after the time that the server asked to wait."


class ServerError(ApiError):
    """5xx on a request that cannot have changed anything, or is safe to repeat."""

    advice_default = "The platform failed; the task may be retried."


def _restore(kind: type[VoiceAgentsError], args: tuple[Any, ...], state: dict[str, Any]) -> VoiceAgentsError:
    error = kind.__new__(kind, *args)
    error.args = args
    error.__dict__.update(state)
    return error
