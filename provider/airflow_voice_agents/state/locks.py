"""Advisory locks, one run at a time per target, as files in any object storage.

Each run writes a file of its own and only then looks at those of others. It goes ahead when it sees no other lock on
its targets. Of two runs the one that looks later sees the other's file, so both can never go ahead.

Runs that start together see each other. Then the file with the lowest time and name stays, and looks again until the
others are gone; every other run withdraws its file. So one of them always gets the lock.

That asks one thing of the storage: what is written is seen by whoever lists and reads afterwards. Amazon S3, Google
Cloud Storage, Azure Blob Storage and local disks promise that; network disks that remember listings do not. No
conditional write is needed, so the locks work the same on all of them.

A lock ends by itself, so that a run that died does not bar its target for good, and the tries of one task take over
from each other. So a run must renew its lock in time, and ask whether it still has it before it writes.
"""

from __future__ import annotations

import contextlib
import random
import threading
import time
import uuid
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol

import msgspec
from msgspec.structs import asdict, replace

from airflow_voice_agents.engine.target_names import TargetNames
from airflow_voice_agents.state.files import StateFiles, from_bytes, to_bytes
from airflow_voice_agents.state.folder import state_folder
from airflow_voice_agents.transport.errors import InputError, TargetLocked
from airflow_voice_agents.transport.validation import summarize_list

SUFFIX = ".lock"
TTL = 120.0
"""Seconds that a lock lasts, unless it is renewed."""
DRIFT = 150.0
"""Seconds that clocks of two machines may differ: so much longer others respect a lock."""
POLL = 5.0
"""Seconds between two looks while waiting, more or less."""
PAUSES = (0.1, 0.2, 0.4, 0.8, 1.5, 2.0)
"""Seconds between the looks of a run that others, which began at the same time, have to give way to."""
SETTLE = 2 * sum(PAUSES)
"""Seconds after which a run that only tried to take a lock has withdrawn its file."""
RENEWALS = 3
"""Renewals of a lock within its lifetime."""
_LAST_MOMENT = datetime.max.replace(microsecond=0, tzinfo=UTC).timestamp()
EVERY = "/*"
"""End of a name that covers every target of an owner."""


class Files(Protocol):
    """A folder of small files, as :class:`.StateFiles` is one."""

    def url(self, name: str) -> str:
        """Return the URL of a file."""

    def names(self) -> list[str]:
        """List the names of the files."""

    def read(self, name: str) -> bytes | None:
        """Return what a file holds, or ``None`` where it is not there."""

    def write(self, name: str, content: bytes) -> None:
        """Write a file as a whole."""

    def remove(self, name: str) -> None:
        """Remove a file, unless it is gone already."""


class LockOwner(msgspec.Struct, frozen=True):
    """The try of a task that holds a lock.

    :param dag_id: its DAG.
    :param run_id: its DAG run.
    :param task_id: its task.
    :param map_index: which of a mapped task's instances; -1 for a task that is none.
    :param try_number: which try, from 1.
    """

    dag_id: str
    run_id: str
    task_id: str
    map_index: int = -1
    try_number: int = 1

    @classmethod
    def of(cls, ti: Any) -> LockOwner:
        """Return the holder for a task instance of Airflow."""
        return cls(ti.dag_id, ti.run_id, ti.task_id, ti.map_index, ti.try_number)

    @classmethod
    def of_json(cls, said: Any) -> LockOwner:
        """Return the holder that a lock's file names.

        :param said: decoded JSON.
        :raises TypeError: when it names none.
        """
        owner = cls(**said)
        _texts([owner.dag_id, owner.run_id, owner.task_id])
        if type(owner.map_index) is not int or type(owner.try_number) is not int:
            raise TypeError
        return owner

    @property
    def instance(self) -> tuple[str, str, str, int]:
        """What all tries of one task instance have in common."""
        return self.dag_id, self.run_id, self.task_id, self.map_index

    def __str__(self) -> str:
        which = "" if self.map_index < 0 else f"[{self.map_index}]"
        return f"task {self.task_id}{which} in run {self.run_id} of DAG {self.dag_id} (try {self.try_number})"


class LockFile(msgspec.Struct, frozen=True):
    """What a lock's file says.

    :param file: name of the file.
    :param holder: who wrote it; ``None`` where the file cannot be read, which bars everything.
    :param targets: what it is on.
    :param acquired_at: when it was written first, in seconds since 1970.
    :param expires_at: until when it lasts, on its writer's clock.
    """

    file: str
    holder: LockOwner | None
    targets: tuple[str, ...] = ()
    acquired_at: float = 0.0
    expires_at: float = float("inf")

    def content(self) -> bytes:
        """Return the file's content."""
        times = {"acquired_at": _text(self.acquired_at), "expires_at": _text(self.expires_at)}
        holder = None if self.holder is None else asdict(self.holder)
        return to_bytes({"version": 1, "holder": holder, "targets": list(self.targets), **times})

    @classmethod
    def read(cls, file: str, content: bytes) -> LockFile:
        """Return what a file says.

        :param file: its name.
        :param content: its content.
        """
        try:
            told = from_bytes(content)
            times = (datetime.fromisoformat(told[name]).timestamp() for name in ("acquired_at", "expires_at"))
            return cls(file, LockOwner.of_json(told["holder"]), _texts(told["targets"]), *times)
        except (ValueError, TypeError, KeyError, OverflowError):
            return cls(file, None)

    def meets(self, other: LockFile) -> bool:
        """Return whether both cover one target."""
        return self.holder is None or bool(overlap(self.targets, other.targets))

    def yields_to(self, other: LockFile) -> bool:
        """Tell whether this is left from an earlier try of the same task instance."""
        mine, theirs = self.holder, other.holder
        if mine is None or theirs is None or mine.instance != theirs.instance:
            return False
        return (mine.try_number, *self.order) < (theirs.try_number, *other.order)

    def precedes(self, other: LockFile) -> bool:
        """Tell whether another run, which began at the same time, has to give way to this one."""
        mine, theirs = self.holder, other.holder
        if mine is None or theirs is None or mine.instance == theirs.instance:
            return False
        return self.order < other.order

    @property
    def order(self) -> tuple[float, str]:
        """The order among runs that try to take one lock at the same time."""
        return self.acquired_at, self.file


@dataclass
class Lock:
    """A lock on targets; :func:`hold_lock` takes and releases it.

    :param files: where locks are kept.
    :param targets: what is locked.
    :param holder: who locks it.
    :param log: receives lines for people.
    :param ttl: seconds that it lasts, unless it is renewed.
    :param clock: seconds since 1970.
    :param sleep: waits some seconds.
    :param chance: numbers in [0, 1), to spread runs that wait.
    :param names: known spellings of the targets; ``None`` takes every name as it is.
    :param pauses: seconds between looks while others have to give way.

    It may be renewed by one thread while another one asks for it.
    """

    files: Files
    targets: tuple[str, ...]
    holder: LockOwner
    log: Callable[[str], None]
    ttl: float = TTL
    clock: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep
    chance: Callable[[], float] = random.random
    names: TargetNames | None = None
    pauses: Sequence[float] = PAUSES
    _claim: LockFile | None = field(default=None, init=False)
    _renewed_at: float = field(default=0.0, init=False)
    _one_at_a_time: threading.RLock = field(default_factory=threading.RLock, init=False, repr=False)

    def acquire(self, wait: float = 0.0) -> None:
        """Take the lock.

        :param wait: seconds to wait for it at most.
        :raises TargetLocked: when another run has it; a lock on one of the targets is a lock on all.
        """
        deadline = self.clock() + wait
        self._renewed_at = self.clock()
        rival = self._try()
        if rival and wait > 0 and not self._is_superseded(rival):
            self.log(f"Waiting up to {wait:.0f} s for {summarize_list(self.targets)}: held by {_who(rival)}")
        while rival:
            left = deadline - self.clock()
            if left <= 0 or self._is_superseded(rival):
                raise self._locked(rival)
            self.sleep(min(left, POLL * (0.5 + self.chance())))
            rivals, _ = self._look(self._draft())
            rival = rivals[0] if rivals else self._try()
        self._renewed_at = self.clock()

    def narrow(self, targets: Collection[str]) -> None:
        """Keep the lock on these targets only; names that it did not cover are added.

        :param targets: the targets that the run is going to write.
        :raises AmbiguousTargets: when a name of another lock may mean an added one; narrow again once it is known.
        :raises TargetLocked: when another run holds an added one, or the lock is lost.
        """
        with self._one_at_a_time:
            self._narrow(tuple(sorted(set(targets))))

    def _narrow(self, names: tuple[str, ...]) -> None:
        claim = self._claim
        if claim is None or not self.still_mine():
            raise self._lost()
        if not names or names == self.targets:
            return
        added = any(not covers(self.targets, name) for name in names)
        narrowed = replace(claim, targets=names)
        self.files.write(claim.file, narrowed.content())
        self._claim = narrowed
        rivals = self._contest(narrowed)[0] if added else []
        self.targets = names
        if rivals:
            self.release()
            raise self._locked(rivals[0])

    def renew_when_due(self) -> str | None:
        """Renew the lock when a third of its time has passed, and return why the run must stop if it is lost."""
        with self._one_at_a_time:
            return self._renew_when_due()

    def check(self) -> str | None:
        """Look whether the lock still stands, and renew it when that is due.

        :returns: why the run must stop, or ``None`` while the lock stands.
        """
        with self._one_at_a_time:
            renewed_at = self._renewed_at
            reason = self._renew_when_due()
            if reason or self._renewed_at != renewed_at:
                return reason
            try:
                return None if self.still_mine() else str(self._lost())
            except Exception as trouble:  # noqa: BLE001  whatever the storage's library raises
                claim = self._claim
                lasting = claim is not None and self.clock() < claim.expires_at
                return self._not_renewed(trouble, lasting=lasting)

    def _renew_when_due(self) -> str | None:
        now = self.clock()
        if now - self._renewed_at < self.ttl / RENEWALS:
            return None
        try:
            self.renew()
        except TargetLocked as lost:
            return str(lost)
        except Exception as trouble:  # noqa: BLE001  whatever the storage's library raises
            lasting = now - self._renewed_at < self.ttl * (RENEWALS - 1) / RENEWALS
            return self._not_renewed(trouble, lasting=lasting)
        self._renewed_at = now
        return None

    def _not_renewed(self, trouble: Exception, *, lasting: bool) -> str | None:
        """Let a run go on under a lock that still lasts: a storage's hiccup does not cut off writes in flight."""
        told = f"The lock on the targets could not be renewed ({type(trouble).__name__})"
        if lasting:
            self.log(f"{told}; it lasts for now, and the next target tries again")
            return None
        return f"{told}, and is about to end. Look at the folder of locks, then run again."

    def renew(self) -> None:
        """Make the lock last for its time from now on; to be called at least at every third of that time.

        :raises TargetLocked: when it is not this run's any more: then this run must write nothing more.
        """
        claim = self._claim
        if claim is None or not self.still_mine():
            raise self._lost()
        renewed = replace(claim, expires_at=self.clock() + self.ttl)
        self.files.write(claim.file, renewed.content())
        self._claim = renewed
        if self.clock() >= claim.expires_at or self._is_outdone(renewed):
            self.release()
            raise self._lost()

    def still_mine(self) -> bool:
        """Tell whether the lock still stands; to be asked before each write that must not meet another run's."""
        claim = self._claim
        if claim is None or self.files.read(claim.file) is None:
            return False
        return self.clock() < claim.expires_at  # asked last, for the read takes its time

    def release(self) -> None:
        """Give the lock back. What cannot be removed is told, and ends by itself."""
        with self._one_at_a_time:
            claim, self._claim = self._claim, None
            if claim is not None:
                self._remove(claim)

    def _remove(self, claim: LockFile) -> None:
        try:
            self.files.remove(claim.file)
        except Exception as error:  # noqa: BLE001  whatever the storage's library raises
            ends = _text(claim.expires_at + DRIFT)
            self.log(
                f"Lock {self.files.url(claim.file)} was not removed ({type(error).__name__}); it ends at {ends}"
            )

    def _try(self) -> LockFile | None:
        """Write the own file, look at the others, and return what is in the way; then the own file is gone."""
        claim = self._claim = self._draft()
        try:
            self.files.write(claim.file, claim.content())
            rivals, earlier = self._contest(claim)
            if not rivals:
                self._take_over(earlier)
                if not self.still_mine():
                    raise self._lost()
                return None
        except BaseException:
            self.release()
            raise
        self.release()
        return rivals[0]

    def _draft(self) -> LockFile:
        now = self.clock()
        return LockFile(f"{uuid.uuid4().hex}{SUFFIX}", self.holder, self.targets, now, now + self.ttl)

    def _contest(self, own: LockFile) -> tuple[list[LockFile], list[LockFile]]:
        """Look until nobody is in the way, somebody is who does not have to give way, or they had the time to do so."""
        for pause in self.pauses:
            rivals, earlier = self._look(own)
            if not rivals or not all(map(own.precedes, rivals)):
                return rivals, earlier
            self.sleep(pause)
        return self._look(own)

    def _look(self, own: LockFile) -> tuple[list[LockFile], list[LockFile]]:
        """Return the live locks that are in the way, and those that an earlier try of this task left."""
        now = self.clock()
        rivals: list[LockFile] = []
        earlier: list[LockFile] = []
        for name in self.files.names():
            content = None if name == own.file or not name.endswith(SUFFIX) else self.files.read(name)
            if content is None:
                continue
            other = LockFile.read(name, content)
            if other.expires_at + DRIFT <= now:
                self.files.remove(name)
                self.log(f"Lock {self.files.url(name)} of {_who(other)} ended and was removed")
            elif other.meets(own) or self._is_alias(own, other):
                (earlier if other.yields_to(own) else rivals).append(other)
        return sorted(rivals, key=lambda each: each.order), earlier

    def _is_alias(self, own: LockFile, other: LockFile) -> bool:
        """Whether another lock covers one of the targets under another spelling."""
        return self.names is not None and bool(self.names.same(own.targets, other.targets))

    def _take_over(self, earlier: Iterable[LockFile]) -> None:
        for claim in earlier:
            self.files.remove(claim.file)
            self.log(f"Lock {self.files.url(claim.file)} of an earlier try of this task was taken over")

    def _is_outdone(self, own: LockFile) -> bool:
        """Whether somebody else has the lock, and does not only try to take it."""
        first, _ = self._look(own)
        if not first:
            return False
        self.sleep(SETTLE)
        again, _ = self._look(own)
        return not {each.file for each in first}.isdisjoint(each.file for each in again)

    def _is_superseded(self, rival: LockFile) -> bool:
        return rival.holder is not None and rival.holder.instance == self.holder.instance

    def _locked(self, rival: LockFile) -> TargetLocked:
        shared = sorted(overlap(self.targets, rival.targets)) or list(self.targets)
        url = self.files.url(rival.file)
        if self._is_superseded(rival):
            return TargetLocked(
                f"{summarize_list(shared)} is locked by a later try of this very task ({_who(rival)}). This try "
                "wrote nothing, and leaves the work to the other."
            )
        return TargetLocked(
            f"{summarize_list(shared)} is locked by {_who(rival)}{self._span(rival)}. Nothing was written. Try again "
            f"when that run has ended; {self._end(rival)}remove the file {url}"
        )

    def _span(self, rival: LockFile) -> str:
        return "" if rival.holder is None else f" since {_text(rival.acquired_at)}"

    def _end(self, rival: LockFile) -> str:
        if rival.holder is None:
            return "if it is dead already, "
        ends = rival.expires_at + DRIFT
        left = max(0.0, ends - self.clock())
        return f"if it is dead already, its lock ends at {_text(ends)} (in {left:.0f} s), and for an earlier end "

    def _lost(self) -> TargetLocked:
        return TargetLocked(
            f"The lock on {summarize_list(self.targets)} is not this run's any more: it was not renewed in time, was "
            "removed, or a later try of this task took it over. This run writes nothing more; what it wrote before "
            "stays. See that no other run works on it, and try again."
        )


def covers(names: Iterable[str], target: str) -> bool:
    """Return whether names cover a target; ``"agent/*"`` covers every target of the agent.

    :param names: names of a lock.
    :param target: a target, or a name that covers several.
    """
    return any(name == target or _is_below(target, name) for name in names)


def overlap(mine: Collection[str], theirs: Collection[str]) -> set[str]:
    """Return those of two locks' names that both cover.

    :param mine: names of one lock.
    :param theirs: names of another lock.
    """
    if not any(name.endswith(EVERY) for name in (*mine, *theirs)):
        return set(mine).intersection(theirs)
    return {name for name in mine if covers(theirs, name)} | {name for name in theirs if covers(mine, name)}


def _is_below(target: str, name: str) -> bool:
    return name.endswith(EVERY) and target.startswith(name[: -len(EVERY) + 1])


@contextlib.contextmanager
def hold_lock(
    targets: Iterable[str],
    holder: LockOwner,
    folder: str | None = None,
    *,
    wait: float = 0.0,
    ttl: float = TTL,
    log: Callable[[str], None],
    clock: Callable[[], float] = time.time,
    sleep: Callable[[float], None] = time.sleep,
    names: TargetNames | None = None,
) -> Iterator[Lock]:
    """Hold a lock on targets while the block runs.

    Advisory: it keeps out runs that ask for it too, and nobody else. The block renews it at least at every third
    of ``ttl``, and asks :meth:`Lock.still_mine` before it writes.

    :param targets: what is locked, as texts that mean the same to all runs.
    :param holder: who locks it.
    :param folder: URL of the folder of locks, the same for all runs; ``None`` takes the room of
        :func:`.state_folder`.
    :param wait: seconds to wait for it at most; 0 fails at once.
    :param ttl: seconds that it lasts without being renewed.
    :param log: receives lines for people.
    :param clock: seconds since 1970.
    :param sleep: waits some seconds.
    :param names: known spellings of the targets; ``None`` takes every name as it is.
    :raises AmbiguousTargets: when a name of another lock may mean one of the targets.
    :raises InputError: for no target, an empty one, or a time that is none.
    :raises TargetLocked: when another run has one of the targets, or it could not be had in time.
    """
    locked = tuple(sorted(set(targets)))
    if not locked or not all(locked):
        raise InputError("a lock needs at least one target, and none may be empty")
    if not ttl > 0 or not wait >= 0:
        raise InputError("ttl of a lock must be above 0, and wait must not be below 0")
    files = StateFiles(folder or state_folder(None, "locks"))
    lock = Lock(files, locked, holder, log, ttl, clock, sleep, names=names)
    lock.acquire(wait)
    try:
        yield lock
    finally:
        lock.release()


def _who(claim: LockFile) -> str:
    return "somebody whose lock cannot be read" if claim.holder is None else str(claim.holder)


def _texts(said: Any) -> tuple[str, ...]:
    if not isinstance(said, list) or not all(isinstance(each, str) for each in said):
        raise TypeError
    return tuple(said)


def _text(seconds: float) -> str:
    """Return a moment as a text; a lock's file may name one beyond what a calendar has."""
    return datetime.fromtimestamp(min(max(seconds, 0.0), _LAST_MOMENT), UTC).isoformat()
