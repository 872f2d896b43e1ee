"""What the PolyAI sensors have in common."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow_voice_agents.bases.sensor import VoiceAgentsSensor

if TYPE_CHECKING:
    from airflow_voice_agents.polyai.conditions import Condition, SerializableCondition
    from airflow_voice_agents.polyai.triggers import PolyAIWaitingTrigger


class PolyAIWaitingSensor(VoiceAgentsSensor):
    """Base of all PolyAI sensors.

    :param polyai_conn_id: id of a connection of type ``polyai``.
    """

    template_fields: Sequence[str] = ("polyai_conn_id",)
    ui_color: str = "#e8e4ff"

    def __init__(self, *, polyai_conn_id: str = "polyai_default", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.polyai_conn_id = polyai_conn_id

    @abstractmethod
    def condition(self) -> SerializableCondition:
        """Return what is waited for."""

    @abstractmethod
    def trigger_class(self) -> type[PolyAIWaitingTrigger]:
        """Return the trigger that waits for the same."""

    def trigger(self, deadline: float) -> PolyAIWaitingTrigger:
        """Return the trigger that waits for the same.

        :param deadline: seconds since the epoch at which it gives up.
        """
        return self.trigger_class()(
            polyai_conn_id=self.polyai_conn_id,
            condition=self.condition().serialize(),
            poll_interval=float(self.poke_interval),
            deadline=deadline,
        )


class PolyAISensor(PolyAIWaitingSensor):
    """Base of the PolyAI sensors whose condition names the reads that tell."""

    @abstractmethod
    def condition(self) -> Condition:
        """Return what is waited for."""

    def check(self) -> tuple[bool, dict[str, Any]]:
        """Ask once whether the condition holds."""
        from airflow_voice_agents.polyai.hooks import PolyAIHook

        condition = self.condition()
        with PolyAIHook(self.polyai_conn_id) as hook:
            return condition.holds([hook.send(call) for call in condition.reads()])
