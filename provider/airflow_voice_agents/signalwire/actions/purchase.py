"""Buys numbers: never more than requested, and no number twice.

A purchase is billed and has no idempotency key. So every number is noted in the task state before its purchase is
sent. A purchase of unknown outcome counts as bought for this try and is never sent again in it; the next try looks
the number up before it buys anything.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar, Final

import msgspec
from msgspec.structs import replace

from airflow_voice_agents.engine.action import Scope
from airflow_voice_agents.engine.apply import apply
from airflow_voice_agents.engine.concurrency import Sender
from airflow_voice_agents.engine.policy import Policy, Protections
from airflow_voice_agents.engine.reads import read_states
from airflow_voice_agents.engine.run_context import RunContext
from airflow_voice_agents.plans.guards import GuardContext, check_backfill
from airflow_voice_agents.plans.kind import Kinds, Resource, WriteResult
from airflow_voice_agents.plans.plan import Finding, TargetPlan, error
from airflow_voice_agents.plans.report import Report
from airflow_voice_agents.signalwire import api
from airflow_voice_agents.signalwire.actions.base import SignalWireAction, numbers_scope, space_plan
from airflow_voice_agents.signalwire.actions.purchase_tally import PurchaseTally
from airflow_voice_agents.signalwire.models import AvailableNumber
from airflow_voice_agents.signalwire.resources.inventory import Space
from airflow_voice_agents.signalwire.resources.ownership import (
    KIND,
    OWNED,
    Ownership,
    PurchaseKind,
    owned_number,
)
from airflow_voice_agents.transport.errors import CallError, GuardRefused
from airflow_voice_agents.transport.validation import parse_count

OPERATION: Final = "buy phone numbers"
MOST: Final = 10_000


class PurchaseOrder(msgspec.Struct, frozen=True):
    """A purchase with checked arguments.

    :param space: the space that the numbers will live in.
    :param count: the number of numbers that the task must have bought in the end.
    :param search: arguments of the search.
    :param voice_only: buy only numbers that can take calls.
    :param confirmed: whether the author agreed to be billed.
    """

    space: Space
    count: int
    search: Mapping[str, Any]
    voice_only: bool = True
    confirmed: bool = False

    def resource(self, number: str) -> Resource:
        """Return the resource of a number."""
        return owned_number(self.space.label, number)

    def suits(self, offer: AvailableNumber) -> bool:
        """Return whether an available number may be bought."""
        return offer.takes_calls or not self.voice_only


@dataclass(frozen=True, kw_only=True)
class PurchaseAction(SignalWireAction):
    """One round of a purchase: looks up open numbers, and plans a candidate for each number that is missing.

    Vendor operations: search available phone numbers, purchase phone number, list phone numbers.

    :param wanted: the purchase.
    :param tally: the numbers that are bought, open and refused.
    """

    operation: ClassVar[str] = OPERATION

    wanted: PurchaseOrder
    tally: PurchaseTally

    def scope(self) -> Scope:
        """Return the whole space: only the search tells the numbers."""
        return numbers_scope(self.space, ())

    def kinds(self) -> Kinds:
        """Return the kind of ownership that is bought."""
        return {KIND: PurchaseKind(self.space.base_url)}

    def guards(self, given: GuardContext) -> Iterable[Finding]:
        """Refuse a purchase that the author did not agree to, and one run per past date."""
        if not self.wanted.confirmed:
            yield error("confirm_purchase", "Every number is billed. Pass confirm_purchase=True if intended.")
        yield from check_backfill(given)

    async def plan(self, run: RunContext, *, done: Collection[str] = ()) -> Sequence[TargetPlan]:
        """Look up open numbers, search for those that are missing, and plan a purchase of each.

        :param run: the run.
        :param done: unused; one space is one target.
        """
        kind, read_at = PurchaseKind(self.space.base_url), run.clock()
        await self._look_up_open(run)
        candidates = await self._candidates(run)
        states = {**dict.fromkeys(self.tally.settled, OWNED), **dict.fromkeys(candidates, None)}
        items = (kind.plan(self.wanted.resource(each), OWNED, now) for each, now in states.items())
        return [space_plan(self.space, items, read_at)]

    def sender(self, send: Sender, targets: Sequence[TargetPlan]) -> Sender:
        """Return the sender that stops after a refusal of the account."""
        return self.tally.watching(send)

    def before_writes(self, run: RunContext, targets: Sequence[TargetPlan]) -> None:
        """Note every number that is about to be bought."""
        self.tally.begin(
            run, [item.resource.name for target in targets for item in target.items if item.changed]
        )

    def on_result(self, run: RunContext, resource: Resource, result: WriteResult[Any]) -> None:
        """Note a number that was bought."""
        self.tally.took(run, resource.name)

    async def _look_up_open(self, run: RunContext) -> None:
        waiting = [number for number in self.tally.open if number not in self.tally.unknown]
        found = await owned_of(run, self.wanted, waiting, fail=True)
        for number in found:
            self.tally.found(run, number)

    async def _candidates(self, run: RunContext) -> list[str]:
        """Return a number for each missing one, first those that an earlier try may have bought."""
        missing = self.tally.missing
        again = [number for number in self.tally.open if number not in self.tally.unknown][:missing]
        if len(again) >= missing:
            return again
        request = api.search_available(**self.wanted.search, max_results=api.MAX_RESULTS)
        offers = await run.send(request)
        fresh = dict.fromkeys(each.number for each in offers if self.wanted.suits(each))
        found = [number for number in fresh if not self.tally.knows(number)][: missing - len(again)]
        run.log(f"{OPERATION}: {missing} to buy, {len(again) + len(found)} candidate(s) found")
        return [*again, *found]


async def buy(
    run: RunContext, order: PurchaseOrder, policy: Policy, protections: Protections
) -> tuple[Report, list[str]]:
    """Buy as many numbers as are missing; refused candidates are replaced in further rounds of the engine.

    :param run: the run.
    :param order: the purchase.
    :param policy: the options of the run; with an expected digest, refused candidates are not replaced.
    :param protections: the protections of the run.
    :raises GuardRefused: if a guard refuses, before any request.
    :raises StateMoved: if the candidates do not have the expected digest.
    :returns: the report, and every number that the task bought, sorted.
    """
    if run.task_state is None:
        run.log(f"{OPERATION}: this Airflow keeps nothing between tries; a retry would buy again.")
    tally = PurchaseTally.of(run, order.count)
    run.guard(OPERATION, policy.change_limit.check(tally.missing, order.count), dry_run=policy.dry_run)
    action = PurchaseAction(space=order.space, wanted=order, tally=tally)
    rounds: list[Report] = []
    while True:
        try:
            rounds.append(await apply(run, action, policy, protections))
        except CallError as failure:
            if not rounds:
                raise
            tally.halted = failure
            break
        if rounds[-1].refused:
            return rounds[-1], tally.bought
        await _take(run, order, tally, rounds[-1])
        if not _goes_on(tally, policy, rounds[-1]):
            break
    return _joined(order, tally, rounds), tally.bought


def parse_purchase(
    space: Space, *, count: object, max_numbers: object, search: Mapping[str, Any], **options: Any
) -> PurchaseOrder:
    """Check the arguments of a purchase.

    :param space: the space that the numbers will live in.
    :param count: the number of numbers.
    :param max_numbers: the maximum number of numbers that may be billed.
    :param search: arguments of :func:`.api.search_available`.
    :param options: ``voice_only`` and ``confirmed``.
    :raises InputError: for an invalid argument; the message names it.
    :raises GuardRefused: when more is asked for than may be billed.
    """
    number = parse_count(_whole(count), name="count", most=MOST)
    cap = parse_count(_whole(max_numbers), name="max_numbers", most=MOST)
    if number > cap:
        raise GuardRefused(
            f"{OPERATION}: count is {number}, and max_numbers allows {cap}. Nothing was read or bought."
        )
    given = {name: value for name, value in search.items() if value not in (None, "")}
    api.search_available(**given)
    return PurchaseOrder(space, number, MappingProxyType(given), **options)


async def owned_of(
    run: RunContext, order: PurchaseOrder, numbers: Sequence[str], *, fail: bool
) -> dict[str, bool]:
    """Return those of some numbers that the project has; with ``fail=False`` an unreadable one maps to ``False``.

    Vendor operation: list phone numbers.

    :param run: the run.
    :param order: the purchase.
    :param numbers: E.164 numbers.
    :param fail: whether a failed read is raised.
    :raises CallError: when the read failed.
    """
    found: dict[str, bool] = {}

    def seen(resource: Resource, state: Ownership | None) -> None:
        if state is not None and state.owned:
            found[resource.name] = True

    def failed(resource: Resource, failure: CallError) -> None:
        if fail:
            raise failure
        found[resource.name] = False

    kind = PurchaseKind(order.space.base_url)
    await read_states(run, kind, map(order.resource, numbers), seen=seen, failed=failed)
    return found


async def _take(run: RunContext, order: PurchaseOrder, tally: PurchaseTally, report: Report) -> None:
    """Take a round into account; a refused number that an earlier try may have bought is looked up."""
    doubtful = tally.take(run, report)
    if doubtful:
        for number, ours in (await owned_of(run, order, doubtful, fail=False)).items():
            tally.resolve(run, number, ours=ours)
    tally.close(run, dry_run=report.dry_run)


def _goes_on(tally: PurchaseTally, policy: Policy, report: Report) -> bool:
    """Return whether other candidates may replace the refused ones of a round."""
    limit = policy.failure_limit
    if policy.dry_run or policy.expected_digest is not None or report.stopped:
        return False
    if limit is not None and limit.exceeded(len(tally.refused), tally.count):
        return False
    return tally.goes_on and any(item.status.value != "unchanged" for item in report.items)


def _joined(order: PurchaseOrder, tally: PurchaseTally, rounds: Sequence[Report]) -> Report:
    """Return one report of all rounds: an item per number that was bought, may have been, or is missing."""
    waits = [each.retry_after for each in (*rounds, tally.halted) if each is not None and each.retry_after]
    items = [*tally.items(order.resource), *tally.missing_items(order.resource)]
    return replace(
        rounds[-1],
        items=tuple(items),
        plan_digest=rounds[0].plan_digest,
        retry_after=max(waits, default=None),
    )


def _whole(value: object) -> object:
    """Return a number that a template rendered as text as a number."""
    return int(value) if isinstance(value, str) and value.isascii() and value.isdigit() else value
