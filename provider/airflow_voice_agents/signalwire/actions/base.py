"""Base of SignalWire's actions: the target of locks is a number, that of rollback blocks its space."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from msgspec.structs import replace

from airflow_voice_agents.engine.action import Action, Scope
from airflow_voice_agents.plans.plan import PlannedItem, Severity, TargetPlan
from airflow_voice_agents.plans.report import ItemReport
from airflow_voice_agents.signalwire.resources.inventory import Space


@dataclass(frozen=True, kw_only=True)
class SignalWireAction(Action):
    """Base of SignalWire's actions. Waves and limits count numbers.

    :param space: the space that the numbers live in.
    """

    counts_items: ClassVar[bool] = True

    space: Space

    def explain(self, planned: PlannedItem, item: ItemReport) -> ItemReport:
        """Return a number's report with the warnings of its plan."""
        said = super().explain(planned, item)
        warnings = [each.message for each in planned.findings if each.severity is Severity.WARNING]
        return replace(said, reason=" ".join([*([said.reason] if said.reason else []), *warnings]))


def numbers_scope(space: Space, numbers: Iterable[str]) -> Scope:
    """Return the scope of an action: every number is live, because callers are on it.

    :param space: the space that the numbers live in.
    :param numbers: E.164 numbers; none where only the plan tells.
    """
    return Scope(space.lock_names(numbers), live=True)


def space_plan(space: Space, items: Iterable[PlannedItem], read_at: float) -> TargetPlan:
    """Return the plan of a space's numbers.

    :param space: the space.
    :param items: one item per number.
    :param read_at: time of the oldest read, on the run's clock.
    """
    mine = tuple(items)
    locks = space.lock_names(item.resource.name for item in mine)
    return TargetPlan(space.label, mine, read_at=read_at, live=True, locks=locks)
