"""The only way to write: lock, plan, guard, compare with the approved plan, snapshot, write, verify and
report.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager, suppress
from functools import cached_property
from typing import Any, TypeVar

import msgspec
from msgspec.structs import replace

from airflow_voice_agents.engine.action import Action
from airflow_voice_agents.engine.checkpoints import Checkpoints
from airflow_voice_agents.engine.concurrency import Sender, planning
from airflow_voice_agents.engine.expected import check_document, check_expected_digest, first_read_key
from airflow_voice_agents.engine.policy import HeldLock, Policy, Protections
from airflow_voice_agents.engine.rollout import Rollout, foreseen, with_sender
from airflow_voice_agents.engine.run_context import RunContext
from airflow_voice_agents.engine.snapshot_recorder import SnapshotRecorder
from airflow_voice_agents.engine.target_names import AmbiguousTargets, TargetNames
from airflow_voice_agents.plans.kind import Resource
from airflow_voice_agents.plans.plan import (
    Finding,
    Plan,
    PlannedItem,
    Severity,
    TargetPlan,
    error,
    plan_of,
    warning,
)
from airflow_voice_agents.plans.render import render_plan
from airflow_voice_agents.plans.report import ItemReport, Report, Status
from airflow_voice_agents.plans.rollback_blocks import RollbackBlock, check_blocks
from airflow_voice_agents.transport.api_request import ApiRequest, Replay
from airflow_voice_agents.transport.errors import InputError, TargetLocked

R = TypeVar("R")
T = TypeVar("T")

SNAPSHOT_NOTE = "snapshot"
"""Key of the task state under which a task remembers the URL of its snapshot."""

RENEWAL_INTERVAL = 15.0
"""Seconds after which the lock is renewed when that is due."""

TARGET_NOTE = "unit"
"""Note in a snapshot: the target that a resource belongs to."""


async def plan(
    run: RunContext, action: Action, policy: Policy, protections: Protections
) -> tuple[Plan, list[TargetPlan]]:
    """Plan an action with every guard, and write nothing.

    :param run: the run.
    :param action: the action.
    :param policy: the options of the run.
    :param protections: the rollback blocks are read.
    :returns: the plan, which may hold errors, and its targets.
    """
    work = _Run(run, action, policy, protections)
    async with planning(action.kinds().values()):
        targets = await work.planned(())
    made = plan_of(action.operation, targets)
    work.observe(made, targets, writes=False)
    return made, targets


async def apply(run: RunContext, action: Action, policy: Policy, protections: Protections) -> Report:
    """Carry an action out; the only function from which a write leaves.

    :param run: the run.
    :param action: the action.
    :param policy: the options of the run.
    :param protections: locks, rollback blocks, snapshots, stop switch and freeze windows.
    :raises GuardRefused: when a guard refuses before anything was read.
    :raises StateMoved: if the plan does not have the expected digest.
    :raises TargetLocked: when another run works on a target.
    :returns: the report; with an error in the plan, one in which nothing was written.
    """
    async with planning(action.kinds().values()):
        return await _Run(run, action, policy, protections).report()


class _Run(msgspec.Struct, dict=True):
    run: RunContext
    action: Action
    policy: Policy
    protections: Protections

    def __post_init__(self) -> None:
        self.names = TargetNames(self.action.may_be_same)

    async def report(self) -> Report:
        """Run the action."""
        frozen = self.protections.frozen()
        given = self.run.guard_context
        local = self.protections.local_state(bool(self.action.live))
        early = (*self.action.guards(given), *frozen, *local)
        self.run.guard(self.action.operation, early, dry_run=self.policy.dry_run)
        if self.policy.dry_run:
            targets = await self.planned(())
            return await self._unwritten(targets)
        self._log_warnings((*frozen, *local))
        await self._refuse_twice_named(self.action.scope().targets)
        with ExitStack() as stack:
            lock = await self._lock(stack)
            async with kept_up(lock):
                return await self._locked(lock, frozen)

    def observe(self, made: Plan, targets: Sequence[TargetPlan], *, writes: bool) -> None:
        """Tell the observer about the plan."""
        document = self.policy.document
        digest = made.digest if document is None else document.digest
        self.protections.observer.planned(self.action.operation, targets, digest=digest, writes=writes)

    async def _lock(self, stack: ExitStack) -> HeldLock:
        scope = self.action.scope()
        names = (*scope.targets, *scope.also_locked)
        return await self._unambiguous(lambda: stack.enter_context(self.protections.lock(names, self.names)))

    async def _unambiguous(self, attempt: Callable[[], R]) -> R:
        """Repeat an attempt until all names in it that may mean one target are resolved."""
        while True:
            try:
                return attempt()
            except AmbiguousTargets as ambiguous:
                await self._resolve(ambiguous)

    async def _resolve(self, ambiguous: AmbiguousTargets) -> None:
        for pair in ambiguous.pairs:
            same = await self.action.is_same(self.run, *pair)
            self.names.note(pair, same=same)
            if same:
                self.run.log(f"{self.action.operation}: {pair[0]} and {pair[1]} are the same target")

    async def _refuse_twice_named(self, targets: Sequence[str]) -> None:
        """Refuse one target that the action names in two spellings: the order of its writes would be open."""
        for name, other in self.action.possible_aliases(targets):
            if await self.action.is_same(self.run, name, other):
                raise InputError(
                    f"{name} and {other} are the same target; name it once. Nothing was written."
                )

    async def _locked(self, lock: HeldLock, frozen: Sequence[Finding]) -> Report:
        recorder = self._recorder() if self.run.recall(SNAPSHOT_NOTE) else None
        if recorder is not None and self.action.announces_snapshot:
            recorder.announce(self.run)
        checkpoints = await self._checkpoints()
        planned_at = self.run.clock()
        targets = await self.planned(checkpoints.done, lock)
        made = plan_of(self.action.operation, targets)
        self._hold_to_plan(made, checkpoints)
        if made.errors():
            return await self._unwritten(targets)
        planned = [name for target in targets for name in target.locked_names]
        locked = [*planned, *self.action.scope().also_locked]
        await self._unambiguous(lambda: lock.narrow(locked))
        self._remember_first_read(made.items)
        if self.action.rolls_back and self.protections.place_blocks is not None:
            self.protections.place_blocks(self.action.block_digests(targets))
        if any(target.changed for target in targets) or self.action.kept_unchanged(targets):
            recorder = recorder or self._recorder()
        if recorder is not None:
            self._keep(recorder, targets, checkpoints.resources)
        self.action.before_writes(self.run, targets)
        report = self._begun(made, frozen)
        self.observe(made, targets, writes=True)
        if not self.action.counts_items:  # a target that ends lets go of its states
            made = _without_states(made)
        order = self._order(targets, checkpoints)
        rollout = Rollout(
            with_sender(self.run, self.action, targets),
            self.action,
            self.policy,
            lock,
            self.protections.stop,
            checkpoints,
            self.protections.observer.reached,
            self.protections.failures,
        )
        ended = {**checkpoints.done, **await rollout.apply(targets, planned_at=planned_at)}
        report = replace(report, items=tuple(item for name in order for item in ended[name]))
        return await self._final(made, rollout, report)

    def _begun(self, made: Plan, frozen: Sequence[Finding]) -> Report:
        """Return the report without items; the plan's digest is taken while nothing else needs memory."""
        document = self.policy.document
        return Report(
            self.action.operation,
            (),
            plan_digest=made.digest if document is None else document.digest,
            notes=tuple(finding.message for finding in frozen),
        )

    async def _final(self, made: Plan, rollout: Rollout, report: Report) -> Report:
        report = replace(report, retry_after=rollout.retry_after, stopped=rollout.halted)
        if report.complete:
            rollout.checkpoints.clear()
            self.run.forget(self._first_key)
        report = await self.action.finish(self.run, made, report)
        self.protections.observer.ended(report)
        return report

    # --------------------------------------------------------------------------------------- planning

    async def planned(self, done: Collection[str], lock: HeldLock | None = None) -> list[TargetPlan]:
        """Plan every target and add the findings of the guards and of rollback blocks."""
        run = self.run if lock is None else replace(self.run, sender=renewing(self.run, lock))
        targets = list(await self.action.plan(run, done=done))
        blocks = await self._blocks([target.name for target in targets])
        guarded = [self._guarded(target, blocks) for target in targets]
        if too_many := self._too_many(guarded, done):
            guarded[0] = guarded[0].with_findings(*too_many)
        self.run.log(render_plan(plan_of(self.action.operation, guarded), self.policy.display))
        return guarded

    async def _blocks(self, names: Collection[str]) -> Mapping[str, RollbackBlock]:
        if self.action.rolls_back:
            return {}
        return await self._unambiguous(lambda: self.protections.blocks(names, self.names))

    def _guarded(self, target: TargetPlan, blocks: Mapping[str, RollbackBlock]) -> TargetPlan:
        findings = list(self.action.target_guards(target, self.run.guard_context))
        if target.live and target.changed and self.action.live is None:
            local = self.protections.local_state(True)
            findings += [each for each in local if each.severity is Severity.ERROR]
        if self.policy.dry_run:
            findings = [
                warning(each.code, f"A run that writes would be refused. {each.message}") for each in findings
            ]
        if target.name in blocks:
            findings += check_blocks(target.items, blocks[target.name])
        return self.action.with_newer_work(target.with_findings(*findings), self._newer_work(target.items))

    def _too_many(self, targets: Sequence[TargetPlan], done: Collection[str]) -> list[Finding]:
        if not targets:
            return []
        if self.action.counts_items:
            changed = sum(item.changed for target in targets for item in target.items)
            total = sum(len(target.items) for target in targets)
        else:
            changed = sum(target.changed for target in targets) + len(done)
            total = len(targets) + len(done)
        return list(self.policy.change_limit.check(changed, total))

    def _hold_to_plan(self, made: Plan, checkpoints: Checkpoints) -> None:
        if self.policy.document is not None:
            check_document(self.policy.document, made.items, checkpoints.resources)
        elif self.policy.expected_digest is not None and not made.errors():
            check_expected_digest(self.policy.expected_digest, made, self.run, self.action.kinds())

    # ---------------------------------------------------------------------------------------- memory

    async def _checkpoints(self) -> Checkpoints:
        document, key = self.policy.document, self.action.checkpoint_key()
        if document is None and key is None:
            return Checkpoints(None, "")
        plan_digest = document.digest if document else str(key)
        checkpoints = Checkpoints(self.run.task_state, plan_digest, log=self.run.log)
        if not self.action.rolls_back and checkpoints.done:
            checkpoints.reopen(await self._blocks(list(checkpoints.done)))  # a rollback undid these
        if checkpoints.done:
            self.run.log(
                f"{self.action.operation}: an earlier try finished {len(checkpoints.done)} target(s); they stay unread"
            )
        return checkpoints

    def _order(self, targets: Sequence[TargetPlan], checkpoints: Checkpoints) -> list[str]:
        return list(
            dict.fromkeys([*self.action.order(), *checkpoints.done, *(each.name for each in targets)])
        )

    def _remember_first_read(self, items: Sequence[PlannedItem]) -> None:
        """Remember what the first try found of resources whose writes must not be repeated."""
        first: dict[str, str | None] = {}
        for item in items:
            kind = self.action.kinds()[item.resource.kind]
            if item.transition is not None and not kind.repeatable:
                first[item.resource.key] = kind.revision(item.transition.before)
        if first:
            self.run.remember(self._first_key, {**first, **(self.run.recall(self._first_key) or {})})

    @cached_property
    def _noted(self) -> Mapping[str, Any]:
        """What the first try found; asked for once, because a task's memory may be a request away."""
        return self.run.recall(self._first_key) or {}

    @property
    def _first_key(self) -> str:
        return first_read_key(self.action.operation)

    def _newer_work(self, items: Sequence[PlannedItem]) -> dict[Resource, Finding]:
        """Refuse to write over a revision that appeared after the first try of this task read the resource."""
        kinds, noted = self.action.kinds(), self._noted
        found = {}
        for item in items if noted else ():
            kind = kinds[item.resource.kind]
            if item.transition is None or kind.repeatable or item.resource.key not in noted or item.refusals:
                continue
            now = kind.revision(item.transition.before)
            if now != noted[item.resource.key]:
                found[item.resource] = error(
                    "newer_work",
                    f"{item.resource} was changed after the first try of this task read it (by {now}), and that "
                    "work is not overwritten. Look at what runs there; clear the task in a new run if this write "
                    "is still wanted.",
                )
        return found

    def _recorder(self) -> SnapshotRecorder | None:
        make = self.protections.recorder
        return None if make is None else make(self.action.kinds(), bool(self.action.live))

    def _keep(
        self, recorder: SnapshotRecorder, targets: Sequence[TargetPlan], finished: Collection[Resource]
    ) -> None:
        kept = self.action.kept_notes(targets)
        notes = {
            item.resource: {**kept.get(item.resource, {}), TARGET_NOTE: target.name}
            for target in targets
            for item in target.items
        }
        items = [
            item
            for target in targets
            for item in target.items
            if self.action.keeps(item) and not item.refusals
        ]
        recorder.keep(
            self.run,
            items,
            notes=notes,
            unchanged=self.action.kept_unchanged(targets),
            finished=finished,
        )

    # --------------------------------------------------------------------------------------- reports

    def _log_warnings(self, findings: Sequence[Finding]) -> None:
        for finding in findings:
            if finding.severity is Severity.WARNING:
                self.run.log(f"{self.action.operation}: {finding.message}")

    async def _unwritten(self, targets: Sequence[TargetPlan]) -> Report:
        """Report on a plan of which nothing was written."""
        made = plan_of(self.action.operation, targets)
        self.observe(made, targets, writes=False)
        report = Report(
            self.action.operation,
            tuple(self.action.explain(item, self._foreseen(item)) for item in made.items),
            dry_run=self.policy.dry_run,
            plan_digest=made.digest,
            refused=bool(made.errors()),
        )
        return await self.action.finish(self.run, made, report)

    def _foreseen(self, item: PlannedItem) -> ItemReport:
        if item.errors:
            reason = "; ".join(finding.message for finding in item.errors)
            return ItemReport(item.resource, Status.FAILED, reason, permanent=True)
        if item.refusals or not item.changed:
            return foreseen(item)
        if self.policy.dry_run:
            return ItemReport(item.resource, Status.CHANGED, f"would change with {item.writes} request(s)")
        return ItemReport(item.resource, Status.SKIPPED, "not attempted, because the plan has errors")


@asynccontextmanager
async def kept_up(lock: HeldLock) -> AsyncIterator[None]:
    """Renew a lock in the background, also while one request or one wait takes longer than the lock lasts.

    Nothing stops here when it is lost: the rollout asks for the lock before each target.

    :param lock: the lock on the targets.
    """

    async def renew() -> None:
        while True:
            await asyncio.sleep(RENEWAL_INTERVAL)
            await asyncio.to_thread(lock.renew_when_due)

    task = asyncio.create_task(renew())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def renewing(run: RunContext, lock: HeldLock) -> Sender:
    """Return the run's sender, which renews the lock on the way of a plan that takes long.

    :param run: the run.
    :param lock: the lock on the targets.
    :raises TargetLocked: from the sender, when the lock is lost.
    """
    asked_at = run.clock()

    async def sender(request: ApiRequest[T]) -> T:
        nonlocal asked_at
        answer = await run.sender(request)
        if run.clock() - asked_at >= RENEWAL_INTERVAL:
            asked_at = run.clock()
            if lost := lock.renew_when_due():
                raise TargetLocked(lost)
        return answer

    return sender


def _without_states(made: Plan) -> Plan:
    """Return a plan that keeps no state alive, so that a finished target's states are freed during a long run."""
    return replace(made, items=tuple(replace(item, transition=None) for item in made.items))


async def send_once(run: RunContext, request: ApiRequest[T]) -> T:
    """Send a request that no resource reflects, exactly once at most.

    There is no state to plan, lock, keep or read back. The caller must note in the task state that it is about to
    send where a second try must not send again.

    :param run: the run.
    :param request: a request that is never sent again by the transport, or that may be repeated.
    :raises RuntimeError: for a write that the engine has to read back.
    :raises OutcomeUnknown: when no answer came.
    :raises RequestError: the subclass that says what went wrong.
    """
    if request.replay is Replay.RECONCILE:
        raise RuntimeError(f"{request.operation} changes a resource, and only engine.apply may send it")
    return await run.sender(request)
