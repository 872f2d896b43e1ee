"""Operators that save and restore assignments."""

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
    """Save the assignments of numbers to agents, for a restore.

    The file is encrypted with Airflow's Fernet key. Nothing is written to the platform.

    Vendor operation: list numbers.

    :param phone_numbers: list of E.164 numbers, or of records with ``phone_number`` or ``number``; or a
        string with one number per line or separated by commas. Numbers that are not listed are saved as such.
        ``None`` saves all numbers of the workspace. (templated)
    :param folder: URL that Airflow's object storage supports; default: ``snapshots`` in ``[voice_agents]
        state_folder``. (templated)
    :param retention: age (timedelta) at which snapshots in that folder are removed; ``None`` keeps them.
    :param allow_unencrypted: allow an unencrypted snapshot if Airflow has no Fernet key.
    :param omniavoice_conn_id: id of a connection of type ``omniavoice``. (templated)
    :raises InputError: for invalid arguments, before any request; the message names every malformed number.
    :raises GuardRefused: if there is no number, or the snapshot could only be stored unencrypted.
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
        """List the numbers and save their assignments."""
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
    """Restore the assignments of a snapshot, and put the undone change on hold.

    Plan, guards, checks and report are those of an assignment; a second run writes nothing. If the agent of a
    number is neither the one in the snapshot nor the one of the assignment, somebody has changed it since:
    the number stops the run before its first write, unless ``allow_partial`` skips it. A number that was not
    listed is unassigned, not deleted, and a name that was not set cannot be cleared. From the snapshot of an
    update, the operator restores the settings that the update changed.

    Vendor operations: list numbers, update number, assign number, get number.

    :param snapshot: URL of the snapshot: the result of a snapshot task, or the XCom ``snapshot`` of a write.
        (templated)
    :param expected_agent_id: the agent of the assignment, if the snapshot does not contain it. (templated)
    :param expected_assignments: mapping of numbers to such agents, instead of ``expected_agent_id``.
        (templated)
    :param force: overwrite newer changes.
    :param allow_partial: skip and report numbers with newer changes, and let the task succeed without them.
    :param hold: put the undone change on hold: it is refused until :class:`OmniaVoiceReleaseHoldOperator`
        releases the hold.
    :param reason: reason, stored with the hold. (templated)
    :param dry_run: only plan, without a write; no confirmation is needed.
    :param expected_digest: required digest of the plan (``plan_digest`` of a dry run); a retry continues the
        same plan. ``None`` accepts any plan. (templated)
    :param confirm_live: must be true, because the run changes who answers callers.
    :param allow_backfill: allow a backfill run to write.
    :param lock_wait: seconds to wait for another run on one of the numbers; 0 fails at once.
    :param take_snapshot: save the numbers before the first write; the XCom ``snapshot`` is the URL. ``True``
        saves or refuses, ``False`` never saves, ``None`` saves if Airflow has a Fernet key.
    :param snapshot_retention: age (timedelta) at which snapshots in the folder are removed; ``None`` keeps
        them.
    :param allow_unencrypted: allow an unencrypted snapshot if Airflow has no Fernet key.
    :param state_folder: URL of the folder for snapshots, holds and locks; ``None`` uses ``[voice_agents]
        state_folder``. (templated)
    :param allow_local_state: allow writes to live although ``state_folder`` is not set and the executor can
        run tasks on several machines, which do not see each other's locks.
    :param waves: cumulative number of phone numbers at the end of each wave: counts and percentages, the last
        ``"100%"``.
    :param max_failures: number of failures to tolerate; after one more, no further number starts; ``None``
        tries all.
    :param max_changed: maximum number of phone numbers that change, as a count or a percentage (``"10%"``);
        ``None`` sets no limit.
    :param stop_variable: Airflow Variable that stops the run before its next wave; ``None`` disables it.
    :param freeze: freeze windows, in which no wave starts.
    :param override_freeze: reason to write in a freeze window; recorded in log and report. (templated)
    :param verify: read everything that was written once more at the end; responses are always checked.
    :param max_snapshot_age: seconds after which a number is read again right before its write, at the cost of
        the hourly limit; ``None`` never reads again.
    :param show_values: show ids of agents, names and statuses in the logged plan; ``None`` uses
        ``[voice_agents] show_values``.
    :param sensitive_keys: selectors of values to mask.
    :param concurrency: maximum number of phone numbers that are processed at a time.
    :param omniavoice_conn_id: id of a connection of type ``omniavoice``. (templated)
    :raises InputError: for invalid arguments or a snapshot that cannot be read, before any request.
    :raises GuardRefused: if a guard or the plan refuses, before any write.
    :raises ItemsFailed: if a number was not restored; the XCom ``report`` lists it.
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
    """Release the hold of a restore, so that the same assignment or update can run again.

    :param targets: name of a platform as in reports, or a list of names; ``None`` uses the connection's.
        (templated)
    :param state_folder: URL of the folder for holds; ``None`` uses ``[voice_agents] state_folder``.
        (templated)
    :param omniavoice_conn_id: id of a connection of type ``omniavoice``. (templated)
    :returns: the released targets.
    """

    template_fields: Sequence[str] = ("omniavoice_conn_id", *ReleaseHoldOperator.template_fields)

    def __init__(self, **kwargs: Unpack[OmniaVoiceHoldArguments]) -> None:
        super().__init__(**kwargs)

    def default_targets(self) -> list[str]:
        """Return the platform of the connection."""
        return [self.hook().fields.platform]
