"""Roll back a promotion: restore its snapshot, with moved connectors returned in a safe order."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from msgspec.structs import replace

from airflow_voice_agents.engine.apply import TARGET_NOTE
from airflow_voice_agents.engine.concurrency import Sender
from airflow_voice_agents.engine.restore import RestoreAction, digests_in
from airflow_voice_agents.engine.run_context import RunContext
from airflow_voice_agents.plans.kind import Kinds, Resource
from airflow_voice_agents.plans.plan import Plan, PlannedItem, TargetPlan
from airflow_voice_agents.plans.report import Report
from airflow_voice_agents.plans.rollback_text import RollbackTargets
from airflow_voice_agents.plans.snapshot import Snapshot
from airflow_voice_agents.polyai.actions.base import PolyAIAction, target_name
from airflow_voice_agents.polyai.actions.deployment_xcoms import with_advice
from airflow_voice_agents.polyai.ladder import LIVE
from airflow_voice_agents.polyai.resources import connector_move, sip_extension
from airflow_voice_agents.polyai.resources.connector import KIND as CONNECTOR
from airflow_voice_agents.polyai.resources.connector import ConnectorKind, ConnectorState, connector
from airflow_voice_agents.polyai.resources.connector_matching import plan_arrival
from airflow_voice_agents.polyai.resources.connector_move import PlaceState
from airflow_voice_agents.polyai.resources.registry import ORDER, kinds
from airflow_voice_agents.transport.errors import InputError
from airflow_voice_agents.transport.validation import parse_choice

OPERATION = "roll back"
LEAVE = "leave"
NEWER_WORK = (LEAVE, "refuse")

States = Mapping[Resource, Any]
Own = Mapping[str, Sequence[str]]


@dataclass(frozen=True, kw_only=True)
class Rollback(PolyAIAction, RestoreAction):
    """A rollback of everything that a snapshot holds.

    A deployment goes back by roll back deployment, a moved connector by update connector. A config page that no
    plain order of writes keeps valid on its way back takes the way over a permissive schema.

    With ``allow_partial``, a target that somebody has worked on since is left whole, because its resources depend on
    each other; of a target with resources of one kind, only those are left that were edited.

    :param holds: whether the run puts on hold what it rolls back; for the report.
    """

    operation: ClassVar[str] = OPERATION
    leaves_newer_work: ClassVar[bool] = True
    or_partial: ClassVar[str] = ", or newer_work='leave' to roll back the others"

    holds: bool = field(default=False, compare=False)

    def kinds(self) -> Kinds:
        """Return every kind that a promotion can hold."""
        return kinds(bridge_schema=True)

    def is_live(self, target: str) -> bool:
        """Return whether a target is a live environment, or a SIP trunk, which callers reach in any case."""
        return target.rpartition("/")[2] == LIVE or target.startswith(sip_extension.TARGET)

    def locks(self, target: str, resources: Sequence[Resource]) -> tuple[str, ...]:
        """Return the target, and the environments that connectors go back to."""
        environment = target.rpartition("/")[2]
        back = [
            target_name(each.owner, environment) for each in resources if each.kind == connector_move.KIND
        ]
        return tuple(dict.fromkeys([target, *back]))

    def depend_on_each_other(self, items: Sequence[PlannedItem]) -> bool:
        """Return whether a target has resources of several kinds, or moved connectors, which have two halves."""
        found = {item.resource.kind for item in items}
        return len(found) > 1 or connector_move.KIND in found

    async def finish(self, run: RunContext, plan: Plan, report: Report) -> Report:
        """Return the report; one that is not complete says first what still runs."""
        moved = {
            name: [connector(each.owner, each.name) for each in mine if each.kind == connector_move.KIND]
            for name, mine in self.targets().items()
        }
        resources = {name: [*mine, *moved[name]] for name, mine in self.targets().items()}
        targets = RollbackTargets(
            resources, self.is_live, self.holds, "newer_work='leave' rolls back the others"
        )
        return targets.account(plan, report)

    def sender(self, send: Sender, targets: Sequence[TargetPlan]) -> Sender:
        """Return a sender whose refusals say what to do next."""
        return with_advice(send)

    def items(self, resources: Sequence[Resource], states: States, own: Own) -> Iterable[PlannedItem]:
        """Return the items of one target: each goes back before the one that it depends on.

        A connector that a move brought goes away with the move. The settings of one that comes back follow its
        move, because the move may take its variant away.
        """
        stay = [each for each in resources if not self._arrived(each)]
        there = sorted(super().items(stay, states, own), key=lambda item: -ORDER.index(item.resource.kind))
        places = [place for place, item in enumerate(there) if item.resource.kind == connector_move.KIND]
        at = max(places, default=-1) + 1
        return (*there[:at], *self._returned(resources, states, own), *there[at:])

    def _arrived(self, resource: Resource) -> bool:
        return resource.kind == CONNECTOR and self.snapshot.states[resource] is None

    def _returned(self, resources: Sequence[Resource], states: States, own: Own) -> Iterator[PlannedItem]:
        """Plan the settings of connectors that move back."""
        for resource in resources:
            kept = self.snapshot.states[resource]
            if isinstance(kept, PlaceState) and kept.here and kept.connector is not None:
                yield self._settings(resource, kept.connector, states, own)

    def _settings(self, resource: Resource, kept: ConnectorState, states: States, own: Own) -> PlannedItem:
        kind, where = ConnectorKind(batch_size=1), connector(resource.owner, resource.name)
        now = states[resource]
        if isinstance(now, PlaceState) and now.here and now.connector is not None:
            found, item = now.connector, kind.restore(where, kept, now.connector)
        else:
            found = _elsewhere(resource, states) or kept
            item = plan_arrival(kind, where, found, kept)
        known = {
            *(kind.digest(each) for each in (kept, replace(kept, variant_id=None))),
            *own.get(where.key, ()),
            *(digest for digests in self._left_in(resource.name) for digest in digests),
        }
        return (
            item
            if not item.changed or kind.digest(found) in known
            else dataclasses.replace(self, left={where: ()}).newer(item)
        )

    def _left_in(self, name: str) -> Iterator[Sequence[str]]:
        """Return digests of a connector's settings that the promotion may have left, wherever it moved."""
        for resource, note in self.snapshot.notes.items():
            if (resource.kind, resource.name) == (CONNECTOR, name):
                yield digests_in(note)


def parse_rollback(
    document: Any, *, force: bool = False, newer_work: object = LEAVE, holds: bool = False
) -> Rollback:
    """Return the rollback to a snapshot.

    :param document: the snapshot of a promotion.
    :param force: whether newer work of others is overwritten.
    :param newer_work: ``leave`` to roll back what nobody has worked on since, or ``refuse`` to roll back nothing then.
    :param holds: whether the run puts on hold what it rolls back.
    :raises InputError: when it is not the snapshot of a promotion, or was changed.
    """
    way = parse_choice(newer_work, name="newer_work", choices=NEWER_WORK)
    snapshot = Snapshot.from_document(document, kinds())
    for resource in snapshot.states:
        note = snapshot.notes.get(resource)
        if not isinstance(note, Mapping) or TARGET_NOTE not in note:
            raise InputError("snapshot was not taken by a promotion; it does not say what belongs together")
    return Rollback(
        snapshot=snapshot, digest=document["digest"], force=force, allow_partial=way == LEAVE, holds=holds
    )


def _elsewhere(resource: Resource, states: States) -> ConnectorState | None:
    """Return a connector that was moved away as it is where it is now."""
    places = [state for other, state in states.items() if _same_name(other, resource)]
    found = (each.connector for each in places if isinstance(each, PlaceState) and each.here)
    return next((each for each in found if each is not None), None)


def _same_name(one: Resource, other: Resource) -> bool:
    return (one.kind, one.name) == (other.kind, other.name)
