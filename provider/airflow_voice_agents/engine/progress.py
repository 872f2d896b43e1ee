"""Progress of each resource while a plan is applied."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, auto
from typing import Any, Generic

import msgspec

from airflow_voice_agents.plans.kind import ResourceKind, State, Transition, Write
from airflow_voice_agents.plans.report import MARKS, NO_DETAILS, ItemReport, Status
from airflow_voice_agents.transport.errors import CallError

NOTHING_APPLIED = "It was not changed."
APPLIED = "Applied before that"


class Phase(Enum):
    """The phase of a resource."""

    PENDING = auto()
    """Not written yet, or only in part."""
    WRITTEN = auto()
    """Every write was accepted; to be checked."""
    UNCERTAIN = auto()
    """A write may or may not have been applied; to be read back."""
    ENDED = auto()
    """Nothing more will happen."""


class ResourceProgress(msgspec.Struct, Generic[State], gc=False):
    """One resource and how far its writes have come.

    :param transition: its present and desired state; renewed whenever it is read again.
    :param seen: the last state in a response or a read.
    :param answered: the state in the response to its latest accepted write, or ``None``.
    :param applied: operations that were applied, for the report.
    :param facts: ids from responses, for the report.
    :param uncertain_write: the write with the unknown outcome.
    :param refused_for_now: whether that write certainly was not applied (not sent, or put off by the platform).
    :param unanswered: whether a write of it got no answer, so that it may still take effect.
    :param none_taken: whether the answer to its uncertain write mentions none of what that write was to change.
    :param known: the last state before that write.
    :param read_at: time of the last read, on the run's clock.
    """

    transition: Transition[State]
    seen: State | None = None
    answered: State | None = None
    phase: Phase = Phase.PENDING
    status: Status = Status.UNKNOWN
    reason: str = ""
    permanent: bool = False
    retry_after: float | None = None
    applied: tuple[str, ...] = ()
    facts: Mapping[str, Any] = NO_DETAILS
    uncertain_write: Write[State] | None = None
    refused_for_now: bool = False
    unanswered: bool = False
    none_taken: bool = False
    known: State | None = None
    read_at: float | None = None

    def end(
        self, status: Status, reason: str = "", *, cause: CallError | None = None, permanent: bool = False
    ) -> None:
        """End the resource.

        :param status: the outcome.
        :param reason: the reason, for people.
        :param cause: the error behind it, if any.
        :param permanent: whether trying again cannot help; a permanent cause implies it.
        """
        self.phase, self.status, self.reason = Phase.ENDED, status, reason
        self.permanent = permanent or bool(cause and cause.permanent)
        self.retry_after = cause.retry_after if cause else self.retry_after
        if cause and cause.marks:
            self.facts = {**self.facts, MARKS: list(cause.marks)}

    def fail(self, reason: str, *, cause: CallError | None = None, permanent: bool = False) -> None:
        """End as failed, with what was and was not applied before."""
        self.end(Status.FAILED, f"{reason} {self._applied_text()}", cause=cause, permanent=permanent)

    def mark_stuck(self) -> None:
        """End because no write leads on from the present state; an uncertain write stays unknown."""
        reason = f"{self.reason} No write leads safely from its present state to the planned one; look at it there."
        if self.uncertain_write:
            self.end(Status.UNKNOWN, reason.strip())
        else:
            self.fail(reason.strip())

    def unreadable(self, failure: CallError, *, untouched: bool) -> None:
        """End because it could not be read.

        :param failure: the error.
        :param untouched: whether nothing was written yet.
        """
        if untouched:
            self.fail(f"It could not be read right before writing: {failure}", cause=failure)
        else:
            reason = f"{self.reason} It could not be read: {failure}".strip()
            self.end(Status.UNKNOWN, reason, cause=failure)

    def mark_uncertain(
        self,
        write: Write[State],
        reason: str,
        *,
        refused_for_now: bool = False,
        none_taken: bool | None = None,
    ) -> None:
        """Note that a write may or may not have been applied.

        :param write: the write.
        :param reason: the reason, for people.
        :param refused_for_now: whether it certainly was not applied.
        :param none_taken: whether its answer mentions no resource at all; ``None`` if there was no such answer.
        """
        self.unanswered = self.unanswered or (none_taken is None and not refused_for_now)
        self.none_taken = bool(none_taken)
        self.phase, self.reason, self.uncertain_write = Phase.UNCERTAIN, reason, write
        self.refused_for_now = refused_for_now
        self.known = self.transition.before if self.seen is None else self.seen

    def not_taken(self, write: Write[State] | None) -> str:
        """Return what it means that an answered write did not create a resource that is absent; else an empty text.

        An earlier write without an answer may still take effect, so nothing is concluded after one.

        :param write: the write that was answered.
        """
        is_absent = self.transition.before is None and self.seen is None
        return write.not_taken if write is not None and is_absent and not self.unanswered else ""

    def resolve(self, kind: ResourceKind[State]) -> None:
        """Note the uncertain write as applied, if the state seen shows a part of the desired state."""
        come_true = self.own_keys(kind) - changed_keys(kind, self.seen, self.transition.after)
        if self.uncertain_write is not None and come_true & changed_keys(kind, self.known, self.seen):
            self.applied = (*self.applied, self.uncertain_write.request.operation)

    def own_keys(self, kind: ResourceKind[State]) -> set[str]:
        """Return the keys that the transition changes."""
        return changed_keys(kind, self.transition.before, self.transition.after)

    def foreign_keys(self, kind: ResourceKind[State]) -> set[str]:
        """Return the keys that changed although the transition leaves them alone."""
        return changed_keys(kind, self.transition.before, self.seen) - self.own_keys(kind)

    def renew(self) -> None:
        """Start again from the state that was just read."""
        self.phase = Phase.PENDING
        self.transition = Transition(self.transition.resource, self.seen, self.transition.after, self.read_at)

    def differences(self, kind: ResourceKind[State]) -> list[str]:
        """List what differs between the state seen and the desired one, and what contradicts the response."""
        found = list(kind.mismatches(self.transition, self.seen))
        revision, answered = kind.revision(self.seen), kind.revision(self.answered)
        if not found and None not in (revision, answered) and revision != answered:
            return ["a newer write by somebody else"]
        return found

    def report(self) -> ItemReport:
        """Return the outcome."""
        details = self.facts
        if self.applied and self.status is not Status.CHANGED:
            details = {**details, "applied": list(self.applied)}
        return ItemReport(self.transition.resource, self.status, self.reason, self.permanent, details)

    def _applied_text(self) -> str:
        return f"{APPLIED}: {', '.join(self.applied)}." if self.applied else NOTHING_APPLIED


def changed_keys(kind: ResourceKind[State], before: State | None, after: State | None) -> set[str]:
    """Return the top-level keys in which two states differ."""
    return {str(change.path[0]) for change in kind.diff(before, after) if change.path}
