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

    Numbers are compared first. A registration that is active or under way is not asked for again, one that
    failed is. Registration takes minutes: wait with :class:`.SignalWireE911Sensor`.

    Vendor operations: list phone numbers, get phone number, assign E911 address, remove E911 address.

    :param phone_numbers: E.164 numbers: a list, an upstream task's output, or a text with one per line or
        separated by commas. (templated)
    :param e911_address_id: UUID of an address of the project, or ``None`` to remove the address. There is no
        default. (templated)
    :param dry_run: plan only; nothing is written, and no confirmation is needed.
    :param expected_digest: digest that the plan must have (``plan_digest`` of a dry run); a retry goes on with the
        same plan. ``None`` accepts any plan. (templated)
    :param confirm_live: must be true for a run that writes: callers are on these numbers.
    :param allow_backfill: a backfill run may write.
    :param lock_wait: seconds to wait for another run on one of the numbers; 0 fails at once.
    :param take_snapshot: whether the present state of exactly the numbers that will change is kept before the first
        write: ``True`` keeps it or refuses, ``False`` keeps nothing, ``None`` keeps it where Airflow has a Fernet
        key. Its URL is the XCom ``snapshot``, for :class:`.SignalWireRestoreRoutingOperator`.
    :param snapshot_retention: age at which snapshots in the folder are removed; ``None`` keeps them.
    :param allow_unencrypted: whether a snapshot may be kept in the clear where Airflow has no Fernet key.
    :param state_folder: URL of the folder for snapshots, holds and locks; ``None`` uses
        ``[voice_agents] state_folder``. (templated)
    :param allow_local_state: whether live is written although ``state_folder`` is not set and the executor can run
        tasks on several machines, which then do not see each other's locks.
    :param waves: how many numbers are written wave by wave: numbers and percentages, counted from the first; the
        last must be ``"100%"``. ``None`` is one wave.
    :param max_failures: how many numbers may fail before no further one is begun: a number, a percentage, or a
        mapping of ``count`` and ``percent``; ``None`` tries all.
    :param max_changed: how many numbers may change, as a number or a percentage; ``None`` is no limit.
    :param stop_variable: Airflow Variable that stops the run before its next wave; ``None`` has none.
    :param freeze: freeze windows, in which nothing is begun: mappings of ``start``, ``end`` or ``duration``,
        ``timezone``, and ``rrule`` (RFC 5545) for recurring ones.
    :param override_freeze: the reason why a freeze window does not count. (templated)
    :param verify: whether an independent read follows the writes; the answers are compared in any case.
    :param max_snapshot_age: seconds after which a number is read again right before it is written; ``None`` never.
    :param show_values: whether the plan in the log shows values; ``None`` uses ``[voice_agents] show_values``.
        Secrets in URLs are masked in any case.
    :param concurrency: maximum number of numbers in flight.
    :param signalwire_conn_id: id of a connection of type ``signalwire``. (templated)
    :raises InputError: for wrong arguments, before any request; never shows a URL.
    :raises GuardRefused: when a guard or a plan refuses, before any write.
    :raises StateMoved: when the plan is not the expected one.
    :raises TargetLocked: when another run works on one of the numbers.
    :raises ItemsFailed: when a number is not as asked for; XCom ``report`` names it.
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
        """List, plan, guard, ask for what differs and report."""
        from airflow_voice_agents.signalwire.actions.e911 import parse_e911
        from airflow_voice_agents.signalwire.assets import phone_numbers_uri

        hook = self.hook()
        action = parse_e911(self.space(hook), self.phone_numbers, self.e911_address_id)
        report = self.apply(context, action, hook)
        changes = self.changes(report, phone_numbers_uri(action.space.label))
        return self.finish(context, report, changes=changes)
