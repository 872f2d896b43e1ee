"""Settings of listed numbers, as a resource kind with only the settings that an update names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final

import msgspec
from msgspec.structs import replace

from airflow_voice_agents.omnia_voice import api
from airflow_voice_agents.omnia_voice.models import Number
from airflow_voice_agents.omnia_voice.resources.phone_number import (
    Assignment,
    AssignmentKind,
    AssignmentState,
    assignment_findings,
)
from airflow_voice_agents.plans.canonical import digest
from airflow_voice_agents.plans.diff import Change, diff
from airflow_voice_agents.plans.kind import Resource, Transition
from airflow_voice_agents.plans.plan import Finding, PlannedItem, change, error, no_change, warning
from airflow_voice_agents.transport.api_request import ApiRequest
from airflow_voice_agents.transport.errors import InputError

KIND: Final = "number settings"
NAMES: Final = ("agent_id", "friendly_name", "status")
"""Settings that an update can name."""


class Settings(msgspec.Struct, frozen=True):
    """The desired settings of a number.

    :param changes: the settings; an absent one stays as it is, an agent of ``None`` unassigns.
    :param reassign: whether the number may be taken from another agent.
    """

    changes: Mapping[str, str | None]
    reassign: bool = False


@dataclass(frozen=True, slots=True)
class SettingsKind(AssignmentKind):
    """Compares and writes the settings that an update names; all others are left out of it.

    A status is compared without regard to case.

    :param names: the settings, of :data:`NAMES`.
    """

    name: ClassVar[str] = KIND

    names: tuple[str, ...] = field(default=NAMES, kw_only=True)

    def digest(self, state: AssignmentState | None) -> str:
        """Digest of the settings that the update names."""
        return digest(state and self._settings(state))

    def diff(self, before: AssignmentState | None, after: AssignmentState | None) -> Iterator[Change]:
        """Changes of the settings that the update names."""
        return diff(self._settings(before) if before else {}, self._settings(after) if after else {})

    def mismatches(
        self, transition: Transition[AssignmentState], observed: AssignmentState | None
    ) -> list[str]:
        """List the settings that differ from the desired ones."""
        if observed is None:
            return ["presence"]
        return [str(each.path[0]) for each in self.diff(observed, transition.after)]

    def request(self, transition: Transition[AssignmentState]) -> ApiRequest[Number | None]:
        """Return the update of one number, with the settings that differ.

        :param transition: present and desired settings.
        :raises InputError: for a number that is not listed.
        """
        before = transition.before
        if before is None or before.id is None:
            raise InputError(f"{transition.resource.name} is not listed; there is nothing to update")
        changes = {name: getattr(transition.after, name) for name in self.mismatches(transition, before)}
        return api.update_number(before.id, changes=changes, verb=self.verb)

    def plan(self, resource: Resource, desired: Any, now: AssignmentState | None) -> PlannedItem:
        """Plan that a listed number has some settings.

        :param resource: the number.
        :param desired: :class:`Settings`.
        :param now: the present state; ``None`` where the workspace does not list the number.
        """
        if now is None:
            return no_change(self, resource, None, _not_listed(resource))
        findings: tuple[Finding, ...] = ()
        if "agent_id" in desired.changes:
            agent = Assignment(desired.changes["agent_id"], reassign=desired.reassign)
            findings = assignment_findings(resource, now, agent)
        return change(self, resource, now, replace(now, **desired.changes), findings=findings)

    def restore(
        self, resource: Resource, wanted: AssignmentState | None, now: AssignmentState | None
    ) -> PlannedItem:
        """Plan that a number has its former settings; a name or a status that was not set cannot be unset.

        :param resource: the number.
        :param wanted: its former state.
        :param now: the present one; ``None`` where the workspace does not list it.
        """
        if now is None or wanted is None:
            gone = warning("not_listed", f"{resource.name} is not listed any more, so it has no settings.")
            return no_change(self, resource, now, *(() if wanted is None else (gone,)))
        former = {name: getattr(wanted, name) for name in self.names}
        settable = {name: text for name, text in former.items() if text is not None or name == "agent_id"}
        return change(self, resource, now, replace(now, **settable))

    def _settings(self, state: AssignmentState) -> dict[str, str | None]:
        values = {name: getattr(state, name) for name in self.names}
        return {
            name: value.casefold() if name == "status" and value else value for name, value in values.items()
        }


def number_settings(platform: str, number: str) -> Resource:
    """Return the address of a number's settings.

    :param platform: :attr:`.ConnectionFields.platform` of the connection.
    :param number: E.164 number.
    """
    return Resource(KIND, platform, number)


def _not_listed(target: Resource) -> Finding:
    return error(
        "not_listed",
        f"The workspace does not list {target.name}, so it has no settings yet. Assign it first.",
    )
