"""Set single fields of listed numbers: list once, compare, send only what differs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from airflow_voice_agents.omnia_voice.actions.base import NumbersAction, Workspace
from airflow_voice_agents.omnia_voice.resources.phone_number import AssignmentState
from airflow_voice_agents.omnia_voice.resources.settings import (
    NAMES,
    Settings,
    SettingsKind,
    number_settings,
)
from airflow_voice_agents.plans.kind import Resource
from airflow_voice_agents.plans.plan import TargetPlan
from airflow_voice_agents.transport.errors import InputError
from airflow_voice_agents.transport.suggestions import hints
from airflow_voice_agents.transport.validation import parse_identifier, parse_numbers, parse_text

SETTINGS_NOTE = "settings"
"""Note in a snapshot: the settings that an update changes."""


@dataclass(frozen=True, kw_only=True)
class UpdateNumbers(NumbersAction):
    """An update of numbers.

    :param numbers: E.164 numbers without repeats, in order.
    :param changes: the settings of each: ``agent_id``, ``friendly_name``, ``status``, at least one.
    :param reassign: allow to take numbers from other agents.
    """

    operation: ClassVar[str] = "update numbers"

    numbers: tuple[str, ...]
    changes: Mapping[str, str | None]
    reassign: bool = False

    @property
    def kind(self) -> SettingsKind:
        """The kind of the settings that the update names."""
        return SettingsKind(self.workspace.verb, names=tuple(self.changes))

    def desired(self) -> Mapping[Resource, Settings]:
        """Return the desired settings."""
        wanted = Settings(self.changes, self.reassign)
        return {number_settings(self.workspace.platform, number): wanted for number in self.numbers}

    def kept_notes(self, targets: Sequence[TargetPlan]) -> Mapping[Resource, Mapping[str, Any]]:
        """Return the settings that a restore brings back."""
        return settings_notes(targets, tuple(self.changes))


def settings_notes(
    targets: Sequence[TargetPlan], names: Sequence[str]
) -> dict[Resource, dict[str, list[str]]]:
    """Return the settings that a plan changes, for each number whose settings it changes.

    :param targets: the planned workspace.
    :param names: the settings.
    """
    items = [item for target in targets for item in target.items]
    return {
        item.resource: {SETTINGS_NOTE: list(names)}
        for item in items
        if item.transition is not None and isinstance(item.transition.after, AssignmentState)
    }


def parse(
    workspace: Workspace, phone_numbers: object, changes: object, *, reassign: bool = False
) -> UpdateNumbers:
    """Check the arguments of an update.

    :param workspace: the workspace.
    :param phone_numbers: the numbers, as :func:`.parse_numbers` takes them.
    :param changes: mapping of the settings; ``None`` for ``agent_id`` unassigns.
    :param reassign: allow to take numbers from other agents.
    :raises InputError: naming what is wrong.
    """
    return UpdateNumbers(
        workspace=workspace,
        numbers=parse_numbers(phone_numbers),
        changes=parse_changes(changes),
        reassign=reassign,
    )


def parse_changes(value: object) -> dict[str, str | None]:
    """Check the settings of an update.

    :param value: mapping of any of ``agent_id``, ``friendly_name`` and ``status``.
    :raises InputError: naming what is wrong.
    """
    allowed = ", ".join(NAMES)
    if not isinstance(value, Mapping) or not value:
        raise InputError(f"changes must be a mapping of at least one of {allowed}")
    if unknown := sorted(str(key) for key in value if key not in NAMES):
        raise InputError(
            f"changes has unknown keys {', '.join(unknown)}; allowed are {allowed}{hints(unknown, NAMES)}"
        )
    texts = [key for key in ("friendly_name", "status") if key in value]
    parsed: dict[str, str | None] = {key: parse_text(value[key], name=f"changes.{key}") for key in texts}
    if "agent_id" in value:
        agent_id = value["agent_id"]
        parsed["agent_id"] = None if agent_id is None else parse_identifier(agent_id, name="changes.agent_id")
    return parsed
