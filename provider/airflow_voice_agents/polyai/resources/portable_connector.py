"""Connectors by name: what can be compared between projects, whose ids differ."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from airflow_voice_agents.polyai.resources.connector import ConnectorState


@dataclass(frozen=True, slots=True)
class NamedSettings:
    """A connector's settings without anything that belongs to one project only.

    :param name: the connector's name.
    :param variant: name of the assigned variant, or ``None``.
    :param asr_lang_code: speech recognition language.
    :param voice_name: text-to-speech voice.
    """

    name: str
    variant: str | None = None
    asr_lang_code: str | None = None
    voice_name: str | None = None


def named(states: Iterable[ConnectorState], variants: Mapping[str, str]) -> list[NamedSettings]:
    """Return connectors by name, sorted; a variant that has no name is told by its id in angle brackets.

    :param states: connectors of one project.
    :param variants: variant id -> name, of that project's main branch.
    """
    settings = [
        NamedSettings(
            name=state.name or "",
            variant=None
            if state.variant_id is None
            else variants.get(state.variant_id, f"<{state.variant_id}>"),
            asr_lang_code=state.asr_lang_code,
            voice_name=state.voice_name,
        )
        for state in states
    ]
    return sorted(settings, key=lambda each: each.name)
