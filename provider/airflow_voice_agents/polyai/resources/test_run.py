"""Test runs as a resource kind: each plan adds a run on a branch, and none can be undone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final

import msgspec

from airflow_voice_agents.plans.canonical import digest
from airflow_voice_agents.plans.diff import Change, Op
from airflow_voice_agents.plans.kind import (
    Kind,
    Known,
    Observation,
    Resource,
    Transition,
    Write,
    WriteResult,
    WriteSequence,
)
from airflow_voice_agents.plans.plan import PlannedItem, change, no_change, warning
from airflow_voice_agents.polyai import api
from airflow_voice_agents.polyai.observations import TestRun
from airflow_voice_agents.transport.errors import CallError
from airflow_voice_agents.transport.records import Record

KIND: Final = "test run"
NOTHING: Known = {}

NO_TESTS: Final = frozenset({"missingtestcaseshttp", "notestcaseshttp", "missingtestcases", "notestcases"})
"""Codes of a suite that has no tests, in lower case and without underscores."""


class TestRuns(Record, frozen=True):
    """The test runs of a branch that are known.

    :param ids: the runs.
    :param newer: whether one more than these is meant.
    :param tests: what each run tests, where the platform says so.
    """

    __test__ = False

    not_compared = ("tests",)

    ids: frozenset[str]
    newer: bool = False
    tests: Mapping[str, frozenset[str]] = msgspec.field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TestRunKind(Kind[TestRuns]):
    """Reads the test runs of a branch, and starts one more.

    :param tests: ids of the tests.
    :param name_of_run: the name that the run gets; empty for none.
    :param form: spelling of the request: ``select``, or ``flat`` for a platform that does not know it yet.
    """

    __test__ = False

    name: ClassVar[str] = KIND
    repeatable: ClassVar[bool] = False
    restorable: ClassVar[bool] = False

    tests: tuple[str, ...] = ()
    name_of_run: str = ""
    form: str = "select"

    def observe(
        self, resources: Sequence[Resource], known: Known = NOTHING
    ) -> Iterator[Observation[TestRuns]]:
        """Return one read per branch."""
        for each in resources:
            request = api.list_test_runs(each.owner, branch_id=each.name)
            yield Observation(request, (each,), _states(each))

    def digest(self, state: TestRuns | None) -> str:
        """Return the digest of the known runs."""
        return digest(None if state is None else {"ids": sorted(state.ids), "newer": state.newer})

    def diff(self, before: TestRuns | None, after: TestRuns | None) -> Iterator[Change]:
        """Return the one more run."""
        if before != after:
            yield Change(Op.CHANGE, ("runs",), len(before.ids) if before else 0, "(one more)")

    def write_sequences(
        self, transitions: Sequence[Transition[TestRuns]]
    ) -> Iterator[WriteSequence[TestRuns]]:
        """Return one request per branch."""
        for each in transitions:
            request = api.trigger_test_run(
                each.resource.owner,
                branch_id=each.resource.name,
                test_case_ids=self.tests,
                name=self.name_of_run,
                form=self.form,
            )
            yield (
                Write(request, (each.resource,), _judge(each.resource, each.after), no_change=has_no_tests),
            )

    def mismatches(self, transition: Transition[TestRuns], observed: TestRuns | None) -> list[str]:
        """Name a run that is missing."""
        found = observed is not None and self.started(observed, transition.after.ids)
        return [] if found else ["a new run of these tests"]

    def started(self, now: TestRuns, known: frozenset[str] | Sequence[str]) -> list[str]:
        """Return the runs of exactly these tests that are not among those known before.

        :param now: the runs by now.
        :param known: ids of the runs before.
        """
        wanted = frozenset(self.tests)
        return sorted(each for each in now.ids - frozenset(known) if now.tests.get(each) in (None, wanted))

    def plan(self, resource: Resource, desired: None, now: TestRuns | None) -> PlannedItem:
        """Plan one more run.

        :param resource: the branch.
        :param desired: nothing; the tests are those of the kind.
        :param now: the runs so far.
        """
        before = now or TestRuns(frozenset())
        return change(self, resource, before, TestRuns(before.ids, newer=True), identifiers=True)

    def plan_done(self, resource: Resource, known: Sequence[str], started: Sequence[str]) -> PlannedItem:
        """Plan nothing, because an earlier try of the task has started a run that still counts.

        :param resource: the branch.
        :param known: ids of the runs before that try.
        :param started: ids of what it started.
        """
        said = warning("started_earlier", f"an earlier try of this task started {', '.join(started)}")
        return no_change(self, resource, TestRuns(frozenset(known), newer=True), said)


def runs_of(agent_id: str, branch_id: str) -> Resource:
    """Return the address of the test runs of a branch."""
    return Resource(KIND, agent_id, branch_id)


def state_of(runs: Sequence[TestRun]) -> TestRuns:
    """Return the state that a list of runs stands for.

    :param runs: the runs of one branch.
    """
    tests = {
        run.id: frozenset(each.test_case_id for each in run.test_history if each.test_case_id) for run in runs
    }
    return TestRuns(frozenset(tests), tests={key: value for key, value in tests.items() if value})


def has_no_tests(failure: CallError) -> str | None:
    """Return the reason for the report where a refusal says that there is nothing to test; otherwise ``None``.

    :param failure: the refusal.
    """
    code = (failure.error_code or "").replace("_", "").lower()
    return "there is no test to run: skipped, which is not passed" if code in NO_TESTS else None


def _states(resource: Resource) -> Callable[[Sequence[TestRun]], Mapping[Resource, TestRuns | None]]:
    return lambda runs: {resource: state_of(runs)}


def _judge(resource: Resource, after: TestRuns) -> Callable[[TestRun], Mapping[Resource, WriteResult[Any]]]:
    def judge(answer: TestRun) -> Mapping[Resource, WriteResult[Any]]:
        state = TestRuns(after.ids | {answer.id})
        return {resource: WriteResult(state, facts={"test_run_ids": [answer.id]})}

    return judge
