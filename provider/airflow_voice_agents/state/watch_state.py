"""State that the tries of one task share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_voice_agents.engine.run_context import TaskState

KEY = "watch"


class WatchState:
    """A mapping in the task's state store, good for one watch.

    :param store: the task's state store, or ``None`` where there is none.
    :param mark: tells this watch from another one of the same task.
    :param values: what is noted.
    """

    def __init__(self, store: TaskState | None, mark: str, values: dict[str, Any]) -> None:
        self._store = store
        self.mark = mark
        self._values = values

    @classmethod
    def open(cls, store: TaskState | None, mark: Sequence[Any]) -> WatchState:
        """Return what is noted under a mark; what is noted under another one does not count.

        :param store: the task's state store.
        :param mark: plain JSON that is the same for all tries of one watch.
        """
        from airflow_voice_agents.plans.canonical import digest

        name = digest(list(mark))[:16]
        stored = store.get(KEY) if store is not None else None
        if not isinstance(stored, dict) or stored.get("mark") != name:
            return cls(store, name, {})
        return cls(store, name, dict(stored["values"]))

    def __contains__(self, key: str) -> bool:
        return key in self._values

    def __getitem__(self, key: str) -> Any:
        return self._values[key]

    def get(self, key: str, default: Any = None) -> Any:
        """Return what is noted, or a default."""
        return self._values.get(key, default)

    def add(self, **values: Any) -> None:
        """Note JSON values, in one write."""
        self._values |= values
        self._save()

    def forget(self, *keys: str) -> None:
        """Forget some of them, in one write."""
        for key in keys:
            self._values.pop(key, None)
        self._save()

    def _save(self) -> None:
        if self._store is not None:
            self._store.set(KEY, {"mark": self.mark, "values": self._values})
