"""Records the state before the first write of a run, including the changes of its earlier tries."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

import msgspec

from airflow_voice_agents.engine.run_context import RunContext
from airflow_voice_agents.plans.kind import Kinds, Resource
from airflow_voice_agents.plans.plan import PlannedItem
from airflow_voice_agents.plans.snapshot import Snapshot
from airflow_voice_agents.transport.errors import InputError
from airflow_voice_agents.transport.records import Record

NOTHING: Mapping[Resource, Any] = {}

BEFORE, AFTER, WAYPOINTS = "before", "after", "waypoints"
"""Note of a snapshot about each resource: the digests of what it was, of what the run leaves, and of what the
run's writes lead through or an earlier try was to leave. A restore knows by them what is the run's own work."""


class SnapshotRecorder(msgspec.Struct, frozen=True):
    """Where a run keeps the resources that it is about to change.

    Each is kept as it was before the first try of the task changed it, however many tries there are: the task's
    state leads to what the try before kept.

    :param save: keeps a document and returns its URL.
    :param load: returns the document at a URL.
    :param publish: tells others the URL.
    :param state_key: under which the task remembers the URL.
    :param kinds: the kinds of the resources that the run changes.
    """

    save: Callable[[dict[str, Any]], str]
    load: Callable[[str], Any]
    publish: Callable[[str], None]
    state_key: str
    kinds: Kinds

    def announce(self, run: RunContext) -> None:
        """Publish the snapshot of an earlier try: Airflow drops that try's XComs, and this one can fail early.

        :param run: what the run works with.
        """
        if url := self._noted(run):
            self.publish(url)

    def keep(
        self,
        run: RunContext,
        items: Iterable[PlannedItem],
        *,
        notes: Mapping[Resource, Mapping[str, Any]] = NOTHING,
        unchanged: Mapping[Resource, Any] = NOTHING,
        finished: Collection[Resource] = (),
    ) -> str | None:
        """Keep what a plan changes, and what earlier tries of the same task changed, before the first write.

        A resource that an earlier try left half-way is kept as it was before that try. One that is neither as an
        earlier try found it nor as it may have left it is somebody's newer work, and kept as it is now.

        :param run: what the run works with.
        :param items: everything that the run has to do with, without errors; of earlier tries, only what is
            among it is kept.
        :param notes: what else a restore should know, per resource, as JSON without values.
        :param unchanged: states of resources that the run leaves as they are, and that are kept all the same.
        :param finished: what an earlier try brought to its end, and this one does not look at: kept as that try
            kept it.
        :returns: the snapshot's URL, or ``None`` where there is nothing to keep.
        """
        items = tuple(items)
        url = self._noted(run)
        changes = any(item.transition is not None for item in items)
        if changes or (unchanged and url is None):
            drawer = _SnapshotBuilder(self._earlier(run, url), unchanged, notes)
            for item in items:
                drawer.put(item)
            drawer.put_back(finished)
            url = self.save(Snapshot(drawer.states, drawer.notes).document(self.kinds))
            if run.task_state is not None:
                run.task_state.set(self.state_key, url)
        if url is not None:
            self.publish(url)
        return url

    def _noted(self, run: RunContext) -> str | None:
        url = None if run.task_state is None else run.task_state.get(self.state_key)
        return str(url) if url else None

    def _earlier(self, run: RunContext, url: str | None) -> Snapshot[Any]:
        if url is None:
            return Snapshot({})
        try:
            return Snapshot.from_document(self.load(url), self.kinds)
        except InputError as error:
            run.log(f"What an earlier try changed is not in this snapshot, because {error}")
            return Snapshot({})


class _SnapshotBuilder(Record, frozen=True):
    """What goes into a snapshot.

    :param earlier: what the try before kept.
    :param unchanged: states that are kept although the run does not change them.
    :param extra: further notes per resource.
    """

    not_shown = ("unchanged", "extra", "states", "notes")

    earlier: Snapshot[Any]
    unchanged: Mapping[Resource, Any]
    extra: Mapping[Resource, Mapping[str, Any]]
    states: dict[Resource, Any] = msgspec.field(default_factory=dict)
    notes: dict[Resource, Any] = msgspec.field(default_factory=dict)

    def put(self, item: PlannedItem) -> None:
        """Put a resource in, unless nobody changes it."""
        target = item.resource
        note = {BEFORE: item.before, AFTER: item.after, WAYPOINTS: list(item.waypoints)}
        if self._is_ours(item):
            self.states[target] = self.earlier.states[target]
            note = _joined(self.earlier.notes.get(target), note)
        elif item.transition is not None:
            self.states[target] = item.transition.before
        elif target in self.unchanged:
            self.states[target] = self.unchanged[target]
        else:
            return
        self.notes[target] = {**self.extra.get(target, {}), **note}

    def put_back(self, finished: Iterable[Resource]) -> None:
        """Put in again what an earlier try kept of resources that this one leaves unread."""
        for resource in finished:
            if resource in self.earlier.states:
                self.states[resource] = self.earlier.states[resource]
                self.notes[resource] = self.earlier.notes.get(resource, {})

    def _is_ours(self, item: PlannedItem) -> bool:
        """Whether an earlier try kept the resource, and nobody else has changed it since."""
        if item.resource not in self.earlier.states:
            return False
        return item.transition is None or item.before in _own(self.earlier.notes.get(item.resource))


def _own(note: Any) -> set[str]:
    """Digests of what a resource may be without anybody else's doing."""
    return {digest for digest in _pins(note).values() if isinstance(digest, str)} | set(_waypoints(note))


def _joined(earlier: Any, now: dict[str, Any]) -> dict[str, Any]:
    """A note that knows the work of the earlier tries as well."""
    pins = _pins(earlier)
    late = [each for each in (*_waypoints(earlier), pins.get(AFTER)) if each not in (None, now[AFTER])]
    waypoints = list(dict.fromkeys([*now[WAYPOINTS], *late]))
    return {**now, BEFORE: pins.get(BEFORE, now[BEFORE]), WAYPOINTS: waypoints}


def _pins(note: Any) -> dict[str, Any]:
    return {name: note[name] for name in (BEFORE, AFTER) if name in note} if isinstance(note, Mapping) else {}


def _waypoints(note: Any) -> list[str]:
    return list(note.get(WAYPOINTS, ())) if isinstance(note, Mapping) else []
