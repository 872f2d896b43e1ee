"""Keeps what a promotion or a rollback is about to change, and what of it belongs together."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from airflow_voice_agents.engine.run_context import RunContext
from airflow_voice_agents.engine.snapshot_recorder import SnapshotRecorder
from airflow_voice_agents.plans.kind import Resource
from airflow_voice_agents.plans.plan import TargetPlan

UNIT = "unit"
"""Note of a snapshot: the target that a resource was promoted with."""

Keep = Callable[[RunContext, Sequence[TargetPlan], Collection[Resource]], None]
"""Keeps what units are before the first of them is written, and what an earlier try kept of those it finished."""


def keeper(archive: SnapshotRecorder) -> Keep:
    """Return what keeps units.

    :param archive: where they are kept.
    """

    def keep(run: RunContext, units: Sequence[TargetPlan], finished: Collection[Resource]) -> None:
        notes = {item.resource: {UNIT: unit.name} for unit in units for item in unit.items}
        items = [item for unit in units for item in unit.items]
        archive.keep(run, items, notes=notes, finished=finished)

    return keep
