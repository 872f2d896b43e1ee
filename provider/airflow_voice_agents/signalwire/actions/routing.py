"""Routes numbers: one list, a comparison, and a write for each number that differs."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeVar

from msgspec.structs import replace

from airflow_voice_agents.engine.action import Scope
from airflow_voice_agents.engine.concurrency import Sender
from airflow_voice_agents.engine.run_context import RunContext
from airflow_voice_agents.plans.kind import Kinds, Resource
from airflow_voice_agents.plans.plan import Plan, TargetPlan
from airflow_voice_agents.plans.report import TROUBLE, Report
from airflow_voice_agents.signalwire.actions.base import SignalWireAction, numbers_scope, space_plan
from airflow_voice_agents.signalwire.api import UPDATE
from airflow_voice_agents.signalwire.models import PhoneNumber
from airflow_voice_agents.signalwire.resources.inventory import NumberSelection, Space, select_numbers
from airflow_voice_agents.signalwire.resources.phone_number import (
    KIND,
    RouteState,
    RoutingKind,
    bystanders_of,
    carrier_number,
    state_of,
)
from airflow_voice_agents.signalwire.resources.route_fingerprint import Routes
from airflow_voice_agents.transport.api_request import ApiRequest
from airflow_voice_agents.transport.errors import BadRequest, GuardRefused, InputError

T = TypeVar("T")


class Canary:
    """A sender of updates: the first goes alone, and none follow if it cleared a field that it did not send."""

    def __init__(self) -> None:
        self._send: Sender | None = None
        self._states: dict[str, RouteState] = {}
        self._turn = asyncio.Lock()
        self._is_back = False
        self.cleared: list[str] = []
        """The fields that the first update cleared, by name."""

    def watching(self, send: Sender, targets: Sequence[TargetPlan]) -> Sender:
        """Return the canary as the sender of a plan's writes.

        :param send: sends a request.
        :param targets: the planned targets.
        """
        items = [item for target in targets for item in target.items if item.transition is not None]
        states = {item.resource.name: item.transition.before for item in items if item.transition}
        self._send = send
        self._states = {name: each for name, each in states.items() if isinstance(each, RouteState)}
        return self

    async def __call__(self, request: ApiRequest[T], /) -> T:
        """Send a request; the second update waits for the answer to the first.

        :param request: the request.
        :raises CallError: as the sender does, and in place of every update after one that did harm.
        """
        send = self._send
        if send is None:
            raise RuntimeError("the canary watches no sender yet")
        if request.operation != UPDATE:
            return await send(request)
        if not self._is_back:
            async with self._turn:
                if not self._is_back:
                    answer = await send(request)
                    self._is_back = True
                    self._look_at(answer)
                    return answer
        if self.cleared:
            raise BadRequest(
                f"not sent, because an update of another number cleared its {', '.join(self.cleared)}: this space "
                "replaces records rather than merging into them",
                operation=request.operation,
                method=request.method,
                route=request.route,
                advice="Set those fields again in the dashboard, and route numbers there.",
            )
        return await send(request)

    def _look_at(self, answer: object) -> None:
        if isinstance(answer, PhoneNumber) and answer.number in self._states:
            self.cleared = sorted(self._states[answer.number].bystanders - bystanders_of(answer))


@dataclass(frozen=True, kw_only=True)
class UpdatingAction(SignalWireAction):
    """Base of the actions that update call routing.

    :param canary: watches the first update.
    """

    canary: Canary = field(default_factory=Canary, compare=False, repr=False)

    def sender(self, send: Sender, targets: Sequence[TargetPlan]) -> Sender:
        """Return the sender that lets the first update go alone."""
        return self.canary.watching(send, targets)

    async def finish(self, run: RunContext, plan: Plan, report: Report) -> Report:
        """Return the report; where an update did harm, trying again would do more."""
        if not self.canary.cleared:
            return report
        items = (replace(item, permanent=True) if item.status in TROUBLE else item for item in report.items)
        return replace(report, items=tuple(items))


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
            reason = await self.selection.why_none(run.send, self.space.base_url)
            raise GuardRefused(
                f"{self.operation}: no number of space {self.space.label} fits. {reason} Nothing was written."
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
    :raises InputError: for an invalid argument; the message names it.
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
