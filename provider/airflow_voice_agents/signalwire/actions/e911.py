"""Assigns emergency addresses to numbers, or removes them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import ClassVar

from airflow_voice_agents.engine.action import Scope
from airflow_voice_agents.engine.run_context import RunContext
from airflow_voice_agents.plans.kind import Kinds
from airflow_voice_agents.plans.plan import TargetPlan
from airflow_voice_agents.signalwire.actions.base import SignalWireAction, numbers_scope, space_plan
from airflow_voice_agents.signalwire.checks import parse_uuid
from airflow_voice_agents.signalwire.resources.e911 import KIND, E911Kind, e911_of, emergency_address
from airflow_voice_agents.signalwire.resources.inventory import NumberSelection, Space
from airflow_voice_agents.transport.validation import parse_numbers


@dataclass(frozen=True, kw_only=True)
class E911Action(SignalWireAction):
    """An assignment or a removal with checked arguments.

    Vendor operations: list phone numbers, get phone number, assign E911 address, remove E911 address.

    :param numbers: E.164 numbers without repeats, in order.
    :param address_id: UUID of the address, or ``None`` to remove it.
    """

    operation: ClassVar[str] = "assign E911 address"

    numbers: tuple[str, ...]
    address_id: str | None

    def scope(self) -> Scope:
        """Return the numbers."""
        return numbers_scope(self.space, self.numbers)

    def kinds(self) -> Kinds:
        """Return the kind of emergency addresses."""
        return {KIND: E911Kind(self.space.base_url)}

    async def plan(self, run: RunContext, *, done: Collection[str] = ()) -> Sequence[TargetPlan]:
        """List the numbers once and plan each.

        :param run: the run.
        :param done: unused; one space is one target.
        """
        kind, read_at = E911Kind(self.space.base_url), run.clock()
        states = await NumberSelection(self.numbers).read(run.send, self.space.base_url, e911_of)
        items = (
            kind.plan(emergency_address(self.space.label, each), self.address_id, states.get(each))
            for each in self.numbers
        )
        return [space_plan(self.space, items, read_at)]


def parse_e911(space: Space, phone_numbers: object, e911_address_id: object) -> E911Action:
    """Check the arguments of an assignment.

    :param space: the space that the numbers live in.
    :param phone_numbers: the numbers.
    :param e911_address_id: UUID of the address, or ``None`` to remove it.
    :raises InputError: for an invalid argument; the message names it.
    """
    address = None if e911_address_id is None else parse_uuid(e911_address_id, name="e911_address_id")
    return E911Action(space=space, numbers=parse_numbers(phone_numbers), address_id=address)
