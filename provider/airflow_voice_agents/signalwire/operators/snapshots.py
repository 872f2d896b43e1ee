"""Operators that keep the routing of numbers, restore it, and release the hold of a restore."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Unpack

from airflow_voice_agents.bases.operator import is_true
from airflow_voice_agents.bases.release_hold import ReleaseHoldOperator
from airflow_voice_agents.signalwire.operators.base import SignalWireOperator, SignalWireRestoringOperator

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_voice_agents.bases.types import PhoneNumbers, TemplatedText
    from airflow_voice_agents.plans.report import Report
    from airflow_voice_agents.signalwire.types import (
        RouteArgument,
        RoutesArgument,
        SignalWireArguments,
        SignalWireHoldArguments,
        SignalWireRestoringArguments,
    )


class SignalWireSnapshotRoutingOperator(SignalWireOperator):
    """Keep the call routing of numbers, before something changes it.

    The snapshot is a file in Airflow's object storage, encrypted with Airflow's Fernet key, because URLs may
    hold passwords. Nothing is written at SignalWire.

    Vendor operation: list phone numbers.

    :param phone_numbers: E.164 numbers: a list, an upstream task's output, or a text with one per line or
        separated by commas; ``None`` takes the numbers that the filters find, or every number of the project.
        (templated)
    :param filter_name: part of the numbers' name. (templated)
    :param filter_number: part of the number; where a number is exactly that, it alone is meant. (templated)
    :param country_code: ISO 3166-1 alpha-2 code of the numbers. (templated)
    :param folder: URL that Airflow's object storage knows; ``None`` uses the folder ``snapshots`` below
        ``[voice_agents] state_folder``. (templated)
    :param allow_unencrypted: whether it may be kept in the clear where Airflow has no Fernet key.
    :param retention: age at which snapshots in that folder are removed; ``None`` keeps them.
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
    at_most_one_of = (("phone_numbers", ("filter_name", "filter_number", "country_code")),)

    def __init__(
        self,
        *,
        phone_numbers: PhoneNumbers | None = None,
        filter_name: str | None = None,
        filter_number: str | None = None,
        country_code: str | None = None,
        folder: str | None = None,
        allow_unencrypted: bool = False,
        retention: timedelta | None = None,
        **kwargs: Unpack[SignalWireArguments],
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
        from airflow_voice_agents.signalwire.actions.snapshots import take_snapshot
        from airflow_voice_agents.signalwire.resources.inventory import select_numbers
        from airflow_voice_agents.state import snapshots

        selection = select_numbers(
            self.phone_numbers,
            filter_name=self.filter_name,
            filter_number=self.filter_number,
            country_code=self.country_code,
        )
        hook = self.hook()
        space = self.space(hook)
        document = self.work(context, lambda run: take_snapshot(run, space, selection), hook)
        return snapshots.save(
            document,
            origin=self.origin(),
            folder=self.folder or None,
            name=f"signalwire-{space.label}-{context['ti'].id}",
            allow_unencrypted=self.allow_unencrypted,
            retention=self.retention,
            log=self.write_log,
        )


class SignalWireRestoreRoutingOperator(SignalWireRestoringOperator):
    """Restore numbers to the call routing, or the emergency address, that a snapshot kept.

    Planned, guarded, written, verified and reported like a cut-over. A number is restored only if its routing is as
    the cut-over left it; anything else is somebody's newer work, and refused. A handler that SignalWire's API cannot
    set (none at all, or one that its dashboard alone can assign) is refused as well. Both stop the run before its
    first write, unless ``allow_partial`` leaves them out. A number that was released meanwhile is a failed item. A
    second run writes nothing. The routing that was undone is put on hold: a cut-over to it is refused until
    :class:`SignalWireReleaseHoldOperator` releases the space.

    Vendor operations: list phone numbers, get phone number, update phone number, assign E911 address, remove E911
    address.

    :param snapshot: URL of the snapshot, as a snapshot task returned it or a writing task left it under the XCom key
        ``snapshot``. (templated)
    :param expected_route: the route that the cut-over set; ``None`` takes what the snapshot of a route task says
        itself. (templated)
    :param expected_routes: instead, a mapping of numbers to the routes that they were given. (templated)
    :param force: whether newer work is overwritten.
    :param allow_partial: whether numbers that cannot or must not be restored, or are gone, are left out and
        reported, and the task succeeds without them.
    :param hold: whether the undone routing is put on hold.
    :param reason: the reason, kept with the hold. (templated)
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
    :param stop_variable: Airflow Variable that stops the run before its next wave; ``None``, the default
        of a restore, has none.
    :param freeze: freeze windows, in which nothing is begun: mappings of ``start``, ``end`` or ``duration``,
        ``timezone``, and ``rrule`` (RFC 5545) for recurring ones.
    :param override_freeze: the reason why a freeze window does not count. (templated)
    :param verify: whether an independent read follows the writes; the answers are compared in any case.
    :param max_snapshot_age: seconds after which a number is read again right before it is written; ``None`` never.
    :param show_values: whether the plan in the log shows values; ``None`` uses ``[voice_agents] show_values``.
        Secrets in URLs are masked in any case.
    :param concurrency: maximum number of numbers in flight.
    :param signalwire_conn_id: id of a connection of type ``signalwire``. (templated)
    :raises InputError: for wrong arguments or an unusable snapshot, before any request.
    :raises GuardRefused: when a guard or a plan refuses, before any write.
    :raises StateMoved: when the plan is not the expected one.
    :raises TargetLocked: when another run works on one of the numbers.
    :raises ItemsFailed: when a number was not restored; XCom ``report`` names it.
    :returns: ``operation``, ``dry_run``, ``changed``, ``counts`` and ``plan_digest``.
    """

    template_fields: Sequence[str] = (
        *SignalWireRestoringOperator.template_fields,
        "expected_route",
        "expected_routes",
    )
    confidential_fields: ClassVar[Sequence[str]] = ("expected_route", "expected_routes")
    open_keys: ClassVar[Sequence[str]] = ("to", "id", "agent_id")

    def __init__(
        self,
        *,
        snapshot: TemplatedText,
        expected_route: RouteArgument | None = None,
        expected_routes: RoutesArgument | None = None,
        allow_partial: bool = False,
        **kwargs: Unpack[SignalWireRestoringArguments],
    ) -> None:
        super().__init__(snapshot=snapshot, **kwargs)
        self.expected_route = expected_route
        self.expected_routes = expected_routes
        self.allow_partial = allow_partial

    def execute(self, context: Context) -> dict[str, Any]:
        """List, plan, guard, place the hold, write, verify and report."""
        from airflow_voice_agents.signalwire.actions.snapshots import parse_restore
        from airflow_voice_agents.state import snapshots

        hook = self.hook()
        action = parse_restore(
            self.space(hook),
            snapshots.load(self.snapshot, self.origin()),
            self.argument("expected_route"),
            self.argument("expected_routes"),
            force=is_true(self.force),
            allow_partial=self.allow_partial,
        )
        report = self.apply(context, action, hook)
        changes = self._restored(report, action.space.label)
        return self.finish(context, report, changes=changes, tolerate=action.tolerates(report))

    def _restored(self, report: Report, space: str) -> dict[str, dict[str, Any]]:
        """Return an asset event for the call routing and one for the emergency addresses, where they changed."""
        from collections import Counter

        from airflow_voice_agents.plans.report import Status
        from airflow_voice_agents.signalwire.assets import phone_numbers_uri, routing_uri
        from airflow_voice_agents.signalwire.resources.phone_number import KIND

        if report.dry_run:
            return {}
        kinds = Counter(item.resource.kind == KIND for item in report.having(Status.CHANGED))
        return {
            (routing_uri if routed else phone_numbers_uri)(space): {
                "changed": count,
                "plan_digest": report.plan_digest,
            }
            for routed, count in kinds.items()
        }


class SignalWireReleaseHoldOperator(SignalWireOperator, ReleaseHoldOperator):
    """Release spaces that a restore put on hold, so that numbers may be routed again as before the restore.

    :param targets: label of a space, or a list of them; ``None`` is the connection's space. (templated)
    :param state_folder: URL of the folder that holds are kept in; ``None`` uses ``[voice_agents] state_folder``.
        (templated)
    :param signalwire_conn_id: id of a connection of type ``signalwire``. (templated)
    :returns: the spaces that were on hold and are no more.
    """

    template_fields: Sequence[str] = ("signalwire_conn_id", *ReleaseHoldOperator.template_fields)

    def __init__(self, **kwargs: Unpack[SignalWireHoldArguments]) -> None:
        super().__init__(**kwargs)

    def default_targets(self) -> list[str]:
        """Return the connection's space."""
        with self.hook() as hook:
            return [self.space(hook).label]
