"""Sensors for PolyAI."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_voice_agents.edge.sensor import VoiceAgentsSensor

if TYPE_CHECKING:
    from airflow_voice_agents.polyai.conditions import ConfigCondition
    from airflow_voice_agents.polyai.triggers import PolyAIConfigTrigger


class PolyAIConfigSensor(VoiceAgentsSensor):
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
        "polyai_conn_id",
        "agent_id",
        "environment",
        "values",
        "digest",
        "equals",
    )
    confidential_fields: ClassVar[Sequence[str]] = ("values",)
    ui_color: str = "#e8e4ff"

    def __init__(
        self,
        *,
        agent_id: str,
        environment: str,
        values: Mapping[str, Any] | str | None = None,
        digest: str | None = None,
        equals: Mapping[str, str] | str | None = None,
        polyai_conn_id: str = "polyai_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.agent_id = agent_id
        self.environment = environment
        self.values = values
        self.digest = digest
        self.equals = equals
        self.polyai_conn_id = polyai_conn_id

    def check(self) -> tuple[bool, dict[str, Any]]:
        """Ask once whether the page is as wanted."""
        from airflow_voice_agents.polyai.hooks import PolyAIHook

        condition = self._condition()
        with PolyAIHook(self.polyai_conn_id) as hook:
            return condition.holds([hook.send(call) for call in condition.reads()])

    def trigger(self, deadline: float) -> PolyAIConfigTrigger:
        """Return the trigger that waits for the same page.

        :param deadline: seconds since the epoch at which it gives up.
        """
        from airflow_voice_agents.polyai.triggers import PolyAIConfigTrigger

        return PolyAIConfigTrigger(
            polyai_conn_id=self.polyai_conn_id,
            condition=self._condition().serialize(),
            poll_interval=float(self.poke_interval),
            deadline=deadline,
        )

    def _condition(self) -> ConfigCondition:
        from airflow_voice_agents.polyai.conditions import ConfigCondition

        return ConfigCondition.parse(
            self.agent_id, self.environment, self.argument("values"), self.digest, self.argument("equals")
        )
