"""Sensors for PolyAI."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_voice_agents.edge.sensor import VoiceAgentsSensor

if TYPE_CHECKING:
    from airflow_voice_agents.polyai.conditions import Condition, ConfigCondition, NumbersCondition
    from airflow_voice_agents.polyai.triggers import (
        PolyAIConfigTrigger,
        PolyAIPhoneNumbersTrigger,
        PolyAITrigger,
    )


class PolyAISensor(VoiceAgentsSensor):
    """Base of the PolyAI sensors.

    :param polyai_conn_id: id of a connection of type ``polyai``.
    """

    template_fields: Sequence[str] = ("polyai_conn_id",)
    ui_color: str = "#e8e4ff"

    def __init__(self, *, polyai_conn_id: str = "polyai_default", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.polyai_conn_id = polyai_conn_id

    @abstractmethod
    def condition(self) -> Condition:
        """Return what is waited for."""

    @abstractmethod
    def trigger_class(self) -> type[PolyAITrigger]:
        """Return the trigger that waits for the same."""

    def check(self) -> tuple[bool, dict[str, Any]]:
        """Ask once whether the condition holds."""
        from airflow_voice_agents.polyai.hooks import PolyAIHook

        condition = self.condition()
        with PolyAIHook(self.polyai_conn_id) as hook:
            return condition.holds([hook.send(call) for call in condition.reads()])

    def trigger(self, deadline: float) -> PolyAITrigger:
        """Return the trigger that waits for the same.

        :param deadline: seconds since the epoch at which it gives up.
        """
        return self.trigger_class()(
            polyai_conn_id=self.polyai_conn_id,
            condition=self.condition().serialize(),
            poll_interval=float(self.poke_interval),
            deadline=deadline,
        )


class PolyAIConfigSensor(PolyAISensor):
    """Wait until an environment's config page is as wanted. Give exactly one of the three conditions.

    Transient errors of the platform are tolerated; errors that waiting cannot mend end the wait at once.

    Vendor operation: list real-time configs.

    :param agent_id: the agent. (templated)
    :param environment: ``sandbox``, ``pre-release`` or ``live``. (templated)
    :param values: keys and values that the page shall hold; of an object only the members given are
        compared. Neither the triggerer nor a log sees them. (templated)
    :param digest: digest of the page, as a report's ``after`` gives it. (templated)
    :param equals: mapping of ``agent_id`` and ``environment`` of a page that it shall be equal to. (templated)
    :param deferrable: wait in the triggerer, without a worker slot.
    :param polyai_conn_id: id of a connection of type ``polyai``. (templated)
    :raises InputError: for wrong arguments, before any request.
    :raises SensorError: when waiting cannot help; with ``soft_fail`` the task is skipped.
    :raises AirflowSensorTimeout: when ``timeout`` seconds passed.
    :returns: ``agent_id``, ``environment`` and ``digest`` of the page.
    """

    template_fields: Sequence[str] = (
        *PolyAISensor.template_fields,
        "agent_id",
        "environment",
        "values",
        "digest",
        "equals",
    )
    confidential_fields: ClassVar[Sequence[str]] = ("values",)

    def __init__(
        self,
        *,
        agent_id: str,
        environment: str,
        values: Mapping[str, Any] | str | None = None,
        digest: str | None = None,
        equals: Mapping[str, str] | str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.agent_id = agent_id
        self.environment = environment
        self.values = values
        self.digest = digest
        self.equals = equals

    def trigger_class(self) -> type[PolyAIConfigTrigger]:
        """Return the trigger for config pages."""
        from airflow_voice_agents.polyai.triggers import PolyAIConfigTrigger

        return PolyAIConfigTrigger

    def condition(self) -> ConfigCondition:
        """Return what is waited for."""
        from airflow_voice_agents.polyai.conditions import ConfigCondition

        return ConfigCondition.parse(
            self.agent_id, self.environment, self.argument("values"), self.digest, self.argument("equals")
        )


class PolyAIPhoneNumbersSensor(PolyAISensor):
    """Wait until an agent has numbers in an environment, answered by a connector.

    Transient errors of the platform are tolerated; errors that waiting cannot mend end the wait at once.

    Vendor operation: list phone numbers.

    :param agent_id: the agent. (templated)
    :param phone_numbers: E.164 numbers, all of which shall be there. (templated)
    :param client_env: environment that they shall be in; ``None`` for any. (templated)
    :param connector_id: connector that shall answer them; ``None`` for any. (templated)
    :param deferrable: wait in the triggerer, without a worker slot.
    :param polyai_conn_id: id of a connection of type ``polyai``. (templated)
    :raises InputError: for wrong arguments, before any request.
    :raises SensorError: when waiting cannot help; with ``soft_fail`` the task is skipped.
    :raises AirflowSensorTimeout: when ``timeout`` seconds passed.
    :returns: ``agent_id``, and the number of numbers as ``phone_numbers``.
    """

    template_fields: Sequence[str] = (
        *PolyAISensor.template_fields,
        "agent_id",
        "phone_numbers",
        "client_env",
        "connector_id",
    )

    def __init__(
        self,
        *,
        agent_id: str,
        phone_numbers: Sequence[str] | str,
        client_env: str | None = None,
        connector_id: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.agent_id = agent_id
        self.phone_numbers = phone_numbers
        self.client_env = client_env
        self.connector_id = connector_id

    def trigger_class(self) -> type[PolyAIPhoneNumbersTrigger]:
        """Return the trigger for phone numbers."""
        from airflow_voice_agents.polyai.triggers import PolyAIPhoneNumbersTrigger

        return PolyAIPhoneNumbersTrigger

    def condition(self) -> NumbersCondition:
        """Return what is waited for."""
        from airflow_voice_agents.polyai.conditions import NumbersCondition

        return NumbersCondition.parse(self.agent_id, self.phone_numbers, self.client_env, self.connector_id)
