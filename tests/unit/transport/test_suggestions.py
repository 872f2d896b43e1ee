"""What was likely meant by a name that nothing has."""

from __future__ import annotations

import pytest

from airflow_voice_agents.transport.errors import InputError
from airflow_voice_agents.transport.suggestions import did_you_mean, escaped, invisible_twin
from airflow_voice_agents.transport.validation import parse_choice

KNOWN = ["fallback_number", "holiday_message", "Main line", "Café"]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("fallback_nummer", " Did you mean 'fallback_number'?"),
        ("FALLBACK_NUMBER", " Did you mean 'fallback_number'?"),
        ("main lime", " Did you mean 'Main line'?"),
        ("zzz", ""),
        ("", ""),
        ("x" * 10_000, ""),
    ],
)
def test_the_nearest_name_is_suggested(given: str, said: str) -> None:
    assert did_you_mean(given, KNOWN) == said


@pytest.mark.parametrize(
    "given", ["Main line ", " Main line", "Main  line", "Main\u00a0line", "Main\u200b line", "Cafe\u0301"]
)
def test_a_difference_that_nobody_sees_is_named(given: str) -> None:
    said = did_you_mean(given, KNOWN)
    assert "only in white space or invisible characters" in said
    assert said.isprintable()
    assert escaped(given) in said
    assert invisible_twin(given, KNOWN) is not None


def test_many_or_long_known_names_cost_little() -> None:
    assert did_you_mean("a", ["b" * 10**6] * 3 + [f"name {place}" for place in range(10**5)]) == ""


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("tollfree", "Did you mean 'toll-free'?"),
        ("Toll-Free", "Did you mean 'toll-free'?"),
        ("toll-free ", "invisible"),
        (3, "not 3"),
        (None, "not None"),
    ],
)
def test_a_choice_suggests_the_nearest(given: object, said: str) -> None:
    with pytest.raises(InputError, match=r"number_type must be one of local, toll-free, not") as caught:
        parse_choice(given, name="number_type", choices=("local", "toll-free"))
    assert said in str(caught.value)
