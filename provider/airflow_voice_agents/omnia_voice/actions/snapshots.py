"""Save and restore assignments of numbers to agents."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import msgspec
from msgspec.structs import replace

from airflow_voice_agents.engine.policy import BlockDigests
from airflow_voice_agents.engine.restore import LEFT_OUT, RestoreAction
from airflow_voice_agents.engine.run_context import RunContext
from airflow_voice_agents.omnia_voice import api
from airflow_voice_agents.omnia_voice.actions.assignments import AGENT_NOTE, agent_notes, parse_assignments
from airflow_voice_agents.omnia_voice.actions.base import Workspace, with_agents
from airflow_voice_agents.omnia_voice.actions.updates import SETTINGS_NOTE, settings_notes
from airflow_voice_agents.omnia_voice.paging import read_all
from airflow_voice_agents.omnia_voice.resources import settings
from airflow_voice_agents.omnia_voice.resources.phone_number import (
    KIND,
    AssignmentKind,
    AssignmentState,
    agent_number,
    by_e164,
    not_whole,
    state_of,
)
from airflow_voice_agents.omnia_voice.resources.settings import SettingsKind
from airflow_voice_agents.plans.kind import Kinds, Resource, ResourceKind
from airflow_voice_agents.plans.plan import PlannedItem, TargetPlan, no_change
from airflow_voice_agents.plans.report import ItemReport, Status
from airflow_voice_agents.plans.snapshot import Snapshot
from airflow_voice_agents.transport.errors import CallError, GuardRefused, InputError
from airflow_voice_agents.transport.validation import parse_identifier, summarize_list

KEEP = "snapshot assignments"


class SnapshotAssignments(msgspec.Struct, frozen=True):
    """A snapshot to take; nothing is written.

    :param workspace: the workspace.
    :param numbers: E.164 numbers without repeats, in order; empty for all of the workspace.
    """

    workspace: Workspace
    numbers: tuple[str, ...] = ()

    async def run(self, run: RunContext) -> dict[str, Any]:
        """List the numbers and return the snapshot as a document.

        Vendor operation: list numbers.

        :param run: the run.
        :raises GuardRefused: when there is no number to keep.
        :raises ResponseError: when the list ended early, and a number is not on it.
        """
        answer = await read_all(run.send, api.list_numbers())
        found = by_e164(answer.numbers)
        names = self.numbers or tuple(sorted(found))
        absent = [number for number in names if number not in found]
        if answer.has_more and (absent or not self.numbers):
            raise not_whole(absent)
        if not names:
            raise GuardRefused(f"{KEEP}: {self.workspace.platform} lists no number. Nothing was kept.")
        if absent:
            run.log(
                f"{KEEP}: {len(absent)} number(s) are not listed and kept as such: {summarize_list(absent)}"
            )
        states = {
            agent_number(self.workspace.platform, each): state_of(found[each]) if each in found else None
            for each in names
        }
        return Snapshot(states).document({KIND: AssignmentKind()})


@dataclass(frozen=True, kw_only=True)
class RestoreAssignments(RestoreAction):
    """A restore of assignments, or of the settings that an update changed.

    A number whose agent is as in the snapshot is left alone. One whose agent is neither as in the snapshot nor as
    the assignment left it is newer work.

    :param workspace: the workspace.
    :param agents_left: the agent that the assignment left on each number, as far as that is known.
    :param names: the settings that an update changed.
    """

    operation: ClassVar[str] = "restore assignments"
    counts_items: ClassVar[bool] = True
    or_partial: ClassVar[str] = ", or allow_partial=True to restore the others"
    or_expected: ClassVar[str] = ", or expected_agent_id"

    workspace: Workspace
    agents_left: Mapping[Resource, str | None] = field(default_factory=dict)
    names: tuple[str, ...] = settings.NAMES

    def kinds(self) -> Kinds:
        """Return the kinds of assignments and of settings."""
        return kinds(self.workspace, self.names)

    def locks(self, target: str, resources: Sequence[Resource]) -> tuple[str, ...]:
        """Return one lock per number."""
        return tuple(map(str, resources))

    def checkpoint_key(self) -> None:
        """Return ``None``: a retry compares every number with one list."""
        return

    def item(self, resource: Resource, now: Any, own: Mapping[str, Sequence[str]]) -> PlannedItem:
        """Return the item of one number; one that its former agent answers stays as it is."""
        if resource.kind == KIND and not isinstance(now, CallError) and not self.force:
            as_kept = _agent(now) == _agent(self.snapshot.states[resource])
            if as_kept and not self._as_left(resource, now):
                return no_change(self.kinds()[KIND], resource, now)
        return super().item(resource, now, own)

    def is_ours(
        self, kind: ResourceKind[Any], item: PlannedItem, now: Any, own: Mapping[str, Sequence[str]]
    ) -> bool:
        """Return whether a number is as the assignment left it: the agent decides, where that is known."""
        if item.resource in self.agents_left:
            return self._as_left(item.resource, now) or item.before in own.get(item.resource.key, ())
        return super().is_ours(kind, item, now, own)

    def newer(self, item: PlannedItem) -> PlannedItem:
        """Return an item with the finding about newer work, which names who answers the number."""
        found = super().newer(item)
        agent_id = _agent(item.transition.before if item.transition else None)
        owner = "nobody" if agent_id is None else f"agent {agent_id}"
        *others, said = found.findings
        said = replace(said, message=f"{item.resource.name} is answered by {owner}. {said.message}")
        return replace(found, findings=(*others, said))

    def kept_notes(self, targets: Sequence[TargetPlan]) -> Mapping[Resource, Mapping[str, Any]]:
        """Return the agent or the settings that the restore leaves."""
        agents = {each: note for each, note in agent_notes(targets).items() if each.kind == KIND}
        changed = settings_notes(targets, self.names)
        return {**{each: note for each, note in changed.items() if each.kind != KIND}, **agents}

    def block_digests(self, targets: Sequence[TargetPlan]) -> BlockDigests:
        """Return the states that the restore undoes: by the snapshot's notes, else as they are now."""
        now = {
            target.name: {
                item.resource: item.before for item in target.items if item.changed and not item.refusals
            }
            for target in targets
        }
        noted = super().block_digests(targets)
        merged = {name: {**now.get(name, {}), **noted.get(name, {})} for name in now.keys() | noted.keys()}
        return {name: digests for name, digests in merged.items() if digests}

    def explain(self, planned: PlannedItem, item: ItemReport) -> ItemReport:
        """Return an item's report; a number that a partial restore leaves out is skipped."""
        told = with_agents(planned, super().explain(planned, item))
        if LEFT_OUT in told.details and told.status is Status.FAILED:
            return replace(told, status=Status.SKIPPED, reason=f"left out: {told.reason}")
        return told

    def _as_left(self, resource: Resource, now: AssignmentState | None) -> bool:
        return resource in self.agents_left and _agent(now) == self.agents_left[resource]


def kinds(workspace: Workspace, names: Collection[str] = settings.NAMES) -> Kinds:
    """Return the kinds that a snapshot can hold.

    :param workspace: the workspace.
    :param names: the settings that an update changed.
    """
    return {
        KIND: AssignmentKind(workspace.verb),
        settings.KIND: SettingsKind(workspace.verb, names=tuple(names)),
    }


def parse_restore(
    workspace: Workspace,
    document: object,
    *,
    expected_agent_id: object = None,
    expected_assignments: object = None,
    force: bool = False,
    allow_partial: bool = False,
) -> RestoreAssignments:
    """Check the arguments of a restore.

    :param workspace: the workspace.
    :param document: the snapshot.
    :param expected_agent_id: the agent that the assignment led to, or
    :param expected_assignments: mapping of numbers to such agents; without both, the notes of the snapshot count.
    :param force: overwrite newer changes.
    :param allow_partial: whether numbers with newer work are left out.
    :raises InputError: naming what is wrong.
    """
    if expected_agent_id is not None and expected_assignments is not None:
        raise InputError("give either expected_agent_id or expected_assignments")
    snapshot = Snapshot.from_document(document, kinds(workspace))
    if not snapshot.states:
        raise InputError("the snapshot is empty; there is nothing to restore")
    if strange := sorted({each.owner for each in snapshot.states} - {workspace.platform}):
        raise InputError(
            f"the snapshot is of {', '.join(strange)}, and the connection leads to {workspace.platform}"
        )
    left = _agents_left(snapshot, expected_agent_id, expected_assignments)
    return RestoreAssignments(
        workspace=workspace,
        snapshot=snapshot,
        digest=str(document["digest"]) if isinstance(document, Mapping) else "",
        force=force,
        allow_partial=allow_partial,
        left=dict.fromkeys(left, ()),  # known, and compared by agent
        agents_left=left,
        names=_names(snapshot),
    )


def _agents_left(
    snapshot: Snapshot[Any], expected_agent_id: object, expected_assignments: object
) -> dict[Resource, str | None]:
    numbers = [each for each in snapshot.states if each.kind == KIND]
    if expected_agent_id is not None:
        return dict.fromkeys(numbers, parse_identifier(expected_agent_id, name="expected_agent_id"))
    if expected_assignments is not None:
        agents = parse_assignments(expected_assignments, name="expected_assignments")
        return {each: agents[each.name] for each in numbers if each.name in agents}
    notes = {each: snapshot.notes.get(each) for each in numbers}
    return {
        each: note[AGENT_NOTE]
        for each, note in notes.items()
        if isinstance(note, Mapping) and AGENT_NOTE in note
    }


def _names(snapshot: Snapshot[Any]) -> tuple[str, ...]:
    """Return the settings that an update changed, as its snapshot notes them."""
    noted = [note.get(SETTINGS_NOTE) for note in snapshot.notes.values() if isinstance(note, Mapping)]
    named = {name for names in noted if isinstance(names, list) for name in names}
    return tuple(name for name in settings.NAMES if name in named) or settings.NAMES


def _agent(state: AssignmentState | None) -> str | None:
    return None if state is None else state.agent_id
