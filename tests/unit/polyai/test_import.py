"""What is told of the numbers of an import before anything is sent."""

from __future__ import annotations

import pytest

from airflow_voice_agents.polyai.actions.phone_numbers import LOOKED_AT_OF_MORE, parse_import

GOOD = [f"+442079{number:06}" for number in range(460_000, 461_000)]
WRONG = [f"+99912345{number:04}" for number in range(1_000)]


@pytest.mark.parametrize("at_the_end", [True, False])
def test_of_many_numbers_some_from_everywhere_are_looked_up(at_the_end: bool) -> None:
    numbers = [*GOOD, *WRONG] if at_the_end else [*WRONG, *GOOD]
    found = parse_import("agent", "sandbox", numbers, None)
    (warning,) = found.warnings
    assert len(found.numbers) == 2_000
    assert LOOKED_AT_OF_MORE == 100
    assert warning.startswith("of 100 looked at, 50 number(s) do not look allocated, check them: +999123450")


def test_of_few_numbers_all_are_looked_up() -> None:
    (warning,) = parse_import("agent", "sandbox", [*GOOD[:499], WRONG[0]], None).warnings
    assert warning == f"1 number(s) do not look allocated, check them: {WRONG[0]}"
