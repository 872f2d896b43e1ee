"""The base of operations that write: the action plans, and the engine locks, guards and applies."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import Any, ClassVar

import msgspec

from airflow_voice_agents.engine.concurrency import Sender
from airflow_voice_agents.engine.policy import BlockDigests
from airflow_voice_agents.engine.run_context import RunContext
from airflow_voice_agents.plans.guards import GuardContext, check_live
from airflow_voice_agents.plans.kind import Kinds, Resource, WriteResult
from airflow_voice_agents.plans.plan import Finding, Plan, PlannedItem, TargetPlan
from airflow_voice_agents.plans.report import ItemReport, Report, explain


class Scope(msgspec.Struct, frozen=True):
    """The part of a platform that an action may write, as far as it is known before any read.

    :param targets: names to lock before reading; ``"agent/*"`` covers every target of an owner. The engine
        narrows the lock to the planned targets.
    :param live: whether callers reach the targets; ``None`` when only the plan tells.
    :param also_locked: names of other things that stay locked to the end of the run, such as a baseline.
    """

    targets: tuple[str, ...]
    live: bool | None = None
    also_locked: tuple[str, ...] = ()

    @property
    def exact(self) -> bool:
        """Whether every target is named."""
        return not any(name.endswith("*") for name in self.targets)


@dataclass(frozen=True, kw_only=True)
class Action(ABC):
    """One operation with checked arguments, ready to be planned and applied.

    Subclasses are frozen dataclasses that hold the arguments. They read, and never write.
    """

    operation: ClassVar[str]
    """The name in plans, reports and logs (``"promote config"``)."""
    counts_items: ClassVar[bool] = False
    """Whether waves and limits count items (numbers, connectors) rather than targets."""
    rolls_back: ClassVar[bool] = False
    """Whether the action undoes earlier work: then rollback blocks do not stop it, and it may place them."""
    leaves_newer_work: ClassVar[bool] = False
    """Whether what changes between plan and write counts as no failure, because the action only undoes what nobody
    has worked on since."""
    announces_snapshot: ClassVar[bool] = True
    """Whether the snapshot of an earlier try is published again at the start of a try."""

    @abstractmethod
    def scope(self) -> Scope:
        """Return the targets, as far as they are known before any read."""

    @abstractmethod
    def kinds(self) -> Kinds:
        """Return the kinds of all resources of the plan, by name."""

    @abstractmethod
    async def plan(self, run: RunContext, *, done: Collection[str] = ()) -> Sequence[TargetPlan]:
        """Read and plan every target; nothing is written.

        :param run: the run.
        :param done: names of targets that an earlier try of a saved plan has finished; they stay unread.
        """

    def guards(self, given: GuardContext) -> Iterable[Finding]:
        """Return the findings that stop the action before it reads anything.

        :param given: overrides and kind of run.
        """
        if self.live:
            yield from check_live(given)

    def target_guards(self, target: TargetPlan, given: GuardContext) -> Iterable[Finding]:
        """Return the findings of the guards about one planned target.

        :param target: a planned target.
        :param given: overrides and kind of run.
        """
        if target.live and target.changed and self.live is None:
            yield from check_live(given)

    @cached_property
    def live(self) -> bool | None:
        """Whether callers reach the targets, as the scope says; it is asked for each target of thousands."""
        return self.scope().live

    def possible_aliases(self, names: Sequence[str]) -> Iterable[tuple[str, str]]:
        """Return the pairs of target names for which :meth:`may_be_same` holds.

        :param names: names of targets; an action whose names have no second spelling compares none of them.
        """
        if type(self).may_be_same is Action.may_be_same:
            return ()
        return (pair for pair in combinations(names, 2) if self.may_be_same(*pair))

    def with_newer_work(self, target: TargetPlan, found: Mapping[Resource, Finding]) -> TargetPlan:
        """Return a target with what somebody changed after the first try of the task read it.

        :param target: the planned target.
        :param found: what is to be said, by resource.
        """
        return target.with_findings(*found.values())

    def may_be_same(self, one: str, other: str) -> bool:
        """Return whether two different target names can mean one target, from their spelling alone.

        :param one: a target's name.
        :param other: another name.
        """
        return False

    async def is_same(self, run: RunContext, one: str, other: str) -> bool:
        """Find out whether two target names mean one target.

        :param run: the run.
        :param one: a target's name.
        :param other: another name.
        :raises GuardRefused: when that cannot be found out.
        """
        return one == other

    def order(self) -> Sequence[str]:
        """Return the names of all targets in the order of the report; empty for the order of the plan."""
        return ()

    def checkpoint_key(self) -> str | None:
        """Return the digest under which finished targets are remembered, or ``None`` for no checkpoints."""
        return None

    def sender(self, send: Sender, targets: Sequence[TargetPlan]) -> Sender:
        """Return the sender of the writes, to add advice to refusals or to watch a first write.

        :param send: sends a request.
        :param targets: the planned targets.
        """
        return send

    def keeps(self, item: PlannedItem) -> bool:
        """Return whether a snapshot keeps a changed item.

        :param item: a planned item.
        """
        return self.kinds()[item.resource.kind].restorable

    def kept_notes(self, targets: Sequence[TargetPlan]) -> Mapping[Resource, Mapping[str, Any]]:
        """Return further facts for a snapshot, without values.

        :param targets: the planned targets.
        """
        return {}

    def kept_unchanged(self, targets: Sequence[TargetPlan]) -> Mapping[Resource, Any]:
        """Return states that a snapshot keeps although the run leaves them as they are.

        :param targets: the planned targets.
        """
        return {}

    def block_digests(self, targets: Sequence[TargetPlan]) -> BlockDigests:
        """Return the states that a rollback undoes, for the rollback blocks that it places.

        :param targets: the planned targets.
        """
        return {}

    def explain(self, planned: PlannedItem, item: ItemReport) -> ItemReport:
        """Return an item's report with facts of its plan.

        :param planned: the item as planned.
        :param item: the item's outcome.
        """
        return explain(planned, item)

    def on_result(self, run: RunContext, resource: Resource, result: WriteResult[Any]) -> None:
        """React to an accepted write at once, for instance by publishing its ids.

        :param run: the run.
        :param resource: the resource.
        :param result: the write's result.
        """
        return  # nothing to do by default

    def before_writes(self, run: RunContext, targets: Sequence[TargetPlan]) -> None:
        """Run right before the first write of a try.

        :param run: the run.
        :param targets: the planned targets.
        """
        return  # nothing to do by default

    async def finish(self, run: RunContext, plan: Plan, report: Report) -> Report:
        """Return the final report.

        :param run: the run.
        :param plan: the plan.
        :param report: the report of the engine.
        """
        return report
