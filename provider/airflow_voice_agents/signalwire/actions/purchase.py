"""Buy numbers: never more than were asked for, never one twice, whatever happens in between.

A purchase is billed and has no idempotency key. So every number is noted in the task's memory before it is
asked for. Where the outcome is unknown the project's numbers are read, and only then the same number is asked
for once more: a number can be bought once, so that can at worst be refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from airflow_voice_agents.engine.concurrency import for_each_limited
from airflow_voice_agents.engine.run_context import RunContext
from airflow_voice_agents.plans.kind import Resource
from airflow_voice_agents.plans.plan import Finding, error
from airflow_voice_agents.plans.report import ItemReport, Report, Status
from airflow_voice_agents.signalwire import api
from airflow_voice_agents.signalwire.models import AvailableNumber
from airflow_voice_agents.signalwire.paging import find_phone_number
from airflow_voice_agents.signalwire.resources.inventory import Space
from airflow_voice_agents.signalwire.resources.ownership import owned_number
from airflow_voice_agents.transport.errors import (
    CallError,
    Forbidden,
    GuardRefused,
    OutcomeUnknown,
    RateLimited,
    Unauthorized,
)
from airflow_voice_agents.transport.validation import parse_count

OPERATION: Final = "buy phone numbers"
MEMORY: Final = "purchase"
"""Under which a task remembers what it bought, also after its success: a run buys once."""

MOST: Final = 10_000
REFUSALS: Final = 10
"""Refused candidates after which no other one is tried: the reason is most likely not the number."""

STOPPING_CODES: Final = frozenset({"insufficient_balance", "account_limit_exceeded"})


@dataclass(frozen=True, slots=True)
class PurchaseJob:
    """A purchase, checked and ready to run.

    :param space: where the numbers will live.
    :param count: how many numbers the task shall have bought in the end.
    :param search: arguments of the search.
    :param voice_only: whether only numbers that say that they can take calls are bought.
    :param confirmed: whether the author agreed to be billed.
    """

    space: Space
    count: int
    search: Mapping[str, Any]
    voice_only: bool = True
    confirmed: bool = False

    async def run(self, run: RunContext) -> Purchase:
        """Settle what an earlier try left open, search, buy what is missing and report.

        Vendor operations: search available phone numbers, purchase phone number, list phone numbers.

        :param run: what the run works with.
        :raises GuardRefused: before any request, when a guard refuses.
        """
        run.guard(OPERATION, self._findings(run))
        shop = _PurchaseRun(self, run)
        await shop.settle_open()
        while shop.goes_on and (candidates := await shop.candidates()):
            await shop.buy(candidates)
        return Purchase(shop.report(), tuple(sorted(shop.bought)))

    def _findings(self, run: RunContext) -> Iterator[Finding]:
        if not self.confirmed:
            yield error("confirm_purchase", "Every number is billed. Pass confirm_purchase=True if meant.")
        if run.guard_context.backfill and not run.guard_context.overrides.allow_backfill:
            yield error(
                "backfill",
                "A backfill would buy numbers once per past date. Run the DAG without a backfill, or pass "
                "allow_backfill=True if meant.",
            )


@dataclass(frozen=True, slots=True)
class Purchase:
    """What came of a purchase.

    :param report: one item per number bought, unknown or missing.
    :param numbers: all that the task has bought, sorted, those of earlier tries included.
    """

    report: Report
    numbers: tuple[str, ...]


def job(
    space: Space, *, count: object, max_numbers: object, search: Mapping[str, Any], **options: Any
) -> PurchaseJob:
    """Check the arguments of a purchase and return it ready to run.

    :param space: where the numbers will live.
    :param count: how many numbers.
    :param max_numbers: how many numbers may be billed at most.
    :param search: arguments of :func:`.api.search_available`.
    :param options: further fields of :class:`PurchaseJob`.
    :raises InputError: naming the argument that is wrong.
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
    return PurchaseJob(space, number, MappingProxyType(given), **options)


def _whole(value: object) -> object:
    """A template renders numbers as text."""
    return int(value) if isinstance(value, str) and value.isascii() and value.isdigit() else value


class _PurchaseRun:
    """One try: what is bought, what is open, what was refused.

    A number is *open* while it is asked for, or about to be, and neither known to be bought nor refused. It is
    *doubtful* once it may have been bought without our knowing.
    """

    def __init__(self, job: PurchaseJob, run: RunContext) -> None:
        self._job = job
        self._run = run
        noted = (None if run.task_state is None else run.task_state.get(MEMORY)) or {}
        self._earlier: list[str] = list(noted.get("bought", ()))
        self._open: list[str] = list(noted.get("open", ()))
        self._doubtful = set(self._open)
        self._bought: dict[str, str] = {}
        self._unknown: dict[str, CallError] = {}
        self._refused: dict[str, CallError] = {}
        self._halted: CallError | None = None

    @property
    def bought(self) -> list[str]:
        """All that the task has bought, in this try and before."""
        return [*self._earlier, *self._bought]

    @property
    def missing(self) -> int:
        """How many may still be bought; what is unknown counts as bought."""
        return max(0, self._job.count - len(self.bought) - len(self._unknown))

    @property
    def goes_on(self) -> bool:
        """Whether it makes sense to try further numbers."""
        return bool(self.missing) and self._halted is None and len(self._refused) < REFUSALS

    async def settle_open(self) -> None:
        """Look up what an earlier try asked for and never heard of again."""
        if self._run.task_state is None:
            self._run.log(f"{OPERATION}: this Airflow keeps nothing between tries; a retry would buy anew.")

        async def look(number: str) -> None:
            if await self._is_ours(number):
                self._took(number, "an earlier try bought it without getting to know")

        await for_each_limited(list(self._open), look, limit=self._run.concurrency)

    async def candidates(self) -> list[str]:
        """Return at most as many numbers as are missing: first what is open, then what a search finds."""
        again = [number for number in self._open if number not in self._unknown]
        if again:
            return again[: self.missing]
        call = api.search_available(**self._job.search, max_results=api.MAX_RESULTS)
        try:
            offers = await self._run.send(call)
        except CallError as failure:
            if not self.bought and not self._unknown:
                raise
            self._halted = failure
            return []
        chosen = list(dict.fromkeys(offer.number for offer in offers if self._suits(offer)))[: self.missing]
        self._run.log(f"{OPERATION}: {self.missing} to buy, {len(chosen)} of them found")
        return chosen

    async def buy(self, numbers: Sequence[str]) -> None:
        """Note the numbers as open, then buy them.

        :param numbers: as :meth:`candidates` returned them.
        """
        self._open += [number for number in numbers if number not in self._open]
        self._remember()
        await for_each_limited(numbers, self._buy, limit=self._run.concurrency)
        self._open = [number for number in self._open if number in self._doubtful]
        self._remember()

    def report(self) -> Report:
        """Return one item per number that was bought, may have been bought, or is missing."""
        failures = [self._halted, *self._unknown.values()]
        waits = [failure.retry_after for failure in failures if failure and failure.retry_after]
        return Report(OPERATION, tuple(self._items()), retry_after=max(waits, default=None))

    async def _buy(self, number: str) -> None:
        if self._halted is not None:
            return
        try:
            answer = await self._run.send(api.purchase_phone_number(number))
        except OutcomeUnknown as failure:
            await self._settle(number, failure)
        except CallError as failure:
            await self._turned_down(number, failure)
        else:
            self._took(number, "" if answer.number == number else f"the platform calls it {answer.number}")

    async def _settle(self, number: str, failure: CallError) -> None:
        """Read whether it was bought; if not, ask for the same number once more."""
        first = number not in self._doubtful
        self._doubtful.add(number)
        ours = await self._is_known_to_be_ours(number)
        if ours:
            self._took(number, "the outcome was unknown; reading it back showed it bought")
        elif ours is None or not first:
            self._unknown[number] = failure
        else:
            await self._buy(number)

    async def _turned_down(self, number: str, failure: CallError) -> None:
        """A refusal may be that of a number which is ours already, or of any number that was asked for."""
        if number in self._doubtful or failure.in_doubt:
            ours = await self._is_known_to_be_ours(number)
            if ours:
                self._took(number, "the outcome was unknown; reading it back showed it bought")
                return
            if ours is None:
                self._unknown[number] = failure
                return
        if _concerns_all(failure):
            self._halted = self._halted or failure
        else:
            self._doubtful.discard(number)
            self._refused[number] = failure

    async def _is_known_to_be_ours(self, number: str) -> bool | None:
        try:
            return await self._is_ours(number)
        except CallError:
            return None

    async def _is_ours(self, number: str) -> bool:
        base_url = self._job.space.base_url
        return await find_phone_number(self._run.send, number, base_url=base_url) is not None

    def _took(self, number: str, how: str) -> None:
        self._bought[number] = how
        self._open.remove(number)
        self._doubtful.discard(number)
        self._remember()

    def _remember(self) -> None:
        if self._run.task_state is not None:
            self._run.task_state.set(MEMORY, {"bought": self.bought, "open": self._open})

    def _suits(self, offer: AvailableNumber) -> bool:
        tried = {*self._refused, *self._unknown, *self.bought}
        return offer.number not in tried and (offer.takes_calls or not self._job.voice_only)

    def _items(self) -> Iterator[ItemReport]:
        for number in self._earlier:
            yield ItemReport(
                self._resource(number), Status.UNCHANGED, "bought by an earlier try of this task"
            )
        for number, how in self._bought.items():
            yield ItemReport(self._resource(number), Status.CHANGED, how)
        for number, failure in self._unknown.items():
            yield ItemReport(self._resource(number), Status.UNKNOWN, f"it may have been bought: {failure}")
        for place in range(1, self.missing + 1):
            resource = self._resource(f"(missing {place} of {self.missing})")
            yield ItemReport(resource, Status.FAILED, self._shortage(), permanent=self._is_hopeless)

    def _resource(self, number: str) -> Resource:
        return owned_number(self._job.space.label, number)

    def _shortage(self) -> str:
        if self._halted is not None:
            return str(self._halted)
        last = f" The last refusal: {next(reversed(self._refused.values()))}" if self._refused else ""
        if len(self._refused) < REFUSALS:
            return f"the search finds no further number; widen it.{last}"
        return f"{len(self._refused)} numbers were refused, so no other one is tried.{last}"

    @property
    def _is_hopeless(self) -> bool:
        return self._halted is None or self._halted.permanent


def _concerns_all(failure: CallError) -> bool:
    """Whether any other number would end the same: the key, the account or the way to the platform."""
    if isinstance(failure, (Unauthorized, Forbidden, RateLimited)) or not failure.permanent:
        return True
    return failure.error_code in STOPPING_CODES
