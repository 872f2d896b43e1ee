"""Where a run keeps the assignments that it is about to change."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from airflow_voice_agents.fleet.run import Run
from airflow_voice_agents.http.errors import InputError
from airflow_voice_agents.omnia_voice.resources.phone_number import (
    KIND,
    AssignmentState,
    state_document,
    state_from_document,
)
from airflow_voice_agents.promotion.kind import Resource
from airflow_voice_agents.promotion.plan import Plan
from airflow_voice_agents.promotion.snapshot import Snapshot

MEMORY = "assignments-snapshot"
"""Under which a task remembers the snapshot that an earlier try took."""


@dataclass(frozen=True, slots=True)
class Archive:
    """Where snapshots go, and who is told.

    :param save: keeps a document and returns its URL.
    :param load: returns the document at a URL.
    :param publish: tells others the URL, before the first write.
    """

    save: Callable[[dict[str, Any]], str]
    load: Callable[[str], Any]
    publish: Callable[[str], None]

    def keep(self, run: Run, plan: Plan, states: Mapping[Resource, AssignmentState | None]) -> None:
        """Keep what the numbers are, and for those that an earlier try changed what they were before that.

        A number that is changed again is kept as it is now: its former state is somebody's newer work.

        :param run: what the run works with.
        :param plan: a plan without errors.
        :param states: what each number of the plan is now; ``None`` where it is not listed.
        """
        writes = {item.resource: item.intent.after for item in plan.items if item.intent is not None}
        url = run.memory.get(MEMORY) if run.memory else None
        if url is None or writes:
            earlier = self._earlier(run, url, states, written=set(writes))
            after = {each: state.agent_id for each, state in states.items() if state is not None}
            after |= {each: state.agent_id for each, state in writes.items()}
            notes = {each: {"agent_id": agent_id} for each, agent_id in after.items()}
            url = self.save(Snapshot(KIND, {**states, **earlier}, notes).document(state_document))
            if run.memory:
                run.memory.set(MEMORY, url)
        self.publish(url)

    def _earlier(
        self, run: Run, url: str | None, states: Mapping[Resource, Any], *, written: set[Resource]
    ) -> dict[Resource, AssignmentState | None]:
        if url is None:
            return {}
        try:
            snapshot = Snapshot.from_document(self.load(url), KIND, state_from_document)
        except InputError as error:
            run.say(f"What an earlier try changed is not in this snapshot, because {error}")
            return {}
        return {
            each: state for each, state in snapshot.states.items() if each in states and each not in written
        }
