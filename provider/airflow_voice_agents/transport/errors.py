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
    """A setting of the Airflow connection is missing or invalid; nothing was sent."""

    permanent = True


class GuardRefused(VoiceAgentsError):
    """A guard refused the run before its first write; the message lists each finding."""

    permanent = True


class StateMoved(VoiceAgentsError):
    """A source or target changed between plan and apply; it was not written."""

    permanent = True


class TargetLocked(VoiceAgentsError):
    """Another run holds the lock of a target, or took this run's lock; a later try can get it."""


class StateFolderUnavailable(VoiceAgentsError):
    """The state folder cannot be reached, listed or written; no request was sent to the platform."""


class ItemsFailed(VoiceAgentsError):
    """Some items failed or have an unknown outcome; the XCom ``report`` lists them."""


class ItemsFailedPermanently(ItemsFailed):
    """Items failed, all of them for reasons that a retry cannot fix."""

    permanent = True


class ChecksFailed(VoiceAgentsError):
    """The checks of an applied change failed; the message says what was rolled back."""

    permanent = True


class ChecksUnclear(VoiceAgentsError):
    """The checks of an applied change reached no verdict; nothing was rolled back."""


class CallError(VoiceAgentsError):
    """A request failed, or its outcome is unknown.

    :param reason: what happened, without secrets.
    :param operation: the vendor's operation.
    :param method: HTTP verb.
    :param route: path template.
    :param path: the path that was sent.
    :param status: HTTP status, or ``None`` without a response.
    :param error_code: the vendor's code, or ``None``.
    :param correlation_id: id that was sent, for the vendor's support.
    :param advice: what to do next; ``None`` uses the advice of the class.
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
    """There was no response, and the server did not act, or the request is safe to repeat."""

    advice_default = "Check the network and the platform's status page; the task may be retried."


class UnusableConnection(TransportError):
    """The certificate, the TLS version or the host name makes every connection fail."""

    permanent = True
    concerns_all = True
    advice_default = "Check the host of the connection."


class DeadlineExceeded(TransportError):
    """The request exceeded its total time limit."""


class OutcomeUnknown(CallError):
    """A write was sent, but the response was unclear or missing.

    The write may or may not have taken effect. The provider reads the state before it sends the write again.
    ``retry_after`` holds the seconds that the server asked to wait, if it did.
    """

    advice_default = "It was not sent again; read the state back before repeating it."


class ResponseError(CallError):
    """A read returned an unexpected response; a later try can succeed.

    A redirect, a status that no operation answers with, a body that is not the expected JSON, or an error
    without a known code in a success status.
    """

    advice_default = "Something between here and the platform answered in its place, or its contract changed."


class OversizedResponse(ResponseError):
    """A read returned a response with too many bytes, values or levels; the resource must become smaller."""

    permanent = True
    advice_default = "Nothing was taken from it. Make what the platform holds there smaller or flatter."


class ApiError(CallError):
    """The platform refused the request or failed."""


class BadRequest(ApiError):
    """400, 405, 415, 422 and other client errors: the request itself is wrong."""

    permanent = True
    advice_default = "Correct what was sent; repeating it as it is cannot help."


class Unauthorized(ApiError):
    """401: the key is missing, wrong, expired, or belongs to another host."""

    permanent = True
    concerns_all = True
    advice_default = "Check the connection's key, and that the host is the one that the key is for."


class Forbidden(ApiError):
    """403: the key has no permission for the resource or the operation."""

    permanent = True
    advice_default = "The key has no right to this; ask for it or use another connection."


class NotFound(ApiError):
    """404 or 410: the id is unknown, or the host is wrong."""

    permanent = True
    advice_default = "Check the id, and that the connection's host is the one that has the resource."


class Conflict(ApiError):
    """409: the resource exists already, or something else blocks it."""

    permanent = True
    advice_default = "Read the current state before repeating it."


class PreconditionFailed(ApiError):
    """412: a precondition of the platform is not met."""

    permanent = True
    advice_default = "Meet the condition first, then run again."


class RateLimited(ApiError):
    """429: too many requests; ``retry_after`` is the wait in seconds that the server requested, if any."""

    advice_default = "The task is retried after the time that the server asked to wait."


class ServerError(ApiError):
    """5xx for a request that changed nothing, or is safe to repeat."""

    advice_default = "The platform failed; the task may be retried."


def _restore(kind: type[VoiceAgentsError], args: tuple[Any, ...], state: dict[str, Any]) -> VoiceAgentsError:
    error = kind.__new__(kind, *args)
    error.args = args
    error.__dict__.update(state)
    return error
