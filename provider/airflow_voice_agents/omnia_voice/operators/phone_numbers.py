"""Operators for phone numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Unpack

from airflow_voice_agents.omnia_voice.operators.base import (
    OmniaVoiceOperator,
    OmniaVoiceWritingOperator,
    warn_renamed,
)

if TYPE_CHECKING:
    from datetime import timedelta

    from airflow.sdk import Context

    from airflow_voice_agents.bases.protections import ProtectionSettings
    from airflow_voice_agents.bases.types import PhoneNumbers, Templated
    from airflow_voice_agents.omnia_voice.types import (
        NumberChanges,
        OmniaVoiceArguments,
        OmniaVoiceWritingArguments,
    )


class OmniaVoiceListNumbersOperator(OmniaVoiceOperator):
    """List the numbers of the workspace, or of one agent.

    Only what tells a number apart is returned; of its agent, which may hold prompts, nothing but the id.

    Vendor operations: list numbers (one request per hundred), or list numbers of agent (one request).

    :param status: only numbers of this status, in any case; the platform's words are ``ACTIVE`` and
        ``INACTIVE``, or ``assigned`` and ``unassigned``. (templated)
    :param agent_id: only numbers of this agent. (templated)
    :param omniavoice_conn_id: id of a connection of type ``omniavoice``. (templated)
    :raises InputError: for wrong arguments, before any request.
    :raises NotFound: for an agent that the workspace does not have.
    :raises RateLimited: when the hourly limit is reached; the task is retried once it starts again.
    :returns: list of ``id``, ``phone_number``, ``agent_id``, ``status`` and ``friendly_name``, by number.
    """

    template_fields: Sequence[str] = ("omniavoice_conn_id", "status", "agent_id")

    def __init__(
        self, *, status: str | None = None, agent_id: str | None = None, **kwargs: Unpack[OmniaVoiceArguments]
    ) -> None:
        super().__init__(**kwargs)
        self.status = status
        self.agent_id = agent_id

    def execute(self, context: Context) -> list[dict[str, Any]]:
        """Read the list and cut it."""
        from airflow_voice_agents.omnia_voice.actions import listing

        numbers = self.work(context, listing.parse(self.status or None, self.agent_id or None).run)
        self.write_log(f"{len(numbers)} number(s) listed")
        return numbers


class OmniaVoiceAssignNumbersOperator(OmniaVoiceWritingOperator):
    """Let an agent answer phone numbers.

    The workspace is listed once. A listed number that differs is updated, one that is not listed is
    created, and one that is as asked for is left alone: a second run writes nothing. A number that another
    agent answers stops the run before its first write, unless ``reassign`` is set. A creation whose outcome
    is unknown is read back before it is repeated. At the end everything written is read again, once.

    The platform allows 1000 requests per hour and key. A run that reaches the limit fails with the time to
    wait, for which Airflow holds no worker slot, and its retry does only what is still open: give the task
    one retry per thousand numbers.

    An assignment that a restore undid is refused until :class:`.OmniaVoiceReleaseHoldOperator` releases it.

    Vendor operations: list numbers, update number, assign number, get number.

    :param phone_numbers: list of E.164 numbers, or of records with ``phone_number`` or ``number``, such as an
        upstream task's output; or a text with one per line or separated by commas. (templated)
    :param agent_id: the agent to answer them. (templated)
    :param assignments: instead of both, mapping of numbers to agents. (templated)
    :param friendly_name: name to show for all of them; ``None`` leaves names as they are. (templated)
    :param reassign: whether numbers may be taken from other agents.
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
    :param snapshot: deprecated name of ``take_snapshot``.
    :param retention: deprecated name of ``snapshot_retention``.
    :param snapshot_folder: deprecated; use ``state_folder``. URL of the folder of the snapshots alone. (templated)
    :raises InputError: for wrong arguments, naming every malformed number, before any request.
    :raises GuardRefused: when a guard or the plan refuses, before any write.
    :raises TargetLocked: when another run works on one of the numbers.
    :raises ItemsFailed: when a number is not as asked for; XCom ``report`` tells which.
    :returns: ``operation``, ``dry_run``, ``changed``, ``counts`` and ``plan_digest``.
    """

    template_fields: Sequence[str] = (
        *OmniaVoiceWritingOperator.template_fields,
        "phone_numbers",
        "agent_id",
        "assignments",
        "friendly_name",
        "snapshot_folder",
    )
    template_fields_renderers: ClassVar[dict[str, str]] = {"phone_numbers": "json", "assignments": "json"}
    exactly_one_of = ((("phone_numbers", "agent_id"), "assignments"),)

    def __init__(
        self,
        *,
        phone_numbers: PhoneNumbers | None = None,
        agent_id: str | None = None,
        assignments: Mapping[str, str] | str | None = None,
        friendly_name: str | None = None,
        reassign: bool = False,
        snapshot: bool | None = None,
        snapshot_folder: str | None = None,
        retention: timedelta | None = None,
        **kwargs: Unpack[OmniaVoiceWritingArguments],
    ) -> None:
        super().__init__(**kwargs)
        self.phone_numbers = phone_numbers
        self.agent_id = agent_id
        self.assignments = assignments
        self.friendly_name = friendly_name
        self.reassign = reassign
        self.snapshot = snapshot
        self.snapshot_folder = snapshot_folder
        self.retention = retention

    def execute(self, context: Context) -> dict[str, Any]:
        """List, compare, write what differs, read back and report."""
        from airflow_voice_agents.omnia_voice.actions import assignments

        agents = assignments.parse_agents(self.phone_numbers, self.agent_id, self.argument("assignments"))
        return self.run_action(
            context,
            lambda workspace: assignments.parse(
                workspace,
                agents,
                self.friendly_name or None,
                reassign=self.reassign,
                keep_always=True in (self.snapshot, self.take_snapshot),
            ),
        )

    def protection_settings(self) -> ProtectionSettings:
        """Return the operator's arguments about protections, the deprecated ones under their new names."""
        from dataclasses import replace

        settings = super().protection_settings()
        if self.snapshot is not None:
            warn_renamed("snapshot", "take_snapshot")
            settings = replace(settings, take_snapshot=self.snapshot)
        if self.retention is not None:
            warn_renamed("retention", "snapshot_retention")
            settings = replace(settings, snapshot_retention=self.retention)
        if self.snapshot_folder:
            warn_renamed("snapshot_folder", "state_folder")
            settings = replace(settings, snapshot_folder=self.snapshot_folder)
        return settings


class OmniaVoiceUpdateNumbersOperator(OmniaVoiceWritingOperator):
    """Set name, status or agent of numbers that the workspace lists.

    The workspace is listed once, and of each number only the settings that differ are sent: a second run
    writes nothing. A number that is not listed, or that would be taken from another agent, stops the run
    before its first write. An update that a restore undid is refused until
    :class:`.OmniaVoiceReleaseHoldOperator` releases it.

    Vendor operations: list numbers, update number, get number.

    :param phone_numbers: list of E.164 numbers, or of records with ``phone_number`` or ``number``; or a text
        with one per line or separated by commas. (templated)
    :param changes: mapping of any of ``agent_id``, ``friendly_name`` and ``status``. What is absent stays as
        it is; ``agent_id`` of ``None`` unassigns. A status is whatever word the platform takes. (templated)
    :param reassign: whether numbers may be taken from other agents.
    :param dry_run: plan only; nothing is written, and no confirmation is needed.
    :param expected_digest: digest that the plan must have (``plan_digest`` of a dry run); a retry goes on with the
        same plan. ``None`` accepts any plan. (templated)
    :param confirm_live: must be true, because it changes what callers meet.
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
    :raises InputError: for wrong arguments, naming every malformed number, before any request.
    :raises GuardRefused: when a guard or the plan refuses, before any write.
    :raises TargetLocked: when another run works on one of the numbers.
    :raises ItemsFailed: when a number is not as asked for; XCom ``report`` tells which.
    :returns: ``operation``, ``dry_run``, ``changed``, ``counts`` and ``plan_digest``.
    """

    template_fields: Sequence[str] = (
        *OmniaVoiceWritingOperator.template_fields,
        "phone_numbers",
        "changes",
    )
    template_fields_renderers: ClassVar[dict[str, str]] = {"phone_numbers": "json", "changes": "json"}

    def __init__(
        self,
        *,
        phone_numbers: PhoneNumbers,
        changes: NumberChanges | Templated,
        reassign: bool = False,
        **kwargs: Unpack[OmniaVoiceWritingArguments],
    ) -> None:
        super().__init__(**kwargs)
        self.phone_numbers = phone_numbers
        self.changes = changes
        self.reassign = reassign

    def execute(self, context: Context) -> dict[str, Any]:
        """List, compare, write what differs, read back and report."""
        from airflow_voice_agents.omnia_voice.actions import updates

        changes = updates.parse_changes(self.argument("changes"))
        return self.run_action(
            context,
            lambda workspace: updates.parse(workspace, self.phone_numbers, changes, reassign=self.reassign),
        )


class OmniaVoiceDeleteNumbersOperator(OmniaVoiceWritingOperator):
    """Take numbers out of the workspace.

    Nothing but what both ``phone_numbers`` and ``expected`` name is deleted. A number that is not listed is
    left as it is, so that a second run writes nothing. Whether a deletion releases the number at its
    carrier is not documented, and none of it can be undone here: unassign a number instead where that is
    enough.

    Vendor operations: list numbers, delete number.

    :param phone_numbers: list of E.164 numbers, or of records with ``phone_number`` or ``number``; or a text
        with one per line or separated by commas. (templated)
    :param expected: the very same numbers, written out by the DAG's author; any difference stops the run
        before any request. (templated)
    :param dry_run: plan only; nothing is written, and no confirmation is needed.
    :param expected_digest: digest that the plan must have (``plan_digest`` of a dry run); a retry goes on with the
        same plan. ``None`` accepts any plan. (templated)
    :param confirm_live: must be true, because nobody answers a deleted number.
    :param allow_backfill: a backfill run may write.
    :param lock_wait: seconds to wait for another run on one of the numbers; 0 fails at once.
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
    :param verify: has no effect: every deletion is read back.
    :param max_snapshot_age: seconds after which a number is read again right before it is written, which costs
        requests of the hourly limit; ``None`` never.
    :param show_values: whether the plan in the log shows agents' ids, names and statuses; ``None`` uses
        ``[voice_agents] show_values``.
    :param sensitive_keys: selectors of values that are masked.
    :param concurrency: maximum number of numbers in flight.
    :param omniavoice_conn_id: id of a connection of type ``omniavoice``. (templated)
    :raises InputError: for wrong arguments, naming every malformed number, before any request.
    :raises GuardRefused: when a guard refuses, before any request.
    :raises TargetLocked: when another run works on one of the numbers.
    :raises ItemsFailed: when a number is still listed; XCom ``report`` tells which.
    :returns: ``operation``, ``dry_run``, ``changed``, ``counts`` and ``plan_digest``.
    """

    template_fields: Sequence[str] = (
        *OmniaVoiceWritingOperator.template_fields,
        "phone_numbers",
        "expected",
    )
    template_fields_renderers: ClassVar[dict[str, str]] = {"phone_numbers": "json", "expected": "json"}

    def __init__(
        self,
        *,
        phone_numbers: PhoneNumbers,
        expected: PhoneNumbers,
        **kwargs: Unpack[OmniaVoiceWritingArguments],
    ) -> None:
        super().__init__(**kwargs)
        self.phone_numbers = phone_numbers
        self.expected = expected

    def execute(self, context: Context) -> dict[str, Any]:
        """List, delete what is there, list again and report."""
        from airflow_voice_agents.omnia_voice.actions import deletions

        return self.run_action(
            context, lambda workspace: deletions.parse(workspace, self.phone_numbers, self.expected)
        )
