"""Promote what an environment runs, and go back: one plan of one target, and one write at most.

Every write adds a record to the history, so none is sent for a version that runs already, and none is
repeated after an unknown outcome unless a read shows that it did not happen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from airflow_voice_agents.engine.run_context import ApplyOptions, RunContext, execute
from airflow_voice_agents.plans.guards import check_live
from airflow_voice_agents.plans.kind import Resource
from airflow_voice_agents.plans.plan import Finding, Plan, PlannedItem, error
from airflow_voice_agents.plans.render import Display
from airflow_voice_agents.plans.report import ItemReport, Report, Status
from airflow_voice_agents.polyai import api
from airflow_voice_agents.polyai.actions.deployment_xcoms import DeploymentXComs, OnFacts, silent, with_advice
from airflow_voice_agents.polyai.ladder import LADDER, LIVE, check_ladder
from airflow_voice_agents.polyai.models import Deployment, Environment, parse_environment
from airflow_voice_agents.polyai.resources.deployment import (
    DeploymentKind,
    DeploymentRules,
    DeploymentState,
    Model,
    Via,
    Way,
    deployment,
    needs_history,
    plan_deployment,
    plan_return,
    refusals,
    state_of,
    unexpected_target,
)
from airflow_voice_agents.polyai.resources.deployment_records import PREVIOUS, choose
from airflow_voice_agents.transport.errors import CallError, InputError
from airflow_voice_agents.transport.validation import parse_choice, parse_identifier, parse_lines, parse_text

PROMOTE = "promote deployment"
ROLL_BACK = "roll back deployment"
STRATEGIES = ("rollback", "promote")

VERSIONS_SHOWN = Display(show_values=True)
"""All that such a plan holds is versions, which are identifiers."""

Active = dict[str, Deployment | None]


@dataclass(frozen=True, slots=True)
class PromoteJob:
    """A promotion, checked and ready to run.

    :param agent_id: the agent.
    :param source: environment whose version is taken.
    :param target: environment that shall run it.
    :param rules: what must be met.
    :param manner: how the plan is carried out.
    :param tell: receives version and ids as soon as they are known.
    """

    agent_id: str
    source: Environment
    target: Environment
    rules: DeploymentRules = field(default_factory=DeploymentRules)
    manner: ApplyOptions = field(default_factory=lambda: ApplyOptions(display=VERSIONS_SHOWN))
    tell: OnFacts = silent

    async def run(self, run: RunContext) -> Report:
        """Read what runs where, promote unless the target runs it already, and report.

        Costs one request when there is nothing to do; else the read, the write and, with ``verify``, a read
        after it. The sandbox's history is one more, where a version would be replaced whose age must be known.

        Vendor operations: get active deployments, list deployments, promote deployment.

        :param run: what the run works with.
        :raises GuardRefused: when a guard refuses before anything was read.
        :raises StateMoved: when the plan is not the one expected.
        :returns: the report; with an error in the plan, one in which nothing was written.
        """
        run.guard(PROMOTE, self._guards(run), dry_run=self.manner.dry_run)
        bringing = _DeploymentApply(run, PROMOTE, deployment(self.agent_id, self.target), self.tell)
        await bringing.look()
        return await bringing.run(await self._plan(run, bringing), self.manner)

    def _guards(self, run: RunContext) -> Iterator[Finding]:
        yield from refusals(deployment(self.agent_id, self.target), self.rules, self.source)
        yield from check_live([self.target], run.guard_context)
        yield from check_ladder(self.source, self.target, run.guard_context)

    async def _plan(self, run: RunContext, seen: _DeploymentApply) -> PlannedItem:
        given = (seen.kind, seen.target, seen.active)
        history: list[Deployment] = []
        if needs_history(*given, self.rules, self.source):
            history = await run.send(api.list_deployments(self.agent_id, environment=Environment.SANDBOX))
        return plan_deployment(*given, history, self.rules, self.source)


@dataclass(frozen=True, slots=True)
class RollbackJob:
    """A rollback, checked and ready to run.

    :param agent_id: the agent.
    :param environment: environment that goes back.
    :param to: id of a deployment, a version, or ``previous``.
    :param strategy: ``rollback``, or ``promote``: live takes an older deployment of pre-release.
    :param expected_target_version: version that must run now, unless it is the wanted one; ``None`` takes any.
    :param allow_previous_live: live may go back without a version or id.
    :param deployment_model: how the project's content reaches its environments.
    :param message: kept with the new deployment; the platform has been seen to drop it.
    :param manner: how the plan is carried out.
    :param tell: receives version and ids as soon as they are known.
    """

    agent_id: str
    environment: Environment
    to: str
    strategy: str = "rollback"
    expected_target_version: str | None = None
    allow_previous_live: bool = False
    deployment_model: str = Model.LADDER
    message: str = field(default="", repr=False)
    manner: ApplyOptions = field(default_factory=lambda: ApplyOptions(display=VERSIONS_SHOWN))
    tell: OnFacts = silent

    async def run(self, run: RunContext) -> Report:
        """Find the record to go back to, go back unless its version runs already, and report.

        What ``previous`` means is decided once per task: a retry goes to the same record. Costs one request
        when the version or id named runs already; else two reads, the write and, with ``verify``, a read
        after it; ``previous`` by promotion reads both histories.

        Vendor operations: get active deployments, list deployments, roll back deployment or promote deployment.

        :param run: what the run works with.
        :raises GuardRefused: when a guard refuses before anything was read.
        :raises StateMoved: when the plan is not the one expected.
        :returns: the report; with an error in the plan, one in which nothing was written.
        """
        run.guard(ROLL_BACK, self._guards(run), dry_run=self.manner.dry_run)
        bringing = _DeploymentApply(run, ROLL_BACK, deployment(self.agent_id, self.environment), self.tell)
        await bringing.look()
        item = await self._plan(run, bringing)
        return await bringing.run(item, self.manner, to=self._asked)

    @property
    def _asked(self) -> str:
        return f"{self.strategy} to {self.to}"

    def _guards(self, run: RunContext) -> Iterator[Finding]:
        yield from check_live([self.environment], run.guard_context)
        if self.to == PREVIOUS and self.environment == LIVE and not self.allow_previous_live:
            yield error(
                "previous_live",
                "What live goes back to must be named by version or id. Pass allow_previous_live=True to let the "
                "history decide.",
            )
        if self.deployment_model == Model.SIMPLIFIED and self.environment != LIVE:
            yield error(
                "simplified_model",
                "In a project on simplified deployments only live can be rolled back; this would roll back "
                f"{self.environment}.",
            )

    async def _plan(self, run: RunContext, seen: _DeploymentApply) -> PlannedItem:
        if seen.now and seen.version and self.to in (seen.version, seen.now.deployment_id):
            return plan_return(seen.kind, seen.target, seen.now, seen.now)
        found = seen.facts.chosen(self._asked, seen.now) or await self._choice(run, seen)
        if isinstance(found, Finding):
            blank = seen.kind.digest(seen.now)
            return PlannedItem(seen.target, blank, blank, findings=(found,))
        run.log(
            f"{ROLL_BACK}: {self.to} of {seen.target} means deployment {found.deployment_id}, version "
            f"{found.version}" + (f", made {found.created_at}" if found.created_at else "")
        )
        way = Way.PROMOTE if self.strategy == "promote" else Way.ROLL_BACK
        wanted = replace(found, via=Via(way, found.deployment_id or "", self.message))
        doubts = unexpected_target(seen.target, seen.now, self.expected_target_version)
        return plan_return(seen.kind, seen.target, seen.now, wanted, doubts)

    async def _choice(self, run: RunContext, seen: _DeploymentApply) -> DeploymentState | Finding:
        now, to = seen.version, self.to
        origin = self.environment
        if self.strategy == "promote":
            origin = Environment.PRE_RELEASE
            if to == PREVIOUS:
                found = choose(await self._records(run, self.environment), to, self.environment, now=now)
                if isinstance(found, Finding):
                    return found
                to = found.version or ""
        record = choose(await self._records(run, origin), to, origin, now=now)
        return record if isinstance(record, Finding) else state_of(record) or DeploymentState(None)

    async def _records(self, run: RunContext, environment: Environment) -> list[Deployment]:
        return await run.send(api.list_deployments(self.agent_id, environment=environment))


def promote_job(agent_id: object, source: object, target: object, **options: Any) -> PromoteJob:
    """Check the arguments of a promotion and return it ready to run.

    :param agent_id: the agent.
    :param source: environment whose version is taken.
    :param target: environment that shall run it.
    :param options: fields of :class:`.DeploymentRules`, and further fields of :class:`PromoteJob`.
    :raises InputError: naming the argument that is wrong.
    """
    origin = parse_environment(source, name="source_environment")
    goal = parse_environment(target, name="target_environment")
    if LADDER.index(origin) >= LADDER.index(goal):
        raise InputError(f"nothing is promoted from {origin.value} to {goal.value}: name a later environment")
    return PromoteJob(
        parse_identifier(agent_id, name="agent_id"),
        origin,
        goal,
        rules=DeploymentRules(
            expected_version=parse_version(options.pop("expected_version", None), "expected_version"),
            expected_target_version=parse_version(
                options.pop("expected_target_version", None), "expected_target_version"
            ),
            allow_downgrade=options.pop("allow_downgrade", False),
            deployment_model=parse_model(options.pop("deployment_model", Model.LADDER)),
            message=parse_lines(options.pop("message", ""), name="message"),
        ),
        **options,
    )


def rollback_job(agent_id: object, environment: object, to: object, **options: Any) -> RollbackJob:
    """Check the arguments of a rollback and return it ready to run.

    :param agent_id: the agent.
    :param environment: environment that goes back.
    :param to: id of a deployment, a version, or ``previous``.
    :param options: further fields of :class:`RollbackJob`.
    :raises InputError: naming the argument that is wrong.
    """
    place = parse_environment(environment)
    strategy = parse_choice(options.pop("strategy", "rollback"), name="strategy", choices=STRATEGIES)
    if strategy == "promote" and place != LIVE:
        raise InputError(
            "strategy 'promote' is for live, which then takes an older deployment of pre-release"
        )
    return RollbackJob(
        parse_identifier(agent_id, name="agent_id"),
        place,
        parse_identifier(to, name="to"),
        strategy=strategy,
        expected_target_version=parse_version(
            options.pop("expected_target_version", None), "expected_target_version"
        ),
        deployment_model=parse_model(options.pop("deployment_model", Model.LADDER)),
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


def parse_model(value: object) -> Model:
    """Check the deployment model of a project.

    :param value: ``ladder`` or ``simplified``.
    :raises InputError: for anything else.
    """
    return Model(parse_choice(value, name="deployment_model", choices=tuple(Model)))


class _DeploymentApply:
    """One try: what was seen, and how the target is brought to what the plan says."""

    def __init__(self, run: RunContext, operation: str, target: Resource, tell: OnFacts) -> None:
        self._run = run
        self._operation = operation
        self.target = target
        self.facts = DeploymentXComs(target, tell, run.task_state)
        self.kind = DeploymentKind(heard=lambda _, answer: self.facts.made(answer, self.now))
        self.active: Active = {}
        self._planned_at = run.clock()

    @property
    def now(self) -> DeploymentState | None:
        """What the target ran when it was looked at."""
        return state_of(self.active.get(self.target.name))

    @property
    def version(self) -> str | None:
        """The version of that."""
        return self.now.version if self.now else None

    async def look(self) -> None:
        """Read what each environment runs."""
        self.active = await self._run.send(api.get_active_deployments(self.target.owner))

    async def run(self, item: PlannedItem, manner: ApplyOptions, *, to: str = "") -> Report:
        """Carry the plan out and tell the facts.

        :param item: the target as planned.
        :param manner: how.
        :param to: what a later try would be asked to go to.
        """
        before = self.now
        if not (item.errors or manner.dry_run):
            if item.transition is None:
                self.facts.stands(before)
            else:
                self.facts.starting(before, **_wanted(item.transition.after, to))
        report = await execute(
            replace(self._run, send=with_advice(self._run.send)),
            self.kind,
            Plan(self._operation, (item,)),
            replace(manner, explain=self._explain(before)),
            planned_at=self._planned_at,
        )
        if report.having(Status.CHANGED, Status.UNCHANGED) and item.changed and not manner.dry_run:
            await self._tell_unanswered()
        return report

    async def _tell_unanswered(self) -> None:
        """Read which record it was, where no answer told."""
        if self.kind.answer(self.target) is not None:
            return
        try:
            await self.look()
        except CallError as failure:
            self._run.log(f"{self._operation}: which record {self.target} runs could not be read: {failure}")
        else:
            self.facts.stands(self.now)

    def _explain(self, before: DeploymentState | None) -> Callable[[PlannedItem, ItemReport], ItemReport]:
        def explain(planned: PlannedItem, item: ItemReport) -> ItemReport:
            details: dict[str, Any] = {**item.details, "previous_version": before.version if before else None}
            if planned.transition is not None:
                details["version"] = planned.transition.after.version
            if answer := self.kind.answer(self.target):
                details["deployment_id"] = answer.deployment.id
            said = "; ".join(finding.message for finding in planned.findings if item.status in _WENT_WELL)
            return replace(item, reason="; ".join(filter(None, (item.reason, said))), details=details)

        return explain


_WENT_WELL = (Status.CHANGED, Status.UNCHANGED)


def _wanted(after: DeploymentState, to: str) -> dict[str, str]:
    wanted = {"version": after.version or ""}
    return {**wanted, "to": to, "record": after.via.deployment_id} if to and after.via else wanted
