"""Operators that save and restore the routing of numbers, and release the hold of a restore."""

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
    """Save the call routing of numbers.

    The snapshot is a file in Airflow's object storage. It is encrypted with Airflow's Fernet key, because
    URLs can contain passwords. Nothing is written to SignalWire.

    Vendor operation: list phone numbers.

    :param phone_numbers: E.164 numbers: a list, the output of an upstream task, or a string with one number
        per line or separated by commas; ``None`` saves the numbers that the filters match, or every number of
        the project. (templated)
    :param filter_name: part of the numbers' name. (templated)
    :param filter_number: part of the number; an exact match selects only that number. (templated)
    :param country_code: ISO 3166-1 alpha-2 code of the numbers. (templated)
    :param folder: URL that Airflow's object storage supports; ``None`` uses ``snapshots`` in ``[voice_agents]
        state_folder``. (templated)
    :param allow_unencrypted: allow an unencrypted snapshot if Airflow has no Fernet key.
    :param retention: age (timedelta) at which snapshots in that folder are removed; ``None`` keeps them.
    :param signalwire_conn_id: id of a connection of type ``signalwire``. (templated)
    :raises InputError: for invalid arguments, before any request.
    :raises GuardRefused: if a number does not exist, or the snapshot could only be stored unencrypted.
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
        """List the numbers and save their routing."""
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
    """Restore the call routing or the emergency addresses of a snapshot.

    Plan, guards, writes, verification and report are those of a cut-over; a second run writes nothing. The
    operator restores a number only if its routing is as the cut-over left it, and refuses newer changes of
    others. It also refuses a handler that SignalWire's API cannot set (none, or one that only the dashboard
    can assign). Both stop the run before its first write, unless ``allow_partial`` skips them. A number that
    was released meanwhile is a failed item. The undone routing is put on hold: a cut-over to it is refused
    until :class:`SignalWireReleaseHoldOperator` releases the space.

    Vendor operations: list phone numbers, get phone number, update phone number, assign E911 address, remove E911
    address.

    :param snapshot: URL of the snapshot: the result of a snapshot task, or the XCom ``snapshot`` of a write.
        (templated)
    :param expected_route: the route that the cut-over set; ``None`` uses the route in the snapshot of a route
        task. (templated)
    :param expected_routes: mapping of numbers to such routes, instead of ``expected_route``. (templated)
    :param force: overwrite newer changes.
    :param allow_partial: skip and report numbers that cannot be restored or are gone, and let the task
        succeed without them.
    :param hold: put the undone routing on hold.
    :param reason: reason, stored with the hold. (templated)
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
    :param stop_variable: Airflow Variable that stops the run before its next wave; ``None``, the default of a
        restore, disables it.
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
    :raises InputError: for invalid arguments or a snapshot that cannot be used, before any request.
    :raises GuardRefused: if a guard or a plan refuses, before any write.
    :raises StateMoved: if the plan does not have the expected digest.
    :raises TargetLocked: if another run holds the lock of a number.
    :raises ItemsFailed: if a number was not restored; the XCom ``report`` lists it.
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
        """Return an asset event for changed call routing, and one for changed emergency addresses."""
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
    """Release the hold of a restore, so that the same routing can be written again.

    :param targets: name of a space, or a list of names; ``None`` uses the connection's space. (templated)
    :param state_folder: URL of the folder for holds; ``None`` uses ``[voice_agents] state_folder``.
        (templated)
    :param signalwire_conn_id: id of a connection of type ``signalwire``. (templated)
    :returns: the released spaces.
    """

    template_fields: Sequence[str] = ("signalwire_conn_id", *ReleaseHoldOperator.template_fields)

    def __init__(self, **kwargs: Unpack[SignalWireHoldArguments]) -> None:
        super().__init__(**kwargs)

    def default_targets(self) -> list[str]:
        """Return the connection's space."""
        with self.hook() as hook:
            return [self.space(hook).label]
