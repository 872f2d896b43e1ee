"""A whole system in small: lights whose level is set. One kind, one action, one restore, one server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from msgspec.structs import replace

from airflow_voice_agents.engine.action import Action, Scope
from airflow_voice_agents.engine.apply import SNAPSHOT_NOTE, apply
from airflow_voice_agents.engine.planning import PlanRequest, plan_resources
from airflow_voice_agents.engine.policy import HeldLock, Policy, Protections
from airflow_voice_agents.engine.restore import RestoreAction
from airflow_voice_agents.engine.run_context import RunContext
from airflow_voice_agents.engine.snapshot_recorder import SnapshotRecorder
from airflow_voice_agents.engine.target_names import TargetNames
from airflow_voice_agents.plans.canonical import digest
from airflow_voice_agents.plans.diff import Change, diff
from airflow_voice_agents.plans.guards import GuardContext
from airflow_voice_agents.plans.kind import (
    Kind,
    Kinds,
    Known,
    Observation,
    Resource,
    Transition,
    Write,
    WriteResult,
    WriteSequence,
    batches,
)
from airflow_voice_agents.plans.plan import PlannedItem, TargetPlan, change, no_change
from airflow_voice_agents.plans.report import Report
from airflow_voice_agents.plans.snapshot import Snapshot
from airflow_voice_agents.state import rollback_blocks
from airflow_voice_agents.state.locks import LockOwner, hold_lock
from airflow_voice_agents.transport.api_request import ApiRequest, Replay
from airflow_voice_agents.transport.errors import BadRequest, GuardRefused
from support.actions import no_sleep
from support.kill_switch import Fuse, FusedStore

State = Mapping[str, Any]
"""``level`` is what is set; ``revision`` changes with every write by anybody."""


def light(name: str) -> Resource:
    """The light of a target such as ``"house/hall"``."""
    owner, _, rest = name.partition("/")
    return Resource("light", owner, rest)


@dataclass(frozen=True)
class LightKind(Kind[State]):
    """Lights, read in batches and written one by one in two steps: half the way, and the rest."""

    name: ClassVar[str] = "light"
    repeatable: bool = True  # type: ignore[misc]
    batch_size: int = 3
    steps: int = 1

    def observe(self, resources: Sequence[Resource], known: Known = {}) -> Iterable[Observation[State]]:  # noqa: B006
        """Batches."""
        for batch in batches(resources, self.batch_size):
            yield Observation(request("read", batch, {}), batch, dict)

    def digest(self, state: State | None) -> str:
        """The level alone: a revision is no part of what is desired."""
        return digest(None if state is None else state["level"])

    def diff(self, before: State | None, after: State | None) -> Iterable[Change]:
        """The level."""
        return diff(*({} if each is None else {"level": each["level"]} for each in (before, after)))

    def mismatches(self, transition: Transition[State], observed: State | None) -> list[str]:
        """The level."""
        return ["level"] if self.digest(observed) != self.digest(transition.after) else []

    def revision(self, state: State | None) -> str | None:
        """The revision."""
        return None if state is None else str(state["revision"])

    def write_sequences(self, transitions: Sequence[Transition[State]]) -> Iterable[WriteSequence[State]]:
        """One light after the other."""
        return map(self._writes, transitions)

    def _writes(self, each: Transition[State]) -> WriteSequence[State]:
        levels = [each.after["level"]]
        if self.steps == 2 and each.before is not None and each.before["level"] != 50:
            levels.insert(0, 50)
        return tuple(
            Write(
                request("write", (each.resource,), {"level": level}),
                (each.resource,),
                lambda answer: {one: WriteResult(state) for one, state in answer.items()},
                waypoint=digest(level) if level is not levels[-1] else None,
                vital=True,
            )
            for level in levels
        )

    def plan(self, resource: Resource, desired: Any, now: State | None) -> PlannedItem:
        """Set the level."""
        return change(self, resource, now, {**(now or {}), "level": desired})

    def restore(self, resource: Resource, wanted: State | None, now: State | None) -> PlannedItem:
        """Set the level back; what did not exist stays."""
        return no_change(self, resource, now) if wanted is None else self.plan(resource, wanted["level"], now)

    def to_json(self, state: State) -> Any:
        """All of it."""
        return dict(state)

    def from_json(self, value: Any) -> State:
        """All of it."""
        return dict(value)


def request(operation: str, lights: Sequence[Resource], body: Mapping[str, Any]) -> ApiRequest[Any]:
    """One request about some lights."""
    method, replay = ("GET", Replay.SAFE) if operation == "read" else ("PUT", Replay.RECONCILE)
    path = "/" + ",".join(map(str, lights))
    return ApiRequest(
        f"{operation} lights", method, "/lights", path, dict, replay, body={**body, "lights": list(lights)}
    )


@dataclass(frozen=True, kw_only=True)
class SetLights(Action):
    """Sets levels. Owners may be spelled in any case where the server says so."""

    operation: ClassVar[str] = "set lights"

    levels: Mapping[str, int]
    kind: LightKind = field(default_factory=LightKind)
    locked: tuple[str, ...] = ()
    live: bool | None = False
    aliases: Mapping[str, str] = field(default_factory=dict)
    """Other spelling -> owner; a spelling that differs in case only and is not here is ambiguous."""

    def scope(self) -> Scope:
        """Every target, unless a test locks otherwise."""
        return Scope(self.locked or tuple(self.levels), live=self.live)

    def kinds(self) -> Kinds:
        """One."""
        return {"light": self.kind}

    async def plan(self, run: RunContext, *, done: Collection[str] = ()) -> Sequence[TargetPlan]:
        """Read and plan each light."""
        todo = [name for name in self.levels if name not in done]
        requests = [PlanRequest(light(name), None, partial(self._compose, name)) for name in todo]
        items = await plan_resources(run, self.kind, self.operation, requests)
        return [
            TargetPlan(name, (item,), live=name.endswith("/live"))
            for name, item in zip(todo, items, strict=True)
        ]

    def _compose(self, name: str, _: Any, now: State | None) -> PlannedItem:
        return self.kind.plan(light(name), self.levels[name], now)

    def may_be_same(self, one: str, other: str) -> bool:
        """Owners that differ in case only."""
        mine, theirs = (each.partition("/") for each in (one, other))
        rests = mine[2] == theirs[2] or "*" in (mine[2], theirs[2])
        return mine[0] != theirs[0] and mine[0].lower() == theirs[0].lower() and rests

    async def is_same(self, run: RunContext, one: str, other: str) -> bool:
        """Look the spelling up."""
        mine, theirs = one.partition("/")[0], other.partition("/")[0]
        if theirs not in self.aliases:
            raise GuardRefused(
                f"it cannot be told whether {one} and {other} are the same. Nothing was written."
            )
        return self.aliases[theirs] == mine


@dataclass(frozen=True, kw_only=True)
class SetLightsByItem(SetLights):
    """Sets levels, where waves and limits count lights."""

    counts_items: ClassVar[bool] = True


@dataclass(frozen=True, kw_only=True)
class RestoreLights(RestoreAction):
    """Sets levels back."""

    operation: ClassVar[str] = "restore lights"
    leaves_newer_work: ClassVar[bool] = True
    kind: LightKind = field(default_factory=LightKind)

    def kinds(self) -> Kinds:
        """One."""
        return {"light": self.kind}

    def is_live(self, target: str) -> bool:
        """Those that are called so."""
        return target.endswith("/live")


@dataclass(frozen=True, kw_only=True)
class RestoreTogether(RestoreLights):
    """Sets the levels of a target back, all or none."""

    def depend_on_each_other(self, items: Sequence[PlannedItem]) -> bool:
        """Always."""
        return True


Fault = Callable[["House", ApiRequest[Any]], Any]


@dataclass
class House:
    """The server, the state folder, the task's state, and the clock: everything that outlives a try."""

    folder: Path
    levels: dict[str, int]
    faults: dict[int, Any] = field(default_factory=dict)
    """Error to raise, or function to call, by number of the request from 0."""
    always: Fault | None = None
    stop: Callable[[], str | None] = lambda: None
    frozen: tuple[Any, ...] = ()
    owner: LockOwner = field(default_factory=lambda: LockOwner("dag", "run 1", "task"))
    given: GuardContext = field(default_factory=GuardContext)

    def __post_init__(self) -> None:
        self.states: dict[Resource, State] = {
            light(name): {"level": level, "revision": 0} for name, level in self.levels.items()
        }
        self.fuse = Fuse()
        self.store = FusedStore(self.fuse)
        self.requests: list[ApiRequest[Any]] = []
        self.said: list[str] = []
        self.waits: list[float] = []
        self.published: list[str] = []
        self.now = 1_800_000_000.0
        self.revision = 0

    async def send(self, call: ApiRequest[Any]) -> Any:
        """Answer one request; the process may end before it and after it."""
        self.fuse.burn()
        number = len(self.requests)
        self.requests.append(call)
        fault = self.faults.get(number, self.always)
        if isinstance(fault, Exception):
            raise fault
        answer = self.answer(call) if fault is None else fault(self, call)
        self.fuse.burn()
        return answer

    def answer(self, call: ApiRequest[Any]) -> dict[Resource, Any]:
        """Do what a request asks for."""
        named: Sequence[Resource] = (call.body or {})["lights"]
        if call.method == "PUT":
            for each in named:
                self.set(each, (call.body or {})["level"])
        return {each: self.states.get(each) for each in named}

    def set(self, each: Resource, level: int) -> None:
        """Set a level, as anybody may."""
        self.revision += 1
        self.states[each] = {"level": level, "revision": self.revision}

    def level(self, name: str) -> int | None:
        """The level of a light."""
        state = self.states.get(light(name))
        return None if state is None else state["level"]

    @property
    def written(self) -> list[str]:
        """What the writes named, in order."""
        return [call.path[1:] for call in self.requests if call.method == "PUT"]

    @property
    def reads(self) -> list[str]:
        """What the reads named, in order."""
        return [call.path[1:] for call in self.requests if call.method == "GET"]

    def again(self, **changes: Any) -> House:
        """Begin the next try in another process, where nothing has been asked yet."""
        for name, value in changes.items():
            setattr(self, name, value)
        self.owner = replace(self.owner, try_number=self.owner.try_number + 1)
        self.requests.clear()
        self.faults = changes.get("faults", {})
        self.fuse.renew()
        return self

    def apply(self, action: Action, policy: Policy | None = None, *, concurrency: int = 1) -> Report:
        """Carry an action out."""
        run = RunContext(
            self.send,
            self.said.append,
            guard_context=self.given,
            concurrency=concurrency,
            task_state=self.store,
            clock=lambda: self.now,
            sleep=self._sleep,
            random=lambda: 0.0,
        )
        return asyncio.run(apply(run, action, policy or Policy(), self.protections()))

    async def _sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds
        await no_sleep(seconds)

    def protections(self) -> Protections:
        """Real locks and rollback blocks in the folder, and snapshots in the clear."""
        return Protections(
            lock=self._lock,
            blocks=lambda names, known: rollback_blocks.read(str(self.folder), names, known),
            place_blocks=self._place,
            recorder=lambda kinds, _: SnapshotRecorder(
                self._save, self._load, self.published.append, SNAPSHOT_NOTE, kinds
            ),
            stop=self.stop,
            frozen=lambda: self.frozen,
        )

    def _lock(self, targets: Sequence[str], names: TargetNames) -> AbstractContextManager[HeldLock]:
        return hold_lock(targets, self.owner, self.locks, log=self.said.append, names=names)

    @property
    def locks(self) -> str:
        """URL of the folder of locks."""
        return f"{self.folder}/locks"

    def _place(self, digests: Mapping[str, Mapping[Resource, str]]) -> None:
        self.fuse.burn()
        rollback_blocks.block_placer(str(self.folder), self.owner, "it hummed", self.said.append)(digests)
        self.fuse.burn()

    def _save(self, document: dict[str, Any]) -> str:
        self.fuse.burn()
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / f"{len(list(self.folder.glob('*.snapshot')))}.snapshot"
        path.write_text(json.dumps(document))
        self.fuse.burn()
        return str(path)

    def _load(self, url: str) -> Any:
        return json.loads(Path(url).read_text())

    def restore(self, **options: Any) -> RestoreLights:
        """The restore of the last snapshot."""
        document = self._load(self.published[-1])
        snapshot = Snapshot.from_document(document, {"light": LightKind()})
        return RestoreLights(snapshot=snapshot, digest=document["digest"], **options)


def refusing(*names: str) -> Fault:
    """Every write to these lights is refused."""

    def fault(house: House, call: ApiRequest[Any]) -> Any:
        if call.method == "PUT" and call.path[1:] in names:
            raise BadRequest("no such level", operation=call.operation, status=400)
        return house.answer(call)

    return fault


def locked_names(house: House) -> Iterator[str]:
    """The names in the lock files of the folder."""
    for path in (house.folder / "locks").glob("*.lock"):
        yield from json.loads(path.read_text())["targets"]
