"""A run holds to the plan that was approved, also in later tries that find it half applied."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_voice_agents.engine.expected import check_document, check_expected_digest
from airflow_voice_agents.plans.document import PlanDocument, save
from airflow_voice_agents.plans.plan import Plan, PlannedItem, error, waypoint_digests
from airflow_voice_agents.transport.errors import StateMoved
from support.actions import run_context
from support.fake_engine import State, ThingKind, ThingServer, thing, transition
from support.json_values import bounded

KIND = ThingKind(stepwise=True)
STATES: list[dict[str, int]] = [{"x": 0, "y": 0}, {"x": 1, "y": 0}, {"x": 1, "y": 1}, {"x": 9, "y": 9}]
BEFORE, MIDDLE, AFTER, ELSEWHERE = STATES


class Memory(dict[str, Any]):
    """A task state in a dictionary."""

    def set(self, key: str, value: Any) -> None:
        self[key] = json.loads(json.dumps(value))

    def delete(self, key: str) -> None:
        self.pop(key, None)


def item(name: str, before: State = BEFORE, after: State = AFTER, **facts: Any) -> PlannedItem:
    digests = KIND.digest(before), KIND.digest(after)
    wanted = None if digests[0] == digests[1] else transition(name, before, after)
    waypoints = waypoint_digests(KIND.write_sequences([wanted])) if wanted else ()
    return PlannedItem(thing(name), *digests, waypoints=waypoints, transition=wanted, **facts)


def plan(*items: PlannedItem) -> Plan:
    return Plan("set things", items)


def check(expected: str, planned: Plan, memory: Memory | None = None) -> None:
    check_expected_digest(expected, planned, run_context(ThingServer({}).send, task_state=memory))


def begun(planned: Plan) -> Memory:
    """Return what the first try of an approved plan remembers."""
    memory = Memory()
    check(planned.digest, planned, memory)
    return memory


@pytest.mark.parametrize("memory", [None, Memory()])
def test_the_expected_plan_passes_and_another_is_refused(memory: Memory | None) -> None:
    expected, other = plan(item("a")), plan(item("a", MIDDLE))
    check(expected.digest, expected)
    with pytest.raises(StateMoved, match="is not the one expected") as caught:
        check(expected.digest, other, memory)
    assert caught.value.permanent
    assert expected.digest[:12] in str(caught.value)
    assert other.digest[:12] in str(caught.value)


def test_the_memory_holds_digests_only() -> None:
    planned = plan(item("a"))
    assert begun(planned) == {
        f"plan-{planned.digest}": {"thing:shop/a": [*map(KIND.digest, (BEFORE, AFTER, MIDDLE, AFTER))]}
    }


@pytest.mark.parametrize("first", [BEFORE, MIDDLE, AFTER])
@pytest.mark.parametrize("second", [BEFORE, MIDDLE, AFTER])
def test_a_later_try_may_find_each_target_anywhere_on_its_way(first: State, second: State) -> None:
    expected = plan(item("a"), item("b"))
    check(expected.digest, plan(item("a", first), item("b", second)), begun(expected))


@bounded(100)
@given(st.lists(st.sampled_from(STATES), min_size=1, max_size=5))
def test_exactly_the_targets_that_are_not_on_their_way_are_named(states: Sequence[dict[str, int]]) -> None:
    expected = plan(*(item(str(place)) for place in range(len(states))))
    now = plan(*(item(str(place), state) for place, state in enumerate(states)))
    away = [str(thing(str(place))) for place, state in enumerate(states) if state is ELSEWHERE]
    memory = begun(expected)
    if not away:
        check(expected.digest, now, memory)
        return
    with pytest.raises(StateMoved) as caught:
        check(expected.digest, now, memory)
    assert str(caught.value).startswith(f"{', '.join(away)} changed since the plan ")


@pytest.mark.parametrize(
    "now",
    [
        pytest.param([item("a"), item("b", BEFORE, {"x": 5, "y": 5})], id="another desired state"),
        pytest.param([item("a"), item("b"), item("c")], id="a target that was not planned"),
        pytest.param([item("a"), item("b", ELSEWHERE)], id="another present state"),
    ],
)
def test_a_later_try_refuses_another_plan(now: list[PlannedItem]) -> None:
    expected = plan(item("a"), item("b"))
    with pytest.raises(StateMoved, match=r"^shop/[bc] changed since"):
        check(expected.digest, plan(*now), begun(expected))


def test_a_target_without_anything_to_do_is_held_to_its_state() -> None:
    expected = plan(item("a", AFTER))
    with pytest.raises(StateMoved, match=r"^shop/a changed"):
        check(expected.digest, plan(item("a", BEFORE)), begun(expected))


def test_the_memory_of_another_plan_does_not_count() -> None:
    first, second = plan(item("a")), plan(item("a", BEFORE, MIDDLE))
    with pytest.raises(StateMoved, match="is not the one expected"):
        check(second.digest, plan(item("a", MIDDLE)), begun(first))


def test_a_saved_plan_names_what_moved_and_why() -> None:
    document = PlanDocument.read(save(plan(item("a"), item("b"), item("c")), None))
    broken = item("b", ELSEWHERE, findings=(error("unreadable", "It could not be read."),))

    check_document(document, [item("a", MIDDLE), item("b"), item("c", AFTER)], ())
    with pytest.raises(
        StateMoved, match=r"^2 resource\(s\) .*thing shop/b \(It could not be read\); thing shop/c\."
    ):
        check_document(document, [item("a"), broken, item("c", ELSEWHERE)], ())


def test_a_saved_plan_leaves_finished_targets_out() -> None:
    document = PlanDocument.read(save(plan(item("a"), item("b")), None))

    check_document(document, [item("b")], {thing("a")})
    with pytest.raises(StateMoved, match=r"1 resource.*The writes of earlier tries stay"):
        check_document(document, [item("b", ELSEWHERE)], {thing("a")})
