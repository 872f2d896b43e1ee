"""The base of the actions on numbers of a workspace."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import msgspec
from msgspec.structs import replace

from airflow_voice_agents.engine.action import Action, Scope
from airflow_voice_agents.engine.applier import NOT_READ_BACK
from airflow_voice_agents.engine.planning import PlanRequest, plan_resources
from airflow_voice_agents.engine.run_context import RunContext
from airflow_voice_agents.omnia_voice.api import UpdateVerb
from airflow_voice_agents.plans.kind import Kinds, Resource, ResourceKind
from airflow_voice_agents.plans.plan import PlannedItem, TargetPlan
from airflow_voice_agents.plans.report import ItemReport, Status

UNVERIFIED = (
    "its write was answered as asked; the list was not read again, because the hourly limit is reached"
)
NEEDS_IMPORT = (
    "The platform may want a number imported in its dashboard, where the carrier's credentials are, before it "
    "can be assigned."
)


class Workspace(msgspec.Struct, frozen=True):
    """The workspace that a connection leads to.

    :param platform: name of the platform in plans, locks and reports.
    :param verb: verb that updates are sent with.
    """

    platform: str
    verb: UpdateVerb = UpdateVerb.PATCH


class NumbersPlan(TargetPlan, frozen=True):
    """The plan of a workspace's numbers.

    :param states: the present state of each number; ``None`` where it is not listed.
    """

    not_shown = ("states",)
    not_compared = (*TargetPlan.not_compared, "states")

    states: Mapping[Resource, Any] = msgspec.field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class NumbersAction(Action):
    """A change of numbers with checked arguments. Every number is live.

    :param workspace: the workspace.
    """

    counts_items: ClassVar[bool] = True

    workspace: Workspace

    @property
    @abstractmethod
    def kind(self) -> ResourceKind[Any]:
        """The kind of the numbers."""

    @abstractmethod
    def desired(self) -> Mapping[Resource, Any]:
        """Return the desired state of each number, in order."""

    def scope(self) -> Scope:
        """Return the numbers; each has a lock of its own."""
        return Scope(tuple(map(str, self.desired())), live=True)

    def kinds(self) -> Kinds:
        """Return the one kind."""
        return {self.kind.name: self.kind}

    def order(self) -> Sequence[str]:
        """Return the one target."""
        return [self.workspace.platform]

    async def plan(self, run: RunContext, *, done: Collection[str] = ()) -> Sequence[TargetPlan]:
        """List the workspace once and plan every number.

        Vendor operation: list numbers.
        """
        kind, desired = self.kind, self.desired()
        states: dict[Resource, Any] = {}

        def request(resource: Resource) -> PlanRequest:
            def compose(_: Any, now: Any) -> PlannedItem:
                states[resource] = now
                return kind.plan(resource, desired[resource], now)

            return PlanRequest(resource, None, compose)

        items = await plan_resources(run, kind, self.operation, [request(each) for each in desired])
        return [
            NumbersPlan(
                self.workspace.platform,
                tuple(items),
                live=True,
                locks=tuple(map(str, desired)),
                states=states,
            )
        ]

    def explain(self, planned: PlannedItem, item: ItemReport) -> ItemReport:
        """Return an item's report with the agents before and after, and advice."""
        return with_agents(planned, super().explain(planned, item))


def with_agents(planned: PlannedItem, item: ItemReport) -> ItemReport:
    """Return an item's report with the agents before and after, and with advice.

    :param planned: the item as planned.
    :param item: its report.
    """
    details, notes = dict(item.details), []
    if planned.transition is not None:
        details["previous_agent_id"] = getattr(planned.transition.before, "agent_id", None)
        details["agent_id"] = getattr(planned.transition.after, "agent_id", None)
        if planned.transition.before is None and item.status is Status.FAILED and item.permanent:
            notes.append(NEEDS_IMPORT)
    if item.status in (Status.CHANGED, Status.UNCHANGED):
        notes += [each.message for each in planned.findings if each.code == "stays_listed"]
    reason = UNVERIFIED if item.reason == NOT_READ_BACK else item.reason
    return replace(item, reason=" ".join(filter(None, [reason, *notes])), details=details)
