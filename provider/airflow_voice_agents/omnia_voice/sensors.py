"""Sensors for Omnia Voice."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Unpack

from airflow_voice_agents.bases.sensor import VoiceAgentsSensor

if TYPE_CHECKING:
    from airflow_voice_agents.bases.types import PhoneNumbers
    from airflow_voice_agents.omnia_voice.conditions import NumberCondition
    from airflow_voice_agents.omnia_voice.types import OmniaVoiceSensorArguments

POKE_INTERVAL = 120.0
"""Seconds; the platform allows 1000 requests per hour and key, for all that use the key."""


class OmniaVoiceNumberSensor(VoiceAgentsSensor):
    """Wait until numbers are listed, assigned to an agent, or in a status; all given conditions must hold.

    A poll costs one request with ``agent_id``, else one per hundred numbers of the workspace; deferred
    sensors that need the same list share it. The sensor tolerates temporary errors and the hourly limit. An
    error that waiting cannot fix ends the wait at once.

    Vendor operations: list numbers, list numbers of agent.

    :param phone_numbers: list of E.164 numbers, or of records with ``phone_number`` or ``number``; or a
        string with one number per line or separated by commas. (templated)
    :param agent_id: the agent that must answer the numbers. (templated)
    :param statuses: an accepted status, or a list of them, ignoring case. (templated)
    :param poke_interval: seconds between two polls; below 60 they use up the hourly limit.
    :param deferrable: wait in the triggerer, without a worker slot.
    :param omniavoice_conn_id: id of a connection of type ``omniavoice``. (templated)
    :raises InputError: for invalid arguments, before any request.
    :raises SensorError: if waiting cannot help; with ``soft_fail`` the task is skipped.
    :raises AirflowSensorTimeout: after ``timeout`` seconds.
    :returns: the counts ``ready`` and ``waiting``, and ``ids`` by number.
    """

    template_fields: Sequence[str] = ("omniavoice_conn_id", "phone_numbers", "agent_id", "statuses")
    template_fields_renderers: ClassVar[dict[str, str]] = {"phone_numbers": "json"}
    types_path = "airflow_voice_agents.omnia_voice.types"
    ui_color: str = "#dff3ea"
    conn_name_attr = "omniavoice_conn_id"
    hook_path = "airflow_voice_agents.omnia_voice.hooks:OmniaVoiceHook"
    trigger_path = "airflow_voice_agents.omnia_voice.triggers:OmniaVoiceNumberTrigger"

    def __init__(
        self,
        *,
        phone_numbers: PhoneNumbers,
        agent_id: str | None = None,
        statuses: Sequence[str] | str | None = None,
        poke_interval: float = POKE_INTERVAL,
        omniavoice_conn_id: str = "omniavoice_default",
        **kwargs: Unpack[OmniaVoiceSensorArguments],
    ) -> None:
        super().__init__(poke_interval=poke_interval, **kwargs)
        self.phone_numbers = phone_numbers
        self.agent_id = agent_id
        self.statuses = statuses
        self.omniavoice_conn_id = omniavoice_conn_id

    def condition(self) -> NumberCondition:
        """Return the condition of this sensor."""
        from airflow_voice_agents.omnia_voice.conditions import NumberCondition

        return NumberCondition.parse(self.phone_numbers, self.agent_id or None, self.statuses or None)
