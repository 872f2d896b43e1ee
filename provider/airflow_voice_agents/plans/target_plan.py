"""What is promoted together: one target's items of several kinds, in the order of their dependencies."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import groupby

from airflow_voice_agents.plans.plan import Plan, PlannedItem


@dataclass(frozen=True, slots=True)
class TargetPlan:
    """One target with everything that a plan holds for it.

    :param name: the target, for people and checkpoints (``"hotel-1/live"``).
    :param items: its items; a kind that stands on another comes after it.
    :param read_at: when the oldest of their states was read, on the run's clock.
    """

    name: str
    items: tuple[PlannedItem, ...]
    read_at: float | None = field(default=None, compare=False)

    @property
    def changed(self) -> bool:
        """Whether anything of it is to be done."""
        return any(item.changed for item in self.items)

    def stages(self) -> Iterator[tuple[PlannedItem, ...]]:
        """Yield the items of one kind after those of another, in order."""
        return (tuple(stage) for _, stage in groupby(self.items, key=lambda item: item.resource.kind))


def plan_of(operation: str, units: Iterable[TargetPlan]) -> Plan:
    """Return one plan of all units.

    :param operation: what the run is.
    :param units: in the order of their writes.
    """
    return Plan(operation, tuple(item for unit in units for item in unit.items))
