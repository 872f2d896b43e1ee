"""Helpers of PolyAI's kinds: the warning of an incomplete restore, and strict parsing of saved states."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from airflow_voice_agents.plans.plan import Finding, warning
from airflow_voice_agents.transport.errors import InputError


def cannot_undo(message: str) -> Finding:
    """Return the warning of a restore that reaches less than what was kept."""
    return warning("cannot_undo", message)


def kept_fields(plain: object, names: Sequence[str], *, what: str) -> Mapping[str, Any]:
    """Return a kept state as a mapping of exactly the fields named.

    :param plain: decoded JSON.
    :param names: the fields.
    :param what: whose state it is, for the error.
    :raises InputError: for anything else.
    """
    if not isinstance(plain, Mapping) or set(plain) != set(names):
        raise InputError(f"the kept state of a {what} must have exactly the fields {', '.join(names)}")
    return plain


def kept_text(fields: Mapping[str, Any], name: str, *, what: str) -> str | None:
    """Return a field of a kept state that holds a text or nothing.

    :param fields: as :func:`kept_fields` returned them.
    :param name: the field.
    :param what: whose state it is, for the error.
    :raises InputError: for anything but a text or ``null``.
    """
    value = fields[name]
    if value is not None and not isinstance(value, str):
        raise InputError(f"{name} in the kept state of a {what} must be a text or null")
    return value
