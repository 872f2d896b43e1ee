"""What a kind adds to be kept in snapshots and brought back from them."""

from __future__ import annotations

from typing import Any, Protocol

from airflow_voice_agents.plans.kind import Resource, ResourceKind, State
from airflow_voice_agents.plans.plan import PlannedItem


class Restorable(ResourceKind[State], Protocol[State]):
    """A resource kind whose states can be kept and restored."""

    def to_json(self, state: State) -> Any:
        """Return a state as JSON, complete enough for :meth:`from_json`. It may hold values."""

    def from_json(self, value: Any) -> State:
        """Return the state that :meth:`to_json` made JSON of."""

    def restore(self, resource: Resource, wanted: State | None, now: State | None) -> PlannedItem:
        """Plan the way back to a kept state.

        What no call can undo is named in the item (``stale_keys``, findings of severity warning), and then
        ``after`` is the digest of what can be reached. Whether somebody else changed the resource since is
        not asked here.

        :param resource: which one.
        :param wanted: what it was; ``None`` where it did not exist.
        :param now: what it is; ``None`` where it does not exist.
        """
