"""A move changes two places by one call, is judged by looking at both, and is never sent from nowhere."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import event, example, given
from hypothesis import strategies as st
from msgspec.structs import replace

from airflow_voice_agents.emulator.faults import Fault
from airflow_voice_agents.emulator.server import EmulatorServer
from airflow_voice_agents.engine.applier import Applier, ApplierSettings
from airflow_voice_agents.plans.kind import Resource, Transition
from airflow_voice_agents.plans.plan import PlannedItem
from airflow_voice_agents.plans.report import ItemReport, Status
from airflow_voice_agents.polyai import api
from airflow_voice_agents.polyai.models import BatchConnectors, Connector
from airflow_voice_agents.polyai.resources.connector import ConnectorState, connector, states
from airflow_voice_agents.polyai.resources.connector_move import (
    AWAY,
    KIND,
    NUMBERS_SHOWN,
    ConnectorMoveKind,
    Move,
    PlaceState,
    place,
    plan_move,
)
from airflow_voice_agents.transport.api_request import ApiRequest, Replay
from airflow_voice_agents.transport.client import Client
from airflow_voice_agents.transport.errors import Forbidden, InputError, NotFound, OutcomeUnknown
from support.actions import run_context
from support.json_values import bounded
from support.transport import make_settings

PLACES = ConnectorMoveKind(batch_size=3)
MAIN = ConnectorState("v1", "en-GB", "en-GB-Neural2-A", client_env="live", name="Main line")
OTHER = replace(MAIN, name="Other line")
HERE = PlaceState(True, MAIN)
MOVE = Move("conn-1", source="rosa", target="bank")
TO, OUT = MOVE.arrival, MOVE.departure


def halves(move: Move = MOVE, to: PlaceState | None = None, out: PlaceState | None = HERE) -> list[Any]:
    return [Transition(move.arrival, to, HERE), Transition(move.departure, out, AWAY)]


def planned(**facts: Any) -> tuple[PlannedItem, PlannedItem]:
    given_facts: dict[str, Any] = {
        "states": {OUT: HERE},
        "environment": "live",
        "numbers": (),
        "staying": [OTHER],
        "allow_live": True,
    }
    given_facts |= facts
    return plan_move(PLACES, MOVE, given_facts.pop("states"), **given_facts)


def codes(item: PlannedItem) -> list[str]:
    return [finding.code for finding in item.findings]


# ----------------------------------------------------------------------------------------- the kind


def test_places_are_read_with_one_call_per_agent_and_one_without_the_connector_is_away() -> None:
    wanted = [place("bank", "a"), place("rosa", "a"), place("bank", "b")]
    bank, rosa = PLACES.observe(wanted)
    assert bank.request.path == "/v1/agents/bank/telephony/connectors/batch"
    assert bank.request.body == {"connectorIds": ["a", "b"]}
    assert (bank.resources, rosa.resources) == ((wanted[0], wanted[2]), (wanted[1],))
    answer = bank.request.read({"found": [{"connectorId": "b", "name": "B"}], "notFound": ["a"]})
    found = bank.states(answer)
    assert found == {place("bank", "b"): PlaceState(True), place("bank", "a"): None}
    assert found[place("bank", "b")].connector == ConnectorState(None, None, None)
    assert found[place("bank", "b")].connector.name == "B"  # type: ignore[union-attr]


def test_only_whether_it_is_there_counts() -> None:
    assert PlaceState(True) == HERE
    assert PLACES.digest(PlaceState(True)) == PLACES.digest(HERE)
    assert PLACES.digest(None) == PLACES.digest(AWAY) != PLACES.digest(HERE)
    assert [(c.path, c.before, c.after) for c in PLACES.diff(None, HERE)] == [(("here",), False, True)]
    assert list(PLACES.diff(None, AWAY)) == []
    arrival, departure = halves()
    assert PLACES.mismatches(arrival, None) == PLACES.mismatches(departure, HERE) == ["here"]
    assert PLACES.mismatches(arrival, HERE) == PLACES.mismatches(departure, None) == []


def test_a_move_is_one_call_under_the_source_with_nothing_but_the_target() -> None:
    ((step,),) = PLACES.write_sequences(halves())
    assert step.resources == (TO, OUT)
    assert (step.request.method, step.request.path) == (
        "PATCH",
        "/v1/agents/rosa/telephony/connectors/conn-1",
    )
    assert step.request.body == {"projectId": "bank"}
    assert step.request.replay is Replay.RECONCILE


def test_the_answer_is_not_believed_about_the_place_and_must_be_about_the_connector() -> None:
    ((step,),) = PLACES.write_sequences(halves())
    for project in ("bank", "PROJECT-1", None):
        verdicts = step.judge(Connector.model_validate({"connectorId": "conn-1", "projectId": project}))
        assert {each: (v.state, v.error) for each, v in verdicts.items()} == {
            TO: (None, None),
            OUT: (None, None),
        }
    assert step.judge(Connector.model_validate({"connectorId": "conn-2"})) == {}


def test_several_moves_are_a_lane_each() -> None:
    second = Move("conn-2", source="rosa", target="bank")
    lanes = list(PLACES.write_sequences([*halves(), *halves(second)]))
    assert [[step.resources for step in lane] for lane in lanes] == [
        [(TO, OUT)],
        [(second.arrival, second.departure)],
    ]


@pytest.mark.parametrize(
    "transitions",
    [
        halves()[:1],
        halves()[1:],
        halves(out=None),
        halves(out=AWAY),
        halves(to=HERE),
        [*halves(), *halves(Move("conn-1", source="rosa", target="third"))],
        [*halves(), *halves(Move("conn-1", source="bank", target="third"))],
    ],
    ids=["arrival", "departure", "unseen", "gone", "arrived", "two targets", "onwards"],
)
def test_what_is_not_exactly_one_move_from_where_it_was_seen_is_not_written(transitions: list[Any]) -> None:
    assert list(PLACES.write_sequences(transitions)) == []


def test_a_place_is_kept_with_the_connector_that_was_seen_there() -> None:
    for state in (HERE, AWAY, PlaceState(True)):
        again = PLACES.from_json(PLACES.to_json(state))
        assert (again.here, again.connector) == (state.here, state.connector)
    assert PLACES.from_json(PLACES.to_json(HERE)).connector.name == "Main line"  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "plain", [None, {}, {"here": 1, "connector": None}, {"here": True}, {"here": True, "connector": {}}]
)
def test_a_kept_place_that_is_malformed_is_refused(plain: Any) -> None:
    with pytest.raises(InputError, match="kept state of a connector"):
        PLACES.from_json(plain)


# ---------------------------------------------------------------------------------------- planning


def test_a_move_is_planned_with_one_write_and_both_places() -> None:
    to, out = planned()
    assert (to.resource, out.resource) == (TO, OUT)
    assert (to.writes, out.writes) == (1, 0)
    assert to.changed
    assert out.changed
    assert to.findings == out.findings == ()
    assert to.transition is not None
    assert to.transition.after.connector is MAIN
    assert len(list(PLACES.write_sequences([to.transition, out.transition]))) == 1  # type: ignore[list-item]


def test_a_connector_that_has_arrived_needs_nothing() -> None:
    to, out = planned(states={TO: HERE}, allow_live=False, environment="sandbox", staying=[])
    assert not to.changed
    assert not out.changed
    assert to.findings == out.findings == ()


def test_a_connector_that_is_nowhere_or_twice_stops_the_run() -> None:
    for states_seen, code in (({}, "connector_absent"), ({TO: HERE, OUT: HERE}, "same_agent")):
        to, out = planned(states=states_seen)
        assert codes(to) == [code]
        assert to.errors
        assert to.transition is out.transition is None
    assert codes(planned(states={TO: AWAY, OUT: AWAY})[0]) == ["connector_absent"]


def test_a_live_connector_moves_only_where_that_is_meant() -> None:
    to, _ = planned(allow_live=False)
    assert [finding.code for finding in to.errors] == ["move_live"]
    assert to.writes == 0
    unknown = PlaceState(True, replace(MAIN, client_env=None))
    assert codes(planned(allow_live=False, states={OUT: unknown})[0]) == ["move_live"]
    sandbox = PlaceState(True, replace(MAIN, client_env="sandbox"))
    staying = [replace(OTHER, client_env="sandbox")]
    both = planned(allow_live=False, states={OUT: sandbox}, environment="sandbox", staying=staying)
    assert [codes(each) for each in both] == [[], []]


def test_a_connector_of_another_environment_is_not_moved() -> None:
    to, _ = planned(environment="pre-release")
    assert codes(to) == ["wrong_environment"]
    assert to.errors


def test_the_numbers_that_are_on_it_are_told() -> None:
    to, _ = planned(numbers=["+441632960002", "+441632960001"])
    (finding,) = to.findings
    assert (finding.code, to.errors) == ("numbers_follow", ())
    assert "2 number(s) are on it: +441632960001, +441632960002." in finding.message
    many = [f"+44163296{place:04}" for place in range(NUMBERS_SHOWN + 1)]
    (finding,) = planned(numbers=many)[0].findings
    assert f"{NUMBERS_SHOWN + 1} number(s)" in finding.message
    assert many[-2] in finding.message
    assert many[-1] not in finding.message


def test_an_environment_that_is_left_without_a_connector_is_told() -> None:
    for staying, expected in (([OTHER], []), ([], ["unroutable"])):
        assert codes(planned(staying=staying)[1]) == expected
    _, out = planned(staying=[replace(OTHER, client_env="sandbox")])
    assert codes(out) == ["unroutable"]
    assert out.errors == ()


def test_a_move_to_the_same_agent_is_refused() -> None:
    with pytest.raises(InputError, match="from rosa to itself"):
        Move("conn-1", source="rosa", target="rosa")


def test_restoring_both_places_is_the_reverse_move() -> None:
    back = PLACES.restore(OUT, HERE, None)
    gone = PLACES.restore(TO, None, HERE)
    assert (back.writes, gone.writes) == (1, 0)
    assert codes(back) == ["numbers_follow"]
    assert back.errors == gone.findings == ()
    ((step,),) = PLACES.write_sequences([gone.transition, back.transition])  # type: ignore[list-item]
    assert step.request.path == "/v1/agents/bank/telephony/connectors/conn-1"
    assert step.request.body == {"projectId": "rosa"}


@pytest.mark.parametrize(("wanted", "now"), [(HERE, HERE), (None, None), (AWAY, None), (None, AWAY)])
def test_restoring_a_place_that_is_as_it_was_does_nothing(
    wanted: PlaceState | None, now: PlaceState | None
) -> None:
    item = PLACES.restore(TO, wanted, now)
    assert not item.changed
    assert item.transition is None
    assert item.findings == ()


# ------------------------------------------------------------------------- carried out, in memory


class Projects:
    """Two projects in memory, one connector, and what becomes of each move that is sent.

    :param script: per move ``done``, ``lost`` (it never came), ``unheard`` (it was done, the answer was lost),
        ``late`` (unheard of now, done when the next move comes), ``swallowed`` (done, and then it is on
        neither side), ``renamed`` (done, and it has another id then); further ones are ``done``.
    :param locked: agents that the key may not read.
    """

    def __init__(self, *script: str, locked: Sequence[str] = ()) -> None:
        self.script = list(script)
        self.locked = locked
        self.at: dict[str, str | None] = {"conn-1": "rosa"}
        self.moves = self.sent = 0
        self.late: str | None = None

    async def send(self, call: ApiRequest[Any]) -> Any:
        agent, (path, _, connector_id) = call.path.split("/")[3], call.path.rpartition("/")
        if agent in self.locked:
            raise Forbidden("not yours", operation=call.operation, status=403)
        if call.operation == "get connectors":
            assert call.body is not None
            ids = call.body["connectorIds"]
            found = [{"connectorId": each} for each in ids if self.at.get(each) == agent]
            absent = [each for each in ids if self.at.get(each) != agent]
            return BatchConnectors.model_validate({"found": found, "notFound": absent})
        assert path.endswith("/connectors")
        assert call.body is not None
        return self._move(call, agent, connector_id, call.body["projectId"])

    def _move(self, call: ApiRequest[Any], agent: str, connector_id: str, target: str) -> Connector:
        self.sent += 1
        if self.late is not None:
            self._put(connector_id, self.late)
            self.late = None
        if self.at[connector_id] != agent:
            raise NotFound("no such connector", operation=call.operation, status=404)
        fate = self.script.pop(0) if self.script else "done"
        if fate == "late":
            self.late = target
        elif fate != "lost":
            self._put(connector_id, None if fate in ("swallowed", "renamed") else target)
        if fate == "renamed":
            return Connector.model_validate({"connectorId": "conn-9", "projectId": target})
        if fate != "done":
            raise OutcomeUnknown("timed out", operation=call.operation)
        return Connector.model_validate({"connectorId": connector_id, "projectId": "PROJECT-OTHER-FORM"})

    def _put(self, connector_id: str, agent: str | None) -> None:
        self.at[connector_id] = agent
        self.moves += 1


async def bring(
    send: Any, transitions: Sequence[Transition[PlaceState]], **options: Any
) -> dict[Resource, ItemReport]:
    applier = Applier(run_context(send), PLACES, ApplierSettings(**options))
    return {item.resource: item for item in await applier.apply(transitions)}


def carried(projects: Projects, **options: Any) -> dict[Resource, ItemReport]:
    return asyncio.run(bring(projects.send, halves(), **options))


def ends(reports: Mapping[Resource, ItemReport]) -> tuple[Status, Status]:
    return reports[TO].status, reports[OUT].status


@pytest.mark.parametrize("verify", [True, False])
@pytest.mark.parametrize("age", [0.0, None])
@pytest.mark.parametrize("script", [(), ("unheard",), ("lost",), ("late",)])
def test_a_move_that_can_be_seen_is_done_once(
    script: tuple[str, ...], age: float | None, verify: bool
) -> None:
    projects = Projects(*script)
    reports = carried(projects, verify=verify, max_snapshot_age=age)
    assert ends(reports) == (Status.CHANGED, Status.CHANGED)
    assert (projects.at["conn-1"], projects.moves) == ("bank", 1)
    assert projects.sent == (2 if script in (("lost",), ("late",)) else 1)


@pytest.mark.parametrize("fate", ["swallowed", "renamed"])
def test_a_connector_on_neither_side_is_not_moved_again_and_that_is_told(fate: str) -> None:
    projects = Projects(fate)
    reports = carried(projects)
    assert projects.sent == 1
    assert ends(reports) == (Status.UNKNOWN, Status.CHANGED)
    assert "No write leads safely from its present state" in reports[TO].reason
    assert ("timed out" if fate == "swallowed" else "does not mention it") in reports[TO].reason


def test_a_connector_that_vanished_before_the_move_is_not_moved() -> None:
    projects = Projects()
    projects.at["conn-1"] = "third"
    reports = carried(projects, max_snapshot_age=0.0)
    assert projects.sent == 0
    assert ends(reports) == (Status.FAILED, Status.UNCHANGED)
    assert "No write leads safely" in reports[TO].reason
    assert "It was not changed." in reports[TO].reason


def test_a_connector_that_somebody_moved_meanwhile_is_let_be() -> None:
    projects = Projects()
    projects.at["conn-1"] = "bank"
    assert ends(carried(projects, max_snapshot_age=0.0)) == (Status.UNCHANGED, Status.UNCHANGED)
    assert projects.sent == 0
    reports = carried(projects)  # not read again before: the platform refuses, and a look shows it done
    assert ends(reports) == (Status.CHANGED, Status.CHANGED)
    assert projects.moves == 0


def test_a_refused_move_is_not_sent_again() -> None:
    projects = Projects()
    projects.at["conn-1"] = "third"
    reports = carried(projects)
    assert projects.sent == 1
    assert reports[TO].status is Status.FAILED
    assert "no such connector" in reports[TO].reason


@pytest.mark.parametrize("locked", ["rosa", "bank"])
def test_nothing_moves_while_one_side_cannot_be_read(locked: str) -> None:
    projects = Projects(locked=[locked])
    reports = carried(projects, max_snapshot_age=0.0)
    assert projects.sent == 0
    assert ends(reports) == (Status.FAILED, Status.FAILED)


@bounded(200)
@given(
    st.lists(st.sampled_from(["done", "lost", "unheard", "late", "swallowed", "renamed"]), max_size=3),
    st.sampled_from([0.0, None]),
    st.booleans(),
    st.integers(1, 3),
)
@example(["late", "late"], None, True, 2)
@example(["lost", "swallowed"], 0.0, True, 3)
def test_whatever_happens_it_is_moved_at_most_once_and_success_is_never_claimed_wrongly(
    script: list[str], age: float | None, verify: bool, tries: int
) -> None:
    projects = Projects(*script)
    for _ in range(tries):
        seen = {each.resource: HERE for each in halves() if projects.at["conn-1"] == each.resource.owner}
        to, out = planned(states=seen)
        if to.errors:
            assert projects.at["conn-1"] is None
            break
        transitions = [item.transition for item in (to, out) if item.transition is not None]
        reports = asyncio.run(bring(projects.send, transitions, verify=verify, max_snapshot_age=age))
        if transitions and reports[TO].status is Status.CHANGED:
            event("moved")
            assert projects.at["conn-1"] == "bank"
    assert projects.moves <= 1


# ----------------------------------------------------------------------- carried out, over a server

HOTELS, ROSA = "harbour-hotels", "rosa-restaurants"
GROUPS = Move("conn_hh_live_main", source=HOTELS, target=ROSA)


class Died(Exception):
    """Stands for the end of a process."""


async def observed(send: Any, move: Move) -> dict[Resource, PlaceState]:
    found: dict[Resource, PlaceState] = {}
    for read in PLACES.observe([move.arrival, move.departure]):
        found |= read.states(await send(read.request))
    return found


async def plan_over(send: Any, move: Move) -> tuple[PlannedItem, PlannedItem]:
    theirs = states(move.source, await send(api.list_connectors(move.source)))
    numbers = await send(api.list_phone_numbers(move.source, connector_id=move.connector_id))
    return plan_move(
        PLACES,
        move,
        await observed(send, move),
        environment="live",
        numbers=[each.number for each in numbers],
        staying=[state for each, state in theirs.items() if each.name != move.connector_id],
        allow_live=True,
    )


async def moved_over(
    server: EmulatorServer, move: Move = GROUPS, **options: Any
) -> dict[Resource, ItemReport]:
    async with Client(make_settings(server.url, "demo-key-uk")) as client:
        items = await plan_over(client.asend, move)
        assert not any(item.errors for item in items)
        transitions = [item.transition for item in items if item.transition is not None]
        return await bring(client.asend, transitions, **options)


def holders(server: EmulatorServer, connector_id: str = GROUPS.connector_id) -> list[str]:
    return [slug for slug, agent in server.polyai.agents.items() if connector_id in agent["connectors"]]


def sent_moves(server: EmulatorServer) -> int:
    return sum(entry.operation == "update connector" for entry in server.journal.entries())


@pytest.mark.parametrize("ids", ["slug", "prefixed"])
@pytest.mark.parametrize("numbers", ["follow", "stay"])
@pytest.mark.parametrize("variant", ["clear", "keep"])
async def test_a_connector_moves_and_moves_back(
    server: EmulatorServer, ids: Any, numbers: Any, variant: Any
) -> None:
    server.switches.response_ids = ids
    server.switches.move_numbers = numbers
    server.switches.move_variant = variant
    before = dict(server.polyai.agents[HOTELS]["connectors"][GROUPS.connector_id])

    reports = await moved_over(server)
    assert {each.status for each in reports.values()} == {Status.CHANGED}
    assert holders(server) == [ROSA]
    assert await moved_over(server) == {}
    assert sent_moves(server) == 1

    back = [
        PLACES.restore(GROUPS.departure, PlaceState(True), None),
        PLACES.restore(GROUPS.arrival, None, PlaceState(True)),
    ]
    async with Client(make_settings(server.url, "demo-key-uk")) as client:
        reports = await bring(client.asend, [each.transition for each in back if each.transition])
    assert {each.status for each in reports.values()} == {Status.CHANGED}
    assert holders(server) == [HOTELS]
    after = dict(server.polyai.agents[HOTELS]["connectors"][GROUPS.connector_id])
    assert after == before | ({"variantId": None} if variant == "clear" else {})


@pytest.mark.parametrize("apply", [True, False])
@pytest.mark.parametrize("times", [1, 4])
async def test_a_lost_answer_is_cleared_up_by_looking(
    server: EmulatorServer, apply: bool, times: int
) -> None:
    server.emulator.faults.add(Fault("reset", apply=apply, operation="update connector", times=times))
    reports = await moved_over(server)
    if apply or times == 1:
        assert {each.status for each in reports.values()} == {Status.CHANGED}
        assert holders(server) == [ROSA]
        assert sent_moves(server) == (1 if apply else 2)
    else:
        assert {each.status for each in reports.values()} == {Status.FAILED}
        assert holders(server) == [HOTELS]
        assert sent_moves(server) == 4


async def test_a_try_that_died_in_between_is_carried_on_from_what_is_seen(server: EmulatorServer) -> None:
    async with Client(make_settings(server.url, "demo-key-uk")) as client:
        first = await plan_over(client.asend, GROUPS)

        async def dies(call: ApiRequest[Any]) -> Any:
            answer = await client.asend(call)
            if call.operation == "update connector":
                raise Died
            return answer

        with pytest.raises(Died):
            await bring(dies, [each.transition for each in first if each.transition])
        assert holders(server) == [ROSA]
        again = await plan_over(client.asend, GROUPS)
    assert [each.transition for each in again] == [None, None]
    assert [each.after for each in again] == [each.after for each in first]
    assert all(item.before in (pin.before, pin.after) for item, pin in zip(again, first, strict=True))
    assert sent_moves(server) == 1


async def test_the_plan_names_numbers_and_what_stays(server: EmulatorServer) -> None:
    async with Client(make_settings(server.url, "demo-key-uk")) as client:
        to, out = await plan_over(client.asend, GROUPS)
    (finding,) = to.findings
    assert finding.code == "numbers_follow"
    assert "+441632960005" in finding.message
    assert out.findings == ()
    assert to.resource.kind == KIND
    assert connector(HOTELS, GROUPS.connector_id).kind != KIND
