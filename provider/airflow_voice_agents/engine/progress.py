"""How far each resource has come while intents are carried out."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Generic

from airflow_voice_agents.plans.kind import ResourceKind, State, Transition, Write
from airflow_voice_agents.plans.report import ItemReport, Status
from airflow_voice_agents.transport.errors import CallError

NOTHING_APPLIED = "It was not changed."


class Phase(Enum):
    """Where a resource stands."""

    PENDING = auto()
    """Not written yet, or only in part."""
    WRITTEN = auto()
    """Every write was accepted; to be checked."""
    UNCERTAIN = auto()
    """A write may or may not have happened; to be read back."""
    ENDED = auto()
    """Nothing more will happen."""


@dataclass
class ResourceProgress(Generic[State]):
    """One resource on its way.

    :param intent: what it is and shall be; renewed whenever it is read again.
    :param seen: the last state that an answer or a read showed.
    :param applied: operations that went through, for the report.
    :param doubted: the write of which it is not known whether it went through.
    :param known: the last state before that write.
    :param read_at: when it was last read, on the run's clock.
    """

    intent: Transition[State]
    seen: State | None = None
    phase: Phase = Phase.PENDING
    status: Status = Status.UNKNOWN
    reason: str = ""
    permanent: bool = False
    retry_after: float | None = None
    applied: list[str] = field(default_factory=list)
    doubted: Write[State] | None = None
    known: State | None = None
    read_at: float | None = None

    def end(
        self, status: Status, reason: str = "", *, cause: CallError | None = None, permanent: bool = False
    ) -> None:
        """Say how it ended.

        :param status: how.
        :param reason: why, in words.
        :param cause: the error behind it, if any.
        :param permanent: whether trying again cannot help; a permanent cause implies it.
        """
        self.phase, self.status, self.reason = Phase.ENDED, status, reason
        self.permanent = permanent or bool(cause and cause.permanent)
        self.retry_after = cause.retry_after if cause else None

    def fail(self, reason: str, *, cause: CallError | None = None, permanent: bool = False) -> None:
        """End as failed, saying what was and was not applied before."""
        self.end(Status.FAILED, f"{reason} {self._applied_text()}", cause=cause, permanent=permanent)

    def mark_stuck(self) -> None:
        """End because no write leads on from what it is; what a write in doubt did stays unknown."""
        reason = (
            f"{self.reason} No write leads safely from what it is now to what was planned; look at it there."
        )
        if self.doubted:
            self.end(Status.UNKNOWN, reason.strip())
        else:
            self.fail(reason.strip())

    def unreadable(self, failure: CallError, *, untouched: bool) -> None:
        """End because it could not be read.

        :param failure: why.
        :param untouched: whether nothing was written yet, so that what it is does not matter.
        """
        if untouched:
            self.fail(f"It could not be read right before writing: {failure}", cause=failure)
        else:
            reason = f"{self.reason} It could not be read: {failure}".strip()
            self.end(Status.UNKNOWN, reason, cause=failure)

    def mark_uncertain(self, step: Write[State], reason: str) -> None:
        """Note that a write may or may not have happened."""
        self.phase, self.reason, self.doubted = Phase.UNCERTAIN, reason, step
        self.known = self.intent.before if self.seen is None else self.seen

    def resolve(self, kind: ResourceKind[State]) -> None:
        """Note the write in doubt as applied, where the state seen shows a part of what was asked for."""
        come_true = self.own_keys(kind) - changed_keys(kind, self.seen, self.intent.after)
        if self.doubted is not None and come_true & changed_keys(kind, self.known, self.seen):
            self.applied.append(self.doubted.call.operation)

    def own_keys(self, kind: ResourceKind[State]) -> set[str]:
        """Return the keys that the intent changes."""
        return changed_keys(kind, self.intent.before, self.intent.after)

    def foreign_keys(self, kind: ResourceKind[State]) -> set[str]:
        """Return the keys that changed although the intent leaves them alone."""
        return changed_keys(kind, self.intent.before, self.seen) - self.own_keys(kind)

    def renew(self) -> None:
        """Start again from the state that was just read."""
        self.phase = Phase.PENDING
        self.intent = Transition(self.intent.resource, self.seen, self.intent.after, self.read_at)

    def settle(self, kind: ResourceKind[State]) -> None:
        """End a written course as changed, or as failed when the state seen is not the one asked for."""
        missing = kind.mismatches(self.intent, self.seen)
        if missing:
            self.fail(
                f"the platform accepted the write, but reading it back differs in: {', '.join(missing[:10])}."
            )
        else:
            self.end(Status.CHANGED, self.reason)

    def report(self) -> ItemReport:
        """Return how it ended."""
        details = (
            {"applied": list(self.applied)} if self.applied and self.status is not Status.CHANGED else {}
        )
        return ItemReport(self.intent.resource, self.status, self.reason, self.permanent, details)

    def _applied_text(self) -> str:
        return f"Applied before that: {', '.join(self.applied)}." if self.applied else NOTHING_APPLIED


def changed_keys(kind: ResourceKind[State], before: State | None, after: State | None) -> set[str]:
    """Return the top-level keys in which two states differ."""
    return {str(change.path[0]) for change in kind.diff(before, after) if change.path}
