"""How far each resource has come while intents are carried out."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Generic

from airflow_voice_agents.http.errors import CallError
from airflow_voice_agents.promotion.kind import Intent, ResourceKind, State
from airflow_voice_agents.promotion.report import ItemReport, Status


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
class Course(Generic[State]):
    """One resource on its way.

    :param intent: what it is and shall be; renewed whenever it is read again.
    :param seen: the last state that an answer or a read showed.
    """

    intent: Intent[State]
    seen: State | None = None
    phase: Phase = Phase.PENDING
    status: Status = Status.UNKNOWN
    reason: str = ""
    permanent: bool = False
    retry_after: float | None = None
    applied: list[str] = field(default_factory=list)

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

    def doubt(self, reason: str) -> None:
        """Note that a write may or may not have happened."""
        self.phase, self.reason = Phase.UNCERTAIN, reason

    def renew(self) -> None:
        """Start again from the state that was just read."""
        self.phase = Phase.PENDING
        self.intent = Intent(self.intent.resource, self.seen, self.intent.after)

    def settle(self, kind: ResourceKind[State]) -> None:
        """End a written course as changed, or as failed when the state seen is not the one asked for."""
        missing = kind.unsettled(self.intent, self.seen)
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
        return f"Applied before that: {', '.join(self.applied)}." if self.applied else "It was not changed."
