"""Triggers for SignalWire; they only poll."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_voice_agents.bases.trigger import ConditionTrigger


class SignalWirePhoneNumbersTrigger(ConditionTrigger):
    """Wait for numbers.

    Vendor operation: list phone numbers.

    :param signalwire_conn_id: id of a connection of type ``signalwire``.
    :param condition: plain JSON, as the condition's ``serialize`` returned it; digests, never URLs.
    :param poll_interval: seconds between two questions.
    :param deadline: seconds since the epoch at which the wait is given up.
    """

    conn_name_attr = "signalwire_conn_id"
    hook_path = "airflow_voice_agents.signalwire.hooks:SignalWireHook"
    condition_path = "airflow_voice_agents.signalwire.conditions:deserialize"

    def __init__(
        self, *, signalwire_conn_id: str, condition: Mapping[str, Any], poll_interval: float, deadline: float
    ) -> None:
        super().__init__(condition=condition, poll_interval=poll_interval, deadline=deadline)
        self.signalwire_conn_id = signalwire_conn_id
