"""Units of made-up things of several kinds, planned by what a server shows and rolled out, try after try."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from airflow_voice_agents.engine.checkpoints import Checkpoints
from airflow_voice_agents.engine.reads import observe
from airflow_voice_agents.engine.rollout import RolloutPolicy, roll_out
from airflow_voice_agents.engine.run_context import RunContext
from airflow_voice_agents.plans.kind import Resource, Transition
from airflow_voice_agents.plans.plan import PlannedItem, TargetPlan, waypoint_digests
from airflow_voice_agents.plans.report import Report
from airflow_voice_agents.transport.api_request import ApiRequest
from support.fake_engine import READ, State, ThingKind, ThingServer, thing
from support.kill_switch import Fuse, FusedStore, Killed

KINDS = ("base", "page", "line")
"""Kinds of the fleet's things, each standing on those before it."""

OLD: State = {"x": 0, "y": 0, "own": 7}
NEW = {"x": 1, "y": 1}


class Grave(Fuse):
    """A fuse after which nothing that the process does has any effect."""

    def burn(self) -> None:
        """Let a moment pass, unless the process has ended."""
        self.burnt += 1
        if self.left is not None and self.burnt >= self.left:
            raise Killed


class Notebook(FusedStore):
    """A task's state store that can also forget."""

    def delete(self, key: str) -> None:
        """Forget a key."""
        self.fuse.burn()
        self.values.pop(key, None)
        self.fuse.burn()


@dataclass
class Clock:
    """Seconds that a test moves."""

    now: float = 0.0

    def __call__(self) -> float:
        return self.now


@dataclass
class WatchedServer(ThingServer):
    """A server that notes writes which should not have come.

    :param wanted: what its things shall be.
    :param useless: writes that changed nothing.
    :param early: writes that came before what they stand on was as it shall be.
    :param log: owners in the order of their calls (``"> a"``) and of the answers (``"< a"``).
    """

    wanted: dict[Resource, Mapping[str, int]] = field(default_factory=dict)
    useless: list[Resource] = field(default_factory=list)
    early: list[Resource] = field(default_factory=list)
    log: list[str] = field(default_factory=list)
    units_in_flight: int = 0

    async def send(self, call: ApiRequest[Any]) -> Any:
        """Answer a call, and note when."""
        owner = owners_of(call)[0]
        self.log.append(f"> {owner}")
        self.units_in_flight = max(self.units_in_flight, len(self._open()))
        try:
            return await super().send(call)
        finally:
            self.log.append(f"< {owner}")

    def answer(self, call: ApiRequest[Any]) -> dict[Resource, Any]:
        """Do what a call asks for."""
        if call.operation != READ:
            for each, members in (call.body or {})["things"]:
                if self.things.get(each, {}).items() >= members.items():
                    self.useless.append(each)
                if not all(self.reached(other) for other in self._below(each)):
                    self.early.append(each)
        return super().answer(call)

    def reached(self, each: Resource) -> bool:
        """Tell whether a thing is as it shall be."""
        return self.things.get(each, {}).items() >= self.wanted[each].items()

    def _below(self, each: Resource) -> list[Resource]:
        rank = KINDS.index(each.kind)
        return [other for other in self.wanted if other.owner == each.owner and other.kind in KINDS[:rank]]

    def _open(self) -> set[str]:
        """Owners with more calls than answers."""
        owners = {entry[2:] for entry in self.log}
        return {each for each in owners if self.log.count(f"> {each}") > self.log.count(f"< {each}")}


def owners_of(call: ApiRequest[Any]) -> list[str]:
    """Owners of the things that a call names."""
    return list(dict.fromkeys(each.owner for each, _ in (call.body or {})["things"]))


@dataclass
class Fleet:
    """Units, a server and what outlives a try.

    :param units: unit -> kinds of its things, in order.
    :param script: faults by number of the call, from 0.
    :param always: a fault for every other call.
    :param same: units that are as they shall be already.
    :param remembers: whether the task has a state store.
    :param batch: units per checkpoint.
    :param kinds: how the things of each kind are written.
    """

    units: Mapping[str, Sequence[str]]
    script: dict[int, Any] = field(default_factory=dict)
    always: Any = None
    same: Sequence[str] = ()
    remembers: bool = True
    batch: int = 25
    kinds: dict[str, ThingKind] = field(
        default_factory=lambda: {name: ThingKind(name=name, stepwise=True) for name in KINDS}
    )

    def __post_init__(self) -> None:
        self.fuse = Grave()
        self.notes = Notebook(self.fuse)
        self.clock = Clock()
        self.epoch = Clock(1_800_000_000.0)
        self.said: list[str] = []
        self.order = list(self.units)
        wanted = {thing("t", name, kind): NEW for name, kinds in self.units.items() for kind in kinds}
        there = {each: {**OLD, **NEW} if each.owner in self.same else OLD for each in wanted}
        self.server = WatchedServer(dict(there), self.script, self.always, wanted=dict(wanted))

    def run(self, concurrency: int = 1) -> RunContext:
        """Return what a try works with."""
        return RunContext(self.send, self.said.append, concurrency=concurrency, clock=self.clock)

    def ledger(self) -> Checkpoints:
        """Return the checkpoints as a new process finds them."""
        return Checkpoints(
            self.notes if self.remembers else None, "d" * 64, batch=self.batch, clock=self.epoch
        )

    def attempt(self, pace: RolloutPolicy | None = None, *, concurrency: int = 1) -> Report:
        """Read what no earlier try has ended, plan it and carry it out."""
        return asyncio.run(self._attempt(pace or RolloutPolicy(), concurrency))

    async def _attempt(self, pace: RolloutPolicy, concurrency: int) -> Report:
        ledger, run = self.ledger(), self.run(concurrency)
        planned_at = run.clock()
        units = await self.plan(run, [name for name in self.order if name not in ledger.done])
        return await self.roll_out(run, units, ledger, pace, planned_at=planned_at)

    async def roll_out(
        self,
        run: RunContext,
        units: list[TargetPlan],
        ledger: Checkpoints,
        pace: RolloutPolicy,
        *,
        planned_at: float = 0.0,
    ) -> Report:
        """Carry units out."""
        return await roll_out(
            run,
            "promote",
            self.kinds,
            units,
            pace=pace,
            ledger=ledger,
            order=self.order,
            planned_at=planned_at,
            plan_digest="d" * 64,
        )

    async def plan(self, run: RunContext, names: Sequence[str]) -> list[TargetPlan]:
        """Read units and plan what each still lacks."""
        mine = [each for each in self.server.wanted if each.owner in names]
        states: dict[Resource, State | None] = {}

        def unreadable(resource: Resource, failure: Exception) -> None:
            raise AssertionError(f"{resource}: {failure}")

        await observe(run, self.kinds, mine, seen=states.__setitem__, unreadable=unreadable)
        return [
            TargetPlan(name, tuple(self.item(each, states[each]) for each in mine if each.owner == name))
            for name in names
        ]

    def item(self, each: Resource, now: State | None) -> PlannedItem:
        """Plan one thing."""
        kind = self.kinds[each.kind]
        wanted = {**(now or {}), **self.server.wanted[each]}
        if now == wanted:
            return PlannedItem(each, kind.digest(now), kind.digest(now))
        transition = Transition(each, now, wanted)
        return PlannedItem(
            each,
            kind.digest(now),
            kind.digest(wanted),
            waypoints=waypoint_digests(kind.write_sequences([transition])),
            transition=transition,
        )

    async def send(self, call: ApiRequest[Any]) -> Any:
        """Send a call; the process may end before it and after it."""
        self.fuse.burn()
        answer = await self.server.send(call)
        self.fuse.burn()
        return answer

    def restart(self, left: int | None = None) -> None:
        """Begin in another process, where nothing has been asked yet."""
        self.fuse.renew(left)
        self.server.calls.clear()
        self.server.log.clear()

    def written(self) -> list[str]:
        """Owners and kinds of the writes, in order."""
        calls = [call for call in self.server.calls if call.method != "GET"]
        return [f"{each.owner} {each.kind}" for call in calls for each, _ in (call.body or {})["things"]]

    def asked(self) -> set[str]:
        """Owners of everything that was read or written."""
        return {owner for call in self.server.calls for owner in owners_of(call)}

    @property
    def whole(self) -> bool:
        """Whether everything is as it shall be, and nothing else was touched."""
        there = self.server.things
        return all(there[each] == {**OLD, **NEW} for each in self.server.wanted)


def outcomes(report: Report) -> dict[str, str]:
    """How each unit's things ended, as one text per unit."""
    found: dict[str, list[str]] = {}
    for item in report.items:
        found.setdefault(item.resource.owner, []).append(item.status.value)
    return {owner: " ".join(mine) for owner, mine in found.items()}
