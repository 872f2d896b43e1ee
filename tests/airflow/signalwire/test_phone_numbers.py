"""The numbers themselves: listing, buying and giving back."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_voice_agents.engine.target_names import TargetNames, distinct
from airflow_voice_agents.signalwire.actions.purchase_tally import PurchaseTally
from airflow_voice_agents.signalwire.assets import phone_numbers_uri
from airflow_voice_agents.signalwire.operators.phone_numbers import (
    SignalWireListPhoneNumbersOperator,
    SignalWireReleasePhoneNumbersOperator,
    SignalWireSearchAndPurchaseOperator,
)
from airflow_voice_agents.state.folder import state_folder
from airflow_voice_agents.state.locks import LockOwner, hold_lock
from airflow_voice_agents.transport.errors import (
    GuardRefused,
    InputError,
    ItemsFailed,
    ItemsFailedPermanently,
    StateMoved,
    TargetLocked,
    Unauthorized,
)
from support.airflow_runner import Outcome, make
from support.carrier import (
    BUY,
    LIST,
    RELEASE,
    SEARCH,
    EmulatedCarrier,
    numbers,
    routed,
)
from support.emulated import counts, items

ONE, TWO, THREE, FOUR, FIVE = numbers(5)
OFFERS = numbers(20, first=5000)


def listed(**arguments: Any) -> SignalWireListPhoneNumbersOperator:
    return make(SignalWireListPhoneNumbersOperator, task_id="list", **arguments)


def buy(count: Any = 3, **arguments: Any) -> SignalWireSearchAndPurchaseOperator:
    usual = {"count": count, "max_numbers": 10, "confirm_purchase": True}
    return make(SignalWireSearchAndPurchaseOperator, task_id="buy", **{**usual, **arguments})


def release(*phone_numbers: str, **arguments: Any) -> SignalWireReleasePhoneNumbersOperator:
    usual = {"phone_numbers": list(phone_numbers), "expected": list(phone_numbers), "confirm_live": True}
    return make(SignalWireReleasePhoneNumbersOperator, task_id="release", **{**usual, **arguments})


def reasons(outcome: Outcome) -> dict[str, str]:
    return {name.rpartition("/")[2]: item.get("reason", "") for name, item in items(outcome).items()}


@pytest.fixture
def shop(carrier: EmulatedCarrier) -> EmulatedCarrier:
    """No number yet, and twenty that can be bought."""
    carrier.start(available=OFFERS)
    return carrier


# -------------------------------------------------------------------------------------- list


@pytest.mark.parametrize(("owned", "pages"), [(0, 1), (1, 1), (1000, 1), (1001, 2), (2100, 3)])
def test_a_list_costs_a_request_per_thousand_numbers(
    carrier: EmulatedCarrier, owned: int, pages: int
) -> None:
    carrier.start(routed(owned))

    outcome = carrier.run(listed())

    assert outcome.result == numbers(owned)
    assert carrier.requests() == {LIST: pages}


def test_a_list_is_sorted_and_holds_what_fits(carrier: EmulatedCarrier) -> None:
    carrier.start(
        {
            THREE: {"name": "Desk 3"},
            ONE: {"name": "Desk 1", "capabilities": ["sms"]},
            TWO: {"name": "Bar"},
            "+441632960001": {"name": "Desk UK"},
            "+3312345678": {"name": "Desk without a country", "country_code": None},
        }
    )

    assert carrier.run(listed()).result == [TWO, THREE, "+3312345678", "+441632960001"]
    assert carrier.run(listed(country_code="us")).result == [TWO, THREE]
    assert carrier.run(listed(country_code="us", voice_only=False)).result == [ONE, TWO, THREE]
    assert carrier.run(listed(filter_name="Desk", country_code="GB")).result == ["+441632960001"]
    assert carrier.run(listed(filter_name="nobody")).result == []


def test_a_full_number_finds_itself_and_a_part_finds_all_that_hold_it(carrier: EmulatedCarrier) -> None:
    longer = f"{ONE}77"
    carrier.start({**routed(3), longer: {}})

    assert carrier.run(listed(filter_number=ONE)).result == [ONE]
    assert carrier.run(listed(filter_number="5550")).result == [ONE, longer, TWO, THREE]
    assert carrier.run(listed(filter_number="+1206555000")).result == [ONE, longer, TWO, THREE]


@pytest.mark.parametrize(("argument", "value"), [("filter_number", "12a"), ("country_code", "usa")])
def test_bad_filters_are_told_before_any_request(carrier: EmulatedCarrier, argument: str, value: str) -> None:
    outcome = carrier.run(listed(**{argument: value}))

    assert isinstance(outcome.error, InputError)
    assert argument in str(outcome.error)
    assert carrier.requests() == {}


# --------------------------------------------------------------------------------- purchase


@pytest.mark.parametrize("concurrency", [1, 4])
def test_a_purchase_costs_a_search_and_a_request_per_number(shop: EmulatedCarrier, concurrency: int) -> None:
    outcome = shop.run(buy(3, concurrency=concurrency))

    assert (outcome.state, counts(outcome)) == ("success", {"changed": 3})
    assert outcome.result == OFFERS[:3] == shop.owned()
    assert shop.requests() == {SEARCH: 1, BUY: 3}
    assert shop.billed() == 3


def test_a_purchase_emits_the_asset_of_the_numbers(shop: EmulatedCarrier) -> None:
    (event,) = shop.run(buy(2)).asset_events

    assert event["dest_asset_key"]["uri"] == phone_numbers_uri(shop.space)
    assert event["extra"]["bought"] == 2


def test_a_second_run_of_the_task_buys_nothing_and_returns_the_same(shop: EmulatedCarrier) -> None:
    task = buy(3)

    first = shop.run(task)
    second, requests = shop.again(task)

    assert second.result == first.result
    assert counts(second) == {"unchanged": 3}
    assert (requests, shop.billed()) == ({}, 3)
    assert second.asset_events == []


def test_a_larger_count_buys_only_what_is_missing(shop: EmulatedCarrier) -> None:
    shop.run(buy(2))

    outcome, requests = shop.again(buy("{{ 2 + 3 }}"))

    assert counts(outcome) == {"changed": 3, "unchanged": 2}
    assert (len(outcome.result), shop.billed()) == (5, 5)
    assert requests == {SEARCH: 1, BUY: 3}


def test_more_than_a_search_returns_is_bought_with_several(shop: EmulatedCarrier) -> None:
    shop.start(available=numbers(150, first=5000))

    outcome = shop.run(buy(130, max_numbers=130, concurrency=16))

    assert counts(outcome) == {"changed": 130}
    assert shop.requests() == {SEARCH: 2, BUY: 130}


def test_the_search_is_as_asked_for(shop: EmulatedCarrier) -> None:
    texas = {"region": "TX", "city": "Austin"}
    shop.start(available={**{number: {} for number in OFFERS[:5]}, OFFERS[5]: texas, OFFERS[6]: texas})

    outcome = shop.run(buy(2, region="TX", city="{{ 'Austin' }}", areacode="206", ends_with=None))

    assert outcome.result == OFFERS[5:7]


@pytest.mark.parametrize("voice_only", [True, False])
def test_only_numbers_with_voice_are_bought_unless_others_will_do(
    shop: EmulatedCarrier, voice_only: bool
) -> None:
    deaf = {"capabilities": {"voice": False, "sms": True}}
    shop.start(available={OFFERS[0]: deaf, OFFERS[1]: {}})

    outcome = shop.run(buy(1, voice_only=voice_only))

    assert outcome.result == [OFFERS[1] if voice_only else OFFERS[0]]


@pytest.mark.parametrize("answer", ["empty", "absent"])
def test_a_search_that_finds_nothing_fails_for_good(shop: EmulatedCarrier, answer: str) -> None:
    shop.server.switches.signalwire_empty_search = answer

    outcome = shop.run(buy(2, areacode="999", retries=3))

    assert outcome.state == "failed"
    assert isinstance(outcome.error, ItemsFailedPermanently)
    assert "widen it" in str(outcome.error)
    assert shop.requests() == {SEARCH: 1}


def test_a_search_that_finds_too_few_buys_them_and_fails(shop: EmulatedCarrier) -> None:
    shop.start(available=OFFERS[:2])

    outcome = shop.run(buy(3, retries=3))

    assert isinstance(outcome.error, ItemsFailedPermanently)
    assert counts(outcome) == {"changed": 2, "failed": 1}
    assert (shop.owned(), shop.billed()) == (OFFERS[:2], 2)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"confirm_purchase": False}, "confirm_purchase=True"),
        ({"count": 11}, "max_numbers allows 10"),
        ({"count": "{{ 11 }}"}, "max_numbers allows 10"),
    ],
)
def test_what_was_not_agreed_to_is_not_bought(
    shop: EmulatedCarrier, arguments: dict[str, Any], said: str
) -> None:
    outcome = shop.run(buy(**arguments, retries=3))

    assert outcome.state == "failed"
    assert isinstance(outcome.error, GuardRefused)
    assert said in str(outcome.error)
    assert shop.requests() == {}


@pytest.mark.parametrize("allowed", [False, True])
def test_a_backfill_buys_only_where_that_is_meant(shop: EmulatedCarrier, allowed: bool) -> None:
    shop.runner.run_type = "backfill"

    outcome = shop.run(buy(1, allow_backfill=allowed))

    assert outcome.state == ("success" if allowed else "failed")
    assert shop.billed() == allowed


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"count": 0}, "count must be a whole number"),
        ({"count": "many"}, "count must be a whole number"),
        ({"count": True}, "count must be a whole number or a text, not True"),
        ({"max_numbers": 0}, "max_numbers must be a whole number"),
        ({"max_numbers": None}, "max_numbers must be a whole number"),
        ({"starts_with": "206", "contains": "555"}, "at most one of"),
        ({"ends_with": "12"}, "ends_with must be a text of 3 to 7 digits"),
        ({"city": "Austin"}, "city needs region"),
        ({"region": "Texas"}, "region must be two letters"),
        ({"region": "TX", "number_type": "toll-free"}, "local numbers only"),
    ],
)
def test_a_bad_purchase_is_told_before_any_request(
    shop: EmulatedCarrier, arguments: dict[str, Any], said: str
) -> None:
    outcome = shop.run(buy(**arguments, retries=3))

    assert isinstance(outcome.error, InputError)
    assert said in str(outcome.error)
    assert shop.requests() == {}


@pytest.mark.parametrize("action", ["reset", "truncate", "not_json"])
def test_a_purchase_whose_answer_was_lost_is_billed_once(shop: EmulatedCarrier, action: Any) -> None:
    fault = shop.server.fault(action, apply=True, operation=BUY, nth=2)

    outcome = shop.run(buy(3, concurrency=1))

    assert (outcome.state, counts(outcome)) == ("success", {"changed": 3})
    assert fault.fired == 1
    assert outcome.result == shop.owned() == OFFERS[:3]
    assert shop.billed() == 3
    assert shop.requests() == {SEARCH: 1, BUY: 3, LIST: 1}
    assert "reading it back showed it applied" in reasons(outcome)[OFFERS[1]]


@pytest.mark.parametrize("status", [500, 502, 503, 408])
def test_a_purchase_of_unknown_outcome_is_never_sent_again_nor_replaced(
    shop: EmulatedCarrier, status: int
) -> None:
    shop.server.fault("answer", operation=BUY, status=status)
    task = buy(2, concurrency=1, retries=3)

    first = shop.run(task)
    order, billed = shop.order(), shop.billed()
    second, requests = shop.again(task, try_number=2)

    assert first.state == "up_for_retry"
    assert counts(first) == {"changed": 1, "unknown": 1}
    assert "so it was not sent again" in reasons(first)[OFFERS[0]]
    assert (order, billed) == ([SEARCH, BUY, BUY, LIST, LIST], 1)
    assert (second.state, second.result) == ("success", OFFERS[:2])
    assert (requests, shop.billed()) == ({LIST: 1, BUY: 1}, 2)


def test_a_purchase_that_the_platform_puts_off_waits_as_long_as_it_says(shop: EmulatedCarrier) -> None:
    shop.server.fault("answer", operation=BUY, status=503, headers={"Retry-After": "0"})

    outcome = shop.run(buy(1, concurrency=1))

    assert outcome.result == shop.owned() == OFFERS[:1]
    assert shop.requests()[BUY] == 2


def test_a_purchase_that_stays_unknown_counts_as_spent_and_is_settled_by_the_retry(
    shop: EmulatedCarrier,
) -> None:
    shop.server.fault("reset", apply=True, operation=BUY)
    shop.server.fault("answer", operation=LIST, status=503, times=None)
    task = buy(2, retries=3, concurrency=1)

    first = shop.run(task)
    bought_before, asked_before = shop.billed(), shop.requests()[BUY]
    shop.server.clear_faults()
    second, requests = shop.again(task, try_number=2)

    assert first.state == "up_for_retry"
    assert isinstance(first.error, ItemsFailed)
    assert counts(first) == {"changed": 1, "unknown": 1}
    assert (bought_before, asked_before) == (2, 2)
    assert (second.state, counts(second)) == ("success", {"changed": 1, "unchanged": 1})
    assert requests == {LIST: 1}
    assert second.result == shop.owned() == OFFERS[:2]
    assert shop.billed() == 2


def test_a_try_that_ended_after_the_platform_acted_is_billed_once(
    shop: EmulatedCarrier, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process ends between the platform's answer and the note of it."""

    class Killed(BaseException):
        pass

    def noted(tally: Any, run: Any, number: str) -> None:
        if number == OFFERS[1]:
            raise Killed
        took(tally, run, number)

    took = PurchaseTally.took
    task = buy(3, retries=3, concurrency=1)
    with monkeypatch.context() as patch:
        patch.setattr(PurchaseTally, "took", noted)
        first = shop.run(task)
    left = shop.runner.stored("buy")["purchase"]
    second, requests = shop.again(task, try_number=2)

    assert isinstance(first.error, Killed)
    assert left == {"bought": OFFERS[:1], "open": OFFERS[1:3]}
    assert counts(second) == {"changed": 2, "unchanged": 1}
    assert requests == {LIST: 1, BUY: 1}
    assert second.result == shop.owned() == OFFERS[:3]
    assert shop.billed() == 3


def test_a_number_that_somebody_else_bought_first_is_replaced(shop: EmulatedCarrier) -> None:
    shop.meanwhile(lambda: shop.server.signalwire.withdraw(OFFERS[0]), operation=BUY)

    outcome = shop.run(buy(2, concurrency=1))

    assert (outcome.state, outcome.result) == ("success", OFFERS[1:3])
    assert shop.requests() == {SEARCH: 2, BUY: 3}
    assert shop.billed() == 2


EMPTY = {"links": {"self": "x", "first": "x"}, "data": []}


def test_a_list_that_lags_is_read_again(shop: EmulatedCarrier) -> None:
    shop.server.fault("reset", apply=True, operation=BUY)
    shop.server.fault("answer", operation=LIST, status=200, body=EMPTY)

    outcome = shop.run(buy(1))

    assert outcome.result == shop.owned() == [OFFERS[0]]
    assert shop.order() == [SEARCH, BUY, LIST, LIST]
    assert shop.billed() == 1


def test_a_refusal_of_what_an_earlier_try_bought_is_found_out(shop: EmulatedCarrier) -> None:
    """The list lags until the next try has asked for the number again."""
    shop.server.fault("reset", apply=True, operation=BUY)
    shop.server.fault("answer", operation=LIST, status=200, body=EMPTY, times=3)
    task = buy(1, retries=3)

    first = shop.run(task)
    second, _ = shop.again(task, try_number=2)

    assert counts(first) == {"unknown": 1}
    assert (second.state, counts(second)) == ("success", {"changed": 1})
    assert second.result == shop.owned() == [OFFERS[0]]
    assert shop.order() == [LIST, BUY, LIST]
    assert shop.billed() == 1


def test_a_dry_run_lists_the_candidates_and_buys_none(shop: EmulatedCarrier) -> None:
    outcome = shop.run(buy(2, dry_run=True, confirm_purchase=False))

    assert (outcome.state, outcome.result) == ("success", [])
    assert sorted(reasons(outcome)) == OFFERS[:2]
    assert len(outcome.xcoms["report"]["plan_digest"]) == 64
    assert "confirm_purchase=True" in outcome.log
    assert (shop.requests(), outcome.asset_events) == ({SEARCH: 1}, [])
    assert shop.runner.stored("buy") == {}


def test_a_dry_run_says_how_many_numbers_are_missing(shop: EmulatedCarrier) -> None:
    shop.start(available=OFFERS[:1])

    outcome = shop.run(buy(2, dry_run=True))

    assert counts(outcome) == {"changed": 1, "failed": 1}
    assert "widen it" in reasons(outcome)["(missing 1 of 1)"]


def test_an_approved_purchase_buys_exactly_its_candidates(shop: EmulatedCarrier) -> None:
    digest = shop.run(buy(2, dry_run=True)).xcoms["report"]["plan_digest"]
    shop.server.signalwire.withdraw(OFFERS[0])

    moved = shop.run(buy(2, expected_digest=digest))

    assert isinstance(moved.error, StateMoved)
    assert shop.billed() == 0


def test_an_approved_purchase_replaces_no_candidate_and_goes_on_after_a_try(shop: EmulatedCarrier) -> None:
    digest = shop.run(buy(3, dry_run=True)).xcoms["report"]["plan_digest"]
    shop.server.fault("answer", operation=BUY, nth=2, status=500)
    task = buy(3, expected_digest=digest, concurrency=1, retries=3)

    first = shop.run(task)
    second = shop.run(task, try_number=2)

    assert counts(first) == {"changed": 2, "unknown": 1}
    assert (second.state, second.result) == ("success", OFFERS[:3])
    assert shop.billed() == 3


def test_an_approved_candidate_that_is_refused_is_not_replaced(shop: EmulatedCarrier) -> None:
    digest = shop.run(buy(2, dry_run=True)).xcoms["report"]["plan_digest"]
    shop.server.fault("answer", operation=BUY, status=422)

    outcome = shop.run(buy(2, expected_digest=digest, concurrency=1))

    assert counts(outcome) == {"changed": 1, "failed": 1}
    assert shop.owned() == [OFFERS[1]]


def test_another_run_in_the_space_keeps_a_purchase_waiting(shop: EmulatedCarrier) -> None:
    owner = LockOwner(dag_id="other", run_id="r", task_id="t")

    with hold_lock(
        [f"{shop.space}/{OFFERS[0]}"],
        owner,
        state_folder(None, "locks"),
        names=TargetNames(distinct),
        log=str,
    ):
        outcome = shop.run(buy(1, lock_wait=0))

    assert isinstance(outcome.error, TargetLocked)
    assert shop.billed() == 0


def test_more_refusals_than_max_failures_end_a_purchase(shop: EmulatedCarrier) -> None:
    shop.server.fault("answer", operation=BUY, status=422)

    outcome = shop.run(buy(3, max_failures=0, concurrency=1))

    assert "changed" not in counts(outcome)
    assert shop.requests() == {SEARCH: 1, BUY: 1}


@pytest.mark.parametrize("limit", [1, "50%"])
def test_a_purchase_beyond_max_changed_reads_nothing(shop: EmulatedCarrier, limit: Any) -> None:
    outcome = shop.run(buy(3, max_changed=limit))

    assert isinstance(outcome.error, GuardRefused)
    assert shop.requests() == {}


@pytest.mark.parametrize("task", [buy(1, take_snapshot=True), release(ONE, take_snapshot=True)])
def test_no_snapshot_is_promised_of_what_cannot_be_taken_back(carrier: EmulatedCarrier, task: Any) -> None:
    outcome = carrier.run(task)

    assert isinstance(outcome.error, InputError)
    assert carrier.requests() == {}


@pytest.mark.parametrize("code", ["insufficient_balance", "account_limit_exceeded"])
def test_an_account_that_may_buy_no_more_stops_the_purchase_at_once(shop: EmulatedCarrier, code: Any) -> None:
    shop.server.switches.signalwire_purchase = code

    outcome = shop.run(buy(5, concurrency=1, retries=3))

    assert outcome.state == "failed"
    assert isinstance(outcome.error, ItemsFailedPermanently)
    assert counts(outcome) == {"failed": 5}
    assert code in str(outcome.error)
    assert shop.requests() == {SEARCH: 1, BUY: 1}


@pytest.mark.parametrize("codes", ["symbolic", "status"])
def test_endless_refusals_are_not_met_with_endless_requests(shop: EmulatedCarrier, codes: Any) -> None:
    shop.server.switches.signalwire_purchase = "could_not_purchase"
    shop.server.switches.signalwire_codes = codes

    outcome = shop.run(buy(1, concurrency=1, retries=3))

    assert isinstance(outcome.error, ItemsFailedPermanently)
    assert "10 numbers were refused" in reasons(outcome)["(missing 1 of 1)"]
    assert shop.requests() == {SEARCH: 10, BUY: 10}
    assert shop.billed() == 0


def test_a_token_that_is_refused_on_the_way_stops_the_purchase(shop: EmulatedCarrier) -> None:
    shop.server.fault("answer", operation=BUY, nth=2, status=401, times=None)

    outcome = shop.run(buy(4, concurrency=1, retries=3))

    assert isinstance(outcome.error, ItemsFailedPermanently)
    assert counts(outcome) == {"changed": 1, "failed": 3}
    assert shop.requests() == {SEARCH: 1, BUY: 2}
    assert shop.runner.stored("buy")["purchase"] == {"bought": [OFFERS[0]], "open": []}


def test_a_refused_token_ends_the_task_at_once(shop: EmulatedCarrier) -> None:
    shop.server.fault("answer", operation=SEARCH, status=401, times=None)

    outcome = shop.run(buy(1, retries=3))

    assert outcome.state == "failed"
    assert isinstance(outcome.error, Unauthorized)


def test_a_search_that_fails_on_the_way_leaves_a_report(shop: EmulatedCarrier) -> None:
    shop.start(available=numbers(150, first=5000))
    shop.server.fault("answer", operation=SEARCH, nth=2, status=503, times=None)

    outcome = shop.run(buy(110, max_numbers=110, concurrency=16, retries=3))

    assert outcome.state == "up_for_retry"
    assert counts(outcome) == {"changed": 100, "failed": 10}


# ---------------------------------------------------------------------------------- release


@pytest.mark.parametrize(("owned", "pages"), [(5, 1), (1001, 2)])
def test_a_release_costs_the_pages_of_the_list_and_a_request_per_number(
    carrier: EmulatedCarrier, owned: int, pages: int
) -> None:
    carrier.start(routed(owned))

    outcome = carrier.run(release(ONE, TWO, THREE))

    assert (outcome.state, counts(outcome)) == ("success", {"changed": 3})
    assert carrier.owned() == numbers(owned)[3:]
    assert carrier.requests() == {LIST: pages + 1, RELEASE: 3}
    (event,) = outcome.asset_events
    assert event["dest_asset_key"]["uri"] == phone_numbers_uri(carrier.space)


def test_a_second_release_writes_nothing(carrier: EmulatedCarrier) -> None:
    task = release(ONE, TWO)

    carrier.run(task)
    second, requests = carrier.again(task)

    assert (second.state, counts(second)) == ("success", {"unchanged": 2})
    assert "does not have it" in reasons(second)[ONE]
    assert requests == {LIST: 1}


def test_the_plan_tells_where_calls_still_go(carrier: EmulatedCarrier) -> None:
    outcome = carrier.run(release(ONE, dry_run=True, confirm_live=False))

    assert outcome.state == "success"
    assert "Its calls go to relay_script" in outcome.log
    assert carrier.owned() == numbers(5)


@pytest.mark.parametrize(
    ("asked", "expected", "said"),
    [
        ([ONE, TWO], [ONE], f"1 not expected ({TWO})"),
        ([ONE], [ONE, TWO], f"1 expected and not asked for ({TWO})"),
        ([ONE, TWO], [ONE, THREE], "1 not expected"),
    ],
)
def test_numbers_that_were_not_announced_are_not_released(
    carrier: EmulatedCarrier, asked: list[str], expected: list[str], said: str
) -> None:
    outcome = carrier.run(release(phone_numbers=asked, expected=expected, retries=3))

    assert outcome.state == "failed"
    assert isinstance(outcome.error, GuardRefused)
    assert said in str(outcome.error)
    assert carrier.requests() == {}


def test_the_announcement_is_a_set(carrier: EmulatedCarrier) -> None:
    outcome = carrier.run(release(phone_numbers=[TWO, ONE, TWO], expected=f"{ONE}\n{TWO}"))

    assert counts(outcome) == {"changed": 2}


@pytest.mark.parametrize("missing", ["phone_numbers", "expected"])
def test_nothing_is_released_without_numbers(carrier: EmulatedCarrier, missing: str) -> None:
    outcome = carrier.run(release(ONE, **{missing: []}))

    assert isinstance(outcome.error, InputError)
    assert f"{missing} is empty" in str(outcome.error)
    assert carrier.requests() == {}


def test_an_unconfirmed_release_reads_and_writes_nothing(carrier: EmulatedCarrier) -> None:
    outcome = carrier.run(release(ONE, confirm_live=False))

    assert isinstance(outcome.error, GuardRefused)
    assert carrier.requests() == {}


@pytest.mark.parametrize(("trial", "days"), [(False, 14), (True, 30)])
def test_a_number_that_was_bought_too_recently_stays_and_the_rule_is_told(
    carrier: EmulatedCarrier, trial: bool, days: int
) -> None:
    carrier.start(routed(1), available=OFFERS)
    carrier.server.signalwire.projects[next(iter(carrier.server.signalwire.projects))]["trial"] = trial
    (young,) = carrier.run(buy(1)).result
    carrier.server.journal.clear()

    outcome = carrier.run(release(ONE, young, retries=3))

    assert outcome.state == "failed"
    assert isinstance(outcome.error, ItemsFailedPermanently)
    assert counts(outcome) == {"changed": 1, "failed": 1}
    assert "purchased_too_recently" in reasons(outcome)[young]
    assert "14 days" in reasons(outcome)[young]
    assert "30 days" in reasons(outcome)[young]
    assert carrier.owned() == [young]
    assert carrier.requests() == {LIST: 2, RELEASE: 2}


def test_a_number_that_is_gone_when_its_turn_comes_is_looked_up(carrier: EmulatedCarrier) -> None:
    carrier.meanwhile(lambda: carrier.server.signalwire.remove_number(TWO), operation=RELEASE)

    outcome = carrier.run(release(ONE, TWO, concurrency=1))

    assert (outcome.state, counts(outcome)) == ("success", {"changed": 2})
    assert carrier.requests() == {LIST: 3, RELEASE: 2}


@pytest.mark.parametrize("status", [404, 200, 204])
def test_an_answer_that_a_release_is_done_is_not_believed_without_a_look(
    carrier: EmulatedCarrier, status: int
) -> None:
    carrier.server.fault("answer", operation=RELEASE, status=status, times=None)

    outcome = carrier.run(release(ONE))

    assert outcome.state != "success"
    assert counts(outcome) == {"failed": 1}
    assert carrier.owned() == numbers(5)


def test_a_release_whose_answer_was_lost_is_read_back_and_not_sent_again(carrier: EmulatedCarrier) -> None:
    carrier.server.fault("reset", apply=True, operation=RELEASE)

    outcome = carrier.run(release(ONE, TWO, concurrency=1))

    assert (outcome.state, counts(outcome)) == ("success", {"changed": 2})
    assert carrier.requests() == {LIST: 3, RELEASE: 2}


def test_a_release_that_did_not_happen_is_sent_again_once_that_was_read(carrier: EmulatedCarrier) -> None:
    carrier.server.fault("answer", operation=RELEASE, status=500)

    outcome = carrier.run(release(ONE))

    assert counts(outcome) == {"changed": 1}
    assert carrier.order() == [LIST, RELEASE, LIST, RELEASE, LIST]
    assert carrier.owned() == numbers(4, first=1)
