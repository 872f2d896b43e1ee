"""Base class of the PolyAI sensors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from airflow_voice_agents.bases.argument_checks import LazyLinks
from airflow_voice_agents.bases.sensor import VoiceAgentsSensor
from airflow_voice_agents.polyai import ADVISED_KEYS, SPEC_TYPES, SPELLINGS, TYPE_ALIASES, TYPES_PATH


class PolyAISensor(VoiceAgentsSensor):
    """Base of the PolyAI sensors.

    :param polyai_conn_id: id of a connection of type ``polyai``.
    """

    template_fields: Sequence[str] = ("polyai_conn_id",)
    type_aliases = TYPE_ALIASES
    spellings = SPELLINGS
    types_path = TYPES_PATH
    advised_keys = ADVISED_KEYS
    checked_elsewhere = SPEC_TYPES
    ui_color: str = "#e8e4ff"
    operator_extra_links: Sequence[Any] = LazyLinks("airflow_voice_agents.polyai.links:STUDIO_LINKS")
    conn_name_attr = "polyai_conn_id"
    hook_path = "airflow_voice_agents.polyai.hooks:PolyAIHook"

    def __init__(self, *, polyai_conn_id: str = "polyai_default", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.polyai_conn_id = polyai_conn_id
