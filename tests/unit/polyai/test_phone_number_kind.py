"""Phone numbers as resource kinds: absent ones are imported, none is moved, each is routed by itself."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_voice_agents.plans.kind import Transition, WriteResult
from airflow_voice_agents.polyai.resources.phone_number import (
    NumberState,
    PresenceKind,
    RoutingKind,
    phone_number,
)
from airflow_voice_agents.transport.api_request import Replay
from support.json_values import bounded

NUMBERS = [f"+44163296{place:04d}" for place in range(9)]
PRESENCE, ROUTING = PresenceKind(batch_size=4), RoutingKind(batch_size=4)
IN_LIVE = NumberState("live")


def absent(number: str, agent: str = "rosa", env: str = "live") -> Transition[NumberState]:
    return Transition(phone_number(agent, number), None, NumberState(env))


def routed(number: str, connector: str = "conn-1", before: NumberState = IN_LIVE) -> Transition[NumberState]:
    return Transition(phone_number("rosa", number), before, NumberState("live", connector))


@pytest.mark.parametrize("kind", [PRESENCE, ROUTING])
def test_numbers_are_read_in_batches_of_one_agent(kind: Any) -> None:
    mine = [phone_number("rosa", number) for number in NUMBERS[:5]]
    other = phone_number("bank", NUMBERS[0])
    reads = list(kind.observe([*mine, other]))
    assert [read.resources for read in reads] == [tuple(mine[:4]), (mine[4],), (other,)]
    assert reads[0].request.path == "/v1/agents/rosa/telephony/phone-numbers/batch"
    assert reads[0].request.body == {"phoneNumbers": NUMBERS[:4]}
    assert reads[0].request.replay is Replay.SAFE


def test_a_read_tells_where_numbers_are_and_leaves_out_what_is_absent() -> None:
    (read,) = PRESENCE.observe([phone_number("rosa", number) for number in NUMBERS[:3]])
    answer = read.request.read(
        {
            "found": [
                {"number": NUMBERS[0], "clientEnv": "live", "connectorId": ""},
                {"number": NUMBERS[1], "clientEnv": "sandbox", "connectorId": "conn-1"},
            ],
            "notFound": [NUMBERS[2]],
        }
    )
    assert read.states(answer) == {
        phone_number("rosa", NUMBERS[0]): NumberState("live"),
        phone_number("rosa", NUMBERS[1]): NumberState("sandbox", "conn-1"),
    }


def test_environment_and_connector_make_a_state() -> None:
    every = (None, NumberState("live"), NumberState("sandbox"), NumberState("live", "c"), NumberState(None))
    assert len({PRESENCE.digest(state) for state in every}) == len(every)
    changes = list(ROUTING.diff(NumberState("live"), NumberState("live", "c")))
    assert [(change.path, change.before, change.after) for change in changes] == [
        (("connector_id",), None, "c")
    ]


def test_imports_never_mix_agents_or_environments() -> None:
    transitions = [
        absent(NUMBERS[0]),
        absent(NUMBERS[1], env="sandbox"),
        absent(NUMBERS[2], agent="bank"),
        absent(NUMBERS[3]),
    ]
    lanes = list(PRESENCE.write_sequences(transitions))
    assert [[each.name for each in step.resources] for lane in lanes for step in lane] == [
        [NUMBERS[0], NUMBERS[3]],
        [NUMBERS[1]],
        [NUMBERS[2]],
    ]
    assert [lane[0].request.body for lane in lanes] == [
        {"phoneNumbers": [NUMBERS[0], NUMBERS[3]], "clientEnv": "live"},
        {"phoneNumbers": [NUMBERS[1]], "clientEnv": "sandbox"},
        {"phoneNumbers": [NUMBERS[2]], "clientEnv": "live"},
    ]
    assert all(lane[0].request.replay is Replay.RECONCILE for lane in lanes)


@bounded(100)
@given(
    st.lists(st.tuples(st.sampled_from(["rosa", "bank"]), st.sampled_from(["live", "sandbox"])), max_size=20),
    st.integers(1, 6),
)
def test_every_number_is_imported_once_in_batches_that_fit(where: list[tuple[str, str]], size: int) -> None:
    transitions = [absent(f"+44163296{place:04d}", *each) for place, each in enumerate(where)]
    steps = [step for lane in PresenceKind(batch_size=size).write_sequences(transitions) for step in lane]
    written = [each for step in steps for each in step.resources]
    assert sorted(written) == sorted(each.resource for each in transitions)
    assert all(len(step.resources) <= size for step in steps)


def test_a_batch_splits_into_halves_down_to_single_ones() -> None:
    ((step,),) = PRESENCE.write_sequences([absent(number) for number in NUMBERS[:4]])
    assert step.split is not None
    halves = step.split(step.resources[:3])
    assert [len(half.resources) for half in halves] == [2, 1]
    assert halves[1].request.body == {"phoneNumbers": [NUMBERS[2]], "clientEnv": "live"}
    assert halves[1].split is not None  # what was refused may have come to be there meanwhile


def test_an_import_lists_numbers_only_and_what_it_leaves_out_is_unknown() -> None:
    ((step,),) = PRESENCE.write_sequences([absent(number) for number in NUMBERS[:2]])
    verdicts = step.judge(step.request.read({"imported": [NUMBERS[1]]}))
    assert verdicts == {phone_number("rosa", NUMBERS[1]): WriteResult()}


@pytest.mark.parametrize(
    ("observed", "missing"),
    [
        (None, ["presence"]),
        (NumberState("sandbox"), ["client_env"]),
        (NumberState("live"), []),
        (NumberState("live", "any"), []),
    ],
)
def test_a_number_is_present_in_its_environment_whatever_answers_it(
    observed: NumberState | None, missing: list[str]
) -> None:
    assert PRESENCE.mismatches(absent(NUMBERS[0]), observed) == missing


def test_each_number_is_assigned_by_itself() -> None:
    lanes = list(ROUTING.write_sequences([routed(number) for number in NUMBERS[:3]]))
    assert [len(lane) for lane in lanes] == [1, 1, 1]
    call = lanes[0][0].request
    assert (call.method, call.path) == ("PATCH", "/v1/agents/rosa/telephony/phone-numbers/%2B441632960000")
    assert call.body == {"connectorId": "conn-1"}
    assert lanes[0][0].split is None


def test_the_answer_to_an_assignment_counts_only_for_its_number() -> None:
    ((step,),) = ROUTING.write_sequences([routed(NUMBERS[0])])
    mine = step.request.read({"number": NUMBERS[0], "clientEnv": "live", "connectorId": "conn-1"})
    other = step.request.read({"number": NUMBERS[1], "clientEnv": "live", "connectorId": "conn-1"})
    assert step.judge(mine) == {phone_number("rosa", NUMBERS[0]): WriteResult(NumberState("live", "conn-1"))}
    assert step.judge(other) == {}


@pytest.mark.parametrize(
    ("observed", "missing"),
    [
        (NumberState("live", "conn-1"), []),
        (NumberState("live"), ["connector_id"]),
        (NumberState("sandbox", "conn-1"), ["client_env"]),
        (None, ["client_env", "connector_id"]),
    ],
)
def test_a_number_is_routed_when_connector_and_environment_are_as_asked(
    observed: NumberState | None, missing: list[str]
) -> None:
    assert ROUTING.mismatches(routed(NUMBERS[0]), observed) == missing
