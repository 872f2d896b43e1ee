"""Routes numbers: one list, a comparison, and a write for each number that differs."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from airflow_voice_agents.engine.action import Scope
from airflow_voice_agents.engine.run_context import RunContext
from airflow_voice_agents.plans.kind import Kinds, Resource
from airflow_voice_agents.plans.plan import TargetPlan
from airflow_voice_agents.signalwire.actions.base import numbers_scope, space_plan
from airflow_voice_agents.signalwire.actions.canary import UpdatingAction
from airflow_voice_agents.signalwire.resources.inventory import NumberSelection, Space, select_numbers
from airflow_voice_agents.signalwire.resources.phone_number import (
    KIND,
    RoutingKind,
    carrier_number,
    state_of,
)
from airflow_voice_agents.signalwire.resources.route_fingerprint import Routes
from airflow_voice_agents.transport.errors import GuardRefused, InputError


@dataclass(frozen=True, kw_only=True)
class RouteAction(UpdatingAction):
    """A cut-over with checked arguments.

    Vendor operations: list phone numbers, update phone number, get phone number.

    :param selection: the numbers.
    :param routes: the routes of their calls.
    """

    operation: ClassVar[str] = "route phone numbers"

    selection: NumberSelection
    routes: Routes

    def scope(self) -> Scope:
        """Return the named numbers, or the whole space for a choice by criteria."""
        return numbers_scope(self.space, self.selection.numbers)

    def kinds(self) -> Kinds:
        """Return the kind of call routing."""
        return {KIND: RoutingKind(self.space.base_url)}

    async def plan(self, run: RunContext, *, done: Collection[str] = ()) -> Sequence[TargetPlan]:
        """List the numbers once and plan each.

        :param run: the run.
        :param done: unused; one space is one target.
        :raises GuardRefused: when no number fits the criteria.
        """
        kind, read_at = RoutingKind(self.space.base_url), run.clock()
        states = await self.selection.read(run.send, self.space.base_url, state_of)
        numbers = self.selection.numbers or tuple(states)
        if not numbers:
            raise GuardRefused(
                f"{self.operation}: no number of space {self.space.label} fits. Nothing was written."
            )
        items = (
            kind.plan(carrier_number(self.space.label, each), self.routes.of(each), states.get(each))
            for each in numbers
        )
        return [space_plan(self.space, items, read_at)]

    def kept_notes(self, targets: Sequence[TargetPlan]) -> Mapping[Resource, Mapping[str, Any]]:
        """Return the fingerprints of the routes: a restore knows its own work by them, whatever else changed."""
        resources = [item.resource for target in targets for item in target.items]
        marks = self.routes.marks(each.name for each in resources)
        return {each: marks[each.name].plain() for each in resources}


def parse_route(
    space: Space,
    phone_numbers: object,
    route: object,
    routes: object,
    criteria: Mapping[str, Any],
) -> RouteAction:
    """Check the arguments of a cut-over.

    :param space: the space that the numbers live in.
    :param phone_numbers: the numbers that get ``route``; ``None`` for a choice by criteria.
    :param route: one route for all of them, or
    :param routes: mapping of numbers to routes.
    :param criteria: ``filter_name``, ``filter_number``, ``country_code``.
    :raises InputError: naming the argument that is wrong.
    """
    parsed = Routes.parse(route, routes)
    if parsed is None:
        raise InputError("give route, or routes")
    if parsed.all is None:
        if phone_numbers is not None:
            raise InputError("give either phone_numbers or routes, which names the numbers itself")
        phone_numbers = list(parsed.each)
    selection = select_numbers(phone_numbers, **criteria, voice_only=True, need_filter=True)
    return RouteAction(space=space, selection=selection, routes=parsed)
