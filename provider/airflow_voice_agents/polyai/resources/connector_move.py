"""The place of a connector as a resource kind: a move to another agent changes two places with one request.

Each agent has a place for the connector. A move is an arrival at one and a departure from the other, and
is written only where both are planned and the connector was last seen at the place that it leaves. What
is one half only has no write: the connector is elsewhere then, and a second call could take it away from
there.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import msgspec
from msgspec.structs import replace

from airflow_voice_agents.plans.canonical import digest
from airflow_voice_agents.plans.diff import Change, diff
from airflow_voice_agents.plans.kind import (
    Kind,
    Known,
    Observation,
    Resource,
    Transition,
    Write,
    WriteResult,
    WriteSequence,
)
from airflow_voice_agents.plans.plan import Finding, PlannedItem, change, error, no_change, warning
from airflow_voice_agents.polyai import api
from airflow_voice_agents.polyai.ladder import LIVE
from airflow_voice_agents.polyai.models import Connector, ConnectorUpdate
from airflow_voice_agents.polyai.resources.connector import ConnectorKind, ConnectorState, connector
from airflow_voice_agents.polyai.resources.plan_items import kept_fields
from airflow_voice_agents.transport.errors import InputError
from airflow_voice_agents.transport.records import Record

KIND = "connector place"
NUMBERS_SHOWN = 20
_FIELDS = ("here", "connector")
NOTHING: Known = {}


class PlaceState(Record, frozen=True):
    """Whether an agent has a connector.

    :param here: whether it has.
    :param connector: the connector as it was seen there, for plans and snapshots; no part of equality.
    """

    not_compared = ("connector",)

    here: bool
    connector: ConnectorState | None = None


AWAY = PlaceState(False)


class Move(msgspec.Struct, frozen=True):
    """A connector to move from one agent to another.

    :param connector_id: the connector.
    :param source: the agent that has it.
    :param target: the agent that receives it.
    :raises InputError: when both are the same agent.
    """

    connector_id: str
    source: str
    target: str

    def __post_init__(self) -> None:
        if self.source == self.target:
            raise InputError(f"connector {self.connector_id!r} cannot move from {self.source} to itself")

    @property
    def arrival(self) -> Resource:
        """The place to move it to."""
        return place(self.target, self.connector_id)

    @property
    def departure(self) -> Resource:
        """The place where it is."""
        return place(self.source, self.connector_id)


@dataclass(frozen=True, slots=True)
class ConnectorMoveKind(Kind[PlaceState]):
    """Reads, compares and changes the places of connectors.

    :param batch_size: maximum number of connectors per read; each move is a request of its own.
    """

    name: ClassVar[str] = KIND

    batch_size: int = 50

    @property
    def _connectors(self) -> ConnectorKind:
        return ConnectorKind(batch_size=self.batch_size)

    def observe(
        self, resources: Sequence[Resource], known: Known = NOTHING
    ) -> Iterator[Observation[PlaceState]]:
        """Return one read per agent; a connector that it does not have is away."""
        for read in self._connectors.observe([connector(each.owner, each.name) for each in resources]):
            yield Observation(read.request, tuple(map(_place_of, read.resources)), _places(read))

    def digest(self, state: PlaceState | None) -> str:
        """Digest of whether it is there."""
        return digest(_is_here(state))

    def diff(self, before: PlaceState | None, after: PlaceState | None) -> Iterator[Change]:
        """The one thing that can differ."""
        return diff({"here": _is_here(before)}, {"here": _is_here(after)})

    def write_sequences(
        self, transitions: Sequence[Transition[PlaceState]]
    ) -> Iterator[WriteSequence[PlaceState]]:
        """One call per move; none for a half whose other half is not there to be written."""
        halves: dict[str, list[Transition[PlaceState]]] = {}
        for transition in transitions:
            halves.setdefault(transition.resource.name, []).append(transition)
        for mine in halves.values():
            arrivals = [each for each in mine if each.after.here and not _is_here(each.before)]
            departures = [each for each in mine if not each.after.here and _is_here(each.before)]
            if len(arrivals) == len(departures) == 1 and len(mine) == 2:
                yield (_move(arrivals[0].resource, departures[0].resource),)

    def mismatches(self, transition: Transition[PlaceState], observed: PlaceState | None) -> list[str]:
        """Whether it is still at its old place, or not yet at its new one."""
        return [] if _is_here(observed) == transition.after.here else ["here"]

    def plan(self, resource: Resource, desired: PlaceState, now: PlaceState | None) -> PlannedItem:
        """Plan one half of a move.

        :param resource: the place.
        :param desired: whether the connector is there afterwards.
        :param now: whether it is there now.
        """
        return _half(self, resource, now, desired)

    def to_json(self, state: PlaceState) -> dict[str, Any]:
        """Return a place as JSON, with the connector as it was seen there."""
        seen = state.connector
        return {"here": state.here, "connector": seen and self._connectors.to_json(seen)}

    def from_json(self, value: Any) -> PlaceState:
        """Return the place that :meth:`to_json` made JSON of.

        :param value: decoded JSON.
        :raises InputError: naming the field that is missing, unknown or wrong.
        """
        fields = kept_fields(value, _FIELDS, what=KIND)
        if not isinstance(fields["here"], bool):
            raise InputError(f"here in the kept state of a {KIND} must be true or false")
        seen = fields["connector"]
        return PlaceState(fields["here"], None if seen is None else self._connectors.from_json(seen))

    def restore(self, resource: Resource, wanted: PlaceState | None, now: PlaceState | None) -> PlannedItem:
        """Plan one half of the way back; the reverse move needs both places in one run.

        :param resource: the place.
        :param wanted: what it was; ``None`` where the connector was not there.
        :param now: what it is; ``None`` where the connector is not there.
        """
        comes_back = _is_here(wanted) and not _is_here(now)
        return _half(self, resource, now, wanted or AWAY, *([_NUMBERS_MAY_STAY] if comes_back else []))


_NUMBERS_MAY_STAY = warning(
    "numbers_follow",
    "Whether a connector's numbers follow it back is not documented, nor whether its variant is kept. Look at "
    "both afterwards.",
)


def place(agent_id: str, connector_id: str) -> Resource:
    """Return the address of an agent's place for a connector."""
    return Resource(KIND, agent_id, connector_id)


def plan_move(
    kind: ConnectorMoveKind,
    move: Move,
    states: Mapping[Resource, PlaceState],
    *,
    environment: str,
    numbers: Collection[str],
    staying: Iterable[ConnectorState],
    allow_live: bool = False,
) -> tuple[PlannedItem, PlannedItem]:
    """Plan a move: the place where the connector arrives, and the one that it leaves.

    A connector that has arrived already needs nothing.

    :param kind: the kind of the places.
    :param move: which connector goes where.
    :param states: both places as they are; a place without the connector may be missing.
    :param environment: the environment that it has to be in; a move does not change it.
    :param numbers: the numbers that are on it, which the plan shows.
    :param staying: the source's connectors that no move of the run takes away.
    :param allow_live: whether a live connector may move.
    """
    to, out = states.get(move.arrival), states.get(move.departure)
    if out is None or not out.here or _is_here(to):
        trouble = _trouble(move, to, out)
        return no_change(kind, move.arrival, to, *trouble), no_change(kind, move.departure, out)
    return (
        _half(kind, move.arrival, to, out, *_risks(out.connector, environment, numbers, allow_live)),
        _half(kind, move.departure, out, AWAY, *_left_behind(move.source, environment, staying)),
    )


def _trouble(move: Move, to: PlaceState | None, out: PlaceState | None) -> Iterator[Finding]:
    """Say why a connector that need not or cannot move is where nobody would expect it."""
    if _is_here(to) and _is_here(out):
        yield error(
            "same_agent",
            f"{move.source} and {move.target} both have connector {move.connector_id}: they seem to be two names "
            "of one agent.",
        )
    if not _is_here(to) and not _is_here(out):
        yield error(
            "connector_absent",
            f"Neither {move.source} nor {move.target} has connector {move.connector_id}. Look in Agent Studio "
            "where it is before anything else; nothing is moved.",
        )


def _risks(
    moving: ConnectorState | None, environment: str, numbers: Collection[str], allow_live: bool
) -> Iterator[Finding]:
    client_env = (moving.client_env if moving else None) or environment
    if client_env != environment:
        yield error(
            "wrong_environment",
            f"The connector is in {client_env}, not in {environment}, and a move does not change that. Name it in "
            "the target that it belongs to.",
        )
    if client_env == LIVE and not allow_live:
        yield error(
            "move_live",
            "The connector is live: a move takes its callers to another agent at once. Set allow_live for this "
            "move if that is meant.",
        )
    if numbers:
        shown = [*sorted(numbers)[:NUMBERS_SHOWN], *(["…"] if len(numbers) > NUMBERS_SHOWN else [])]
        yield warning(
            "numbers_follow",
            f"{len(numbers)} number(s) are on it: {', '.join(shown)}. Whether they follow is not documented; look "
            "at both agents afterwards.",
        )


def _left_behind(source: str, environment: str, staying: Iterable[ConnectorState]) -> Iterator[Finding]:
    if not any(each.client_env == environment for each in staying):
        yield warning(
            "unroutable",
            f"{source} has no other connector in {environment}: afterwards no call reaches it there.",
        )


def _half(
    kind: ConnectorMoveKind,
    resource: Resource,
    now: PlaceState | None,
    after: PlaceState,
    *findings: Finding,
) -> PlannedItem:
    """One of the two items of a move; their one call is counted where the connector arrives."""
    item = change(kind, resource, now, after, findings=findings, identifiers=True)
    return replace(item, writes=int(item.changed and after.here and not item.errors))


def _move(arrival: Resource, departure: Resource) -> Write[PlaceState]:
    both = (arrival, departure)

    def judge(answer: Connector) -> Mapping[Resource, WriteResult[PlaceState]]:
        """The answer may name the agent in another form than was sent: where it is has to be read."""
        return dict.fromkeys(both, WriteResult()) if answer.connector_id == arrival.name else {}

    return Write(
        request=api.update_connector(
            departure.owner, update=ConnectorUpdate(connector_id=arrival.name, project_id=arrival.owner)
        ),
        resources=both,
        judge=judge,
        split=_not_again,
    )


def _not_again(_: Sequence[Resource]) -> tuple[Write[PlaceState], ...]:
    """A refused move is looked at, because an earlier one may have arrived late, and not sent again."""
    return ()


def _is_here(state: PlaceState | None) -> bool:
    return state is not None and state.here


def _place_of(resource: Resource) -> Resource:
    return place(resource.owner, resource.name)


def _places(read: Observation[ConnectorState]) -> Callable[[Any], Mapping[Resource, PlaceState | None]]:
    return lambda answer: {
        _place_of(resource): None if state is None else PlaceState(True, state)
        for resource, state in read.states(answer).items()
    }
