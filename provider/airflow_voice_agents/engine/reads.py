"""Reads: turn one response into states, separate unread resources from absent ones, cut refused batches down."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeVar

from airflow_voice_agents.engine.concurrency import Sender, for_each_limited
from airflow_voice_agents.engine.run_context import RunContext
from airflow_voice_agents.plans.kind import Known, Observation, Resource, ResourceKind, State
from airflow_voice_agents.transport.api_request import ApiRequest, RequestKey
from airflow_voice_agents.transport.errors import BadRequest, CallError, ResponseError

T = TypeVar("T")
Seen = Callable[[Resource, Any], None]
Unreadable = Callable[[Resource, CallError], None]
Answer = Mapping[Resource, Any]


async def read_observation(send: Sender, observation: Observation[State]) -> Mapping[Resource, State | None]:
    """Send one read and return the states in its answer.

    :param send: sends a request.
    :param observation: the read.
    :raises CallError: when the read failed.
    """
    if observation.fetch is not None:
        answer = await observation.fetch(send)
    else:
        answer = await send(observation.request)
    return observation.states(answer)


def unread(observation: Observation[Any], resource: Resource) -> ResponseError:
    """Return the error for a resource that an answer does not mention.

    :param observation: the read.
    :param resource: the resource.
    """
    request = observation.request
    return ResponseError(
        f"the answer does not mention {resource}, so nothing is known about it",
        operation=request.operation,
        method=request.method,
        route=request.route,
        advice="It counts neither as absent nor as unset; the task may be retried.",
    )


def smaller(
    kind: ResourceKind[State], observation: Observation[State], failure: CallError, known: Known
) -> list[Observation[State]]:
    """Return smaller reads in place of a batch that the platform refused, or none where that cannot help.

    :param kind: the kind of the resources.
    :param observation: the refused read.
    :param failure: the refusal.
    :param known: the latest known states.
    """
    mine = observation.resources
    if not isinstance(failure, BadRequest) or len(mine) < 2:
        return []
    middle = (len(mine) + 1) // 2
    reads = [read for half in (mine[:middle], mine[middle:]) for read in kind.observe(half, known)]
    same = {(read.request.key, repr(read.request.body)) for read in reads}
    refused = (observation.request.key, repr(observation.request.body))
    return [] if refused in same else reads


async def read_states(
    context: RunContext,
    kind: ResourceKind[State],
    resources: Iterable[Resource],
    *,
    seen: Seen,
    failed: Unreadable,
    known: Known | None = None,
) -> None:
    """Read resources of one kind and pass each state on as soon as it is known.

    :param context: the run.
    :param kind: the kind of the resources.
    :param resources: the resources, each once.
    :param seen: takes a resource and its state, ``None`` where it does not exist.
    :param failed: takes a resource that could not be read, or that the answer does not mention, and the error.
    :param known: the latest known states.
    """
    states = known or {}

    async def read(observation: Observation[State]) -> None:
        try:
            answer = await read_observation(context.send, observation)
        except CallError as failure:
            parts = smaller(kind, observation, failure, states)
            for part in parts:
                await read(part)
            for resource in () if parts else observation.resources:
                failed(resource, failure)
            return
        for resource in observation.resources:
            if resource in answer:
                seen(resource, answer[resource])
            else:
                failed(resource, unread(observation, resource))

    await for_each_limited(kind.observe(list(resources), states), read, limit=context.concurrency)


async def read_all(
    run: RunContext, kind: ResourceKind[State], resources: Iterable[Resource]
) -> dict[Resource, State | None]:
    """Read resources of one kind, all of them or none.

    :param run: the run.
    :param kind: the kind of the resources.
    :param resources: the resources, each once.
    :raises CallError: for the first that could not be read, or that the answer does not mention.
    :returns: resource -> state, ``None`` where it does not exist.
    """
    found: dict[Resource, State | None] = {}

    def failed(_: Resource, failure: CallError) -> None:
        raise failure

    await read_states(run, kind, resources, seen=found.__setitem__, failed=failed)
    return found


async def observe(
    context: RunContext,
    kinds: Mapping[str, ResourceKind[Any]],
    resources: Iterable[Resource],
    *,
    seen: Seen,
    unreadable: Unreadable,
) -> None:
    """Read resources of several kinds, in as few requests as possible.

    :param context: the run.
    :param kinds: the kinds of the resources, by name.
    :param resources: the resources, each once.
    :param seen: takes a resource and its state, ``None`` where it does not exist.
    :param unreadable: takes a resource that cannot be read, for a reason that a retry cannot mend.
    :raises CallError: when a read failed for a reason that a retry of the task may mend, and when the
        platform refuses the key.
    """

    def failed(resource: Resource, failure: CallError) -> None:
        if failure.concerns_all or not failure.permanent:
            raise failure
        unreadable(resource, failure)

    for name, mine in _by_kind(resources):
        await read_states(context, kinds[name], mine, seen=seen, failed=failed)


def _by_kind(resources: Iterable[Resource]) -> Iterator[tuple[str, list[Resource]]]:
    groups: dict[str, list[Resource]] = {}
    for resource in resources:
        groups.setdefault(resource.kind, []).append(resource)
    yield from groups.items()


class SharedReads:
    """Reads that several targets have in common: sent once, kept until the last of these targets is planned.

    :param send: sends a request.
    :param owners: the owners that the targets read from, named once per target.
    :param clock: monotonic seconds.
    """

    def __init__(
        self, send: Sender, owners: Iterable[str], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._send = send
        self._clock = clock
        self._begun: dict[str, float] = {}
        self._uses = Counter(owners)
        self._answers: dict[str, dict[RequestKey, asyncio.Future[Any]]] = {}

    async def read(self, owner: str, request: ApiRequest[T]) -> T:
        """Send a read, or return the answer that another target received or waits for.

        :param owner: the owner that is read from.
        :param request: a read.
        :raises CallError: as the first sender met it, like any other error.
        """
        known = self._answers.setdefault(owner, {})
        self._begun.setdefault(owner, self._clock())
        if request.key in known:
            answer: T = await asyncio.shield(
                known[request.key]
            )  # a cancelled waiter leaves the request running
            return answer
        known[request.key] = future = asyncio.get_running_loop().create_future()
        try:
            answer = await self._send(request)
        except Exception as failure:
            future.set_exception(failure)
            future.exception()  # mark it as retrieved, though nobody else may wait for it
            raise
        except BaseException:
            future.cancel()
            known.pop(request.key, None)
            raise
        future.set_result(answer)
        return answer

    def begun(self, owner: str) -> float | None:
        """Return when the oldest kept answer of an owner was asked for, or ``None``.

        :param owner: the owner.
        """
        return self._begun.get(owner)

    def over(self, owners: Iterable[str]) -> None:
        """Note that a target is planned and needs these owners no more.

        :param owners: the owners named for that target.
        """
        for owner in owners:
            self._uses[owner] -= 1
            if self._uses[owner] <= 0:
                self._answers.pop(owner, None)
                self._begun.pop(owner, None)
