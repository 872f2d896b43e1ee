"""Models for the checks after a promotion: test runs, alerts, conversations, concurrency, debug chats.

Read as leniently as :mod:`airflow_voice_agents.polyai.models` reads. What callers said and their numbers
are not read at all. Moments are aware; one that comes without a zone is taken as UTC.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any

from pydantic import AfterValidator, AliasChoices, AliasPath, BeforeValidator, ConfigDict, Field, StrictBool

from airflow_voice_agents.polyai.models import (
    Answer,
    OptionalText,
    Texts,
    blank_to_none,
    null_to_empty,
    null_to_object,
)


def _aware(moment: datetime | None) -> datetime | None:
    return moment.replace(tzinfo=UTC) if moment is not None and moment.tzinfo is None else moment


_Number = Annotated[int | float | None, BeforeValidator(blank_to_none)]
_Flag = Annotated[StrictBool | None, BeforeValidator(blank_to_none)]
_Object = Annotated[dict[str, Any], BeforeValidator(blank_to_none), BeforeValidator(null_to_object)]
Moment = Annotated[datetime | None, BeforeValidator(blank_to_none), AfterValidator(_aware)]
"""An aware moment, or ``None`` for null, ``""`` and absent."""


class SnakeAnswer(Answer):
    """Base of the answers whose JSON has the names of Python."""

    model_config = ConfigDict(alias_generator=None)


# ------------------------------------------------------------------------------------- test runs


class Verdict(StrEnum):
    """What the status of a test run, or of one test of it, amounts to."""

    PENDING = "pending"
    PASSED = "passed"
    FAILED = "failed"
    ERROR = "error"
    """It did not come to a result: an error, or out of time."""
    UNKNOWN = "unknown"
    """A status that nobody documents; it may still be running."""


_VERDICTS = {
    "pending": Verdict.PENDING,
    "running": Verdict.PENDING,
    "in_progress": Verdict.PENDING,
    "passed": Verdict.PASSED,
    "failed": Verdict.FAILED,
    "error": Verdict.ERROR,
    "errored": Verdict.ERROR,
    "timed_out": Verdict.ERROR,
}
_COUNTED = "completed"


class TestOutcome(Answer):
    """One test of a run."""

    __test__ = False

    test_case_id: str | None = Field(
        default=None, validation_alias=AliasChoices("testCaseId", "test_case_id")
    )
    status: OptionalText = None

    @property
    def verdict(self) -> Verdict:
        """What the status amounts to."""
        return _VERDICTS.get((self.status or "").lower(), Verdict.UNKNOWN)


class TestRun(Answer):
    """One run of an agent's tests; counts are ``None`` where the answer has none."""

    __test__ = False

    id: str
    status: OptionalText = None
    test_case_count: int | None = Field(
        default=None, validation_alias=AliasChoices("testCaseCount", "test_case_count")
    )
    passed_count: int | None = Field(
        default=None, validation_alias=AliasChoices("passedCount", "passed_count")
    )
    failed_count: int | None = Field(
        default=None, validation_alias=AliasChoices("failedCount", "failed_count")
    )
    error_count: int | None = Field(default=None, validation_alias=AliasChoices("errorCount", "error_count"))
    branch_id: OptionalText = Field(default=None, validation_alias=AliasChoices("branchId", "branch_id"))
    started_at: Moment = Field(
        default=None, validation_alias=AliasChoices("startedAt", "started_at", "createdAt", "created_at")
    )
    test_history: Annotated[tuple[TestOutcome, ...], BeforeValidator(null_to_empty)] = Field(
        default=(), validation_alias=AliasChoices("testHistory", "test_history")
    )

    @property
    def verdict(self) -> Verdict:
        """What the status amounts to, and the counts where they say something worse.

        ``completed`` says only that the run is over: its counts decide, and without them nothing is known.
        """
        status = (self.status or "").lower()
        said = self._counted() if status == _COUNTED else _VERDICTS.get(status, Verdict.UNKNOWN)
        if said is Verdict.PASSED and (self.failed_count or self.error_count):
            return Verdict.FAILED if self.failed_count else Verdict.ERROR
        return said

    def _counted(self) -> Verdict:
        if self.failed_count:
            return Verdict.FAILED
        if self.error_count:
            return Verdict.ERROR
        all_passed = self.passed_count is not None and self.passed_count == self.test_case_count
        return Verdict.PASSED if all_passed else Verdict.UNKNOWN


# ---------------------------------------------------------------------------------------- alerts

METRICS = (
    "turn_latency_p50",
    "turn_latency_p95",
    "api_errors",
    "function_errors",
    "call_crashes",
    "call_volume",
)
"""Metrics of alert rules."""

ALERT_STATES = ("ok", "alert", "no_data", "unknown")
"""States of an alert rule."""

_WINDOW = re.compile(r"([0-9]{1,6})([smh])", re.ASCII)
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours"}


class _Watched(SnakeAnswer):
    name: str | None = None
    project_id: OptionalText = None
    metric: str | None = None
    operator: str | None = None
    threshold_value: _Number = None
    window_duration: str | None = None
    since: Moment = None
    last_evaluated_at: Moment = None
    current_value: _Number = None

    @property
    def window(self) -> timedelta | None:
        """How far back an evaluation looks; ``None`` for a form that is not known."""
        found = _WINDOW.fullmatch(self.window_duration or "")
        return timedelta(**{_UNITS[found[2]]: int(found[1])}) if found else None


class AlertRule(_Watched):
    """A rule, and how it stands: ``since`` is when its state began.

    A rule that was never evaluated reads ``ok``, with no ``last_evaluated_at``.
    """

    id: str
    enabled: _Flag = None
    current_state: OptionalText = None
    created_at: Moment = None
    updated_at: Moment = None


class Alert(_Watched):
    """A rule that is firing now, since ``since``."""

    alert_rule_id: str


# --------------------------------------------------------------------------------- conversations


def _latencies(turns: object) -> tuple[float, ...]:
    records = turns if isinstance(turns, list | tuple) else ()
    found = (turn.get("latency") for turn in records if isinstance(turn, Mapping))
    return tuple(
        float(value) for value in found if isinstance(value, int | float) and not isinstance(value, bool)
    )


def _failed_functions(events: object) -> tuple[str, ...] | None:
    return None if events in (None, "") else tuple(_failures(events))


def _failures(events: object) -> Iterator[str]:
    """Names of the calls that have an error, however deep the turns are nested that hold them."""
    waiting = [events]
    while waiting:
        part = waiting.pop(0)
        if isinstance(part, Mapping):
            if part.get("error"):
                yield str(part.get("name") or part.get("functionName") or part.get("function_name") or "")
            else:
                waiting.extend(part.values())
        elif isinstance(part, list | tuple):
            waiting.extend(part)


class Conversation(Answer):
    """One conversation, as either API tells it; what only the other one has is ``None`` or empty.

    ``deployment_id``, ``poly_score`` and ``failed_functions`` come from the API that addresses the agent,
    and ``deployment_id`` may be missing there too. ``failed_functions`` names a call that failed as often
    as it failed, and is ``None`` where nothing is said of calls. ``latencies`` are seconds per turn.
    """

    id: str = Field(validation_alias=AliasChoices("conversationId", "id"))
    environment: OptionalText = Field(default=None, validation_alias=AliasChoices("clientEnv", "environment"))
    started_at: Moment = Field(default=None, validation_alias=AliasChoices("startedAt", "started_at"))
    channel: OptionalText = None
    variant_id: OptionalText = Field(default=None, validation_alias=AliasChoices("variantId", "variant_id"))
    in_progress: _Flag = Field(default=None, validation_alias=AliasChoices("inProgress", "in_progress"))
    total_duration: _Number = Field(
        default=None, validation_alias=AliasChoices("totalDuration", "total_duration", "duration")
    )
    handoff: _Flag = None
    handoff_reason: OptionalText = Field(
        default=None, validation_alias=AliasChoices("handoffReason", "handoff_reason"), repr=False
    )
    num_turns: _Number = Field(default=None, validation_alias=AliasChoices("numTurns", "num_turns"))
    num_silences: _Number = Field(default=None, validation_alias=AliasChoices("numSilences", "num_silences"))
    num_ood: _Number = Field(default=None, validation_alias=AliasChoices("numOod", "num_ood"))
    metrics: _Object = Field(default_factory=dict, repr=False)
    deployment_id: OptionalText = Field(
        default=None, validation_alias=AliasChoices("deploymentId", "deployment_id")
    )
    poly_score: _Number = Field(default=None, validation_alias=AliasChoices("polyScore", "poly_score"))
    latencies: Annotated[tuple[float, ...], BeforeValidator(_latencies)] = Field(
        default=(), validation_alias=AliasChoices("turns", "latencies")
    )
    failed_functions: Annotated[tuple[str, ...] | None, BeforeValidator(_failed_functions)] = Field(
        default=None, validation_alias=AliasChoices("functionEvents", "function_events"), repr=False
    )


class ConversationPage(Answer):
    """Some of the conversations asked for.

    :param cursor: what to ask for the next ones with; ``None`` at the end, and where pages go by offset.
    :param count: how many there are in total, where pages go by offset.
    """

    conversations: tuple[Conversation, ...]
    cursor: OptionalText = None
    count: int | None = None


class ConcurrencyInterval(SnakeAnswer):
    """Five minutes from ``time`` on, and how many conversations were under way at once at most."""

    time: Annotated[datetime, AfterValidator(_aware)]
    max_concurrent_conversations: int


# ------------------------------------------------------------------------------------ debug chats


class ChatReply(Answer):
    """What the agent says in a debug chat.

    :param retrieved_topics: the topics that it looked up for this.
    :param failed_functions: as in :class:`Conversation`.
    """

    conversation_id: str
    response: str = Field(default="", repr=False)
    conversation_ended: _Flag = None
    delayed_response: _Flag = None
    retrieved_topics: Texts = Field(default=(), validation_alias=AliasPath("metadata", "retrievedTopics"))
    handoff_destination: OptionalText = Field(
        default=None, validation_alias=AliasPath("metadata", "handoffDestination"), repr=False
    )
    failed_functions: Annotated[tuple[str, ...] | None, BeforeValidator(_failed_functions)] = Field(
        default=None, validation_alias=AliasPath("metadata", "functionEvents"), repr=False
    )
