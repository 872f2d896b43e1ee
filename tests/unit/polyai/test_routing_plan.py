"""Numbers ring connectors of their own environment, by name or by id, or the run says what is in the way."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_voice_agents.plans.kind import Resource, Transition
from airflow_voice_agents.plans.plan import PlannedItem
from airflow_voice_agents.polyai.resources.phone_number import (
    NumberState,
    PhoneNumberKind,
    phone_number,
    plan_routing,
)
from support.json_values import bounded

KIND = PhoneNumberKind(batch_size=50)
ONE, TWO = "+441632960001", "+441632960002"
CONNECTORS = {"Main line": ["c1"], "Night line": ["c2"], "Twin": ["c3", "c4"], "": ["c5"]}


def plan(numbers: dict[str, str], states: dict[str, NumberState], **facts: Any) -> tuple[PlannedItem, ...]:
    there = {phone_number("rosa", number): state for number, state in states.items()}
    facts = {"client_env": "live", "connectors": CONNECTORS, **facts}
    return plan_routing(KIND, "rosa", numbers, states=there, **facts)


@pytest.mark.parametrize("wanted", ["Night line", "c2"])
def test_a_number_is_routed_by_the_name_or_the_id_of_a_connector(wanted: str) -> None:
    now = NumberState("live", "c1")
    (item,) = plan({ONE: wanted}, {ONE: now})
    assert item.transition == Transition(phone_number("rosa", ONE), now, NumberState("live", "c2"))
    assert (item.writes, item.findings, item.source) == (1, (), None)
    assert [change.path for change in item.changes] == [("connector_id",)]


def test_a_number_that_rings_it_already_stays() -> None:
    (item,) = plan({ONE: "Main line"}, {ONE: NumberState("live", "c1")})
    assert (item.changed, item.transition, item.findings) == (False, None, ())


def test_a_connector_without_a_name_is_found_by_its_id_only() -> None:
    (item,) = plan({ONE: "c5"}, {ONE: NumberState("live")})
    assert item.transition is not None


@pytest.mark.parametrize(
    ("wanted", "now", "code", "said"),
    [
        ("Main line", None, "number_absent", "Import it for live with PolyAIImportPhoneNumbersOperator"),
        ("Main line", NumberState("sandbox", "c1"), "wrong_environment", "is in sandbox, not in live"),
        ("Main line", NumberState(None), "wrong_environment", "not in live"),
        ("Day line", NumberState("live"), "unmatched_connector", "it has: Main line, Night line, Twin"),
        ("Twin", NumberState("live"), "ambiguous_connector", "c3, c4"),
    ],
)
def test_a_number_that_cannot_be_routed_stops_the_run(
    wanted: str, now: NumberState | None, code: str, said: str
) -> None:
    states = {} if now is None else {ONE: now}
    bad, good = plan({ONE: wanted, TWO: "Main line"}, {**states, TWO: NumberState("live")})
    (finding,) = bad.errors
    assert finding.code == code
    assert said in finding.message
    assert bad.resource == phone_number("rosa", ONE)
    assert (bad.transition, bad.writes, bad.changed) == (None, 0, False)
    assert bad.before == KIND.digest(now)
    assert good.transition is not None


STATES = st.dictionaries(
    st.sampled_from([ONE, TWO]),
    st.builds(NumberState, st.sampled_from(["live", "sandbox"]), st.sampled_from([None, "c1", "c9"])),
)
WANTED = st.dictionaries(
    st.sampled_from([ONE, TWO]), st.sampled_from(["Main line", "c2", "Twin", "c4", "nothing"]), min_size=1
)


@bounded(200)
@given(WANTED, STATES)
def test_no_number_leaves_its_environment_and_planning_again_finds_nothing(
    wanted: dict[str, str], states: dict[str, NumberState]
) -> None:
    items = plan(wanted, states)
    assert [item.resource.name for item in items] == list(wanted)
    done = dict(states)
    known = {each for ids in CONNECTORS.values() for each in ids}
    for item in items:
        if item.transition is not None:
            assert item.transition.after.client_env == item.transition.before.client_env == "live"  # type: ignore[union-attr]
            assert item.transition.after.connector_id in known
            done[item.resource.name] = item.transition.after
    again = plan(wanted, done)
    assert not any(item.changed for item in again)
    assert [item.errors for item in again] == [item.errors for item in items]


def test_resources_are_those_of_the_agent() -> None:
    assert plan({ONE: "c1"}, {ONE: NumberState("live")})[0].resource == Resource("phone number", "rosa", ONE)
