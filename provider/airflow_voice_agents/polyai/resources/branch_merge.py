"""Merges of branches as a resource kind: a merged branch is not listed any more, and no merge is taken back."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final

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
from airflow_voice_agents.plans.plan import PlannedItem, change, warning
from airflow_voice_agents.polyai import api
from airflow_voice_agents.polyai.models import Branch, Deployment, MergeResult

KIND: Final = "branch"
NOTHING: Known = {}


@dataclass(frozen=True, slots=True)
class BranchState:
    """Whether a branch waits to be merged.

    :param listed: whether it is listed; a merged branch is not.
    :param message: text that is kept with the deployment of a desired merge.
    :param active: what each environment ran before the merge.
    """

    listed: bool
    message: str = field(default="", compare=False, repr=False)
    active: Mapping[str, Deployment | None] = field(default_factory=dict, compare=False, repr=False)


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

    def plan(self, resource: Resource, desired: BranchState, now: BranchState | None) -> PlannedItem:
        """Plan the merge.

        :param resource: the branch.
        :param desired: the merged branch, with the message of the merge.
        :param now: whether it is listed.
        """
        lasting = warning("cannot_undo", "A merge is not taken back; what it deploys can be rolled back.")
        return change(self, resource, now, desired, findings=(lasting,), identifiers=True)


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
