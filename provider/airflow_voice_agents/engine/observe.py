"""Reads the states of resources of several kinds, in as few calls as possible."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from airflow_voice_agents.engine.concurrency import for_each_limited
from airflow_voice_agents.engine.run_context import RunContext
from airflow_voice_agents.plans.kind import Observation, Resource, ResourceKind
from airflow_voice_agents.transport.errors import CallError, Unauthorized

Seen = Callable[[Resource, Any], None]
Unreadable = Callable[[Resource, CallError], None]


async def observe(
    run: RunContext,
    kinds: Mapping[str, ResourceKind[Any]],
    resources: Iterable[Resource],
    *,
    seen: Seen,
    unreadable: Unreadable,
) -> None:
    """Read resources and hand each state on as soon as it is known; none is collected here.

    :param run: what the run works with.
    :param kinds: the kinds of the resources, by name.
    :param resources: what to read, each once.
    :param seen: takes a resource and its state, ``None`` where it does not exist.
    :param unreadable: takes a resource that may not be read or is not there to be read from.
    :raises CallError: when a read failed for a reason that a retry of the task may mend, and when the
        platform refuses the key.
    """
    groups: dict[str, list[Resource]] = {}
    for resource in resources:
        groups.setdefault(resource.kind, []).append(resource)

    async def read(observation: Observation[Any]) -> None:
        try:
            states = observation.states(await run.send(observation.call))
        except CallError as failure:
            if isinstance(failure, Unauthorized) or not failure.permanent:
                raise
            for resource in observation.resources:
                unreadable(resource, failure)
        else:
            for resource in observation.resources:
                seen(resource, states.get(resource))

    reads = (read for kind, mine in groups.items() for read in kinds[kind].observe(mine))
    await for_each_limited(reads, read, limit=run.concurrency)
