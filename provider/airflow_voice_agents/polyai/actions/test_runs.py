"""Start tests on a branch, and return evidence that binds them to exactly this state of the branch."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final

from msgspec.structs import replace

from airflow_voice_agents.engine.action import Scope
from airflow_voice_agents.engine.run_context import RunContext
from airflow_voice_agents.plans.kind import Kinds, Resource, WriteResult
from airflow_voice_agents.plans.plan import Plan, PlannedItem, TargetPlan, error, no_change
from airflow_voice_agents.plans.report import Report, Status
from airflow_voice_agents.polyai import api
from airflow_voice_agents.polyai.actions.base import PolyAIAction, target_name
from airflow_voice_agents.polyai.actions.branch_content import find_branch, read_content
from airflow_voice_agents.polyai.models import Environment
from airflow_voice_agents.polyai.observations import TestRun, Verdict
from airflow_voice_agents.polyai.resources import test_run
from airflow_voice_agents.polyai.resources.test_run import TestRunKind, runs_of, state_of
from airflow_voice_agents.transport.errors import InputError
from airflow_voice_agents.transport.validation import (
    decode_list,
    parse_choice,
    parse_identifier,
    parse_text,
)

MEMORY: Final = "test_runs"
"""Key of the task state under which a task remembers what it started, and on what."""

FORMS: Final = ("select", "flat")
STILL_COUNTS: Final = (Verdict.PENDING, Verdict.UNKNOWN, Verdict.PASSED)


def _ignore(_: Mapping[str, Any]) -> None:
    """Do nothing with the evidence."""


@dataclass(frozen=True, kw_only=True)
class TriggerTests(PolyAIAction):
    """A run of some tests on a branch.

    Costs four reads and the write. A retry starts nothing while the run of an earlier try is under way or has
    passed on the present state of the branch.

    Vendor operations: list branches, list attributes, list variants, list topics, get behavior, list test runs,
    trigger test run.

    :param agent_id: the agent.
    :param branch: id or name of a branch, or ``main``.
    :param tests: ids of the tests; none means that nothing is run.
    :param since: the present moment, in ISO 8601.
    :param kind: the kind of test runs.
    :param on_tested: receives the evidence: what was tested, when, and by which runs.
    """

    operation: ClassVar[str] = "run tests"

    agent_id: str
    branch: str
    tests: tuple[str, ...]
    since: str
    kind: TestRunKind = field(default_factory=TestRunKind)
    on_tested: Callable[[Mapping[str, Any]], None] = field(default=_ignore, compare=False)

    @property
    def target(self) -> str:
        """The name that locks and reports use: tests run outside of live."""
        return target_name(self.agent_id, Environment.SANDBOX)

    def scope(self) -> Scope:
        """Return sandbox."""
        return Scope((self.target,), live=False)

    def kinds(self) -> Kinds:
        """Return the one kind."""
        return {test_run.KIND: self.kind}

    async def plan(self, run: RunContext, *, done: Collection[str] = ()) -> Sequence[TargetPlan]:
        """Read the branch and its runs, and plan one more, unless an earlier try's run still counts."""
        return [TargetPlan(self.target, (await self._item(run),), run.clock())]

    async def _item(self, run: RunContext) -> PlannedItem:
        branches = await run.send(api.list_branches(self.agent_id))
        found = find_branch(branches, self.branch)
        if len(found) != 1:
            code, what = ("ambiguous_branch", "several branches") if found else ("no_branch", "no branch")
            said = error(code, f"The agent has {what} of this id or name. Give the id of one.")
            return no_change(self.kind, runs_of(self.agent_id, self.branch), None, said)
        resource = runs_of(self.agent_id, str(found[0].branch_id))
        if not self.tests:
            run.log(f"{self.operation}: no test was named, so nothing is run: skipped, which is not passed")
            return no_change(self.kind, resource, None)
        content = await read_content(run, self.agent_id, found[0])
        runs = await run.send(api.list_test_runs(self.agent_id, branch_id=resource.name))
        noted = self._noted(run)
        if noted.get("branch_id") == resource.name and noted["state"] == content.state:
            mine = noted.get("test_run_ids") or self.kind.started(state_of(runs), noted["known"])
            if mine and all(_counts(runs, each) for each in mine):
                run.remember(MEMORY, {**noted, "test_run_ids": mine})
                return self.kind.plan_done(resource, noted["known"], mine)
        item = self.kind.plan(resource, None, state_of(runs))
        return replace(item, source=content.state)

    def before_writes(self, run: RunContext, targets: Sequence[TargetPlan]) -> None:
        """Note what is tested, so that a later try finds the run that this one starts."""
        for item in (item for target in targets for item in target.items if item.transition is not None):
            before = item.transition.before if item.transition else None
            note = {
                "agent_id": self.agent_id,
                "branch": self.branch,
                "tests": list(self.tests),
                "branch_id": item.resource.name,
                "state": item.source,
                "since": self.since,
                "known": sorted(before.ids) if before else [],
            }
            run.remember(MEMORY, note)

    def on_result(self, run: RunContext, resource: Resource, result: WriteResult[Any]) -> None:
        """Note the run at once."""
        run.remember(MEMORY, {**self._noted(run), **result.facts})

    async def finish(self, run: RunContext, plan: Plan, report: Report) -> Report:
        """Leave the evidence; where the answer was lost, read which run was started."""
        item = report.items[0]
        if report.dry_run or item.status not in (Status.CHANGED, Status.UNCHANGED):
            return report
        noted = self._noted(run) if self.tests else {}
        if item.status is Status.CHANGED and "test_run_ids" not in noted:
            runs = await run.send(api.list_test_runs(self.agent_id, branch_id=item.resource.name))
            noted = {**noted, "test_run_ids": self.kind.started(state_of(runs), noted["known"])}
            run.remember(MEMORY, noted)
        gate = {
            "agent_id": self.agent_id,
            "branch_id": item.resource.name,
            "state": noted.get("state"),
            "since": noted.get("since", self.since),
            "test_run_ids": noted.get("test_run_ids", []),
        }
        self.on_tested({key: value for key, value in gate.items() if value is not None})
        return report

    def _noted(self, run: RunContext) -> dict[str, Any]:
        noted = run.recall(MEMORY) or {}
        mine = {"agent_id": self.agent_id, "branch": self.branch, "tests": list(self.tests)}
        return dict(noted) if {key: noted.get(key) for key in mine} == mine else {}


def parse_tests(agent_id: object, branch: object, tests: object, **options: Any) -> TriggerTests:
    """Check the arguments of a run of tests and return the action.

    :param agent_id: the agent.
    :param branch: id or name of the branch.
    :param tests: ids of the tests.
    :param options: ``name``, ``form``, and further fields of :class:`TriggerTests`.
    :raises InputError: for an invalid argument; the message names it.
    """
    given = decode_list(tests, name="test_ids") if isinstance(tests, str) else tests or []
    if not isinstance(given, Sequence):
        raise InputError(f"test_ids must be a list of ids, not {type(given).__name__}")
    ids = tuple(
        dict.fromkeys(parse_identifier(each, name=f"test_ids[{at}]") for at, each in enumerate(given))
    )
    name = options.pop("name", "")
    kind = TestRunKind(
        tests=ids,
        name_of_run="" if name == "" else parse_text(name, name="run_name"),
        form=parse_choice(options.pop("form", "select"), name="form", choices=FORMS),
    )
    return TriggerTests(
        agent_id=parse_identifier(agent_id, name="agent_id"),
        branch=parse_text(branch, name="branch"),
        tests=ids,
        kind=kind,
        **options,
    )


def _counts(runs: Sequence[TestRun], run_id: str) -> bool:
    """Whether a run is under way or passed; one that failed may be tried again."""
    found = next((each for each in runs if each.id == run_id), None)
    return found is not None and found.verdict in STILL_COUNTS
