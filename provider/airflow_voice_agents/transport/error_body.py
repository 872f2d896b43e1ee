"""Reads error bodies in the shapes that platforms share, and builds the matching errors.

Messages are one line, cut short, without keys and sent values.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from http import HTTPStatus
from typing import Any

from airflow_voice_agents.transport.api_request import ApiRequest
from airflow_voice_agents.transport.error_format import ErrorBody, ErrorFormat, normalize_code
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
from airflow_voice_agents.transport.redaction import LONGEST, Redactor
from airflow_voice_agents.transport.text import MESSAGE_LIMIT, one_line

_PATH_LIMIT = 80
_CODE_LIMIT = 80
_ENTRIES = 10

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


def read_error_body(
    body: bytes, request: ApiRequest[Any], redact: Redactor, error_format: ErrorFormat
) -> ErrorBody:
    """Read an error body, JSON or not.

    :param body: as received.
    :param request: the request that was sent; its values are masked where the server quotes them.
    :param redact: masks the client's secrets.
    :param error_format: the platform's own error shapes.
    """
    try:
        payload = decode_body(body)
    except (ValueError, RecursionError):
        return ErrorBody(message=_raw_text(body, redact.about(request)))
    return error_body_of(payload, request, redact, error_format)


def error_body_of(
    payload: object, request: ApiRequest[Any], redact: Redactor, error_format: ErrorFormat
) -> ErrorBody:
    """Read decoded JSON as an error.

    :param payload: decoded body.
    :param request: the request that was sent.
    :param redact: masks the client's secrets.
    :param error_format: the platform's own error shapes.
    """
    redact = redact.about(request)
    if isinstance(payload, dict):
        own = (reader(payload, redact) for reader in error_format.readers)
        return next((body for body in own if body), None) or _common(payload, redact, error_format)
    errors = tuple(_field_errors(payload, redact)) if isinstance(payload, list) else ()
    return ErrorBody(field_errors=first_entries(errors), recognized=any(errors))


def to_error(
    request: ApiRequest[Any],
    status: int,
    body: ErrorBody,
    *,
    effective: int | None = None,
    retry_after: float | None = None,
    correlation_id: str | None = None,
    advice: str | None = None,
) -> ApiError:
    """Build the error for a refusal or a failure of the platform.

    :param request: the request that was sent.
    :param status: HTTP status of the response.
    :param body: content of its body.
    :param effective: HTTP status that chooses the class, where the body stands for another than ``status``.
    :param retry_after: seconds that the server asked to wait.
    :param correlation_id: the id that was sent.
    :param advice: what to do next, in the platform's own terms; ``None`` takes that of the class.
    """
    effective = status if effective is None else effective
    kind = ServerError if effective >= 500 else _CLASS_OF_STATUS.get(effective, BadRequest)
    return kind(
        reason_of(status, body, correlation_id),
        operation=request.operation,
        method=request.method,
        route=request.route,
        path=request.path,
        status=status,
        error_code=body.error_code,
        correlation_id=correlation_id or body.correlation_id,
        advice=advice,
        retry_after=retry_after,
    )


def reason_of(status: int, body: ErrorBody, sent_id: str | None = None) -> str:
    """Say in one line what an error body says; by the status where it says nothing.

    :param status: HTTP status of the response.
    :param body: content of its body.
    :param sent_id: the correlation id that was sent; another one in the body is named.
    """
    parts = [body.message or ("" if body.field_errors else _phrase(status))]
    if body.field_errors:
        listed = "; ".join(body.field_errors)
        parts.append(f"({one_line(listed, 3 * MESSAGE_LIMIT)})" if body.message else listed)
    if body.correlation_id and body.correlation_id != sent_id:
        parts.append(f"(error id {body.correlation_id})")
    return " ".join(part for part in parts if part)


def first_entries(entries: Iterable[str]) -> tuple[str, ...]:
    """Keep the first ten different entries, and say how many more there are.

    :param entries: one line each; empty ones are left out.
    """
    named = tuple(dict.fromkeys(entry for entry in entries if entry))
    if len(named) <= _ENTRIES:
        return named
    return (*named[:_ENTRIES], f"and {len(named) - _ENTRIES} more")


def _common(payload: dict[str, Any], redact: Redactor, error_format: ErrorFormat) -> ErrorBody:
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
    code = next((_shown_code(code, redact, error_format) for code in map(_code, codes) if code), None)
    message = next(
        (_message(text, redact) for text in messages if isinstance(text, str) and text.strip()), ""
    )
    field_errors = first_entries(_all_field_errors(payload, redact))
    return ErrorBody(
        error_code=code,
        message=message,
        field_errors=field_errors,
        correlation_id=_identifier(payload.get("error_id"), redact),
        recognized=bool(code or message or field_errors),
    )


def _all_field_errors(payload: dict[str, Any], redact: Redactor) -> Iterator[str]:
    for name in ("errors", "detail"):
        yield from _field_errors(payload.get(name), redact)
    details = payload.get("details")
    if isinstance(details, dict):
        yield from _field_errors(details.get("formErrors"), redact)
        yield from _field_errors(details.get("fieldErrors"), redact)


def _field_errors(errors: object, redact: Redactor) -> Iterator[str]:
    if isinstance(errors, dict):
        for path, messages in errors.items():
            for message in messages if isinstance(messages, list) else [messages]:
                yield _labelled(path, message, redact)
    elif isinstance(errors, list):
        for item in errors:
            if isinstance(item, dict):
                yield _labelled(_first_of(item, "field", "loc", "attribute"), _text_of(item), redact)
            elif isinstance(item, str):
                yield _message(item, redact)


def _text_of(item: dict[str, Any]) -> object:
    text = _first_of(item, "message", "msg", "detail", "title")
    code = _symbolic(item)
    return f"{text} ({code})" if isinstance(text, str) and code else text or code


def _labelled(path: object, message: object, redact: Redactor) -> str:
    label = ".".join(map(str, path)) if isinstance(path, list) else path
    text = _message(message, redact) if isinstance(message, str) else ""
    if not isinstance(label, str) or not label:
        return text
    return ": ".join(part for part in (redact.label(label, _PATH_LIMIT), text) if part)


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase.lower()
    except ValueError:
        return "refused without a reason"


def _raw_text(body: bytes, redact: Redactor) -> str:
    if len(body) > LONGEST:
        return f"not JSON, {len(body)} bytes"
    text = body.decode("utf-8", errors="replace").strip()
    return "an HTML page instead of JSON" if text.startswith("<") else _message(text, redact)


def _message(text: str, redact: Redactor) -> str:
    return redact(text, MESSAGE_LIMIT)


def _shown_code(code: str, redact: Redactor, error_format: ErrorFormat) -> str:
    """A documented code is the platform's own word, even where the request sent the same text."""
    return code if normalize_code(code) in error_format.codes else redact.label(code, _CODE_LIMIT)


def _code(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, (str, int)) or value == 0:
        return ""
    return str(value).strip()


def _symbolic(item: dict[str, Any]) -> str:
    code = item.get("code")
    return code if isinstance(code, str) and not code.isdigit() else ""


def _identifier(value: object, redact: Redactor) -> str | None:
    if isinstance(value, str) and re.fullmatch(r"[\w.:-]{1,80}", value):
        return redact(value)
    return None


def _first_of(item: dict[str, Any], *names: str) -> Any:
    return next((item[name] for name in names if item.get(name)), None)
