"""Operators for phone numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_voice_agents.omnia_voice.operators.base import (
    SNAPSHOT_KEY,
    OmniaVoiceOperator,
    OmniaVoiceWritingOperator,
    save_snapshot,
    workspace_of,
)

if TYPE_CHECKING:
    from datetime import timedelta

    from airflow.sdk import Context

    from airflow_voice_agents.engine.snapshot_recorder import SnapshotRecorder


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
    :raises RateLimited: when the hourly limit is reached; the task is retried once it starts anew.
    :returns: list of ``id``, ``phone_number``, ``agent_id``, ``status`` and ``friendly_name``, by number.
    """

    template_fields: Sequence[str] = ("omniavoice_conn_id", "status", "agent_id")

    def __init__(self, *, status: str | None = None, agent_id: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.status = status
        self.agent_id = agent_id

    def execute(self, context: Context) -> list[dict[str, Any]]:
        """Read the list and cut it."""
        from airflow_voice_agents.omnia_voice.actions import listing

        job = listing.job(self.status or None, self.agent_id or None)
        numbers = self.work(context, job.run)
        self.say(f"{len(numbers)} number(s) listed")
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

    Vendor operations: list numbers, update number, assign number, get number.

    :param phone_numbers: list of E.164 numbers, or of records with ``phone_number`` or ``number``, such as an
        upstream task's output; or a text with one per line or separated by commas. (templated)
    :param agent_id: the agent that shall answer them. (templated)
    :param assignments: instead of both, mapping of numbers to agents. (templated)
    :param friendly_name: name to show for all of them; ``None`` leaves names as they are. (templated)
    :param reassign: whether numbers may be taken from other agents.
    :param snapshot: whether the assignments are kept before the first write; their URL is XCom ``snapshot``,
        and a retry adds to what the first try kept.
    :param snapshot_folder: where: a URL that Airflow's object storage knows; by default ``snapshots`` below
        ``[voice_agents] state_folder``. (templated)
    :param retention: how long snapshots in that folder are kept; ``None`` keeps them for good.
    :param allow_unencrypted: whether a snapshot may be kept in the clear where Airflow has no Fernet key.
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
    :raises InputError: for wrong arguments, naming every malformed number, before any request.
    :raises GuardRefused: when a guard or the plan refuses, before any write.
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

    def __init__(
        self,
        *,
        phone_numbers: Sequence[str | Mapping[str, Any]] | str | None = None,
        agent_id: str | None = None,
        assignments: Mapping[str, str] | str | None = None,
        friendly_name: str | None = None,
        reassign: bool = False,
        snapshot: bool = False,
        snapshot_folder: str | None = None,
        retention: timedelta | None = None,
        allow_unencrypted: bool = False,
        **kwargs: Any,
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
        self.allow_unencrypted = allow_unencrypted

    def execute(self, context: Context) -> dict[str, Any]:
        """List, compare, write what differs, read back and report."""
        from dataclasses import replace

        from airflow_voice_agents.omnia_voice.actions import assignments

        agents = assignments.agents_of(self.phone_numbers, self.agent_id, self.argument("assignments"))
        hook = self.hook()
        job = assignments.job(
            workspace_of(hook),
            agents,
            self.friendly_name or None,
            reassign=self.reassign,
            manner=self.manner(),
        )
        if self.snapshot:
            job = replace(job, archive=self._archive(context))
        return self.finish(context, self.work(context, job.run, hook))

    def _archive(self, context: Context) -> SnapshotRecorder:
        from airflow_voice_agents.engine.snapshot_recorder import SnapshotRecorder
        from airflow_voice_agents.omnia_voice.actions.assignments import MEMORY
        from airflow_voice_agents.omnia_voice.resources.phone_number import CODECS
        from airflow_voice_agents.state.snapshots import load

        save = partial(
            save_snapshot,
            self,
            folder=self.snapshot_folder or None,
            retention=self.retention,
            allow_unencrypted=self.allow_unencrypted,
        )
        publish = partial(context["ti"].xcom_push, SNAPSHOT_KEY)
        return SnapshotRecorder(save, load, publish, MEMORY, CODECS)


class OmniaVoiceUpdateNumbersOperator(OmniaVoiceWritingOperator):
    """Set name, status or agent of numbers that the workspace lists.

    The workspace is listed once, and of each number only the settings that differ are sent: a second run
    writes nothing. A number that is not listed, or that would be taken from another agent, stops the run
    before its first write.

    Vendor operations: list numbers, update number, get number.

    :param phone_numbers: list of E.164 numbers, or of records with ``phone_number`` or ``number``; or a text
        with one per line or separated by commas. (templated)
    :param changes: mapping of any of ``agent_id``, ``friendly_name`` and ``status``. What is absent stays as
        it is; ``agent_id`` of ``None`` unassigns. A status is whatever word the platform takes. (templated)
    :param reassign: whether numbers may be taken from other agents.
    :param dry_run: plan only; nothing is written, and no confirmation is needed.
    :param expected_digest: digest that the plan must have (``plan_digest`` of a dry run); a retry goes on
        with the same plan. ``None`` takes any plan. (templated)
    :param verify: whether what was written is read again at the end; answers are checked in any case.
    :param confirm_live: must be true, because it changes what callers meet.
    :param allow_backfill: a backfill run may write.
    :param show_values: whether the plan in the log shows agents' ids, names and statuses; ``None`` takes
        ``[voice_agents] show_values``, whose ``False`` hides them in any case.
    :param concurrency: most numbers in flight.
    :param omniavoice_conn_id: id of a connection of type ``omniavoice``. (templated)
    :raises InputError: for wrong arguments, naming every malformed number, before any request.
    :raises GuardRefused: when a guard or the plan refuses, before any write.
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
        phone_numbers: Sequence[str | Mapping[str, Any]] | str,
        changes: Mapping[str, str | None] | str,
        reassign: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.phone_numbers = phone_numbers
        self.changes = changes
        self.reassign = reassign

    def execute(self, context: Context) -> dict[str, Any]:
        """List, compare, write what differs, read back and report."""
        from airflow_voice_agents.omnia_voice.actions import updates

        changes = updates.parse_changes(self.argument("changes"))
        hook = self.hook()
        job = updates.job(
            workspace_of(hook), self.phone_numbers, changes, reassign=self.reassign, manner=self.manner()
        )
        return self.finish(context, self.work(context, job.run, hook))


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
    :param expected_digest: digest that the plan must have (``plan_digest`` of a dry run); a retry goes on
        with the same plan. ``None`` takes any plan. (templated)
    :param verify: whether the workspace is listed again at the end.
    :param confirm_live: must be true, because nobody answers a deleted number.
    :param allow_backfill: a backfill run may write.
    :param show_values: whether the plan in the log shows agents' ids, names and statuses; ``None`` takes
        ``[voice_agents] show_values``, whose ``False`` hides them in any case.
    :param concurrency: most numbers in flight.
    :param omniavoice_conn_id: id of a connection of type ``omniavoice``. (templated)
    :raises InputError: for wrong arguments, naming every malformed number, before any request.
    :raises GuardRefused: when a guard refuses, before any request.
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
        phone_numbers: Sequence[str | Mapping[str, Any]] | str,
        expected: Sequence[str] | str,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.phone_numbers = phone_numbers
        self.expected = expected

    def execute(self, context: Context) -> dict[str, Any]:
        """List, delete what is there, list again and report."""
        from airflow_voice_agents.omnia_voice.actions import deletions

        hook = self.hook()
        job = deletions.job(workspace_of(hook), self.phone_numbers, self.expected, manner=self.manner())
        return self.finish(context, self.work(context, job.run, hook))
