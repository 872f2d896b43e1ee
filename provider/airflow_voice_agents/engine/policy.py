"""The options of a run, and the protections around it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

import msgspec

from airflow_voice_agents.engine.applier import SETTLE_POLLS
from airflow_voice_agents.engine.snapshot_recorder import SnapshotRecorder
from airflow_voice_agents.engine.target_names import TargetNames
from airflow_voice_agents.plans.document import PlanDocument
from airflow_voice_agents.plans.kind import Kinds, Resource
from airflow_voice_agents.plans.limits import ChangeLimit, FailureLimit, Waves
from airflow_voice_agents.plans.plan import Finding, TargetPlan
from airflow_voice_agents.plans.render import Display
from airflow_voice_agents.plans.report import Report
from airflow_voice_agents.plans.rollback_blocks import RollbackBlock

StopCheck = Callable[[], "str | None"]
"""Returns the reason why the run must stop, or ``None``."""


def always_continue() -> str | None:
    """Let the run go on."""
    return None


class Policy(msgspec.Struct, frozen=True):
    """The options of a run.

    :param dry_run: plan only.
    :param expected_digest: digest that the plan must have, or ``None`` for any.
    :param document: the saved plan that the run must carry out exactly, or ``None``.
    :param display: what the plan in the log shows of values.
    :param waves: how many targets, or items, are reached wave by wave.
    :param failure_limit: how many may fail before no further one is begun; ``None`` lets all be tried.
    :param change_limit: how many may change.
    :param verify: whether an independent read follows the writes.
    :param max_snapshot_age: seconds after which a resource is read again right before it is written; ``None`` never.
    :param settle_polls: seconds between reads while the outcome of a non-repeatable write stays unknown.
    """

    dry_run: bool = False
    expected_digest: str | None = None
    document: PlanDocument | None = None
    display: Display = msgspec.field(default_factory=Display)
    waves: Waves = msgspec.field(default_factory=lambda: Waves.parse(None))
    failure_limit: FailureLimit | None = msgspec.field(default_factory=lambda: FailureLimit.parse(None))
    change_limit: ChangeLimit = msgspec.field(default_factory=lambda: ChangeLimit.parse(None))
    verify: bool = True
    max_snapshot_age: float | None = 60.0
    settle_polls: tuple[float, ...] = SETTLE_POLLS


class HeldLock(Protocol):
    """A lock while a run holds it."""

    def narrow(self, targets: Collection[str]) -> None:
        """Keep the lock on these targets only; names that it did not cover are added.

        :raises AmbiguousTargets: when a name of another run may mean an added one.
        :raises TargetLocked: when another run holds an added one.
        """

    def renew_when_due(self) -> str | None:
        """Renew the lock when it is time, and return why the run must stop if it is lost."""

    def check(self) -> str | None:
        """Look whether the lock still stands, and return why the run must stop if it does not."""


class _NoLock:
    def narrow(self, targets: Collection[str]) -> None:
        """Do nothing."""

    def renew_when_due(self) -> str | None:
        """Let the run go on."""
        return None

    def check(self) -> str | None:
        """Let the run go on."""
        return None


@contextmanager
def unlocked(_: Sequence[str], __: TargetNames) -> Iterator[HeldLock]:
    """Lock nothing."""
    yield _NoLock()


class SharedFailures(Protocol):
    """Failures of a run that is split over several tasks, of which this is one."""

    @property
    def total(self) -> int:
        """Targets that all of them change."""

    def note(self, failed: int) -> int:
        """Note how many targets of this task failed, and return how many failed in all of them.

        :param failed: the number.
        """


def no_blocks(_: Collection[str], __: TargetNames) -> Mapping[str, RollbackBlock]:
    """Return no rollback blocks."""
    return {}


def shared_state(_: bool) -> tuple[Finding, ...]:
    """Return no findings: every worker sees the state folder."""
    return ()


class RunObserver(Protocol):
    """Is told how a run stands, for people; it must not fail."""

    def planned(self, operation: str, targets: Sequence[TargetPlan], *, digest: str, writes: bool) -> None:
        """Take note of a plan, and of whether its writes are about to begin."""

    def reached(self, wave: int, waves: int, reached: int, total: int) -> None:
        """Take note of a wave that has ended."""

    def ended(self, report: Report) -> None:
        """Take note of the report of a run that wrote."""


class _Unobserved:
    def planned(self, operation: str, targets: Sequence[TargetPlan], *, digest: str, writes: bool) -> None:
        """Do nothing."""

    def reached(self, wave: int, waves: int, reached: int, total: int) -> None:
        """Do nothing."""

    def ended(self, report: Report) -> None:
        """Do nothing."""


BlockDigests = Mapping[str, Mapping[Resource, str]]
"""Target -> resource -> digest of the state that was rolled back."""


class Protections(msgspec.Struct, frozen=True):
    """The protections around a run: locks, rollback blocks, snapshots, stop switch and freeze windows.

    The defaults protect nothing; :mod:`airflow_voice_agents.bases.protections` makes the real ones.

    :param lock: locks targets while the run plans and writes; raises :class:`.AmbiguousTargets` where a name of
        another run may mean one of them.
    :param blocks: returns the rollback blocks of targets, under the names of this run.
    :param place_blocks: places rollback blocks; ``None`` places none.
    :param recorder: makes the recorder of snapshots for the kinds of a run and whether it writes live; ``None``
        keeps nothing.
    :param stop: asked before each wave: the stop switch and the freeze windows.
    :param frozen: the findings of the freeze windows now.
    :param failures: counts failures together with the other tasks of a run that is split; ``None`` for a whole run.
    :param local_state: takes whether the run writes live, and returns the findings about a state folder that workers
        of other machines do not see.
    :param observer: is told how the run stands.
    """

    lock: Callable[[Sequence[str], TargetNames], AbstractContextManager[HeldLock]] = unlocked
    blocks: Callable[[Collection[str], TargetNames], Mapping[str, RollbackBlock]] = no_blocks
    place_blocks: Callable[[BlockDigests], None] | None = None
    recorder: Callable[[Kinds, bool], SnapshotRecorder | None] | None = None
    stop: StopCheck = always_continue
    frozen: Callable[[], tuple[Finding, ...]] = tuple
    failures: SharedFailures | None = None
    local_state: Callable[[bool], tuple[Finding, ...]] = shared_state
    observer: RunObserver = msgspec.field(default_factory=_Unobserved)
