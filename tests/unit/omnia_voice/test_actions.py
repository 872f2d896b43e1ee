"""What actions plan, keep and restore, without a server and without Airflow."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from typing import Any

import pytest

from airflow_voice_agents.engine.apply import SNAPSHOT_NOTE
from airflow_voice_agents.engine.policy import BlockDigests, Policy, Protections
from airflow_voice_agents.engine.snapshot_recorder import SnapshotRecorder
from airflow_voice_agents.omnia_voice.actions import assignments, deletions, snapshots, updates
from airflow_voice_agents.omnia_voice.actions.assignments import AssignNumbers
from airflow_voice_agents.omnia_voice.actions.base import Workspace
from airflow_voice_agents.omnia_voice.actions.snapshots import RestoreAssignments, SnapshotAssignments, kinds
from airflow_voice_agents.omnia_voice.api import UpdateVerb
from airflow_voice_agents.omnia_voice.models import read_page
from airflow_voice_agents.omnia_voice.resources.phone_number import AssignmentState, agent_number
from airflow_voice_agents.omnia_voice.resources.presence import (
    REMOVED,
    Presence,
    PresenceKind,
    listed_number,
)
from airflow_voice_agents.omnia_voice.resources.settings import Settings, SettingsKind
from airflow_voice_agents.plans.guards import GuardContext, Overrides
from airflow_voice_agents.plans.kind import Resource, Transition
from airflow_voice_agents.plans.limits import Waves
from airflow_voice_agents.plans.report import Report
from airflow_voice_agents.plans.rollback_blocks import RollbackBlock
from airflow_voice_agents.plans.snapshot import Snapshot
from airflow_voice_agents.transport.api_request import ApiRequest
from airflow_voice_agents.transport.errors import GuardRefused, InputError, ResponseError, TargetLocked
from airflow_voice_agents.transport.validation import parse_numbers
from support.actions import carry_out, run_context

FIRST, SECOND, THIRD = "+442079460000", "+442079460001", "+442079460002"
HERE = Workspace("omnia")
KINDS = kinds(HERE)


class Memory:
    """What outlives a try."""

    def __init__(self, **values: Any) -> None:
        self.values = values

    def get(self, key: str) -> Any:
        return self.values.get(key)

    def set(self, key: str, value: Any) -> None:
        self.values[key] = value

    def delete(self, key: str) -> None:
        self.values.pop(key, None)


class Shelf:
    """Keeps snapshots and rollback blocks in memory, and notes locks."""

    def __init__(self) -> None:
        self.documents: dict[str, Any] = {}
        self.published: list[str] = []
        self.blocks: dict[str, RollbackBlock] = {}
        self.locked: list[tuple[str, ...]] = []

    def protections(self) -> Protections:
        return Protections(
            lock=self.lock,
            blocks=lambda names, _: {name: self.blocks[name] for name in names if name in self.blocks},
            place_blocks=self.place,
            recorder=lambda kinds, _: SnapshotRecorder(
                self.save, self.load, self.published.append, SNAPSHOT_NOTE, kinds
            ),
        )

    def lock(self, targets: Sequence[str], names: Any) -> Any:
        self.locked.append(tuple(targets))
        return nullcontext(self)

    def narrow(self, targets: Sequence[str]) -> None:
        self.locked.append(tuple(targets))

    def renew_when_due(self) -> None:
        return None

    def check(self) -> None:
        return None

    def place(self, digests: BlockDigests) -> None:
        for target, found in digests.items():
            held = {each.key: digest for each, digest in found.items()}
            self.blocks[target] = RollbackBlock(target, held, "tests", {}, "2026-01-01T00:00:00+00:00")

    def save(self, document: Any) -> str:
        url = f"url-{len(self.documents)}"
        self.documents[url] = document
        return url

    def load(self, url: str) -> Any:
        if url not in self.documents:
            raise InputError(f"snapshot {url} cannot be read")
        return self.documents[url]

    def last(self) -> Snapshot[AssignmentState]:
        return Snapshot.from_document(self.documents[self.published[-1]], KINDS)


class Numbers:
    """A workspace in memory: number -> agent and name.

    :param agents: the agents of listed numbers; a number that is missing is not listed.
    """

    def __init__(self, agents: Mapping[str, str | None]) -> None:
        self.records = {
            number: {"id": f"id{number[-4:]}", "phoneNumber": number, "agentId": agent, "status": "ACTIVE"}
            for number, agent in agents.items()
        }
        self.writes = 0

    async def send(self, call: ApiRequest[Any]) -> Any:
        if call.method == "GET" and call.route == "/numbers":
            return call.read({"data": [dict(each) for each in self.records.values()]})
        if call.method == "GET":
            return call.read(dict(self._of_id(call)))
        self.writes += 1
        if call.method == "POST":
            body = dict(call.body or {})
            record = {"id": f"new{body['phoneNumber'][-4:]}", "status": "ACTIVE", **body}
            self.records[body["phoneNumber"]] = record
            return call.read(dict(record))
        if call.method == "DELETE":
            del self.records[self._of_id(call)["phoneNumber"]]
            return call.read(None)
        self._of_id(call).update(call.body or {})
        return call.read(dict(self._of_id(call)))

    def agents(self) -> dict[str, Any]:
        return {number: record["agentId"] for number, record in self.records.items()}

    def _of_id(self, call: ApiRequest[Any]) -> dict[str, Any]:
        wanted = call.path.rpartition("/")[2].replace("%2B", "+")
        return next(each for each in self.records.values() if each["id"] == wanted)


CONSENT = GuardContext(Overrides(confirm_live=True))


def carried(action: Any, numbers: Numbers, shelf: Shelf | None = None, **fields: Any) -> Report:
    """Carry an action out with consent."""
    policy = fields.pop("policy", Policy(max_snapshot_age=None, failure_limit=None))
    protections = (shelf or Shelf()).protections()
    return carry_out(
        action, numbers.send, policy=policy, protections=protections, guard_context=CONSENT, **fields
    )


def assign(agents: Mapping[str, str], **fields: Any) -> AssignNumbers:
    return AssignNumbers(workspace=HERE, agents=agents, reassign=True, **fields)


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
    assert assignments.parse_agents([FIRST, SECOND], "a", None) == {FIRST: "a", SECOND: "a"}
    assert assignments.parse_agents(None, None, {SECOND: "b"}) == {SECOND: "b"}


# ----------------------------------------------------------------------------------------- snapshots


@pytest.mark.parametrize(("looked_for", "complete"), [((FIRST,), True), ((SECOND,), False), ((), False)])
async def test_a_list_that_ends_early_reports_only_what_it_holds(
    looked_for: tuple[str, ...], complete: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def early(*_: Any) -> Any:
        return read_page({"data": [{"id": "n1", "phoneNumber": FIRST}], "pagination": {"hasMore": True}})

    monkeypatch.setattr(snapshots, "read_all", early)
    taking = SnapshotAssignments(HERE, looked_for).run(run_context(early))

    if complete:
        document = await taking
        assert [each["name"] for each in document["resources"]] == [FIRST]
    else:
        with pytest.raises(ResponseError):
            await taking


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
    kind = SettingsKind(UpdateVerb.PUT, names=tuple(names))

    item = kind.plan(resource(), Settings(changes), now)

    assert item.transition is not None
    ((step,),) = kind.write_sequences([item.transition])
    assert (step.request.method, step.request.body) == ("PUT", sent)


def test_settings_that_are_not_named_take_no_part() -> None:
    kind = SettingsKind(names=("friendly_name",))

    assert kind.digest(state("a", "x", "on")) == kind.digest(state("b", "x", "off"))
    assert kind.digest(state("a", "x")) != kind.digest(state("a", "y"))
    assert list(kind.diff(state("a", "x"), state("b", "x"))) == []


def test_a_status_is_compared_without_regard_to_case() -> None:
    kind = SettingsKind(names=("status",))

    assert kind.digest(state(None, status="ACTIVE")) == kind.digest(state(None, status="active"))
    assert kind.digest(state(None)) != kind.digest(state(None, status="active"))


def test_an_unlisted_number_cannot_be_updated() -> None:
    kind = SettingsKind(names=("status",))

    item = kind.plan(resource(), Settings({"status": "x"}), None)

    assert [finding.code for finding in item.errors] == ["not_listed"]
    assert (item.changed, item.transition) == (False, None)
    with pytest.raises(InputError, match="not listed"):
        list(kind.write_sequences([Transition(resource(), None, state("a"))]))


def test_an_update_that_was_lost_with_the_number_is_not_settled() -> None:
    kind = SettingsKind(names=("status",))

    assert kind.mismatches(Transition(resource(), state("a"), state("a", status="x")), None) == ["presence"]


# ------------------------------------------------------------------------------------------- presence


def test_a_deletion_is_planned_for_what_is_listed_only() -> None:
    kind = PresenceKind()
    target = listed_number("omnia", FIRST)

    there = kind.plan(target, REMOVED, Presence(True, "n 1", "a"))
    gone = kind.plan(target, REMOVED, None)

    assert (there.changed, there.writes, [each.code for each in there.findings]) == (True, 1, ["assigned"])
    assert (gone.changed, gone.transition) == (False, None)
    assert there.transition is not None
    ((step,),) = kind.write_sequences([there.transition])
    assert (step.request.method, step.request.path) == ("DELETE", "/numbers/n%201")
    assert kind.mismatches(there.transition, REMOVED) == kind.mismatches(there.transition, None) == []
    assert kind.mismatches(there.transition, Presence(True)) == ["presence"]


def test_a_list_that_ends_early_does_not_prove_a_deletion() -> None:
    (observation,) = PresenceKind().observe([listed_number("omnia", FIRST)])
    early = read_page({"data": [{"id": "n2", "phoneNumber": SECOND}], "pagination": {"hasMore": True}})
    whole = read_page({"data": [{"id": "n2", "phoneNumber": SECOND}], "pagination": {"hasMore": False}})

    assert observation.states(early) == {}
    assert observation.states(whole) == {listed_number("omnia", FIRST): None}


def test_nothing_is_read_for_nothing() -> None:
    assert list(PresenceKind().observe([])) == []


def test_a_deletion_needs_the_same_numbers_twice() -> None:
    assert deletions.parse(HERE, [FIRST, SECOND], [SECOND, FIRST]).numbers == (FIRST, SECOND)
    with pytest.raises(GuardRefused, match="1 not expected"):
        deletions.parse(HERE, [FIRST, SECOND], [FIRST])


# --------------------------------------------------------------------------------- what is kept


def kept(shelf: Shelf) -> dict[str, str | None]:
    """Agents by number, as the last snapshot has them; a number that was not listed is left out."""
    found = shelf.last().states
    return {each.name: value.agent_id for each, value in found.items() if value is not None}


ALL_NEW = {FIRST: "new", SECOND: "new", THIRD: "new"}


def test_a_snapshot_holds_every_number_of_the_plan_and_notes_the_agents_that_it_leaves() -> None:
    shelf = Shelf()

    carried(assign(ALL_NEW), Numbers({FIRST: "old", SECOND: "new"}), shelf)

    assert kept(shelf) == {FIRST: "old", SECOND: "new"}
    assert shelf.last().states[resource(THIRD)] is None
    assert {each.name: note["agent_id"] for each, note in shelf.last().notes.items()} == ALL_NEW


@pytest.mark.parametrize(
    ("second", "then"),
    [
        # The first try changed one of three.
        ({FIRST: "new", SECOND: "b"}, {FIRST: "a", SECOND: "b"}),
        # The first try changed all, and ended before Airflow knew.
        (ALL_NEW, {FIRST: "a", SECOND: "b"}),
        # Somebody moved a number that the first try had changed.
        ({FIRST: "x", SECOND: "new", THIRD: "new"}, {FIRST: "x", SECOND: "b"}),
    ],
)
def test_a_retry_adds_to_what_the_first_try_kept(
    second: dict[str, str | None], then: dict[str, str | None]
) -> None:
    shelf, memory = Shelf(), Memory()

    carried(assign(ALL_NEW), Numbers({FIRST: "a", SECOND: "b"}), shelf, task_state=memory)
    carried(assign(ALL_NEW), Numbers(second), shelf, task_state=memory)

    assert kept(shelf) == then
    assert shelf.last().states[resource(THIRD)] is None
    assert memory.values[SNAPSHOT_NOTE] == shelf.published[-1]


def test_what_a_retry_is_not_asked_for_any_more_is_not_kept() -> None:
    shelf, memory = Shelf(), Memory()

    carried(assign(ALL_NEW), Numbers({FIRST: "a", SECOND: "b"}), shelf, task_state=memory)
    carried(assign({SECOND: "new"}), Numbers({SECOND: "b"}), shelf, task_state=memory)

    assert kept(shelf) == {SECOND: "b"}


@pytest.mark.parametrize("always", [True, False])
def test_where_nothing_changes_a_snapshot_is_kept_only_if_it_was_asked_for(always: bool) -> None:
    shelf = Shelf()

    carried(assign({FIRST: "new"}, keep_always=always), Numbers({FIRST: "new"}), shelf)

    assert len(shelf.published) == always


def test_a_first_snapshot_that_is_lost_is_logged() -> None:
    shelf, said = Shelf(), []
    memory = Memory(**{SNAPSHOT_NOTE: "gone"})

    carried(assign({FIRST: "new"}), Numbers({FIRST: "a"}), shelf, task_state=memory, log=said.append)

    assert kept(shelf) == {FIRST: "a"}
    assert "What an earlier try changed is not in this snapshot, because snapshot gone cannot be read" in said


# ------------------------------------------------------------------------------------------ restores


def restore_of(then: AssignmentState | None, left: str | None, **options: Any) -> RestoreAssignments:
    notes = {} if left is None else {resource(): {"agent_id": left}}
    return snapshots.parse_restore(HERE, Snapshot({resource(): then}, notes).document(KINDS), **options)


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
def test_a_number_is_restored_from_what_the_assignment_left_and_from_nothing_else(
    then: str | None, left: str | None, now: str | None, comes: str, force: bool
) -> None:
    """A dash is a number that is not listed, ``None`` one that nobody answers."""
    numbers = Numbers({} if now == "-" else {FIRST: now})
    before = None if then == "-" else AssignmentState("n1", then)
    action = restore_of(before, left, force=force)

    plan = asyncio.run(action.plan(run_context(numbers.send)))
    report = carried(action, numbers, policy=Policy(dry_run=True))

    (item,), (planned,) = report.items, plan[0].items
    if comes.endswith("_work"):
        assert planned.findings[-1].code == ("newer_work" if force else comes)
        assert report.refused is not force
        assert item.status == ("changed" if force else "failed")
    else:
        assert (report.refused, item.status) == (False, "changed" if comes == "restored" else comes)


def test_what_was_expected_goes_before_what_the_snapshot_says() -> None:
    document = Snapshot({resource(): state("old")}, {resource(): {"agent_id": "noted"}}).document(KINDS)

    told = snapshots.parse_restore(HERE, document, expected_agent_id="told")
    each = snapshots.parse_restore(HERE, document, expected_assignments={FIRST: "each"})

    assert (told.agents_left, each.agents_left) == ({resource(): "told"}, {resource(): "each"})
    assert snapshots.parse_restore(HERE, document).agents_left == {resource(): "noted"}


@pytest.mark.parametrize(
    ("states", "said"), [({}, "is empty"), ({agent_number("other", FIRST): None}, "is of other")]
)
def test_a_snapshot_that_does_not_fit_is_refused(states: dict[Resource, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        snapshots.parse_restore(HERE, Snapshot(states).document(KINDS))


def test_an_update_is_restored_with_the_settings_that_it_named_and_no_others() -> None:
    shelf, numbers = Shelf(), Numbers({FIRST: "a", SECOND: "a"})
    update = updates.parse(HERE, [FIRST, SECOND], {"status": "INACTIVE"})
    assert carried(update, numbers, shelf).counts()["changed"] == 2
    numbers.records[FIRST]["agentId"] = "b"  # somebody else's work, on a setting that the update left alone

    action = snapshots.parse_restore(HERE, shelf.documents[shelf.published[-1]])
    report = carried(action, numbers, shelf)

    assert action.names == ("status",)
    assert report.counts()["changed"] == 2
    assert [record["status"] for record in numbers.records.values()] == ["ACTIVE", "ACTIVE"]
    assert numbers.agents() == {FIRST: "b", SECOND: "a"}


def test_a_status_of_somebody_else_is_newer_work() -> None:
    shelf, numbers = Shelf(), Numbers({FIRST: "a"})
    carried(updates.parse(HERE, [FIRST], {"status": "INACTIVE"}), numbers, shelf)
    numbers.records[FIRST]["status"] = "PAUSED"

    report = carried(snapshots.parse_restore(HERE, shelf.documents[shelf.published[-1]]), numbers, shelf)

    assert (report.refused, numbers.records[FIRST]["status"]) == (True, "PAUSED")


@pytest.mark.parametrize("settings", [False, True], ids=["assignment", "update"])
def test_what_a_restore_undid_is_refused_until_it_is_released(settings: bool) -> None:
    shelf, numbers = Shelf(), Numbers({FIRST: "a", SECOND: "new"})
    action: Any = assign({FIRST: "new", SECOND: "new"})
    if settings:
        action = updates.parse(HERE, [FIRST, SECOND], {"agent_id": "new"}, reassign=True)
    carried(action, numbers, shelf)
    document = shelf.documents[shelf.published[-1]]
    assert carried(snapshots.parse_restore(HERE, document), numbers, shelf).complete

    held = carried(action, numbers, shelf)
    numbers.records[SECOND]["agentId"] = "b"  # was not changed, so it is not on hold
    free = carried(assign({SECOND: "new"}), numbers, shelf)
    shelf.blocks.clear()

    assert (held.refused, "on hold" in held.items[0].reason) == (True, True)
    assert (free.refused, free.counts()["changed"]) == (False, 1)
    assert carried(action, numbers, shelf).counts()["changed"] == 1


def test_an_expected_agent_is_put_on_hold_where_the_snapshot_notes_nothing() -> None:
    shelf, numbers = Shelf(), Numbers({FIRST: "new"})
    document = Snapshot({resource(): state("old")}).document(KINDS)

    carried(snapshots.parse_restore(HERE, document, expected_agent_id="new"), numbers, shelf)

    assert numbers.agents() == {FIRST: "old"}
    assert carried(assign({FIRST: "new"}), numbers, shelf).refused


def test_a_restore_without_anything_to_undo_places_no_hold() -> None:
    shelf = Shelf()
    document = Snapshot({resource(): state("old")}).document(KINDS)

    carried(snapshots.parse_restore(HERE, document), Numbers({FIRST: "old"}), shelf)

    assert shelf.blocks == {}


# ---------------------------------------------------------------------------------- locks and plans


@pytest.mark.parametrize(
    "action",
    [
        assign({FIRST: "new", SECOND: "new"}),
        updates.parse(HERE, [FIRST, SECOND], {"friendly_name": "x"}),
        deletions.parse(HERE, [FIRST, SECOND], [FIRST, SECOND]),
        snapshots.parse_restore(
            HERE, Snapshot({resource(FIRST): state("a"), resource(SECOND): state("a")}).document(KINDS)
        ),
    ],
    ids=lambda action: action.operation,
)
def test_every_number_has_a_lock_of_its_own(action: Any) -> None:
    shelf = Shelf()

    carried(action, Numbers({FIRST: "a", SECOND: "a"}), shelf)

    assert shelf.locked == [(f"omnia/{FIRST}", f"omnia/{SECOND}")] * 2
    assert (action.scope().live, action.scope().exact) == (True, True)


def test_a_lock_of_another_run_leaves_everything_unread() -> None:
    def taken(*_: Any) -> Any:
        raise TargetLocked("taken")

    numbers = Numbers({FIRST: "a"})
    with pytest.raises(TargetLocked):
        carry_out(
            assign({FIRST: "new"}), numbers.send, protections=Protections(lock=taken), guard_context=CONSENT
        )
    assert numbers.writes == 0


def test_a_half_applied_plan_stays_appliable_and_a_second_run_writes_nothing() -> None:
    numbers, memory = Numbers({FIRST: "a", SECOND: "a"}), Memory()
    action = assign(ALL_NEW)
    digest = carried(action, numbers, policy=Policy(dry_run=True)).plan_digest
    approved = Policy(expected_digest=digest, max_snapshot_age=None)

    async def half(call: ApiRequest[Any]) -> Any:
        if numbers.writes and call.method != "GET":
            raise KeyboardInterrupt
        return await numbers.send(call)

    with pytest.raises(KeyboardInterrupt):
        carry_out(action, half, policy=approved, guard_context=CONSENT, task_state=memory, concurrency=1)
    again = carried(action, numbers, policy=approved, task_state=memory)
    last = carried(action, numbers, policy=approved, task_state=memory)

    assert again.counts()["changed"] == 2
    assert last.counts()["unchanged"] == 3
    assert numbers.writes == 3


def test_the_plan_names_one_target_and_counts_numbers() -> None:
    said: list[str] = []
    action = assign(ALL_NEW)
    waves = Waves.parse([1, "100%"])

    carried(action, Numbers({FIRST: "a"}), policy=Policy(waves=waves), log=said.append)

    (target,) = asyncio.run(action.plan(run_context(Numbers({}).send)))
    assert (target.name, target.live) == ("omnia", True)
    assert any("wave 1 of 2 is over, 1 of 3 item(s)" in line for line in said)
