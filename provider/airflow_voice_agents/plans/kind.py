"""The protocol that a system implements for each kind of resource.

A kind gives the requests that read its resources, the canonical form and digest of a state, the difference between
two states, the writes that lead from one to the other in a valid order, and the test whether a result holds. It
plans and restores. It sends nothing and holds no state of a run, so one instance serves every run.
``plans`` and ``engine`` know a system only through this module.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, ClassVar, Generic, NamedTuple, Protocol, TypeVar

import msgspec

from airflow_voice_agents.plans.diff import Change
from airflow_voice_agents.transport.api_request import ApiRequest
from airflow_voice_agents.transport.records import Record

if TYPE_CHECKING:
    from airflow_voice_agents.plans.plan import PlannedItem

State = TypeVar("State")
Item = TypeVar("Item")
Known = Mapping["Resource", Any]
"""The latest known state of resources, for kinds that address a resource by an id that only a state holds."""


class Resource(NamedTuple):
    """The address of one thing that can be read and changed.

    It is a tuple because it is the key of everything: an import hashes each number about thirty times.

    :param kind: the kind's name (``"config page"``).
    :param owner: the agent, space or workspace that has it.
    :param name: its name there: an environment, a connector id, a number.
    """

    kind: str
    owner: str
    name: str

    def __str__(self) -> str:
        return f"{self.owner}/{self.name}"

    @property
    def key(self) -> str:
        """The spelling under which files and task state keep facts about the resource."""
        return f"{self.kind}:{self}"


class Observation(Record, Generic[State], frozen=True):
    """One read and the states in its answer.

    ``states`` maps a resource that the answer reports as absent to ``None``. A resource that the answer does not
    mention is missing from the mapping: it is unread, and nothing may be concluded about it.

    :param request: the read-only request.
    :param resources: the resources that the answer is expected to report.
    :param states: picks the states out of the answer.
    :param fetch: reads an answer that takes several requests (pages); ``None`` sends ``request`` alone.
    """

    not_compared = ("states", "fetch")

    request: ApiRequest[Any]
    resources: tuple[Resource, ...]
    states: Callable[[Any], Mapping[Resource, State | None]]
    fetch: Callable[[Any], Awaitable[Any]] | None = None


class Transition(Record, Generic[State], frozen=True, gc=False):
    """The present and the desired state of one resource.

    :param resource: the resource.
    :param before: the observed state, or ``None`` when it does not exist.
    :param after: the desired state.
    :param read_at: time of the read, on the run's clock; ``None`` when unknown.
    """

    not_compared = ("read_at",)

    resource: Resource
    before: State | None
    after: State
    read_at: float | None = None


class WriteResult(msgspec.Struct, Generic[State], frozen=True, gc=False):
    """The outcome of a write for one resource, as its response reports it.

    :param state: the state in the response, or ``None`` when the response shows none; then it is read back.
    :param error: the platform's reason for refusing this item, or ``None`` when it accepted it.
    :param facts: ids that the response adds (a deployment's id, test runs), for the report; never values.
    """

    state: State | None = None
    error: str | None = None
    facts: Mapping[str, Any] = msgspec.field(default_factory=dict)


class Write(Record, Generic[State], frozen=True):
    """One write.

    :param request: the request that writes.
    :param resources: the resources that it changes.
    :param judge: the outcome per resource in the response; a missing resource is unknown until it is read back.
    :param waypoint: digest of its one resource after this write, if more writes follow for it.
    :param vital: the rest of the sequence is skipped unless every resource here succeeded.
    :param split: makes smaller writes for some of the resources, to isolate offenders when the platform refuses
        the request as a whole; ``None`` if it cannot be made smaller.
    :param deletes: a 404 answer may mean that the resource is gone already, so it is read back.
    :param no_change: turns a refusal that means "there is nothing to do" into the reason for the report; returns
        ``None`` for any other refusal.
    :param not_taken: what it means that the platform answered a creation and took nothing of it, or said that
        the resource exists, while a read shows it absent; it is then not sent again. What an answer leaves out beside
        others that it takes is sent once more without them. Empty where that means nothing certain.
    """

    not_compared = ("judge", "split", "no_change")

    request: ApiRequest[Any]
    resources: tuple[Resource, ...]
    judge: Callable[[Any], Mapping[Resource, WriteResult[State]]]
    waypoint: str | None = None
    vital: bool = False
    split: Split[State] | None = None
    deletes: bool = False
    no_change: Callable[[Any], str | None] | None = None
    not_taken: str = ""


Split = Callable[[Sequence[Resource]], "tuple[Write[State], ...]"]

WriteSequence = tuple[Write[State], ...]
"""Writes that must keep their order; two sequences are independent of each other."""

must_not_wait: ContextVar[bool] = ContextVar("must_not_wait", default=False)
"""Whether an event loop makes the plan: then what has to wait for another process raises :class:`WouldWaitError`."""


class WouldWaitError(Exception):
    """A plan has to wait for another process. It is made again in a thread."""


class ResourceKind(Protocol[State]):
    """A kind of resource that plans and the engine can change. Implementations derive from :class:`Kind`."""

    @property
    def name(self) -> str:
        """The kind's name in plans and reports, in the singular."""

    @property
    def repeatable(self) -> bool:
        """Whether a write that is sent twice leaves the same state.

        If not, the engine polls after an unknown outcome and ends as unknown rather than sending it again.
        """

    @property
    def restorable(self) -> bool:
        """Whether a kept state can be restored."""

    @property
    def blocking(self) -> bool:
        """Whether plans and write sequences may wait for another process.

        While :data:`must_not_wait` is set, they raise :class:`WouldWaitError` instead, and are made again in a thread.
        """

    def release(self) -> None:
        """End what blocking plans and write sequences have started; the next one starts it again."""

    def observe(self, resources: Sequence[Resource], known: Known = ...) -> Iterable[Observation[State]]:
        """Return the reads that report the states of these resources, in as few requests as possible."""

    def digest(self, state: State | None) -> str:
        """Return the digest of a state; equal digests mean equal states."""

    def diff(self, before: State | None, after: State | None) -> Iterable[Change]:
        """Return the differences between two states."""

    def write_sequences(self, transitions: Sequence[Transition[State]]) -> Iterable[WriteSequence[State]]:
        """Return the writes that lead from before to after, in an order in which every state between is valid."""

    def mismatches(self, transition: Transition[State], observed: State | None) -> list[str]:
        """List the parts of the desired state that an observed state does not show; empty means that it holds."""

    def continues(self, transition: Transition[State], observed: State | None) -> bool:
        """Return whether more writes must follow from an observed state that the planned writes led to."""

    def revision(self, state: State | None) -> str | None:
        """Return an id that changes with every write by anybody (a deployment's record), or ``None``."""

    def plan(self, resource: Resource, desired: Any, now: State | None) -> PlannedItem:
        """Plan the way from the present state to a desired one."""

    def destination(self, state: State) -> str | None:
        """Return where a phone number's calls go in this state, in a few words of names and ids, or ``None``."""

    def restore(self, resource: Resource, wanted: State | None, now: State | None) -> PlannedItem:
        """Plan the way back to a kept state.

        Losses that no write can undo are named in the item (``stale_keys``, findings of severity warning), and
        ``after`` is the digest of the reachable state. Newer work of others is the engine's concern.
        """

    def to_json(self, state: State) -> Any:
        """Return a state as JSON for a snapshot, complete enough for :meth:`from_json`. It may hold values."""

    def from_json(self, value: Any) -> State:
        """Return the state that :meth:`to_json` made JSON of."""


class Kind(Generic[State]):
    """Defaults of the resource-kind protocol, for kinds that need no more."""

    name: ClassVar[str] = ""
    repeatable: ClassVar[bool] = True
    restorable: ClassVar[bool] = True
    blocking: ClassVar[bool] = False

    def release(self) -> None:
        """Do nothing: nothing was started."""

    def continues(self, transition: Transition[State], observed: State | None) -> bool:
        """Return ``False``: the planned writes lead all the way."""
        return False

    def revision(self, state: State | None) -> str | None:
        """Return ``None``: states carry no id of their own."""
        return None

    def destination(self, state: State) -> str | None:
        """Return ``None``: no calls go anywhere by it."""
        return None

    def restore(self, resource: Resource, wanted: State | None, now: State | None) -> PlannedItem:
        """Refuse: nothing of this kind can be restored."""
        raise NotImplementedError(f"a {self.name} cannot be restored")

    def to_json(self, state: State) -> Any:
        """Refuse: nothing of this kind is kept in snapshots."""
        raise NotImplementedError(f"a {self.name} is not kept in snapshots")

    def from_json(self, value: Any) -> State:
        """Refuse: nothing of this kind is kept in snapshots."""
        raise NotImplementedError(f"a {self.name} is not kept in snapshots")


Kinds = Mapping[str, ResourceKind[Any]]
"""Kinds by name: a registry."""


def batches(items: Sequence[Item], size: int) -> Iterator[tuple[Item, ...]]:
    """Cut items into batches of at most ``size``, in order."""
    return (tuple(items[start : start + size]) for start in range(0, len(items), size))


def by_owner(resources: Iterable[Resource]) -> dict[str, list[Resource]]:
    """Group resources by owner, in order of first mention."""
    groups: dict[str, list[Resource]] = {}
    for resource in resources:
        groups.setdefault(resource.owner, []).append(resource)
    return groups
