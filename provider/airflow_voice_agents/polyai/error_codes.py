"""The documented errors of the PolyAI API: codes, marks in success statuses, merge conflicts, advice."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from airflow_voice_agents.transport.error_body import first_entries
from airflow_voice_agents.transport.error_format import ErrorBody, ErrorFormat
from airflow_voice_agents.transport.redaction import Redactor

CORRELATION_HEADER: Final = "X-PolyAI-Correlation-Id"

CONFLICTS: Final = "the merge has"
"""Beginning of the reason of a merge that was refused with a list of its conflicts."""

_PATH_LIMIT: Final = 80

_CODES: Final = {
    400: """DEPLOYMENTS_VALIDATION_FAILED 6007 DEPLOYMENTS_INVALID_ENVIRONMENT 6008
        FUNCTIONS_DEPLOYMENT_HAS_ERRORS 9004 PHONE_NUMBERS_INVALID_PHONE_NUMBER_FORMAT 14003
        CONNECTORS_VALIDATION_FAILED 14101 REAL_TIME_CONFIG_INVALID_FOR_SCHEMA 29002
        REAL_TIME_CONFIG_INVALID_SCHEMA 29004 REAL_TIME_CONFIG_UNKNOWN_CLIENT_ENVIRONMENT 29006
        VARIANTS_BAD_ATTRIBUTES_ERROR 26001 VARIANTS_REMOVE_DEFAULT_ERROR 26003 PROJECT_ID_INVALID 15006""",
    401: "AUTH_USER_NOT_FOUND 3001 AUTH_USER_UNAUTHORISED 3002 AUTH_USER_INVALID_TOKEN 3003",
    403: """USER_ACCESS_FORBIDDEN 2 EXTERNAL_USER_FORBIDDEN 3 ACCOUNT_INSUFFICIENT_PERMISSIONS 1003 FORBIDDEN
        REAL_TIME_CONFIG_FORBIDDEN_ACCESS 29001""",
    404: """DEPLOYMENT_NOT_FOUND 6001 PHONE_NUMBERS_CONNECTOR_DOES_NOT_EXIST 14005 PHONE_NUMBERS_NOT_FOUND 14006
        CONNECTORS_NOT_FOUND 14100 ACCOUNT_NOT_FOUND 1002 PROJECT_NOT_FOUND 15001""",
    409: """DEPLOYMENTS_ENVIRONMENT_ALREADY_PUBLISHED 6002 DEPLOYMENTS_ALREADY_PUBLISHED 6009
        PHONE_NUMBERS_ALREADY_EXISTS 14007 VARIANTS_DUPLICATE_NAME_ERROR 26002
        PROJECT_ID_ALREADY_EXISTS 15005""",
    412: "ErrPreReleaseNotReady",
}

STATUS_OF_CODE: Final[Mapping[str, int]] = MappingProxyType(
    {code: status for status, codes in _CODES.items() for code in codes.split()}
)
"""HTTP status that each documented code stands for, by symbol and by number.

``DEPLOYMENTS_ENVIRONMENT_ALREADY_PUBLISHED`` is documented with 200 and stands for 409, a conflict.
"""

ADVICE: Final[Mapping[str, str]] = MappingProxyType(
    {
        "401": "Check the connection's API key and that its region is the key's own.",
        "403": "The key has no right to this agent, account or area; ask for it or use another connection.",
        "404": "Check the id, and that the connection's region is the one the resource lives in.",
        "410": "Check the id, and that the connection's region is the one the resource lives in.",
        "412": "Meet the condition first; for a promotion to live that is a promotion to pre-release.",
    }
)
"""Advice for the user, by HTTP status."""


def read_merge_conflict(payload: Mapping[str, Any], redact: Redactor) -> ErrorBody | None:
    """Read the body of a refused merge, which lists its conflicts; its values are left out.

    :param payload: decoded body.
    :param redact: masks the client's secrets.
    """
    conflicts = payload.get("conflicts")
    if payload.get("hasConflicts") is not True or not isinstance(conflicts, list):
        return None
    named = first_entries(_conflict(item, redact) for item in conflicts if isinstance(item, dict))
    message = f"{CONFLICTS} {len(conflicts)} conflicts"
    return ErrorBody(message=message, field_errors=named, status=409, recognized=True)


def _conflict(item: Mapping[str, Any], redact: Redactor) -> str:
    path, kind = item.get("path"), item.get("type")
    where = "/".join(map(str, path)) if isinstance(path, list) else "?"
    label = kind if kind in ("add", "modify", "delete") else "change"
    return f"{label} {redact.label(where, _PATH_LIMIT)}"


ERROR_FORMAT: Final = ErrorFormat(
    codes=STATUS_OF_CODE,
    flags={"success": False, "hasConflicts": True},
    members=frozenset({"error_code"}),
    readers=(read_merge_conflict,),
)
"""The errors of the PolyAI API, as data for the transport."""
