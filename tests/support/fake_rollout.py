"""Targets of made-up things of several kinds, planned by what a server shows and applied, try after try."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, ClassVar
from unittest import mock

from msgspec.structs import replace

from airflow_voice_agents.engine.action import Action, Scope
from airflow_voice_agents.engine.apply import apply
from airflow_voice_agents.engine.checkpoints import Checkpoints
from airflow_voice_agents.engine.policy import Policy, Protections, SharedFailures
from airflow_voice_agents.engine.reads import observe
from airflow_voice_agents.engine.run_context import RunContext
from airflow_voice_agents.plans.kind import Kinds, Resource, Transition
from airflow_voice_agents.plans.limits import FailureLimit, Waves
from airflow_voice_agents.plans.plan import PlannedItem, TargetPlan, waypoint_digests
from airflow_voice_agents.plans.report import Report
from airflow_voice_agents.transport.api_request import ApiRequest
from support.actions import no_sleep
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


def _goes_on() -> str | None:
    return None


@dataclass(frozen=True)
class Pace:
    """How a rollout goes.

    :param waves: where each wave ends.
    :param failure_limit: how many targets may fail.
    :param before_wave: asked before each wave: the stop switch.
    :param after_target: asked after each target: the lock's renewal.
    :param verify: whether writes are read back.
    :param max_snapshot_age: seconds after which a thing is read again before it is written.
    :param others: counts failures together with other tasks.
    """

    waves: Waves = field(default_factory=lambda: Waves.parse(None))
    failure_limit: FailureLimit | None = field(default_factory=FailureLimit)
    before_wave: Callable[[], Any] = _goes_on
    after_target: Callable[[], Any] = _goes_on
    verify: bool = True
    max_snapshot_age: float | None = 60.0
    others: SharedFailures | None = None

    def policy(self) -> Policy:
        """Return the options of the run."""
        return Policy(
            waves=self.waves,
            failure_limit=self.failure_limit,
            verify=self.verify,
            max_snapshot_age=self.max_snapshot_age,
        )

    def protections(self) -> Protections:
        """Return a lock that asks after each target, and a stop switch."""
        pace = self

        class WatchedLock:
            planned = False

            def narrow(self, targets: Collection[str]) -> None:
                """Lock nothing; the plan is made."""
                self.planned = True

            def renew_when_due(self) -> str | None:
                """Ask, once the plan is made."""
                if not self.planned:
                    return None
                return pace.after_target()  # type: ignore[no-any-return]

            def check(self) -> str | None:
                """Let every target begin."""
                return None

        @contextmanager
        def lock(*_: Any) -> Iterator[WatchedLock]:
            yield WatchedLock()

        return Protections(lock=lock, stop=self.before_wave, failures=self.others)


@dataclass(frozen=True, kw_only=True)
class FleetAction(Action):
    """Brings a fleet's targets to what they shall be.

    :param fleet: the fleet.
    :param targets: targets that are planned already; they are taken out of the list. ``None`` plans them.
    :param read_at: time at which those were read.
    """

    operation: ClassVar[str] = "promote"

    fleet: Any
    targets: list[TargetPlan] | None = None
    read_at: float | None = None

    def scope(self) -> Scope:
        """Every target."""
        return Scope(tuple(self.fleet.order))

    def kinds(self) -> Kinds:
        """The fleet's kinds."""
        return self.fleet.kinds  # type: ignore[no-any-return]

    def order(self) -> Sequence[str]:
        """The fleet's order."""
        return self.fleet.order  # type: ignore[no-any-return]

    def checkpoint_key(self) -> str | None:
        """One key for all tries."""
        return KEY

    async def plan(self, run: RunContext, *, done: Collection[str] = ()) -> Sequence[TargetPlan]:
        """Read what no earlier try has ended."""
        if self.targets is None:
            return await self.fleet.plan(run, [name for name in self.fleet.order if name not in done])  # type: ignore[no-any-return]
        taken = [replace(each, read_at=self.read_at) for each in self.targets]
        self.targets.clear()
        return taken


KEY = "d" * 64


@dataclass
class Fleet:
    """Targets, a server and what outlives a try.

    :param units: target -> kinds of its things, in order.
    :param script: faults by number of the call, from 0.
    :param always: a fault for every other call.
    :param same: targets that are as they shall be already.
    :param remembers: whether the task has a state store.
    :param batch: targets per checkpoint.
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
        self.notes = FusedStore(self.fuse)
        self.clock = Clock()
        self.epoch = Clock(1_800_000_000.0)
        self.said: list[str] = []
        self.order = list(self.units)
        wanted = {thing("t", name, kind): NEW for name, kinds in self.units.items() for kind in kinds}
        there = {each: {**OLD, **NEW} if each.owner in self.same else OLD for each in wanted}
        self.server = WatchedServer(dict(there), self.script, self.always, wanted=dict(wanted))

    def run(self, concurrency: int = 1) -> RunContext:
        """Return what a try works with."""
        return RunContext(
            self.send,
            self.log,
            concurrency=concurrency,
            clock=self.clock,
            sleep=no_sleep,
            task_state=self.notes if self.remembers else None,
        )

    def log(self, text: str) -> None:
        """Keep what is logged, but for the plan."""
        if not text.startswith("Plan: "):
            self.said.append(text)

    def ledger(self) -> Checkpoints:
        """Return the checkpoints as a new process finds them."""
        return Checkpoints(self.notes if self.remembers else None, KEY, batch=self.batch, clock=self.epoch)

    def attempt(self, pace: Pace | None = None, *, concurrency: int = 1) -> Report:
        """Read what no earlier try has ended, plan it and apply it."""
        return asyncio.run(self._apply(self.run(concurrency), FleetAction(fleet=self), pace or Pace()))

    async def roll_out(
        self, run: RunContext, targets: list[TargetPlan], pace: Pace, *, planned_at: float = 0.0
    ) -> Report:
        """Apply targets that are planned already."""
        return await self._apply(run, FleetAction(fleet=self, targets=targets, read_at=planned_at), pace)

    async def _apply(self, run: RunContext, action: Action, pace: Pace) -> Report:
        manner = {"batch": self.batch, "clock": self.epoch}
        with mock.patch.dict(Checkpoints.__init__.__kwdefaults__ or {}, manner):
            return await apply(run, action, pace.policy(), pace.protections())

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
