"""Pairs of target names that may mean one environment: found among thousands without comparing them all."""

from __future__ import annotations

from itertools import combinations

import pytest

from airflow_voice_agents.polyai.actions import base
from airflow_voice_agents.polyai.actions.base import PolyAIAction, may_be_same

possible_aliases = PolyAIAction.possible_aliases


def test_they_are_the_pairs_that_look_alike() -> None:
    names = ["a/live", "PROJECT-1/live", "b/sandbox", "PROJECT-2/*", "PROJECT-2/sandbox", "a/*", "lone"]

    found = {frozenset(pair) for pair in possible_aliases(None, names)}  # type: ignore[arg-type]

    assert found == {frozenset(pair) for pair in combinations(names, 2) if may_be_same(*pair)}
    assert frozenset({"a/live", "PROJECT-1/live"}) in found


@pytest.mark.parametrize("form", ["hotel-{}/live", "PROJECT-{}/live"])
def test_names_of_one_spelling_are_not_compared(monkeypatch: pytest.MonkeyPatch, form: str) -> None:
    asked: list[tuple[str, str]] = []
    monkeypatch.setattr(base, "may_be_same", lambda *pair: bool(asked.append(pair)))

    assert list(possible_aliases(None, [form.format(place) for place in range(3000)])) == []  # type: ignore[arg-type]
    assert asked == []
