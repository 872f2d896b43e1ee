"""Phone numbers as resource kinds: absent ones are imported, none is moved, each is routed by itself."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_voice_agents.plans.kind import Transition, WriteResult
from airflow_voice_agents.polyai.resources.phone_number import (
    NumberState,
    PhoneNumberKind,
    phone_number,
)
from airflow_voice_agents.transport.api_request import Replay
from support.json_values import bounded

NUMBERS = [f"+44163296{place:04d}" for place in range(9)]
KIND = PhoneNumberKind(batch_size=4)
IN_LIVE = NumberState("live")


def absent(number: str, agent: str = "rosa", env: str = "live") -> Transition[NumberState]:
    return Transition(phone_number(agent, number), None, NumberState(env))


def routed(number: str, connector: str = "conn-1", before: NumberState = IN_LIVE) -> Transition[NumberState]:
    return Transition(phone_number("rosa", number), before, NumberState("live", connector))


def test_numbers_are_read_in_batches_of_one_agent() -> None:
    mine = [phone_number("rosa", number) for number in NUMBERS[:5]]
    other = phone_number("bank", NUMBERS[0])
    reads = list(KIND.observe([*mine, other]))
    assert [read.resources for read in reads] == [tuple(mine[:4]), (mine[4],), (other,)]
    assert reads[0].request.path == "/v1/agents/rosa/telephony/phone-numbers/batch"
    assert reads[0].request.body == {"phoneNumbers": NUMBERS[:4]}
    assert reads[0].request.replay is Replay.SAFE


def test_a_read_tells_where_numbers_are_and_which_are_absent() -> None:
    (read,) = KIND.observe([phone_number("rosa", number) for number in NUMBERS[:3]])
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
        phone_number("rosa", NUMBERS[2]): None,
    }


def test_numbers_in_the_same_state_share_one_object() -> None:
    states = []
    for number in NUMBERS[:2]:  # each in an answer of its own
        (read,) = KIND.observe([phone_number("rosa", number)])
        row = {"number": number, "clientEnv": "live", "connectorId": "-".join(["conn", "1"])}
        states += read.states(read.request.read({"found": [row], "notFound": []})).values()
    assert states == [NumberState("live", "conn-1")] * 2
    assert states[0] is states[1]


def test_a_number_that_an_answer_does_not_mention_is_unread() -> None:
    (read,) = KIND.observe([phone_number("rosa", number) for number in NUMBERS[:2]])
    answer = read.request.read({"found": [], "notFound": [NUMBERS[1]]})
    assert read.states(answer) == {phone_number("rosa", NUMBERS[1]): None}


def test_environment_and_connector_make_a_state() -> None:
    every = (None, NumberState("live"), NumberState("sandbox"), NumberState("live", "c"), NumberState(None))
    assert len({KIND.digest(state) for state in every}) == len(every)
    changes = list(KIND.diff(NumberState("live"), NumberState("live", "c")))
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
    lanes = list(KIND.write_sequences(transitions))
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
    steps = [step for lane in PhoneNumberKind(batch_size=size).write_sequences(transitions) for step in lane]
    written = [each for step in steps for each in step.resources]
    assert sorted(written) == sorted(each.resource for each in transitions)
    assert all(len(step.resources) <= size for step in steps)


def test_a_batch_splits_into_halves_down_to_single_ones() -> None:
    ((step,),) = KIND.write_sequences([absent(number) for number in NUMBERS[:4]])
    assert step.split is not None
    halves = step.split(step.resources[:3])
    assert [len(half.resources) for half in halves] == [2, 1]
    assert halves[1].request.body == {"phoneNumbers": [NUMBERS[2]], "clientEnv": "live"}
    assert halves[1].split is not None  # what was refused may have come to be there meanwhile


def test_an_import_lists_numbers_only_and_what_it_leaves_out_is_unknown() -> None:
    ((step,),) = KIND.write_sequences([absent(number) for number in NUMBERS[:2]])
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
    assert KIND.mismatches(absent(NUMBERS[0]), observed) == missing


def test_each_number_is_assigned_by_itself() -> None:
    lanes = list(KIND.write_sequences([routed(number) for number in NUMBERS[:3]]))
    assert [len(lane) for lane in lanes] == [1, 1, 1]
    call = lanes[0][0].request
    assert (call.method, call.path) == ("PATCH", "/v1/agents/rosa/telephony/phone-numbers/%2B441632960000")
    assert call.body == {"connectorId": "conn-1"}
    assert lanes[0][0].split is None


def test_the_answer_to_an_assignment_counts_only_for_its_number() -> None:
    ((step,),) = KIND.write_sequences([routed(NUMBERS[0])])
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
        (None, ["presence"]),
    ],
)
def test_a_number_is_routed_when_connector_and_environment_are_as_asked(
    observed: NumberState | None, missing: list[str]
) -> None:
    assert KIND.mismatches(routed(NUMBERS[0]), observed) == missing
