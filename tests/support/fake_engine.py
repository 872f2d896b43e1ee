"""A made-up kind of resources and a made-up server, so that the engine is tested without any one system.

A resource's state is a mapping of small whole numbers. Writes set members in batches; a resource that
needs more than one member written may be written in several steps.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

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
    batches,
)
from airflow_voice_agents.transport.api_request import ApiRequest, Replay
from airflow_voice_agents.transport.errors import BadRequest, CallError, OutcomeUnknown

State = Mapping[str, int]
READ, WRITE = "read things", "write things"


def thing(name: str, owner: str = "shop", kind: str = "thing") -> Resource:
    """Address of a thing."""
    return Resource(kind, owner, name)


def transition(name: str, before: State | None, after: State, owner: str = "shop") -> Transition[State]:
    """What a thing is and shall be."""
    return Transition(thing(name, owner), before, after)


@dataclass
class ThingKind(Kind[Mapping[str, int]]):
    """Things in batches, or member by member in lanes.

    :param batch_size: most things per call.
    :param stepwise: each thing has a lane of its own with one write per member; else one lane per batch.
    :param canary: the first thing is written alone, and the rest only if that went well.
    :param splits_one: a refused write of a single thing is looked into as well.
    :param name: the kind's name.
    :param repeatable: whether a write may be sent twice.
    """

    batch_size: int = 10
    stepwise: bool = False
    canary: bool = False
    splits_one: bool = False
    name: str = "thing"  # type: ignore[misc]
    repeatable: bool = True  # type: ignore[misc]

    def observe(self, resources: Sequence[Resource], known: Known = {}) -> Iterator[Observation[State]]:  # noqa: B006
        """Reads in batches, one owner each."""
        owners = dict.fromkeys(resource.owner for resource in resources)
        for owner in owners:
            mine = [resource for resource in resources if resource.owner == owner]
            for chunk in batches(mine, self.batch_size):
                yield Observation(_call(READ, [(each, {}) for each in chunk]), chunk, dict)

    def digest(self, state: State | None) -> str:
        """Digest of all members."""
        return digest(None if state is None else dict(state))

    def diff(self, before: State | None, after: State | None) -> Iterator[Change]:
        """Changes by member."""
        return diff(dict(before or {}), dict(after or {}))

    def write_sequences(self, transitions: Sequence[Transition[State]]) -> Iterator[WriteSequence[State]]:
        """Steps, batches, or one alone and then batches."""
        if self.stepwise:
            yield from map(self._steps, transitions)
        elif self.canary and len(transitions) > 1:
            first = Write(
                _call(WRITE, _sets(transitions[:1])), (transitions[0].resource,), _judge, vital=True
            )
            yield (first, *(self._batch(chunk) for chunk in batches(transitions[1:], self.batch_size)))
        else:
            yield from ((self._batch(chunk),) for chunk in batches(transitions, self.batch_size))

    def mismatches(self, transition: Transition[State], observed: State | None) -> list[str]:
        """Members of the intent that a thing does not show."""
        return [name for name, value in _changed(transition).items() if (observed or {}).get(name) != value]

    def to_json(self, state: State) -> Any:
        """The members."""
        return dict(state)

    def from_json(self, value: Any) -> State:
        """The members."""
        return dict(value)

    def _steps(self, each: Transition[State]) -> WriteSequence[State]:
        state, steps = dict(each.before or {}), []
        for name, value in _changed(each).items():
            state[name] = value
            call = _call(f"{WRITE} ({name})", [(each.resource, {name: value})])
            steps.append(Write(call, (each.resource,), _judge, waypoint=self.digest(state), vital=True))
        return tuple(steps)

    def _batch(self, transitions: Sequence[Transition[State]]) -> Write[State]:
        mine = {each.resource: each for each in transitions}

        def split(left: Sequence[Resource]) -> tuple[Write[State], ...]:
            halves = batches([mine[each] for each in left], max(1, (len(left) + 1) // 2))
            return tuple(map(self._batch, halves))

        divisible = self.splits_one or len(mine) > 1
        return Write(
            _call(WRITE, _sets(transitions)), tuple(mine), _judge, split=split if divisible else None
        )


@dataclass(frozen=True)
class JsonKind(Kind[Any]):
    """A kind that is only kept in snapshots.

    :param spell: returns a state as JSON.
    :param read: returns the state of such JSON.
    """

    spell: Callable[[Any], Any] = lambda state: state
    read: Callable[[Any], Any] = lambda value: value

    def to_json(self, state: Any) -> Any:
        """JSON of a state."""
        return self.spell(state)

    def from_json(self, value: Any) -> Any:
        """The state of JSON."""
        return self.read(value)


def _changed(each: Transition[State]) -> dict[str, int]:
    old = each.before or {}
    return {name: value for name, value in each.after.items() if old.get(name) != value}


def _sets(transitions: Iterable[Transition[State]]) -> list[tuple[Resource, dict[str, int]]]:
    return [(each.resource, _changed(each)) for each in transitions]


def _judge(answer: Mapping[Resource, Any]) -> dict[Resource, WriteResult[State]]:
    return {
        each: WriteResult(error=said) if isinstance(said, str) else WriteResult(said)
        for each, said in answer.items()
    }


def _call(operation: str, things: list[tuple[Resource, dict[str, int]]]) -> ApiRequest[Any]:
    route = f"/{'+'.join(each.name for each, _ in things)}"
    method = "GET" if operation == READ else "PATCH"
    replay = Replay.SAFE if operation == READ else Replay.RECONCILE
    return ApiRequest(operation, method, route, route, dict, replay, body={"things": things})


Fault = Callable[["ThingServer", ApiRequest[Any]], Any]


@dataclass
class ThingServer:
    """Holds things and answers calls; each call takes the next fault of the script, ``None`` for none.

    :param things: what there is.
    :param script: faults by number of the call, from 0.
    :param always: a fault for every call that the script says nothing about.
    """

    things: dict[Resource, State]
    script: dict[int, Fault | CallError | None] = field(default_factory=dict)
    always: Fault | None = None
    calls: list[ApiRequest[Any]] = field(default_factory=list)
    in_flight: int = 0
    most_in_flight: int = 0

    async def send(self, call: ApiRequest[Any]) -> Any:
        """Answer a call, or fail as scripted."""
        number = len(self.calls)
        self.calls.append(call)
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            await asyncio.sleep(0)
            fault = self.script.get(number, self.always)
            if isinstance(fault, CallError):
                raise fault
            return self.answer(call) if fault is None else fault(self, call)
        finally:
            self.in_flight -= 1

    def answer(self, call: ApiRequest[Any]) -> dict[Resource, Any]:
        """Do what a call asks for and return the things as they are then; ``None`` for those that do not exist."""
        named = (call.body or {})["things"]
        if call.operation != READ:
            for each, members in named:
                self.things[each] = {**self.things.get(each, {}), **members}
        return {each: self.things.get(each) for each, _ in named}

    def routes(self, method: str = "PATCH") -> list[str]:
        """What was named in the calls of a method, in order."""
        return [call.route.removeprefix("/") for call in self.calls if call.method == method]

    def counts(self) -> dict[str, int]:
        """Number of calls by method."""
        return dict(Counter(call.method for call in self.calls))


def lost(server: ThingServer, call: ApiRequest[Any]) -> Any:
    """The call never arrived, but that cannot be told."""
    raise OutcomeUnknown("timed out", operation=call.operation)


def applied_and_lost(server: ThingServer, call: ApiRequest[Any]) -> Any:
    """The call did its work, and the answer was lost."""
    server.answer(call)
    raise OutcomeUnknown("timed out", operation=call.operation)


def half_applied_and_lost(server: ThingServer, call: ApiRequest[Any]) -> Any:
    """The call did its work for the first half of the things, and the answer was lost."""
    things = (call.body or {})["things"]
    server.answer(_call(call.operation, things[: (len(things) + 1) // 2]))
    raise OutcomeUnknown("timed out", operation=call.operation)


def forgetful(server: ThingServer, call: ApiRequest[Any]) -> Any:
    """The write did its work, and the answer leaves out the last thing."""
    answer = server.answer(call)
    if call.operation != READ:
        answer.pop((call.body or {})["things"][-1][0], None)
    return answer


def refusing(*names: str) -> Fault:
    """The server refuses a write as a whole when it names one of these."""

    def fault(server: ThingServer, call: ApiRequest[Any]) -> Any:
        if call.method == "PATCH" and any(each.name in names for each, _ in (call.body or {})["things"]):
            raise BadRequest("no such setting", operation=call.operation, status=400)
        return server.answer(call)

    return fault
