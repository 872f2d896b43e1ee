"""Waves cover everything, in order, each target once."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_voice_agents.plans.limits import Waves
from airflow_voice_agents.transport.errors import InputError
from support.json_values import bounded

NUMBERS = st.lists(st.integers(1, 50), max_size=4).map(sorted)
PERCENTAGES = st.lists(st.integers(1, 100), max_size=4).map(sorted)


@st.composite
def wave_lists(draw: st.DrawFn) -> list[int | str]:
    """Lists as authors write them: numbers and percentages, each rising, in any mixture."""
    numbers: list[Any] = draw(NUMBERS)
    percentages: list[Any] = [f"{each}%" for each in draw(PERCENTAGES)]
    mixed = []
    while numbers or percentages:
        take = numbers if not percentages or (numbers and draw(st.booleans())) else percentages
        mixed.append(take.pop(0))
    return [*mixed, "100%"]


def sizes(value: Any, total: int) -> list[int]:
    return [len(wave) for wave in Waves.parse(value).cut(range(total))]


@pytest.mark.parametrize(
    ("value", "total", "expected"),
    [
        ([1, 10, "25%", "100%"], 100, [1, 9, 15, 75]),
        ([1, 10, "25%", "100%"], 20, [1, 9, 10]),
        ([1, 10, "25%", "100%"], 1, [1]),
        ([1, 10, "25%", "100%"], 0, []),
        (["100%"], 7, [7]),
        (None, 7, [7]),
        (["10%", "100%"], 11, [2, 9]),
        (["0.1%", "100%"], 5, [1, 4]),
        ([5, 5, "100%", "100%"], 8, [5, 3]),
        ((3, "100%"), 3, [3]),
        (["50%", 2, "100%"], 10, [5, 5]),
    ],
)
def test_where_waves_end(value: Any, total: int, expected: list[int]) -> None:
    assert sizes(value, total) == expected


@bounded(300)
@given(wave_lists(), st.integers(0, 120))
def test_every_item_is_in_one_wave_in_order_and_no_wave_is_empty(value: list[Any], total: int) -> None:
    items = [object() for _ in range(total)]
    cut = Waves.parse(value).cut(items)
    assert [item for wave in cut for item in wave] == items
    assert all(cut)
    assert len(cut) <= len(value)


@bounded(300)
@given(wave_lists(), st.integers(1, 120))
def test_the_first_wave_is_no_larger_than_its_entry(value: list[Any], total: int) -> None:
    first = value[0]
    most = first if isinstance(first, int) else -(-int(first.rstrip("%")) * total // 100)
    assert sizes(value, total)[0] == min(most, total)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([], r'must end with "100%"'),
        ([1, 10], r'must end with "100%"'),
        (["100%", 5], r'must end with "100%"'),
        ([10, 5, "100%"], "5 stands after 10"),
        ([10, "50%", 5, "100%"], "5 stands after 10"),
        (["50%", 3, "20%", "100%"], "20% stands after 50%"),
        ([0, "100%"], r"rollout\[0\] must reach at least one target"),
        ([1, "0%", "100%"], r"rollout\[1\] must reach at least one target"),
        ([True, "100%"], r"rollout\[0\] must be a whole number"),
        ([1.5, "100%"], r"rollout\[0\] must be a whole number"),
        (["10", "100%"], r"rollout\[0\] must be a whole number"),
        ([1, "101%", "100%"], r"rollout\[1\] must be a whole number"),
        ("100%", "must be a list"),
        (5, "must be a list"),
        ({"1": "100%"}, "must be a list"),
    ],
)
def test_what_is_no_list_of_waves_is_refused(value: Any, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        Waves.parse(value, "rollout")
    assert str(caught.value).startswith("rollout")


def test_a_refusal_calls_the_list_waves_unless_told_otherwise() -> None:
    with pytest.raises(InputError, match=r"^waves must"):
        Waves.parse([])
