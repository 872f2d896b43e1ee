"""Shares: exact numbers and percentages, nothing taken for one that is none."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_voice_agents.plans.limits import Quota, percentage
from airflow_voice_agents.transport.errors import InputError
from support.json_values import bounded


@pytest.mark.parametrize(
    ("value", "of_80", "shown"),
    [
        (0, 0, "0"),
        (7, 7, "7"),
        (200, 200, "200"),
        ("0%", 0, "0%"),
        ("25%", 20, "25%"),
        (" 12.5 % ", 10, "12.5%"),
        ("100%", 80, "100%"),
        ("100.0%", 80, "100%"),
    ],
)
def test_a_share_of_eighty_targets(value: Any, of_80: int, shown: str) -> None:
    share = Quota.parse(value, "x")
    assert share.of(80) == of_80
    assert str(share) == shown


@pytest.mark.parametrize(
    "value",
    [
        -1,
        True,
        False,
        1.0,
        0.5,
        "1",
        "",
        "%",
        "-5%",
        "101%",
        "100.1%",
        "5%%",
        "1e1%",
        "٥%",
        "½%",
        None,
        [],
        {},
    ],
)
def test_anything_else_is_refused_with_its_name(value: Any) -> None:
    with pytest.raises(InputError, match=r"^max_x must be a whole number from 0 or a percentage"):
        Quota.parse(value, "max_x")


@bounded(200)
@given(st.integers(0, 100_000), st.integers(0, 10_000))
def test_percentages_are_exact_where_floats_are_not(hundredths: int, total: int) -> None:
    percent = f"{hundredths // 1000}.{hundredths % 1000:03}%"
    assert percentage(percent) == Fraction(hundredths, 1000)
    assert Quota.parse(percent, "x").of(total) == Fraction(hundredths * total, 100_000)
