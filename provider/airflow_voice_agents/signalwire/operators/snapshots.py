"""Operators that keep where calls go, and lead them there again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from airflow_voice_agents.signalwire.operators.base import (
    SignalWireOperator,
    SignalWirePlanningOperator,
    snapshot_saver,
)

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_voice_agents.signalwire.actions.snapshots import RestoreJob
    from airflow_voice_agents.signalwire.resources.inventory import Space
    from airflow_voice_agents.signalwire.routes import Route


class SignalWireSnapshotRoutingOperator(SignalWireOperator):
    """Keep where the calls of numbers go, before something changes it.

    The snapshot is a file in Airflow's object storage, encrypted with Airflow's Fernet key, because URLs may
    hold passwords. Nothing is written at SignalWire.

    Vendor operation: list phone numbers.

    :param phone_numbers: E.164 numbers: a list, an upstream task's output, or a text with one per line or
        separated by commas; ``None`` takes what the filters find, or every number of the project. (templated)
    :param filter_name: part of the numbers' name. (templated)
    :param filter_number: part of the number; where a number is exactly that, it alone is meant. (templated)
    :param country_code: ISO 3166-1 alpha-2 code of the numbers. (templated)
    :param folder: URL that Airflow's object storage knows; ``None`` takes the room ``snapshots`` below
        ``[voice_agents] state_folder``. (templated)
    :param allow_unencrypted: whether it may be kept in the clear where Airflow has no Fernet key.
    :param retention: how long snapshots in that folder are kept; ``None`` keeps them for good.
    :param signalwire_conn_id: id of a connection of type ``signalwire``. (templated)
    :raises InputError: for wrong arguments, before any request.
    :raises GuardRefused: when a number is not there, or the snapshot could only be kept in the clear.
    :returns: URL of the snapshot, for :class:`SignalWireRestoreRoutingOperator`.
    """

    template_fields: Sequence[str] = (
        "signalwire_conn_id",
        "phone_numbers",
        "filter_name",
        "filter_number",
        "country_code",
        "folder",
    )
    template_fields_renderers: ClassVar[dict[str, str]] = {"phone_numbers": "json"}

    def __init__(
        self,
        *,
        phone_numbers: Sequence[str] | str | None = None,
        filter_name: str | None = None,
        filter_number: str | None = None,
        country_code: str | None = None,
        folder: str | None = None,
        allow_unencrypted: bool = False,
        retention: timedelta | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.phone_numbers = phone_numbers
        self.filter_name = filter_name
        self.filter_number = filter_number
        self.country_code = country_code
        self.folder = folder
        self.allow_unencrypted = allow_unencrypted
        self.retention = retention

    def execute(self, context: Context) -> str:
        """List the numbers and keep their routing."""
        from airflow_voice_agents.signalwire.actions.snapshots import SnapshotJob
        from airflow_voice_agents.signalwire.resources.inventory import select_numbers

        chosen = select_numbers(
            self.phone_numbers,
            filter_name=self.filter_name,
            filter_number=self.filter_number,
            country_code=self.country_code,
        )
        hook = self.hook()
        document = self.work(context, SnapshotJob(self.space(hook), chosen).run, hook)
        save = snapshot_saver(
            self,
            context,
            folder=self.folder,
            allow_unencrypted=self.allow_unencrypted,
            retention=self.retention,
        )
        return save(document)


class SignalWireRestoreRoutingOperator(SignalWirePlanningOperator):
    """Lead the calls of numbers where they went when a snapshot was taken.

    Planned, guarded, written, verified and reported like a cut-over. A number is restored only if its routing
    is what the cut-over left; anything else is somebody's newer work, and refused. What SignalWire's API
    cannot set (no call handler at all, or one that its dashboard alone can assign) is refused as well. Both
    stop the run before its first write, unless ``allow_partial`` leaves them out. A number that was released
    meanwhile is a failed item. A second run writes nothing.

    Vendor operations: list phone numbers, update phone number, get phone number.

    :param snapshot: URL of the snapshot, as a snapshot task returned it or a route task left it under the XCom
        key ``snapshot``. (templated)
    :param expected_route: the route that the cut-over led to; ``None`` takes what the snapshot of a route task
        says itself. (templated)
    :param expected_routes: instead, a mapping of numbers to the routes that they were led to. (templated)
    :param force: whether newer work is overwritten.
    :param allow_partial: whether numbers that cannot or must not be restored, or are gone, are left out and
        told, and the task succeeds without them.
    :param verify: ``response`` compares the answer of each write; ``read`` reads each number once more.
    :param max_snapshot_age: seconds after which a number is read again right before it is written.
    :param dry_run: plan only; nothing is written, and no confirmation is needed.
    :param expected_digest: digest that the plan must have (``plan_digest`` of a dry run); a retry goes on
        with the same plan. ``None`` takes any plan. (templated)
    :param confirm_live: must be true for a run that writes: callers are on these numbers.
    :param allow_backfill: a backfill run may write.
    :param show_values: whether the plan in the log shows values, sensitive ones masked; ``None`` takes
        ``[voice_agents] show_values``, whose ``False`` hides them in any case.
    :param concurrency: most numbers in flight.
    :param signalwire_conn_id: id of a connection of type ``signalwire``. (templated)
    :raises InputError: for wrong arguments or an unusable snapshot, before any request.
    :raises GuardRefused: when a guard or a plan refuses, before any write.
    :raises ItemsFailed: when a number is not as it was; XCom ``report`` tells which.
    :returns: ``operation``, ``dry_run``, ``changed``, ``counts`` and ``plan_digest``.
    """

    template_fields: Sequence[str] = (
        *SignalWirePlanningOperator.template_fields,
        "snapshot",
        "expected_route",
        "expected_routes",
    )
    confidential_fields: ClassVar[Sequence[str]] = ("expected_route", "expected_routes")
    open_keys: ClassVar[Sequence[str]] = ("to", "id", "agent_id")

    def __init__(
        self,
        *,
        snapshot: str,
        expected_route: Route | Mapping[str, Any] | str | None = None,
        expected_routes: Mapping[str, Route | Mapping[str, Any]] | str | None = None,
        force: bool = False,
        allow_partial: bool = False,
        verify: Literal["response", "read"] = "response",
        max_snapshot_age: float = 600.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.snapshot = snapshot
        self.expected_route = expected_route
        self.expected_routes = expected_routes
        self.force = force
        self.allow_partial = allow_partial
        self.verify = verify
        self.max_snapshot_age = max_snapshot_age

    def execute(self, context: Context) -> dict[str, Any]:
        """List, plan, guard, write, verify and report."""
        from airflow_voice_agents.signalwire.assets import routing_uri

        hook = self.hook()
        job = self._job(self.space(hook))
        report = self.work(context, job.run, hook)
        changes = self.changes(report, routing_uri(job.space.label))
        return self.conclude(context, report, changes=changes, tolerate=job.tolerates(report))

    def _job(self, space: Space) -> RestoreJob:
        from airflow_voice_agents.signalwire.actions.snapshots import restore
        from airflow_voice_agents.state import snapshots
        from airflow_voice_agents.transport.validation import parse_choice

        reads = parse_choice(self.verify, name="verify", choices=("response", "read")) == "read"
        return restore(
            space,
            snapshots.load(self.snapshot),
            self.argument("expected_route"),
            self.argument("expected_routes"),
            force=self.force,
            allow_partial=self.allow_partial,
            manner=self.manner(verify=reads, max_snapshot_age=self.max_snapshot_age),
        )
