"""Triggers for Omnia Voice; they only poll."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_voice_agents.bases.trigger import ConditionTrigger


class OmniaVoiceNumberTrigger(ConditionTrigger):
    """Wait for numbers.

    Vendor operations: list numbers, list numbers of agent.

    :param omniavoice_conn_id: id of a connection of type ``omniavoice``.
    :param condition: plain JSON, as the condition's ``serialize`` returned it.
    :param poll_interval: seconds between two questions.
    :param deadline: seconds since the epoch at which the wait is given up.
    """

    conn_name_attr = "omniavoice_conn_id"
    hook_path = "airflow_voice_agents.omnia_voice.hooks:OmniaVoiceHook"
    condition_path = "airflow_voice_agents.omnia_voice.conditions:NumberCondition.deserialize"

    def __init__(
        self, *, omniavoice_conn_id: str, condition: Mapping[str, Any], poll_interval: float, deadline: float
    ) -> None:
        super().__init__(condition=condition, poll_interval=poll_interval, deadline=deadline)
        self.omniavoice_conn_id = omniavoice_conn_id
