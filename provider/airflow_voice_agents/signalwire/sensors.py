"""Sensors for SignalWire."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Unpack

from airflow_voice_agents.bases.argument_checks import LazyLinks
from airflow_voice_agents.bases.sensor import VoiceAgentsSensor

if TYPE_CHECKING:
    from airflow_voice_agents.bases.types import PhoneNumbers
    from airflow_voice_agents.signalwire.conditions import NumbersCondition
    from airflow_voice_agents.signalwire.types import RouteArgument, RoutesArgument, SignalWireSensorArguments


class SignalWireSensor(VoiceAgentsSensor):
    """Base of the SignalWire sensors.

    :param signalwire_conn_id: id of a connection of type ``signalwire``.
    """

    template_fields: Sequence[str] = ("signalwire_conn_id",)
    types_path = "airflow_voice_agents.signalwire.types"
    ui_color: str = "#d9ecff"
    operator_extra_links: Sequence[Any] = LazyLinks("airflow_voice_agents.signalwire.links:SPACE_LINKS")
    conn_name_attr = "signalwire_conn_id"
    hook_path = "airflow_voice_agents.signalwire.hooks:SignalWireHook"
    trigger_path = "airflow_voice_agents.signalwire.triggers:SignalWirePhoneNumbersTrigger"

    def __init__(self, *, signalwire_conn_id: str = "signalwire_default", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.signalwire_conn_id = signalwire_conn_id


class SignalWireNumberSensor(SignalWireSensor):
    """Wait until numbers appear at the carrier after they were ported or bought.

    Porting takes about a week: use ``mode="reschedule"`` or ``deferrable=True``. The sensor tolerates
    temporary errors of the platform. An error that waiting cannot fix ends the wait at once.

    Vendor operation: list phone numbers.

    :param phone_numbers: E.164 numbers, all of which must exist: a list, or a string with one number per line
        or separated by commas. (templated)
    :param deferrable: wait in the triggerer, without a worker slot.
    :param signalwire_conn_id: id of a connection of type ``signalwire``. (templated)
    :raises InputError: for invalid arguments, before any request.
    :raises SensorError: if waiting cannot help; with ``soft_fail`` the task is skipped.
    :raises AirflowSensorTimeout: after ``timeout`` seconds.
    :returns: ``phone_numbers``.
    """

    template_fields: Sequence[str] = (*SignalWireSensor.template_fields, "phone_numbers")

    def __init__(self, *, phone_numbers: PhoneNumbers, **kwargs: Unpack[SignalWireSensorArguments]) -> None:
        super().__init__(**kwargs)
        self.phone_numbers = phone_numbers

    def condition(self) -> NumbersCondition:
        """Return the condition of this sensor."""
        from airflow_voice_agents.signalwire.conditions import owned

        return owned(self.phone_numbers)


class SignalWireRouteSensor(SignalWireSensor):
    """Wait until numbers have a route: handler, its fields and the receive mode.

    The sensor also waits for numbers that do not exist yet. The triggerer gets digests of the routes, never a
    URL.

    Vendor operation: list phone numbers.

    :param phone_numbers: E.164 numbers that must have ``route``: a list, or a string with one number per line
        or separated by commas. (templated)
    :param route: the route, as for :class:`.SignalWireRoutePhoneNumbersOperator`. (templated)
    :param routes: mapping of numbers to routes, instead of ``phone_numbers`` and ``route``. (templated)
    :param deferrable: wait in the triggerer, without a worker slot.
    :param signalwire_conn_id: id of a connection of type ``signalwire``. (templated)
    :raises InputError: for invalid arguments, before any request; the message never shows a URL.
    :raises SensorError: if waiting cannot help; with ``soft_fail`` the task is skipped.
    :raises AirflowSensorTimeout: after ``timeout`` seconds.
    :returns: ``phone_numbers``.
    """

    template_fields: Sequence[str] = (*SignalWireSensor.template_fields, "phone_numbers", "route", "routes")
    confidential_fields: ClassVar[Sequence[str]] = ("route", "routes")
    open_keys: ClassVar[Sequence[str]] = ("to", "id", "agent_id")

    exactly_one_of = ((("phone_numbers", "route"), "routes"),)

    def __init__(
        self,
        *,
        phone_numbers: PhoneNumbers | None = None,
        route: RouteArgument | None = None,
        routes: RoutesArgument | None = None,
        **kwargs: Unpack[SignalWireSensorArguments],
    ) -> None:
        super().__init__(**kwargs)
        self.phone_numbers = phone_numbers
        self.route = route
        self.routes = routes

    def condition(self) -> NumbersCondition:
        """Return the condition of this sensor."""
        from airflow_voice_agents.signalwire.conditions import routed

        return routed(self.phone_numbers, self.argument("route"), self.argument("routes"))


class SignalWireE911Sensor(SignalWireSensor):
    """Wait until the emergency addresses of numbers are active; this takes minutes.

    A failed registration ends the wait at once, and so does a number that the project does not have.

    Vendor operation: list phone numbers. The vendor documents polling, and no webhook.

    :param phone_numbers: E.164 numbers: a list, or a string with one number per line or separated by commas.
        (templated)
    :param e911_address_id: UUID of the address that must be active; ``None`` accepts any. (templated)
    :param deferrable: wait in the triggerer, without a worker slot.
    :param signalwire_conn_id: id of a connection of type ``signalwire``. (templated)
    :raises InputError: for invalid arguments, before any request.
    :raises SensorError: if a registration failed; with ``soft_fail`` the task is skipped.
    :raises AirflowSensorTimeout: after ``timeout`` seconds.
    :returns: ``phone_numbers``.
    """

    template_fields: Sequence[str] = (*SignalWireSensor.template_fields, "phone_numbers", "e911_address_id")

    def __init__(
        self,
        *,
        phone_numbers: PhoneNumbers,
        e911_address_id: str | None = None,
        **kwargs: Unpack[SignalWireSensorArguments],
    ) -> None:
        super().__init__(**kwargs)
        self.phone_numbers = phone_numbers
        self.e911_address_id = e911_address_id

    def condition(self) -> NumbersCondition:
        """Return the condition of this sensor."""
        from airflow_voice_agents.signalwire.conditions import registered

        return registered(self.phone_numbers, self.e911_address_id)
