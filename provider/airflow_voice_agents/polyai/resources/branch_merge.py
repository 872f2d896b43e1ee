"""Merges of branches as a resource kind: a merged branch disappears from the list, and a merge cannot be
undone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final

import msgspec

from airflow_voice_agents.plans.canonical import digest
from airflow_voice_agents.plans.diff import Change, diff
from airflow_voice_agents.plans.kind import (
    Kind,
    Known,
    Observation,
    Resource,
    Transition,
    Write,
    WriteResult,
    WriteSequence,
    by_owner,
)
from airflow_voice_agents.plans.plan import Finding, PlannedItem, change, error, warning
from airflow_voice_agents.polyai import api
from airflow_voice_agents.polyai.models import Branch, Deployment, MergeResult
from airflow_voice_agents.transport.records import Record

KIND: Final = "branch"
NOTHING: Known = {}


class BranchState(Record, frozen=True):
    """Whether a branch waits to be merged.

    :param listed: whether it is listed; a merged branch is not.
    :param message: text that is kept with the deployment of a desired merge.
    :param active: what each environment ran before the merge.
    :param goes_to: environment that the merge deploys to.
    """

    not_shown = ("message", "active")
    not_compared = ("message", "active", "goes_to")

    listed: bool
    message: str = ""
    active: Mapping[str, Deployment | None] = msgspec.field(default_factory=dict)
    goes_to: str = ""


@dataclass(frozen=True, slots=True)
class BranchKind(Kind[BranchState]):
    """Reads branches and merges them into ``main``."""

    name: ClassVar[str] = KIND
    repeatable: ClassVar[bool] = False
    restorable: ClassVar[bool] = False

    def observe(
        self, resources: Sequence[Resource], known: Known = NOTHING
    ) -> Iterator[Observation[BranchState]]:
        """Return one read per agent; a branch that is not listed is merged or deleted."""
        for agent_id, mine in by_owner(resources).items():
            yield Observation(api.list_branches(agent_id), tuple(mine), _states(mine))

    def digest(self, state: BranchState | None) -> str:
        """Return the digest of whether it is listed."""
        return digest(_is_listed(state))

    def diff(self, before: BranchState | None, after: BranchState | None) -> Iterator[Change]:
        """Return the one thing that can differ."""
        return diff({"listed": _is_listed(before)}, {"listed": _is_listed(after)})

    def write_sequences(
        self, transitions: Sequence[Transition[BranchState]]
    ) -> Iterator[WriteSequence[BranchState]]:
        """Return one request per branch."""
        for each in transitions:
            request = api.merge_branch(
                each.resource.owner, branch_id=each.resource.name, message=each.after.message
            )
            yield (Write(request, (each.resource,), _judge(each.resource)),)

    def mismatches(self, transition: Transition[BranchState], observed: BranchState | None) -> list[str]:
        """Return ``[]`` once the branch is not listed any more."""
        return ["listed"] if _is_listed(observed) else []

    def plan(
        self,
        resource: Resource,
        desired: BranchState,
        now: BranchState | None,
        findings: Iterable[Finding] = (),
    ) -> PlannedItem:
        """Plan the merge.

        :param resource: the branch.
        :param desired: the merged branch, with the message of the merge.
        :param now: whether it is listed.
        :param findings: what else is to be said of it.
        """
        lasting = warning("cannot_undo", "A merge is not taken back; what it deploys can be rolled back.")
        return change(self, resource, now, desired, findings=(*findings, lasting), identifiers=True)


STAGING: Final = "staging"
"""Tag of the branch that Staging holds, as the vendor's command line spells it."""


class MergeConsent(msgspec.Struct, frozen=True):
    """What the author of a DAG accepts of a merge that goes straight to live.

    :param approved: somebody approved the digest of the plan that the run is held to.
    :param allow_unapproved: nobody needs to.
    :param allow_diverged: main has moved on since the branch was made, and that is meant.
    :param allow_staging_held: Staging holds another branch, and that is meant.
    """

    approved: bool = False
    allow_unapproved: bool = False
    allow_diverged: bool = False
    allow_staging_held: bool = False

    def approval(self) -> Iterator[Finding]:
        """Guard a merge that nobody approved."""
        if not (self.approved or self.allow_unapproved):
            yield error(
                "unapproved",
                "This merge goes straight to live, and nobody approved it. Have its plan approved and pass the digest "
                "(expected_digest), release with the task group release(), or pass allow_unapproved=True if intended.",
            )

    def state(self, mine: Branch, branches: Sequence[Branch]) -> Iterator[Finding]:
        """Guard a branch that is not ready: main has moved on, or Staging holds another one.

        :param mine: the branch that is to be merged.
        :param branches: all branches of the agent.
        """
        if mine.diverged:
            said = "Branch and main have diverged: main was changed since the branch was made."
            yield from self._unless(
                "diverged",
                self.allow_diverged,
                f"{said} Bring the branch up to date and test it again",
                "diverged",
            )
        other = next(
            (each for each in branches if each.tag == STAGING and each.branch_id != mine.branch_id), None
        )
        if other is not None:
            said = f"Staging is held by another branch, {other.branch_id}: what was tried there is not this branch."
            yield from self._unless(
                "staging_held",
                self.allow_staging_held,
                f"{said} Give Staging to this branch first",
                "staging_held",
            )

    @staticmethod
    def _unless(code: str, allowed: bool, text: str, name: str) -> Iterator[Finding]:
        if allowed:
            yield warning(code, f"{text}; allow_{name}=True goes on all the same.")
        else:
            yield error(code, f"{text}, or pass allow_{name}=True if meant.")


def branch(agent_id: str, branch_id: str) -> Resource:
    """Return the address of a branch of an agent."""
    return Resource(KIND, agent_id, branch_id)


def _is_listed(state: BranchState | None) -> bool:
    return state is not None and state.listed


def _states(mine: Sequence[Resource]) -> Callable[[Sequence[Branch]], Mapping[Resource, BranchState | None]]:
    def states(branches: Sequence[Branch]) -> Mapping[Resource, BranchState | None]:
        listed = {each.branch_id for each in branches}
        return {each: BranchState(True) if each.name in listed else None for each in mine}

    return states


def _judge(resource: Resource) -> Callable[[MergeResult], Mapping[Resource, WriteResult[Any]]]:
    def judge(answer: MergeResult) -> Mapping[Resource, WriteResult[Any]]:
        facts = {"test_run_ids": list(answer.test_run_ids)}
        return {resource: WriteResult(BranchState(False), facts=facts)}

    return judge
