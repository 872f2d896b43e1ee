"""Units: what belongs to one target, in the order of its dependencies."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from airflow_voice_agents.plans.kind import Resource
from airflow_voice_agents.plans.plan import Plan, PlannedItem, TargetPlan, plan_of
from support.json_values import bounded

ORDER = ("place", "page", "line")


def item(kind: str, name: str = "x", *, changed: bool = True) -> PlannedItem:
    return PlannedItem(Resource(kind, "a", name), "b", "a" if changed else "b")


ITEMS = st.lists(st.sampled_from(ORDER), max_size=8).map(
    lambda kinds: tuple(item(kind, str(place)) for place, kind in enumerate(kinds))
)


@bounded(100)
@given(ITEMS)
def test_stages_are_of_one_kind_each_and_lose_nothing(items: tuple[PlannedItem, ...]) -> None:
    stages = list(TargetPlan("a/live", items).stages())
    assert tuple(each for stage in stages for each in stage) == items
    kinds = [{each.resource.kind for each in stage} for stage in stages]
    assert all(len(kind) == 1 for kind in kinds)
    assert all(kind != after for kind, after in pairwise(kinds))


def test_a_unit_changes_when_anything_of_it_does() -> None:
    still = item("page", changed=False)
    assert not TargetPlan("a", ()).changed
    assert not TargetPlan("a", (still,)).changed
    assert TargetPlan("a", (still, item("line"))).changed


def test_one_plan_holds_the_items_of_all_units_in_order() -> None:
    one, two = TargetPlan("a", (item("page"), item("line"))), TargetPlan("b", (item("place"),))
    assert plan_of("promote", [one, two]) == Plan("promote", (*one.items, *two.items))
