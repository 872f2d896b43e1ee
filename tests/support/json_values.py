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


EMPTY: list[Any] = [None, "", [], {}]
"""What is there and says nothing."""

AWKWARD: list[Any] = [
    *EMPTY,
    *(True, False, 0, 1, -1, 3, 2.5, -0.5, 1e300, 10**30),
    *("0", "yes", "no", "true", "None", "null", "[]", "{}", " ", " x", "x", "live", "100%", "-5%", "../.."),
    *("+442079460018", "442079460018.0", "020 7946 0018 x204", "a\x00b", "\ud800", "long" * 2000),
    *([None], [""], ["x"], ["x", "x"], [[]], [{}], [1], [{"agent_id": "x"}]),
    *({"": 1}, {"x": None}, {"x": "x"}, {"agent_id": None, "environment": "prod"}, {"agent_id": {"x": []}}),
]
"""Values that forms, spreadsheets and templates leave in an argument."""
