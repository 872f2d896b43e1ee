"""What every run is given, and how a plan becomes a report."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from airflow_voice_agents.engine.applier import Applier
from airflow_voice_agents.engine.concurrency import Sender
from airflow_voice_agents.engine.progress_log import ProgressLog
from airflow_voice_agents.plans.guards import LIVE, GuardContext, check_live
from airflow_voice_agents.plans.kind import ResourceKind, State
from airflow_voice_agents.plans.plan import Finding, Plan, PlannedItem, moved, pins
from airflow_voice_agents.plans.render import Display, render_plan
from airflow_voice_agents.plans.report import ItemReport, Report, Status, in_order
from airflow_voice_agents.transport.errors import GuardRefused, InputError, StateMoved


class TaskState(Protocol):
    """What a task instance remembers across its tries."""

    def get(self, key: str) -> Any:
        """Return the stored JSON value, or ``None``."""

    def set(self, key: str, value: Any) -> None:
        """Store a JSON value other than ``None``."""

    def delete(self, key: str) -> None:
        """Forget the key; a missing key is not an error."""


@dataclass(frozen=True, slots=True)
class RunContext:
    """What a run works with.

    :param send: sends a call.
    :param say: receives lines for people (a logger's ``info``).
    :param circumstances: what the guards judge by.
    :param concurrency: most targets in flight.
    :param memory: what outlives this try, or ``None`` where there is none.
    :param clock: monotonic seconds.
    :param redact: masks secrets in what the platform says about an item.
    :raises InputError: when nothing could ever be in flight.
    """

    send: Sender
    say: Callable[[str], None]
    guard_context: GuardContext = field(default_factory=GuardContext)
    concurrency: int = 4
    memory: TaskState | None = None
    clock: Callable[[], float] = time.monotonic
    redact: Callable[[str], str] = str

    def __post_init__(self) -> None:
        if (
            isinstance(self.concurrency, bool)
            or not isinstance(self.concurrency, int)
            or self.concurrency < 1
        ):
            raise InputError("concurrency must be a whole number of at least 1")

    def guard(self, operation: str, findings: Iterable[Finding], *, dry_run: bool = False) -> None:
        """Refuse work before it reads anything, or only tell so where nothing would be written.

        :param operation: what the run is.
        :param findings: what the guards say; none lets the run pass.
        :param dry_run: whether to tell only.
        :raises GuardRefused: with every finding.
        """
        said = " ".join(finding.message for finding in findings)
        if said and not dry_run:
            raise GuardRefused(f"{operation}: {said} Nothing was read or written.")
        if said:
            self.say(f"A run that writes would be refused. {operation}: {said}")

    def guard_live(self, operation: str, *, dry_run: bool = False) -> None:
        """Refuse writes that nobody confirmed, where all that is written is live.

        :param operation: what the run is.
        :param dry_run: whether to tell only.
        :raises GuardRefused: before any request.
        """
        self.guard(operation, check_live([LIVE], self.guard_context), dry_run=dry_run)

    def progress(self, what: str, total: int) -> ProgressLog:
        """Return a progress for one part of the run."""
        return ProgressLog(what, total, self.say, clock=self.clock)


class ExpectedDigests:
    """Holds a run to the plan that was approved, across the tries of its task.

    The first try must meet exactly that plan. It notes what the plan holds each target to; a later try,
    which finds some targets done, must find every target as it was, as planned, or between two writes.
    The note outlives success: the process may end after the last write and before Airflow knows of it.

    :param expected: digest of the approved plan, or ``None`` when any plan will do.
    :param memory: what outlives a try.
    """

    def __init__(self, expected: str | None, memory: TaskState | None) -> None:
        self._expected = expected
        self._memory = memory

    @property
    def _key(self) -> str:
        return f"plan-{self._expected}"

    def hold(self, plan: Plan) -> None:
        """Let a plan pass, or refuse it.

        :param plan: the plan made now.
        :raises StateMoved: naming the targets that are not as approved.
        """
        if self._expected is None:
            return
        if plan.digest == self._expected:
            if self._memory is not None:
                self._memory.set(self._key, pins(plan.items))
            return
        noted: Mapping[str, Sequence[str]] | None = (
            None if self._memory is None else self._memory.get(self._key)
        )
        if noted is None:
            raise StateMoved(
                f"The plan made now ({plan.digest[:12]}) is not the one expected ({self._expected[:12]}): "
                "source, target or parameters changed since. Nothing was written. Plan again and approve the "
                "new plan."
            )
        if away := moved(noted, plan.items):
            raise StateMoved(
                f"{', '.join(map(str, away[:10]))} changed since the plan {self._expected[:12]} was approved. "
                "Nothing more was written; what an earlier try applied stays. Plan again and approve the new "
                "plan."
            )


Explain = Callable[[PlannedItem, ItemReport], ItemReport]


def _plainly(_: PlannedItem, item: ItemReport) -> ItemReport:
    return item


@dataclass(frozen=True, slots=True)
class ApplyOptions:
    """How a plan is carried out.

    :param display: what the plan shows of values.
    :param verify: whether an independent read follows the writes; their answers are checked in any case.
    :param max_snapshot_age: seconds after which a target is read again right before it is written; zero
        always does.
    :param dry_run: plan only.
    :param expected_digest: digest that the plan must have, or ``None``.
    :param explain: adds the plan's facts to a target's report.
    """

    display: Display = field(default_factory=Display)
    verify: bool = True
    max_snapshot_age: float = 60.0
    dry_run: bool = False
    expected_digest: str | None = None
    explain: Explain = _plainly


async def execute(
    run: RunContext, kind: ResourceKind[State], plan: Plan, manner: ApplyOptions, *, planned_at: float
) -> Report:
    """Show a plan and carry it out, unless it has errors or nothing is to be written.

    :param run: what the run works with.
    :param kind: the kind of all resources of the plan.
    :param plan: the plan.
    :param manner: how it is carried out.
    :param planned_at: when its oldest state was read, on the run's clock.
    :raises StateMoved: when the plan is not the one expected.
    :returns: the report; with an error in the plan, one in which nothing was written.
    """
    run.say(render_plan(plan, manner.display))
    if manner.dry_run or plan.errors():
        return unwritten(plan, manner)
    ExpectedDigests(manner.expected_digest, run.memory).hold(plan)
    return await carry_out(run, kind, plan, manner, planned_at=planned_at)


async def carry_out(
    run: RunContext, kind: ResourceKind[State], plan: Plan, manner: ApplyOptions, *, planned_at: float
) -> Report:
    """Write what a plan asks for and report on every target.

    :param run: what the run works with.
    :param kind: the kind of all resources of the plan.
    :param plan: a plan without errors.
    :param manner: how it is carried out.
    :param planned_at: when its oldest state was read, on the run's clock.
    """
    todo = [item for item in plan.items if item.intent is not None]
    carrier = Applier(
        run.send,
        kind,
        limit=run.concurrency,
        progress=run.progress(plan.operation, len(todo)),
        verify=manner.verify,
        max_snapshot_age=manner.max_snapshot_age,
        clock=run.clock,
        redact=run.redact,
    )
    written = await carrier.apply([item.intent for item in todo if item.intent], observed_at=planned_at)
    items = [*written, *(_as_is(item) for item in plan.items if item.intent is None)]
    return Report(
        operation=plan.operation,
        items=tuple(map(manner.explain, plan.items, in_order([item.resource for item in plan.items], items))),
        plan_digest=plan.digest,
        retry_after=carrier.retry_after,
    )


def unwritten(plan: Plan, manner: ApplyOptions) -> Report:
    """Report on a plan of which nothing was written.

    :param plan: the plan, possibly with errors.
    :param manner: how it would have been carried out.
    """
    reports = [_foreseen(item, dry_run=manner.dry_run) for item in plan.items]
    return Report(
        operation=plan.operation,
        items=tuple(map(manner.explain, plan.items, reports)),
        dry_run=manner.dry_run,
        plan_digest=plan.digest,
        refused=bool(plan.errors()),
    )


def _as_is(item: PlannedItem) -> ItemReport:
    return ItemReport(item.resource, Status.UNCHANGED)


def _foreseen(item: PlannedItem, *, dry_run: bool) -> ItemReport:
    if item.errors:
        reason = "; ".join(finding.message for finding in item.errors)
        return ItemReport(item.resource, Status.FAILED, reason, permanent=True)
    if not item.changed:
        return _as_is(item)
    if dry_run:
        return ItemReport(item.resource, Status.CHANGED, f"would change with {item.writes} call(s)")
    return ItemReport(item.resource, Status.SKIPPED, "not attempted, because the plan has errors")
