"""Delete numbers from the workspace: only those that are named twice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from msgspec.structs import replace

from airflow_voice_agents.omnia_voice.actions.base import NumbersAction, Workspace
from airflow_voice_agents.omnia_voice.resources.presence import (
    REMOVED,
    Presence,
    PresenceKind,
    listed_number,
)
from airflow_voice_agents.plans.kind import Resource
from airflow_voice_agents.plans.plan import PlannedItem
from airflow_voice_agents.plans.report import ItemReport, Status
from airflow_voice_agents.transport.errors import GuardRefused
from airflow_voice_agents.transport.validation import differing, parse_numbers


@dataclass(frozen=True, kw_only=True)
class DeleteNumbers(NumbersAction):
    """A deletion of numbers.

    :param numbers: E.164 numbers without repeats, in order.
    """

    operation: ClassVar[str] = "delete numbers"

    numbers: tuple[str, ...]

    @property
    def kind(self) -> PresenceKind:
        """The kind of presence."""
        return PresenceKind()

    def desired(self) -> Mapping[Resource, Presence]:
        """Return the absence of every number."""
        return {listed_number(self.workspace.platform, number): REMOVED for number in self.numbers}

    def explain(self, planned: PlannedItem, item: ItemReport) -> ItemReport:
        """Return an item's report; a number that is not listed says so."""
        told = super().explain(planned, item)
        if told.status is not Status.UNCHANGED or told.reason:
            return told
        return replace(told, reason="the workspace does not list it")


def parse(workspace: Workspace, phone_numbers: object, expected: object) -> DeleteNumbers:
    """Check the arguments of a deletion.

    :param workspace: the workspace.
    :param phone_numbers: the numbers.
    :param expected: the very same numbers, from the DAG's author.
    :raises InputError: for malformed numbers.
    :raises GuardRefused: when the two are not the same set.
    """
    numbers = parse_numbers(phone_numbers)
    if difference := differing(numbers, parse_numbers(expected, name="expected")):
        raise GuardRefused(
            f"{DeleteNumbers.operation}: phone_numbers and expected are not the same set: {difference}. A deletion "
            "cannot be undone here, so nothing was read or written."
        )
    return DeleteNumbers(workspace=workspace, numbers=numbers)
