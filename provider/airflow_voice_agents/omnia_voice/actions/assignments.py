"""Assign numbers to agents: list once, update listed numbers, and create others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from airflow_voice_agents.omnia_voice.actions.base import NumbersAction, NumbersPlan, Workspace
from airflow_voice_agents.omnia_voice.resources.phone_number import Assignment, AssignmentKind, agent_number
from airflow_voice_agents.plans.kind import Resource
from airflow_voice_agents.plans.plan import TargetPlan
from airflow_voice_agents.transport.errors import InputError
from airflow_voice_agents.transport.validation import (
    parse_identifier,
    parse_number_keys,
    parse_numbers,
    parse_text,
)

AGENT_NOTE = "agent_id"
"""Note in a snapshot: the agent that the run leaves on a number."""


@dataclass(frozen=True, kw_only=True)
class AssignNumbers(NumbersAction):
    """An assignment of numbers to agents.

    :param agents: number -> the agent to answer it.
    :param friendly_name: name to show for all of them; ``None`` leaves names as they are.
    :param reassign: allow to take numbers from other agents.
    :param keep_always: whether a snapshot is kept even where nothing changes.
    """

    operation: ClassVar[str] = "assign numbers"

    agents: Mapping[str, str]
    friendly_name: str | None = None
    reassign: bool = False
    keep_always: bool = False

    @property
    def kind(self) -> AssignmentKind:
        """The kind of assignments."""
        return AssignmentKind(self.workspace.verb)

    def desired(self) -> Mapping[Resource, Assignment]:
        """Return the desired assignments."""
        return {
            agent_number(self.workspace.platform, number): Assignment(
                agent_id, self.friendly_name, self.reassign
            )
            for number, agent_id in self.agents.items()
        }

    def kept_unchanged(self, targets: Sequence[TargetPlan]) -> Mapping[Resource, Any]:
        """Return the numbers that the run leaves as they are: a snapshot keeps every number of the plan."""
        if not (self.keep_always or any(target.changed for target in targets)):
            return {}
        return states_of(targets)

    def kept_notes(self, targets: Sequence[TargetPlan]) -> Mapping[Resource, Mapping[str, Any]]:
        """Return the agent that the run leaves on each number."""
        return agent_notes(targets)


def states_of(targets: Sequence[TargetPlan]) -> dict[Resource, Any]:
    """Return the present states of all numbers of a plan.

    :param targets: the planned workspace.
    """
    return {
        each: state
        for target in targets
        if isinstance(target, NumbersPlan)
        for each, state in target.states.items()
    }


def agent_notes(targets: Sequence[TargetPlan]) -> dict[Resource, dict[str, Any]]:
    """Return the agent that a plan leaves on each number that is or comes to be listed.

    :param targets: the planned workspace.
    """
    written = {
        item.resource: item.transition.after
        for target in targets
        for item in target.items
        if item.transition is not None
    }
    left = {**states_of(targets), **written}
    return {each: {AGENT_NOTE: state.agent_id} for each, state in left.items() if state is not None}


def parse_agents(phone_numbers: object, agent_id: object, assignments: object) -> dict[str, str]:
    """Check which agent is to answer which number.

    :param phone_numbers: the numbers that ``agent_id`` is to answer, as :func:`.parse_numbers` takes them; or
    :param agent_id: with ``phone_numbers``, the agent.
    :param assignments: instead of both, mapping of numbers to agents.
    :raises InputError: naming what is wrong.
    """
    if assignments is None:
        if phone_numbers is None or agent_id is None:
            raise InputError("give phone_numbers and agent_id, or assignments")
        return dict.fromkeys(parse_numbers(phone_numbers), parse_identifier(agent_id, name="agent_id"))
    if phone_numbers is not None or agent_id is not None:
        raise InputError("give either phone_numbers and agent_id, or assignments")
    return parse_assignments(assignments, name="assignments")


def parse_assignments(value: object, *, name: str) -> dict[str, str]:
    """Check a mapping of numbers to agents.

    :param value: the mapping.
    :param name: name of the argument, for the error.
    :raises InputError: naming what is wrong.
    """
    if not isinstance(value, Mapping) or not value:
        raise InputError(f"{name} must be a mapping of at least one number to its agent")
    return {
        number: parse_identifier(agent_id, name=f"{name}[{number}]")
        for number, agent_id in parse_number_keys(value, name=name).items()
    }


def parse(
    workspace: Workspace,
    agents: Mapping[str, str],
    friendly_name: object,
    *,
    reassign: bool = False,
    keep_always: bool = False,
) -> AssignNumbers:
    """Check the arguments of an assignment.

    :param workspace: the workspace.
    :param agents: number -> agent, as :func:`parse_agents` returns them.
    :param friendly_name: name to show for all of them, or ``None``.
    :param reassign: allow to take numbers from other agents.
    :param keep_always: whether a snapshot is kept even where nothing changes.
    :raises InputError: for a name that is not a line of text.
    """
    return AssignNumbers(
        workspace=workspace,
        agents=agents,
        friendly_name=None if friendly_name is None else parse_text(friendly_name, name="friendly_name"),
        reassign=reassign,
        keep_always=keep_always,
    )
