"""The operator for emergency addresses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Unpack

from airflow_voice_agents.signalwire.operators.base import SignalWireWritingOperator

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_voice_agents.bases.types import PhoneNumbers
    from airflow_voice_agents.signalwire.types import SignalWireWritingArguments


class SignalWireAssignE911Operator(SignalWireWritingOperator):
    """Assign an emergency address to numbers, or remove it.

    The operator compares the numbers first. It does not repeat a registration that is active or in progress,
    but repeats one that failed. Registration takes minutes: wait with :class:`.SignalWireE911Sensor`.

    Vendor operations: list phone numbers, get phone number, assign E911 address, remove E911 address.

    :param phone_numbers: E.164 numbers: a list, the output of an upstream task, or a string with one number
        per line or separated by commas. (templated)
    :param e911_address_id: UUID of an address of the project, or ``None`` to remove the address. There is no
        default. (templated)
    :param dry_run: only plan, without a write; no confirmation is needed.
    :param expected_digest: required digest of the plan (``plan_digest`` of a dry run); a retry continues the
        same plan. ``None`` accepts any plan. (templated)
    :param confirm_live: must be true for a run that writes, because the numbers have callers.
    :param allow_backfill: allow a backfill run to write.
    :param lock_wait: seconds to wait for another run on one of the numbers; 0 fails at once.
    :param take_snapshot: save exactly the numbers that will change, before the first write: ``True`` saves or
        refuses, ``False`` never saves, ``None`` saves if Airflow has a Fernet key. The XCom ``snapshot`` is
        the URL, for :class:`.SignalWireRestoreRoutingOperator`.
    :param snapshot_retention: age (timedelta) at which snapshots in the folder are removed; ``None`` keeps
        them.
    :param allow_unencrypted: allow an unencrypted snapshot if Airflow has no Fernet key.
    :param state_folder: URL of the folder for snapshots, holds and locks; ``None`` uses
        ``[voice_agents] state_folder``. (templated)
    :param allow_local_state: allow writes to live although ``state_folder`` is not set and the executor can
        run tasks on several machines, which do not see each other's locks.
    :param waves: cumulative number of phone numbers at the end of each wave: counts and percentages, the last
        ``"100%"``. ``None`` writes all in one wave.
    :param max_failures: number of failures to tolerate; after one more, no further number starts: a count, a
        percentage, or a mapping of ``count`` and ``percent``; ``None`` tries all.
    :param max_changed: maximum number of phone numbers that change, as a count or a percentage (``"10%"``);
        ``None`` sets no limit.
    :param stop_variable: Airflow Variable that stops the run before its next wave; ``None`` disables it.
    :param freeze: freeze windows, in which no wave starts: mappings of ``start``, ``end`` or ``duration``,
        ``timezone``, and ``rrule`` (RFC 5545) for recurring ones.
    :param override_freeze: reason to write in a freeze window; it is logged. (templated)
    :param verify: read everything that was written once more; responses are always compared.
    :param max_snapshot_age: seconds after which a number is read again right before its write; ``None`` never
        reads again.
    :param show_values: show values in the logged plan; ``None`` uses ``[voice_agents] show_values``. Secrets
        in URLs are always masked.
    :param concurrency: maximum number of phone numbers that are processed at a time.
    :param signalwire_conn_id: id of a connection of type ``signalwire``. (templated)
    :raises InputError: for invalid arguments, before any request; the message never shows a URL.
    :raises GuardRefused: if a guard or a plan refuses, before any write.
    :raises StateMoved: if the plan does not have the expected digest.
    :raises TargetLocked: if another run holds the lock of a number.
    :raises ItemsFailed: if a number does not match the plan; the XCom ``report`` lists it.
    :returns: ``operation``, ``dry_run``, ``changed``, ``counts`` and ``plan_digest``.
    """

    template_fields: Sequence[str] = (
        *SignalWireWritingOperator.template_fields,
        "phone_numbers",
        "e911_address_id",
    )
    template_fields_renderers: ClassVar[dict[str, str]] = {"phone_numbers": "json"}

    def __init__(
        self,
        *,
        phone_numbers: PhoneNumbers,
        e911_address_id: str | None,
        **kwargs: Unpack[SignalWireWritingArguments],
    ) -> None:
        super().__init__(**kwargs)
        self.phone_numbers = phone_numbers
        self.e911_address_id = e911_address_id

    def execute(self, context: Context) -> dict[str, Any]:
        """List, plan, guard, request registrations and report."""
        from airflow_voice_agents.signalwire.actions.e911 import parse_e911
        from airflow_voice_agents.signalwire.assets import phone_numbers_uri

        hook = self.hook()
        action = parse_e911(self.space(hook), self.phone_numbers, self.e911_address_id)
        report = self.apply(context, action, hook)
        changes = self.changes(report, phone_numbers_uri(action.space.label))
        return self.finish(context, report, changes=changes)
