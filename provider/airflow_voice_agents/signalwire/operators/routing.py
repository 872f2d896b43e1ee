"""The operator that routes numbers."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Unpack

from airflow_voice_agents.signalwire.operators.base import SignalWireWritingOperator, renamed

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_voice_agents.bases.protections import ProtectionSettings
    from airflow_voice_agents.bases.types import PhoneNumbers
    from airflow_voice_agents.signalwire.types import (
        RouteArgument,
        RoutesArgument,
        SignalWireWritingArguments,
    )


class SignalWireRoutePhoneNumbersOperator(SignalWireWritingOperator):
    """Point numbers at a SWML document, a cXML webhook, an application, a SIP endpoint and so on.

    The project's numbers are listed once, every number is compared and planned, and only those that differ
    are written, one request each. What SignalWire answers is compared with what was asked for: the call
    handler, the fields that belong to it, and that calls are taken as voice. The first write goes alone: should
    it clear a name or messaging, which it does not send, none follows. A number that the project does not have,
    or that cannot take calls, stops the run before the first write. So does a route that a restore undid, until
    :class:`.SignalWireReleaseHoldOperator` releases it. A second run writes nothing.

    Vendor operations: list phone numbers, update phone number, get phone number.

    :param phone_numbers: E.164 numbers that get ``route``: a list, an upstream task's output, or a text
        with one per line or separated by commas; repeats are left out. (templated)
    :param filter_name: instead, part of the numbers' name; of the numbers found, those with voice are
        meant. (templated)
    :param filter_number: part of the number; where a number is exactly that, it alone is meant. (templated)
    :param country_code: ISO 3166-1 alpha-2 code of the numbers. (templated)
    :param route: the route of the calls: a mapping of ``to`` and the fields of that route, such as
        ``{"to": "swml", "url": "https://agents.example.com/swml"}``, or a value of
        :mod:`airflow_voice_agents.signalwire.routes`. A user name and password inside a URL are never
        shown; let a template take them from a connection or variable, for a DAG file is no place for
        them. (templated)
    :param routes: instead of numbers and route, a mapping of numbers to their routes. (templated)
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
    :param snapshot: deprecated name of ``take_snapshot``.
    :param snapshot_folder: deprecated: URL of the folder for snapshots alone; use ``state_folder``. (templated)
    :param retention: deprecated name of ``snapshot_retention``.
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
        "filter_name",
        "filter_number",
        "country_code",
        "route",
        "routes",
        "snapshot_folder",
    )
    template_fields_renderers: ClassVar[dict[str, str]] = {"phone_numbers": "json", "route": "json"}
    confidential_fields: ClassVar[Sequence[str]] = ("route", "routes")
    open_keys: ClassVar[Sequence[str]] = ("to", "id", "agent_id")

    exactly_one_of = (("route", "routes"),)
    at_most_one_of = (("phone_numbers", ("filter_name", "filter_number", "country_code"), "routes"),)

    def __init__(
        self,
        *,
        phone_numbers: PhoneNumbers | None = None,
        filter_name: str | None = None,
        filter_number: str | None = None,
        country_code: str | None = None,
        route: RouteArgument | None = None,
        routes: RoutesArgument | None = None,
        snapshot: bool | None = None,
        snapshot_folder: str | None = None,
        retention: timedelta | None = None,
        **kwargs: Unpack[SignalWireWritingArguments],
    ) -> None:
        super().__init__(**kwargs)
        self.phone_numbers = phone_numbers
        self.filter_name = filter_name
        self.filter_number = filter_number
        self.country_code = country_code
        self.route = route
        self.routes = routes
        self.snapshot = snapshot
        self.snapshot_folder = snapshot_folder
        self.retention = retention

    def execute(self, context: Context) -> dict[str, Any]:
        """List, plan, guard, keep a snapshot, write, verify and report."""
        from airflow_voice_agents.signalwire.actions.routing import parse_route
        from airflow_voice_agents.signalwire.assets import routing_uri

        hook = self.hook()
        action = parse_route(
            self.space(hook),
            self.phone_numbers,
            self.argument("route"),
            self.argument("routes"),
            {
                "filter_name": self.filter_name,
                "filter_number": self.filter_number,
                "country_code": self.country_code,
            },
        )
        report = self.apply(context, action, hook)
        return self.finish(context, report, changes=self.changes(report, routing_uri(action.space.label)))

    def protection_settings(self) -> ProtectionSettings:
        """Return the operator's arguments about protections, also under their former names."""
        from dataclasses import replace

        settings = super().protection_settings()
        if self.snapshot is not None:
            renamed("snapshot", "take_snapshot")
            settings = replace(settings, take_snapshot=self.snapshot)
        if self.retention is not None:
            renamed("retention", "snapshot_retention")
            settings = replace(settings, snapshot_retention=self.retention)
        if self.snapshot_folder:
            renamed("snapshot_folder", "state_folder")
            settings = replace(settings, snapshot_folder=self.snapshot_folder)
        return settings
