"""Names of one target: a pair is asked about once, and never guessed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_voice_agents.engine.target_names import AmbiguousTargets, TargetNames, distinct
from support.json_values import bounded

NAMES = st.sets(st.sampled_from(["a", "A", "b", "B", "c"]), max_size=5)


def alike(one: str, other: str) -> bool:
    return one.lower() == other.lower()


@bounded(200)
@given(NAMES, NAMES, st.sets(st.sampled_from("abc")))
def test_every_pair_that_looks_alike_is_asked_about_once_and_then_known(
    mine: set[str], others: set[str], truly: set[str]
) -> None:
    names = TargetNames(alike)
    asked: list[tuple[str, str]] = []
    while True:
        try:
            found = names.same(sorted(mine), sorted(others))
            break
        except AmbiguousTargets as ambiguous:
            for pair in ambiguous.pairs:
                asked.append(pair)
                names.note(pair, same=pair[0].lower() in truly)
    assert len(asked) == len(set(asked))
    assert all(one != other and alike(one, other) for one, other in asked)
    assert set(found) == {
        other
        for other in others
        if other in mine or any(alike(one, other) and one.lower() in truly for one in mine)
    }
    assert all(found[other] in mine for other in found)


@bounded(50)
@given(NAMES, NAMES)
def test_where_every_target_has_one_spelling_nothing_is_asked(mine: set[str], others: set[str]) -> None:
    assert TargetNames(distinct).same(mine, others) == {name: name for name in mine & others}


def test_an_ambiguity_names_the_pairs() -> None:
    with pytest.raises(AmbiguousTargets) as caught:
        TargetNames(alike).same(["a", "b"], ["A", "c"])
    assert caught.value.pairs == (("a", "A"),)
