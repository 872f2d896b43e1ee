"""Carries intents out: lanes of writes side by side, every answer judged, unknown outcomes read back."""

from __future__ import annotations

import asyncio
import random as random_module
import time
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Generic

from airflow_voice_agents.engine.concurrency import Sender, for_each_limited
from airflow_voice_agents.engine.progress import Phase, ResourceProgress, changed_keys
from airflow_voice_agents.engine.progress_log import ProgressLog
from airflow_voice_agents.plans.kind import (
    Observation,
    Resource,
    ResourceKind,
    Split,
    State,
    Transition,
    Write,
    WriteSequence,
)
from airflow_voice_agents.plans.report import ItemReport, Status
from airflow_voice_agents.transport.api_request import ApiRequest, Replay
from airflow_voice_agents.transport.errors import CallError, Conflict, Forbidden, RateLimited, Unauthorized
from airflow_voice_agents.transport.retry import LONGEST_NAMED_WAIT, RetryBudget, back_off

ROUNDS = 4
"""What a round left uncertain, and a read shows undone, is written once more in the next; after the second round
only as far as a retry budget goes, so that an outage is not multiplied."""


class Applier(Generic[State]):
    """Brings resources of one kind from what they are to what they shall be.

    No write of unknown outcome is sent again before a read has shown it undone, not even one that may be
    repeated: what was applied is not applied twice.

    :param send: sends a call.
    :param kind: the kind of the resources.
    :param limit: most lanes in flight.
    :param progress: told of each resource that ended.
    :param verify: whether an independent read follows the writes; without it a write's own answer is
        checked, and read back only where it shows no state.
    :param max_snapshot_age: seconds after which a resource is read again right before it is written;
        zero always reads, ``None`` never.
    :param waypoints: digests, beside those between its own writes, at which a resource that is read again
        may stand; one that arrives by an earlier write has them.
    :param clock: monotonic seconds.
    :param sleep: waits the given seconds.
    :param random: numbers in [0, 1) for the jitter.
    :param redact: masks secrets in what the platform says about an item.
    """

    def __init__(
        self,
        send: Sender,
        kind: ResourceKind[State],
        *,
        limit: int,
        progress: ProgressLog,
        verify: bool = True,
        max_snapshot_age: float | None = None,
        waypoints: Mapping[Resource, Collection[str]] | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        random: Callable[[], float] = random_module.random,
        redact: Callable[[str], str] = str,
    ) -> None:
        self._send = send
        self._redact = redact
        self._kind = kind
        self._limit = limit
        self._progress = progress
        self._verify = verify
        self._max_age = max_snapshot_age
        self._waypoints = waypoints or {}
        self._clock = clock
        self._sleep = sleep
        self._random = random
        self._budget = RetryBudget()
        self._granted: dict[int, bool] = {}
        self._named_wait = 0.0
        self._held_up: list[tuple[WriteSequence[State], ResourceProgress[State]]] = []
        self._freed: list[WriteSequence[State]] = []
        self._courses: dict[Resource, ResourceProgress[State]] = {}
        self._refused: CallError | None = None

    async def apply(
        self, intents: Sequence[Transition[State]], *, observed_at: float | None = None
    ) -> list[ItemReport]:
        """Write what the intents ask for and report on each.

        :param intents: one per resource; before and after differ.
        :param observed_at: when the states before were read, on this carrier's clock, where an intent does not say.
        """
        self._courses = {intent.resource: ResourceProgress(intent) for intent in intents}
        self._observed_at = self._clock() if observed_at is None else observed_at
        for round_number in range(1, ROUNDS + 1):
            self._named_wait = 0.0
            await for_each_limited(self._lanes(), self._lane, limit=self._limit)
            await self._check(self._in(Phase.WRITTEN))
            await self._read_back(round_number)
            if not self._in(Phase.PENDING):
                break
            await self._sleep(self._named_wait + back_off(round_number, self._random))
        self._strand(self._in(Phase.PENDING))
        return [course.report() for course in self._courses.values()]

    def _lanes(self) -> Iterator[WriteSequence[State]]:
        """Return what is to be written: what waited for a write that is known to have happened, and the rest."""
        freed, self._freed = self._freed, []
        known = {resource for lane in freed for resource in _resources(lane)}
        pending = [course.intent for course in self._in(Phase.PENDING) if course.intent.resource not in known]
        yield from freed
        yield from self._kind.write_sequences(pending)

    def seen(self, resource: Resource) -> State | None:
        """Return the last state that was seen of a resource that was brought."""
        return self._courses[resource].seen

    @property
    def retry_after(self) -> float | None:
        """The longest wait in seconds that the server named for anything that failed."""
        return max(
            (course.retry_after for course in self._courses.values() if course.retry_after), default=None
        )

    @property
    def refused(self) -> CallError | None:
        """The refusal that all further calls would meet as well, or ``None``."""
        return self._refused

    def _in(self, phase: Phase) -> list[ResourceProgress[State]]:
        return [course for course in self._courses.values() if course.phase is phase]

    async def _lane(self, lane: WriteSequence[State]) -> None:
        lanes: Iterable[WriteSequence[State]] = [lane]
        if self._is_old(lane):
            lanes = await self._planned_anew(lane)
        for each_lane in lanes:
            await self._steps(each_lane)
        self._tell(self._of(lane))

    def _of(self, steps: WriteSequence[State]) -> list[ResourceProgress[State]]:
        return [self._courses[resource] for resource in _resources(steps)]

    def _is_old(self, lane: WriteSequence[State]) -> bool:
        """Whether the state of anything that a lane writes was read too long ago."""
        if self._max_age is None:
            return False
        known = (course.intent.read_at for course in self._of(lane))
        oldest = min((self._observed_at if at is None else at for at in known), default=self._observed_at)
        return self._clock() - oldest >= self._max_age

    def _tell(self, courses: Iterable[ResourceProgress[State]]) -> None:
        for course in courses:
            if course.phase is Phase.ENDED:
                self._progress.add(course.status.value)

    def _strand(self, courses: Sequence[ResourceProgress[State]]) -> None:
        """End what the kind has no lane for from where it is."""
        for course in courses:
            course.mark_stuck()
        self._tell(courses)

    async def _planned_anew(self, lane: WriteSequence[State]) -> Iterable[WriteSequence[State]]:
        """Read a lane's resources again: what is done ends, what moved fails, the rest is written."""
        courses = self._of(lane)
        await self._observe(courses, untouched=True)
        for course in courses:
            if course.phase is Phase.PENDING:
                self._hold_to_plan(course, {step.waypoint for step in lane})
        todo = [course.intent for course in courses if course.phase is Phase.PENDING]
        return self._kind.write_sequences(todo)

    def _hold_to_plan(self, course: ResourceProgress[State], passes: set[str | None]) -> None:
        now = self._kind.digest(course.seen)
        settled = not self._kind.mismatches(course.intent, course.seen)
        if settled and not course.foreign_keys(self._kind):
            course.end(Status.UNCHANGED, "it became as planned before it was written")
        elif now == self._kind.digest(course.intent.before) or now in passes | self._admitted(course):
            course.renew()
        else:
            keys = sorted(changed_keys(self._kind, course.intent.before, course.seen))
            course.fail(f"it moved after it was planned ({', '.join(keys[:10])}); run again to plan anew.")

    def _admitted(self, course: ResourceProgress[State]) -> set[str]:
        return set(self._waypoints.get(course.intent.resource, ()))

    async def _steps(self, lane: WriteSequence[State]) -> None:
        last = {resource: place for place, step in enumerate(lane) for resource in step.resources}
        for place, step in enumerate(lane):
            await self._step(step)
            held_up = [r for r in step.resources if self._courses[r].phase is not Phase.PENDING]
            if step.vital and held_up:
                self._hold_up(lane[place + 1 :], self._courses[held_up[0]])
                return
            for course in (self._courses[r] for r in step.resources if last[r] == place):
                if course.phase is Phase.PENDING:
                    course.phase = Phase.WRITTEN

    def _hold_up(self, steps: WriteSequence[State], cause: ResourceProgress[State]) -> None:
        """Leave alone what stands on a write that went wrong, at once or once it is known whether it did."""
        if cause.phase is Phase.UNCERTAIN:
            self._held_up.append((steps, cause))
        else:
            self._skip(steps, cause)

    def _skip(self, steps: Iterable[Write[State]], cause: ResourceProgress[State]) -> None:
        for step in steps:
            for course in (self._courses[resource] for resource in step.resources):
                if course.phase is Phase.PENDING:
                    course.end(
                        Status.SKIPPED,
                        f"not attempted, because {cause.intent.resource} went wrong: {cause.reason}",
                    )

    async def _step(self, step: Write[State]) -> None:
        if self._refused:
            self._fail(step, self._refused)
            return
        try:
            verdicts = step.judge(await self._send(_never_blind(step.call)))
        except CallError as failure:
            await self._failure(step, failure)
            return
        for resource in step.resources:
            course = self._courses[resource]
            verdict = verdicts.get(resource)
            if verdict is None:
                reason = f"the answer to {step.call.operation} does not mention it."
                course.mark_uncertain(step, reason)
            elif verdict.error is not None:
                course.fail(f"{step.call.operation}: {self._redact(verdict.error)}")
            else:
                course.applied.append(step.call.operation)
                course.seen = verdict.state

    async def _failure(self, step: Write[State], failure: CallError) -> None:
        if _concerns_all(failure):
            self._refused = failure
        if failure.in_doubt or not (failure.permanent or isinstance(failure, RateLimited)):
            self._named_wait = max(self._named_wait, failure.retry_after or 0.0)
            for resource in step.resources:
                self._courses[resource].mark_uncertain(step, str(failure))
        elif step.split and _may_be_some_of_them(failure, step):
            await self._isolate(step, step.split, failure)
        else:
            self._fail(step, failure)

    def _fail(self, step: Write[State], failure: CallError) -> None:
        for resource in step.resources:
            self._courses[resource].fail(str(failure), cause=failure)

    async def _isolate(self, step: Write[State], split: Split[State], failure: CallError) -> None:
        """Send a refused write again in smaller parts, leaving out what a read shows done."""
        courses = [self._courses[resource] for resource in step.resources]
        await self._observe(courses)
        for course in courses:
            if course.phase is Phase.PENDING and not self._kind.mismatches(course.intent, course.seen):
                course.phase = Phase.WRITTEN
        remaining = [course.intent.resource for course in courses if course.phase is Phase.PENDING]
        parts = split(remaining) if remaining and len(step.resources) > 1 else ()
        for part in parts:
            await self._step(part)
        for resource in () if parts else remaining:
            self._courses[resource].fail(str(failure), cause=failure)

    async def _read_back(self, round_number: int) -> None:
        """Decide what is uncertain by reading it: applied, to be written once more, or given up."""
        uncertain = self._in(Phase.UNCERTAIN)
        self._granted = {}
        await self._observe(uncertain)
        for course in uncertain:
            if course.phase is Phase.UNCERTAIN:
                self._decide(course, round_number)
        self._tell(uncertain)
        self._let_go()

    def _let_go(self) -> None:
        """Go on with what waited for a write in doubt, or leave it alone; with the write itself if it is sent again."""
        held_up, self._held_up = self._held_up, []
        for steps, cause in held_up:
            untouched = tuple(step for step in steps if self._is_untouched(step))
            if cause.status is Status.CHANGED and untouched:
                self._freed.append(untouched)
            elif cause.phase is Phase.ENDED:
                self._skip(untouched, cause)
                self._tell(self._of(untouched))

    def _is_untouched(self, step: Write[State]) -> bool:
        return all(self._courses[resource].phase is Phase.PENDING for resource in step.resources)

    def _decide(self, course: ResourceProgress[State], round_number: int) -> None:
        if not self._kind.mismatches(course.intent, course.seen):
            course.end(Status.CHANGED, "the outcome was unknown; reading it back showed it applied")
            return
        course.resolve(self._kind)
        if foreign := sorted(course.foreign_keys(self._kind)):
            course.fail(
                f"{course.reason} Reading it back showed it not as planned, and that something else changed it "
                f"meanwhile ({', '.join(foreign[:10])}); run again to plan anew."
            )
        elif not self._goes_on(course.doubted, round_number):
            course.fail(f"{course.reason} Reading it back showed it not applied.")
            course.retry_after = self._named_wait or None
        else:
            course.renew()

    def _goes_on(self, write: Write[State] | None, round_number: int) -> bool:
        """Whether what a write left undone is written once more, which is one for all that it was to change."""
        if round_number == ROUNDS or self._named_wait > LONGEST_NAMED_WAIT:
            return False
        if id(write) not in self._granted:
            self._granted[id(write)] = round_number == 1 or self._budget.spend()
        return self._granted[id(write)]

    async def _check(self, written: Sequence[ResourceProgress[State]]) -> None:
        verify = self._verify and self._refused is None
        await self._observe([course for course in written if verify or course.seen is None])
        for course in written:
            if course.phase is Phase.WRITTEN:
                course.reason = (
                    "" if verify or not self._verify else "the answer shows it; it was not read back"
                )
                course.settle(self._kind)
        self._tell(written)

    async def _observe(self, courses: Sequence[ResourceProgress[State]], *, untouched: bool = False) -> None:
        """Read states again; what cannot be read ends as unknown, or as failed where nothing was written."""

        async def read(observation: Observation[State]) -> None:
            asked_at = self._clock()
            answer = await self._states(observation)
            for course in (self._courses[resource] for resource in observation.resources):
                if isinstance(answer, CallError):
                    course.unreadable(answer, untouched=untouched)
                else:
                    course.seen = answer.get(course.intent.resource)
                    course.read_at = asked_at

        await for_each_limited(
            self._kind.observe([c.intent.resource for c in courses]), read, limit=self._limit
        )

    async def _states(self, observation: Observation[State]) -> Mapping[Resource, State] | CallError:
        if self._refused is not None:
            return self._refused
        try:
            return observation.states(await self._send(observation.call))
        except CallError as failure:
            if _concerns_all(failure):
                self._refused = failure
            return failure


def _resources(steps: WriteSequence[Any]) -> dict[Resource, None]:
    """Return what steps write, each once and in order."""
    return dict.fromkeys(resource for step in steps for resource in step.resources)


def _never_blind(call: ApiRequest[Any]) -> ApiRequest[Any]:
    """Return a call that ends as unknown where it would be sent again without knowing what became of it."""
    return replace(call, replay=Replay.RECONCILE) if call.replay is Replay.SAFE else call


def _may_be_some_of_them(failure: CallError, step: Write[State]) -> bool:
    """Whether a refusal may be for some resources only, or for what is done already."""
    if isinstance(failure, (Forbidden, Unauthorized)) or not failure.permanent:
        return False
    return len(step.resources) > 1 or isinstance(failure, Conflict)


def _concerns_all(failure: CallError) -> bool:
    """Whether all further calls would end the same: a refused key, or a limit that starts anew much later."""
    if isinstance(failure, RateLimited):
        return (failure.retry_after or 0.0) > LONGEST_NAMED_WAIT
    return isinstance(failure, Unauthorized)
