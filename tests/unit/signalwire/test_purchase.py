"""Purchases that are killed at any moment and started again: nothing is bought twice, nothing is lost."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from airflow_voice_agents.engine.policy import Policy, Protections
from airflow_voice_agents.plans.report import Report, Status
from airflow_voice_agents.signalwire.actions.purchase import PurchaseOrder, buy, parse_purchase
from airflow_voice_agents.signalwire.actions.purchase_tally import MEMORY
from airflow_voice_agents.signalwire.models import AvailableNumber, Page, PhoneNumber
from airflow_voice_agents.signalwire.resources.inventory import Space
from airflow_voice_agents.transport.api_request import ApiRequest
from airflow_voice_agents.transport.errors import (
    BadRequest,
    Forbidden,
    OutcomeUnknown,
    RateLimited,
    ServerError,
    TransportError,
    Unauthorized,
)
from support.actions import run_context
from support.kill_switch import Fuse, FusedStore, Killed

SPACE = Space("acme", "https://acme.signalwire.com")
OFFERS = [f"+1206555{number:04}" for number in range(12)]


@dataclass
class Platform:
    """Sells every number once."""

    fuse: Fuse
    sold: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    searches: int = 0
    answers: list[Exception | None] = field(default_factory=list)
    """What becomes of the next purchases; ``None`` for success."""
    mislabelled: int = 0
    """How many of the next answers name another number."""
    on_sale: Callable[[], Any] | None = None
    acts: bool = True
    """Whether a purchase with an error took effect."""

    async def __call__(self, call: ApiRequest[Any]) -> Any:
        self.fuse.burn()
        await asyncio.sleep(0)
        answer = self.handle(call)
        await asyncio.sleep(0)
        self.fuse.burn()
        return answer

    def handle(self, call: ApiRequest[Any]) -> Any:
        query = dict(call.query)
        if call.operation == "purchase phone number":
            return self.sell(call.body["number"] if call.body else "")
        if call.operation == "list phone numbers":
            part = query.get("filter_number", "")
            return Page(tuple(self.record(n) for n in self.sold if part in n))
        self.searches += 1
        free = [number for number in OFFERS if number not in self.sold]
        return [AvailableNumber(number=number, capabilities=("voice",)) for number in free]

    def sell(self, number: str) -> PhoneNumber:
        self.asked.append(number)
        if self.on_sale is not None:
            self.on_sale()
        error = self.answers.pop(0) if self.answers else None
        if error is None or self.acts:
            if number in self.sold:
                raise BadRequest("gone", status=422, error_code="could_not_purchase")
            self.sold.append(number)
        if error is not None:
            raise error
        if self.mislabelled:
            self.mislabelled -= 1
            return self.record(f"{number}9")
        return self.record(number)

    def record(self, number: str) -> PhoneNumber:
        return PhoneNumber(id=f"id-{number}", number=number, capabilities=("voice",))


@dataclass(frozen=True)
class Purchase:
    """The outcome of a try."""

    report: Report
    numbers: list[str]


def order(count: int) -> PurchaseOrder:
    return parse_purchase(SPACE, count=count, max_numbers=count, search={}, confirmed=True)


def carry_out(
    platform: Platform, store: FusedStore | None, count: int, *, concurrency: int = 1, **fields: Any
) -> Purchase:
    run = run_context(platform, concurrency=concurrency, task_state=store, **fields)
    policy = Policy(verify=False, max_snapshot_age=600.0, failure_limit=None)
    return Purchase(*asyncio.run(buy(run, order(count), policy, Protections())))


@pytest.mark.parametrize("concurrency", [1, 3])
def test_a_purchase_killed_at_any_moment_and_started_again_buys_exactly_what_was_asked_for(
    concurrency: int,
) -> None:
    calm = Fuse()
    carry_out(Platform(calm), FusedStore(calm), 4, concurrency=concurrency)

    for moment in range(1, calm.burnt + 1):
        fuse = Fuse(moment)
        platform, store = Platform(fuse), FusedStore(fuse)
        with pytest.raises(Killed):
            carry_out(platform, store, 4, concurrency=concurrency)
        fuse.renew()
        bought = carry_out(platform, store, 4, concurrency=concurrency)

        where = f"killed at moment {moment} of {calm.burnt}"
        assert sorted(platform.sold) == bought.numbers, where
        assert len(platform.sold) == 4, where
        assert bought.report.complete, where


@pytest.mark.parametrize("first", range(1, 24))
def test_a_purchase_killed_twice_still_buys_exactly_what_was_asked_for(first: int) -> None:
    for second in range(1, 24):
        fuse = Fuse(first)
        platform, store = Platform(fuse), FusedStore(fuse)
        for left in (second, None):
            with contextlib.suppress(Killed):
                carry_out(platform, store, 3)
            fuse.renew(left)
        bought = carry_out(platform, store, 3)

        assert sorted(platform.sold) == bought.numbers
        assert len(platform.sold) == 3


def unknown() -> OutcomeUnknown:
    return OutcomeUnknown("no answer", operation="purchase phone number")


@pytest.mark.parametrize("acts", [True, False])
@pytest.mark.parametrize("errors", [1, 2, 3, 5])
def test_unknown_outcomes_never_lead_to_more_than_was_asked_for(acts: bool, errors: int) -> None:
    fuse = Fuse()
    platform, store = Platform(fuse, answers=[unknown() for _ in range(errors)], acts=acts), FusedStore(fuse)

    first = carry_out(platform, store, 3)
    asked_first = list(platform.asked)
    second = carry_out(platform, store, 3)
    third = carry_out(platform, store, 3)

    assert asked_first == OFFERS[:3]
    assert first.report.complete is acts
    assert second.report.complete is (acts or errors <= 3)
    assert sorted(platform.sold) == third.numbers == OFFERS[:3]
    assert third.report.complete


def test_an_unknown_purchase_is_polled_and_ends_unknown_without_another_number() -> None:
    store, waits = FusedStore(Fuse()), []
    platform = Platform(Fuse(), answers=[unknown()], acts=False)

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    bought = carry_out(platform, store, 1, sleep=sleep)

    assert platform.asked == OFFERS[:1]
    assert sum(waits) >= 30
    assert [item.status for item in bought.report.items] == [Status.UNKNOWN]
    assert not bought.report.permanent_failure
    assert bought.numbers == []
    assert store.values[MEMORY] == {"bought": [], "open": OFFERS[:1]}


def test_an_answer_about_another_number_is_looked_up() -> None:
    platform = Platform(Fuse(), mislabelled=1)

    bought = carry_out(platform, FusedStore(Fuse()), 1)

    assert platform.asked == platform.sold == bought.numbers == OFFERS[:1]
    assert "reading it back" in bought.report.items[0].reason


def test_a_number_that_is_gone_after_all_is_given_up_for_another_one() -> None:
    store = FusedStore(Fuse())
    gone = BadRequest("gone", status=422, error_code="could_not_purchase")
    platform = Platform(Fuse(), answers=[unknown(), gone], acts=False)

    carry_out(platform, store, 1)
    bought = carry_out(platform, store, 1)

    assert platform.asked == [OFFERS[0], OFFERS[0], OFFERS[1]]
    assert bought.numbers == [OFFERS[1]]
    assert store.values[MEMORY] == {"bought": OFFERS[1:2], "open": []}


def test_every_number_is_noted_before_its_purchase_is_sent() -> None:
    store, noted = FusedStore(Fuse()), []
    platform = Platform(Fuse(), on_sale=lambda: noted.append(store.get(MEMORY)))

    carry_out(platform, store, 2)

    assert noted == [
        {"bought": [], "open": OFFERS[:2]},
        {"bought": OFFERS[:1], "open": OFFERS[1:2]},
    ]


@pytest.mark.parametrize(
    ("error", "permanent"),
    [
        (RateLimited("later", status=429, retry_after=120.0), False),
        (RateLimited("later", status=429, retry_after=1.0), False),
        (Unauthorized("no", status=401), True),
        (Forbidden("no", status=403), True),
        (BadRequest("no money", status=422, error_code="insufficient_balance"), True),
    ],
)
def test_what_concerns_every_number_stops_the_try(error: Exception, permanent: bool) -> None:
    store = FusedStore(Fuse())
    platform = Platform(Fuse(), answers=[None, error], acts=False)

    bought = carry_out(platform, store, 5)

    assert len(platform.asked) == 2
    assert bought.report.permanent_failure is permanent
    assert bought.report.retry_after == error.retry_after  # type: ignore[attr-defined]
    assert store.values[MEMORY] == {"bought": OFFERS[:1], "open": []}
    assert [item.status.value for item in bought.report.items] == ["changed"] + ["failed"] * 4


@pytest.mark.parametrize(
    "error",
    [
        TransportError("no connection"),
        ServerError("busy", status=503, retry_after=7.0),
    ],
)
def test_a_purchase_that_certainly_was_not_made_is_sent_again_after_the_named_wait(error: Exception) -> None:
    waits: list[float] = []
    platform = Platform(Fuse(), answers=[error], acts=False)

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    bought = carry_out(platform, FusedStore(Fuse()), 1, sleep=sleep)

    assert platform.asked == OFFERS[:1] * 2
    assert bought.report.complete
    assert max(waits) >= (error.retry_after or 0)  # type: ignore[attr-defined]


def test_without_a_task_state_the_purchase_is_made_and_the_risk_is_logged() -> None:
    said: list[str] = []
    platform = Platform(Fuse())

    carry_out(platform, None, 2, log=said.append)

    assert platform.sold == OFFERS[:2]
    assert any("a retry would buy again" in line for line in said)
