"""Applies transitions: parallel write sequences, checked responses, read-back of unknown outcomes.

This is the only module that sends writes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, Generic

import msgspec
from msgspec.structs import replace

from airflow_voice_agents.engine.concurrency import for_each_limited, free_loop
from airflow_voice_agents.engine.progress import Phase, ResourceProgress, changed_keys
from airflow_voice_agents.engine.reads import read_states
from airflow_voice_agents.engine.run_context import RunContext
from airflow_voice_agents.plans.kind import (
    Known,
    Resource,
    ResourceKind,
    Split,
    State,
    Transition,
    Write,
    WriteResult,
    WriteSequence,
)
from airflow_voice_agents.plans.report import TROUBLE, ItemReport, Status
from airflow_voice_agents.transport.api_request import ApiRequest, Replay
from airflow_voice_agents.transport.errors import (
    CallError,
    Conflict,
    Forbidden,
    NotFound,
    RateLimited,
    TransportError,
)
from airflow_voice_agents.transport.retry import LONGEST_NAMED_WAIT, RetryBudget, back_off

ROUNDS = 4
"""A write that a round left uncertain, and that a read shows undone, is sent again in the next round; after the
second round only within a retry budget, so that an outage is not multiplied."""

SETTLE_POLLS = (1.0, 2.0, 4.0, 8.0, 15.0)
"""Seconds between reads while the outcome of a write that must not be repeated stays unknown: 30 s in all."""

SERVICE_UNAVAILABLE = 503

NOT_READ_BACK = "the answer shows it; it was not read back"
"""Reason of a changed resource whose independent read was left out, because all further requests are refused."""


class ApplierSettings(msgspec.Struct, frozen=True):
    """How an applier writes and checks.

    :param verify: whether an independent read follows the writes; their responses are checked in any case, and
        read back where they show no state.
    :param max_snapshot_age: seconds after which a resource is read again right before it is written; zero
        always reads, ``None`` never.
    :param max_failed: number of failed resources after which no further write sequence is begun; ``None`` for any.
    :param settle_polls: seconds between reads while the outcome of a non-repeatable write stays unknown.
    """

    verify: bool = True
    max_snapshot_age: float | None = None
    max_failed: int | None = None
    settle_polls: tuple[float, ...] = SETTLE_POLLS


@dataclass
class Applier(Generic[State]):
    """Brings resources of one kind from their present to their desired state.

    No write of unknown outcome is sent again before a read has shown it undone. A write of a kind that is not
    repeatable is never sent again after an unknown outcome: its state is polled until a deadline, and then the
    outcome is reported as unknown.

    :param context: the run.
    :param kind: the kind of the resources.
    :param settings: how it writes and checks.
    :param waypoints: digests, beside those between its own writes, that a resource may have when it is read again.
    :param on_ended: receives each resource's status when it ends.
    :param on_result: receives each accepted write's result at once.
    """

    context: RunContext
    kind: ResourceKind[State]
    settings: ApplierSettings = field(default_factory=ApplierSettings)
    waypoints: Mapping[Resource, Collection[str]] = field(default_factory=dict)
    on_ended: Any = None
    on_result: Any = None
    refused: CallError | None = field(default=None, init=False)
    """The refusal that all further requests would meet as well, or ``None``."""
    stopped: str = field(default="", init=False)
    """The reason why no further sequence is begun, or an empty text."""
    moved: set[Resource] = field(default_factory=set, init=False)
    """Resources that were not written because somebody changed them after they were planned."""

    def __post_init__(self) -> None:
        self._progress: dict[Resource, ResourceProgress[State]] = {}
        self._budget = RetryBudget()
        self._granted: dict[int, bool] = {}
        self._named_wait = 0.0
        self._held_up: list[tuple[WriteSequence[State], ResourceProgress[State]]] = []
        self._freed: list[WriteSequence[State]] = []
        self._observed_at = 0.0
        self._failed = 0
        self.retry_after: float | None = None
        """The longest wait in seconds that the server named for anything that failed, once all is done."""

    async def apply(
        self, transitions: Sequence[Transition[State]], *, observed_at: float | None = None
    ) -> list[ItemReport]:
        """Write what the transitions ask for and report on each.

        :param transitions: one per resource; before and after differ.
        :param observed_at: time of the reads of the present states, on the run's clock, where a transition has none.
        """
        self._progress = {each.resource: ResourceProgress(each) for each in transitions}
        self._observed_at = self.context.clock() if observed_at is None else observed_at
        for round_number in range(1, ROUNDS + 1):
            self._named_wait = 0.0
            sequences = await self._sequences()
            await for_each_limited(sequences, self._run_sequence, limit=self.context.concurrency)
            continuing = await self._check(self._in(Phase.WRITTEN))
            await self._read_back(round_number)
            if not self._in(Phase.PENDING):
                break
            if not continuing or self._named_wait:
                await self.context.sleep(self._named_wait + back_off(round_number, self.context.random))
        self._mark_stuck(self._in(Phase.PENDING))
        waits = (each.retry_after for each in self._progress.values() if each.retry_after)
        self.retry_after = max(waits, default=None)
        # Each is let go when its report is made: they are 100,000 at times.
        return [self._progress.pop(resource).report() for resource in list(self._progress)]

    # ------------------------------------------------------------------------------------- sequences

    async def _sequences(self) -> Iterable[WriteSequence[State]]:
        """Return the sequences to write: first those that waited for a write that is now known to be applied."""
        freed, self._freed = self._freed, []
        known = {resource for sequence in freed for resource in _resources(sequence)}
        pending = [
            each.transition for each in self._in(Phase.PENDING) if each.transition.resource not in known
        ]
        return chain(freed, await self._planned(pending))

    async def _planned(self, transitions: Sequence[Transition[State]]) -> Iterable[WriteSequence[State]]:
        if not self.kind.blocking:
            return self.kind.write_sequences(transitions)
        return await free_loop(lambda: list(self.kind.write_sequences(transitions)))

    def _in(self, phase: Phase) -> list[ResourceProgress[State]]:
        return [each for each in self._progress.values() if each.phase is phase]

    async def _run_sequence(self, sequence: WriteSequence[State]) -> None:
        mine = self._of(sequence)
        if self.stopped:
            for each in mine:
                if each.phase is Phase.PENDING:
                    each.end(Status.SKIPPED, f"not attempted. {self.stopped}")
            self._report_ended(mine)
            return
        sequences: Iterable[WriteSequence[State]] = [sequence]
        if self._is_old(mine):
            sequences = await self._replanned(sequence)
        for each_sequence in sequences:
            await self._send_writes(each_sequence)
        self._report_ended(mine)

    def _of(self, writes: WriteSequence[State]) -> list[ResourceProgress[State]]:
        return [self._progress[resource] for resource in _resources(writes)]

    def _is_old(self, mine: Sequence[ResourceProgress[State]]) -> bool:
        """Whether the state of any of the resources was read too long ago."""
        max_age = self.settings.max_snapshot_age
        if max_age is None:
            return False
        times = (each.transition.read_at for each in mine)
        oldest = min((self._observed_at if at is None else at for at in times), default=self._observed_at)
        return self.context.clock() - oldest >= max_age

    def _report_ended(self, many: Iterable[ResourceProgress[State]]) -> None:
        for each in many:
            if each.phase is not Phase.ENDED:
                continue
            if self.on_ended is not None:
                self.on_ended(each.status.value)
            if each.status in TROUBLE and each.status is not Status.SKIPPED:
                self._count_failure()

    def _count_failure(self) -> None:
        self._failed += 1
        allowed = self.settings.max_failed
        if allowed is not None and self._failed > allowed and not self.stopped:
            self.stopped = (
                f"{self._failed} item(s) failed, and max_failures allows {allowed}. Fix them, then run again: "
                "finished items are not written twice."
            )

    def _mark_stuck(self, many: Sequence[ResourceProgress[State]]) -> None:
        for each in many:
            each.mark_stuck()
        self._report_ended(many)

    async def _replanned(self, sequence: WriteSequence[State]) -> Iterable[WriteSequence[State]]:
        """Read a sequence's resources again: done ones end, moved ones fail, the others are written."""
        mine = self._of(sequence)
        await self._observe(mine, untouched=True)
        for each in mine:
            if each.phase is Phase.PENDING:
                self._hold_to_plan(each, {write.waypoint for write in sequence})
        todo = [each.transition for each in mine if each.phase is Phase.PENDING]
        return await self._planned(todo)

    def _hold_to_plan(self, each: ResourceProgress[State], between: set[str | None]) -> None:
        now = self.kind.digest(each.seen)
        settled = not self.kind.mismatches(each.transition, each.seen)
        admitted = between | set(self.waypoints.get(each.transition.resource, ()))
        if settled and not each.foreign_keys(self.kind):
            each.end(Status.UNCHANGED, "it became as planned before it was written")
        elif now == self.kind.digest(each.transition.before) or now in admitted:
            each.renew()
        else:
            keys = sorted(changed_keys(self.kind, each.transition.before, each.seen))
            self.moved.add(each.transition.resource)
            each.fail(f"it changed after it was planned ({', '.join(keys[:10])}); run again to plan afresh.")

    async def _send_writes(self, sequence: WriteSequence[State]) -> None:
        last = {resource: place for place, write in enumerate(sequence) for resource in write.resources}
        for place, write in enumerate(sequence):
            await self._send_write(write)
            failed = [r for r in write.resources if self._progress[r].phase is not Phase.PENDING]
            if write.vital and failed:
                self._hold_up(sequence[place + 1 :], self._progress[failed[0]])
                return
            for each in (self._progress[r] for r in write.resources if last[r] == place):
                if each.phase is Phase.PENDING:
                    each.phase = Phase.WRITTEN

    def _hold_up(self, writes: WriteSequence[State], cause: ResourceProgress[State]) -> None:
        """Skip the writes that depend on a failed one, at once or when its outcome is known."""
        if cause.phase is Phase.UNCERTAIN:
            self._held_up.append((writes, cause))
        else:
            self._skip(writes, cause)

    def _skip(self, writes: Iterable[Write[State]], cause: ResourceProgress[State]) -> None:
        for write in writes:
            for each in (self._progress[resource] for resource in write.resources):
                if each.phase is Phase.PENDING:
                    each.end(
                        Status.SKIPPED,
                        f"not attempted, because {cause.transition.resource} failed: {cause.reason}",
                    )

    # ---------------------------------------------------------------------------------------- writes

    async def _send_write(self, write: Write[State]) -> None:
        if self.refused:
            self._fail(write, self.refused)
            return
        try:
            results = write.judge(await self.context.sender(_never_blind(write.request)))
        except CallError as failure:
            await self._handle_failure(write, failure)
            return
        none_taken, applied = results.keys().isdisjoint(write.resources), (write.request.operation,)
        for resource in write.resources:
            if (result := results.get(resource)) is not None:
                self._accept(write, resource, result, applied)
            else:
                reason = f"the answer to {write.request.operation} does not mention it."
                self._progress[resource].mark_uncertain(write, reason, none_taken=none_taken)

    def _accept(
        self, write: Write[State], resource: Resource, result: WriteResult[State], applied: tuple[str, ...]
    ) -> None:
        progress = self._progress[resource]
        if result.error is not None:
            reason = self.context.redact(result.error, write.request)
            progress.fail(f"{write.request.operation}: {reason}")
        else:
            progress.applied += applied
            progress.seen = progress.answered = result.state
            progress.facts = {**progress.facts, **result.facts} if result.facts else progress.facts
            if self.on_result is not None:
                self.on_result(resource, result)

    async def _handle_failure(self, write: Write[State], failure: CallError) -> None:
        if _concerns_all(failure):
            self.refused = failure
        reason = None if failure.in_doubt or write.no_change is None else write.no_change(failure)
        if reason is not None:
            for resource in write.resources:
                self._progress[resource].end(Status.UNCHANGED, reason)
        elif self._is_uncertain(write, failure):
            self._named_wait = max(self._named_wait, failure.retry_after or 0.0)
            for resource in write.resources:
                put_off = _certainly_not_applied(failure)
                self._progress[resource].mark_uncertain(write, str(failure), refused_for_now=put_off)
        elif (write.split or write.not_taken) and _may_be_some_of_them(failure, write):
            await self._isolate(write, write.split or _not_smaller, failure)
        else:
            self._fail(write, failure)

    def _is_uncertain(self, write: Write[State], failure: CallError) -> bool:
        if write.deletes and isinstance(failure, NotFound):
            return True
        return failure.in_doubt or not (failure.permanent or isinstance(failure, RateLimited))

    def _fail(self, write: Write[State], failure: CallError) -> None:
        for resource in write.resources:
            self._progress[resource].fail(str(failure), cause=failure)

    async def _isolate(self, write: Write[State], split: Split[State], failure: CallError) -> None:
        """Send a refused write again in smaller parts, without the resources that a read shows done."""
        mine = [self._progress[resource] for resource in write.resources]
        await self._observe(mine)
        for each in mine:
            done = not self.kind.mismatches(each.transition, each.seen)
            if each.phase is Phase.PENDING and (done or self.kind.continues(each.transition, each.seen)):
                each.phase = Phase.WRITTEN
        remaining = [each.transition.resource for each in mine if each.phase is Phase.PENDING]
        parts = split(remaining) if remaining and len(write.resources) > 1 else ()
        for part in parts:
            await self._send_write(part)
        for resource in () if parts else remaining:
            progress = self._progress[resource]
            if isinstance(failure, Conflict) and (meaning := progress.not_taken(write)):
                failure.advice = meaning
            progress.fail(str(failure), cause=failure)

    # -------------------------------------------------------------------------------------- outcomes

    async def _read_back(self, round_number: int) -> None:
        """Decide uncertain writes by reading: applied, to be sent again, or given up."""
        uncertain = self._in(Phase.UNCERTAIN)
        self._granted = {}
        open_ones = [each for each in uncertain if not (self.kind.repeatable or each.refused_for_now)]
        if open_ones:
            await self._poll(open_ones)
        await self._observe([each for each in uncertain if each not in open_ones])
        for each in uncertain:
            if each.phase is Phase.UNCERTAIN:
                self._decide(each, round_number)
        self._report_ended(uncertain)
        self._release_held_up()

    async def _poll(self, many: Sequence[ResourceProgress[State]]) -> None:
        """Read until every resource shows the desired state, or the deadline passes."""
        if self._named_wait:
            await self.context.sleep(min(self._named_wait, LONGEST_NAMED_WAIT))
        for pause in (0.0, *self.settings.settle_polls):
            waiting = [each for each in many if each.phase is not Phase.ENDED and self._lags(each)]
            if pause and not waiting:
                return
            if pause:
                await self.context.sleep(pause)
            await self._observe(waiting if pause else many)

    def _lags(self, each: ResourceProgress[State]) -> bool:
        """Whether a read shows nothing of the write yet; a state of somebody else's ends the wait."""
        return bool(self.kind.mismatches(each.transition, each.seen)) and not each.foreign_keys(self.kind)

    def _release_held_up(self) -> None:
        """Go on with the sequences that waited for an uncertain write, or skip them."""
        held_up, self._held_up = self._held_up, []
        for writes, cause in held_up:
            untouched = tuple(write for write in writes if self._is_untouched(write))
            if cause.status is Status.CHANGED and untouched:
                self._freed.append(untouched)
            elif cause.phase is Phase.ENDED:
                self._skip(untouched, cause)
                self._report_ended(self._of(untouched))

    def _is_untouched(self, write: Write[State]) -> bool:
        return all(self._progress[resource].phase is Phase.PENDING for resource in write.resources)

    def _decide(self, each: ResourceProgress[State], round_number: int) -> None:
        if not self.kind.mismatches(each.transition, each.seen):
            each.end(Status.CHANGED, "the outcome was unknown; reading it back showed it applied")
            return
        if self.kind.continues(each.transition, each.seen):
            each.renew()
            return
        each.resolve(self.kind)
        if foreign := sorted(each.foreign_keys(self.kind)):
            each.fail(
                f"{each.reason} Reading it back showed it not as planned, and that something else changed it "
                f"meanwhile ({', '.join(foreign[:10])}); run again to plan afresh."
            )
        elif not (self.kind.repeatable or each.refused_for_now):
            each.end(
                Status.UNKNOWN,
                f"{each.reason} Reading it back did not show it within {sum(self.settings.settle_polls):.0f} s. It may "
                "still take effect, so it was not sent again. Look at it there before you run this again.",
            )
            each.retry_after = self._named_wait or None
        elif each.none_taken and (meaning := each.not_taken(each.uncertain_write)):
            each.fail(f"{each.reason} {meaning}", permanent=True)
        elif not self._goes_on(each.uncertain_write, round_number):
            each.fail(f"{each.reason} Reading it back showed it not applied.")
            each.retry_after = self._named_wait or None
        else:
            each.renew()

    def _goes_on(self, write: Write[State] | None, round_number: int) -> bool:
        """Whether an undone write is sent again; one decision covers all resources of the write."""
        if round_number == ROUNDS or self._named_wait > LONGEST_NAMED_WAIT:
            return False
        if id(write) not in self._granted:
            self._granted[id(write)] = round_number == 1 or self._budget.spend()
        return self._granted[id(write)]

    async def _check(self, written: Sequence[ResourceProgress[State]]) -> bool:
        """Check accepted writes, and return whether more writes follow from what they led to."""
        verify = self.settings.verify and self.refused is None
        await self._observe([each for each in written if verify or each.seen is None])
        if not self.kind.repeatable:
            await self._poll_accepted([each for each in written if each.phase is Phase.WRITTEN])
        for each in written:
            if each.phase is Phase.WRITTEN:
                self._settle(each, verified=verify)
        self._report_ended(written)
        return any(each.phase is Phase.PENDING for each in written)

    async def _poll_accepted(self, written: Sequence[ResourceProgress[State]]) -> None:
        """Wait for reads that lag behind an accepted write."""
        for pause in self.settings.settle_polls:
            waiting = [each for each in written if each.phase is Phase.WRITTEN and self._lags(each)]
            if not waiting:
                return
            await self.context.sleep(pause)
            await self._observe(waiting)

    def _settle(self, each: ResourceProgress[State], *, verified: bool) -> None:
        """End a written resource, or go on where the kind has more writes for it."""
        missing = each.differences(self.kind)
        if not missing:
            unread = self.settings.verify and not verified
            each.end(Status.CHANGED, NOT_READ_BACK if unread else "")
        elif self.kind.continues(each.transition, each.seen):
            each.renew()
        else:
            each.fail(
                f"the platform accepted the write, but reading it back differs in: {', '.join(missing[:10])}."
            )

    async def _observe(self, many: Sequence[ResourceProgress[State]], *, untouched: bool = False) -> None:
        """Read states again; an unreadable resource ends as unknown, or as failed where nothing was written."""
        if self.refused is not None:
            for each in many:
                each.unreadable(self.refused, untouched=untouched)
            return
        asked_at = self.context.clock()

        def seen(resource: Resource, state: State | None) -> None:
            self._progress[resource].seen = state
            self._progress[resource].read_at = asked_at

        def failed(resource: Resource, failure: CallError) -> None:
            if _concerns_all(failure):
                self.refused = failure
            self._progress[resource].unreadable(failure, untouched=untouched)

        await read_states(
            self.context,
            self.kind,
            [each.transition.resource for each in many],
            seen=seen,
            failed=failed,
            known=self._known(many),
        )

    def _known(self, many: Iterable[ResourceProgress[State]]) -> Known:
        return {
            each.transition.resource: each.transition.before if each.seen is None else each.seen
            for each in many
        }


def _resources(writes: WriteSequence[Any]) -> dict[Resource, None]:
    """Return the resources that writes change, each once and in order."""
    return dict.fromkeys(resource for write in writes for resource in write.resources)


def _never_blind(request: ApiRequest[Any]) -> ApiRequest[Any]:
    """Return a request that ends as unknown rather than being sent again by the transport."""
    return replace(request, replay=Replay.RECONCILE) if request.replay is Replay.SAFE else request


def _not_smaller(_: Sequence[Resource]) -> tuple[Write[Any], ...]:
    return ()


def _certainly_not_applied(failure: CallError) -> bool:
    """Whether a write was not sent at all, or was put off by the platform with a time to wait."""
    if failure.in_doubt:
        return False
    if isinstance(failure, TransportError):
        return True
    return failure.status == SERVICE_UNAVAILABLE and failure.retry_after is not None


def _may_be_some_of_them(failure: CallError, write: Write[State]) -> bool:
    """Whether a refusal may concern some resources only, or resources that are done already."""
    if isinstance(failure, Forbidden) or failure.concerns_all or not failure.permanent:
        return False
    return len(write.resources) > 1 or isinstance(failure, Conflict)


def _concerns_all(failure: CallError) -> bool:
    """Whether all further requests would end the same: a refused key, or a limit that resets much later."""
    if isinstance(failure, RateLimited):
        return (failure.retry_after or 0.0) > LONGEST_NAMED_WAIT
    return failure.concerns_all
