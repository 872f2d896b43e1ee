"""Releases numbers: only those that are named twice, with a read afterwards."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import ClassVar

from msgspec.structs import replace

from airflow_voice_agents.engine.action import Scope
from airflow_voice_agents.engine.run_context import RunContext
from airflow_voice_agents.plans.kind import Kinds
from airflow_voice_agents.plans.plan import PlannedItem, TargetPlan
from airflow_voice_agents.plans.report import ItemReport, Status
from airflow_voice_agents.signalwire.actions.base import SignalWireAction, numbers_scope, space_plan
from airflow_voice_agents.signalwire.resources.inventory import NumberSelection, Space
from airflow_voice_agents.signalwire.resources.ownership import (
    KIND,
    RELEASED,
    OwnershipKind,
    owned_number,
    ownership_of,
)
from airflow_voice_agents.transport.errors import GuardRefused
from airflow_voice_agents.transport.validation import differing, parse_numbers

OPERATION = "release phone numbers"


@dataclass(frozen=True, kw_only=True)
class ReleaseAction(SignalWireAction):
    """A release with checked arguments.

    Vendor operations: list phone numbers, release phone number.

    :param numbers: E.164 numbers without repeats, in order.
    """

    operation: ClassVar[str] = OPERATION

    numbers: tuple[str, ...]

    def scope(self) -> Scope:
        """Return the numbers."""
        return numbers_scope(self.space, self.numbers)

    def kinds(self) -> Kinds:
        """Return the kind of ownership."""
        return {KIND: OwnershipKind(self.space.base_url)}

    async def plan(self, run: RunContext, *, done: Collection[str] = ()) -> Sequence[TargetPlan]:
        """List the numbers once and plan each.

        :param run: the run.
        :param done: unused; one space is one target.
        """
        kind, read_at = OwnershipKind(self.space.base_url), run.clock()
        states = await NumberSelection(self.numbers).read(run.send, self.space.base_url, ownership_of)
        items = (
            kind.plan(owned_number(self.space.label, each), RELEASED, states.get(each))
            for each in self.numbers
        )
        return [space_plan(self.space, items, read_at)]

    def explain(self, planned: PlannedItem, item: ItemReport) -> ItemReport:
        """Return a number's report; one that needed no release says why."""
        if item.status is Status.UNCHANGED and not item.reason:
            item = replace(item, reason="the project does not have it")
        return super().explain(planned, item)


def parse_release(space: Space, phone_numbers: object, expected: object) -> ReleaseAction:
    """Check the arguments of a release.

    :param space: the space that the numbers live in.
    :param phone_numbers: the numbers.
    :param expected: the very same numbers, from the DAG's author.
    :raises InputError: for malformed numbers.
    :raises GuardRefused: when the two are not the same set.
    """
    numbers = parse_numbers(phone_numbers)
    if difference := differing(numbers, parse_numbers(expected, name="expected")):
        raise GuardRefused(
            f"{OPERATION}: phone_numbers and expected are not the same set: {difference}. A release "
            "cannot be undone, so nothing was read or written."
        )
    return ReleaseAction(space=space, numbers=numbers)
