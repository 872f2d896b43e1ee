"""Base classes of PolyAI's operators."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.sdk import AssetAlias

from airflow_voice_agents.bases.operator import RestoringOperator, VoiceAgentsOperator, WritingOperator

if TYPE_CHECKING:
    from airflow_voice_agents.polyai.hooks import PolyAIHook

ALIAS = "polyai"
"""Name of the asset alias through which every PolyAI operator emits its changes."""

OUTLETS = [AssetAlias(ALIAS)]
"""A default of the signature, and a list, because a mapped operator takes its outlets from there."""


class PolyAIOperator(VoiceAgentsOperator):
    """Base of the PolyAI operators.

    :param polyai_conn_id: id of a connection of type ``polyai``.
    """

    asset_alias: ClassVar[str] = ALIAS
    ui_color: str = "#e8e4ff"

    def __init__(
        self, *, polyai_conn_id: str = "polyai_default", outlets: Any = OUTLETS, **kwargs: Any
    ) -> None:
        super().__init__(outlets=outlets, **kwargs)
        self.polyai_conn_id = polyai_conn_id

    def hook(self) -> PolyAIHook:
        """Return a hook for the connection."""
        from airflow_voice_agents.polyai.hooks import PolyAIHook

        return PolyAIHook(self.polyai_conn_id)


class PolyAIWritingOperator(PolyAIOperator, WritingOperator):
    """Base of the PolyAI operators that write."""

    template_fields: Sequence[str] = ("polyai_conn_id", *WritingOperator.template_fields)


class PolyAIRestoringOperator(PolyAIOperator, RestoringOperator):
    """Base of the PolyAI operators that undo earlier work."""

    template_fields: Sequence[str] = ("polyai_conn_id", *RestoringOperator.template_fields)
