"""Restores targets from a snapshot, unless somebody has changed them since."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from msgspec.structs import replace

from airflow_voice_agents.engine.action import Action, Scope
from airflow_voice_agents.engine.apply import TARGET_NOTE
from airflow_voice_agents.engine.concurrency import free_loop
from airflow_voice_agents.engine.policy import BlockDigests
from airflow_voice_agents.engine.reads import observe
from airflow_voice_agents.engine.run_context import RunContext
from airflow_voice_agents.engine.snapshot_recorder import AFTER, BEFORE, WAYPOINTS
from airflow_voice_agents.plans.kind import Resource, ResourceKind
from airflow_voice_agents.plans.plan import (
    Finding,
    PlannedItem,
    Severity,
    TargetPlan,
    error,
    no_change,
    refused,
    warning,
)
from airflow_voice_agents.plans.report import ItemReport, Report, Status
from airflow_voice_agents.plans.snapshot import Snapshot
from airflow_voice_agents.transport.errors import CallError

LEFT_OUT = "finding"
"""Detail of an item that a partial restore left out: the code of the finding that left it out."""

LEFT_WITH = "left_with_target"
"""Code of the finding about a resource that is left because another one of its target is."""

EDITED = ("newer_work", "unknown_work")
"""Codes of the findings about resources that were changed since."""


@dataclass(frozen=True, kw_only=True)
class RestoreAction(Action):
    """A restore with checked arguments, the same for every system.

    :param snapshot: the former states, with notes of what the change left.
    :param digest: the snapshot's digest.
    :param force: whether newer work of others is overwritten.
    :param allow_partial: whether items that cannot or must not be restored are left out while others go on.
    :param left: resource -> digests of the states that the change may have left, where the caller knows better
        than the snapshot.
    """

    rolls_back: ClassVar[bool] = True

    snapshot: Snapshot[Any]
    digest: str
    force: bool = False
    allow_partial: bool = False
    left: Mapping[Resource, Collection[str]] = field(default_factory=dict)

    def checkpoint_key(self) -> str | None:
        """Return the snapshot's digest: a retry leaves restored targets unread."""
        return f"back{self.digest}"

    def targets(self) -> dict[str, list[Resource]]:
        """Return the snapshot's resources by target; a snapshot without targets is one target per owner."""
        found: dict[str, list[Resource]] = {}
        for resource in self.snapshot.states:
            note = self.snapshot.notes.get(resource)
            name = note.get(TARGET_NOTE) if isinstance(note, Mapping) else None
            found.setdefault(name or resource.owner, []).append(resource)
        return found

    def is_live(self, target: str) -> bool:
        """Return whether callers reach a target.

        :param target: the target's name.
        """
        return True

    def locks(self, target: str, resources: Sequence[Resource]) -> tuple[str, ...]:
        """Return the names to lock for a target.

        :param target: the target's name.
        :param resources: its resources.
        """
        return (target,)

    def scope(self) -> Scope:
        """Return the snapshot's targets."""
        found = self.targets()
        names = [name for target, mine in found.items() for name in self.locks(target, mine)]
        return Scope(tuple(dict.fromkeys(names)), live=any(map(self.is_live, found)))

    def order(self) -> list[str]:
        """Return the names of all targets, in the order of the report."""
        return list(self.targets())

    async def plan(self, run: RunContext, *, done: Collection[str] = ()) -> Sequence[TargetPlan]:
        """Read every resource of the snapshot and plan the way back.

        :param run: the run.
        :param done: targets that an earlier try has restored.
        """
        todo = {name: mine for name, mine in self.targets().items() if name not in done}
        states: dict[Resource, Any] = {}

        def unreadable(resource: Resource, failure: CallError) -> None:
            states[resource] = failure

        wanted = [resource for mine in todo.values() for resource in mine]
        await observe(run, self.kinds(), wanted, seen=states.__setitem__, unreadable=unreadable)
        own = run.recall(self._own_key) or {}
        return [
            TargetPlan(
                name,
                await self._planned(mine, states, own),
                live=self.is_live(name),
                locks=self.locks(name, mine),
            )
            for name, mine in todo.items()
        ]

    async def _planned(
        self, mine: Sequence[Resource], states: Mapping[Resource, Any], own: Mapping[str, Sequence[str]]
    ) -> tuple[PlannedItem, ...]:
        return await free_loop(lambda: self.left_whole(tuple(self.items(mine, states, own))))

    def depend_on_each_other(self, items: Sequence[PlannedItem]) -> bool:
        """Return whether the items of one target go back all or none.

        :param items: the items of one target.
        """
        return False

    def left_whole(self, items: tuple[PlannedItem, ...]) -> tuple[PlannedItem, ...]:
        """Return the items of one target; in a partial restore errors leave an item out, and with it its dependents.

        :param items: the items of one target.
        """
        if not self.allow_partial:
            return items
        items = tuple(self.left_out(each) if each.errors else each for each in items)
        cause = next((each for each in items if each.refusals), None)
        if cause is None or not self.depend_on_each_other(items):
            return items
        said = refused(LEFT_WITH, f"left as it is, because {cause.resource.kind} {cause.resource} is left")
        return tuple(
            each
            if each.refusals or not each.changed
            else self.left_out(replace(each, findings=(*each.findings, said)))
            for each in items
        )

    def with_newer_work(self, target: TargetPlan, found: Mapping[Resource, Finding]) -> TargetPlan:
        """Return a target with what changed since an earlier try; a partial restore leaves that out.

        :param target: the planned target.
        :param found: what is to be said, by resource.
        """
        if not (found and self.allow_partial):
            return super().with_newer_work(target, found)
        items = tuple(
            replace(each, findings=(*each.findings, found[each.resource])) if each.resource in found else each
            for each in target.items
        )
        return replace(target, items=self.left_whole(items))

    def items(
        self, resources: Sequence[Resource], states: Mapping[Resource, Any], own: Mapping[str, Sequence[str]]
    ) -> Iterable[PlannedItem]:
        """Return the items of one target.

        :param resources: its resources.
        :param states: the present states; a :class:`CallError` where one cannot be read.
        :param own: resource key -> digests that an earlier try of this restore may have left.
        """
        return (self.item(resource, states[resource], own) for resource in resources)

    def item(self, resource: Resource, now: Any, own: Mapping[str, Sequence[str]]) -> PlannedItem:
        """Return the item of one resource.

        :param resource: the resource.
        :param now: its present state, or the :class:`CallError` of its read.
        :param own: digests that an earlier try of this restore may have left.
        """
        kind = self.kinds()[resource.kind]
        if isinstance(now, CallError):
            finding = self.finding("unreadable", f"It could not be read: {now}")
            return no_change(kind, resource, None, finding)
        item = kind.restore(resource, self.snapshot.states[resource], now)
        if item.errors and self.allow_partial:
            item = self.left_out(item)
        if not item.changed or item.refusals or self.is_ours(kind, item, now, own):
            return item
        return self.newer(item)

    def is_ours(
        self, kind: ResourceKind[Any], item: PlannedItem, now: Any, own: Mapping[str, Sequence[str]]
    ) -> bool:
        """Return whether a resource is as the change left it, or as an earlier try of this restore left it.

        :param kind: the resource's kind.
        :param item: the planned item.
        :param now: the present state.
        :param own: digests that an earlier try may have left.
        """
        known = self.left.get(item.resource)
        if known is None:
            known = digests_in(self.snapshot.notes.get(item.resource))
        return item.before in known or item.before in own.get(item.resource.key, ())

    def newer(self, item: PlannedItem) -> PlannedItem:
        """Return an item with the finding that somebody changed the resource since.

        :param item: the planned item.
        """
        known = item.resource in self.left or digests_in(self.snapshot.notes.get(item.resource))
        if self.force:
            said = warning("newer_work", "It was changed after the snapshot; force=True overwrites that.")
            return replace(item, findings=(*item.findings, said))
        if known:
            said = self.finding(
                "newer_work",
                "Its state is neither as in the snapshot nor as the change left it, so somebody changed it since, and "
                f"that work is not overwritten. Look at it, then pass force=True to overwrite it{self.or_partial}.",
            )
        else:
            said = self.finding(
                "unknown_work",
                "It differs from the snapshot, and the snapshot does not say what the change left. Pass force=True to "
                f"overwrite whatever is there{self.or_expected}.",
            )
        return self.left_out(replace(item, findings=(*item.findings, said)))

    or_partial: ClassVar[str] = ""
    """Further remedy in the message about newer work."""
    or_expected: ClassVar[str] = ""
    """Further remedy in the message about unknown work."""

    def finding(self, code: str, message: str) -> Finding:
        """Return an error, or a refusal of one item where others go on.

        :param code: stable word for programs.
        :param message: sentence for people.
        """
        return refused(code, message) if self.allow_partial else error(code, message)

    def left_out(self, item: PlannedItem) -> PlannedItem:
        """Return an item without its write; in a partial restore its errors become refusals.

        :param item: the planned item.
        """
        findings = item.findings
        if self.allow_partial:
            findings = tuple(
                replace(each, severity=Severity.REFUSED) if each.severity is Severity.ERROR else each
                for each in findings
            )
        return replace(item, findings=findings, writes=0)

    def before_writes(self, run: RunContext, targets: Sequence[TargetPlan]) -> None:
        """Remember the digests that this try may leave.

        :param run: the run.
        :param targets: the planned targets.
        """
        items = [item for target in targets for item in target.items if item.changed and not item.refusals]
        if items:
            own = {item.resource.key: [item.after, *item.waypoints] for item in items}
            run.remember(self._own_key, {**(run.recall(self._own_key) or {}), **own})

    def block_digests(self, targets: Sequence[TargetPlan]) -> BlockDigests:
        """Return the states that the change left, which no schedule may bring back.

        A resource that the change left alone is not blocked, and neither is one that the restore leaves out, nor a
        target without a noted state.
        """
        left = {item.resource for target in targets for item in target.items if item.refusals}
        notes = {each: self.snapshot.notes.get(each) or {} for each in self.snapshot.states}
        digests = {
            name: {
                each: notes[each][AFTER]
                for each in mine
                if each not in left and AFTER in notes[each] and notes[each][AFTER] != notes[each].get(BEFORE)
            }
            for name, mine in self.targets().items()
        }
        return {name: found for name, found in digests.items() if found}

    def explain(self, planned: PlannedItem, item: ItemReport) -> ItemReport:
        """Return an item's report; a left-out item names its finding."""
        told = super().explain(planned, item)
        if self.allow_partial and planned.refusals:
            code = planned.refusals[0].code
            told = replace(told, details={**told.details, LEFT_OUT: code})
            if code == LEFT_WITH and told.status is Status.FAILED:
                return replace(told, status=Status.SKIPPED)
        return told

    def tolerates(self, report: Report) -> bool:
        """Return whether all trouble in a report is what a partial restore leaves out.

        :param report: the final report.
        """
        trouble = [item for item in report.items if item.status not in ("changed", "unchanged")]
        return self.allow_partial and all(LEFT_OUT in item.details for item in trouble)

    @property
    def _own_key(self) -> str:
        return f"back-{self.digest[:16]}"


def digests_in(note: Any) -> list[str]:
    """Return the digests that a change may have left, and the one that it found.

    :param note: a snapshot's note of one resource.
    """
    if not isinstance(note, Mapping):
        return []
    found = [note.get(BEFORE), note.get(AFTER), *note.get(WAYPOINTS, ())]
    return [each for each in found if isinstance(each, str)]
