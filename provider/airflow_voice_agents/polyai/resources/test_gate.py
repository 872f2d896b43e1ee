"""The gate that requires passed tests of a version or branch state."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    ValidationError,
    WithJsonSchema,
)

from airflow_voice_agents.plans.plan import Finding, error, warning
from airflow_voice_agents.polyai.observations import TestRun, Verdict
from airflow_voice_agents.transport.errors import InputError
from airflow_voice_agents.transport.model_errors import explain_all
from airflow_voice_agents.transport.validation import decode_list, parse_identifier

SKIPPED = "skipped"
"""The verdict where no test ran, which is not passed."""


def _identifier(value: object) -> str:
    try:
        return parse_identifier(value, name="it")
    except InputError as problem:
        raise ValueError(str(problem)) from None


def _listed(value: object) -> object:
    """A list that a template rendered is a text."""
    if not isinstance(value, str):
        return () if value is None else value
    try:
        return decode_list(value, name="it")
    except InputError as problem:
        raise ValueError(str(problem)) from None


def _moment(value: object) -> object:
    if value in (None, "", "None"):
        return None
    found = datetime.fromisoformat(value) if isinstance(value, str) else value
    if not isinstance(found, datetime) or found.tzinfo is None:
        raise ValueError("it must be an ISO 8601 time with a zone")
    return found


Identifier = Annotated[str, BeforeValidator(_identifier)]
RunIds = Annotated[
    tuple[Identifier, ...],
    BeforeValidator(_listed),
    WithJsonSchema({"anyOf": [{"type": "array", "items": {"type": "string"}}, {"type": "string"}]}),
]
"""Ids as a list, or as the text that a template renders: JSON, or separated by commas."""


class TestGate(BaseModel):
    """Tests that must have passed, and the version or branch that they tested.

    :param test_run_ids: the runs: XCom ``test_run_ids`` of the task that started them.
    :param version: version that the runs tested; the promoted deployment must have it.
    :param state: digest of the tested branch, from XCom ``tested``; the branch must still have it.
    :param agent_id: the tested agent; ``None`` skips this check.
    :param branch_id: the tested branch; ``None`` skips this check.
    :param since: time at which the runs were started.
    :param after: time after which the runs must have started; ``None`` skips this check.
    :param required: if true, it is an error that no test ran; otherwise the result is skipped.
    """

    __test__ = False
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    test_run_ids: RunIds = ()
    version: str | None = Field(default=None, min_length=1)
    state: str | None = Field(default=None, min_length=1)
    agent_id: Identifier | None = None
    branch_id: Identifier | None = None
    since: Annotated[datetime | None, BeforeValidator(_moment)] = None
    after: Annotated[datetime | None, BeforeValidator(_moment)] = None
    required: StrictBool = True

    @classmethod
    def parse(cls, value: object, *, name: str = "tests") -> TestGate | None:
        """Read a gate.

        :param value: a mapping, such as XCom ``tested``; or ``None``.
        :param name: what to call it in errors.
        :raises InputError: naming what is wrong.
        """
        if value is None or isinstance(value, TestGate):
            return value
        if not isinstance(value, Mapping):
            raise InputError(f"{name} must be a mapping, not {type(value).__name__}")
        try:
            return cls.model_validate(value)
        except ValidationError as problem:
            raise InputError(f"{name} is wrong: {explain_all(problem, value, cls)}") from None

    def plain(self) -> dict[str, Any]:
        """Return the gate as JSON; :meth:`parse` takes it."""
        return self.model_dump(mode="json", exclude_none=True)

    def verdicts(self, runs: Sequence[TestRun]) -> dict[str, str]:
        """Return run -> verdict, for the digest of a plan.

        :param runs: the runs, as read now.
        """
        return {run.id: run.verdict.value for run in runs}

    def findings(
        self, runs: Sequence[TestRun], *, version: str | None = None, state: str | None = None
    ) -> Iterator[Finding]:
        """Yield what stands in the way, or what passed.

        :param runs: the runs, as read now.
        :param version: version that is about to be promoted.
        :param state: digest of the branch that is about to be merged.
        """
        if not runs:
            yield self._nothing_ran()
            return
        problems = [*self._other_subject(version, state), *self._too_old(runs), *self._not_passed(runs)]
        yield from problems
        if not problems:
            on = (
                f"version {version}"
                if self.version
                else "exactly this branch state"
                if self.state
                else "this agent"
            )
            yield warning("tests_passed", f"{_summary(runs)} passed on {on}.")

    def _nothing_ran(self) -> Finding:
        said = "No test ran: skipped, which is not passed."
        if self.required:
            return error(
                "tests_skipped", f"{said} Run tests first, or pass required: false if none is meant."
            )
        return warning("tests_skipped", said)

    def _other_subject(self, version: str | None, state: str | None) -> Iterator[Finding]:
        if self.version is None and self.state is None:
            yield error(
                "tests_of_unknown",
                "The gate does not say what was tested. Give version or state, as XCom tested holds them.",
            )
        if self.version is not None and self.version != version:
            yield error(
                "tests_of_other_version",
                f"The tests ran on version {self.version}, and this is {version or '(none)'}. Test this one.",
            )
        if self.state is not None and self.state != state:
            yield error(
                "tests_of_other_state",
                "The branch was changed after the tests were started, so they say nothing of it. Test it again.",
            )

    def _too_old(self, runs: Sequence[TestRun]) -> Iterator[Finding]:
        if self.after is None:
            return
        for run in runs:
            began = run.started_at or self.since
            if began is None or began <= self.after:
                when = began.isoformat() if began else "at a time that is not shown"
                yield error(
                    "tests_too_old",
                    f"Test run {run.id} was started {when}, and only runs after {self.after.isoformat()} count.",
                )

    def _not_passed(self, runs: Sequence[TestRun]) -> Iterator[Finding]:
        for run in runs:
            if self.branch_id is not None and run.branch_id not in (None, self.branch_id):
                yield error("tests_of_other_branch", f"Test run {run.id} ran on branch {run.branch_id}.")
            if run.verdict in (Verdict.PENDING, Verdict.UNKNOWN):
                yield error(
                    "tests_pending", f"Test run {run.id} has not ended ({run.status or 'no status'})."
                )
            elif run.verdict is not Verdict.PASSED:
                yield error(
                    "tests_failed", f"Test run {run.id} did not pass ({run.verdict.value}{_failed(run)})."
                )
            elif run.test_case_count == 0:
                yield error("tests_skipped", f"Test run {run.id} had no test: skipped, which is not passed.")


def _failed(run: TestRun) -> str:
    return f": {run.failed_count} failed" if run.failed_count else ""


def _summary(runs: Sequence[TestRun]) -> str:
    counts = Counter[str]()
    for run in runs:
        counts["passed"] += run.passed_count or 0
    tests = f" ({counts['passed']} test(s))" if counts["passed"] else ""
    return f"Test run(s) {', '.join(run.id for run in runs)}{tests}"
