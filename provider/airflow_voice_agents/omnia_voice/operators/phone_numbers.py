"""Operators for phone numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Unpack

from msgspec.structs import replace

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

    The result contains only the identifying fields of a number. Of its agent, whose record can contain
    prompts, it contains only the id.

    Vendor operations: list numbers (one request per hundred), or list numbers of agent (one request).

    :param status: only numbers with this status, ignoring case; the platform uses ``ACTIVE`` and
        ``INACTIVE``, or ``assigned`` and ``unassigned``. (templated)
    :param agent_id: only numbers of this agent. (templated)
    :param omniavoice_conn_id: id of a connection of type ``omniavoice``. (templated)
    :raises InputError: for invalid arguments, before any request.
    :raises NotFound: if the workspace does not have the agent.
    :raises RateLimited: at the hourly limit; the task is retried when the next hour starts.
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
        """Read the list and filter it."""
        from airflow_voice_agents.omnia_voice.actions import listing

        numbers = self.work(context, listing.parse(self.status or None, self.agent_id or None).run)
        self.write_log(f"{len(numbers)} number(s) listed")
        return numbers


class OmniaVoiceAssignNumbersOperator(OmniaVoiceWritingOperator):
    """Assign phone numbers to an agent.

    The operator lists the workspace once. It updates a listed number that differs and creates one that is not
    listed; a second run writes nothing. A number of another agent stops the run before its first write,
    unless ``reassign`` is set. If the outcome of a creation is unknown, the operator reads before it repeats
    the creation. At the end it reads everything that it wrote once more.

    The platform allows 1,000 requests per hour and key. A run that reaches the limit fails and waits without
    a worker slot; its retry does the remaining work. Set one retry per thousand numbers.

    An assignment that a restore has undone is refused until :class:`.OmniaVoiceReleaseHoldOperator` releases
    the hold.

    Vendor operations: list numbers, update number, assign number, get number.

    :param phone_numbers: list of E.164 numbers, or of records with ``phone_number`` or ``number``, such as
        the output of an upstream task; or a string with one number per line or separated by commas.
        (templated)
    :param agent_id: the agent that answers the numbers. (templated)
    :param assignments: mapping of numbers to agents, instead of ``phone_numbers`` and ``agent_id``.
        (templated)
    :param friendly_name: display name of all numbers; ``None`` leaves names unchanged. (templated)
    :param reassign: allow to take numbers from other agents.
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
    :param snapshot: deprecated name of ``take_snapshot``.
    :param retention: deprecated name of ``snapshot_retention``.
    :param snapshot_folder: deprecated; use ``state_folder``. URL of the folder for snapshots only.
        (templated)
    :raises InputError: for invalid arguments, before any request; the message names every malformed number.
    :raises GuardRefused: if a guard or the plan refuses, before any write.
    :raises TargetLocked: if another run holds the lock of a number.
    :raises ItemsFailed: if a number does not match the plan; the XCom ``report`` lists it.
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
        """Return the protections of the run, with deprecated arguments under their new names."""
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
    """Set the name, status or agent of listed numbers.

    The operator lists the workspace once and sends only the settings that differ; a second run writes
    nothing. A number that is not listed, or that belongs to another agent, stops the run before its first
    write. An update that a restore has undone is refused until :class:`.OmniaVoiceReleaseHoldOperator`
    releases the hold.

    Vendor operations: list numbers, update number, get number.

    :param phone_numbers: list of E.164 numbers, or of records with ``phone_number`` or ``number``; or a
        string with one number per line or separated by commas. (templated)
    :param changes: mapping with any of ``agent_id``, ``friendly_name`` and ``status``. Absent settings stay
        unchanged; ``agent_id=None`` unassigns. ``status`` is passed on as it is. (templated)
    :param reassign: allow to take numbers from other agents.
    :param dry_run: only plan, without a write; no confirmation is needed.
    :param expected_digest: required digest of the plan (``plan_digest`` of a dry run); a retry continues the
        same plan. ``None`` accepts any plan. (templated)
    :param confirm_live: must be true, because the run affects callers.
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
    :raises InputError: for invalid arguments, before any request; the message names every malformed number.
    :raises GuardRefused: if a guard or the plan refuses, before any write.
    :raises TargetLocked: if another run holds the lock of a number.
    :raises ItemsFailed: if a number does not match the plan; the XCom ``report`` lists it.
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
    """Delete numbers from the workspace.

    The operator deletes only numbers that are in both ``phone_numbers`` and ``expected``. It ignores numbers
    that are not listed, so a second run writes nothing. A deletion cannot be undone, and the vendor does not
    document whether it releases the number at its carrier: unassign the number instead if that is enough.

    Vendor operations: list numbers, delete number.

    :param phone_numbers: list of E.164 numbers, or of records with ``phone_number`` or ``number``; or a
        string with one number per line or separated by commas. (templated)
    :param expected: the same numbers, written out by the author of the DAG; any difference stops the run
        before any request. (templated)
    :param dry_run: only plan, without a write; no confirmation is needed.
    :param expected_digest: required digest of the plan (``plan_digest`` of a dry run); a retry continues the
        same plan. ``None`` accepts any plan. (templated)
    :param confirm_live: must be true, because nobody answers a deleted number.
    :param allow_backfill: allow a backfill run to write.
    :param lock_wait: seconds to wait for another run on one of the numbers; 0 fails at once.
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
    :param verify: has no effect: every deletion is verified.
    :param max_snapshot_age: seconds after which a number is read again right before its write, at the cost of
        the hourly limit; ``None`` never reads again.
    :param show_values: show ids of agents, names and statuses in the logged plan; ``None`` uses
        ``[voice_agents] show_values``.
    :param sensitive_keys: selectors of values to mask.
    :param concurrency: maximum number of phone numbers that are processed at a time.
    :param omniavoice_conn_id: id of a connection of type ``omniavoice``. (templated)
    :raises InputError: for invalid arguments, before any request; the message names every malformed number.
    :raises GuardRefused: if a guard refuses, before any request.
    :raises TargetLocked: if another run holds the lock of a number.
    :raises ItemsFailed: if a number is still listed; the XCom ``report`` lists it.
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
        """List, delete, list again and report."""
        from airflow_voice_agents.omnia_voice.actions import deletions

        return self.run_action(
            context, lambda workspace: deletions.parse(workspace, self.phone_numbers, self.expected)
        )
