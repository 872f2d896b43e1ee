"""Reads what a plan needs, as few calls as possible, and plans each target as soon as it can be."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Generic

from airflow_voice_agents.engine.concurrency import Sender, for_each_limited
from airflow_voice_agents.engine.progress_log import ProgressLog
from airflow_voice_agents.plans.kind import Observation, Resource, ResourceKind, State
from airflow_voice_agents.plans.plan import Plan, PlannedItem, error
from airflow_voice_agents.transport.errors import CallError, Unauthorized

Compose = Callable[[Any, Any], PlannedItem]


@dataclass(frozen=True, slots=True)
class Target:
    """One target to plan.

    :param resource: what is written.
    :param source: what is taken from, or ``None`` when the values come from elsewhere.
    :param compose: pure function of the source's and the target's state (``None`` where one does not
        exist) that returns the planned item.
    """

    resource: Resource
    source: Resource | None
    compose: Compose = field(compare=False)

    @property
    def needs(self) -> tuple[Resource, ...]:
        """What has to be observed for it."""
        return (self.resource,) if self.source is None else (self.source, self.resource)


async def plan_targets(
    send: Sender,
    kind: ResourceKind[State],
    operation: str,
    targets: Sequence[Target],
    *,
    limit: int,
    progress: ProgressLog,
    clock: Callable[[], float] = time.monotonic,
) -> Plan:
    """Observe sources and targets and plan every target; nothing is written.

    A target that does not exist or may not be read becomes an item with an error, so that the run stops
    before a write and names them all.

    :param send: sends a call.
    :param kind: the kind of all resources.
    :param operation: what the run is, for plan and report.
    :param targets: what to plan; each resource at most once.
    :param limit: most reads in flight.
    :param progress: told of each planned target.
    :param clock: monotonic seconds; the intents say when their states were read.
    :raises Unauthorized: when the platform refuses the key.
    :raises CallError: when a read failed for a reason that a retry of the task may mend.
    """
    desk = _TargetPlanner(kind, targets, progress)

    async def read(observation: Observation[State]) -> None:
        asked_at = clock()
        try:
            states = observation.states(await send(observation.call))
        except CallError as failure:
            if isinstance(failure, Unauthorized) or not failure.permanent:
                raise
            desk.unreadable(observation.resources, failure)
        else:
            desk.observed(observation.resources, states.get, asked_at)

    await for_each_limited(_sources_first(kind, targets), read, limit=limit)
    return Plan(operation, tuple(desk.planned[target.resource] for target in targets))


def _sources_first(kind: ResourceKind[State], targets: Sequence[Target]) -> Iterable[Observation[State]]:
    """Order the reads so that a state that many targets wait for comes first and nothing piles up."""
    sources = {target.source for target in targets if target.source}
    needed = dict.fromkeys(resource for target in targets for resource in target.needs)
    reads = kind.observe(list(needed))
    return sorted(reads, key=lambda read: sources.isdisjoint(read.resources))


class _TargetPlanner(Generic[State]):
    """Holds each state only until the last target that needs it is planned."""

    def __init__(self, kind: ResourceKind[State], targets: Sequence[Target], progress: ProgressLog) -> None:
        self.planned: dict[Resource, PlannedItem] = {}
        self._kind = kind
        self._progress = progress
        self._states: dict[Resource, State | None] = {}
        self._read_at: dict[Resource, float] = {}
        self._uses = Counter(resource for target in targets for resource in target.needs)
        self._waiting: defaultdict[Resource, list[Target]] = defaultdict(list)
        for target in targets:
            for resource in set(target.needs):
                self._waiting[resource].append(target)

    def observed(
        self, resources: Iterable[Resource], state_of: Callable[[Resource], State | None], asked_at: float
    ) -> None:
        """Take in states and plan the targets for which all is known."""
        arrived = list(resources)
        self._read_at.update(dict.fromkeys(arrived, asked_at))
        self._states.update((each, state_of(each)) for each in arrived if self._uses[each])
        for resource in arrived:
            for target in self._waiting.pop(resource, ()):
                if target.resource not in self.planned and all(need in self._states for need in target.needs):
                    self._plan(target)

    def unreadable(self, resources: Iterable[Resource], failure: CallError) -> None:
        """Plan the targets that wait for these as impossible."""
        for resource in resources:
            for target in self._waiting.pop(resource, ()):
                finding = error("unreadable", f"{resource} could not be read: {failure}")
                blank = self._kind.digest(None)
                self._finish(target, PlannedItem(target.resource, blank, blank, findings=(finding,)))

    def _plan(self, target: Target) -> None:
        source = None if target.source is None else self._states[target.source]
        item = target.compose(source, self._states[target.resource])
        if item.intent is not None:
            item = replace(item, intent=replace(item.intent, read_at=self._read_at[target.resource]))
        self._finish(target, item)

    def _finish(self, target: Target, item: PlannedItem) -> None:
        if self.planned.setdefault(target.resource, item) is not item:
            return
        self._progress.add("planned")
        for need in target.needs:
            self._uses[need] -= 1
            if not self._uses[need]:
                self._states.pop(need, None)
