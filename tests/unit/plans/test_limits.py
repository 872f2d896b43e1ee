"""Budgets of failures and caps on changes: what is tolerated, to the target."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_voice_agents.plans.limits import ChangeLimit, FailureLimit
from airflow_voice_agents.plans.plan import Severity
from airflow_voice_agents.transport.errors import InputError
from support.json_values import bounded


@pytest.mark.parametrize(
    ("value", "total", "allowed"),
    [
        (None, 100, 0),
        (0, 100, 0),
        (5, 100, 5),
        (5, 3, 3),
        ("5%", 100, 5),
        ("5%", 39, 1),
        ("5%", 19, 0),
        ("100%", 7, 7),
        ({"count": 5, "percent": 10}, 100, 5),
        ({"count": 5, "percent": 10}, 40, 4),
        ({"count": 5}, 40, 5),
        ({"percent": 12.5}, 16, 2),
        ({"percent": "12.5%", "count": 1}, 16, 1),
        ({"percent": 0, "count": 5}, 16, 0),
        ("0.1%", 3000, 3),
        ({"percent": 0.1}, 3000, 3),
        (5, 0, 0),
    ],
)
def test_how_many_failures_are_tolerated(value: Any, total: int, allowed: int) -> None:
    budget = FailureLimit.parse(value)
    assert budget.allows(total) == allowed
    assert not budget.exceeded(allowed, total)
    assert budget.exceeded(allowed + 1, total)


@bounded(200)
@given(st.integers(0, 50), st.integers(0, 100), st.integers(0, 500))
def test_of_two_limits_the_smaller_binds(count: int, percent: int, total: int) -> None:
    both = FailureLimit.parse({"count": count, "percent": percent})
    one, other = FailureLimit.parse(count), FailureLimit.parse(f"{percent}%")
    assert both.allows(total) == min(one.allows(total), other.allows(total))
    assert other.allows(total) == math.floor(total * percent / 100)
    for failed in range(5):
        assert both.exceeded(failed, total) == (one.exceeded(failed, total) or other.exceeded(failed, total))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (True, "^max_bad must be a whole number"),
        (-1, "^max_bad must be a whole number"),
        (0.05, "^max_bad must be a whole number"),
        ("5", "^max_bad must be a whole number"),
        ("101%", "^max_bad must be a whole number"),
        ([5], "^max_bad must be a whole number"),
        ({}, "^max_bad may hold"),
        ({"count": 1, "percentage": 5}, "^max_bad may hold"),
        ({1: 1}, "^max_bad may hold"),
        ({"count": True}, r"^max_bad\.count must be"),
        ({"count": "5"}, r"^max_bad\.count must be"),
        ({"count": -1}, r"^max_bad\.count must be"),
        ({"count": None}, r"^max_bad\.count must be"),
        ({"percent": True}, r"^max_bad\.percent must be"),
        ({"percent": -1}, r"^max_bad\.percent must be"),
        ({"percent": 100.5}, r"^max_bad\.percent must be"),
        ({"percent": math.nan}, r"^max_bad\.percent must be"),
        ({"percent": "10"}, r"^max_bad\.percent must be"),
        ({"percent": None}, r"^max_bad\.percent must be"),
    ],
)
def test_what_is_no_budget_is_refused_with_its_name(value: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        FailureLimit.parse(value, "max_bad")


def test_without_a_budget_the_first_failure_stops_a_run() -> None:
    assert FailureLimit() == FailureLimit.parse(None)
    assert FailureLimit().exceeded(1, 1000)


@pytest.mark.parametrize(
    ("limit", "total", "most"),
    [(0, 100, 0), (20, 100, 20), ("10%", 100, 10), ("10%", 19, 1), ("0%", 100, 0), ("100%", 5, 5)],
)
def test_a_cap_lets_so_many_targets_change_and_not_one_more(limit: Any, total: int, most: int) -> None:
    cap = ChangeLimit.parse(limit)
    assert list(cap.check(most, total)) == []
    (finding,) = cap.check(most + 1, total)
    assert (finding.severity, finding.code) == (Severity.ERROR, "max_changed")


@pytest.mark.parametrize(
    ("limit", "told"),
    [
        (2, "3 of 30 target(s) would change, and most allows 2. Ask for fewer targets, or raise most if"),
        (
            "9%",
            "3 of 30 target(s) would change, and most allows 2 (9%). Ask for fewer targets, or raise most",
        ),
    ],
)
def test_a_cap_says_how_many_and_what_to_do(limit: Any, told: str) -> None:
    (finding,) = ChangeLimit.parse(limit, "most").check(3, 30)
    assert finding.message.startswith(told)


def test_no_cap_lets_everything_change() -> None:
    assert list(ChangeLimit.parse(None).check(10**6, 10**6)) == []
    assert ChangeLimit() == ChangeLimit.parse(None)


@pytest.mark.parametrize("value", [True, -1, 1.5, "10", "200%", {"count": 1}])
def test_what_is_no_cap_is_refused(value: Any) -> None:
    with pytest.raises(InputError, match=r"^max_changed must be a whole number"):
        ChangeLimit.parse(value)
