"""The tally of a purchase across the tries of a task: bought, open, unknown and refused numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final, TypeVar

from msgspec.structs import replace

from airflow_voice_agents.engine.concurrency import Sender
from airflow_voice_agents.engine.run_context import RunContext
from airflow_voice_agents.plans.kind import Resource
from airflow_voice_agents.plans.report import ItemReport, Report, Status
from airflow_voice_agents.transport.api_request import ApiRequest
from airflow_voice_agents.transport.errors import CallError, Forbidden, RateLimited, Unauthorized

T = TypeVar("T")

PURCHASE: Final = "purchase phone number"
"""The operation name that marks purchases in the tally."""

MEMORY: Final = "purchase"
"""Key of the task state; it outlives success, because a task buys once."""

REFUSALS: Final = 10
"""Number of refused candidates after which no other one is tried: the reason is most likely not the number."""

STOPPING_CODES: Final = frozenset({"insufficient_balance", "account_limit_exceeded"})

SHOWN_BOUGHT = "the outcome was unknown; reading it back showed it bought"
FOUND = "an earlier try bought it, and its answer was lost"
EARLIER = "bought by an earlier try of this task"


class PurchaseTally:
    """The numbers of one try of a purchase.

    A number is *open* from before its purchase is sent until it is known to be bought or refused.

    :param count: the number of numbers that the task must have bought in the end.
    :param bought: the numbers that earlier tries bought.
    :param open_numbers: the numbers that earlier tries may have bought.
    """

    def __init__(self, count: int, bought: Sequence[str] = (), open_numbers: Sequence[str] = ()) -> None:
        self.count = count
        self.open = list(open_numbers)
        self.unknown: dict[str, ItemReport] = {}
        self.refused: dict[str, CallError] = {}
        self.halted: CallError | None = None
        """The failure that every other purchase would meet as well."""
        self._doubtful = set(open_numbers)
        self._bought = dict.fromkeys(bought, Status.UNCHANGED)
        self._reports: dict[str, ItemReport] = {}
        self._planned: list[str] = []
        self._stuck: ItemReport | None = None
        self._send: Sender | None = None

    @classmethod
    def of(cls, run: RunContext, count: int) -> PurchaseTally:
        """Return the tally that earlier tries of the task left.

        :param run: the run.
        :param count: the number of numbers that the task must have bought in the end.
        """
        noted = run.recall(MEMORY) or {}
        return cls(count, noted.get("bought", ()), noted.get("open", ()))

    @property
    def bought(self) -> list[str]:
        """Every number that the task has bought, sorted."""
        return sorted(self._bought)

    @property
    def settled(self) -> list[str]:
        """The numbers that are bought, in order."""
        return list(self._bought)

    @property
    def missing(self) -> int:
        """The number of numbers that may still be bought; an unknown one counts as bought."""
        return max(0, self.count - len(self._bought) - len(self.unknown) - len(self._planned))

    @property
    def goes_on(self) -> bool:
        """Whether other candidates may be tried."""
        return (
            bool(self.missing)
            and self.halted is None
            and self._stuck is None
            and len(self.refused) < REFUSALS
        )

    def knows(self, number: str) -> bool:
        """Return whether a number was tried before."""
        return number in self._bought or number in self.refused or number in self.open

    # ------------------------------------------------------------------------------------ one round

    def watching(self, send: Sender) -> Sender:
        """Return the sender of purchases, which sends none after a refusal of the account.

        :param send: sends a request.
        """
        self._send = send
        return self

    async def __call__(self, request: ApiRequest[T], /) -> T:
        """Send a request, unless the account may buy no more.

        :param request: the request.
        :raises CallError: as the sender does, and the refusal of the account in place of every later purchase.
        """
        if self._send is None:
            raise RuntimeError("the tally watches no sender yet")
        if request.operation != PURCHASE:
            return await self._send(request)
        if self.halted is not None:
            raise self.halted
        try:
            return await self._send(request)
        except CallError as failure:
            self._note_refusal(request, failure)
            raise

    def begin(self, run: RunContext, numbers: Sequence[str]) -> None:
        """Note numbers as open, before their purchases are sent.

        :param run: the run.
        :param numbers: the numbers.
        """
        self.open += [number for number in numbers if number not in self.open]
        if numbers:
            self._remember(run)

    def took(self, run: RunContext, number: str) -> None:
        """Note a number as bought in this try.

        :param run: the run.
        :param number: the number.
        """
        if number not in self._bought:
            self._bought[number] = Status.CHANGED
            self.open = [each for each in self.open if each != number]
            self.refused.pop(number, None)
            self.unknown.pop(number, None)
            self._remember(run)

    def found(self, run: RunContext, number: str) -> None:
        """Note an open number that a read shows bought.

        :param run: the run.
        :param number: the number.
        """
        self.took(run, number)
        self._reports[number] = ItemReport(_NOWHERE, Status.CHANGED, FOUND)

    def take(self, run: RunContext, report: Report) -> list[str]:
        """Take the report of a round into account.

        :param run: the run.
        :param report: the engine's report.
        :returns: the refused numbers that an earlier try may have bought.
        """
        for item in report.items:
            name = item.resource.name
            if item.status is Status.CHANGED:
                self._reports[name] = item
                if report.dry_run:
                    self._planned.append(name)
                else:
                    self.took(run, name)
            elif item.status is Status.UNKNOWN:
                self.unknown[name] = item
            elif item.status is not Status.UNCHANGED and name not in self.refused:
                self._stuck = item
        return [item.resource.name for item in report.items if self._is_doubtful(item)]

    def resolve(self, run: RunContext, number: str, *, ours: bool) -> None:
        """Settle a refused number that an earlier try may have bought.

        :param run: the run.
        :param number: the number.
        :param ours: whether a read showed it bought; ``False`` where it could not be read.
        """
        if ours:
            self.took(run, number)
            self._reports[number] = ItemReport(_NOWHERE, Status.CHANGED, SHOWN_BOUGHT)
        else:
            failure = self.refused.pop(number, None)
            self.unknown[number] = ItemReport(_NOWHERE, Status.UNKNOWN, f"It may have been bought: {failure}")

    def close(self, run: RunContext, *, dry_run: bool) -> None:
        """End a round: only numbers that may have been bought stay open.

        :param run: the run.
        :param dry_run: whether the round only planned.
        """
        left = [
            number
            for number in self.open
            if number in self.unknown or (number in self._doubtful and number not in self.refused)
        ]
        if not dry_run and left != self.open:
            self.open = left
            self._remember(run)

    # --------------------------------------------------------------------------------------- report

    def items(self, resource: Callable[[str], Resource]) -> Iterator[ItemReport]:
        """Yield an item for each number that was bought or may have been.

        :param resource: makes the resource of a number.
        """
        for number, status in self._bought.items():
            reason = EARLIER if status is Status.UNCHANGED else ""
            report = self._reports.get(number) or ItemReport(_NOWHERE, status, reason)
            yield replace(report, resource=resource(number))
        for number in self._planned:
            yield replace(self._reports[number], resource=resource(number))
        for number, item in self.unknown.items():
            yield replace(item, resource=resource(number))

    def missing_items(self, resource: Callable[[str], Resource]) -> Iterator[ItemReport]:
        """Yield an item for each number that is missing.

        :param resource: makes the resource of a placeholder.
        """
        status, reason, permanent = self._shortage()
        for place in range(1, self.missing + 1):
            name = f"(missing {place} of {self.missing})"
            yield ItemReport(resource(name), status, reason, permanent)

    def _shortage(self) -> tuple[Status, str, bool]:
        if self.halted is not None:
            return Status.FAILED, str(self.halted), self.halted.permanent
        if self._stuck is not None:
            return self._stuck.status, self._stuck.reason, self._stuck.permanent
        last = f" The last refusal: {next(reversed(self.refused.values()))}" if self.refused else ""
        if len(self.refused) < REFUSALS:
            return Status.FAILED, f"the search finds no further number; widen it.{last}", True
        said = f"{len(self.refused)} numbers were refused, so no other one is tried.{last}"
        return Status.FAILED, said, True

    # -------------------------------------------------------------------------------------- details

    def _note_refusal(self, request: ApiRequest[T], failure: CallError) -> None:
        if failure.in_doubt:
            return
        if (
            isinstance(failure, (Unauthorized, Forbidden, RateLimited))
            or failure.error_code in STOPPING_CODES
        ):
            self.halted = failure
        elif failure.permanent and isinstance(request.body, dict):
            self.refused[str(request.body["number"])] = failure

    def _is_doubtful(self, item: ItemReport) -> bool:
        failed = item.status in (Status.FAILED, Status.SKIPPED)
        return failed and item.resource.name in self._doubtful

    def _remember(self, run: RunContext) -> None:
        run.remember(MEMORY, {"bought": list(self._bought), "open": self.open})


_NOWHERE = Resource("", "", "")
