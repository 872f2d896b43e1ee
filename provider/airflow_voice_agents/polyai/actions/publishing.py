"""Publish ``main``, and merge a branch into it, which publishes as well.

Neither is repeated blind: where no answer came, the state is read, and only what did not happen is asked for
once more. A draft that is published already is refused, and so is a branch that is merged, so that even a
request which arrives late does nothing twice.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from airflow_voice_agents.engine.run_context import RunContext
from airflow_voice_agents.plans.guards import check_live
from airflow_voice_agents.plans.kind import Resource
from airflow_voice_agents.plans.plan import Finding, error
from airflow_voice_agents.plans.report import ItemReport, Report, Status
from airflow_voice_agents.polyai import api
from airflow_voice_agents.polyai.actions.deployment_xcoms import DeploymentXComs, OnFacts, silent
from airflow_voice_agents.polyai.actions.deployments import Active, parse_model
from airflow_voice_agents.polyai.ladder import LIVE
from airflow_voice_agents.polyai.models import (
    Branch,
    Deployment,
    DeploymentResult,
    Environment,
    MergeResult,
    parse_environment,
)
from airflow_voice_agents.polyai.resources.deployment import Model, deployment, state_of
from airflow_voice_agents.transport.errors import (
    CallError,
    Conflict,
    InputError,
    OutcomeUnknown,
)
from airflow_voice_agents.transport.validation import parse_choice, parse_identifier, parse_lines, parse_text

PUBLISH: Final = "publish deployment"
MERGE: Final = "merge branch"
BRANCH: Final = "branch"
MEMORY: Final = "merge"
"""Under which a task remembers which branch it set out to merge."""

NOTHING_NEW: Final = ("unchanged", "fail")
_ALREADY_PUBLISHED = {
    "deploymentsenvironmentalreadypublished",
    "deploymentsalreadypublished",
    "6002",
    "6009",
}
_READ_BACK = "the outcome was unknown; reading it back showed it applied"


@dataclass(frozen=True, slots=True)
class PublishJob:
    """A publication of ``main`` to sandbox, checked and ready to run.

    :param agent_id: the agent.
    :param message: kept with the deployment.
    :param environment: only sandbox is taken; what is live comes there by promotion.
    :param nothing_new: ``unchanged`` or ``fail``: what it is when the draft is published already.
    :param deployment_model: how the project's content reaches its environments.
    :param verify: whether a read follows.
    :param tell: receives version and ids as soon as they are known.
    """

    agent_id: str
    message: str = field(default="", repr=False)
    environment: Environment = Environment.SANDBOX
    nothing_new: str = "unchanged"
    deployment_model: str = Model.LADDER
    verify: bool = True
    tell: OnFacts = silent

    async def run(self, run: RunContext) -> Report:
        """Publish, unless there is nothing new, and report.

        Costs a read, the write and, with ``verify``, a read after it.

        Vendor operations: get active deployments, publish deployment.

        :param run: what the run works with.
        :raises GuardRefused: when a guard refuses before anything was read.
        """
        run.guard(PUBLISH, self._guards())
        return await _Publication(self, run).report()

    def _guards(self) -> Iterator[Finding]:
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


@dataclass(frozen=True, slots=True)
class MergeJob:
    """A merge, checked and ready to run.

    :param agent_id: the agent.
    :param branch: id or name of the branch.
    :param message: kept with the deployment.
    :param deployment_model: how the project's content reaches its environments; a merge goes to sandbox, or
        straight to live.
    :param tell: receives version and ids as soon as they are known.
    """

    agent_id: str
    branch: str
    message: str = field(default="", repr=False)
    deployment_model: str = Model.LADDER
    tell: OnFacts = silent

    @property
    def environment(self) -> Environment:
        """Where the merge deploys to."""
        return Environment.LIVE if self.deployment_model == Model.SIMPLIFIED else Environment.SANDBOX

    async def run(self, run: RunContext) -> Report:
        """Merge, look where it was deployed, and report.

        Costs four requests; a branch that an earlier try of the task merged costs two. Conflicts are never
        settled, only named.

        Vendor operations: list branches, get active deployments, merge branch.

        :param run: what the run works with.
        :raises GuardRefused: when a guard refuses before anything was read.
        """
        run.guard(MERGE, check_live([self.environment], run.guard_context))
        return await _Merge(self, run).report()


def publish_job(agent_id: object, **options: Any) -> PublishJob:
    """Check the arguments of a publication and return it ready to run.

    :param agent_id: the agent.
    :param options: further fields of :class:`PublishJob`.
    :raises InputError: naming the argument that is wrong.
    """
    return PublishJob(
        parse_identifier(agent_id, name="agent_id"),
        message=parse_lines(options.pop("message", ""), name="message"),
        environment=parse_environment(options.pop("environment", Environment.SANDBOX)),
        nothing_new=parse_choice(
            options.pop("nothing_new", "unchanged"), name="nothing_new", choices=NOTHING_NEW
        ),
        deployment_model=parse_model(options.pop("deployment_model", Model.LADDER)),
        **options,
    )


def merge_job(agent_id: object, branch: object, **options: Any) -> MergeJob:
    """Check the arguments of a merge and return it ready to run.

    :param agent_id: the agent.
    :param branch: id or name of the branch.
    :param options: further fields of :class:`MergeJob`.
    :raises InputError: naming the argument that is wrong.
    """
    name = parse_text(branch, name="branch")
    if name == "main":
        raise InputError("branch must be another one than 'main', which is what is merged into")
    return MergeJob(
        parse_identifier(agent_id, name="agent_id"),
        name,
        message=parse_lines(options.pop("message", ""), name="message"),
        deployment_model=parse_model(options.pop("deployment_model", Model.LADDER)),
        **options,
    )


class _Publication:
    """One try to publish."""

    def __init__(self, job: PublishJob, run: RunContext) -> None:
        self._job = job
        self._run = run
        self._resource = deployment(job.agent_id, job.environment)
        self._facts = DeploymentXComs(self._resource, job.tell, run.task_state)
        self._before: Deployment | None = None
        self._wait: float | None = None

    async def report(self) -> Report:
        """Publish and report."""
        self._before = await self._active()
        self._facts.starting(state_of(self._before))
        return Report(PUBLISH, (await self._publish(again=False),), retry_after=self._wait)

    async def _publish(self, *, again: bool) -> ItemReport:
        job = self._job
        call = api.publish(job.agent_id, environment=job.environment, message=job.message)
        try:
            answer = await self._run.send(call)
        except OutcomeUnknown as failure:
            return await self._unknown(failure, again=again)
        except CallError as failure:
            if _is_published_already(failure):
                return await self._nothing_new(failure, again=again)
            return self._failed(f"{failure} Nothing was published.", failure)
        self._facts.made(answer, state_of(self._before))
        return await self._check(answer) if job.verify else self._changed(answer.deployment)

    async def _check(self, answer: DeploymentResult) -> ItemReport:
        """Read back whether what was published is what runs."""
        made = answer.deployment
        try:
            now = await self._active()
        except CallError as failure:
            return self._changed(made, f"the answer shows it; it could not be read back: {failure}")
        if now is not None and (now.id, now.version) == (made.id, made.version or now.version):
            return self._changed(now)
        runs = f"deployment {now.id}, version {now.version}" if now else "nothing"
        return self._item(
            Status.FAILED,
            f"deployment {made.id}, version {made.version}, was published, and {self._resource.name} runs {runs}: "
            "somebody else deployed at the same time. Look at what runs there before anything is promoted.",
        )

    async def _unknown(self, failure: OutcomeUnknown, *, again: bool) -> ItemReport:
        try:
            now = await self._active()
        except CallError as unread:
            self._wait = unread.retry_after
            return self._item(Status.UNKNOWN, f"{failure} It could not be read: {unread}")
        if self._is_new(now) and self._looks_ours(now):
            self._facts.stands(state_of(now))
            return self._changed(now, f"{_READ_BACK}; its test runs are not known")
        if again:
            return self._failed(f"{failure} Reading it back showed it not applied.", failure)
        return await self._publish(again=True)

    async def _nothing_new(self, failure: CallError, *, again: bool) -> ItemReport:
        """The draft is published: before this try, or by a request of this try that nobody answered."""
        now = await self._active() if again else self._before
        self._facts.stands(state_of(now))
        if again and self._is_new(now):
            return self._changed(now, f"{_READ_BACK}; its test runs are not known")
        if self._job.nothing_new == "fail":
            return self._item(Status.FAILED, f"There is nothing new to publish: {failure}", permanent=True)
        return self._item(Status.UNCHANGED, "there is nothing new to publish", record=now)

    def _is_new(self, now: Deployment | None) -> bool:
        return now is not None and (self._before is None or now.id != self._before.id)

    def _looks_ours(self, now: Deployment | None) -> bool:
        """Whether a new record may be ours; if not, asking once more is refused where it was."""
        metadata = (now.metadata if now else None) or {}
        kind, message = metadata.get("deployment_type"), metadata.get("deployment_message")
        return kind in (None, "publish") and message in (None, self._job.message)

    def _changed(self, record: Deployment | None, reason: str = "") -> ItemReport:
        return self._item(Status.CHANGED, reason, record=record)

    def _failed(self, reason: str, failure: CallError) -> ItemReport:
        self._wait = failure.retry_after
        return self._item(Status.FAILED, reason, permanent=failure.permanent)

    def _item(
        self, status: Status, reason: str, *, permanent: bool = False, record: Deployment | None = None
    ) -> ItemReport:
        details = {"version": record.version, "deployment_id": record.id} if record else {}
        return ItemReport(self._resource, status, reason, permanent, details)

    async def _active(self) -> Deployment | None:
        return await _active_in(self._run, self._job.agent_id, self._job.environment)


class _Merge:
    """One try to merge."""

    def __init__(self, job: MergeJob, run: RunContext) -> None:
        self._job = job
        self._run = run
        self._facts = DeploymentXComs(deployment(job.agent_id, job.environment), job.tell, run.task_state)
        self._before: Active = {}
        self._branch_id = job.branch
        self._wait: float | None = None

    async def report(self) -> Report:
        """Merge and report."""
        branch = await self._branch()
        self._before = await self._run.send(api.get_active_deployments(self._job.agent_id))
        if isinstance(branch, ItemReport):
            item = branch
        elif branch is None:
            item = self._missing()
        else:
            self._branch_id = branch
            self._remember()
            self._facts.starting(state_of(self._before.get(self._job.environment)))
            item = await self._merge(again=False)
        return Report(MERGE, (item,), retry_after=self._wait)

    async def _branch(self) -> str | ItemReport | None:
        """Return the id of the branch, by id or by name; ``None`` where the agent has none."""
        branches = await self._list()
        if any(each.branch_id == self._job.branch for each in branches):
            return self._job.branch
        named = [each.branch_id for each in branches if each.name == self._job.branch and each.branch_id]
        if len(named) > 1:
            text = f"the agent has {len(named)} branches of this name: {', '.join(named)}. Nothing was merged; give "
            return self._item(Status.FAILED, f"{text}the id of one.", permanent=True)
        return named[0] if named else None

    def _missing(self) -> ItemReport:
        noted = (self._run.task_state.get(MEMORY) if self._run.task_state else None) or {}
        if noted.get("agent_id") == self._job.agent_id and noted.get("branch") == self._job.branch:
            self._branch_id = noted["branch_id"]
            self._facts.stands(state_of(self._before.get(self._job.environment)))
            return self._item(Status.UNCHANGED, "an earlier try of this task merged it")
        reason = (
            "the agent has no branch of this id or name: it is merged or deleted already, or was never there. "
            "Nothing was merged."
        )
        return self._item(Status.FAILED, reason, permanent=True)

    def _remember(self) -> None:
        if self._run.task_state is not None:
            job = self._job
            noted = {"agent_id": job.agent_id, "branch": job.branch, "branch_id": self._branch_id}
            self._run.task_state.set(MEMORY, noted)

    async def _merge(self, *, again: bool) -> ItemReport:
        job = self._job
        call = api.merge_branch(job.agent_id, branch_id=self._branch_id, message=job.message)
        try:
            answer = await self._run.send(call)
        except CallError as failure:
            if again or isinstance(failure, OutcomeUnknown):
                return await self._unknown(failure, again=again)
            return self._failed(failure)
        return await self._merged(answer)

    async def _unknown(self, failure: CallError, *, again: bool) -> ItemReport:
        """A merged branch is not listed any more; one that is listed is merged once more."""
        try:
            listed = any(each.branch_id == self._branch_id for each in await self._list())
        except CallError as unread:
            self._wait = unread.retry_after
            return self._item(Status.UNKNOWN, f"{failure} The branches could not be read: {unread}")
        if not listed:
            return await self._merged(None)
        return self._failed(failure) if again else await self._merge(again=True)

    async def _merged(self, answer: MergeResult | None) -> ItemReport:
        """Look at what the merge deployed, and where."""
        place, doubt = self._job.environment, "" if answer else f"{_READ_BACK}; its test runs are not known"
        try:
            active = await self._run.send(api.get_active_deployments(self._job.agent_id))
        except CallError as failure:
            return self._item(Status.CHANGED, f"it is merged; what was deployed could not be read: {failure}")
        if went := self._went_live(active):
            return went
        record = active.get(place)
        if record is None or not self._is_new(place, record):
            return self._item(Status.CHANGED, f"it is merged, and {place.value} shows no new deployment yet")
        made = DeploymentResult(deployment=record, test_run_ids=answer.test_run_ids if answer else ())
        self._facts.made(made, state_of(self._before.get(place)))
        return self._item(Status.CHANGED, doubt, version=record.version, deployment_id=record.id)

    def _went_live(self, active: Active) -> ItemReport | None:
        """Tell loudly where a merge that was to go to sandbox has also changed live."""
        live, sandbox = active.get(LIVE), active.get(Environment.SANDBOX)
        if self._job.environment == LIVE or live is None or not self._is_new(LIVE, live):
            return None
        if sandbox is not None and sandbox.version != live.version:
            return None
        reason = (
            f"it is merged, and live runs its version {live.version} now: this project is on simplified deployments, "
            "in which a merge goes straight to live. Roll live back if that was not meant, and pass "
            "deployment_model='simplified' from now on. Applied: the merge."
        )
        return self._item(Status.FAILED, reason, permanent=True, version=live.version, deployment_id=live.id)

    def _is_new(self, environment: str, record: Deployment) -> bool:
        before = self._before.get(environment)
        return before is None or before.id != record.id

    def _failed(self, failure: CallError) -> ItemReport:
        self._wait = failure.retry_after
        advice = ""
        if isinstance(failure, Conflict):
            advice = " Conflicts are never settled here: settle them in Agent Studio, and merge again."
        return self._item(
            Status.FAILED,
            f"{failure}{advice} It was not merged.",
            permanent=failure.permanent,
        )

    def _item(
        self, status: Status, reason: str = "", *, permanent: bool = False, **details: str | None
    ) -> ItemReport:
        resource = Resource(BRANCH, self._job.agent_id, self._branch_id)
        return ItemReport(resource, status, reason, permanent, details)

    async def _list(self) -> Sequence[Branch]:
        return await self._run.send(api.list_branches(self._job.agent_id))


def _is_published_already(failure: CallError) -> bool:
    code = (failure.error_code or "").replace("_", "").lower()
    return code in _ALREADY_PUBLISHED or (isinstance(failure, Conflict) and not code)


async def _active_in(run: RunContext, agent_id: str, environment: Environment) -> Deployment | None:
    return (await run.send(api.get_active_deployments(agent_id))).get(environment)
