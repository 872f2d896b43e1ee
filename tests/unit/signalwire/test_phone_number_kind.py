"""Routing is compared by what counts, written in one call, verified, and restored as far as it can be."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest
from msgspec.structs import replace

from airflow_voice_agents.engine.applier import Applier, ApplierSettings
from airflow_voice_agents.plans.canonical import canonical
from airflow_voice_agents.plans.diff import ABSENT
from airflow_voice_agents.plans.kind import Resource, Transition
from airflow_voice_agents.plans.plan import Plan, PlannedItem
from airflow_voice_agents.plans.render import Display, render_plan
from airflow_voice_agents.plans.report import ItemReport, Status
from airflow_voice_agents.plans.snapshot import Snapshot
from airflow_voice_agents.signalwire.models import FABRIC_ONLY, Page, PhoneNumber
from airflow_voice_agents.signalwire.resources.phone_number import (
    RouteState,
    RoutingKind,
    carrier_number,
    state_of,
    unrestorable,
)
from airflow_voice_agents.signalwire.routes import ToAiAgent, ToCxmlWebhook, ToRelayTopic, ToSwml
from airflow_voice_agents.transport.api_request import ApiRequest
from airflow_voice_agents.transport.errors import InputError, ResponseError
from support.actions import run_context

ID, NUMBER = "5c3f2b1a-0d4e-4f6a-8b7c-9d8e7f6a5b4c", "+12025550123"
OLD, NEW = "https://old.example/swml", "https://new.example/swml"
HERE = carrier_number("acme", NUMBER)
KINDS = {"carrier number": RoutingKind()}
ROUTE_OF_ONE = "/api/relay/rest/phone_numbers/{id}"


def record(**values: Any) -> dict[str, Any]:
    return {
        "id": ID,
        "number": NUMBER,
        "name": "Front desk",
        "capabilities": ["voice", "sms"],
        "call_handler": "relay_script",
        "call_relay_script_url": OLD,
        "call_receive_mode": "voice",
        "calling_handler_resource_id": "r1",
        **values,
    }


def state(**values: Any) -> RouteState:
    return state_of(PhoneNumber.model_validate(record(**values)))


def kind() -> RoutingKind:
    return RoutingKind()


class Platform:
    """One number that merges what is put; ``clears`` says whether a new handler forgets the old one's fields."""

    def __init__(self, *, clears: bool = False, **values: Any) -> None:
        self.record = record(**values)
        self.clears = clears
        self.ignores: set[str] = set()
        self.sent: list[ApiRequest[Any]] = []

    async def __call__(self, call: ApiRequest[Any]) -> Any:
        self.sent.append(call)
        if call.method == "PUT":
            self.put(dict(call.body or {}))
        return call.read(json.loads(json.dumps(self.record)))

    def put(self, body: dict[str, Any]) -> None:
        if self.clears and body.get("call_handler") not in (None, self.record["call_handler"]):
            self.record = {
                name: None if name.startswith("call_") and name not in body else value
                for name, value in self.record.items()
            }
        self.record |= {name: value for name, value in body.items() if name not in self.ignores}
        self.record["calling_handler_resource_id"] = f"r{len(self.sent) + 1}"

    @property
    def bodies(self) -> list[Any]:
        return [call.body for call in self.sent if call.method == "PUT"]

    def state(self) -> RouteState:
        return state_of(PhoneNumber.model_validate(self.record))

    async def carry(self, item: PlannedItem, *, verify: bool = False) -> ItemReport:
        assert item.transition is not None
        applier = Applier(run_context(self), kind(), ApplierSettings(verify=verify))
        (report,) = await applier.apply([item.transition])
        return report


# ---------------------------------------------------------------------------------------------- comparing


def test_routing_is_handler_receive_mode_and_the_handlers_own_fields() -> None:
    found = state(call_request_url="https://idle.example", call_relay_topic="idle")
    assert found.routing() == {
        "call_handler": "relay_script",
        "call_receive_mode": "voice",
        "call_relay_script_url": OLD,
    }


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ({}, {}, True),
        ({}, {"call_request_url": "https://idle.example"}, True),
        ({}, {"name": "Other", "calling_handler_resource_id": "r2"}, True),
        ({}, {"call_relay_script_url": NEW}, False),
        ({}, {"call_receive_mode": "fax"}, False),
        ({}, {"call_handler": "laml_webhooks", "call_request_url": OLD}, False),
        ({"call_handler": "sip_gateway"}, {"call_handler": "sip_gateway"}, True),
        (
            {"call_handler": "sip_gateway"},
            {"call_handler": "sip_gateway", "calling_handler_resource_id": "r2"},
            False,
        ),
        (
            {"call_handler": "new_one"},
            {"call_handler": "new_one", "calling_handler_resource_id": "r2"},
            False,
        ),
        ({"call_handler": None}, {"call_handler": ""}, True),
    ],
)
def test_digest_tells_apart_what_counts(one: dict[str, Any], other: dict[str, Any], same: bool) -> None:
    assert (kind().digest(state(**one)) == kind().digest(state(**other))) is same


def test_empty_text_is_not_set() -> None:
    assert state(call_relay_script_url="", call_fallback_url=None).companions == {}


def test_changes_show_no_credentials_even_where_only_they_change() -> None:
    before = state(call_relay_script_url="https://me:one@h.example/x?k=one")
    after = before.routed(ToSwml("https://me:two@h.example/x?k=two"))
    (change,) = kind().diff(before, after)
    shown = "https://***@h.example/x?k=***"
    assert (change.path, change.before, change.after) == (("call_relay_script_url",), shown, shown)


def test_changes_of_a_new_handler_add_and_remove_its_fields() -> None:
    changes = {
        change.path[0]: (change.before, change.after)
        for change in kind().diff(state(), state().routed(ToRelayTopic("desk")))
    }
    assert changes == {
        "call_handler": ("relay_script", "relay_topic"),
        "call_relay_script_url": (OLD, ABSENT),
        "call_relay_topic": (ABSENT, "desk"),
    }


def test_state_shows_no_url_in_its_repr() -> None:
    assert "old.example" not in repr(state())


def test_fields_with_credentials_are_named() -> None:
    found = state(call_relay_script_url="https://a:b@h/x", call_fallback_url=OLD, call_relay_topic="a@b")
    assert found.credentials_in == ["call_relay_script_url"]


# ----------------------------------------------------------------------------------------------- observing


def known(*resources: Resource) -> dict[Resource, RouteState]:
    return {each: replace(state(), id=str(uuid.UUID(int=place))) for place, each in enumerate(resources, 1)}


def test_few_numbers_with_known_ids_are_read_one_by_one() -> None:
    other = carrier_number("acme", "+12025550124")
    reads = list(kind().observe([HERE, other], {HERE: state(), other: state(id=ID.replace("5c", "6d"))}))
    assert [read.request.path.rpartition("/")[2] for read in reads] == [ID, ID.replace("5c", "6d")]
    assert {read.request.route for read in reads} == {ROUTE_OF_ONE}
    assert reads[0].states(PhoneNumber.model_validate(record())) == {HERE: state()}


@pytest.mark.parametrize(
    ("count", "ids_known", "filtered"), [(11, True, None), (2, False, None), (1, False, NUMBER)]
)
async def test_many_numbers_and_unknown_ids_take_one_list_whose_end_proves_absence(
    count: int, ids_known: bool, filtered: str | None
) -> None:
    many = [HERE, *(carrier_number("acme", f"+120255502{place:02}") for place in range(count - 1))]
    (read,) = kind().observe(many, known(*many) if ids_known else {})
    asked: list[dict[str, str]] = []

    async def send(request: ApiRequest[Any], /) -> Any:
        asked.append(dict(request.query))
        return Page((PhoneNumber.model_validate(record()),))

    assert read.fetch is not None
    found = read.states(await read.fetch(send))

    assert found == {HERE: state()} | dict.fromkeys(many[1:])
    assert [query.get("filter_number") for query in asked] == [filtered]


async def test_a_list_that_breaks_off_proves_nothing() -> None:
    (read,) = kind().observe([HERE], {})

    async def send(request: ApiRequest[Any], /) -> Any:
        return Page((), next_link="https://elsewhere.example/api/relay/rest/phone_numbers?page_token=x")

    assert read.fetch is not None
    with pytest.raises(ResponseError):
        await read.fetch(send)


@pytest.mark.parametrize("foreign", [{"id": ID.replace("5", "6")}, {"number": "+12025550124"}])
def test_answer_about_another_number_tells_nothing(foreign: dict[str, str]) -> None:
    answer = PhoneNumber.model_validate(record(**foreign))
    (read,) = kind().observe([HERE], {HERE: state()})
    ((step,),) = kind().write_sequences([Transition(HERE, state(), state().routed(ToSwml(NEW)))])
    assert read.states(answer) == {}
    assert step.judge(answer) == {}


# ------------------------------------------------------------------------------------------------ planning


def test_number_that_is_as_wanted_needs_no_write() -> None:
    item = kind().plan(HERE, ToSwml(OLD), state())
    assert (item.changed, item.transition, item.writes, item.findings) == (False, None, 0, ())


def test_fields_that_a_route_does_not_name_are_no_difference() -> None:
    now = state(
        call_handler="laml_webhooks",
        call_request_url=OLD,
        call_request_method="POST",
        call_fallback_url="https://fallback.example",
    )
    assert not kind().plan(HERE, ToCxmlWebhook(OLD), now).changed
    assert kind().plan(HERE, ToCxmlWebhook(OLD, fallback_url=NEW), now).changed
    assert kind().plan(HERE, ToCxmlWebhook(OLD, method="GET"), now).changed


def test_number_without_voice_is_an_error() -> None:
    item = kind().plan(HERE, ToSwml(NEW), state(capabilities=["sms"]))
    assert [(each.severity, each.code) for each in item.findings] == [("error", "not_voice_capable")]
    assert item.writes == 0


def test_number_that_is_not_there_stops_a_cut_over_and_is_left_out_of_a_restore() -> None:
    route, restored = kind().plan(HERE, ToSwml(NEW), None), kind().restore(HERE, state(), None)
    assert [each.code for each in route.errors] == ["absent"]
    assert [each.code for each in restored.refusals] == ["absent"]
    assert route.transition is None
    assert restored.transition is None


def test_number_that_was_not_there_then_cannot_be_restored() -> None:
    assert [each.code for each in kind().restore(HERE, None, state()).errors] == ["not_kept"]


@pytest.mark.parametrize("handler", [*sorted(FABRIC_ONLY), None, "of_tomorrow"])
def test_plan_warns_before_a_routing_is_left_that_cannot_be_restored(handler: str | None) -> None:
    item = kind().plan(HERE, ToSwml(NEW), state(call_handler=handler))
    assert [(each.severity, each.code) for each in item.findings] == [("warning", "one_way")]
    assert item.transition is not None


def test_plan_of_an_ordinary_cut_over_has_nothing_to_say() -> None:
    item = kind().plan(HERE, ToSwml(NEW), state())
    assert (item.findings, item.writes, item.changed) == ((), 1, True)


def test_plan_shows_no_credentials() -> None:
    item = kind().plan(HERE, ToSwml("https://me:secret@new.example/x?k=secret"), state())
    plan = Plan("point phone numbers", (item,))
    assert "secret" not in render_plan(plan, Display(show_values=True)) + str(plan.document()) + repr(plan)
    assert "https://***@new.example/x?k=***" in render_plan(plan, Display(show_values=True))


# ------------------------------------------------------------------------------------------------- writing


@pytest.mark.parametrize("clears", [False, True])
@pytest.mark.parametrize("verify", [False, True])
async def test_cut_over_is_one_put_and_a_second_run_makes_none(clears: bool, verify: bool) -> None:
    platform = Platform(clears=clears, call_fallback_url="https://idle.example")
    route = ToCxmlWebhook(NEW)
    report = await platform.carry(kind().plan(HERE, route, platform.state()), verify=verify)
    assert report.status is Status.CHANGED
    assert platform.bodies == [
        {
            "call_handler": "laml_webhooks",
            "call_receive_mode": "voice",
            "call_request_url": NEW,
            "call_request_method": "POST",
        }
    ]
    assert len(platform.sent) == 1 + verify
    assert not kind().plan(HERE, route, platform.state()).changed


@pytest.mark.parametrize("ignored", ["call_handler", "call_relay_script_url", "call_receive_mode"])
async def test_write_that_the_platform_took_but_did_not_do_fails(ignored: str) -> None:
    platform = Platform(call_handler="relay_topic", call_receive_mode="fax")
    platform.ignores = {ignored}
    report = await platform.carry(kind().plan(HERE, ToSwml(NEW), platform.state()))
    assert report.status is Status.FAILED
    assert ignored in report.reason


def test_number_that_is_gone_is_not_settled() -> None:
    assert kind().mismatches(Transition(HERE, state(), state().routed(ToSwml(NEW))), None) == ["presence"]


async def test_route_that_no_answer_shows_is_written_and_verified_by_its_handler() -> None:
    platform = Platform()
    route = ToAiAgent(ID)
    report = await platform.carry(kind().plan(HERE, route, platform.state()))
    assert report.status is Status.CHANGED
    assert platform.bodies == [route.changes()]


# ----------------------------------------------------------------------------------------------- restoring


@pytest.mark.parametrize("clears", [False, True])
@pytest.mark.parametrize(
    "former",
    [
        {},
        {"call_receive_mode": "fax"},
        {"call_handler": "relay_topic", "call_relay_topic": "desk"},
        {"call_handler": "relay_context", "call_relay_context": "desk"},
        {
            "call_handler": "laml_webhooks",
            "call_request_url": OLD,
            "call_request_method": "GET",
            "call_fallback_url": OLD,
        },
    ],
)
async def test_snapshot_restores_the_routing_with_one_put(former: dict[str, Any], clears: bool) -> None:
    platform = Platform(clears=clears, **former)
    snapshot = json.loads(canonical(kind().to_json(platform.state())))
    await platform.carry(kind().plan(HERE, ToSwml(NEW), platform.state()))

    item = kind().restore(HERE, kind().from_json(snapshot), platform.state())
    report = await platform.carry(item)

    assert report.status is Status.CHANGED
    assert len(platform.bodies) == 2
    assert platform.state().routing() == state(**former).routing()
    assert not kind().restore(HERE, kind().from_json(snapshot), platform.state()).changed


async def test_restore_sends_what_counts_and_of_the_idle_fields_what_changed() -> None:
    platform = Platform(call_request_url=OLD, call_relay_topic="idle")
    former = platform.state()
    await platform.carry(kind().plan(HERE, ToCxmlWebhook(NEW), platform.state()))
    await platform.carry(kind().restore(HERE, former, platform.state()))
    assert platform.bodies[-1] == {
        "call_handler": "relay_script",
        "call_receive_mode": "voice",
        "call_relay_script_url": OLD,
        "call_request_url": OLD,
    }


async def test_idle_field_that_the_platform_does_not_take_back_is_no_failure() -> None:
    platform = Platform(call_request_url=OLD)
    former = platform.state()
    await platform.carry(kind().plan(HERE, ToCxmlWebhook(NEW), platform.state()))
    platform.ignores = {"call_request_url"}
    report = await platform.carry(kind().restore(HERE, former, platform.state()))
    assert report.status is Status.CHANGED
    assert platform.state().value("call_request_url") == NEW


@pytest.mark.parametrize("handler", [*sorted(FABRIC_ONLY), None, "of_tomorrow"])
def test_handler_that_this_api_cannot_set_is_an_error_of_the_restore(handler: str | None) -> None:
    item = kind().restore(HERE, state(call_handler=handler), state())
    assert [each.code for each in item.errors] == ["unrestorable_route"]
    assert (item.writes, item.changed) == (0, True)


def test_error_of_a_restore_names_the_handler_and_the_resource_to_assign() -> None:
    item = kind().restore(HERE, state(call_handler="sip_gateway"), state())
    assert "call handler was sip_gateway" in item.errors[0].message
    assert "assign resource r1" in item.errors[0].message


def test_handler_without_its_companion_cannot_be_restored() -> None:
    assert unrestorable(state(call_relay_script_url=None)) == (
        "Its call handler relay_script had no call_relay_script_url."
    )
    assert unrestorable(state()) == ""


def test_handler_of_the_dashboard_that_was_never_left_needs_no_restore() -> None:
    item = kind().restore(HERE, state(call_handler="call_queue"), state(call_handler="call_queue"))
    assert (item.changed, item.findings) == (False, ())


def test_field_that_no_call_can_clear_is_told() -> None:
    former = state(call_handler="laml_webhooks", call_request_url=OLD)
    now = state(call_handler="laml_webhooks", call_request_url=NEW, call_fallback_url=NEW)
    item = kind().restore(HERE, former, now)
    assert [(each.severity, each.code) for each in item.findings] == [("warning", "stays_set")]
    assert "call_fallback_url was not set then" in item.findings[0].message
    assert item.writes == 1


# ----------------------------------------------------------------------------------------------- snapshots


def test_snapshot_is_plain_json_and_comes_back_the_same() -> None:
    before = state(call_fallback_url="https://me:pw@h.example/x", call_sip_endpoint_id=ID)
    back = kind().from_json(json.loads(canonical(kind().to_json(before))))
    assert back == before
    assert back.calling_handler_resource_id == "r1"


def test_snapshots_fit_into_a_snapshot_of_many() -> None:
    document = Snapshot({HERE: state()}).document(KINDS)
    states = Snapshot.from_document(json.loads(json.dumps(document)), KINDS).states
    assert states == {Resource("carrier number", "acme", NUMBER): state()}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"id": "search"}, "id must be a UUID"),
        ({"number": "2025550123"}, "number must be an E.164 number"),
        ({"call_handler": 7}, "call_handler must be a string"),
        ({"companions": []}, "companions must be a mapping"),
        ({"companions": {"name": "x"}}, "companions must be a mapping of fields of call routing"),
        ({"companions": {"call_relay_topic": None}}, "companions.call_relay_topic must be a string"),
        ({"extra": 1}, "must have exactly the fields"),
    ],
)
def test_snapshot_that_was_tampered_with_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as caught:
        kind().from_json(kind().to_json(state()) | change)
    assert message in str(caught.value)


def test_snapshot_of_another_type_is_refused() -> None:
    with pytest.raises(InputError, match="must have exactly the fields"):
        kind().from_json(["id"])
