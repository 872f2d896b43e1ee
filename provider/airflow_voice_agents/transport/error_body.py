"""Read what a server says when it refuses, in every shape the platforms use, and name the error.

What is read never repeats more than it must: one line, cut short, without keys and sent values.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from airflow_voice_agents.transport.api_request import ApiRequest
from airflow_voice_agents.transport.errors import (
    ApiError,
    BadRequest,
    Conflict,
    Forbidden,
    NotFound,
    PreconditionFailed,
    RateLimited,
    ServerError,
    Unauthorized,
)
from airflow_voice_agents.transport.json_body import decode_body
from airflow_voice_agents.transport.redaction import Redactor, mask_values, sent_values

MESSAGE_LIMIT = 300
_PATH_LIMIT = 80
_ENTRIES = 10
_UNREADABLY_LONG = 8192

_Clean = Callable[[str], str]

_STATUS_OF_CODE = {
    code.replace("_", "").lower(): status
    for status, codes in {
        400: """DEPLOYMENTS_VALIDATION_FAILED DEPLOYMENTS_INVALID_ENVIRONMENT FUNCTIONS_DEPLOYMENT_HAS_ERRORS
            PHONE_NUMBERS_INVALID_PHONE_NUMBER_FORMAT CONNECTORS_VALIDATION_FAILED
            REAL_TIME_CONFIG_INVALID_FOR_SCHEMA REAL_TIME_CONFIG_INVALID_SCHEMA
            REAL_TIME_CONFIG_UNKNOWN_CLIENT_ENVIRONMENT VARIANTS_BAD_ATTRIBUTES_ERROR
            VARIANTS_REMOVE_DEFAULT_ERROR PROJECT_ID_INVALID""",
        401: "AUTH_USER_NOT_FOUND AUTH_USER_UNAUTHORISED AUTH_USER_INVALID_TOKEN",
        403: """USER_ACCESS_FORBIDDEN EXTERNAL_USER_FORBIDDEN ACCOUNT_INSUFFICIENT_PERMISSIONS FORBIDDEN
            REAL_TIME_CONFIG_FORBIDDEN_ACCESS""",
        404: """DEPLOYMENT_NOT_FOUND PHONE_NUMBERS_CONNECTOR_DOES_NOT_EXIST PHONE_NUMBERS_NOT_FOUND
            CONNECTORS_NOT_FOUND ACCOUNT_NOT_FOUND PROJECT_NOT_FOUND""",
        409: """DEPLOYMENTS_ENVIRONMENT_ALREADY_PUBLISHED DEPLOYMENTS_ALREADY_PUBLISHED
            PHONE_NUMBERS_ALREADY_EXISTS VARIANTS_DUPLICATE_NAME_ERROR PROJECT_ID_ALREADY_EXISTS""",
        412: "ErrPreReleaseNotReady",
        429: "RATE_LIMIT_EXCEEDED",
    }.items()
    for code in codes.split()
}
_CLASS_OF_STATUS: dict[int, type[ApiError]] = {
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    408: ServerError,
    409: Conflict,
    410: NotFound,
    412: PreconditionFailed,
    429: RateLimited,
}


@dataclass(frozen=True, slots=True)
class ErrorBody:
    """What an error body says, fit to be shown.

    :param error_code: the vendor's symbolic code, as it came.
    :param message: one line of at most 300 characters; empty when the body says nothing.
    :param field_errors: ``path: message`` per field.
    :param correlation_id: the id in the body under which the vendor finds the request.
    :param merge_conflict: whether the body is that of a refused merge.
    """

    error_code: str | None = None
    message: str = ""
    field_errors: tuple[str, ...] = ()
    correlation_id: str | None = None
    merge_conflict: bool = False


def is_envelope(payload: object) -> bool:
    """Tell whether the JSON of a success status is an error all the same.

    :param payload: decoded body.
    """
    if not isinstance(payload, dict):
        return False
    return payload.get("success") is False or bool(_code(payload.get("error_code"))) or _is_conflict(payload)


def read_error_body(body: bytes, call: ApiRequest[Any], redact: Redactor) -> ErrorBody:
    """Read an error body, JSON or not.

    :param body: as received.
    :param call: what was sent; its values are masked where the server quotes them.
    :param redact: masks the client's secrets.
    """
    try:
        payload = decode_body(body)
    except (ValueError, RecursionError):
        return ErrorBody(message=_raw_text(body, _cleaner(call, redact)))
    return error_body_of(payload, call, redact)


def error_body_of(payload: object, call: ApiRequest[Any], redact: Redactor) -> ErrorBody:
    """Read decoded JSON as a problem.

    :param payload: decoded body.
    :param call: what was sent.
    :param redact: masks the client's secrets.
    """
    clean = _cleaner(call, redact)
    if isinstance(payload, dict):
        return _conflict(payload, redact) if _is_conflict(payload) else _problem(payload, clean, redact)
    errors = tuple(_field_errors(payload, clean, redact)) if isinstance(payload, list) else ()
    return ErrorBody(field_errors=_first(errors))


def effective_status(status: int, problem: ErrorBody) -> int:
    """Return the status that the answer stands for: that of a known code, else its own.

    :param status: HTTP status; a success status with a problem counts as 400.
    :param problem: what the body says.
    """
    known = _STATUS_OF_CODE.get(_normal(problem.error_code)) if problem.error_code else None
    if known is not None:
        return known
    if problem.merge_conflict:
        return 409
    return status if status >= 400 else 400


def to_error(
    call: ApiRequest[Any],
    status: int,
    problem: ErrorBody,
    *,
    retry_after: float | None = None,
    correlation_id: str | None = None,
) -> ApiError:
    """Build the error that a refusal becomes: by error code first, by status second.

    :param call: what was sent.
    :param status: HTTP status.
    :param problem: what the body says.
    :param retry_after: seconds that the server named.
    :param correlation_id: the id that was sent.
    """
    effective = effective_status(status, problem)
    kind = ServerError if effective >= 500 else _CLASS_OF_STATUS.get(effective, BadRequest)
    return kind(
        _reason(status, problem, correlation_id),
        operation=call.operation,
        method=call.method,
        route=call.route,
        path=call.path,
        status=status,
        error_code=problem.error_code,
        correlation_id=correlation_id or problem.correlation_id,
        retry_after=retry_after,
    )


def one_line(text: str, limit: int = MESSAGE_LIMIT) -> str:
    """Make one printable line of ``text``, cut to ``limit`` characters.

    :param text: anything a server sent.
    :param limit: most characters to keep.
    """
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def _cleaner(call: ApiRequest[Any], redact: Redactor) -> _Clean:
    def clean(text: str) -> str:
        if len(text) > _UNREADABLY_LONG:
            return f"a text of {len(text)} characters, left out"
        query = (value for name, value in call.query if name not in call.shown)
        masked = mask_values(redact(text), [*query, *sent_values(call.body, call.shown)])
        return one_line(masked)

    return clean


def _problem(payload: dict[str, Any], clean: _Clean, redact: Redactor) -> ErrorBody:
    error = payload.get("error")
    nested = error if isinstance(error, dict) else {}
    errors = payload.get("errors")
    entries = [item for item in errors if isinstance(item, dict)] if isinstance(errors, list) else []
    codes = (payload.get("error_code"), _symbolic(payload), _symbolic(nested), *map(_symbolic, entries))
    messages = (
        *(payload.get(name) for name in ("error_message", "message")),
        error,
        nested.get("message"),
        *(payload.get(name) for name in ("detail", "title")),
    )
    return ErrorBody(
        error_code=next((one_line(redact(code), 80) for code in map(_code, codes) if code), None),
        message=next((clean(text) for text in messages if isinstance(text, str) and text.strip()), ""),
        field_errors=_first(tuple(_all_field_errors(payload, clean, redact))),
        correlation_id=_identifier(payload.get("error_id"), redact),
    )


def _all_field_errors(payload: dict[str, Any], clean: _Clean, redact: Redactor) -> Iterator[str]:
    for name in ("errors", "detail"):
        yield from _field_errors(payload.get(name), clean, redact)
    details = payload.get("details")
    if isinstance(details, dict):
        yield from _field_errors(details.get("formErrors"), clean, redact)
        yield from _field_errors(details.get("fieldErrors"), clean, redact)


def _field_errors(errors: object, clean: _Clean, redact: Redactor) -> Iterator[str]:
    if isinstance(errors, dict):
        for path, messages in errors.items():
            for message in messages if isinstance(messages, list) else [messages]:
                yield _labelled(path, message, clean, redact)
    elif isinstance(errors, list):
        for item in errors:
            if isinstance(item, dict):
                yield _labelled(_first_of(item, "field", "loc", "attribute"), _text_of(item), clean, redact)
            elif isinstance(item, str):
                yield clean(item)


def _text_of(item: dict[str, Any]) -> object:
    text = _first_of(item, "message", "msg", "detail", "title")
    code = _symbolic(item)
    return f"{text} ({code})" if isinstance(text, str) and code else text or code


def _labelled(path: object, message: object, clean: _Clean, redact: Redactor) -> str:
    label = ".".join(map(str, path)) if isinstance(path, list) else path
    text = clean(message) if isinstance(message, str) else ""
    if not isinstance(label, str) or not label:
        return text
    return ": ".join(part for part in (one_line(redact(label), _PATH_LIMIT), text) if part)


def _first(entries: tuple[str, ...]) -> tuple[str, ...]:
    named = tuple(dict.fromkeys(entry for entry in entries if entry))
    if len(named) <= _ENTRIES:
        return named
    return (*named[:_ENTRIES], f"and {len(named) - _ENTRIES} more")


def _is_conflict(payload: dict[str, Any]) -> bool:
    return payload.get("hasConflicts") is True and isinstance(payload.get("conflicts"), list)


def _conflict(payload: dict[str, Any], redact: Redactor) -> ErrorBody:
    found = [item for item in payload["conflicts"] if isinstance(item, dict)]
    named = tuple(_conflict_line(item, redact) for item in found)
    return ErrorBody(
        message=f"the merge has {len(payload['conflicts'])} conflicts",
        field_errors=_first(named),
        merge_conflict=True,
    )


def _conflict_line(item: dict[str, Any], redact: Redactor) -> str:
    path = item.get("path")
    where = "/".join(map(str, path)) if isinstance(path, list) else "?"
    kind = item.get("type")
    label = kind if kind in ("add", "modify", "delete") else "change"
    return f"{label} {one_line(redact(where), _PATH_LIMIT)}"


def _reason(status: int, problem: ErrorBody, sent_id: str | None) -> str:
    parts = [problem.message or ("" if problem.field_errors else _phrase(status))]
    if problem.field_errors:
        listed = "; ".join(problem.field_errors)
        parts.append(f"({one_line(listed, 3 * MESSAGE_LIMIT)})" if problem.message else listed)
    if problem.correlation_id and problem.correlation_id != sent_id:
        parts.append(f"(error id {problem.correlation_id})")
    return " ".join(part for part in parts if part)


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase.lower()
    except ValueError:
        return "refused without a reason"


def _raw_text(body: bytes, clean: _Clean) -> str:
    if len(body) > _UNREADABLY_LONG:
        return f"not JSON, {len(body)} bytes"
    text = body.decode("utf-8", errors="replace").strip()
    return "an HTML page instead of JSON" if text.startswith("<") else clean(text)


def _code(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, (str, int)) or value == 0:
        return ""
    return str(value).strip()


def _symbolic(item: dict[str, Any]) -> str:
    code = item.get("code")
    return code if isinstance(code, str) and not code.isdigit() else ""


def _normal(code: str) -> str:
    return code.replace("_", "").lower()


def _identifier(value: object, redact: Redactor) -> str | None:
    if isinstance(value, str) and re.fullmatch(r"[\w.:-]{1,80}", value):
        return redact(value)
    return None


def _first_of(item: dict[str, Any], *names: str) -> Any:
    return next((item[name] for name in names if item.get(name)), None)
