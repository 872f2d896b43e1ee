"""The protections of a run in Airflow: locks, rollback blocks, snapshots, stop switch and freeze windows."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

import msgspec

from airflow_voice_agents.engine.apply import SNAPSHOT_NOTE
from airflow_voice_agents.engine.policy import BlockDigests, HeldLock, Protections
from airflow_voice_agents.engine.snapshot_recorder import SnapshotRecorder
from airflow_voice_agents.engine.target_names import TargetNames
from airflow_voice_agents.plans.kind import Kinds
from airflow_voice_agents.plans.rollback_blocks import RollbackBlock
from airflow_voice_agents.state import rollback_blocks, snapshots
from airflow_voice_agents.state.folder import (
    allows_local_state,
    is_configured,
    remote_executors,
    state_folder,
)
from airflow_voice_agents.state.locks import LockOwner, hold_lock
from airflow_voice_agents.state.status import StatusRecorder

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_voice_agents.plans.freeze import FreezeWindow
    from airflow_voice_agents.plans.plan import Finding


OFF = frozenset({"", "0", "false", "no", "off", "null", "none", "{}", "[]"})
"""Values of the stop switch, in lower case, that let runs go on."""


def now() -> datetime:
    """Return the present moment."""
    return datetime.now(UTC)


def stop_switch(name: str | None) -> str | None:
    """Return why nothing further may be begun, or ``None``.

    :param name: name of the Airflow Variable that is the switch; ``None`` has none.
    """
    from airflow.sdk import Variable

    if name is None:
        return None
    value = Variable.get(name, default=None)
    if value is None or str(value).strip().lower() in OFF:
        return None
    return (
        f"The Airflow Variable {name} is set, which stops all promotions between waves. Delete it, or set it to "
        "'off', then clear this task: what is done is not done twice."
    )


def freeze_findings(
    windows: Iterable[FreezeWindow], override: str | None, at: Callable[[], datetime] = now
) -> tuple[Finding, ...]:
    """Return what freeze windows say of the present moment.

    :param windows: when nothing may be written.
    :param override: why it may be written even so, or ``None``.
    :param at: the present moment.
    """
    if not (windows := tuple(windows)):
        return ()
    from airflow_voice_agents.plans.freeze import check_freeze

    return tuple(check_freeze(windows, at(), override or None))


def stop_check(
    variable: str | None,
    windows: Iterable[FreezeWindow],
    override: str | None,
    at: Callable[[], datetime] = now,
) -> Callable[[], str | None]:
    """Return what a rollout asks before each wave.

    :param variable: name of the Airflow Variable that stops it.
    :param windows: when nothing may be written.
    :param override: why it may be written even so, or ``None``.
    :param at: the present moment.
    """
    from airflow_voice_agents.plans.plan import Severity

    frozen = tuple(windows)

    def ask() -> str | None:
        findings = freeze_findings(frozen, override, at)
        said = " ".join(each.message for each in findings if each.severity is Severity.ERROR)
        return stop_switch(variable) or said or None

    return ask


SNAPSHOT_KEY = "snapshot"
"""XCom that holds the URL of the snapshot, from before the first write on."""


class ProtectionSettings(msgspec.Struct, frozen=True):
    """The arguments of an operator about locks, snapshots, blocks and stops.

    :param name: name of the snapshot's file.
    :param origin: returns the platform that the task's connection leads to.
    :param state_folder: URL of the state folder, or ``None`` for the configured one.
    :param snapshot_folder: URL of the snapshots, or ``None`` for the folder below the state folder.
    :param lock_wait: seconds to wait for another run.
    :param take_snapshot: ``True`` keeps a snapshot or refuses; ``None`` keeps one where it can be encrypted.
    :param snapshot_retention: age at which snapshots are removed, or ``None``.
    :param allow_unencrypted: whether a snapshot may be kept in the clear.
    :param stop_variable: name of the Airflow Variable that stops the run, or ``None``.
    :param freeze: freeze windows, as the operator takes them.
    :param override_freeze: the reason why a freeze window does not count, or ``None``.
    :param hold: whether a rollback places rollback blocks.
    :param reason: the reason for the blocks.
    :param allow_local_state: whether live is written although other machines do not see the state folder.
    :param executor: executor of the task, or ``None``.
    :param system: the system that the task works on, as its asset alias spells it.
    """

    name: str
    origin: Callable[[], snapshots.Origin]
    state_folder: str | None = None
    snapshot_folder: str | None = None
    lock_wait: float = 0.0
    take_snapshot: bool | None = None
    snapshot_retention: timedelta | None = None
    allow_unencrypted: bool = False
    stop_variable: str | None = None
    freeze: Sequence[Mapping[str, Any]] = ()
    override_freeze: str | None = None
    hold: bool = False
    reason: str = ""
    allow_local_state: bool = False
    executor: str | None = None
    system: str = "polyai"


class AirflowProtections(msgspec.Struct, frozen=True, dict=True):
    """Builds the protections of one task.

    :param settings: the operator's arguments.
    :param context: the task's context.
    :param log: receives lines for people.
    :param at: the present moment.
    """

    settings: ProtectionSettings
    context: Context
    log: Callable[[str], None]
    at: Callable[[], datetime] = lambda: datetime.now(UTC)

    def build(self) -> Protections:
        """Return the protections.

        :raises InputError: naming the freeze window that is wrong.
        """
        mine = self.settings
        return Protections(
            lock=self._lock,
            blocks=self._blocks,
            place_blocks=self._place if mine.hold else None,
            recorder=self._recorder,
            stop=stop_check(mine.stop_variable, self._windows, mine.override_freeze, self.at),
            frozen=lambda: freeze_findings(self._windows, mine.override_freeze, self.at),
            local_state=self._local_state,
            observer=StatusRecorder.of(
                self.context["ti"],
                mine.state_folder,
                self.log,
                freeze=mine.freeze,
                stop_variable=mine.stop_variable,
                system=mine.system,
            ),
        )

    @cached_property
    def _windows(self) -> tuple[FreezeWindow, ...]:
        if not self.settings.freeze:
            return ()
        from airflow_voice_agents.plans.freeze import windows

        return windows(self.settings.freeze)

    def _local_state(self, live: bool) -> tuple[Finding, ...]:
        """Return what is to be said where workers of several machines have a state folder each."""
        from airflow_voice_agents.plans.plan import error, warning

        mine = self.settings
        remote = () if is_configured(mine.state_folder) else remote_executors(mine.executor)
        if not remote:
            return ()
        said = (
            f"[voice_agents] state_folder is not set, and {', '.join(remote)} can run tasks on several machines: each "
            "keeps locks, holds and snapshots of its own in its Airflow home, so two runs can write one target at the "
            "same time. Set state_folder to a URL that all workers see"
        )
        if live and not (mine.allow_local_state or allows_local_state()):
            return (error("local_state", f"{said}, or pass allow_local_state=True if there is one machine."),)
        return (warning("local_state", f"{said}."),)

    def _lock(self, targets: Sequence[str], names: TargetNames) -> AbstractContextManager[HeldLock]:
        return hold_lock(
            targets,
            LockOwner.of(self.context["ti"]),
            state_folder(self.settings.state_folder, "locks"),
            wait=self.settings.lock_wait,
            log=self.log,
            names=names,
        )

    def _blocks(self, targets: Collection[str], names: TargetNames) -> Mapping[str, RollbackBlock]:
        return rollback_blocks.read(self.settings.state_folder, targets, names)

    def _place(self, digests: BlockDigests) -> None:
        place = rollback_blocks.block_placer(
            self.settings.state_folder, self.context["ti"], self.settings.reason, self.log
        )
        place(digests)

    def _recorder(self, kinds: Kinds, live: bool) -> SnapshotRecorder | None:
        """Return what keeps a snapshot; an operator that did not ask for one gets it where it is encrypted."""
        mine = self.settings
        if mine.take_snapshot is False:
            return None
        if mine.take_snapshot is None and not (mine.allow_unencrypted or snapshots.encrypts()):
            self.log(
                "No snapshot is kept, because this Airflow has no valid [core] fernet_key to encrypt it. "
                "Set one, or pass take_snapshot=True with allow_unencrypted=True."
            )
            return None

        def save(document: dict[str, Any]) -> str:
            return snapshots.save(
                document,
                origin=mine.origin(),
                folder=mine.snapshot_folder or state_folder(mine.state_folder, "snapshots"),
                name=mine.name,
                allow_unencrypted=mine.allow_unencrypted,
                retention=mine.snapshot_retention,
                log=self.log,
            )

        def load(url: str) -> Any:
            return snapshots.load(url, mine.origin())

        def publish(url: str) -> None:
            self.context["ti"].xcom_push(key=SNAPSHOT_KEY, value=url)

        return SnapshotRecorder(save, load, publish, SNAPSHOT_NOTE, kinds)
