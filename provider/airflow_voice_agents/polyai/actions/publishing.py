"""Publish ``main``, and merge a branch into it, which publishes as well.

Neither is sent again after an unknown outcome, and neither can be taken back. A snapshot keeps nothing for them:
what ran before is in the environment's history, where PolyAIRollbackDeploymentOperator finds it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Final, TypeVar

from airflow_voice_agents.engine.action import Scope
from airflow_voice_agents.engine.concurrency import Sender
from airflow_voice_agents.engine.expected import first_read_key
from airflow_voice_agents.engine.run_context import RunContext
from airflow_voice_agents.plans.guards import GuardContext
from airflow_voice_agents.plans.kind import Kinds, Resource, WriteResult
from airflow_voice_agents.plans.plan import Finding, Plan, PlannedItem, TargetPlan, error, no_change, warning
from airflow_voice_agents.plans.report import ItemReport, Report, Status
from airflow_voice_agents.polyai import api
from airflow_voice_agents.polyai.actions.base import target_name
from airflow_voice_agents.polyai.actions.deployments import Active, DeployingAction, parse_model
from airflow_voice_agents.polyai.ladder import LIVE
from airflow_voice_agents.polyai.models import Deployment, Environment, parse_environment
from airflow_voice_agents.polyai.resources import branch_merge, publication
from airflow_voice_agents.polyai.resources.branch_merge import BranchKind, BranchState, branch
from airflow_voice_agents.polyai.resources.deployment import Model, state_of
from airflow_voice_agents.polyai.resources.publication import (
    Publication,
    PublicationKind,
    is_ours,
    is_published_already,
    publication_of,
)
from airflow_voice_agents.transport.api_request import ApiRequest
from airflow_voice_agents.transport.errors import CallError, Conflict, InputError
from airflow_voice_agents.transport.validation import parse_choice, parse_identifier, parse_lines, parse_text

T = TypeVar("T")

MEMORY: Final = "merge"
"""Key of the task state under which a task remembers which branch it began to merge."""

REPLACED: Final = "replaced"
"""Detail that carries what ran before a merge to the end of the run; no part of the final report."""

NOTHING_NEW: Final = ("unchanged", "fail")


@dataclass(frozen=True, kw_only=True)
class Publish(DeployingAction):
    """A publication of ``main`` to sandbox.

    Costs a read, the write and, with ``verify``, a read after it.

    Vendor operations: get active deployments, publish deployment.

    :param environment: must be sandbox; content reaches other environments by promotion.
    :param message: kept with the deployment.
    :param nothing_new: the outcome when the draft is published already: ``unchanged`` or ``fail``.
    :param deployment_model: how the project's content reaches its environments.
    """

    operation: ClassVar[str] = "publish deployment"

    environment: Environment = Environment.SANDBOX
    message: str = field(default="", repr=False)
    nothing_new: str = "unchanged"
    deployment_model: str = Model.LADDER

    @property
    def kind(self) -> PublicationKind:
        """The kind of publications."""
        return PublicationKind(nothing_new_fails=self.nothing_new == "fail")

    def kinds(self) -> Kinds:
        """Return the one kind."""
        return {publication.KIND: self.kind}

    def guards(self, given: GuardContext) -> Iterator[Finding]:
        """Guard the environment and the model of the project."""
        if self.environment != Environment.SANDBOX:
            yield error(
                "publish_elsewhere",
                f"Nothing is published to {self.environment.value} directly. Publish to sandbox, test it there, and "
                "promote it.",
            )
        if self.deployment_model == Model.SIMPLIFIED:
            yield error(
                "simplified_model",
                "In a project on simplified deployments nothing is published: merge a branch, which goes live.",
            )

    async def item(self, run: RunContext, active: Active) -> PlannedItem:
        """Plan one more publication, unless an earlier try of the task has made it."""
        resource = publication.publication(self.agent_id, self.environment)
        now = publication_of(active.get(self.environment))
        first: Mapping[str, str | None] = run.recall(first_read_key(self.operation)) or {}
        if now and resource.key in first and _is_made_since(now, first[resource.key], self.message):
            return self.kind.plan_done(resource, first[resource.key], now)
        return self.kind.plan(resource, self.message, now)

    def sender(self, send: Sender, targets: Sequence[TargetPlan]) -> Sender:
        """Return a sender that says when there is nothing new."""

        async def sender(request: ApiRequest[T]) -> T:
            try:
                return await send(request)
            except CallError as failure:
                if is_published_already(failure):
                    failure.advice = "There is nothing new to publish."
                raise

        return sender

    def explain(self, planned: PlannedItem, item: ItemReport) -> ItemReport:
        """Return the report with what the plan says of earlier tries."""
        said = [finding.message for finding in planned.findings if finding.code == "published_earlier"]
        return replace(item, reason=item.reason or "; ".join(said))


@dataclass(frozen=True, kw_only=True)
class Merge(DeployingAction):
    """A merge of a branch into ``main``.

    Costs four requests; a branch that an earlier try of the task merged costs two. Conflicts are only named.

    Vendor operations: list branches, get active deployments, merge branch.

    :param environment: where the merge deploys to: sandbox, or live in a simplified project.
    :param branch: id or name of the branch.
    :param message: kept with the deployment.
    """

    operation: ClassVar[str] = "merge branch"

    branch: str
    message: str = field(default="", repr=False)

    def scope(self) -> Scope:
        """Return sandbox, and live where a merge goes there."""
        names = [Environment.SANDBOX, *([Environment.LIVE] if self.environment == LIVE else [])]
        return Scope(tuple(target_name(self.agent_id, each) for each in names), live=self.environment == LIVE)

    def kinds(self) -> Kinds:
        """Return the one kind."""
        return {branch_merge.KIND: BranchKind()}

    def sender(self, send: Sender, targets: Sequence[TargetPlan]) -> Sender:
        """Return a sender that says what to do about conflicts."""

        async def sender(request: ApiRequest[T]) -> T:
            try:
                return await send(request)
            except Conflict as failure:
                failure.advice = (
                    "Conflicts are never settled here: settle them in Agent Studio, and merge again."
                )
                raise

        return sender

    async def item(self, run: RunContext, active: Active) -> PlannedItem:
        """Find the branch by id or name, and plan its merge."""
        branches = await run.send(api.list_branches(self.agent_id))
        named = [each.branch_id for each in branches if each.name == self.branch and each.branch_id]
        found = [self.branch] if any(each.branch_id == self.branch for each in branches) else named
        if len(found) == 1:
            resource = branch(self.agent_id, found[0])
            return BranchKind().plan(
                resource, BranchState(False, self.message), BranchState(True, active=active)
            )
        return self._missing(run, found)

    def _missing(self, run: RunContext, found: Sequence[str]) -> PlannedItem:
        noted = run.recall(MEMORY) or {}
        if found:
            said = error(
                "ambiguous_branch",
                f"The agent has {len(found)} branches of this name: {', '.join(found)}. Give the id of one.",
            )
        elif noted.get("agent_id") == self.agent_id and noted.get("branch") == self.branch:
            merged = branch(self.agent_id, noted["branch_id"])
            return no_change(
                BranchKind(), merged, None, warning("merged_earlier", "an earlier try of this task merged it")
            )
        else:
            said = error(
                "no_branch",
                "The agent has no branch of this id or name: it is merged or deleted already, or was never there.",
            )
        return no_change(BranchKind(), branch(self.agent_id, self.branch), None, said)

    def before_writes(self, run: RunContext, targets: Sequence[TargetPlan]) -> None:
        """Note the branch, so that a later try knows that this one merged it."""
        for item in (item for target in targets for item in target.items if item.changed):
            noted = {"agent_id": self.agent_id, "branch": self.branch, "branch_id": item.resource.name}
            run.remember(MEMORY, noted)
        super().before_writes(run, targets)

    def on_result(self, run: RunContext, resource: Resource, result: WriteResult[Any]) -> None:
        """Wait for the read that shows what was deployed: the answer has no ids of it."""

    def explain(self, planned: PlannedItem, item: ItemReport) -> ItemReport:
        """Return the report with what the plan says of earlier tries."""
        said = [finding.message for finding in planned.findings if finding.code == "merged_earlier"]
        before = planned.transition.before if planned.transition else None
        replaced = {REPLACED: before.active} if isinstance(before, BranchState) else {}
        return replace(item, reason=item.reason or "; ".join(said), details={**item.details, **replaced})

    async def finish(self, run: RunContext, plan: Plan, report: Report) -> Report:
        """Look at what the merge deployed, and where."""
        found = report.items[0]
        before = found.details.get(REPLACED, {})
        item = replace(found, details={key: found.details[key] for key in found.details if key != REPLACED})
        if report.dry_run or item.status is not Status.CHANGED:
            return replace(report, items=(item,))
        test_runs = item.details.get("test_run_ids", [])
        try:
            active = await self.active(run)
        except CallError as failure:
            reason = f"it is merged; what was deployed could not be read: {failure}"
            return replace(report, items=(replace(item, reason=reason),))
        ended = self._went_live(item, before, active) or self._deployed(run, item, before, active, test_runs)
        return replace(report, items=(ended,))

    def _deployed(
        self, run: RunContext, item: ItemReport, before: Active, active: Active, test_runs: Sequence[str]
    ) -> ItemReport:
        record, place = active.get(self.environment), self.environment.value
        if record is None or not _is_new(record, before.get(self.environment)):
            return replace(item, reason=f"it is merged, and {place} shows no new deployment yet")
        past = state_of(before.get(self.environment))
        facts = {
            "previous_version": past.version if past else None,
            "version": record.version,
            "deployment_id": record.id,
        }
        self.xcoms(run).made({**facts, "test_run_ids": list(test_runs)})
        return replace(item, details={**item.details, **facts})

    def _went_live(self, item: ItemReport, before: Active, active: Active) -> ItemReport | None:
        """Fail a merge that was to go to sandbox and has also changed live."""
        live, sandbox = active.get(LIVE), active.get(Environment.SANDBOX)
        if self.environment == LIVE or live is None or not _is_new(live, before.get(LIVE)):
            return None
        if sandbox is not None and sandbox.version != live.version:
            return None
        reason = (
            f"it is merged, and live runs its version {live.version} now: this project is on simplified deployments, "
            "in which a merge goes straight to live. Roll live back if that was not meant, and pass "
            "deployment_model='simplified' from now on. Applied: the merge."
        )
        details = {**item.details, "version": live.version, "deployment_id": live.id}
        return ItemReport(item.resource, Status.FAILED, reason, permanent=True, details=details)


def parse_publish(agent_id: object, **options: Any) -> Publish:
    """Check the arguments of a publication and return the action.

    :param agent_id: the agent.
    :param options: further fields of :class:`Publish`.
    :raises InputError: naming the argument that is wrong.
    """
    return Publish(
        agent_id=parse_identifier(agent_id, name="agent_id"),
        message=parse_lines(options.pop("message", ""), name="message"),
        environment=parse_environment(options.pop("environment", Environment.SANDBOX)),
        nothing_new=parse_choice(
            options.pop("nothing_new", "unchanged"), name="nothing_new", choices=NOTHING_NEW
        ),
        deployment_model=parse_model(options.pop("deployment_model", Model.LADDER)),
        **options,
    )


def parse_merge(agent_id: object, branch: object, **options: Any) -> Merge:
    """Check the arguments of a merge and return the action.

    :param agent_id: the agent.
    :param branch: id or name of the branch.
    :param options: ``deployment_model``, and further fields of :class:`Merge`.
    :raises InputError: naming the argument that is wrong.
    """
    name = parse_text(branch, name="branch")
    if name == "main":
        raise InputError("branch must be another one than 'main', which is what is merged into")
    model = parse_model(options.pop("deployment_model", Model.LADDER))
    return Merge(
        agent_id=parse_identifier(agent_id, name="agent_id"),
        environment=Environment.LIVE if model == Model.SIMPLIFIED else Environment.SANDBOX,
        branch=name,
        message=parse_lines(options.pop("message", ""), name="message"),
        **options,
    )


def _is_made_since(now: Publication, first: str | None, message: str) -> bool:
    """Whether an earlier try of the task, which read another record, may have made what is published now."""
    return now.deployment_id != first and is_ours(now, message)


def _is_new(record: Deployment, before: Deployment | None) -> bool:
    return before is None or before.id != record.id
