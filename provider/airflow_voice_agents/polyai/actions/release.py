"""Release a branch by merging it into live: plan, merge, and read what live runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, ClassVar, Final

from msgspec.structs import replace

from airflow_voice_agents.engine.action import Scope
from airflow_voice_agents.engine.run_context import RunContext
from airflow_voice_agents.plans.canonical import digest
from airflow_voice_agents.plans.diff import diff
from airflow_voice_agents.plans.guards import GuardContext
from airflow_voice_agents.plans.plan import Finding, Plan, PlannedItem, TargetPlan, error, warning
from airflow_voice_agents.plans.report import ItemReport, Report, Status
from airflow_voice_agents.polyai.actions.base import target_name
from airflow_voice_agents.polyai.actions.branch_content import MAIN, BranchContent, limits_of, read_content
from airflow_voice_agents.polyai.actions.deployment_model import parse_model
from airflow_voice_agents.polyai.actions.deployments import Active
from airflow_voice_agents.polyai.actions.publishing import MEMORY, REPLACED, Merge
from airflow_voice_agents.polyai.actions.tested import read_runs
from airflow_voice_agents.polyai.ladder import LIVE
from airflow_voice_agents.polyai.models import Branch, Deployment, Environment
from airflow_voice_agents.polyai.observations import TestRun
from airflow_voice_agents.polyai.resources.branch_merge import BranchState, MergeConsent
from airflow_voice_agents.polyai.resources.deployment import state_of
from airflow_voice_agents.polyai.resources.deployment_model import KnownModel, Model, question
from airflow_voice_agents.polyai.resources.deployment_records import moment
from airflow_voice_agents.polyai.resources.test_gate import TestGate
from airflow_voice_agents.transport.errors import CallError, InputError
from airflow_voice_agents.transport.validation import parse_identifier, parse_lines, parse_text

LOOKS: Final = 5
"""How often live is read after a merge until it shows the new deployment."""
FIRST_PAUSE: Final = 1.0
"""Seconds before the second of these looks; each further pause is twice as long."""

SOURCE: Final = "source"
BEFORE: Final = "previous_id"


@dataclass(frozen=True, kw_only=True)
class Release(Merge):
    """A release of a branch: a merge into live of exactly the state that was planned.

    The digest of the plan covers the branch, main, what live runs, and what the tests came to. Costs ten reads, one
    more per test run, and the merge; two more where the model is ``auto``.

    Vendor operations: get active deployments, list branches, list attributes, list variants, list topics, get
    behavior, get test run, merge branch; for ``auto`` list deployments.

    :param tests: which tests must have passed; ``None`` asks for none.
    """

    operation: ClassVar[str] = "release branch"

    tests: TestGate | None = None

    def scope(self) -> Scope:
        """Return sandbox and live."""
        names = (Environment.SANDBOX, Environment.LIVE)
        return Scope(tuple(target_name(self.agent_id, each) for each in names), live=True)

    def target_guards(self, target: TargetPlan, given: GuardContext) -> Iterator[Finding]:
        """Guard nothing more: that a release goes live is known before it is planned."""
        yield from ()

    async def merge_of(
        self, run: RunContext, mine: Branch, branches: Sequence[Branch], active: Active, known: KnownModel
    ) -> PlannedItem:
        """Plan the merge with everything that it is decided by."""
        main = next(
            (each for each in branches if each.branch_id == MAIN), Branch.model_validate({"branchId": MAIN})
        )
        theirs = await read_content(run, self.agent_id, mine)
        ours = await read_content(run, self.agent_id, main)
        runs = [] if self.tests is None else await read_runs(self.agent_id, self.tests, run.send)
        item = await super().merge_of(run, mine, branches, active, known)
        live = active.get(LIVE)
        return replace(
            item,
            changes=(*diff(ours.shown(), theirs.shown()),),
            findings=(*self._about(theirs, ours, live, runs, known), *item.findings),
            source=self._source(theirs, ours, live, runs),
            identifiers=False,
        )

    def _about(
        self,
        mine: BranchContent,
        main: BranchContent,
        live: Deployment | None,
        runs: Sequence[TestRun],
        known: KnownModel,
    ) -> Iterator[Finding]:
        if known.model is Model.LADDER:
            yield error(
                "not_branches",
                f"A release by merge is for the branches model, and {self.agent_id} is on the ladder: merge to "
                f"sandbox, and promote. {question(self.agent_id)}",
            )
        yield warning("live_now", _runs_now(live))
        if mine.branch.diverged is None:
            yield warning(
                "divergence_unknown",
                "The list of branches does not say whether the branch has diverged from main.",
            )
        if mine.branch.sequence_id != main.branch.sequence_id:
            yield warning(
                "behind",
                f"The branch has sequence {mine.branch.sequence_id or '(none)'} and main has "
                f"{main.branch.sequence_id or '(none)'}: main may have moved on since the branch was made.",
            )
        yield from limits_of(mine, main)
        if self.tests is None:
            yield warning("no_tests_asked_for", "This release asks for no tests.")
        else:
            yield from self.tests.findings(runs, state=mine.state)

    def _source(
        self, mine: BranchContent, main: BranchContent, live: Deployment | None, runs: Sequence[TestRun]
    ) -> str:
        return digest(
            {
                "branch": mine.state,
                "main": main.state,
                "live": [live.id, live.version] if live else None,
                "tests": self.tests.verdicts(runs) if self.tests else None,
                "message": self.message,
            }
        )

    def _missing(self, run: RunContext, found: Sequence[str]) -> PlannedItem:
        """Return what an earlier try merged, with the digest of what that was decided by."""
        item = super()._missing(run, found)
        return item if item.errors else replace(item, source=(run.recall(MEMORY) or {}).get(SOURCE))

    def before_writes(self, run: RunContext, targets: Sequence[TargetPlan]) -> None:
        """Note what the merge is decided by, and what live runs before it."""
        super().before_writes(run, targets)
        for item in (item for target in targets for item in target.items if item.transition is not None):
            before = item.transition.before if item.transition else None
            live = before.active.get(LIVE) if isinstance(before, BranchState) else None
            noted = {SOURCE: item.source, BEFORE: live.id if live else None}
            noted["previous_version"] = live.version if live else None
            run.remember(MEMORY, {**(run.recall(MEMORY) or {}), **noted})

    def explain(self, planned: PlannedItem, item: ItemReport) -> ItemReport:
        """Return the report with what the plan says of earlier tries; what ran before is in the task's memory."""
        told = super().explain(planned, item)
        return replace(told, details={key: told.details[key] for key in told.details if key != REPLACED})

    async def finish(self, run: RunContext, plan: Plan, report: Report) -> Report:
        """Look until live runs what was merged, and publish its ids."""
        item = report.items[0]
        if report.dry_run or report.refused or item.status not in (Status.CHANGED, Status.UNCHANGED):
            return replace(report, items=(item,))
        noted = run.recall(MEMORY) or {}
        try:
            record = await self._new_record(run, noted.get(BEFORE))
        except CallError as failure:
            said = f"it is merged; what live runs could not be read: {failure}"
            return replace(report, items=(self._failed(item, said, permanent=False),))
        if record is None:
            said = (
                "it is merged, and live shows no new deployment. The merge went elsewhere, or somebody rolled live "
                "back. "
                f"{question(self.agent_id)} Look at what live runs before anything else is released."
            )
            return replace(report, items=(self._failed(item, said, permanent=True),))
        found = {
            "previous_version": noted.get("previous_version"),
            "version": record.version,
            "deployment_id": record.id,
        }
        others = {"previous_deployment_id": noted.get(BEFORE), "merged_at": _made(record)}
        runs = item.details.get("test_run_ids", [])
        self.xcoms(run).made({**found, **others, "test_run_ids": list(runs)})
        return replace(report, items=(replace(item, details={**item.details, **found}),))

    async def _new_record(self, run: RunContext, before: str | None) -> Deployment | None:
        for look in range(LOOKS):
            if look:
                await run.sleep(FIRST_PAUSE * 2 ** (look - 1))
            record = (await self.active(run)).get(LIVE)
            if record is not None and record.id != before:
                return record
        return None

    @staticmethod
    def _failed(item: ItemReport, reason: str, *, permanent: bool) -> ItemReport:
        return ItemReport(
            item.resource,
            Status.FAILED,
            f"{reason} Applied: the merge.",
            permanent=permanent,
            details=item.details,
        )

    def request(self) -> dict[str, Any]:
        """Return what was asked for as JSON, from which :func:`release_of` makes the release again."""
        return {
            "agent_id": self.agent_id,
            "branch": self.branch,
            "message": self.message,
            "deployment_model": str(self.deployment_model),
            "allow_diverged": self.consent.allow_diverged,
            "allow_staging_held": self.consent.allow_staging_held,
            "tests": None if self.tests is None else self.tests.plain(),
        }


def parse_release(agent_id: object, branch: object, **options: Any) -> Release:
    """Check the arguments of a release and return the action.

    :param agent_id: the agent.
    :param branch: id or name of the branch.
    :param options: ``deployment_model``, ``tests``, ``message``, the fields of :class:`.MergeConsent`, and further
        fields of :class:`Release`.
    :raises InputError: for an invalid argument; the message names it.
    """
    name = parse_text(branch, name="branch")
    if name == MAIN:
        raise InputError("branch must be another one than 'main', which is what is merged into")
    fields = ("approved", "allow_unapproved", "allow_diverged", "allow_staging_held")
    consent = MergeConsent(**{each: bool(options.pop(each)) for each in fields if each in options})
    return Release(
        agent_id=parse_identifier(agent_id, name="agent_id"),
        environment=Environment.LIVE,
        branch=name,
        message=parse_lines(options.pop("message", ""), name="message"),
        deployment_model=parse_model(options.pop("deployment_model", None) or Model.BRANCHES),
        consent=consent,
        tests=TestGate.parse(options.pop("tests", None)),
        **options,
    )


def release_of(request: object, **options: Any) -> Release:
    """Return the release that a saved plan was made from.

    :param request: what :meth:`Release.request` returned.
    :param options: what the one who carries it out adds: consent, and who receives the ids.
    :raises InputError: for anything else.
    """
    if not isinstance(request, Mapping) or not {"agent_id", "branch", "tests"} <= set(request):
        raise InputError("plan is not the plan of a release; make it with PolyAIPlanReleaseOperator")
    given = {key: value for key, value in request.items() if key not in ("agent_id", "branch")}
    return parse_release(request["agent_id"], request["branch"], **given, **options)


def _made(record: Deployment) -> str:
    """Return when a deployment was made; where that cannot be read, the present moment."""
    return (moment(record) or datetime.now(UTC)).isoformat()


def _runs_now(live: Deployment | None) -> str:
    now = state_of(live)
    if now is None:
        return "Live runs nothing now, so there is no way back to what it ran."
    made = f", made {now.created_at}" if now.created_at else ""
    return f"Live runs version {now.version or '(empty)'} now (deployment {now.deployment_id}{made})."
