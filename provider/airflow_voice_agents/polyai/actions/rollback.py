"""Bring targets back to what a snapshot kept, unless somebody has worked on them since."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from airflow_voice_agents.engine.checkpoints import Checkpoints
from airflow_voice_agents.engine.reads import observe
from airflow_voice_agents.engine.rollout import RolloutPolicy, roll_out
from airflow_voice_agents.engine.run_context import ApplyOptions, RunContext, TaskState, unwritten
from airflow_voice_agents.plans.guards import check_live
from airflow_voice_agents.plans.kind import Resource
from airflow_voice_agents.plans.plan import Finding, PlannedItem, TargetPlan, error, plan_of, warning
from airflow_voice_agents.plans.render import Display, render_plan
from airflow_voice_agents.plans.report import Report, explain
from airflow_voice_agents.plans.snapshot import Snapshot
from airflow_voice_agents.polyai.actions.deployment_xcoms import with_advice
from airflow_voice_agents.polyai.actions.promotion import guard_frozen, refuse_errors
from airflow_voice_agents.polyai.actions.snapshot_units import UNIT, Keep
from airflow_voice_agents.polyai.ladder import LIVE
from airflow_voice_agents.polyai.resources import connector_move
from airflow_voice_agents.polyai.resources.connector import KIND as CONNECTOR
from airflow_voice_agents.polyai.resources.connector import ConnectorKind, ConnectorState, connector
from airflow_voice_agents.polyai.resources.connector_matching import plan_arrival
from airflow_voice_agents.polyai.resources.connector_move import PlaceState
from airflow_voice_agents.polyai.resources.registry import ORDER, kinds
from airflow_voice_agents.transport.errors import CallError, InputError

OPERATION = "roll back"

_ways = partial(kinds, bridge_schema=True)
"""A page that no plain order of writes keeps valid on its way back takes the way over a permissive schema."""
PutOnHold = Callable[[Mapping[str, Mapping[Resource, str]]], None]
"""Puts targets on hold: target -> resource -> digest that is not to be promoted again."""


@dataclass(frozen=True, slots=True)
class RollbackJob:
    """A way back to a snapshot, ready to go.

    :param snapshot: what targets were, with notes of what a promotion left.
    :param digest: the snapshot's digest.
    :param pace: how fast it goes, and what stops it.
    :param force: whether what was changed since the promotion is overwritten as well.
    :param frozen: what the freeze windows say now.
    :param dry_run: plan only.
    :param display: what the plan in the log shows of values.
    :param keep: keeps what is about to change.
    :param hold: puts the targets on hold before the first write, or ``None``.
    :param notes: what outlives a try, for checkpoints, or ``None``.
    """

    snapshot: Snapshot[Any]
    digest: str
    pace: RolloutPolicy = field(default_factory=RolloutPolicy)
    force: bool = False
    frozen: tuple[Finding, ...] = ()
    dry_run: bool = False
    display: Display = field(default_factory=Display)
    keep: Keep | None = None
    hold: PutOnHold | None = None
    notes: TaskState | None = None

    @property
    def targets(self) -> list[str]:
        """The targets that the snapshot is of."""
        return list(_units_of(self.snapshot))

    @property
    def touched(self) -> list[str]:
        """Names of the targets, and of the environments that connectors go back to."""
        left = [
            f"{resource.owner}/{name.rpartition('/')[2]}"
            for name, mine in _units_of(self.snapshot).items()
            for resource in mine
            if resource.kind == connector_move.KIND
        ]
        return list(dict.fromkeys([*self.targets, *left]))

    @property
    def writes_live(self) -> bool:
        """Whether a live environment is among them."""
        return any(name.rpartition("/")[2] == LIVE for name in self.targets)

    async def run(self, run: RunContext) -> Report:
        """Read every resource of the snapshot, and bring back what the promotion has changed.

        Vendor operations: those of the snapshot's kinds; a deployment by roll back deployment, a moved
        connector by update connector.

        :param run: what the run works with.
        :raises GuardRefused: before any write, when a guard refuses, and when a target has newer work.
        """
        units_of = _units_of(self.snapshot)
        if not self.dry_run:
            run.guard(OPERATION, check_live([LIVE] if self.writes_live else [], run.guard_context))
            guard_frozen(run, OPERATION, self.frozen)
        ledger = Checkpoints(self.notes, f"back{self.digest}")
        planned_at = run.clock()
        states = await self._read(
            run, [r for name, mine in units_of.items() if name not in ledger.done for r in mine]
        )
        planner = _Planner(self.snapshot, states, self._own(run), force=self.force)
        units = [planner.unit(name, mine) for name, mine in units_of.items() if name not in ledger.done]
        plan = plan_of(OPERATION, units)
        run.log(render_plan(plan, self.display))
        if self.dry_run:
            return unwritten(plan, ApplyOptions(dry_run=True, explain=explain))
        refuse_errors(OPERATION, plan.items)
        self._remember(run, plan.items)
        if self.hold is not None:
            self.hold(_held(self.snapshot, units_of))
        if self.keep is not None:
            self.keep(run, units, ledger.resources)
        return await roll_out(
            replace(run, send=with_advice(run.send)),
            OPERATION,
            _ways(),
            units,
            pace=self.pace,
            ledger=ledger,
            order=list(units_of),
            planned_at=planned_at,
            plan_digest=plan.digest,
            notes=[finding.message for finding in self.frozen],
        )

    async def _read(self, run: RunContext, resources: Sequence[Resource]) -> Mapping[Resource, Any]:
        states: dict[Resource, Any] = {}

        def unreadable(resource: Resource, failure: CallError) -> None:
            states[resource] = failure

        await observe(run, _ways(), resources, seen=states.__setitem__, unreadable=unreadable)
        return states

    @property
    def _memory(self) -> str:
        return f"back-{self.digest[:16]}"

    def _own(self, run: RunContext) -> Mapping[str, Sequence[str]]:
        """Digests that an earlier try of this rollback may have left."""
        return (run.task_state.get(self._memory) if run.task_state is not None else None) or {}

    def _remember(self, run: RunContext, items: Iterable[PlannedItem]) -> None:
        if run.task_state is not None:
            own = {_key(item.resource): [item.after, *item.waypoints] for item in items if item.changed}
            run.task_state.set(self._memory, {**self._own(run), **own})


def job(document: Any) -> RollbackJob:
    """Return the way back to a snapshot.

    :param document: what a promotion kept.
    :raises InputError: when it is no snapshot of a promotion, or was changed.
    """
    snapshot = Snapshot.from_document(document, kinds())
    _units_of(snapshot)
    return RollbackJob(snapshot, document["digest"])


@dataclass(frozen=True)
class _Planner:
    """Plans the way back of one target after the other.

    :param snapshot: what they were.
    :param states: what they are; an error where that cannot be read.
    :param own: digests that an earlier try may have left.
    :param force: whether newer work is overwritten.
    """

    snapshot: Snapshot[Any]
    states: Mapping[Resource, Any]
    own: Mapping[str, Sequence[str]]
    force: bool

    def unit(self, name: str, resources: Sequence[Resource]) -> TargetPlan:
        """Plan a target: what stands on something else goes back before it.

        :param name: the target.
        :param resources: what the snapshot has of it.
        """
        ways = _ways()
        items = [self._item(ways[each.kind], each) for each in resources if not self._arrived(each)]
        there = sorted(items, key=lambda item: -ORDER.index(item.resource.kind))
        places = [place for place, item in enumerate(there) if item.resource.kind == connector_move.KIND]
        at = max(places, default=-1) + 1
        return TargetPlan(name, (*there[:at], *self._returned(resources), *there[at:]))

    def _arrived(self, resource: Resource) -> bool:
        """Whether a resource was brought by a move, and goes away with it."""
        return resource.kind == CONNECTOR and self.snapshot.states[resource] is None

    def _item(self, kind: Any, resource: Resource) -> PlannedItem:
        now = self.states[resource]
        if isinstance(now, CallError):
            blank = kind.digest(None)
            return PlannedItem(
                resource, blank, blank, findings=(error("unreadable", f"It could not be read: {now}"),)
            )
        item: PlannedItem = kind.restore(resource, self.snapshot.states[resource], now)
        return item if self._is_ours(item) else self._newer(item)

    def _is_ours(self, item: PlannedItem) -> bool:
        known = _digests(self.snapshot.notes.get(item.resource, {}))
        return not item.changed or item.before in [*known, *self.own.get(_key(item.resource), ())]

    def _newer(self, item: PlannedItem) -> PlannedItem:
        if self.force:
            said = warning("newer_work", "It was changed after the promotion; force overwrites that.")
        else:
            said = error(
                "newer_work",
                "It was changed after the promotion, and that work is not overwritten. Look at it, then pass "
                "force=True if it may go.",
            )
        return replace(item, findings=(*item.findings, said))

    def _returned(self, resources: Sequence[Resource]) -> Iterator[PlannedItem]:
        """Plan the settings of connectors that move back: a move may take their variant away."""
        for resource in resources:
            kept = self.snapshot.states[resource]
            if isinstance(kept, PlaceState) and kept.here and kept.connector is not None:
                yield self._settings(resource, kept.connector)

    def _settings(self, resource: Resource, kept: ConnectorState) -> PlannedItem:
        kind, where = ConnectorKind(batch_size=1), connector(resource.owner, resource.name)
        now = self.states[resource]
        if isinstance(now, PlaceState) and now.here and now.connector is not None:
            found, item = now.connector, kind.restore(where, kept, now.connector)
        else:
            found = self._elsewhere(resource) or kept
            item = plan_arrival(kind, where, found, kept)
        known = {
            *(kind.digest(each) for each in (kept, replace(kept, variant_id=None))),
            *self.own.get(_key(where), ()),
            *(digest for digests in self._left_in(resource.name) for digest in digests),
        }
        return item if not item.changed or kind.digest(found) in known else self._newer(item)

    def _elsewhere(self, resource: Resource) -> ConnectorState | None:
        """Return a connector that was moved away as it is where it is now."""
        places = (state for other, state in self.states.items() if _same_name(other, resource))
        found = (each.connector for each in places if isinstance(each, PlaceState) and each.here)
        return next((each for each in found if each is not None), None)

    def _left_in(self, name: str) -> Iterator[Sequence[str]]:
        """Digests of a connector's settings that the promotion may have left, wherever it moved."""
        for resource, note in self.snapshot.notes.items():
            if (resource.kind, resource.name) == (CONNECTOR, name):
                yield _digests(note)


def _same_name(one: Resource, other: Resource) -> bool:
    return (one.kind, one.name) == (other.kind, other.name)


def _digests(note: Mapping[str, Any]) -> list[str]:
    """Digests that a promotion may have left, and the one that it found."""
    return [each for each in (note.get("before"), note.get("after"), *note.get("waypoints", ())) if each]


def _units_of(snapshot: Snapshot[Any]) -> dict[str, list[Resource]]:
    """Group what a snapshot has by target.

    :raises InputError: for a snapshot that no promotion took.
    """
    units: dict[str, list[Resource]] = {}
    for resource in snapshot.states:
        note = snapshot.notes.get(resource)
        if not isinstance(note, Mapping) or UNIT not in note:
            raise InputError("snapshot was not taken by a promotion; it does not say what belongs together")
        units.setdefault(note[UNIT], []).append(resource)
    return units


def _held(snapshot: Snapshot[Any], units: Mapping[str, Sequence[Resource]]) -> dict[str, dict[Resource, str]]:
    return {
        name: {each: snapshot.notes[each]["after"] for each in mine if "after" in snapshot.notes[each]}
        for name, mine in units.items()
    }


def _key(resource: Resource) -> str:
    return f"{resource.kind}:{resource}"
