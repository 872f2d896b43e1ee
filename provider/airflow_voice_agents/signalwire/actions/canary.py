"""Sends the first update alone, because no document says that an update keeps the fields that it does not send."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from airflow_voice_agents.engine.concurrency import Sender
from airflow_voice_agents.engine.run_context import RunContext
from airflow_voice_agents.plans.plan import Plan, TargetPlan
from airflow_voice_agents.plans.report import TROUBLE, Report
from airflow_voice_agents.signalwire.actions.base import SignalWireAction
from airflow_voice_agents.signalwire.api import UPDATE
from airflow_voice_agents.signalwire.models import PhoneNumber
from airflow_voice_agents.signalwire.resources.phone_number import RouteState, bystanders_of
from airflow_voice_agents.transport.api_request import ApiRequest
from airflow_voice_agents.transport.errors import BadRequest

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
