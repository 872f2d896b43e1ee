"""Saves and restores the call routing of numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from airflow_voice_agents.engine.policy import BlockDigests
from airflow_voice_agents.engine.restore import RestoreAction
from airflow_voice_agents.engine.run_context import RunContext
from airflow_voice_agents.engine.snapshot_recorder import AFTER
from airflow_voice_agents.plans.kind import Kinds, Resource, ResourceKind
from airflow_voice_agents.plans.plan import PlannedItem, TargetPlan
from airflow_voice_agents.plans.snapshot import Snapshot
from airflow_voice_agents.signalwire.actions.routing import UpdatingAction
from airflow_voice_agents.signalwire.resources import e911, phone_number
from airflow_voice_agents.signalwire.resources.inventory import NumberSelection, Space
from airflow_voice_agents.signalwire.resources.phone_number import (
    RouteState,
    RoutingKind,
    carrier_number,
    state_of,
    unrestorable,
)
from airflow_voice_agents.signalwire.resources.route_fingerprint import RouteFingerprint, Routes
from airflow_voice_agents.transport.errors import GuardRefused, InputError
from airflow_voice_agents.transport.validation import summarize_list

KEEP = "snapshot call routing"


def restorable_kinds(base_url: str | None) -> Kinds:
    """Return the kinds that a snapshot of SignalWire can hold.

    :param base_url: the URL that requests go to.
    """
    return {phone_number.KIND: RoutingKind(base_url), e911.KIND: e911.E911Kind(base_url)}


async def take_snapshot(run: RunContext, space: Space, selection: NumberSelection) -> dict[str, Any]:
    """List numbers and return a snapshot of their routing as a document; its URLs hold their passwords.

    Vendor operation: list phone numbers.

    :param run: the run.
    :param space: the space that the numbers live in.
    :param selection: the numbers.
    :raises GuardRefused: when a named number is not there, or none fits.
    """
    states = await selection.read(run.send, space.base_url, state_of)
    if missing := [number for number in selection.numbers if number not in states]:
        raise GuardRefused(
            f"{KEEP}: space {space.label} does not have {summarize_list(missing)}. Nothing was kept."
        )
    if not states:
        reason = await selection.why_none(run.send, space.base_url)
        raise GuardRefused(f"{KEEP}: no number of space {space.label} fits. {reason} Nothing was kept.")
    one_way = [number for number, state in states.items() if unrestorable(state)]
    if one_way:
        run.log(
            f"{KEEP}: {len(one_way)} number(s) could not be restored once changed: {summarize_list(one_way)}"
        )
    resources = {carrier_number(space.label, number): state for number, state in states.items()}
    return Snapshot(resources).document(restorable_kinds(space.base_url))


@dataclass(frozen=True, kw_only=True)
class RestoreNumbersAction(UpdatingAction, RestoreAction):
    """A restore of numbers with checked arguments.

    A number is the change's own work where its routing has the fingerprint of the route that the change set, or
    the digest that the snapshot notes.

    Vendor operations: list phone numbers, get phone number, update phone number, assign E911 address, remove E911
    address.

    :param expected: fingerprints of the routes that the caller says the change set.
    :param noted: fingerprints of the routes that the snapshot notes.
    """

    operation: ClassVar[str] = "restore call routing"
    or_partial: ClassVar[str] = ", or allow_partial=True to restore the others"
    or_expected: ClassVar[str] = ", or pass expected_route"

    expected: Mapping[Resource, RouteFingerprint] = field(default_factory=dict)
    noted: Mapping[Resource, RouteFingerprint] = field(default_factory=dict)

    def kinds(self) -> Kinds:
        """Return the kinds that a snapshot can hold."""
        return restorable_kinds(self.space.base_url)

    def locks(self, target: str, resources: Sequence[Resource]) -> tuple[str, ...]:
        """Return one name per number."""
        return self.space.lock_names(resource.name for resource in resources)

    def is_ours(
        self, kind: ResourceKind[Any], item: PlannedItem, now: Any, own: Mapping[str, Sequence[str]]
    ) -> bool:
        """Return whether a number is as the change left it, or as an earlier try of this restore left it."""
        if item.before in own.get(item.resource.key, ()) or self._has_mark(item.resource, now):
            return True
        return item.resource not in self.expected and super().is_ours(kind, item, now, own)

    def block_digests(self, targets: Sequence[TargetPlan]) -> BlockDigests:
        """Return the states that the change left: as the snapshot notes them, else as they are now."""
        found = super().block_digests(targets)
        now = {
            item.resource: item.before
            for target in targets
            for item in target.items
            if item.changed
            and item.transition
            and not item.refusals
            and self._has_mark(item.resource, item.transition.before)
        }
        digests = {
            name: {**{each: now[each] for each in mine if each in now}, **found.get(name, {})}
            for name, mine in self.targets().items()
        }
        return {name: blocked for name, blocked in digests.items() if blocked}

    def _has_mark(self, resource: Resource, now: Any) -> bool:
        mark = self.expected.get(resource) or self.noted.get(resource)
        return mark is not None and isinstance(now, RouteState) and mark.is_on(now)


def parse_restore(
    space: Space, document: Any, expected_route: object, expected_routes: object, **options: Any
) -> RestoreNumbersAction:
    """Check the arguments of a restore.

    :param space: the space that the numbers live in.
    :param document: the snapshot.
    :param expected_route: the route that the cut-over set, or
    :param expected_routes: mapping of numbers to such routes; without both, the snapshot itself says.
    :param options: ``force`` and ``allow_partial``.
    :raises InputError: naming what is wrong.
    """
    snapshot = Snapshot.from_document(document, restorable_kinds(space.base_url))
    if not snapshot.states:
        raise InputError("the snapshot is empty; there is nothing to restore")
    if strange := sorted({each.owner for each in snapshot.states} - {space.label}):
        raise InputError(
            f"the snapshot is of space {', '.join(strange)}, and the connection leads to {space.label}"
        )
    routed = {each.name: each for each in snapshot.states if each.kind == phone_number.KIND}
    routes = Routes.parse(expected_route, expected_routes)
    marks = {} if routes is None else routes.marks(routed)
    noted = {each: mark for each in routed.values() if (mark := _noted(snapshot.notes.get(each)))}
    expected = {routed[number]: mark for number, mark in marks.items()}
    return RestoreNumbersAction(
        space=space,
        snapshot=snapshot,
        digest=document["digest"],
        expected=expected,
        noted=noted,
        left=dict.fromkeys([*expected, *(each for each in noted if AFTER not in snapshot.notes[each])], ()),
        **options,
    )


def _noted(note: Any) -> RouteFingerprint | None:
    """Return the fingerprint in a note; a note without one may hold digests alone."""
    if not isinstance(note, Mapping) or "fields" not in note:
        return None
    return RouteFingerprint.from_plain({"fields": note["fields"], "digest": note.get("digest")})
