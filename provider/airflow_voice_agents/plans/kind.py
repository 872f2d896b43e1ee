"""The protocol between a system's resource kinds and the rooms that plan and carry out.

A kind says which calls observe its resources, what their canonical form and digest are, how two states
differ, which calls lead from one to the other in a valid order, and when a result is settled. It sends
nothing. ``promotion`` and ``fleet`` know only this page.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

from airflow_voice_agents.plans.diff import Change
from airflow_voice_agents.transport.api_request import ApiRequest

State = TypeVar("State")
Item = TypeVar("Item")


@dataclass(frozen=True, slots=True, order=True)
class Resource:
    """The address of one thing that can be observed and changed.

    :param kind: the kind's name (``"config page"``).
    :param owner: what it belongs to: an agent, a space, an account.
    :param name: its name there: an environment, a connector id, a number.
    """

    kind: str
    owner: str
    name: str

    def __str__(self) -> str:
        return f"{self.owner}/{self.name}"


@dataclass(frozen=True, slots=True)
class Observation(Generic[State]):
    """One read and what it tells.

    :param call: the read-only call.
    :param resources: what the answer speaks about.
    :param states: picks the states out of the answer; a resource that is missing there does not exist.
    """

    call: ApiRequest[Any]
    resources: tuple[Resource, ...]
    states: Callable[[Any], Mapping[Resource, State]] = field(compare=False)


@dataclass(frozen=True, slots=True)
class Transition(Generic[State]):
    """What one resource is now and what it shall be.

    :param resource: which one.
    :param before: the observed state, or ``None`` when it does not exist.
    :param after: the desired state.
    :param read_at: when the state now was read, on the run's clock; ``None`` where nobody noted it.
    """

    resource: Resource
    before: State | None
    after: State
    read_at: float | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class WriteResult(Generic[State]):
    """What a response says about one resource.

    :param state: the state that the response shows, or ``None`` when it shows none.
    :param error: the platform's reason for refusing this item, or ``None`` when it took it.
    """

    state: State | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Write(Generic[State]):
    """One write.

    :param call: the call that writes.
    :param resources: what it changes.
    :param judge: what the response says about each; a resource missing there is unknown until read back.
    :param passes: digest of its one resource after this write, where more writes follow for it.
    :param vital: whether the rest of the lane must be left alone unless every resource here succeeded.
    :param split: makes smaller steps for some of the resources, to isolate offenders when the platform
        refuses the call as a whole; ``None`` where it cannot be made smaller.
    """

    call: ApiRequest[Any]
    resources: tuple[Resource, ...]
    judge: Callable[[Any], Mapping[Resource, WriteResult[State]]] = field(compare=False)
    waypoint: str | None = None
    vital: bool = False
    split: Split[State] | None = field(default=None, compare=False)


Split = Callable[[Sequence[Resource]], "tuple[Write[State], ...]"]

WriteSequence = tuple[Write[State], ...]
"""Writes that must keep their order; two lanes are independent of each other."""


class ResourceKind(Protocol[State]):
    """What can be promoted."""

    @property
    def name(self) -> str:
        """The kind's name in plans and reports, in the singular."""

    def observe(self, resources: Sequence[Resource]) -> Iterable[Observation[State]]:
        """Say which reads tell the states of these resources, in as few calls as possible."""

    def digest(self, state: State | None) -> str:
        """Return the digest of a state; equal digests mean equal states."""

    def diff(self, before: State | None, after: State | None) -> Iterable[Change]:
        """Say how two states differ."""

    def write_sequences(self, intents: Sequence[Transition[State]]) -> Iterable[WriteSequence[State]]:
        """Say which writes lead from before to after, in an order in which every state between is valid."""

    def mismatches(self, intent: Transition[State], observed: State | None) -> list[str]:
        """List what of the intent an observed state does not show; empty means that it holds."""


def batches(items: Sequence[Item], size: int) -> Iterator[tuple[Item, ...]]:
    """Cut items into batches of at most ``size``, in order."""
    return (tuple(items[start : start + size]) for start in range(0, len(items), size))


def by_owner(resources: Iterable[Resource]) -> dict[str, list[Resource]]:
    """Group resources by what they belong to, in order of first mention."""
    groups: dict[str, list[Resource]] = {}
    for resource in resources:
        groups.setdefault(resource.owner, []).append(resource)
    return groups
