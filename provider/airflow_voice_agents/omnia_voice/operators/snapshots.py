"""Operators that keep assignments and restore them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_voice_agents.omnia_voice.operators.base import (
    OmniaVoiceOperator,
    OmniaVoiceWritingOperator,
    save_snapshot,
    workspace_of,
)

if TYPE_CHECKING:
    from datetime import timedelta

    from airflow.sdk import Context


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
        phone_numbers: Sequence[str | Mapping[str, Any]] | str | None = None,
        folder: str | None = None,
        retention: timedelta | None = None,
        allow_unencrypted: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.phone_numbers = phone_numbers
        self.folder = folder
        self.retention = retention
        self.allow_unencrypted = allow_unencrypted

    def execute(self, context: Context) -> str:
        """List the numbers and keep their assignments."""
        from airflow_voice_agents.omnia_voice.actions.snapshots import SnapshotJob
        from airflow_voice_agents.transport.validation import parse_numbers

        numbers = () if self.phone_numbers is None else parse_numbers(self.phone_numbers)
        hook = self.hook()
        document = self.work(context, SnapshotJob(workspace_of(hook), numbers).run, hook)
        return save_snapshot(
            self,
            document,
            folder=self.folder or None,
            retention=self.retention,
            allow_unencrypted=self.allow_unencrypted,
        )


class OmniaVoiceRestoreAssignmentsOperator(OmniaVoiceWritingOperator):
    """Let the agents of a snapshot answer its numbers again.

    The same plan, guards, checks and report as an assignment; a second run writes nothing. A number whose
    agent is neither as in the snapshot nor as the assignment left it is newer work, and stops the run before
    its first write, unless ``allow_partial`` leaves it out. The snapshot of an assignment says itself what the
    assignment left. A number that was not listed is unassigned, not deleted, and a name that was not set
    cannot be unset.

    Vendor operations: list numbers, update number, assign number, get number.

    :param snapshot: URL of the snapshot, as a snapshot task returned it or an assignment left it under the XCom key
        ``snapshot``. (templated)
    :param expected_agent_id: the agent that the assignment led to, where the snapshot does not say. (templated)
    :param expected_assignments: instead, mapping of numbers to such agents. (templated)
    :param force: whether newer work is overwritten.
    :param allow_partial: whether numbers with newer work are left out and told, and the task succeeds without
        them.
    :param dry_run: plan only; nothing is written, and no confirmation is needed.
    :param expected_digest: digest that the plan must have (``plan_digest`` of a dry run); a retry goes on
        with the same plan. ``None`` takes any plan. (templated)
    :param verify: whether what was written is read again at the end; answers are checked in any case.
    :param confirm_live: must be true, because it changes who answers callers.
    :param allow_backfill: a backfill run may write.
    :param show_values: whether the plan in the log shows agents' ids, names and statuses; ``None`` takes
        ``[voice_agents] show_values``, whose ``False`` hides them in any case.
    :param concurrency: most numbers in flight.
    :param omniavoice_conn_id: id of a connection of type ``omniavoice``. (templated)
    :raises InputError: for wrong arguments or a snapshot that cannot be read, before any request.
    :raises GuardRefused: when a guard or the plan refuses, before any write.
    :raises ItemsFailed: when a number is not as it was; XCom ``report`` tells which.
    :returns: ``operation``, ``dry_run``, ``changed``, ``counts`` and ``plan_digest``.
    """

    template_fields: Sequence[str] = (
        *OmniaVoiceWritingOperator.template_fields,
        "snapshot",
        "expected_agent_id",
        "expected_assignments",
    )
    template_fields_renderers: ClassVar[dict[str, str]] = {"expected_assignments": "json"}

    def __init__(
        self,
        *,
        snapshot: str,
        expected_agent_id: str | None = None,
        expected_assignments: Mapping[str, str] | str | None = None,
        force: bool = False,
        allow_partial: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.snapshot = snapshot
        self.expected_agent_id = expected_agent_id
        self.expected_assignments = expected_assignments
        self.force = force
        self.allow_partial = allow_partial

    def execute(self, context: Context) -> dict[str, Any]:
        """Load, list, compare, write what differs, read back and report."""
        from airflow_voice_agents.omnia_voice.actions import snapshots
        from airflow_voice_agents.state.snapshots import load

        hook = self.hook()
        job = snapshots.restore(
            workspace_of(hook),
            load(self.snapshot),
            self.expected_agent_id or None,
            self.argument("expected_assignments"),
            force=self.force,
            allow_partial=self.allow_partial,
            manner=self.manner(),
        )
        report = self.work(context, job.run, hook)
        return self.finish(context, report, tolerate=job.tolerates(report))
