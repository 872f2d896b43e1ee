"""Reads what a plan needs, in as few requests as possible, and plans each resource as soon as it can be planned."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, Generic

from msgspec.structs import replace

from airflow_voice_agents.engine.concurrency import ProgressLog, for_each_limited, free_loop
from airflow_voice_agents.engine.reads import read_observation, smaller, unread
from airflow_voice_agents.engine.run_context import RunContext
from airflow_voice_agents.plans.kind import Observation, Resource, ResourceKind, State
from airflow_voice_agents.plans.plan import PlannedItem, error, no_change
from airflow_voice_agents.transport.errors import CallError
from airflow_voice_agents.transport.records import Record

Compose = Callable[[Any, Any], PlannedItem]


class PlanRequest(Record, frozen=True):
    """One resource to plan.

    :param resource: the resource that is written.
    :param source: the resource that is taken from, or ``None`` when the values come from elsewhere.
    :param compose: pure function of the source's and the target's state (``None`` where one does not exist) that
        returns the planned item.
    """

    not_compared = ("compose",)

    resource: Resource
    source: Resource | None
    compose: Compose

    @property
    def needs(self) -> tuple[Resource, ...]:
        """The resources that must be read for it."""
        return (self.resource,) if self.source is None else (self.source, self.resource)


async def plan_resources(
    run: RunContext, kind: ResourceKind[State], operation: str, requests: Sequence[PlanRequest]
) -> list[PlannedItem]:
    """Read sources and targets and plan every target; nothing is written.

    A target that cannot be read becomes an item with an error, so that the run stops before a write and names
    them all.

    :param run: the run.
    :param kind: the kind of all resources.
    :param operation: the operation's name, for progress.
    :param requests: the resources to plan, each at most once.
    :raises Unauthorized: when the platform refuses the key.
    :raises CallError: when a read failed for a reason that a retry of the task may mend.
    :returns: one item per request, in order.
    """
    planner = _Planner(kind, requests, run.progress(f"{operation}: plan", len(requests)))

    async def read(observation: Observation[State]) -> None:
        asked_at = run.clock()
        try:
            states = await read_observation(run.send, observation)
        except CallError as failure:
            if failure.concerns_all or not failure.permanent:
                raise
            parts = smaller(kind, observation, failure, {})
            for part in parts:
                await read(part)
            if not parts:
                planner.unreadable(observation.resources, failure)
            return
        for resource in observation.resources:
            if resource not in states:
                raise unread(observation, resource)
        await planner.observed(observation.resources, states.get, asked_at)

    await for_each_limited(_sources_first(kind, requests), read, limit=run.concurrency)
    return [planner.planned[request.resource] for request in requests]


def _sources_first(
    kind: ResourceKind[State], requests: Sequence[PlanRequest]
) -> Iterable[Observation[State]]:
    """Order the reads so that a state that many targets wait for comes first and nothing piles up."""
    sources = {request.source for request in requests if request.source}
    needed = dict.fromkeys(resource for request in requests for resource in request.needs)
    reads = kind.observe(list(needed), {})
    return sorted(reads, key=lambda read: sources.isdisjoint(read.resources))


class _Planner(Generic[State]):
    """Keeps each state only until the last target that needs it is planned."""

    def __init__(
        self, kind: ResourceKind[State], requests: Sequence[PlanRequest], progress: ProgressLog
    ) -> None:
        self.planned: dict[Resource, PlannedItem] = {}
        self._kind = kind
        self._progress = progress
        self._begun: set[Resource] = set()
        self._states: dict[Resource, State | None] = {}
        self._read_at: dict[Resource, float] = {}
        self._uses = Counter(resource for request in requests for resource in request.needs)
        self._waiting: defaultdict[Resource, list[PlanRequest]] = defaultdict(list)
        for request in requests:
            for resource in set(request.needs):
                self._waiting[resource].append(request)

    async def observed(
        self, resources: Iterable[Resource], state_of: Callable[[Resource], State | None], asked_at: float
    ) -> None:
        """Take in states and plan the targets for which everything is known."""
        arrived = list(resources)
        self._read_at.update(dict.fromkeys(arrived, asked_at))
        self._states.update((each, state_of(each)) for each in arrived if self._uses[each])
        for resource in arrived:
            for request in self._waiting.pop(resource, ()):
                ready = all(need in self._states for need in request.needs)
                if request.resource not in self._begun and ready:
                    self._begun.add(request.resource)
                    await self._plan(request)

    def unreadable(self, resources: Iterable[Resource], failure: CallError) -> None:
        """Plan the targets that wait for these resources as impossible."""
        for resource in resources:
            for request in self._waiting.pop(resource, ()):
                finding = error("unreadable", f"{resource} could not be read: {failure}")
                self._finish(request, no_change(self._kind, request.resource, None, finding))

    async def _plan(self, request: PlanRequest) -> None:
        source = None if request.source is None else self._states[request.source]
        compose = partial(request.compose, source, self._states[request.resource])
        item = await free_loop(compose)
        if item.transition is not None:
            read_at = self._read_at[request.resource]
            item = replace(item, transition=replace(item.transition, read_at=read_at))
        self._finish(request, item)

    def _finish(self, request: PlanRequest, item: PlannedItem) -> None:
        if self.planned.setdefault(request.resource, item) is not item:
            return
        self._progress.add("planned")
        for need in request.needs:
            self._uses[need] -= 1
            if not self._uses[need]:
                self._states.pop(need, None)
