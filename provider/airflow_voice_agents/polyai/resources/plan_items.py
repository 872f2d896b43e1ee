"""What PolyAI's kinds share when they compose items of plans and read kept states."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from airflow_voice_agents.plans.kind import Resource, ResourceKind, State, Transition
from airflow_voice_agents.plans.plan import Finding, PlannedItem, Severity, warning, waypoint_digests
from airflow_voice_agents.transport.errors import InputError


def planned(
    kind: ResourceKind[State],
    resource: Resource,
    before: State | None,
    after: State,
    *,
    findings: tuple[Finding, ...] = (),
    source: str | None = None,
    identifiers: bool = False,
) -> PlannedItem:
    """Return the item that leads from one state to another; with an error among the findings, by no write.

    :param kind: the kind of the resource.
    :param resource: which one.
    :param before: what it is; ``None`` where it does not exist.
    :param after: what it shall be.
    :param findings: what there is to say about it.
    :param source: digest of what was taken from.
    :param identifiers: whether states are ids and names, which every plan may show.
    """
    digests = kind.digest(before), kind.digest(after)
    if digests[0] == digests[1]:
        return PlannedItem(resource, *digests, source=source, findings=findings)
    intent = Transition(resource, before, after)
    refused = any(finding.severity is Severity.ERROR for finding in findings)
    lanes = () if refused else tuple(kind.write_sequences([intent]))
    return PlannedItem(
        resource,
        *digests,
        source=source,
        changes=tuple(kind.diff(before, after)),
        findings=findings,
        writes=sum(map(len, lanes)),
        waypoints=waypoint_digests(lanes),
        identifiers=identifiers,
        intent=intent,
    )


def left_alone(
    kind: ResourceKind[State],
    resource: Resource,
    now: State | None,
    *findings: Finding,
    source: str | None = None,
) -> PlannedItem:
    """Return the item of a resource that stays as it is.

    :param kind: the kind of the resource.
    :param resource: which one.
    :param now: what it is; ``None`` where it does not exist.
    :param findings: why it stays, where that is worth a word.
    :param source: digest of what would have been taken from.
    """
    digest = kind.digest(now)
    return PlannedItem(resource, digest, digest, source=source, findings=findings)


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
