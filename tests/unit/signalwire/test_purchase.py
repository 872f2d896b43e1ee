"""Purchases that end at any moment, and are started again: nothing is bought twice, nothing is lost."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from typing import Any

import pytest

from airflow_voice_agents.engine.run_context import RunContext
from airflow_voice_agents.plans.report import Status
from airflow_voice_agents.signalwire.actions.purchase import MEMORY, Purchase, PurchaseJob, job
from airflow_voice_agents.signalwire.models import AvailableNumber, Page, PhoneNumber
from airflow_voice_agents.signalwire.resources.inventory import Space
from airflow_voice_agents.transport.api_request import ApiRequest
from airflow_voice_agents.transport.errors import BadRequest, OutcomeUnknown, RateLimited, TransportError
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
            return Page(tuple(self.record(n) for n in self.sold if query["filter_number"] in n))
        self.searches += 1
        free = [number for number in OFFERS if number not in self.sold]
        return [AvailableNumber(number=number, capabilities=("voice",)) for number in free]

    def sell(self, number: str) -> PhoneNumber:
        self.asked.append(number)
        error = self.answers.pop(0) if self.answers else None
        if error is None or self.acts:
            if number in self.sold:
                raise BadRequest("gone", status=422, error_code="could_not_purchase")
            self.sold.append(number)
        if error is not None:
            raise error
        return self.record(number)

    def record(self, number: str) -> PhoneNumber:
        return PhoneNumber(id=f"id-{number}", number=number, capabilities=("voice",))


def shopping(count: int, **options: Any) -> PurchaseJob:
    return job(SPACE, count=count, max_numbers=count, search={}, confirmed=True, **options)


def carry_out(platform: Platform, store: FusedStore | None, count: int, *, concurrency: int = 1) -> Purchase:
    said: list[str] = []
    run = RunContext(send=platform, say=said.append, concurrency=concurrency, task_state=store)
    return asyncio.run(shopping(count).run(run))


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
        assert sorted(platform.sold) == list(bought.numbers), where
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

        assert sorted(platform.sold) == list(bought.numbers)
        assert len(platform.sold) == 3


def unknown() -> OutcomeUnknown:
    return OutcomeUnknown("no answer", operation="purchase phone number")


@pytest.mark.parametrize("acts", [True, False])
@pytest.mark.parametrize("errors", [1, 2, 3, 5])
def test_unknown_outcomes_never_lead_to_more_than_was_asked_for(acts: bool, errors: int) -> None:
    fuse = Fuse()
    platform, store = Platform(fuse, answers=[unknown() for _ in range(errors)], acts=acts), FusedStore(fuse)

    first = carry_out(platform, store, 3)
    sold_before = len(platform.sold)
    second = carry_out(platform, store, 3)

    assert sold_before <= 3
    assert sorted(platform.sold) == list(second.numbers)
    assert len(platform.sold) == 3
    assert second.report.complete
    assert first.report.complete is (acts or errors == 1)


def test_the_same_number_is_asked_for_again_and_no_other_one_instead() -> None:
    platform = Platform(Fuse(), answers=[unknown(), unknown()], acts=False)

    bought = carry_out(platform, FusedStore(Fuse()), 1)

    assert platform.asked == OFFERS[:1] * 2
    assert [item.status for item in bought.report.items] == [Status.UNKNOWN]
    assert bought.numbers == ()


def test_a_number_that_is_gone_after_all_is_given_up_for_another_one() -> None:
    store = FusedStore(Fuse())
    gone = BadRequest("gone", status=422, error_code="could_not_purchase")
    platform = Platform(Fuse(), answers=[unknown(), gone], acts=False)

    bought = carry_out(platform, store, 1)

    assert platform.asked == [OFFERS[0], OFFERS[0], OFFERS[1]]
    assert bought.numbers == (OFFERS[1],)
    assert store.values[MEMORY] == {"bought": OFFERS[1:2], "open": []}


def test_what_is_unknown_is_noted_as_open_for_the_next_try() -> None:
    store = FusedStore(Fuse())

    carry_out(Platform(Fuse(), answers=[unknown(), unknown()], acts=False), store, 2)

    assert store.values[MEMORY] == {"bought": OFFERS[1:2], "open": OFFERS[:1]}


@pytest.mark.parametrize(
    ("error", "permanent"),
    [
        (TransportError("no connection"), False),
        (RateLimited("later", status=429, retry_after=120.0), False),
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


def test_without_a_memory_the_purchase_is_made_and_the_risk_is_told() -> None:
    said: list[str] = []
    platform = Platform(Fuse())

    asyncio.run(shopping(2).run(RunContext(send=platform, say=said.append)))

    assert platform.sold == OFFERS[:2]
    assert any("a retry would buy anew" in line for line in said)
