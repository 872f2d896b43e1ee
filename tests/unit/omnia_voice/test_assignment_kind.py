"""Assignments as a resource kind: what is read, compared, written, refused and restored."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_voice_agents.omnia_voice.api import UpdateVerb
from airflow_voice_agents.omnia_voice.models import Number, read_page
from airflow_voice_agents.omnia_voice.resources.phone_number import (
    KIND,
    Assignment,
    AssignmentKind,
    AssignmentState,
    agent_number,
    by_e164,
    state_of,
)
from airflow_voice_agents.plans.kind import Resource, ResourceKind, Transition
from airflow_voice_agents.plans.snapshot import Snapshot
from airflow_voice_agents.transport.errors import InputError

HOST = "api.omnia-voice.com"


def number(index: int = 1) -> str:
    return f"+120255501{index:02}"


def resource(index: int = 1) -> Resource:
    return agent_number(HOST, number(index))


def record(index: int = 1, **fields: Any) -> dict[str, Any]:
    return {"id": f"n{index}", "phoneNumber": number(index), **fields}


def state(agent_id: str | None = "a1", index: int = 1, **fields: Any) -> AssignmentState:
    return AssignmentState(f"n{index}", agent_id, **fields)


TARGET = resource()
THE_KIND: ResourceKind[AssignmentState] = AssignmentKind()
KINDS = {KIND: THE_KIND}

# ----------------------------------------------------------------------------------------- observing


def test_one_list_reports_all_numbers_and_absent_ones_explicitly() -> None:
    targets = [resource(index) for index in range(1, 4)]
    (read,) = AssignmentKind().observe(targets)
    assert (read.request.method, read.request.path) == ("GET", "/numbers")
    assert read.resources == tuple(targets)
    page = read_page({"data": [record(1, agentId="a1"), record(2, agentId=None), record(9, agentId="a1")]})
    assert read.states(page) == {targets[0]: state("a1"), targets[1]: state(None), targets[2]: None}


async def test_a_list_is_fetched_with_all_its_pages() -> None:
    (read,) = AssignmentKind(page_limit=1).observe([resource(2)])

    async def send(request: Any) -> Any:
        page = int(dict(request.query)["page"])
        return read_page({"data": [record(page, agentId="a1")], "pagination": {"totalPages": 3}})

    assert read.fetch is not None
    found = read.states(await read.fetch(send))[resource(2)]
    assert found is not None
    assert (found.id, found.list_pages) == ("n2", 3)


def test_nothing_to_observe_is_no_request() -> None:
    assert list(AssignmentKind().observe([])) == []


@pytest.mark.parametrize(
    ("pages", "asked", "paths"),
    [
        (1, [1], ["/numbers/n1"]),
        (1, [1, 2], ["/numbers"]),
        (2, [1, 2], ["/numbers/n1", "/numbers/n2"]),
        (2, [1, 2, 3], ["/numbers"]),
        (9, [1, 21], ["/numbers"]),
        (9, [22], ["/numbers"]),
    ],
)
def test_numbers_are_read_by_id_while_that_takes_no_more_requests_than_the_list(
    pages: int, asked: list[int], paths: list[str]
) -> None:
    """Number 21 is not listed yet, and 22 was never read."""
    known: dict[Resource, Any] = {
        resource(each): AssignmentState(f"n{each}", "a1", list_pages=pages) for each in range(1, 21)
    }
    known[resource(21)] = None
    reads = AssignmentKind().observe([resource(index) for index in asked], known)
    assert [read.request.path for read in reads] == paths


def test_a_read_by_id_reports_its_own_number_only() -> None:
    (read,) = AssignmentKind().observe([TARGET], {TARGET: AssignmentState("n1", None, list_pages=4)})
    found = read.states(Number.model_validate(record(1, agentId="a1")))
    assert found == {TARGET: state("a1")}
    assert [each and each.list_pages for each in found.values()] == [4]
    assert read.states(Number(id="n1")) == {TARGET: state(None)}
    assert read.states(Number(id="n1", phone_number=number(2))) == {}
    assert read.states(Number(id="n2", phone_number=number(1))) == {}


def test_a_list_that_ended_early_leaves_unread_what_it_does_not_hold() -> None:
    (read,) = AssignmentKind().observe([resource(1), resource(2)])
    part = read_page({"data": [record(1)], "pagination": {"hasMore": True}})
    assert list(read.states(part)) == [resource(1)]


def test_numbers_are_found_in_any_spelling_and_an_assigned_record_goes_first() -> None:
    records = [
        {"id": "n1", "phoneNumber": "+1 (202) 555-0101"},
        {"id": "n2", "phoneNumber": "12025550101", "agentId": "a2"},
        {"id": "n3", "phoneNumber": number(1), "agentId": "a3"},
        {"id": "n4", "phoneNumber": "reception"},
    ]
    found = by_e164(Number.model_validate(each) for each in records)
    assert {key: value.id for key, value in found.items()} == {number(1): "n2"}


# ----------------------------------------------------------------------------------------- comparing


def test_agent_and_name_make_the_digest_and_status_and_id_do_not() -> None:
    assert THE_KIND.digest(state(status="ACTIVE")) == THE_KIND.digest(state(index=2, status="assigned"))
    different = [None, state(None), state("a1"), state("a2"), state("a1", friendly_name="x")]
    assert len({THE_KIND.digest(each) for each in different}) == 5
    assert state(status="ACTIVE") == state(index=2)


def test_differences_are_named() -> None:
    changes = list(THE_KIND.diff(state("a1"), state("a2", friendly_name="Bar")))
    assert [change.path for change in changes] == [("agent_id",), ("friendly_name",)]
    assert {change.path for change in THE_KIND.diff(None, state())} == {("agent_id",), ("friendly_name",)}


@pytest.mark.parametrize(
    ("after", "observed", "expected"),
    [
        (state("a2"), state("a2", status="unassigned"), []),
        (state("a2"), state("a1", status="assigned"), ["agent_id"]),
        (state("a2"), state(None), ["agent_id"]),
        (state("a2"), None, ["presence"]),
        (state(None), state(None), []),
        (state("a2"), state("a2", friendly_name="renamed"), ["friendly_name (changed as well)"]),
        (state("a2", friendly_name="Bar"), state("a2"), ["friendly_name"]),
        (state("a2", friendly_name="Bar"), state("a1"), ["agent_id", "friendly_name"]),
    ],
)
def test_mismatches_are_what_was_sent_and_does_not_show_and_what_changed_as_well(
    after: AssignmentState, observed: AssignmentState | None, expected: list[str]
) -> None:
    assert THE_KIND.mismatches(Transition(TARGET, state("a1"), after), observed) == expected


@pytest.mark.parametrize("shown", [{"agentId": None}, {"agentId": ""}, {"agentId": " "}, {}])
def test_no_agent_is_no_agent_in_every_form(shown: dict[str, Any]) -> None:
    observed = state_of(Number.model_validate(record(1, **shown)))
    assert THE_KIND.mismatches(Transition(TARGET, state("a1"), state(None)), observed) == []


# ------------------------------------------------------------------------------------------- writing


def steps(kind: AssignmentKind, *transitions: Transition[AssignmentState]) -> list[Any]:
    return [step for lane in kind.write_sequences(transitions) for step in lane]


@pytest.mark.parametrize("verb", UpdateVerb)
def test_a_listed_number_is_updated_by_its_id_with_the_verb_of_the_setting(verb: UpdateVerb) -> None:
    (step,) = steps(AssignmentKind(verb=verb), Transition(TARGET, state("a1"), state("a2")))
    assert (step.request.method, step.request.path, step.request.body) == (
        verb,
        "/numbers/n1",
        {"agentId": "a2"},
    )


def test_unassigning_sends_null_and_a_name_is_sent_only_where_it_is_new() -> None:
    named = state("a1", friendly_name="Bar")
    unassign, rename, keep = steps(
        AssignmentKind(),
        Transition(TARGET, state("a1"), state(None)),
        Transition(TARGET, state("a1"), named),
        Transition(TARGET, named, state("a2", friendly_name="Bar")),
    )
    assert unassign.request.body == {"agentId": None}
    assert rename.request.body == {"agentId": "a1", "friendlyName": "Bar"}
    assert keep.request.body == {"agentId": "a2"}


def test_a_number_that_is_not_listed_is_assigned_by_a_create() -> None:
    (step,) = steps(AssignmentKind(), Transition(TARGET, None, AssignmentState(None, "a1", "Bar")))
    assert (step.request.method, step.request.path) == ("POST", "/numbers")
    assert step.request.body == {"phoneNumber": number(), "agentId": "a1", "friendlyName": "Bar"}


def test_numbers_are_written_independently_of_each_other() -> None:
    transitions = [
        Transition(resource(index), state("a1", index), state("a2", index)) for index in range(1, 4)
    ]
    sequences = list(AssignmentKind().write_sequences(transitions))
    assert [[step.resources for step in each] for each in sequences] == [
        [(resource(index),)] for index in range(1, 4)
    ]


@pytest.mark.parametrize(
    ("answer", "shown"),
    [
        (record(1, agentId="a2"), state("a2")),
        ({"id": "n1", "agentId": None}, state(None)),
        ({"id": "n1", "agent": {"id": "a2"}}, state("a2")),
        ({"id": "n1"}, None),
        (None, None),
    ],
)
def test_an_answer_to_a_write_is_taken_for_what_it_shows(answer: Any, shown: AssignmentState | None) -> None:
    (step,) = steps(AssignmentKind(), Transition(TARGET, state("a1"), state("a2")))
    verdict = step.judge(None if answer is None else Number.model_validate(answer))[TARGET]
    assert (verdict.state, verdict.error) == (shown, None)


def test_an_answer_about_another_number_says_nothing() -> None:
    (step,) = steps(AssignmentKind(), Transition(TARGET, state("a1"), state("a2")))
    assert step.judge(Number.model_validate(record(2, agentId="a2"))) == {}


# ------------------------------------------------------------------------------------------ planning


def plan(now: AssignmentState | None, agent_id: str | None = "a2", **options: Any) -> Any:
    return AssignmentKind().plan(TARGET, Assignment(agent_id, **options), now)


def codes(item: Any) -> list[str]:
    return [finding.code for finding in item.findings]


def test_a_number_of_another_agent_is_refused_unless_asked_for() -> None:
    item = plan(state("a1"))
    (finding,) = item.errors
    assert finding.code == "other_agent"
    assert finding.message == (
        f"{number()} belongs to agent a1, and assigning it to a2 would take it away silently. Pass reassign=True "
        "if meant."
    )
    allowed = plan(state("a1"), reassign=True)
    assert (allowed.findings, allowed.writes) == ((), 1)
    assert allowed.transition == Transition(TARGET, state("a1"), state("a2"))


@pytest.mark.parametrize(
    ("now", "agent_id", "writes", "findings"),
    [
        (state("a2"), "a2", 0, []),
        (state(None), "a2", 1, []),
        (state("a1"), None, 1, []),
        (state(None), None, 0, []),
        (None, None, 0, []),
        (None, "a2", 1, ["not_listed"]),
    ],
)
def test_what_is_planned(
    now: AssignmentState | None, agent_id: str | None, writes: int, findings: list[str]
) -> None:
    item = plan(now, agent_id)
    assert (item.writes, codes(item), item.errors) == (writes, findings, ())
    assert (item.transition is None) == (not item.changed) == (writes == 0)


def test_status_alone_never_makes_a_write_and_an_unnamed_name_stays() -> None:
    assert not plan(state("a2", status="unassigned", friendly_name="Bar")).changed
    item = plan(state(None, friendly_name="Bar"))
    assert item.transition.after == state("a2", friendly_name="Bar")
    assert plan(state("a2"), friendly_name="Bar").transition.after.friendly_name == "Bar"


# ----------------------------------------------------------------------------------------- restoring


def test_a_snapshot_of_states_survives_json() -> None:
    states = {
        resource(1): state("a1", friendly_name="Bar", status="ACTIVE"),
        resource(2): state(None, 2),
        resource(3): None,
    }
    document = json.loads(json.dumps(Snapshot(states).document(KINDS)))
    restored = Snapshot.from_document(document, KINDS)
    assert restored.states == states
    one = restored.states[resource(1)]
    assert one is not None
    assert (one.id, one.status) == ("n1", "ACTIVE")
    assert THE_KIND.to_json(state(list_pages=7)) == THE_KIND.to_json(state())


@pytest.mark.parametrize(
    "document", [None, [], "x", {}, {"id": "n1"}, {**THE_KIND.to_json(state()), "more": 1}]
)
def test_a_document_that_is_no_state_is_refused(document: Any) -> None:
    with pytest.raises(InputError, match="a state of an agent number has the fields id, agent_id"):
        THE_KIND.from_json(document)


def test_a_state_with_a_field_of_another_type_is_refused() -> None:
    with pytest.raises(InputError, match="agent_id of an agent number must be a string or null"):
        THE_KIND.from_json({**THE_KIND.to_json(state()), "agent_id": 1})


@pytest.mark.parametrize(
    ("then", "now", "after", "findings"),
    [
        (state("a1"), state("a2"), state("a1"), []),
        (state("a1"), state("a1"), None, []),
        (state(None), state("a2"), state(None), []),
        (
            state("a1", friendly_name="Bar"),
            state("a2", friendly_name="x"),
            state("a1", friendly_name="Bar"),
            [],
        ),
        (state("a1"), state("a2", friendly_name="x"), state("a1", friendly_name="x"), []),
        (None, state("a2"), state(None), ["stays_listed"]),
        (None, state(None), None, ["stays_listed"]),
        (None, None, None, []),
        (state("a1"), None, AssignmentState(None, "a1"), []),
        (state(None), None, None, ["not_listed"]),
    ],
)
def test_a_restore_assigns_as_it_was_and_deletes_nothing(
    then: AssignmentState | None,
    now: AssignmentState | None,
    after: AssignmentState | None,
    findings: list[str],
) -> None:
    item = AssignmentKind().restore(TARGET, then, now)
    assert codes(item) == findings
    assert item.errors == ()
    assert (item.transition and item.transition.after) == after
    calls = steps(AssignmentKind(), item.transition) if item.transition else []
    assert [step.request.method for step in calls] == ([] if after is None else ["PATCH" if now else "POST"])


def test_a_restore_writes_to_the_record_that_is_there_now() -> None:
    item = AssignmentKind().restore(TARGET, state("a1", index=1), state("a2", index=8))
    assert item.transition is not None
    (step,) = steps(AssignmentKind(), item.transition)
    assert step.request.path == "/numbers/n8"
