"""Connectors as a resource kind: few reads, batches of what differs, and a canary for a new voice."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from airflow_voice_agents.plans.kind import Resource, Transition, WriteResult
from airflow_voice_agents.polyai.models import Connector, ConnectorUpdate
from airflow_voice_agents.polyai.resources.connector import (
    SETTINGS,
    ConnectorKind,
    ConnectorPlans,
    ConnectorState,
    connector,
    observe_all,
    states,
)
from support.json_values import bounded

KIND = ConnectorKind(batch_size=3)
PLAIN = ConnectorState(
    "variant-1", "en-GB", "en-GB-Neural2-A", tts_lang_code="en-GB", client_env="live", name="n"
)


def transition(
    name: str, before: ConnectorState = PLAIN, agent: str = "rosa", **changes: Any
) -> Transition[ConnectorState]:
    update = ConnectorUpdate(connector_id=name, **changes)
    return Transition(connector(agent, name), before, before.with_changes(update))


def shape(
    transitions: Sequence[Transition[ConnectorState]], kind: ConnectorKind = KIND
) -> list[list[list[str]]]:
    """Lanes as lists of steps, each a list of connector ids."""
    return [
        [[each.name for each in step.resources] for step in lane]
        for lane in kind.write_sequences(transitions)
    ]


# ----------------------------------------------------------------------------------------- observe


def test_a_few_connectors_are_read_by_id_and_many_with_the_whole_list() -> None:
    few = [connector("rosa", name) for name in "abc"]
    many = [connector("bank", name) for name in "abcd"]
    by_id, whole = KIND.observe([*few, *many])
    assert (by_id.request.method, by_id.request.path) == (
        "POST",
        "/v1/agents/rosa/telephony/connectors/batch",
    )
    assert by_id.request.body == {"connectorIds": ["a", "b", "c"]}
    assert (whole.request.method, whole.request.path) == ("GET", "/v1/agents/bank/telephony/connectors")
    assert (by_id.resources, whole.resources) == (tuple(few), tuple(many))


def test_a_read_tells_states_and_what_does_not_exist() -> None:
    (observation,) = KIND.observe([connector("rosa", "a"), connector("rosa", "b")])
    answer = observation.request.read(
        {
            "found": [{"connectorId": "a", "variantId": "", "asrLangCode": "en-GB", "clientEnv": "live"}],
            "notFound": ["b"],
        }
    )
    assert observation.states(answer) == {
        connector("rosa", "a"): ConnectorState(None, "en-GB", None),
        connector("rosa", "b"): None,
    }


def test_the_list_of_an_agent_is_the_same_states() -> None:
    observation = observe_all("rosa")
    listed = [Connector.model_validate({"connectorId": "a", "voiceName": "v"})]
    assert observation.resources == ()
    assert (
        observation.states(listed)
        == states("rosa", listed)
        == {connector("rosa", "a"): ConnectorState(None, None, "v")}
    )


# ------------------------------------------------------------------------------- equality and diff


def test_only_what_can_be_set_counts() -> None:
    other = ConnectorState(
        "variant-1", "en-GB", "en-GB-Neural2-A", tts_lang_code="x", client_env="y", name="z"
    )
    assert other == PLAIN
    assert KIND.digest(other) == KIND.digest(PLAIN)
    assert list(KIND.diff(PLAIN, other)) == []


def test_an_unassigned_variant_is_a_state_of_its_own_and_missing_is_another() -> None:
    unassigned = ConnectorState(None, "en-GB", "en-GB-Neural2-A")
    assert (
        len({KIND.digest(state) for state in (None, PLAIN, unassigned, ConnectorState(None, None, None))})
        == 4
    )


def test_a_difference_names_the_setting() -> None:
    changed = ConnectorState("variant-2", "en-GB", None)
    assert [(c.path, c.before, c.after) for c in KIND.diff(PLAIN, changed)] == [
        (("variant_id",), "variant-1", "variant-2"),
        (("voice_name",), "en-GB-Neural2-A", None),
    ]
    assert [change.path for change in KIND.diff(None, PLAIN)] == [(name,) for name in SETTINGS]


# ------------------------------------------------------------------------------------------- lanes


def test_changes_without_a_voice_go_in_batches_that_are_independent() -> None:
    transitions = [transition(name, variant_id="v2") for name in "abcdefg"]
    assert shape(transitions) == [[["a", "b", "c"]], [["d", "e", "f"]], [["g"]]]


def test_a_new_voice_goes_to_one_connector_first_and_that_one_is_vital() -> None:
    transitions = [transition(name, voice_name="new") for name in "abcde"]
    assert shape(transitions) == [[["a"], ["b", "c", "d"], ["e"]]]
    (lane,) = KIND.write_sequences(transitions)
    assert [step.vital for step in lane] == [True, False, False]
    assert (lane[0].request.method, lane[0].request.path) == (
        "PATCH",
        "/v1/agents/rosa/telephony/connectors/a",
    )


def test_each_voice_and_each_agent_has_a_canary_of_its_own() -> None:
    transitions = [
        transition("a", voice_name="one"),
        transition("b", voice_name="two"),
        transition("c", voice_name="one"),
        transition("d", voice_name="one", agent="bank"),
        transition("e", variant_id="v2"),
        transition("f", voice_name="two"),
        transition("g", voice_name="one", agent="bank"),
    ]
    assert shape(transitions) == [[["a"], ["c"]], [["b"], ["f"]], [["d"], ["g"]], [["e"]]]


def test_a_voice_that_is_set_already_needs_no_canary() -> None:
    transitions = [transition(name, voice_name=PLAIN.voice_name, variant_id="v2") for name in "ab"]
    assert shape(transitions) == [[["a", "b"]]]


def test_a_single_connector_with_a_new_voice_is_one_batch_of_one() -> None:
    assert shape([transition("a", voice_name="new")]) == [[["a"]]]


def test_only_settings_that_differ_are_sent_and_null_unassigns() -> None:
    (lane,) = KIND.write_sequences(
        [transition("a", variant_id=None, asr_lang_code="en-GB"), transition("b", asr_lang_code="de-DE")]
    )
    assert lane[0].request.body == {
        "updates": [
            {"connectorId": "a", "variantId": None},
            {"connectorId": "b", "asrLangCode": "de-DE"},
        ]
    }


@bounded(100)
@given(
    st.lists(
        st.tuples(st.sampled_from(["rosa", "bank"]), st.sampled_from([None, "one", "two"])), max_size=14
    ),
    st.integers(1, 5),
)
def test_every_connector_is_written_once_in_batches_that_fit(
    wanted: list[tuple[str, str | None]], size: int
) -> None:
    transitions = [
        transition(f"c{place}", agent=agent, **({"voice_name": voice} if voice else {"variant_id": "v2"}))
        for place, (agent, voice) in enumerate(wanted)
    ]
    lanes = list(ConnectorKind(batch_size=size).write_sequences(transitions))
    written = [each for lane in lanes for step in lane for each in step.resources]
    assert sorted(written) == sorted(each.resource for each in transitions)
    for lane in lanes:
        assert all(len(step.resources) <= size for step in lane)
        assert len({each.owner for step in lane for each in step.resources}) == 1


def test_a_batch_splits_into_halves_down_to_single_ones() -> None:
    (lane,) = ConnectorKind(batch_size=5).write_sequences(
        [transition(name, variant_id="v2") for name in "abcde"]
    )
    step = lane[0]
    assert step.split is not None
    left, right = step.split([connector("rosa", name) for name in "abcde"])
    assert ([r.name for r in left.resources], [r.name for r in right.resources]) == (list("abc"), list("de"))
    assert right.split is not None
    single, other = right.split(right.resources)
    assert single.split is None
    assert other.split is None
    assert len(step.split([connector("rosa", "d")])) == 1


# --------------------------------------------------------------------------------- judge, unsettled


def test_a_batch_is_judged_item_by_item() -> None:
    (lane,) = KIND.write_sequences([transition(name, variant_id="v2") for name in "abc"])
    a, b, _c = (connector("rosa", name) for name in "abc")
    answer = lane[0].request.read(
        {
            "results": [
                {"connectorId": "a", "success": True, "data": {"connectorId": "a", "variantId": "v2"}},
                {"connectorId": "b", "success": False, "error": "x" * 1000},
            ]
        }
    )
    verdicts = lane[0].judge(answer)
    assert verdicts[a] == WriteResult(ConnectorState("v2", None, None))
    assert verdicts[b].error == "x" * 300
    assert set(verdicts) == {a, b}


@pytest.mark.parametrize("data", [None, {}, {"connectorId": "other", "variantId": "v2"}])
def test_a_success_that_shows_no_state_of_its_own_is_to_be_read_back(data: Any) -> None:
    (lane,) = KIND.write_sequences([transition("a", variant_id="v2")])
    answer = lane[0].request.read({"results": [{"connectorId": "a", "success": True, "data": data}]})
    assert lane[0].judge(answer) == {connector("rosa", "a"): WriteResult()}


def test_a_failure_without_a_reason_is_still_a_failure() -> None:
    (lane,) = KIND.write_sequences([transition("a", variant_id="v2")])
    answer = lane[0].request.read({"results": [{"connectorId": "a", "success": False, "error": None}]})
    assert lane[0].judge(answer)[connector("rosa", "a")].error == "the platform gave no reason"


def test_the_answer_to_a_canary_counts_only_for_itself() -> None:
    (lane,) = KIND.write_sequences([transition(name, voice_name="new") for name in "ab"])
    mine = Connector.model_validate({"connectorId": "a", "voiceName": "new"})
    other = Connector.model_validate({"connectorId": "b", "voiceName": "new"})
    assert lane[0].judge(mine) == {connector("rosa", "a"): WriteResult(ConnectorState(None, None, "new"))}
    assert lane[0].judge(other) == {}


@pytest.mark.parametrize(
    ("observed", "missing"),
    [
        (ConnectorState("v2", "en-GB", "new"), []),
        (ConnectorState("v2", "de-DE", "new"), []),
        (ConnectorState("variant-1", "en-GB", "new"), ["variant_id"]),
        (PLAIN, ["variant_id", "voice_name"]),
        (None, ["variant_id", "voice_name"]),
    ],
)
def test_only_settings_that_were_asked_for_must_be_shown(
    observed: ConnectorState | None, missing: list[str]
) -> None:
    assert KIND.mismatches(transition("a", variant_id="v2", voice_name="new"), observed) == missing


def test_a_missing_connector_is_no_connector_without_a_variant() -> None:
    assert KIND.mismatches(transition("a", variant_id=None), None) == ["variant_id"]


def test_a_connector_of_another_agent_is_another_resource() -> None:
    assert connector("rosa", "a") != connector("bank", "a")
    assert connector("rosa", "a") == Resource("connector", "rosa", "a")


@pytest.mark.parametrize("changes", [{"variant_id": "v2"}, {"variant_id": None}, {"voice_name": "new"}])
def test_a_plan_counts_the_one_write_of_a_connector_without_building_it(
    monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any]
) -> None:
    now, place = ConnectorState("v1", "en-GB", "old"), connector("hotel", "c1")
    update = ConnectorUpdate(connector_id="c1", **changes)
    built = list(ConnectorKind().write_sequences([Transition(place, now, now.with_changes(update))]))
    monkeypatch.setattr(ConnectorKind, "write_sequences", None)

    item = ConnectorKind().plan(place, update, now)

    assert item.writes == sum(map(len, built)) == 1
    assert item.waypoints == tuple(step.waypoint for steps in built for step in steps if step.waypoint) == ()
    assert ConnectorKind().plan(place, update, now.with_changes(update)).writes == 0


def test_connectors_alike_are_compared_and_checked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    plans, update = ConnectorPlans(KIND), ConnectorUpdate(connector_id="each", asr_lang_code="fr-FR")
    compared, checked = [], []
    plan, check = ConnectorKind.plan, ConnectorUpdate.__init__
    monkeypatch.setattr(ConnectorKind, "plan", lambda *given: compared.append(1) or plan(*given))
    monkeypatch.setattr(
        ConnectorUpdate, "__init__", lambda self, **given: checked.append(1) or check(self, **given)
    )
    names = [f"c{number}" for number in range(9)]
    states_ = {name: replace(PLAIN, name=name, tts_lang_code=name) for name in names}

    items = [plans.plan(connector("rosa", name), update, states_[name]) for name in names]
    sequences = list(ConnectorKind().write_sequences([item.transition for item in items]))

    assert (len(compared), len(checked)) == (1, 1)
    for name, item in zip(names, items, strict=True):
        assert item == plan(KIND, connector("rosa", name), update, states_[name])
        assert (item.transition.before.name, item.transition.after.tts_lang_code) == (name, name)
    assert [each.body for [each] in [[step.request for step in lane] for lane in sequences]] == [
        {"updates": [{"connectorId": name, "asrLangCode": "fr-FR"} for name in names]}
    ]


@given(st.dictionaries(st.sampled_from(SETTINGS), st.sampled_from(["a", "b"])))
def test_the_shared_plan_is_the_plan_of_each(changes: dict[str, str]) -> None:
    update = ConnectorUpdate(connector_id="each", **changes)
    for now in (PLAIN, replace(PLAIN, variant_id=None), None):
        place = connector("rosa", "c1")
        plans = ConnectorPlans(KIND)
        assert (
            plans.plan(place, update, now) == plans.plan(place, update, now) == KIND.plan(place, update, now)
        )
