"""The page on deployment models: its table of guards is made from data, and each row names a test that exists."""

from __future__ import annotations

import pytest

from support.model_guards import GUARDS, Guard, is_there, render, written


def test_the_table_is_made_from_the_data() -> None:
    assert written() == render()


@pytest.mark.parametrize("guard", GUARDS, ids=lambda guard: guard.test)
def test_every_guard_names_a_test_that_exists(guard: Guard) -> None:
    assert is_there(guard)
