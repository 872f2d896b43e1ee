"""Every error this provider raises about the outside world, free of Airflow.

Each class knows whether it is permanent: a retry of the task cannot help. Messages say what
happened, to which resource and what to do now; they never hold keys, bodies or config values.
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
    """Another run works on a target, or took this run's lock of it away; a later try may get it."""


class ItemsFailed(VoiceAgentsError):
    """Some items failed or ended unknown; the report that the task pushed tells which."""


class ItemsFailedPermanently(ItemsFailed):
    """Every failed item failed for a reason that a retry cannot mend."""

    permanent = True


class ChecksFailed(VoiceAgentsError):
    """What was promoted failed its checks; the message says what was rolled back."""

    permanent = True


class ChecksUnclear(VoiceAgentsError):
    """The checks of what was promoted came to no verdict, which says nothing of it; nothing was rolled back."""


class CallError(VoiceAgentsError):
    """A call went wrong.

    :param reason: what happened, in words free of secrets.
    :param operation: the vendor's operation.
    :param method: HTTP verb.
    :param route: path template.
    :param status: HTTP status, or ``None`` without an answer.
    :param error_code: the vendor's code, or ``None``.
    :param correlation_id: sent and echoed id for the vendor's support.
    :param advice: what to do next.
    :param retry_after: seconds that the server named, if any.
    """

    advice_default: ClassVar[str] = ""
    in_doubt: bool = False
    """Whether an earlier request of the same call, sent before this answer came, may have taken effect."""

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
    """No usable answer came, and the server cannot have acted, or the call is safe to repeat."""

    advice_default = "Check the network and the platform's status page; the task may be retried."


class DeadlineExceeded(TransportError):
    """The call's total deadline passed."""


class OutcomeUnknown(CallError):
    """A write was sent and no trustworthy answer came: it may or may not have happened."""

    advice_default = "It was not sent again; read the state back before repeating it."


class ResponseError(CallError):
    """A success status came with a body that is not what the operation returns."""

    advice_default = "Something between here and the platform answered in its place, or its contract changed."


class ApiError(CallError):
    """The platform refused or failed the call."""


class BadRequest(ApiError):
    """400, 405, 415, 422 and other client errors: the request as such is wrong."""

    permanent = True
    advice_default = "Correct what was sent; repeating it as it is cannot help."


class Unauthorized(ApiError):
    """401: no, bad or expired key, or a key of another region."""

    permanent = True
    advice_default = "Check the connection's API key and that its region is the key's own."


class Forbidden(ApiError):
    """403: the key lacks this agent, account or area."""

    permanent = True
    advice_default = (
        "The key has no right to this agent, account or area; ask for it or use another connection."
    )


class NotFound(ApiError):
    """404 or 410: unknown id, or the wrong host or region."""

    permanent = True
    advice_default = "Check the id, and that the connection's region is the one the resource lives in."


class Conflict(ApiError):
    """409: it exists already, or something else holds it."""

    permanent = True
    advice_default = "Read the current state: it may already be as wanted."


class PreconditionFailed(ApiError):
    """412: a condition that the platform sets is not met yet."""

    permanent = True
    advice_default = "Meet the condition first; for a promotion to live that is a promotion to pre-release."


class RateLimited(ApiError):
    """429: too many requests; ``retry_after`` holds what the server named."""

    advice_default = "The task is retried after the time that the server named."


class ServerError(ApiError):
    """5xx on a call that cannot have changed anything, or is safe to repeat."""

    advice_default = "The platform failed; the task may be retried."


def _restore(kind: type[VoiceAgentsError], args: tuple[Any, ...], state: dict[str, Any]) -> VoiceAgentsError:
    error = kind.__new__(kind, *args)
    error.args = args
    error.__dict__.update(state)
    return error
