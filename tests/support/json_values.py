"""Random JSON for property tests, small and full of the pairs that Python takes for equal."""

from __future__ import annotations

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st

NAMES = st.sampled_from(["a", "b", "c", "mock_x", "use_mock_y", "a.b", "", "**", "$schema", "*"])
"""Keys that meet often, some of them awkward."""

SCALARS = st.one_of(
    st.sampled_from([None, True, False, 0, 0.0, 1, 1.0, -1, "", "1", "true", "null"]),
    st.integers(-3, 3),
    st.floats(allow_nan=False, allow_infinity=False, width=16),
    st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=3),
)


def json_values(names: st.SearchStrategy[str]) -> st.SearchStrategy[Any]:
    """JSON values whose objects have these keys."""
    return st.recursive(
        SCALARS,
        lambda below: st.lists(below, max_size=3) | st.dictionaries(names, below, max_size=4),
        max_leaves=12,
    )


JSON = json_values(NAMES)


def objects(names: st.SearchStrategy[str] = NAMES, values: st.SearchStrategy[Any] = JSON) -> Any:
    """JSON objects."""
    return st.dictionaries(names, values, max_size=5)


def bounded(examples: int) -> settings:
    """Settings under which a property always tries the same examples, however busy the machine is."""
    return settings(max_examples=examples, deadline=None, derandomize=True, database=None)
