"""Promote and roll back deployments: one target, and at most one write.

Every write adds a record to the history, so none is sent for a version that runs already, and none is
repeated after an unknown outcome.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from msgspec.structs import replace

from airflow_voice_agents.engine.action import Scope
from airflow_voice_agents.engine.concurrency import Sender
from airflow_voice_agents.engine.policy import BlockDigests
from airflow_voice_agents.engine.run_context import RunContext
from airflow_voice_agents.plans.guards import GuardContext
from airflow_voice_agents.plans.kind import Kinds, Resource, WriteResult
from airflow_voice_agents.plans.plan import Finding, Plan, PlannedItem, TargetPlan, error, no_change
from airflow_voice_agents.plans.report import ItemReport, Report, Status
from airflow_voice_agents.plans.rollback_text import RollbackTargets
from airflow_voice_agents.polyai import api
from airflow_voice_agents.polyai.actions.base import PolyAIAction, target_name
from airflow_voice_agents.polyai.actions.deployment_model import find_model, parse_model
from airflow_voice_agents.polyai.actions.deployment_xcoms import (
    DeploymentXComs,
    OnFacts,
    silent,
    with_advice,
)
from airflow_voice_agents.polyai.actions.tested import tested
from airflow_voice_agents.polyai.ladder import LADDER, LIVE, check_ladder
from airflow_voice_agents.polyai.models import Deployment, Environment, parse_environment
from airflow_voice_agents.polyai.resources.deployment import (
    KIND,
    DeploymentKind,
    DeploymentRules,
    DeploymentState,
    Via,
    Way,
    deployment,
    needs_history,
    plan_deployment,
    plan_return,
    refusals,
    state_of,
    unexpected_target,
    version_facts,
)
from airflow_voice_agents.polyai.resources.deployment_model import Model
from airflow_voice_agents.polyai.resources.deployment_records import PREVIOUS, choose
from airflow_voice_agents.polyai.resources.test_gate import TestGate
from airflow_voice_agents.transport.errors import CallError, InputError
from airflow_voice_agents.transport.validation import parse_choice, parse_identifier, parse_lines, parse_text

STRATEGIES = ("rollback", "promote")

Active = Mapping[str, Deployment | None]
WENT_WELL = (Status.CHANGED, Status.UNCHANGED)


class DeploymentTarget(TargetPlan, frozen=True):
    """The planned target of a deployment.

    :param now: what the environment runs.
    """

    not_compared = (*TargetPlan.not_compared, "now")

    now: DeploymentState | None = None


@dataclass(frozen=True, kw_only=True)
class DeployingAction(PolyAIAction):
    """Base of the actions that deploy to one environment of an agent, and publish the ids of what they deployed.

    :param agent_id: the agent.
    :param environment: the environment that is deployed to.
    :param on_facts: receives version and ids as soon as they are known.
    """

    agent_id: str
    environment: Environment
    on_facts: OnFacts = field(default=silent, compare=False)

    @property
    def deployment(self) -> Resource:
        """The address of what the environment runs."""
        return deployment(self.agent_id, self.environment)

    @property
    def target(self) -> str:
        """The name that locks, blocks and reports use."""
        return target_name(self.agent_id, self.environment)

    def xcoms(self, run: RunContext) -> DeploymentXComs:
        """Return what publishes the ids, and remembers them across tries.

        :param run: the run.
        """
        return DeploymentXComs(self.deployment, self.on_facts, run)

    def scope(self) -> Scope:
        """Return the environment."""
        return Scope((self.target,), live=self.environment == LIVE)

    def sender(self, send: Sender, targets: Sequence[TargetPlan]) -> Sender:
        """Return a sender whose refusals say what to do next."""
        return with_advice(send)

    async def active(self, run: RunContext) -> Active:
        """Read what each environment runs.

        Vendor operation: get active deployments.

        :param run: the run.
        """
        return await run.send(api.get_active_deployments(self.agent_id))

    async def plan(self, run: RunContext, *, done: Collection[str] = ()) -> Sequence[TargetPlan]:
        """Read what runs and plan the one write."""
        read_at = run.clock()
        active = await self.active(run)
        item = await self.item(run, active)
        reached = self.reached(run, item)
        return [
            DeploymentTarget(
                target_name(self.agent_id, reached),
                (item,),
                read_at,
                live=reached == LIVE,
                locks=self.scope().targets,
                now=state_of(active.get(reached)),
            )
        ]

    def reached(self, run: RunContext, item: PlannedItem) -> str:
        """Return the environment that a planned write deploys to.

        :param run: the run.
        :param item: the planned write.
        """
        return self.environment

    @abstractmethod
    async def item(self, run: RunContext, active: Active) -> PlannedItem:
        """Plan the one write.

        :param run: the run.
        :param active: what each environment runs.
        """

    def before_writes(self, run: RunContext, targets: Sequence[TargetPlan]) -> None:
        """Publish what runs, and note for later tries what runs before the write."""
        for target in targets:
            now = target.now if isinstance(target, DeploymentTarget) else None
            if target.changed:
                self.xcoms(run).starting(now, **self.noted(target.items[0]))
            else:
                self.xcoms(run).stands(now)

    def noted(self, item: PlannedItem) -> dict[str, str]:
        """Return further facts that a later try must know.

        :param item: the planned write.
        """
        return {}

    def on_result(self, run: RunContext, resource: Resource, result: WriteResult[Any]) -> None:
        """Publish the ids in the answer at once."""
        self.xcoms(run).made(result.facts)

    async def finish(self, run: RunContext, plan: Plan, report: Report) -> Report:
        """Publish what runs where no answer showed it."""
        item, planned = report.items[0], plan.items[0]
        written = planned.changed and item.status in WENT_WELL and not report.dry_run
        if not written or "deployment_id" in item.details:
            return report
        try:
            active = await self.active(run)
        except CallError as failure:
            run.log(f"{self.operation}: which record {self.target} runs could not be read: {failure}")
        else:
            self.xcoms(run).stands(state_of(active.get(self.environment)))
        return report


@dataclass(frozen=True, kw_only=True)
class _VersionAction(DeployingAction):
    """Base of promotion and rollback, which lead to a known version."""

    def kinds(self) -> Kinds:
        """Return the one kind."""
        return {KIND: DeploymentKind()}

    def noted(self, item: PlannedItem) -> dict[str, str]:
        """Return the version that is wanted."""
        return {} if item.transition is None else {"version": item.transition.after.version or ""}

    def explain(self, planned: PlannedItem, item: ItemReport) -> ItemReport:
        """Return the report with versions, and with the warnings of the plan."""
        details = dict(item.details)
        if planned.transition is not None:
            before = planned.transition.before
            details["previous_version"] = before.version if before else None
            details["version"] = planned.transition.after.version
        said = "; ".join(finding.message for finding in planned.findings if item.status in WENT_WELL)
        return replace(item, reason="; ".join(filter(None, (item.reason, said))), details=details)


@dataclass(frozen=True, kw_only=True)
class PromoteDeployment(_VersionAction):
    """A promotion.

    Costs one request when there is nothing to do; else the read, the write and, with ``verify``, a read after
    it. The sandbox's history is one more, where a version would be replaced whose age must be known.

    Vendor operations: get active deployments, list deployments, promote deployment.

    :param source: environment whose version is taken.
    :param rules: the conditions of the promotion.
    :param tests: tests that must have passed on the version; ``None`` asks for none.
    """

    operation: ClassVar[str] = "promote deployment"

    source: Environment
    rules: DeploymentRules = field(default_factory=DeploymentRules)
    tests: TestGate | None = None

    def guards(self, given: GuardContext) -> Iterator[Finding]:
        """Guard the model of the project, live, and the order of the environments."""
        yield from refusals(self.deployment, self.rules, self.source)
        yield from super().guards(given)
        yield from check_ladder(self.source, self.environment, given)

    async def item(self, run: RunContext, active: Active) -> PlannedItem:
        """Plan the promotion, unless the target runs the version already."""
        kind = DeploymentKind()
        known = await find_model(run, self.agent_id, self.rules.deployment_model)
        rules = replace(self.rules, known_model=known)
        history: list[Deployment] = []
        if needs_history(kind, self.deployment, active, rules, self.source):
            history = await run.send(api.list_deployments(self.agent_id, environment=Environment.SANDBOX))
        item = plan_deployment(kind, self.deployment, active, history, rules, self.source)
        item = await tested(item, self.tests, run.send)
        source = f"{self.agent_id}/{self.source}"
        facts = version_facts(active, history, target=self.environment, source=self.source)
        return replace(item, facts={**facts, "source": source})


@dataclass(frozen=True, kw_only=True)
class RollbackDeployment(_VersionAction):
    """A rollback, which blocks the version that it leaves.

    What ``previous`` means is decided once per task: a retry goes to the same record. Costs one request when the
    version or id named runs already; else two reads, the write and, with ``verify``, a read after it;
    ``previous`` by promotion reads both histories.

    Vendor operations: get active deployments, list deployments, roll back deployment or promote deployment.

    :param to: id of a deployment, a version, or ``previous``.
    :param strategy: ``rollback``, or ``promote``: live takes an older deployment of pre-release.
    :param expected_target_version: version that must run now, unless it is the wanted one; ``None`` takes any.
    :param allow_previous_live: live may go back without a version or id.
    :param deployment_model: how the project's content reaches its environments; ``None`` assumes the ladder.
    :param message: kept with the new deployment; the platform has been seen to drop it.
    """

    operation: ClassVar[str] = "roll back deployment"
    rolls_back: ClassVar[bool] = True

    to: str
    strategy: str = "rollback"
    expected_target_version: str | None = None
    allow_previous_live: bool = False
    deployment_model: Model | None = None
    message: str = field(default="", repr=False)

    def guards(self, given: GuardContext) -> Iterator[Finding]:
        """Guard live, and the model of the project."""
        yield from super().guards(given)
        if self.to == PREVIOUS and self.environment == LIVE and not self.allow_previous_live:
            yield error(
                "previous_live",
                "What live goes back to must be named by version or id. Pass allow_previous_live=True to let the "
                "history decide.",
            )
        if self.deployment_model is Model.BRANCHES:
            yield from self._against_branches()

    def _against_branches(self) -> Iterator[Finding]:
        if self.environment != LIVE:
            yield error(
                "simplified_model",
                "In a project on the branches model only live can be rolled back; this would roll back "
                f"{self.environment}.",
            )
        if self.strategy == "promote":
            yield error(
                "simplified_model",
                "In a project on the branches model nothing is promoted, also not to go back. Pass "
                "strategy='rollback'.",
            )

    async def finish(self, run: RunContext, plan: Plan, report: Report) -> Report:
        """Return the report; one that is not complete says first what still runs."""
        report = await super().finish(run, plan, report)
        targets = RollbackTargets({self.target: [self.deployment]}, lambda _: self.environment == LIVE)
        return targets.account(plan, report)

    async def _about_model(self, run: RunContext) -> tuple[Finding, ...]:
        """Return what the model of the project forbids; a rollback of live is the same in both models."""
        if self.deployment_model is not Model.AUTO:
            return ()
        known = await find_model(run, self.agent_id, self.deployment_model)
        same = self.environment == LIVE and self.strategy == "rollback"
        against = self._against_branches() if known.model is Model.BRANCHES else ()
        return (*known.findings(self.agent_id, stops=not same), *against)

    def block_digests(self, targets: Sequence[TargetPlan]) -> BlockDigests:
        """Return the version that is rolled back from."""
        return {
            target.name: {item.resource: item.before for item in target.items if item.changed}
            for target in targets
            if target.changed
        }

    def noted(self, item: PlannedItem) -> dict[str, str]:
        """Return the version and the record that are gone back to."""
        via = item.transition.after.via if item.transition else None
        where = {"to": self._asked, "record": via.deployment_id} if via else {}
        return {**super().noted(item), **where}

    async def item(self, run: RunContext, active: Active) -> PlannedItem:
        """Plan the way back, unless the version runs already."""
        kind, target, now = DeploymentKind(), self.deployment, state_of(active.get(self.environment))
        if now and now.version and self.to in (now.version, now.deployment_id):
            return plan_return(kind, target, now, now)
        found = self.xcoms(run).chosen(self._asked, now) or await self._choice(run, now)
        if isinstance(found, Finding):
            return no_change(kind, target, now, found)
        run.log(
            f"{self.operation}: {self.to} of {target} means deployment {found.deployment_id}, version "
            f"{found.version}" + (f", made {found.created_at}" if found.created_at else "")
        )
        way = Way.PROMOTE if self.strategy == "promote" else Way.ROLL_BACK
        wanted = replace(found, via=Via(way, found.deployment_id or "", self.message))
        unexpected = unexpected_target(target, now, self.expected_target_version)
        return plan_return(kind, target, now, wanted, (*await self._about_model(run), *unexpected))

    @property
    def _asked(self) -> str:
        return f"{self.strategy} to {self.to}"

    async def _choice(self, run: RunContext, now: DeploymentState | None) -> DeploymentState | Finding:
        version, to, origin = now.version if now else None, self.to, self.environment
        if self.strategy == "promote":
            origin = Environment.PRE_RELEASE
            if to == PREVIOUS:
                records = await self._records(run, self.environment)
                found = choose(records, to, self.environment, now=version)
                if isinstance(found, Finding):
                    return found
                to = found.version or ""
        record = choose(await self._records(run, origin), to, origin, now=version)
        return record if isinstance(record, Finding) else state_of(record) or DeploymentState(None)

    async def _records(self, run: RunContext, environment: Environment) -> list[Deployment]:
        return await run.send(api.list_deployments(self.agent_id, environment=environment))


def parse_promote(agent_id: object, source: object, target: object, **options: Any) -> PromoteDeployment:
    """Check the arguments of a promotion and return the action.

    :param agent_id: the agent.
    :param source: environment whose version is taken.
    :param target: environment that will run it.
    :param options: fields of :class:`.DeploymentRules`, and further fields of :class:`PromoteDeployment`.
    :raises InputError: for an invalid argument; the message names it.
    """
    origin = parse_environment(source, name="source_environment")
    goal = parse_environment(target, name="target_environment")
    if LADDER.index(origin) >= LADDER.index(goal):
        raise InputError(f"nothing is promoted from {origin.value} to {goal.value}: name a later environment")
    return PromoteDeployment(
        tests=TestGate.parse(options.pop("tests", None)),
        agent_id=parse_identifier(agent_id, name="agent_id"),
        source=origin,
        environment=goal,
        rules=DeploymentRules(
            expected_version=parse_version(options.pop("expected_version", None), "expected_version"),
            expected_target_version=parse_version(
                options.pop("expected_target_version", None), "expected_target_version"
            ),
            allow_downgrade=options.pop("allow_downgrade", False),
            deployment_model=parse_model(options.pop("deployment_model", None)),
            message=parse_lines(options.pop("message", ""), name="message"),
        ),
        **options,
    )


def parse_rollback(agent_id: object, environment: object, to: object, **options: Any) -> RollbackDeployment:
    """Check the arguments of a rollback and return the action.

    :param agent_id: the agent.
    :param environment: environment that goes back.
    :param to: id of a deployment, a version, or ``previous``.
    :param options: further fields of :class:`RollbackDeployment`.
    :raises InputError: for an invalid argument; the message names it.
    """
    place = parse_environment(environment)
    strategy = parse_choice(options.pop("strategy", "rollback"), name="strategy", choices=STRATEGIES)
    if strategy == "promote" and place != LIVE:
        raise InputError(
            "strategy 'promote' is for live, which then takes an older deployment of pre-release"
        )
    return RollbackDeployment(
        agent_id=parse_identifier(agent_id, name="agent_id"),
        environment=place,
        to=parse_identifier(to, name="to"),
        strategy=strategy,
        expected_target_version=parse_version(
            options.pop("expected_target_version", None), "expected_target_version"
        ),
        deployment_model=parse_model(options.pop("deployment_model", None)),
        message=parse_lines(options.pop("message", ""), name="message"),
        **options,
    )


def parse_version(value: object, name: str) -> str | None:
    """Check a version that something is expected to run.

    :param value: the version, or ``None`` for any.
    :param name: what to call the argument in the error.
    :raises InputError: for an empty text as well, which a template makes of nothing.
    """
    if value == "":
        raise InputError(f"{name} is an empty text; pass None if any version will do")
    return None if value is None else parse_text(value, name=name)
