"""A handler comes with what it needs, or not at all."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_voice_agents.signalwire import api
from airflow_voice_agents.signalwire.models import COMPANIONS, OPTIONAL_COMPANIONS
from airflow_voice_agents.signalwire.routes import (
    ROUTES,
    Route,
    ToAiAgent,
    ToCallFlow,
    ToCxmlApplication,
    ToCxmlWebhook,
    ToDialogflow,
    ToRelayApplication,
    ToRelayConnector,
    ToRelayTopic,
    ToSipEndpoint,
    ToSwml,
    ToVertoEndpoint,
    ToVideoRoom,
    parse_route,
)
from airflow_voice_agents.transport.errors import InputError

ID = "5c3f2b1a-0d4e-4f6a-8b7c-9d8e7f6a5b4c"
URL, OTHER = "https://h.example/a", "https://h.example/b"

EACH: list[tuple[Route, dict[str, str], str, dict[str, str]]] = [
    (ToSwml(URL), {"to": "swml", "url": URL}, "relay_script", {"call_relay_script_url": URL}),
    (
        ToCxmlWebhook(URL, fallback_url=OTHER),
        {"to": "cxml_webhook", "url": URL, "fallback_url": OTHER},
        "laml_webhooks",
        {"call_request_url": URL, "call_request_method": "POST", "call_fallback_url": OTHER},
    ),
    (
        ToCxmlWebhook(URL, "GET", OTHER, "POST", OTHER, "GET"),
        {
            "to": "cxml_webhook",
            "url": URL,
            "method": "GET",
            "fallback_url": OTHER,
            "fallback_method": "POST",
            "status_callback_url": OTHER,
            "status_callback_method": "GET",
        },
        "laml_webhooks",
        {
            "call_request_url": URL,
            "call_request_method": "GET",
            "call_fallback_url": OTHER,
            "call_fallback_method": "POST",
            "call_status_callback_url": OTHER,
            "call_status_callback_method": "GET",
        },
    ),
    (
        ToCxmlApplication("app"),
        {"to": "cxml_application", "id": "app"},
        "laml_application",
        {"call_laml_application_id": "app"},
    ),
    (
        ToRelayApplication("desk"),
        {"to": "relay_application", "name": "desk"},
        "relay_application",
        {"call_relay_application": "desk"},
    ),
    (
        ToRelayTopic("desk", URL),
        {"to": "relay_topic", "topic": "desk", "status_callback_url": URL},
        "relay_topic",
        {"call_relay_topic": "desk", "call_relay_topic_status_callback_url": URL},
    ),
    (
        ToRelayConnector("c"),
        {"to": "relay_connector", "id": "c"},
        "relay_connector",
        {"call_relay_connector_id": "c"},
    ),
    (
        ToSipEndpoint(ID),
        {"to": "sip_endpoint", "id": ID},
        "relay_sip_endpoint",
        {"call_sip_endpoint_id": ID},
    ),
    (
        ToVertoEndpoint("desk"),
        {"to": "verto_endpoint", "resource": "desk"},
        "relay_verto_endpoint",
        {"call_verto_resource": "desk"},
    ),
    (
        ToDialogflow("a"),
        {"to": "dialogflow", "agent_id": "a"},
        "dialogflow",
        {"call_dialogflow_agent_id": "a"},
    ),
    (ToVideoRoom(ID), {"to": "video_room", "id": ID}, "video_room", {"call_video_room_id": ID}),
    (ToAiAgent(ID), {"to": "ai_agent", "id": ID}, "ai_agent", {"call_ai_agent_id": ID}),
    (
        ToCallFlow(ID, "working_copy"),
        {"to": "call_flow", "id": ID, "version": "working_copy"},
        "call_flow",
        {"call_flow_id": ID, "call_flow_version": "working_copy"},
    ),
]
each = pytest.mark.parametrize(("route", "mapping", "handler", "companions"), EACH)


@each
def test_route_gives_handler_receive_mode_and_companions(
    route: Route, mapping: dict[str, str], handler: str, companions: dict[str, str]
) -> None:
    changes = {"call_handler": handler, "call_receive_mode": "voice", **companions}
    assert route.changes() == changes
    assert api.update_phone_number(ID, route.changes()).body == changes


@each
def test_mapping_is_read_as_the_same_route(
    route: Route, mapping: dict[str, str], handler: str, companions: dict[str, str]
) -> None:
    assert parse_route(mapping) == parse_route(route) == route


@each
def test_route_without_one_of_its_required_fields_cannot_be_built(
    route: Route, mapping: dict[str, str], handler: str, companions: dict[str, str]
) -> None:
    for api_name in COMPANIONS[handler]:
        (name,) = [own for own, theirs in route.api_names.items() if theirs == api_name]
        lacking = {key: value for key, value in mapping.items() if key != name}
        with pytest.raises(InputError, match=rf"route to {mapping['to']} needs {name}$"):
            parse_route(lacking)
        with pytest.raises(TypeError):
            type(route)(**{key: value for key, value in lacking.items() if key != "to"})
        for wrong in (None, "", 7, "a\nb"):
            with pytest.raises(InputError, match=rf"{type(route).__name__}\.{name} must "):
                type(route)(**{key: value for key, value in (mapping | {name: wrong}).items() if key != "to"})


def test_every_route_covers_what_its_handler_uses() -> None:
    for kind in ROUTES.values():
        known = (*COMPANIONS[kind.handler], *OPTIONAL_COMPANIONS.get(kind.handler, ()))
        assert tuple(kind.api_names.values()) == known
    assert {kind.handler for kind in ROUTES.values()} == COMPANIONS.keys() - {"relay_context"}
    assert {type(route) for route, *_ in EACH} == set(ROUTES.values())


def test_uuid_is_sent_in_the_case_in_which_the_platform_answers() -> None:
    assert ToSipEndpoint(ID.upper()).changes()["call_sip_endpoint_id"] == ID


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (None, "route must be a mapping with 'to', or a route, not NoneType"),
        ("swml", "route must be a mapping with 'to', or a route, not str"),
        ({1: 2}, "route must be a mapping with 'to', or a route, not dict"),
        ({}, "route.to must be one of swml, cxml_webhook, "),
        ({"to": "sms"}, "not 'sms'"),
        ({"to": ["swml"]}, "route.to must be one of"),
        ({"to": "swml", "url": URL, "method": "GET"}, "route to swml does not take method; allowed are url"),
        ({"to": "swml"}, "route to swml needs url"),
        ({"to": "call_flow"}, "route to call_flow needs id, version"),
        ({"to": "swml", "url": "http://h.example"}, "ToSwml.url must use https"),
        ({"to": "sip_endpoint", "id": "sip:x"}, "ToSipEndpoint.id must be a UUID"),
        (
            {"to": "cxml_webhook", "url": URL, "method": "PUT"},
            "ToCxmlWebhook.method must be one of GET, POST",
        ),
        ({"to": "cxml_webhook", "url": URL, "method": None}, "ToCxmlWebhook.method must be one of GET, POST"),
        ({"to": "call_flow", "id": ID, "version": "old"}, "ToCallFlow.version must be one of working_copy"),
        (
            {"to": "cxml_webhook", "url": URL, "fallback_method": "GET"},
            "ToCxmlWebhook.fallback_method needs fallback_url beside it",
        ),
        (
            {"to": "cxml_webhook", "url": URL, "status_callback_method": "GET"},
            "ToCxmlWebhook.status_callback_method needs status_callback_url beside it",
        ),
    ],
)
def test_mapping_that_is_no_route_is_refused_by_name(value: Any, message: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_route(value)
    assert message in str(caught.value)


def test_error_names_the_argument_that_the_route_was_given_as() -> None:
    with pytest.raises(InputError, match=r"^routes\[3\]\.to must be one of"):
        parse_route({}, name="routes[3]")


def test_repr_masks_credentials() -> None:
    route = ToCxmlWebhook("https://me:secret@h.example/x?k=secret", fallback_url=OTHER)
    assert repr(route) == (
        "ToCxmlWebhook(url='https://***@h.example/x?k=***', method='POST', "
        "fallback_url='https://h.example/b')"
    )


def test_routes_are_frozen() -> None:
    with pytest.raises(AttributeError):
        ToSwml(URL).url = OTHER  # type: ignore[misc]
