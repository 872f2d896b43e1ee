"""What operators share that write to many targets in waves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow_voice_agents.polyai.operators.base import PolyAIOperator

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_voice_agents.engine.rollout import RolloutPolicy
    from airflow_voice_agents.plans.freeze import FreezeWindow
    from airflow_voice_agents.plans.plan import Finding
    from airflow_voice_agents.polyai.actions.snapshot_units import Keep
    from airflow_voice_agents.state.locks import Lock

SNAPSHOT_KEY = "snapshot"
"""XCom under which the URL of the snapshot lies, from before the first write on."""

STOP_VARIABLE = "voice_agents_stop"
"""Airflow Variable that stops every rollout before its next wave."""


class RolloutOperator(PolyAIOperator):
    """What operators share that write to many targets in waves.

    :param waves: how many targets are reached, wave by wave: numbers and percentages, counted from the first
        target; the last must be ``"100%"``. ``None`` has one wave.
    :param max_failures: how many targets may go wrong before no further one is begun: a number, a percentage,
        or a mapping of ``count`` and ``percent``, of which the lesser counts.
    :param stop_variable: Airflow Variable that stops the run before its next wave; ``None`` has none.
    :param freeze: freeze windows, in which nothing is begun.
    :param override_freeze: why a freeze window does not count; recorded in the log. (templated)
    :param take_snapshot: whether what is about to change is kept first, for a rollback.
    :param snapshot_retention: how long snapshots in the folder are kept; ``None`` keeps them for good.
    :param allow_unencrypted: whether a snapshot of live may be kept in the clear where Airflow has no Fernet
        key.
    :param state_folder: URL of the folder for snapshots, holds, locks and baselines; ``None`` takes
        ``[voice_agents] state_folder``.
    :param lock_wait: seconds to wait for another run on one of the targets; 0 fails at once.
    :param verify: whether an independent read follows the writes of each target.
    :param max_snapshot_age: seconds after which a resource is read again right before it is written.
    """

    template_fields: Sequence[str] = ("polyai_conn_id", "override_freeze", "state_folder")

    def __init__(
        self,
        *,
        waves: Sequence[int | str] | None = None,
        max_failures: int | str | Mapping[str, Any] = 0,
        stop_variable: str | None = STOP_VARIABLE,
        freeze: Sequence[Mapping[str, Any]] = (),
        override_freeze: str | None = None,
        take_snapshot: bool = True,
        snapshot_retention: timedelta | None = None,
        allow_unencrypted: bool = False,
        state_folder: str | None = None,
        lock_wait: float = 0.0,
        verify: bool = True,
        max_snapshot_age: float = 60.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.waves = waves
        self.max_failures = max_failures
        self.stop_variable = stop_variable
        self.freeze = freeze
        self.override_freeze = override_freeze
        self.take_snapshot = take_snapshot
        self.snapshot_retention = snapshot_retention
        self.allow_unencrypted = allow_unencrypted
        self.state_folder = state_folder
        self.lock_wait = lock_wait
        self.verify = verify
        self.max_snapshot_age = max_snapshot_age

    def windows(self) -> tuple[FreezeWindow, ...]:
        """Return the freeze windows.

        :raises InputError: naming what is wrong with one.
        """
        from airflow_voice_agents.plans.freeze import windows

        return windows(self.freeze)

    def pace(self, lock: Lock) -> RolloutPolicy:
        """Return how fast the run goes, and what stops it.

        :param lock: the lock on its targets, which it renews.
        :raises InputError: naming the argument that is wrong.
        """
        from airflow_voice_agents.bases.stop_conditions import stop_check
        from airflow_voice_agents.engine.rollout import RolloutPolicy
        from airflow_voice_agents.plans.limits import FailureLimit, Waves
        from airflow_voice_agents.state.lock_renewal import renewal_check

        return RolloutPolicy(
            waves=Waves.parse(self.waves),
            budget=FailureLimit.parse(self.max_failures),
            before_wave=stop_check(self.stop_variable, self.windows(), self.override_freeze),
            after_unit=renewal_check(lock),
            verify=self.verify,
            max_snapshot_age=self.max_snapshot_age,
        )

    def lock(self, context: Context, targets: Sequence[str]) -> AbstractContextManager[Lock]:
        """Return the lock on the run's targets, to be entered.

        :param context: the task's context.
        :param targets: what the run writes.
        """
        from airflow_voice_agents.state.folder import state_folder
        from airflow_voice_agents.state.locks import LockOwner, hold_lock

        return hold_lock(
            targets,
            LockOwner.of(context["ti"]),
            state_folder(self.state_folder, "locks"),
            wait=self.lock_wait,
            say=self.say,
        )

    def keeper(self, context: Context, name: str, *, live: bool) -> Keep | None:
        """Return what keeps targets before they are written, or ``None`` where nothing is to be kept.

        :param context: the task's context.
        :param name: what the snapshot is of; part of its file's name.
        :param live: whether live is among them: then it is not kept in the clear without consent.
        """
        from airflow_voice_agents.engine.snapshot_recorder import SnapshotRecorder
        from airflow_voice_agents.polyai.actions.snapshot_units import keeper
        from airflow_voice_agents.polyai.resources.registry import kinds
        from airflow_voice_agents.state import snapshots
        from airflow_voice_agents.state.folder import state_folder

        if not self.take_snapshot:
            return None

        def save(document: dict[str, Any]) -> str:
            return snapshots.save(
                document,
                folder=state_folder(self.state_folder, "snapshots"),
                name=name,
                allow_unencrypted=self.allow_unencrypted or not live,
                retention=self.snapshot_retention,
                say=self.say,
            )

        def publish(url: str) -> None:
            context["ti"].xcom_push(key=SNAPSHOT_KEY, value=url)

        return keeper(SnapshotRecorder(save, snapshots.load, publish, "promotion-snapshot", kinds()))

    def frozen(self) -> tuple[Finding, ...]:
        """Return what the freeze windows say now."""
        from airflow_voice_agents.bases.stop_conditions import freeze_findings

        return freeze_findings(self.windows(), self.override_freeze)
