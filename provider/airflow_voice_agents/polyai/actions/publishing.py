"""Publish ``main``, and merge branches into it.

Neither is sent again after an unknown outcome, and neither can be taken back. A snapshot keeps nothing for them:
what ran before is in the environment's history, where PolyAIRollbackDeploymentOperator finds it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final, TypeVar

from msgspec.structs import replace

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
from airflow_voice_agents.polyai.actions.deployment_model import find_model, parse_model
from airflow_voice_agents.polyai.actions.deployment_xcoms import (
    AB_TEST,
    AB_TEST_RUNS,
    EXPERIMENT_MARKS,
    names_experiment,
)
from airflow_voice_agents.polyai.actions.deployments import Active, DeployingAction
from airflow_voice_agents.polyai.error_codes import CONFLICTS
from airflow_voice_agents.polyai.ladder import LIVE
from airflow_voice_agents.polyai.models import Branch, Deployment, Environment, parse_environment
from airflow_voice_agents.polyai.resources import branch_merge, publication
from airflow_voice_agents.polyai.resources.branch_merge import BranchKind, BranchState, MergeConsent, branch
from airflow_voice_agents.polyai.resources.deployment import state_of
from airflow_voice_agents.polyai.resources.deployment_model import SIMPLIFIED, KnownModel, Model
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

SETTLE: Final = "Conflicts are never settled here: settle them in Agent Studio, and merge again."
MEMORY: Final = "merge"
"""Key of the task state under which a task remembers which branch it began to merge."""

REPLACED: Final = "replaced"
"""Detail that carries what ran before a merge to the end of the run; no part of the final report."""

GOES_TO: Final = "environment"
"""Detail of a merge: the environment that it deployed to."""

NOTHING_NEW: Final = ("unchanged", "fail")

NOTHING_PUBLISHED: Final = error(
    "simplified_model",
    "In a project on the branches model nothing is published: merge a branch, which goes live.",
)


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
    deployment_model: Model | None = None

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
        if self.deployment_model is Model.BRANCHES:
            yield NOTHING_PUBLISHED

    async def item(self, run: RunContext, active: Active) -> PlannedItem:
        """Plan one more publication, unless an earlier try of the task has made it."""
        item = self._publication(run, active)
        if self.deployment_model is not Model.AUTO:
            return item
        known = await find_model(run, self.agent_id, self.deployment_model)
        findings = [*known.findings(self.agent_id, stops=False)]
        findings += [NOTHING_PUBLISHED] if known.model is Model.BRANCHES else []
        return replace(item, findings=(*item.findings, *findings))

    def _publication(self, run: RunContext, active: Active) -> PlannedItem:
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
    ``auto`` costs two more.

    Vendor operations: list branches, get active deployments, merge branch; for ``auto`` list deployments.

    :param environment: where the merge deploys to: sandbox, or live in the branches model; live as well where only
        the plan tells.
    :param branch: id or name of the branch.
    :param message: kept with the deployment.
    :param deployment_model: how the project's content reaches its environments; ``None`` assumes the ladder.
    :param consent: what is accepted of a merge that goes straight to live.
    """

    operation: ClassVar[str] = "merge branch"

    branch: str
    message: str = field(default="", repr=False)
    deployment_model: Model | None = None
    consent: MergeConsent = field(default_factory=MergeConsent)

    def scope(self) -> Scope:
        """Return sandbox, and live where a merge goes there."""
        names = [Environment.SANDBOX, *([Environment.LIVE] if self.environment == LIVE else [])]
        live = None if self.deployment_model is Model.AUTO else self.environment == LIVE
        return Scope(tuple(target_name(self.agent_id, each) for each in names), live=live)

    def guards(self, given: GuardContext) -> Iterator[Finding]:
        """Guard live: consent of the author, and an approval."""
        yield from super().guards(given)
        if self.live:
            yield from self.consent.approval()

    def target_guards(self, target: TargetPlan, given: GuardContext) -> Iterator[Finding]:
        """Guard live where only the plan tells that a merge goes there."""
        yield from super().target_guards(target, given)
        if target.live and target.changed and self.live is None:
            yield from self.consent.approval()

    def reached(self, run: RunContext, item: PlannedItem) -> str:
        """Return the environment that the merge deploys to, or that an earlier try of the task deployed it to."""
        after = item.transition.after if item.transition else None
        if isinstance(after, BranchState):
            return after.goes_to
        noted = run.recall(MEMORY) or {}
        ours = (noted.get("agent_id"), noted.get("branch")) == (self.agent_id, self.branch)
        return str(noted.get(GOES_TO, self.environment)) if ours else self.environment

    def kinds(self) -> Kinds:
        """Return the one kind."""
        return {branch_merge.KIND: BranchKind()}

    def sender(self, send: Sender, targets: Sequence[TargetPlan]) -> Sender:
        """Return a sender that says what to do about conflicts and A/B tests."""
        live = any(_goes_live(item) for target in targets for item in target.items)

        async def sender(request: ApiRequest[T]) -> T:
            try:
                return await send(request)
            except Conflict as failure:
                if names_experiment(failure):
                    failure.advice, failure.marks = AB_TEST_RUNS, EXPERIMENT_MARKS
                else:
                    unclear = live and CONFLICTS not in failure.reason
                    failure.advice = f"{SETTLE} {AB_TEST}" if unclear else SETTLE
                raise

        return sender

    async def item(self, run: RunContext, active: Active) -> PlannedItem:
        """Find the branch by id or name, and plan its merge."""
        branches = await run.send(api.list_branches(self.agent_id))
        named = [each.branch_id for each in branches if each.name == self.branch and each.branch_id]
        found = [self.branch] if any(each.branch_id == self.branch for each in branches) else named
        if len(found) != 1:
            return self._missing(run, found)
        known = await find_model(run, self.agent_id, self.deployment_model)
        mine = next(each for each in branches if each.branch_id == found[0])
        return await self.merge_of(run, mine, branches, active, known)

    async def merge_of(
        self,
        run: RunContext,
        mine: Branch,
        branches: Sequence[Branch],
        active: Active,
        known: KnownModel,
    ) -> PlannedItem:
        """Plan the merge of a branch that is there.

        :param run: the run.
        :param mine: the branch.
        :param branches: all branches of the agent.
        :param active: what each environment runs.
        :param known: the model of the project.
        """
        goes_to = Environment.SANDBOX if known.model is Model.LADDER else Environment.LIVE
        findings = [*known.findings(self.agent_id, stops=True)]
        if goes_to == LIVE:
            findings += self.consent.state(mine, branches)
        return BranchKind().plan(
            branch(self.agent_id, str(mine.branch_id)),
            BranchState(False, self.message, goes_to=goes_to),
            BranchState(True, active=active, goes_to=goes_to),
            findings,
        )

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
            run.remember(MEMORY, {**noted, GOES_TO: self.reached(run, item)})
        super().before_writes(run, targets)

    def on_result(self, run: RunContext, resource: Resource, result: WriteResult[Any]) -> None:
        """Wait for the read that shows what was deployed: the answer has no ids of it."""

    def explain(self, planned: PlannedItem, item: ItemReport) -> ItemReport:
        """Return the report with what the plan says of earlier tries."""
        said = [finding.message for finding in planned.findings if finding.code == "merged_earlier"]
        before = planned.transition.before if planned.transition else None
        replaced = (
            {REPLACED: before.active, GOES_TO: before.goes_to} if isinstance(before, BranchState) else {}
        )
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
        place = item.details.get(GOES_TO, self.environment.value)
        record = active.get(place)
        if record is None or not _is_new(record, before.get(place)):
            return replace(item, reason=f"it is merged, and {place} shows no new deployment yet")
        past = state_of(before.get(place))
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
        if item.details.get(GOES_TO) == LIVE or live is None or not _is_new(live, before.get(LIVE)):
            return None
        if sandbox is not None and sandbox.version != live.version:
            return None
        reason = (
            f"it is merged, and live runs its version {live.version} now: this project is on the branches model, "
            "in which a merge goes straight to live. Roll live back if that was not meant, and pass "
            "deployment_model='branches' from now on. Applied: the merge."
        )
        details = {**item.details, "version": live.version, "deployment_id": live.id}
        return ItemReport(item.resource, Status.FAILED, reason, permanent=True, details=details)


def parse_publish(agent_id: object, **options: Any) -> Publish:
    """Check the arguments of a publication and return the action.

    :param agent_id: the agent.
    :param options: further fields of :class:`Publish`.
    :raises InputError: for an invalid argument; the message names it.
    """
    return Publish(
        agent_id=parse_identifier(agent_id, name="agent_id"),
        message=parse_lines(options.pop("message", ""), name="message"),
        environment=parse_environment(options.pop("environment", Environment.SANDBOX)),
        nothing_new=parse_choice(
            options.pop("nothing_new", "unchanged"), name="nothing_new", choices=NOTHING_NEW
        ),
        deployment_model=parse_model(options.pop("deployment_model", None)),
        **options,
    )


def parse_merge(agent_id: object, branch: object, **options: Any) -> Merge:
    """Check the arguments of a merge and return the action.

    :param agent_id: the agent.
    :param branch: id or name of the branch.
    :param options: ``deployment_model``, ``consent``, and further fields of :class:`Merge`. The deprecated model
        ``simplified`` needs no approval, as before.
    :raises InputError: for an invalid argument; the message names it.
    """
    name = parse_text(branch, name="branch")
    if name == "main":
        raise InputError("branch must be another one than 'main', which is what is merged into")
    given, consent = options.pop("deployment_model", None), options.pop("consent", MergeConsent())
    model = parse_model(given)
    return Merge(
        agent_id=parse_identifier(agent_id, name="agent_id"),
        environment=Environment.LIVE if model in (Model.BRANCHES, Model.AUTO) else Environment.SANDBOX,
        deployment_model=model,
        consent=replace(consent, allow_unapproved=True) if given == SIMPLIFIED else consent,
        branch=name,
        message=parse_lines(options.pop("message", ""), name="message"),
        **options,
    )


def _is_made_since(now: Publication, first: str | None, message: str) -> bool:
    """Whether an earlier try of the task, which read another record, may have made what is published now."""
    return now.deployment_id != first and is_ours(now, message)


def _is_new(record: Deployment, before: Deployment | None) -> bool:
    return before is None or before.id != record.id


def _goes_live(item: PlannedItem) -> bool:
    return item.transition is not None and getattr(item.transition.after, "goes_to", "") == LIVE
