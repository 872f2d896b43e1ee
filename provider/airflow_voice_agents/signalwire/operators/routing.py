"""The operator that routes numbers."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Unpack

from msgspec.structs import replace

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
    """Route numbers to a SWML document, a cXML webhook, an application, a SIP endpoint and others.

    The operator lists the project's numbers once, compares and plans every number, and writes only those that
    differ, one request each; a second run writes nothing. It compares each response with the plan: the call
    handler, its fields, and the receive mode. It sends the first write alone: if that write clears a name or
    messaging, no other follows. A number that the project does not have, or that cannot take calls, stops the
    run before the first write. So does a route that a restore has undone, until
    :class:`.SignalWireReleaseHoldOperator` releases the hold.

    Vendor operations: list phone numbers, update phone number, get phone number.

    :param phone_numbers: E.164 numbers that get ``route``: a list, the output of an upstream task, or a
        string with one number per line or separated by commas; duplicates are ignored. (templated)
    :param filter_name: part of the numbers' name, instead of ``phone_numbers``; selects numbers with voice.
        (templated)
    :param filter_number: part of the number; an exact match selects only that number. (templated)
    :param country_code: ISO 3166-1 alpha-2 code of the numbers. (templated)
    :param route: the route of the calls: a mapping of ``to`` and the fields of that route, such as ``{"to":
        "swml", "url": "https://agents.example.com/swml"}``, or a value of
        :mod:`airflow_voice_agents.signalwire.routes`. A user name and password inside a URL are never shown;
        use a template to read them from a connection or variable, because a DAG file is not confidential.
        (templated)
    :param routes: mapping of numbers to routes, instead of ``phone_numbers`` and ``route``. (templated)
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
    :param snapshot: deprecated name of ``take_snapshot``.
    :param snapshot_folder: deprecated; use ``state_folder``. URL of the folder for snapshots only.
        (templated)
    :param retention: deprecated name of ``snapshot_retention``.
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
        """List, plan, guard, save a snapshot, write, verify and report."""
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
        """Return the protections of the run, with deprecated arguments under their new names."""
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
