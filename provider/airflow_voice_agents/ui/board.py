"""The state of all targets, put together from what runs left: one project per row, one environment per cell."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from typing import Any

import msgspec
from msgspec.structs import replace

from airflow_voice_agents.plans.canonical import digest
from airflow_voice_agents.plans.rollback_blocks import RollbackBlock
from airflow_voice_agents.polyai import ENVIRONMENTS
from airflow_voice_agents.state.locks import EVERY, LockFile, covers
from airflow_voice_agents.state.status import RUNNING
from airflow_voice_agents.ui.records import StateRecords

OTHER = "other"
"""Column of targets that are no environment of an agent: carriers, workspaces."""
COLUMNS = (*ENVIRONMENTS, OTHER)
NOTHING: Mapping[str, Any] = {}
PAGES = ("config page:", "deployment:")
"""Beginnings of the keys of resources that are named as their target is."""
VERSION = "deployment"
"""Kind of what an environment runs."""
DONE = ("changed", "unchanged")
SYSTEMS = {"polyai": "PolyAI", "signalwire": "SignalWire", "omniavoice": "Omnia Voice"}
"""Systems as records spell them, and as people do."""
Readable = Callable[[str], bool]
"""Tells whether the user may read the DAG of this id."""


class State(StrEnum):
    """How a target stands; what needs a person first comes first."""

    WAITING = "waiting for approval"
    RUNNING = "in progress"
    FAILED = "failed"
    HOLD = "on hold"
    DIVERGED = "diverged"
    EDITED = "edited by hand"
    READY = "ready to promote"
    UNKNOWN = "unknown"
    IN_SYNC = "in sync"


RANK = {state: rank for rank, state in enumerate(State)}
DRIFTS = {
    "diverged": State.DIVERGED,
    "edited": State.EDITED,
    "differs": State.READY,
    "not_promoted": State.READY,
    "unknown": State.UNKNOWN,
    "converged": State.IN_SYNC,
    "in_sync": State.IN_SYNC,
}


class Target(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """One environment of a project.

    :param name: the target as runs call it (``"hotel-1/live"``).
    :param sections: the newest section of each sort that the user may see.
    :param version: what the environment runs; ``None`` where that is unknown.
    :param version_at: when that was read, in ISO 8601.
    :param behind: how many versions its source is ahead of it; ``None`` where no read has told.
    :param system: the system that it belongs to, one of ``SYSTEMS``; empty where no record says so.
    :param hold: why it is on hold; ``None`` where it is not.
    :param hold_shown: whether the user may see who placed the hold, and why.
    :param lock: the lock of a run that works on it; ``None`` without one, and where the user may not see it.
    :param approval: the question that waits for a person's answer, or ``None``.
    :param noted: name of the baseline that noted it last, and when; ``None`` where none did.
    :param now: the moment that ages and ends are counted from.
    """

    name: str
    sections: Mapping[str, Any]
    version: Mapping[str, Any] | None = None
    version_at: str = ""
    behind: int | None = None
    system: str = ""
    hold: RollbackBlock | None = None
    hold_shown: bool = False
    lock: LockFile | None = None
    approval: Mapping[str, Any] | None = None
    noted: tuple[str, str] | None = None
    now: datetime

    @cached_property
    def project(self) -> str:
        """The agent, or the target's own name where it is no environment of one."""
        return split(self.name)[0]

    @cached_property
    def column(self) -> str:
        """The environment."""
        return split(self.name)[1]

    @cached_property
    def compared(self) -> Mapping[str, Any]:
        """The newest comparison; empty where there is none."""
        found: Mapping[str, Any] = self.sections.get("compared", NOTHING)
        return found

    @cached_property
    def applied(self) -> Mapping[str, Any]:
        """The newest write; empty where there is none."""
        found: Mapping[str, Any] = self.sections.get("applied", NOTHING)
        return found

    @cached_property
    def state(self) -> State:
        """How the target stands."""
        if self.approval is not None:
            return State.WAITING
        outcome = self.applied.get("outcome")
        if outcome == RUNNING:
            return State.RUNNING if self.lock is not None else State.FAILED
        if self.hold is not None:
            return State.HOLD
        if outcome is not None and self.applied["at"] >= self.compared.get("at", ""):
            return State.IN_SYNC if outcome in DONE else State.FAILED
        return self._compared_state()

    def _compared_state(self) -> State:
        if not self.compared:
            return State.UNKNOWN
        if "drift" in self.compared:
            return DRIFTS.get(self.compared["drift"], State.UNKNOWN)
        items = self.compared.get("items", [])
        if any(severity == "error" for item in items for severity, _ in item.get("codes", ())):
            return State.UNKNOWN
        return State.READY if any(item.get("changed") for item in items) else State.IN_SYNC

    @cached_property
    def key_count(self) -> int:
        """Number of config keys that differ from the source; a version is none."""
        items = self.compared.get("items", ())
        counted = (item.get("key_count", 0) for item in items if item["kind"] != VERSION)
        return 0 if self.state is State.IN_SYNC else sum(counted)

    @property
    def version_differs(self) -> bool:
        """Whether the deployment differs from the source's."""
        items = self.compared.get("items", ())
        return self.state is not State.IN_SYNC and any(
            item.get("key_count") for item in items if item["kind"] == VERSION
        )

    @cached_property
    def marks(self) -> tuple[str, ...]:
        """What its newest write, which did not end well, has shown about it (``A/B test``)."""
        outcome = self.applied.get("outcome")
        return () if outcome in (None, RUNNING, *DONE) else tuple(map(str, self.applied.get("marks", ())))

    @cached_property
    def number_count(self) -> int:
        """How many phone numbers the newest plan looked at."""
        count = self.compared.get("numbers", 0)
        return count if isinstance(count, int) else 0

    @cached_property
    def destinations(self) -> list[tuple[str, int]]:
        """Where the calls of its numbers go, and of how many; empty where a write since has left that open."""
        place = self._destination_place
        if place is None:
            return []
        found = [(str(each[0]), int(each[1 + place])) for each in self.compared.get("destinations", ())]
        return sorted(((name, count) for name, count in found if count), key=lambda each: -each[1])

    def destination(self, item: Mapping[str, Any]) -> tuple[str, str]:
        """Return where the calls of one number go, and where they are to go; empty where there is nothing to say.

        :param item: the number as the newest plan lists it.
        """
        pair, place = item.get("destinations"), self._destination_place
        if not pair or place is None:
            return "", ""
        now, then = map(str, pair)
        return (then, "") if place else (now, then if then != now else "")

    @cached_property
    def _destination_place(self) -> int | None:
        """Whether present or planned destinations hold: 0 as read, 1 once they were written, ``None`` for neither."""
        if self.applied.get("at", "") < self.compared.get("at", ""):
            return 0
        written = self.applied.get("plan_digest") == self.compared.get("plan_digest")
        return 1 if written and self.applied.get("outcome") in DONE else None

    @cached_property
    def change(self) -> list[Any]:
        """What differs, without times and names: equal for the same change in two projects."""
        items = self.compared.get("items", ())
        hold = self.hold is not None
        parts = [[item["kind"], item.get("keys"), item.get("drift")] for item in items]
        version = None if self.version is None else self.version.get("version")
        said = [self.behind, *self.marks]
        shown = [] if self.state is State.IN_SYNC else parts
        return [self.column, self.system, self.state.value, hold, version, said, shown]

    @cached_property
    def at(self) -> str:
        """When it was last looked at or written, in ISO 8601; empty where never."""
        return max((section["at"] for section in self.sections.values()), default="")


class Project(msgspec.Struct, frozen=True, dict=True):
    """A row: one agent with its environments.

    :param name: the agent.
    :param targets: environment -> target.
    """

    name: str
    targets: Mapping[str, Target]

    @cached_property
    def system(self) -> str:
        """The system that it belongs to; empty where no record says so."""
        return next((target.system for target in self.targets.values() if target.system), "")

    @cached_property
    def state(self) -> State:
        """The state of the target that needs a person most; environments that nothing is known of do not count."""
        known = [target.state for target in self.targets.values() if target.sections or target.hold]
        return min(known, key=RANK.__getitem__, default=State.UNKNOWN)

    @cached_property
    def states(self) -> frozenset[State]:
        """The states that the row is counted and filtered by."""
        found = {target.state for target in self.targets.values() if target.sections or target.hold}
        held = {State.HOLD} if any(target.hold for target in self.targets.values()) else set()
        return frozenset((found | held) - {State.IN_SYNC}) or frozenset({self.state})

    @cached_property
    def worst(self) -> Target:
        """The target that gives the row its state."""
        order = {name: place for place, name in enumerate(reversed(COLUMNS))}
        return min(self.targets.values(), key=lambda each: (RANK[each.state], order[each.column]))

    @cached_property
    def change(self) -> str:
        """Digest of all that differs; equal for projects with the same change."""
        return digest([self.targets[name].change for name in COLUMNS if name in self.targets])[:12]

    @cached_property
    def last_promotion(self) -> Mapping[str, Any]:
        """The newest write of any of its targets, by its own record or a baseline's; empty where there is none."""
        found = [target.applied for target in self.targets.values()]
        for target in self.targets.values():
            if target.noted is not None and not target.applied:
                name, at = target.noted
                found.append({"at": at, "outcome": DONE[0], "run": {"dag_id": f"baseline {name}"}})
        return max(found, key=lambda each: str(each.get("at", "")))

    @cached_property
    def at(self) -> str:
        """When it was last looked at or written."""
        return max((target.at for target in self.targets.values()), default="")


class Board(msgspec.Struct, frozen=True, dict=True):
    """All projects that a user may see.

    :param projects: the rows, by name.
    :param freeze: freeze windows of the runs, each once.
    :param stop_variables: Airflow Variables that stop the runs.
    :param unreadable: how many files of the state folder could not be read.
    """

    projects: tuple[Project, ...]
    freeze: tuple[Mapping[str, Any], ...] = ()
    stop_variables: tuple[str, ...] = ()
    unreadable: int = 0

    @cached_property
    def counts(self) -> Mapping[State, int]:
        """Number of projects by state; one project may count in several."""
        found = Counter(state for project in self.projects for state in project.states)
        return {state: found[state] for state in State}

    @cached_property
    def systems(self) -> tuple[str, ...]:
        """The systems that any project belongs to."""
        there = {project.system for project in self.projects}
        return tuple(name for name in SYSTEMS if name in there)

    @cached_property
    def newest(self) -> tuple[str, Mapping[str, Any]]:
        """The time of the newest record, and the run that wrote it."""
        sections = [
            section
            for project in self.projects
            for target in project.targets.values()
            for section in target.sections.values()
        ]
        newest = max(sections, key=lambda each: each["at"], default=None)
        return ("", {}) if newest is None else (newest["at"], newest["run"])


def split(target: str) -> tuple[str, str]:
    """Return a target's project and column.

    :param target: its name.
    """
    project, _, environment = target.rpartition("/")
    return (project, environment) if project and environment in ENVIRONMENTS else (target, OTHER)


def build(records: StateRecords, readable: Collection[str] | None, now: datetime) -> Board:
    """Put the board together.

    :param records: what runs left.
    :param readable: ids of the DAGs that the user may read; ``None`` for all.
    :param now: the present moment.
    """

    def may_read(dag_id: str) -> bool:
        return readable is None or dag_id in readable

    mine = [one for one in records.status if may_read(one["run"]["dag_id"])]
    newest = _newest(mine)
    for block in records.blocks:
        if may_read(block.placed_by.get("dag_id", "")):
            newest.setdefault(block.target, {})
    around = _Around.of(records, mine, may_read, now)
    systems = {
        name: str(one["system"]) for one in mine if one.get("system") in SYSTEMS for name in one["targets"]
    }
    targets = [
        replace(_target(name, sections, around, may_read, now), system=systems.get(name) or _system(name))
        for name, sections in newest.items()
    ]
    rows: dict[str, dict[str, Target]] = {}
    for target in targets:
        rows.setdefault(target.project, {})[target.column] = target
    for name, row in rows.items():
        _add_versions(name, row, now)
    windows = {repr(sorted(window.items())): window for one in mine for window in one.get("freeze", ())}
    variables = {str(one["stop_variable"]) for one in mine if one.get("stop_variable")}
    return Board(
        tuple(Project(name, rows[name]) for name in sorted(rows)),
        tuple(windows.values()),
        tuple(sorted(variables)),
        records.unreadable,
    )


def _system(target: str) -> str:
    """Return the system of a target whose records name none: environments are those of agents."""
    return "" if split(target)[1] == OTHER else next(iter(SYSTEMS))


def _target(
    name: str, sections: Mapping[str, Any], around: _Around, readable: Readable, now: datetime
) -> Target:
    hold = around.holds.get(name)
    return Target(
        name=name,
        sections=sections,
        hold=hold,
        hold_shown=hold is not None and readable(hold.placed_by.get("dag_id", "")),
        lock=around.lock(name),
        approval=around.approval(sections),
        noted=around.noted.get(name),
        now=now,
    )


def _newest(documents: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return the newest section of each sort for each target."""
    found: dict[str, dict[str, Any]] = {}
    for document in documents:
        for name, record in document["targets"].items():
            mine = found.setdefault(name, {})
            for sort, section in record.items():
                if sort not in mine or section["at"] > mine[sort]["at"]:
                    mine[sort] = section
    return found


class _Around(msgspec.Struct, frozen=True):
    """Holds, locks and open questions by what they are about, so that each target is looked up, not searched for."""

    holds: Mapping[str, RollbackBlock]
    locks: Mapping[str, LockFile]
    wide_locks: tuple[LockFile, ...]
    approvals: Mapping[str, Mapping[str, Any]]
    noted: Mapping[str, tuple[str, str]]

    @classmethod
    def of(
        cls, records: StateRecords, documents: Iterable[Mapping[str, Any]], readable: Readable, now: datetime
    ) -> _Around:
        alive = [
            lock
            for lock in records.locks
            if lock.holder is not None and lock.expires_at > now.timestamp() and readable(lock.holder.dag_id)
        ]
        answers: dict[str, Mapping[str, Any]] = {}
        for document in documents:
            for plan, answer in document["approvals"].items():
                if plan not in answers or answer["at"] > answers[plan]["at"]:
                    answers[plan] = answer
        return cls(
            {block.target: block for block in records.blocks},
            {name: lock for lock in alive for locked in lock.targets for name in _locked(locked)},
            tuple(lock for lock in alive if any(name.endswith(EVERY) for name in lock.targets)),
            {plan: each for plan, each in answers.items() if _is_open(each, now)},
            {
                key.partition(":")[2]: noted
                for key, noted in sorted(records.promoted.items(), key=lambda each: each[1][1])
                if key.startswith(PAGES)
            },
        )

    def lock(self, name: str) -> LockFile | None:
        """Return the lock of a run that works on a target."""
        wide = (lock for lock in self.wide_locks if covers(lock.targets, name))
        return self.locks.get(name) or next(wide, None)

    def approval(self, sections: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """Return the open question about the target's newest plan."""
        question = self.approvals.get(sections.get("compared", {}).get("plan_digest", ""))
        written = sections.get("applied", {}).get("at", "")
        return None if question is None or written > question["at"] else question


def _locked(name: str) -> tuple[str, ...]:
    """Return the targets that a lock's name stands for: a number, too, is locked for the space that it is in."""
    owner, _, own = name.rpartition("/")
    return (name, owner) if own.startswith("+") else (name,)


def _is_open(answer: Mapping[str, Any], now: datetime) -> bool:
    until = answer.get("until")
    return answer.get("state") == "waiting" and (until is None or datetime.fromisoformat(until) > now)


def _add_versions(project: str, row: dict[str, Target], now: datetime) -> None:
    """Add what each environment runs: one read of an agent shows all of them."""
    shown = [target.sections["versions"] for target in row.values() if "versions" in target.sections]
    newest = max(shown, key=lambda each: each["at"], default=None)
    if newest is None:
        return
    versions = newest["environments"]
    for environment, version in versions.items():
        known = row.get(environment) or Target(
            name=f"{project}/{environment}", sections={}, system=_system(f"{project}/{environment}"), now=now
        )
        if environment in ENVIRONMENTS:
            behind = _behind(known, versions)
            row[environment] = replace(known, version=version, version_at=newest["at"], behind=behind)


def _behind(target: Target, versions: Mapping[str, Any]) -> int | None:
    """Return how many versions a target is behind its source, if both still run what they ran when that was read."""
    section = target.sections.get("versions", NOTHING)
    source = str(target.compared.get("source") or "").removeprefix(f"{target.project}/")
    then, behind = section.get("environments", NOTHING), section.get("behind")
    same = all(_version_in(then, each) == _version_in(versions, each) for each in (source, target.column))
    return behind if isinstance(behind, int) and same else None


def _version_in(versions: Mapping[str, Any], environment: str) -> Any:
    return versions.get(environment, NOTHING).get("version")
