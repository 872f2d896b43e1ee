"""A plan as a document, which one task creates and another applies."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

import msgspec

from airflow_voice_agents.plans.canonical import digest
from airflow_voice_agents.plans.kind import Resource
from airflow_voice_agents.plans.plan import PLAN_VERSION, Plan, PlannedItem
from airflow_voice_agents.transport.errors import InputError
from airflow_voice_agents.transport.records import Record

CHECKSUM = "checksum"


class ExpectedDigest(msgspec.Struct, frozen=True):
    """What a saved plan holds one resource to.

    :param before: digest of what it was when it was planned.
    :param after: digest of the desired state.
    :param source: digest of what was taken from, or ``None`` without a source.
    :param waypoints: digests that the planned writes lead through.
    """

    before: str
    after: str
    source: str | None
    waypoints: tuple[str, ...] = ()

    def admits(self, item: PlannedItem) -> bool:
        """Tell whether a resource, planned again now, is still on the way from before to after.

        A half-applied plan holds resources before, after and between their writes.

        :param item: the resource as planned now.
        """
        on_its_way = item.before in (self.before, self.after, *self.waypoints)
        return on_its_way and item.after == self.after and item.source == self.source


class PlanDocument(Record, frozen=True):
    """A plan that was saved: digests, keys and counts, never values.

    :param operation: what the run is.
    :param digest: the plan's digest, which an approval is bound to.
    :param pins: resource -> what it is held to.
    :param request: what was asked for, as the one who saved the plan wrote it down.
    :param counts: as :meth:`.Plan.counts` returned them.
    :param summary: as :meth:`.PlanSummary.document` returned it, or ``None``.
    """

    not_shown = ("request",)

    operation: str
    digest: str
    pins: Mapping[Resource, ExpectedDigest]
    request: Any
    counts: Mapping[str, int]
    summary: Mapping[str, Any] | None = None

    @classmethod
    def read(cls, value: object) -> PlanDocument:
        """Read what :func:`save` returned.

        :param value: decoded JSON.
        :raises InputError: for another version, and for a document that was changed.
        """
        if not isinstance(value, Mapping) or value.get("version") != PLAN_VERSION or CHECKSUM not in value:
            raise InputError(f"plan is not a saved plan of version {PLAN_VERSION}")
        body = {key: part for key, part in value.items() if key != CHECKSUM}
        try:
            whole = digest(body) == value[CHECKSUM] and _digest_of(body) == body["digest"]
        except (ValueError, KeyError, TypeError):  # no JSON, or no plan
            whole = False
        if not whole:
            raise InputError("plan was changed after it was made; it is not carried out. Plan again")
        if body["counts"]["errors"]:
            raise InputError("plan has errors; it cannot be carried out. Correct them and plan again")
        return cls(
            operation=body["operation"],
            digest=body["digest"],
            pins={_resource(entry): _pin(entry) for entry in body["items"]},
            request=body["request"],
            counts=body["counts"],
            summary=body.get("summary"),
        )

    @property
    def empty(self) -> bool:
        """Whether the plan changes nothing."""
        return not self.counts["to_change"]

    def moved(self, items: Iterable[PlannedItem], *, done: Collection[Resource] = ()) -> list[Resource]:
        """List the resources that are not as planned, nor on their way: nothing may be written then.

        :param items: everything that the same request plans now, but for what is done.
        :param done: resources that an earlier try of the same run has brought to their end.
        """
        now = {item.resource: item for item in items}
        strangers = [resource for resource in now if resource not in self.pins]
        return strangers + [
            resource
            for resource, pin in self.pins.items()
            if resource not in done and not (resource in now and pin.admits(now[resource]))
        ]


def save(plan: Plan, request: Any, *, summary: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return a plan as JSON that :meth:`PlanDocument.read` takes.

    :param plan: the plan.
    :param request: JSON from which the same plan can be made again; no config values.
    :param summary: for the person who approves it; no config values.
    """
    body = {**plan.document(), "request": request, **({"summary": dict(summary)} if summary else {})}
    return {**body, CHECKSUM: digest(body)}


def _digest_of(body: Mapping[str, Any]) -> str:
    """Return the digest that the items have, whatever the document calls its own."""
    items = (
        PlannedItem(_resource(entry), entry["before"], entry["after"], entry["source"])
        for entry in body["items"]
    )
    return Plan(body["operation"], tuple(items)).digest


def _resource(entry: Mapping[str, Any]) -> Resource:
    return Resource(entry["kind"], entry["owner"], entry["name"])


def _pin(entry: Mapping[str, Any]) -> ExpectedDigest:
    return ExpectedDigest(entry["before"], entry["after"], entry["source"], tuple(entry["waypoints"]))
