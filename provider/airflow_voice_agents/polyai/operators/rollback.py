"""Operators that undo a promotion, and let it happen again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airflow_voice_agents.polyai.operators.base import PolyAIOperator
from airflow_voice_agents.polyai.operators.rollout import RolloutOperator

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_voice_agents.plans.report import Report
    from airflow_voice_agents.polyai.actions.rollback import RollbackJob


class PolyAIRollbackOperator(RolloutOperator):
    """Bring targets back to what a snapshot kept, and put them on hold.

    What was changed since the promotion by anybody else is not overwritten without ``force``. What no call
    can undo (keys that were added) is named. A hold keeps a schedule from promoting the same again until
    :class:`PolyAIReleaseHoldOperator` releases it.

    Vendor operations: those of the snapshot's resources, and update schema, update variables, roll back
    deployment, update connector, batch update connectors, assign number.

    :param snapshot: URL that a promotion left in XCom ``snapshot``. (templated)
    :param force: whether what was changed since the promotion is overwritten as well.
    :param hold: whether the targets are put on hold.
    :param reason: why; kept with the hold. (templated)
    :param dry_run: plan only; nothing is written, and live needs no confirmation.
    :param show_values: whether the plan in the log shows values, sensitive ones masked; ``None`` takes
        ``[voice_agents] show_values``, whose ``False`` hides them in any case.
    :param sensitive_keys: selectors of further values that are masked.
    :param waves: how many targets are reached, wave by wave, as for an apply.
    :param max_failures: how many targets may go wrong before no further one is begun.
    :param stop_variable: Airflow Variable that stops the run before its next wave; ``None``, the default of
        a rollback, has none.
    :param freeze: freeze windows, in which nothing is begun.
    :param override_freeze: why a freeze window does not count; recorded in the log. (templated)
    :param take_snapshot: whether what is about to change is kept first.
    :param snapshot_retention: how long snapshots in the folder are kept; ``None`` keeps them for good.
    :param allow_unencrypted: whether a snapshot of live may be kept in the clear where Airflow has no Fernet
        key.
    :param state_folder: URL of the folder for snapshots, holds, locks and baselines; ``None`` takes
        ``[voice_agents] state_folder``. (templated)
    :param lock_wait: seconds to wait for another run on one of the targets; 0 fails at once.
    :param confirm_live: must be true for a run that writes into live.
    :param allow_backfill: a backfill run may write into live.
    :param verify: whether an independent read follows the writes of each target.
    :param max_snapshot_age: seconds after which a resource is read again right before it is written.
    :param concurrency: most targets in flight.
    :param polyai_conn_id: id of a connection of type ``polyai``. (templated)
    :raises InputError: for wrong arguments, and for a snapshot that cannot be read.
    :raises TargetLocked: when another run works on one of the targets, naming it.
    :raises GuardRefused: before any write, when a guard refuses or a target has newer work.
    :raises ItemsFailed: when a target was not brought back; XCom ``report`` tells which.
    :returns: ``operation``, ``dry_run``, ``changed``, ``counts`` and ``plan_digest``.
    """

    template_fields: Sequence[str] = (*RolloutOperator.template_fields, "snapshot", "reason")

    def __init__(
        self,
        *,
        snapshot: str,
        force: bool = False,
        hold: bool = True,
        reason: str = "",
        dry_run: bool = False,
        show_values: bool | None = None,
        sensitive_keys: Sequence[str] = (),
        stop_variable: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(stop_variable=stop_variable, **kwargs)
        self.snapshot = snapshot
        self.force = force
        self.hold = hold
        self.reason = reason
        self.plan_only = dry_run  # BaseOperator has a method of the other name
        self.show_values = show_values
        self.sensitive_keys = sensitive_keys

    def execute(self, context: Context) -> dict[str, Any]:
        """Read, compare with the snapshot, put on hold, write, verify and report."""
        from airflow_voice_agents.bases.display import display
        from airflow_voice_agents.polyai.actions import rollback
        from airflow_voice_agents.polyai.assets import changes
        from airflow_voice_agents.state import snapshots

        job = replace(
            rollback.job(snapshots.load(self.snapshot)),
            force=self.force,
            dry_run=self.plan_only,
            display=display(self.show_values, self.sensitive_keys),
        )
        report = roll_back(self, context, job, hold=self.hold, reason=self.reason)
        return self.conclude(context, report, changes={} if report.dry_run else changes(report))


def roll_back(
    operator: RolloutOperator, context: Context, job: RollbackJob, *, hold: bool, reason: str
) -> Report:
    """Carry a rollback out under the locks, brakes and snapshots of an operator.

    :param operator: has the settings of the run.
    :param context: the task's context.
    :param job: the way back.
    :param hold: whether the targets are put on hold.
    :param reason: why; kept with the hold.
    :raises TargetLocked: when another run works on one of the targets.
    :raises GuardRefused: before any write, when a guard refuses or a target has newer work.
    """
    from airflow_voice_agents.airflow_compat import task_state
    from airflow_voice_agents.state.rollback_blocks import block_placer

    with operator.lock(context, job.touched) as lock:
        ready = replace(
            job,
            pace=operator.pace(lock),
            frozen=operator.frozen(),
            keep=operator.keeper(context, f"{operator.dag_id}-{operator.task_id}", live=job.writes_live),
            hold=block_placer(operator.state_folder, context["ti"], reason, operator.say) if hold else None,
            notes=task_state(context),
        )
        return operator.work(context, ready.run)


class PolyAIReleaseHoldOperator(PolyAIOperator):
    """Release targets that a rollback put on hold, so that the same may be promoted to them again.

    :param targets: ``"agent_id/environment"``, or a list of them. (templated)
    :param state_folder: URL of the folder that holds are kept in; ``None`` takes ``[voice_agents]
        state_folder``. (templated)
    :returns: the targets that were on hold and are no more.
    """

    template_fields: Sequence[str] = ("targets", "state_folder")

    def __init__(
        self, *, targets: Sequence[str] | str, state_folder: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.targets = targets
        self.state_folder = state_folder

    def execute(self, context: Context) -> list[str]:
        """Release, and say what was."""
        from airflow_voice_agents.state import rollback_blocks

        names = [self.targets] if isinstance(self.targets, str) else list(self.targets)
        released = rollback_blocks.release(self.state_folder, names)
        self.say(f"Released: {', '.join(released) or 'none was on hold'}")
        return released
