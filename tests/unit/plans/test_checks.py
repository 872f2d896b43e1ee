"""Check results become a verdict."""

from __future__ import annotations

import json
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_voice_agents.plans.checks import (
    GRACE,
    CheckResult,
    CheckVerdict,
    Watch,
    combine,
    document,
)
from airflow_voice_agents.plans.checks_text import SHOWN, verdict_markdown, verdict_text
from airflow_voice_agents.transport.errors import InputError

PASSED, FAILED, INCONCLUSIVE, ERROR, SKIPPED = CheckVerdict
NAMES = ("alerts", "calls")


def result(name: str, verdict: CheckVerdict, *, permanent: bool = False) -> CheckResult:
    return CheckResult(name, verdict, permanent=permanent)


results = st.builds(
    CheckResult,
    st.sampled_from(NAMES),
    st.sampled_from(CheckVerdict),
    st.text(),
    st.dictionaries(st.text(), st.integers()),
    st.booleans(),
)
looks = st.lists(
    st.tuples(*(st.builds(result, st.just(name), st.sampled_from(CheckVerdict)) for name in NAMES))
)


def test_no_check_is_inconclusive() -> None:
    assert combine([]) is INCONCLUSIVE


@pytest.mark.parametrize(("one", "other"), list(product(CheckVerdict, CheckVerdict)))
def test_the_worst_of_two_decides(one: CheckVerdict, other: CheckVerdict) -> None:
    order = [FAILED, ERROR, INCONCLUSIVE, PASSED, SKIPPED]

    assert combine([result("a", one), result("b", other)]) is min(one, other, key=order.index)


@given(st.lists(results), st.randoms())
def test_the_order_of_checks_does_not_matter(found: list[CheckResult], chance: st.DataObject) -> None:
    mixed = list(found)
    chance.shuffle(mixed)  # type: ignore[attr-defined]

    assert combine(mixed) is combine(found)


@given(st.lists(results), results)
def test_a_further_check_never_makes_it_better(found: list[CheckResult], further: CheckResult) -> None:
    order = [FAILED, ERROR, INCONCLUSIVE, PASSED, SKIPPED]

    worse = order.index(combine([*found, further]))

    assert not found or worse <= order.index(combine(found))


@given(results)
def test_a_result_survives_its_document(found: CheckResult) -> None:
    assert CheckResult.from_document(json.loads(json.dumps(found.document()))) == found


@pytest.mark.parametrize(
    "wrong", [None, [], {}, {"name": "a", "verdict": "new"}, {"verdict": "passed"}], ids=str
)
def test_what_is_no_result_is_refused(wrong: object) -> None:
    with pytest.raises(InputError):
        CheckResult.from_document(wrong)


# --------------------------------------------------------------------------------------- watching


def steps(watch: Watch, *verdicts: CheckVerdict, over: bool = False) -> list[CheckVerdict | None]:
    return [watch.step([result("alerts", verdict)], over=over) for verdict in verdicts]


@pytest.mark.parametrize(
    ("seen", "ends"),
    [
        ([FAILED, FAILED], [None, FAILED]),
        ([FAILED, PASSED, FAILED, FAILED], [None, None, None, FAILED]),
        ([FAILED, INCONCLUSIVE, FAILED], [None, None, None]),
        ([FAILED, ERROR, ERROR, FAILED], [None, None, None, FAILED]),
        ([ERROR] * 5, [None] * 5),
        ([PASSED, INCONCLUSIVE], [None, None]),
    ],
    ids=str,
)
def test_before_the_end_only_confirmed_failures_decide(
    seen: list[CheckVerdict], ends: list[CheckVerdict | None]
) -> None:
    assert steps(Watch(), *seen) == ends


def test_two_checks_that_fail_once_each_confirm_nothing() -> None:
    watch = Watch()

    first = watch.step([result("a", FAILED), result("b", PASSED)], over=False)
    second = watch.step([result("a", PASSED), result("b", FAILED)], over=False)

    assert (first, second) == (None, None)


@pytest.mark.parametrize("verdict", [PASSED, INCONCLUSIVE])
def test_the_end_takes_what_the_last_look_says(verdict: CheckVerdict) -> None:
    assert steps(Watch(), verdict, over=True) == [verdict]


def test_at_the_end_a_failure_is_confirmed_first() -> None:
    assert steps(Watch(), FAILED, FAILED, over=True) == [None, FAILED]
    assert steps(Watch(), FAILED, PASSED, over=True) == [None, PASSED]


def test_at_the_end_an_error_gets_a_few_more_looks() -> None:
    assert steps(Watch(), *[ERROR] * (GRACE + 1), over=True) == [*[None] * GRACE, ERROR]
    assert steps(Watch(), ERROR, PASSED, over=True) == [None, PASSED]


def test_an_error_that_lasts_ends_the_watch_unless_a_failure_waits_for_confirmation() -> None:
    refused = result("b", ERROR, permanent=True)

    assert Watch().step([result("a", PASSED), refused], over=False) is ERROR
    watch = Watch()
    assert watch.step([result("a", FAILED), refused], over=False) is None
    assert watch.step([result("a", FAILED), refused], over=False) is FAILED


def test_without_the_whole_period_the_first_pass_decides() -> None:
    assert steps(Watch(whole_period=False), INCONCLUSIVE, ERROR, PASSED) == [None, None, PASSED]


@given(st.integers(1, 4), looks)
def test_failed_takes_so_many_failed_looks_at_one_check(
    confirmations: int, seen: list[tuple[CheckResult, ...]]
) -> None:
    watch = Watch(confirmations=confirmations)
    for number, look in enumerate(seen, start=1):
        if watch.step(look, over=False) is FAILED:
            failed = [
                sum(each[place].verdict is FAILED for each in seen[:number]) for place in range(len(NAMES))
            ]
            assert max(failed) >= confirmations
            return


@given(st.integers(1, 4), st.lists(st.sampled_from([ERROR, INCONCLUSIVE, PASSED])), st.booleans())
def test_nothing_but_failures_fails(confirmations: int, seen: list[CheckVerdict], whole: bool) -> None:
    watch = Watch(confirmations=confirmations, whole_period=whole)

    ends = [*steps(watch, *seen), *steps(watch, *seen, over=True)]

    assert FAILED not in ends


@given(st.integers(1, 4), looks, st.booleans(), st.sampled_from(CheckVerdict))
def test_every_watch_ends(
    confirmations: int, seen: list[tuple[CheckResult, ...]], whole: bool, last: CheckVerdict
) -> None:
    watch = Watch(confirmations=confirmations, whole_period=whole)
    for look in seen:
        watch.step(look, over=False)

    ends = steps(watch, *[last] * (2 * (GRACE + confirmations + 1)), over=True)

    assert any(ends)


# ------------------------------------------------------------------------------------------- text


def test_a_verdict_is_one_line_per_check_and_counts_the_rest() -> None:
    found = document(FAILED, [CheckResult(f"check {n}", FAILED, "it *fired*") for n in range(SHOWN + 2)])

    text, markdown = verdict_text(found), verdict_markdown(found)

    assert text.splitlines()[:2] == ["Verdict: failed", "check 0: failed, it ∗fired∗"]
    assert "… and 2 more check(s)" in text
    assert "… and 2 more check(s)" in markdown
    assert "`*fired*`" in markdown


@pytest.mark.parametrize("odd", [{}, {"checks": None}, {"checks": [None, {}], "verdict": 3}], ids=str)
def test_what_is_no_verdict_is_shown_without_an_error(odd: dict[str, object]) -> None:
    assert verdict_text(odd).startswith("Verdict: ")
    assert verdict_markdown(odd).startswith("## Verdict: ")
