"""The operator that cuts numbers over: where their calls go."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from airflow_voice_agents.signalwire.operators.base import SignalWirePlanningOperator, snapshot_saver

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_voice_agents.engine.snapshot_recorder import SnapshotRecorder
    from airflow_voice_agents.signalwire.routes import Route

SNAPSHOT_KEY = "snapshot"
"""XCom under which the URL of the snapshot is left, before the first write."""


class SignalWireRoutePhoneNumbersOperator(SignalWirePlanningOperator):
    """Point numbers at a SWML document, a cXML webhook, an application, a SIP endpoint and so on.

    The project's numbers are listed once, every number is compared and planned, and only those that differ
    are written, one request each. What SignalWire answers is compared with what was asked for: the call
    handler, the fields that belong to it, and that calls are taken as voice. The first write goes alone: should
    it clear a name or messaging, which it does not send, none follows. A number that the project does not have,
    or that cannot take calls, stops the run before the first write. A second run writes nothing.

    Vendor operations: list phone numbers, update phone number, get phone number.

    :param phone_numbers: E.164 numbers that shall have ``route``: a list, an upstream task's output, or a text
        with one per line or separated by commas; repeats are left out. (templated)
    :param filter_name: instead, part of the numbers' name; of the numbers found, those with voice are
        meant. (templated)
    :param filter_number: part of the number; where a number is exactly that, it alone is meant. (templated)
    :param country_code: ISO 3166-1 alpha-2 code of the numbers. (templated)
    :param route: where calls shall go: a mapping of ``to`` and the fields of that route, such as
        ``{"to": "swml", "url": "https://agents.example.com/swml"}``, or a value of
        :mod:`airflow_voice_agents.signalwire.routes`. A user name and password inside a URL are never
        shown; let a template take them from a connection or variable, for a DAG file is no place for
        them. (templated)
    :param routes: instead of numbers and route, a mapping of numbers to their routes. (templated)
    :param snapshot: whether the present routing of exactly the numbers that will change is kept before the
        first write; its URL is the XCom ``snapshot``, for :class:`.SignalWireRestoreRoutingOperator`. A retry
        keeps what its earlier tries changed as well.
    :param snapshot_folder: URL that Airflow's object storage knows; ``None`` takes the room ``snapshots`` below
        ``[voice_agents] state_folder``. (templated)
    :param allow_unencrypted: whether a snapshot may be kept in the clear where Airflow has no Fernet key.
    :param retention: how long snapshots in that folder are kept; ``None`` keeps them for good.
    :param verify: ``response`` compares the answer of each write, which is the whole record; ``read`` reads
        each number that was written once more.
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
    :raises InputError: for wrong arguments, before any request; never shows a URL.
    :raises GuardRefused: when a guard or a plan refuses, before any write.
    :raises ItemsFailed: when a number is not as asked for; XCom ``report`` tells which.
    :returns: ``operation``, ``dry_run``, ``changed``, ``counts`` and ``plan_digest``.
    """

    template_fields: Sequence[str] = (
        *SignalWirePlanningOperator.template_fields,
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

    def __init__(
        self,
        *,
        phone_numbers: Sequence[str] | str | None = None,
        filter_name: str | None = None,
        filter_number: str | None = None,
        country_code: str | None = None,
        route: Route | Mapping[str, Any] | str | None = None,
        routes: Mapping[str, Route | Mapping[str, Any]] | str | None = None,
        snapshot: bool = False,
        snapshot_folder: str | None = None,
        allow_unencrypted: bool = False,
        retention: timedelta | None = None,
        verify: Literal["response", "read"] = "response",
        max_snapshot_age: float = 600.0,
        **kwargs: Any,
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
        self.allow_unencrypted = allow_unencrypted
        self.retention = retention
        self.verify = verify
        self.max_snapshot_age = max_snapshot_age

    def execute(self, context: Context) -> dict[str, Any]:
        """List, plan, guard, keep a snapshot, write, verify and report."""
        from airflow_voice_agents.signalwire.actions import routing
        from airflow_voice_agents.signalwire.assets import routing_uri
        from airflow_voice_agents.transport.validation import parse_choice

        reads = parse_choice(self.verify, name="verify", choices=("response", "read")) == "read"
        hook = self.hook()
        space = self.space(hook)
        job = routing.job(
            space,
            self.phone_numbers,
            self.argument("route"),
            self.argument("routes"),
            {
                "filter_name": self.filter_name,
                "filter_number": self.filter_number,
                "country_code": self.country_code,
            },
            manner=self.manner(verify=reads, max_snapshot_age=self.max_snapshot_age),
            archive=self._archive(context) if self.snapshot else None,
        )
        report = self.work(context, job.run, hook)
        return self.conclude(context, report, changes=self.changes(report, routing_uri(space.label)))

    def _archive(self, context: Context) -> SnapshotRecorder:
        from airflow_voice_agents.engine.snapshot_recorder import SnapshotRecorder
        from airflow_voice_agents.signalwire.actions.routing import MEMORY
        from airflow_voice_agents.signalwire.resources.phone_number import CODECS
        from airflow_voice_agents.state import snapshots

        return SnapshotRecorder(
            save=snapshot_saver(
                self,
                context,
                folder=self.snapshot_folder,
                allow_unencrypted=self.allow_unencrypted,
                retention=self.retention,
            ),
            load=snapshots.load,
            publish=lambda url: context["ti"].xcom_push(key=SNAPSHOT_KEY, value=url),
            memory_key=MEMORY,
            codecs=CODECS,
        )
