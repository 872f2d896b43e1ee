"""Operators that undo a promotion, and let it happen again."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, Unpack

from airflow_voice_agents.bases.operator import is_true
from airflow_voice_agents.bases.release_hold import ReleaseHoldOperator
from airflow_voice_agents.polyai.operators.base import PolyAIOperator, PolyAIRestoringOperator

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_voice_agents.bases.types import FailureLimitArgument, Templated
    from airflow_voice_agents.polyai.types import HoldArguments, PromotionRollbackArguments


class PolyAIRollbackOperator(PolyAIRestoringOperator):
    """Restore targets from a snapshot of any PolyAI operator and put them on hold.

    Changes that somebody else made since are not overwritten without ``force``: such a target is left as it is and not
    put on hold, the others go back, and the task fails with an error that begins with what still runs. The plan names
    what no request can undo (keys that were added). A hold keeps schedules from writing the same again until
    :class:`PolyAIReleaseHoldOperator` releases it.

    Vendor operations: those of the snapshot's resources, and update schema, update variables, roll back
    deployment, update connector, batch update connectors, assign number.

    :param snapshot: URL that a promotion left in XCom ``snapshot``. (templated)
    :param force: whether what was changed since the promotion is overwritten as well. (templated)
    :param newer_work: what to do where a target was changed since: ``leave`` it and roll back the others, or
        ``refuse`` the whole rollback before any write.
    :param hold: whether the targets are put on hold.
    :param reason: why; kept with the hold. (templated)
    :param dry_run: plan only; nothing is written, and live needs no confirmation.
    :param show_values: whether the plan in the log shows values; ``None`` uses ``[voice_agents] show_values``.
        Sensitive values are masked in any case.
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
    :param allow_local_state: whether live is written although ``state_folder`` is not set and the executor can run
        tasks on several machines, which then do not see each other's locks.
    :param lock_wait: seconds to wait for another run on one of the targets; 0 fails at once.
    :param confirm_live: must be true for a run that writes into live.
    :param allow_backfill: a backfill run may write into live.
    :param verify: whether an independent read follows the writes of each target.
    :param max_snapshot_age: seconds after which a resource is read again right before it is written.
    :param concurrency: most targets in flight.
    :param polyai_conn_id: id of a connection of type ``polyai``. (templated)
    :raises InputError: for wrong arguments, and for a snapshot that cannot be read.
    :raises TargetLocked: when another run works on one of the targets, naming it.
    :raises GuardRefused: before any write, when a guard refuses, or with ``newer_work="refuse"`` a target has newer
        work.
    :raises ItemsFailed: when a target was not brought back, or was left; XCom ``report`` tells which.
    :returns: ``operation``, ``dry_run``, ``changed``, ``counts`` and ``plan_digest``.
    """

    def __init__(
        self,
        *,
        max_failures: FailureLimitArgument = 0,
        lock_wait: float = 0.0,
        newer_work: Literal["leave", "refuse"] = "leave",
        **kwargs: Unpack[PromotionRollbackArguments],
    ) -> None:
        super().__init__(max_failures=max_failures, lock_wait=lock_wait, **kwargs)
        self.newer_work = newer_work

    def execute(self, context: Context) -> dict[str, Any]:
        """Read, compare with the snapshot, put on hold, write, verify and report."""
        from airflow_voice_agents.polyai.actions.rollback import parse_rollback
        from airflow_voice_agents.polyai.assets import changes
        from airflow_voice_agents.state import snapshots

        action = parse_rollback(
            snapshots.load(self.snapshot, self.origin()),
            force=is_true(self.force),
            newer_work=self.newer_work,
            holds=self.hold,
        )
        self.leave_links(context, [name.partition("/")[0] for name in action.scope().targets])
        report = self.apply(context, action)
        return self.finish(context, report, changes=changes(report))


class PolyAIReleaseHoldOperator(PolyAIOperator, ReleaseHoldOperator):
    """Release targets that a rollback put on hold, so that the same change may be written again.

    A target on hold is found under both spellings of its agent. Only if a hold of the other spelling exists, the
    operator asks the platform whether both are one agent.

    Vendor operations: get active deployments, list connectors; usually none.

    :param targets: ``"agent_id/environment"``, or a list of them. (templated)
    :param state_folder: URL of the folder that holds are kept in; ``None`` uses ``[voice_agents] state_folder``.
        (templated)
    :param polyai_conn_id: id of a connection of type ``polyai``. (templated)
    :raises InputError: without targets.
    :raises GuardRefused: when the platform does not tell whether two spellings are one agent.
    :returns: the targets that were on hold.
    """

    template_fields: Sequence[str] = ("polyai_conn_id", *ReleaseHoldOperator.template_fields)

    def __init__(self, *, targets: Sequence[str] | Templated, **kwargs: Unpack[HoldArguments]) -> None:
        super().__init__(targets=targets, **kwargs)

    def release(self, context: Context, targets: Sequence[str]) -> list[str]:
        """Release targets, also those that are on hold under their agent's other spelling.

        :param context: the task's context.
        :param targets: their names.
        """
        from airflow_voice_agents.engine.target_names import AmbiguousTargets, TargetNames
        from airflow_voice_agents.polyai.actions.base import is_same, may_be_same
        from airflow_voice_agents.state import rollback_blocks

        names = TargetNames(may_be_same)
        while True:
            try:
                return rollback_blocks.release(self.state_folder or None, targets, names)
            except AmbiguousTargets as ambiguous:
                for pair in ambiguous.pairs:
                    same = self.work(
                        context, partial(is_same, one=pair[0], other=pair[1], operation="release hold")
                    )
                    names.note(pair, same=same)
