"""The operator for emergency addresses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_voice_agents.signalwire.operators.base import SignalWirePlanningOperator

if TYPE_CHECKING:
    from airflow.sdk import Context


class SignalWireAssignE911Operator(SignalWirePlanningOperator):
    """Give numbers an emergency address, or take it away.

    Numbers are compared first. A registration that is active or under way is not asked for again, one that
    failed is. Registration takes minutes: wait with :class:`.SignalWireE911Sensor`.

    Vendor operations: list phone numbers, assign E911 address, remove E911 address.

    :param phone_numbers: E.164 numbers: a list, an upstream task's output, or a text with one per line or
        separated by commas. (templated)
    :param e911_address_id: UUID of an address of the project, or ``None`` to remove the address. There is no
        default. (templated)
    :param dry_run: plan only; nothing is written, and no confirmation is needed.
    :param expected_digest: digest that the plan must have (``plan_digest`` of a dry run); a retry goes on
        with the same plan. ``None`` takes any plan. (templated)
    :param confirm_live: must be true for a run that writes.
    :param allow_backfill: a backfill run may write.
    :param show_values: whether the plan in the log shows the addresses' ids; ``None`` takes
        ``[voice_agents] show_values``, whose ``False`` hides them in any case.
    :param concurrency: most numbers in flight.
    :param signalwire_conn_id: id of a connection of type ``signalwire``. (templated)
    :raises InputError: for wrong arguments, before any request.
    :raises GuardRefused: when a guard or a plan refuses, before any write.
    :raises ItemsFailed: when a number is not as asked for; XCom ``report`` tells which.
    :returns: ``operation``, ``dry_run``, ``changed``, ``counts`` and ``plan_digest``.
    """

    template_fields: Sequence[str] = (
        *SignalWirePlanningOperator.template_fields,
        "phone_numbers",
        "e911_address_id",
    )
    template_fields_renderers: ClassVar[dict[str, str]] = {"phone_numbers": "json"}

    def __init__(
        self, *, phone_numbers: Sequence[str] | str, e911_address_id: str | None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.phone_numbers = phone_numbers
        self.e911_address_id = e911_address_id

    def execute(self, context: Context) -> dict[str, Any]:
        """List, plan, guard, ask for what differs and report."""
        from airflow_voice_agents.signalwire.actions import e911
        from airflow_voice_agents.signalwire.assets import phone_numbers_uri

        hook = self.hook()
        space = self.space(hook)
        job = e911.job(space, self.phone_numbers, self.e911_address_id, manner=self.manner())
        report = self.work(context, job.run, hook)
        return self.conclude(context, report, changes=self.changes(report, phone_numbers_uri(space.label)))
