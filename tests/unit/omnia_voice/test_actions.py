"""What jobs decide, without a server and without Airflow."""

from __future__ import annotations

from typing import Any

import pytest
from airflow_voice_agents.omnia_voice.actions.workspace import Workspace, lane_size, read_listed

from airflow_voice_agents.engine.run_context import ApplyOptions, RunContext
from airflow_voice_agents.engine.snapshot_recorder import SnapshotRecorder
from airflow_voice_agents.omnia_voice.actions import assignments, deletions, snapshots, updates
from airflow_voice_agents.omnia_voice.actions.assignments import MEMORY, keep
from airflow_voice_agents.omnia_voice.api import UpdateVerb
from airflow_voice_agents.omnia_voice.models import read_page
from airflow_voice_agents.omnia_voice.resources.phone_number import (
    CODECS,
    AssignmentKind,
    AssignmentState,
    agent_number,
    plan_assignment,
)
from airflow_voice_agents.omnia_voice.resources.presence import (
    REMOVED,
    Presence,
    PresenceKind,
    listed_number,
    plan_deletion,
)
from airflow_voice_agents.omnia_voice.resources.settings import SettingsKind, plan_settings
from airflow_voice_agents.plans.guards import GuardContext, Overrides
from airflow_voice_agents.plans.kind import Resource, Transition
from airflow_voice_agents.plans.plan import Plan
from airflow_voice_agents.plans.snapshot import Snapshot
from airflow_voice_agents.transport.api_request import ApiRequest
from airflow_voice_agents.transport.errors import GuardRefused, InputError, ResponseError
from airflow_voice_agents.transport.validation import parse_numbers

FIRST, SECOND, THIRD = "+442079460000", "+442079460001", "+442079460002"
HERE = Workspace("omnia")


class Memory:
    """What outlives a try."""

    def __init__(self, **values: Any) -> None:
        self.values = values

    def get(self, key: str) -> Any:
        return self.values.get(key)

    def set(self, key: str, value: Any) -> None:
        self.values[key] = value


class Shelf:
    """Keeps snapshots in memory."""

    def __init__(self) -> None:
        self.documents: dict[str, Any] = {}
        self.published: list[str] = []

    def archive(self) -> SnapshotRecorder:
        return SnapshotRecorder(self.save, self.load, self.published.append, MEMORY, CODECS)

    def save(self, document: Any) -> str:
        url = f"url-{len(self.documents)}"
        self.documents[url] = document
        return url

    def load(self, url: str) -> Any:
        if url not in self.documents:
            raise InputError(f"snapshot {url} cannot be read")
        return self.documents[url]

    def last(self) -> Snapshot[AssignmentState]:
        return Snapshot.from_document(self.documents[self.published[-1]], CODECS)


def run_with(answers: Any = None, *, confirmed: bool = True, **fields: Any) -> RunContext:
    """A run whose every call is answered alike."""

    async def send(call: ApiRequest[Any]) -> Any:
        return call.read(answers)

    consent = Overrides(confirm_live=confirmed)
    return RunContext(send, fields.pop("say", lambda _: None), GuardContext(consent), **fields)


def resource(number: str = FIRST) -> Resource:
    return agent_number("omnia", number)


def state(agent_id: str | None, name: str | None = None, status: str | None = None) -> AssignmentState:
    return AssignmentState("n1", agent_id, name, status)


# ---------------------------------------------------------------------------------------- arguments


@pytest.mark.parametrize(
    "given",
    [
        [FIRST, SECOND, FIRST],
        (FIRST, SECOND),
        f"{FIRST},{SECOND}",
        f" {FIRST} \n\n{SECOND}, {FIRST}\n",
        f'["{FIRST}", "{SECOND}"]',
        [{"phone_number": FIRST, "number": "ignored"}, {"number": SECOND}],
    ],
)
def test_numbers_are_taken_in_every_spelling_and_once(given: Any) -> None:
    assert parse_numbers(given) == (FIRST, SECOND)


def test_every_malformed_number_is_named_and_a_long_list_is_cut() -> None:
    with pytest.raises(InputError) as caught:
        parse_numbers([FIRST, *(f"0{index}" for index in range(12))])

    assert "holds 12 number(s)" in str(caught.value)
    assert "'09' and 2 more" in str(caught.value)


def test_a_record_without_a_number_shows_keys_and_no_values() -> None:
    with pytest.raises(InputError) as caught:
        parse_numbers([{"id": "x", "prompt": "marker"}])

    assert "a record with id, prompt" in str(caught.value)
    assert "marker" not in str(caught.value)


@pytest.mark.parametrize("given", [None, 7, b"x", {FIRST: 1}, '{"a": 1}', [], "", "\n"])
def test_what_is_no_list_of_numbers_is_refused(given: Any) -> None:
    with pytest.raises(InputError):
        parse_numbers(given)


@pytest.mark.parametrize(
    "given", [{"agent_id": None}, {"agent_id": "a", "status": "b", "friendly_name": "c"}]
)
def test_changes_are_kept_as_given(given: dict[str, Any]) -> None:
    assert updates.parse_changes(given) == given


def test_agents_come_from_one_or_from_each() -> None:
    assert assignments.agents_of([FIRST, SECOND], "a", None) == {FIRST: "a", SECOND: "a"}
    assert assignments.agents_of(None, None, {SECOND: "b"}) == {SECOND: "b"}


# ----------------------------------------------------------------------------------------- workspace


@pytest.mark.parametrize(
    ("count", "concurrency", "size"),
    [(1, 4, 50), (200, 4, 50), (201, 4, 51), (2000, 4, 500), (2000, 1, 2000)],
)
def test_lanes_are_as_long_as_keeps_all_of_them_busy(count: int, concurrency: int, size: int) -> None:
    assert lane_size(count, run_with(concurrency=concurrency)) == size


@pytest.mark.parametrize(("looked_for", "complete"), [((FIRST,), True), ((SECOND,), False), ((), False)])
async def test_a_list_that_ends_early_tells_only_of_what_is_on_it(
    looked_for: tuple[str, ...], complete: bool
) -> None:
    page = {"data": [{"id": "n1", "phoneNumber": FIRST}], "pagination": {"hasMore": True}}
    run = run_with(page)

    if complete:
        assert list(await read_listed(run.send, looked_for)) == [FIRST]
    else:
        with pytest.raises(ResponseError):
            await read_listed(run.send, looked_for)


# ------------------------------------------------------------------------------------------- settings


@pytest.mark.parametrize(
    ("names", "now", "changes", "sent"),
    [
        (["friendly_name"], state("a"), {"friendly_name": "x"}, {"friendlyName": "x"}),
        (["agent_id"], state("a"), {"agent_id": None}, {"agentId": None}),
        (
            ["agent_id", "status"],
            state("a", status="on"),
            {"agent_id": "a", "status": "off"},
            {"status": "off"},
        ),
    ],
)
def test_an_update_sends_what_differs_and_nothing_else(
    names: list[str], now: AssignmentState, changes: dict[str, Any], sent: dict[str, Any]
) -> None:
    kind = SettingsKind(names, {FIRST: "n1"}, verb=UpdateVerb.PUT)

    item = plan_settings(kind, resource(), now, changes)

    assert item.transition is not None
    ((step,),) = kind.write_sequences([item.transition])
    assert (step.call.method, step.call.body) == ("PUT", sent)


def test_settings_that_are_not_named_take_no_part() -> None:
    kind = SettingsKind(["friendly_name"])

    assert kind.digest(state("a", "x", "on")) == kind.digest(state("b", "x", "off"))
    assert kind.digest(state("a", "x")) != kind.digest(state("a", "y"))
    assert list(kind.diff(state("a", "x"), state("b", "x"))) == []


def test_a_status_is_compared_without_regard_to_case() -> None:
    kind = SettingsKind(["status"])

    assert kind.digest(state(None, status="ACTIVE")) == kind.digest(state(None, status="active"))
    assert kind.digest(state(None)) != kind.digest(state(None, status="active"))


def test_an_unlisted_number_cannot_be_updated() -> None:
    kind = SettingsKind(["status"])

    item = plan_settings(kind, resource(), None, {"status": "x"})

    assert [finding.code for finding in item.errors] == ["not_listed"]
    assert (item.changed, item.transition) == (False, None)
    with pytest.raises(InputError, match="not listed"):
        list(kind.write_sequences([Transition(resource(), None, state("a"))]))


def test_an_update_that_was_lost_with_the_number_is_not_settled() -> None:
    kind = SettingsKind(["status"])

    assert kind.mismatches(Transition(resource(), state("a"), state("a", status="x")), None) == ["presence"]


# ------------------------------------------------------------------------------------------- presence


def test_a_deletion_is_planned_for_what_is_listed_only() -> None:
    kind = PresenceKind()
    target = listed_number("omnia", FIRST)

    there = plan_deletion(kind, target, Presence(True, "n 1", "a"))
    gone = plan_deletion(kind, target, None)

    assert (there.changed, there.writes, [each.code for each in there.findings]) == (True, 1, ["assigned"])
    assert (gone.changed, gone.transition) == (False, None)
    assert there.transition is not None
    ((step,),) = kind.write_sequences([there.transition])
    assert (step.call.method, step.call.path) == ("DELETE", "/numbers/n%201")
    assert kind.mismatches(there.transition, REMOVED) == kind.mismatches(there.transition, None) == []
    assert kind.mismatches(there.transition, Presence(True)) == ["presence"]


def test_a_list_that_ends_early_does_not_prove_a_deletion() -> None:
    (observation,) = PresenceKind().observe([listed_number("omnia", FIRST)])
    early = read_page({"data": [{"id": "n2", "phoneNumber": SECOND}], "pagination": {"hasMore": True}})
    whole = read_page({"data": [{"id": "n2", "phoneNumber": SECOND}], "pagination": {"hasMore": False}})

    with pytest.raises(ResponseError):
        observation.states(early)
    assert observation.states(whole) == {}


def test_nothing_is_read_for_nothing() -> None:
    assert list(PresenceKind().observe([])) == []


def test_a_deletion_needs_the_same_numbers_twice() -> None:
    assert deletions.job(HERE, [FIRST, SECOND], [SECOND, FIRST], manner=ApplyOptions()).numbers == (
        FIRST,
        SECOND,
    )
    with pytest.raises(GuardRefused, match="1 not expected"):
        deletions.job(HERE, [FIRST, SECOND], [FIRST], manner=ApplyOptions())


# ------------------------------------------------------------------------------------------ the archive


def planned(
    wanted: dict[str, str], now: dict[str, str | None]
) -> tuple[Plan, dict[Resource, AssignmentState | None]]:
    """A plan that leads from what numbers are (absent: not listed) to the agents wanted."""
    kind = AssignmentKind()
    states = {
        resource(number): AssignmentState(number, now[number]) if number in now else None for number in wanted
    }
    items = (
        plan_assignment(kind, each, states[each], agent_id=wanted[each.name], reassign=True)
        for each in states
    )
    return Plan("assign numbers", tuple(items)), states


def kept(shelf: Shelf) -> dict[str, str | None]:
    """Agents by number, as the last snapshot has them; a number that was not listed is left out."""
    found = shelf.last().states
    return {each.name: value.agent_id for each, value in found.items() if value is not None}


ALL_NEW = {FIRST: "new", SECOND: "new", THIRD: "new"}


def test_a_snapshot_holds_what_numbers_are_and_notes_what_they_will_be() -> None:
    shelf = Shelf()

    keep(shelf.archive(), run_with(task_state=Memory()), *planned(ALL_NEW, {FIRST: "old", SECOND: "new"}))

    assert kept(shelf) == {FIRST: "old", SECOND: "new"}
    assert shelf.last().states[resource(THIRD)] is None
    assert {each.name: note["agent_id"] for each, note in shelf.last().notes.items()} == ALL_NEW


@pytest.mark.parametrize(
    ("second", "then"),
    [
        # The first try changed one of three.
        ({FIRST: "new", SECOND: "b", THIRD: None}, {FIRST: "a", SECOND: "b", THIRD: None}),
        # The first try changed all, and ended before Airflow knew.
        (dict.fromkeys(ALL_NEW, "new"), {FIRST: "a", SECOND: "b", THIRD: None}),
        # Somebody moved a number that the first try had changed.
        ({FIRST: "x", SECOND: "new", THIRD: "new"}, {FIRST: "x", SECOND: "b", THIRD: None}),
    ],
)
def test_a_retry_adds_to_what_the_first_try_kept(
    second: dict[str, str | None], then: dict[str, str | None]
) -> None:
    shelf, task_state = Shelf(), Memory()
    first: dict[str, str | None] = {FIRST: "a", SECOND: "b", THIRD: None}

    keep(shelf.archive(), run_with(task_state=task_state), *planned(ALL_NEW, first))
    keep(shelf.archive(), run_with(task_state=task_state), *planned(ALL_NEW, second))

    assert kept(shelf) == then
    assert task_state.values == {MEMORY: shelf.published[-1]}


def test_what_a_retry_is_not_asked_for_any_more_is_not_kept() -> None:
    shelf, task_state = Shelf(), Memory()

    keep(shelf.archive(), run_with(task_state=task_state), *planned(ALL_NEW, {FIRST: "a", SECOND: "b"}))
    keep(shelf.archive(), run_with(task_state=task_state), *planned({SECOND: "new"}, {SECOND: "b"}))

    assert kept(shelf) == {SECOND: "b"}


def test_without_a_memory_each_try_keeps_what_it_finds() -> None:
    shelf = Shelf()

    keep(shelf.archive(), run_with(), *planned({FIRST: "new"}, {FIRST: "a"}))
    keep(shelf.archive(), run_with(), *planned({FIRST: "new"}, {FIRST: "new"}))

    assert (shelf.published, kept(shelf)) == (["url-0", "url-1"], {FIRST: "new"})


def test_a_first_snapshot_that_is_lost_is_told() -> None:
    shelf, said = Shelf(), []

    run = run_with(task_state=Memory(**{MEMORY: "gone"}), say=said.append)
    keep(shelf.archive(), run, *planned({FIRST: "new"}, {FIRST: "a"}))

    assert kept(shelf) == {FIRST: "a"}
    assert said == [
        "What an earlier try changed is not in this snapshot, because snapshot gone cannot be read"
    ]


# ------------------------------------------------------------------------------------------ restores


def restore_of(then: AssignmentState | None, left: str | None, **options: Any) -> snapshots.RestoreJob:
    notes = {} if left is None else {resource(): {"agent_id": left}}
    document = Snapshot({resource(): then}, notes).document(CODECS)
    return snapshots.restore(HERE, document, None, None, **options)


@pytest.mark.parametrize(
    ("then", "left", "now", "comes"),
    [
        ("old", "new", "new", "restored"),
        ("old", "new", "old", "unchanged"),
        ("old", "new", "other", "newer_work"),
        ("old", "new", None, "newer_work"),
        ("old", "new", "-", "newer_work"),
        ("old", None, "new", "unknown_work"),
        ("old", None, "old", "unchanged"),
        (None, "new", "new", "restored"),
        (None, "new", None, "unchanged"),
        (None, "new", "-", "unchanged"),
        (None, "new", "other", "newer_work"),
        ("-", "new", "new", "restored"),
        ("-", "new", "-", "unchanged"),
        ("-", "new", None, "unchanged"),
        ("-", "new", "other", "newer_work"),
    ],
    ids=str,
)
@pytest.mark.parametrize("force", [False, True])
async def test_a_number_is_restored_from_what_the_assignment_left_and_from_nothing_else(
    then: str | None, left: str | None, now: str | None, comes: str, force: bool
) -> None:
    """A dash is a number that is not listed, ``None`` one that nobody answers."""
    listed = [] if now == "-" else [{"id": "n1", "phoneNumber": FIRST, "agentId": now}]
    before = None if then == "-" else AssignmentState("n1", then)
    job = restore_of(before, left, force=force, manner=ApplyOptions(dry_run=True))

    report = await job.run(run_with({"data": listed}))

    (item,) = report.items
    if comes.endswith("_work"):
        assert report.refused is not force
        assert item.status == ("changed" if force else "failed")
    else:
        assert (report.refused, item.status) == (False, "changed" if comes == "restored" else comes)


def test_what_was_expected_goes_before_what_the_snapshot_says() -> None:
    document = Snapshot({resource(): state("old")}, {resource(): {"agent_id": "noted"}}).document(CODECS)

    told = snapshots.restore(HERE, document, "told", None)
    each = snapshots.restore(HERE, document, None, {FIRST: "each"})

    assert (told.left, each.left) == ({FIRST: "told"}, {FIRST: "each"})
    assert snapshots.restore(HERE, document, None, None).left == {FIRST: "noted"}


@pytest.mark.parametrize(
    ("states", "said"), [({}, "is empty"), ({agent_number("other", FIRST): None}, "is of other")]
)
def test_a_snapshot_that_does_not_fit_is_refused(states: dict[Resource, Any], said: str) -> None:
    document = Snapshot(states).document(CODECS)

    with pytest.raises(InputError, match=said):
        snapshots.restore(HERE, document, None, None)
