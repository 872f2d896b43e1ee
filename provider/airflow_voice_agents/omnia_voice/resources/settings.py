"""Single settings of listed numbers, as a resource kind: what an update names, and nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from airflow_voice_agents.omnia_voice import api
from airflow_voice_agents.omnia_voice.api import UpdateVerb
from airflow_voice_agents.omnia_voice.models import Number
from airflow_voice_agents.omnia_voice.resources.phone_number import (
    LANE_SIZE,
    AssignmentKind,
    AssignmentState,
    plan_assignment,
)
from airflow_voice_agents.plans.canonical import digest
from airflow_voice_agents.plans.diff import Change, diff
from airflow_voice_agents.plans.kind import Resource, Transition
from airflow_voice_agents.plans.plan import Finding, PlannedItem, error
from airflow_voice_agents.transport.api_request import ApiRequest
from airflow_voice_agents.transport.errors import InputError


class SettingsKind(AssignmentKind):
    """How the settings that an update names are compared and written; all others are left out of it.

    A status is compared without regard to case.

    :param names: ``agent_id``, ``friendly_name`` and ``status``, as far as the update names them.
    :param ids: the platform's ids of the numbers that are known to it.
    :param verb: verb that updates are sent with.
    :param lane_size: numbers per lane.
    """

    def __init__(
        self,
        names: Iterable[str],
        ids: Mapping[str, str] | None = None,
        *,
        verb: UpdateVerb = UpdateVerb.PATCH,
        lane_size: int = LANE_SIZE,
    ) -> None:
        super().__init__(ids, verb=verb, lane_size=lane_size)
        self._names = tuple(names)

    def digest(self, state: AssignmentState | None) -> str:
        """Digest of the settings that the update names."""
        return digest(state and self._settings(state))

    def diff(self, before: AssignmentState | None, after: AssignmentState | None) -> Iterator[Change]:
        """Changes of the settings that the update names."""
        return diff(self._settings(before) if before else {}, self._settings(after) if after else {})

    def mismatches(
        self, transition: Transition[AssignmentState], observed: AssignmentState | None
    ) -> list[str]:
        """Which of the settings are not as they shall be."""
        if observed is None:
            return ["presence"]
        return [str(change.path[0]) for change in self.diff(observed, transition.after)]

    def _settings(self, state: AssignmentState) -> dict[str, str | None]:
        values = {name: getattr(state, name) for name in self._names}
        return {
            name: value.casefold() if name == "status" and value else value for name, value in values.items()
        }

    def _write(self, transition: Transition[AssignmentState]) -> ApiRequest[Number | None]:
        before = transition.before
        if before is None or before.id is None:
            raise InputError(f"{transition.resource.name} is not listed; there is nothing to update")
        changes = {name: getattr(transition.after, name) for name in self.mismatches(transition, before)}
        return api.update_number(before.id, changes=changes, verb=self._verb)


def plan_settings(
    kind: SettingsKind,
    target: Resource,
    now: AssignmentState | None,
    changes: Mapping[str, str | None],
    *,
    reassign: bool = False,
) -> PlannedItem:
    """Plan that a listed number has some settings.

    :param kind: the kind of the number.
    :param target: the number.
    :param now: what the workspace says; ``None`` where it does not list the number.
    :param changes: the settings; a name that is absent stays as it is, an agent of ``None`` unassigns.
    :param reassign: whether the number may be taken from another agent.
    """
    if now is None:
        blank = kind.digest(None)
        return PlannedItem(target, blank, blank, findings=(_not_listed(target),))
    after = replace(now, **changes)
    before_digest, after_digest = kind.digest(now), kind.digest(after)
    findings: tuple[Finding, ...] = ()
    if "agent_id" in changes:
        findings = plan_assignment(
            kind, target, now, agent_id=changes["agent_id"], reassign=reassign
        ).findings
    if before_digest == after_digest:
        return PlannedItem(target, before_digest, after_digest, findings=findings)
    return PlannedItem(
        target,
        before_digest,
        after_digest,
        changes=tuple(kind.diff(now, after)),
        findings=findings,
        writes=1,
        transition=Transition(target, now, after),
    )


def _not_listed(target: Resource) -> Finding:
    return error(
        "not_listed",
        f"The workspace does not list {target.name}, so it has no settings yet. Assign it first.",
    )
