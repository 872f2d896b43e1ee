"""Keeps what a promotion or a rollback is about to change, and what of it belongs together."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from airflow_voice_agents.fleet.archive import Archive
from airflow_voice_agents.fleet.run import Run
from airflow_voice_agents.promotion.kind import Resource
from airflow_voice_agents.promotion.unit import Unit

UNIT = "unit"
"""Note of a snapshot: the target that a resource was promoted with."""

Keep = Callable[[Run, Sequence[Unit], Collection[Resource]], None]
"""Keeps what units are before the first of them is written, and what an earlier try kept of those it finished."""


def keeper(archive: Archive) -> Keep:
    """Return what keeps units.

    :param archive: where they are kept.
    """

    def keep(run: Run, units: Sequence[Unit], finished: Collection[Resource]) -> None:
        notes = {item.resource: {UNIT: unit.name} for unit in units for item in unit.items}
        items = [item for unit in units for item in unit.items]
        archive.keep(run, items, notes=notes, finished=finished)

    return keep
