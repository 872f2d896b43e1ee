"""Operators that keep assignments and restore them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Unpack

from airflow_voice_agents.bases.operator import is_true
from airflow_voice_agents.bases.release_hold import ReleaseHoldOperator
from airflow_voice_agents.omnia_voice.operators.base import (
    OmniaVoiceOperator,
    OmniaVoiceRestoringOperator,
    changes_of,
    workspace_of,
)

if TYPE_CHECKING:
    from datetime import timedelta

    from airflow.sdk import Context

    from airflow_voice_agents.bases.types import PhoneNumbers
    from airflow_voice_agents.omnia_voice.types import (
        OmniaVoiceArguments,
        OmniaVoiceHoldArguments,
        OmniaVoiceRestoringArguments,
    )


class OmniaVoiceSnapshotAssignmentsOperator(OmniaVoiceOperator):
    """Keep which agent answers which number, so that a restore can be made from it.

    The file is encrypted with Airflow's Fernet key. Nothing is written at the platform.

    Vendor operation: list numbers.

    :param phone_numbers: list of E.164 numbers, or of records with ``phone_number`` or ``number``; or a text
        with one per line or separated by commas. One that is not listed is kept as such. ``None`` takes all
        numbers of the workspace. (templated)
    :param folder: URL that Airflow's object storage knows; by default ``snapshots`` below
        ``[voice_agents] state_folder``. (templated)
    :param retention: how long snapshots in that folder are kept; ``None`` keeps them for good.
    :param allow_unencrypted: whether it may be kept in the clear where Airflow has no Fernet key.
    :param omniavoice_conn_id: id of a connection of type ``omniavoice``. (templated)
    :raises InputError: for wrong arguments, naming every malformed number, before any request.
    :raises GuardRefused: when there is no number, or it could only be kept in the clear.
    :returns: URL of the snapshot, for :class:`OmniaVoiceRestoreAssignmentsOperator`.
    """

    template_fields: Sequence[str] = ("omniavoice_conn_id", "phone_numbers", "folder")
    template_fields_renderers: ClassVar[dict[str, str]] = {"phone_numbers": "json"}

    def __init__(
        self,
        *,
        phone_numbers: PhoneNumbers | None = None,
        folder: str | None = None,
        retention: timedelta | None = None,
        allow_unencrypted: bool = False,
        **kwargs: Unpack[OmniaVoiceArguments],
    ) -> None:
        super().__init__(**kwargs)
        self.phone_numbers = phone_numbers
        self.folder = folder
        self.retention = retention
        self.allow_unencrypted = allow_unencrypted

    def execute(self, context: Context) -> str:
        """List the numbers and keep their assignments."""
        from airflow_voice_agents.omnia_voice.actions.snapshots import SnapshotAssignments
        from airflow_voice_agents.state.snapshots import save
        from airflow_voice_agents.transport.validation import parse_numbers

        numbers = () if self.phone_numbers is None else parse_numbers(self.phone_numbers)
        hook = self.hook()
        return save(
            self.work(context, SnapshotAssignments(workspace_of(hook), numbers).run, hook),
            origin=self.origin(),
            folder=self.folder or None,
            name=f"{self.dag_id}-{self.task_id}",
            allow_unencrypted=self.allow_unencrypted,
            retention=self.retention,
            log=self.write_log,
        )


class OmniaVoiceRestoreAssignmentsOperator(OmniaVoiceRestoringOperator):
    """Let the agents of a snapshot answer its numbers again, and put what is undone on hold.

    The same plan, guards, checks and report as an assignment; a second run writes nothing. A number whose
    agent is neither as in the snapshot nor as the assignment left it is newer work, and stops the run before
    its first write, unless ``allow_partial`` leaves it out. The snapshot of an assignment notes what the
    assignment left. A number that was not listed is unassigned, not deleted, and a name that was not set
    cannot be unset. From the snapshot of an update the settings that it named are restored.

    Vendor operations: list numbers, update number, assign number, get number.

    :param snapshot: URL of the snapshot, as a snapshot task returned it or a write left it in XCom ``snapshot``.
        (templated)
    :param expected_agent_id: the agent that the assignment led to, where the snapshot does not say. (templated)
    :param expected_assignments: instead, mapping of numbers to such agents. (templated)
    :param force: whether newer work is overwritten.
    :param allow_partial: whether numbers with newer work are left out and reported, and the task succeeds without
        them.
    :param hold: whether what is undone is put on hold: the same change is then refused until
        :class:`OmniaVoiceReleaseHoldOperator` releases it.
    :param reason: the reason, kept with the hold. (templated)
    :param dry_run: plan only; nothing is written, and no confirmation is needed.
    :param expected_digest: digest that the plan must have (``plan_digest`` of a dry run); a retry goes on with the
        same plan. ``None`` accepts any plan. (templated)
    :param confirm_live: must be true, because it changes who answers callers.
    :param allow_backfill: a backfill run may write.
    :param lock_wait: seconds to wait for another run on one of the numbers; 0 fails at once.
    :param take_snapshot: whether the numbers are kept first, for a restore; the URL is XCom ``snapshot``. ``True``
        keeps them or refuses, ``False`` keeps nothing, ``None`` keeps them where Airflow has a Fernet key.
    :param snapshot_retention: age at which snapshots in the folder are removed; ``None`` keeps them.
    :param allow_unencrypted: whether a snapshot may be kept in the clear where Airflow has no Fernet key.
    :param state_folder: URL of the folder for snapshots, holds and locks; ``None`` uses ``[voice_agents]
        state_folder``. (templated)
    :param allow_local_state: whether live is written although ``state_folder`` is not set and the executor can run
        tasks on several machines, which then do not see each other's locks.
    :param waves: how many numbers are reached wave by wave: numbers and percentages, the last ``"100%"``.
    :param max_failures: how many numbers may fail before no further one is begun; ``None`` tries all.
    :param max_changed: how many numbers may change, as a number or a percentage; ``None`` is no limit.
    :param stop_variable: Airflow Variable that stops the run before its next wave; ``None`` has none.
    :param freeze: freeze windows, in which nothing is begun.
    :param override_freeze: the reason why a freeze window does not count; recorded in log and report. (templated)
    :param verify: whether everything written is read again at the end; responses are checked in any case.
    :param max_snapshot_age: seconds after which a number is read again right before it is written, which costs
        requests of the hourly limit; ``None`` never.
    :param show_values: whether the plan in the log shows agents' ids, names and statuses; ``None`` uses
        ``[voice_agents] show_values``.
    :param sensitive_keys: selectors of values that are masked.
    :param concurrency: maximum number of numbers in flight.
    :param omniavoice_conn_id: id of a connection of type ``omniavoice``. (templated)
    :raises InputError: for wrong arguments or a snapshot that cannot be read, before any request.
    :raises GuardRefused: when a guard or the plan refuses, before any write.
    :raises ItemsFailed: when a number is not as it was; XCom ``report`` tells which.
    :returns: ``operation``, ``dry_run``, ``changed``, ``counts`` and ``plan_digest``.
    """

    template_fields: Sequence[str] = (
        *OmniaVoiceRestoringOperator.template_fields,
        "expected_agent_id",
        "expected_assignments",
    )
    template_fields_renderers: ClassVar[dict[str, str]] = {"expected_assignments": "json"}
    at_most_one_of = (("expected_agent_id", "expected_assignments"),)

    def __init__(
        self,
        *,
        expected_agent_id: str | None = None,
        expected_assignments: Mapping[str, str] | str | None = None,
        allow_partial: bool = False,
        **kwargs: Unpack[OmniaVoiceRestoringArguments],
    ) -> None:
        super().__init__(**kwargs)
        self.expected_agent_id = expected_agent_id
        self.expected_assignments = expected_assignments
        self.allow_partial = allow_partial

    def execute(self, context: Context) -> dict[str, Any]:
        """Load, list, compare, put on hold, write what differs, read back and report."""
        from airflow_voice_agents.omnia_voice.actions import snapshots
        from airflow_voice_agents.state.snapshots import load

        hook = self.hook()
        action = snapshots.parse_restore(
            workspace_of(hook),
            load(self.snapshot, self.origin()),
            expected_agent_id=self.expected_agent_id or None,
            expected_assignments=self.argument("expected_assignments"),
            force=is_true(self.force),
            allow_partial=self.allow_partial,
        )
        report = self.apply(context, action, hook)
        return self.finish(context, report, changes=changes_of(report), tolerate=action.tolerates(report))


class OmniaVoiceReleaseHoldOperator(OmniaVoiceOperator, ReleaseHoldOperator):
    """Release what a restore put on hold, so that the same assignment or update may be made again.

    :param targets: names of platforms as reports show them, or one; ``None`` is the connection's. (templated)
    :param state_folder: URL of the folder that holds are kept in; ``None`` uses ``[voice_agents] state_folder``.
        (templated)
    :param omniavoice_conn_id: id of a connection of type ``omniavoice``. (templated)
    :returns: the targets that were on hold and are no more.
    """

    template_fields: Sequence[str] = ("omniavoice_conn_id", *ReleaseHoldOperator.template_fields)

    def __init__(self, **kwargs: Unpack[OmniaVoiceHoldArguments]) -> None:
        super().__init__(**kwargs)

    def default_targets(self) -> list[str]:
        """Return the platform of the connection."""
        return [self.hook().fields.platform]
